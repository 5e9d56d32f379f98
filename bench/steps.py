"""Training steps of one model through the rounding of its file, against what the machine can do.

    python bench/steps.py [MODEL] [--exact] [--threads 0] [--memory 192] [--repeats 5] [--csv PATH]

MODEL is a catalogue name, the path of a .gguf, or a shape of bench/models.py. A
step is 4 rows of 256 random tokens with a loss on every fourth place, rank 16
on all linear layers, Adam, and the rounding of all matrices. Prints tokens per
second, peak memory, and the share of the limit set by the linear layers alone
at the rate of torch's own 2048 x 2048 x 2048 product in f32, which is measured
before and after, in a process of its own; where the processor multiplies bf16,
the share of that limit as well. --exact multiplies in 32 bits
instead of 8 (train.exact). EDGESLEEP_KERNEL forces a kernel. --csv appends one line to PATH.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import models
from edgesleep import config, kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.gguf import Gguf
from edgesleep.model import Target
from edgesleep.network import Network

ROWS, TOKENS, EVERY = 4, 256, 4
SETTINGS = config.TrainSettings()

GEMM = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
a, b = (torch.randn(2048, 2048, dtype=getattr(torch, sys.argv[2])) for _ in range(2))
for run in range(6):
    start = time.perf_counter()
    torch.matmul(a, b)
    if run:
        print(2 * 2048**3 / (time.perf_counter() - start) / 1e9)
"""

Row = dict[str, str | int | float]


class Stepper:
    """The network with an adapter and Adam, stepped as `night.train` does."""

    def __init__(self, path: Path, memory: int, exact: bool) -> None:
        self.network = Network(Gguf.open(path), 0, memory, exact)
        self.adapter = Adapter.fresh(self.network.shapes, SETTINGS.rank, SETTINGS.alpha, 0, "")
        self.network.attach(self.adapter)
        self.moments = {name: [(np.zeros_like(part), np.zeros_like(part)) for part in pair]
                        for name, pair in self.adapter.factors.items()}  # fmt: skip
        self.steps = 0
        tokens = np.random.default_rng(0).integers(0, self.network.vocabulary, (ROWS, TOKENS))
        places = np.arange(0, TOKENS - 1, EVERY, dtype=np.int32)
        sure = np.ones((len(places), 1), np.float32)
        self.rows = [row.tolist() for row in tokens]
        self.targets = [Target(places, row[places + 1, None].astype(np.int32), sure) for row in tokens]

    def step(self) -> tuple[float, float]:
        """Seconds of one step: the passes, and what follows them."""
        began = time.perf_counter()
        for pair in self.network.gradients.values():
            for gradient in pair:
                gradient.fill(0.0)
        at_once = max(1, self.network.batch_tokens // TOKENS)
        scale = 1 / sum(len(target.places) for target in self.targets)
        losses = [self.network.learn(self.rows[i : i + at_once], self.targets[i : i + at_once], scale)
                  for i in range(0, ROWS, at_once)]  # fmt: skip
        assert np.isfinite(np.concatenate(losses)).all()
        passed = time.perf_counter()
        self.descend()
        return passed - began, time.perf_counter() - passed

    def descend(self) -> None:
        gradients = self.network.gradients
        norm = math.sqrt(sum(float(np.vdot(part, part)) for pair in gradients.values() for part in pair))
        clip = min(1.0, 1.0 / (norm + 1e-6))
        self.steps += 1
        for name, factors in self.adapter.factors.items():
            for factor, gradient, moments in zip(factors, gradients[name], self.moments[name], strict=True):
                kernel.adam(factor, gradient, moments, self.steps, SETTINGS.rate, clip)
        self.network.moved()


def own_gemm(threads: int, dtype: str = "float32") -> list[float]:
    """GFLOP/s of torch's product, a few times; nothing where torch is not installed."""
    done = subprocess.run([sys.executable, "-c", GEMM, str(threads), dtype], capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()] if done.returncode == 0 else []


def multiplies_bf16() -> bool:
    """Whether the processor does: torch's product in bf16 takes minutes where it does not."""
    flags = Path("/proc/cpuinfo")
    forced = "avx2" in os.environ.get("ONEDNN_MAX_CPU_ISA", "").lower()
    return flags.exists() and "_bf16" in flags.read_text("utf-8") and not forced


def describe(network: Network, path: Path) -> Row:
    """The model's numbers, as another program needs them to build the same."""
    shape = network.shape
    hidden, _ = network.shapes["blk.0.ffn_up.weight"]
    keys = ("architecture", "layers", "width", "heads", "kv_heads", "head_width")
    tied = int("output.weight" not in Gguf.open(path).tensors)
    numbers: Row = {key: getattr(shape, key) for key in keys}
    return {**numbers, "hidden": hidden, "vocabulary": network.vocabulary, "tied": tied}


def work(network: Network) -> float:
    """GFLOP per token of forward pass and input gradient of all matrices; output rows at the supervised places only.

    Left out: attention, the factors and their gradients, and what is computed twice to save memory.
    """
    linears = sum(rows * cols for rows, cols in network.shapes.values())
    return 4 * (linears + network.vocabulary * network.shape.width / EVERY) / 1e9


def measure(options: argparse.Namespace) -> Row:
    threads = machine.threads(options.threads)
    kernel.set_threads(threads)
    path = models.locate(options.model)
    gemm = own_gemm(threads)
    stepper = Stepper(path, options.memory << 20, options.exact)
    stepper.step()  # memory is claimed, files are read
    times = [stepper.step() for _ in range(options.repeats)]
    gemm += own_gemm(threads)
    gemm_bf16 = own_gemm(threads, "bfloat16") if multiplies_bf16() else []
    network, total = stepper.network, [sum(parts) for parts in times]
    speed = ROWS * TOKENS / statistics.median(total)
    return {
        "model": options.model,
        "processor": machine.describe()["processor"],
        "kernel": kernel.name(),
        "threads": threads,
        "bits": 32 if options.exact else 8,
        "memory_mib": options.memory,
        "weights_copied": int(network.copy),
        "activations_kept": int(network.remember),
        "pass_tokens": network.batch_tokens,
        "repeats": options.repeats,
        "step_s": statistics.median(total),
        "step_s_least": min(total),
        "step_s_most": max(total),
        "adam_and_rounding_s": statistics.median(rest for _, rest in times),
        "tokens_per_s": speed,
        "peak_mib": machine.peak_rss() / 2**20,
        **describe(network, path),
        **limit(speed, work(network), gemm),
        "gemm_bf16_gflops": statistics.median(gemm_bf16) if gemm_bf16 else "",
        "share_of_bf16_limit": speed * work(network) / statistics.median(gemm_bf16) if gemm_bf16 else "",
    }


def limit(speed: float, work: float, gemm: list[float]) -> Row:
    """How near `speed` is to what the machine's own product allows; empty where that is not known."""
    row: Row = {"gflop_per_token": work}
    keys = ("gemm_gflops", "gemm_gflops_least", "gemm_gflops_most", "limit_tokens_per_s", "share_of_limit")
    if not gemm:
        return {**row, **dict.fromkeys(keys, "")}
    rate = statistics.median(gemm)
    return {**row, **dict(zip(keys, (rate, min(gemm), max(gemm), rate / work, speed * work / rate), strict=True))}


def show(row: Row) -> None:
    for key, value in row.items():
        print(f"{key:22} {value:.4g}" if isinstance(value, float) else f"{key:22} {value}")
    if row["gemm_gflops"] == "":
        print("torch is not installed: the machine's own rate is not measured (pip install 'edgesleep[torch]').")


def append(path: Path, rows: list[Row]) -> None:
    """Add lines to a file of such lines, or begin it."""
    header = path.read_text("utf-8").partition("\n")[0].split(",") if path.exists() else []
    if header not in ([], [""], list(rows[0])):
        beside = path.with_stem(f"{path.stem}-{int(time.time())}")
        print(f"{path} has other columns: written to {beside} instead.")
        return append(beside, rows)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if len(header) < 2:
            writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--exact", action="store_true", help="multiply in 32 bits")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each processor")
    parser.add_argument("--memory", type=int, default=SETTINGS.memory, help="MiB, as train.memory")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    row = measure(options)
    show(row)
    if options.csv:
        append(options.csv, [row])


if __name__ == "__main__":
    main()
