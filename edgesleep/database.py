"""The journal's file: how it is opened, what SQLite promises of it, and its encryption.

Owns the pragmas, the modes of the file, which errors are whose, and the key: the keychain of the system holds it under
the salt that the file begins with, so that a file that was moved finds it. Leaves the tables to `tables`, reading and
writing to `journal`. Must stay true: a write that was committed outlasts a power cut (WAL, and a sync of it with every
commit); a file is plain or encrypted as a whole, and turning one into the other leaves no copy of what was.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.files import make_home, publish_file, writing

T = TypeVar("T")

PLAIN = b"SQLite format 3\0"  # what an encrypted file has its salt in the place of
SERVICE = "edgesleep"  # in the keychain
WAIT_SECONDS = 30.0
INSTALL = "Install it: `pip install 'edgesleep[encryption]'`."

# synchronous=FULL syncs the log with every commit; NORMAL would lose the last ones in a power cut. What is deleted is
# overwritten, and what is sorted never lies in a temporary file, which would be outside the home and plain.
PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "temp_store=MEMORY")

_accounts: dict[tuple[int, int], str] = {}


def connect(path: Path, *, read_only: bool = False, wait: float | None = None) -> sqlite3.Connection:
    """A connection to a database that is there, plain or encrypted; nothing is written yet.

    It waits for another that writes for WAIT_SECONDS, or those of `wait`.
    Raises EdgesleepError where it is encrypted and its key, or the package that can use it, is missing or wrong.
    """
    place = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    seconds = WAIT_SECONDS if wait is None else wait
    if not (name := account(path)):
        return sqlite3.connect(place, uri=True, timeout=seconds, isolation_level=None)
    try:
        cipher, key = _cipher(), _key(name)
    except EdgesleepError as error:
        said = f"{path} is encrypted, or damaged and no journal: {error.message}"
        raise EdgesleepError(said, error.hint) from error
    connection: sqlite3.Connection = cipher.connect(place, uri=True, timeout=seconds, isolation_level=None)
    try:
        _unlock(connection, key)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except failures("DatabaseError") as error:
        connection.close()
        if "locked" in str(error):
            raise
        raise EdgesleepError(
            f"{path} is damaged: the key that the keychain has for it does not open it.",
            "Restore the file or the keychain from a backup, or choose another folder with --home.",
        ) from error
    return connection


def open_journal(path: Path, wait: float | None = None) -> sqlite3.Connection:
    """The same for writing, with all that is promised; where there is no file, an empty one is made."""
    make_home(path.parent)
    _create_private(path)
    connection = connect(path, wait=wait)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def again_where_replaced(path: Path, use: Callable[[], T]) -> T:
    """Use a database once more where it was `convert`ed while it was waited for: what was opened is zeroed by now."""
    before = _number(path.stat()) if path.exists() else None
    try:
        return use()
    except Exception:
        if before in (None, _number(path.stat())):
            raise
    return use()


def use_wal(connection: sqlite3.Connection, wait: float | None = None) -> None:
    # SQLite's own waiting does not cover this switch: it fails at once while another process makes it.
    deadline = time.monotonic() + (WAIT_SECONDS if wait is None else wait)
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except failures("OperationalError") as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def is_locked(error: Exception) -> bool:
    """Whether an error, or what it was explained of, says that another program is writing."""
    found = error.__cause__ or error
    return isinstance(found, failures("OperationalError")) and "locked" in str(found)


def failures(name: str) -> tuple[type[Exception], ...]:
    """The exceptions of this name: SQLite's, and those of SQLCipher where it is in use."""
    modules = (sqlite3, sys.modules.get("sqlcipher3.dbapi2"))
    return tuple(getattr(module, name) for module in modules if module)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite and the disk say into what a person is told."""
    try:
        yield
    except failures("OperationalError") as error:
        raise EdgesleepError(
            f"{path} cannot be used now: {error}.",
            "Is another program holding it, the disk full or the folder read-only?",
        ) from error
    except failures("DatabaseError") as error:
        raise EdgesleepError(
            f"{path} is damaged or no journal: {error}.",
            "Restore it from a backup, or choose another folder with --home.",
        ) from error
    except OSError as error:
        raise EdgesleepError(
            f"{path} cannot be opened: {error.strerror or error}.", "Choose a folder you can write to with --home."
        ) from error


def _create_private(path: Path) -> None:
    # SQLite gives -wal and -shm the mode of the database. An existing database is never opened here:
    # closing a second descriptor would drop the POSIX locks of another connection in this process.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


# -- encryption ------------------------------------------------------------------------------------------------------


def account(path: Path) -> str:
    """Under which name the keychain has the key of an encrypted database; empty for a plain one."""
    file = _number(path.stat())
    # Read once: closing the file again would drop the locks that another connection of this process has on it.
    if file not in _accounts:
        with path.open("rb") as opened:
            head = opened.read(len(PLAIN))
        if len(head) < len(PLAIN):
            return ""
        _accounts[file] = "" if head == PLAIN else head.hex()
    return _accounts[file]


def _number(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def convert(path: Path, *, encrypted: bool) -> None:
    """Write a journal anew, encrypted or plain, in its own place; under the lock, and not open in this process.

    A new key goes into the keychain before the file is there that needs it. Raises EdgesleepError, and changes nothing,
    where the keychain or the package is missing, another program has the journal open, or the disk is full.
    """
    if os.name == "nt":
        raise EdgesleepError(
            "On Windows a file that is open cannot be replaced, so a journal cannot be encrypted there yet.",
            "Encrypt the whole disk, with BitLocker for one.",
        )
    cipher, key = _cipher(), secrets.token_hex(32) if encrypted else ""
    _keychain()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explained(path):
        old = cipher.connect(str(path), timeout=0, isolation_level=None)
        wipe = os.open(path, os.O_WRONLY)
        try:
            if name := account(path):
                _unlock(old, _key(name))
            _hold(old, path)
            _export(old, temporary, key)
            _accounts.pop(_number(temporary.stat()), None)  # its number may have been another file's
            if encrypted:
                _keep_key(temporary, key)
            publish_file(temporary, path)
            _accounts.pop(_number(os.fstat(wipe)), None)
            with writing(f"{path} is {'encrypted' if encrypted else 'plain'} now, but what it was is not overwritten"):
                _zero(wipe)  # where a disk writes in place, nothing of it can be read back; others may keep it
        finally:
            os.close(wipe)
            old.close()
            temporary.unlink(missing_ok=True)


def _hold(old: sqlite3.Connection, path: Path) -> None:
    """Have the database to itself, with all that its log had in it: whoever waits for it finds no database any more."""
    try:
        old.execute("PRAGMA journal_mode=DELETE")
        old.execute("PRAGMA locking_mode=EXCLUSIVE")
        old.execute("BEGIN EXCLUSIVE")
        old.execute("COMMIT")
    except failures("OperationalError") as error:
        if "locked" not in str(error):
            raise
        raise BusyError(f"Another program has {path} open.", "Close it, or stop the daemon, and try again.") from error


def _export(old: sqlite3.Connection, path: Path, key: str) -> None:
    """Copy a whole database into a new file, and see that all of it is there."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    old.execute("ATTACH DATABASE ? AS made KEY ?", [str(path), f"x'{key}'" if key else ""])
    old.execute("PRAGMA made.journal_mode=OFF")  # it counts only when it is whole
    old.execute("SELECT sqlcipher_export('made')")
    for name in ("application_id", "user_version"):
        (value,) = old.execute(f"PRAGMA main.{name}").fetchone()
        old.execute(f"PRAGMA made.{name} = {value}")
    tables = "SELECT name FROM main.sqlite_master WHERE type = 'table'"
    for (table,) in old.execute(tables).fetchall():
        counts = {old.execute(f'SELECT count(*) FROM {schema}."{table}"').fetchone() for schema in ("main", "made")}
        if len(counts) > 1:
            raise sqlite3.DatabaseError(f"not all of {table} was copied")
    old.execute("DETACH DATABASE made")
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _keep_key(path: Path, key: str) -> None:
    """Put a new file's key into the keychain, and see that it is given out again."""
    name = account(path)
    try:
        _keychain().set_password(SERVICE, name, key)
    except Exception as error:  # a backend may raise what its system raises
        raise EdgesleepError(f"The keychain takes no key: {error}.", "Unlock it, and try again.") from error
    if _key(name) != key:
        raise EdgesleepError("The keychain does not keep what it is given.", "`keyring --list-backends` names others.")


def _zero(descriptor: int) -> None:
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, bytes(min(left, 1 << 20)))
    os.fsync(descriptor)


def _unlock(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to stderr what is raised anyway
    connection.execute(f"PRAGMA key=\"x'{key}'\"")


def _key(name: str) -> str:
    keychain = _keychain()
    try:
        key = keychain.get_password(SERVICE, name)
    except Exception as error:  # a backend may raise what its system raises
        hint = "Unlock the keychain; a service needs the session of its owner."
        raise EdgesleepError(f"The keychain does not give its key: {error}.", hint) from error
    if key is None:
        hint = "Restore the file or the keychain from a backup, or choose another folder with --home."
        raise EdgesleepError("The keychain has no key for it.", hint)
    return str(key)


def _keychain() -> Any:
    keyring = _module("keyring")
    if keyring.get_keyring().priority <= 0:
        raise EdgesleepError(
            "There is no keychain here to keep the journal's key.",
            "Start a desktop session or a Secret Service such as gnome-keyring; `keyring --list-backends` names all.",
        )
    return keyring


def _cipher() -> Any:
    return _module("sqlcipher3.dbapi2")


def _module(name: str) -> Any:
    """Of the packages for encryption, which few need and nobody else is to load."""
    try:
        if name == "keyring":
            import keyring

            return keyring
        import sqlcipher3.dbapi2

        return sqlcipher3.dbapi2
    except ImportError as error:
        raise EdgesleepError(f"The package {name.partition('.')[0]} is not here.", INSTALL) from error
