"""Underway: what a night is at, on disk before it begins, so that the next one knows how this one ended.

Owns HOME/underway.json: when it counts as a crash, and when a night that crashed is not tried again. Leaves what is
tried to `cycle`. Must stay true: whatever ends a night without a word (kill -9, the system for want of memory, a fault
of native code) counts; what its owner asked for, an error that was told, and a restart of the machine do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesleep import machine
from edgesleep.errors import EdgesleepError, KilledError
from edgesleep.night.artefacts import folder_of
from edgesleep.records import digest, dump, load

FILE = "underway.json"
READING = "reading"  # the stage before a night has a number
TRIES = 2  # crashes at one place, after which it takes a change to try again
GROWN = 1.25  # times as much free memory or disk is a change


@dataclass(frozen=True)
class Attempt:
    """One stage of one night, with what it is tried for the `times`-th time in a row.

    `done` tells what the night had done before it, so that one that gets on is not at the same place; `means` all that
    may let it end otherwise, but for the bytes of `disk` and `memory` that were free.
    """

    night: int
    stage: str
    done: str
    times: int
    boot: str
    means: str
    disk: int
    memory: int

    @property
    def place(self) -> tuple[int, str, str]:
        return self.night, self.stage, self.done


class Underway:
    """The attempts of one run; `means` are settings, version, turns and whatever else can make a difference."""

    def __init__(self, home: Path, means: Sequence[Any], should_stop: Callable[[], bool]) -> None:
        self.home, self.path, self.should_stop = home, home / FILE, should_stop
        self._now = Attempt(0, "", "", 1, machine.boot(), digest(means), machine.free_disk(home), machine.free_memory())
        self._crashed = self._last()

    def demand_hope(self) -> None:
        """Raises EdgesleepError where a night has crashed so often at one place that it would again."""
        last = self._crashed
        if last and last.times >= TRIES:
            night = f"Night {last.night}" if last.night else "A night"
            raise EdgesleepError(
                f"{night} ended {last.times} times without a word in the stage {last.stage}, and nothing has changed "
                "since: no new messages, settings or version, no more memory or disk space.",
                "Was memory short? Lower train.memory or end other programs. `run-night --force` tries again.",
            )

    def at(self, night: int, stage: str) -> None:
        """Note the stage that begins now."""
        now = replace(self._now, night=night, stage=stage, done=_done(folder_of(self.home, night)))
        if self._crashed and self._crashed.place == now.place:
            now = replace(now, times=self._crashed.times + 1)
        dump(now, self.path)
        if self.should_stop():  # asked between the last time it was looked for and the write
            forgive(self.home)

    def _last(self) -> Attempt | None:
        """What crashed, where it would be tried again with the same means."""
        try:
            last = load(Attempt, self.path)
        except EdgesleepError:
            return None
        now = self._now
        # A machine that was switched off, or whose battery ran out, says nothing about the night.
        same = last.boot == now.boot and last.means == now.means
        return last if same and now.disk < GROWN * last.disk and now.memory < GROWN * last.memory else None


@contextmanager
def watched(home: Path, means: Sequence[Any], should_stop: Callable[[], bool], *, force: bool) -> Iterator[Underway]:
    """While it holds, stages can be noted. Raises EdgesleepError where a night has crashed too often, unless forced."""
    night = Underway(home, means, should_stop)
    if not force:
        night.demand_hope()
    try:
        yield night
    except KilledError:
        raise
    except (EdgesleepError, OSError, KeyboardInterrupt, SystemExit):
        forgive(home)
        raise
    forgive(home)


def forgive(home: Path) -> None:
    """Its end is asked for, or will be told: whatever happens from now on is no crash. May be called in a signal."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)


def _done(folder: Path) -> str:
    """What stands still where a night does: the artefacts that are finished, and its last checkpoint."""
    marks = sorted(path.name for path in folder.glob("*.inputs"))
    return digest([marks, sorted(path.stat().st_mtime_ns for path in folder.glob("checkpoint-*"))])
