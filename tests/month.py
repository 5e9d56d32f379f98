"""A month on a laptop, made up from a seed, and replayed against the daemon's policy with a fake clock.

    python tests/month.py [--seeds N ...] [--nights] [--trace]

prints every night, hold and "no" of each month (with --nights only the nights) and how many fit ones were used, and
with --trace what the machine saw. Owns the trace, a machine that warms up and is suspended, and a night that takes a
while; all that is decided is the daemon's own.
"""

from __future__ import annotations

import argparse
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from edgesleep.config import DaemonSettings
from edgesleep.daemon.hours import Hours
from edgesleep.daemon.keeper import Facts, Keeper, Moment, Remembered
from edgesleep.daemon.policy import Reading

ZONE = ZoneInfo("Europe/Berlin")
FIRST, DAYS = date(2026, 3, 9), 31  # summer time begins on the 29th, in the night
WORK, CHECKPOINT = 240.0, 40.0  # seconds that a night takes, and between two of its checkpoints
WARMS, TAU = 28.0, 120.0  # degrees that a night adds in the end, and seconds in which most of them come
KINDS = (
    "work",
    "travel",
    "lid",
    "docked",
    "hot",
    "warm",
    "film",
    "backup",
    "suspend",
    "power",
    "mouse",
    "late",
    "back",
    "away",
)


@dataclass(frozen=True)
class Span:
    """What holds from a moment on, in seconds since the start; the clock is wrong by so many seconds."""

    start: float
    here: bool = False
    mains: bool = True
    charge: float = 80.0
    lid_closed: bool = False
    asleep: bool = False
    ambient: float = 45.0
    load: float = 5.0
    presenting: bool = False
    wrong: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether no night may be at work now, but for heat, which is the machine's own."""
        return self.here or not self.mains or self.presenting or self.asleep


class Trace:
    """Spans in order, and what follows from them at any moment."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.zero = datetime.combine(FIRST, time(12), ZONE).timestamp()
        self.kinds: dict[str, str] = {}
        spans = [Span(0.0, here=True)]
        order = [*KINDS, *self.random.choices(KINDS, k=DAYS - len(KINDS))]
        self.random.shuffle(order)
        for number, kind in enumerate(order):
            day = FIRST + timedelta(days=number)
            self.kinds[day.isoformat()] = kind
            spans += [replace(span, wrong=7200.0 * (number in (10, 11))) for span in self._day(day, kind)]
        self.spans = sorted(spans, key=lambda span: span.start)
        self.starts = [span.start for span in self.spans]
        self.end = self._at(FIRST + timedelta(days=DAYS), 12)
        self._used = self._last_used()

    def _at(self, day: date, hour: float) -> float:
        """Seconds since the start at an hour of a day's clock; from 24 on, of the next day's."""
        day, hour = day + timedelta(days=int(hour // 24)), hour % 24
        local = datetime.combine(day, time(int(hour), int(hour * 60 % 60)), ZONE)
        return local.timestamp() - self.zero + self.random.uniform(0, 59)

    def _day(self, day: date, kind: str) -> Iterator[Span]:
        """From noon to noon."""
        rand, bed = self.random.uniform, self.random.uniform(22, 23.5)
        usual = Span(0.0, ambient=rand(38, 46), charge=rand(60, 100))

        def at(hour: float, **changes: object) -> Span:
            return replace(usual, start=self._at(day, hour), **changes)  # type: ignore[arg-type]

        if kind in ("hot", "warm"):
            usual = replace(usual, ambient=78.0 if kind == "hot" else 66.0)
        yield at(12.1, here=True)
        yield at(17, here=False)
        yield at(19, here=True)
        if kind == "travel":  # on battery, now and then used, and on the train all night
            usual = replace(usual, mains=False)
            yield from (at(hour, here=True, charge=90 - 3 * hour) for hour in (12.5, 20))
            yield from (at(hour, charge=25.0) for hour in (14, 22.5))
        elif kind == "lid":  # closed in the evening, and so asleep
            yield at(bed, lid_closed=True, asleep=True)
        elif kind == "docked":
            yield at(bed, lid_closed=True)
        elif kind == "film":
            yield at(22.1, presenting=True)
            yield at(24.5)
        elif kind == "backup":
            yield at(bed, load=85.0)
            yield at(bed + 2)
        elif kind == "suspend":  # in the middle of what would be the night's work
            yield at(bed)
            yield at(bed + 0.37, asleep=True)
            yield at(bed + 3)
        elif kind == "power":
            yield at(bed)
            yield at(bed + 0.37, mains=False)
            yield at(bed + 0.4)
            yield at(bed + 2, mains=False, charge=70.0)
            yield at(bed + 4)
        elif kind == "mouse":  # touched, for some seconds, again and again
            yield at(bed)
            for hour in (0.37, 0.43, 1.0, 2.0, 3.1):
                touched = at(bed + hour, here=True)
                yield from (touched, replace(usual, start=touched.start + rand(1, 9)))
        elif kind == "late":
            yield at(22, here=True)
            yield at(28)
        elif kind == "back":  # for longer than a night is held
            yield at(bed)
            yield at(bed + 0.38, here=True)
            yield at(bed + 1.1)
        elif kind == "away":
            yield at(12.2)
            yield at(19)
        else:
            yield at(bed)
        yield at(31.2 + rand(0, 1), here=True)  # the next morning

    def _last_used(self) -> list[float]:
        """For each span, when someone was last here before it."""
        used, last = [], 0.0
        for span, end in zip(self.spans, [*self.starts[1:], math.inf], strict=True):
            used.append(last)
            last = end if span.here else last
        return used

    def at(self, t: float) -> tuple[Span, float]:
        """The span of a moment, and seconds since someone was last here."""
        place = bisect_right(self.starts, t) - 1
        span = self.spans[place]
        return span, (t % 7 if span.here else t - self._used[place])

    def awake(self, t: float, seconds: float) -> float:
        """The moment at which so many seconds have passed for a machine that sleeps through some spans."""
        place = bisect_right(self.starts, t) - 1
        while place < len(self.spans):
            end = self.starts[place + 1] if place + 1 < len(self.starts) else math.inf
            if not self.spans[place].asleep:
                if t + seconds <= end:
                    return t + seconds
                seconds -= end - t
            t, place = end, place + 1
        return math.inf


@dataclass
class Replay:
    """What became of the month: stretches in which a night was at work, those that came to their end, and every turn.

    A turn is the moment, what was done, and the names of what stood against a night.
    """

    trace: Trace
    work: list[tuple[float, float]] = field(default_factory=list)
    hottest: float = 0.0  # while a night was at work, at a look
    done: list[str] = field(default_factory=list)
    turns: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)

    def local(self, t: float) -> datetime:
        return datetime.fromtimestamp(self.trace.zero + t + self.trace.at(t)[0].wrong, ZONE).replace(tzinfo=None)


def replay(trace: Trace, settings: DaemonSettings) -> Replay:
    """Look, do as the keeper says, wait as long as it says, until the month is over."""
    told, keeper = Replay(trace), Keeper(settings, Remembered())
    t = steady = progress = 0.0
    began, heat, ended, last = None, 0.0, None, ()
    while t < trace.end:
        span, idle = trace.at(t)
        temperature = span.ambient + heat
        reading = Reading(
            idle,
            span.mains,
            span.charge,
            span.lid_closed,
            temperature,
            False,
            8.0,
            50.0,
            span.load,
            0.0,
            span.presenting,
        )
        now = Moment(trace.zero + t + span.wrong, steady, t, told.local(t))
        said = f"{(datetime.fromtimestamp(trace.zero + t, ZONE) - timedelta(hours=12)).date()}"
        if progress >= WORK:
            ended = 0
        act = keeper.look(now, reading, Facts(said=said, ended=ended))
        if ended == 0:
            told.done.append(keeper.memory.done[-1])
            progress = 0.0
        ended = None
        if act.do == "kill":
            progress, ended = progress // CHECKPOINT * CHECKPOINT, -9
        if began is not None and keeper.phase != "running":
            told.work.append((began, t))
            began = None
        names = tuple(no.name for no in act.against)
        if act.do != "nothing" or names != last:
            told.turns.append((t, act.do, names))
        last = names
        at_work = keeper.phase == "running"
        if at_work and began is None:
            began = t
        if at_work:
            told.hottest = max(told.hottest, temperature)
        after = trace.awake(t, act.again)
        heat += ((WARMS if at_work else 0.0) - heat) * (1 - math.exp(-(after - t) / TAU))
        progress += act.again if at_work else 0.0
        t, steady = after, steady + act.again
    return told


def fit(trace: Trace, settings: DaemonSettings) -> dict[str, float]:
    """By night, the longest stretch in seconds in which nothing at all stood against one; from the trace alone."""
    window, longest, run = Hours.read(settings.hours), {}, 0.0
    local = Replay(trace).local
    for minute in range(int(trace.end // 60)):
        t = 60.0 * minute
        spans = {trace.at(t)[0], trace.at(t + 59.9)[0]}
        good = all(
            not one.bad
            and one.ambient < settings.cool - 5
            and one.ambient + WARMS < settings.hot
            and one.load <= settings.busy
            for one in spans
        )
        inside = window.hold(local(t)) and all(one.charge >= settings.charge for one in spans)
        run = run + 60.0 if good and inside and trace.at(t)[1] >= 60 * settings.idle else 0.0
        night = window.night_of(local(t))
        longest[night] = max(longest.get(night, 0.0), run)
    return longest


def fit_nights(trace: Trace, settings: DaemonSettings) -> set[str]:
    """Those with room for a night's work, and for what holding it takes."""
    enough = WORK + 60 * (settings.hold + 2)
    return {night for night, seconds in fit(trace, settings).items() if seconds >= enough}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--nights", action="store_true", help="only the nights")
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    settings, fits, used, hottest = DaemonSettings(), 0, 0, 0.0
    for seed in options.seeds:
        print(f"seed {seed}")
        told = replay(Trace(seed), settings)
        if not options.nights:
            show_turns(told, options.trace)
        show_nights(told, settings)
        nights = fit_nights(told.trace, settings)
        fits, used, hottest = fits + len(nights), used + len(nights & {*told.done}), max(hottest, told.hottest)
    print(f"fit nights used: {used} of {fits}; hottest {hottest:.1f} degrees, {settings.hot:g} allowed")


def show_turns(told: Replay, traced: bool) -> None:
    lines = [(t, f"{do:8} {', '.join(names)}") for t, do, names in told.turns]
    if traced:
        lines += [(span.start, f"   saw   {_changed(span)}") for span in told.trace.spans]
    for t, line in sorted(lines):
        print(f"{told.local(t):%a %Y-%m-%d %H:%M:%S}  {line}")


def show_nights(told: Replay, settings: DaemonSettings) -> None:
    longest, done = fit(told.trace, settings), set(told.done)
    for night, kind in told.trace.kinds.items():
        print(
            f"{night}  {kind:8} fit for {longest.get(night, 0) / 60:4.0f} minutes  {'night' if night in done else '-'}"
        )


def _changed(span: Span) -> str:
    usual = Span(0.0)
    return ", ".join(f"{k} {v}" for k, v in vars(span).items() if k != "start" and v != getattr(usual, k)) or "nobody"


if __name__ == "__main__":
    main()
