"""How many of an exam's facts today's curation finds, without any model: the ceiling of what a night can learn.

Owns that count. A fact is found where a memory came from a turn that is its evidence and the memory's value holds an
accepted span. Leaves curation itself to edgesleep.night.curate. Also counted: memories that no question is about (they
may be right or junk, which a person has to judge), and those whose value only others said, of which there may be none.
"""

from __future__ import annotations

from dataclasses import dataclass

from exams import TOLD, Exam, Question, journal_turns
from scoring import says

from edgesleep.night import curate
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

    @property
    def share(self) -> float:
        facts = len(self.found) + len(self.missed)
        return len(self.found) / facts if facts else 0.0


def finds(exam: Exam) -> Finds:
    """Curate day after day, as the nights would, and look for each fact in the memories of its own day."""
    turns, names = journal_turns(exam, len(exam.days) - 1)
    day_of = {turn.id: day for day, told in enumerate(exam.days) for turn in told}
    memories: list[Memory] = []
    for day in range(len(exam.days)):
        told = [turn for turn in turns if day_of[names[turn.id]] == day]
        memories += curate.memories(told, curate.introductions(memories))
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
    return Finds(exam.name, tuple(found), tuple(missed), tuple(unfounded), len(memories), tuple(other), tuple(foreign))


def _tells(memory: Memory, question: Question, names: dict[int, str]) -> bool:
    """Whether a memory holds what a question asks; where the answer is a whole sentence, that it came from its turn."""
    if not {names[turn] for turn in memory.turn_ids} & {*question.evidence}:
        return False
    return bool(question.choices) or says(memory.value, question.accepted)
