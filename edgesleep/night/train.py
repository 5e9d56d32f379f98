"""Train: the adapter learns the lessons, and stays the base on the anchors.

Owns the optimiser, the balance between learning and staying, checkpoints and
stopping. Leaves the forward pass to `network`, the rows to `dream`. Invariant:
a run that was killed and goes on from its checkpoint takes the same steps.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.lib import format as npformat
from numpy.typing import NDArray

from edgesleep import kernel
from edgesleep.adapter import Adapter
from edgesleep.config import TrainSettings
from edgesleep.errors import EdgesleepError, shown
from edgesleep.files import whole_file
from edgesleep.held import working
from edgesleep.model import Target, Tokens, common
from edgesleep.network import Trainable
from edgesleep.records import Row, StepReport, Training

T = TypeVar("T")

WARM_UP = 0.1  # share of the run in which the rate rises
COOL_DOWN = 0.6  # share of the run in which it falls
LAST_RATE = 0.1  # share of the peak rate at the end
STAY_RANGE = (0.5, 32.0)  # weight of staying the base against learning
DRIFT_MEMORY = 0.8  # smoothing of measured drift over steps
ENOUGH = 2.0  # budgets of drift at which the rate stops rising
TOO_FAST = 6.0  # budgets of drift from which on the rate itself goes down, a little each step, or ENOUGH at most stay
SLOWER, FASTER = 0.97, 1.01
SPARED = 64  # tokens that a row of another beginning may cost a batch
PACE_RANGE = (0.1, 1.0)  # share of the planned rate that drift leaves
TAUGHT = 0.5  # of what a lesson wants, the share of its teacher
HEEDED = 0.5  # mean probability that a teacher has to give the answer's tokens, or it does not know the answer itself


_SAVED = ("value", "first", "second")  # what a checkpoint keeps of each factor
# What zipfile and numpy raise, depending on where a file is damaged.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, msgspec.MsgspecError, struct.error, OSError, EOFError, KeyError,
    IndexError, RuntimeError, TypeError, ValueError, OverflowError
)  # fmt: skip
MAX_COUNTERS = 1 << 28  # bytes
_COUNTERS = (
    *("step", "first", "rounds", "turn", "tokens", "seconds"),
    *("stay", "peak", "pace", "drift", "loss", "met", "before"),
)


@dataclass(frozen=True)
class Plan:
    """What one run learns, and its limits. `minutes` counts training time over all resumptions.

    `lessons` gives those of a pass by its number, from 0, and by the mean loss of each memory's lessons in the pass
    before, in nats per token; asked again, the same.
    """

    lessons: Callable[[int, Mapping[str, float]], Sequence[Row]]
    anchors: tuple[Row, ...]
    settings: TrainSettings
    passes: int
    minutes: float
    seed: int


@dataclass(frozen=True)
class Watch:
    """What the caller hears and says while training runs.

    `passed` hears how many passes are done after each but the last, also when a run goes on; where it says so, one
    more pass is the last.
    """

    report: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    passed: Callable[[int], bool] = lambda passes: False


@dataclass(frozen=True)
class Task:
    """One row and what is wanted of it. `entropy` is that of all its targets together, in nats."""

    row: Row
    target: Target
    entropy: float


def train(network: Trainable, adapter: Adapter, plan: Plan, checkpoint: Path, watch: Watch) -> Training:
    """Train `adapter` in place until the plan is done, time is up or someone asks to stop.

    Goes on from `checkpoint` where it exists. Raises EdgesleepError when there
    is nothing to learn or a loss is no longer a number.
    """
    if not plan.lessons(0, {}) or not plan.anchors:
        raise EdgesleepError("There are no lessons or no anchors to train on.", "Log a day first.")
    began = working()
    anchors = anchor_tasks(network, plan.anchors, plan.settings.top_tokens)
    network.attach(adapter)
    run = Run(network, adapter, plan, anchors)
    if checkpoint.exists():
        run.resume(checkpoint)
    run.aside = working() - began
    return run.go(checkpoint, watch)


def anchor_tasks(network: Trainable, rows: Sequence[Row], top: int) -> list[Task]:
    """The base's likeliest next tokens at every place of the anchors; to be asked before an adapter is attached."""
    places = [np.arange(max(row.start - 1, 0), len(row.tokens), dtype=np.int32) for row in rows]
    targets = _likeliest(network, [row.tokens for row in rows], places, top)
    return [Task(row, target, _entropy(target.probs)) for row, target in zip(rows, targets, strict=True)]


def _likeliest(
    network: Trainable, texts: Sequence[Tokens], places: Sequence[NDArray[np.int32]], top: int
) -> list[Target]:
    """The likeliest next tokens at places of each text."""
    found: dict[int, Target] = {}
    for batch in _batches(range(len(texts)), lambda i: texts[i], network.batch_tokens):
        spots = [places[i] for i in batch]
        ends = np.cumsum([len(some) for some in spots])[:-1]
        ids, probs = network.top([texts[i] for i in batch], spots, top)
        for i, some, own_ids, own in zip(batch, spots, np.split(ids, ends), np.split(probs, ends), strict=True):
            found[i] = Target(some, own_ids, own)
    return [found[i] for i in range(len(texts))]


def _entropy(probs: NDArray[np.float32]) -> float:
    """Entropy of the listed tokens and the tail as one more, in nats, summed over the places."""
    tail = np.maximum(1 - probs.sum(1, dtype=np.float64), 1e-9)
    listed = probs.astype(np.float64)
    return float(-(listed * np.log(np.maximum(listed, 1e-9))).sum() - (tail * np.log(tail)).sum())


def lesson_task(row: Row, taught: Target | None = None) -> Task:
    """Certainty about the answer's own tokens, in the shape of an anchor's; or what `taught_targets` found."""
    if taught is not None:
        return Task(row, taught, _entropy(taught.probs))
    places = np.arange(row.start - 1, len(row.tokens) - 1, dtype=np.int32)
    ids = np.array(row.tokens[row.start :], np.int32)[:, None]
    return Task(row, Target(places, ids, np.ones(ids.shape, np.float32)), 0.0)


def taught_targets(network: Trainable, rows: Sequence[Row], top: int) -> dict[Row, Target]:
    """What is wanted of the rows whose teacher knows the answer; to be asked while no adapter is attached.

    The teacher is the base after a prompt that holds the memory (context distillation). Its likeliest tokens are mixed
    with certainty about the answer's, which come first.
    """
    led = [row for row in rows if row.teacher]
    answers = [row.tokens[row.start :] for row in led]
    places = [
        np.arange(len(answer), dtype=np.int32) + len(row.teacher) - 1 for row, answer in zip(led, answers, strict=True)
    ]
    texts = [row.teacher + answer for row, answer in zip(led, answers, strict=True)]
    targets = _likeliest(network, texts, places, top) if led else []
    mixed = {
        row: _mixed(row, np.array(answer, np.int32), target)
        for row, answer, target in zip(led, answers, targets, strict=True)
    }
    return {row: target for row, target in mixed.items() if target is not None}


def _mixed(row: Row, answer: NDArray[np.int32], teacher: Target) -> Target | None:
    """The teacher's tokens at the places of the row, with the answer's own before them; None where it knows it not."""
    own = teacher.ids == answer[:, None]
    known = (teacher.probs * own).sum(1)
    if known.mean() < HEEDED:
        return None
    # The own token first, the others in their order; where it is not among them, the last makes room.
    order = np.argsort(~own, axis=1, kind="stable")
    order = np.where(own.any(1)[:, None], order, np.roll(np.arange(own.shape[1]), 1))
    ids = np.take_along_axis(teacher.ids, order, 1)
    probs = TAUGHT * np.take_along_axis(teacher.probs, order, 1)
    ids[:, 0], probs[:, 0] = answer, TAUGHT * known + 1 - TAUGHT
    places = np.arange(row.start - 1, len(row.tokens) - 1, dtype=np.int32)
    return Target(places, ids, probs.astype(np.float32))


class Run:
    """The state of one training run: optimiser, step, and the weight of staying."""

    def __init__(self, network: Trainable, adapter: Adapter, plan: Plan, anchors: list[Task]) -> None:
        self.network, self.adapter, self.plan, self.anchors = network, adapter, plan, anchors
        self.moments = {key: (np.zeros_like(factor), np.zeros_like(factor)) for key, factor in self._named()}
        self.lessons = plan.lessons(0, {})  # of this pass
        self.taught: dict[Row, Target] = {}  # of this pass: what is wanted of those that have a teacher
        self.met: dict[str, tuple[float, int]] = {}  # by memory: sum of the losses in this pass, and of how many places
        self.before: dict[str, float] = {}  # by memory: mean loss in the pass before
        self.step = 0
        self.first = 0  # step at which this pass began
        self.rounds = 0  # passes done
        self.turn = 0  # place of this pass in the plan: further on than `rounds` where passes were spared
        self.tokens = 0
        self.seconds = 0.0  # in steps
        self.aside = 0.0  # since this process began: preparing, and writing checkpoints
        self.stay = 1.0
        # Share of the highest rate that was reached before the model began to move. It is sought once: a parent is off
        # from the start on anchors that it was not trained on, which says nothing about the rate.
        self.peak = adapter.peak or 1.0
        self.pace = 1.0
        self.drift = 0.0
        self.loss = 0.0

    def go(self, checkpoint: Path, watch: Watch) -> Training:
        stopped = "finished"
        history: list[StepReport] = []
        if self.step > self.first:
            with self._setting_aside():
                self._take_lessons()
        while self.turn < self.plan.passes:
            if self.step == self.first and self.seconds < self._limit():
                self._begin_pass(watch)
            if self.seconds >= self._limit():
                stopped = "time"
                break
            if watch.should_stop():
                stopped = "asked"
                self.save(checkpoint)
                break
            began = working()
            rate = self._advance()
            self.seconds += working() - began
            last = self.step == self.first + self._steps
            report = StepReport(
                self.step,
                self.first + (self.plan.passes - self.turn) * self._steps,
                self.loss,
                self.drift,
                rate,
                self.tokens,
                round(self.seconds, 2),
                self._limit(),
            )
            history.append(report)
            watch.report(report)
            if last:
                self.rounds, self.turn, self.first = self.rounds + 1, self.turn + 1, self.step
                self.before, self.met = {memory: total / count for memory, (total, count) in self.met.items()}, {}
            if last or self.step % self.plan.settings.checkpoint_every == 0:
                self.save(checkpoint)
        passes = self.rounds + (self.step > self.first)
        figures = self.tokens, self.seconds, self.loss, self.drift, self.peak
        return Training(self.step, passes, stopped, *figures, tuple(history))

    @property
    def _steps(self) -> int:
        """Steps of this pass."""
        return math.ceil(len(self.lessons) / self.plan.settings.lessons_per_step)

    def _begin_pass(self, watch: Watch) -> None:
        """Hear whether this is to be the last, and what it is about; a run that goes on from here hears it again."""
        with self._setting_aside():
            if self.rounds:
                self.network.rest()  # whoever is told may need the memory
                self.turn = self.plan.passes - 1 if watch.passed(self.rounds) else self.turn
                self.network.attach(self.adapter)
            self._take_lessons()

    @contextmanager
    def _setting_aside(self) -> Iterator[None]:
        """Counts the seconds of a block as none in which steps are taken."""
        began = working()
        yield
        self.aside += working() - began

    def _take_lessons(self) -> None:
        """This pass's lessons, and what their teacher says, which is the base without the adapter."""
        self.lessons = self.plan.lessons(self.rounds, self.before)
        if any(row.teacher for row in self.lessons):
            self.network.rest()
            self.taught = taught_targets(self.network, self.lessons, self.plan.settings.top_tokens)
            self.network.attach(self.adapter)

    def _advance(self) -> float:
        """One optimiser step; the rate that it used."""
        lessons = [lesson_task(row, self.taught.get(row)) for row in self._draw()]
        anchors = self._draw_anchors()
        rate = self._rate()
        for pair in self.network.gradients.values():
            for gradient in pair:
                gradient.fill(0.0)
        self.loss = self._learn(lessons, 1.0)
        drift = self._learn(anchors, self.stay)
        if not math.isfinite(self.loss + drift):
            raise EdgesleepError(
                f"Training broke at step {self.step + 1}: the loss is not a number.",
                "Lower train.rate in config.toml; the current model is unchanged.",
            )
        self._descend(rate)
        self._balance(drift)
        self.step += 1
        return rate

    def _learn(self, tasks: Sequence[Task], weight: float) -> float:
        """Add the gradient of weight * mean loss over all places; the mean, less the targets' entropy."""
        places = sum(len(task.target.places) for task in tasks)
        total = -sum(task.entropy for task in tasks)
        for batch in _batches(tasks, lambda task: task.row.tokens, self.network.batch_tokens):
            rows = [task.row.tokens for task in batch]
            losses = self.network.learn(rows, _as_wide([task.target for task in batch]), weight / places)
            total += float(losses.sum(dtype=np.float64))
            self._note(batch, losses)
            self.tokens += _computed(rows)
        return total / places

    def _note(self, batch: Sequence[Task], losses: NDArray[np.float32]) -> None:
        """Add up the losses of each memory's lessons, less the targets' entropy."""
        ends = np.cumsum([len(task.target.places) for task in batch])[:-1]
        for task, own in zip(batch, np.split(losses, ends), strict=True):
            if memory := task.row.memory_id:
                total, count = self.met.get(memory, (0.0, 0))
                self.met[memory] = total + float(own.sum(dtype=np.float64)) - task.entropy, count + len(own)

    def _descend(self, rate: float) -> None:
        """One step of AdamW (arXiv:1711.05101) along the gradient, whose norm is cut to 1."""
        gradients = self.network.gradients
        norm = math.sqrt(sum(float(np.vdot(part, part)) for pair in gradients.values() for part in pair))
        for (name, part), factor in self._named():
            gradient = gradients[name]["ab".index(part)]
            factor *= 1 - rate * self.plan.settings.decay
            kernel.adam(factor, gradient, self.moments[name, part], self.step + 1, rate, min(1.0, 1.0 / (norm + 1e-6)))
        self.network.moved()

    def _balance(self, drift: float) -> None:
        """Weigh staying against learning so that smoothed drift settles at its budget, and find the rate for it.

        The same rate that suits one model wrecks another, so it follows the drift that is measured and not a table of
        models: it rises until the model begins to move, and goes down while drift is far beyond its budget, or beyond
        it although staying weighs all it can.
        """
        self.drift = drift if self.step == 0 else DRIFT_MEMORY * self.drift + (1 - DRIFT_MEMORY) * drift
        spent = self.drift / self.plan.settings.drift_budget
        self.stay = _within(STAY_RANGE, self.stay * math.exp(0.15 * _within((-1.0, 1.0), spent - 1)))
        if self.adapter.peak is None and spent > ENOUGH and self._done() < WARM_UP and self.peak == 1.0:
            self.peak = self._rise()
        too_fast = spent > (ENOUGH if self.stay == STAY_RANGE[1] else TOO_FAST)
        self.pace = _within(PACE_RANGE, self.pace * (SLOWER if too_fast else FASTER))

    def _done(self) -> float:
        """Share of the run that is over, in passes or in the time allowed, whichever is further on."""
        passes = self.turn + (self.step - self.first) / self._steps
        return min(1.0, max(passes / self.plan.passes, self.seconds / max(self._limit(), 1e-9)))

    def _limit(self) -> float:
        """Seconds that all steps may take: what the plan gives, less what went aside."""
        return 60 * self.plan.minutes - self.aside

    def _rate(self) -> float:
        """Warm-up, up to what drift allows, then level, and at the end half a cosine to a tenth."""
        done = self._done()
        rate = self.plan.settings.rate * self.pace
        if done < WARM_UP:
            return rate * min(self.peak, self._rise())
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, 1 - (1 - done) / COOL_DOWN)))
        return rate * self.peak * (LAST_RATE + (1 - LAST_RATE) * cosine)

    def _rise(self) -> float:
        """Share of the highest rate in this step of the warm-up; from one step to the next even where time is short."""
        step = 1 / (self.plan.passes * self._steps)
        return min(1.0, (self._done() + step) / (WARM_UP + step))

    def _draw(self) -> list[Row]:
        """This step's lessons: every pass is a permutation of its own, so a resumed run draws the same."""
        size = self.plan.settings.lessons_per_step
        order = np.random.default_rng([self.plan.seed, self.rounds]).permutation(len(self.lessons))
        start = (self.step - self.first) * size
        return [self.lessons[i] for i in order[start : start + size]]

    def _draw_anchors(self) -> list[Task]:
        random = np.random.default_rng([self.plan.seed, self.step, 1])
        count = min(self.plan.settings.anchors_per_step, len(self.anchors))
        return [self.anchors[i] for i in random.choice(len(self.anchors), count, replace=False)]

    # Checkpoints

    def save(self, path: Path) -> None:
        """Adapter, Adam's moments and counters in one file, whole or absent; written one array after the other."""
        arrays = {f"{name}.{part}.{kind}": array for (name, part), kind, array in self._state()}
        counters = json.dumps({key: getattr(self, key) for key in _COUNTERS})
        with self._setting_aside(), whole_file(path) as file:
            np.savez(file, counters=np.array(counters), **arrays)  # type: ignore[arg-type]

    def resume(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as file:
                counters = self._counters(file)
                for (name, part), kind, array in self._state():
                    _read(file, f"{name}.{part}.{kind}", array)
        except _DAMAGE as error:
            raise EdgesleepError(
                f"The checkpoint {path} is damaged: {shown(str(error))}.", "Delete it; training starts over."
            ) from error
        for counter in _COUNTERS:
            setattr(self, counter, getattr(counters, counter))
        self.network.moved()

    def _counters(self, file: zipfile.ZipFile) -> Any:
        """The counters of a checkpoint, each of the type that it has here: JSON in a numpy array of one text."""
        kinds = {name: type(getattr(self, name)) for name in _COUNTERS}
        kinds |= {"met": dict[str, tuple[float, int]], "before": dict[str, float]}
        with file.open("counters.npy") as member:
            data = member.read(MAX_COUNTERS)
        text = str(data[10 + int.from_bytes(data[8:10], "little") :], "utf-32-le")
        return msgspec.json.decode(text, type=msgspec.defstruct("Counters", [*kinds.items()]))

    def _state(self) -> Iterator[tuple[tuple[str, str], str, NDArray[np.float32]]]:
        for key, factor in self._named():
            yield from ((key, kind, array) for kind, array in zip(_SAVED, (factor, *self.moments[key]), strict=True))

    def _named(self) -> Iterator[tuple[tuple[str, str], NDArray[np.float32]]]:
        for name, pair in self.adapter.factors.items():
            yield from (((name, part), factor) for part, factor in zip("ab", pair, strict=True))


def _read(file: zipfile.ZipFile, name: str, array: NDArray[np.float32]) -> None:
    """Fill an array from a checkpoint that has just this one: one that claims to be larger gets no memory."""
    header = io.BytesIO()
    npformat.write_array_header_1_0(header, npformat.header_data_from_array_1_0(array))
    with file.open(f"{name}.npy") as member:
        if member.read(header.tell()) != header.getvalue():
            raise ValueError(f"{name} is of another shape or type")
        data = member.read(array.nbytes + 1)  # to the end, where its checksum is compared
    array[:] = np.frombuffer(data, array.dtype).reshape(array.shape)


def _as_wide(targets: Sequence[Target]) -> list[Target]:
    """The targets with lists of one length, shorter ones filled up without probability."""
    width = max(target.ids.shape[1] for target in targets)
    return [_filled(target, width - target.ids.shape[1]) for target in targets]


def _filled(target: Target, count: int) -> Target:
    beside = ((0, 0), (0, count))
    return Target(target.places, np.pad(target.ids, beside), np.pad(target.probs, beside)) if count else target


def _within(limits: tuple[float, float], value: float) -> float:
    return max(limits[0], min(limits[1], value))


def _batches(items: Sequence[T], tokens: Callable[[T], Tokens], limit: int) -> Iterator[list[T]]:
    """Groups of at most `limit` tokens (or one text), texts that begin alike together: what is computed in one pass."""
    batch: list[T] = []
    for item in sorted(items, key=tokens):
        before, after = (_computed([tokens(one) for one in some]) for some in (batch, [*batch, item]))
        # A text that begins otherwise would undo what the others share.
        if batch and (after > limit or after - before > len(tokens(item)) + SPARED):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _computed(texts: Sequence[Tokens]) -> int:
    """Tokens of one pass: the common beginning counts once."""
    return sum(map(len, texts)) - (len(texts) - 1) * common(texts)
