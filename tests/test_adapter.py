"""The adapter's file: every factor comes back bit for bit, and a damaged one is an error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError

SHAPES = {"blk.1.ffn_up.weight": (48, 32), "blk.0.attn_q.weight": (33, 64), "blk.10.attn_q.weight": (7, 5)}

examples = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(
    rank=st.integers(1, 20),
    alpha=st.floats(1e-30, 1e30),
    seed=st.integers(0, 2**64 - 1),
    bits=st.integers(0, 2**32 - 1),
)
@examples
def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path, rank: int, alpha: float, seed: int, bits: int) -> None:
    """Subnormal and negative zero too: the factors are random bits, but for NaN and infinity."""
    saved = replace(Adapter.fresh(SHAPES, rank, alpha, seed, "ab" * 32), peak=1 / rank)
    random = np.random.default_rng(bits)
    for pair in saved.factors.values():
        for factor in pair:
            drawn = random.integers(0, 2**32, factor.shape, np.uint32).view(np.float32)
            factor[:] = np.where(np.isfinite(drawn), drawn, np.float32(-0.0))
    found = Adapter.load(saved.save(tmp_path / "adapter.safetensors"))
    about = ("rank", "alpha", "seed", "base_sha256", "peak")
    assert [getattr(found, key) for key in about] == [getattr(saved, key) for key in about]
    assert found.factors.keys() == saved.factors.keys()
    for name, pair in saved.factors.items():
        for before, after in zip(pair, found.factors[name], strict=True):
            assert (after.dtype, after.shape) == (before.dtype, before.shape)
            assert after.tobytes() == before.tobytes()


def test_a_fresh_delta_is_zero_and_of_its_seed() -> None:
    adapter = Adapter.fresh(SHAPES, 4, 8.0, 5, "")
    for name, (rows, cols) in SHAPES.items():
        a, b = adapter.factors[name]
        assert (a.shape, b.shape, a.dtype, b.dtype) == ((4, cols), (rows, 4), np.float32, np.float32)
        assert not b.any()
        assert 0.8 * cols**-0.5 < np.abs(a).max() <= cols**-0.5
    assert adapter.delta("blk.0.attn_q.weight").scale == 2.0
    again, other = (Adapter.fresh(SHAPES, 4, 8.0, seed, "") for seed in (5, 6))
    for name, (a, _) in adapter.factors.items():
        assert np.array_equal(a, again.factors[name][0])
        assert not np.array_equal(a, other.factors[name][0])


def test_the_delta_is_alpha_by_rank_b_a() -> None:
    """The same as peft and llama.cpp mean by alpha."""
    adapter = Adapter.fresh(SHAPES, 5, 20.0, 0, "")
    delta = adapter.delta("blk.1.ffn_up.weight")
    a, b = adapter.factors["blk.1.ffn_up.weight"]
    assert delta.a is a and delta.b is b and delta.scale == 4.0


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Adapter.fresh(SHAPES, 4, 8.0, 0, "ab").save(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_a_cut_file_is_an_error(saved: Path, keep: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refused(saved)


def test_a_file_that_lacks_something_is_an_error(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved)
    about = {"rank": 4, "alpha": 8.0, "seed": 0, "base_sha256": "ab"}

    def write(path: Path, kept: dict[str, np.ndarray], said: dict[str, object]) -> None:
        save_file(kept, path, {"edgesleep": json.dumps(said)})

    whole = tmp_path / "whole.safetensors"
    write(whole, tensors, about)
    assert Adapter.load(whole).rank == 4
    for key in about:
        write(saved, tensors, {k: value for k, value in about.items() if k != key})
        refused(saved)
    for name in tensors:
        write(saved, {n: tensor for n, tensor in tensors.items() if n != name}, about)
        refused(saved)
    write(saved, tensors, about | {"rank": "four"})
    refused(saved)
    save_file(tensors, saved)
    refused(saved)


@pytest.mark.parametrize(
    "factor", [np.zeros((4, 5)), *(np.zeros(shape, "f4") for shape in (20, (5, 4))), np.full((4, 5), np.nan, "f4")]
)
def test_factors_that_no_training_leaves_are_an_error(saved: Path, factor: np.ndarray) -> None:
    about = json.dumps({"rank": 4, "alpha": 8.0, "seed": 0, "base_sha256": "ab"})
    save_file(load_file(saved) | {"blk.10.attn_q.weight.lora_a": factor}, saved, {"edgesleep": about})
    refused(saved)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"rank": -4}, {"seed": -1}, {"seed": 2**64}, {"peak": 0}, {"peak": 2}])
def test_numbers_that_no_adapter_has_are_an_error(saved: Path, wrong: dict[str, float]) -> None:
    about = json.dumps({"rank": 4, "alpha": 8.0, "seed": 0, "base_sha256": "ab"} | wrong)
    save_file(load_file(saved), saved, {"edgesleep": about})
    refused(saved)


def test_equal_adapters_are_equal_files(tmp_path: Path) -> None:
    adapter = Adapter.fresh(SHAPES, 4, 8.0, 0, "ab")
    assert len({adapter.save(tmp_path / f"{i}.safetensors").read_bytes() for i in range(20)}) == 1


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    refused(tmp_path / "missing.safetensors")


def refused(path: Path) -> None:
    with pytest.raises(EdgesleepError, match=f"{path.name} is not a complete adapter") as caught:
        Adapter.load(path)
    assert "Roll back" in caught.value.hint


def filled(seed: int) -> Adapter:
    adapter, random = Adapter.fresh(SHAPES, 4, 8.0, 3, "ab" * 32), np.random.default_rng(seed)
    for pair in adapter.factors.values():
        for factor in pair:
            factor[:] = random.normal(size=factor.shape)
    return adapter


def test_a_part_of_what_started_at_the_base_is_that_part_of_the_delta() -> None:
    whole = filled(0)
    half = whole.part(None, 0.5)
    assert (half.rank, half.alpha, half.seed, half.base_sha256) == (4, 8.0, 3, "ab" * 32)
    for name in SHAPES:
        (a, b, scale), (half_a, half_b, _) = ((d.a, d.b, d.scale) for d in (whole.delta(name), half.delta(name)))
        assert np.allclose(scale * half_b @ half_a, 0.5 * scale * b @ a, atol=1e-5)
        assert half_a.dtype == half_b.dtype == np.float32


def test_a_part_of_what_started_at_another_delta_lies_between_the_two() -> None:
    start, end = filled(0), filled(0)
    random = np.random.default_rng(1)
    for pair in end.factors.values():
        for factor in pair:
            factor += random.normal(size=factor.shape).astype(np.float32) * np.float32(0.01)
    for share, other in ((0.0, start), (1.0, end)):
        for name, pair in end.part(start, share).factors.items():
            for got, wanted in zip(pair, other.factors[name], strict=True):
                assert np.allclose(got, wanted, atol=1e-6)
    for name in SHAPES:
        first, last, got = (one.delta(name) for one in (start, end, end.part(start, 0.7)))
        line = first.b @ first.a + 0.7 * (last.b @ last.a - first.b @ first.a)
        assert np.abs(got.b @ got.a - line).max() < 0.01 * np.abs(last.b @ last.a - first.b @ first.a).max() + 2e-3
