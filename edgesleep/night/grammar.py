"""Grammar: the facts in a message, each with its questions and answers, by the parse of its sentences.

Owns the way of a message through the rules, and what every fact must keep to. Leaves the user's own voice to
`reading`, clauses to `clauses`, what is worth keeping to `rules` and wordings to `questions`. Must stay true: the value
of a fact is a span of the message; a fact comes with at least six sound wordings or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from edgesleep.night.appointments import appointments
from edgesleep.night.asides import made_and_named, nicknames, restated, took, works
from edgesleep.night.clauses import clauses
from edgesleep.night.consequences import consequences
from edgesleep.night.drafts import Draft
from edgesleep.night.events import lasting
from edgesleep.night.fragments import fragments
from edgesleep.night.habits import habits
from edgesleep.night.health import health
from edgesleep.night.hearsay import hearsay, talks
from edgesleep.night.introductions import introductions
from edgesleep.night.latecomers import latecomers
from edgesleep.night.lexicon import NEED_OBJECT, VAGUE_WORDS
from edgesleep.night.limits import limits
from edgesleep.night.orders import orders
from edgesleep.night.parties import Cast
from edgesleep.night.parts import spoken_run
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, questions, statement, yours
from edgesleep.night.reading import Parser, Word, read, spoken_text
from edgesleep.night.roles import roles
from edgesleep.night.rules import RULES
from edgesleep.night.subjects import turned
from edgesleep.night.tallies import tallies
from edgesleep.night.threads import placed, since
from edgesleep.night.travels import travelled
from edgesleep.night.whereabouts import whereabouts

MAX_VALUE_WORDS, MAX_STATEMENT_WORDS = 12, 28


def facts(
    text: str, nlp: Parser, cast: Cast | None = None, spoken: Sequence[Sequence[Word]] | None = None
) -> tuple[Fact, ...]:
    """The facts of one message of the user, in the order in which they are told. Never raises on text.

    One `cast` for all messages of a day lets a later message speak of those whom an earlier one introduced. What was
    `spoken` is the message as `read` has it, where that was done before.
    """
    cast = cast if cast is not None else Cast()
    cast.turn(spoken_text(text))
    whole = travelled(placed(text, cast.spoken, cast.before, nlp))
    if spoken is None or whole != text:
        spoken = list(read(whole, nlp, cast.spelt))
    text, own = whole, cast.spoken
    found: dict[str, Fact] = {}
    before: Sequence[Word] = ()
    plain = " ".join([text, *(spoken_run(sentence) for sentence in spoken)])
    for sentence in spoken:
        drafts = [*_drafts(sentence, before, cast), *limits(sentence, cast, own), *appointments(sentence, own)]
        drafts += hearsay(sentence, before, cast)
        more = chain(
            roles(sentence, cast),
            whereabouts(sentence, cast),
            health(sentence, own),
            habits(sentence),
            tallies(sentence, before, own),
        )
        before = sentence
        for fact in chain(*(_finished(draft, text, plain) for draft in drafts), _grounded(more, text)):
            found.setdefault(fact.statement + fact.value, fact)
    for fact in chain(_grounded(chain(fragments(own, cast.before), since(own), talks(own)), text), orders(text, nlp)):
        found.setdefault(fact.statement + fact.value, fact)
    told = tuple(found.values())
    return (*told, *consequences(own, told))


def _grounded(told: Iterable[Fact], text: str) -> Iterator[Fact]:
    """The facts whose value stands in the message."""
    message = f" {fold(text)} "
    return (fact for fact in told if fold(fact.value) and f" {fold(fact.value)} " in message)


def _finished(draft: Draft, text: str, plain: str) -> Iterator[Fact]:
    """A draft with its wordings, where its value and its length are sound; `plain` is the text in other words too."""
    told = statement(draft.clause)
    value = draft.asked.value
    stands = f" {fold(value)} " in f" {fold(told)} "
    sound = stands and 0 < len(value.split()) <= MAX_VALUE_WORDS and len(told.split()) <= MAX_STATEMENT_WORDS
    message, wording = f" {fold(text)} ", f" {fold(plain)} "
    if any(f" {fold(part.value)} " not in wording or part.text.endswith("-") for part in draft.clause.parts):
        return  # the parse has put together what does not stand together
    if not sound or not fold(value) or f" {fold(value)} " not in message or VAGUE_WORDS & {*value.lower().split()}:
        return
    asked = questions(draft.clause, draft.asked, draft.topic, yours(told))
    if not asked:
        return
    yield Fact(yours(told), told, value, draft.key.lower(), draft.kind, asked)
    for fact in turned(draft.clause, draft.topic, draft.kind):
        if f" {fold(fact.value)} " in message:
            yield fact


def _drafts(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Draft]:
    for clause in (
        *introductions(sentence, before, cast),
        *nicknames(sentence),
        *restated(sentence, cast),
        *made_and_named(sentence),
        *took(sentence),
        *works(sentence),
        *clauses(sentence, cast),
        *latecomers(sentence, before, cast),
    ):
        if any(part.role == "other" for part in clause.parts):
            continue
        objects = sum(part.role == "object" for part in clause.parts)
        lacking = (
            not objects
            and clause.party.text != "it"
            and clause.verb.lemma in NEED_OBJECT
            and not re.match(r"get(?:ting)? \w", clause.verb.rest)
        )
        if (objects > 1 and clause.verb.lemma not in ("paint", "repaint", "dye")) or (
            lacking and not clause.part("clock")
        ):
            continue
        for rule in RULES:
            drafts = [draft for draft in rule(clause) if draft is not None]
            yield from drafts
            if drafts and rule is not lasting:
                break
