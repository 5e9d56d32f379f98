"""The merge against the trained network, against the exported adapter in llama.cpp, and to the byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf as ggufpy
import numpy as np
import pytest
from reference import divergence, largest, llama_logits
from tiny import ARCHITECTURES, make_tiny

from edgesleep import kernel
from edgesleep.adapter import Adapter
from edgesleep.engine import Floats
from edgesleep.errors import GgufError, KernelError
from edgesleep.gguf import Gguf, Tensor
from edgesleep.kernel import MERGEABLE, Delta, Quantized
from edgesleep.network import Network
from edgesleep.night import merge as stage
from edgesleep.night.merge import export, merge
from edgesleep.records import Merge, file_digest

ALL = tuple(MERGEABLE)
SEED = 3
TOKENS = np.random.default_rng(8).integers(0, 256, 200).tolist()


pytestmark = pytest.mark.usefixtures("one_thread")


def fresh(base: Gguf) -> Adapter:
    return Adapter.fresh(Network(base, SEED).shapes, 4, 8.0, SEED, "ab" * 32)


def trained(base: Gguf, size: float = 0.02) -> Adapter:
    """An adapter with a random delta whose rms is about half of `size`, whatever the width."""
    adapter = fresh(base)
    random = np.random.default_rng(1)
    for a, b in adapter.factors.values():
        b[:] = random.standard_normal(b.shape) * size / 2 * a.shape[1] ** 0.5 / 2
    return adapter


def weights(file: Gguf, name: str) -> Floats:
    return kernel.dequantize(quantized(file.tensors[name]))


def quantized(tensor: Tensor, seed: int = 0) -> Quantized:
    rows, cols = tensor.shape
    return Quantized(tensor.type, rows, cols, tensor.data, kernel.tensor_seed(seed, tensor.name))


def dense(adapter: Adapter, name: str) -> Floats:
    a, b = (factor.astype(np.float64) for factor in adapter.factors[name])
    return adapter.alpha / adapter.rank * (b @ a)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Gguf:
    """A model in which every mergeable type occurs among the matrices that learn."""
    file = Gguf.open(make_tiny(tmp_path_factory.mktemp("merge") / "base.gguf", "llama", ALL))
    assert {file.tensors[name].type for name in fresh(file).factors} == set(ALL)
    return file


# --- to the byte


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_delta_gives_the_same_file(tmp_path: Path, architecture: str) -> None:
    base = Gguf.open(make_tiny(tmp_path / "base.gguf", architecture, ALL))
    result = merge(base, fresh(base), tmp_path / "merged.gguf")
    assert (tmp_path / "merged.gguf").read_bytes() == base.path.read_bytes()
    assert result.sha256 == file_digest(base.path) and result.moved == 0
    assert all((t.moved, t.clamped, t.delta_rms, t.share) == (0, 0, 0.0, 0.0) for t in result.tensors)


def test_only_adapted_tensors_change(base: Gguf, tmp_path: Path) -> None:
    adapter = trained(base)
    path = tmp_path / "merged.gguf"
    result = merge(base, adapter, path)
    merged = Gguf.open(path)
    assert (result.sha256, result.bytes) == (file_digest(path), path.stat().st_size)
    assert result.bytes == base.path.stat().st_size
    begin = min(tensor.offset for tensor in base.tensors.values())
    assert merged.content[:begin].tobytes() == base.content[:begin].tobytes()
    for name, tensor in base.tensors.items():
        after = merged.tensors[name]
        assert (after.type, after.shape, after.offset) == (tensor.type, tensor.shape, tensor.offset)
        assert (after.data.tobytes() == tensor.data.tobytes()) == (name not in adapter.factors)


def test_the_file_holds_the_weights_that_were_trained(base: Gguf, tmp_path: Path) -> None:
    adapter = trained(base)
    merge(base, adapter, tmp_path / "merged.gguf")
    merged = Gguf.open(tmp_path / "merged.gguf")
    for name in adapter.factors:
        expected = kernel.effective(quantized(base.tensors[name], SEED), adapter.delta(name))
        assert weights(merged, name).tobytes() == expected.tobytes(), base.tensors[name].type


@pytest.mark.parametrize("tile", [1, 1000, 256 * 7, 256 * 512])
def test_tiles_change_nothing(base: Gguf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    """Tiles of a row, of a few rows with fewer in the last, and of whole tensors; sums differ by their order only."""
    whole = merge(base, trained(base), tmp_path / "whole.gguf")
    monkeypatch.setattr(stage, "_TILE", tile)
    tiled = merge(base, trained(base), tmp_path / "tiled.gguf")
    assert tiled.sha256 == whole.sha256
    for one, other in zip(whole.tensors, tiled.tensors, strict=True):
        assert replace(one, delta_rms=0, share=0) == replace(other, delta_rms=0, share=0)
        assert (one.delta_rms, one.share) == pytest.approx((other.delta_rms, other.share), rel=1e-6)


# --- what is served is what was trained


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_merged_file_is_the_network_with_its_adapter(tmp_path: Path, architecture: str) -> None:
    """In the network to the last bit; in llama.cpp as near as the same file is (tests/test_network.py)."""
    base = Gguf.open(make_tiny(tmp_path / "base.gguf", architecture, ("Q4_1", "Q8_0", "Q6_K", "F16")))
    adapter = trained(base)
    merge(base, adapter, tmp_path / "merged.gguf")
    net = Network(base, SEED)
    before = net.logits(TOKENS)
    net.attach(adapter)
    ours = net.logits(TOKENS)
    merged = Network(Gguf.open(tmp_path / "merged.gguf"), 0).logits(TOKENS)
    assert np.array_equal(ours, merged)
    assert largest(before, ours) > 1
    assert divergence(llama_logits(tmp_path / "merged.gguf", TOKENS), ours) < 2e-3


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("F32", 1e-6), ("F16", 1e-5), ("Q8_0", 0.1), ("Q5_0", 0.25), ("Q4_1", 0.5)]
)
def test_the_exported_adapter_agrees_with_the_merge(tmp_path: Path, kind: str, tolerance: float) -> None:
    """llama.cpp with the adapter on the base, and on the merged file: apart by the noise of dithering only.

    The tolerance is a share of what the adapter does: mean KL between the two against mean KL to the base, which is
    1.4 nats. Measured: 2e-10, 2e-6, 0.05, 0.12, 0.29; a tiny random model has little to average the noise over.
    """
    base = Gguf.open(make_tiny(tmp_path / "base.gguf", "llama", kind))
    adapter = trained(base, 0.05)
    merge(base, adapter, tmp_path / "merged.gguf")
    apart = llama_logits(base.path, TOKENS, export(base, adapter, tmp_path / "adapter.gguf", 4))
    moved = divergence(apart, llama_logits(base.path, TOKENS))
    assert moved > 1
    assert divergence(apart, llama_logits(tmp_path / "merged.gguf", TOKENS)) < tolerance * moved


def test_the_export_says_whose_it_is(base: Gguf, tmp_path: Path) -> None:
    adapter = trained(base)
    reader = ggufpy.GGUFReader(export(base, adapter, tmp_path / "adapter.gguf", 12))
    values = {key: field.contents() for key, field in reader.fields.items()}
    assert values["general.type"] == "adapter" and values["adapter.type"] == "lora"
    assert values["general.architecture"] == "llama" and values["adapter.lora.alpha"] == adapter.alpha
    assert values["edgesleep.base_sha256"] == adapter.base_sha256 and values["edgesleep.night"] == "12"
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    assert found.keys() == {f"{name}.lora_{part}" for name in adapter.factors for part in "ab"}
    for name, (a, b) in adapter.factors.items():
        assert np.array_equal(found[f"{name}.lora_a"], a) and np.array_equal(found[f"{name}.lora_b"], b)


# --- the account


@pytest.mark.parametrize("size", [0.001, 0.02, 0.5])
def test_the_account_is_true(base: Gguf, tmp_path: Path, size: float) -> None:
    """Counted anew from the two files; the largest delta runs into the ends of the grids."""
    adapter = trained(base, size)
    result = merge(base, adapter, tmp_path / "merged.gguf")
    merged = Gguf.open(tmp_path / "merged.gguf")
    assert [t.name for t in result.tensors] == list(adapter.factors)
    for move in result.tensors:
        change = weights(merged, move.name).astype(np.float64) - weights(base, move.name)
        delta = dense(adapter, move.name)
        assert (move.type, move.codes) == (base.tensors[move.name].type, change.size)
        assert move.moved == np.count_nonzero(change)
        assert 0 <= move.clamped <= move.codes
        assert move.delta_rms == pytest.approx(np.sqrt((delta**2).mean()), rel=1e-4)
        assert move.share == pytest.approx((change * delta).sum() / (delta**2).sum(), abs=1e-3)
    check_totals(result)


def check_totals(result: Merge) -> None:
    assert result.codes == sum(t.codes for t in result.tensors)
    assert result.moved == sum(t.moved for t in result.tensors) > 0


@pytest.mark.parametrize("kind", ALL)
def test_all_of_the_delta_survives_but_what_the_grid_has_no_room_for(tmp_path: Path, kind: str) -> None:
    """Most of it is a small part of a step, yet E[w' - w] = D, up to the end of the block's grid.

    The room that a weight has towards its delta is how far a delta 10,000 times as large takes it. The share of the
    account stays within five deviations of that expectation, judged by the noise that is found.
    """
    base = Gguf.open(make_tiny(tmp_path / "base.gguf", "llama", kind, embd=256))
    adapter = trained(base, 0.01)
    result = merge(base, adapter, tmp_path / "merged.gguf")
    merged = Gguf.open(tmp_path / "merged.gguf")
    for move in result.tensors:
        before, delta = weights(base, move.name).astype(np.float64), dense(adapter, move.name)
        a, b = adapter.factors[move.name]
        end = kernel.effective(
            quantized(base.tensors[move.name], SEED), Delta(a, b, 1e4 * adapter.alpha / adapter.rank)
        )
        expected = np.sign(delta) * np.minimum(np.abs(delta), np.abs(end - before))
        noise = weights(merged, move.name) - before - expected
        squares = (delta**2).sum()
        deviation = np.sqrt((noise**2 * delta**2).sum()) / squares
        assert deviation < 0.1
        assert abs(move.share - (expected * delta).sum() / squares) < 5 * deviation + 1e-4
        assert 0.7 < move.share < 1.2


# --- refusals


def test_a_codebook_type_is_refused(tmp_path: Path) -> None:
    base = Gguf.open(make_tiny(tmp_path / "base.gguf", "llama", ("Q4_1", "IQ4_NL")))
    names = [name for name in base.tensors if name.startswith("blk.") and "norm" not in name]
    adapter = Adapter.fresh({name: base.tensors[name].shape for name in names}, 4, 8.0, SEED, "")  # type: ignore[misc]
    before = set(tmp_path.iterdir())
    with pytest.raises(GgufError, match=r"base\.gguf has tensors of type IQ4_NL, which have no affine grid"):
        merge(base, adapter, tmp_path / "merged.gguf")
    assert set(tmp_path.iterdir()) == before


def test_a_failed_merge_leaves_nothing(base: Gguf, tmp_path: Path) -> None:
    """Damage that is met only in the last tensor, and an adapter of another model."""
    last = list(base.tensors.values())[-3].name
    broken, other = trained(base), trained(base)
    assert last in broken.factors
    broken.factors[last][1][-1, -1] = np.nan
    with pytest.raises(KernelError, match="refused its input"):
        merge(base, broken, tmp_path / "merged.gguf")
    other.factors["blk.99.ffn_up.weight"] = other.factors[last]
    with pytest.raises(GgufError, match=r"base\.gguf has no tensor blk\.99\.ffn_up\.weight"):
        merge(base, other, tmp_path / "merged.gguf")
    assert not list(tmp_path.glob("*.gguf*")) + list(tmp_path.glob(".*"))


def test_the_base_is_never_written(base: Gguf) -> None:
    before = file_digest(base.path)
    with pytest.raises(GgufError, match="never overwritten"):
        merge(base, trained(base), base.path)
    assert file_digest(base.path) == before
