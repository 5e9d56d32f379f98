"""One night at a time: the lock of a home.

Owns HOME/night.lock, which the operating system holds for a process and drops with it, HOME/night.pid, which says whose
it is, and such a claim on any other file. Leaves what is done under it to `store`. Must stay true: whatever ended its
holder, the lock can be taken again with nothing to remove by hand; and where a file system grants a lock twice, as some
shared ones do, a holder that is seen to live is believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from edgesleep import machine
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.records import dump, load

_held: set[Path] = set()  # notes of locks that this process holds now: a note may outlast its lock, where a disk fails


@dataclass(frozen=True)
class Holder:
    """A process: its number, and what tells it from others that had or will have the same.

    `began` is when it did, as `machine.process_began` counts; `boot` the start of the machine, and `space` the
    container, within which its number means it.
    """

    pid: int
    began: str
    boot: str
    space: str

    @classmethod
    def this(cls) -> Holder:
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Holder:
        """A process that is there now."""
        return cls(pid, machine.process_began(pid), machine.boot(), machine.process_space())

    def lives(self) -> bool:
        """Whether it is seen to; of one in another container nothing can be seen, and after a restart none is left."""
        here = (self.boot, self.space) == (machine.boot(), machine.process_space())
        return here and bool(self.began) and machine.process_began(self.pid) == self.began


class Lock:
    """The lock of one home."""

    def __init__(self, home: Path) -> None:
        self._file = FileLock(home / "night.lock", timeout=0, mode=0o600)
        # A file of its own: Windows lets nobody else read a locked one.
        self._note = home / "night.pid"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it; may be nested. Raises BusyError where another process does, EdgesleepError where none can."""
        first = not self._file.is_locked
        try:
            self._file.acquire()
        except Timeout as error:
            holder = self._holder()
            raise _busy(str(holder.pid) if holder else "unknown") from error
        except (OSError, NotImplementedError) as error:
            raise _unlockable(self._file.lock_file, error) from error
        try:
            with self._noted() if first else nullcontext():
                yield
        finally:
            self._file.release()

    def is_taken(self) -> bool:
        """Whether a process that is seen to live says that it holds it; nothing is tried."""
        holder = self._holder()
        return holder is not None and holder.lives()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Break what a holder left that is gone, and leave word of this one for as long as it holds."""
        if (holder := self._holder()) and holder.lives() and (holder != Holder.this() or self._note in _held):
            raise _busy(str(holder.pid))
        _held.add(self._note)
        try:
            # It only helps where locks do not hold. Where the disk is full, going back to an earlier model has to work.
            with suppress(EdgesleepError):
                dump(Holder.this(), self._note)
            yield
        finally:
            _held.discard(self._note)
            with suppress(OSError):
                self._note.unlink(missing_ok=True)

    def _holder(self) -> Holder | None:
        try:
            return load(Holder, self._note)
        except EdgesleepError:
            return None


class Claim:
    """A file that one process at a time can have, for as long as it lives or until it lets go."""

    def __init__(self, path: Path) -> None:
        self._file = FileLock(path, timeout=0, mode=0o600)

    def take(self) -> bool:
        """Whether it could be had. Raises EdgesleepError where the file system knows no locks."""
        try:
            self._file.acquire()
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            raise _unlockable(self._file.lock_file, error) from error
        return True

    def drop(self) -> None:
        self._file.release()


def _unlockable(path: str, error: Exception) -> EdgesleepError:
    return EdgesleepError(
        f"{path} cannot be locked: {getattr(error, 'strerror', None) or error}.",
        "Check who owns the folder, and that its file system knows locks; --home chooses another.",
    )


def _busy(pid: str) -> BusyError:
    return BusyError(
        f"Another night or change is under way (process {pid}).",
        "Wait until it has ended, or stop that process: one of the daemon by `edgesleep daemon pause --minutes 5`.",
    )
