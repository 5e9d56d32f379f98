"""Tables of the journal, how older journals become newer ones, and whether one is sound.

Owns every table and column of journal.db, and transactions. Leaves reading and writing rows to `journal`. Must stay
true: a migration that was ever released is never changed; the next one is added below it, and each runs whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database, Migrations

from edgesleep.database import connect
from edgesleep.errors import EdgesleepError
from edgesleep.records import digest

APPLICATION_ID = 0x65646765  # "edge" in the file header tells our file from another program's

MIGRATIONS = Migrations("edgesleep")


@MIGRATIONS()
def m001_lay_the_tables(db: Database) -> None:
    # AUTOINCREMENT: the id of a deleted turn must not come back below the curation watermark.
    db.executescript("""
        CREATE TABLE sessions (id TEXT PRIMARY KEY, started TEXT NOT NULL);
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL REFERENCES sessions(id),
            role TEXT NOT NULL, source TEXT NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL, sha256 TEXT NOT NULL);
        CREATE INDEX turns_by_content ON turns (sha256, session);
        CREATE TRIGGER turns_are_append_only BEFORE UPDATE ON turns
            BEGIN SELECT RAISE(ABORT, 'turns are append-only'); END;
        CREATE TABLE memories (
            id TEXT PRIMARY KEY, relation TEXT NOT NULL, sentence TEXT NOT NULL, slots TEXT NOT NULL, at TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'new', generation INTEGER);
        CREATE TABLE memory_turns (
            memory TEXT NOT NULL REFERENCES memories(id), turn INTEGER NOT NULL REFERENCES turns(id),
            PRIMARY KEY (memory, turn)) WITHOUT ROWID;
        CREATE TABLE watermarks (name TEXT PRIMARY KEY, turn INTEGER NOT NULL);
        CREATE TABLE nights (
            number INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
            report TEXT);
        CREATE TABLE generations (
            number INTEGER PRIMARY KEY, night INTEGER NOT NULL REFERENCES nights(number), parent INTEGER NOT NULL,
            created TEXT NOT NULL, model_sha256 TEXT NOT NULL, status TEXT NOT NULL);
    """)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@MIGRATIONS()
def m002_keep_memories_with_their_questions(db: Database) -> None:
    # Memories are made from turns, so those of the old form are made again: the watermark goes back to the start.
    db.executescript("""
        DROP TABLE memory_turns;
        DROP TABLE memories;
        DELETE FROM watermarks WHERE name = 'curated';
        CREATE TABLE memories (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, relation TEXT NOT NULL, statement TEXT NOT NULL,
            told TEXT NOT NULL, value TEXT NOT NULL, instead_of TEXT NOT NULL, questions TEXT NOT NULL,
            at TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'new', generation INTEGER);
        CREATE TABLE memory_turns (
            memory TEXT NOT NULL REFERENCES memories(id), turn INTEGER NOT NULL REFERENCES turns(id),
            PRIMARY KEY (memory, turn)) WITHOUT ROWID;
    """)


@MIGRATIONS()
def m003_note_the_wording_held_out(db: Database) -> None:
    # A memory from before holds none out: which one it was is not known.
    db.execute("ALTER TABLE memories ADD COLUMN held_out TEXT NOT NULL DEFAULT ''")


@MIGRATIONS()
def m004_note_what_the_owner_decided(db: Database) -> None:
    # Of a forgotten memory its id stays, a hash of relation and value, so that it is not found again.
    db.executescript("""
        ALTER TABLE memories ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE forgotten (memory TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE approved (
            turn INTEGER NOT NULL REFERENCES turns(id), sha256 TEXT NOT NULL,
            memory TEXT NOT NULL REFERENCES memories(id), PRIMARY KEY (turn, sha256, memory)) WITHOUT ROWID;
    """)


@MIGRATIONS()
def m005_space_what_is_known(db: Database) -> None:
    db.executescript("""
        ALTER TABLE memories ADD COLUMN streak INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE memories ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
    """)


@MIGRATIONS()
def m006_keep_tombstones(db: Database) -> None:
    # Hashes with a key that lies beside the journal, see `tombstones`.
    db.execute("CREATE TABLE tombstones (hash TEXT PRIMARY KEY) WITHOUT ROWID")


@MIGRATIONS()
def m007_quote_nothing_that_was_forgotten(db: Database) -> None:
    # Which turns told what was forgotten before is not known: where anything was, none that was read and tells nothing
    # is quoted.
    db.executescript("""
        CREATE TABLE silenced (turn INTEGER PRIMARY KEY REFERENCES turns(id));
        INSERT INTO silenced SELECT id FROM turns
            WHERE EXISTS (SELECT 1 FROM forgotten) AND id <= (SELECT max(turn) FROM watermarks WHERE name = 'curated')
            AND id NOT IN (SELECT turn FROM memory_turns);
    """)


@MIGRATIONS()
def m008_keep_judgements(db: Database) -> None:
    # What the user thinks of an answer.
    columns = "turn INTEGER PRIMARY KEY REFERENCES turns(id), good INTEGER NOT NULL, at TEXT NOT NULL"
    db.execute(f"CREATE TABLE judgements ({columns})")


@MIGRATIONS()
def m009_find_the_turns_of_a_session(db: Database) -> None:
    db.execute("CREATE INDEX turns_by_session ON turns (session)")


def check_owner(db: Database, path: Path) -> None:
    """Raises EdgesleepError where the file holds the tables of another program."""
    # One statement, so that a journal which another process is just creating is seen before or after, not between.
    tables, owner = db.execute(
        "SELECT (SELECT count(*) FROM sqlite_master), application_id FROM pragma_application_id"
    ).fetchone()
    if tables and owner != APPLICATION_ID:
        raise EdgesleepError(f"{path} belongs to another program.", "Choose another folder with --home.")


def migrate(db: Database, path: Path) -> None:
    """Bring the tables up to date. Raises EdgesleepError where a newer edgesleep has made them."""
    if newer := {migration.name for migration in MIGRATIONS.applied(db)} - _known_migrations():
        raise EdgesleepError(
            f"{path} was written by a newer edgesleep ({', '.join(sorted(newer))}).",
            "Update edgesleep, or choose another folder with --home.",
        )
    if MIGRATIONS.pending(db):
        # The outer transaction makes a second process wait and then find nothing left to do.
        with transaction(db):
            MIGRATIONS.apply(db)


def _known_migrations() -> set[str]:
    # Against an empty database all are pending: the public way to list them.
    with Database(memory=True, execute_plugins=False) as empty:
        return {migration.name for migration in MIGRATIONS.pending(empty)}


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All of what is written while it holds, or nothing."""
    # IMMEDIATE takes the write lock first: upgrading a read later fails at once when two processes try it.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Every text of every row with the name of its table, whole: in the file, a long one lies in several places.

    The journal is only read. Raises as `faults` does where it cannot be.
    """
    with closing(connect(path, read_only=True)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}"):
                yield from ((table, text) for text in row if isinstance(text, str))


def faults(path: Path, models: Mapping[int, str]) -> Iterator[str]:
    """What is wrong with a journal, which is only read; `models` are the hashes of generations as they should be there.

    Raises EdgesleepError, or a DatabaseError of `database.failures`, where it cannot be read at all.
    """
    with closing(connect(path, read_only=True)) as db:
        broken = [message for (message,) in db.execute("PRAGMA integrity_check") if message != "ok"]
        yield from broken
        if broken:
            return  # reading on would find only what follows from that
        for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
            yield f"row {row} of {table} names one of {parent} that is not there"
        for number, role, source, content, sha256 in db.execute("SELECT id, role, source, content, sha256 FROM turns"):
            if digest([role, source, content]) != sha256:
                yield f"message {number} is not what was written"
        for number, sha256 in db.execute("SELECT number, model_sha256 FROM generations"):
            if models.get(number, sha256) != sha256:
                yield f"generation {number} is noted with another model than its manifest has"
