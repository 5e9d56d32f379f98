"""An exam for tiny models, and made-up scores of it: what the tests of the gate share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nights import TEXT

from edgesleep.config import GateSettings
from edgesleep.night.gate import Exam, Topics
from edgesleep.night.standing import Choice, Standing
from edgesleep.records import Answer, Probe, Score

CANDIDATE = Path("candidate")
SETTINGS = GateSettings(drift_budget=0.1, recall_gain=0.25, recall_loss=0.25, answer_tokens=6)
PROBES = tuple(Probe(f"{memory}-{n}", memory, f"{memory} {n}?", "gold") for memory in ("old", "new") for n in range(4))
STANDING = Standing(
    tuple(Choice(f"knowledge-{n}", f"what {n}?", ("a", "bc")) for n in range(10)),
    *(tuple(Probe(f"{name}-{n}", "", f"{name} {n}", "", 0) for n in range(8)) for name in ("harmful", "every", "none")),
)
GROUPS = {"knowledge": STANDING.choices, "harmful": STANDING.harmful, "every": STANDING.everyday}
GROUPS["none"] = STANDING.unknowable
EXAM = Exam(PROBES, TEXT, SETTINGS, 1, STANDING)
KNOWN = Topics(frozenset({"old"}), frozenset({"new"}))
FLAT = np.full(500, 3.0, np.float32)


def answered(name: str, right: tuple[int, int], losses: np.ndarray, lost: dict[str, int] | None = None) -> Score:
    """A score with the first so many probes of the old and of the new memory right, and all standing ones but some."""
    good = {f"{memory}-{n}" for memory, count in zip(("old", "new"), right, strict=True) for n in range(count)}
    for group, probes in GROUPS.items():
        good |= {probe.id for probe in probes[(lost or {}).get(group, 0) :]}
    asked = [*PROBES, *(probe for probes in GROUPS.values() for probe in probes)]
    answers = tuple(Answer(probe.id, name, probe.id in good) for probe in asked)
    mean, median = float(np.mean(losses)), float(np.median(losses))
    return Score(f"hash of {name}", sum(right) / 8, answers, mean, median, len(losses), tuple(losses.tolist()))
