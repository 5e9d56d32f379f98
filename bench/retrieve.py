"""The turns that fit a question best: by BM25, and by the angle between sentence embeddings.

    python bench/retrieve.py [--threads 1]    how often the turn with the answer is among the best; asks no model

Owns what the retrieving arms of bench/learn.py look things up with. Leaves putting the turns into a prompt to arms.py.
Only turns that may teach are looked through, as in a night. BM25 is SQLite's own (FTS5, Porter stems), the embeddings
those of edgesleep.embed. Must stay true: an arm is what its name says; where it cannot be had, `Missing` says why.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import time
from collections.abc import Sequence
from typing import Protocol

from exams import STYLES, TOLD, Said, hand

from edgesleep import machine
from edgesleep.embed import Embedder, MiniLM, Pieces, nearest
from edgesleep.errors import EdgesleepError


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
        places, _ = nearest(self._embedder.embed([query]), self._vectors, count)
        return [self.turns[place] for place in sorted(places[0])]


def sentence_model(threads: int) -> Embedder:
    """Raises Missing where it cannot be had: letters are no stand-in for the arm that is called `embedding`."""
    try:
        return MiniLM(threads)
    except EdgesleepError as error:
        raise Missing(f"{error} {error.hint}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    print(f"{machine.describe()}, {threads} threads")
    last = len(hand()[0].days) - 1
    turns = hand()[0].turns(last)
    print(f"{'':26}{'style':9}{'asked':>7}{'in 1':>7}{'in 3':>7}{'in 10':>7}")
    show("BM25", Lexical(turns), last)
    for embedder in (sentence_model(threads), Pieces()):
        found = Semantic(turns, embedder)
        texts = [turn.text for turn in found.turns]
        began = time.perf_counter()
        embedder.embed(texts)
        each = (time.perf_counter() - began) / len(texts)
        show(embedder.name, found, last)
        print(f"    {1000 * each:.2f} ms for each of {len(texts)} turns")


def show(name: str, found: Retriever, night: int) -> None:
    for style in STYLES:
        asked = [q for q in hand()[0].questions if q.holds(night) and q.kind in TOLD and q.style == style]
        shares = [
            sum(any(turn.id in (q.record or q.evidence) for turn in found.top(q.text, count)) for q in asked)
            / len(asked)
            for count in (1, 3, 10)
        ]
        print(f"{name:26}{style:9}{len(asked):>7}{''.join(f'{share:>7.2f}' for share in shares)}")


if __name__ == "__main__":
    main()
