"""Curation: what a day's turns say that is worth keeping.

Owns the processes in which the turns become memories, and what reaches them. Leaves the reading to `hearing`, what a
model adds to `proposals`, and which of two memories holds to `succession`. Must stay true: only turns that `teach` are
read, without what others had said before. Never raises on text. The parser takes memory that a night needs for
training, and so does the model, so each lives and dies in a process of its own, one after the other.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from edgesleep import machine, secrets
from edgesleep.errors import EdgesleepError, KilledError
from edgesleep.night.echoes import own
from edgesleep.night.succession import Day
from edgesleep.records import Memory, Proposer, Turn

SLOWEST = 600.0  # seconds for the first hundred messages, whose reading takes a few


def curate(
    turns: Sequence[Turn], held: Sequence[Memory] = (), earlier: Sequence[Turn] = (), *, approved: bool = False
) -> Day:
    """What a day says, found in a child process.

    `held` are the memories of days before: they say who Matthias is when he is spoken of again, and are what today
    corrects. `earlier` are turns of before, by anyone: what is only pasted from them is not the user's own. Where the
    owner `approved` the turns, their secrets are read too. Raises EdgesleepError when the reader is not installed or
    fails.
    """
    spoken = _spoken(turns, earlier)
    if not spoken:
        return Day()
    limit = SLOWEST * (1 + len(spoken) / 100)
    hint = "Install edgesleep again with its dependencies; nothing was changed."
    late = "Is the machine busy with something else? Run the night again later; nothing was changed."
    return _child("main", (spoken, held, approved), limit, hint, late)


def with_proposals(
    day: Day,
    turns: Sequence[Turn],
    held: Sequence[Memory] = (),
    earlier: Sequence[Turn] = (),
    *,
    proposer: Proposer,
) -> Day:
    """What the rules found in a day, and what a model adds to it, in a child process after theirs has ended.

    Raises EdgesleepError when the model cannot be asked.
    """
    spoken = _spoken(turns, earlier)
    if not spoken:
        return day
    hint = f"To do without, set curate.proposes_from above the model's {proposer.billions:.1f}; nothing was changed."
    return _child("propose", (proposer, spoken, held, day), 60 * proposer.minutes + SLOWEST, hint, hint)


def _spoken(turns: Sequence[Turn], earlier: Sequence[Turn]) -> list[Turn]:
    return [replace(turn, content=_encodable(turn.content)) for turn in own(turns, earlier)]


def _child(main: str, task: Any, limit: float, hint: str, late: str) -> Day:
    """What the function `main` of this module makes of a task in a process of its own, within `limit` seconds.

    `hint` is what to do where it fails, `late` where it takes longer.
    """
    try:
        child = subprocess.run(
            machine.child(f"from edgesleep.machine import go_last; go_last(); from {__name__} import {main}; {main}()"),
            input=msgspec.json.encode(task),
            capture_output=True,
            timeout=limit,
            start_new_session=True,  # so that Ctrl-C reaches the night alone, which stops between stages
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgesleepError(f"The day's messages were not read within {limit / 60:.0f} minutes.", late) from error
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise KilledError(f"The reader of the day's messages was ended by {name}, perhaps for want of memory.", hint)
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines() or ["the reader was stopped"]
        raise EdgesleepError(f"The day's messages could not be read: {said[-1].rstrip('.')}.", hint)
    return msgspec.json.decode(child.stdout, type=Day)


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def main() -> None:
    """The child: turns, held memories and whether secrets are read as JSON on stdin, what the day says on stdout."""
    from edgesleep.night.hearing import hear

    turns, held, approved = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[Turn], list[Memory], bool])
    try:
        with secrets.approved() if approved else nullcontext():
            found = hear(turns, held)
    except ImportError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))


def propose() -> None:
    """The other child: the model, the user's own turns, held memories and what the rules found, as JSON."""
    from edgesleep.engine import Engine
    from edgesleep.night import proposals

    task = tuple[Proposer, list[Turn], list[Memory], Day]
    proposer, turns, held, day = msgspec.json.decode(sys.stdin.buffer.read(), type=task)
    end = time.monotonic() + 60 * proposer.minutes
    path, context, together = Path(proposer.model), proposals.CONTEXT, proposals.TOGETHER
    try:
        with Engine(path, threads=proposer.threads, context=context, sequences=together) as engine:
            found = proposals.propose(engine, turns, held, day, lambda: time.monotonic() >= end)
    except EdgesleepError as error:
        sys.exit(error.message)
    sys.stdout.buffer.write(msgspec.json.encode(found))
