"""The daemon with a night that only counts: it begins, stands still, goes on, ends as it should, and outlives nobody.

What reads the machine is a file, so that a test says who is here; the real night in its place is in test_guest.py.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from nights import tell

from edgesleep import held
from edgesleep.config import DaemonSettings
from edgesleep.daemon import control, log, loop
from edgesleep.daemon.policy import Reading
from edgesleep.daemon.sensors import FromFile
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.lock import Holder
from edgesleep.night import underway
from edgesleep.records import dump
from edgesleep.store import Store
from edgesleep.waiting import is_being_written

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are held by signals here")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the system ends what stands still on Linux only")

FIT = Reading(1e5, True, 90.0, memory=8.0, disk=50.0)
SETTINGS = DaemonSettings(hours="00:00-24:00")
# A night with a child of its own; both count into files. It ends well when a file says so, or when it is asked.
NIGHT = """
import os, pathlib, signal, sys, time
sys.path[:] = {path!r}
from edgesleep import held
from edgesleep.machine import end_with
end_with({parent})
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


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something; a machine that does much else is slow."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture
def ready(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where something waits to be learned, and a file in place of the sensors."""
    monkeypatch.setattr(loop, "_CHILD", NIGHT)
    tell(home, "I live in Skelwick.")
    (home / "base.json").write_text("{}")
    dump(FIT, home / "sensors.json")
    return home


@pytest.fixture
def daemon(ready: Path) -> Iterator[loop.Daemon]:
    made = loop.Daemon(ready, SETTINGS, FromFile(ready / "sensors.json"))
    yield made
    if made.night:
        made.night.kill()


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
    monkeypatch.setattr(loop, "_CHILD", WRITER)
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
    monkeypatch.setattr(loop, "_CHILD", WRITER.replace("0.03", "600"))
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


# -- the process ---------------------------------------------------------------------------------------------------

PROCESS = """
import sys
from pathlib import Path
from edgesleep.config import DaemonSettings
from edgesleep.daemon import loop
from edgesleep.daemon.sensors import FromFile
home = Path({home!r})
loop._CHILD = {night!r}
loop.Daemon(home, DaemonSettings(hours="00:00-24:00"), FromFile(home / "sensors.json")).run()
"""


@pytest.fixture
def process(ready: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon in a process of its own."""
    code = PROCESS.format(home=str(ready), night=NIGHT)
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        until(lambda: control.answers(ready))
        yield running
        running.kill()


def test_it_is_asked_through_a_socket_for_its_owner_alone(ready: Path, process: subprocess.Popen[bytes]) -> None:
    path = ready / "daemon" / control.SOCKET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    until(lambda: control.ask(ready, do="status")["phase"] == "running")
    assert control.ask(ready, do="pause")["phase"] == "ending"
    until(lambda: control.ask(ready, do="status")["phase"] == "none")
    told = control.ask(ready, do="status")
    assert [no["name"] for no in told["against"]] == ["paused"] and told["pid"] == process.pid
    see(ready, idle=1.0)
    assert [no["name"] for no in control.ask(ready, do="resume")["against"]] == ["in_use"]
    assert control.ask(ready, do="run")["phase"] == "running"
    with pytest.raises(EdgesleepError, match="cannot do that"):
        control.ask(ready, do="dance")
    with pytest.raises(BusyError):
        control.Server(ready)


def test_a_daemon_that_does_not_answer_keeps_its_home_and_its_socket(
    ready: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: control.ask(ready, do="status")["phase"] == "running")
    monkeypatch.setattr(control, "ANSWER", 0.1)
    path = ready / "daemon" / control.SOCKET
    before = path.stat().st_ino
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(BusyError):
            control.Server(ready)
    finally:
        process.send_signal(signal.SIGCONT)
    assert path.stat().st_ino == before
    process.kill()
    process.wait(60)
    control.Server(ready).close()  # whatever ended it, nothing has to be removed
    assert not path.exists()


def test_a_request_that_is_none_is_refused_and_holds_up_nobody(ready: Path, process: subprocess.Popen[bytes]) -> None:
    odd = (b'{"word": "\xc3\xa9"}\n', b'{"word": "\\ud800"}\n', b"[" * 60_000 + b"\n", b"\xff\n", b'{"do": [1]}\n')
    for sent in (b"", b"\n", b"[]\n", b"{", b"x" * (1 << 17), *odd):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(ready / "daemon" / control.SOCKET))
            client.settimeout(30)
            with suppress(OSError):
                client.sendall(sent)
                assert b"pid" not in client.recv(1 << 16)
            assert control.ask(ready, do="ping")["pid"] == process.pid


def test_whoever_sends_a_byte_at_a_time_holds_up_nobody(ready: Path, process: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(ready / "daemon" / control.SOCKET))
        with pytest.raises(OSError):
            for _ in range(2000):  # for as long as it likes, if each byte had its own time
                client.sendall(b"x")
                time.sleep(control.PATIENCE / 8)
    assert control.ask(ready, do="ping")["pid"] == process.pid


@pytest.mark.parametrize(
    "minutes", [math.inf, math.nan, 1e300, 10**400, 1e11, None], ids=["inf", "nan", "huge", "vast", "long", "none"]
)
def test_a_pause_of_any_length_is_kept(daemon: loop.Daemon, minutes: Any) -> None:
    daemon.answer({"do": "pause", "minutes": minutes})
    assert daemon.keeper.memory.paused_until == loop.EVER
    assert loop.remembered(daemon.home) == daemon.keeper.memory


def test_sigterm_ends_it_and_its_night(ready: Path, process: subprocess.Popen[bytes]) -> None:
    until(lambda: count(ready) > 0)
    night = control.ask(ready, do="status")["night"]
    process.terminate()
    assert process.wait(60) == 0
    assert not psutil.pid_exists(night) and not (ready / "daemon" / control.SOCKET).exists()
    assert events(ready)[-1] == "stopped"
    assert loop.remembered(ready).last is not None


@linux_only
def test_a_night_that_stands_still_ends_with_a_daemon_that_is_killed(
    ready: Path, process: subprocess.Popen[bytes]
) -> None:
    until(lambda: count(ready, "child") > 0)
    night = psutil.Process(control.ask(ready, do="status")["night"])
    family = [night, *night.children()]
    see(ready, idle=0.0)
    until(lambda: control.ask(ready, do="status")["phase"] == "held")
    process.kill()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))


def test_a_night_that_a_killed_daemon_left_standing_is_ended_by_the_next(ready: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as left:
        dump(Holder.of(left.pid), ready / "daemon" / loop.CHILD)
        held.freeze(left.pid)
        loop.Night.end_left(ready)
        assert left.wait(60) == -signal.SIGKILL
    loop.Night.end_left(ready)
    assert events(ready) == ["ended a night that was left"]


def test_without_a_home_there_is_nothing_to_serve(home: Path) -> None:
    with pytest.raises(EdgesleepError, match="no home") as error:
        loop.Daemon(home, SETTINGS, FromFile(home / "sensors.json")).run()
    assert "init" in error.value.hint and not home.exists()


def test_where_nobody_answers_that_is_said(home: Path) -> None:
    with pytest.raises(EdgesleepError, match="No daemon") as error:
        control.ask(home, do="status")
    assert "daemon start" in error.value.hint


def test_idle_it_is_small_and_has_loaded_nothing_heavy(ready: Path) -> None:
    code = f"""
import sys, psutil
from pathlib import Path
from edgesleep.cli import main
from edgesleep.daemon import loop, sensors
daemon = loop.Daemon(Path({str(ready)!r}), loop.DaemonSettings(), sensors.sensors(Path({str(ready)!r})))
daemon.look(); daemon.look()
heavy = {{"torch", "llama_cpp", "onnxruntime", "numpy", "spacy", "sqlite_utils", "rich", "gguf", "edgesleep._native"}}
print(daemon.keeper.phase, psutil.Process().memory_info().rss, *sorted(heavy & {{*sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    phase, rss, *heavy = done.stdout.split()
    assert phase == "none" and heavy == []
    assert int(rss) < 40 * 2**20


LOCKED = """
import pathlib, sys, time
sys.path[:] = {path!r}
from edgesleep.lock import Lock
home = pathlib.Path({words!r}[1])
with Lock(home).held():
    (home / "night").write_text("1")
    time.sleep(600)
"""


def test_a_night_that_is_held_makes_way_for_whoever_wants_to_change_something(ready: Path) -> None:
    code = PROCESS.format(home=str(ready), night=LOCKED)
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        try:
            until(lambda: control.answers(ready))
            until(lambda: count(ready) > 0)
            with pytest.raises(BusyError) as error, Store(ready).lock():
                pass  # it is under way: nobody is here
            assert "daemon pause" in error.value.hint
            see(ready, idle=0.0)
            until(lambda: control.ask(ready, do="status")["phase"] == "held")
            with Store(ready).lock():
                pass
            until(lambda: control.ask(ready, do="resume")["phase"] == "none")
            assert control.ask(ready, do="status")["last_night"]["outcome"] == "unfinished"
        finally:
            running.kill()


# -- the log -------------------------------------------------------------------------------------------------------


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
