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

import msgspec

from edgesleep.errors import EdgesleepError
from edgesleep.night.phrases import fold, holding_out, probes
from edgesleep.records import Memory, Turn, digest

SLOWEST = 600.0  # seconds for the first hundred messages, whose reading takes a few
HELD_OUT = 3  # wordings that a memory must have for the gate


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
    limit = SLOWEST * (1 + len(spoken) / 100)
    try:
        child = subprocess.run(
            # Not by -m, which would look for modules in the working folder first.
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"],
            input=msgspec.json.encode((spoken, introductions(held))),
            capture_output=True,
            timeout=limit,
            start_new_session=True,  # so that Ctrl-C reaches the night alone, which stops between stages
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgesleepError(
            f"The day's messages were not read within {limit / 60:.0f} minutes.",
            "Is the machine busy with something else? Run the night again later; nothing was changed.",
        ) from error
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines() or ["the reader was stopped"]
        raise EdgesleepError(
            f"The day's messages could not be read: {said[-1].rstrip('.')}.",
            "Install edgesleep again with its dependencies; nothing was changed.",
        )
    return msgspec.json.decode(child.stdout, type=tuple[Memory, ...])


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
    return tuple(kept.values())


def _told(turns: Sequence[Turn], known: Sequence[str]) -> Iterator[Memory]:
    from edgesleep.night.dates import absolute
    from edgesleep.night.grammar import facts
    from edgesleep.night.notes import notes
    from edgesleep.night.parties import Cast
    from edgesleep.night.reading import load, own_words
    from edgesleep.night.sayings import World, sayings
    from edgesleep.night.synonyms import widened

    parser, cast, world = load(), Cast(), World()
    for introduction in known:
        facts(introduction, parser, cast)
    for turn in turns:
        if not turn.teaches:
            continue
        text = absolute(own_words(turn.content), datetime.fromisoformat(turn.at.replace("Z", "+00:00")))
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
            if len(probes(memory := holding_out(memory), HELD_OUT)) == HELD_OUT:
                yield memory


def main() -> None:
    """The child: turns and introductions as JSON on stdin, memories as JSON on stdout."""
    turns, known = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[Turn], list[str]])
    try:
        found = memories(turns, known)
    except ImportError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))
