"""One whole night on the demonstration day, measured on text that no night ever saw.

    python bench/night.py [--model smollm2-135m] [--seeds 0 1 2] [--minutes 15] [--exact] [--data DIR]

Prints, per seed: recall of held-out wordings before and after, in the merged
file read by llama.cpp, and in the same night merged by ordinary requantization
(scales refitted, nearest code), which is what other tools amount to; the rise
of the token loss on C4 and WikiText-2 from DIR/retention_text; time, memory and
size. --exact trains with products in 32 bits instead of 8 (train.exact). DIR (or
EDGESLEEP_DATA) is where the development data lies; without it that column is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import ability
import gguf as ggufpy
import numpy as np

from edgesleep import catalog, config, gguf, kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.day.importers import import_file
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night import cycle, gate, stages
from edgesleep.records import Dreams, NightReport, StepReport, load
from edgesleep.store import Store

Changes = dict[str, dict[str, Any]]


def main() -> None:
    options = parse()
    base = catalog.resolve(options.model, print)
    texts = unseen(options.data)
    print(f"{machine.describe()}, kernel {kernel.name()}, {platform.python_version()}")
    rows = [one_night(base, options.model, night_settings(options, seed), texts) for seed in options.seeds]
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if row.get(key) is not None]
        if values:
            print(f"{key:32} median {statistics.median(values):.4g}   from {min(values):.4g} to {max(values):.4g}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--minutes", type=float, default=config.NightSettings().minutes)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGESLEEP_DATA"))
    return parser.parse_args()


def unseen(data: Path | None) -> dict[str, str]:
    """Plain text by name, paragraphs apart as the gate wants them; empty where there is no data."""
    if data is None or not (data / "retention_text").is_dir():
        print("No --data with a folder retention_text: the loss on unseen text is not measured.")
        return {}
    return {name: "\n\n".join(parts) for name, parts in ability.texts(data).items()}


def night_settings(options: argparse.Namespace, seed: int) -> Changes:
    return {"night": {"seed": seed, "minutes": options.minutes}, "train": {"exact": options.exact}}


def one_night(base: Path, spec: str, changes: Changes, texts: dict[str, str]) -> dict[str, float | None]:
    """Run the night in a fresh home and measure what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = Store.open(home)
        store.adopt_base(base, spec)
        with Journal.open(home) as journal, as_file(files("edgesleep") / "data" / "day.jsonl") as day:
            import_file(journal, day)
        settings = config.load(home, changes)
        began = time.monotonic()
        stage = lambda name: print(f"  {name}, after {time.monotonic() - began:.0f} s", flush=True)  # noqa: E731
        night = cycle.run_night(home, settings, stages.Watch(stage, told))
        row = figures(night)
        if night.status == "promoted":
            merged = store.model_path()
            row["bytes against the base"] = merged.stat().st_size - base.stat().st_size
            for name, text in texts.items():
                exam = gate.Exam((), text, settings.gate, settings.night.threads)
                row[f"rise of loss, {name}"] = gate.score(merged, exam).loss_mean - gate.score(base, exam).loss_mean
            row["recall, ordinary requantization"] = requantized(base, store, home / "requantized.gguf", settings)
        print(
            json.dumps({"seed": settings.night.seed, "status": night.status, "reason": night.reason, **row}), flush=True
        )
        return row


def told(step: StepReport) -> None:
    if step.step % 5 == 0:
        print(f"    {step.step}: loss {step.loss:.3f}, drift {step.drift:.4f}, rate {step.rate:.1e}", flush=True)


def figures(night: NightReport) -> dict[str, float | None]:
    return {
        "recall before": night.recall_before,
        "recall after": night.recall_after,
        "drift on bundled text": night.drift_mean,
        "seconds": night.seconds,
        "peak MiB": night.peak_rss / 2**20,
        "tokens": night.tokens,
        "tokens a second": night.tokens_per_second,
        "codes moved": night.codes_moved,
    }


def requantized(base: Path, store: Store, path: Path, settings: config.Settings) -> float | None:
    """Recall of the same adapter merged by dequantizing, adding and quantizing anew; None where numpy cannot."""
    file, delta = Gguf.open(base), store.delta_path()
    assert delta is not None
    adapter = Adapter.load(delta)

    def again(name: str) -> np.ndarray:
        tensor, change = file.tensors[name], adapter.delta(name)
        weight = kernel.Quantized(tensor.type, *tensor.shape, tensor.data)
        dense = kernel.dequantize(weight) + change.scale * (change.b @ change.a)
        return ggufpy.quants.quantize(dense, ggufpy.GGMLQuantizationType[tensor.type]).reshape(-1)

    try:
        gguf.write_copy(file, path, {name: map(again, [name]) for name in adapter.factors})
    except NotImplementedError:  # the gguf package has no numpy form of some K-quants
        return None
    dreams = load(Dreams, next((store.home / "nights").glob("*/dreams.json")))
    return gate.score(path, gate.Exam(dreams.probes, "", settings.gate, settings.night.threads)).recall


if __name__ == "__main__":
    main()
