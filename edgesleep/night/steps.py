"""Steps: a night's whole change, and the smaller ones that are tried where it made something worse.

Owns how long the steps are, which are tried, the names of each one's files, and which of them counts. Leaves making and
judging them to `cycle`. Must stay true: the verdicts on disk are those of the steps that this night tried, from the
whole one on without a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from edgesleep.records import Verdict, load

SHORTER = 0.5**0.5  # each step against the one before: the second smaller one is half the night's


@dataclass(frozen=True)
class Step:
    """The night's change, so many times `shortened`, by its files in the night's folder."""

    folder: Path
    shortened: int = 0

    @property
    def share(self) -> float:
        """Of the whole change."""
        return SHORTER**self.shortened

    @property
    def adapter(self) -> Path:
        """The cumulative delta."""
        return self._file("adapter.safetensors")

    @property
    def export(self) -> Path:
        """The same for stock llama.cpp."""
        return self._file("adapter.gguf")

    @property
    def candidate(self) -> Path:
        return self._file("candidate.gguf")

    @property
    def merged(self) -> Path:
        return self._file("merge.json")

    @property
    def verdict(self) -> Path:
        return self._file("verdict.json")

    def _file(self, name: str) -> Path:
        stem, _, suffix = name.partition(".")
        return self.folder / (f"{stem}-{self.shortened}.{suffix}" if self.shortened else name)


def attempt(folder: Path, smaller: int, judge: Callable[[Step], Verdict], time_is_left: Callable[[], bool]) -> None:
    """Have the whole step judged, and while something got worse, up to so many `smaller` ones, if there is time.

    `judge` leaves each verdict on disk; what a kill left there takes no time again. Those of other steps, tried under
    other settings before a kill, go.
    """
    tried: list[Path] = []
    for step in (Step(folder, shortened) for shortened in range(smaller + 1)):
        if tried and not step.verdict.exists() and not time_is_left():
            break
        tried.append(step.verdict)
        if not judge(step).regressed:
            break
    for verdict in set(folder.glob("verdict*.json")).difference(tried):
        verdict.unlink()


def outcome(folder: Path) -> tuple[Step, Verdict]:
    """The step that passed, or else the whole one, and its verdict."""
    return _counts(judged(folder))


def passed(folder: Path, sha256: str) -> Verdict | None:
    """The verdict with which one of its steps passed with just these bytes."""
    found = (verdict for _, verdict in judged(folder) if (verdict.outcome, verdict.sha256) == ("passed", sha256))
    return next(found, None)


def reason(folder: Path, smaller: int, memories: int) -> str:
    """In words, what became of a night about so many memories, and of which of its steps, at most so many `smaller`."""
    tried = judged(folder)
    (_, whole), *others = tried
    step, verdict = _counts(tried)
    said = [" ".join(whole.reasons)]
    if verdict.outcome == "passed":
        rehearsed = f"{memories} memories rehearsed."
        taken = f" Only {step.share:.2f} of the step was taken, as the whole one was refused: {said[0]}"
        return rehearsed + (taken if step.shortened else "")
    if others:
        shares = " and ".join(f"{other.share:.2f}" for other, _ in others)
        said.append(f"{shares} of this step {'was' if len(others) == 1 else 'were'} refused as well.")
    if len(others) < smaller and tried[-1][1].regressed:
        said.append("For a smaller step no time was left.")
    return " ".join(said)


def judged(folder: Path) -> list[tuple[Step, Verdict]]:
    """The steps that were judged, the whole one first."""
    steps = takewhile(lambda step: step.verdict.exists(), (Step(folder, shortened) for shortened in count()))
    return [(step, load(Verdict, step.verdict)) for step in steps]


def _counts(tried: list[tuple[Step, Verdict]]) -> tuple[Step, Verdict]:
    return next(((step, verdict) for step, verdict in tried if verdict.outcome == "passed"), tried[0])
