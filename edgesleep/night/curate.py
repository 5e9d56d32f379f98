"""Curation: what a day's turns say that is worth keeping.

Owns the step from turns to memories: which turns are read, when two memories are one, and which of two that contradict
each other holds. Leaves reading sentences to `grammar` and `sayings`, dates to `dates`. Must stay true: only turns that
`teach` are read; a memory has wordings enough to be learned and asked; the newest wins; no wording has two answers, as
far as all can be listed. Never raises on text. The parser takes memory that a night needs for training, so it lives and
dies in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from edgesleep.errors import EdgesleepError
from edgesleep.night.phrases import fold, probes, right
from edgesleep.records import Memory, Question, Turn, digest

HELD_OUT = 3  # wordings that a memory must have for the gate
LISTED = 6  # memories that one answer may list


def curate(turns: Sequence[Turn], held: Sequence[Memory] = ()) -> tuple[Memory, ...]:
    """The memories of a day, in the order in which they were first told; found in a child process.

    `held` are those of earlier days, which say who Matthias is when he is spoken of again.
    Two statements with the same relation contradict each other when their values differ; the newest wins, and knows the
    value that it stands in place of. Told again with the same value, a memory keeps the ids of all those turns. Raises
    EdgesleepError when the reader is not installed or fails.
    """
    spoken = [replace(turn, content=_encodable(turn.content)) for turn in turns if turn.teaches]
    if not spoken:
        return ()
    child = subprocess.run(
        # Not by -m, which would look for modules in the working folder first.
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"],
        input=msgspec.json.encode((spoken, introductions(held))),
        capture_output=True,
        start_new_session=True,  # so that Ctrl-C reaches the night alone, which stops between stages
        check=False,
    )
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines() or ["the reader was stopped"]
        raise EdgesleepError(
            f"The day's messages could not be read: {said[-1].rstrip('.')}.",
            "Install edgesleep again with its dependencies; nothing was changed.",
        )
    found = msgspec.json.decode(child.stdout, type=tuple[Memory, ...])
    renewed = {memory.relation for memory in found}
    return _distinct(found, [memory for memory in held if memory.relation not in renewed])


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def introductions(held: Sequence[Memory]) -> list[str]:
    """What was said of who is who."""
    return [memory.told for memory in held if memory.kind == "relation"]


def memories(turns: Sequence[Turn], known: Sequence[str] = ()) -> tuple[Memory, ...]:
    """What `curate` returns, found in this process. `known` says who is who ("My brother is called Fintan.")."""
    kept: dict[str, Memory] = {}
    for memory in _told(sorted(turns, key=lambda turn: (turn.at, turn.id)), known):
        before = kept.get(memory.relation)
        if before and fold(before.value) == fold(memory.value):
            ids = tuple(dict.fromkeys(before.turn_ids + memory.turn_ids))
            memory = replace(before, turn_ids=ids, at=memory.at)
        elif before:
            memory = replace(memory, instead_of=before.value)
        kept[memory.relation] = memory
    return _distinct(tuple(kept.values()))


def _distinct(found: Sequence[Memory], held: Sequence[Memory] = ()) -> tuple[Memory, ...]:
    """The found memories without wordings to which another memory is the answer as well, for that taught two answers.

    A memory that would be left with too few of them is asked for by all, and answered with all that holds: "What pet do
    I have?" "You have a dog. You have a cat."
    """
    asked: dict[str, dict[str, tuple[Memory, Question]]] = {}
    for memory in (*held, *found):
        for question in memory.questions:
            asked.setdefault(fold(question.ask), {}).setdefault(memory.id, (memory, question))

    def others(question: Question) -> list[Memory]:
        shared = asked[fold(question.ask)].values()
        return [other for other, _ in shared if not right(question.full, other.value)]

    def told_of_all(question: Question) -> Question:
        shared = [same for _, same in asked[fold(question.ask)].values()]
        if not others(question) or len(shared) > LISTED:
            return question
        short, full = (
            " ".join(dict.fromkeys(texts)) for texts in zip(*((q.short, q.full) for q in shared), strict=True)
        )
        return replace(question, short=short, full=full)

    def one(memory: Memory) -> Memory:
        alone = replace(memory, questions=tuple(q for q in memory.questions if not others(q)))
        if len(probes(alone, HELD_OUT)) == HELD_OUT:
            return alone
        return replace(memory, questions=tuple(map(told_of_all, memory.questions)))

    return tuple(map(one, found))


def _told(turns: Sequence[Turn], known: Sequence[str]) -> Iterator[Memory]:
    from edgesleep.night.dates import absolute
    from edgesleep.night.grammar import facts
    from edgesleep.night.notes import notes
    from edgesleep.night.parties import Cast
    from edgesleep.night.reading import MAX_CHARS
    from edgesleep.night.sayings import World, sayings
    from edgesleep.night.synonyms import widened

    parser, cast, world = _parser(), Cast(), World()
    for introduction in known:
        facts(introduction, parser, cast)
    for turn in turns:
        if not turn.teaches:
            continue
        text = absolute(turn.content[:MAX_CHARS], datetime.fromisoformat(turn.at))
        found = notes(text)
        if not found:
            found = facts(text, parser, cast)
            found += sayings(text, parser, found, world)
        for fact in map(widened, found):
            memory = Memory(
                digest((fact.relation, fold(fact.value)))[:12],
                fact.kind,
                fact.relation,
                fact.statement,
                fact.statement_first,
                fact.value,
                fact.questions,
                (turn.id,),
                turn.at,
            )
            if len(probes(memory, HELD_OUT)) == HELD_OUT:
                yield memory


@cache
def _parser() -> Any:
    from edgesleep.night.reading import load

    return load()


def main() -> None:
    """The child: turns and introductions as JSON on stdin, memories as JSON on stdout."""
    turns, known = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[Turn], list[str]])
    try:
        found = memories(turns, known)
    except ImportError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))
