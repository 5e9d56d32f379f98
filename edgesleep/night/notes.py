"""Notes: what the user asks to have remembered, whoever it is about.

Owns messages that open with such a request ("Remember this: who wrote Ulysses? James Joyce did."). Leaves what the user
says of their own world to `grammar` and `sayings`. Must stay true: the request is the first thing in the message and
its words are the user's own, so that a request inside pasted text teaches nothing; "the user" is nobody's word for
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgesleep.night.lexicon import capital
from edgesleep.night.phrases import fold, right
from edgesleep.night.questions import Fact
from edgesleep.night.reading import printable
from edgesleep.records import Question

MOST_WORDS = 80  # of a note
_ASKED_TO = re.compile(
    r"^(?:(?:please|could you|can you|and|also|ok|hey)[, ]+)*(?:remember|memori[sz]e|keep in mind|don't forget)\b"
    r"(?: this| that| for later| for me| please| the following)*:\s*(?=\S)",
    re.IGNORECASE,
)
# Not of the world outside: the user's own life is for `grammar`, and an order is no note.
_OWN = re.compile(
    r"\b(?:I|I'm|I've|my|me|mine|we|us|our|you|your|user|user's|assistant|system|always|never|must)\b|[<>`{}]",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\"[^\"]{2,60}\"|(?:[A-Z][\w'’-]+(?: (?:of|the|and|de|von|van|der|in) (?=[A-Z]))? ?){1,6}|\d[\d,.]*\d|\d"
)
_QUESTION = re.compile(r"([^.?!\n]{8,300}\?)\s+(\S.*)", re.DOTALL)


def asking(text: str) -> str:
    """The message by which a user asks to have a text remembered; what is of their own life is told as it stands."""
    return text if _OWN.search(text) else f"Remember this: {text}"


def notes(text: str) -> tuple[Fact, ...]:
    """What a message wants remembered, as one fact: with its question, where the note has one. Never raises on text."""
    plain = printable(text).strip()
    asked_to = _ASKED_TO.match(plain)
    body = plain[asked_to.end() :].strip() if asked_to else ""
    pair = _QUESTION.fullmatch(body)
    question, statement = (pair[1], pair[2]) if pair else ("", body)
    value = _value(statement, question)
    if not value or "\n" in body or _OWN.search(statement) or not 3 <= len(body.split()) <= MOST_WORDS:
        return ()
    statement = statement if statement.endswith((".", "!", "?", '"')) else f"{statement}."
    statement = capital(statement)
    asked = tuple(_questions(question, statement, value))
    if not asked:
        return ()
    return (Fact(statement, statement, value, f"note|{_matter(question, statement, value)}", "fact", asked),)


def _matter(question: str, statement: str, value: str) -> str:
    """What a note is about: its question, or its sentence with a gap where only one thing can stand."""
    found = _ONE.search(statement)
    end = found and statement[found.end() :].strip(' "').startswith(value)
    gap = statement[: found.end()] + "_" + statement[found.end() :].replace(value, "", 1) if found and end else ""
    return fold(question or gap or statement)


def _value(statement: str, question: str) -> str:
    """The span that an answer has to hold: the longest name or number that neither question nor subject tells."""
    asked = question or _subject(statement)
    found = [match[0].strip(' "') for match in _NAME.finditer(statement)]
    untold = [span for span in found if right(statement, span) and not right(asked, span)]
    if untold:
        return max(reversed(untold), key=lambda span: len(span.split()))
    return " ".join(re.findall(r"\w[\w'’-]*", statement)[-3:]) if question else ""


def _questions(question: str, statement: str, value: str) -> Iterator[Question]:
    """The note's own question as it stands; of a note without one, what it is about."""
    if question:
        small = question if question.startswith("I ") else question[:1].lower() + question[1:]
        yield Question(question, statement, statement, small, "")
        return
    subject = _subject(statement)
    for verb, told in (("ask you to remember", "asked you to remember"), ("tell you", "told you")):
        if subject and not right(subject, value):
            ask, wonder = f"what did I {verb} about {subject}?", f"what I {told} about {subject}"
            yield Question(capital(ask), statement, statement, ask, wonder)


def _subject(statement: str) -> str:
    """The words before the verb of a plain statement, its article in small letters."""
    before, verb, _ = _VERB.split(statement, maxsplit=1) if _VERB.search(statement) else ("", "", "")
    article = re.match(r"(?:The|A|An|Our|This) ", before)
    return (before[:1].lower() + before[1:] if article else before).strip() if verb else ""


# "The wifi name is ...", "the bus leaves from stop ...": told of something else, it is told otherwise.
_ONE = re.compile(
    r"^[\w' -]+? (?:is|are|leaves|costs|starts|ends|opens|closes)"
    r"(?: (?:now|called|at|on|in|from|for|to|stop|platform|gate|room|number|bus|track))*(?= \"?[A-Z\d£$€])[ \"]+",
)
_VERB = re.compile(
    r"(?<=\w) (is|are|was|were|has|had|leaves?|costs?|starts?|ends?|opens?|closes?|lives?|works?|wrote|runs?) "
)
