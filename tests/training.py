"""Short trainings of a tiny model on random rows: what the tests of training share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from nights import TRAIN

from edgesleep import kernel
from edgesleep.adapter import Adapter
from edgesleep.config import TrainSettings
from edgesleep.gguf import Gguf
from edgesleep.network import Network
from edgesleep.night import train
from edgesleep.night.train import Plan, Run, Watch
from edgesleep.records import Row, StepReport, Training

SEED = 7


def rows(count: int, seed: int, memory: str = "m") -> tuple[Row, ...]:
    """Random tokens of unequal lengths, the first third of each given."""
    random = np.random.default_rng(seed)
    texts = [random.integers(0, 250, 6 + 3 * n % 11) for n in range(count)]
    return tuple(Row(memory, tuple(int(t) for t in text), max(len(text) // 3, 1)) for text in texts)


def plan(*, passes: int = 4, minutes: float = 1000.0, lessons: int = 12, settings: TrainSettings = TRAIN) -> Plan:
    """Twelve lessons, five a step: three steps a pass."""
    return Plan(lambda number, losses: rows(lessons, 1), rows(6, 2, ""), settings, passes, minutes, SEED)


def start(base: Path, settings: TrainSettings = TRAIN) -> tuple[Network, Adapter]:
    kernel.set_threads(1)
    network = Network(Gguf.open(base), SEED)
    return network, Adapter.fresh(network.shapes, settings.rank, settings.alpha, SEED, "base")


def ran(base: Path, wanted: Plan, checkpoint: Path, watch: Watch | None = None) -> tuple[Training, Adapter]:
    network, adapter = start(base, wanted.settings)
    return train.train(network, adapter, wanted, checkpoint, watch or Watch()), adapter


def begun(base: Path, *, passes: int = 4, peak: float | None = None) -> Run:
    """A run before its first step."""
    network, adapter = start(base)
    network.attach(adapter)
    return Run(network, replace(adapter, peak=peak), plan(passes=passes), [])


def flat(adapter: Adapter) -> dict[str, bytes]:
    return {f"{name}.{i}": part.tobytes() for name, pair in adapter.factors.items() for i, part in enumerate(pair)}


def stop_after(base: Path, steps: int, checkpoint: Path) -> Training:
    """Train until `steps` steps are done, then ask to stop."""
    done: list[StepReport] = []
    training, _ = ran(base, plan(), checkpoint, Watch(done.append, lambda: (done[-1].step if done else 0) >= steps))
    assert (training.steps, training.stopped) == (steps, "asked")
    return training
