"""Forms: what a model may write when it proposes memories, in lines of JSON, and reading them back.

Owns the form of proposals in JSON, and for llama.cpp in GBNF. Leaves what they have to mean to `proposals`. Must stay
true: whatever the model, a quote is one of the claims that it was shown, and its subject and value are words of that
claim, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import msgspec

MOST = 2  # proposals of one claim
NONE = "none"  # where there is nothing to propose

# Quote, subject and value are the claim's (see `_of_claim`); the rest the model words itself.
_RULES = r"""
about ::= free{2,24}
question ::= ("What" | "Which" | "Who" | "Where" | "When" | "How") free{4,120} "?"
statement ::= free{8,200}
free ::= [^"\\\x00-\x1F<>{}?]
"""


@dataclass(frozen=True)
class Proposal:
    """One thing that a model would remember, in the user's mouth: the `value` is what is asked for."""

    quote: str
    subject: str
    value: str
    about: str
    question: str
    statement: str


def shown(claim: str) -> str:
    """A claim as the model may quote it: without what would end a string."""
    return " ".join(re.sub(r'[\x00-\x1f"\\<>{}]', " ", claim).split())


def grammar(claims: Sequence[str]) -> str:
    """What may be written of these claims, in GBNF: up to so many proposals of each in their order, each on a line."""
    rules = [f'root ::= "{NONE}" | {" ".join(f"item{number}{{0,{MOST}}}" for number in range(len(claims)))}']
    for number, claim in enumerate(claims):
        rules += _of_claim(claim, number)
    return "\n".join(rules) + _RULES


def _of_claim(claim: str, number: int) -> Iterator[str]:
    """The rules of a proposal that quotes this claim. `words` is any run of its words; each begins one that goes on."""
    words = [bare for word in claim.split() if (bare := word.strip(".,;:!?…()'’"))]
    starts = [f"w{number}x{place}" for place in range(len(words))]
    yield f"words{number} ::= {' | '.join(starts)}"
    for place, word in enumerate(words):
        yield f"{starts[place]} ::= {_quoted(word)}" + (f' (" " {starts[place + 1]})?' if words[place + 1 :] else "")
    own = {"quote": _quoted(claim), "subject": f'("I" | "We" | words{number})', "value": f"words{number}"}
    named = [_quoted(f'"{field.name}": "') + f" {own.get(field.name, field.name)}" for field in fields(Proposal)]
    begin, between, end = _quoted("{"), _quoted('", '), _quoted('"}') + r' "\n"'
    yield f"item{number} ::= {begin} {f' {between} '.join(named)} {end}"


def _quoted(text: str) -> str:
    """The text itself, as GBNF writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(proposals: Sequence[Proposal]) -> str:
    """Proposals as the grammar has them."""
    lines = (msgspec.json.format(msgspec.json.encode(one), indent=0).decode() for one in proposals)
    return "\n".join(lines) or NONE


def parsed(text: str) -> Iterator[Proposal]:
    """The proposals in what a model wrote, each that is whole."""
    for found in re.findall(r"{[^{}]*}", text):
        try:
            yield msgspec.json.decode(found, type=Proposal)
        except msgspec.MsgspecError:
            continue
