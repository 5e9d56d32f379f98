"""The service's files: what each system's own checker says of them, and that installing twice is installing once."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from edgesleep import cli, cli_daemon, errors
from edgesleep.daemon import log, loop, service
from edgesleep.errors import EdgesleepError

SYSTEMS = ("linux", "darwin", "win32")
ODD = 'an odd "home" 100% $x & <y>'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of a user, on whose path nothing is in need of care but the home."""
    return tmp_path / "user"


def made(place: Path, system: str, home: str = "home", *, timer: bool = False) -> service.Service:
    (place / home).mkdir(parents=True, exist_ok=True)
    return service.service(place / home, system, place, timer=timer)


def verified(unit: service.Service) -> subprocess.CompletedProcess[str]:
    """What systemd itself says of a unit, and of the one beside it."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    command = ["systemd-analyze", "verify", "--user", "--man=no", *(str(path) for path, _ in unit.files)]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(unit.path.parent)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("home", "timer"), [("home", False), (ODD, False), (ODD, True)])
def test_systemd_finds_no_fault_in_the_unit(place: Path, home: str, timer: bool) -> None:
    unit = made(place, "linux", home, timer=timer)
    unit.write()
    checked = verified(unit)
    assert unit.path.stem not in checked.stderr and checked.returncode == 0, checked.stderr


def test_systemd_finds_faults_in_a_timer_that_has_some(place: Path) -> None:
    unit = made(place, "linux", timer=True)
    unit.write()
    ((path, text),) = unit.beside
    path.write_bytes(text.replace(b"OnUnitInactiveSec=", b"OnUnitIdleSec="))
    assert "OnUnitIdleSec" in verified(unit).stderr


def test_systemd_finds_faults_in_a_unit_that_has_some(place: Path) -> None:
    unit = made(place, "linux")
    unit.path.parent.mkdir(parents=True)
    unit.path.write_bytes(unit.text.replace(b"CPUWeight=", b"CPUWait="))
    assert "CPUWait" in verified(unit).stderr


def test_the_unit_gives_way_and_has_limits(place: Path) -> None:
    text = made(place, "linux").text.decode()
    for line in (
        "CPUWeight=20",
        "IOSchedulingClass=best-effort",
        "NoNewPrivileges=yes",
        "OOMPolicy=continue",
        "RestrictAddressFamilies=AF_UNIX",
    ):
        assert f"\n{line}\n" in text
    limit = int(text.partition("MemoryMax=")[2].split()[0])
    assert 0.5 < limit / (limit / service.MEMORY) < 1 and limit > 1 << 28


@pytest.mark.parametrize("home", ["home", ODD])
def test_launchds_file_holds_what_it_was_told(place: Path, home: str) -> None:
    agent = made(place, "darwin", home)
    keys = plistlib.loads(agent.text)
    assert keys["Label"] == agent.path.stem == agent.name
    assert keys["ProgramArguments"] == [
        *(sys.executable, "-m", "edgesleep", "--home", str(place / home), "daemon", "run")
    ]
    assert keys["LowPriorityIO"] is True
    assert keys["KeepAlive"] == {"SuccessfulExit": False}


@pytest.mark.parametrize("home", ["home", ODD])
def test_windows_file_is_a_task(place: Path, home: str) -> None:
    task = made(place, "win32", home)
    root = ElementTree.fromstring(task.text.decode("utf-16"))
    names = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    arguments = root.findtext("t:Actions/t:Exec/t:Arguments", namespaces=names)
    assert arguments is not None and arguments.endswith("daemon run")
    assert root.findtext("t:Actions/t:Exec/t:Command", namespaces=names) == sys.executable
    assert root.findtext("t:Actions/t:Exec/t:WorkingDirectory", namespaces=names) == str(place / home)
    assert root.findtext("t:Settings/t:StopIfGoingOnBatteries", namespaces=names) == "false"


@pytest.mark.parametrize("timer", [False, True], ids=["daemon", "timer"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_file_is_the_same_every_time_and_each_home_has_its_own(place: Path, system: str, timer: bool) -> None:
    first, again = made(place, system, timer=timer), made(place, system, timer=timer)
    assert first == again and not first.is_installed
    for other in (made(place, system, "other", timer=timer), made(place, system, timer=not timer)):
        assert first.name != other.name and not dict(first.files).keys() & dict(other.files).keys()
    first.write()
    assert again.is_current
    for path, _ in first.files:
        assert path.stat().st_mode & 0o077 == 0
        before = path.read_bytes()
        path.write_bytes(b"other")
        assert not again.is_current
        path.write_bytes(before)
    first.erase()
    assert not again.is_installed and not [path for path, _ in first.files if path.exists()]


def test_a_timer_looks_now_and_then_on_every_system_and_keeps_no_process(place: Path) -> None:
    unit, agent, task = (made(place, system, timer=True) for system in SYSTEMS)
    ((_, text),) = unit.beside
    assert f"\nOnUnitInactiveSec={service.EVERY}\n" in text.decode()
    for line in ("SuccessExitStatus=4 5", "CPUWeight=20", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in unit.text.decode()
    assert not re.search(r"^(Restart|\[Install)", unit.text.decode(), re.MULTILINE)
    assert b"daemon run --once\n" in unit.text and b"daemon run\n" in made(place, "linux").text
    keys = plistlib.loads(agent.text)
    assert keys["StartInterval"] == service.EVERY and keys["ProgramArguments"][-1] == "--once"
    assert not {"KeepAlive", "RunAtLoad"} & {*keys}
    root = ElementTree.fromstring(task.text.decode("utf-16"))
    names = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    (trigger,) = root.findall("t:Triggers/*", namespaces=names)
    assert [part.tag.partition("}")[2] for part in (trigger, *trigger)] == [
        *("TimeTrigger", "Enabled", "StartBoundary", "Repetition")  # in the order of Microsoft's schema
    ]
    assert datetime.fromisoformat(trigger.findtext("t:StartBoundary", "", names)) < datetime.now()
    assert trigger.findtext("t:Repetition/t:Interval", namespaces=names) == f"PT{service.EVERY}S"
    assert trigger.find("t:Repetition/t:Duration", names) is None  # it never ends
    assert (root.findtext("t:Actions/t:Exec/t:Arguments", namespaces=names) or "").endswith("daemon run --once")


def test_on_windows_a_timer_that_is_stopped_looks_no_more_until_it_is_started(place: Path) -> None:
    daemon, timer = made(place, "win32"), made(place, "win32", timer=True)
    assert [(command[1], *command[4:]) for command in timer.stop] == [("/Change", "/DISABLE"), ("/End",)]
    assert [(command[1], *command[4:]) for command in timer.start] == [("/Change", "/ENABLE")]
    assert {command[3] for command in (*timer.stop, *timer.start)} == {timer.name}
    assert [command[1] for command in (*daemon.stop, *daemon.start)] == ["/End", "/Run"]
    assert "<LogonTrigger>" in daemon.text.decode("utf-16")


def test_a_system_without_a_known_service_is_told_what_to_do(place: Path) -> None:
    with pytest.raises(EdgesleepError) as error:
        made(place, "plan9")
    assert "daemon run" in error.value.hint


# -- the commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(home: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that the service manager was given, none of which is run."""
    home.mkdir(parents=True)
    commands: list[str] = []
    kinds = partial(service.service, system="linux", user_home=place)
    monkeypatch.setattr(cli_daemon, "_service", lambda home, timer=False: kinds(home, timer=timer))
    monkeypatch.setattr(service, "run", lambda given, may_fail=False: commands.extend(" ".join(one) for one in given))
    return commands


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def test_installing_twice_changes_nothing_and_uninstalling_leaves_nothing(
    home: Path, place: Path, asked: list[str]
) -> None:
    dry = run("daemon", "install", "--dry-run")
    assert "ExecStart=" in dry.stdout and "Would run: systemctl --user start" in dry.stdout
    assert not place.exists() and asked == []
    assert "Installed and started" in run("daemon", "install").stdout
    (file,) = [path for path in place.rglob("*") if path.is_file()]
    before = file.read_bytes(), file.stat().st_mtime_ns
    asked.clear()
    assert "Already installed" in run("daemon", "install").stdout
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert not any(" stop " in command for command in asked)
    assert run("daemon", "stop").exit_code == run("daemon", "start").exit_code == 0
    assert "Would remove" in run("daemon", "uninstall", "--dry-run").stdout and file.exists()
    assert "Removed" in run("daemon", "uninstall").stdout and not file.exists()
    assert "Not installed" in run("daemon", "uninstall").stdout


def test_a_timer_takes_the_place_of_the_daemon_and_the_daemon_that_of_the_timer(
    home: Path, place: Path, asked: list[str]
) -> None:
    def files() -> set[str]:
        return {path.suffix for path in place.rglob("*") if path.is_file()}

    assert run("daemon", "install").exit_code == 0 and files() == {".service"}
    asked.clear()
    dry = run("daemon", "install", "--timer", "--dry-run").stdout
    assert "OnUnitInactiveSec=" in dry and "--once" in dry and "Would remove" in dry and files() == {".service"}
    assert "Removed" in run("daemon", "install", "--timer").stdout and files() == {".service", ".timer"}
    stopped = next(n for n, command in enumerate(asked) if " disable --now " in command)
    started = next(n for n, command in enumerate(asked) if " start " in command)
    assert stopped < started and asked[started].endswith("-timer.timer")
    asked.clear()
    assert "Already installed" in run("daemon", "install", "--timer").stdout
    assert "Stopped" in run("daemon", "stop").stdout
    assert [command.rpartition(".")[2] for command in asked if " stop " in command] == ["timer", "service"]
    assert run("daemon", "install").exit_code == 0 and files() == {".service"}
    run("daemon", "install", "--timer")
    assert run("daemon", "uninstall").exit_code == 0 and files() == set()


def test_with_a_timer_it_is_asked_between_two_looks(home: Path, asked: list[str], tmp_path: Path) -> None:
    assert run("daemon", "pause").exit_code == errors.ERROR
    run("daemon", "install", "--timer")
    assert "it was asked to pause" in run("daemon", "pause", "--minutes", "5").stdout
    assert loop.remembered(home).paused_until > time.time()
    assert '"paused"' in run("daemon", "status", "--json").stdout
    assert '"paused"' not in run("daemon", "resume", "--json").stdout
    told = run("daemon", "run-now")
    assert told.exit_code == errors.ERROR and "run-night" in told.stderr
    (tmp_path / "sensors.json").write_text('{"idle": 3}')
    once = run("daemon", "run", "--once", "--sensors", str(tmp_path / "sensors.json"))
    assert once.exit_code == errors.SKIPPED, once.output


def test_what_is_not_installed_cannot_be_started(home: Path, asked: list[str]) -> None:
    result = run("daemon", "start")
    assert result.exit_code == errors.ERROR and "not installed" in result.stderr and "Try: " in result.stderr


def test_a_manager_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EdgesleepError, match="No such file"):
        service.run([["/nowhere/systemctl", "--user"]])
    with pytest.raises(EdgesleepError, match="exit code 3"):
        service.run([[sys.executable, "-c", "raise SystemExit(3)"]])
    service.run([[sys.executable, "-c", "raise SystemExit(3)"]], may_fail=True)


def test_would_run_says_why_not_and_its_exit_code_too(home: Path, tmp_path: Path) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text('[daemon]\nhours = "00:00-24:00"\n')
    file = tmp_path / "sensors.json"
    file.write_text('{"idle": 3, "mains": false, "charge": 55}')
    told = run("would-run", "--sensors", str(file))
    assert told.exit_code == errors.SKIPPED
    assert [line.split(":")[0].strip() for line in told.stdout.splitlines()] == [
        *("No night would begin now", "no_model", "nothing_to_learn", "in_use", "on_battery")
    ]
    before = sorted(home.rglob("*"))
    assert '"would_run": false' in run("would-run", "--json", "--sensors", str(file)).stdout
    assert sorted(home.rglob("*")) == before
    (home / "config.toml").write_text('[daemon]\nhours = "late"\n')
    assert "daemon.hours" in run("would-run").stderr


TOLD: dict[str, Any] = {
    "phase": "none",
    "against": [{"name": "in_use", "why": "someone is here"}, {"name": "hot", "why": "it is hot"}],
    "within_hours": False,
    "hours_begin": "2026-03-28T22:00:00",
    "last_night": {"outcome": "failed", "ended": 0.0},
    "failure": "The disk is full.",
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, r"No night now: someone is here, it is hot\. Last night: failed, .* The disk is full\. .* from 22:00\."),
        (
            {"phase": "held", "last_night": None, "failure": ""},
            r"A night is held still: someone is here, it is hot\..*",
        ),
        ({"phase": "running", "against": [], "within_hours": True, "failure": ""}, r"A night is under way\..*"),
        ({"pid": 7, "against": []}, r"A night begins now\..*"),
        ({"pid": None, "against": []}, r"A night begins at the timer's next look\..*"),
    ],
)
def test_the_state_is_one_line(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], line: str) -> None:
    monkeypatch.setattr(cli_daemon, "_asked", lambda home, **asked: TOLD | changes)
    (told,) = run("daemon", "status").stdout.splitlines()
    assert re.fullmatch(line, told), told


def test_the_log_is_shown_as_it_was_kept(home: Path) -> None:
    log.note(home, "begin", against=[])
    log.note(home, "night ended", outcome="promoted", code=0)
    assert run("daemon", "logs", "--lines", "1").stdout.endswith("night ended  outcome promoted  code 0\n")
    assert [line["event"] for line in json.loads(run("daemon", "logs", "--json").stdout)] == ["begin", "night ended"]


@pytest.mark.parametrize("words", [["status"], ["pause", "--minutes", "5"], ["resume"], ["run-now"]])
def test_where_no_daemon_runs_that_is_said(home: Path, words: list[str]) -> None:
    result = run("daemon", *words)
    assert result.exit_code == errors.ERROR and result.stderr.startswith("Error: No daemon")
