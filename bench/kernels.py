"""Measure the native kernels on one core, and torch beside them.

Prints the rate of the effective weight at rank 16 in weights per second, and
of the training step's products in floating-point operations per second, both
with the kernel's own `linear` and with `effective` followed by torch.matmul.

    python bench/kernels.py
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np
import torch

from edgesleep import _native, kernel
from edgesleep.kernel import MERGEABLE, Delta, Quantized

SHAPES = ((576, 576), (1536, 576), (576, 1536))
TOKENS = (256, 1024)
RANK = 16

Run = Callable[[], object]


def rate(work: float, run: Run, repeats: int = 9) -> float:
    """`work` per second in the best of some runs, in units of 10^9."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return work / best / 1e9


def tensor(type: str, rows: int, cols: int, rng: np.random.Generator) -> tuple[Quantized, Delta]:
    """Bytes whose every 16-bit word is a finite half near 0.01, so that every scale is one too."""
    words = rng.normal(0, 0.01, rows * cols // MERGEABLE[type].weights * MERGEABLE[type].bytes // 2)
    a, b = rng.standard_normal((RANK, cols)), rng.normal(0, 0.01, (rows, RANK))
    w = Quantized(type, rows, cols, words.astype(np.float16).view(np.uint8), seed=1)
    return w, Delta(a.astype(np.float32), b.astype(np.float32), 2.0)


def measure_weights(rng: np.random.Generator) -> None:
    print(f"\n{'type':6}{'kernel':8}{'effective':>11}{'dequantize':>12}{'merge':>8}   10^9 weights/s")
    for type in MERGEABLE:
        w, delta = tensor(type, 512, 1536, rng)
        out, weights = np.empty((512, 1536), np.float32), 512 * 1536
        for name in kernel.supported():
            _native.select(name)
            repeats = 2 if name == "ref" else 9
            effective = rate(weights, lambda w=w, d=delta, o=out: kernel.effective(w, d, out=o), repeats)
            dequantize = rate(weights, lambda w=w: kernel.dequantize(w), repeats)
            merge = rate(weights, lambda w=w, d=delta: kernel.merge(w, d), repeats)
            print(f"{type:6}{name:8}{effective:11.3f}{dequantize:12.3f}{merge:8.3f}")


def ways(w: Quantized, delta: Delta, n: int, rng: np.random.Generator) -> dict[str, tuple[Run, Run]]:
    """The forward product and the input gradient of `n` tokens, by every way of computing them."""
    x = rng.standard_normal((n, w.cols)).astype(np.float32)
    dy = rng.standard_normal((n, w.rows)).astype(np.float32)
    xt, dyt = torch.from_numpy(x), torch.from_numpy(dy)
    dense = kernel.effective(w, delta)
    wt = torch.from_numpy(dense)

    def formed() -> torch.Tensor:
        kernel.effective(w, delta, out=dense)
        return wt

    native: tuple[Run, Run] = (lambda: kernel.linear(w, delta, x), lambda: kernel.linear_grad(w, delta, dy))
    return {
        "torch, weights at hand": (lambda: xt @ wt.T, lambda: dyt @ wt),
        "effective + torch": (lambda: xt @ formed().T, lambda: dyt @ formed()),
        **{name: native for name in kernel.supported() if name != "ref"},
    }


def measure_products(rng: np.random.Generator) -> None:
    print(f"\n{'rows x cols':14}{'n':>6}  {'what':22}{'forward':>9}{'gradient':>10}   GFLOP/s, Q4_1")
    fastest = kernel.supported()[0]
    for rows, cols in SHAPES:
        w, delta = tensor("Q4_1", rows, cols, rng)
        for n in TOKENS:
            for what, runs in ways(w, delta, n, rng).items():
                _native.select(what if what in kernel.supported() else fastest)
                forward, gradient = (rate(2 * n * rows * cols, run) for run in runs)
                print(f"{f'{rows} x {cols}':14}{n:6}  {what:22}{forward:9.1f}{gradient:10.1f}")


def main() -> None:
    kernel.set_threads(1)
    torch.set_num_threads(1)
    print(f"{platform.machine()}, one core, rank {RANK}, torch {torch.__version__}, kernels {kernel.supported()}")
    rng = np.random.default_rng(0)
    measure_weights(rng)
    measure_products(rng)


if __name__ == "__main__":
    main()
