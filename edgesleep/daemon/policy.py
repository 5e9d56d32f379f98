"""Policy: whether a night may be now, and by name what stands against it.

Owns what the sensors can say, every reason against a night, and the rule for what nobody knows. Leaves asking the
machine to `sensors`, and what is done about it to `keeper`. Must stay true: all of it is a function of its arguments;
every "no" has a name of `NAMES`. Where a sensor is missing the answer is unknown: unknown is a "no" for the two things
that the user would notice at once, whether someone is here and whether there is mains power; all else that is unknown
stands against nothing. A night sends and fetches nothing, so a connection that is paid for never matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesleep.config import DaemonSettings

BACK = 30.0  # seconds since the last key within which someone is here, while a night is under way

# What may stand against a night, by name.
NAMES = {
    "no_model": "there is no model here yet",
    "paused": "it was asked to pause",
    "busy": "another night or change is under way",
    "nothing_to_learn": "there is nothing to learn",
    "done_tonight": "there was a night already",
    "given_up": "nights have failed on too many days with the same messages",
    "outside_hours": "it is not the time for it",
    "idle_unknown": "nobody can tell whether someone is here",
    "in_use": "someone is here, or was a moment ago",
    "power_unknown": "nobody can tell whether there is mains power",
    "on_battery": "it runs on its battery",
    "battery_low": "the battery is low",
    "lid_closed": "the lid is closed and there is no mains power",
    "hot": "it is hot",
    "throttled": "it is slowed down for the heat",
    "memory_short": "too little memory is free",
    "disk_short": "too little disk is free",
    "machine_busy": "other programs are at work",
    "gpu_busy": "the graphics processor is at work",
    "presenting": "a full-screen or other program keeps the display on",
    "display_on": "the display is on",
}
# What nobody is asked about who says `run now`: it is for whoever sits there to say.
_FORCED = {"done_tonight", "given_up", "nothing_to_learn", "outside_hours", "idle_unknown", "in_use"}
_FORCED |= {"machine_busy", "gpu_busy", "presenting", "display_on"}
# A night that is under way is ended and not held: to hold it would not help, or is not what was asked.
_ENDS = {"paused", "memory_short", "outside_hours"}
_FAILS = {"memory_short"}  # begun again, it would come to the same


@dataclass(frozen=True)
class Reading:
    """What the machine says of itself; None: unknown.

    Seconds since anyone last used it; charge, load and gpu in percent, charge also None where there is no battery;
    temperature in degrees Celsius; memory and disk in GB. `load` is that of other programs; `presenting`: a program
    keeps the display on, as those do that show a film, a game or a talk.
    """

    idle: float | None = None
    mains: bool | None = None
    charge: float | None = None
    lid_closed: bool | None = None
    temperature: float | None = None
    throttled: bool | None = None
    memory: float | None = None
    disk: float | None = None
    load: float | None = None
    gpu: float | None = None
    presenting: bool | None = None
    display_on: bool | None = None


@dataclass(frozen=True)
class Affairs:
    """What else stands for or against a night, which no sensor knows."""

    model: bool = True
    waiting: bool = True
    within_hours: bool = True
    done: bool = False
    given_up: bool = False
    paused: bool = False
    busy: bool = False
    forced: bool = False  # someone said `run now`


@dataclass(frozen=True)
class No:
    """One thing that stands against a night, by a name of NAMES, with what was read.

    `ends`: a night that is under way is ended, not held. `fails`: and has failed with that, so that it is not begun
    again before the next one.
    """

    name: str
    read: str = ""

    @property
    def ends(self) -> bool:
        return self.name in _ENDS

    @property
    def fails(self) -> bool:
        return self.name in _FAILS

    def __str__(self) -> str:
        return f"{NAMES[self.name]}{f' ({self.read})' if self.read else ''}"


def against_beginning(reading: Reading, affairs: Affairs, settings: DaemonSettings) -> list[No]:
    """All that stands against beginning a night."""
    found = [*_affairs(affairs), *_use(reading, 60 * settings.idle, settings), *_power(reading, settings)]
    found += [*_warmth(reading, settings.cool), *_room(reading, settings.memory, settings.disk)]
    found += [*_programs(reading, settings)]
    return _asked(found, affairs)


def against_going_on(reading: Reading, affairs: Affairs, settings: DaemonSettings) -> list[No]:
    """All that stands against a night that is under way.

    It needs less, so as not to be in its own way: it warms the processor, and takes memory and processors itself.
    """
    asked = [no for no in _affairs(affairs) if no.name in ("paused", "outside_hours")]
    found = [*asked, *_use(reading, BACK, settings), *_power(reading, settings), *_warmth(reading, settings.hot)]
    found += [*_room(reading, settings.memory / 4, settings.disk / 4), *_showing(reading, settings)]
    return _asked(found, affairs)


def against_resuming(reading: Reading, affairs: Affairs, settings: DaemonSettings) -> list[No]:
    """All that stands against letting go on what is held: someone who was back has to be gone for a while."""
    found = against_going_on(reading, affairs, settings)
    names = {no.name for no in found}
    gone = [*_use(reading, 60 * settings.idle_again, settings), *_warmth(reading, settings.cool)]
    return found + _asked([no for no in gone if no.name not in names], affairs)


def _asked(found: list[No], affairs: Affairs) -> list[No]:
    return [no for no in found if not (affairs.forced and no.name in _FORCED)]


def _affairs(affairs: Affairs) -> Iterator[No]:
    stands = {
        "no_model": not affairs.model,
        "paused": affairs.paused,
        "busy": affairs.busy,
        "nothing_to_learn": not affairs.waiting,
        "done_tonight": affairs.done,
        "given_up": affairs.given_up,
        "outside_hours": not affairs.within_hours,
    }
    yield from (No(name) for name, is_so in stands.items() if is_so)


def _use(reading: Reading, seconds: float, settings: DaemonSettings) -> Iterator[No]:
    if reading.idle is None:
        if not settings.assume_idle:
            yield No("idle_unknown")
    elif reading.idle < seconds:
        yield No("in_use", f"{reading.idle:,.0f} of {seconds:,.0f} seconds ago")


def _power(reading: Reading, settings: DaemonSettings) -> Iterator[No]:
    if reading.mains is None:
        yield No("power_unknown")
    charge = "" if reading.charge is None else f"{reading.charge:.0f} %"
    if reading.mains is False:
        enough = settings.battery > 0 and reading.charge is not None and reading.charge >= settings.battery
        if not enough:
            yield No("on_battery", charge)
        if reading.lid_closed:
            yield No("lid_closed")
    if reading.charge is not None and reading.charge < settings.charge:
        yield No("battery_low", charge)


def _warmth(reading: Reading, most: float) -> Iterator[No]:
    if reading.temperature is not None and reading.temperature >= most:
        yield No("hot", f"{reading.temperature:.0f} of {most:.0f} °C")
    if reading.throttled:
        yield No("throttled")


def _room(reading: Reading, memory: float, disk: float) -> Iterator[No]:
    if reading.memory is not None and reading.memory < memory:
        yield No("memory_short", f"{reading.memory:.1f} of {memory:.1f} GB")
    if reading.disk is not None and reading.disk < disk:
        yield No("disk_short", f"{reading.disk:.1f} of {disk:.1f} GB")


def _programs(reading: Reading, settings: DaemonSettings) -> Iterator[No]:
    if reading.load is not None and reading.load > settings.busy:
        yield No("machine_busy", f"{reading.load:.0f} of {settings.busy:.0f} %")
    if reading.gpu is not None and reading.gpu > settings.gpu_busy:
        yield No("gpu_busy", f"{reading.gpu:.0f} of {settings.gpu_busy:.0f} %")
    yield from _showing(reading, settings)


def _showing(reading: Reading, settings: DaemonSettings) -> Iterator[No]:
    if reading.presenting:
        yield No("presenting")
    if settings.display_off and reading.display_on:
        yield No("display_on")
