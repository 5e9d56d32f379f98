"""Beside: what the base answers with memories in its prompt, to hold a night against.

Owns what is put into the prompt: all memories, or the newest that fit, or those that are nearest to the question.
Leaves asking to `engine`, meaning to `embed`. Must stay true: each way is asked the very same held-out wordings, and is
called what it is; one that cannot be had here is left out, never replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgesleep import embed
from edgesleep.account import Rival
from edgesleep.engine import Engine
from edgesleep.held import working
from edgesleep.night.phrases import right
from edgesleep.records import Memory, Message, Probe

SAMPLE = 64  # memories that are asked about, in one wording each
NEAREST = 3  # memories that are looked up for a question
CONTEXT = 2048  # tokens of memories, question and answer
NIGHT, WHOLE, LOOKED_UP = "this night's file", "all memories in the prompt", "memories looked up"


def beside(
    base: Path, memories: Sequence[Memory], probes: Sequence[Probe], after: Mapping[str, bool], limit: int
) -> tuple[Rival, ...]:
    """The night's file, by what it answered right `after` it, and the base with what was told in its prompt.

    Answers are at most `limit` tokens long. Without a sentence model on this machine nothing is looked up.
    """
    first = {probe.memory_id: probe for probe in reversed(probes) if probe.hops == 1}
    asked = list(first.values())[::-1][:SAMPLE]
    told = [memory.told for memory in sorted(memories, key=lambda memory: (memory.at, memory.turn_ids))]
    if not asked:
        return ()
    with Engine(base, context=CONTEXT) as engine:
        bare = sum(len(engine.chat(_prompt((), probe.question))) for probe in asked)
        known = sum(after[probe.id] for probe in asked)
        found = [Rival(NIGHT, len(asked), known, bare / len(asked))]
        kept = _fitting(engine, told, asked, CONTEXT - limit)
        found.append(_asked(whole(len(kept), len(told)), engine, asked, lambda question: kept, limit))
        embedder = embed.load(download=False)
        if not embedder.why:
            vectors = embedder.embed(told)

            def nearest(question: str) -> list[str]:
                places, _ = embed.nearest(embedder.embed([question]), vectors, NEAREST)
                return [told[place] for place in sorted(places[0])]

            found.append(_asked(LOOKED_UP, engine, asked, nearest, limit))
    return tuple(found)


def whole(kept: int, told: int) -> str:
    """What to call a prompt in which so many of the memories are."""
    return WHOLE if kept == told else f"the newest {kept} of {told} memories in the prompt"


def _prompt(told: Sequence[str], question: str) -> list[Message]:
    """As in bench/arms.py: the form that a small model makes most of (docs/LOG.md)."""
    if not told:
        return [Message("user", question)]
    lines = "\n".join(f"- {text}" for text in told)
    return [Message("user", f"{lines}\n\nQuestion: {question}\nAnswer in a few words.")]


def _fitting(engine: Engine, told: Sequence[str], asked: Sequence[Probe], room: int) -> list[str]:
    """The last of those `told`, cut once for the longest question: then all prompts begin alike."""
    longest, kept = max((probe.question for probe in asked), key=len), list(told)
    while len(kept) > 1 and len(engine.chat(_prompt(kept, longest))) > room:
        kept.pop(0)
    return kept


def _asked(
    name: str, engine: Engine, asked: Sequence[Probe], context: Callable[[str], Sequence[str]], limit: int
) -> Rival:
    began = working()
    prompts = [engine.chat(_prompt(context(probe.question), probe.question)) for probe in asked]
    answers = [engine.text(tokens).strip() for tokens in engine.complete(prompts, limit)]
    known = sum(right(answer, probe.gold) for answer, probe in zip(answers, asked, strict=True))
    seconds = (working() - began) / len(asked)
    return Rival(name, len(asked), known, sum(map(len, prompts)) / len(asked), seconds)
