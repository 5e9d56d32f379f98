"""Logbook: what of a request is new, kept before its answer begins, and the answer before it ends.

Owns one thread with the journal and what is recalled from it, telling what was kept before from what is new, and
whether anything is kept at all. Leaves cleaning and redaction to `entries`, storing to `journal`. Must stay true: a
client sends the whole conversation each time, and none of it is kept twice; what was said before we heard it, while
nothing was to be kept, or was forgotten since is not kept at all; that nothing could be kept is told once, and breaks
no reply.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from edgesleep.config import RecallSettings
from edgesleep.database import is_locked
from edgesleep.day.recall import Recall, Recalled
from edgesleep.day.wire import Said
from edgesleep.entries import MAX_TURN_BYTES, Entry, checked
from edgesleep.errors import EdgesleepError
from edgesleep.files import remove, write_atomically
from edgesleep.journal import Journal
from edgesleep.records import ROLES, Turn, digest
from edgesleep.tombstones import Tombstones

T = TypeVar("T")

OFF = "log.off"  # lies in the home while nothing is kept
SCAFFOLDS = ("### Task:",)  # how Open WebUI begins what it asks itself, as the title of a chat
WAIT, PAUSE = 1.0, 3.0  # seconds for which a locked journal is waited for, and is then left alone
AGAIN = 300.0  # seconds after which a request that is sent once more is another


def is_on(home: Path) -> bool:
    """Whether what is said is kept."""
    return not (home / OFF).exists()


def turn(home: Path, *, on: bool) -> None:
    """Keep what is said from now on, or no more."""
    if on:
        remove(home / OFF)
    else:
        write_atomically(home / OFF, b"")


@dataclass(frozen=True)
class Wish:
    """What a request wants of us beside its answer.

    `session` is the client's own name for the conversation; `again`: the client says that it sends it once more.
    `live`: the last words are the user's own, not a text to be gone on with.
    """

    log: bool = True
    recall: bool = True
    session: str = ""
    again: bool = False
    live: bool = True


@dataclass(frozen=True)
class Opened:
    """The session of an answer that is awaited, and the tombstones there were; None while a forgetting is unfinished.

    An answer that began before a forgetting may tell what is forgotten, and comes after its proof.
    """

    session: str
    stones: frozenset[str] | None


class Logbook:
    """Used from an event loop; its journal lives in a thread of its own."""

    def __init__(
        self,
        home: Path,
        settings: RecallSettings,
        warn: Callable[[str], None],
        paused: Callable[[], bool] = lambda: False,
        *,
        weights: bool = True,
    ) -> None:
        """`paused`: nothing is to be recalled now. `weights` as of `Recall`."""
        self._home, self._warn, self._paused = home, warn, paused
        self._new_recall = partial(Recall, settings, weights=weights)
        self._recall: Recall | None = None
        self._journal: Journal | None = None
        self._warned: set[str] = set()
        self._locked = 0.0  # until when it is left alone
        self._thread = ThreadPoolExecutor(1, "journal")

    async def recalled(self, messages: Sequence[Said]) -> list[Recalled]:
        """What the user said before that bears on their last message."""
        return await self._done(self._find, messages) or []

    async def opened(self, messages: Sequence[Said], wish: Wish) -> Opened | None:
        """Keep what is new of a request; None where nothing is kept."""
        return await self._done(self._open, messages, wish)

    async def closed(self, opened: Opened | None, answer: str) -> None:
        """Keep the answer."""
        if opened and _says(answer):
            await self._done(self._close, opened, answer)

    def close_later(self, opened: Opened | None, answer: str) -> None:
        """Keep as much of an answer as there was when its reader left."""
        if opened and _says(answer):
            with suppress(RuntimeError):  # the server is at its end
                self._thread.submit(self._safely, self._close, opened, answer)

    def renew(self) -> None:
        """Drop what was read of the journal: with another generation, something may have been forgotten."""
        self._thread.submit(setattr, self, "_recall", None)

    def close(self) -> None:
        """Wait for what is to be kept yet."""
        self._thread.submit(self._shut)
        self._thread.shutdown()

    # -- in the thread -------------------------------------------------------------------------------------------

    async def _done(self, work: Callable[..., T], *values: object) -> T | None:
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._safely, work, *values)
        return await asyncio.shield(done)  # one that is given up while it waits would never run

    def _safely(self, work: Callable[..., T], *values: object) -> T | None:
        """What the work gives; None where it fails, which is told when it begins to."""
        what = "What was said is not recalled" if work == self._find else "What is said is not kept"
        if time.monotonic() < self._locked:
            return None  # each reply would wait for it in turn
        try:
            result = work(*values)
            self._warned.discard(what)
            return result
        except Exception as error:
            self._shut()
            if is_locked(error):
                self._locked = time.monotonic() + PAUSE
            if what not in self._warned:
                self._warned.add(what)
                with suppress(OSError, ValueError):  # a closed terminal breaks no reply either
                    self._warn(f"{what}: {error} {error.hint if isinstance(error, EdgesleepError) else ''}".strip())
            return None

    def _open_journal(self) -> Journal:
        self._journal = self._journal or Journal.open(self._home, WAIT)
        return self._journal

    def _shut(self) -> None:
        journal, self._journal = self._journal, None
        if journal:
            journal.close()

    def _find(self, messages: Sequence[Said]) -> list[Recalled]:
        asked = [message.content for message in messages if message.role == "user"]
        if not asked or self._paused():
            return []
        self._recall = self._recall or self._new_recall()
        others = [message.content for message in messages if message.role != "system"]
        return self._recall.find(self._open_journal(), asked[-1], others)

    def _open(self, messages: Sequence[Said], wish: Wish) -> Opened:
        journal = self._open_journal()
        session, entries = new(journal, messages, wish)
        if entries:
            self._log(entries)
        return Opened(session, None if self._paused() else journal.tombstones().hashes)

    def _close(self, opened: Opened, answer: str) -> None:
        forgotten = self._open_journal().tombstones().hashes
        if opened.stones is not None and forgotten <= opened.stones and not self._paused():
            self._log([Entry("assistant", answer, session=opened.session)])

    def _log(self, entries: Sequence[Entry]) -> None:
        if is_on(self._home):  # still: that may be said while an answer is awaited
            self._open_journal().log_many(entries)


# -- what is new -------------------------------------------------------------------------------------------------------


def new(journal: Journal, messages: Sequence[Said], wish: Wish) -> tuple[str, list[Entry]]:
    """The session that a conversation is kept in, and which of its messages are not in it yet.

    A conversation is known again by what the user said before the assistant's last words, as far as the journal has it.
    Of that nothing is kept any more: it was not to be kept, was forgotten, or was said elsewhere. One without any such
    words is a new one, unless it is sent again: the same thing may be told on two days, and it counts when.
    """
    kept = [clean for message in messages if (clean := _clean(message.role, message.content))]
    start = max((place + 1 for place, (role, _) in enumerate(kept) if role == "assistant"), default=0)
    before = [content for role, content in kept[:start] if role == "user"]
    said = _unforgotten(kept, start, journal.tombstones())
    found = _same(journal, said, wish) if wish.again and not before else _session(journal, before, wish)
    if found:
        name, turns = found
        said = _missing(said, [(turn.role, turn.content) for turn in turns])
    else:
        name = wish.session or f"serve-{secrets.token_hex(6)}"
    return name, [_entry(name, role, content, wish) for role, content in said]


def _unforgotten(kept: Sequence[tuple[str, str]], start: int, stones: Tombstones) -> list[tuple[str, str]]:
    """What was said from `start` on, without what a client still has of something forgotten, and what followed on that.

    What the user says last is told now.
    """
    last = max((place for place, (role, _) in enumerate(kept) if role == "user" and place >= start), default=-1)
    said, gone = [], False
    for place, (role, content) in enumerate(kept):
        held = place != last and stones.hold_text(content)
        gone = held or (gone and role != "user")
        if place >= start and not gone:
            said.append((role, content))
    return said


def _session(journal: Journal, before: Sequence[str], wish: Wish) -> tuple[str, list[Turn]] | None:
    """The session in which a user said this, in this order, and what comes after it there; None where there is none.

    Some of it may be only elsewhere, where the rest is in no other session.
    """
    if wish.session:
        turns = journal.session(wish.session)
        return (wish.session, turns[_after(turns, before)[0] :]) if before else None
    known = [(content, names) for content in before if (names := journal.sessions(_hashes(content)))]
    names = min((names for _, names in known), key=len, default=[])  # of the rarest
    for name in names:
        turns = journal.session(name)
        place, count = _after(turns, [content for content, _ in known])
        if count == len(known) or len(names) == 1:
            return name, turns[place:]
    return None


def _same(journal: Journal, said: Sequence[tuple[str, str]], wish: Wish) -> tuple[str, list[Turn]] | None:
    """The session in which a user has just said this as the last thing."""
    asked = [content for role, content in said if role == "user"]
    names = [wish.session] if wish.session else journal.sessions(_hashes(asked[-1])) if asked else []
    for name in names:
        turns = journal.session(name)
        last = next((turn for turn in reversed(turns) if turn.role == "user"), None)
        if asked and last and last.content == asked[-1] and _age(last) < AGAIN:
            return name, turns
    return None


def _entry(session: str, role: str, content: str, wish: Wish) -> Entry:
    own = wish.live and not content.startswith(SCAFFOLDS)
    return Entry(role, content, None if role != "user" or own else "import", session)


def _after(turns: Sequence[Turn], said: Sequence[str]) -> tuple[int, int]:
    """The place in a session after what a user said, in this order, and how much of it is there."""
    place = count = 0
    for content in said:
        there = (at for at in range(place, len(turns)) if (turns[at].role, turns[at].content) == ("user", content))
        if (at := next(there, None)) is not None:
            place, count = at + 1, count + 1
    return place, count


def _age(turn: Turn) -> float:
    """Seconds since it was said."""
    return (datetime.now(timezone.utc) - datetime.fromisoformat(turn.at)).total_seconds()


def _missing(said: Sequence[tuple[str, str]], there: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of what was said, all from the first on that is not there."""
    left = iter(there)
    for place, one in enumerate(said):
        if one not in left:
            return [*said[place:]]
    return []


def _says(content: str) -> bool:
    """Whether anything is left of a text without what cannot be stored."""
    return any(char.isprintable() and not char.isspace() for char in content)


@lru_cache(maxsize=1024)
def _clean(role: str, content: str) -> tuple[str, str] | None:
    """A message as it is stored, which a conversation sends again and again; None where it cannot be."""
    if role not in ROLES or not _says(content):
        return None
    if len(content.encode(errors="replace")) > MAX_TURN_BYTES:
        content = f"[{len(content):,} characters, too long to be kept]"
    return role, checked(Entry(role, content)).content


def _hashes(content: str) -> list[str]:
    return [digest(["user", source, content]) for source in ("user", "import")]
