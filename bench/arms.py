"""The arms of bench/learn.py, side by side on the same questions.

Owns what stands in the prompt of each arm, running the nights, and marking the replies. Leaves the data to exams.py,
the rules to scoring.py and looking things up to retrieve.py. `evidence` is shown the very turns that matter, as if by
a perfect search. Must stay true: every arm is asked the same questions after the same days, greedily, by llama.cpp;
the night's arm is the served GGUF with nothing in context but the question; only it makes a file, in a home of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from exams import TOLD, Exam, Question, Said
from retrieve import Lexical, Retriever, Semantic, sentence_model
from scoring import abstains, fold, likeliest, says

from edgesleep.config import Settings
from edgesleep.embed import Embedder
from edgesleep.engine import Engine
from edgesleep.entries import Entry
from edgesleep.journal import Journal
from edgesleep.night import cycle, stages
from edgesleep.records import Dreams, Message, NightReport, load
from edgesleep.store import Store

ARMS = ("nothing", "whole", "evidence", "bm25", "embedding", "night")
FOUND = 3  # turns that a retrieving arm puts into the prompt
BARE = 256  # tokens of question and answer without context

Context = Callable[[Question], Sequence[Said]]


@dataclass(frozen=True)
class Asking:
    """How every arm is asked. `window` is the tokens that prompt and answer may have."""

    threads: int = 0
    window: int = 2048
    answer_tokens: int = 32
    together: int = 8


@dataclass(frozen=True)
class Reply:
    """What came after a night. `right` as its kind wants it; `wrong`: it held the old or the foreign value."""

    night: int
    question: str
    day: int
    kind: str
    text: str
    right: bool
    wrong: bool
    style: str = "plain"
    trained: bool = False  # in this very wording


def marked(question: Question, night: int, text: str) -> Reply:
    """A free answer, marked."""
    wrong = says(text, question.wrong)
    if question.kind in TOLD:
        right = says(text, question.accepted)
    elif question.kind == "abstention":
        right = abstains(text) and not wrong
    else:
        right = not wrong
    return Reply(night, question.id, question.day, question.kind, text, right, wrong, question.style)


def chosen(question: Question, night: int, losses: Sequence[float]) -> Reply:
    """A choice by likelihood, marked; the text is the losses per token, the right answer's first."""
    text = " ".join(f"{loss:.4f}" for loss in losses)
    return Reply(night, question.id, question.day, question.kind, text, likeliest(losses) == 0, False, question.style)


def due(exam: Exam, night: int) -> list[Question]:
    """What is asked after a night."""
    return [question for question in exam.questions if question.holds(night)]


# -- asking ------------------------------------------------------------------------------------------------------------


def prompt(question: str, turns: Sequence[Said]) -> list[Message]:
    """The question, alone or after what was said before, in the form that a small model makes most of (docs/LOG.md)."""
    if not turns:
        return [Message("user", question)]
    lines = "\n".join(f"- {turn.text}" if turn.teaches else f"- ({turn.source}) {turn.text}" for turn in turns)
    return [Message("user", f"{lines}\n\nQuestion: {question}\nAnswer in a few words.")]


def fitted(engine: Engine, question: str, turns: Sequence[Said], room: int) -> list[Said]:
    """The newest turns that leave room for the question, at least one: older ones go first."""
    kept = list(turns)
    while len(kept) > 1 and len(engine.chat(prompt(question, kept))) > room:
        kept.pop(0)
    return kept


def reserve(engine: Engine, questions: Sequence[Question], answer_tokens: int) -> int:
    """Tokens that the longest answer may need."""
    choices = [len(engine.tokenize(choice)) for question in questions for choice in question.choices]
    return max([answer_tokens, *(length + 8 for length in choices)])


def ask(engine: Engine, questions: Sequence[Question], night: int, context: Context, answer_tokens: int) -> list[Reply]:
    """Greedy answers to all questions, and the likeliest choice where there are choices."""
    room = engine.context - reserve(engine, questions, answer_tokens)
    prompts = [prompt(question.text, fitted(engine, question.text, context(question), room)) for question in questions]
    free = [place for place, question in enumerate(questions) if not question.choices]
    tokens = engine.complete([engine.chat(prompts[place]) for place in free], answer_tokens) if free else []
    texts = {place: engine.text(answer).strip() for place, answer in zip(free, tokens, strict=True)}
    replies = []
    for place, question in enumerate(questions):
        if question.choices:
            replies.append(chosen(question, night, choice_losses(engine, prompts[place], question.choices)))
        else:
            replies.append(marked(question, night, texts[place]))
    return replies


def choice_losses(engine: Engine, messages: Sequence[Message], choices: Sequence[str]) -> list[float]:
    """Nats per token of each choice as the assistant's answer, the token that ends the turn left out."""
    losses = []
    for choice in choices:
        tokens, start = engine.exchange(messages, choice)
        tokens = tokens[:-1] if engine.ends(tokens[-1]) else tokens
        cut = max(0, len(tokens) - engine.context)  # of a prompt that is too long the end is kept
        losses.append(float(np.mean(engine.losses(tokens[cut:])[start - cut - 1 :])))
    return losses


# -- arms with a context -----------------------------------------------------------------------------------------------


def in_context(arm: str, base: Path, exam: Exam, asking: Asking) -> list[Reply]:
    """An arm that leaves the model alone, after each day of the exam. Raises Missing for what cannot be had here."""
    embedder = sentence_model(asking.threads) if arm == "embedding" else None
    bare = arm == "nothing"
    replies: list[Reply] = []
    with Engine(
        base,
        threads=asking.threads,
        context=_bare_window(asking) if bare else asking.window,
        sequences=2 * asking.together if bare else asking.together,
    ) as engine:
        for night in range(len(exam.days)):
            questions = due(exam, night)
            context = _context(arm, engine, exam.turns(night), questions, asking, embedder)
            replies += ask(engine, questions, night, context, asking.answer_tokens)
    return replies


def _context(
    arm: str,
    engine: Engine,
    turns: Sequence[Said],
    questions: Sequence[Question],
    asking: Asking,
    embedder: Embedder | None,
) -> Context:
    if arm == "nothing":
        return lambda question: ()
    if arm == "whole":  # cut once, for the longest question: then all prompts begin alike and are read together
        longest = max((question.text for question in questions), key=len, default="")
        room = asking.window - reserve(engine, questions, asking.answer_tokens)
        kept = fitted(engine, longest, turns, room)
        return lambda question: kept
    if arm == "evidence":
        said = [turn for turn in turns if turn.teaches]
        return lambda question: [turn for turn in said if turn.id in (question.record or question.evidence)]
    found: Retriever = Semantic(turns, embedder) if embedder else Lexical(turns)
    return lambda question: found.top(question.text, FOUND)


def _bare_window(asking: Asking) -> int:
    return max(BARE, 2 * asking.answer_tokens)


# -- the night's arm ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slept:
    """After one night: how it went, the file that is served now (gone with the next night), and its replies."""

    night: int
    report: NightReport
    model: Path
    replies: list[Reply]


def nights_of(
    base: Path, spec: str, exam: Exam, settings: Settings, asking: Asking, watch: stages.Watch | None = None
) -> Iterator[Slept]:
    """Tell a day, sleep, ask the served file; for each day of the exam in one home, which goes at the end."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        Store.open(home).adopt_base(base, spec)
        for night, day in enumerate(exam.days):
            with Journal.open(home) as journal:
                journal.log_many(Entry(turn.role, turn.text, turn.source, exam.name, turn.at) for turn in day)
            report = cycle.run_night(home, settings, watch)
            model = Store.open(home).model_path()
            replies = without_context(model, exam, night, asking)
            yield Slept(night, report, model, without_trained(replies, exam, lessons_of(home, base)))


def lessons_of(home: Path, base: Path) -> list[str]:
    """All that a home's nights have trained on, as text, its words apart by one space."""
    with Engine(base, vocab_only=True) as engine:
        dreams = [load(Dreams, path) for path in sorted((home / "nights").glob("*/dreams*.json"))]
        return [f" {' '.join(fold(engine.text(row.tokens)))} " for one in dreams for row in one.lessons]


def without_trained(replies: Sequence[Reply], exam: Exam, lessons: Sequence[str]) -> list[Reply]:
    """The replies, marked where a night met the very wording: it is a natural one to meet, but proves little."""
    texts = {question.id: f" {' '.join(fold(question.text))} " for question in exam.questions}
    trained = {name for name, text in texts.items() if any(text in lesson for lesson in lessons)}
    return [replace(reply, trained=reply.question in trained) for reply in replies]


def without_context(model: Path, exam: Exam, night: int, asking: Asking) -> list[Reply]:
    """A file asked after a night, with nothing but the question."""
    window = _bare_window(asking)
    with Engine(model, threads=asking.threads, context=window, sequences=2 * asking.together) as engine:
        return ask(engine, due(exam, night), night, lambda question: (), asking.answer_tokens)
