"""Random tensors of every type, as hypothesis draws them, and which kernels to test them on.

Owns their making alone: every code and scale occurs, and shapes straddle blocks, strips of 256, vector lanes and the
rows done together.
"""

from __future__ import annotations

import gguf
import numpy as np
from gguf import quants
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from edgesleep import _native, kernel
from edgesleep.kernel import MERGEABLE, Delta, Quantized

# Where the 16-bit scales of a block lie (ggml-common.h), stated apart from native/blocks.h.
SCALES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
AFFINE = list(SCALES)
FLOATS = ["F32", "F16", "BF16"]
FAST = [name for name in kernel.supported() if name != "ref"]

examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def use(name: str) -> None:
    assert _native.select(name) == 0, f"kernel {name} cannot run here"
    assert kernel.name() == name


def random_tensor(type: str, rows: int, cols: int, rng: np.random.Generator) -> Quantized:
    """Random codes; scales of both signs, zero and subnormal ones among them."""
    seed = int(rng.integers(2**63))
    if type in FLOATS:
        values = (rng.standard_normal(rows * cols) * rng.choice([1e-7, 1e-3, 1.0, 100.0], rows * cols)).astype(
            np.float32
        )
        kind = gguf.GGMLQuantizationType[type]
        return Quantized(type, rows, cols, quants.quantize(values, kind).view(np.uint8).reshape(-1), seed)
    block = MERGEABLE[type]
    data = rng.integers(0, 256, (rows * cols // block.weights, block.bytes), dtype=np.uint8)
    for at in SCALES[type]:
        scales = rng.standard_normal(len(data)) * rng.choice([0.0, 1e-7, 1e-3, 0.05, 3.0], len(data))
        data[:, at : at + 2] = scales.astype(np.float16).reshape(-1, 1).view(np.uint8)
    return Quantized(type, rows, cols, data.reshape(-1), seed)


def random_delta(w: Quantized, rank: int, rng: np.random.Generator, scale: float = -1.5) -> Delta:
    a = rng.standard_normal((rank, w.cols)).astype(np.float32)
    b = (rng.standard_normal((w.rows, rank)) * rng.choice([0.0, 1e-3, 0.1], (w.rows, 1))).astype(np.float32)
    return Delta(a, b, scale)


@st.composite
def cases(draw: st.DrawFn, types: list[str] | None = None) -> tuple[Quantized, Delta, np.random.Generator]:
    type = draw(st.sampled_from(types or list(MERGEABLE)))
    weights = MERGEABLE[type].weights
    widest = {1: 300, 32: 10, 256: 3}[weights]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, blocks = draw(st.sampled_from([1, 3, 4, 5, 31, 33, 65])), draw(st.integers(1, widest))
    w = random_tensor(type, rows, blocks * weights, rng)
    return w, random_delta(w, draw(st.sampled_from([0, 1, 3, 16, 33])), rng, draw(st.sampled_from([2.0, -0.5]))), rng


def same(x: np.ndarray, y: np.ndarray) -> bool:
    """Equal bytes: tells -0.0 from 0.0, and NaN equals itself."""
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
