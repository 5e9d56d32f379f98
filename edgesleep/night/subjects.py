"""Subjects: who does what, asked for by the doing ("who has our spare key?"), and who a name stands for.

Owns the facts that turn a told clause round so that its subject is the answer. Leaves clauses to `clauses` and their
other questions to `questions`. Must stay true: only a person or an animal of the user's world is asked for, and by
something that tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgesleep.night.clauses import Clause
from edgesleep.night.lexicon import DEFINITE, capital
from edgesleep.night.parties import Party
from edgesleep.night.parts import Part
from edgesleep.night.questions import Fact, framed, yours

_NAMING = {"name", "names", "own name"}


def turned(clause: Clause, topic: str, kind: str) -> Iterator[Fact]:
    """The facts that answer with the subject of a clause."""
    party = clause.party
    if party.plural or party.is_self or not (party.is_human or party.is_animal):
        return
    if topic in _NAMING:
        yield from _who_is(party, clause.parts[0].value)
    elif topic not in ("age", "pet") and not any(_is_vague(part) for part in clause.parts):
        yield from _who_does(clause, kind)


def _is_vague(part: Part) -> bool:
    """Whether a part could be anyone's or is known only from what was said around it."""
    inside = part.text.lower().split()
    named = any(word[:1].isupper() for word in part.text.split())
    return part.role == "other" or (inside[:1] != [] and inside[0] in DEFINITE - {"your"} and not named)


def _who_is(party: Party, name: str) -> Iterator[Fact]:
    noun = party.text.removesuffix(f" {name}")
    own = noun.split()[0] in ("my", "our")
    if not own or " of " in noun or noun == name:
        return
    told = f"{name} is {noun}."
    value = noun.split(" ", 1)[1]
    pairs = [
        (f"who is {name}?", f"who {name} is"),
        (f"what is {name} to me?", f"what {name} is to me"),
        (f"who did I say {name} is?", f"who I said {name} is"),
    ]
    wordings = framed(pairs, value, yours(capital(noun) + "."), yours(told))
    if wordings:
        yield Fact(yours(told), told, value, f"{name.lower()}|is", "relation", wordings)


def _who_does(clause: Clause, kind: str) -> Iterator[Fact]:
    party, rest = clause.party, " ".join(part.phrase for part in clause.parts)
    value = party.name or party.text.split(" ", 1)[-1]
    does = f"{clause.verb.finite} {rest}".strip()
    who = party.text if not party.name or party.name in party.text else f"{party.text} {party.name}"
    own = any(word in ("my", "our", "me", "us") for word in rest.split())
    if not rest or not (party.name or own) or (party.text.split()[0] not in ("my", "our") and not party.name):
        return
    told = f"{who[:1].upper()}{who[1:]} {does}."
    pairs = [
        (f"who {does}?", f"who {does}"),
        (f"who is it that {does}?", f"who it is that {does}"),
        (f"who did I say {does}?", f"who I said {does}"),
    ]
    wordings = framed(pairs, value, yours(capital(who) + "."), yours(told))
    if wordings:
        yield Fact(yours(told), told, value, f"who|{does.lower()}", kind, wordings)
