"""The daemon with a night that only counts: it begins, stands still, goes on, ends as it should, and is remembered.

What reads the machine is a file, so that a test says who is here; the process that it is, and its socket, are in
test_control.py, the real night in its place in test_guest.py.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from watched import SETTINGS, begun, count, ended, events, here, readied, see, sleeps, stands, until

from edgesleep import held
from edgesleep.daemon import control, log, loop, sensors
from edgesleep.errors import BusyError
from edgesleep.night import underway
from edgesleep.waiting import is_being_written

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are held by signals here")


@pytest.fixture
def daemon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[loop.Daemon]:
    made = here(readied(home, monkeypatch))
    yield made
    if made.night:
        made.night.kill()


# -- the night -----------------------------------------------------------------------------------------------------


def test_a_night_begins_when_all_is_well_and_its_end_is_remembered(daemon: loop.Daemon) -> None:
    begun(daemon)
    (daemon.home / "enough").touch()
    ended(daemon)
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "promoted"
    assert loop.remembered(daemon.home) == daemon.keeper.memory
    assert daemon.look() == 60.0 and [no.name for no in daemon.keeper.against] == ["done_tonight"]
    assert events(daemon.home)[:2] == ["begin", "night ended"]


def test_it_stands_still_with_all_below_it_while_someone_is_here_and_goes_on_as_it_was(daemon: loop.Daemon) -> None:
    night = begun(daemon)
    see(daemon.home, idle=0.5)
    daemon.look()
    until(lambda: stands(daemon.home))
    see(daemon.home, idle=60 * SETTINGS.idle_again - 1)
    daemon.look()
    assert stands(daemon.home) and night.ended() is None
    before = count(daemon.home)
    see(daemon.home)
    daemon.look()
    until(lambda: count(daemon.home) > before)
    (daemon.home / "enough").touch()
    ended(daemon)
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.held == 1


WRITER = """
import sqlite3, sys, time
db = sqlite3.connect({words!r}[1] + "/journal.db", isolation_level=None)
while True:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT OR REPLACE INTO watermarks VALUES ('test', 1)")
    time.sleep(0.03)
    db.execute("COMMIT")
    time.sleep(0.03)
"""


def test_it_never_stands_still_in_a_write_that_keeps_others_from_writing(
    daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps(monkeypatch, WRITER)
    night = loop.Night(daemon.home, 0)
    daemon.night = night
    until(lambda: is_being_written(daemon.home))
    caught = 0
    for _ in range(10):
        held.freeze(night.pid)
        caught += is_being_written(daemon.home)
        held.thaw(night.pid)
        time.sleep(0.01)
        night.hold()
        with closing(sqlite3.connect(daemon.home / "journal.db", timeout=0, isolation_level=None)) as db:
            db.execute("INSERT OR REPLACE INTO watermarks VALUES ('other', 1)")
        night.go_on()
    assert caught  # without that it would


def test_a_night_in_a_long_write_is_ended_and_not_held(daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps(monkeypatch, WRITER.replace("0.03", "600"))
    monkeypatch.setattr(loop, "WRITES", 2)
    daemon.look()
    until(lambda: is_being_written(daemon.home))
    see(daemon.home, idle=0.0)
    daemon.look()
    ended(daemon)
    with closing(sqlite3.connect(daemon.home / "journal.db", timeout=0, isolation_level=None)) as db:
        db.execute("INSERT OR REPLACE INTO watermarks VALUES ('other', 1)")
        assert not db.execute("SELECT * FROM watermarks WHERE name = 'test'").fetchall()
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "unfinished"
    assert events(daemon.home)[-2:] == ["kill", "night ended"]


def test_time_in_which_it_stood_still_is_not_its_own(daemon: loop.Daemon) -> None:
    night, began = begun(daemon), time.monotonic()
    night.hold()
    time.sleep(2.0)
    night.go_on()
    (daemon.home / "enough").touch()
    ended(daemon)
    assert float((daemon.home / "night worked").read_text()) < time.monotonic() - began + 1.0
    assert 2.0 <= float((daemon.home / "daemon" / "held").read_text()) < time.monotonic() - began


def test_the_clock_of_a_night_is_the_plain_one_where_nobody_holds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = held.working()
    (tmp_path / "held").write_text("100")
    monkeypatch.setenv(held.NOTE, str(tmp_path / "held"))
    assert 99 < plain - held.working() <= 100
    (tmp_path / "held").write_text("")
    assert abs(held.working() - time.monotonic()) < 1


def test_when_someone_stays_it_ends_without_counting_as_a_crash(daemon: loop.Daemon) -> None:
    daemon.keeper.settings = replace(SETTINGS, hold=0.0)
    night = begun(daemon)
    (daemon.home / underway.FILE).write_text("{}")
    see(daemon.home, idle=0.5)
    daemon.look()
    daemon.look()
    ended(daemon)
    assert not psutil.pid_exists(night.pid) and stands(daemon.home)
    assert not (daemon.home / underway.FILE).exists()
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "unfinished"
    see(daemon.home)
    begun(daemon)  # in the same night


def test_when_memory_is_short_it_ends_and_counts_as_a_crash(daemon: loop.Daemon) -> None:
    night = begun(daemon)
    (daemon.home / underway.FILE).write_text("{}")
    daemon._all_read = -loop.EVERYTHING
    see(daemon.home, memory=0.1)
    daemon.look()
    ended(daemon)
    assert not psutil.pid_exists(night.pid) and (daemon.home / underway.FILE).exists()
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "failed"


def test_what_is_ended_counts_as_no_crash_whatever_it_writes_at_the_last_moment(
    daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    night, kill = begun(daemon), held.kill

    def late(pid: int) -> None:
        (daemon.home / underway.FILE).write_text("{}")
        kill(pid)

    monkeypatch.setattr(held, "kill", late)
    night.kill()
    assert not (daemon.home / underway.FILE).exists()
    until(lambda: night.ended() is not None)


@pytest.mark.parametrize("changes", [{"mains": False}, {"temperature": 95.0}, {"idle": None}, {"presenting": True}])
def test_whatever_stands_against_it_holds_it(daemon: loop.Daemon, changes: dict[str, Any]) -> None:
    daemon.keeper.settings = SETTINGS
    begun(daemon)
    see(daemon.home, **changes)
    daemon.look()
    until(lambda: stands(daemon.home))


def test_sensors_that_fail_hold_it_and_end_nothing(daemon: loop.Daemon) -> None:
    night = begun(daemon)
    (daemon.home / "sensors.json").write_text("{")
    daemon.look()
    until(lambda: stands(daemon.home))
    daemon.look()
    assert night.ended() is None and events(daemon.home).count("sensors failed") == 1


def test_a_night_that_fails_is_told_and_not_tried_again_at_once(daemon: loop.Daemon) -> None:
    night = begun(daemon)
    (daemon.home / "daemon" / log.PRINTED).write_text("Training ...\nError: The disk is full.\nTry: Make room.\n")
    assert daemon.status()["failure"] == ""
    os.kill(night.pid, signal.SIGKILL)
    ended(daemon)
    assert daemon.status()["failure"] == "The disk is full."
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "failed"
    daemon.look()
    assert daemon.night is None


def test_a_night_that_cannot_begin_is_one_that_failed(daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(loop, "Night", full)
    assert daemon.look() == 60.0
    assert daemon.keeper.memory.last and daemon.keeper.memory.last.outcome == "failed"
    assert "could not begin" in events(daemon.home)


def test_settings_are_taken_anew_and_those_that_make_no_sense_are_not(daemon: loop.Daemon) -> None:
    see(daemon.home, idle=1.0)
    for text, hours, event in (
        ('[daemon]\nhours = "01:00-02:00"\n', "01:00-02:00", "settings read"),
        ('[daemon]\nhours = "at night"\n', "01:00-02:00", "settings make no sense"),
        ("[daemon]\nhour = 3\n", "01:00-02:00", "settings make no sense"),
        ("", "22:00-07:00", "settings read"),
    ):
        (daemon.home / "config.toml").write_text(text)
        daemon.look()
        assert daemon.keeper.settings.hours == hours and event in events(daemon.home)[-2:], text


def test_a_clock_that_is_set_and_a_machine_that_slept_are_told(
    daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(daemon.home, idle=1.0)
    now = loop.moment()
    monkeypatch.setattr(loop, "moment", lambda: now)
    daemon.look()
    now = replace(now, epoch=now.epoch + 3600, boot=now.boot + 3600)
    daemon.look()
    now = replace(now, epoch=now.epoch - 7200)
    daemon.look()
    told = [(line["event"], line["seconds"]) for line in log.lines(daemon.home) if "seconds" in line]
    assert told == [("machine slept", 3600), ("clock set", -7200)]


def test_the_hours_are_those_of_the_place_where_the_machine_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC0")
    utc = loop.moment().local
    try:
        monkeypatch.setenv("TZ", "AWAY-9")
        assert 8.9 * 3600 < (loop.moment().local - utc).total_seconds() < 9.1 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


# -- one look -----------------------------------------------------------------------------------------------------


def test_a_look_that_finds_something_against_a_night_ends_and_is_told_once(daemon: loop.Daemon) -> None:
    see(daemon.home, idle=1.0)
    for _ in range(2):
        assert here(daemon.home).run(once=True) is False
    assert events(daemon.home) == ["waiting"]
    assert not (daemon.home / "daemon" / control.SOCKET).exists()
    see(daemon.home, idle=1.0, mains=False)
    assert here(daemon.home).run(once=True) is False
    assert [line["against"] for line in log.lines(daemon.home)] == [["in_use"], ["in_use", "on_battery"]]
    assert loop.remembered(daemon.home).days  # what hours are quiet is learned as by a daemon that stays


def test_a_look_that_has_a_night_begin_stays_until_it_is_over(daemon: loop.Daemon) -> None:
    (daemon.home / "enough").touch()
    assert here(daemon.home).run(once=True) is True
    last = loop.remembered(daemon.home).last
    assert last and last.outcome == "promoted" and events(daemon.home)[:2] == ["begin", "night ended"]
    assert here(daemon.home).run(once=True) is False  # it was tonight's


@pytest.mark.parametrize(("percent", "busy"), [(90.0, True), (3.0, False)])
def test_a_look_heeds_how_busy_the_machine_is(
    daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch, percent: float, busy: bool
) -> None:
    passed = [0.0]

    def load() -> float:
        """As psutil has it: since the last time that it was asked, and nothing where that is now."""
        since, passed[0] = passed[0], 0.0
        return percent if since else 0.0

    monkeypatch.setattr(psutil, "cpu_percent", load)
    monkeypatch.setattr(sensors, "time", SimpleNamespace(sleep=lambda seconds: passed.__setitem__(0, seconds)))
    once = loop.Daemon(daemon.home, SETTINGS, sensors.Machine(daemon.home, sensors.Unknown()))
    assert once.run(once=True) is False
    assert once.reading.load == percent
    assert ("machine_busy" in [no.name for no in once.keeper.against]) is busy


def test_sensors_that_fail_end_no_look_and_leave_it_unknown(
    daemon: loop.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr(daemon.sensors, "all", failing)
    told = daemon.alone({"do": "status"})
    assert "idle_unknown" in [no["name"] for no in told["against"]]
    assert daemon.run(once=True) is False and daemon.night is None
    assert "sensors failed" in events(daemon.home)


def test_between_two_looks_whoever_asks_is_answered_and_no_night_begins(daemon: loop.Daemon) -> None:
    told = daemon.alone({"do": "status"})
    assert (told["pid"], told["phase"], told["against"]) == (None, "none", [])
    assert [no["name"] for no in daemon.alone({"do": "pause", "minutes": 5})["against"]] == ["paused"]
    assert here(daemon.home).run(once=True) is False
    assert daemon.alone({"do": "resume"})["against"] == [] and daemon.night is None
    assert loop.remembered(daemon.home).paused_until == 0
    assert events(daemon.home) == ["asked to pause", "waiting", "asked to resume"]
    serving = control.Server(daemon.home)
    try:
        with pytest.raises(BusyError):
            daemon.alone({"do": "resume"})
    finally:
        serving.close()


# -- what is kept ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "minutes", [math.inf, math.nan, 1e300, 10**400, 1e11, None], ids=["inf", "nan", "huge", "vast", "long", "none"]
)
def test_a_pause_of_any_length_is_kept(daemon: loop.Daemon, minutes: Any) -> None:
    daemon.answer({"do": "pause", "minutes": minutes})
    assert daemon.keeper.memory.paused_until == loop.EVER
    assert loop.remembered(daemon.home) == daemon.keeper.memory


def test_the_log_rotates_and_can_be_taken_away_at_any_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "BYTES", 500)
    for number in range(40):
        log.note(home, "waiting", number=number)
    kept = [line["number"] for line in log.lines(home)]
    assert kept == [*range(kept[0], 40)] and 5 < len(kept) < 30
    for path in (home / "daemon").iterdir():
        assert path.stat().st_size <= 500 and stat.S_IMODE(path.stat().st_mode) == 0o600
        path.unlink()
    log.note(home, "waiting", number=40)
    (home / "daemon" / log.FILE).open("a").write('{"cut sh')
    assert [line["number"] for line in log.lines(home)] == [40]


def test_nothing_that_was_told_stands_in_what_the_daemon_keeps(daemon: loop.Daemon) -> None:
    begun(daemon)
    (daemon.home / "enough").touch()
    ended(daemon)
    for pattern in log.SAYS_NOTHING:
        for path in daemon.home.glob(pattern):
            assert "skelwick" not in path.read_text().lower()
            assert path.stat().st_size


def test_what_is_kept_is_plain_json(daemon: loop.Daemon) -> None:
    daemon.look()
    assert json.loads((daemon.home / "daemon" / log.STATE).read_text())["days"]
    (daemon.home / "daemon" / log.STATE).write_text("{")
    assert loop.remembered(daemon.home) == loop.Remembered()
