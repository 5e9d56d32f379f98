"""Held still: a process and all that it began stop where they are, go on, or end; and a clock that knows of it.

Owns freezing a tree of processes, and the seconds that a frozen one does not count as its own. Leaves when to do so to
`daemon.loop`. Must stay true: a parent is frozen before its children, so that none escapes; what is frozen takes no
processor time, whatever it was doing, and goes on as if nothing had been; the clock is the plain one where nothing ever
was held.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

NOTE = "EDGESLEEP_HELD"  # names the file in which whoever holds this process still counts the seconds
_MOST = 64  # looks for children that were begun while others were being frozen


def working() -> float:
    """Seconds on a clock that stands still while this process does, suspended or held; only differences mean anything.

    As `time.monotonic`, less what the file that NOTE names says in seconds.
    """
    return time.monotonic() - _held()


def _held() -> float:
    place = os.environ.get(NOTE)
    if not place:
        return 0.0
    with suppress(OSError, ValueError):
        return float(Path(place).read_text("ascii"))
    return 0.0


def freeze(pid: int) -> None:
    """Stop a process and all below it at once."""
    for _ in range(_MOST):  # one that was already begun may have begun others meanwhile
        if not _each(pid, lambda process: None if _stands(process) else process.suspend()):
            return


def thaw(pid: int) -> None:
    """Have them go on; the last one begun goes first, so that none finds its child standing still."""
    _each(pid, lambda process: process.resume(), down=False)


def kill(pid: int) -> None:
    """End them without a word, frozen or not."""
    _each(pid, lambda process: process.kill())


def _stands(process: psutil.Process) -> bool:
    import psutil

    return bool(process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))


def _each(pid: int, act: Callable[[psutil.Process], None], *, down: bool = True) -> bool:
    """Do something with a process and all below it; whether there was one that was not stopped before."""
    import psutil

    moved = False
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
        for process in family if down else reversed(family):
            with suppress(psutil.Error):
                moved |= not _stands(process)
                act(process)
    return moved
