"""Tiny random models as GGUF files, for tests that need a whole model but no knowledge.

Owns the shapes, names and metadata that llama.cpp expects of the four
architectures, and a small real byte-level BPE vocabulary. The weights are
random, seeded, and scaled so that every layer matters and the likeliest token
is rarely a near tie; a file of one seed is the same on every run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from llama_cpp._ggml import libggml

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma3")
F32 = npt.NDArray[np.float32]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")
MERGES = ("t h", "th e", "Ġ the", "i n", "e r", "o n", "a n", "an d", "Ġ and", "r e", "Ġ a", "s t", "o r", "e n")


@dataclass(frozen=True)
class Tiny:
    """What the model looks like. Linear weights take `types` in turn; one type means all of them."""

    architecture: str
    types: tuple[str, ...]
    seed: int
    layers: int
    embd: int
    heads: int
    kv_heads: int
    head_dim: int
    ff: int
    tied: bool
    rope_factors: bool
    window: int  # sliding window of gemma3, in tokens


def make_tiny(
    path: Path,
    architecture: str,
    types: str | tuple[str, ...] = "Q4_1",
    seed: int = 0,
    layers: int = 0,
    *,
    embd: int = 0,
    tied: bool = False,
    rope_factors: bool = False,
    window: int = 8,
) -> Path:
    """Write a model of about 300 tokens to `path`.

    The width is 64, or 256 when a K-quant is asked for (its rows are made of
    256). Query heads are grouped two to a key head; for qwen3 and gemma3 the
    heads together are wider than the model. gemma3 always shares its output
    with the token embedding, and has six layers so that one sees everything.
    """
    types = (types,) if isinstance(types, str) else types
    gemma, wide = architecture == "gemma3", architecture in ("qwen3", "gemma3")
    embd = embd or (256 if any(kind.endswith("_K") for kind in types) else 64)
    tiny = Tiny(
        architecture=architecture,
        types=types,
        seed=seed,
        layers=layers or (6 if gemma else 2),
        embd=embd,
        heads=4,
        kv_heads=2,
        head_dim=embd // 2 if wide else embd // 4,
        ff=2 * embd,
        tied=tied or gemma,
        rope_factors=rope_factors,
        window=window,
    )
    writer = gguf.GGUFWriter(path, architecture)
    _metadata(writer, tiny)
    vocabulary = _tokenizer(writer)
    linear = 0
    for name, values in _weights(tiny, vocabulary):
        if name.endswith("norm.weight") or values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType[types[linear % len(types)]]
            writer.add_tensor(name, quantize(values, kind.name), raw_dtype=kind)
            linear += 1
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantize(values: F32, kind: str) -> npt.NDArray[np.uint8]:
    """ggml's own quantization of [rows, cols] to packed bytes [rows, bytes per row]."""
    type_id = gguf.GGMLQuantizationType[kind]
    block, block_bytes = gguf.GGML_QUANT_SIZES[type_id]
    rows, cols = values.shape
    packed = np.zeros((rows, cols // block * block_bytes), np.uint8)
    values = np.ascontiguousarray(values, np.float32)
    function = libggml.ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    written = function(type_id, values.ctypes.data, packed.ctypes.data, 0, rows, cols, None)
    assert written == packed.nbytes, (kind, written, packed.nbytes)
    return packed


def _metadata(writer: gguf.GGUFWriter, tiny: Tiny) -> None:
    writer.add_type("model")
    writer.add_name(f"tiny {tiny.architecture}")
    writer.add_context_length(512)
    writer.add_embedding_length(tiny.embd)
    writer.add_block_count(tiny.layers)
    writer.add_feed_forward_length(tiny.ff)
    writer.add_head_count(tiny.heads)
    writer.add_head_count_kv(tiny.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0 if tiny.architecture == "llama" else 1e6)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if tiny.architecture == "llama":
        writer.add_rope_dimension_count(tiny.head_dim)
    if tiny.architecture in ("qwen3", "gemma3"):
        writer.add_key_length(tiny.head_dim)
        writer.add_value_length(tiny.head_dim)
    if tiny.architecture == "gemma3":
        writer.add_sliding_window(tiny.window)


def _tokenizer(writer: gguf.GGUFWriter) -> int:
    """A byte-level BPE vocabulary: 256 bytes, one token per merge, four specials. Returns its size."""
    tokens = [*_byte_letters(), *(merge.replace(" ", "") for merge in MERGES), *SPECIALS]
    control = {tokens.index(name) for name in SPECIALS}
    kinds = [gguf.TokenType.CONTROL if i in control else gguf.TokenType.NORMAL for i in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|pad|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)
    return len(tokens)


def _byte_letters() -> list[str]:
    """GPT-2's printable letter for each byte value."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _weights(tiny: Tiny, vocabulary: int) -> Iterator[tuple[str, F32]]:
    """All tensors in file order. Matrices keep the variance of their input; norms and biases are near 1 and 0."""
    random = np.random.default_rng(tiny.seed)
    queries, keys = tiny.heads * tiny.head_dim, tiny.kv_heads * tiny.head_dim
    gemma = tiny.architecture == "gemma3"

    def matrix(out: int, into: int, gain: float = 1.0) -> F32:
        return (random.standard_normal((out, into)) * gain / np.sqrt(into)).astype(np.float32)

    def vector(size: int, mean: float = 1.0) -> F32:
        return (mean + 0.1 * random.standard_normal(size)).astype(np.float32)

    # Logits get a spread of about 4 nats. A token's own embedding stays visible at the end of the stack, just enough
    # that the likeliest token stands clear (the token itself when tied, the one after it when not).
    embedding = matrix(vocabulary, tiny.embd, 4.0)
    added = 2.0 * np.sqrt(tiny.embd / 64)  # what a sub-layer of gemma3 adds, against an embedding of rms 4
    yield "token_embd.weight", embedding
    for layer in range(tiny.layers):
        at = f"blk.{layer}."
        yield at + "attn_norm.weight", vector(tiny.embd)
        yield at + "attn_q.weight", matrix(queries, tiny.embd, 1.5)
        yield at + "attn_k.weight", matrix(keys, tiny.embd, 1.5)
        yield at + "attn_v.weight", matrix(keys, tiny.embd)
        yield at + "attn_output.weight", matrix(tiny.embd, queries, 0.55)
        if tiny.architecture == "qwen2":
            yield at + "attn_q.bias", vector(queries, 0.0)
            yield at + "attn_k.bias", vector(keys, 0.0)
            yield at + "attn_v.bias", vector(keys, 0.0)
        if tiny.architecture in ("qwen3", "gemma3"):
            yield at + "attn_q_norm.weight", vector(tiny.head_dim)
            yield at + "attn_k_norm.weight", vector(tiny.head_dim)
        if gemma:
            yield at + "post_attention_norm.weight", vector(tiny.embd, added)
        yield at + "ffn_norm.weight", vector(tiny.embd)
        yield at + "ffn_gate.weight", matrix(tiny.ff, tiny.embd, 1.5)
        yield at + "ffn_up.weight", matrix(tiny.ff, tiny.embd)
        yield at + "ffn_down.weight", matrix(tiny.embd, tiny.ff, 0.55)
        if gemma:
            yield at + "post_ffw_norm.weight", vector(tiny.embd, added)
    yield "output_norm.weight", vector(tiny.embd)
    if tiny.rope_factors:
        yield "rope_freqs.weight", np.geomspace(1.0, 8.0, tiny.head_dim // 2, dtype=np.float32)
    if not tiny.tied:
        yield "output.weight", np.roll(embedding, 1, axis=0)
