"""What the machine says of itself: Linux's services on a bus of the test's own, other systems as their tools print."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from edgesleep.daemon import macos, sensors
from edgesleep.daemon.policy import Reading
from edgesleep.errors import EdgesleepError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is Linux's")


SERVICES = (
    *("org.freedesktop.login1", "org.gnome.Mutter.IdleMonitor", "org.freedesktop.ScreenSaver"),
    *("org.freedesktop.Notifications", "org.freedesktop.systemd1"),
)


class Desktop:
    """Services on a bus of their own. `answers` gives by (interface, member) or (interface, property) what is told."""

    def __init__(self, address: str) -> None:
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.connection = open_dbus_connection(address)
        for name in SERVICES:
            self.connection.send_and_get_reply(message_bus.RequestName(name))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        from jeepney import HeaderFields, MessageType, new_error, new_method_return

        while True:
            try:
                message = self.connection.receive()
            except Exception:  # closed
                return
            if message.header.message_type != MessageType.method_call:
                continue
            fields = message.header.fields
            key = (fields.get(HeaderFields.interface, ""), fields[HeaderFields.member])
            self.asked.append((key[1], message.body))
            is_property = key == ("org.freedesktop.DBus.Properties", "Get")
            told = self.answers.get(tuple(message.body) if is_property else key)
            if told == "hang":
                continue
            if told is None:
                reply = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")
            else:
                reply = new_method_return(message, "v" if is_property else told[0], (told if is_property else told[1],))
            self.connection.send(reply)


def alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nobody is logged in on a terminal, and no display is served."""
    from edgesleep.daemon import x11

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(x11, "SOCKETS", folder)
    monkeypatch.setattr(psutil, "users", list)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desktop]:
    """Both buses are one that only this test knows; nobody is logged in on a terminal."""
    if not shutil.which("dbus-daemon"):
        pytest.skip("there is no dbus-daemon here")
    command = ["dbus-daemon", "--session", "--nofork", "--print-address", "--nosyslog"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, address)
        alone(monkeypatch, tmp_path)
        desktop = Desktop(address)
        yield desktop
        daemon.terminate()
        desktop.connection.close()


SESSION = ("org.freedesktop.login1.Session", "Type")
MANAGER = "org.freedesktop.login1.Manager"


def log_in(desktop: Desktop, kind: str, user: int | None = None) -> None:
    user = os.getuid() if user is None else user
    desktop.answers |= {
        (MANAGER, "ListSessions"): ("a(susso)", [("1", user, "ann", "seat0", "/org/freedesktop/login1/session/_31")]),
        SESSION: ("s", kind),
        (SESSION[0], "Class"): ("s", "user"),
    }


@linux_only
@pytest.mark.parametrize(
    ("kind", "interface", "method", "told"),
    [
        ("wayland", "org.gnome.Mutter.IdleMonitor", "GetIdletime", ("t", 61_500)),
        ("x11", "org.freedesktop.ScreenSaver", "GetSessionIdleTime", ("u", 61_500)),
    ],
)
def test_a_desktop_tells_how_long_nobody_touched_it(
    bus: Desktop, kind: str, interface: str, method: str, told: Any
) -> None:
    log_in(bus, kind)
    bus.answers[interface, method] = told
    assert sensors.system().idle() == 61.5


@linux_only
def test_kde_on_wayland_says_that_it_was_just_touched_and_is_asked_by_its_hint(bus: Desktop) -> None:
    log_in(bus, "wayland")
    bus.answers["org.freedesktop.ScreenSaver", "GetSessionIdleTime"] = ("u", 0)
    asked = sensors.system()
    assert asked.idle() is None
    since = int((time.monotonic() - 100) * 1e6)
    bus.answers |= {(SESSION[0], "IdleSinceHintMonotonic"): ("t", since), (SESSION[0], "IdleHint"): ("b", True)}
    idle = asked.idle()
    assert idle is not None and 100 <= idle < 160


@linux_only
def test_a_desktop_that_only_gives_a_hint_is_believed_and_one_that_gives_none_is_unknown(bus: Desktop) -> None:
    log_in(bus, "x11")
    asked = sensors.system()
    assert asked.idle() is None
    since = int((time.monotonic() - 100) * 1e6)
    bus.answers |= {(SESSION[0], "IdleSinceHintMonotonic"): ("t", since), (SESSION[0], "IdleHint"): ("b", True)}
    idle = asked.idle()
    assert idle is not None and 100 <= idle < 160
    bus.answers[SESSION[0], "IdleHint"] = ("b", False)
    assert asked.idle() == 0.0


@linux_only
def test_without_a_desktop_the_terminals_count_and_whoever_used_one_last(
    bus: Desktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgesleep.daemon import linux

    log_in(bus, "tty")
    asked = sensors.system()
    assert asked.idle() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)  # nobody, ever
    monkeypatch.setattr(linux, "DEVICES", tmp_path)
    for name, ago in (("tty1", 500), ("pts1", 90)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - ago, time.time()))
    users = [SimpleNamespace(terminal=name) for name in ("tty1", "pts1", "gone", None)]
    monkeypatch.setattr(psutil, "users", lambda: users)
    assert asked.idle() == pytest.approx(90, abs=60)
    log_in(bus, "wayland")
    assert asked.idle() is None  # whoever sits at the desktop may be here all the same


@linux_only
def test_the_lid_and_what_keeps_the_display_on_are_logins_matter(bus: Desktop) -> None:
    asked = sensors.system()
    assert (asked.lid_closed(), asked.presenting()) == (None, None)
    bus.answers |= {(MANAGER, "LidClosed"): ("b", True), (MANAGER, "BlockInhibited"): ("s", "shutdown:idle")}
    assert (asked.lid_closed(), asked.presenting()) == (True, True)
    bus.answers |= {(MANAGER, "LidClosed"): ("b", False), (MANAGER, "BlockInhibited"): ("s", "handle-lid-switch")}
    assert (asked.lid_closed(), asked.presenting()) == (False, False)


@linux_only
def test_a_line_is_shown_on_the_desktop(bus: Desktop) -> None:
    bus.answers["org.freedesktop.Notifications", "Notify"] = ("u", 1)
    sensors.system().show("The night is over.")
    ((_, body),) = [asked for asked in bus.asked if asked[0] == "Notify"]
    assert body[0] == "edgesleep" and body[4] == "The night is over."


@linux_only
def test_a_service_that_hangs_is_unknown_within_a_moment(bus: Desktop) -> None:
    log_in(bus, "wayland")
    bus.answers["org.gnome.Mutter.IdleMonitor", "GetIdletime"] = "hang"
    asked, began = sensors.system(), time.thread_time()
    assert asked.idle() is None and asked.idle() is None
    assert time.thread_time() - began < 1  # it is not asked again and again


class Shown:
    """X servers of the test's own: how long ago each was touched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, told: float | None) -> None:
        from edgesleep.daemon import x11

        self.told = told
        self.asked: list[tuple[list[int], str | None]] = []
        monkeypatch.setattr(x11.Displays, "idle", lambda _, numbers, key: self.idle([*numbers], key))

    def idle(self, numbers: list[int], key: str | None) -> float | None:
        self.asked.append((numbers, key))
        return self.told if numbers else None


@linux_only
@pytest.mark.parametrize("kind", ["x11", "tty"], ids=["logged in there", "by startx"])
def test_a_plain_x_session_is_asked_of_its_server_wherever_the_desktop_says_it_is(
    bus: Desktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    log_in(bus, kind)
    bus.answers[("org.freedesktop.systemd1.Manager", "Environment")] = (
        *("as", ["PATH=/bin", "DISPLAY=:5", "XAUTHORITY=/run/keys=5"]),
    )
    shown, asked = Shown(monkeypatch, 61.5), sensors.system()
    assert (asked.idle() is None) == (kind == "x11")  # none is served, whatever is left of an earlier one
    (tmp_path / "X5").touch()
    assert asked.idle() == 61.5 and shown.asked[-1] == ([5], "/run/keys=5")
    hint = (SESSION[0], "IdleSinceHintMonotonic")
    bus.answers |= {hint: ("t", int((time.monotonic() - 100) * 1e6)), (SESSION[0], "IdleHint"): ("b", True)}
    assert asked.idle() == 61.5
    shown.told = None
    assert (asked.idle() is None) == (kind == "tty")  # what logind says of a terminal says nothing of a display


@linux_only
def test_an_x_server_within_wayland_is_not_asked_and_a_compositor_is_seen_without_logind(
    bus: Desktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log_in(bus, "tty")
    (tmp_path / "X5").touch()
    shown, asked = Shown(monkeypatch, 61.5), sensors.system()
    assert asked.idle() == 61.5
    (tmp_path / "wayland-0.lock").touch()
    assert asked.idle() == 61.5
    with socket.socket(socket.AF_UNIX) as compositor:
        monkeypatch.chdir(tmp_path)
        compositor.bind("wayland-0")
        assert asked.idle() is None
        bus.answers["org.gnome.Mutter.IdleMonitor", "GetIdletime"] = ("t", 5_000)
        assert asked.idle() == 5.0
    assert len(shown.asked) == 2


@linux_only
def test_of_another_users_desktop_only_its_hint_tells_and_only_while_it_is_on_the_screen(bus: Desktop) -> None:
    log_in(bus, "wayland", os.getuid() + 1)
    bus.answers["org.gnome.Mutter.IdleMonitor", "GetIdletime"] = ("t", 900_000)  # is that of this user
    asked = sensors.system()
    bus.answers[SESSION[0], "Active"] = ("b", True)
    assert asked.idle() is None
    since = int((time.monotonic() - 100) * 1e6)
    bus.answers |= {(SESSION[0], "IdleSinceHintMonotonic"): ("t", since), (SESSION[0], "IdleHint"): ("b", True)}
    idle = asked.idle()
    assert idle is not None and 100 <= idle < 160
    bus.answers[SESSION[0], "Active"] = ("b", False)
    assert asked.idle() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)


@linux_only
def test_without_a_bus_a_machine_with_a_display_is_unknown_and_another_counts_terminals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.setenv(name, "unix:path=/nowhere/bus")
    alone(monkeypatch, tmp_path)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert sensors.system().idle() is None
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    idle = sensors.system().idle()
    assert idle is not None and idle > 0


AC = {"type": "Mains", "online": "1"}
OFF = {"type": "Mains", "online": "0"}
FULL = {"type": "Battery", "scope": "System", "present": "1", "status": "Full", "capacity": "97"}
LOW = {"type": "Battery", "present": "1", "status": "Discharging", "capacity": "9"}
HELD = {"type": "Battery", "present": "1", "status": "Not charging", "energy_now": "30", "energy_full": "40"}
MOUSE = {"type": "Battery", "scope": "Device", "present": "1", "status": "Discharging", "capacity": "55"}
PORT = {"type": "USB", "online": "0"}


@linux_only
@pytest.mark.parametrize(
    ("supplies", "told"),
    [
        ({}, (True, None)),
        ({"AC": AC}, (True, None)),
        ({"hidpp_battery_0": MOUSE}, (True, None)),
        ({"hidpp_battery_0": MOUSE, "ADP1": AC, "BAT0": FULL}, (True, 97.0)),
        ({"ACAD": AC, "BAT1": HELD}, (True, 75.0)),
        ({"ADP1": OFF, "BAT0": LOW, "ucsi-source-psy-1": PORT}, (False, 9.0)),
        ({"ucsi-source-psy-1": PORT | {"online": "1"}, "BAT0": FULL}, (True, 97.0)),
        ({"ucsi-source-psy-1": PORT, "BAT0": FULL}, (True, 97.0)),
        ({"ADP1": OFF, "BAT0": HELD, "BAT1": LOW}, (False, 42.0)),
        ({"BAT0": LOW}, (False, 9.0)),
        ({"BAT0": LOW | {"status": "Charging"}}, (True, 9.0)),
        ({"BAT0": LOW | {"status": "Unknown"}}, (None, 9.0)),
        ({"BAT0": LOW | {"present": "0"}, "AC": AC}, (True, None)),
        ({"BAT0": {"type": "Battery"}}, (None, None)),
    ],
)
def test_power_is_that_of_the_machine_and_not_of_its_mouse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, supplies: dict[str, dict[str, str]], told: Any
) -> None:
    from edgesleep.daemon import linux

    monkeypatch.setattr(linux, "POWER", tmp_path)
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n")
    assert sensors.power() == told


# -- everywhere ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("battery", "told"),
    [
        (None, (True, None)),
        (SimpleNamespace(power_plugged=True, percent=55), (True, 55.0)),
        (SimpleNamespace(power_plugged=False, percent=9.5), (False, 9.5)),
        (SimpleNamespace(power_plugged=None, percent=80), (None, 80.0)),
        (OSError("gone"), (None, None)),
    ],
)
def test_elsewhere_power_is_as_psutil_tells_it(monkeypatch: pytest.MonkeyPatch, battery: Any, told: Any) -> None:
    def asked() -> Any:
        if isinstance(battery, Exception):
            raise battery
        return battery

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(psutil, "sensors_battery", asked, raising=False)
    assert sensors.power() == told


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, None),
        ({"nvme": [70.0]}, None),
        ({"coretemp": [50.0, 61.5, 40.0], "acpitz": [90.0]}, 61.5),
        ({"acpitz": [0.0, 47.0, 3000.0]}, 47.0),
    ],
)
def test_the_temperature_is_that_of_the_processors_hottest_part(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, list[float]], told: float | None
) -> None:
    parts = {name: [SimpleNamespace(current=value) for value in values] for name, values in found.items()}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: parts, raising=False)
    assert sensors.temperature() == told


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    machine = sensors.sensors(tmp_path)
    first, second = machine.all(), machine.all()
    assert first.load is None and second.load is not None
    assert second.memory and second.disk and 0 < second.memory < 1e5
    quick = machine.quick(second)
    assert (quick.memory, quick.load, quick.mains) == (second.memory, second.load, second.mains)


def test_a_system_that_tells_nothing_leaves_it_unknown(tmp_path: Path) -> None:
    told = sensors.Machine(tmp_path, sensors.Unknown()).all()
    assert (told.idle, told.lid_closed, told.presenting, told.display_on, told.gpu) == (None,) * 5


def test_a_file_may_stand_in_for_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "sensors.json"
    path.write_text('{"idle": 5, "mains": false}')
    read = sensors.sensors(tmp_path, path)
    assert read.all() == read.quick(Reading(idle=7.0)) == Reading(idle=5.0, mains=False)
    path.write_text('{"idle": "long"}')
    with pytest.raises(EdgesleepError, match=r"sensors\.json"):
        read.all()


THERM = """Note: No thermal warning level has been recorded
Note: No performance warning level has been recorded
"""


@pytest.mark.parametrize(
    ("read", "printed", "told"),
    [
        (macos.slowed, "CPU Power notify\n\tCPU_Scheduler_Limit \t= 100\n\tCPU_Speed_Limit \t= 100\n", False),
        (macos.slowed, "\tCPU_Speed_Limit \t= 63\n", True),
        (macos.slowed, THERM, False),
        (macos.slowed, "", None),
        (macos.kept_on, "Assertion status system-wide:\n   PreventUserIdleDisplaySleep    1\n", True),
        (macos.kept_on, "   BackgroundTask                 1\n   PreventUserIdleDisplaySleep    0\n", False),
        (macos.kept_on, "", None),
        (macos.lid, '    | |   "AppleClamshellState" = Yes\n', True),
        (macos.lid, '    | |   "AppleClamshellState" = No\n', False),
        (macos.lid, "", None),
    ],
)
def test_what_macos_prints_is_read(read: Any, printed: str, told: bool | None) -> None:
    assert read(printed) is told
