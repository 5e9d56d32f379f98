"""The adapter: the cumulative f32 delta that is kept beside every generation.

Owns its in-memory form, its safetensors file and the seed of its dither.
Leaves training to `night.train`, rounding to `kernel`, llama.cpp's file form to
`gguf`. Invariant: a file holds every factor that was trained, at full
precision, with the hash of the base that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edgesleep.errors import EdgesleepError, shown
from edgesleep.files import write_atomically
from edgesleep.kernel import Delta
from edgesleep.records import encode

Floats = NDArray[np.float32]


_KEY = "edgesleep"


@dataclass(frozen=True)
class About:
    """What a file says of its factors."""

    rank: int
    alpha: float
    seed: int
    base_sha256: str
    peak: float | None = None


@dataclass(frozen=True)
class Adapter:
    """Factors by tensor name: `a` [rank, in], `b` [out, rank]. The delta is alpha / rank * b @ a.

    `peak` is the share of the highest rate that training found to suit this model; None before any training.
    """

    factors: dict[str, tuple[Floats, Floats]]
    rank: int
    alpha: float
    seed: int
    base_sha256: str
    peak: float | None = None

    @classmethod
    def fresh(cls, shapes: Mapping[str, tuple[int, int]], rank: int, alpha: float, seed: int, base: str) -> Adapter:
        """`a` uniform in +-1/sqrt(in), `b` zero: the delta starts at nothing. `shapes` are (out, in)."""
        random = np.random.default_rng(seed)
        factors = {
            name: (
                random.uniform(-(cols**-0.5), cols**-0.5, (rank, cols)).astype(np.float32),
                np.zeros((rows, rank), np.float32),
            )
            for name, (rows, cols) in shapes.items()
        }
        return cls(factors, rank, alpha, seed, base)

    def demand_fit(self, shapes: Mapping[str, tuple[int, int]], seed: int) -> None:
        """Raises EdgesleepError unless the factors are for just these matrices, (out, in), and this dither seed."""
        own = {name: (len(b), a.shape[1]) for name, (a, b) in self.factors.items()}
        if own != dict(shapes) or self.seed != seed:
            raise EdgesleepError(
                "The adapter was made for other tensors or another dither seed.",
                "It belongs to another base model: start from generation 0.",
            )

    def delta(self, name: str) -> Delta:
        a, b = self.factors[name]
        return Delta(a, b, self.alpha / self.rank)

    def part(self, start: Adapter | None, share: float) -> Adapter:
        """This adapter, had it gone only `share` of the way from where its training started; None: from the base.

        From the base the delta is `share` times the whole one. From another delta both factors go that share, which
        keeps the rank, so that a later night can train on; a sum of the two deltas would have twice the rank. Start and
        end have the same factors, apart from what the night moved, so the way between them is nearly straight: the
        delta is off by share * (1 - share) times the product of what the two factors moved.
        """
        factors = {}
        for name, (a, b) in self.factors.items():
            first_a, first_b = start.factors[name] if start else (a, np.zeros_like(b))
            factors[name] = (first_a + share * (a - first_a), first_b + share * (b - first_b))
        return replace(self, factors=factors)

    def save(self, path: Path) -> Path:
        tensors = {
            f"{name}.lora_{part}": array
            for name, pair in self.factors.items()
            for part, array in zip("ab", pair, strict=True)
        }
        # One key, because safetensors writes several in random order, and equal adapters shall be equal files.
        about = About(self.rank, self.alpha, self.seed, self.base_sha256, self.peak)
        return write_atomically(path, save(tensors, {_KEY: encode(about).decode()}))

    @classmethod
    def load(cls, path: Path) -> Adapter:
        try:
            with safe_open(path, "numpy") as file:
                about = msgspec.json.decode(file.metadata()[_KEY], type=About)
                names = sorted({key.rsplit(".", 1)[0] for key in file.keys()})  # noqa: SIM118
                factors = {
                    name: (file.get_tensor(f"{name}.lora_a"), file.get_tensor(f"{name}.lora_b")) for name in names
                }
            peak = 1.0 if about.peak is None else about.peak
            if not (about.rank > 0 and math.isfinite(about.alpha) and 0 <= about.seed < 1 << 64 and 0 < peak <= 1):
                raise ValueError(f"rank {about.rank}, alpha {about.alpha}, seed {about.seed}, peak {peak} are of none")
            for name, pair in factors.items():
                _demand_pair(name, *pair, about.rank)
            return cls(factors, about.rank, about.alpha, about.seed, about.base_sha256, about.peak)
        # The library meets damage with any of these; AttributeError is a type of number that numpy lacks.
        except (
            *(OSError, SafetensorError, msgspec.MsgspecError, RecursionError),
            *(AttributeError, KeyError, TypeError, ValueError, OverflowError),
        ) as error:
            raise EdgesleepError(
                f"{path} is not a complete adapter: {shown(str(error))}.", "Roll back to the generation before it."
            ) from error


def _demand_pair(name: str, a: Floats, b: Floats, rank: int) -> None:
    fit = a.ndim == b.ndim == 2 and len(a) == b.shape[1] == rank
    if not fit or not a.dtype == b.dtype == np.float32 or not np.isfinite(a).all() or not np.isfinite(b).all():
        raise ValueError(f"the factors of {name} are no finite f32 [{rank}, in] and [out, {rank}]")
