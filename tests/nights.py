"""Whole nights on a tiny random model: small settings, a day in three sentences, and children that are killed.

Owns what the tests of the night's stages share. A child is a process of its
own in which `run_night` runs until a named moment, at which it is killed with
SIGKILL. Everything takes one thread, so that a night is the same on every run.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesleep import database, files, records
from edgesleep.config import DreamSettings, GateSettings, NightSettings, Settings, TrainSettings
from edgesleep.journal import Journal
from edgesleep.night import cycle, stages
from edgesleep.records import NightReport, StepReport
from edgesleep.store import Store

DAY = ("I'm allergic to tamarind.", "I live in Skelwick.", "I play the zither.")  # of each one memory
TEXT = "The kettle sang on the stove.\n\nRain fell on the quay all night, and nobody came."
# The budget is so small that drift moves both the weight of staying and the pace.
TRAIN = TrainSettings(
    rank=4,
    alpha=8.0,
    lessons_per_step=5,
    anchors_per_step=2,
    drift_budget=0.001,
    checkpoint_every=2,
)
# The gate is wide open: a random model learns to answer nothing.
SETTINGS = Settings(
    night=NightSettings(minutes=1000.0, passes=3, threads=1),
    dream=DreamSettings(views=4, probes=2, untold=0.25, anchors=4, anchor_tokens=24),
    train=TRAIN,
    gate=GateSettings(
        drift_budget=2000.0,
        recall_gain=-1.0,
        recall_loss=2.0,
        untold_loss=2.0,
        knowledge_loss=2.0,
        refusal_loss=2.0,
        format_loss=2.0,
        luck=1.0,
        answer_tokens=4,
        turn_tokens=4,
    ),
)


def make_home(home: Path, base: Path, day: tuple[str, ...] = DAY) -> Path:
    """A home that has adopted `base` and in which the user has said `day`."""
    Store.open(home).adopt_base(base, "tiny")
    tell(home, *day)
    return home


def tell(home: Path, *said: str) -> None:
    with Journal.open(home) as journal:
        for text in said:
            journal.log("user", text)


def sentences(home: Path, state: str | None = None) -> list[str]:
    with Journal.open(home) as journal:
        return [memory.statement for memory in journal.memories(state)]


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below `folder`, with a hash of what it holds."""
    paths = folder.rglob("*")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in paths
    }


@dataclass
class Listener:
    """A Watch that remembers what it heard, and calls `at` for every moment by name ("train", "step 3")."""

    at: Callable[[str], None] = lambda moment: None
    stop: Callable[[], bool] = lambda: False
    stages: list[str] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)

    @property
    def watch(self) -> stages.Watch:
        return stages.Watch(self._stage, self._step, self.stop)

    def _stage(self, name: str) -> None:
        self.stages.append(name)
        self.at(name)

    def _step(self, report: StepReport) -> None:
        self.steps.append(report)
        self.at(f"step {report.step}")


def sleep(home: Path, settings: Settings = SETTINGS, *, force: bool = False) -> tuple[NightReport, Listener]:
    listener = Listener()
    return cycle.run_night(home, settings, listener.watch, force=force), listener


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_writing(name: str) -> None:
    """Die when the artefact called `name` is written but not yet in place."""
    publish = files.publish_file

    def dying(temporary: Path, path: Path) -> None:
        if path.name == name:
            die()
        publish(temporary, path)

    files.publish_file = dying


def killed(work: Callable[..., object], *arguments: object) -> None:
    """Run `work` in a process of its own, in which it has to be killed; both have to be importable by name."""
    assert exit_code(work, *arguments) == -signal.SIGKILL


def exit_code(work: Callable[..., object], *arguments: object) -> int | None:
    """Run `work` in a process of its own; how that ended."""
    # The server imports the heavy libraries once and then only forks; it runs no thread.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["edgesleep.night.cycle", "pytest", "gguf"])
    child = context.Process(target=work, args=arguments)
    child.start()
    child.join(600)  # a machine that does much else is slow
    return child.exitcode


def check_journal(home: Path, turns: int) -> None:
    """The database is sound, and no turn is lost."""
    connection = database.connect(home / "journal.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    with Journal.open(home) as journal:
        assert len(journal.turns()) == turns


def check_current(home: Path, base: bytes) -> None:
    """Whatever is current is whole: the base as it was, or the very bytes that a manifest names."""
    store = Store(home)
    assert store.model_path(0).read_bytes() == base
    if number := store.current():
        assert records.file_digest(store.model_path()) == store.generation(number).model_sha256


needs_fork = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="runs forked processes; there is no fork here"
)
