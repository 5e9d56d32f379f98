"""Sentences as vectors: texts that mean much the same lie close together.

Owns the sentence model in onnxruntime, the counted pieces of words that stand in for it, and finding what is near.
Leaves fetching the model to `catalog`, and how near is near enough to whoever asks: cosines of the two kinds do not
compare, and what is near is about the same matter, not the same fact (docs/LOG.md). Must stay true: vectors are f32 of
length 1; a text's vector depends on the text and the kind alone, not on its neighbours; the chosen kind says its name,
and why it is not the better one.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesleep import catalog, machine
from edgesleep.catalog import Say
from edgesleep.errors import EdgesleepError

Floats = NDArray[np.float32]

_MAX_TOKENS = 256  # of a text, as the model was trained; the rest of a longer one is not read
_BATCH = 8  # more only pad more: in docs/LOG.md, 8 texts at once were fastest


class Embedder(Protocol):
    """What both kinds do. `why` says what the better kind lacked; empty where this is the one that was wanted."""

    name: str
    width: int
    why: str

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit vector for each text, [texts, width] in f32, also for an empty text."""


def load(threads: int = 0, download: bool = True, say: Say = lambda line: None) -> Embedder:
    """The sentence model, or counted pieces of words where it cannot be had: then `say` is told, and `why` keeps it.

    Without `download` only what is in the cache counts. `threads` as in `machine.threads`.
    """
    try:
        return MiniLM(threads, download, say)
    except EdgesleepError as error:
        say(f"Sentences are compared by their letters, not by their meaning. {error.message} {error.hint}")
        return Pieces(error.message)


class MiniLM:
    """all-MiniLM-L6-v2 with weights of 8 bits: the mean of its last states over the tokens of a text.

    The products are f32, so that a text has the same vector alone as among others.
    """

    name = "all-MiniLM-L6-v2, 8 bits"
    width = 384
    why = ""

    def __init__(self, threads: int = 0, download: bool = True, say: Say = lambda line: None) -> None:
        """Arguments as of `load`. Raises EdgesleepError where onnxruntime, tokenizers or the model cannot be had."""
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EdgesleepError(
                f"{error.name or 'onnxruntime'} cannot be loaded: {error}.", "Install edgesleep again with pip."
            ) from error
        model, tokenizer = (catalog.obtain(entry, say, download) for entry in catalog.sentence_model())
        onnxruntime.disable_telemetry_events()  # its builds for Windows would report to their maker
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = machine.threads(threads)
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer.no_padding()  # the file asks for 128 tokens always

    def embed(self, texts: Sequence[str]) -> Floats:
        # One by one: encode_batch would take threads of its own.
        tokens = [self._tokenizer.encode(text).ids for text in texts]
        by_length = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        vectors = np.empty((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = by_length[start : start + _BATCH]
            vectors[batch] = self._summed([tokens[place] for place in batch])
        return _unit(vectors)

    def _summed(self, batch: Sequence[list[int]]) -> Floats:
        """Last states, summed over the tokens: the direction of their mean."""
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(None, feed)
        return np.asarray((states * mask[..., None]).sum(axis=1), np.float32)


class Pieces:
    """Words, and runs of 3 to 5 letters across them, each counted at the place that its hash gives it.

    Finds what is worded alike, in any language and with other endings; blind to other words for the same thing.
    """

    name = "pieces of words"
    width = 2048

    def __init__(self, why: str = "") -> None:
        self.why = why

    def embed(self, texts: Sequence[str]) -> Floats:
        vectors = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            for piece, count in Counter(_pieces(text)).items():
                # No signs: two pieces in one place never cancel, so no vector is zero. `hash` differs by process.
                vectors[row, zlib.crc32(piece.encode()) % self.width] += 1 + math.log(count)
        return _unit(vectors)


def _pieces(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.casefold())
    yield from words
    line = f"^{' '.join(words)}$"
    for length in (3, 4, 5):
        yield from (line[start : start + length] for start in range(max(1, len(line) - length + 1)))


def _unit(vectors: Floats) -> Floats:
    """Divides in place."""
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def nearest(queries: Floats, vectors: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """The vectors nearest each query, best first: their places and cosines, both [queries, at most count].

    Both are unit vectors of one kind. Of equally near ones, the earlier comes first.
    """
    cosines = queries @ vectors.T
    places = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return places, np.take_along_axis(cosines, places, axis=1)
