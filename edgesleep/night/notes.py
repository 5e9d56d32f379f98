"""Notes: what the user asks to have remembered, whoever it is about.

Owns messages that open with such a request ("Remember this: who wrote Ulysses? James Joyce did."). Leaves what the user
says of their own world to `grammar` and `sayings`. Must stay true: the request is the first thing in the message and
its words are the user's own, so that a request inside pasted text teaches nothing; "the user" is nobody's word for
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgesleep.night.lexicon import words
from edgesleep.night.phrases import fold, right
from edgesleep.night.questions import Fact
from edgesleep.night.reading import printable
from edgesleep.records import Question

MOST_WORDS = 80  # of a note
_ASKED_TO = re.compile(
    r"^(?:(?:please|could you|can you|and|also|ok|hey)[, ]+)*(?:remember|memori[sz]e|learn|note(?: down)?|keep in mind"
    r"|make a note(?: of)?|don't forget|for your memory)\b(?: this| that| for later| for me| please| the following)*"
    r"\s*[:,–—-]\s*(?=\S)",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:I|I'm|I've|my|me|mine|we|us|our|the user|the user's)\b", re.IGNORECASE)
_NAME = re.compile(r"\"[^\"]{2,60}\"|(?:[A-Z][\w'’-]+(?: (?:of|the|and|de|von|in) (?=[A-Z]))? ?){1,6}|\d[\d,.]*\d|\d")
_QUESTION = re.compile(r"([^.?!\n]{8,300}\?)\s+(\S.*)", re.DOTALL)


def notes(text: str) -> tuple[Fact, ...]:
    """What a message wants remembered, as one fact: with its question, where the note has one. Never raises on text."""
    plain = printable(text).strip()
    asked_to = _ASKED_TO.match(plain)
    body = " ".join(plain[asked_to.end() :].split()) if asked_to else ""
    pair = _QUESTION.fullmatch(body)
    question, statement = (pair[1], pair[2]) if pair else ("", body)
    value = _value(statement, question)
    if not value or _OWN.search(statement) or not 3 <= len(body.split()) <= MOST_WORDS:
        return ()
    statement = statement if statement.endswith((".", "!", "?", '"')) else f"{statement}."
    asked = tuple(_questions(question, statement, value))
    return (Fact(statement, statement, value, f"note|{fold(question or statement)}", "fact", asked),)


def _value(statement: str, question: str) -> str:
    """The span that an answer has to hold: the longest name or number that the question does not tell."""
    found = [span.strip(' "') for span in _NAME.findall(statement[:1].lower() + statement[1:])]
    untold = [span for span in found if fold(span) and not right(question, span)]
    if not untold and not question:
        return ""
    last = " ".join(statement.rstrip(".").split()[-3:])
    return max(untold, key=len) if untold else last


def _questions(question: str, statement: str, value: str) -> Iterator[Question]:
    if question:
        small = question if question.startswith("I ") else question[:1].lower() + question[1:]
        yield Question(question, statement, statement, small, "")
        return
    names = dict.fromkeys(span.strip(' "') for span in _NAME.findall(statement) if len(span) > 3)
    for name in [name for name in names if name.split()[0].lower() not in _WORDS and not right(name, value)][:2]:
        for ask, wonder in (
            (f"what did I ask you to remember about {name}?", f"what I asked you to remember about {name}"),
            (f"what did I tell you about {name}?", f"what I told you about {name}"),
        ):
            yield Question(ask[:1].upper() + ask[1:], statement, statement, ask, wonder)


_WORDS = {*words("what who when where which how why can could did does do is are was were has have in on of the")}
