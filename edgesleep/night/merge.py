"""Merge: the adapter goes into a copy of the base, in the base's own quantization types.

Owns which tensors are rewritten and the account of how far each one moved.
Leaves the rounding to `kernel`, the file to `gguf`. Invariant: always from the
pristine base and the cumulative delta, never from a rounded night; size,
metadata and untouched tensors stay as they are, to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from edgesleep import gguf, kernel
from edgesleep.adapter import Adapter
from edgesleep.errors import GgufError
from edgesleep.gguf import Gguf
from edgesleep.kernel import Bytes, Quantized
from edgesleep.records import Merge, TensorMove

_TILE = 1 << 20  # weights rounded at a time: a few MB of blocks in memory


def merge(base: Gguf, adapter: Adapter, path: Path) -> Merge:
    """Write `base` with `adapter` rounded into it to `path`.

    Raises GgufError for adapted tensors without an affine grid (IQ*, TQ*,
    MXFP4, ...): those can be served through the exported adapter, not merged;
    and for an adapter of another model.
    """
    found = {base.tensors[name].type for name in adapter.factors.keys() & base.tensors.keys()}
    if foreign := sorted(found - kernel.MERGEABLE.keys()):
        raise GgufError(
            f"{base.path.name} has tensors of type {', '.join(foreign)}, which have no affine grid to merge into.",
            "Use a Q4_0, Q4_1, Q5_*, Q8_0 or Q*_K file of the same model.",
        )
    moves: dict[str, TensorMove] = {}
    sha256, size = gguf.write_copy(base, path, {name: _rounded(base, adapter, name, moves) for name in adapter.factors})
    tensors = tuple(moves[name] for name in adapter.factors)
    return Merge(sha256, size, sum(t.codes for t in tensors), sum(t.moved for t in tensors), tensors)


def _rounded(base: Gguf, adapter: Adapter, name: str, moves: dict[str, TensorMove]) -> Iterator[Bytes]:
    """The tensor's new blocks, tile by tile; its account is entered when it is done."""
    tensor, delta = base.tensors[name], adapter.delta(name)
    rows, cols = tensor.shape
    weight = Quantized(tensor.type, rows, cols, tensor.data, kernel.tensor_seed(adapter.seed, name))
    step = max(1, _TILE // cols)
    codes = moved = clamped = 0
    squares = dot = 0.0
    for first in range(0, rows, step):
        blocks, tile = kernel.merge(weight, delta, first, min(first + step, rows))
        codes, moved, clamped = codes + tile.codes, moved + tile.moved, clamped + tile.clamped
        squares, dot = squares + tile.delta_squares, dot + tile.change_dot
        yield blocks
    share = dot / squares if squares else 0.0
    moves[name] = TensorMove(name, tensor.type, codes, moved, clamped, math.sqrt(squares / codes), share)


def export(base: Gguf, adapter: Adapter, path: Path, night: int) -> Path:
    """Write the adapter as a LoRA GGUF that stock llama.cpp loads on the pristine base."""
    about = {"edgesleep.base_sha256": adapter.base_sha256, "edgesleep.night": str(night)}
    return gguf.write_adapter(path, base.architecture, adapter.factors, adapter.alpha, about)
