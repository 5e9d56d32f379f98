"""A daemon whose night only counts, and whose sensors are a file: what is done with it, and what comes of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from nights import tell

from edgesleep import machine
from edgesleep.config import DaemonSettings
from edgesleep.daemon import control, log, loop
from edgesleep.daemon.policy import Reading
from edgesleep.daemon.sensors import FromFile
from edgesleep.records import dump

FIT = Reading(1e5, True, 90.0, memory=8.0, disk=50.0)
SETTINGS = DaemonSettings(hours="00:00-24:00")
# A night with a child of its own; both count into files. It ends well when a file says so, or when it is asked.
NIGHT = """
import os, pathlib, signal, sys, time
from edgesleep import held
from edgesleep.machine import end_with
home = pathlib.Path({words!r}[1])
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
child = os.fork()
if child == 0:
    end_with(os.getppid())
name = "child" if child == 0 else "night"
began = held.working()
for count in range(1 << 30):
    (home / f".{{name}}").write_text(str(count)); os.replace(home / f".{{name}}", home / name)
    if (home / "enough").exists():
        (home / f"{{name}} worked").write_text(str(held.working() - began))
        break
    time.sleep(0.01)
"""

PROCESS = """
import sys
from pathlib import Path
from edgesleep import machine
from edgesleep.config import DaemonSettings
from edgesleep.daemon import loop
from edgesleep.daemon.sensors import FromFile
home = Path({home!r})
machine.edgesleep = lambda *words: machine.child({night!r}.format(words=words))
loop.Daemon(home, DaemonSettings(hours="00:00-24:00"), FromFile(home / "sensors.json")).run({once})
"""


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something; a machine that does much else is slow."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


def sleeps(monkeypatch: pytest.MonkeyPatch, night: str) -> None:
    """Have a night of this process's daemon be that code, with `words` for the command's."""
    monkeypatch.setattr(machine, "edgesleep", lambda *words: machine.child(night.format(words=words)))


def readied(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where something waits to be learned, and a file in place of the sensors."""
    sleeps(monkeypatch, NIGHT)
    tell(home, "I live in Skelwick.")
    (home / "base.json").write_text("{}")
    dump(FIT, home / "sensors.json")
    return home


def here(home: Path) -> loop.Daemon:
    """The daemon in this process."""
    return loop.Daemon(home, SETTINGS, FromFile(home / "sensors.json"))


@contextmanager
def apart(home: Path, night: str = NIGHT, *, once: bool = False) -> Iterator[Popen[bytes]]:
    """The daemon in a process of its own, as soon as it answers."""
    with Popen([sys.executable, "-c", PROCESS.format(home=str(home), night=night, once=once)]) as running:
        try:
            until(lambda: control.answers(home))
            yield running
        finally:
            running.kill()


def see(home: Path, **changes: Any) -> None:
    dump(replace(FIT, **changes), home / "sensors.json")


def count(home: Path, name: str = "night") -> int:
    return int((home / name).read_text()) if (home / name).exists() else -1


def stands(home: Path) -> bool:
    before = [count(home, name) for name in ("night", "child")]
    time.sleep(0.3)
    return before == [count(home, name) for name in ("night", "child")]


def begun(daemon: loop.Daemon) -> loop.Night:
    daemon.look()
    until(lambda: count(daemon.home) > 0 and count(daemon.home, "child") > 0)
    assert daemon.night is not None
    return daemon.night


def ended(daemon: loop.Daemon) -> None:
    until(lambda: daemon.night is None or daemon.night.ended() is not None)
    daemon.look()
    assert daemon.night is None


def events(home: Path) -> list[str]:
    return [line["event"] for line in log.lines(home)]
