"""The native kernel's products, their gradients and threads, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import AFFINE, SCALES, cases, examples, random_delta, random_tensor, use

from edgesleep import kernel
from edgesleep.errors import KernelError
from edgesleep.kernel import MERGEABLE, Delta, Quantized

pytestmark = pytest.mark.usefixtures("same_kernel_afterwards")


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
