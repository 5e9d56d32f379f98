"""Sensors: what the machine says of itself, the same on every system.

Owns what psutil and the system's own files can tell anywhere, reading from a file in their place, and the choice of the
system's module. Leaves what is particular to one to `linux`, `macos` and `windows`, the load of NVIDIA's cards to
`nvidia`, and what follows to `policy`. Must stay true: a sensor that is missing, fails or hangs is unknown, never an
error, and costs no more than moments; what must be noticed within a second is asked by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from edgesleep import machine
from edgesleep.daemon import aside
from edgesleep.daemon.nvidia import Nvidia
from edgesleep.daemon.policy import Reading
from edgesleep.errors import EdgesleepError
from edgesleep.records import load

SAMPLE = 0.5  # seconds over which the work of other programs is measured by who looks once
PATIENCE = 2.0  # seconds for what is slow to answer, as a driver that only begins: who looks once has no next time
# The part of a processor whose temperature counts, by the names that drivers give; the first that is there.
_PROCESSOR = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")


class Sensors(Protocol):
    """What a machine, or a file in its place, can be asked."""

    def quick(self, last: Reading) -> Reading:
        """The last reading with what changes at once read again: whether someone is here, and the power."""

    def all(self) -> Reading:
        """Everything."""

    def show(self, text: str) -> None:
        """Show a line to whoever is here, where there is a desktop."""


class System(Protocol):
    """What only one operating system knows; whatever it cannot tell is None."""

    def idle(self) -> float | None: ...
    def lid_closed(self) -> bool | None: ...
    def throttled(self) -> bool | None: ...
    def presenting(self) -> bool | None: ...
    def display_on(self) -> bool | None: ...
    def gpu(self) -> float | None: ...
    def show(self, text: str) -> None: ...


class Unknown:
    """A system of which nothing more is known."""

    def idle(self) -> float | None:
        return None

    def lid_closed(self) -> bool | None:
        return None

    def throttled(self) -> bool | None:
        return None

    def presenting(self) -> bool | None:
        return None

    def display_on(self) -> bool | None:
        return None

    def gpu(self) -> float | None:
        return None

    def show(self, text: str) -> None:
        return None


class Machine:
    """This machine. `load` is the share since the last time everything was asked, so the first time it is unknown."""

    def __init__(self, home: Path, system: System) -> None:
        self.home, self.system = home, system
        self.nvidia = Nvidia()
        self._looked = False

    def quick(self, last: Reading) -> Reading:
        mains, charge = power()
        return replace(last, idle=self.system.idle(), mains=mains, charge=charge)

    def all(self) -> Reading:
        import psutil

        load = float(psutil.cpu_percent())
        load, self._looked = load if self._looked else None, True  # type: ignore[assignment]
        rest = Reading(
            lid_closed=self.system.lid_closed(),
            temperature=temperature(),
            throttled=self.system.throttled(),
            memory=_told(machine.free_memory, 1e-9),
            disk=_told(lambda: machine.free_disk(self.home), 1e-9),
            load=load,
            gpu=max((load for load in (self.system.gpu(), self.nvidia.load()) if load is not None), default=None),
            presenting=self.system.presenting(),
            display_on=self.system.display_on(),
        )
        return self.quick(rest)

    def show(self, text: str) -> None:
        self.system.show(text)


class FromFile:
    """A file of readings in place of a machine, as JSON; what it leaves out is unknown. It is read at every look."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def quick(self, last: Reading) -> Reading:
        return self.all()

    def all(self) -> Reading:
        """Raises EdgesleepError where the file cannot be read: it was asked for by name."""
        return load(Reading, self.path)

    def show(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def sensors(home: Path, file: Path | None = None) -> Sensors:
    """Those of a file where one is given, else this machine's."""
    return FromFile(file) if file else Machine(home, system())


def settled(sensors: Sensors) -> Reading:
    """Everything, for who has not looked before: what is measured between two looks is known from the second on.

    It takes SAMPLE seconds, and up to PATIENCE more where a driver or an X server is slow to answer.
    """
    reading = sensors.all()
    if isinstance(sensors, Machine):
        time.sleep(SAMPLE)
        with aside.patience(PATIENCE):
            reading = sensors.all()
    return reading


def system() -> System:
    """What this operating system knows beside the rest."""
    name: str = sys.platform
    if name == "linux":
        from edgesleep.daemon.linux import Linux

        return Linux()
    if name == "darwin":
        from edgesleep.daemon.macos import MacOS

        return MacOS()
    if name == "win32":
        from edgesleep.daemon.windows import Windows

        return Windows()
    return Unknown()


def power() -> tuple[bool | None, float | None]:
    """Whether there is mains power, and the charge in percent. A machine without a battery has it while it runs."""
    name: str = sys.platform
    if name == "linux":  # where psutil takes any battery for the machine's, and a few names only for mains
        from edgesleep.daemon import linux

        return linux.power()
    import psutil

    with suppress(OSError, RuntimeError, ValueError, AttributeError):
        battery = psutil.sensors_battery()
        if battery is None:
            return True, None
        return battery.power_plugged, float(battery.percent)
    return None, None


def temperature() -> float | None:
    """The hottest part of the processor, in degrees Celsius."""
    import psutil

    with suppress(OSError, RuntimeError, ValueError, AttributeError):  # not asked on every system
        found: dict[str, Any] = psutil.sensors_temperatures()
        for name in _PROCESSOR:
            told = [one.current for one in found.get(name, ()) if 0 < one.current < 150]  # others are no temperatures
            if told:
                return float(max(told))
    return None


def _told(ask: Callable[[], int], scale: float) -> float | None:
    with suppress(OSError, EdgesleepError):
        return ask() * scale
    return None
