"""Report: what a night did, gathered for the person whose model it is.

Owns the account of a finished night. Leaves the numbers to the stages that
measured them, and words and pictures to `morning` and `page`; nothing here is
computed that is not on record. Must stay true: a secret that was approved is
covered, whoever says it, memory, question or answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgesleep import machine, secrets
from edgesleep.account import Account, Ancestor, Attempt, Lesson, Moved
from edgesleep.night.steps import Step
from edgesleep.records import Agenda, Answer, Dreams, Generation, Memory, Merge, Verdict, now


@dataclass(frozen=True)
class Evidence:
    """What the stages left: all steps that were `judged`, and the `verdict` and `merge` of the one that counts.

    `line` are the generations from the one that is served back to the first.
    """

    agenda: Agenda
    dreams: Dreams
    judged: Sequence[tuple[Step, Verdict]]
    verdict: Verdict
    merge: Merge
    line: Sequence[Generation]


def account(night: int, began: str, base: str, found: Evidence) -> Account:
    """The account of a night on a base, but for what the settings say (its budgets and watts)."""
    return Account(
        began,
        now(),
        base,
        tuple(_lessons(night, found)),
        found.agenda.waiting,
        tuple(
            Attempt(step.share, one.outcome, one.reasons, one.after.recall, one.drift_mean)
            for step, one in found.judged
        ),
        found.verdict.findings,
        found.verdict.drift_bound,
        tensors=tuple(Moved(one.name, one.type, one.codes, one.moved) for one in found.merge.tensors),
        line=tuple(map(_ancestor, found.line)),
        machine=machine.describe(),
    )


def _ancestor(made: Generation) -> Ancestor:
    recall = made.results.recall if made.results else None
    return Ancestor(made.number, made.night, made.created, len(made.memory_ids), recall)


def _lessons(night: int, found: Evidence) -> Iterator[Lesson]:
    agenda, memories = found.agenda, found.agenda.memories
    hidden = _secrets(memories)
    before, after = (
        {one.probe_id: one for one in score.answers} for score in (found.verdict.before, found.verdict.after)
    )
    for memory in memories:
        lesson = Lesson(
            memory.id,
            memory.statement,
            memory.told,
            memory.turn_ids,
            memory.at,
            min((made.night for made in found.line if memory.id in made.memory_ids), default=night),
            instead_of=memory.instead_of,
            known=memory.id in agenda.known,
            resting=memory.id in agenda.resting,
            pinned=memory.pinned,
        )
        yield _covered(_asked(lesson, found.dreams, before, after), hidden)


def _asked(lesson: Lesson, dreams: Dreams, before: Mapping[str, Answer], after: Mapping[str, Answer]) -> Lesson:
    """With what was asked of it, where anything was."""
    probes = [probe for probe in dreams.probes if probe.memory_id == lesson.id and probe.hops]
    if not probes:
        return lesson
    first = probes[0]
    return replace(
        lesson,
        asked=len(probes),
        right_before=sum(before[probe.id].right for probe in probes),
        right_after=sum(after[probe.id].right for probe in probes),
        question=first.question,
        before=before[first.id].text,
        after=after[first.id].text,
    )


def _covered(lesson: Lesson, hidden: Sequence[str]) -> Lesson:
    said = ("statement", "told", "question", "before", "after", "instead_of")
    return replace(lesson, **{name: secrets.covered(getattr(lesson, name), hidden) for name in said})


def _secrets(memories: Sequence[Memory]) -> list[str]:
    """The values of those memories that are secrets: what tells one is learned only where it was approved."""
    hidden: list[str] = []
    for memory in memories:
        said = [memory.told, memory.statement, *(question.full for question in memory.questions)]
        if secrets.withheld("\n".join(said)):
            hidden += [memory.value, memory.instead_of]
    return hidden
