"""JSON Lines of our own: what other programs write for edgesleep to read.

Owns its fields. Leaves cleaning and redaction to `entries`, and that such a file goes in whole or not at all to
`importers`. Must stay true: memory is bounded by BLOCK_BYTES; the same file comes in the same blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from edgesleep.day.conversations import Conversation
from edgesleep.day.pieces import Piece
from edgesleep.entries import Entry
from edgesleep.errors import EdgesleepError

FORMAT = (
    'Accepted is JSON Lines in UTF-8: one object per line, like {"role": "user", "content": "I live in Bergen."}; '
    '"session", "at" (ISO 8601) and "source" may be added.'
)
# Equal messages of one session that have no time are told apart within a block.
BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class _Line:
    role: str
    content: str
    session: str | None = None
    at: str | None = None
    source: str | None = None


def is_line(record: dict[str, Any]) -> bool:
    return {"role", "content"} <= record.keys()


def conversations(lines: Iterable[Piece], session: str) -> Iterator[Conversation]:
    """The messages of lines; those that name no session are of the one that is given."""
    block, size = Conversation(), 0
    for line in lines:
        try:
            if line.fault:
                line.decoded()  # says so
            read = msgspec.json.decode(line.data, type=_Line)
            entry = Entry(read.role, read.content, read.source, read.session or session, read.at)
            block.rows.append((line.place, entry))
        except EdgesleepError as error:
            block.rows.append((line.place, error))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            block.rows.append((line.place, EdgesleepError(str(error))))
        size += len(line.data)
        if size > BLOCK_BYTES:
            yield block
            block, size = Conversation(), 0
    yield block
