"""X11: how long nobody has touched a display of this machine, as its X server tells.

Owns which displays are this user's, and asking each. Leaves what else tells of a desktop to `linux`. The only module
that speaks to X servers. Must stay true: one that is gone, refuses or hangs is unknown within a moment and ends
nothing, which is why no library of C asks, as it would end the process; one that runs inside of a Wayland compositor
is not believed, since it sees only what its own windows get.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgesleep.daemon.aside import Aside

AGAIN = 60.0  # seconds after which a server that failed is tried again
SOCKETS = Path("/tmp/.X11-unix")


def displays(names: Iterable[str]) -> list[int]:
    """Numbers of this user's displays that are served here: the named ones, as DISPLAY has it, and those of X servers
    that are the user's own processes."""
    found = set()
    for name in names:
        match = re.fullmatch(r"(?:unix/?)?:(\d+)(?:\.\d+)?", name)  # any other is on another machine
        if match and (SOCKETS / f"X{match[1]}").exists():
            found.add(int(match[1]))
    with suppress(OSError):
        for path in SOCKETS.glob("X*"):
            if path.name[1:].isdigit() and path.stat().st_uid == os.getuid():
                found.add(int(path.name[1:]))
    return sorted(found)


class Displays:
    """Displays by number, each with a connection that is kept."""

    def __init__(self) -> None:
        self._known: dict[int, _Display] = {}

    def idle(self, numbers: Iterable[int], authority: str | None) -> float | None:
        """Seconds since anyone last touched one of them; None where one of them does not tell.

        `authority` is the file with the keys to them, where it is not the usual one.
        """
        if authority:
            os.environ["XAUTHORITY"] = authority  # there the library looks for it, and nowhere else
        self._known = {number: self._known.get(number) or _Display(number) for number in numbers}
        told = [one.idle.told() for one in self._known.values()]
        known = [seconds for seconds in told if seconds is not None]
        return min(known) if known and len(known) == len(told) else None


class _Display:
    """One of them. The library waits for a server as long as it takes, so it is asked aside."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.idle = Aside(self._ask)
        self._display: Any = None
        self._failed = -AGAIN

    def _ask(self) -> float | None:
        if time.monotonic() - self._failed < AGAIN:
            return None
        try:
            if self._display is None:
                self._display = _opened(self.number)
            told = self._display.screen().root.screensaver_query_info().idle / 1000
            while self._display.pending_events():  # of changed keyboards, which every program is told
                self._display.next_event()
            return float(told)
        except Exception:  # a server that ends may leave the library with anything
            self._failed = time.monotonic()
            if self._display is not None:
                with suppress(Exception):
                    self._display.close()
            self._display = None
            return None


def _opened(number: int) -> Any:
    """A connection. Raises some exception where there is none, or the server cannot tell who is here."""
    from Xlib.display import Display

    display = Display(f"unix/:{number}")  # no other way to the same server, such as the network
    if not display.has_extension("MIT-SCREEN-SAVER") or "XWAYLAND" in display.list_extensions():
        display.close()
        raise LookupError("it does not tell")
    return display
