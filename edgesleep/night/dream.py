"""Dream: memories become lessons, and the frozen base writes the text it must stay itself on.

Owns turning views into token rows in the model's own chat template, and the
anchors. Leaves wording to `phrases`, learning to `train`. Invariant: a probe's
wording never becomes a lesson; anchors come from the base alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import numpy as np

from edgesleep.config import DreamSettings
from edgesleep.engine import Engine
from edgesleep.model import Tokens
from edgesleep.night import links, phrases, standing, untold
from edgesleep.records import Agenda, Dreams, Memory, Message, PassScore, Row, View

Words = tuple[str, ...]

WEIGHTS = (0.5, 2.0)  # least and most of what a memory's lessons are multiplied by after a pass
OWNING = (0.1, 1.0)  # the same for the lessons about what was never told
DOUBT = 0.05  # share of wrong answers that is taken for granted, so that none is not infinitely better than few
RESTING = 3  # a memory that is not due has one in so many of the views of a new one
RESTED = 15  # new memories: all that are not due have as many views as these at most, or as all that are, if more
TELLING = 5  # words from which on a standing wording is itself wherever it stands; a book may be called "Good Night"
UNTOLD = 24  # probes about things never told
FREQUENT = 1000  # ids of tokens that are all about equally frequent: single bytes, and the first merges


def dream(
    agenda: Agenda,
    engine: Engine,
    settings: DreamSettings,
    seed: int,
    losses: Mapping[str, float] = MappingProxyType({}),
    score: PassScore | None = None,
    *,
    teach: bool = False,
) -> Dreams:
    """Lessons and held-out probes for every memory; fewer lessons for those known from an earlier night.

    `losses` are those of each memory's lessons in the pass before, whose wordings were new in it: they say how badly it
    is known, and of what is known worse there are more this time. `score` is what the model answered after that pass:
    what was missed then rests no longer.
    The wordings follow from the seed, the probes do not. Where the base is to `teach`, questions have a teacher.
    What one memory is asked for may be how another is taught ("What pet do I have?", where there are two): such lessons
    are left out.
    """
    memories = links.told_apart(agenda.memories)
    agenda = replace(agenda, resting=agenda.resting.difference(score.missed if score else ()))
    linked_all = links.linked(memories)
    wanted: list[float] = []
    for memory, linked in zip(memories, linked_all, strict=True):
        other_names = len(phrases.wordings(linked)) - len(phrases.wordings(memory))
        wanted.append(_count(memory, other_names, agenda, settings.views) * _weight(losses, memory.id))
    counts = _bounded(wanted, [_rests(memory, agenda) for memory in memories], settings.views, seed)
    views = [
        view for linked, count in zip(linked_all, counts, strict=True) for view in phrases.views(linked, count, seed)
    ]
    views += untold.lessons(memories, round(settings.untold * _owning(score) * len(views)), seed, agenda.said)
    probes = tuple(probe for memory in linked_all for probe in phrases.probes(memory, settings.probes))
    probes += links.two_hops(memories) + untold.probes(memories, UNTOLD, agenda.said)
    # Also those that are not asked tonight, as another memory shares them: a later night may ask them again.
    held_out = (memory.held_out for memory in agenda.memories if memory.held_out)
    common = set(map(_folded, standing.bundled().wordings))
    whole = {wording for wording in common if len(wording) < TELLING}
    held = {*map(_folded, (*held_out, *(probe.question for probe in probes))), *common} - whole
    told = {memory.id: memory.told for memory in memories} if teach else {}
    return Dreams(tuple(_row(view, engine, told) for view in views if not _gives_away(view, held, whole)), probes)


def _count(memory: Memory, other_names: int, agenda: Agenda, views: int) -> int:
    """How many views: one more for each wording by another name, and half for what is known or stands as it was said.

    What rests keeps some, as what is hardly met fades beside new lessons. What its owner pinned is never taken for
    known. What no rule reads is learned half as well for each view, and is oftener of no use.
    """
    if _rests(memory, agenda):
        return max(views // RESTING, 1)
    known = memory.id in agenda.known and not memory.pinned
    return (views // 2 if known or memory.kind == "saying" else views) + other_names


def _rests(memory: Memory, agenda: Agenda) -> bool:
    return memory.id in agenda.resting and not memory.pinned


def _bounded(wanted: Sequence[float], resting: Sequence[bool], views: int, seed: int) -> list[int]:
    """Whole numbers of views; those that rest share so many that no night grows with all that was ever learned.

    Beyond that whole numbers are drawn, so that each has its turn within some passes.
    """
    rest = sum(count for count, rests in zip(wanted, resting, strict=True) if rests)
    share = max(RESTED * views, sum(wanted) - rest) / max(rest, 1)
    if share >= 1:
        return [max(round(count), 1) for count in wanted]
    drawn = np.random.default_rng(seed).random(len(wanted))
    return [
        int(count * share + chance) if rests else max(round(count), 1)
        for count, rests, chance in zip(wanted, resting, drawn, strict=True)
    ]


def _weight(losses: Mapping[str, float], memory_id: str) -> float:
    """How many times its lessons a memory has in a pass: its loss over the mean of all, within limits."""
    mean = sum(losses.values()) / len(losses) if losses else 0.0
    least, most = WEIGHTS
    return max(least, min(most, losses.get(memory_id, mean) / mean)) if mean > 0 else 1.0


def _owning(score: PassScore | None) -> float:
    """How many times the usual share of lessons say that something was never told: wrong answers there over wrong ones.

    Both are learned from one budget of drift. Where a day is hard to learn, a fixed share made a model own up to what
    it was told (docs/LOG.md).
    """
    if score is None or score.abstained is None:
        return 1.0
    least, most = OWNING
    return max(least, min(most, (1 - score.abstained + DOUBT) / (1 - score.recall + DOUBT)))


def _gives_away(view: View, held: Set[Words], whole: Set[Words] = frozenset()) -> bool:
    """Whether a lesson contains a held-out wording, or asks one of those that only count as a `whole`."""
    words = _folded(" ".join([*(message.content for message in view.prompt), view.answer]))
    return any(_folded(message.content) in whole for message in view.prompt) or any(
        words[start : start + length] in held
        for length in {len(wording) for wording in held}
        for start in range(len(words) - length + 1)
    )


def _folded(text: str) -> Words:
    return tuple(phrases.fold(text).split())


def _row(view: View, engine: Engine, told: Mapping[str, str]) -> Row:
    """A view in tokens; a question about what was `told` has its teacher's prompt."""
    tokens, start = engine.exchange(view.prompt, view.answer)
    teacher: Sequence[int] = ()
    if view.kind in ("question", "short") and view.memory_id in told:
        teacher = engine.chat(phrases.reminded(told[view.memory_id], view.prompt[-1].content))
    return Row(view.memory_id, tuple(tokens), start, tuple(teacher))


class Base(Protocol):
    """The frozen base, which goes on with texts."""

    def complete(
        self, prompts: Sequence[Tokens], limit: int, *, temperature: float = 0.0, seed: int = 0
    ) -> list[list[int]]: ...


def anchors(engine: Engine, base: Base, settings: DreamSettings, seed: int) -> tuple[Row, ...]:
    """Texts sampled from the base at temperature 1, each from one random token on: half chat, half prose.

    Breadth matters more than weight: 20 such texts leave +0.13 nat on unseen
    web text, 160 leave +0.02 (DESIGN.md section 2).
    """
    chats = settings.anchors // 2
    starts = _starts(engine.vocab_size, settings.anchors, seed)
    rows = _chats(engine, base, starts[:chats], settings.anchor_tokens, seed)
    return tuple(rows + _prose(engine, base, starts[chats:], settings.anchor_tokens, seed + 1))


def _starts(vocabulary: int, count: int, seed: int) -> list[int]:
    """Random tokens, about as often as texts have them: density 1 / (id + FREQUENT), after Zipf and Mandelbrot.

    A tokenizer numbers its tokens from frequent to rare. Drawn evenly, most starts would be of scripts and languages
    that the model hardly knows, and it would stay itself on those.
    """
    shares = np.random.default_rng(seed).random(count)
    return [int(FREQUENT * ((vocabulary / FREQUENT + 1) ** share - 1)) for share in shares]


def _chats(engine: Engine, base: Base, starts: Sequence[int], length: int, seed: int) -> list[Row]:
    """The base writes both sides: a request of a third of the length, then its answer."""
    opening = engine.opening()
    requests = base.complete([[*opening, start] for start in starts], length // 3, temperature=1.0, seed=seed)
    said = [engine.text([start, *request]) for start, request in zip(starts, requests, strict=True)]
    prompts = [engine.chat([Message("user", text)]) for text in said]
    answers = base.complete(prompts, length - length // 3, temperature=1.0, seed=seed)
    return [Row("", (*prompt, *answer), len(opening)) for prompt, answer in zip(prompts, answers, strict=True)]


def _prose(engine: Engine, base: Base, starts: Sequence[int], length: int, seed: int) -> list[Row]:
    begin = engine.tokenize("", begin=True)
    prompts = [[*begin, start] for start in starts]
    texts = base.complete(prompts, length, temperature=1.0, seed=seed)
    # From the first place on: what the base begins a text with is also to stay.
    return [Row("", (*prompt, *text), len(begin)) for prompt, text in zip(prompts, texts, strict=True)]
