"""journal.db: everything that was said, what was found worth keeping, and how each night went.

Owns reading and writing. Leaves the tables to `tables`, what a turn may be to
`entries`, finding memories to `curate`, model files to `store` and the file itself to
`database`. With `tables` the only file that imports sqlite_utils. Turns are
append-only, and only `erase` takes any out; a write is all or nothing, and any number
of processes may write at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from sqlite_utils import Database

from edgesleep.database import again_where_replaced, explained, open_journal, use_wal
from edgesleep.entries import Entry, Ready, checked, one_of, ready
from edgesleep.errors import EdgesleepError
from edgesleep.records import STATES, Generation, Memory, NightReport, Turn, now, plain
from edgesleep.tables import check_owner, migrate, transaction
from edgesleep.tombstones import Tombstones

FILE = "journal.db"
EDITS = "memories edit"  # the session of the sentences of edited memories
GRADUATES = 2  # nights on which a memory was answered from the weights alone, until it needs no recalling

_PLAIN_COLUMNS = ("id", "kind", "relation", "statement", "told", "value", "instead_of", "held_out", "at")  # of a memory


class Journal:
    """One open connection to HOME/journal.db; made by `Journal.open`, used by one thread, closed by `with`."""

    def __init__(self, db: Database, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, home: Path, wait: float | None = None) -> Journal:
        """Open or create the journal and bring its tables up to date.

        It waits for others that write as long as `database` does, or `wait` seconds. Raises EdgesleepError when the
        file is no journal, was written by a newer edgesleep, or cannot be written.
        """
        path = home / FILE
        with explained(path):
            return again_where_replaced(path, lambda: cls._open(path, wait))

    @classmethod
    def _open(cls, path: Path, wait: float | None) -> Journal:
        connection = open_journal(path, wait)
        try:
            db = Database(connection, execute_plugins=False)
            check_owner(db, path)
            use_wal(connection, wait)
            migrate(db, path)
        except BaseException:
            connection.close()
            raise
        return cls(db, path)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- turns ---------------------------------------------------------------------------------------------------

    def log(
        self, role: str, content: str, *, source: str | None = None, session: str = "default", at: str | None = None
    ) -> Turn:
        """Write one turn and return it as stored. Raises EdgesleepError for what cannot be a turn."""
        turn = checked(Entry(role, content, source, session, at))
        with self._writing():
            return self._insert(turn)

    def log_many(self, entries: Iterable[Entry], *, once: bool = False) -> int:
        """Write all entries or none; returns how many were new.

        With `once`, as `log_new` does for one conversation.
        """
        turns = [ready(entry) for entry in entries]
        if once:
            return self.log_new([turns])
        with self._writing():
            for one in turns:
                self._insert(one.turn)
        return len(turns)

    def log_new(self, conversations: Iterable[Sequence[Ready]]) -> int:
        """Write what the journal does not hold yet, all or none; returns how many were new.

        An entry that it holds already (same session, role, source and content, and same time where the entry has one)
        is left out, so that a file can be imported again; equal entries of one conversation are matched one to one.
        What was forgotten is left out as well.
        """
        stones = self.tombstones()
        kept = [[one for one in said if not stones.hold_text(one.turn.content)] for said in conversations]
        with self._writing():
            return sum(self._insert_new(said) for said in kept)

    def _insert_new(self, said: Sequence[Ready]) -> int:
        known = {_key(one): self._count_equal(one) for one in {_key(one): one for one in said}.values()}
        new = 0
        for one in said:
            known[_key(one)] -= 1
            if known[_key(one)] < 0:
                self._insert(one.turn)
                new += 1
        return new

    def turns(self, after: int = 0) -> list[Turn]:
        """Turns with an id above `after`, in the order they were written."""
        rows = self._rows("SELECT * FROM turns WHERE id > ? ORDER BY id", after)
        return [Turn(**row) for row in rows]

    def extent(self) -> tuple[int, int]:
        """How many turns there are, and the highest id."""
        (row,) = self._rows("SELECT count(*) AS turns, coalesce(max(id), 0) AS last FROM turns")
        return int(row["turns"]), int(row["last"])

    def session(self, name: str) -> list[Turn]:
        """The turns of one session, in the order they were written."""
        return [Turn(**row) for row in self._rows("SELECT * FROM turns WHERE session = ? ORDER BY id", name)]

    def sessions(self, hashes: Collection[str], most: int = 16) -> list[str]:
        """Sessions that have a turn with one of these hashes, the latest first."""
        rows = self._rows(
            "SELECT session FROM turns WHERE sha256 IN (SELECT value FROM json_each(?)) "
            "GROUP BY session ORDER BY max(id) DESC LIMIT ?",
            json.dumps([*hashes]),
            most,
        )
        return [row["session"] for row in rows]

    def quotable(self, turns: Collection[int]) -> list[Turn]:
        """Those of the turns that say what no memory says: the user's own, and none that was silenced."""
        rows = self._rows(
            "SELECT * FROM turns WHERE id IN (SELECT value FROM json_each(?)) AND role = 'user' AND source = 'user' "
            "AND id NOT IN (SELECT turn FROM memory_turns) AND id NOT IN (SELECT turn FROM silenced) ORDER BY id",
            json.dumps([*turns]),
        )
        return [Turn(**row) for row in rows]

    def silence(self, turns: Iterable[int]) -> None:
        """Have turns quoted no more: what they tell was forgotten, or holds no more."""
        with self._writing():
            self._each("INSERT OR IGNORE INTO silenced SELECT id FROM turns WHERE id = ?", turns)

    def said(self, sessions: str, session: str, limit: int) -> list[str]:
        """The user's last messages in `sessions` (a pattern as GLOB has it) and in one more, the latest first."""
        rows = self._rows(
            "SELECT content FROM turns WHERE role = 'user' AND source = 'user' AND (session GLOB ? OR session = ?) "
            "ORDER BY id DESC LIMIT ?",
            *(sessions, session, limit),
        )
        return [row["content"] for row in rows]

    def judge(self, turn: int, good: bool) -> None:
        """Keep what the user thinks of an answer; the last word counts. Raises EdgesleepError where it is gone."""
        with self._writing():
            if not self._db.execute(
                "INSERT INTO judgements SELECT id, ?, ? FROM turns WHERE id = ? "
                "ON CONFLICT (turn) DO UPDATE SET good = excluded.good, at = excluded.at",
                [good, now("milliseconds"), turn],
            ).rowcount:
                raise EdgesleepError(f"The journal holds no message m{turn}.", "Was it forgotten meanwhile?")

    def judgements(self) -> dict[int, bool]:
        """Whether the user called an answer good, by the id of its turn."""
        return {row["turn"]: bool(row["good"]) for row in self._rows("SELECT turn, good FROM judgements")}

    def _insert(self, turn: Turn) -> Turn:
        self._db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?)", [turn.session, turn.at])
        values = [turn.session, turn.role, turn.source, turn.content, turn.at, turn.sha256]
        cursor = self._db.execute(
            "INSERT INTO turns (session, role, source, content, at, sha256) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        return replace(turn, id=cursor.lastrowid or 0)

    def _count_equal(self, one: Ready) -> int:
        sql = "SELECT count(*) AS n FROM turns WHERE sha256 = ? AND session = ?" + (" AND at = ?" if one.timed else "")
        return int(self._rows(sql, *_key(one))[0]["n"])

    # -- memories ------------------------------------------------------------------------------------------------

    def remember(self, memories: Sequence[Memory], through: int) -> int:
        """Store memories and note that turns up to `through` have been curated; returns how many were new.

        A memory that is there already keeps its state, and gains the turns in which it was said again and their time.
        """
        with self._writing():
            new = sum(self._remember(memory) for memory in memories)
            self._db.execute(
                "INSERT INTO watermarks VALUES ('curated', ?) "
                "ON CONFLICT (name) DO UPDATE SET turn = max(turn, excluded.turn)",
                [through],
            )
        return new

    def _remember(self, memory: Memory) -> int:
        new = self._db.execute(
            f"INSERT OR IGNORE INTO memories ({', '.join(_PLAIN_COLUMNS)}, questions) "
            f"VALUES ({'?, ' * len(_PLAIN_COLUMNS)}?)",
            [*(getattr(memory, column) for column in _PLAIN_COLUMNS), msgspec.json.encode(memory.questions).decode()],
        ).rowcount
        values = [memory.at, memory.instead_of, memory.id]
        self._db.execute("UPDATE memories SET at = max(at, ?), instead_of = ? WHERE id = ?", values)
        for turn in memory.turn_ids:
            self._db.execute("INSERT OR IGNORE INTO memory_turns VALUES (?, ?)", [memory.id, turn])
        return new

    def curated_through(self) -> int:
        """The highest turn id that curation has seen; 0 before the first."""
        rows = self._rows("SELECT turn FROM watermarks WHERE name = 'curated'")
        return int(rows[0]["turn"]) if rows else 0

    def memories(self, state: str | None = None) -> list[Memory]:
        """Memories in the order they were stored; `state` (one of STATES) narrows them."""
        return self._memories("?1 IS NULL OR state = ?1", state if state is None else one_of("state", state, STATES))

    def ungraduated(self) -> list[Memory]:
        """Memories that hold and that the weights do not surely know yet: answered on fewer than GRADUATES nights."""
        return self._memories("state IN ('new', 'weak') OR (state = 'learned' AND streak < ?1)", GRADUATES)

    def _memories(self, where: str, value: str | int | None) -> list[Memory]:
        rows = self._rows(
            f"SELECT {', '.join(_PLAIN_COLUMNS)}, pinned, questions, (SELECT json_group_array(turn) FROM "
            "(SELECT turn FROM memory_turns WHERE memory = memories.id ORDER BY turn)) AS turn_ids "
            f"FROM memories WHERE {where} ORDER BY memories.rowid",
            value,
        )
        return [
            msgspec.convert(
                {
                    **row,
                    "questions": json.loads(row["questions"]),
                    "turn_ids": json.loads(row["turn_ids"]),
                    "pinned": bool(row["pinned"]),
                },
                Memory,
            )
            for row in rows
        ]

    def standing(self) -> dict[str, tuple[str, int | None]]:
        """The state of every memory by id, and the generation that brought it there."""
        rows = self._rows("SELECT id, state, generation FROM memories")
        return {row["id"]: (row["state"], row["generation"]) for row in rows}

    def mark(self, memory_ids: Iterable[str], state: str, generation: int | None = None, night: int = 0) -> None:
        """Set the state of memories, and the generation that brought them there (None: no generation did).

        Known once more after `night`, a memory is due again 1, 2, 4, 8, ... nights later; any other state begins anew.
        """
        one_of("state", state, STATES)
        # Only what was due counts: the same night once, and rest is no rehearsal.
        spaced = (
            "streak = streak + 1, due = :night + (1 << streak) WHERE id = :id AND due <= :night"
            if state == "learned"
            else "streak = 0, due = 0 WHERE id = :id"
        )
        with self._writing():
            for memory_id in memory_ids:
                values = {"state": state, "generation": generation, "id": memory_id, "night": night}
                known = "UPDATE memories SET state = :state, generation = :generation WHERE id = :id"
                self._db.execute(f"UPDATE memories SET {spaced}", values)
                if not self._db.execute(known, values).rowcount:
                    raise EdgesleepError(f"The journal holds no memory {memory_id!r}.", "Was it forgotten meanwhile?")

    def resting(self, night: int) -> frozenset[str]:
        """Ids of the learned memories that are due only after `night`."""
        return frozenset(row["id"] for row in self._rows("SELECT id FROM memories WHERE due > ?", night))

    def graduated(self) -> frozenset[str]:
        """Ids of the learned memories that were answered after two nights or more."""
        return frozenset(
            row["id"] for row in self._rows("SELECT id FROM memories WHERE state = 'learned' AND streak > 1")
        )

    # -- what the owner decided --------------------------------------------------------------------------------------

    def adopt(
        self, memories: Sequence[Memory], replaced: Iterable[str] = (), said: Turn | None = None, secret: str = ""
    ) -> None:
        """Let `memories` hold from now on, even such as were forgotten, and those with the ids `replaced` no more.

        They are new, and as they are put here also where the journal has one with the same id in other words. A turn
        `said` is logged as the one that tells them; a `secret` (its hash) is approved in the turn they have.
        """
        with self._writing():
            if said:
                turn = self._insert(said)
                memories = [replace(memory, turn_ids=(turn.id,), at=turn.at) for memory in memories]
            for old in replaced:
                self._db.execute(
                    "UPDATE memories SET state = 'replaced', generation = NULL, pinned = 0 WHERE id = ?", [old]
                )
            for memory in memories:
                self._adopt(memory)
                if secret:
                    values = [memory.turn_ids[0], secret, memory.id]
                    self._db.execute("INSERT OR IGNORE INTO approved VALUES (?, ?, ?)", values)

    def _adopt(self, memory: Memory) -> None:
        """Store a memory as it is now put, to be learned from the beginning, whatever was known of it."""
        self._remember(memory)
        asked = [question.ask for question in memory.questions]
        (row,) = self._rows("SELECT held_out FROM memories WHERE id = ?", memory.id)
        # Another wording may by now be in the weights: what was held out goes on to be, where it is asked at all.
        held_out = row["held_out"] if row["held_out"] in asked else memory.held_out
        values = plain(replace(memory, held_out=held_out))
        values["questions"] = msgspec.json.encode(memory.questions).decode()
        columns = ("kind", "relation", "statement", "told", "value", "held_out", "questions", "pinned")
        self._db.execute(
            f"UPDATE memories SET {', '.join(f'{column} = ?' for column in columns)}, "
            "state = 'new', generation = NULL, streak = 0, due = 0 WHERE id = ?",
            [*(values[column] for column in columns), memory.id],
        )
        self._db.execute("DELETE FROM forgotten WHERE memory = ?", [memory.id])
        if (stones := self.tombstones()).hashes:
            self._each("DELETE FROM tombstones WHERE hash = ?", stones.of_all(memory))

    def approved(self) -> dict[tuple[int, str], list[str]]:
        """Ids of the memories that were approved, by the turn and the hash of the sentence that tells a secret."""
        found: dict[tuple[int, str], list[str]] = {}
        for row in self._rows("SELECT turn, sha256, memory FROM approved"):
            found.setdefault((row["turn"], row["sha256"]), []).append(row["memory"])
        return found

    def edited(self) -> frozenset[int]:
        """Ids of the turns that an edit has read already: a night would find again what was edited once more."""
        sql = "SELECT DISTINCT turn FROM memory_turns JOIN turns ON turns.id = turn WHERE session = ?"
        return frozenset(row["turn"] for row in self._rows(sql, EDITS))

    def pin(self, memory_id: str, on: bool) -> None:
        """Have a memory rehearsed as fully as a new one every night, and hold; or no longer."""
        with self._writing():
            self._db.execute("UPDATE memories SET pinned = ? WHERE id = ?", [on, memory_id])

    def forget(self, memory_ids: Sequence[str]) -> None:
        """Take memories out for good; their ids stay, so that no night finds the same value on the same topic again.

        Turns are as they were, but are quoted no more.
        """
        with self._writing():
            for gone in memory_ids:
                told = "SELECT turn FROM memory_turns WHERE memory = ?"
                self._db.execute(f"INSERT OR IGNORE INTO silenced {told}", [gone])
                self._db.execute(
                    "UPDATE memories SET instead_of = '' "
                    "WHERE lower(instead_of) = (SELECT lower(value) FROM memories WHERE id = ?)",
                    [gone],
                )
                for table, column in (("memory_turns", "memory"), ("approved", "memory"), ("memories", "id")):
                    self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", [gone])
                self._db.execute("INSERT OR IGNORE INTO forgotten VALUES (?, ?)", [gone, now("milliseconds")])

    def forgotten(self) -> frozenset[str]:
        """Ids of the memories that were forgotten."""
        return frozenset(row["memory"] for row in self._rows("SELECT memory FROM forgotten"))

    # -- forgotten for good ------------------------------------------------------------------------------------------

    def tombstones(self) -> Tombstones:
        """What no night may learn again, and no import bring back. Raises EdgesleepError where their key is gone."""
        return Tombstones.of(self._path.parent, (row["hash"] for row in self._rows("SELECT hash FROM tombstones")))

    def erase(
        self, memory_ids: Collection[str], turns: Collection[int], loose: Collection[str], stones: Iterable[str]
    ) -> None:
        """Take memories and turns out for good, and leave tombstones; what is gone already does not matter.

        Those of `loose` no longer say in whose place they stand. Not even ids stay: they are hashes of what is to be
        forgotten, without a key. The bytes are gone from the disk after `vacuum`.
        """
        with self._writing():
            for place in ("memory_turns WHERE memory", "approved WHERE memory", "forgotten WHERE memory"):
                self._each(f"DELETE FROM {place} = ?", memory_ids)
            rows = ("memory_turns", "approved", "silenced", "judgements")
            for place in (*(f"{table} WHERE turn" for table in rows), "turns WHERE id"):
                self._each(f"DELETE FROM {place} = ?", turns)
            self._each("DELETE FROM memories WHERE id = ?", memory_ids)
            self._each("UPDATE memories SET instead_of = '' WHERE id = ?", loose)
            self._each("INSERT OR IGNORE INTO tombstones VALUES (?)", stones)
            self._db.execute("DELETE FROM sessions WHERE id NOT IN (SELECT session FROM turns)")
            for report in self.nights():
                kept = (
                    replace(one, missed=tuple(id for id in one.missed if id not in memory_ids)) for one in report.passes
                )
                values = [msgspec.json.encode(replace(report, passes=tuple(kept))).decode(), report.night]
                self._db.execute("UPDATE nights SET report = ? WHERE number = ?", values)

    def _each(self, sql: str, values: Iterable[str | int]) -> None:
        for value in values:
            self._db.execute(sql, [value])

    def vacuum(self) -> None:
        """Write the database anew without what was deleted from it, and empty the log beside it.

        Raises EdgesleepError while another program holds either.
        """
        with explained(self._path):
            self._db.execute("VACUUM")
            ((busy, *_),) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise EdgesleepError(
                f"{self._path}-wal cannot be emptied: another program reads the journal.", "Close it and try again."
            )

    # -- nights and generations ----------------------------------------------------------------------------------

    def begin_night(self) -> int:
        """Number a new night."""
        with self._writing():
            values = ["running", now("milliseconds")]
            return int(self._db.execute("INSERT INTO nights (status, started) VALUES (?, ?)", values).lastrowid or 0)

    def open_night(self) -> int | None:
        """The last night, when it has not come to its end: killed while running, or interrupted."""
        rows = self._rows("SELECT number, status FROM nights ORDER BY number DESC LIMIT 1")
        return int(rows[0]["number"]) if rows and rows[0]["status"] in ("running", "interrupted") else None

    def coming_night(self) -> int:
        """The number of the night that is open, or else of the next one."""
        ended = self._rows("SELECT count(*) AS n FROM nights WHERE report IS NOT NULL")
        return self.open_night() or int(ended[0]["n"]) + 1

    def end_night(self, report: NightReport) -> None:
        """Store how a night ended. An interrupted night stays open and keeps its number."""
        values = [report.status, now("milliseconds"), msgspec.json.encode(report).decode(), report.night]
        with self._writing():
            if not self._db.execute(
                "UPDATE nights SET status = ?, ended = ?, report = ? WHERE number = ?", values
            ).rowcount:
                raise EdgesleepError(f"The journal holds no night {report.night}.", "Begin it first.")

    def nights(self) -> list[NightReport]:
        """Reports of all nights that have one, oldest first."""
        rows = self._rows("SELECT report FROM nights WHERE report IS NOT NULL ORDER BY number")
        return [msgspec.json.decode(row["report"], type=NightReport) for row in rows]

    def record_generation(self, generation: Generation, status: str = "published") -> None:
        """Note what became of a generation; noting it again replaces the status."""
        row = plain(generation)
        values = [row[name] for name in ("number", "night", "parent", "created", "model_sha256")]
        with self._writing():
            self._db.execute(
                "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (number) DO UPDATE SET status = excluded.status",
                [*values, status],
            )

    def generation_states(self) -> dict[int, str]:
        """Status by generation number."""
        return {row["number"]: row["status"] for row in self._rows("SELECT number, status FROM generations")}

    # -- the database --------------------------------------------------------------------------------------------

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with explained(self._path):
            return list(self._db.query(sql, values))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with explained(self._path), transaction(self._db):
            yield


def _key(one: Ready) -> tuple[str, ...]:
    turn = one.turn
    return (turn.sha256, turn.session, turn.at) if one.timed else (turn.sha256, turn.session)
