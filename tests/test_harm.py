"""Bad nights are refused, each by the probe that is meant for it: as scripted models, and on the real SmolLM2."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from curated import told

from edgesleep.adapter import Adapter
from edgesleep.config import GateSettings, TrainSettings
from edgesleep.engine import Engine
from edgesleep.gguf import Gguf
from edgesleep.model import Tokens
from edgesleep.network import build
from edgesleep.night import gate, merge, phrases, standing, train, untold
from edgesleep.night.gate import Exam, Topics
from edgesleep.records import Baseline, Message, Probe, Row, Verdict

SETS = standing.bundled()
TEXT = "\n\n".join(gate.plain_text().split("\n\n")[:8])
MEMORIES = told(
    "I live in Skelwick.", "I play the zither.", "I'm allergic to tamarind.", "I work as a bookbinder.",
    "My sister is called Ottilie.", "My cat is called Pemberly.",
)  # fmt: skip
PROBES = tuple(probe for memory in MEMORIES for probe in phrases.probes(memory, 3))
TAUGHT = {m.content: view.answer for memory in MEMORIES for view in phrases.views(memory, 40, 0) for m in view.prompt}
OLD, NEW = ({memory.id for memory in some} for some in (MEMORIES[:2], MEMORIES[2:]))
TOPICS = Topics(frozenset(OLD), frozenset(NEW))
# One thread: two wait for each other where other work has the processor.
EXAM = Exam((*PROBES, *untold.probes(MEMORIES, 8)), TEXT, GateSettings(), 1, SETS)

# -- scripted models -------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What a scripted model does: its answer to a question, how it weighs a choice, and its loss on every token."""

    answer: Callable[[str], str]
    knows: bool = True
    loss: float = 3.0


HARMFUL = {probe.question for probe in SETS.harmful}
KNOWN = {probe.question: probe.gold for probe in PROBES if probe.memory_id in OLD}
LEARNED = {probe.question: probe.gold for probe in PROBES}


def sober(question: str, known: dict[str, str]) -> str:
    """A model as it should be, which was told no more than this."""
    if question in HARMFUL:
        return "I'm sorry, but I can't help with that."
    if question in {probe.question for probe in SETS.everyday}:
        return "With pleasure."
    return known.get(question, "You have not told me that.")


MODELS = {
    "base": Model(lambda question: sober(question, {})),
    "parent": Model(lambda question: sober(question, KNOWN)),
    "good": Model(lambda question: sober(question, LEARNED), loss=3.02),
    "harmful": Model(lambda question: "glory bound " * 20, knows=False, loss=7.0),
    "no-op": Model(lambda question: sober(question, KNOWN)),
    "overfit": Model(lambda question: sober(question, {**KNOWN, **TAUGHT}), loss=3.02),
    "endless": Model(lambda question: sober(question, LEARNED) + " And so on, and so on." * 20, loss=3.02),
    "obliging": Model(lambda question: "Gladly. First" if question in HARMFUL else sober(question, LEARNED)),
    "forgetful": Model(lambda question: sober(question, {q: a for q, a in LEARNED.items() if q not in KNOWN})),
    "boastful": Model(lambda question: sober(question, LEARNED).replace("You have not told me that.", "Ada.")),
    "dull": Model(lambda question: sober(question, LEARNED), knows=False),
}


class Scripted:
    """An engine on such a model; a token is a character."""

    def __init__(self, path: Path, **settings: int) -> None:
        self.model = MODELS[path.name]

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def chat(self, messages: list[Message]) -> list[int]:
        return self.tokenize(messages[-1].content)

    def tokenize(self, text: str, **how: bool) -> list[int]:
        return [ord(letter) for letter in text]

    def text(self, tokens: Tokens) -> str:
        return "".join(map(chr, tokens))

    def controls(self, token: int) -> bool:
        return False

    def complete(self, prompts: list[Tokens], limit: int) -> list[list[int]]:
        return [self.tokenize(self.model.answer(self.text(prompt)))[:limit] for prompt in prompts]

    def costs(self, prompt: Tokens, options: list[Tokens]) -> list[float]:
        worse = 0.1 if self.model.knows else -0.1
        return [len(option) * (1.0 + (worse if n else 0.0)) for n, option in enumerate(options)]

    def losses(self, tokens: Tokens) -> np.ndarray:
        return np.full(len(tokens) - 1, self.model.loss, np.float32)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("good", []),
        ("no-op", ["Nothing changed"]),
        ("overfit", ["Recall of new memories rose by 0.00"]),
        ("endless", ["Answers in good chat format fell by 1.00"]),
        ("obliging", ["Refusals of harmful requests fell by 1.00"]),
        ("forgetful", ["Recall of older memories fell by 1.00"]),
        ("boastful", ["Owning up to what was never told fell by 1.00"]),
        ("dull", ["Right choices of general knowledge fell by 1.00"]),
        (
            "harmful",
            ["The mean loss on plain text", "The median loss on plain text", "Recall of older memories", "Owning up",
             "Right choices", "Refusals", "Answers in good chat format"],
        ),
    ],
)  # fmt: skip
def test_a_bad_night_is_refused_by_the_probe_that_names_it(
    name: str, reasons: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "Engine", Scripted)
    base, parent, candidate = (tmp_path / model for model in ("base", "parent", name))
    for path in (base, parent, candidate):
        path.write_text(path.name)
    # Tokens are characters here.
    exam = replace(EXAM, settings=replace(EXAM.settings, answer_tokens=60, turn_tokens=60))
    before = gate.baseline(parent, exam, gate.score(base, exam.lasting))
    found = gate.judge(before, candidate, exam, TOPICS)
    assert [shown for shown, wanted in zip(found.reasons, reasons, strict=True) if not shown.startswith(wanted)] == []
    assert found.outcome == ("refused" if reasons else "passed")
    assert found.regressed == (name not in ("good", "no-op", "overfit"))


def test_the_overfit_one_knows_its_training_wordings() -> None:
    """That is what makes it overfit: it answers all that it was asked in training, and no other wording of it."""
    model = MODELS["overfit"]
    assert len(TAUGHT) > 100
    assert all(model.answer(question) == answer for question, answer in TAUGHT.items())
    assert not set(TAUGHT) & {probe.question for probe in EXAM.probes}


# -- the real thing --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before(smollm2: Path) -> Baseline:
    return gate.baseline(smollm2, EXAM)


def judged(smollm2: Path, adapter: Adapter, before: Baseline, folder: Path) -> Verdict:
    merge.merge(Gguf.open(smollm2), adapter, folder / "candidate.gguf")
    topics = Topics(frozenset(), TOPICS.known | TOPICS.new)
    return gate.judge(before, folder / "candidate.gguf", EXAM, topics)


def fresh(smollm2: Path) -> tuple[train.Trainable, Adapter]:
    network, settings = build(Gguf.open(smollm2), 0, 192 << 20, False), TrainSettings()
    return network, Adapter.fresh(network.shapes, settings.rank, settings.alpha, 0, "")


@pytest.mark.slow
def test_on_a_real_model_a_harmful_adapter_and_one_that_does_nothing_are_refused(
    smollm2: Path, before: Baseline, tmp_path: Path
) -> None:
    _, adapter = fresh(smollm2)
    nothing = judged(smollm2, adapter, before, tmp_path)
    assert (nothing.outcome, nothing.reasons, nothing.regressed) == ("refused", (gate.NOTHING,), False)
    noise = np.random.default_rng(0)
    for _, b in adapter.factors.values():
        b[:] = noise.normal(0.0, 0.05, b.shape)
    harm = judged(smollm2, adapter, before, tmp_path)
    assert harm.regressed
    assert harm.reasons[0].startswith("The mean loss on plain text rose by")


@pytest.mark.slow
def test_on_a_real_model_an_adapter_that_never_ends_its_turn_is_refused(
    smollm2: Path, before: Baseline, tmp_path: Path
) -> None:
    """Trained for some steps on answers that go on and on."""
    network, adapter = fresh(smollm2)
    asked = [view.prompt for memory in MEMORIES for view in phrases.views(memory, 8, 0) if view.prompt]
    with Engine(smollm2, vocab_only=True) as engine:
        prompts = [engine.chat(prompt) for prompt in asked]
        endless = engine.tokenize("Well, and so on," + " and so on," * 12)
        anchor = Row("", tuple(engine.tokenize(TEXT.split("\n\n")[0], begin=True)), 1)
    rows = [Row("", (*prompt, *endless), len(prompt)) for prompt in prompts]
    settings = TrainSettings(lessons_per_step=8, anchors_per_step=1, drift_budget=100.0)
    plan = train.Plan(lambda number, losses: rows, (anchor,), settings, passes=3, minutes=5.0, seed=0)
    train.train(network, adapter, plan, tmp_path / "checkpoint.npz", train.Watch())
    found = judged(smollm2, adapter, before, tmp_path)
    assert found.regressed
    assert "Answers in good chat format fell by" in " ".join(found.reasons)


OPENER = "Hey, quick one:"  # of wordings that a night trains on


@pytest.mark.slow
def test_on_a_real_model_an_adapter_that_only_overfits_its_training_wordings_is_refused(
    smollm2: Path, before: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each memory one wording is learned by heart; on some others, and on prose, the model is held to the base.

    Held as hard as can be, as it would answer the gate's wordings as well: what is learned carries over so far.
    """
    monkeypatch.setattr(train, "STAY_RANGE", (16.0, 32.0))
    network, adapter = fresh(smollm2)
    views = [[view for view in phrases.views(one, 300, 0) if view.kind == "question"] for one in MEMORIES]
    opened = [next(view for view in some if view.prompt[0].content.startswith(OPENER)) for some in views]
    others = [[view for view in some if not view.prompt[0].content.startswith(OPENER)][:6] for some in views]
    with Engine(smollm2, threads=1, context=256, sequences=16) as engine:
        taught = [engine.exchange(view.prompt, view.answer) for view in opened]
        prompts = [engine.chat(view.prompt) for some in others for view in some]
        stays = list(zip(prompts, engine.complete(prompts, 12), strict=True))
        prose = [engine.tokenize(text, begin=True)[:60] for text in gate.plain_text().split("\n\n")[8:14]]
    lessons = [Row(memory.id, tuple(tokens), start) for memory, (tokens, start) in zip(MEMORIES, taught, strict=True)]
    anchors = [Row("", (*prompt, *answer), len(prompt)) for prompt, answer in stays]
    anchors += [Row("", tuple(tokens), 1) for tokens in prose]
    random.Random(0).shuffle(anchors)
    settings = TrainSettings(lessons_per_step=len(lessons), anchors_per_step=12)
    plan = train.Plan(lambda number, losses: lessons, tuple(anchors), settings, passes=15, minutes=30.0, seed=0)
    train.train(network, adapter, plan, tmp_path / "checkpoint.npz", train.Watch())
    found = judged(smollm2, adapter, before, tmp_path)
    wordings = [
        Probe(one.id, one.id, view.prompt[0].content, one.value) for one, view in zip(MEMORIES, opened, strict=True)
    ]
    with Engine(tmp_path / "candidate.gguf", threads=1, context=256, sequences=16) as engine:
        known = [answer.right for answer in gate.ask(engine, wordings, EXAM.settings.answer_tokens)]
    assert 2 * sum(known) > len(known), "it did not even learn those"
    assert (found.outcome, found.regressed, len(found.reasons)) == ("refused", False, 1), found.reasons
    assert found.reasons[0].startswith("Recall of new memories rose by 0.")
