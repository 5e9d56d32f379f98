"""Forgotten: whether something is being forgotten, and how often something was: what day and night both ask.

Owns the names of the note that lies in the home meanwhile and of the reports that are left. Leaves what is in them to
`night.pending`. Must stay true: from its beginning on a forgetting has the one or, once it is proven, the other.
"""

from __future__ import annotations

from pathlib import Path

PENDING = "forgetting.json"  # in the home as long as a forgetting is unfinished
REPORTS = "forgotten"  # the folder of what was proven, one file for each forgetting


def unfinished(home: Path) -> bool:
    """Whether a forgetting was cut short, or one of its proofs failed."""
    return (home / PENDING).exists()


def next_number(home: Path) -> int:
    """The number of the next report: none is used twice."""
    return 1 + max((int(path.stem) for path in home.glob(f"{REPORTS}/*.json") if path.stem.isdigit()), default=0)
