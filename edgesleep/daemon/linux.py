"""Linux: who is here, the lid, the display and what keeps it on, by D-Bus and the system's files.

Owns asking logind, the desktop, the terminals and the power supplies, and showing a line there. Leaves X servers to
`x11` and what it means to `policy`. The only module that speaks D-Bus. Must stay true: a bus or a service that is
missing or hangs is unknown within moments; with a desktop whose own idle time nobody tells, whether someone is here is
unknown, whatever terminals say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, Properties, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.low_level import MessageType

from edgesleep.daemon import x11
from edgesleep.daemon.aside import sleeps

TIMEOUT = 0.2  # seconds for an answer: a whole look has to fit into one
AGAIN = 60.0  # seconds after which a bus that failed is tried again
DESKTOPS = ("x11", "wayland", "mir")
DRM = Path("/sys/class/drm")
POWER = Path("/sys/class/power_supply")
DEVICES = Path("/dev")

LOGIND = DBusAddress("/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager")
MANAGER = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")
NOTIFICATIONS = DBusAddress(
    "/org/freedesktop/Notifications", "org.freedesktop.Notifications", "org.freedesktop.Notifications"
)
NAME = "edgesleep"
# Desktops that tell how long nobody has touched anything, in milliseconds.
IDLE = (
    (
        DBusAddress(
            "/org/gnome/Mutter/IdleMonitor/Core", "org.gnome.Mutter.IdleMonitor", "org.gnome.Mutter.IdleMonitor"
        ),
        "GetIdletime",
    ),
    (
        DBusAddress("/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver", "org.freedesktop.ScreenSaver"),
        "GetSessionIdleTime",  # KDE and LXQt with X11; in no standard, and told in milliseconds there
    ),
)


class Bus:
    """One of the two buses, or none: what cannot be asked is None."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._connection: DBusConnection | None = None
        self._failed = -AGAIN

    def call(self, where: DBusAddress, method: str, signature: str = "", *values: Any) -> Any:
        """The first value that a method gives; None where it, its service or the bus is not there."""
        return self._ask(new_method_call(where, method, signature or None, values))

    def get(self, where: DBusAddress, name: str) -> Any:
        """A property."""
        found = self._ask(Properties(where).get(name))
        return found[1] if isinstance(found, tuple) else None

    def _ask(self, message: Any) -> Any:
        connection = self._open()
        if connection is None:
            return None
        try:
            reply = connection.send_and_get_reply(message, timeout=TIMEOUT)
        except (OSError, EOFError, ValueError, KeyError):  # TimeoutError is one of the first
            self._close()
            return None
        if reply.header.message_type != MessageType.method_return or not reply.body:
            return None
        return reply.body[0]

    def _open(self) -> DBusConnection | None:
        if self._connection is None and time.monotonic() - self._failed >= AGAIN:
            try:
                self._connection = open_dbus_connection(self.name)
            except Exception:  # whatever an address in the environment makes of it
                self._failed = time.monotonic()
        return self._connection

    def _close(self) -> None:
        self._failed = time.monotonic()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None


class Linux:
    """What Linux knows. Both buses are opened when they are first needed."""

    def __init__(self) -> None:
        self.system_bus, self.session_bus = Bus("SYSTEM"), Bus("SESSION")
        self.displays = x11.Displays()

    def idle(self) -> float | None:
        """Seconds since anyone last used a desktop or a terminal here; where nobody is logged in, since it started."""
        sessions = self.system_bus.call(LOGIND, "ListSessions")
        desktops = [*self._desktops(sessions or ())]
        found: list[float | None] = [*terminals()]
        # Of another user's desktop that is on the screen only logind can be asked; one that is not nobody sits at.
        others = [where for where, uid, _ in desktops if uid != os.getuid()]
        found += [self._hint(where) for where in others if self.system_bus.get(where, "Active")]
        environment = self._environment()
        displays = x11.displays(names.get("DISPLAY", "") for names in (os.environ, environment))
        mine = {where: kind for where, uid, kind in desktops if uid == os.getuid()}
        compositor = _serves_wayland()
        if mine or displays or compositor or (sessions is None and _has_display()):
            wayland = compositor or "wayland" in mine.values() or bool(os.environ.get("WAYLAND_DISPLAY"))
            told = self._desktop(wayland)
            if told is None and not wayland:
                told = self.displays.idle(displays, environment.get("XAUTHORITY"))
            if told is None:
                told = min((hint for hint in map(self._hint, mine) if hint is not None), default=None)
            found.append(told)
        known = [seconds for seconds in found if seconds is not None]
        if len(known) < len(found):
            return None
        return min(known, default=time.clock_gettime(time.CLOCK_BOOTTIME))

    def _desktops(self, sessions: Any) -> Iterator[tuple[DBusAddress, int, str]]:
        """Where a session of logind is that is a desktop, whose, and of which kind."""
        for session in sessions:
            where = DBusAddress(str(session[4]), LOGIND.bus_name, "org.freedesktop.login1.Session")
            kind = self.system_bus.get(where, "Type")
            if kind in DESKTOPS and self.system_bus.get(where, "Class") == "user":
                yield where, int(session[1]), kind

    def _environment(self) -> dict[str, str]:
        """What the user's own manager gives to what it starts. A desktop tells it where its display is; this process
        may have begun before there was one."""
        told = self.session_bus.get(MANAGER, "Environment")
        return dict(str(line).partition("=")[::2] for line in told) if isinstance(told, list) else {}

    def _desktop(self, wayland: bool) -> float | None:
        """How long nobody has touched this user's desktop, where it tells."""
        for where, method in IDLE:
            if wayland and method == "GetSessionIdleTime":  # KDE says 0 there, however long nobody has
                continue
            told = self.session_bus.call(where, method)
            if isinstance(told, int):
                return told / 1000
        return None

    def _hint(self, where: DBusAddress) -> float | None:
        """By what a desktop has told logind."""
        since = self.system_bus.get(where, "IdleSinceHintMonotonic")
        if not isinstance(since, int) or not since:  # no desktop has ever given one
            return None
        return max(0.0, time.monotonic() - since / 1e6) if self.system_bus.get(where, "IdleHint") else 0.0

    def lid_closed(self) -> bool | None:
        told = self.system_bus.get(LOGIND, "LidClosed")
        return bool(told) if told is not None else None

    def throttled(self) -> bool | None:
        return None  # the temperature says it

    def presenting(self) -> bool | None:
        """Whether a program has asked that the machine is not taken for idle: films, games, talks."""
        told = self.system_bus.get(LOGIND, "BlockInhibited")
        desktop = self.session_bus.call(
            DBusAddress("/org/gnome/SessionManager", "org.gnome.SessionManager", "org.gnome.SessionManager"),
            "IsInhibited",
            "u",
            8,  # its number for: not to be taken for idle
        )
        if told is None and desktop is None:
            return None
        return "idle" in str(told or "").split(":") or bool(desktop)

    def display_on(self) -> bool | None:
        told = [_text(path) for path in DRM.glob("card*-*/dpms")]
        return "On" in told if told else None

    def gpu(self) -> float | None:
        """How busy the graphics processors are, where the driver says so in a file."""
        paths = DRM.glob("card*/device/gpu_busy_percent")
        told = ["0" if sleeps(path.parent) else _text(path) for path in paths]
        return max((float(text) for text in told if text.isdigit()), default=None)

    def show(self, text: str) -> None:
        # Program, number of one to replace, icon, title, text, buttons, hints, milliseconds.
        self.session_bus.call(NOTIFICATIONS, "Notify", "susssasa{sv}i", NAME, 0, "", NAME, text, [], {}, -1)


def power() -> tuple[bool | None, float | None]:
    """Whether there is mains power, and the charge in percent, of the machine itself: mice have batteries of their own.

    By what a supply says that it is, since vendors name them as they like. A machine without a battery has mains power.
    """
    supplies = [path for path in POWER.glob("*") if _text(path / "scope") != "Device"]
    batteries = [path for path in supplies if _text(path / "type") == "Battery" and _text(path / "present") != "0"]
    charges = [charge for path in batteries if (charge := _charge(path)) is not None]
    charge = sum(charges) / len(charges) if charges else None
    if not batteries:
        return True, None
    online = {(_text(path / "type"), _text(path / "online")) for path in supplies}
    if {(kind, on) for kind in ("Mains", "USB", "Wireless") for on in ("1", "2")} & online:
        return True, charge
    states = {_text(path / "status") for path in batteries}
    if "Discharging" in states or ("Mains", "0") in online:
        return False, charge
    return (True, charge) if states & {"Charging", "Full"} else (None, charge)


def _charge(battery: Path) -> float | None:
    """In percent: as it says, or of what it holds when full."""
    if (told := _text(battery / "capacity")).isdigit():
        return float(told)
    for name in ("energy", "charge"):
        now, full = _text(battery / f"{name}_now"), _text(battery / f"{name}_full")
        if now.isdigit() and full.isdigit() and int(full):
            return 100 * int(now) / int(full)
    return None


def terminals() -> Iterator[float]:
    """For each terminal on which someone is logged in, here or from elsewhere, seconds since the last key."""
    import psutil

    with suppress(OSError, RuntimeError):
        for user in psutil.users():
            if user.terminal:
                with suppress(OSError):
                    yield max(0.0, time.time() - (DEVICES / user.terminal).stat().st_atime)


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _serves_wayland() -> bool:
    """Whether a compositor of this user waits for programs, whatever logind takes it for."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    return bool(folder) and any(path.is_socket() for path in Path(folder or "").glob("wayland-*"))


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
