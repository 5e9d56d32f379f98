"""macOS: who is here, the heat and what keeps the display on, by the system's own frameworks and `pmset`.

Owns asking CoreGraphics and reading what `pmset` and `ioreg` print. Leaves what it means to `policy`. Must stay true:
whatever cannot be asked is unknown. Never run: written from Apple's documentation, and tested on what the tools print.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from contextlib import suppress

_GRAPHICS = "/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices"
_COMBINED, _ANY_INPUT = 0, 0xFFFFFFFF  # of CGEventSourceStateID and CGEventType
_SLOWEST = 2.0  # seconds for a tool


class MacOS:
    """What macOS knows."""

    def idle(self) -> float | None:
        with suppress(OSError, AttributeError):
            ask = ctypes.CDLL(_GRAPHICS).CGEventSourceSecondsSinceLastEventType
            ask.restype, ask.argtypes = ctypes.c_double, (ctypes.c_int32, ctypes.c_uint32)
            return float(ask(_COMBINED, _ANY_INPUT))
        return None

    def lid_closed(self) -> bool | None:
        return lid(_printed("/usr/sbin/ioreg", "-r", "-k", "AppleClamshellState", "-d", "1"))

    def throttled(self) -> bool | None:
        return slowed(_printed("/usr/bin/pmset", "-g", "therm"))

    def presenting(self) -> bool | None:
        return kept_on(_printed("/usr/bin/pmset", "-g", "assertions"))

    def display_on(self) -> bool | None:
        with suppress(OSError, AttributeError):
            graphics = ctypes.CDLL(_GRAPHICS)
            return not graphics.CGDisplayIsAsleep(graphics.CGMainDisplayID())
        return None

    def gpu(self) -> float | None:
        return None

    def show(self, text: str) -> None:
        said = text.replace("\\", "\\\\").replace('"', '\\"')
        _printed("/usr/bin/osascript", "-e", f'display notification "{said}" with title "edgesleep"')


def lid(printed: str) -> bool | None:
    """From `ioreg -r -k AppleClamshellState`."""
    match = re.search(r'"AppleClamshellState" = (Yes|No)', printed)
    return match[1] == "Yes" if match else None


def slowed(printed: str) -> bool | None:
    """From `pmset -g therm`: whether the processor is kept below its full speed."""
    match = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", printed)
    if match:
        return int(match[1]) < 100
    return False if "No thermal warning level" in printed else None


def kept_on(printed: str) -> bool | None:
    """From `pmset -g assertions`: whether a program keeps the display from going off."""
    match = re.search(r"^\s*PreventUserIdleDisplaySleep\s+(\d)", printed, re.MULTILINE)
    return match[1] != "0" if match else None


def _printed(*command: str) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SLOWEST, check=False)
        return done.stdout
    return ""
