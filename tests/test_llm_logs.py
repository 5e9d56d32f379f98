"""logs.db of llm: both its schemas, side by side, forked, damaged; in a real SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgesleep.day.conversations import FILES, REASONING, TOOLS
from edgesleep.day.importers import import_file, look
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal

OLD = """
    CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
    CREATE TABLE responses (id TEXT PRIMARY KEY, prompt TEXT, system TEXT, response TEXT, conversation_id TEXT,
        datetime_utc TEXT);
"""
TOOLED = """
    CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER);
    CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, name TEXT);
    CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, output TEXT);
"""
NEW = """
    CREATE TABLE threads (id TEXT PRIMARY KEY, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT);
    CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT,
        datetime_utc TEXT);
    CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT);
    CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, text TEXT,
        payload TEXT);
"""


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "any.name"


def fill(path: Path, schema: str, rows: dict[str, list[tuple[object, ...]]]) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(schema)
        for table, values in rows.items():
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)


def said(journal: Journal, path: Path) -> list[tuple[str, str, str]]:
    """Session, role and content, when it was imported twice."""
    import_file(journal, path)
    assert import_file(journal, path).added == 0
    return [(turn.session, turn.role, turn.content) for turn in journal.turns()]


def at(second: int) -> str:
    return f"2026-03-01T20:00:{second:02}.5+00:00"


def test_older_tables_have_a_row_for_each_response(journal: Journal, path: Path) -> None:
    rows = [
        ("r1", "I live in Bergen.", "Be kind.", "Nice.", "c1", at(1)),
        ("r2", "I have a dog.", "Be kind.", "Good.", "c1", at(2)),
        ("r3", "And a cat.", "Be brief.", "Ok.", "c1", at(3)),
        ("r4", "Alone.", None, "Yes.", None, at(4)),
        ("r5", b"\xff", None, "lost", "c1", at(5)),
    ]
    fill(path, OLD, {"conversations": [("c1", "n", "m")], "responses": rows})
    assert said(journal, path) == [
        ("llm:c1", "system", "Be kind."),
        ("llm:c1", "user", "I live in Bergen."),
        ("llm:c1", "assistant", "Nice."),
        ("llm:c1", "user", "I have a dog."),
        ("llm:c1", "assistant", "Good."),
        ("llm:c1", "system", "Be brief."),
        ("llm:c1", "user", "And a cat."),
        ("llm:c1", "assistant", "Ok."),
        ("llm:r4", "user", "Alone."),
        ("llm:r4", "assistant", "Yes."),
    ]
    assert journal.turns()[1].at == "2026-03-01T20:00:01.500+00:00"
    assert look(path).named == ("response 5: `prompt` is no text",)


def test_documents_and_tools_are_not_the_users_words(journal: Journal, path: Path) -> None:
    rows = [("r1", "Sum it up.", None, "", "c1", at(1)), ("r2", "", None, "It is long.", "c1", at(2))]
    tools = {"prompt_fragments": [("r1", 1)], "tool_calls": [(1, "r1", "length")], "tool_results": [(1, "r2", "9000")]}
    fill(path, OLD + TOOLED, {"responses": rows, **tools})
    assert [row[1:] for row in said(journal, path)] == [
        ("user", "Sum it up."),
        ("tool", "9000"),
        ("assistant", "It is long."),
    ]
    assert look(path).left_out == {FILES: 1, TOOLS: 1}


def newer() -> dict[str, list[tuple[object, ...]]]:
    """A thread of two turns, and one that was forked from it after the first."""
    texts = [
        ("s", None, "system", "Be kind."),
        ("a", "s", "user", "I live in Bergen."),
        ("b", "a", "assistant", "Nice."),
        ("c", "b", "user", "I have a dog."),
        ("d", "c", "assistant", "Good."),
        ("e", "b", "user", "I have a cat."),
        ("f", "e", "assistant", "Also good."),
    ]
    return {
        "threads": [("t1", "d", None, at(0)), ("t2", "f", "t1", at(5))],
        "turns": [("u1", "t1", "a", "b", at(1)), ("u2", "t1", "c", "d", at(2)), ("u3", "t2", "e", "f", at(6))],
        "messages": [(name, parent, role) for name, parent, role, _ in texts],
        "parts": [(n, name, 0, "text", text, None) for n, (name, _, _, text) in enumerate(texts)],
    }


def test_newer_tables_have_chains_of_messages_that_fork(journal: Journal, path: Path) -> None:
    fill(path, OLD + NEW, newer())
    assert said(journal, path) == [
        ("llm:t1", "system", "Be kind."),
        ("llm:t1", "user", "I live in Bergen."),
        ("llm:t1", "assistant", "Nice."),
        ("llm:t1", "user", "I have a dog."),
        ("llm:t1", "assistant", "Good."),
        ("llm:t2", "user", "I have a cat."),
        ("llm:t2", "assistant", "Also good."),
    ]
    assert [turn.at[17:19] for turn in journal.turns()] == ["00", "01", "01", "02", "02", "06", "06"]


def test_a_file_may_have_both_and_a_turn_in_both(journal: Journal, path: Path) -> None:
    rows = [("r0", "Before.", None, "Yes.", "t0", at(0)), ("u1", "I live in Bergen.", None, "Nice.", "t1", at(1))]
    fill(path, OLD + NEW, {"responses": rows, **newer()})
    found = said(journal, path)
    assert found[:2] == [("llm:t0", "user", "Before."), ("llm:t0", "assistant", "Yes.")]
    assert [row[2] for row in found].count("I live in Bergen.") == 1 and look(path).conversations == 3


def test_parts_of_a_message_are_told_apart(journal: Journal, path: Path) -> None:
    quoted = json.dumps({"text_ref": [{"literal": "Sum "}, {"fragment": 7}, {"literal": "up."}]})
    rows = newer()
    rows["parts"] = [
        (1, "a", 0, "text", None, quoted),
        (2, "a", 1, "attachment", None, "{}"),
        (3, "b", 0, "reasoning", "Hm.", None),
        (4, "b", 1, "tool_call", None, "{}"),
        (5, "b", 2, "text", "Done.", None),
        (6, "c", 0, "text", None, "{broken"),
        (7, "f", 0, "tool_result", None, json.dumps({"output": "9000"})),
    ]
    rows["messages"] = [("f", "e", "tool") if row[0] == "f" else row for row in rows["messages"]]
    fill(path, NEW, rows)
    assert [row[1:] for row in said(journal, path)] == [("user", "Sum up."), ("assistant", "Done."), ("tool", "9000")]
    seen = look(path)
    assert seen.named[0].startswith("thread t1, message 4: a part of it is no JSON") and seen.broken == 1
    assert seen.left_out == {FILES: 2, REASONING: 1, TOOLS: 1, "without text": 3}


def test_a_chain_that_goes_round_or_ends_nowhere_is_told(path: Path) -> None:
    rows = newer()
    rows["messages"] = [("s", "d", "system") if row[0] == "s" else row for row in rows["messages"]]
    rows["threads"].append(("t3", "nowhere", None, at(9)))
    fill(path, NEW, rows)
    seen = look(path)
    assert (seen.broken, seen.named) == (1, ("thread t3: a message of it is missing",)) and seen.read


def test_another_database_is_refused(path: Path) -> None:
    fill(path, "CREATE TABLE songs (id TEXT)", {"songs": [("x",)]})
    with pytest.raises(EdgesleepError, match=r"not logs\.db"):
        look(path)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(EdgesleepError, match="cannot be read"):
        look(path)


def test_a_damaged_database_gives_what_can_be_read(path: Path) -> None:
    rows = [(f"r{n}", f"I have {n} cats. " * 100, None, "Yes.", "c1", at(n % 60)) for n in range(200)]
    fill(path, OLD, {"responses": rows})
    data = bytearray(path.read_bytes())
    half = len(data) // 2 // 4096 * 4096
    data[half : half + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    seen = look(path)
    assert 0 < seen.read < 400 and seen.broken == 1 and "damaged" in seen.named[0]


def test_the_file_is_not_changed(journal: Journal, path: Path) -> None:
    fill(path, OLD + NEW, newer())
    before = path.read_bytes()
    import_file(journal, path)
    assert path.read_bytes() == before and {one.name for one in path.parent.iterdir()} == {"home", path.name}
