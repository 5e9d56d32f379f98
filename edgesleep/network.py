"""The trainable model: a frozen GGUF with one adapter, rounded as it will be served.

Owns the network of the native kernel in numpy: its parts out of the mapped
file, the gradients, and how much memory buys how much speed. Leaves the
arithmetic to native/, data and optimiser to `train`. Invariant: every adapted
matrix is used as `kernel.merge` would write it, so what is trained is what is
served (DESIGN.md section 2).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesleep import _native, kernel, model
from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError, GgufError, KernelError
from edgesleep.gguf import Gguf
from edgesleep.kernel import Quantized
from edgesleep.model import LINEARS, Shape, Target, Tokens

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_NORMS = ("attn_norm", "attn_q_norm", "attn_k_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_PER_HEAD = ("attn_q_norm", "attn_k_norm")
_NEEDED = ("attn_norm", "ffn_norm")
ROUNDED = 8  # layers whose matrices in the file are in memory at the same time
FEW, MANY = 64, 512  # tokens of a pass: fewer waste time on forming weights, more on memory


class Trainable(Protocol):
    """What `train` asks of a network; `reference.TorchNetwork` is the other one."""

    batch_tokens: int  # what one pass should take at most
    gradients: dict[str, tuple[Floats, Floats]]

    @property
    def shapes(self) -> dict[str, tuple[int, int]]: ...
    def attach(self, adapter: Adapter) -> None: ...
    def moved(self) -> None: ...
    def rest(self) -> None: ...
    def learn(self, rows: Sequence[Tokens], targets: Sequence[Target], scale: float) -> Floats: ...
    def top(self, rows: Sequence[Tokens], places: Sequence[Ints], count: int) -> tuple[Ints, Floats]: ...


def build(file: Gguf, seed: int, memory: int, exact: bool) -> Trainable:
    """The network of `file`: the native one, or the one that EDGESLEEP_NETWORK names.

    `memory` is what it may use beside file and adapter, in bytes; `exact` as for the native one. Raises GgufError
    for a model that it cannot train, and EdgesleepError for an unknown name.
    """
    wanted = os.environ.get("EDGESLEEP_NETWORK") or "native"
    if wanted == "native":
        try:
            return Network(file, seed, memory, exact)
        except KernelError as error:
            raise GgufError(f"{file.path.name} cannot be trained. {error.message}", error.hint) from error
    if wanted != "torch":
        raise EdgesleepError(f'EDGESLEEP_NETWORK names no network: "{wanted}".', "Unset it, or choose native or torch.")
    try:
        from edgesleep.reference import TorchNetwork
    except ImportError as error:
        raise EdgesleepError("The torch network needs torch.", "Install it: pip install 'edgesleep[torch]'.") from error
    return TorchNetwork(file, seed)


@dataclass(frozen=True)
class Pack:
    """Rows of tokens end to end, their common beginning only once.

    `tokens` and `starts` int32 [n]: each token and where its row begins; the first `shared` tokens belong to all rows.
    `begins` says where each row's first token after these lies.
    """

    tokens: Ints
    starts: Ints
    shared: int
    begins: tuple[int, ...]

    @classmethod
    def of(cls, rows: Sequence[Tokens]) -> Pack:
        shared = model.common(rows)
        lengths = [shared, *(len(row) - shared for row in rows)]
        begins = np.cumsum([0, *lengths[:-1]])
        tokens = [np.asarray(rows[0][:shared], np.int32), *(np.asarray(row[shared:], np.int32) for row in rows)]
        starts = np.repeat(begins.astype(np.int32), lengths)
        return cls(np.concatenate(tokens), starts, shared, tuple(begins[1:].tolist()))

    @property
    def arrays(self) -> tuple[Ints, Ints, int]:
        return self.tokens, self.starts, self.shared

    def places(self, by_row: Sequence[Ints]) -> Ints:
        """Where places of each row lie in the pack, all of them in order."""
        moved = [np.where(spots < self.shared, spots, spots - self.shared + begin)
                 for begin, spots in zip(self.begins, by_row, strict=True)]  # fmt: skip
        return np.concatenate(moved).astype(np.int32)


class Network:
    """The model of one GGUF file with an adapter on every linear layer, computed by the native kernel.

    `seed` fixes the dither. Before `attach` every matrix is the base's own. Unless `exact`, the layers' products
    round to 8 bits what enters them, and those of the gradient also the weights (edgesleep.h, es_linear).
    """

    def __init__(self, file: Gguf, seed: int, memory: int = 192 << 20, exact: bool = True) -> None:
        self.shape = shape = Shape.read(file)
        self.gradients: dict[str, tuple[Floats, Floats]] = {}
        self._file, self._seed = file, seed
        self._vectors = model.vectors(file)
        self._weights = {name: model.matrix(file, name, seed) for name in shape.names}
        head = model.head(file, seed)
        self.vocabulary = head.rows
        self.copy, self.remember, self.batch_tokens, self.token_bytes = self._plan(memory, exact)
        self._exact = exact
        self._native = self._open(head)

    def _open(self, head: Quantized) -> _native.Network:
        shape, file, seed = self.shape, self._file, self._seed
        factors = self._vector("rope_freqs.weight", shape.rope_width // 2)
        opened = _native.Network(
            self._native_shape(),
            shape.frequencies(False, factors),
            shape.frequencies(True, factors),
            [self._layer(i) for i in range(shape.layers)],
            kernel.native_matrix(model.matrix(file, "token_embd.weight", seed)),
            kernel.native_matrix(head),
            self._norm("output_norm.weight", shape.width),
            self._exact,
        )
        kernel.done(opened.error)
        return opened

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(out, in) of every matrix that learns."""
        return {name: (weight.rows, weight.cols) for name, weight in self._weights.items()}

    def attach(self, adapter: Adapter) -> None:
        """Put the adapter on its matrices; training changes its factors in place."""
        adapter.demand_fit(self.shapes, self._seed)
        self.gradients = {name: (np.zeros_like(a), np.zeros_like(b)) for name, (a, b) in adapter.factors.items()}
        trained = [
            _native.Trained(kernel.native_adapter(weight, adapter.delta(name)), *self.gradients[name])
            for name, weight in self._weights.items()
        ]
        kernel.done(self._native.attach(trained, self.copy, self.remember))
        self.moved()

    def rest(self) -> None:
        """Give back all memory that an adapter and work have taken; `attach` begins anew."""
        self.gradients = {}
        self._native = self._open(model.head(self._file, self._seed))
        self._file.release()

    def moved(self) -> None:
        """To be called when the adapter's factors have changed."""
        for first in range(0, self.shape.layers, ROUNDED):
            kernel.done(self._native.round(first, min(first + ROUNDED, self.shape.layers)))
            self._file.release()

    def learn(self, rows: Sequence[Tokens], targets: Sequence[Target], scale: float) -> Floats:
        """The losses at all places, f32 [places]; `scale` times the gradient of their sum is added to `gradients`."""
        pack = Pack.of(rows)
        places = pack.places([target.places for target in targets])
        ids = np.concatenate([target.ids for target in targets])
        probs = np.concatenate([target.probs for target in targets])
        losses = np.empty(len(places), np.float32)
        kernel.done(self._native.learn(*pack.arrays, places, ids, probs, scale, losses))
        return losses

    def top(self, rows: Sequence[Tokens], places: Sequence[Ints], count: int) -> tuple[Ints, Floats]:
        """The `count` likeliest next tokens at places of each row and their probabilities, both [places, count]."""
        pack = Pack.of(rows)
        chosen = pack.places(places)
        ids, probs = np.empty((len(chosen), count), np.int32), np.empty((len(chosen), count), np.float32)
        kernel.done(self._native.top(*pack.arrays, chosen, count, ids, probs))
        return ids, probs

    def logits(self, tokens: Tokens) -> Floats:
        """All logits of one text, [n, vocabulary]: for tests and comparisons."""
        pack = Pack.of([tokens])
        logits = np.empty((len(tokens), self.vocabulary), np.float32)
        kernel.done(self._native.logits(*pack.arrays, logits))
        return logits

    # Writing: texts that grow, whose keys and values are kept

    @property
    def cache_bytes(self) -> int:
        """Memory for one token of a text."""
        shape = self.shape
        return 2 * 2 * shape.layers * shape.kv_heads * math.ceil(shape.head_width / 16) * 16

    def write(self, texts: int, room: int) -> None:
        """Begin `texts` empty texts, of up to `room` tokens each, in place of earlier ones."""
        kernel.done(self._native.write(texts, room))

    def share(self, texts: int) -> None:
        """The first `texts` texts become what text 0 is."""
        kernel.done(self._native.share(texts))

    def extend(self, tokens: Ints, texts: Ints, places: Ints) -> Floats:
        """Add each token to its text, int32 [n] both, in order; the logits after `places`, [places, vocabulary]."""
        assert tokens.shape == texts.shape
        logits = np.empty((len(places), self.vocabulary), np.float32)
        kernel.done(self._native.extend(tokens, texts, places, logits))
        return logits

    def _plan(self, memory: int, exact: bool) -> tuple[bool, bool, int, int]:
        """Whether rounded weights are copied, whether layers' activations are kept, the tokens of a pass, and the bytes
        that a token takes while a layer is computed.

        A copy saves rounding anew in every pass; keeping activations (network.h, Kept) saves computing them twice.
        """
        shape = self.shape
        heads, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
        hidden = self._weights["blk.0.ffn_up.weight"].rows
        post = 2 * shape.width if "blk.0.post_ffw_norm.weight" in self._vectors else 0
        layer = 2 * (2 * shape.width + 2 * heads + 2 * keys + post) + (2 if exact else 9 / 8) * 2 * hidden
        work: float = 4 * (8 * shape.width + 6 * heads + 6 * keys + 3 * hidden)
        if not exact:
            work += 2 * (1 + 8 / 32) * hidden  # codes of the gate's and up's gradients, a scale and a sum for 32
        weights = sum(weight.data.nbytes for weight in self._weights.values())
        for copy, remember in ((True, True), (False, True), (True, False), (False, False)):
            a_token = work + (shape.layers * layer if remember else layer + 2 * shape.layers * shape.width)
            tokens = (memory - copy * weights) // a_token
            if tokens >= MANY // 2:
                break
        return copy, remember, int(min(max(tokens, FEW), MANY)), int(work)

    def _native_shape(self) -> _native.Shape:
        shape, made = self.shape, _native.Shape()
        for name in ("width", "heads", "kv_heads", "head_width", "window", "local_every", "epsilon"):
            setattr(made, name, getattr(shape, name))
        made.turned, made.halves, made.gelu = shape.rope_width, shape.halves, shape.architecture == "gemma3"
        made.attention_scale, made.embedding_scale = shape.attention_scale, shape.embedding_scale
        return made

    def _layer(self, layer: int) -> _native.Layer:
        at, shape = f"blk.{layer}.", self.shape
        weights = [self._weights[f"{at}{part}.weight"] for part in LINEARS]
        return _native.Layer(
            [kernel.native_matrix(weight) for weight in weights],
            [self._vector(f"{at}{part}.bias", w.rows) for part, w in zip(LINEARS, weights, strict=True)],
            [
                self._norm(f"{at}{name}.weight", shape.width) if name in _NEEDED
                else self._vector(f"{at}{name}.weight", shape.head_width if name in _PER_HEAD else shape.width)
                for name in _NORMS
            ],
        )  # fmt: skip

    def _norm(self, name: str, size: int) -> Floats:
        if (vector := self._vector(name, size)) is None:
            raise GgufError(f"{self._file.path.name} has no tensor {name}.", "Use a complete model file.")
        return vector

    def _vector(self, name: str, size: int) -> Floats | None:
        """A norm, bias or list of factors, where the file has it. Raises GgufError for one of another length."""
        vector = self._vectors.get(name)
        if vector is not None and len(vector) != size:
            wrong = f"{self._file.path.name}: {name} has {len(vector)} numbers, not {size}."
            raise GgufError(wrong, "Use a complete model file.")
        return vector
