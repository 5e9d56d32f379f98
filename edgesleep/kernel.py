"""The native kernel in numpy: dithered grid rounding of ggml tensors.

Owns the checks on shapes, dtypes and names.
Leaves the arithmetic to native/ (native/edgesleep.h states it) and files to
`gguf`. Every kernel gives the same bytes; EDGESLEEP_KERNEL=ref|avx2|avx512|neon,
or one of these with its 8-bit instructions (avx2-vnni), forces one, and
EDGESLEEP_DEVICE says where training steps run (docs/devices.md). Calls
release the interpreter lock, and never copy the weights.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesleep import _native
from edgesleep.errors import KernelError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

BETAS = (0.9, 0.99)  # of Adam's two moments
DEVICES = ("auto", "cpu", "cuda", "metal")

# ggml's ids (ggml.h) of the types whose tensors can be merged: affine grids, and plain floats.
_TYPES = {
    "F32": 0,
    "F16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q5_0": 6,
    "Q5_1": 7,
    "Q8_0": 8,
    "Q2_K": 10,
    "Q3_K": 11,
    "Q4_K": 12,
    "Q5_K": 13,
    "Q6_K": 14,
    "BF16": 30,
}


@dataclass(frozen=True)
class Block:
    """The packing of a tensor type: `weights` values in `bytes` bytes."""

    weights: int
    bytes: int


MERGEABLE: dict[str, Block] = {name: Block(*_native.block(number)) for name, number in _TYPES.items()}


@dataclass(frozen=True)
class Quantized:
    """A tensor as it lies in a GGUF: `data` is its bytes, uint8 [rows * cols / block.weights * block.bytes].

    `seed` fixes the dither of this tensor: see `tensor_seed`.
    Raises KernelError for a type that cannot be merged and for a size that does not fit the type.
    """

    type: str
    rows: int
    cols: int
    data: Bytes
    seed: int = 0

    def __post_init__(self) -> None:
        block = MERGEABLE.get(self.type)
        if block is None:
            raise KernelError(
                f"Tensors of type {self.type} have no affine grid, so nothing can be merged into them.",
                f"Use a model whose weights are of the types {', '.join(MERGEABLE)}.",
            )
        if self.rows < 0 or self.cols < 0 or self.cols % block.weights:
            raise KernelError(
                f"A {self.type} tensor cannot have {self.rows} rows of {self.cols} weights.",
                f"Its rows are made of blocks of {block.weights} weights; the file may be damaged.",
            )
        _check("weight data", self.data, np.uint8, (self.rows * self.cols // block.weights * block.bytes,))


@dataclass(frozen=True)
class Delta:
    """A low-rank change D = scale * (b @ a): `a` is f32 [rank, cols], `b` is f32 [rows, rank]."""

    a: Floats
    b: Floats
    scale: float


@dataclass(frozen=True)
class Moves:
    """What a merge did to some rows.

    `moved` of `codes` weights changed; `clamped` wanted a code beyond the end of
    the grid. `delta_squares` is the sum of D^2, `change_dot` that of (w' - w) * D.
    """

    codes: int
    moved: int
    clamped: int
    delta_squares: float
    change_dot: float


def name() -> str:
    """The kernel in use. Raises KernelError when the one in EDGESLEEP_KERNEL cannot run here."""
    chosen = _native.selected()
    if chosen is None:
        raise _forced_error()
    return chosen


def supported() -> list[str]:
    """The kernels that run on this machine, fastest first."""
    return [kernel for kernel, runs in _native.kernels() if runs]


def device() -> tuple[str, str]:
    """What training steps run on (cpu, cuda or metal), and why: the card's name, or what speaks against a card.

    Raises KernelError when EDGESLEEP_DEVICE names none of these, nor auto.
    """
    asked = os.environ.get("EDGESLEEP_DEVICE") or "auto"
    if asked not in DEVICES:
        raise KernelError(
            f'EDGESLEEP_DEVICE names no device: "{asked}".', f"Unset it, or choose one of: {', '.join(DEVICES)}."
        )
    return _native.device()


def set_threads(n: int) -> None:
    """Use `n` threads from now on; 0 means one for each processor. Results do not depend on it."""
    _native.set_threads(n)


def tensor_seed(seed: int, name: str) -> int:
    """The dither seed of one tensor: the first 8 bytes of sha256("seed:name"), little-endian."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")


def dequantize(w: Quantized, row0: int = 0, row1: int | None = None) -> Floats:
    """Rows [row0, row1) as stored, f32 [row1 - row0, cols]; equal to ggml bit for bit."""
    row1 = _last(w, row0, row1)
    out = np.empty((row1 - row0, w.cols), np.float32)
    done(_native.dequantize(native_matrix(w), row0, row1, out))
    return out


def rows(w: Quantized, ids: npt.NDArray[np.int64]) -> Floats:
    """The rows with these numbers as stored (an embedding lookup), f32 [len(ids), cols]."""
    _check("row numbers", ids, np.int64, (ids.size,))
    out = np.empty((len(ids), w.cols), np.float32)
    done(_native.gather(native_matrix(w), ids, out))
    return out


def effective(
    w: Quantized, delta: Delta | None, row0: int = 0, row1: int | None = None, out: Floats | None = None
) -> Floats:
    """Rows [row0, row1) after the merge, f32 [row1 - row0, cols], into `out` if given.

    Raises KernelError where the tensor or the delta holds NaN or infinity.
    """
    row1 = _last(w, row0, row1)
    out = _room(out, (row1 - row0, w.cols), np.float32)
    done(_native.effective(native_matrix(w), _adapter(w, delta), row0, row1, out))
    return out


def effective_bf16(
    w: Quantized,
    delta: Delta | None,
    row0: int = 0,
    row1: int | None = None,
    out: npt.NDArray[np.uint16] | None = None,
) -> npt.NDArray[np.uint16]:
    """`effective` rounded to nearest even in bfloat16, as its bits: uint16 [row1 - row0, cols]."""
    row1 = _last(w, row0, row1)
    out = _room(out, (row1 - row0, w.cols), np.uint16)
    done(_native.effective_bf16(native_matrix(w), _adapter(w, delta), row0, row1, out))
    return out


def merge(w: Quantized, delta: Delta | None, row0: int = 0, row1: int | None = None) -> tuple[Bytes, Moves]:
    """Rows [row0, row1) with the delta merged, packed in the same type, and what moved.

    The bytes dequantize to `effective` exactly. Raises KernelError as it does.
    """
    row1 = _last(w, row0, row1)
    block = MERGEABLE[w.type]
    out = np.empty((row1 - row0) * w.cols // block.weights * block.bytes, np.uint8)
    error, codes, moved, clamped, squares, dot = _native.merge(native_matrix(w), _adapter(w, delta), row0, row1, out)
    done(error)
    return out, Moves(codes, moved, clamped, squares, dot)


def linear(w: Quantized, delta: Delta | None, x: Floats, exact: bool = True) -> Floats:
    """y = x @ w'^T for f32 x [n, cols]; y is f32 [n, rows]. The weights are formed tile by tile.

    If not `exact`, inputs are first rounded to 8 bits (edgesleep.h, es_linear).
    """
    _check("input", x, np.float32, (len(x), w.cols))
    y = np.empty((len(x), w.rows), np.float32)
    done(_native.linear(native_matrix(w), _adapter(w, delta), exact, x, len(x), y))
    return y


def linear_grad(w: Quantized, delta: Delta | None, dy: Floats, exact: bool = True) -> Floats:
    """The input gradient of `linear`: dx = dy @ w' for f32 dy [n, rows]; dx is f32 [n, cols]."""
    _check("output gradient", dy, np.float32, (len(dy), w.rows))
    dx = np.empty((len(dy), w.cols), np.float32)
    done(_native.linear_grad(native_matrix(w), _adapter(w, delta), exact, dy, len(dy), dx))
    return dx


def adam(value: Floats, gradient: Floats, moments: tuple[Floats, Floats], step: int, rate: float, clip: float) -> None:
    """One step of Adam (arXiv:1412.6980, betas 0.9 and 0.99) in place; `step` counts from 1.

    The gradient is first multiplied by `clip`. All arrays are f32 and of one size.
    """
    for array in (gradient, *moments):
        _check("Adam's array", array, np.float32, value.shape)
    done(_native.adam(value, gradient, *moments, step, rate, *BETAS, 1e-8, clip))


def native_matrix(w: Quantized) -> _native.Matrix:
    """The tensor as the native kernel takes it."""
    return _native.Matrix(_TYPES[w.type], w.rows, w.cols, w.data, w.seed)


def native_adapter(w: Quantized, delta: Delta) -> _native.Adapter:
    """The delta as the native kernel takes it. Raises KernelError when it does not fit the tensor."""
    rank = len(delta.a)
    _check("A", delta.a, np.float32, (rank, w.cols))
    _check("B", delta.b, np.float32, (w.rows, rank))
    return _native.Adapter(rank, delta.scale, delta.a, delta.b)


def _adapter(w: Quantized, delta: Delta | None) -> _native.Adapter | None:
    return None if delta is None else native_adapter(w, delta)


def _last(w: Quantized, row0: int, row1: int | None) -> int:
    row1 = w.rows if row1 is None else row1
    if not 0 <= row0 <= row1 <= w.rows:
        raise KernelError(f"Rows {row0} to {row1} are not in a tensor of {w.rows} rows.")
    return row1


def _room(out: npt.NDArray[Any] | None, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    if out is None:
        return np.empty(shape, dtype)
    _check("out", out, dtype, shape)
    if not out.flags.writeable:
        raise KernelError("The array for the result is read-only.", "Pass one that can be written.")
    return out


def _check(what: str, array: npt.NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise KernelError(
            f"The {what} is {array.dtype} {list(array.shape)}; it must be {np.dtype(dtype)} {list(shape)}."
        )
    if not array.flags.c_contiguous:
        raise KernelError(f"The {what} is not contiguous.", "Pass numpy.ascontiguousarray of it.")


def done(error: int) -> None:
    """Raises KernelError for every error code of the native kernel but 0."""
    if not error:
        return
    message = _native.message(error)
    if error == _native.FORCED:
        raise _forced_error()
    hint = (
        "The model file or the adapter is damaged: check its hash, or train again." if error in _native.DAMAGED else ""
    )
    raise KernelError(f"The native kernel refused its input: {message}.", hint)


def _forced_error() -> KernelError:
    asked = os.environ.get("EDGESLEEP_KERNEL", "")
    known = [kernel for kernel, _ in _native.kernels()]
    why = "cannot run on this machine" if asked in known else "is unknown"
    return KernelError(
        f'The kernel "{asked}" named by EDGESLEEP_KERNEL {why}.',
        f"Unset EDGESLEEP_KERNEL, or choose one of: {', '.join(supported())}.",
    )
