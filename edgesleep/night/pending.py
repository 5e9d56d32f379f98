"""What is noted of a forgetting: while it is unfinished what goes, and at last only what was proven.

Owns the two records and their files. Leaves filling and following them to `forget`. Must stay true: a report says
nothing of what was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.records import Memory, load
from edgesleep.tombstones import PENDING

REPORTS = "forgotten"  # the folder of what was proven, one file for each forgetting


@dataclass(frozen=True)
class Asked:
    """How many questions were answered right."""

    right: int = 0
    asked: int = 0

    def __str__(self) -> str:
        return f"{self.right} of {self.asked}"

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Pending:
    """A forgetting that is not proven yet: what goes, and how things stood.

    `touched` are the generations that were taught any of it, which go; where the one that was `served` is of them,
    `fallback` is served until the rest is learned again. `highest` is the last generation that there was, `last` the
    last message. What is to be done only once is done where it is `fresh`.
    """

    number: int
    began: str
    memories: tuple[Memory, ...]
    turns: tuple[int, ...]
    loose: tuple[str, ...]
    again: tuple[str, ...]
    texts: tuple[str, ...]
    guessable: tuple[str, ...]
    shared: tuple[str, ...]
    touched: tuple[int, ...]
    served: int
    fallback: int
    highest: int
    last: int
    before: Asked
    rest: Asked
    stones: tuple[str, ...] = ()
    fresh: bool = True

    @property
    def moved(self) -> bool:
        return self.served in self.touched


@dataclass(frozen=True)
class Proof:
    """One thing that was to be shown, whether it was, on how many texts or questions, and what to do where not."""

    what: str
    ok: bool
    of: int
    found: str
    hint: str = ""


@dataclass(frozen=True)
class Forgotten:
    """What is kept of a forgetting: counts, and the tombstones' hashes; nothing of what it was."""

    number: int
    began: str
    ended: str
    memories: int
    messages: int
    tombstones: tuple[str, ...]
    generations_removed: tuple[int, ...]
    rebuilt_from: int
    generation: int
    recall_before: Asked
    recall_after: Asked
    recall_base: Asked
    rest_before: Asked
    rest_after: Asked
    files: int
    bytes: int
    texts: int
    proofs: tuple[Proof, ...]


def noted(home: Path) -> Pending:
    """What is noted of the forgetting that is unfinished."""
    try:
        return load(Pending, home / PENDING)
    except EdgesleepError as error:
        raise EdgesleepError(
            f"{home / PENDING} cannot be read, and nothing else says what was to be forgotten.",
            "Put it back from a backup; or remove it, and begin the forgetting anew.",
        ) from error


def settled(home: Path) -> Forgotten | None:
    """The report of one that was cut short in its last step."""
    try:
        report = load(Forgotten, home / PENDING)
    except EdgesleepError:
        return None
    file_report(home, report)
    return report


def file_report(home: Path, report: Forgotten) -> None:
    """Put the report of what is proven in the place of what was noted."""
    folder = home / REPORTS
    folder.mkdir(mode=0o700, exist_ok=True)
    (home / PENDING).replace(folder / f"{report.number:04d}.json")


def next_number(home: Path) -> int:
    """The number of the next report: none is used twice."""
    return 1 + max((int(path.stem) for path in home.glob(f"{REPORTS}/*.json") if path.stem.isdigit()), default=0)
