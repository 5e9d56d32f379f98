"""Native networks on tiny models, their rows and targets: what the tests of the network share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gguf as ggufpy
import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

from edgesleep.adapter import Adapter
from edgesleep.gguf import Gguf
from edgesleep.model import Target
from edgesleep.network import Network, Trainable

POSITIONS = 500
VOCABULARY = 274
TOKENS = np.random.default_rng(7).integers(0, VOCABULARY, POSITIONS).tolist()
ROWS = [TOKENS[:40], TOKENS[40:57], TOKENS[57:80]]

Floats = NDArray[np.float32]


def of(path: Path, seed: int = 0, exact: bool = True) -> Network:
    return Network(Gguf.open(path), seed, exact=exact)


def trained(net: Trainable) -> Adapter:
    """An adapter with a random delta that changes what tiny models say."""
    adapter = Adapter.fresh(net.shapes, 4, 8.0, 0, "base")
    random = np.random.default_rng(0)
    for _, b in adapter.factors.values():
        b[:] = random.standard_normal(b.shape) * 0.02
    return adapter


Writer = ggufpy.GGUFWriter


def with_metadata(monkeypatch: pytest.MonkeyPatch, extra: Callable[[Writer], None]) -> None:
    """Let `make_tiny` write more metadata."""
    usual = tiny._metadata

    def metadata(writer: Writer, shape: tiny.Tiny) -> None:
        usual(writer, shape)
        extra(writer)

    monkeypatch.setattr(tiny, "_metadata", metadata)


def next_tokens(rows: Sequence[Sequence[int]]) -> list[Target]:
    """Each row's own next tokens, surely."""
    answers = [np.array(row[1:], np.int32)[:, None] for row in rows]
    return [Target(np.arange(len(ids), dtype=np.int32), ids, np.ones(ids.shape, np.float32)) for ids in answers]


def flat(net: Trainable) -> Floats:
    return np.concatenate([part.ravel() for pair in net.gradients.values() for part in pair])
