"""What of an adapter is left in the file, type by type: three ways of rounding it in, without any model being asked.

    python bench/merge.py [--seeds 0 1 2] [--layers 0 10 20 29] [--delta PATH]

Owns that account. Takes ffn_down of some layers of SmolLM2-135M Q4_1, for the other types quantized anew by ggml, and
adds a delta of rank 16 whose rms is 0.001, as a night's is, drawn for each seed; with --delta the trained one of a home
(generations/NNNN/delta.safetensors), and the seeds only draw dithers. The ways:

    trained through   dithered grid rounding, with the dither that every training step used: what edgesleep does
    requantized       base + delta quantized anew by ggml, scales and all: what tools do that merge, then quantize
    random after      dithered grid rounding of an adapter that was trained without it

`arrives` is the part of D that is in the change, <w' - w, D> / <D, D>: 1 is all, 0 none; the ends of the grid cut some
off. `correlation` is that of the two, weight by weight: small wherever a delta is far below a step, however rounded.
`off training` is how far w' is from the weights that training saw (for the last two w + D), as rms, in units of the
delta's; "equal" means all bytes. `changed` counts weights. Medians over the seeds, least and most in brackets. What a
model then knows is measured by bench/night.py. F32, F16 and BF16 have no grid and are left out: rounded to nearest.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gguf as ggufpy
import numpy as np
from llama_cpp._ggml import libggml

from edgesleep import catalog, kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.gguf import Gguf
from edgesleep.kernel import MERGEABLE, Bytes, Delta, Floats, Quantized

GRIDS = [name for name in MERGEABLE if name not in ("F32", "F16", "BF16")]
RANK, SCALE, RMS = 16, 2.0, 0.001

Way = Callable[[Quantized, Delta], tuple[Bytes, Floats]]  # packed bytes, and the weights that training saw


@dataclass(frozen=True)
class Left:
    """What one way left of the delta in some tensors, as the text at the top of this file says."""

    arrives: float
    correlation: float
    off_training: float
    changed: float


def quantized(values: Floats, type: str) -> Bytes:
    """ggml's own quantization, which llama-quantize uses, without an importance matrix."""
    rows, cols = values.shape
    packed = np.empty(values.size // MERGEABLE[type].weights * MERGEABLE[type].bytes, np.uint8)
    function = libggml.ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    values = np.ascontiguousarray(values, np.float32)
    kind = ggufpy.GGMLQuantizationType[type]
    assert function(kind, values.ctypes.data, packed.ctypes.data, 0, rows, cols, None) == packed.nbytes
    return packed


def trained_through(w: Quantized, delta: Delta) -> tuple[Bytes, Floats]:
    return kernel.merge(w, delta)[0], kernel.effective(w, delta)


def requantized(w: Quantized, delta: Delta) -> tuple[Bytes, Floats]:
    wanted = kernel.dequantize(w) + dense(delta)
    return quantized(wanted, w.type), wanted


def random_after(w: Quantized, delta: Delta) -> tuple[Bytes, Floats]:
    other = replace(w, seed=w.seed ^ 1)  # nothing that training saw
    return kernel.merge(other, delta)[0], kernel.dequantize(w) + dense(delta)


WAYS: dict[str, Way] = {
    "trained through": trained_through,
    "requantized": requantized,
    "random after": random_after,
}


def dense(delta: Delta) -> Floats:
    return np.float32(delta.scale) * (delta.b @ delta.a)


def drawn(rows: int, cols: int, seed: int) -> Delta:
    """`a` as an adapter begins, `b` normal, of the size that a night's delta has."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-(cols**-0.5), cols**-0.5, (RANK, cols)).astype(np.float32)
    b = rng.standard_normal((rows, RANK)).astype(np.float32)
    rms = float(np.sqrt(np.mean(dense(Delta(a, b, SCALE)) ** 2)))
    return Delta(a, b * np.float32(RMS / rms), SCALE)


def left(way: Way, pairs: list[tuple[Quantized, Delta]]) -> Left:
    """All tensors together."""
    dot = wanted = got = off = 0.0
    changed = weights = 0
    for w, delta in pairs:
        packed, seen = way(w, delta)
        base, after = kernel.dequantize(w), kernel.dequantize(Quantized(w.type, w.rows, w.cols, packed))
        change, whole = (after - base).astype(np.float64), dense(delta).astype(np.float64)
        dot, wanted, got = dot + np.vdot(change, whole), wanted + np.vdot(whole, whole), got + np.vdot(change, change)
        if after.tobytes() != seen.tobytes():
            off += float(np.sum((after.astype(np.float64) - seen) ** 2))
        changed, weights = changed + int(np.count_nonzero(change)), weights + change.size
    return Left(dot / wanted, dot / (wanted * got) ** 0.5 if got else 0.0, (off / wanted) ** 0.5, changed / weights)


def tensors(file: Gguf, names: list[str], type: str, seed: int) -> list[Quantized]:
    """These tensors of the file in another type; in their own as they are."""
    found = []
    for name in names:
        tensor = file.tensors[name]
        rows, cols = tensor.shape
        own = Quantized(tensor.type, rows, cols, tensor.data, kernel.tensor_seed(seed, name))
        data = tensor.data if type == tensor.type else quantized(kernel.dequantize(own), type)
        found.append(Quantized(type, rows, cols, data, own.seed))
    return found


def show(type: str, way: str, found: list[Left]) -> None:
    def spread(key: str, form: str) -> str:
        values = [getattr(one, key) for one in found]
        return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    off = spread("off_training", ".2f") if any(one.off_training for one in found) else "equal"
    print(
        f"{type:5} {way:16}{spread('arrives', '.3f'):>24}{spread('correlation', '.3f'):>24}{off:>24}"
        f"{spread('changed', '.1%'):>24}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 10, 20, 29])
    parser.add_argument("--delta", type=Path, help="a trained adapter of smollm2-135m")
    options = parser.parse_args()
    file = Gguf.open(catalog.resolve("smollm2-135m", print))
    names = [f"blk.{layer}.ffn_down.weight" for layer in options.layers]
    trained = Adapter.load(options.delta) if options.delta else None
    print(f"{machine.describe()}, kernel {kernel.name()}, {len(names)} tensors of 576 x 1536, seeds {options.seeds}")
    print(f"{'type':5} {'way':16}{'arrives':>24}{'correlation':>24}{'off training':>24}{'changed':>24}")
    for type in GRIDS:
        found: dict[str, list[Left]] = {way: [] for way in WAYS}
        for seed in options.seeds:
            bases = tensors(file, names, type, seed)
            deltas = [trained.delta(name) if trained else drawn(w.rows, w.cols, seed + n)
                      for n, (name, w) in enumerate(zip(names, bases, strict=True))]  # fmt: skip
            for way, round_in in WAYS.items():
                found[way].append(left(round_in, list(zip(bases, deltas, strict=True))))
        for way, lefts in found.items():
            show(type, way, lefts)


if __name__ == "__main__":
    main()
