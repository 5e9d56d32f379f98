"""Recall: what the user said before, put into the prompt until the weights know it.

Owns what is found for a question, and the words in which it stands before it. Leaves what holds to `journal`, what is
a secret to `secrets` and asking to whoever asks. Must stay true: only what the user said is quoted, never what was
forgotten, replaced or withheld, nor what the weights know; a quote is one line without a control token. The index lies
in memory and is made from the journal: nothing is to be erased or encrypted but that, and each hit is looked up there
again before it is quoted.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesleep import embed, secrets
from edgesleep.config import RecallSettings
from edgesleep.embed import Embedder, Floats
from edgesleep.journal import Journal
from edgesleep.records import Memory, Turn
from edgesleep.tombstones import Tombstones

HOLD = ("new", "weak", "learned")  # states of memories
PIECE = 240  # characters of a quote
READ = 8000  # characters of a message that are looked through; what is longer was pasted
LOOK_BACK = 10_000  # messages, of all roles, before the latest: what is older is found as memories alone
HITS = 24  # by words, of which the nearest are taken
SPARE = 4  # times as many are looked up, as some may not be quoted
LATEST = 16  # statements, and as many memories, that are looked at whatever words they have
NEAR = {embed.MiniLM.name: 0.45, embed.Pieces.name: 0.3}  # cosine from which on a text without a word in common counts
SHARE = 0.6  # of the best one's score that others need

# Words that say nothing of what a question is about.
_COMMON = (
    "a about again am an and any are as at be been but by can could did do does for from had has have he her hers him "
    "his how i if in is it its just know me mine my not of on or our ours please remember she so some tell than that "
    "the their them then there these they this those to told us was we were what when where which who whom whose why "
    "will with would you your yours"
)
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s)[^.!?\n]*)*[.!?]*")
# Every spelling of a control token, of a line that another speaks, and of the end of a quote needs one of these.
_PLAIN = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "{": "(", "}": ")", '"': "'", "“": "'", "”": "'"})


@dataclass(frozen=True)
class Recalled:
    """Something that the user said, `at` a time (ISO 8601); a memory by its id, or the number of a message.

    `score` is the sum of a share of the best rank by words, and the cosine with the question. `covered` is the text as
    it may be shown: without secrets that were approved.
    """

    text: str
    at: str
    memory: str = ""
    turn: int = 0
    score: float = 0.0
    covered: str = ""


class Recall:
    """What can be found of one journal; used by one thread. The journal is given each time, and may be opened anew."""

    def __init__(self, settings: RecallSettings, embedder: Embedder | None = None, *, weights: bool = True) -> None:
        """`embedder` is the sentence model where it is in the cache, or else `embed.Pieces`.

        Without `weights`, whoever is asked has none that learned here: what they know is quoted as well. No secret is,
        as those that were approved were approved for our own.
        """
        self.settings, self.weights = settings, weights
        self._embedder = embedder
        self._through = 0
        self._memories: dict[str, Memory] = {}
        self._secret: list[str] = []  # values that were approved
        self._vectors: dict[str, Floats] = {}
        self._db = sqlite3.connect(":memory:")
        self._db.execute("PRAGMA temp_store=MEMORY")
        self._db.execute(
            "CREATE VIRTUAL TABLE said USING fts5(text, turn UNINDEXED, sha256 UNINDEXED, start UNINDEXED, "
            "memory UNINDEXED, tokenize='porter unicode61 remove_diacritics 2')"
        )

    def find(self, journal: Journal, question: str, beside: Iterable[str] = ()) -> list[Recalled]:
        """What bears on the question, the earliest first; nothing that one of the texts `beside` it says already.

        Raises EdgesleepError where the journal cannot be read.
        """
        self._keep_up(journal)
        stones = journal.tombstones()
        hits = self._hits(question)
        turns = {turn.id: turn for turn in journal.quotable({hit.turn for hit in hits if hit.turn})}
        scored = self._scored(question, {hit: hits[hit] for hit in hits if not hit.turn or hit.turn in turns})
        held = [_plain(text) for text in (question, *beside)]
        found: list[Recalled] = []
        room = self.settings.length
        for score, hit in scored:
            if score < SHARE * scored[0][0] or len(found) == self.settings.items:
                break
            one = self._recalled(hit, score, turns, stones)
            if one and len(one.text) <= room and not any(one.text in text for text in held):
                found.append(one)
                held.append(one.text)
                room -= len(one.text)
        return sorted(found, key=lambda one: one.at)

    # -- the index -----------------------------------------------------------------------------------------------

    def _keep_up(self, journal: Journal) -> None:
        """Take in what was said since, and which memories there are now."""
        self._through = self._through or max(0, journal.extent()[1] - LOOK_BACK)
        for turn in journal.turns(after=self._through):
            self._through = turn.id
            if turn.teaches:
                self._db.executemany(
                    "INSERT INTO said VALUES (?, ?, ?, ?, '')",
                    [(text, turn.id, turn.sha256, start) for start, text in _pieces(turn.content)],
                )
        approved = {memory for ids in journal.approved().values() for memory in ids}
        self._secret = [*_values(journal.memories(), approved)] if approved else []
        held = journal.ungraduated() if self.weights else [m for state in HOLD for m in journal.memories(state)]
        memories = {memory.id: memory for memory in held if self.weights or memory.id not in approved}
        if memories != self._memories:
            self._memories = memories
            self._db.execute("DELETE FROM said WHERE memory != ''")
            rows = [(_asked_by(memory), memory.id) for memory in memories.values()]
            self._db.executemany("INSERT INTO said VALUES (?, 0, '', 0, ?)", rows)

    def _hits(self, question: str) -> dict[_Hit, float]:
        """What has words in common with a question, by how much beside the best, and what is the latest."""
        common = {*_COMMON.split()}
        words = [word for word in re.findall(r"\w+", question.casefold()) if word not in common]
        asked = " OR ".join(f'"{word}"' for word in dict.fromkeys(words[:64]))
        columns = "text, turn, sha256, start, memory"
        hits: dict[_Hit, float] = {}
        if asked:
            sql = f"SELECT {columns}, bm25(said) FROM said WHERE said MATCH ? ORDER BY rank LIMIT {SPARE * HITS}"
            rows = self._db.execute(sql, [asked]).fetchall()
            best = min((rank for *_, rank in rows), default=0.0)
            hits = {_Hit(*row): rank / best if best else 1.0 for *row, rank in rows}
        for kind in ("memory = ''", "memory != ''"):
            sql = f"SELECT {columns} FROM said WHERE {kind} ORDER BY rowid DESC LIMIT {LATEST}"
            hits |= {hit: 0.0 for row in self._db.execute(sql) if (hit := _Hit(*row)) not in hits}
        return hits

    def _scored(self, question: str, hits: dict[_Hit, float]) -> list[tuple[float, _Hit]]:
        """Of hits the best first, by words and nearness; without those that have neither."""
        by_words = [hit for hit, score in hits.items() if score][:HITS]
        chosen = [*by_words, *(hit for hit, score in hits.items() if not score)]
        if not chosen:
            return []
        cosines, near = self._cosines(question, [self._text(hit) for hit in chosen]), NEAR[self._kind.name]
        pairs = zip(chosen, map(float, cosines), strict=True)
        scored = [(hits[hit] + cosine, hit) for hit, cosine in pairs if hits[hit] or cosine >= near]
        return sorted(scored, key=lambda pair: -pair[0])

    @property
    def _kind(self) -> Embedder:
        if self._embedder is None:
            self._embedder = embed.load(threads=1, download=False)
        return self._embedder

    def _cosines(self, question: str, texts: Sequence[str]) -> Floats:
        if new := [text for text in dict.fromkeys(texts) if text not in self._vectors]:
            if len(self._vectors) > 64 * HITS:
                self._vectors, new = {}, [*dict.fromkeys(texts)]
            self._vectors |= dict(zip(new, self._kind.embed(new), strict=True))
        cosines: Floats = np.stack([self._vectors[text] for text in texts]) @ self._kind.embed([question])[0]
        return cosines

    def _text(self, hit: _Hit) -> str:
        return self._memories[hit.memory].told if hit.memory else hit.text

    def _recalled(self, hit: _Hit, score: float, turns: dict[int, Turn], stones: Tombstones) -> Recalled | None:
        """A hit as it may be quoted; None where it may not, or is no longer what the journal has."""
        if hit.memory:
            memory = self._memories[hit.memory]
            told = self._quoted(memory.told, Recalled("", memory.at, memory=memory.id, score=score))
            return None if stones.hold(memory) else told
        turn = turns.get(hit.turn)
        if turn is None or turn.sha256 != hit.sha256 or stones.hold_text(turn.content):
            return None
        kept = " ".join(_open(turn.content, hit.start, hit.start + len(hit.text)))
        return self._quoted(kept, Recalled("", turn.at, turn=turn.id, score=score)) if kept else None

    def _quoted(self, text: str, empty: Recalled) -> Recalled:
        """With its text, in which secrets are covered before a quote changes or cuts them."""
        covered = quoted(secrets.covered(_line(text), self._secret))
        return replace(empty, text=quoted(text) if self.weights else covered, covered=covered)


@dataclass(frozen=True)
class _Hit:
    """A row of the index: a memory, or what stands at `start` of a turn."""

    text: str
    turn: int
    sha256: str
    start: int
    memory: str


def _values(memories: Iterable[Memory], approved: Collection[str]) -> Iterator[str]:
    """The secrets of those that were approved, and what they were before."""
    memories = [*memories]
    about = {memory.relation for memory in memories if memory.id in approved}
    for memory in memories:
        if memory.relation in about:
            yield _line(memory.instead_of)
        if memory.id in approved:
            yield _line(memory.value)


def _asked_by(memory: Memory) -> str:
    """The words by which a memory is found: its own, and those of its questions."""
    return " ".join(dict.fromkeys((memory.told, *(question.ask for question in memory.questions))))


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a message are that are no questions."""
    for match in _SENTENCE.finditer(text[:READ]):
        if re.search(r"\w", match[0]) and not match[0].rstrip().endswith("?"):
            yield match.span()


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Neighbouring statements of a message, up to PIECE characters together, and where they begin."""
    first = last = -1
    for start, end in _statements(text):
        if first >= 0 and (end - first > PIECE or "?" in text[last:start]):
            yield first, text[first:last]
            first = start
        first, last = max(first, 0) if first >= 0 else start, end
    if first >= 0:
        yield first, text[first:last]


def _open(content: str, start: int, end: int) -> Iterator[str]:
    """The statements of a part of a message in which nothing is withheld."""
    secret = [(one.start, one.end) for one in secrets.withheld(content[: READ + PIECE])]
    for first, last in _statements(content):
        if start <= first < end and not any(a < last and first < b for a, b in secret):
            yield content[first:last].strip()


# -- in the prompt -----------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A text as it may stand between quotation marks: one line, not too long, and nothing that a template writes."""
    line = _plain(text)
    return line if len(line) <= PIECE else f"{line[: PIECE - 3]}..."


def _plain(text: str) -> str:
    return _line(text).translate(_PLAIN)


def _line(text: str) -> str:
    return " ".join(text.split())


def preface(found: Sequence[Recalled]) -> str:
    """What stands before the question; empty where nothing was found."""
    if not found:
        return ""
    lines = (f'On {one.at[:10]} I said: "{one.text}"' for one in found)
    return "\n".join(lines)


def prefaced(question: str, found: Sequence[Recalled]) -> str:
    """The question as the model is asked it."""
    return f"{preface(found)}\n\n{question}" if found else question
