"""What the tests share that need memories: those that curation finds in plain messages."""

from __future__ import annotations

from edgesleep.night.curate import memories
from edgesleep.records import Memory, Turn


def told(*messages: str) -> tuple[Memory, ...]:
    """The memories of a day on which the user wrote these messages, one a minute."""
    return memories(
        [
            Turn(number, "session", "user", "user", text, f"2026-03-12T08:{number:02}:00+00:00", "")
            for number, text in enumerate(messages, 1)
        ]
    )
