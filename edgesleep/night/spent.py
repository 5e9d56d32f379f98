"""Spent: what a night took so far, over all runs that went on with it.

Owns the small file of it in the night's folder. Leaves when to note it, and how long a run may take, to `stages`. Must
stay true: a run adds to what is noted and takes nothing back; a kill loses no more than came after the last note; the
seconds in which the night is held count for nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgesleep import machine
from edgesleep.errors import EdgesleepError
from edgesleep.held import working
from edgesleep.night.artefacts import SPENT
from edgesleep.records import dump, load, now

EVERY = 10.0  # seconds between two notes while it trains


@dataclass(frozen=True)
class Spent:
    """When the first run began, the seconds of all, and the most memory of any, in bytes."""

    began: str
    seconds: float = 0.0
    peak_rss: int = 0


class Meter:
    """Counts one run of the night in `folder`, on top of those before."""

    def __init__(self, folder: Path) -> None:
        self.path, self.began = folder / SPENT, working()
        self._noted = self.began
        try:
            self._before = load(Spent, self.path)
        except EdgesleepError:  # the first run, or one of an edgesleep that noted nothing
            self._before = Spent(now())

    @property
    def run(self) -> float:
        """Seconds of this run."""
        return working() - self.began

    def spent(self) -> Spent:
        """Over all runs."""
        before = self._before
        return Spent(before.began, round(before.seconds + self.run, 1), max(before.peak_rss, machine.peak_rss()))

    def note(self, every: float = 0.0) -> None:
        """Write it down, unless that was done in the last `every` seconds. A full disk ends no night by this."""
        if working() - self._noted >= every:
            with suppress(OSError, EdgesleepError):
                dump(self.spent(), self.path)
            self._noted = working()
