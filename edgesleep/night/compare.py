"""Compare: what one generation was taught and another was not, and what they answer otherwise.

Owns asking two generations the same held-out questions. Leaves loading to `engine`, a model that is no longer kept to
`generations`. Must stay true: only memories that the caller still holds are asked for, so what was forgotten is not
brought up again; a model that was made again for it goes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from edgesleep.engine import Engine
from edgesleep.night.generations import make
from edgesleep.night.phrases import probes, right
from edgesleep.records import Memory, Message, Probe
from edgesleep.store import Store

CONTEXT, SEQUENCES = 256, 16  # tokens of a question with its answer, and how many are answered side by side


@dataclass(frozen=True)
class Answered:
    """One question that two generations answer otherwise, and which of them is right."""

    memory_id: str
    question: str
    before: str
    after: str
    right_before: bool
    right_after: bool


@dataclass(frozen=True)
class Difference:
    """From one generation to another: ids of memories, and of the questions `asked` those answered otherwise.

    `reworded` were taught in both, but are put otherwise.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reworded: tuple[str, ...]
    asked: int = 0
    answers: tuple[Answered, ...] = ()


def compare(
    store: Store,
    memories: Iterable[Memory],
    before: int,
    after: int,
    limit: int,
    say: Callable[[str], None] = lambda line: None,
) -> Difference:
    """What sets generation `after` apart from `before`; 0 is the base, which was taught nothing.

    Of `memories` those are asked for that either was taught, in one held-out wording each, the answer `limit` tokens
    long at most; with 0 nothing is asked. Raises EdgesleepError for an unknown generation, and where a model that is
    asked cannot be made again. `say` is told what takes time.
    """
    old, new = (_taught(store, number) for number in (before, after))
    # What is asked in the same words is one question, and of its memories the last one is what holds.
    asked = {probe.question: probe for m in memories if m.id in {*old, *new} for probe in probes(m, 1) if limit}
    return Difference(
        tuple(memory for memory in new if memory not in old),
        tuple(memory for memory in old if memory not in new),
        tuple(memory for memory in new if old.get(memory) and new[memory] and old[memory] != new[memory]),
        len(asked),
        tuple(_answers(store, list(asked.values()), (before, after), limit, say)) if asked else (),
    )


def _taught(store: Store, number: int) -> dict[str, str]:
    """The hash of each memory by id; empty where an older manifest lacks it."""
    made = store.generation(number) if number else None
    return {memory: made.memory_sha256.get(memory, "") for memory in made.memory_ids} if made else {}


def _answers(
    store: Store, asked: Sequence[Probe], numbers: tuple[int, int], limit: int, say: Callable[[str], None]
) -> Iterator[Answered]:
    old, new = (ask(store, number, asked, limit, say) for number in numbers)
    for probe, was, now in zip(asked, old, new, strict=True):
        if was != now:
            gold = probe.gold
            yield Answered(probe.memory_id, probe.question, was, now, right(was, gold), right(now, gold))


def ask(
    store: Store, number: int, asked: Sequence[Probe], limit: int, say: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Greedy answers in the chat template, with nothing in context but the question: as the gate asks."""
    say(f"Asking generation {number}: {len(asked)} questions ...")
    with (
        store.lend(number, partial(make, store, number)) as path,
        Engine(path, context=CONTEXT, sequences=SEQUENCES) as engine,
    ):
        prompts = [engine.chat([Message("user", probe.question)]) for probe in asked]
        return [engine.text(tokens).strip() for tokens in engine.complete(prompts, limit)]
