"""Consequences: what follows from a message by the meaning of its words, and what does not."""

from __future__ import annotations

import pytest
from curated import found

from edgesleep.night.phrases import right


def asked(text: str) -> dict[str, str]:
    """Every question that a message brings, with its answer."""
    return {question.ask: question.full for fact in found(text) for question in fact.questions}


# A message, a question that follows from it, and the answer.
FOLLOWS = [
    (
        "They've given me a slot at the vet on Friday with Dr Ferreira.",
        "who is my vet?",
        "Your vet is called Dr Ferreira.",
    ),
    ("I have a dentist appointment with Dr Hale.", "who do I see about my teeth?", "Your dentist is called Dr Hale."),
    ("I've got an optician appointment on Monday with Mr Singh.", "who is my optician?", "Mr Singh"),
    ("My daughter Tove is in Mr Brand's class.", "who is my daughter's teacher?", "Your daughter's teacher"),
    ("My son Emil is six. He's in Mrs Holt's class.", "who teaches my son?", "called Mrs Holt."),
    ("Ivo, my seven year old, lost his shoes again.", "what is my son called?", "Your son is called Ivo."),
    ("My 4-year-old Wilma says she wants a drum.", "who is my daughter?", "Your daughter is called Wilma."),
    ("My sister drives buses.", "what does my sister do for a living?", "Your sister drives buses."),
    ("My brother drives a taxi in Lyon.", "what is my brother's job?", "Your brother drives a taxi in Lyon."),
    ("My aunt teaches physics.", "how does my aunt earn a living?", "Your aunt teaches physics."),
    ("My cousin Odd runs a bakery in Bergen.", "what kind of work does my cousin Odd do?", "bakery"),
    ("I worked at Larkhill for three years, so I know.", "where did I work before?", "Larkhill"),
    ("I was at Siemens before I joined Bosch.", "where did I use to work?", "You were at Siemens before."),
    ("Is a flat in Ghent usually this damp? We bought ours in May.", "where do I live?", "Your flat is in Ghent."),
    ("My apartment in Porto has no lift.", "where is my home?", "Your apartment is in Porto."),
    ("When I ask for recipes, always make it for six.", "how many people should recipes be for?", "six"),
]


@pytest.mark.parametrize(("text", "question", "answer"), FOLLOWS, ids=lambda part: part)
def test_what_follows_is_asked_for(text: str, question: str, answer: str) -> None:
    assert answer in asked(text).get(question, ""), asked(text)


# A message, and the end of a relation that must not come of it.
DOES_NOT = [
    ("My son has a dentist appointment with Dr Hale.", "my dentist|name"),
    ("I have a meeting with Dr Hale.", "|name"),
    ("They gave me a dentist slot with my sister.", "dentist|name"),
    ("If I had a dentist appointment with Dr Hale I'd be scared?", "dentist|name"),
    ("My daughter Tove is in the class.", "teacher|name"),
    ("My son Emil is in Mr Brand's team.", "teacher|name"),
    ("Ivo, my seven year old, and Tom say he is tired.", "my son|ivo|name"),
    ("My seven year old Rex chewed his bone.", "my son|rex|name"),
    ("I have a doctor appointment for my son with Dr Bell.", "my doctor|name"),
    ("I was at Ikea before I moved to Leeds.", "|before"),
    ("Ivo, my seven year old, is up early.", "my son|ivo|name"),
    ("Ivo, my seven year old, told my sister that she snores.", "my daughter|ivo|name"),
    ("My sister drives a red car.", "|living"),
    ("My brother drives me mad.", "|living"),
    ("My aunt teaches yoga on Sundays.", "|living"),
    ("My uncle runs a marathon every May.", "|living"),
    ("My brother drives trains, he's a train driver.", "|living"),
    ("I worked at Larkhill on Saturday.", "|before"),
    ("I was at Tesco before breakfast.", "|before"),
    ("I was at Tesco before I came home.", "|before"),
    ("A house in Ghent costs a lot, we bought a car.", "|home|house"),
    ("We sold our old flat in Ghent.", "|home|flat"),
    ("I live in Lyon, but my flat in Nice is empty.", "|home|flat"),
    ("When I ask for names, make it for six.", "|portions"),
]


@pytest.mark.parametrize(("text", "relation"), DOES_NOT, ids=lambda part: part)
def test_what_is_merely_likely_does_not_follow(text: str, relation: str) -> None:
    assert [fact.statement for fact in found(text) if fact.relation.endswith(relation)] == []


@pytest.mark.parametrize("text", [text for text, _, _ in FOLLOWS], ids=lambda text: text)
def test_a_consequence_is_sound(text: str) -> None:
    for fact in found(text):
        assert right(text, fact.value), fact
        for question in fact.questions:
            assert (not right(question.text, fact.value) and right(question.full, fact.value)) or "|is" in fact.relation


def test_an_order_is_answered_as_it_was_given() -> None:
    assert asked("When I ask for recipes, always make it for six.")["how many people should recipes be for?"] == (
        "When you ask for recipes, you want me to make it for six."
    )


def test_two_sons_do_not_contradict_each_other() -> None:
    one = found("Ivo, my seven year old, lost his shoes.")
    other = found("Emil, my two year old, wants his bear.")
    sons = [{fact.relation for fact in each if fact.relation.startswith("my son")} for each in (one, other)]
    assert sons[0] and sons[1] and not sons[0] & sons[1]
