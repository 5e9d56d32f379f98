"""General ability of a GGUF before and after: loss on plain text, and four standard tasks, paired item by item.

Owns C4 and WikiText-2 from DATA/retention_text (nats per token, mean and median) and LAMBADA, HellaSwag, ARC-Easy and
PIQA from DATA/retention_tasks (log-likelihood per byte of each choice; LAMBADA: whether the word is the greedy one).
Reads a model only through llama.cpp. Two scores may be compared only where they have the same texts and items, which
`compare` checks; the difference of two losses is taken token by token, of two accuracies item by item.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesleep.engine import Engine

CHARACTERS = 1200  # of a document: about 250 tokens, so that many kinds of text count
DOCUMENTS = 40
CONTEXT = 1024
CHOICES = ("hellaswag", "arc_easy", "piqa")
TASKS = ("lambada", *CHOICES)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Ability:
    """One file's scores: the loss of every token by text, and by task what became of every item.

    `right` holds whether an item was right, `gold` the log-likelihood of its gold continuation in nats per byte.
    """

    losses: dict[str, Floats]
    right: dict[str, list[bool]]
    gold: dict[str, list[float]]


def texts(data: Path) -> dict[str, list[str]]:
    """The beginnings of web documents and of paragraphs of Wikipedia, by name."""
    folder = data / "retention_text"
    web = [json.loads(line)["text"] for line in (folder / "c4_web.jsonl").read_text("utf-8").splitlines()]
    wiki = [part for part in (folder / "wikitext2_valid.txt").read_text("utf-8").split("\n") if len(part) > 200]
    named = (("c4", web), ("wikitext2", wiki))
    return {name: [" ".join(part.split())[:CHARACTERS] for part in parts[:DOCUMENTS]] for name, parts in named}


def items(data: Path, task: str, limit: int) -> list[dict[str, Any]]:
    """The first items of a task as they are in the file; all of them where the limit is 0."""
    lines = (data / "retention_tasks" / f"{task}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return rows[:limit] if limit else rows


def measure(path: Path, data: Path, limit: int, threads: int) -> Ability:
    """Read all texts and answer the first `limit` items of every task."""
    losses: dict[str, Floats] = {}
    right: dict[str, list[bool]] = {}
    gold: dict[str, list[float]] = {}
    with Engine(path, threads=threads, context=CONTEXT) as engine:
        for name, parts in texts(data).items():
            losses[name] = np.concatenate([engine.losses(engine.tokenize(part, begin=True)) for part in parts])
        for task in TASKS:
            answer = word if task == "lambada" else choice
            answers = [answer(engine, item) for item in items(data, task, limit)]
            right[task] = [ok for ok, _ in answers]
            gold[task] = [likelihood for _, likelihood in answers]
    return Ability(losses, right, gold)


def word(engine: Engine, item: dict[str, Any]) -> tuple[bool, float]:
    """LAMBADA: whether the last word is what the model would write, and its log-likelihood per byte."""
    text = " " + str(item["continuation"]).strip()
    context, tokens = _split(engine, item["context"], text)
    rows = np.concatenate([np.array(part) for part in engine.logits(context + tokens)])[len(context) - 1 : -1]
    picked = rows[np.arange(len(tokens)), tokens]
    top = rows.max(axis=1)
    norm = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    greedy = bool((rows.argmax(axis=1) == np.array(tokens)).all())
    return greedy, float((picked - norm).sum() / len(text.encode()))


def choice(engine: Engine, item: dict[str, Any]) -> tuple[bool, float]:
    """Whether the gold choice is the likeliest per byte, and its log-likelihood per byte."""
    found = [continuation(engine, _opened(item["query"]), " " + str(text).strip()) for text in item["choices"]]
    best = max(range(len(found)), key=lambda place: found[place])
    return best == item["gold"], found[item["gold"]]


def continuation(engine: Engine, context: str, text: str) -> float:
    """Log-likelihood of `text` after `context`, in nats per byte of it."""
    before, tokens = _split(engine, context, text)
    losses = engine.losses(before + tokens)[len(before) - 1 :]
    return -float(losses.sum()) / len(text.encode())


def _opened(query: str) -> str:
    """A question is given where its answer goes, as is usual for these tasks."""
    return f"{query}\nAnswer:" if query.startswith("Question:") else query


def _split(engine: Engine, context: str, text: str) -> tuple[list[int], list[int]]:
    """Tokens of both; of a context that is too long the end is kept."""
    tokens = engine.tokenize(text)
    before = engine.tokenize(context, begin=True)
    return before[-(engine.context - len(tokens)) :], tokens


# -- before and after --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What changed from one file to another, with the standard error of the pairs.

    For a text nats per token (`middle` is the median over tokens), for a task points of accuracy; `gold` is the mean
    change of the gold answer's log-likelihood per byte.
    """

    name: str
    before: float
    after: float
    change: float
    error: float
    middle: float
    gold: float


def compare(before: Ability, after: Ability) -> list[Change]:
    """Text by text and task by task. Raises ValueError where the two were asked different things."""
    changes = []
    for name, losses in before.losses.items():
        difference = _paired(after.losses[name], losses)
        middle = float(np.median(difference))
        means = float(losses.mean()), float(after.losses[name].mean())
        changes.append(Change(name, *means, float(difference.mean()), _error(difference), middle, 0.0))
    for name, right in before.right.items():
        points = 100 * _paired(after.right[name], right)
        gold = _paired(after.gold[name], before.gold[name])
        shares = 100 * float(np.mean(right)), 100 * float(np.mean(after.right[name]))
        mean, middle = float(points.mean()), float(np.median(points))
        changes.append(Change(name, *shares, mean, _error(points), middle, float(gold.mean())))
    return changes


def _paired(after: Sequence[float] | Floats, before: Sequence[float] | Floats) -> NDArray[np.float64]:
    if len(after) != len(before) or not len(before):
        raise ValueError(f"{len(before)} items before and {len(after)} after cannot be paired.")
    return np.asarray(after, np.float64) - np.asarray(before, np.float64)


def _error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
