"""Succession: which held memory a new one is, and which one it takes the place of.

Owns that decision, for all that a day tells: told again, told otherwise, told to be over. Leaves what a message says
to its readers and to `corrections`, and vectors to `embed`. Must stay true: two different facts are never made one. So
a vector only says which memories are near enough to be looked at, for one that means the opposite is as near
(docs/LOG.md); one is the other only where both have the same value and are asked the same, and one replaces the other
only where they are of one subject, are asked the same, and can't both hold or are said not to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgesleep.embed import Embedder, Floats, nearest
from edgesleep.night.corrections import Correction, content, corrected, corrections, told_with
from edgesleep.night.lexicon import OF_SEVERAL, words
from edgesleep.night.phrases import fold, right
from edgesleep.records import Memory, digest

NEAR = 12  # held memories that a new one is compared with

# Says that what was so is so no more, without saying what it was.
_CHANGE = re.compile(
    r"\b(?:now|nowadays|these days|from now on|actually|correction|no longer|any ?more|instead|changed|switched|moved"
    r"|new|update[ds]?|used to|not [\w ]+ but)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:called|names?|named|correction)\b", re.IGNORECASE)  # not "my sister Ida now lives here"
_TOO = re.compile(r"\b(?:too|also|as well|another|besides|second|other)\b", re.IGNORECASE)
_RUNNING = re.compile(r"how (?:many|much|long|often)\b.* (?:have|has|do|does|is|are|am) ")
_BOUNDS = re.compile(r"(?<=[.!?])\s+|\n+")
_MORE_AND_MORE = {*words("""
    allergy not fear have own play speak collect know learn learning love like enjoy adore hate dislike loathe detest
    stand bear grow keep read finish buy visit eat cook make worked do can't
""")}  # fmt: skip


@dataclass(frozen=True)
class Day:
    """What a day's turns say: memories, in the order in which they were first told, and the ids of those that ended.

    A memory with the relation of one that was held is that one, or takes its place.
    """

    memories: tuple[Memory, ...] = ()
    ended: tuple[str, ...] = ()


class Ledger:
    """What holds of all that the user told: the memories held from earlier days, and those of this one so far."""

    def __init__(self, held: Sequence[Memory], embedder: Callable[[], Embedder]) -> None:
        self._held = {memory.relation: memory for memory in held}
        self._told: dict[str, Memory] = {}
        self._ended: dict[str, None] = {}
        self._vectors: dict[str, Floats] = {}
        self._load = embedder

    @property
    def day(self) -> Day:
        """What the messages so far came to."""
        return Day(tuple(self._told.values()), tuple(self._ended))

    def enter(self, found: Sequence[Memory], text: str, turn: int, at: str) -> None:
        """Take down what one message tells; `text` is the user's own part of it, its dates absolute."""
        loose = [memory for memory in self._standing() if memory.at <= at and not memory.pinned]
        mended = list(corrections(text, loose))
        covered = {fix.memory.id: _covering(fix, found) for fix in mended}
        better = {
            _saying_it(fix, found) for fix in mended if fix.memory.kind != "saying" and not covered[fix.memory.id]
        }
        gone = []
        for memory in map(self._told_apart(found, text), found):
            if memory.id in better:
                continue
            memory, other = self._placed(memory, text)
            if other is None and self._of(memory.relation) is None:
                other = next((fix.memory for fix in mended if covered[fix.memory.id] == memory.id), None)
            gone += self._put(memory, other)
        for fix in mended:
            if self._stands(fix.memory):
                fresh = None if covered[fix.memory.id] else corrected(fix.memory, fix.value, turn, at)
                gone += self._put(fresh, fix.memory) if fresh else self._end(fix.memory)
        # With a memory goes what the same message says with its words and value, unless it was told again.
        for other in [other for memory in gone for other in told_with(memory, self._standing())]:
            if turn not in other.turn_ids and not other.pinned:
                self._end(other)

    # -- what is there

    def _standing(self) -> list[Memory]:
        return [*{**self._held, **self._told}.values()]

    def _of(self, relation: str) -> Memory | None:
        return self._told.get(relation) or self._held.get(relation)

    def _stands(self, memory: Memory) -> bool:
        there = self._of(memory.relation)
        return there is not None and there.id == memory.id

    def _put(self, memory: Memory, instead: Memory | None = None) -> list[Memory]:
        """Let a memory hold, `instead` of another or of what has its relation; what it takes the place of."""
        before, gone = self._of(memory.relation), [instead] if instead else []
        if before and before.id == memory.id:
            first = self._told.get(memory.relation)
            ids = tuple(dict.fromkeys((first.turn_ids if first else ()) + memory.turn_ids))
            memory = replace(before, turn_ids=ids, at=memory.at)
        elif before and fold(before.value) != fold(memory.value) and before.at <= memory.at and not before.pinned:
            gone.append(before)
        for old in gone:
            memory = replace(memory, instead_of=old.value)
            if old.relation != memory.relation:
                self._end(old)
        self._ended.pop(memory.id, None)
        self._told[memory.relation] = memory
        return gone

    def _end(self, memory: Memory) -> list[Memory]:
        """Let a memory hold no longer; itself."""
        self._told.pop(memory.relation, None)
        if held := self._held.pop(memory.relation, None):
            self._ended[held.id] = None
        return [memory]

    # -- where a new memory belongs

    def _told_apart(self, found: Sequence[Memory], text: str) -> Callable[[Memory], Memory]:
        """How the memories of a message are kept from those of another one's brother: by the name it gives."""
        names = {}
        for memory in found:
            there = self._of(memory.relation)
            another = there and fold(there.value) != fold(memory.value) and not is_changed(memory, text)
            if another and memory.relation.endswith("|name") and _may_be_several(memory):
                names[_subject(memory)] = memory.value.lower()

        def apart(memory: Memory) -> Memory:
            subject, _, slot = memory.relation.partition("|")
            named = subject in names and slot != "name"
            return moved_to(memory, f"{subject} {names[subject]}|{slot}") if named else memory

        return apart

    def _placed(self, memory: Memory, text: str) -> tuple[Memory, Memory | None]:
        """The memory, as the one that it is where it was held before, and the one that it takes the place of, if any.

        What has the memory's own relation is not looked for: `_put` sees to it.
        """
        change = is_changed(memory, text)
        there = self._of(memory.relation)
        if there and not change and fold(there.value) != fold(memory.value) and _may_be_several(memory):
            memory = moved_to(memory, f"{memory.relation}|{fold(memory.value)}")
            there = self._of(memory.relation)
        for other in [] if there else self._near(memory):
            if _is_same(memory, other):
                return replace(memory, id=other.id, relation=other.relation), None
            if _replaces(memory, other, change) and not other.pinned:
                return memory, other
        return memory, None

    def _near(self, memory: Memory) -> list[Memory]:
        """The nearest of what stands, best first; what came in the same message is no older wording of it."""
        standing = [other for other in self._standing() if other.at <= memory.at and other.turn_ids != memory.turn_ids]
        alike = [other for other in standing if _is_like(memory, other)]
        if not alike:
            return []
        unknown = [text for text in {m.statement for m in (memory, *alike)} if text not in self._vectors]
        self._vectors.update(zip(unknown, self._embedder.embed(unknown), strict=True))
        vectors = np.stack([self._vectors[other.statement] for other in alike])
        places, _ = nearest(self._vectors[memory.statement][None], vectors, NEAR)
        return [alike[place] for place in places[0]]

    @cached_property
    def _embedder(self) -> Embedder:
        return self._load()


def _covering(fix: Correction, found: Sequence[Memory]) -> str:
    """The id of what the message itself tells with the new value, if anything as good as what it corrects."""
    return next((m.id for m in _telling(fix, found) if m.kind != "saying" or fix.memory.kind == "saying"), "")


def _saying_it(fix: Correction, found: Sequence[Memory]) -> str:
    """The id of the saying that the old memory with its new value says better."""
    return next((memory.id for memory in _telling(fix, found)), "")


def _telling(fix: Correction, found: Sequence[Memory]) -> list[Memory]:
    about, value = content(fix.memory.told, fix.memory.value), fix.value
    said = [memory for memory in found if value and (right(memory.value, value) or right(value, memory.value))]
    return [memory for memory in said if content(memory.told) & about]


def moved_to(memory: Memory, relation: str) -> Memory:
    """The memory on another topic, and so another one."""
    return replace(memory, relation=relation, id=digest((relation, fold(memory.value)))[:12])


def is_changed(memory: Memory, text: str) -> bool:
    """Whether a message says that what it tells was otherwise before, and that is not another one's."""
    several = _may_be_several(memory)
    changed = _says(_NAMED if several else _CHANGE, text, memory) and not _says(_TOO, text, memory)
    return changed and (not several or _says(_CHANGE, text, memory))


def _says(marks: re.Pattern[str], text: str, memory: Memory) -> bool:
    """Whether a message has such a mark in the sentence that tells a memory, or in a short one before it."""
    before = ""
    for sentence in _BOUNDS.split(text):
        if right(sentence, memory.value) and marks.search(f"{before} {sentence}"):
            return True
        before = sentence if len(sentence.split()) <= 5 else ""
    return False


def _is_like(memory: Memory, other: Memory) -> bool:
    """Whether the two can be about one thing: of one kind of source, with a word or the value in common."""
    if _family(memory) != _family(other):
        return False
    return bool(content(memory.told) & content(other.told))


def _family(memory: Memory) -> str:
    first = memory.relation.partition("|")[0]
    return first if first in ("note", "you", "who") else ""


def _subject(memory: Memory) -> str:
    """Whom or what a memory is of, as its relation says; a new boss is the boss."""
    return re.sub(r"^my (?:new|current|present) ", "my ", memory.relation.partition("|")[0])


def _may_be_several(memory: Memory) -> bool:
    """Whether another value under the same relation can be another one's: of two brothers, or two who drive."""
    subject, _, slot = memory.relation.partition("|")
    if subject == "who":
        return not re.search(r"\b(?:my|our)\b", slot)  # one has the spare key
    return slot == "name" and subject.split()[-1] in OF_SEVERAL


def _asks(memory: Memory) -> set[str]:
    return {re.sub(r"\b(?:now|current|new) ", "", f"{fold(question.ask)} ").strip() for question in memory.questions}


def _is_same(memory: Memory, other: Memory) -> bool:
    """The same value, and the same words round it or the same question for it."""
    if fold(memory.value) != fold(other.value):
        return False
    if _meaning(memory.told) == _meaning(other.told):
        return True
    return _subject(memory) == _subject(other) and memory.kind == other.kind != "saying" and _asked_alike(memory, other)


def _asked_alike(memory: Memory, other: Memory) -> bool:
    """Whether both have the same first question: further ones may be as vague as "what did I tell you about it?"."""
    first, second = memory.questions[0].ask, other.questions[0].ask
    return fold(first) in _asks(other) or fold(second) in _asks(memory)


def _replaces(memory: Memory, other: Memory, change: bool) -> bool:
    """Whether the other can't hold as well: of one subject, asked the same, and now told otherwise."""
    if fold(memory.value) == fold(other.value):
        return False
    if "saying" in (memory.kind, other.kind):
        alike = memory.kind == other.kind and _around(memory) == _around(other) and _shape(memory) == _shape(other)
        return change and alike
    if _subject(memory) != _subject(other):
        return False
    if memory.relation.split("|")[1:] == other.relation.split("|")[1:] and not _may_be_several(memory):
        return True  # the new boss and the boss
    if _is_running(memory) and _is_running(other) and _asks(memory) & _asks(other):
        return True  # how many videos I have watched, and how many now
    slots = {*re.split(r"[| ]", f"{memory.relation}|{other.relation}")}
    return change and not slots & _MORE_AND_MORE and _asked_alike(memory, other)


def _is_running(memory: Memory) -> bool:
    """Whether a memory counts or measures what goes on: "how many have I read?", not "how many did I read?"."""
    return bool(_RUNNING.match(memory.questions[0].ask)) and memory.kind != "saying"


def _around(memory: Memory) -> str:
    """A statement with a gap for its value, without the words that only say that it changed."""
    gap = re.sub(rf"\b{re.escape(fold(memory.value))}\b", "_", fold(memory.told))
    return re.sub(r"\b(?:now|actually|currently|the|our|my) ?", "", gap).strip()


def _shape(memory: Memory) -> str:
    return "number" if memory.value[:1].isdigit() else "name" if memory.value[:1].isupper() else "thing"


def _meaning(told: str) -> tuple[str, ...]:
    """The words of a statement that a paraphrase would share, in their order."""
    return tuple(word for word in fold(told).split() if word not in ("the", "a", "an", "my", "our", "now", "actually"))
