"""Aside: asking what may never answer, as an X server or a driver, without waiting for it.

Owns the thread that waits in the daemon's place, and whether a device sleeps, which to ask it for anything could end.
Leaves what is asked to `linux`, `x11` and `nvidia`. Must stay true: whoever asks waits for a moment at most, unless it
said for how long; only one thread ever waits for the same thing; whatever goes wrong is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

TIMEOUT = 0.2  # seconds for an answer
_until = float("-inf")  # by the steady clock: until then whoever asks has time


def sleeps(device: Path) -> bool:
    """Whether Linux has put a device to sleep, by its folder in /sys."""
    try:
        return (device / "power" / "runtime_status").read_text("ascii", "replace").strip() == "suspended"
    except OSError:
        return False


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """While it holds, answers are waited for that long, all of them together."""
    global _until
    _until = time.monotonic() + seconds
    try:
        yield
    finally:
        _until = float("-inf")


class Aside:
    """One question. Its answer holds for `holds` seconds; one that comes late is given from the next time on,
    while it holds."""

    def __init__(self, ask: Callable[[], float | None], holds: float = 0.0) -> None:
        self._ask, self._holds = ask, holds
        self._thread: Thread | None = None
        self._answer: float | None = None
        self._asked = float("-inf")

    def told(self) -> float | None:
        """The answer, or None where it is not known yet, or never."""
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(max(0.0, _until - time.monotonic()))
            return None if self._thread.is_alive() else self._answer
        if time.monotonic() - self._asked >= self._holds:
            self._asked, self._answer = time.monotonic(), None
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()
            self._thread.join(max(TIMEOUT, _until - time.monotonic()))
            if self._thread.is_alive():
                return None
        return self._answer

    def _run(self) -> None:
        with suppress(Exception):  # libraries know no end of them
            self._answer = self._ask()
