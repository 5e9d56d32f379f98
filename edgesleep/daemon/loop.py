"""The daemon: looks at the machine, and has nights begin, stand still, go on and end.

Owns the process that stays, its signals, and the one in which a night runs. Leaves every decision to `keeper`, what is
seen to `sensors`, and the night itself to `run-night`. Must stay true: it holds no model and loads nothing heavy; with
no night under way it wakes once a minute; a night never outlives it, and what it ends on purpose counts as no crash;
a fault of a sensor or a full disk ends neither it nor the night.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from edgesleep import config, errors, held, machine
from edgesleep.config import DaemonSettings
from edgesleep.daemon import control, hours, log
from edgesleep.daemon.keeper import Act, Facts, Keeper, Moment, Remembered
from edgesleep.daemon.policy import Reading, against_beginning
from edgesleep.daemon.sensors import Sensors, settled
from edgesleep.errors import EdgesleepError
from edgesleep.files import make_folder, write_atomically
from edgesleep.forgotten import unfinished
from edgesleep.lock import Holder, Lock
from edgesleep.night.underway import forgive
from edgesleep.records import dump, load, plain
from edgesleep.waiting import BASE, Waiting, is_being_written, mark, waiting

EVERYTHING = 5.0  # seconds after which all sensors are read again while a night is under way
CLOCK = 60.0  # seconds by which the wall clock has to move by itself to be worth a line
EVER = 1e12  # seconds since 1970, of a pause without an end
NEWS = {
    "promoted": "The night is over, and what you told is learned. `edgesleep report` shows it.",
    "rejected": "The night is over; its model was refused, the one before serves on. `edgesleep report` says why.",
    "failed": "The night failed, and nothing has changed. `edgesleep daemon status` says why.",
}  # for the desktop, by outcome: nothing of what was told
WRITES, WRITE = 20, 0.02  # times that a write is let go on for so many seconds before a night is ended in it
GONE = 0.5  # seconds for what is killed to be gone
HELD = "held"  # in the daemon's folder: seconds that the night has stood still
CHILD = "night.pid"  # and whose process it is
STEADY = getattr(time, "CLOCK_UPTIME_RAW", None)  # macOS, whose CLOCK_MONOTONIC goes on while it sleeps
BOOT = getattr(time, "CLOCK_BOOTTIME", None)  # Linux


def moment() -> Moment:
    """Now, in the place where the machine is now: whoever travels takes the daemon along."""
    if hasattr(time, "tzset"):
        time.tzset()  # or the time zone is for ever the one in which the daemon began
    now = time.time()
    steady = time.clock_gettime(STEADY) if STEADY is not None else time.monotonic()
    boot = time.clock_gettime(BOOT) if BOOT is not None else steady
    if STEADY is not None:
        boot = time.clock_gettime(time.CLOCK_MONOTONIC)
    return Moment(now, steady, boot, datetime.fromtimestamp(now))


def remembered(home: Path) -> Remembered:
    """What the daemon left of itself; where that cannot be read it begins anew, at the cost of a night too many."""
    try:
        return load(Remembered, home / log.FOLDER / log.STATE)
    except EdgesleepError:
        return Remembered()


class Home:
    """What stands in the home: looked at again only where a file has changed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._mark: Any = None
        self._waiting = Waiting(False, "")

    def facts(self, ended: int | None = None) -> Facts:
        now = mark(self.home)
        if now != self._mark or ended is not None:
            try:
                self._waiting, self._mark = waiting(self.home), now
            except EdgesleepError:  # a locked keychain, a full disk: the night will say so itself
                self._waiting, self._mark = Waiting(True, self._waiting.said), None
        there = self._waiting.anything or unfinished(self.home)
        model = (self.home / BASE).exists()
        return Facts(model, there, Lock(self.home).is_taken() if model else False, self._waiting.said, ended)


class Night:
    """The process in which a night runs, and all below it. Only one at a time."""

    def __init__(self, home: Path, nice: int) -> None:
        self.home, self._still, self._since = home, 0.0, 0.0
        self._note = home / log.FOLDER / HELD
        write_atomically(self._note, b"0")
        words = ["--home", str(home), "run-night", "--json", "--nice", str(nice)]
        with log.printed(home).open("wb") as out:
            self._process = subprocess.Popen(
                machine.edgesleep(*words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=os.environ | {held.NOTE: str(self._note)},
                start_new_session=True,  # a signal for the daemon's group is for the daemon to pass on
            )

        machine.go_last(self.pid, nice)
        with suppress(EdgesleepError):
            dump(Holder.of(self.pid), home / log.FOLDER / CHILD)

    @staticmethod
    def end_left(home: Path) -> None:
        """End what a daemon left that was killed while its night stood still; on Linux the system has done so."""
        with suppress(EdgesleepError):
            left = load(Holder, home / log.FOLDER / CHILD)
            if left.lives():
                held.kill(left.pid)
                forgive(home)
                log.note(home, "ended a night that was left")

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> int | None:
        return self._process.poll()

    def hold(self) -> bool:
        """Stop it where it is, but not in the middle of a write to the journal: whoever is back may want to write.

        Whether that was possible; else it stands still in a write, and has to be ended.
        """
        self._since = time.monotonic()
        for _ in range(WRITES):
            held.freeze(self.pid)
            if not is_being_written(self.home):
                return True
            held.thaw(self.pid)
            time.sleep(WRITE)
        held.freeze(self.pid)
        return not is_being_written(self.home)

    def go_on(self) -> None:
        if self._since:
            self._still, self._since = self._still + time.monotonic() - self._since, 0.0
            with suppress(EdgesleepError):  # then the night only takes its time for shorter than it is
                write_atomically(self._note, f"{self._still:.3f}".encode())
            held.thaw(self.pid)

    def ask(self) -> None:
        """Ask it to stop where it can be gone on with."""
        self.go_on()
        forgive(self.home)
        self._process.terminate()

    def kill(self, *, crashed: bool = False) -> None:
        """End it; whether that counts as a crash of the night itself."""
        held.kill(self.pid)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GONE)
        if not crashed:  # only now: until it is gone it may note the stage that it begins
            forgive(self.home)


class Daemon:
    """One home's."""

    def __init__(self, home: Path, settings: DaemonSettings, sensors: Sensors) -> None:
        self.home, self.settings, self.sensors = home, settings, sensors
        self.keeper = Keeper(settings, remembered(home))
        self.stands, self.reading = Home(home), Reading()
        self.night: Night | None = None
        self._kept = self.keeper.memory
        self._all_read = -EVERYTHING
        self._last: Moment | None = None
        self._stopping = self._blind = False
        self._config = config.mark(home)

    def run(self, once: bool = False) -> bool:
        """Until SIGTERM, or with `once` only while a night is under way; whether there was one.

        Raises BusyError where another one serves the home, EdgesleepError where none can.
        """
        if not self.home.is_dir():
            raise EdgesleepError(f"There is no home at {self.home}.", "`edgesleep init` makes one.")
        make_folder(self.home / log.FOLDER)
        server, began = control.Server(self.home), False
        try:
            if not once:
                log.note(self.home, "started", pid=os.getpid())
            Night.end_left(self.home)
            with _woken() as wake, selectors.DefaultSelector() as selector:
                selector.register(server.socket, selectors.EVENT_READ)
                selector.register(wake, selectors.EVENT_READ)
                first = once
                while not (self._stopping and self.night is None):
                    again, first = self.look(first), False
                    began = began or self.night is not None
                    if once and self.night is None:
                        break
                    for key, _ in selector.select(again):
                        if key.fileobj is server.socket:
                            server.serve(self.answer)
                        else:
                            self._signalled(wake.recv(4096))
        finally:
            if self.night is not None:
                self.night.kill()
            server.close()
            if not once:
                log.note(self.home, "stopped")
        return began

    def _signalled(self, numbers: bytes) -> None:
        if not {signal.SIGTERM, signal.SIGINT} & {*numbers} or self._stopping:
            return
        self._stopping = True
        self._do(self.keeper.stop(moment()))

    # -- one look --------------------------------------------------------------------------------------------------

    def look(self, first: bool = False) -> float:
        """See, decide, do; seconds until the next look. With `first` as by who has not looked before."""
        now = moment()
        self._clocks(now)
        self._settings()
        self._read(now, first)
        ended = self.night.ended() if self.night else None
        if ended is not None:
            self.night = None
        facts = Facts() if self.night else self.stands.facts(ended)
        act = self.keeper.look(now, self.reading, facts)
        if ended is not None and (last := self.keeper.memory.last):
            seconds = round(last.ended - last.began)
            log.note(self.home, "night ended", outcome=last.outcome, code=ended, seconds=seconds, held=last.held)
        if self._stopping and act.do == "begin":
            self.keeper.phase, act = "none", Act("nothing", (), 0.0)
        if not self._do(act):  # there is no room for a process or its files: as a night that failed
            act = self.keeper.look(now, self.reading, replace(facts, ended=errors.ERROR))
        if news := self.keeper.news(now, self.reading):
            with suppress(Exception):  # a desktop that cannot show it is no reason to stop
                self.sensors.show(NEWS[news.outcome])
        names = tuple(no.name for no in act.against)
        if names != self.keeper.memory.against and act.do == "nothing":
            log.note(self.home, "waiting", against=names)
        self._change(against=names)
        self._keep()
        return act.again

    def _do(self, act: Act) -> bool:
        """Do it; whether that was possible."""
        if act.do == "begin":
            try:
                self.night = Night(self.home, self.settings.nice)
            except (OSError, EdgesleepError) as error:
                log.note(self.home, "could not begin", kind=type(error).__name__)
                return False
        elif self.night is not None and act.do != "nothing":
            if act.do == "kill":
                self.night.kill(crashed=any(no.fails for no in act.against))
            elif act.do == "hold" and not self.night.hold():  # a long write, which SQLite takes back as it ends
                return self._do(self.keeper.make_way(moment()))
            elif act.do != "hold":
                {"go_on": self.night.go_on, "ask": self.night.ask}[act.do]()
        if act.do != "nothing":
            log.note(self.home, act.do.replace("_", " "), against=[no.name for no in act.against])
        return True

    def _read(self, now: Moment, first: bool = False) -> None:
        """The sensors; one that fails leaves everything unknown, which holds a night."""
        try:
            if first:
                self.reading, self._all_read = settled(self.sensors), now.steady
            elif self.keeper.phase == "none" or now.steady - self._all_read >= EVERYTHING:
                self.reading, self._all_read = self.sensors.all(), now.steady
            else:
                self.reading = self.sensors.quick(self.reading)
            self._blind = False
        except Exception as error:
            if not self._blind:
                log.note(self.home, "sensors failed", kind=type(error).__name__)
            self.reading, self._blind = Reading(), True

    def _settings(self) -> None:
        """Take the settings anew where config.toml was changed; while it makes no sense, what was before holds."""
        mark = config.mark(self.home)
        if mark == self._config:
            return
        self._config = mark
        try:
            self.settings = config.load(self.home).daemon
            self.keeper.change(self.settings)
            log.note(self.home, "settings read")
        except EdgesleepError:
            log.note(self.home, "settings make no sense")

    def _clocks(self, now: Moment) -> None:
        if last := self._last:
            moved = (now.epoch - last.epoch) - (now.boot - last.boot)
            slept = (now.boot - last.boot) - (now.steady - last.steady)
            if abs(moved) > CLOCK:
                log.note(self.home, "clock set", seconds=round(moved))
            if slept > CLOCK:
                log.note(self.home, "machine slept", seconds=round(slept))
        self._last = now

    def _keep(self) -> None:
        if self.keeper.memory != self._kept:
            with suppress(EdgesleepError):  # a full disk; it is tried again at the next change
                dump(self.keeper.memory, self.home / log.FOLDER / log.STATE)
                self._kept = self.keeper.memory

    # -- what it is asked ------------------------------------------------------------------------------------------

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Of the control socket: ping, status, pause (with minutes), resume, run, make way."""
        do = asked.get("do")
        if do == "ping":
            return {"pid": os.getpid()}
        if do == "make way":
            self._do(self.keeper.make_way(moment()))
            log.note(self.home, "asked to make way")
            return {"makes_way": self.keeper.phase == "ending"}
        if do not in ("status", "pause", "resume", "run"):
            return {"error": "The daemon cannot do that.", "hint": "Is it of another version? Start it again."}
        if do != "status":
            self._heed(asked)
            self.look()
        return self.status()

    def alone(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The same, of one that only looks now and then, between two looks: no night begins.

        Raises BusyError where it is looking just now.
        """
        server = control.Server(self.home)
        try:
            self._read(moment(), first=True)
            if asked["do"] != "status":
                self._heed(asked)
                self._keep()
            affairs = self.keeper.affairs(moment(), self.stands.facts())
            self.keeper.against = tuple(against_beginning(self.reading, affairs, self.settings))
            return self.status() | {"pid": None}
        finally:
            server.close()

    def _heed(self, asked: dict[str, Any]) -> None:
        """Pause, resume and run, as far as it is kept."""
        do, minutes = asked["do"], asked.get("minutes")
        until = EVER
        if isinstance(minutes, int | float) and minutes < EVER:  # which neither infinity nor NaN is
            until = min(EVER, moment().epoch + 60 * max(0.0, float(minutes)))
        self._change(paused_until=until if do == "pause" else 0.0)
        if do == "resume":
            self._change(tried=())
        if do == "run":
            self.keeper.forced = True
        log.note(self.home, f"asked to {do}")

    def _change(self, **changes: Any) -> None:
        self.keeper.memory = replace(self.keeper.memory, **changes)

    def status(self) -> dict[str, Any]:
        """What it is at, as plain values."""
        return {
            "pid": os.getpid(),
            "phase": self.keeper.phase,
            "night": self.night.pid if self.night else None,
            "failure": log.last_error(self.home) if failed(self.keeper) else "",
            **standing(self.keeper, self.reading),
        }


def failed(keeper: Keeper) -> bool:
    """Whether the last night failed."""
    last = keeper.memory.last
    return keeper.phase == "none" and last is not None and last.outcome == "failed"


def standing(keeper: Keeper, reading: Reading) -> dict[str, Any]:
    """What stands against a night, what was read, what was last, and when the hours of a night begin next."""
    now, memory = moment(), keeper.memory
    within, days = keeper.affairs(now, Facts()).within_hours, memory.days if keeper.settings.learn_hours else {}
    begins = None if within else hours.next_begin(keeper.hours, days, now.local)
    return {
        "against": [{"name": no.name, "why": str(no)} for no in keeper.against],
        "reading": plain(reading),
        "within_hours": within,
        "hours_begin": begins.isoformat() if begins else None,
        "paused_until": memory.paused_until if memory.paused_until > now.epoch else None,
        "last_night": plain(memory.last),
    }


@contextmanager
def _woken() -> Iterator[socket.socket]:
    """A socket from which the numbers of signals can be read while it holds; they end nothing themselves."""
    ours, pythons = socket.socketpair()
    ours.setblocking(False)
    pythons.setblocking(False)
    numbers = [signal.SIGTERM, signal.SIGINT, *([signal.SIGCHLD] if hasattr(signal, "SIGCHLD") else [])]
    usual = {number: signal.signal(number, lambda number, frame: None) for number in numbers}
    before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in usual.items():
            signal.signal(number, handler)
        ours.close()
        pythons.close()
