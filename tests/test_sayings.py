"""Sayings: what is kept as it was said, what is not, and that a question is sound wherever its gap is."""

from __future__ import annotations

import pytest
from test_grammar import wrong_with

from edgesleep.night.grammar import Fact, facts
from edgesleep.night.parties import Cast
from edgesleep.night.phrases import right
from edgesleep.night.reading import load, read
from edgesleep.night.sayings import LONGEST, sayings

NLP = load()


def said(*messages: str) -> tuple[Fact, ...]:
    """The sayings of the last message, after those before it."""
    cast, found = Cast(), ()
    for message in messages:
        spoken = list(read(message, NLP, cast.spelt))
        found = sayings(message, spoken, facts(message, NLP), cast)
    return found


# A message, then the statement and the value that must be among those kept.
KEPT = [
    ("Our boiler was put in by a firm from Tralee.", "Tralee"),
    ("My uncle carried the harp from Ghent to our flat in 2009.", "2009"),
    ("I lost my ring somewhere near Kinlochewe.", "Kinlochewe"),
    ("my kettle's dead again. had it mended in 2016, and it still leaks in autumn", "2016"),
    ("The kids are with my sister until Thursday.", "Thursday"),
    ("My brother isn't home until Thursday.", "Thursday"),
    ("We think the world of my aunt in Sligo.", "Sligo"),
    ("My mum is at the same school as Gina.", "Gina"),
]
# What is passing, points at something unsaid, asks, bids, or is told by a fact already.
LEFT = [
    # only thought, no longer so, or what something is not
    "I guess my aunt is called Brid.",
    "My cousin doesn't live in Sligo anymore.",
    "We no longer rent in Sligo.",
    "Our street isn't called Quay Lane.",
    # of the day, or a matter of thought
    "I'm a mess on Thursday.",
    "My question is Photoshop.",
    # somebody or something that nothing names
    "His aunt moved to Sligo.",
    "Their boat reached our pier in 2014.",
    "We had the same snag in 2019.",
    "Our invoices show that it left Sligo in 2019.",
    "A queue of parents met in Sligo.",
    "Long one, sorry: I've got to write a toast for the new neighbours.",
    "Odd parcel, wasn't even for us.",
    "We're five tonight.",
    "Three minutes of silence.",
    "I have opinions.",
    "We explore all the time.",
    "I've hit a bit of a snag.",
    "I did it two weeks ago.",
    "They sent me a letter on Monday.",
    "That reminds me of my aunt in Sligo.",
    "Never give up, said my poster.",
    "Thanks, Gina! My goals help me stay focused on what I have to do.",
    "My brother Lorcan drives trams.",
    "I react badly to penicillin.",
    "Wow, those flowers look beautiful.",
    "Would you say that my aunt in Sligo is right?",
    "Please send my aunt in Sligo a card.",
]


@pytest.mark.parametrize(("text", "value"), KEPT, ids=[text[:40] for text, _ in KEPT])
def test_what_no_rule_reads_is_kept_as_it_was_said(text: str, value: str) -> None:
    found = said(text)
    assert any(right(fact.statement, value) for fact in found), found
    assert all(fact.kind == "saying" for fact in found)


@pytest.mark.parametrize("text", LEFT)
def test_what_tells_nothing_new_is_left_out(text: str) -> None:
    assert [fact.statement for fact in said(text)] == []


EVERY = [fact for text, _ in KEPT for fact in (said(text) if NLP else ())]


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_every_wording_is_sound(fact: Fact) -> None:
    assert len({question.text for question in fact.questions}) == len(fact.questions) >= 4
    for question in fact.questions:
        assert [wrong_with(text) for text in (question.text, question.full)] == [[], []], question
        assert len(question.ask.split()) <= LONGEST, question
        assert not right(question.ask, question.short.rstrip(".")), question


def test_a_gap_leaves_no_half_of_a_list_and_no_bare_genitive() -> None:
    texts = [
        "My aunt met Ines and Tadeusz in Lublin.",
        "Ines's boat reached our pier in 2014.",
        "We went, Ines aside, to Bari.",
    ]
    asked = [question.ask for text in texts for fact in said(text) for question in fact.questions]
    assert not [text for text in asked if " and in " in text or " 's " in text or ", ," in text or ",," in text]


def test_a_date_is_asked_for_whole() -> None:
    (fact,) = said("My aunt's harp is with the tuner in Sligo until Friday 13 March 2026.")
    asked = [question for question in fact.questions if question.text.startswith("When")]
    assert {question.short for question in asked} == {"Friday 13 March 2026."}
    assert not any(right(question.ask, "March") for question in asked)


def test_a_statement_ends_where_only_a_comment_follows() -> None:
    (fact,) = said("We have a mooring for our boat in Oban until October, which is nothing to shout about.")
    assert fact.statement == "You have a mooring for your boat in Oban until October."


def test_someone_named_in_one_message_is_of_the_world_in_the_next() -> None:
    assert not said("Tadeusz flies to Lublin on Friday.")
    assert said("My cousin Tadeusz called me.", "Tadeusz flies to Lublin on Friday.")
