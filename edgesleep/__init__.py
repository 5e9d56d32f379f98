"""edgesleep: a local language model that learns from your day while you sleep.

What a host app needs is here: `Journal`, `Memory`, `Night`, `Store` and `on_new_generation`, all of `edgesleep.api`.
Importing the package loads neither torch nor llama.cpp, nor any of these before it is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesleep.api import Journal, Memory, Night, Progress, Served, Store, Watching, on_new_generation
    from edgesleep.day.recall import Recalled
    from edgesleep.errors import BusyError, EdgesleepError
    from edgesleep.records import NightReport, Turn

__version__ = "0.1.0"

_HOMES = {
    "BusyError": "errors",
    "EdgesleepError": "errors",
    "NightReport": "records",
    "Recalled": "day.recall",
    "Turn": "records",
}  # of what is not in `api`

__all__ = [
    "BusyError",
    "EdgesleepError",
    "Journal",
    "Memory",
    "Night",
    "NightReport",
    "Progress",
    "Recalled",
    "Served",
    "Store",
    "Turn",
    "Watching",
    "on_new_generation",
]


def __getattr__(name: str) -> Any:
    """Load what is named, the first time it is (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"edgesleep.{_HOMES.get(name, 'api')}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
