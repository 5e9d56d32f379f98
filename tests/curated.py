"""What the tests of reading share: the facts and memories that plain messages give.

The parser is loaded when it is first used: the nights that are killed in children of their own need none.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgesleep.night.grammar import facts
from edgesleep.night.hearing import hear
from edgesleep.night.questions import Fact
from edgesleep.night.reading import load
from edgesleep.records import Memory, Turn


def found(text: str) -> tuple[Fact, ...]:
    """The facts of one message by itself."""
    return facts(text, load())


def memories(turns: Sequence[Turn], held: Sequence[Memory] = ()) -> tuple[Memory, ...]:
    """What a day's turns tell, read in this process."""
    return hear(turns, held).memories


def told(*messages: str) -> tuple[Memory, ...]:
    """The memories of a day on which the user wrote these messages, one a minute."""
    return memories(
        [
            Turn(number, "session", "user", "user", text, f"2026-03-12T08:{number:02}:00+00:00", "")
            for number, text in enumerate(messages, 1)
        ]
    )
