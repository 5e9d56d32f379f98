"""What results are compared with: llama.cpp's logits of a file, and what the other kernels find.

Owns what is needed to take llama.cpp's own rounding out of a comparison: by
default it keeps keys and values in f16 and, for quantized weights, rounds
every activation to 8 bits. `dequantized` and `f32_attention` turn both off.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import llama_cpp
import numpy as np
import pytest

from edgesleep import _native, kernel
from edgesleep.engine import Engine, Floats

T = TypeVar("T")
_DEFAULT = llama_cpp.llama_context_default_params


def dequantized(source: Path, path: Path) -> Path:
    """A copy with every tensor in F32, made by llama.cpp's own converter; needs two F32 tensors of memory."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.nthread = llama_cpp.LLAMA_FTYPE_ALL_F32, True, 2
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), ctypes.byref(params))
    assert not failed, f"llama.cpp cannot convert {source.name}"
    return path


def f32_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every Engine from now on keep keys and values, and all that attention does, in f32."""

    def params() -> llama_cpp.llama_context_params:
        chosen = _DEFAULT()
        chosen.type_k = chosen.type_v = llama_cpp.GGML_TYPE_F32
        chosen.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return chosen

    monkeypatch.setattr(llama_cpp, "llama_context_default_params", params)


def llama_logits(path: Path, tokens: Sequence[int], adapter: Path | None = None, *, threads: int = 1) -> Floats:
    """Next-token logits at every position, [len(tokens), vocabulary]. Tiny models are slower on more threads."""
    with Engine(path, adapter=adapter, context=512, threads=threads) as engine:
        return np.concatenate([rows.copy() for rows in engine.logits(tokens)])


def agreement(a: Floats, b: Floats) -> float:
    """Share of positions with the same likeliest token."""
    return float((a.argmax(1) == b.argmax(1)).mean())


def divergence(a: Floats, b: Floats) -> float:
    """Mean KL(a || b) over positions, in nats."""
    total = 0.0
    for one, other in zip(a, b, strict=True):  # row by row: gemma3 has 262,144 logits a position
        p, q = (row.astype(np.float64) - row.max() for row in (one, other))
        p, q = (row - np.log(np.exp(row).sum()) for row in (p, q))
        total += float((np.exp(p) * (p - q)).sum())
    return total / len(a)


def largest(a: Floats, b: Floats) -> float:
    """The largest difference of two logits; NaN where one is."""
    return float(np.abs(a - b).max())


def by_kernel(work: Callable[[], T]) -> list[T]:
    """What `work` gives with every kernel, on one and on three threads."""
    before, found = kernel.name(), []
    try:
        for name in kernel.supported():
            for threads in (1, 3):
                assert _native.select(name) == 0
                kernel.set_threads(threads)
                found.append(work())
    finally:
        _native.select(before)
        kernel.set_threads(0)
    return found
