"""The account of a night: what its report tells beyond its figures, as night.json keeps it.

Owns the shape of it, and reading it back. Leaves filling it to `night.report`, and showing it to `morning` and `page`.
Must stay true: a report is made from night.json alone; the account quotes what was told, so that a forgetting takes the
night's folder with it, and no figure of the journal or of `run-night --json` has any of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.night.artefacts import folder_of
from edgesleep.records import Finding, NightReport, load

NIGHT = "night.json"  # its file in the night's folder
ENDED = ("promoted", "rejected")  # the status of nights that have something to tell


@dataclass(frozen=True)
class Lesson:
    """What became of one memory in a night, in words that may be seen: secrets that were approved are covered.

    Of its `asked` held-out wordings so many were answered right before and after; `question`, `before` and `after` are
    of the first. `since` is the first night that taught it, of those that the served model goes back to. `known` ones
    the model had learned before, and of these `resting` ones were hardly rehearsed.
    """

    id: str
    statement: str
    told: str
    turn_ids: tuple[int, ...]
    at: str
    since: int
    asked: int = 0
    right_before: int = 0
    right_after: int = 0
    question: str = ""
    before: str = ""
    after: str = ""
    instead_of: str = ""
    known: bool = False
    resting: bool = False
    pinned: bool = False

    @property
    def learned(self) -> bool:
        """Whether most of its wordings were answered right after the night; one that was not asked was not learned."""
        return 2 * self.right_after > self.asked


@dataclass(frozen=True)
class Attempt:
    """A `share` of the night's step as it was judged; `reasons` say why it was refused."""

    share: float
    outcome: str
    reasons: tuple[str, ...]
    recall: float
    drift_mean: float


@dataclass(frozen=True)
class Moved:
    """How many weights of a tensor the merge moved."""

    name: str
    type: str
    codes: int
    moved: int


@dataclass(frozen=True)
class Ancestor:
    """One of the generations from the base (0) to the one that is served; `recall` after its own night."""

    number: int
    night: int
    created: str
    memories: int
    recall: float | None = None


@dataclass(frozen=True)
class Rival:
    """One way to know what was told: how many of the same questions it answered right, and the tokens of a prompt.

    `seconds` are those of an answer, questions side by side; 0 where it was not timed.
    """

    name: str
    asked: int
    right: int
    tokens: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Account:
    """What a night's report tells beyond its figures. It quotes what was told, so it is in night.json alone.

    `waiting` memories were left out as nights with them were refused. `drift_bound` as in `Verdict`; `drift_budget` is
    what was allowed. `watts` is assumed, not measured. The first of `line` is the generation that is served.
    There are `rivals` where `report.beside` asked for them; `rivals_failed` says why there are none all the same.
    """

    began: str
    ended: str
    base: str
    lessons: tuple[Lesson, ...]
    waiting: int
    attempts: tuple[Attempt, ...]
    findings: tuple[Finding, ...]
    drift_bound: float
    drift_budget: float = 0.0
    watts: float = 0.0
    tensors: tuple[Moved, ...] = ()
    line: tuple[Ancestor, ...] = ()
    machine: dict[str, str | int] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    rivals_failed: str = ""


@dataclass(frozen=True)
class NightRecord(NightReport):
    """night.json as a whole; nights of an older edgesleep, and those that were interrupted, have no account."""

    account: Account | None = None

    @classmethod
    def of(cls, report: NightReport, account: Account | None) -> NightRecord:
        return cls(**{field.name: getattr(report, field.name) for field in fields(report)}, account=account)


def nights(home: Path) -> Iterator[NightRecord]:
    """The nights of a home that came to their end, the last one first. Raises EdgesleepError for a damaged file."""
    return _ended(sorted(home.glob(f"nights/[0-9]*/{NIGHT}"), reverse=True))


def _ended(paths: Iterable[Path]) -> Iterator[NightRecord]:
    for path in paths:
        if path.exists() and (night := load(NightRecord, path)).status in ENDED:
            yield night


def night_of(home: Path, number: int | None) -> NightRecord:
    """One of these nights, by default the last. Raises EdgesleepError where there is none."""
    ended = nights(home) if number is None else _ended([folder_of(home, number) / NIGHT])
    if (found := next(ended, None)) is None:
        which = f"Night {number} has" if number else "No night has"
        raise EdgesleepError(f"{which} a report.", "`edgesleep status` says how far the nights are.")
    return found
