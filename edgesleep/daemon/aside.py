"""Aside: asking what may never answer, as an X server or a driver, without waiting for it.

Owns the thread that waits in the daemon's place. Leaves what is asked to `x11` and `nvidia`. Must stay true: whoever
asks waits for a moment at most, and only one thread ever waits for the same thing; whatever goes wrong is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

TIMEOUT = 0.2  # seconds for an answer


class Aside:
    """One question. Its answer holds for `holds` seconds; one that comes late is given from the next time on."""

    def __init__(self, ask: Callable[[], float | None], holds: float = 0.0) -> None:
        self._ask, self._holds = ask, holds
        self._thread: Thread | None = None
        self._answer: float | None = None
        self._asked = float("-inf")

    def told(self) -> float | None:
        """The answer, or None where it is not known yet, or never."""
        if self._thread is not None and self._thread.is_alive():
            return None
        if time.monotonic() - self._asked >= self._holds:
            self._asked, self._answer = time.monotonic(), None
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()
            self._thread.join(TIMEOUT)
            if self._thread.is_alive():
                return None
        return self._answer

    def _run(self) -> None:
        with suppress(Exception):  # libraries know no end of them
            self._answer = self._ask()
