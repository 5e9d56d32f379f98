"""Drafts: facts before their questions, and what of a clause says something by itself.

Owns what the rules of `rules` and `events` share: drafts, their keys, and whether a part leans on what was said before.
Leaves what is worth keeping to those. Must stay true: of two drafts with one key, only the newer can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edgesleep.night.clauses import Clause
from edgesleep.night.lexicon import (
    DAYS,
    DEFINITE,
    HEADS_OF_NOTHING,
    VAGUE_WORDS,
)
from edgesleep.night.parties import Party
from edgesleep.night.parts import Part
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Target, target


@dataclass(frozen=True)
class Draft:
    """A fact before its questions. `key` is the relation, `topic` the row of wordings, "" for none."""

    clause: Clause
    asked: Target
    kind: str
    key: str
    topic: str = ""


Rule = Callable[[Clause], Iterator[Draft]]


def draft(clause: Clause, part: Part, kind: str, slot: str, topic: str = "") -> Draft | None:
    """A draft that asks for one part; the key tells apart what else was said, but not the value."""
    asked = target(clause, part)
    if asked is None:
        return None
    rest = " ".join(fold(other.phrase) for other in clause.parts if other is not part and kind == "event")
    if topic == "degree":
        asked = replace(asked, short="")
    return Draft(clause, asked, kind, "|".join(filter(None, (owner_of(clause.party), slot, rest))), topic)


def owner_of(party: Party) -> str:
    """A party in a relation: who says we one day says I the next."""
    return "i" if party.is_self else re.sub(r"^our\b", "my", party.text)


def only(clause: Clause, *parts: Part | None) -> Clause:
    """The clause without parts that say nothing by themselves: pronouns, and things known only from context."""
    kept = [part for part in clause.parts if part in parts or not leans(part)]
    return replace(clause, parts=tuple(kept[:4]))


def leans(part: Part) -> bool:
    """Whether a part is understood only next to what was said before it."""
    inside = part.text.lower().split()
    if part.role == "context":
        return False
    if inside[:1] == ["some"]:
        inside = inside[1:]
    if VAGUE_WORDS & {*inside} or inside[:1] in ([], ["any"]) or {"due", "because"} & {*inside}:
        return True
    return inside[0] in DEFINITE and not any(word[:1].isupper() for word in part.text.split()[1:])


def made(draft: Draft | None) -> Iterator[Draft]:
    if draft:
        yield draft


def totalled(clause: Clause) -> Clause:
    """ "a total of 37 coins" is 37 coins."""
    parts = []
    for part in clause.parts:
        match = part.role == "object" and re.fullmatch(
            r"(?:a total of|about|around|over|roughly|exactly) (\d[\d,]*) (.+)", part.text
        )
        parts.append(
            replace(part, text=f"{match[1]} {match[2]}", count=match[1], kind=match[2], noun="") if match else part
        )
    return replace(clause, parts=tuple(parts))


def is_telling(part: Part) -> bool:
    """A name, a number or a described thing, not a word that could stand for anything."""
    if part.noun in HEADS_OF_NOTHING and not (part.count and part.kind):
        return False
    named = any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    return (
        named or part.role in ("span", "clock", "time") or (part.role in ("object", "as", "prep") and bool(part.kind))
    )


def is_weekly(part: Part) -> bool:
    """ "on Tuesdays and Sundays"."""
    days = [word for word in re.findall(r"\w+", part.value.lower()) if word != "and"]
    return part.role == "time" and bool(days) and days[-1].endswith("s") and days[0].removesuffix("s") in DAYS
