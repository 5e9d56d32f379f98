"""What the native network keeps to on every model: output rows, packing, adapters, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gguf as ggufpy
import numpy as np
import pytest
import torch
from networks import TOKENS, VOCABULARY, Writer, flat, next_tokens, of, trained, with_metadata
from reference import largest
from tiny import make_tiny

from edgesleep import network
from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError, GgufError, KernelError
from edgesleep.gguf import Gguf
from edgesleep.model import Target
from edgesleep.network import Network
from edgesleep.reference import TorchNetwork

pytestmark = pytest.mark.usefixtures("one_thread")


# --- the output rows


def test_the_loss_less_the_entropy_is_the_divergence_and_nothing_at_the_target(tmp_path: Path) -> None:
    net = of(make_tiny(tmp_path / "tiny.gguf", "llama", "F32"))
    places = np.arange(64, dtype=np.int32)
    ids, probs = net.top([TOKENS[:64]], [places], 16)
    tail = 1 - probs.sum(1)
    entropy = -(probs * np.log(probs)).sum(1) - tail * np.log(tail)
    net.attach(Adapter.fresh(net.shapes, 4, 8.0, 0, "base"))
    losses = net.learn([TOKENS[:64]], [Target(places, ids, probs)], 1.0)
    np.testing.assert_allclose(losses, entropy, atol=2e-4)
    assert np.abs(flat(net)).max() < 1e-2
    others = net.learn([TOKENS[:64]], [Target(places, np.roll(ids, 1, 0), np.roll(probs, 1, 0))], 1.0)
    assert (others > np.roll(entropy, 1)).all()


def test_a_lesson_costs_the_usual_cross_entropy(tmp_path: Path) -> None:
    """Also where filling of token 0 follows the one sure token, and where token 0 is the answer."""
    net = of(make_tiny(tmp_path / "tiny.gguf", "llama", "F32"))
    net.attach(Adapter.fresh(net.shapes, 4, 8.0, 0, "base"))
    logits = net.logits(TOKENS[:32])
    expected = np.log(np.exp(logits).sum(1)) - logits[:, 0]
    places = np.arange(32, dtype=np.int32)
    for listed in (1, 6):
        ids, probs = np.zeros((32, listed), np.int32), np.zeros((32, listed), np.float32)
        probs[:, 0] = 1.0
        losses = net.learn([TOKENS[:32]], [Target(places, ids, probs)], 1.0)
        np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-4)


def test_top_is_the_top_of_the_softmax(tmp_path: Path) -> None:
    net = of(make_tiny(tmp_path / "tiny.gguf", "llama", "F32"))
    wanted = torch.from_numpy(net.logits(TOKENS[:64])).softmax(1).topk(5)
    ids, probs = net.top([TOKENS[:64]], [np.arange(64, dtype=np.int32)], 5)
    assert (ids == wanted.indices.numpy()).all()
    np.testing.assert_allclose(probs, wanted.values.numpy(), rtol=1e-4)


# --- packing and memory


def test_packed_rows_are_the_rows_alone(tmp_path: Path) -> None:
    """Rows that end within, at and beyond a block of tokens."""
    net = of(make_tiny(tmp_path / "tiny.gguf", "gemma3", "Q4_1"))
    ends = np.cumsum([0, 1, 20, 16, 43, 2])
    rows = [TOKENS[a:b] for a, b in pairwise(ends)]
    places = [np.arange(len(row), dtype=np.int32) for row in rows]
    together = net.top(rows, places, 4)
    alone = [net.top([row], [spots], 4) for row, spots in zip(rows, places, strict=True)]
    np.testing.assert_array_equal(together[0], np.concatenate([ids for ids, _ in alone]))
    np.testing.assert_allclose(together[1], np.concatenate([probs for _, probs in alone]), rtol=1e-4, atol=1e-6)


def test_memory_buys_copies_and_kept_activations(tmp_path: Path) -> None:
    """Most first, and never fewer tokens than are worth forming the weights for."""
    file = Gguf.open(make_tiny(tmp_path / "tiny.gguf", "llama", "Q4_1", layers=12, embd=256))
    plans = [Network(file, 0, memory) for memory in (1 << 30, 40 << 20, 20 << 20, 1)]
    bought = [(plan.copy, plan.remember) for plan in plans]
    assert bought[0] == (True, True) and bought[-1] == (False, False)
    assert len(set(bought)) > 2, "there is something between all and nothing"
    assert (plans[0].batch_tokens, plans[-1].batch_tokens) == (network.MANY, network.FEW)
    assert all(network.FEW <= plan.batch_tokens <= network.MANY for plan in plans)


def test_the_network_is_chosen_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Gguf.open(make_tiny(tmp_path / "tiny.gguf", "llama"))
    assert isinstance(network.build(file, 0, 1 << 28, True), Network)
    monkeypatch.setenv("EDGESLEEP_NETWORK", "torch")
    assert isinstance(network.build(file, 0, 1 << 28, True), TorchNetwork)
    monkeypatch.setenv("EDGESLEEP_NETWORK", "abacus")
    with pytest.raises(EdgesleepError, match='names no network: "abacus"'):
        network.build(file, 0, 1 << 28, True)


# --- adapters


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield make_tiny(tmp_path_factory.mktemp("small") / "tiny.gguf", "llama", ("Q4_1", "Q5_0"))


def test_a_fresh_adapter_leaves_the_base_exactly(small: Path) -> None:
    net = of(small, 3)
    before = net.logits(TOKENS[:64])
    net.attach(Adapter.fresh(net.shapes, 4, 8.0, 3, "base"))
    np.testing.assert_array_equal(net.logits(TOKENS[:64]), before)


def test_a_network_that_rested_is_the_base_until_it_is_attached_again(small: Path) -> None:
    net = of(small)
    base = net.logits(TOKENS[:64])
    adapter = trained(net)
    net.attach(adapter)
    before = net.logits(TOKENS[:64])
    net.rest()
    assert net.gradients == {}
    np.testing.assert_array_equal(net.logits(TOKENS[:64]), base)
    net.attach(adapter)
    np.testing.assert_array_equal(net.logits(TOKENS[:64]), before)


@pytest.mark.parametrize("copy", [True, False])
def test_moved_factors_are_used_at_once(small: Path, copy: bool) -> None:
    """A step in place gives what a new network with those factors gives, whether rounded weights are kept or not."""
    net = of(small)
    net.copy = copy
    adapter = trained(net)
    net.attach(adapter)
    before = net.logits(TOKENS[:64])
    for pair in adapter.factors.values():
        for part in pair:
            part += 0.02
    net.moved()
    fresh = of(small)
    fresh.attach(replace(adapter, factors={name: (a.copy(), b.copy()) for name, (a, b) in adapter.factors.items()}))
    np.testing.assert_array_equal(net.logits(TOKENS[:64]), fresh.logits(TOKENS[:64]))
    assert largest(net.logits(TOKENS[:64]), before) > 0


@pytest.mark.parametrize("copy", [True, False])
def test_factors_that_are_not_finite_are_refused(small: Path, copy: bool) -> None:
    net = of(small)
    net.copy = copy
    adapter = trained(net)
    net.attach(adapter)
    next(iter(adapter.factors.values()))[0][0, 0] = np.nan
    with pytest.raises(KernelError, match="NaN or infinity"):
        net.moved()


def test_an_adapter_of_another_model_is_refused(small: Path, tmp_path: Path) -> None:
    net = of(small)
    deeper = of(make_tiny(tmp_path / "deeper.gguf", "llama", "Q4_1", layers=3))
    wider = of(make_tiny(tmp_path / "wider.gguf", "llama", "Q4_1", embd=128))
    for other in (trained(deeper), trained(wider), replace(trained(net), seed=1)):
        with pytest.raises(EdgesleepError, match="made for other tensors or another dither seed"):
            net.attach(other)
    assert not net.gradients


def test_bad_tokens_and_places_are_refused(small: Path) -> None:
    net = of(small)
    with pytest.raises(KernelError, match="out of bounds"):
        net.logits([1, VOCABULARY])
    with pytest.raises(KernelError, match="out of bounds"):
        net.top([[1, 2]], [np.array([2], np.int32)], 3)
    with pytest.raises(KernelError, match="out of bounds"):
        net.top([[1, 2]], [np.array([1], np.int32)], VOCABULARY + 1)
    with pytest.raises(KernelError, match="out of bounds"):
        net.learn([[1, 2]], next_tokens([[1, 2]]), 1.0)  # nothing is attached


# --- refusals


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (lambda writer: writer.add_rope_scaling_type(ggufpy.RopeScalingType.YARN), "rope scaling of type yarn"),
        (lambda writer: writer.add_final_logit_softcapping(30.0), "softcapping"),
    ],
)
def test_what_llama_cpp_computes_and_the_network_does_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: Callable[[Writer], None], message: str
) -> None:
    with_metadata(monkeypatch, extra)
    path = make_tiny(tmp_path / "tiny.gguf", "gemma3", "F32")
    with pytest.raises(GgufError, match=message):
        of(path)


def test_unequal_layers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Writer, "add_head_count_kv", lambda self, count: self.add_array("qwen3.attention.head_count_kv", [count, 1])
    )
    with pytest.raises(GgufError, match=r"head_count_kv is \[2, 1\], not one number"):
        of(make_tiny(tmp_path / "tiny.gguf", "qwen3", "F32"))


@pytest.mark.parametrize(
    ("architecture", "key", "value", "message"),
    [
        ("llama", "attention.head_count", 0, "0 heads"),
        ("llama", "attention.head_count_kv", 0, "4 heads on 0 keys"),
        ("llama", "attention.head_count_kv", 3, "4 heads on 3 keys"),
        ("llama", "block_count", 0, "0 layers"),
        ("qwen2", "rope.dimension_count", 8, "8 of 16 features turned"),
        ("gemma3", "rope.dimension_count", 7, "7 of 32 features turned"),
        ("llama", "block_count", 2**32 - 1, "4294967295 layers"),
        ("qwen3", "attention.key_length", 2**31 - 2, "4 heads of 2147483646 features"),
        ("gemma3", "attention.sliding_window", 2**31, "a window of 2147483648 tokens"),
        ("gemma3", "attention.sliding_window_pattern", 0, "one global layer in 0"),
    ],
)
def test_numbers_that_no_model_has_are_refused(
    tmp_path: Path, architecture: str, key: str, value: int, message: str
) -> None:
    file = Gguf.open(make_tiny(tmp_path / "tiny.gguf", architecture, "F32"))
    file.metadata = {**file.metadata, f"{architecture}.{key}": value}
    with pytest.raises(GgufError, match=message):
        Network(file, 0)


@pytest.mark.parametrize("name", ["blk.1.attn_norm.weight", "blk.0.attn_q_norm.weight", "output_norm.weight"])
def test_a_vector_of_another_length_is_refused(tmp_path: Path, name: str) -> None:
    """The kernel reads as many numbers as the shape says."""
    file = Gguf.open(make_tiny(tmp_path / "tiny.gguf", "qwen3", "F32"))
    short = file.tensors[name]
    file.tensors[name] = replace(short, shape=(short.shape[0] - 1,), data=short.data[:-4])
    with pytest.raises(GgufError, match=rf"{name} has \d+ numbers, not"):
        Network(file, 0)


@pytest.mark.parametrize("name", ["blk.1.ffn_up.weight", "blk.0.attn_norm.weight", "token_embd.weight"])
def test_a_missing_tensor_is_named(small: Path, name: str) -> None:
    file = Gguf.open(small)
    del file.tensors[name]
    with pytest.raises(EdgesleepError, match=rf"tiny\.gguf has no tensor {name}"):
        Network(file, 0)


def test_a_codebook_type_is_refused(tmp_path: Path) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", "llama", ("Q4_1", "IQ4_NL"))
    with pytest.raises(KernelError, match="IQ4_NL have no affine grid"):
        of(path)
