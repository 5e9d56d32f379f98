"""Nights without a model's work: the same stages, files, syncs and order as in any other, within milliseconds.

Owns what takes the place of reading, writing, training and asking, so that a night can be cut at every single step. All
else is the night's own code; the delta that "training" leaves and the merge are real, and the same on every run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nights import SETTINGS, check_current, check_journal

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.files import LEFT, write_atomically
from edgesleep.night import agenda, gate, stages, train, verify
from edgesleep.night.artefacts import PASSING, Interrupted
from edgesleep.night.cycle import run_night
from edgesleep.night.stages import Night
from edgesleep.night.succession import Day
from edgesleep.records import (
    Answer,
    Baseline,
    Dreams,
    Memory,
    NightReport,
    PassScore,
    Probe,
    Question,
    Row,
    Score,
    Training,
    Turn,
    Verdict,
    file_digest,
    load,
)
from edgesleep.store import Store

SHAPES = {"blk.0.attn_q.weight": (64, 64), "blk.1.ffn_down.weight": (64, 128)}  # of the tiny llama
ROW = Row("", (1, 2, 3), 1)
SCORE = Score("", 0.0, (), 0.0, 0.0, 0)


def hollow(patch: pytest.MonkeyPatch) -> None:
    """Have the nights of this process do no work, and need none to have been done."""
    patch.setattr(agenda, "curate", lambda turns, held, earlier: Day(tuple(map(remembered, turns))))
    patch.setattr(Night, "_dream_anchors", lambda self, base: (ROW,))
    patch.setattr(Night, "_dream", dream)
    patch.setattr(Night, "_baseline", lambda self, parent, dreams: Baseline(SCORE, answered(dreams, False)))
    patch.setattr(Night, "_student", student)
    patch.setattr(Night, "_exam", lambda self, dreams: None)
    patch.setattr(Night, "_judge", judge)
    patch.setattr(gate, "after_pass", lambda baseline, trial, exam, count: PassScore(count, 0.1 * count, None, None, 0))
    patch.setattr(train, "train", training)
    patch.setattr(stages.machine, "give_back_memory", lambda: None)


def remembered(turn: Turn) -> Memory:
    question = Question("What?", "That.", turn.content, "what?", "what")
    told = (turn.content, turn.content, turn.content)
    return Memory(turn.sha256[:12], "fact", turn.content, *told, (question,), (turn.id,), turn.at, held_out="what?")


def dream(night: Night, agenda: Any, number: int, *_: Any, **__: Any) -> Dreams:
    probes = (Probe(f"{memory.id}-0", memory.id, "What?", memory.value) for memory in agenda.memories)
    return Dreams((replace(ROW, tokens=(1, 2, 3 + number)),), tuple(probes))


def answered(dreams: Path, right: bool) -> Score:
    probes = load(Dreams, dreams).probes
    return replace(SCORE, recall=float(right), answers=tuple(Answer(probe.id, probe.gold, right) for probe in probes))


def student(night: Night, parent: int) -> tuple[None, Adapter]:
    delta = night.store.delta_path(parent)
    base = night.store.base().sha256
    return None, Adapter.load(delta) if delta else Adapter.fresh(SHAPES, 4, 8.0, 0, base)


def training(network: None, adapter: Adapter, plan: train.Plan, checkpoint: Path, watch: train.Watch) -> Training:
    """A random delta that depends on how many passes are done; the checkpoint holds their number."""
    done = int(checkpoint.read_bytes()) if checkpoint.exists() else 0
    start = {name: b.copy() for name, (_, b) in adapter.factors.items()}

    def learn(passes: int) -> None:
        random = np.random.default_rng(passes)
        for name, (_, b) in adapter.factors.items():
            b[:] = start[name] + random.standard_normal(b.shape) * 0.1

    learn(done)
    while done < plan.passes:
        plan.lessons(done, {})
        if watch.should_stop():
            raise Interrupted
        done += 1
        learn(done)
        write_atomically(checkpoint, b"%d" % done)
        if done < plan.passes:
            watch.passed(done)
    return Training(done, done, "finished", 1, 1.0, 0.0, 0.0)


def judge(night: Night, step: Any, ready: Any) -> Verdict:
    after = answered(ready.dreams, True)
    return Verdict("passed", file_digest(step.candidate), (), answered(ready.dreams, False), after, 0.0, 0.0)


# -- what has to hold after whatever happened ------------------------------------------------------------------------


def sound(home: Path, base: bytes, turns: int) -> None:
    """The home opens, what it serves is whole, every check of `verify` passes, and no message is lost."""
    check_current(home, base)
    check_journal(home, turns)
    assert [f"{check.what}: {check.found}" for check in verify.checks(home) if not check.ok] == []


def ends(home: Path, sha256: str, generation: int) -> NightReport:
    """The next night completes, what is served then is that of a night which nothing cut, and nothing is left over."""
    result = run_night(home, SETTINGS, force=False)
    store = Store(home)
    assert (result.status, store.current()) in {("promoted", generation), ("skipped", generation)}
    assert file_digest(store.model_path()) == sha256
    assert [made.number for made in store.generations()] == list(range(1, generation + 1))
    assert not left(home)
    assert not [path for pattern in PASSING for path in home.glob(f"nights/*/{pattern}")]
    assert not (home / "underway.json").exists()
    return result


def left(home: Path) -> list[Path]:
    """What killed writes left, anywhere in a home."""
    return [*home.rglob(LEFT)]


def tried(home: Path) -> NightReport | EdgesleepError:
    """A night, or the error that it ended in."""
    try:
        return run_night(home, SETTINGS)
    except EdgesleepError as error:
        return error
