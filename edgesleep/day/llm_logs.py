"""logs.db of simonw/llm: both its older tables and its newer ones, which one file may have side by side.

Owns reading them, read-only. Leaves roles, times and sessions to `conversations`. Must stay true: memory is bounded by
the longest conversation; fragments and attachments are documents, not the user's words; of a thread that was forked
from another what they share is read once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

from edgesleep.day.conversations import FILES, REASONING, TOOLS, Conversation, Outline, Said, items, text, told
from edgesleep.errors import EdgesleepError

Row = dict[str, Any]

NAME = "llm"
MAGIC = b"SQLite format 3\0"
_OLD = frozenset({"conversations", "responses"})
_NEW = frozenset({"threads", "turns", "messages", "parts"})


def conversations(path: Path) -> Iterator[Conversation]:
    """What is in logs.db, older tables first. Raises EdgesleepError where it is another database."""
    with closing(_connect(path)) as db:
        names = _tables(db, path)
        try:
            if names >= _OLD:
                yield from _responses(db, names)
            if names >= _NEW:
                yield from _threads(db)
        except sqlite3.DatabaseError as error:
            yield Conversation(
                [("the database", EdgesleepError(f"damaged, and what follows cannot be read ({error})"))]
            )


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    # It is another program's: nothing that its schema names is called, and nothing is written beside it.
    for pragma in ("trusted_schema=OFF", "query_only=ON", "temp_store=MEMORY"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _tables(db: sqlite3.Connection, path: Path) -> set[str]:
    try:
        found = {row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise EdgesleepError(f"{path} cannot be read: {error}.", "Is it whole?") from error
    if not (found >= _OLD or found >= _NEW):
        raise EdgesleepError(
            f"{path.name} is a database, but not logs.db of llm.", "`llm logs path` says where that one is."
        )
    return found


def _as_is(said: Any) -> Said:
    return cast(Said, said)


def _rows(db: sqlite3.Connection, sql: str, *values: Any) -> Iterator[Row]:
    for row in db.execute(sql, values):
        yield dict(row)


# -- the older tables: a row for each response -----------------------------------------------------------------------


def _responses(db: sqlite3.Connection, names: set[str]) -> Iterator[Conversation]:
    prompts: dict[str, int] = {}  # the last system prompt of each conversation: every response tells it again
    newer = "WHERE id NOT IN (SELECT id FROM turns)" if "turns" in names else ""
    for row in _rows(db, f"SELECT rowid AS place, * FROM responses {newer} ORDER BY rowid"):
        place = f"response {row['place']}"
        try:
            name, prompt = text(row, "conversation_id") or text(row, "id"), text(row, "system")
            said = list(_of_response(db, names, row))
        except EdgesleepError as error:
            yield Conversation([(place, error)])
            continue
        if prompt.strip() and prompts.get(name) != hash(prompt):
            prompts[name] = hash(prompt)
            said.insert(0, Said("system", prompt, row.get("datetime_utc")))
        yield told(NAME, Outline(name, said), _as_is, place)


def _of_response(db: sqlite3.Connection, names: set[str], row: Row) -> Iterator[Said]:
    at, name, left = row.get("datetime_utc"), row.get("id"), []
    for table in ("prompt_fragments", "prompt_attachments"):
        left += [FILES] * _count(db, names, table, name)
    if (prompt := text(row, "prompt")).strip() or left:
        yield Said("user", prompt, at, left)
    if "tool_results" in names:
        for result in _rows(db, "SELECT output FROM tool_results WHERE response_id = ? ORDER BY id", name):
            yield Said("tool", text(result, "output"), at)
    left = [REASONING] if text(row, "reasoning") else []
    left += [TOOLS] * _count(db, names, "tool_calls", name)
    yield Said("assistant", text(row, "response"), at, left)


def _count(db: sqlite3.Connection, names: set[str], table: str, response: Any) -> int:
    if table not in names:
        return 0
    (row,) = _rows(db, f"SELECT count(*) AS n FROM {table} WHERE response_id = ?", response)
    return int(row["n"])


# -- the newer ones: chains of messages ------------------------------------------------------------------------------


def _threads(db: sqlite3.Connection) -> Iterator[Conversation]:
    for thread in _rows(db, "SELECT id, tip_message_hash, forked_from, datetime_utc FROM threads ORDER BY rowid"):
        place = f"thread {thread['id']}"
        try:
            chain = _chain(db, thread["tip_message_hash"])
            tips = _rows(db, "SELECT tip_message_hash FROM threads WHERE id = ?", thread["forked_from"])
            shared = {message["hash"] for tip in tips for message in _chain(db, tip["tip_message_hash"])}
            own = [message for message in chain if message["hash"] not in shared]
            outline = Outline(text(thread, "id"), own, started=thread["datetime_utc"])
            yield told(NAME, outline, partial(_of_message, db, _times(db, thread["id"])), place)
        except EdgesleepError as error:
            yield Conversation([(place, error)])


def _chain(db: sqlite3.Connection, tip: Any) -> list[Row]:
    """The messages up to a tip, the first of them first."""
    found: dict[Any, Row] = {}
    while tip is not None and tip not in found:
        rows = [*_rows(db, "SELECT hash, parent_hash, role FROM messages WHERE hash = ?", tip)]
        if not rows:
            raise EdgesleepError("a message of it is missing")
        found[tip] = rows[0]
        tip = rows[0]["parent_hash"]
    return [*reversed(found.values())]


def _times(db: sqlite3.Connection, thread: Any) -> dict[Any, Any]:
    """When the ends of a thread's turns were said, what was asked and what was answered, by hash."""
    times: dict[Any, Any] = {}
    sql = "SELECT parent_message_hash, tip_message_hash, datetime_utc FROM turns WHERE thread_id = ? ORDER BY rowid"
    for turn in _rows(db, sql, thread):
        for end in ("parent_message_hash", "tip_message_hash"):
            times.setdefault(turn[end], turn["datetime_utc"])
    return times


def _of_message(db: sqlite3.Connection, times: dict[Any, Any], message: Row) -> Said:
    parts, left = [], []
    sql = "SELECT type, text, payload FROM parts WHERE message_hash = ? ORDER BY position"
    for part in _rows(db, sql, message["hash"]):
        kind, rest = text(part, "type"), _payload(text(part, "payload"))
        if kind == "text":
            # Text that quotes fragments is in pieces: its own words, and what was put between them.
            pieces = items(rest, "text_ref")
            parts.append("".join(text(piece, "literal") for piece in pieces) if pieces else text(part, "text"))
            left += [FILES for piece in pieces if "fragment" in piece]
        elif kind == "tool_result":
            parts.append(text(rest, "output"))
        else:
            left.append({"reasoning": REASONING, "tool_call": TOOLS}.get(kind, FILES))
    return Said(text(message, "role"), "".join(parts), times.get(message["hash"]), left)


def _payload(written: str) -> Any:
    try:
        return json.loads(written or "{}")
    except (ValueError, RecursionError) as error:
        raise EdgesleepError(f"a part of it is no JSON: {error}") from error
