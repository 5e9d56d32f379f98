"""The native kernel against ggml, against numpy, and each fast kernel against the definition.

Shapes straddle blocks, strips of 256, vector lanes and the rows done together.
Blocks are random bytes with finite scales, so every code and scale occurs.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import quants
from hypothesis import given
from hypothesis import strategies as st
from tensors import AFFINE, FAST, FLOATS, SCALES, cases, examples, random_tensor, same, use

from edgesleep import kernel
from edgesleep.kernel import MERGEABLE, Delta, Quantized

pytestmark = pytest.mark.usefixtures("same_kernel_afterwards")


@pytest.fixture(scope="module")
def ggml() -> ctypes.CDLL:
    spec = importlib.util.find_spec("llama_cpp")
    found = sorted(Path(spec.origin).parent.glob("lib/libggml-base*")) if spec and spec.origin else []
    if not found:
        pytest.skip("llama_cpp ships no libggml-base here")
    return ctypes.CDLL(str(found[0]))


@pytest.mark.parametrize("name", kernel.supported())
@pytest.mark.parametrize("type", [type for type in MERGEABLE if type != "F32"])
def test_dequantizing_equals_ggml(ggml: ctypes.CDLL, type: str, name: str) -> None:
    use(name)
    w = random_tensor(type, 37, 768, np.random.default_rng(1))
    function = {"F16": "ggml_fp16_to_fp32_row", "BF16": "ggml_bf16_to_fp32_row"}.get(type)
    convert = getattr(ggml, function or f"dequantize_row_{type.replace('Q', 'q')}")
    expected = np.empty((37, 768), np.float32)
    data = np.ascontiguousarray(w.data)
    convert(ctypes.c_void_p(data.ctypes.data), ctypes.c_void_p(expected.ctypes.data), ctypes.c_int64(37 * 768))
    assert same(kernel.dequantize(w), expected)


@pytest.mark.parametrize("type", list(MERGEABLE))
def test_dequantizing_equals_the_gguf_package(type: str) -> None:
    use("ref")
    w = random_tensor(type, 5, 512, np.random.default_rng(2))
    data = w.data.view({"F32": np.float32, "F16": np.float16}.get(type, np.uint8))
    expected = quants.dequantize(data.reshape(5, -1), gguf.GGMLQuantizationType[type]).astype(np.float32)
    # The package adds 0.0 in places, which turns -0.0 into 0.0: compare values, not signs of zero.
    assert np.array_equal(kernel.dequantize(w), expected)


def dense(delta: Delta) -> np.ndarray:
    """D in full, in f64."""
    return delta.scale * (delta.b.astype(np.float64) @ delta.a.astype(np.float64))


@pytest.mark.parametrize("name", FAST)
@examples
@given(case=cases())
def test_fast_kernels_give_the_bytes_of_the_definition(
    name: str, case: tuple[Quantized, Delta, np.random.Generator]
) -> None:
    w, delta, rng = case
    x = rng.standard_normal((14, w.cols)).astype(np.float32)
    dy = rng.standard_normal((14, w.rows)).astype(np.float32)

    sums = []

    def everything() -> list[np.ndarray]:
        packed, moves = kernel.merge(w, delta)
        ids = np.array([w.rows - 1, 0, 0])
        sums.append((moves.delta_squares, moves.change_dot))
        return [
            packed,
            np.array([moves.codes, moves.moved, moves.clamped]),
            kernel.effective(w, delta),
            kernel.effective_bf16(w, delta),
            kernel.dequantize(w),
            kernel.rows(w, ids),
            kernel.linear(w, delta, x),
            kernel.linear_grad(w, delta, dy),
        ]

    use("ref")
    expected = everything()
    use(name)
    for got, wanted in zip(everything(), expected, strict=True):
        assert same(got, wanted)
    # In f32 within a strip, in the order of the lanes: 255 additions on either side.
    d = dense(delta)
    terms = abs(kernel.effective(w, delta).astype(np.float64) - kernel.dequantize(w)) * abs(d)
    rounded = 2**-24 * (abs(kernel.dequantize(w).astype(np.float64)) * abs(d)).sum()  # of the difference in `terms`
    bounds = 2**-15 * np.array([(d * d).sum(), terms.sum() + rounded]) + 1e-30
    assert (abs(np.subtract(*sums)) <= bounds).all(), (sums, bounds)


@examples
@given(case=cases())
def test_merged_bytes_dequantize_to_the_effective_weight(case: tuple[Quantized, Delta, np.random.Generator]) -> None:
    w, delta, _ = case
    packed, moves = kernel.merge(w, delta)
    effective = kernel.effective(w, delta)
    assert same(kernel.dequantize(Quantized(w.type, w.rows, w.cols, packed)), effective)
    assert packed.size == w.data.size and moves.codes == w.rows * w.cols

    d = dense(delta)
    stored = kernel.dequantize(w)
    change = effective.astype(np.float64) - stored  # of two numbers that each were rounded to f32
    rounded = 2**-24 * ((abs(effective) + abs(stored)) * abs(d)).sum()
    assert moves.delta_squares == pytest.approx((d * d).sum(), rel=1e-4, abs=1e-12)
    assert moves.change_dot == pytest.approx(
        (change * d).sum(), rel=1e-4, abs=rounded + 2**-15 * (abs(change) * abs(d)).sum() + 1e-12
    )
    assert moves.moved >= np.count_nonzero(change)


@pytest.mark.parametrize("name", kernel.supported())
@examples
@given(case=cases())
def test_without_a_delta_not_a_byte_changes(name: str, case: tuple[Quantized, Delta, np.random.Generator]) -> None:
    use(name)
    w, delta, _ = case
    for nothing in (None, Delta(delta.a, np.zeros_like(delta.b), delta.scale), Delta(delta.a, delta.b, 0.0)):
        packed, moves = kernel.merge(w, nothing)
        assert same(packed, w.data)
        assert (moves.moved, moves.clamped, moves.delta_squares, moves.change_dot) == (0, 0, 0, 0)
        assert same(kernel.effective(w, nothing), kernel.dequantize(w))


@examples
@given(case=cases(AFFINE))
def test_scales_stay_and_blocks_without_a_step_do_not_move(case: tuple[Quantized, Delta, np.random.Generator]) -> None:
    w, delta, _ = case
    size = MERGEABLE[w.type].bytes
    before, after = w.data.reshape(-1, size), kernel.merge(w, delta)[0].reshape(-1, size)
    for at in SCALES[w.type]:
        assert same(before[:, at : at + 2].copy(), after[:, at : at + 2].copy())
    first = SCALES[w.type][0]
    still = (before[:, first] == 0) & (before[:, first + 1] & 0x7F == 0)
    assert np.array_equal(before[still], after[still])


def test_clamped_counts_codes_that_wanted_to_leave_the_grid() -> None:
    block = np.zeros((1, 34), np.uint8)
    block[0, :2] = np.array([1.0], np.float16).view(np.uint8)
    block[0, 2:] = np.array([127] * 10 + [-128] * 6 + [0] * 16, np.int8).view(np.uint8)
    w = Quantized("Q8_0", 1, 32, block.reshape(-1))
    up = Delta(np.full((1, 32), 5.0, np.float32), np.ones((1, 1), np.float32), 1.0)
    packed, moves = kernel.merge(w, up)
    assert (moves.moved, moves.clamped) == (22, 10)
    assert packed[2:].view(np.int8).tolist() == [127] * 10 + [-123] * 6 + [5] * 16
    huge = Delta(up.a, up.b, -1e25)
    assert kernel.merge(w, huge)[0][2:].view(np.int8).tolist() == [-128] * 32


def dither_key(seed: int, row: int) -> int:
    """The row's key as native/edgesleep.h words it, in Python's own integers."""
    mask = 2**64 - 1
    z = (seed + (row + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return (z ^ z >> 31) >> 32


def hashes(key: int, cols: np.ndarray) -> np.ndarray:
    x = np.uint32(key) ^ cols * np.uint32(0x9E3779B9)
    x = (x ^ x >> 16) * np.uint32(0x7FEB352D)
    x = (x ^ x >> 15) * np.uint32(0x846CA68B)
    return x ^ x >> 16


def dither(seed: int, row: int, cols: int) -> np.ndarray:
    return ((hashes(dither_key(seed, row), np.arange(cols, dtype=np.uint32)) >> 9) + 0.5) * 2.0**-23


@pytest.mark.parametrize("name", kernel.supported())
def test_dither_is_the_documented_hash(name: str) -> None:
    use(name)
    rows, cols = 7, 320
    block = np.zeros((rows * cols // 32, 34), np.uint8)
    block[:, :2] = np.array([1.0], np.float16).view(np.uint8)
    w = Quantized("Q8_0", rows, cols, block.reshape(-1), seed=2**63 + 12345)
    u = np.stack([dither(w.seed, row, cols) for row in range(rows)])
    for share in (0.25, 0.5, -0.125, 3.75):
        delta = Delta(np.full((1, cols), share, np.float32), np.ones((rows, 1), np.float32), 1.0)
        assert np.array_equal(kernel.effective(w, delta), np.floor(share + u))
        # The dither belongs to the place in the tensor, not to the range asked for.
        assert same(kernel.effective(w, delta, 3, 6), kernel.effective(w, delta)[3:6])
        assert same(kernel.merge(w, delta, 3, 6)[0], kernel.merge(w, delta)[0].reshape(rows, -1)[3:6].reshape(-1))


@pytest.mark.parametrize("name", kernel.supported())
def test_the_largest_dither_stays_below_one(name: str) -> None:
    """One hash in 2^23 gives the largest u; were it 1, a weight would move without a delta."""
    use(name)
    keys = [(seed, dither_key(seed, 0)) for seed in range(6000)]
    cols = np.arange(4096, dtype=np.uint32)
    seed, col = next((seed, int(j)) for seed, key in keys for j in np.flatnonzero(hashes(key, cols) >> 9 == 2**23 - 1))
    blocks = np.zeros((128, 34), np.uint8)
    blocks[:, :2] = np.array([1.0], np.float16).view(np.uint8)
    w = Quantized("Q8_0", 1, 4096, blocks.reshape(-1), seed)
    nothing = Delta(np.zeros((1, 4096), np.float32), np.ones((1, 1), np.float32), 1.0)
    assert not kernel.effective(w, nothing).any()
    least = Delta(np.full((1, 4096), 2.0**-23, np.float32), np.ones((1, 1), np.float32), 1.0)
    assert kernel.effective(w, least)[0, col] == 1.0


def test_rounding_is_unbiased_over_seeds() -> None:
    """The mean of w' over seeds is w + D; the same bound catches rounding to nearest."""
    rng = np.random.default_rng(3)
    step, seeds = np.float32(0.0625), 3000
    codes = rng.integers(5, 11, (2, 64))
    block = np.zeros((4, 20), np.uint8)
    block[:, :2] = np.array([step], np.float16).view(np.uint8)
    halves = codes.reshape(4, 2, 16)
    block[:, 4:] = halves[:, 0] | halves[:, 1] << 4
    delta = Delta(rng.uniform(-2, 2, (1, 64)).astype(np.float32), np.full((2, 1), step, np.float32), 1.0)
    d = delta.b @ delta.a
    wanted = codes * step + d

    total = np.zeros((2, 64))
    for seed in range(seeds):
        total += kernel.effective(Quantized("Q4_1", 2, 64, block.reshape(-1), kernel.tensor_seed(seed, "w")), delta)
    # 5 sigma: w' lies on two neighbouring codes, so its deviation is at most half a step.
    bound = 5 * step / 2 / np.sqrt(seeds)
    assert np.abs(total / seeds - wanted).max() < bound
    nearest = (codes + np.floor(d / step + 0.5)) * step
    assert np.abs(nearest - wanted).max() > bound


@examples
@given(case=cases(FLOATS), n=st.sampled_from([1, 6, 13]))
def test_float_weights_round_to_nearest_even(case: tuple[Quantized, Delta, np.random.Generator], n: int) -> None:
    w, _, _ = case
    moved = Delta(np.ones((1, w.cols), np.float32), np.full((w.rows, 1), 0.001 * n, np.float32), 1.0)
    exact = (kernel.dequantize(w) + np.float32(0.001 * n)).astype(np.float32)
    kind = gguf.GGMLQuantizationType[w.type]
    expected = quants.dequantize(quants.quantize(exact, kind), kind).astype(np.float32)
    assert np.array_equal(kernel.effective(w, moved), expected)


@examples
@given(case=cases())
def test_bf16_is_the_rounded_effective_weight(case: tuple[Quantized, Delta, np.random.Generator]) -> None:
    w, delta, _ = case
    expected = quants.quantize(kernel.effective(w, delta), gguf.GGMLQuantizationType.BF16).view(np.uint16)
    assert same(kernel.effective_bf16(w, delta), expected.reshape(w.rows, w.cols))


def test_tensor_seeds_differ_by_name_and_seed() -> None:
    assert kernel.tensor_seed(0, "blk.0.attn_q.weight") == 0x83CA8105DBD22F3E
    assert len({kernel.tensor_seed(seed, name) for seed in range(3) for name in "abc"}) == 9
