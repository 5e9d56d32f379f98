"""Train: the adapter learns the lessons, and stays the base on the anchors.

Owns the optimiser, the balance between learning and staying, checkpoints and
stopping. Leaves the forward pass to `network`, the rows to `dream`. Invariant:
a run that was killed and goes on from its checkpoint takes the same steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from edgesleep.adapter import Adapter
from edgesleep.config import TrainSettings
from edgesleep.errors import EdgesleepError
from edgesleep.network import Network, Packed
from edgesleep.records import Row, StepReport, Training, write_atomically

WARM_UP = 0.1  # share of the run in which the rate rises
LAST_RATE = 0.1  # share of the peak rate at the end
STAY_RANGE = (0.5, 16.0)  # weight of staying the base against learning
DRIFT_MEMORY = 0.8  # smoothing of measured drift over steps
TOO_FAST = 6.0  # budgets of drift from which on the rate itself goes down, a little each step
SLOWER, FASTER = 0.97, 1.01
PACE_RANGE = (0.1, 1.0)  # share of the planned rate that drift leaves


_COUNTERS = {"step": int, "tokens": int, "seconds": float, "stay": float, "pace": float, "drift": float, "loss": float}


@dataclass(frozen=True)
class Plan:
    """What one run learns, and its limits. `minutes` counts training time over all resumptions."""

    lessons: tuple[Row, ...]
    anchors: tuple[Row, ...]
    settings: TrainSettings
    passes: int
    minutes: float
    seed: int

    @property
    def steps(self) -> int:
        return self.passes * math.ceil(len(self.lessons) / self.settings.lessons_per_step)


@dataclass(frozen=True)
class Watch:
    """What the caller hears and says while training runs."""

    report: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Target:
    """Wanted next-token distribution at some places of a row: see network.HeadLoss. `entropy` is its own, [n]."""

    row: Row
    places: Tensor
    ids: Tensor
    probs: Tensor
    entropy: Tensor


def train(network: Network, adapter: Adapter, plan: Plan, checkpoint: Path, watch: Watch) -> Training:
    """Train `adapter` in place until the plan is done, time is up or someone asks to stop.

    Goes on from `checkpoint` where it exists. Raises EdgesleepError when there
    is nothing to learn or a loss is no longer a number.
    """
    if not plan.lessons or not plan.anchors:
        raise EdgesleepError("There are no lessons or no anchors to train on.", "Log a day first.")
    anchors = list(anchor_targets(network, plan.anchors, plan.settings))
    network.attach(adapter)
    run = Run(network, plan, anchors)
    if checkpoint.exists():
        run.resume(checkpoint)
    return run.go(checkpoint, watch)


@torch.no_grad()
def anchor_targets(network: Network, rows: Sequence[Row], settings: TrainSettings) -> Iterator[Target]:
    """The base's likeliest next tokens at every place of the anchors; to be asked before an adapter is attached."""
    for batch in _batches(rows, settings.batch_tokens):
        pack = Packed.of([row.tokens for row in batch])
        places = [torch.arange(max(row.start - 1, 0), len(row.tokens)) for row in batch]
        chosen = torch.cat([pack.grid[i, spots] for i, spots in enumerate(places)])
        sizes = [len(spots) for spots in places]
        ids, probs = (part.split(sizes) for part in network.top(network.hidden(pack)[chosen], settings.top_tokens))
        for target in zip(batch, places, ids, probs, strict=True):
            yield Target(*target, _entropy(target[-1]))


def _entropy(probs: Tensor) -> Tensor:
    """Entropy of listed tokens and the tail as one more, in nats, [n]."""
    tail = (1 - probs.sum(1)).clamp(min=1e-9)
    return -(probs * probs.clamp(min=1e-9).log()).sum(1) - tail * tail.log()


def lesson_target(row: Row, top: int) -> Target:
    """Certainty about the answer's own tokens, in the shape of an anchor's target."""
    places = torch.arange(row.start - 1, len(row.tokens) - 1)
    ids = torch.zeros(len(places), top, dtype=torch.long)
    probs = torch.zeros(len(places), top)
    ids[:, 0] = torch.tensor(row.tokens[row.start :])
    probs[:, 0] = 1.0
    return Target(row, places, ids, probs, torch.zeros(len(places)))


class Run:
    """The state of one training run: optimiser, step, and the weight of staying."""

    def __init__(self, network: Network, plan: Plan, anchors: list[Target]) -> None:
        self.network, self.plan, self.anchors = network, plan, anchors
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=0.0)
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        self.stay = 1.0
        self.pace = 1.0
        self.drift = 0.0
        self.loss = 0.0

    def go(self, checkpoint: Path, watch: Watch) -> Training:
        stopped = "finished"
        history: list[StepReport] = []
        while self.step < self.plan.steps:
            if self.seconds >= 60 * self.plan.minutes:
                stopped = "time"
                break
            if watch.should_stop():
                stopped = "asked"
                self.save(checkpoint)
                break
            began = time.monotonic()
            rate = self._advance()
            self.seconds += time.monotonic() - began
            report = StepReport(
                self.step, self.plan.steps, self.loss, self.drift, rate, self.tokens, round(self.seconds, 2)
            )
            history.append(report)
            watch.report(report)
            if self.step % self.plan.settings.checkpoint_every == 0:
                self.save(checkpoint)
        return Training(self.step, stopped, self.tokens, self.seconds, self.loss, self.drift, tuple(history))

    def _advance(self) -> float:
        """One optimiser step; the rate that it used."""
        settings = self.plan.settings
        lessons = [lesson_target(row, settings.top_tokens) for row in self._draw()]
        anchors = self._draw_anchors()
        rate = self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = self._learn(lessons, 1.0)
        drift = self._learn(anchors, self.stay)
        if not math.isfinite(self.loss + drift):
            raise EdgesleepError(
                f"Training broke at step {self.step + 1}: the loss is not a number.",
                "Lower train.rate in config.toml; the current model is unchanged.",
            )
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.network.moved()
        self._balance(drift)
        self.step += 1
        return rate

    def _learn(self, targets: Sequence[Target], weight: float) -> float:
        """Add the gradient of weight * mean loss over all places; the mean, less the targets' entropy."""
        places = sum(len(target.places) for target in targets)
        total = 0.0
        rest = iter(targets)
        for rows in _batches([target.row for target in targets], self.plan.settings.batch_tokens):
            batch = list(islice(rest, len(rows)))
            pack = Packed.of([row.tokens for row in rows])
            chosen = torch.cat([pack.grid[i, target.places] for i, target in enumerate(batch)])
            hidden = self.network.hidden(pack)[chosen]
            ids, probs = torch.cat([t.ids for t in batch]), torch.cat([t.probs for t in batch])
            loss = self.network.loss(hidden, ids, probs).sum() - torch.cat([t.entropy for t in batch]).sum()
            (loss * (weight / places)).backward()
            total += loss.item()
            self.tokens += sum(len(row.tokens) for row in rows)  # padding is no training
        return total / places

    def _balance(self, drift: float) -> None:
        """Weigh staying against learning so that smoothed drift settles at its budget; slow down when it runs away.

        The same rate that suits one model wrecks another, so it follows the
        drift that is measured and not a table of models.
        """
        self.drift = drift if self.step == 0 else DRIFT_MEMORY * self.drift + (1 - DRIFT_MEMORY) * drift
        spent = self.drift / self.plan.settings.drift_budget
        self.stay = _within(STAY_RANGE, self.stay * math.exp(0.15 * _within((-1.0, 1.0), spent - 1)))
        self.pace = _within(PACE_RANGE, self.pace * (SLOWER if spent > TOO_FAST else FASTER))

    def _rate(self) -> float:
        """Warm-up, then a cosine to a tenth, over steps or over the time allowed, whichever is further on."""
        done = max(self.step / self.plan.steps, self.seconds / (60 * self.plan.minutes))
        peak = self.plan.settings.rate * self.pace
        if done < WARM_UP:
            return peak * (self.step + 1) / (WARM_UP * self.plan.steps + 1)
        cosine = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        return peak * (LAST_RATE + (1 - LAST_RATE) * cosine)

    def _draw(self) -> list[Row]:
        """This step's lessons: every pass is a permutation of its own, so a resumed run draws the same."""
        size = self.plan.settings.lessons_per_step
        per_pass = math.ceil(len(self.plan.lessons) / size)
        order = np.random.default_rng([self.plan.seed, self.step // per_pass]).permutation(len(self.plan.lessons))
        first = self.step % per_pass * size
        return [self.plan.lessons[i] for i in order[first : first + size]]

    def _draw_anchors(self) -> list[Target]:
        random = np.random.default_rng([self.plan.seed, self.step, 1])
        count = min(self.plan.settings.anchors_per_step, len(self.anchors))
        return [self.anchors[i] for i in random.choice(len(self.anchors), count, replace=False)]

    # Checkpoints

    def save(self, path: Path) -> None:
        """Adapter, optimiser moments and counters in one file, whole or absent."""
        tensors: dict[str, Tensor] = {}
        for (name, part), parameter in self._named():
            state = self.optimizer.state.get(parameter, {})
            tensors[f"{name}.{part}"] = parameter.detach()
            for moment in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}.{part}.{moment}"] = state.get(moment, torch.zeros_like(parameter))
        about = {key: repr(getattr(self, key)) for key in _COUNTERS}
        write_atomically(path, save(tensors, about))

    def resume(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            for key, kind in _COUNTERS.items():
                setattr(self, key, kind(about[key]))
            for (name, part), parameter in self._named():
                with torch.no_grad():
                    parameter.copy_(file.get_tensor(f"{name}.{part}"))
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": file.get_tensor(f"{name}.{part}.exp_avg"),
                    "exp_avg_sq": file.get_tensor(f"{name}.{part}.exp_avg_sq"),
                }

    def _named(self) -> Iterator[tuple[tuple[str, str], Tensor]]:
        for name, pair in self.network.factors.items():
            yield from (((name, part), factor) for part, factor in zip("ab", pair, strict=True))


def _within(limits: tuple[float, float], value: float) -> float:
    return max(limits[0], min(limits[1], value))


def _batches(rows: Sequence[Row], limit: int) -> Iterator[list[Row]]:
    """Groups of at most `limit` tokens (or one row): what is alive between forward and backward."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + len(row.tokens) > limit:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.tokens)
    if batch:
        yield batch
