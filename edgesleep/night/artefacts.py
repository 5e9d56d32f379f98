"""Artefacts: what the stages of a night leave in its folder, each made once from the same inputs.

Owns when an artefact counts as made, what is heard of making it, and what goes when the night has ended. Leaves what is
made, and from what, to `cycle`. Must stay true: the mark of its inputs goes before an artefact is made and comes when
it is whole, so that a kill at any moment leaves one that counts, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesleep import machine
from edgesleep.files import LEFT, remove, sweep, write_atomically
from edgesleep.records import digest

CACHE = "../../cache"  # from a night's folder
SPENT = "spent.json"  # what the night took so far
PASSING = (LEFT, SPENT, "checkpoint-*", "*.gguf", "adapter*.safetensors")


class Interrupted(Exception):
    """Someone asked the night to stop; what was done so far is on disk."""


@dataclass(frozen=True)
class Artefacts:
    """One night's folder. Before a stage makes anything, it is asked whether to stop, and the `stage` is told."""

    folder: Path
    stage: Callable[[str], None]
    should_stop: Callable[[], bool]

    def make(self, file: str, inputs: Sequence[Any], work: Callable[[Path], Any], stage: str | None = "") -> Path:
        """Have `work` write an artefact, unless it is there for the same inputs; its path.

        It is heard of by the name of its stage, by default its own; None: not at all, as part of one that was. Raises
        Interrupted.
        """
        path = self.folder / file
        if self.made(file, inputs):
            return path
        if stage is not None:
            if self.should_stop():
                raise Interrupted
            self.stage(stage or path.stem)
        wanted = digest(inputs)
        remove(_mark(path))  # at once: after a power cut, the new artefact would bear the old one's mark
        work(path)
        write_atomically(_mark(path), wanted.encode())
        machine.give_back_memory()
        return path

    def made(self, file: str, inputs: Sequence[Any]) -> bool:
        """Whether an artefact is there, made from these inputs."""
        path = self.folder / file
        mark = _mark(path)
        return path.exists() and mark.exists() and mark.read_text() == digest(inputs)

    def sweep(self) -> None:
        """Remove what killed runs of this night left half-written, so that many kills take no more room than one."""
        for folder in (self.folder, self.folder / CACHE):
            sweep(folder)

    def tidy(self) -> None:
        """A finished night keeps its records; weights and checkpoints are the store's, or were refused."""
        for pattern in PASSING:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)


def tidy_ended(home: Path, unfinished: int | None) -> None:
    """Tidy after all nights but the `unfinished` one: a kill may have come between the end of one and its tidying."""
    for folder in (home / "nights").glob("[0-9]*"):
        if unfinished is None or folder != folder_of(home, unfinished):
            Artefacts(folder, lambda name: None, lambda: False).tidy()


def folder_of(home: Path, night: int) -> Path:
    """Where the artefacts of a night lie."""
    return home / "nights" / f"{night:04d}"


def shared(kind: str, inputs: Sequence[Any]) -> str:
    """The name of an artefact that has to do with the base alone: all nights of a home have it in one place."""
    return f"{CACHE}/{kind}-{digest(inputs)[:16]}.json"


def _mark(path: Path) -> Path:
    """Beside an artefact: what it was made from."""
    return path.with_name(f"{path.name}.inputs")
