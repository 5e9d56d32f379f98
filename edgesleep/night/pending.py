"""What is noted of a forgetting: while it is unfinished what goes, and at last only what was proven.

Owns the two records. Leaves where they lie to `forgotten`, and filling and following them to `forget`. Must stay true:
the note is the only file that still says what goes, and a report says nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.files import remove
from edgesleep.forgotten import PENDING, REPORTS
from edgesleep.records import Memory, dump, load


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
    """A forgetting that is not proven yet: what goes, as in `Scope`, and how things stood.

    `turns` are hashes by id, as a journal that is put back may give an id to another message. `touched` are the
    generations that were taught any of it or know it all the same, and go; `moved`: one of them was served. `rest` is
    what that one answered of all else. What is to be done only once is done where it is `fresh`.
    """

    number: int
    began: str
    memories: tuple[Memory, ...]
    turns: dict[int, str]
    loose: tuple[str, ...]
    again: tuple[str, ...]
    texts: tuple[str, ...]
    telling: tuple[str, ...]
    guessable: tuple[str, ...]
    shared: tuple[str, ...]
    last: int
    touched: tuple[int, ...]
    moved: bool
    rest: Asked
    stones: tuple[str, ...] = ()
    fresh: bool = True


@dataclass(frozen=True)
class Proof:
    """One thing that was to be shown, whether it was, on how many texts or questions, and what to do where not."""

    what: str
    ok: bool
    of: int
    found: str
    hint: str = ""


@dataclass(frozen=True)
class Relearned:
    """What became of the night after it that was to teach the rest again; `status` and `reason` as of every night."""

    night: int
    status: str
    reason: str


@dataclass(frozen=True)
class Forgotten:
    """What is kept of a forgetting: counts, and the tombstones' hashes; nothing of what it was.

    It was proven on the generation `rebuilt_from`; `waiting` memories were to be learned again from there. What is
    `relearned`, if a night came to its end in the same command, is of the generation that is served since.
    """

    number: int
    began: str
    ended: str
    memories: int
    messages: int
    tombstones: tuple[str, ...]
    generations_removed: tuple[int, ...]
    rebuilt_from: int
    generation: int
    recall_base: Asked
    recall_after: Asked
    rest_before: Asked
    rest_after: Asked
    files: int
    bytes: int
    texts: int
    waiting: int
    proofs: tuple[Proof, ...]
    relearned: Relearned | None = None

    @property
    def is_proven(self) -> bool:
        """Whether it is gone; that the rest is recalled is another matter."""
        return all(proof.ok for proof in self.proofs if proof.what != "rest")


def noted(home: Path) -> Pending:
    """What is noted of the forgetting that is unfinished."""
    try:
        return load(Pending, home / PENDING)
    except EdgesleepError as error:
        raise EdgesleepError(
            f"{home / PENDING} cannot be read, and nothing else says what was to be forgotten.",
            "Put it back from a backup; or remove it, and begin the forgetting anew.",
        ) from error


def file_report(home: Path, report: Forgotten) -> None:
    """Put the report of what is proven in the place of what was noted.

    In this order: there is never a moment without either the note that it is to go or the proof that it has. Cut short
    between, it is done and proven once more.
    """
    dump(report, report_path(home, report))
    remove(home / PENDING)


def report_path(home: Path, report: Forgotten) -> Path:
    return home / REPORTS / f"{report.number:04d}.json"
