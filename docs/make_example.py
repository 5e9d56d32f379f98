"""Writes the worked example of docs/how-it-works.md from the real kernel: `make docs`.

Owns the eight weights, what a night wants of them, and the tables made of that. Leaves the words around them to the
page, and every number to the kernel; the dither alone is worked out here once more, as the kernel does not show it, and
a test compares what follows from it with what the kernel did. The test also fails where the page is stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesleep import kernel

PAGE = Path(__file__).with_name("how-it-works.md")
BEGIN, END = "<!-- example: written by `make docs` -->\n", "<!-- end of the example -->\n"

TENSOR, SEED = "blk.0.ffn_down.weight", 0
STEP = 0.0625  # of the block: a Q4_0 weight is STEP * (code - 8)
CODES = (3, 7, 8, 12, 5, 9, 10, 15)
WANTED = (0.03, 0.02, 0.02, 0.01, -0.02, -0.004, 0.0625, 0.09)  # what the night's adapter adds to each
BLOCK, COUNT, OFFSET = 32, len(CODES), 8
MANY = 100_000  # rows with the same weights, each with a dither of its own

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """The eight weights, before and after."""

    dither: tuple[float, ...]
    nearest: tuple[int, ...]
    codes: tuple[int, ...]
    mean: tuple[float, ...]  # change of each weight, over MANY dithers

    @property
    def changes(self) -> tuple[float, ...]:
        return tuple(STEP * (new - old) for new, old in zip(self.codes, CODES, strict=True))


def example() -> Example:
    seed = kernel.tensor_seed(SEED, TENSOR)
    after = _after(1, seed)[0]
    codes = tuple(round(float(value) / STEP) + OFFSET for value in after)
    nearest = (round(code + wanted / STEP) for code, wanted in zip(CODES, WANTED, strict=True))
    mean = (_after(MANY, seed) - _weights()).mean(0)
    return Example(
        tuple(dither(seed, 0, column) for column in range(COUNT)),
        tuple(min(max(code, 0), 15) for code in nearest),
        codes,
        tuple(map(float, mean)),
    )


def _weights() -> Floats:
    return STEP * (np.array(CODES, np.float64) - OFFSET)


def _after(rows: int, seed: int) -> Floats:
    """The first eight weights of each row after the kernel's merge; all rows are alike before it."""
    codes = np.full(BLOCK, OFFSET, np.uint8)
    codes[:COUNT] = CODES
    packed = codes[: BLOCK // 2] | codes[BLOCK // 2 :] << 4
    block = np.concatenate([np.array([STEP], np.float16).view(np.uint8), packed])
    wanted = np.zeros((1, BLOCK), np.float32)
    wanted[0, :COUNT] = WANTED
    tensor = kernel.Quantized("Q4_0", rows, BLOCK, np.tile(block, rows), seed)
    merged, _ = kernel.merge(tensor, kernel.Delta(wanted, np.ones((rows, 1), np.float32), 1.0))
    return kernel.dequantize(kernel.Quantized("Q4_0", rows, BLOCK, merged))[:, :COUNT].astype(np.float64)


def dither(seed: int, row: int, column: int) -> float:
    """The number between 0 and 1 of one weight, as native/edgesleep.h states it."""
    key = _splitmix64(seed + (row + 1) * 0x9E3779B97F4A7C15) >> 32
    h = _lowbias32(key ^ (column * 0x9E3779B9 & 0xFFFFFFFF))
    return ((h >> 9) + 0.5) * 2.0**-23


def _splitmix64(x: int) -> int:
    mask = (1 << 64) - 1
    x &= mask
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
    x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
    return x ^ x >> 31


def _lowbias32(x: int) -> int:
    mask = (1 << 32) - 1
    x = (x ^ x >> 16) * 0x7FEB352D & mask
    x = (x ^ x >> 15) * 0x846CA68B & mask
    return x ^ x >> 16


def tables() -> str:
    """The part of the page that is computed, Markdown."""
    found = example()
    lines = ["| weight | code q | wanted D | D / s | dither u | D / s + u | new code q' | new weight | nearest code |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    rows = zip(CODES, WANTED, found.dither, found.codes, found.nearest, strict=True)
    for code, wanted, u, new, nearest in rows:
        steps = wanted / STEP
        marked = f"**{new}**" if new != code else f"{new}"
        lines.append(
            f"| {STEP * (code - OFFSET):+.4f} | {code} | {wanted:+.4f} | {steps:+.3f} | {u:.3f} | {steps + u:+.3f} "
            f"| {marked} | {STEP * (new - OFFSET):+.4f} | {nearest} |"
        )
    lines += ["", f"| wanted D | mean change over {MANY:,} dithers |", "|---|---|"]
    lines += [f"| {wanted:+.4f} | {mean:+.4f} |" for wanted, mean in zip(WANTED, found.mean, strict=True)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page as it should be."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
