"""Models of real shapes with random weights, to measure speed and memory where no download is wanted.

    python bench/models.py                 lists the shapes
    python bench/models.py 1b [--seed 0]   writes that one into the cache, or to --path

Owns the numbers of the architectures and a mix of types like llama.cpp's
Q4_K_M. A file is the same for the same seed, and is written a few MiB at a
time. It has no tokenizer: edgesleep's network reads it, llama.cpp does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from edgesleep import catalog
from edgesleep.files import whole_file

PIECE = 1 << 22  # bytes made at a time


@dataclass(frozen=True)
class Shape:
    """The numbers of a published model. Output rows are the token embedding in all of these."""

    like: str
    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    vocabulary: int
    rope_base: float
    epsilon: float


SHAPES = {
    "0.5b": Shape("Qwen2.5-0.5B", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 1e6, 1e-6),
    "1b": Shape("Llama-3.2-1B", "llama", 16, 2048, 32, 8, 64, 8192, 128256, 5e5, 1e-5),
    "3b": Shape("Llama-3.2-3B", "llama", 28, 3072, 24, 8, 128, 8192, 128256, 5e5, 1e-5),
}

# Where a block keeps its 16-bit scales, and their ratio: with the minimum at 7.5 steps, Q4_K is centred.
SCALES = {Type.Q5_0: {0: 1.0}, Type.Q8_0: {0: 1.0}, Type.Q4_K: {0: 1.0, 2: 7.5}, Type.Q6_K: {208: 1.0}}
FALLBACK = {Type.Q4_K: Type.Q5_0, Type.Q6_K: Type.Q8_0}  # llama.cpp's, for rows that are not made of 256


@dataclass(frozen=True)
class Entry:
    """One tensor to be written."""

    name: str
    shape: tuple[int, ...]
    type: Type

    @property
    def nbytes(self) -> int:
        weights, size = gguf.GGML_QUANT_SIZES[self.type]
        return prod(self.shape) // weights * size


def locate(spec: str, seed: int = 0) -> Path:
    """The file of a shape, made in the cache where it is not there yet; or what `catalog.resolve` finds."""
    if spec not in SHAPES:
        return catalog.resolve(spec, print)
    path = catalog.cache_folder() / "bench" / f"random-{spec}-{seed}.gguf"
    return path if path.exists() else make(path, SHAPES[spec], seed)


def make(path: Path, shape: Shape, seed: int = 0) -> Path:
    """Write the model, whole or not at all; the same bytes for the same seed."""
    entries = tuple(tensors(shape))
    random = np.random.default_rng(seed)
    with whole_file(path) as file, closing(gguf.GGUFWriter(file.name, shape.architecture)) as writer:
        describe(writer, shape, f"random {shape.like}, seed {seed}")
        for entry in entries:
            writer.add_tensor_info(entry.name, entry.shape, np.dtype(np.float32), entry.nbytes, entry.type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        (out,) = writer.fout or ()
        writer.write_padding(out, out.tell())
        for entry in entries:
            for piece in content(entry, shape, random):
                out.write(piece.tobytes())
            writer.write_padding(out, entry.nbytes)
    return path


def describe(writer: gguf.GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_context_length(8192)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def tensors(shape: Shape) -> Iterator[Entry]:
    """All tensors in file order, in the types that llama.cpp's Q4_K_M gives them."""
    queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    linears = {
        "attn_q": (queries, shape.width),
        "attn_k": (keys, shape.width),
        "attn_v": (keys, shape.width),
        "attn_output": (shape.width, queries),
        "ffn_gate": (shape.hidden, shape.width),
        "ffn_up": (shape.hidden, shape.width),
        "ffn_down": (shape.width, shape.hidden),
    }
    yield matrix("token_embd.weight", (shape.vocabulary, shape.width), better=True)
    if shape.architecture == "llama":
        yield Entry("rope_freqs.weight", (shape.head_width // 2,), Type.F32)
    for layer in range(shape.layers):
        for part, size in linears.items():
            better = part in ("attn_v", "ffn_down") and more_bits(layer, shape.layers)
            yield matrix(f"blk.{layer}.{part}.weight", size, better)
            if shape.architecture == "qwen2" and part in ("attn_q", "attn_k", "attn_v"):
                yield Entry(f"blk.{layer}.{part}.bias", size[:1], Type.F32)
        for norm in ("attn_norm", "ffn_norm"):
            yield Entry(f"blk.{layer}.{norm}.weight", (shape.width,), Type.F32)
    yield Entry("output_norm.weight", (shape.width,), Type.F32)


def matrix(name: str, size: tuple[int, int], better: bool) -> Entry:
    type = Type.Q6_K if better else Type.Q4_K
    return Entry(name, size, FALLBACK[type] if size[1] % 256 else type)


def more_bits(layer: int, layers: int) -> bool:
    """llama.cpp's `use_more_bits`: the first and last eighth, and every third layer between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def content(entry: Entry, shape: Shape, random: np.random.Generator) -> Iterator[np.ndarray]:
    """The bytes of one tensor in pieces: matrices of rms 1/sqrt(columns), norms near 1, biases near 0."""
    if entry.type in SCALES:
        weights, size = gguf.GGML_QUANT_SIZES[entry.type]
        left, step = prod(entry.shape) // weights, PIECE // size
        for begin in range(0, left, step):
            yield blocks(entry.type, min(step, left - begin), entry.shape[1] ** -0.5, random)
    elif entry.name == "rope_freqs.weight":
        yield rope_factors(shape)
    else:
        mean = 0.0 if entry.name.endswith("bias") else 1.0
        yield (mean + 0.1 * random.standard_normal(entry.shape)).astype(np.float32)


def blocks(type: Type, count: int, rms: float, random: np.random.Generator) -> np.ndarray:
    """`count` blocks of random codes, uint8 [count, bytes of a block], whose weights have about this rms."""
    made = random.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[type][1]), np.uint8)
    if type == Type.Q4_K:  # the six bits of every sub-block's minimum become those of its scale
        made[:, 8:12] = made[:, 4:8]
        made[:, 12:16] = made[:, 12:16] & 15 | made[:, 12:16] << 4
    sample = made[:256].copy()
    set_scales(type, sample, 1.0)
    unit = gguf.quants.dequantize(sample, type)
    set_scales(type, made, rms / float(np.sqrt(np.square(unit).mean())))
    return made


def set_scales(type: Type, made: np.ndarray, scale: float) -> None:
    for at, ratio in SCALES[type].items():
        made[:, at : at + 2] = np.array([ratio * scale], "<f2").view(np.uint8)


def rope_factors(shape: Shape) -> np.ndarray:
    """What a llama3 file divides its turns by: slow turns by 32, fast ones by 1, smoothly between."""
    turns = shape.rope_base ** -(np.arange(0, shape.head_width, 2) / shape.head_width)
    smooth = np.clip((8192 * turns / (2 * np.pi) - 1.0) / (4.0 - 1.0), 0.0, 1.0)
    return (1.0 / ((1 - smooth) / 32 + smooth)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shape", nargs="?", choices=SHAPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--path", type=Path)
    options = parser.parse_args()
    if options.shape is None:
        for name, shape in SHAPES.items():
            size = sum(entry.nbytes for entry in tensors(shape))
            print(f"{name:6}{shape.like:14}{sum(prod(e.shape) for e in tensors(shape)) / 1e9:6.2f} 10^9 weights"
                  f"{size / 2**20:8.0f} MiB")  # fmt: skip
    elif options.path:
        print(make(options.path, SHAPES[options.shape], options.seed))
    else:
        print(locate(options.shape, options.seed))


if __name__ == "__main__":
    main()
