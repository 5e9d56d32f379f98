"""Entries: what may be written to the journal, and in which form.

Owns cleaning, the bound on length, times, and that `redact` runs before the write, so that a secret never reaches the
disk. Leaves storing to `journal`, and what is a secret to `secrets`. Must stay true: what `checked` returns is valid
Unicode without control characters, and holds nothing that is not storable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from edgesleep.errors import EdgesleepError, shown
from edgesleep.records import ROLES, SOURCES, Turn, digest, now
from edgesleep.secrets import redact

MAX_TURN_BYTES = 1 << 20
SOURCE_OF_ROLE = {"user": "user", "assistant": "assistant", "tool": "tool", "system": "import"}


@dataclass(frozen=True)
class Entry:
    """A turn that is yet to be written. Without a source it follows from the role; without `at` it is now."""

    role: str
    content: str
    source: str | None = None
    session: str = "default"
    at: str | None = None


def checked(entry: Entry) -> Turn:
    """The entry as it would be stored (with id 0), cleaned and redacted. Raises EdgesleepError saying what is wrong."""
    role = one_of("role", entry.role, ROLES)
    source = one_of("source", entry.source or SOURCE_OF_ROLE[role], SOURCES)
    content = _sized(redact(_sized(clean(entry.content))))  # before, for its patterns take a second for a megabyte
    if not content.strip():
        raise EdgesleepError("The content is empty.", "Leave the message out.")
    session = clean(entry.session).strip()
    if not 0 < len(session) <= 200:
        raise EdgesleepError("A session name has 1 to 200 characters.", "Give a shorter one, or none.")
    at = _utc(entry.at) if entry.at else now("milliseconds")
    return Turn(0, session, role, source, content, at, digest([role, source, content]))


@dataclass(frozen=True)
class Ready:
    """An entry that was checked: the turn that it becomes, and whether the time of that is its own."""

    turn: Turn
    timed: bool


def ready(entry: Entry) -> Ready:
    """The same for later. Raises as `checked` does."""
    return Ready(checked(entry), bool(entry.at))


def _sized(content: str) -> str:
    if (size := len(content.encode())) > MAX_TURN_BYTES:
        said = f"The content has {size:,} bytes; a message may have {MAX_TURN_BYTES:,}."
        raise EdgesleepError(said, "Shorten or split it.")
    return content


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Valid Unicode with "\\n" line ends and no control characters but tab and newline."""
    # The trip through UTF-16 joins surrogate pairs and replaces lone surrogates, which no UTF-8 file can hold.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", whole.replace("\r\n", "\n").replace("\r", "\n"))


def _utc(at: str) -> str:
    """ISO 8601 in UTC, one width, so that times sort as text. A time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(at[:-1] + "+00:00" if at[-1:] in "zZ" else at)
        moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise EdgesleepError(f"{shown(repr(at))} is not a time.", "Write it like 2026-03-01T21:30:00Z.") from error
    return moment.isoformat(timespec="milliseconds")


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise EdgesleepError(f"{shown(repr(value))} is not a {name}.", f"A {name} is one of {', '.join(allowed)}.")
    return value
