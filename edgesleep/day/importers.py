"""Messages from files into the journal.

Owns the accepted format (JSON Lines) and telling a person every bad line of it
at once. Leaves cleaning, redaction and storing to `journal`. A file goes in
whole or not at all, and going in twice adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgesleep.entries import MAX_TURN_BYTES, Entry, checked
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal

FORMAT = (
    'Accepted is JSON Lines in UTF-8: one object per line, like {"role": "user", "content": "I live in Bergen."}; '
    '"session", "at" (ISO 8601) and "source" may be added.'
)
MAX_LINE_BYTES = 8 * MAX_TURN_BYTES  # JSON spends up to six bytes on one, and a line has more than its content
_SHOWN = 20


@dataclass(frozen=True)
class Imported:
    """What an import did: messages in the file, and how many of them the journal did not hold yet."""

    read: int
    added: int


@dataclass(frozen=True)
class _Line:
    role: str
    content: str
    session: str | None = None
    at: str | None = None
    source: str | None = None


def import_file(journal: Journal, path: Path) -> Imported:
    """Write the messages of a file into the journal, all or none. Raises what `read_jsonl` raises."""
    entries = read_jsonl(path)
    return Imported(len(entries), journal.log_many(entries, once=True))


def read_jsonl(path: Path) -> list[Entry]:
    """The messages of a JSON Lines file; those without a session belong to one named like the file.

    Raises EdgesleepError when it cannot be read or is of another format, and
    one that lists the bad lines with their reasons when there are any.
    """
    session = "".join(filter(str.isprintable, path.stem[:200])).strip() or "import"
    entries: list[Entry] = []
    wrong: list[str] = []
    for number, line in _lines(path):
        if not line.strip():
            continue
        if not entries and not wrong and not line.lstrip().startswith(b"{"):
            raise EdgesleepError(f"{path.name} is not in a format that can be imported.", FORMAT)
        try:
            entries.append(_entry(line, session))
        except (EdgesleepError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        listed = "".join(f"\n  {reason}" for reason in wrong[:_SHOWN]) + more
        raise EdgesleepError(f"Nothing was imported; {path.name} has {len(wrong):,} bad line(s):{listed}", FORMAT)
    return entries


def _entry(line: bytes, session: str) -> Entry:
    if len(line) > MAX_LINE_BYTES:
        raise EdgesleepError(f"longer than {MAX_LINE_BYTES:,} bytes")
    read = msgspec.json.decode(line, type=_Line)
    entry = Entry(read.role, read.content, read.source, read.session or session, read.at)
    checked(entry)
    return entry


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; of one that is too long only so much that this can be seen."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise EdgesleepError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
