"""Curation: what a day's turns say that is worth keeping.

Owns the process in which the turns become memories, and what reaches it. Leaves the reading to `hearing`, and which of
two memories holds to `succession`. Must stay true: only turns that `teach` are read, without what others had said
before. Never raises on text. The parser takes memory that a night needs for training, so it lives and dies in a process
of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import msgspec

from edgesleep import secrets
from edgesleep.errors import EdgesleepError
from edgesleep.night.echoes import own
from edgesleep.night.succession import Day
from edgesleep.records import Memory, Turn

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
    spoken = [replace(turn, content=_encodable(turn.content)) for turn in own(turns, earlier)]
    if not spoken:
        return Day()
    limit = SLOWEST * (1 + len(spoken) / 100)
    try:
        child = subprocess.run(
            # Not by -m, which would look for modules in the working folder first.
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"],
            input=msgspec.json.encode((spoken, held, approved)),
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
