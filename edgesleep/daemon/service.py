"""The service: the files by which systemd, launchd or Windows starts the daemon, and the commands that do so.

Owns what these files say and where they lie. Leaves running anything to `cli_daemon`, and the daemon to `loop`. Must
stay true: written twice, they are the same bytes; the service may write in the home and in the user's cache, and
nowhere else that the system can shut; its share of processor, disk and memory is limited, but it is never so low that
it would be late in making way.
"""

from __future__ import annotations

import hashlib
import plistlib
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from edgesleep import errors, machine
from edgesleep.config import default_home
from edgesleep.errors import EdgesleepError
from edgesleep.files import remove, write_atomically

EVERY = 300  # seconds from one look to the next of a timer; an hour in which someone was here is not missed then
MEMORY = 0.75  # of the machine's, that the daemon and its night may have; at the limit the system ends the night
_SLOWEST = 60.0  # seconds for a command of the service manager


@dataclass(frozen=True)
class Service:
    """One home's service on one system: its name, its file, and the commands that make something of it.

    `beside` are further files. Each list of commands is run in order; those of `remove` and `stop` may fail, as where
    nothing was there.
    """

    name: str
    path: Path
    text: bytes
    install: tuple[tuple[str, ...], ...]
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    remove: tuple[tuple[str, ...], ...]
    beside: tuple[tuple[Path, bytes], ...] = ()

    @property
    def files(self) -> tuple[tuple[Path, bytes], ...]:
        return (*self.beside, (self.path, self.text))

    @property
    def is_installed(self) -> bool:
        return self.path.exists()

    @property
    def is_current(self) -> bool:
        """Whether the files that are there say what they would say now."""
        return all(path.exists() and path.read_bytes() == text for path, text in self.files)

    def write(self) -> None:
        for path, text in self.files:
            write_atomically(path, text)

    def erase(self) -> None:
        for path, _ in self.files:
            remove(path)


def service(home: Path, system: str = sys.platform, user_home: Path | None = None, *, timer: bool = False) -> Service:
    """The service of a home: a daemon that stays, or a timer that has one look now and then.

    Raises EdgesleepError on a system that has no known kind.
    """
    name = "edgesleep" if home == default_home().expanduser().absolute() else f"edgesleep-{_short(home)}"
    name += "-timer" * timer
    place = user_home or Path.home()
    words = [sys.executable, "-m", "edgesleep", "--home", str(home), "daemon", "run", *["--once"] * timer]
    if system == "linux":
        return _systemd(name, place, home, words, timer)
    if system == "darwin":
        return _launchd(f"local.{name}", place, home, words, timer)
    if system == "win32":
        return _scheduled(name, home, words, timer)
    raise EdgesleepError(f"There is no service for {system}.", "`edgesleep daemon run` runs it as any program.")


def _short(home: Path) -> str:
    return hashlib.sha256(str(home).encode()).hexdigest()[:8]


# -- Linux -----------------------------------------------------------------------------------------------------------

_UNIT = """\
[Unit]
Description=edgesleep, which learns from the day while nobody is here
Documentation=man:systemd.service(5)
ConditionPathIsDirectory={home}

[Service]
Type=exec
ExecStart={command}
{ends}
KillMode=mixed
TimeoutStopSec=30
UMask=0077
WorkingDirectory=/

# Everything else goes first, but not so far that it would be late in making way; its nights go last by themselves.
CPUWeight=20
IOWeight=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
MemoryMax={memory}
MemorySwapMax=0
OOMScoreAdjust=800
# What is killed for want of memory is a child of the night, which tells it; stopped as a whole, it would begin again.
OOMPolicy=continue
TasksMax=512

# It needs its home, the user's cache and the buses; no network, no devices that are not its own, no more rights.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LimitCORE=0

{wanted}"""
_ENDS = "Restart=on-failure\nRestartSec=60"
_WANTED = "\n[Install]\nWantedBy=default.target\n"
# By a clock that stands still while the machine sleeps: who has just opened it is not met by a look.
_TIMER = """\
[Unit]
Description=Looks now and then whether edgesleep may learn from the day
Documentation=man:systemd.timer(5)

[Timer]
OnActiveSec=60
OnUnitInactiveSec={every}
AccuracySec=30

[Install]
WantedBy=timers.target
"""


def _systemd(name: str, place: Path, home: Path, words: Sequence[str], timer: bool) -> Service:
    """A unit of the user's own manager.

    Without a namespace of its own (ProtectSystem and the like): where users may not make one, the unit would not start.
    """
    unit, folder, ctl = f"{name}.service", place / ".config" / "systemd" / "user", ("systemctl", "--user")
    text = _UNIT.format(
        home=_escaped(str(home)),
        command=" ".join(_quoted(word) for word in words),
        ends=f"SuccessExitStatus={errors.BUSY} {errors.SKIPPED}" if timer else _ENDS,
        memory=int(MEMORY * _memory()),
        wanted="" if timer else _WANTED,
    )
    beside = ((folder / f"{name}.timer", _TIMER.format(every=EVERY).encode()),) if timer else ()
    starts = f"{name}.timer" if timer else unit
    stop = tuple((*ctl, "stop", each) for each in dict.fromkeys((starts, unit)))
    return Service(
        starts,
        folder / unit,
        text.encode(),
        install=((*ctl, "daemon-reload"), (*ctl, "enable", starts)),
        start=((*ctl, "start", starts),),
        stop=stop,
        remove=((*ctl, "disable", "--now", starts), *stop[1:], (*ctl, "daemon-reload")),
        beside=beside,
    )


def _escaped(text: str) -> str:
    """As systemd reads it: a percent sign begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line of systemd."""
    word = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{word}"' if not word or set(word) & set(" \t'\\\"") else word


def _memory() -> int:
    """Bytes of the machine; the file stays the same while it does."""
    return int(machine.describe()["memory"])


# -- macOS -----------------------------------------------------------------------------------------------------------


def _launchd(label: str, place: Path, home: Path, words: Sequence[str], timer: bool) -> Service:
    """An agent of the user's session, which is where it can see whether someone is here."""
    path = place / "Library" / "LaunchAgents" / f"{label}.plist"
    keys = {
        "Label": label,
        "ProgramArguments": [*words],
        "WorkingDirectory": "/",
        **({"StartInterval": EVERY} if timer else {"RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}}),
        "ThrottleInterval": 60,
        "ExitTimeOut": 30,
        "ProcessType": "Standard",  # as Background it would be late in making way
        "LowPriorityIO": True,
        "LowPriorityBackgroundIO": True,
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
        "SoftResourceLimits": {"Core": 0},
    }
    ctl, domain = "/bin/launchctl", f"gui/{_uid()}"
    return Service(
        label,
        path,
        plistlib.dumps(keys),
        install=((ctl, "enable", f"{domain}/{label}"),),
        start=((ctl, "bootstrap", domain, str(path)),),
        stop=((ctl, "bootout", f"{domain}/{label}"),),
        remove=((ctl, "bootout", f"{domain}/{label}"),),
    )


def _uid() -> int:
    import os

    return os.getuid() if hasattr(os, "getuid") else 0


# -- Windows ---------------------------------------------------------------------------------------------------------

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>edgesleep learns from the day while nobody is here</Description></RegistrationInfo>
  <Triggers>{trigger}</Triggers>
  <Principals><Principal id="Author"><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel>\
</Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
{restarts}  </Settings>
  <Actions Context="Author">
    <Exec><Command>{command}</Command><Arguments>{arguments}</Arguments><WorkingDirectory>{home}</WorkingDirectory></Exec>
  </Actions>
</Task>
"""


_LOGON = "<LogonTrigger><Enabled>true</Enabled></LogonTrigger>"
# Not from a logon on, as nobody logs in when it is installed. Any time that is past will do; without a duration it has
# no end.
_EVERY = (
    "<TimeTrigger><Enabled>true</Enabled><StartBoundary>2000-01-01T00:00:00</StartBoundary>"
    "<Repetition><Interval>PT{every}S</Interval></Repetition></TimeTrigger>"
)
_RESTARTS = "    <RestartOnFailure><Interval>PT1M</Interval><Count>3</Count></RestartOnFailure>\n"


def _scheduled(name: str, home: Path, words: Sequence[str], timer: bool) -> Service:
    """A task that begins when the user logs in, or now and then while one is; the battery is the daemon's own matter.

    Never run: written from Microsoft's documentation. To end a task does not end what begins it now and then, so a
    timer is disabled too, until it is started.
    """
    path = home / "daemon" / ("timer.xml" if timer else "task.xml")
    command = Path(words[0])
    if timer and command.with_name("pythonw.exe").exists():  # which shows no window at every look
        command = command.with_name("pythonw.exe")
    text = _TASK.format(
        command=escape(str(command)),
        arguments=escape(subprocess.list2cmdline(words[1:])),
        home=escape(str(home)),
        trigger=_EVERY.format(every=EVERY) if timer else _LOGON,
        restarts="" if timer else _RESTARTS,
    )
    change, end = ("schtasks", "/Change", "/TN", name), ("schtasks", "/End", "/TN", name)
    return Service(
        name,
        path,
        text.encode("utf-16"),
        install=(("schtasks", "/Create", "/TN", name, "/XML", str(path), "/F"),),
        start=((*change, "/ENABLE"),) if timer else (("schtasks", "/Run", "/TN", name),),
        stop=((*change, "/DISABLE"), end) if timer else (end,),
        remove=(("schtasks", "/Delete", "/TN", name, "/F"),),
    )


def run(commands: Sequence[Sequence[str]], *, may_fail: bool = False) -> None:
    """Run commands of the service manager in order. Raises EdgesleepError for the first that fails."""
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SLOWEST, check=False)
            said, code = (done.stderr or done.stdout).strip().rpartition("\n")[2], done.returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            said, code = str(error), 1
        if code and not may_fail:
            raise EdgesleepError(
                f"`{shlex.join(command)}` failed: {said.rstrip('.') or f'exit code {code}'}.",
                "Is there a session with a service manager? `edgesleep daemon run` needs none.",
            )
