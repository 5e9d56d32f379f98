"""Keeper: what becomes of the night from one look at the machine to the next.

Owns beginning, holding, letting go on and ending a night, what is remembered from night to night, and when to look
again. Leaves what stands against a night to `policy`, and doing what it says to `loop`. Must stay true: it asks no
clock and touches nothing, so that a month can be replayed in a second; a night that is under way is looked at so often
that whoever comes back never waits a second; at most one night comes to its end between one evening and the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from edgesleep import errors
from edgesleep.config import DaemonSettings
from edgesleep.daemon import hours, policy
from edgesleep.daemon.hours import Days, Hours
from edgesleep.daemon.policy import Affairs, No, Reading

WATCHING = 0.25  # seconds between two looks at a machine on which a night is under way
HOLDING = 2.0  # while one is held
RESTING = 60.0  # while there is none
GRACE = 10.0  # seconds within which a night that was asked to end has to
SUSPENDED = 1.0  # seconds that one clock may run on without the other before the machine has slept
NIGHTS_KEPT = 4  # of which it is known that one came to its end
HERE = 300.0  # seconds since the last key within which an hour counts as used
JUST_HERE = 60.0  # within which someone sees what is shown


@dataclass(frozen=True)
class Moment:
    """Now, by every clock: seconds since 1970, seconds of `steady` that stand still while the machine sleeps and of
    `boot` that do not, and the wall clock of the place."""

    epoch: float
    steady: float
    boot: float
    local: datetime


@dataclass(frozen=True)
class LastNight:
    """How the last night that the daemon ran came out. `outcome` is that of a night's report, failed or unfinished."""

    began: float
    ended: float
    outcome: str
    held: int = 0  # times


@dataclass(frozen=True)
class Remembered:
    """What outlasts a restart of the daemon.

    `done`: the nights that came to their end; `tried`: those that did not, or were refused, with what had been `said`
    by then. `skipped`: the last night that found nothing to learn, and what had been said when it began: it is done
    until more is. `paused_until`: seconds since 1970, 0: not paused. `told`: the end of the last night that the
    desktop has shown. `against`: names of what stood against a night at the last look, which the log has.
    """

    done: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    said: str = ""
    skipped: tuple[str, str] = ("", "")
    paused_until: float = 0.0
    days: Days = field(default_factory=dict)
    last: LastNight | None = None
    told: float = 0.0
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What the loop found beside the sensors: whether there is a model, anything to learn, whoever holds the home.

    `said` tells the state of what the owner said from any other. `ended` is the exit code of a night that has just
    ended, None while it runs; negative: by that signal.
    """

    model: bool = True
    waiting: bool = True
    busy: bool = False
    said: str = ""
    ended: int | None = None


@dataclass(frozen=True)
class Act:
    """What is to be done, one of begin, hold, go_on, ask, kill and nothing, why, and seconds until the next look."""

    do: str
    against: tuple[No, ...]
    again: float


# By exit code of `run-night`. Anything else failed.
OUTCOMES = {errors.DONE: "promoted", errors.REFUSED: "rejected", errors.SKIPPED: "skipped"}


class Keeper:
    """The night's state: `phase` is none, running, held or ending. `memory` is to be kept whenever it has changed."""

    def __init__(self, settings: DaemonSettings, memory: Remembered) -> None:
        self.settings, self.memory, self.hours = settings, memory, Hours.read(settings.hours)
        self.phase = "none"
        self.forced = False
        self.against: tuple[No, ...] = ()
        self._since = 0.0  # steady, of the phase
        self._began = 0.0  # epoch
        self._night = ""
        self._said = ""  # when it began
        self._holds = 0
        self._asleep: float | None = None  # how far the clocks were apart at the last look
        self._woke: float | None = None  # steady

    def change(self, settings: DaemonSettings) -> None:
        """Go on with other settings. Raises EdgesleepError, and goes on with those before."""
        self.hours = Hours.read(settings.hours)
        self.settings = settings

    def look(self, now: Moment, reading: Reading, facts: Facts) -> Act:
        """What is to be done now."""
        reading = self._awake(now, reading)
        self._note(now, reading)
        if self.phase != "none" and facts.ended is not None:
            self._finish(now, facts)
        if self.phase == "none":
            self._said = facts.said
        affairs = self.affairs(now, facts)
        step = {"none": self._none, "running": self._running, "held": self._held, "ending": self._ending}[self.phase]
        act = step(now, reading, affairs)
        self.against = act.against
        return act

    def affairs(self, now: Moment, facts: Facts) -> Affairs:
        """What stands for or against a night beside the sensors."""
        memory = self.memory
        return Affairs(
            model=facts.model,
            waiting=facts.waiting,
            within_hours=self.hours.hold(now.local)
            or (self.settings.learn_hours and hours.quiet(memory.days, now.local)),
            done=(night := self.hours.night_of(now.local)) in memory.done or memory.skipped == (night, facts.said),
            given_up=memory.said == facts.said and len(memory.tried) >= self.settings.days,
            paused=now.epoch < memory.paused_until,
            busy=facts.busy,
            forced=self.forced,
        )

    def news(self, now: Moment, reading: Reading) -> LastNight | None:
        """The last night, where its owner is to be told of it now: once, when they are here again, and not at night."""
        last = self.memory.last
        here = reading.idle is not None and reading.idle < JUST_HERE
        if not (self.settings.notify and last and here) or self.hours.hold(now.local):
            return None
        if last.ended <= self.memory.told or last.outcome not in ("promoted", "rejected", "failed"):
            return None
        self.memory = replace(self.memory, told=last.ended)
        return last

    def stop(self, now: Moment) -> Act:
        """End whatever is under way, as the daemon itself ends."""
        return Act("nothing", (), 0) if self.phase == "none" else self._turn("ending", now, "ask", (), WATCHING)

    def make_way(self, now: Moment) -> Act:
        """End a night that is held: someone wants what it keeps. It is gone on with later."""
        return self._turn("ending", now, "kill", (), WATCHING) if self.phase == "held" else Act("nothing", (), 0)

    # -- each phase ------------------------------------------------------------------------------------------------

    def _none(self, now: Moment, reading: Reading, affairs: Affairs) -> Act:
        against = tuple(policy.against_beginning(reading, affairs, self.settings))
        if against:
            self.forced = False  # it was for now, and not for whenever it becomes possible
            return Act("nothing", against, RESTING)
        self._began, self._night, self._holds = now.epoch, self.hours.night_of(now.local), 0
        return self._turn("running", now, "begin", (), WATCHING)

    def _running(self, now: Moment, reading: Reading, affairs: Affairs) -> Act:
        against = tuple(policy.against_going_on(reading, affairs, self.settings))
        if not against:
            return Act("nothing", (), WATCHING)
        self._holds += 1
        if any(no.ends for no in against):
            return self._turn("ending", now, "kill", against, WATCHING)
        return self._turn("held", now, "hold", against, HOLDING)

    def _held(self, now: Moment, reading: Reading, affairs: Affairs) -> Act:
        against = tuple(policy.against_resuming(reading, affairs, self.settings))
        if not against:
            return self._turn("running", now, "go_on", (), WATCHING)
        if any(no.ends for no in against) or now.steady - self._since >= 60 * self.settings.hold:
            return self._turn("ending", now, "kill", against, WATCHING)
        return Act("nothing", against, HOLDING)

    def _ending(self, now: Moment, reading: Reading, affairs: Affairs) -> Act:
        late = now.steady - self._since >= GRACE
        return Act("kill" if late else "nothing", self.against, WATCHING)

    def _turn(self, phase: str, now: Moment, do: str, against: tuple[No, ...], again: float) -> Act:
        self.phase, self._since = phase, now.steady
        return Act(do, against, again)

    # -- what is remembered ----------------------------------------------------------------------------------------

    def _awake(self, now: Moment, reading: Reading) -> Reading:
        """The reading, where the machine's waking up counts as someone who is back: few machines wake by themselves."""
        apart = now.boot - now.steady
        if self._asleep is not None and apart - self._asleep > SUSPENDED:
            self._woke = now.steady
        self._asleep = apart
        if self._woke is None or reading.idle is None:
            return reading
        return replace(reading, idle=min(reading.idle, now.steady - self._woke))

    def _note(self, now: Moment, reading: Reading) -> None:
        if reading.idle is not None:
            used = reading.idle < HERE
            self.memory = replace(self.memory, days=hours.noted(self.memory.days, now.local, used))

    def _finish(self, now: Moment, facts: Facts) -> None:
        """Note how the night ended: asked to, it is gone on with in the same night; else it is done, though one that
        found nothing to learn only until there is more."""
        memory, code = self.memory, facts.ended
        asked_to = self.phase == "ending" and not any(no.fails for no in self.against)
        outcome = "unfinished" if asked_to else "failed"
        outcome = OUTCOMES.get(errors.ERROR if code is None else code, outcome)
        if code == errors.BUSY:  # someone else began one between two looks
            outcome = "unfinished"
        tried: tuple[str, ...] = ()
        if outcome not in ("promoted", "skipped"):
            tried = memory.tried if memory.said == facts.said else ()
            tried = (*(night for night in tried if night != self._night), self._night)
        ended = outcome not in ("unfinished", "skipped")
        done = (*(night for night in memory.done if night != self._night), self._night) if ended else memory.done
        self.memory = replace(
            memory,
            done=done[-NIGHTS_KEPT:],
            tried=tried[-self.settings.days :],
            said=facts.said,
            skipped=(self._night, self._said) if outcome == "skipped" else memory.skipped,
            last=LastNight(self._began, now.epoch, outcome, self._holds),
        )
        self.phase, self.forced = "none", False
