"""The native kernel against ggml, against numpy, and each fast kernel against the definition.

Shapes straddle blocks, strips of 256, vector lanes and the rows done together.
Blocks are random bytes with finite scales, so every code and scale occurs.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import quants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesleep import _native, kernel
from edgesleep.errors import KernelError
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


@pytest.fixture(autouse=True)
def same_kernel_afterwards() -> Iterator[None]:
    before = kernel.name()
    yield
    use(before)
    kernel.set_threads(0)


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


@pytest.mark.parametrize("name", kernel.supported())
@examples
@given(case=cases(), n=st.sampled_from([1, 5, 12, 25]))
def test_linear_and_its_gradient(name: str, case: tuple[Quantized, Delta, np.random.Generator], n: int) -> None:
    """Within the bound of a sum of f32 products in any order: terms * epsilon * sum of absolute products."""
    use(name)
    w, delta, rng = case
    weights = kernel.effective(w, delta).astype(np.float64)
    x = rng.standard_normal((n, w.cols)).astype(np.float32)
    dy = rng.standard_normal((n, w.rows)).astype(np.float32)
    epsilon = np.finfo(np.float32).eps
    for got, left, right in (
        (kernel.linear(w, delta, x), x, weights.T),
        (kernel.linear_grad(w, delta, dy), dy, weights),
    ):
        bound = left.shape[1] * epsilon * (np.abs(left) @ np.abs(right)) + 1e-30
        assert np.all(np.abs(got - left.astype(np.float64) @ right) <= bound)


def in_steps(values: np.ndarray, most: int, lift: int = 0) -> np.ndarray:
    """Each 32 columns rounded to `most` steps of the largest size, in f32 as the kernel does; then f64.

    Halfway values go to where the code, counted from -`lift` on, is even.
    """
    groups = values.astype(np.float32).reshape(len(values), -1, 32)
    top = np.abs(groups).max(2, keepdims=True)
    middle = np.float32(1.5 * 2**23 + lift)
    codes = groups * np.divide(np.float32(most), top, where=top > 0, out=np.zeros_like(top)) + middle - middle
    return (codes.astype(np.float64) * (top / np.float32(most))).reshape(values.shape)


@pytest.mark.parametrize("type", list(MERGEABLE))
def test_products_in_8_bits(type: str) -> None:
    """Forwards, inputs are rounded and weights are the file's own; in the gradient both are rounded."""
    rng = np.random.default_rng(5)
    w = random_tensor(type, 96, 512, rng)
    delta = random_delta(w, 4, rng)
    weights = kernel.effective(w, delta).astype(np.float64)
    x = rng.standard_normal((21, 512)).astype(np.float32)
    dy = rng.standard_normal((21, 96)).astype(np.float32)
    dy[:, :32] *= 1e-3
    dy[3] = 0
    y = kernel.linear(w, delta, x, exact=False)
    if type in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K"):
        assert np.all(np.abs(y - in_steps(x, 127) @ weights.T) <= 1e-5 * (np.abs(x) @ np.abs(weights.T)))
        assert np.any(y != kernel.linear(w, delta, x))
    else:
        np.testing.assert_array_equal(y, kernel.linear(w, delta, x))
    rounded, coded = in_steps(dy, 33), in_steps(weights.T, 31, lift=31).T
    largest = np.repeat(np.abs(coded).reshape(3, 32, -1).max(1), 32, axis=0)  # codes count from the lowest on
    dx = kernel.linear_grad(w, delta, dy, exact=False)
    assert np.all(np.abs(dx - rounded @ coded) <= 1e-5 * (np.abs(rounded) @ largest))
    assert np.any(dx != kernel.linear_grad(w, delta, dy))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_rounded_away(bad: float) -> None:
    rng = np.random.default_rng(5)
    w = random_tensor("Q4_1", 64, 64, rng)
    x = np.ones((3, 64), np.float32)
    x[1, 7] = bad
    for product in (kernel.linear, kernel.linear_grad):
        found = product(w, None, x, exact=False)
        assert not np.isfinite(found[1]).any() and np.isfinite(found[[0, 2]]).all()


def test_results_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(4)
    w = random_tensor("Q5_0", 131, 608, rng)
    delta, x = random_delta(w, 16, rng), rng.standard_normal((33, 608)).astype(np.float32)
    dy = rng.standard_normal((33, 131)).astype(np.float32)
    results = []
    for threads in (1, 2, 3, 7):
        kernel.set_threads(threads)
        packed, moves = kernel.merge(w, delta)
        results.append(
            (packed.tobytes(), moves, kernel.linear(w, delta, x).tobytes(), kernel.linear_grad(w, delta, dy).tobytes())
        )
    assert all(result == results[0] for result in results)


def test_a_forked_child_has_its_own_threads() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    script = (
        "import os, numpy as np\n"
        "from edgesleep import kernel\n"
        "kernel.set_threads(2)\n"
        "w = kernel.Quantized('F32', 512, 64, np.zeros(512 * 64 * 4, np.uint8))\n"
        "kernel.dequantize(w)\n"
        "child = os.fork()\n"
        "kernel.dequantize(w)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


@pytest.mark.parametrize("name", kernel.supported())
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_adapters_that_are_not_finite_are_refused(name: str, bad: float) -> None:
    use(name)
    rng = np.random.default_rng(5)
    w = random_tensor("Q4_0", 6, 64, rng)
    a, b = np.ones((2, 64), np.float32), np.ones((6, 2), np.float32)
    spoiled_a, spoiled_b = a.copy(), b.copy()
    spoiled_a[1, 63] = spoiled_b[5, 1] = bad
    for delta in (Delta(spoiled_a, b, 1.0), Delta(a, spoiled_b, 1.0), Delta(a, b, bad)):
        for operation in (kernel.effective, kernel.effective_bf16, kernel.merge):
            with pytest.raises(KernelError, match="adapter holds NaN or infinity"):
                operation(w, delta)
        with pytest.raises(KernelError, match="adapter"):
            kernel.linear(w, delta, np.ones((1, 64), np.float32))


@pytest.mark.parametrize("name", kernel.supported())
@pytest.mark.parametrize("type", AFFINE)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_damaged_scales_are_refused(name: str, type: str, bad: float) -> None:
    use(name)
    w = random_tensor(type, 3, 512, np.random.default_rng(6))
    for at in SCALES[type]:
        data = w.data.copy().reshape(-1, MERGEABLE[type].bytes)
        data[-1, at : at + 2] = np.array([bad], np.float16).view(np.uint8)
        damaged = Quantized(type, 3, 512, data.reshape(-1))
        for operation in (kernel.effective, kernel.merge):
            with pytest.raises(KernelError, match="tensor holds NaN or infinity") as error:
                operation(damaged, None)
            assert "hash" in error.value.hint


def test_a_half_that_would_overflow_is_refused() -> None:
    w = Quantized("F16", 1, 4, np.full(4, 65000, np.float16).view(np.uint8))
    delta = Delta(np.ones((1, 4), np.float32), np.ones((1, 1), np.float32), 1000.0)
    with pytest.raises(KernelError, match="or would after the merge"):
        kernel.merge(w, delta)


def test_bad_shapes_are_refused_in_words() -> None:
    data = np.zeros(20 * 4, np.uint8)
    w = Quantized("Q4_1", 2, 64, data)
    ones = np.ones
    with pytest.raises(KernelError, match="IQ4_XS have no affine grid") as error:
        Quantized("IQ4_XS", 2, 256, data)
    assert "Q4_1" in error.value.hint
    for wrong in (
        lambda: Quantized("Q4_1", 2, 48, data),
        lambda: Quantized("Q4_1", 3, 64, data),
        lambda: Quantized("Q4_1", 2, 64, data.view(np.int8)),
        lambda: Quantized("Q4_1", 2, 64, np.zeros(160, np.uint8)[::2]),
        lambda: kernel.effective(w, None, 1, 3),
        lambda: kernel.effective(w, None, out=ones((2, 32), np.float32)),
        lambda: kernel.effective(w, Delta(ones((3, 64), np.float32), ones((2, 2), np.float32), 1.0)),
        lambda: kernel.effective(w, Delta(ones((3, 64)), ones((2, 3), np.float32), 1.0)),
        lambda: kernel.linear(w, None, ones((5, 2), np.float32)),
        lambda: kernel.linear_grad(w, None, ones((5, 64), np.float32)),
        lambda: kernel.rows(w, np.array([0, 2])),
        lambda: kernel.rows(w, np.array([-1])),
        lambda: kernel.rows(w, np.array([0.0])),
    ):
        with pytest.raises(KernelError):
            wrong()
    locked = np.zeros((2, 64), np.float32)
    locked.flags.writeable = False
    with pytest.raises(KernelError, match="read-only"):
        kernel.effective(w, None, out=locked)


def test_read_only_weights_and_no_rows_are_served() -> None:
    data = np.zeros(20 * 4, np.uint8)
    data.flags.writeable = False
    w = Quantized("Q4_1", 2, 64, data)
    assert kernel.effective(w, None, 1, 1).shape == (0, 64)
    assert kernel.rows(w, np.array([], np.int64)).shape == (0, 64)
    assert kernel.linear(w, None, np.zeros((0, 64), np.float32)).shape == (0, 2)


def forced(name: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import numpy as np\n"
        "from edgesleep import kernel\n"
        "from edgesleep.errors import KernelError\n"
        "w = kernel.Quantized('F32', 1, 4, np.zeros(16, np.uint8))\n"
        "try:\n"
        "    kernel.dequantize(w)\n"
        "    print(kernel.name())\n"
        "except KernelError as error:\n"
        "    print(error.message, error.hint)\n"
    )
    environment = os.environ | {"EDGESLEEP_KERNEL": name}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("name", kernel.supported())
def test_a_forced_kernel_is_the_one_that_runs(name: str) -> None:
    assert forced(name).stdout.strip() == name


def test_an_unknown_kernel_is_an_error_that_names_the_choices() -> None:
    said = forced("abacus").stdout
    assert '"abacus"' in said and "is unknown" in said and "ref" in said


def test_tensor_seeds_differ_by_name_and_seed() -> None:
    assert kernel.tensor_seed(0, "blk.0.attn_q.weight") == 0x83CA8105DBD22F3E
    assert len({kernel.tensor_seed(seed, name) for seed in range(3) for name in "abc"}) == 9
