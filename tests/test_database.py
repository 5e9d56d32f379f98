"""The journal's file: what SQLite is asked to promise, and its encryption, with a keychain that lives in memory."""

from __future__ import annotations

import builtins
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forgetting
import pytest
from grown import Bases, fails, grow, make_store, run
from hollow import hollow, sound
from nights import SETTINGS, make_home, tell
from tiny import make_tiny

from edgesleep import database, errors, files
from edgesleep.database import SERVICE, account, connect, convert, failures
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.journal import FILE, Journal
from edgesleep.night import compare
from edgesleep.night.cycle import run_night
from edgesleep.records import NightReport
from edgesleep.tables import faults

SAID = "The key to the shed hangs behind the zither."


# -- what SQLite promises --------------------------------------------------------------------------------------------


def test_every_commit_is_synced_and_nothing_is_sorted_outside_the_home(home: Path) -> None:
    with Journal.open(home) as journal:
        asked = {name: journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "temp_store")}
        mode = journal._db.execute("PRAGMA journal_mode").fetchone()[0]
    assert (asked, mode) == ({"synchronous": 2, "temp_store": 2}, "wal"), "FULL, in memory, with a log"


def test_a_log_that_is_cut_anywhere_costs_no_row_that_was_committed(home: Path, tmp_path: Path) -> None:
    """As a power cut leaves it: what came after the last sync may be there in part, or be zeros."""
    rows = 4
    with Journal.open(home) as journal:
        journal._db.execute("PRAGMA wal_autocheckpoint = 0")
        ends = [0]
        for number in range(rows):
            journal.log("user", f"row {number}")
            ends.append((home / f"{FILE}-wal").stat().st_size)
        whole, log = (home / FILE).read_bytes(), (home / f"{FILE}-wal").read_bytes()
    for number, end in enumerate(ends):
        for torn in (log[:end], log[: end + 1000], log[:end] + bytes(5000), log[: end + 1000] + bytes(4096)):
            cut = tmp_path / "cut"
            cut.mkdir(exist_ok=True)
            for path in cut.iterdir():
                path.unlink()
            (cut / FILE).write_bytes(whole)
            (cut / f"{FILE}-wal").write_bytes(torn)
            with Journal.open(cut) as journal:
                assert [turn.content for turn in journal.turns()][:number] == [f"row {n}" for n in range(number)]
            assert list(faults(cut / FILE, {})) == []


# -- encrypted -------------------------------------------------------------------------------------------------------


@pytest.fixture
def keychain(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The keys by their names, as the keychain of the system would hold them."""
    keyring = pytest.importorskip("keyring", reason="needs the extra `encryption`")
    pytest.importorskip("sqlcipher3", reason="needs the extra `encryption`")
    from keyring.backend import KeyringBackend

    held: dict[str, str] = {}

    class InMemory(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            assert service == SERVICE
            return held.get(username)

        def set_password(self, service: str, username: str, password: str) -> None:
            held[username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[username]

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    yield held
    keyring.set_keyring(before)


@pytest.fixture
def plain(home: Path) -> Path:
    """A journal that is not encrypted; its log is not empty."""
    tell(home, SAID)
    return home / FILE


def texts(path: Path) -> list[str]:
    with Journal.open(path.parent) as journal:
        return [turn.content for turn in journal.turns()]


def on_disk(home: Path, text: str = SAID) -> list[str]:
    return [str(path) for path in home.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_what_is_there_is_encrypted_and_no_plain_copy_stays(plain: Path, keychain: dict[str, str]) -> None:
    old = os.open(plain, os.O_RDONLY)
    assert on_disk(plain.parent)
    convert(plain, encrypted=True)
    assert on_disk(plain.parent) == []
    assert {path.name for path in plain.parent.iterdir()} == {FILE}
    assert not os.pread(old, 1 << 20, 0).strip(b"\0"), "what the old name meant is zeros"
    os.close(old)
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600
    assert [*keychain] == [plain.read_bytes()[:16].hex()] == [account(plain)]
    assert texts(plain) == [SAID]
    with Journal.open(plain.parent) as journal:
        journal.log("user", "Nobody else reads this either.")
        assert (plain.parent / f"{FILE}-wal").stat().st_size > 0
        assert on_disk(plain.parent, "Nobody else") == []
        assert stat.S_IMODE((plain.parent / f"{FILE}-wal").stat().st_mode) == 0o600
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite3.connect(plain).execute("SELECT * FROM turns")


def test_it_can_be_made_plain_again(plain: Path, keychain: dict[str, str]) -> None:
    before = sqlite3.connect(plain)
    wanted = sorted(before.iterdump())  # a copy may have its tables in another order
    owner = before.execute("PRAGMA application_id").fetchone()
    before.close()
    for encrypted in (True, False):
        convert(plain, encrypted=encrypted)
        assert bool(account(plain)) is encrypted
    after = sqlite3.connect(plain)
    assert (sorted(after.iterdump()), after.execute("PRAGMA application_id").fetchone()) == (wanted, owner)
    after.close()


def test_it_moves_with_its_key_and_another_has_another(plain: Path, keychain: dict[str, str], tmp_path: Path) -> None:
    convert(plain, encrypted=True)
    moved = plain.parent.rename(tmp_path / "moved") / FILE
    assert texts(moved) == [SAID]
    other = tmp_path / "other"
    tell(other, SAID)
    convert(other / FILE, encrypted=True)
    assert len({*keychain}) == len({*keychain.values()}) == 2
    assert all(len(key) == 64 for key in keychain.values())


def test_tables_search_and_faults_work_as_in_a_plain_one(plain: Path, keychain: dict[str, str]) -> None:
    convert(plain, encrypted=True)
    assert list(faults(plain, {})) == []
    with Journal.open(plain.parent) as journal:
        assert journal._db.table_names() and list(journal._db.query("SELECT content FROM turns")) == [{"content": SAID}]
        journal._db.execute("CREATE VIRTUAL TABLE words USING fts5(content)")
        journal._db.execute("INSERT INTO words SELECT content FROM turns")
        found = journal._db.execute("SELECT rowid FROM words WHERE words MATCH 'shed'").fetchall()
        assert found == [(1,)]
        with pytest.raises(failures("IntegrityError"), match="append-only"):
            journal._db.execute("UPDATE turns SET content = ''")
    with connect(plain, read_only=True) as reading, pytest.raises(failures("OperationalError"), match="readonly"):
        reading.execute("DELETE FROM turns")


def test_a_journal_is_encrypted_before_it_has_any_row_and_migrates(
    home: Path, keychain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlite_utils import Migrations

    from edgesleep import tables as module

    Journal.open(home).close()
    convert(home / FILE, encrypted=True)
    newer = Migrations("edgesleep")
    newer._migrations = [*module.MIGRATIONS._migrations]

    @newer()
    def m999_from_the_future(db: Any) -> None:
        db.execute("CREATE TABLE future (id INTEGER PRIMARY KEY)")

    with monkeypatch.context() as patch:
        patch.setattr(module, "MIGRATIONS", newer)
        with Journal.open(home) as journal:
            assert "future" in journal._db.table_names()
    with pytest.raises(EdgesleepError, match="newer edgesleep"):
        Journal.open(home)


def test_a_night_and_every_check_work_on_it(
    home: Path, keychain: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hollow(monkeypatch)
    base = make_tiny(tmp_path / "tiny.gguf", "llama")
    make_home(home, base, (SAID,))
    assert run("encrypt").exit_code == errors.DONE
    result = run_night(home, SETTINGS)
    assert isinstance(result, NightReport) and result.status == "promoted"
    told = run("verify")
    assert told.exit_code == errors.DONE and f"{home / FILE}, encrypted" in told.stdout


# -- without its key -------------------------------------------------------------------------------------------------


def test_a_key_that_is_gone_or_wrong_is_told(plain: Path, keychain: dict[str, str], capfd: Any) -> None:
    convert(plain, encrypted=True)
    before = plain.read_bytes()
    (name,) = keychain
    keychain[name] = "00" * 32
    with pytest.raises(EdgesleepError, match="the key that the keychain has for it does not open it"):
        texts(plain)
    del keychain[name]
    with pytest.raises(EdgesleepError, match="The keychain has no key for it") as told:
        texts(plain)
    assert "backup" in told.value.hint
    assert plain.read_bytes() == before
    assert capfd.readouterr() == ("", ""), "SQLCipher writes nothing past us"


def test_a_keychain_that_is_locked_or_not_there_is_told(
    plain: Path, keychain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backends import fail

    convert(plain, encrypted=True)

    def locked(*_: object) -> None:
        raise keyring.errors.KeyringLocked("It is locked")

    with monkeypatch.context() as patch:
        patch.setattr(type(keyring.get_keyring()), "get_password", locked)
        with pytest.raises(EdgesleepError, match="does not give its key: It is locked") as told:
            texts(plain)
        assert "Unlock" in told.value.hint
    keyring.set_keyring(fail.Keyring())
    with pytest.raises(EdgesleepError, match="There is no keychain here"):
        texts(plain)


@pytest.mark.parametrize("package", ["keyring", "sqlcipher3"])
def test_without_the_packages_it_is_said_how_to_get_them(
    package: str, plain: Path, keychain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lacking = builtins.__import__, package

    def absent(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == lacking:
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(EdgesleepError, match=f"The package {package} is not here") as told:
        convert(plain, encrypted=True)
    assert "edgesleep[encryption]" in told.value.hint
    assert texts(plain) == [SAID], "a plain one needs neither"


# -- cut short -------------------------------------------------------------------------------------------------------


class Cut(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("encrypted", [True, False])
def test_wherever_it_is_cut_the_journal_is_whole(
    encrypted: bool, home: Path, keychain: dict[str, str], bases: Bases
) -> None:
    grow(make_store(home, bases))
    path = home / FILE
    wanted, count = texts(path), 0
    if not encrypted:
        convert(path, encrypted=True)
    while True:
        calls = iter(range(count + 1))

        def around(real: Any, calls: Iterator[int] = calls, count: int = count) -> Any:
            def call(*arguments: Any) -> Any:
                if next(calls, None) == count:
                    raise Cut
                return real(*arguments)

            return call

        with pytest.MonkeyPatch.context() as patch:
            for owner, name in ((os, "fsync"), (os, "replace"), (os, "write"), (database, "_export")):
                patch.setattr(owner, name, around(getattr(owner, name)))
            try:
                convert(path, encrypted=encrypted)
                done = True
            except Cut:
                done = False
        assert texts(path) == wanted
        sound(home, bases.first.read_bytes(), len(wanted))
        if done:
            break
        if bool(account(path)) is encrypted:
            convert(path, encrypted=not encrypted)
        count += 1
    assert bool(account(path)) is encrypted
    assert count > 3


def test_however_often_it_is_turned_a_fresh_process_finds_its_key(plain: Path, keychain: dict[str, str]) -> None:
    """Files come and go under the same numbers, so what is known of one says nothing of the next."""
    for encrypted in (True, False, True, False, True):
        convert(plain, encrypted=encrypted)
        database._accounts.clear()  # as a fresh process has it
        assert texts(plain) == [SAID]


def test_something_is_forgotten_in_an_encrypted_journal(
    home: Path, bases: Bases, keychain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "ask", lambda store, number, asked, *_: ["No."] * len(asked))
    store = forgetting.live(home, bases)
    convert(home / FILE, encrypted=True)
    forgetting.begun(store, forgetting.MEMORIES[0].id)
    report = forgetting.complete(home)
    assert report.files and account(home / FILE)
    database._accounts.clear()
    assert not [text for text in forgetting.told(home) if "Barnaby" in text] and "Pemberley" in str(
        forgetting.told(home)
    )


HOLD = """
import sys
from pathlib import Path
from edgesleep.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    print(len(journal.turns()), flush=True)
    sys.stdin.read()
"""


def test_where_another_program_has_it_open_nothing_is_changed(plain: Path, keychain: dict[str, str]) -> None:
    """Even where that one only looks: it would go on with a file that is no longer there."""
    command = [sys.executable, "-c", HOLD, str(plain.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(BusyError, match="Another program has"):
            convert(plain, encrypted=True)
        other.stdin.close()
        other.wait()
    assert texts(plain) == [SAID] and account(plain) == "" and keychain == {}
    assert not list(plain.parent.glob(files.LEFT))
    convert(plain, encrypted=True)
    assert texts(plain) == [SAID]


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command(home: Path, keychain: dict[str, str], bases: Bases) -> None:
    assert "No model has been chosen" in fails("encrypt")
    make_store(home, bases)
    assert run("encrypt", "--dry-run").stdout == f"Would make it encrypted: {home / FILE}\n"
    assert account(home / FILE) == "" and keychain == {}
    assert run("encrypt").stdout == f"Now encrypted: {home / FILE}\n"
    assert run("encrypt").stdout == f"Already encrypted: {home / FILE}\n"
    assert json.loads(run("encrypt", "--off", "--json").stdout) == {
        "journal": str(home / FILE),
        "encrypted": False,
        "changed": True,
        "dry_run": False,
    }
    assert account(home / FILE) == ""
    said = run("encrypt").output
    assert not any(key in said for key in keychain.values())
