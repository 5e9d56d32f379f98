"""The journal's file: its owner's alone, safe for several writers, and refused in words where it cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Migrations

from edgesleep import database, tables
from edgesleep.entries import Entry
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as opened:
        yield opened


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
def test_only_the_owner_can_read_it_whatever_the_umask(home: Path) -> None:
    old = os.umask(0)
    try:
        with Journal.open(home) as journal:
            journal.log("user", "private")
            modes = {path.name: path.stat().st_mode & 0o777 for path in [home, *home.iterdir()]}
    finally:
        os.umask(old)
    assert modes == {"home": 0o700, "journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}
    (home / "journal.db").chmod(0o644)
    Journal.open(home).close()
    assert (home / "journal.db").stat().st_mode & 0o777 == 0o600


def test_the_connection_is_durable_and_strict(journal: Journal) -> None:
    asked = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
    values = [journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    assert values == ["wal", 2, 1, 1, 30000]


def write_rows(home: Path, writer: int, rows: int, start: multiprocessing.synchronize.Event) -> None:
    start.wait()
    with Journal.open(home) as journal:
        for row in range(rows):
            journal.log("user", f"writer {writer} row {row}", session=f"s{row % 3}")


def test_processes_writing_at_once_lose_nothing(home: Path) -> None:
    """They also create the file at the same moment."""
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    writers = [context.Process(target=write_rows, args=(home, n, 300, start)) for n in range(2)]
    for process in writers:
        process.start()
    start.set()
    for process in writers:
        process.join(60)
    assert [process.exitcode for process in writers] == [0, 0]
    with Journal.open(home) as journal:
        written = [turn.content for turn in journal.turns()]
    for n in range(2):
        assert [text for text in written if text.startswith(f"writer {n}")] == [
            f"writer {n} row {r}" for r in range(300)
        ]


def test_a_newer_journal_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Migrations("edgesleep")
    newer()(tables.m001_lay_the_tables)
    newer()(tables.m002_keep_memories_with_their_questions)
    newer()(tables.m003_note_the_wording_held_out)
    newer()(tables.m004_note_what_the_owner_decided)
    newer()(tables.m005_space_what_is_known)
    newer(name="m007_from_the_future")(lambda db: None)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "MIGRATIONS", newer)
        Journal.open(home).close()
    with pytest.raises(EdgesleepError, match=r"newer edgesleep \(m007_from_the_future\)"):
        Journal.open(home)


def test_a_file_that_is_no_database_is_refused_and_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "journal.db").write_bytes(b"Dear diary, " * 100)
    with pytest.raises(EdgesleepError, match="no journal"):
        Journal.open(home)
    assert (home / "journal.db").read_bytes() == b"Dear diary, " * 100


def test_the_database_of_another_program_is_refused_and_left_alone(home: Path) -> None:
    home.mkdir()
    other = sqlite3.connect(home / "journal.db")
    other.execute("CREATE TABLE recipes (id)")
    other.close()
    before = (home / "journal.db").read_bytes()
    with pytest.raises(EdgesleepError, match="belongs to another program"):
        Journal.open(home)
    assert (home / "journal.db").read_bytes() == before


def test_a_journal_cut_in_half_is_refused(home: Path) -> None:
    with Journal.open(home) as journal:
        journal.log_many(Entry("user", f"text {n} " * 50) for n in range(200))
    whole = (home / "journal.db").read_bytes()
    (home / "journal.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EdgesleepError, match="damaged"), Journal.open(home) as journal:
        journal.turns()


def test_a_place_that_cannot_be_written_is_named(home: Path) -> None:
    home.parent.joinpath("file").write_text("in the way")
    with pytest.raises(EdgesleepError, match="cannot be opened"):
        Journal.open(home.parent / "file" / "home")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to: Linux's /proc")
def test_a_read_only_place_is_named() -> None:
    with pytest.raises(EdgesleepError, match="cannot be opened") as caught:
        Journal.open(Path("/proc/self"))
    assert "--home" in caught.value.hint


def test_a_journal_that_is_locked_too_long_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal.open(home).close()
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    other = sqlite3.connect(home / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EdgesleepError, match="database is locked"), Journal.open(home) as journal:
        journal.log("user", "too late")
    other.close()
