"""What a trainable model is, apart from how it is computed.

Owns the numbers of an architecture and which variants can be trained, where a
GGUF keeps the parts, and the records of a training step. Leaves computing to
`network` and `reference`, two implementations of the same model. What llama.cpp
would compute otherwise is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesleep import kernel
from edgesleep.errors import GgufError, shown
from edgesleep.gguf import Gguf
from edgesleep.kernel import Quantized

ATTENTION = ("attn_q", "attn_k", "attn_v", "attn_output")
FEED_FORWARD = ("ffn_gate", "ffn_up", "ffn_down")
LINEARS = (*ATTENTION, *FEED_FORWARD)

Tokens = tuple[int, ...] | list[int]

# Far above any real model, and low enough that a lying file costs a moment and no memory.
MAX_LAYERS, MAX_WIDTH = 1 << 10, 1 << 20
MAX_BASE, MAX_SCALE = 1e12, 1e6


@dataclass(frozen=True)
class Target:
    """Wanted next-token distribution at some places of one row of tokens.

    `places` int32 [n]; `ids` int32 [n, k] with probabilities `probs` f32 [n, k]; what these leave of 1 is the mass of
    all other tokens together. Entries without probability at the end of a place's list are filling. Per place, in
    nats, the loss is L = -sum_k p_k log q_k - p_t log q_t (t: the tail). With one sure token this is the usual loss;
    less the target's entropy it is the KL to the target.
    """

    places: NDArray[np.int32]
    ids: NDArray[np.int32]
    probs: NDArray[np.float32]


def common(rows: Sequence[Tokens]) -> int:
    """How many tokens all of several rows begin with; at least one token of each row is its own."""
    if len(rows) < 2:
        return 0
    first, last = min(rows), max(rows)  # what these two have in common, all between them have
    least = min(len(row) for row in rows) - 1
    return next((i for i in range(least) if first[i] != last[i]), max(least, 0))


@dataclass(frozen=True)
class Shape:
    """The numbers of an architecture, under llama.cpp's metadata keys."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    epsilon: float
    rope_base: float
    rope_base_local: float
    rope_width: int
    rope_scale: float
    window: int  # 0: every layer sees everything
    local_every: int  # one layer in this many is global, the others see `window` tokens

    @classmethod
    def read(cls, file: Gguf) -> Shape:
        arch = file.architecture

        def number(key: str, default: float | None = None) -> float:
            return _number(file, f"{arch}.{key}", default)

        heads, width = int(number("attention.head_count")), int(number("embedding_length"))
        if heads < 1 or width < 1:
            raise GgufError(f"{file.path.name} has {heads} heads and a width of {width}.", "Use a complete model file.")
        head_width = int(number("attention.key_length", width // heads))
        gemma = arch == "gemma3"
        if number("final_logit_softcapping", 0.0):
            raise GgufError(
                f"{file.path.name} caps its logits (softcapping), which cannot be trained.",
                "Use a model without final_logit_softcapping, as Gemma 3 is published.",
            )
        shape = cls(
            architecture=arch,
            layers=int(number("block_count")),
            width=width,
            heads=heads,
            kv_heads=int(number("attention.head_count_kv", heads)),
            head_width=head_width,
            epsilon=number("attention.layer_norm_rms_epsilon"),
            rope_base=number("rope.freq_base", 10000.0),
            rope_base_local=number("rope.freq_base_swa", 10000.0),
            rope_width=int(number("rope.dimension_count", head_width)),
            rope_scale=_rope_scale(file),
            window=int(number("attention.sliding_window", 0)) if gemma else 0,
            local_every=int(number("attention.sliding_window_pattern", 6)) if gemma else 1,
        )
        shape._demand_sense(file.path.name)
        return shape

    def _demand_sense(self, name: str) -> None:
        """Raises GgufError for numbers that no model has; llama.cpp would end the program over some of them."""
        turned, whole = self.rope_width, self.head_width
        slowest, fastest = sorted((self.rope_base, self.rope_base_local))
        wrong = [
            what
            for what, ok in (
                (f"{self.layers} layers", 0 < self.layers <= MAX_LAYERS),
                (f"a width of {self.width}", self.width <= MAX_WIDTH),
                (f"{self.heads} heads on {self.kv_heads} keys", self.kv_heads > 0 and self.heads % self.kv_heads == 0),
                (f"{self.heads} heads of {whole} features", whole > 0 and self.heads * whole <= MAX_WIDTH),
                (f"{turned} of {whole} features turned", 0 < turned <= whole and turned % 2 == 0),
                (f"{turned} of {whole} features turned", turned == whole or self.architecture == "gemma3"),
                (f"a window of {self.window} tokens", 0 <= self.window < 2**31),
                (f"one global layer in {self.local_every}", 0 < self.local_every <= MAX_LAYERS),
                (f"norms with an epsilon of {self.epsilon}", 0 < self.epsilon < 1),
                (f"rope bases of {self.rope_base} and {self.rope_base_local}", slowest > 1 and fastest < MAX_BASE),
                (f"rope scaled by {self.rope_scale}", 1 / MAX_SCALE < self.rope_scale < MAX_SCALE),
            )
            if not ok
        ]
        if wrong:
            raise GgufError(f"{name} claims {wrong[0]}, which no model has.", "Use a model as it was published.")

    def is_local(self, layer: int) -> bool:
        """Whether the layer has a sliding window (llama.cpp: five of six in gemma3)."""
        return self.window > 0 and layer % self.local_every < self.local_every - 1

    @property
    def halves(self) -> bool:
        """Whether features half a head apart are turned together, or neighbours: llama files store Q and K permuted."""
        return self.architecture != "llama"

    @property
    def embedding_scale(self) -> float:
        return math.sqrt(self.width) if self.architecture == "gemma3" else 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """The matrices that learn, layer by layer in the order of LINEARS."""
        return tuple(f"blk.{layer}.{part}.weight" for layer in range(self.layers) for part in LINEARS)

    def frequencies(self, local: bool, factors: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """Radians per position, [rope_width / 2], as llama.cpp turns them (arXiv:2104.09864).

        `factors` is rope_freqs.weight of llama3 models, by which global layers slow slow turns down further.
        """
        base, scale = (self.rope_base_local, 1.0) if local else (self.rope_base, self.rope_scale)
        exponent = np.arange(0, self.rope_width, 2, dtype=np.float64) / self.rope_width
        frequency = scale * base**-exponent
        if local or factors is None:
            return frequency
        if not ((factors > 0) & np.isfinite(factors)).all():
            raise GgufError("The model's rope_freqs.weight are not all above 0.", "Use a model as it was published.")
        return frequency / factors

    @property
    def attention_scale(self) -> float:
        # Gemma-3-27B, and only it, scales by the width per head instead of the head's own width.
        per_head = self.width // self.heads if self.architecture == "gemma3" and self.layers == 62 else self.head_width
        return 1 / math.sqrt(per_head)


def _number(file: Gguf, key: str, default: float | None) -> float:
    value = file.require(key) if default is None else file.get(key, default)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    raise GgufError(f"{file.path.name}: {key} is {shown(value)}, not one number.", "Use a model with equal layers.")


def _rope_scale(file: Gguf) -> float:
    """As llama.cpp reads it: linear where no type is given, by a factor under its new or its old name; 0 is none."""
    at = f"{file.architecture}.rope"
    kind = file.get(f"{at}.scaling.type", "linear")
    if kind == "linear":
        return 1.0 / (_number(file, f"{at}.scaling.factor", _number(file, f"{at}.scale_linear", 0.0)) or 1.0)
    if kind == "none":
        return 1.0
    raise GgufError(
        f"{file.path.name}: rope scaling of type {shown(kind)} cannot be trained.",
        "Models with linear or llama3 scaling, or none, can.",
    )


def matrix(file: Gguf, name: str, seed: int) -> Quantized:
    """One matrix of the file with the dither of `seed`. Raises GgufError where it is missing."""
    tensor = file.tensors.get(name)
    if tensor is None or len(tensor.shape) != 2:  # more dimensions: experts
        raise GgufError(f"{file.path.name} has no tensor {name}.", "Use a dense model that is complete.")
    rows, cols = tensor.shape
    return Quantized(tensor.type, rows, cols, tensor.data, kernel.tensor_seed(seed, name))


def head(file: Gguf, seed: int) -> Quantized:
    """The output rows, which many models share with the embedding."""
    return matrix(file, "output.weight" if "output.weight" in file.tensors else "token_embd.weight", seed)


def vectors(file: Gguf) -> dict[str, NDArray[np.float32]]:
    """All norms, biases and rope factors by name, in f32. Raises GgufError for such as no model has."""
    found = {}
    for name, tensor in file.tensors.items():
        if len(tensor.shape) == 1:
            # Packed ones would take many times the memory of the file.
            if tensor.type not in ("F32", "F16", "BF16") or tensor.shape[0] > MAX_WIDTH:
                claim = f"{tensor.shape[0]} numbers of type {tensor.type} in {shown(name)}"
                raise GgufError(f"{file.path.name} has {claim}, as no model has.", "Use a model as it was published.")
            found[name] = kernel.dequantize(Quantized(tensor.type, 1, tensor.shape[0], tensor.data)).reshape(-1)
    return found
