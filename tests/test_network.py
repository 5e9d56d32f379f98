"""The native network against llama.cpp, against the one in torch, and its gradients against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import gguf as ggufpy
import numpy as np
import pytest
import torch
from networks import POSITIONS, ROWS, TOKENS, VOCABULARY, Floats, Writer, flat, next_tokens, of, trained, with_metadata
from reference import agreement, by_kernel, dequantized, divergence, f32_attention, largest, llama_logits
from tiny import ARCHITECTURES, make_tiny

from edgesleep import kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.engine import Engine
from edgesleep.gguf import Gguf
from edgesleep.kernel import MERGEABLE
from edgesleep.model import Target, common
from edgesleep.network import Network, Pack, Trainable
from edgesleep.reference import TorchNetwork

# Largest difference of two logits (their spread is 4) with everything in f32. llama.cpp looks GELU up in f16.
SAME = {"llama": 5e-4, "qwen2": 5e-4, "qwen3": 5e-4, "gemma3": 0.03}
# What a layer keeps for its gradient is bf16: relative to the norm, over all of it and for one matrix.
GRADIENT, ONE_GRADIENT = 0.015, 0.03
# With products in 8 bits.
ROUNDED_GRADIENT = 0.2

pytestmark = pytest.mark.usefixtures("one_thread")


# --- logits


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_those_of_llama_cpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, tied: bool
) -> None:
    """As it is served first, with keys and values in f16; then with nothing rounded."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, "F32", seed=1, tied=tied)
    ours = of(path).logits(TOKENS)
    served = llama_logits(path, TOKENS)
    assert agreement(served, ours) >= 0.99
    assert largest(served, ours) < 0.03
    f32_attention(monkeypatch)
    exact = llama_logits(path, TOKENS)
    assert agreement(exact, ours) >= 0.99
    assert largest(exact, ours) < SAME[architecture]


def linear_rope(writer: Writer) -> None:
    writer.add_rope_scaling_type(ggufpy.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def nothing(writer: Writer) -> None:
    """No more metadata."""


@pytest.mark.parametrize(
    ("architecture", "options", "extra"),
    [
        pytest.param("llama", {"rope_factors": True}, nothing, id="llama3 factors"),
        pytest.param("llama", {}, linear_rope, id="linear rope"),
        pytest.param("llama", {}, lambda w: w.add_rope_scaling_factor(4.0), id="linear rope, its type left out"),
        pytest.param("llama", {}, lambda w: w.add_float32("llama.rope.scale_linear", 4.0), id="linear rope, old name"),
        pytest.param("gemma3", {"window": 64}, nothing, id="window"),
        pytest.param("gemma3", {"window": POSITIONS + 1}, nothing, id="window beyond the text"),
        pytest.param("gemma3", {"layers": 7}, nothing, id="layers beyond the pattern"),
        pytest.param("gemma3", {}, linear_rope, id="linear rope in global layers"),
        pytest.param("gemma3", {}, lambda w: w.add_float32("gemma3.rope.freq_base_swa", 5e3), id="local base"),
        pytest.param("gemma3", {}, lambda w: w.add_uint32("gemma3.attention.sliding_window_pattern", 2), id="pattern"),
        pytest.param("gemma3", {}, lambda w: w.add_rope_dimension_count(8), id="part of a head turned"),
    ],
)
def test_variants_of_rope_and_window_are_those_of_llama_cpp(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    options: dict[str, Any],
    extra: Callable[[Writer], None],
) -> None:
    plain = make_tiny(tmp_path / "plain.gguf", architecture, "F32", seed=2)
    with_metadata(monkeypatch, extra)
    path = make_tiny(tmp_path / "tiny.gguf", architecture, "F32", seed=2, **options)
    f32_attention(monkeypatch)
    ours = of(path).logits(TOKENS)
    theirs = llama_logits(path, TOKENS)
    assert agreement(theirs, ours) >= 0.99
    assert largest(theirs, ours) < SAME[architecture]
    assert largest(theirs, llama_logits(plain, TOKENS)) > 0.5, "the variant changes nothing, so nothing was tested"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_of_a_file_of_all_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str) -> None:
    """Exact against the dequantized file; against the file itself up to llama.cpp's 8-bit activations."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, tuple(MERGEABLE), seed=3)
    ours = of(path).logits(TOKENS)
    served = llama_logits(path, TOKENS)
    assert agreement(served, ours) >= 0.97
    assert divergence(served, ours) < 2e-3
    f32_attention(monkeypatch)
    exact = llama_logits(dequantized(path, tmp_path / "f32.gguf"), TOKENS)
    assert agreement(exact, ours) >= 0.99
    assert largest(exact, ours) < SAME[architecture]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "rounding"), [("smollm2", 0.01), ("gemma3", 0.02)])
def test_logits_of_a_real_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    model: str,
    rounding: float,
) -> None:
    """The same as llama.cpp on the dequantized file; on the file itself, llama.cpp differs as much from itself.

    Measured on SmolLM2-135M Q4_1 and Gemma-3-270M Q4_K_M: the same likeliest token everywhere, logits within 0.02 and
    mean KL below 1e-6; with llama.cpp's 8-bit activations 98.2 % and 96.4 %, mean KL 0.003 and 0.006. Its flash
    attention is another rounding, which by processor moves a logit by up to 0.11.
    """
    path = request.getfixturevalue(model)
    kernel.set_threads(machine.threads(0))
    tokens = plain_tokens(path)
    ours = of(path).logits(tokens)
    served = llama_logits(path, tokens, threads=0)
    f32_attention(monkeypatch)
    copy = dequantized(path, tmp_path / "f32.gguf")
    try:
        exact = llama_logits(copy, tokens, threads=0)
    finally:
        copy.unlink()
    assert agreement(exact, ours) >= 0.99
    assert largest(exact, ours) < 0.05
    assert divergence(exact, ours) < 1e-5
    assert divergence(served, ours) < rounding
    assert abs(agreement(served, ours) - agreement(served, exact)) <= 0.02


def plain_tokens(path: Path) -> list[int]:
    text = (resources.files("edgesleep") / "data" / "plain_text.txt").read_text("utf-8")
    with Engine(path, vocab_only=True) as engine:
        return engine.tokenize(text, begin=True)[:POSITIONS]


# --- the gradient


def targets_of(rows: Sequence[Sequence[int]], listed: int = 5) -> list[Target]:
    """Random wishes at all places but the last, a tenth of the mass or so left to the tail."""
    random = np.random.default_rng(3)
    found = []
    for row in rows:
        places = np.arange(len(row) - 1, dtype=np.int32)
        ids = np.stack([random.permutation(VOCABULARY)[:listed] for _ in places]).astype(np.int32)
        probs = random.dirichlet(np.ones(listed + 1), len(places))[:, :listed].astype(np.float32)
        found.append(Target(places, ids, probs))
    return found


def learned(net: Trainable, rows: Sequence[Sequence[int]], scale: float = 0.3) -> Floats:
    net.attach(trained(net))
    return net.learn(rows, targets_of(rows), scale)


def apart(mine: Floats, theirs: Floats) -> float:
    return float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs))


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_losses_and_gradients_are_those_of_torch(tmp_path: Path, architecture: str, remember: bool, copy: bool) -> None:
    """Whatever is kept: rounded weights or none, activations or inputs alone."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, ("Q4_K", "Q6_K", "Q8_0", "Q5_0", "F16", "F32"), seed=1)
    ours, theirs = of(path), TorchNetwork(Gguf.open(path), 0, torch.float32)
    ours.remember, ours.copy = remember, copy
    # A tail that is nearly nothing makes torch's own loss imprecise.
    np.testing.assert_allclose(learned(ours, ROWS), learned(theirs, ROWS), rtol=2e-3, atol=2e-2)
    assert apart(flat(ours), flat(theirs)) < GRADIENT
    for name, pair in theirs.gradients.items():
        for part, expected in zip(ours.gradients[name], pair, strict=True):
            assert apart(part, expected) < ONE_GRADIENT, name


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("beginning", [1, 15, 16, 24, 40])
def test_a_shared_beginning_is_computed_once_and_changes_nothing(
    tmp_path: Path, architecture: str, beginning: int
) -> None:
    """Within a block of tokens, at its border and beyond it; within the sliding window of 8 and beyond it."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, "F32", seed=1)
    rows = [[*TOKENS[:beginning], *TOKENS[at : at + size]] for at, size in ((100, 20), (140, 37), (180, 2), (220, 18))]
    pack = Pack.of(rows)
    assert pack.shared == beginning and len(pack.tokens) == beginning + 77
    ours, theirs = of(path), TorchNetwork(Gguf.open(path), 0, torch.float32)
    np.testing.assert_allclose(learned(ours, rows), learned(theirs, rows), rtol=2e-3, atol=3e-2)
    assert apart(flat(ours), flat(theirs)) < GRADIENT


def test_the_common_beginning_leaves_each_row_a_token() -> None:
    assert common([[1, 2, 3]]) == 0
    assert common([[1, 2, 3], [1, 2, 4]]) == 2
    assert common([[1, 2], [1, 2, 4]]) == 1
    assert common([[1, 2, 3], [1, 2, 3], [1, 5, 3]]) == 1
    assert common([[1], [1]]) == common([[1, 2], [3, 2]]) == 0


@pytest.mark.parametrize("rank", [1, 16, 20])
def test_any_rank_has_a_gradient(tmp_path: Path, rank: int) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", "llama", "Q4_1", seed=2)
    flats = []
    for net in (of(path), TorchNetwork(Gguf.open(path), 0, torch.float32)):
        adapter = Adapter.fresh(net.shapes, rank, 8.0, 0, "base")
        for _, b in adapter.factors.values():
            b[:] = 0.01
        net.attach(adapter)
        net.learn(ROWS, targets_of(ROWS), 1.0)
        flats.append(flat(net))
    assert apart(*flats) < GRADIENT


def test_gradients_add_up_until_they_are_cleared(tmp_path: Path) -> None:
    net = of(make_tiny(tmp_path / "tiny.gguf", "llama", "Q4_1", seed=2))
    learned(net, ROWS)
    once = flat(net)
    net.learn(ROWS, targets_of(ROWS), 0.3)
    np.testing.assert_allclose(flat(net), 2 * once, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("exact", [True, False])
def test_threads_and_kernels_change_no_bit_of_the_gradient(tmp_path: Path, exact: bool) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", "gemma3", ("Q4_1", "Q6_K"), seed=2)

    def losses_and_gradient() -> tuple[bytes, bytes]:
        net = of(path, exact=exact)
        return learned(net, ROWS).tobytes(), flat(net).tobytes()

    assert len(set(by_kernel(losses_and_gradient))) == 1


@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize("types", [("Q4_0", "Q5_1", "Q4_K"), ("Q6_K", "Q8_0", "F16")])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_products_in_8_bits_keep_the_gradient(
    tmp_path: Path, architecture: str, types: tuple[str, ...], remember: bool
) -> None:
    """Forwards only types of few codes are rounded; backwards all are, by far more than what is kept in 8 bits."""
    path = make_tiny(tmp_path / "tiny.gguf", architecture, types, seed=1)
    rounded, exact = of(path, exact=False), of(path)
    rounded.remember = exact.remember = remember
    losses = np.abs(learned(rounded, ROWS) - learned(exact, ROWS))
    assert losses.mean() < 0.1 and losses.any() == ("Q4_0" in types)
    assert 0.02 < apart(flat(rounded), flat(exact)) < ROUNDED_GRADIENT


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gradient_is_the_slope_of_the_loss(tmp_path: Path, architecture: str) -> None:
    """In an F32 file nothing is rounded away, so the loss has a slope: the gradient against differences of it."""
    net = of(make_tiny(tmp_path / "tiny.gguf", architecture, "F32", seed=4))
    adapter = trained(net)
    net.attach(adapter)
    wanted = next_tokens(ROWS)
    count = sum(len(target.places) for target in wanted)
    net.learn(ROWS, wanted, 1 / count)
    gradient = flat(net)
    random = np.random.default_rng(0)
    for along in (gradient, random.standard_normal(len(gradient)).astype(np.float32)):
        along = along / np.linalg.norm(along)
        step = 0.02
        up, down = (moved_loss(net, adapter, along * way, wanted) for way in (step, -step))
        assert abs((up - down) / (2 * step) - float(gradient @ along)) < 0.02 * float(np.linalg.norm(gradient))


def moved_loss(net: Network, adapter: Adapter, step: Floats, wanted: list[Target]) -> float:
    """The mean loss with `step` added to all factors, which are put back."""
    parts = [part for pair in adapter.factors.values() for part in pair]
    before = [part.copy() for part in parts]
    for part, more in zip(parts, np.split(step, np.cumsum([part.size for part in parts])[:-1]), strict=True):
        part += more.reshape(part.shape)
    net.moved()
    loss = float(net.learn(ROWS, wanted, 0.0).mean(dtype=np.float64))
    for part, old in zip(parts, before, strict=True):
        part[:] = old
    net.moved()
    return loss
