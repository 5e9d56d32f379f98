"""Whether anything waits in the journal for a night, asked without loading what reading it takes.

Owns one look at a few numbers of journal.db, and whether it is being written. Leaves what a night is about to
`night.agenda`, which may still find nothing in what waits. Must stay true: it only reads, loads nothing heavy, and
quotes nothing.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from edgesleep.database import connect, explained

BASE, JOURNAL = "base.json", "journal.db"  # as the store and the journal have them, which take too much to load

_WRITER = 120  # the byte of the -shm file that SQLite locks while it writes in WAL mode (its file format, "WAL locks")

_ASKED = """
    SELECT (SELECT coalesce(max(id), 0) FROM turns),
           (SELECT coalesce(max(turn), 0) FROM watermarks WHERE name = 'curated'),
           (SELECT count(*) FROM memories WHERE state IN ('new', 'weak')),
           (SELECT status IN ('running', 'interrupted') FROM nights ORDER BY number DESC LIMIT 1),
           (SELECT count(*) FROM turns), (SELECT count(*) FROM forgotten)
"""


@dataclass(frozen=True)
class Waiting:
    """`anything`: messages that no night has read, memories that none has taught, or a night that is open.

    `said` differs whenever the owner has said something more or had something forgotten.
    """

    anything: bool
    said: str


def waiting(home: Path) -> Waiting:
    """What waits in the journal of a home, where there is one. Raises EdgesleepError where it cannot be read."""
    journal = home / JOURNAL
    if not journal.exists():
        return Waiting(False, "")
    with explained(journal), closing(connect(journal, read_only=True)) as db:
        last, read, untaught, is_open, turns, forgotten = db.execute(_ASKED).fetchone()
    return Waiting(last > read or bool(untaught) or bool(is_open), f"{turns} {last} {forgotten}")


def is_being_written(home: Path) -> bool:
    """Whether a process is in the middle of a write to the journal, in which no other can write; asked without its key.

    False where that cannot be told.
    """
    with suppress(ImportError, OSError):
        import fcntl

        with (home / f"{JOURNAL}-shm").open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _WRITER)
            except OSError:
                return True
    return False  # closing it has dropped the lock


def mark(home: Path) -> tuple[tuple[int, int], ...]:
    """Something that is another one whenever the journal was written to; it costs nothing to ask."""
    found = []
    for name in (JOURNAL, f"{JOURNAL}-wal"):
        with suppress(OSError):
            told = (home / name).stat()
            found.append((told.st_mtime_ns, told.st_size))
    return tuple(found)
