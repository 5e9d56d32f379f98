"""Every operation of the native kernels on one core: type by type, kernel by kernel, and torch beside them.

    python bench/kernels.py [--types Q4_1 Q4_K] [--csv PATH]

Prints the rate of the effective weight at rank 16, of dequantizing and of the
merge, in weights and in packed bytes per second; then of the training step's
products with 256 tokens, in f32 and in 8 bits, with their share of the rate of
torch's own 2048 x 2048 x 2048 product in f32 before them; after them it is
measured again, to show how steady the machine was.
EDGESLEEP_KERNEL picks one kernel, else all that run here take part. --csv
writes one line for each number to PATH.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import steps

from edgesleep import _native, kernel, machine
from edgesleep.kernel import MERGEABLE, Delta, Quantized

ROWS, COLS, TOKENS, RANK = 1536, 512, 256, 16
REPEATS = 9

Run = Callable[[], object]


@dataclass(frozen=True)
class Rate:
    """How fast one operation is: units of work and packed bytes of the weights, both in 10^9 a second."""

    operation: str
    type: str
    kernel: str
    unit: str
    rate: float
    gigabytes: float
    share_of_gemm: float | None = None  # of products, where torch is installed


def seconds(run: Run, repeats: int) -> float:
    """The median of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tensor(type: str, rng: np.random.Generator) -> tuple[Quantized, Delta]:
    """Bytes whose every 16-bit word is a finite half near 0.01, so that every scale is one too."""
    words = rng.normal(0, 0.01, ROWS * COLS // MERGEABLE[type].weights * MERGEABLE[type].bytes // 2)
    a, b = rng.standard_normal((RANK, COLS)), rng.normal(0, 0.01, (ROWS, RANK))
    w = Quantized(type, ROWS, COLS, words.astype(np.float16).view(np.uint8), seed=1)
    return w, Delta(a.astype(np.float32), b.astype(np.float32), 2.0)


def operations(w: Quantized, delta: Delta, rng: np.random.Generator) -> Iterator[tuple[str, str, float, Run]]:
    """Name, unit, work in 10^9 units, and what to run."""
    out = np.empty((ROWS, COLS), np.float32)
    x = rng.standard_normal((TOKENS, COLS)).astype(np.float32)
    dy = rng.standard_normal((TOKENS, ROWS)).astype(np.float32)
    weights, flops = ROWS * COLS / 1e9, 2 * TOKENS * ROWS * COLS / 1e9
    yield "dequantize", "weights", weights, lambda: kernel.dequantize(w)
    yield "effective", "weights", weights, lambda: kernel.effective(w, delta, out=out)
    yield "merge", "weights", weights, lambda: kernel.merge(w, delta)
    for name, exact in (("f32", True), ("8 bits", False)):
        yield f"forward, {name}", "flop", flops, lambda e=exact: kernel.linear(w, None, x, e)  # type: ignore[misc]
        yield f"gradient, {name}", "flop", flops, lambda e=exact: kernel.linear_grad(w, None, dy, e)  # type: ignore[misc]


def measure(types: list[str], kernels: list[str]) -> Iterator[Rate]:
    rng = np.random.default_rng(0)
    gemm = steps.own_gemm(1)
    limit = statistics.median(gemm) if gemm else None
    for type in types:
        w, delta = tensor(type, rng)
        for name in kernels:
            _native.select(name)
            for operation, unit, work, run in operations(w, delta, rng):
                once = seconds(run, 1 if name == "ref" else REPEATS)
                share = work / once / limit if limit and unit == "flop" else None
                yield Rate(operation, type, name, unit, work / once, w.data.nbytes / once / 1e9, share)
    for again in (gemm, steps.own_gemm(1)):
        if limit and again:
            rate = statistics.median(again)
            yield Rate("torch.matmul 2048", "F32", "torch", "flop", rate, 0.0, rate / limit)


def show(rate: Rate) -> None:
    share = f"{rate.share_of_gemm:8.0%} of torch's f32" if rate.share_of_gemm is not None else ""
    size = f"{rate.gigabytes:8.3f} GB/s" if rate.gigabytes else f"{'':13}"
    print(f"{rate.type:6}{rate.kernel:14}{rate.operation:20}{rate.rate:9.3f} G{rate.unit}/s{size}{share}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--types", nargs="+", choices=list(MERGEABLE), default=list(MERGEABLE))
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    kernel.set_threads(1)
    kernels = [kernel.name()] if os.environ.get("EDGESLEEP_KERNEL") else kernel.supported()
    print(
        f"{machine.describe()}, one core, {ROWS} x {COLS}, rank {RANK}, {TOKENS} tokens, medians of {REPEATS} (ref: 1)"
    )
    rates = []
    for rate in measure(options.types, kernels):
        show(rate)
        rates.append(rate)
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([field.name for field in fields(Rate)])
            writer.writerows(astuple(rate) for rate in rates)


if __name__ == "__main__":
    main()
