"""Windows: who is here and what fills the screen, by the system's own calls.

Owns asking user32, kernel32 and shell32. Leaves what it means to `policy`; power comes from psutil as everywhere. Must
stay true: whatever cannot be asked is unknown. Never run: written from Microsoft's documentation.
"""

from __future__ import annotations

import ctypes
from typing import Any

_SHOWN = {2, 3, 4}  # QUERY_USER_NOTIFICATION_STATE: busy in full screen, Direct3D in full screen, a presentation


class _LastInput(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint), ("ticks", ctypes.c_uint))


class Windows:
    """What Windows knows."""

    def idle(self) -> float | None:
        last = _LastInput(ctypes.sizeof(_LastInput), 0)
        if not _library("user32").GetLastInputInfo(ctypes.byref(last)):
            return None
        ticks = int(_library("kernel32").GetTickCount()) & 0xFFFFFFFF
        return ((ticks - int(last.ticks)) & 0xFFFFFFFF) / 1000  # both begin again after 49 days

    def lid_closed(self) -> bool | None:
        return None

    def throttled(self) -> bool | None:
        return None

    def presenting(self) -> bool | None:
        state = ctypes.c_int(0)
        failed = _library("shell32").SHQueryUserNotificationState(ctypes.byref(state))
        return None if failed else state.value in _SHOWN

    def display_on(self) -> bool | None:
        return None

    def gpu(self) -> float | None:
        return None

    def show(self, text: str) -> None:
        return None


def _library(name: str) -> Any:
    return getattr(ctypes, "windll")[name]  # noqa: B009 - it is there on Windows only
