"""The daemon as a process of its own: who may ask it, through what, and what ends with it."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from watched import apart, count, events, here, readied, see, until

from edgesleep import held
from edgesleep.daemon import control, loop
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.lock import Holder
from edgesleep.records import dump
from edgesleep.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are held by signals here")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the system ends what stands still on Linux only")


@pytest.fixture
def ready(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return readied(home, monkeypatch)


@pytest.fixture
def process(ready: Path) -> Iterator[subprocess.Popen[bytes]]:
    with apart(ready) as running:
        yield running


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


def test_a_night_that_one_look_began_is_held_goes_on_and_is_the_end_of_its_process(ready: Path) -> None:
    with apart(ready, once=True) as running:
        until(lambda: count(ready) > 0)
        see(ready, idle=0.0)
        until(lambda: control.ask(ready, do="status")["phase"] == "held")
        see(ready)
        until(lambda: control.ask(ready, do="status")["phase"] == "running")
        (ready / "enough").touch()
        assert running.wait(60) == 0
    last = loop.remembered(ready).last
    assert last and (last.outcome, last.held) == ("promoted", 1)


def test_without_a_home_there_is_nothing_to_serve(home: Path) -> None:
    with pytest.raises(EdgesleepError, match="no home") as error:
        here(home).run()
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
import pathlib, time
from edgesleep.lock import Lock
home = pathlib.Path({words!r}[1])
with Lock(home).held():
    (home / "night").write_text("1")
    time.sleep(600)
"""


def test_a_night_that_is_held_makes_way_for_whoever_wants_to_change_something(ready: Path) -> None:
    with apart(ready, LOCKED):
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
