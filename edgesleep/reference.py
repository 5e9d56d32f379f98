"""The same model as `network`, in plain torch: the definition that it is tested against.

Owns the forward pass of the architectures llama, qwen2, qwen3 and gemma3 and
the gradient with respect to the adapter, by torch's own differentiation. Leaves
the rounding to `kernel`, data and optimiser to `train`. EDGESLEEP_NETWORK=torch
trains with it. Invariant: every adapted matrix is used as `kernel.merge` would
write it, so what is trained is what is served (DESIGN.md section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgesleep import kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.kernel import Delta, Quantized
from edgesleep.model import Shape, Target, Tokens, head, matrix, vectors

_KEPT_BYTES = 256 << 20  # rounded weights are kept through a step where all of them fit into this
_STRIDE = 64  # oneDNN compiles and keeps a kernel for every number of tokens it meets: let there be few
_LOGIT_BYTES = 32 << 20  # logits in memory at a time: gemma3 has 262,144 of them a position


class DitheredLinear(torch.autograd.Function):
    """y = x W'^T with W' = dither(W + scale b a); straight-through gradient to a and b (arXiv:1308.3432).

    dW is never formed: dB = scale dY^T (X A^T), dA = scale (dY B)^T X.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, weight: Weight, scale: float) -> Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.weight, ctx.scale = weight, scale
        return weight.product(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        dy = grads[0].contiguous()
        db = ctx.scale * (dy.T @ (x @ a.to(x.dtype).T)).float()
        da = ctx.scale * ((dy @ b.to(x.dtype)).T @ x).float()
        return ctx.weight.gradient(dy), da, db, None, None


class Weight:
    """One matrix of the file as it is used: rounded with its delta, if it has one."""

    def __init__(self, blocks: Quantized) -> None:
        self.blocks = blocks
        self.delta: Delta | None = None
        self.keep = False  # whether the bf16 copy outlives a product, until the next `moved`
        self._kept: Tensor | None = None

    def moved(self) -> None:
        """The delta has changed."""
        self._kept = None

    def product(self, x: Tensor) -> Tensor:
        """x W'^T: [n, cols] -> [n, rows], in x's own dtype."""
        if x.dtype == torch.bfloat16:
            return x @ self._half().T
        return torch.from_numpy(kernel.linear(self.blocks, self.delta, x.detach().contiguous().numpy()))

    def gradient(self, dy: Tensor) -> Tensor:
        """dy W': [n, rows] -> [n, cols]."""
        if dy.dtype == torch.bfloat16:
            return dy @ self._half()
        return torch.from_numpy(kernel.linear_grad(self.blocks, self.delta, dy.numpy()))

    def _half(self) -> Tensor:
        if self._kept is not None:
            return self._kept
        half = torch.from_numpy(kernel.effective_bf16(self.blocks, self.delta)).view(torch.bfloat16)
        self._kept = half if self.keep else None
        return half


class HeadLoss(torch.autograd.Function):
    """Cross-entropy of the output rows against sparse targets, some positions at a time.

    hidden [n, width]; `ids` [n, k] with probabilities `probs` [n, k]; what they
    leave of 1 is the mass of all other tokens together. Per position, in nats,
    L = -sum_k p_k log q_k - p_t log q_t (t: the tail). With k = 1, p = 1 this
    is the usual loss; less the targets' entropy it is the KL to the target.
    dL/dz_j = q_j - p_j for the listed tokens, q_j (1 - p_t/q_t) for the rest;
    it is taken at once, so that logits live for one chunk only.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, ids: Tensor, probs: Tensor, head: Quantized) -> Tensor:
        losses, grads = [], []
        for part, id_part, p in zip(_chunks(hidden, head), _chunks(ids, head), _chunks(probs, head), strict=True):
            q = _logits(part, head).softmax(1)
            listed = q.gather(1, id_part)
            p_tail = 1 - p.sum(1)
            p_tail = p_tail.where(p_tail > 1e-6, 0.0)
            q_tail = (1 - listed.sum(1)).clamp(min=1e-6)
            losses.append(-(p * listed.clamp(min=1e-30).log()).sum(1) - p_tail * q_tail.log())
            ratio = (p_tail / q_tail)[:, None]
            dz = q.mul_(1 - ratio).scatter_add_(1, id_part, listed * ratio - p)
            grads.append(torch.from_numpy(kernel.linear_grad(head, None, dz.numpy())))
        ctx.save_for_backward(torch.cat(grads))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (dhidden,) = ctx.saved_tensors
        return dhidden * grads[0][:, None], None, None, None


def _chunks(x: Tensor, head: Quantized) -> tuple[Tensor, ...]:
    return torch.split(x, max(1, _LOGIT_BYTES // (4 * head.rows)))


def _logits(hidden: Tensor, head: Quantized) -> Tensor:
    return torch.from_numpy(kernel.linear(head, None, hidden.detach().contiguous().numpy()))


@dataclass(frozen=True)
class Packed:
    """Rows of unequal length laid end to end, so that matrix products see little padding.

    tokens [n], positions [n]; `grid` [rows, longest] gives each row's places
    in the pack (0 where `there` is False). A last row of zeros fills n up to a
    multiple of _STRIDE.
    """

    tokens: Tensor
    positions: Tensor
    grid: Tensor
    there: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Packed:
        fill = -sum(len(row) for row in rows) % _STRIDE
        rows = [*rows, [0] * fill] if fill else rows
        lengths = torch.tensor([len(row) for row in rows])
        starts = lengths.cumsum(0) - lengths
        column = torch.arange(int(lengths.max()))
        there = column[None] < lengths[:, None]
        return cls(
            tokens=torch.tensor([token for row in rows for token in row]),
            positions=torch.cat([column[:length] for length in lengths.tolist()]),
            grid=torch.where(there, starts[:, None] + column[None], 0),
            there=there,
        )


class TorchNetwork:
    """The model of one GGUF file with an adapter on every linear layer.

    `seed` fixes the dither. Before `attach` every matrix is the base's own.
    """

    batch_tokens = 320  # tokens in one forward and backward pass

    def __init__(self, file: Gguf, seed: int, precision: torch.dtype | None = None) -> None:
        # bf16 where the processor multiplies it (more than twice as fast); the residual stream stays f32.
        self.precision = precision or (torch.bfloat16 if machine.has_bf16() else torch.float32)
        torch.set_num_threads(machine.threads())
        self.shape = Shape.read(file)
        self._file = file
        self._seed = seed
        self.factors: dict[str, tuple[Tensor, Tensor]] = {}
        self._scale = 0.0
        self._weights = {name: Weight(matrix(file, name, seed)) for name in self.shape.names}
        self._embedding = matrix(file, "token_embd.weight", seed)
        self._head = head(file, seed)
        self._vectors = {name: torch.from_numpy(values) for name, values in vectors(file).items()}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(out, in) of every matrix that learns."""
        return {name: (weight.blocks.rows, weight.blocks.cols) for name, weight in self._weights.items()}

    def attach(self, adapter: Adapter) -> None:
        """Put the adapter on its matrices; training changes its factors in place."""
        adapter.demand_fit(self.shapes, self._seed)
        self._scale = adapter.alpha / adapter.rank
        fits = sum(2 * rows * cols for rows, cols in self.shapes.values()) <= _KEPT_BYTES
        for name, (a, b) in adapter.factors.items():
            self.factors[name] = (torch.from_numpy(a).requires_grad_(), torch.from_numpy(b).requires_grad_())
            self._weights[name].delta = adapter.delta(name)
            self._weights[name].keep = fits
        self.moved()
        self.gradients = {name: (np.zeros_like(a), np.zeros_like(b)) for name, (a, b) in adapter.factors.items()}

    def rest(self) -> None:
        """Give back what `attach` and gradients took."""
        self.gradients, self.factors = {}, {}
        for weight in self._weights.values():
            weight.delta = None
        self.moved()

    def moved(self) -> None:
        """To be called when the adapter's factors have changed."""
        for weight in self._weights.values():
            weight.moved()

    def learn(self, rows: Sequence[Tokens], targets: Sequence[Target], scale: float) -> np.ndarray[Any, Any]:
        """The losses at all places, f32 [places]; `scale` times the gradient of their sum is added to `gradients`."""
        pack = Packed.of(rows)
        chosen = torch.cat([pack.grid[i, torch.from_numpy(t.places).long()] for i, t in enumerate(targets)])
        ids = torch.from_numpy(np.concatenate([t.ids for t in targets])).long()
        losses = self.loss(self.hidden(pack)[chosen], ids, torch.from_numpy(np.concatenate([t.probs for t in targets])))
        factors = [factor for pair in self.factors.values() for factor in pair]
        sums = [into for pair in self.gradients.values() for into in pair]
        for into, gradient in zip(sums, torch.autograd.grad(losses.sum() * scale, factors), strict=True):
            into += gradient.numpy()
        return losses.detach().numpy()

    def hidden(self, pack: Packed) -> Tensor:
        """Final normed states of all packed tokens, [n, width]."""
        shape = self.shape
        x = torch.from_numpy(kernel.rows(self._embedding, pack.tokens.numpy()))
        x = x * shape.embedding_scale
        turns = {local: self._rope(pack.positions, local) for local in {shape.is_local(i) for i in range(shape.layers)}}
        masks = {local: _mask(pack, shape.window if local else 0) for local in turns}
        for layer in range(shape.layers):
            local = shape.is_local(layer)
            x = x + self._attention(layer, x, pack, turns[local], masks[local]).float()
            x = x + self._feed_forward(layer, x).float()
        return self._norm(x, "output_norm.weight")

    def loss(self, hidden: Tensor, ids: Tensor, probs: Tensor) -> Tensor:
        """Sparse cross-entropy per position [n]; see HeadLoss."""
        loss: Tensor = HeadLoss.apply(hidden, ids, probs, self._head)
        return loss

    @torch.no_grad()
    def top(self, rows: Sequence[Tokens], places: Sequence[Any], count: int) -> tuple[Any, Any]:
        """The `count` likeliest next tokens at places of each row and their probabilities, both [places, count]."""
        pack = Packed.of(rows)
        chosen = torch.cat([pack.grid[i, torch.from_numpy(spots).long()] for i, spots in enumerate(places)])
        hidden = self.hidden(pack)[chosen]
        found = [_logits(part, self._head).softmax(1).topk(count, dim=1) for part in _chunks(hidden, self._head)]
        ids, probs = torch.cat([f.indices for f in found]), torch.cat([f.values for f in found])
        return ids.numpy().astype(np.int32), probs.numpy()

    @torch.no_grad()
    def logits(self, tokens: Sequence[int]) -> Tensor:
        """All logits of one text, [n, vocabulary]: for tests and comparisons."""
        return _logits(self.hidden(Packed.of([tokens]))[: len(tokens)], self._head)

    # Layers

    def _attention(self, layer: int, x: Tensor, pack: Packed, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        shape, prefix = self.shape, f"blk.{layer}."
        x = self._norm(x, prefix + "attn_norm.weight").to(self.precision)
        q = self._linear(prefix + "attn_q", x).view(-1, shape.heads, shape.head_width)
        k = self._linear(prefix + "attn_k", x).view(-1, shape.kv_heads, shape.head_width)
        v = self._linear(prefix + "attn_v", x).view(-1, shape.kv_heads, shape.head_width)
        q = self._turn(self._norm(q, prefix + "attn_q_norm.weight", optional=True), turn)
        k = self._turn(self._norm(k, prefix + "attn_k_norm.weight", optional=True), turn)
        # f32: torch's bf16 attention is slower here. [rows, heads, longest, head_width]
        q, k, v = (part.float()[pack.grid].transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, scale=shape.attention_scale, enable_gqa=shape.heads != shape.kv_heads
        )
        flat = mixed.transpose(1, 2)[pack.there].reshape(len(x), shape.heads * shape.head_width).to(self.precision)
        return self._norm(
            self._linear(prefix + "attn_output", flat), prefix + "post_attention_norm.weight", optional=True
        )

    def _feed_forward(self, layer: int, x: Tensor) -> Tensor:
        prefix = f"blk.{layer}."
        x = self._norm(x, prefix + "ffn_norm.weight").to(self.precision)
        gate = self._linear(prefix + "ffn_gate", x)
        gate = F.gelu(gate, approximate="tanh") if self.shape.architecture == "gemma3" else F.silu(gate)
        down = self._linear(prefix + "ffn_down", gate * self._linear(prefix + "ffn_up", x))
        return self._norm(down, prefix + "post_ffw_norm.weight", optional=True)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight = self._weights[name + ".weight"]
        factors = self.factors.get(name + ".weight")
        bias = self._vectors.get(name + ".bias")
        y = DitheredLinear.apply(x, *factors, weight, self._scale) if factors else weight.product(x)
        return y if bias is None else y + bias.to(y.dtype)

    def _norm(self, x: Tensor, name: str, optional: bool = False) -> Tensor:
        weight = self._vectors.get(name)
        if weight is None:
            if optional:
                return x
            raise EdgesleepError(f"{self._file.path.name} has no tensor {name}.", "Use a complete model file.")
        return F.rms_norm(x.float(), (x.shape[-1],), weight, self.shape.epsilon)

    def _rope(self, positions: Tensor, local: bool) -> tuple[Tensor, Tensor]:
        """cos and sin [n, 1, rope_width / 2] as llama.cpp turns them (arXiv:2104.09864)."""
        factors = self._vectors.get("rope_freqs.weight")
        frequency = torch.from_numpy(self.shape.frequencies(local, None if factors is None else factors.numpy()))
        angle = positions[:, None, None].double() * frequency
        return angle.cos().float(), angle.sin().float()

    def _turn(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Rotate pairs: neighbours in llama files (their Q and K are stored permuted), halves in the others."""
        cos, sin = turn
        wide = self.shape.rope_width
        if not self.shape.halves:
            even, odd = x[..., 0:wide:2], x[..., 1:wide:2]
            turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
        else:
            low, high = x[..., : wide // 2], x[..., wide // 2 : wide]
            turned = torch.cat([low * cos - high * sin, low * sin + high * cos], -1)
        return turned if wide == x.shape[-1] else torch.cat([turned, x[..., wide:]], -1)


def _mask(pack: Packed, window: int) -> Tensor:
    """Who sees whom, [rows, 1, longest, longest]: the past, its last `window` tokens where one is given."""
    longest = pack.grid.shape[1]
    age = torch.arange(longest)[:, None] - torch.arange(longest)[None]
    seen = (age >= 0) & (age < window) if window else age >= 0
    # A padded query sees itself only, so that no row of the softmax is empty.
    return (seen & pack.there[:, None, :] | torch.eye(longest, dtype=torch.bool))[:, None]
