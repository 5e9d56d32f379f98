"""A training step of edgesleep beside that of PEFT, which is what one would use instead, on the same shape.

    python bench/peers.py [MODEL] [--exact] [--peers-python PYTHON] [--repeats 5] [--csv PATH]

MODEL as for bench/steps.py, which measures our side. PYTHON (or EDGESLEEP_PEERS)
has torch, transformers and peft; where they are missing, nothing is measured.
Their side is LoRA of rank 16 on all linear layers of a model of random weights,
in bf16 and in f32, with the same tokens, supervised places and gradient norm,
and AdamW. It computes output rows at the supervised places only, as ours does,
which the usual recipe does not. Both run in processes of their own, one after
the other, and on a processor with AVX-512 once more with AVX2 forced on both.
--csv appends one line for each to PATH.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HOW = """skipped: {python} has not all of torch, transformers and peft. To compare with them:
    python -m venv peers-venv
    peers-venv/bin/pip install -c constraints.txt torch transformers peft
    python bench/peers.py --peers-python peers-venv/bin/python"""

INSTRUCTIONS = {
    "best": {},
    "avx2": {
        "EDGESLEEP_KERNEL": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
ROWS, TOKENS, EVERY, RANK, ALPHA = 4, 256, 4, 16, 32  # as in bench/steps.py

Row = dict[str, Any]


# --- the child: their step, in a Python that need not have edgesleep


def peft_step(job: Row) -> Row:
    """Median seconds and peak memory of a step of the model whose numbers `job` holds.

    Where time was too short for a second step (`repeats` is 0), the first one is what there is.
    """
    import torch

    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = peft_model(job)
    learning = [part for part in model.parameters() if part.requires_grad]
    adam = torch.optim.AdamW(learning, lr=1e-3)
    tokens, places = batch(job["vocabulary"])

    def step() -> float:
        began = time.perf_counter()
        logits = model(input_ids=tokens, use_cache=False, logits_to_keep=places).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, places + 1].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        adam.step()
        adam.zero_grad()
        assert loss.isfinite()
        return time.perf_counter() - began

    began = time.perf_counter()
    times = [step()]  # memory is claimed, kernels are made
    while len(times) <= job["repeats"] and time.perf_counter() - began < 60 * job["minutes"]:
        times.append(step())
    times, repeats = times[1:] or times, len(times) - 1
    return {
        "repeats": repeats,
        "kernel": f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}",
        "step_s": statistics.median(times),
        "step_s_least": min(times),
        "step_s_most": max(times),
        "peak_mib": peak_mib(),
        "learning": sum(part.numel() for part in learning),
    }


def peft_model(job: Row) -> Any:
    import peft
    import torch
    import transformers

    kinds = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}
    config = kinds[job["architecture"]](
        num_hidden_layers=job["layers"],
        hidden_size=job["width"],
        num_attention_heads=job["heads"],
        num_key_value_heads=job["kv_heads"],
        head_dim=job["head_width"],
        intermediate_size=job["hidden"],
        vocab_size=job["vocabulary"],
        tie_word_embeddings=bool(job["tied"]),
    )
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[job["dtype"]]
    base = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    if job["checkpointing"]:
        base.gradient_checkpointing_enable()
        base.enable_input_require_grads()
    lora = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    return peft.get_peft_model(base, lora).train()


def batch(vocabulary: int) -> tuple[Any, Any]:
    """The tokens of bench/steps.py, [ROWS, TOKENS], and the places that are supervised."""
    import numpy as np
    import torch

    tokens = np.random.default_rng(0).integers(0, vocabulary, (ROWS, TOKENS))
    return torch.from_numpy(tokens), torch.arange(0, TOKENS - 1, EVERY)


def peak_mib() -> float:
    """As `edgesleep.machine.peak_rss`, which is not at hand here."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


# --- the parent


def ours(options: argparse.Namespace, instructions: str) -> Row:
    """One row of bench/steps.py, which also says what the model looks like."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.csv"
        flags = {"--threads": options.threads, "--memory": options.memory, "--repeats": options.repeats, "--csv": path}
        command = [sys.executable, str(Path(__file__).with_name("steps.py")), options.model]
        command += ["--exact"] * options.exact
        command += [str(word) for flag, value in flags.items() if value is not None for word in (flag, value)]
        environment = {**os.environ, **INSTRUCTIONS[instructions]}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        with path.open(newline="", encoding="utf-8") as file:
            row = next(csv.DictReader(file))
    return {key: number(value) for key, value in row.items()}


def theirs(options: argparse.Namespace, instructions: str, dtype: str, model: Row) -> Row:
    own = {key: getattr(options, key) for key in ("repeats", "minutes", "checkpointing")}
    job = {**model, **own, "dtype": dtype}
    environment = {**os.environ, **INSTRUCTIONS[instructions], "OMP_NUM_THREADS": str(model["threads"])}
    command = [options.peers_python, __file__, "--job", json.dumps(job)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180 * options.minutes)
    except subprocess.TimeoutExpired:
        return {"failed": f"no step within {3 * options.minutes:g} minutes"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    killed = f"killed by signal {-done.returncode}, most likely for want of memory"
    return {"failed": killed if done.returncode < 0 else last}


def number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def compare(options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    for instructions in options.instructions or ("best", "avx2"):
        if rows and not options.instructions and "avx512" not in rows[0]["kernel"]:
            print("AVX2 is the best that this processor has, or it has none: it is not forced.")
            break
        own = ours(options, instructions)
        name = "edgesleep, exact" if options.exact else "edgesleep"
        found = {name: own}
        show(instructions, name, own, own)
        for dtype in options.dtypes:
            name = f"peft {dtype}" + (", checkpointing" if options.checkpointing else "")
            found[name] = theirs(options, instructions, dtype, own)
            show(instructions, name, found[name], own)
        keys = ("kernel", "step_s", "step_s_least", "step_s_most", "repeats", "peak_mib", "failed")
        rows += [
            {"model": options.model, "processor": own["processor"], "threads": own["threads"],
             "instructions": instructions, "what": what, **{key: row.get(key, "") for key in keys},
             "gemm_gflops": own["gemm_gflops"]}
            for what, row in found.items()
        ]  # fmt: skip
    return rows


def show(instructions: str, name: str, row: Row, own: Row) -> None:
    if "failed" in row:
        print(f"{instructions:6}{name:26} failed: {row['failed']}", flush=True)
        return
    spread = f"{row['step_s_least']:.2f} to {row['step_s_most']:.2f}" if row["repeats"] else "first step only"
    speed, times = ROWS * TOKENS / row["step_s"], row["step_s"] / own["step_s"]
    print(f"{instructions:6}{name:26}{row['step_s']:9.2f}  {spread:18}{speed:10.1f}{times:10.2f}{row['peak_mib']:10.0f}"
          f"  {row['kernel']}", flush=True)  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--exact", action="store_true", help="our side multiplies in 32 bits")
    parser.add_argument("--peers-python", default=os.environ.get("EDGESLEEP_PEERS") or sys.executable)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each processor")
    parser.add_argument("--memory", type=int, help="MiB for our side, as train.memory")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10, help="no further step of theirs after so long")
    parser.add_argument("--dtypes", nargs="+", choices=("bf16", "f32"), default=("bf16", "f32"))
    parser.add_argument("--instructions", nargs="+", choices=INSTRUCTIONS, help="both, where they differ")
    parser.add_argument("--checkpointing", action="store_true", help="theirs computes activations twice to save memory")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.job:
        sys.path.pop(0)  # this folder, whose kernels.py transformers would take for a package that it knows
        print(json.dumps(peft_step(json.loads(options.job))))
        return
    there = subprocess.run([options.peers_python, "-c", "import torch, transformers, peft"], capture_output=True)
    if there.returncode:
        print(HOW.format(python=options.peers_python))
        return
    print(f"{options.model}, {ROWS} rows of {TOKENS} tokens, loss on every {EVERY}th place, rank {RANK}")
    print(f"{'':6}{'':26}{'s/step':>9}  {'from, to':18}{'tokens/s':>10}{'x ours':>10}{'peak MiB':>10}", flush=True)
    rows = compare(options)
    if options.csv:
        from steps import append  # not above: the other Python has no edgesleep

        append(options.csv, rows)


if __name__ == "__main__":
    main()
