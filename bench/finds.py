"""How many of an exam's facts the nights' curation finds, without any model: the ceiling of what nights can learn.

Owns that count. Each day goes into a journal and is gathered from there as a night would, so that what was told again
is one memory and what was corrected stands in place of the old. A fact is found where a memory came from a turn that is
its evidence and the memory's value holds an accepted span. Leaves curation to edgesleep.night. Also counted: memories
that no question is about (they may be right or junk, which a person has to judge), those whose value only others said,
of which there may be none, and those that hold on although their value was corrected.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from exams import TOLD, Exam, Question, Said
from scoring import says

from edgesleep.entries import Entry
from edgesleep.journal import Journal
from edgesleep.night import agenda
from edgesleep.night.hearing import hear
from edgesleep.records import Memory


@dataclass(frozen=True)
class Finds:
    """Facts by id; `missed` could have been found, `unfounded` have no turn that says them in so many words."""

    exam: str
    found: tuple[str, ...]
    missed: tuple[str, ...]
    unfounded: tuple[str, ...]
    memories: int
    other: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        facts = len(self.found) + len(self.missed)
        return len(self.found) / facts if facts else 0.0


def finds(exam: Exam) -> Finds:
    """Gather day after day, as the nights would, and look for each fact in the memories of its own day."""
    told = [turn for day in exam.days for turn in day if turn.text.strip()]
    names = {number: turn.id for number, turn in enumerate(told, start=1)}
    memories, over = gathered(exam)
    facts: dict[tuple[str, int], Question] = {}
    for question in exam.questions:
        if question.kind in TOLD:
            facts.setdefault((question.fact, question.day), question)
    found, missed, unfounded = [], [], []
    used: set[str] = set()
    for (fact, day), question in facts.items():
        label = f"{fact} (day {day + 1})" if len(exam.days) > 1 else fact
        hits = [memory.id for memory in memories if _tells(memory, question, names)]
        used.update(hits)
        (found if hits else missed if question.evidence else unfounded).append(label)
    wrong = [span for question in exam.questions if question.kind == "foreign" for span in question.wrong]
    other = [memory.statement for memory in memories if memory.id not in used]
    foreign = [memory.statement for memory in memories if says(memory.value, wrong)]
    stale = [memory.statement for memory in memories if memory.id not in over and _is_stale(memory, exam, names)]
    rest = (tuple(texts) for texts in (other, foreign, stale))
    return Finds(exam.name, tuple(found), tuple(missed), tuple(unfounded), len(memories), *rest)


def gathered(exam: Exam) -> tuple[list[Memory], set[str]]:
    """All memories of an exam's days, gathered night by night, and the ids of those that later ones replaced."""
    # In this process, which loads the parser once for all days.
    with (
        tempfile.TemporaryDirectory() as home,
        Journal.open(Path(home)) as journal,
        patch.object(agenda, "curate", hear),
    ):
        for day in exam.days:
            journal.log_many([_entry(turn) for turn in day if turn.text.strip()])
            agenda.gather(journal, force=False)
        return journal.memories(), {memory.id for memory in journal.memories("replaced")}


def _entry(turn: Said) -> Entry:
    return Entry(turn.role, turn.text, source=turn.source, session="exam", at=turn.at)


def _is_stale(memory: Memory, exam: Exam, names: dict[int, str]) -> bool:
    """Whether a memory has the value that a fact had before it was corrected, from the turns that told that fact."""
    said = {names[turn] for turn in memory.turn_ids}
    for question in exam.questions:
        if question.kind == "correction" and says(memory.value, question.wrong):
            same = [other for other in exam.questions if other.fact == question.fact]
            if said & {turn for other in same for turn in (*other.evidence, *other.record)}:
                return True
    return False


def _tells(memory: Memory, question: Question, names: dict[int, str]) -> bool:
    """Whether a memory holds what a question asks; where the answer is a whole sentence, that it came from its turn."""
    if not {names[turn] for turn in memory.turn_ids} & {*question.evidence}:
        return False
    return bool(question.choices) or says(memory.value, question.accepted)
