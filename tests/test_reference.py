"""The network in plain torch: its own parts against dense torch, and how rows are packed.

The whole of it is compared with the native network, and that with llama.cpp, in test_network.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import divergence
from tiny import ARCHITECTURES, make_tiny, quantize

from edgesleep import kernel, reference
from edgesleep.adapter import Adapter
from edgesleep.gguf import Gguf
from edgesleep.kernel import Delta, Quantized
from edgesleep.model import Target
from edgesleep.reference import DitheredLinear, HeadLoss, Packed, TorchNetwork, Weight

POSITIONS = 500
VOCABULARY = 274
TOKENS = np.random.default_rng(7).integers(0, VOCABULARY, POSITIONS).tolist()

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(net: TorchNetwork) -> Adapter:
    """An adapter with a random delta that changes what tiny models say."""
    adapter = Adapter.fresh(net.shapes, 4, 8.0, 0, "base")
    random = np.random.default_rng(0)
    for _, b in adapter.factors.values():
        b[:] = random.standard_normal(b.shape) * 0.02
    return adapter


def f32(path: Path) -> TorchNetwork:
    return TorchNetwork(Gguf.open(path), 0, torch.float32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_stays_near_f32(tmp_path: Path, architecture: str) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", architecture, "Q4_1")
    exact = f32(path).logits(TOKENS).numpy()
    half = TorchNetwork(Gguf.open(path), 0, torch.bfloat16).logits(TOKENS).numpy()
    assert divergence(exact, half) < 2e-3


# --- the gradient of one matrix


def a_matrix(kind: str, rows: int = 48, cols: int = 256) -> tuple[Quantized, Delta]:
    random = np.random.default_rng(5)
    packed = quantize((random.standard_normal((rows, cols)) / np.sqrt(cols)).astype(np.float32), kind)
    a, b = random.standard_normal((6, cols)) / np.sqrt(cols), random.standard_normal((rows, 6)) * 0.05
    return Quantized(kind, rows, cols, packed.reshape(-1), seed=11), Delta(
        a.astype(np.float32), b.astype(np.float32), 1.5
    )


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("kind", ["Q4_1", "Q6_K", "Q8_0", "F16", "F32"])
def test_one_matrix_is_the_dense_straight_through_one(kind: str, precision: torch.dtype, tolerance: float) -> None:
    blocks, delta = a_matrix(kind)
    weight = Weight(blocks)
    weight.delta = delta
    random = torch.Generator().manual_seed(3)
    x, out = torch.randn(37, blocks.cols, generator=random), torch.randn(37, blocks.rows, generator=random)

    def gradients(product: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
        inputs = [t.clone().requires_grad_() for t in (x, torch.from_numpy(delta.a), torch.from_numpy(delta.b))]
        y = product(*inputs)
        (y.float() * out).sum().backward()
        return [y.detach().float(), *(t.grad for t in inputs if t.grad is not None)]

    rounded = torch.from_numpy(kernel.effective(blocks, delta))

    def dense(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        wanted = delta.scale * (b @ a)
        return x @ (rounded + wanted - wanted.detach()).T

    ours = gradients(lambda x, a, b: DitheredLinear.apply(x.to(precision), a, b, weight, delta.scale))
    for found, expected in zip(ours, gradients(dense), strict=True):
        assert (found - expected).norm() < tolerance * expected.norm()


# --- the loss


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_loss_is_that_of_dense_torch(data: st.DataObject) -> None:
    """Value and gradient, whatever the number of listed tokens, with and without a tail, in chunks of any size."""
    n, k = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    listed = data.draw(st.sampled_from([1.0, 0.9, 0.3, 0.0]))
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 1 << 30)))
    hidden = torch.randn(n, 32, generator=random, dtype=torch.float64)
    ids = torch.stack([torch.randperm(VOCABULARY, generator=random)[:k] for _ in range(n)])
    probs = torch.rand(n, k, generator=random).softmax(1) * listed
    upstream = torch.randn(n, generator=random)
    head = a_head()
    dense = hidden.clone().requires_grad_()
    q = (dense @ torch.from_numpy(kernel.dequantize(head)).double().T).softmax(1).gather(1, ids)
    expected = -(probs * q.log()).sum(1) - (1 - listed) * (1 - q.sum(1)).log()
    (expected * upstream).sum().backward()
    ours = hidden.float().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "_LOGIT_BYTES", 4 * VOCABULARY * data.draw(st.integers(0, 4)))
        loss = HeadLoss.apply(ours, ids, probs, head)
        (loss * upstream).sum().backward()
    assert torch.allclose(loss, expected.float(), rtol=1e-4, atol=1e-5)
    assert ours.grad is not None and dense.grad is not None
    assert torch.allclose(ours.grad, dense.grad.float(), rtol=1e-3, atol=1e-5)


def a_head() -> Quantized:
    values = np.random.default_rng(9).standard_normal((VOCABULARY, 32)).astype(np.float32) * 0.5
    return Quantized("Q8_0", VOCABULARY, 32, quantize(values, "Q8_0").reshape(-1))


@pytest.mark.parametrize("answer", [0, 5, VOCABULARY - 1])
def test_a_padded_target_is_the_usual_cross_entropy(answer: int) -> None:
    """Lessons carry one sure token and entries of token 0 with no probability, token 0 among the answers too."""
    hidden = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    ids, probs = torch.zeros(3, 8, dtype=torch.long), torch.zeros(3, 8)
    ids[:, 0], probs[:, 0] = answer, 1.0
    ours, dense = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    loss = HeadLoss.apply(ours, ids, probs, a_head())
    expected = F.cross_entropy(
        dense @ torch.from_numpy(kernel.dequantize(a_head())).T, torch.full((3,), answer), reduction="none"
    )
    loss.sum().backward()
    expected.sum().backward()
    assert torch.allclose(loss, expected, atol=1e-5)
    assert ours.grad is not None and dense.grad is not None
    assert torch.allclose(ours.grad, dense.grad, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_has_the_gradient_of_f32(tmp_path: Path, architecture: str) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", architecture, ("Q4_1", "Q8_0"), seed=4)
    gradients = []
    for precision in (torch.float32, torch.bfloat16):
        net = TorchNetwork(Gguf.open(path), 0, precision)
        net.attach(trained(net))
        ids = np.array(TOKENS[1:40], np.int32)[:, None]
        net.learn([TOKENS[:40]], [Target(np.arange(39, dtype=np.int32), ids, np.ones((39, 1), np.float32))], 1.0)
        gradients.append(torch.from_numpy(np.concatenate([p.ravel() for pair in net.gradients.values() for p in pair])))
    assert F.cosine_similarity(*gradients, dim=0) > 0.99
    assert gradients[0].norm() > 0


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_at_rest_it_is_the_base(tmp_path: Path, precision: torch.dtype) -> None:
    net = TorchNetwork(Gguf.open(make_tiny(tmp_path / "tiny.gguf", "llama")), 0, precision)
    base = net.logits(TOKENS)
    net.attach(trained(net))
    own = net.logits(TOKENS)
    net.rest()
    assert torch.equal(net.logits(TOKENS), base) and not torch.equal(own, base)
    net.attach(trained(net))
    assert torch.equal(net.logits(TOKENS), own)


# --- packing


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=70), min_size=1, max_size=6))
@settings(deadline=None)
def test_packed_rows_keep_their_tokens_and_places(rows: list[list[int]]) -> None:
    pack = Packed.of(rows)
    assert len(pack.tokens) % reference._STRIDE == 0
    assert len(pack.tokens) - sum(map(len, rows)) < reference._STRIDE
    for i, row in enumerate(rows):
        places = pack.grid[i][pack.there[i]]
        assert pack.tokens[places].tolist() == row
        assert pack.positions[places].tolist() == list(range(len(row)))
    assert int(pack.there.sum()) == len(pack.tokens)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("lengths", [(1, 20, 42), (64,), (63, 2), (30, 34), (65, 1, 1)])
def test_rows_packed_together_are_the_rows_alone(tmp_path: Path, architecture: str, lengths: tuple[int, ...]) -> None:
    """Row lengths with the padding row present, absent and longer than the rows."""
    net = f32(make_tiny(tmp_path / "tiny.gguf", architecture, "Q4_1"))
    ends = np.cumsum(lengths)
    rows = [TOKENS[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    pack = Packed.of(rows)
    with torch.no_grad():
        together = net.hidden(pack)
        for i, row in enumerate(rows):
            alone = net.hidden(Packed.of([row]))[: len(row)]
            assert torch.allclose(together[pack.grid[i, : len(row)]], alone, atol=1e-4)
    assert together.isfinite().all()
