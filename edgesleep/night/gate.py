"""Gate: the exact bytes to be served are asked before they are served.

Owns the probes' scores and the verdict. Leaves loading to `engine`, publishing
to `store`. Invariants: regression is checked before gain; a missing probe set
makes the verdict invalid, never passed; a verdict names the hash of its file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesleep.config import GateSettings
from edgesleep.engine import Engine
from edgesleep.night import untold
from edgesleep.night.phrases import right
from edgesleep.records import Answer, Baseline, Message, PassScore, Probe, Score, Verdict, file_digest

SAMPLE = 128  # memories that are asked about after a pass, by one wording each
SKIMMED = 15  # paragraphs of plain text that a look reads: a quarter, as all take longer than all answers
RISING = 0.02  # rise of a share that is worth another pass
PATIENCE = 4  # passes in which nothing has to rise before it is enough


@dataclass(frozen=True)
class Exam:
    """What every file is asked: held-out wordings, and plain text that no night trains on."""

    probes: tuple[Probe, ...]
    text: str
    settings: GateSettings
    threads: int


def plain_text() -> str:
    """The bundled English prose on which drift is measured."""
    return (files("edgesleep") / "data" / "plain_text.txt").read_text("utf-8")


def baseline(base: Path, parent: Path, exam: Exam) -> Baseline:
    """What the candidate is measured against; the base is only read plain text where it is not the parent itself."""
    began = time.monotonic()
    asked = score(parent, exam)
    seconds = time.monotonic() - began
    own = asked if base == parent else score(base, replace(exam, probes=()))
    return Baseline(own, replace(asked, losses=()), seconds)


def judge(baseline: Baseline, candidate: Path, exam: Exam, known: frozenset[str]) -> Verdict:
    """Score the candidate against its parent (recall) and the pristine base (drift).

    `known` holds the ids of memories that the parent had learned: their recall
    may not fall. Drift is taken against the base, so that it cannot creep from
    night to night. Both drifts are nats per token, of the same tokens: the
    difference of two medians is four times as uncertain as that of two means.
    """
    after = score(candidate, exam)
    mean, median = after.loss_mean - baseline.base.loss_mean, _middle(after.losses, baseline.base.losses)
    after = replace(after, losses=())
    asked = sum(probe.hops > 0 for probe in exam.probes)
    missing = [name for name, count in (("probes", asked), ("plain text", after.tokens)) if count == 0]
    reasons = [f"There is no {name} to ask." for name in missing]
    reasons = reasons or _reasons(baseline.parent, after, mean, median, exam, known)
    outcome = "invalid" if missing else "refused" if reasons else "passed"
    return Verdict(outcome, after.sha256, tuple(reasons), baseline.parent, after, mean, median)


def after_pass(baseline: Baseline, candidate: Path, exam: Exam, passes: int) -> PassScore:
    """A look at the file that so many passes make: one wording of each memory, and how the text begins."""
    probes = _sample(exam.probes)
    asked = score(candidate, replace(exam, probes=probes, text="\n\n".join(exam.text.split("\n\n")[:SKIMMED])))
    drift = float(np.mean(np.subtract(asked.losses, baseline.base.losses[: asked.tokens]))) if asked.tokens else 0.0
    pairs = zip(probes, asked.answers, strict=True)
    missed = tuple(probe.memory_id for probe, answer in pairs if probe.hops == 1 and not answer.right)
    return PassScore(passes, asked.recall, asked.two_hops, asked.abstained, drift, missed)


def enough(scores: Sequence[PassScore], settings: GateSettings) -> bool:
    """Whether nothing rose in the last passes over what was best before, or all the drift that is allowed was spent.

    One pass alone says little: at a high rate recall and drift go up and down from pass to pass.
    """
    earlier, late = scores[:-PATIENCE], scores[-PATIENCE:]
    shares: tuple[Callable[[PassScore], float], ...] = (lambda one: one.recall, lambda one: one.abstained or 0.0)
    rose = any(max(map(share, late)) >= max(map(share, earlier)) + RISING for share in shares) if earlier else True
    return not rose or (len(late) > 1 and min(one.drift for one in late[-2:]) > settings.drift_budget)


def _sample(probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """The first one-hop probe of each memory, and all others, or some of each kind from all over the day."""
    first = list({probe.memory_id: probe for probe in reversed(probes) if probe.hops == 1}.values())[::-1]
    others = ([probe for probe in probes if probe.hops == hops] for hops in (2, 0))
    return tuple(probe for some in (first, *others) for probe in some[:: -(-len(some) // SAMPLE) or 1])


def _reasons(before: Score, after: Score, mean: float, median: float, exam: Exam, known: frozenset[str]) -> list[str]:
    """Why the candidate may not be served; regression first, and gain only when there is none."""
    budget = exam.settings.drift_budget
    reasons = [
        f"The {name} loss on plain text rose by {value:.3f} nats per token; {budget:.3f} are allowed."
        for name, value in (("mean", mean), ("median", median))
        if not value <= budget
    ]
    old = {probe.id for probe in exam.probes if probe.memory_id in known}
    lost = _share(before.answers, old) - _share(after.answers, old)
    if old and lost > exam.settings.recall_loss:
        reasons.append(f"Recall of older memories fell by {lost:.2f}; {exam.settings.recall_loss:.2f} are allowed.")
    if reasons:
        return reasons
    new = {probe.id for probe in exam.probes if probe.hops} - old
    gain = _share(after.answers, new) - _share(before.answers, new)
    if new and gain < exam.settings.recall_gain:
        reasons.append(f"Recall of new memories rose by {gain:.2f}; {exam.settings.recall_gain:.2f} are wanted.")
    return reasons


def _middle(after: Sequence[float], before: Sequence[float]) -> float:
    """The median of what each token's loss rose by."""
    return float(np.median(np.subtract(after, before))) if after else 0.0


def _share(answers: Sequence[Answer], probes: set[str]) -> float:
    rights = [answer.right for answer in answers if answer.probe_id in probes]
    return sum(rights) / len(rights) if rights else 0.0


def score(path: Path, exam: Exam) -> Score:
    """Ask a file everything."""
    with Engine(path, threads=exam.threads, context=256, sequences=16) as engine:
        answers = ask(engine, exam.probes, exam.settings.answer_tokens)
        losses = text_losses(engine, exam.text)
    none, one, two = ({probe.id for probe in exam.probes if probe.hops == hops} for hops in range(3))
    mean, median = (float(losses.mean()), float(np.median(losses))) if losses.size else (0.0, 0.0)
    each = tuple(np.round(losses.astype(float), 4).tolist())
    return Score(
        file_digest(path),
        _share(answers, one),
        answers,
        mean,
        median,
        losses.size,
        each,
        _share(answers, two) if two else None,
        _share(answers, none) if none else None,
    )


def ask(engine: Engine, probes: Sequence[Probe], limit: int) -> tuple[Answer, ...]:
    """Greedy answers in the chat template, with nothing in context but the question."""
    prompts = [engine.chat([Message("user", probe.question)]) for probe in probes]
    texts = [engine.text(tokens).strip() for tokens in engine.complete(prompts, limit)]
    return tuple(
        Answer(probe.id, text, right(text, probe.gold) if probe.hops else untold.owns_up(text))
        for probe, text in zip(probes, texts, strict=True)
    )


def text_losses(engine: Engine, text: str) -> NDArray[np.float32]:
    """Loss per token, paragraph by paragraph."""
    parts = [engine.losses(engine.tokenize(part, begin=True)) for part in text.split("\n\n") if part.strip()]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
