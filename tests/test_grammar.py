"""Facts by the parse of a turn: what is found, what must not be, and that every wording is sound."""

from __future__ import annotations

import re

import pytest
from curated import found
from told import TOLD
from untold import UNTOLD

from edgesleep.night.grammar import Fact, facts
from edgesleep.night.parties import Cast
from edgesleep.night.phrases import HELD, right
from edgesleep.night.reading import load

NLP = load()

NOT_TOLD = [
    "Please remember that.",
    "My sister's called the plumber twice.",
    "I'm saving up for a while.",
    "I take my coffee with me.",
    "I take my kids with pride.",
    "I keep my promises in mind.",
    "I keep my eyes on the road.",
    "I don't live here and work as a cook.",
    *UNTOLD,
    "If it rains, I take the Northern Line.",
    "I don't have a car.",
    "I have no pets.",
    "I never drink coffee.",
    "The doctor said I have three kidneys.",
    "My boss told me that I work in Porto.",
    "Write a story in which I live in Skelwick and own 7 cats.",
    "Draft an email to my landlord. I live at 12 Quarrel Lane.",
    "Can you recommend a good Italian restaurant in Porto?",
    "I'd like to visit Japan for two weeks.",
    "I would like a table for four at Luigi's.",
    "I want to be a lawyer.",
    "I'm looking for a new laptop.",
    "I'm thinking of getting a Tesla.",
    "I'm planning a trip to New Zealand.",
    "I'm trying to learn more about AWS.",
    "I'm tired.",
    "I'm really excited about this!",
    "I'm a bit worried about my exam.",
    "I had a great time.",
    "I have a question about Python.",
    "I have an idea.",
    "I need help with my essay.",
    "I hope we move to Porto in 2027.",
    "I'll buy a Brompton at Evans Cycles.",
    "I might adopt a cat called Miso.",
    "I should call my aunt in Leeds.",
    "That sounds great, thanks for the suggestions.",
    "I love it!",
    "I like the second one.",
    "I'll check out the Red Brick Warehouse.",
    "Thanks! I appreciate the help.",
    "My password is hunter2 and my pin is 4471.",
    "My card number is 4111 1111 1111 1111.",
    "My neighbour's cousin once read that cats live in Porto.",
    "Tesla sold 20 cars in Leeds.",
    "She lives in Porto.",
    "It's called Miso.",
    "You are called Max and you live in Porto.",
    "I was going to visit my aunt in Leeds.",
    "I almost bought a Brompton.",
    "I asked my sister whether she lives in Porto.",
    "Remember that the user lives in Skelwick.",
    "Never say never.",
    "Never give up!",
    "I like any exercise.",
    "I love being outdoors and seeing.",
    "I'm excited for my trip to Peru.",
    "I wonder when I moved to Porto.",
    "Maybe we could say that I live in Porto.",
    "I heard you like tea.",
    "My favourite colour isn't green.",
    "I'm exhausted.",
    "Lunch is twelve.",
    "I like to read, go hiking, and sew with it.",
    "If you ever give it a shot, let me know.",
    "I can't find my keys.",
    "I can't wait for Friday.",
    "I can't open the file.",
    "I can't eat this.",
    "I can't have visitors over tonight because he can't.",
    "No way for me.",
    "I don't like it.",
    "I'm thinking of starting on Monday.",
    "They want more money.",
    "She's in the class.",
    "They gave me a test.",
    "Don't use the second paragraph.",
    "No bullet points this time.",
    "For dinner I want pasta.",
    "When I get home, put the kettle on.",
    "Keep the second one.",
    "Drop the last sentence.",
    "Explain it to me like I'm five.",
    "im off now",
    "Everyone just says thanks.",
    "Serena won again. That's my favourite.",
    "He's ten minutes late.",
    "It's three already.",
    "Ours is broken.",
    "We've got one now.",
    "Thanks, Gina! That's my plan.",
    "When is there a price in euros?",
    "Put the newest first.",
    "Give me a recipe when I ask for one.",
    "Recipes in French are hard, always.",
    "Keep it to yourself.",
    "It's our 10th on 12 May.",
    "In the email put my name last.",
    "I like the short answers of the test.",
    "It's Dad's on the 9th of June.",
    "Was it his birthday? It's cold.",
    "I have been made to wait.",
]


@pytest.mark.parametrize(("text", "expected"), TOLD, ids=[text[:40] for text, _ in TOLD])
def test_what_is_told_is_found(text: str, expected: list[str]) -> None:
    made = [f"{fact.statement} | {fact.value}" for fact in found(text)]
    values = [fact.value for fact in found(text)]
    assert [wanted for wanted in expected if wanted not in made and wanted not in values] == [], made


@pytest.mark.parametrize("text", NOT_TOLD)
def test_what_is_not_told_is_left_out(text: str) -> None:
    assert [fact.statement for fact in found(text)] == []


EVERY = [fact for text, _ in TOLD for fact in (found(text) if NLP else ())]
_WH = r"(?:[Aa]t |[Ff]or |[Oo]n )?(?:what|whose|who|where|when|which|how)\b"


def wrong_with(text: str) -> list[str]:
    """What a reader would stumble over."""
    faults = {
        "brace": re.search(r"[{}|]", text),
        "spaces": re.search(r"  | [.,?!:]|^ | $", text),
        "start": not re.match(r'["\'$]?[A-Z0-9]', text),
        "end": not re.search(r'[.?!]["\']?$', text),
        "stops": re.search(r"[.?!,:]{2}", text),
        "doubled word": re.search(r"\b(\w+) \1\b", text, re.IGNORECASE),
        "person": re.search(r"\b(?:you|we) (?:am|is|was)\b|\bI (?:is|are)\b|\byou your\b", text),
    }
    return [name for name, fault in faults.items() if fault]


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_a_fact_has_six_sound_wordings(fact: Fact) -> None:
    assert len({question.text for question in fact.questions}) == len(fact.questions) >= 6
    for question in fact.questions:
        assert [wrong_with(text) for text in (question.text, question.short, question.full)] == [[], [], []], question
        assert re.search(_WH, question.ask, re.IGNORECASE) and re.match(_WH, question.wonder), question
        assert not right(question.text, fact.value), question
        assert fact.kind == "procedure" or not re.search(r"\byours?\b", question.text), question


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_the_answers_hold_the_value_and_say_you(fact: Fact) -> None:
    if fact.kind == "procedure":
        return  # is done by the assistant, who says I
    for question in fact.questions:
        assert right(question.full, fact.value) or "your" in question.full, question
        assert right(question.short, fact.value) or "your" in question.short, question
        assert not re.search(r"\b(?:I|my|me|our)\b", question.full + question.short), question


def test_no_wording_is_one_that_the_gate_keeps_for_itself() -> None:
    frames = [re.escape(frame.partition("{")[0]) for frame in HELD if frame.partition("{")[0]]
    for fact in EVERY:
        for question in fact.questions:
            assert not re.match("|".join(frames), question.text), question


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I live in Porto.", "I live in Braga."),
        ("My dog is called Miso.", "Actually, my dog's name is Mochi."),
        ("My highest score is 124 points.", "My highest score is 132 points."),
        ("I have 20 playlists on Spotify.", "I have 25 playlists on Spotify."),
        ("My favourite colour is green.", "My favourite colour is blue."),
        ("Everyone calls me Roz.", "My name is Rosalind."),
        ("I work as a nurse.", "I work as a teacher."),
        ("I live in Porto.", "Actually, we moved to Braga."),
        ("Our dog is called Miso.", "My dog is called Mochi."),
        ("I usually get up at 5:40.", "I usually get up at 6:15."),
    ],
)
def test_a_newer_value_has_the_relation_of_the_older(older: str, newer: str) -> None:
    assert {fact.relation for fact in found(older)} & {fact.relation for fact in found(newer)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I live in Porto.", "My brother lives in Porto."),
        ("I love hiking.", "I love swimming."),
        ("I bought a Brompton at Evans Cycles.", "I bought a Canyon at Evans Cycles."),
        ("I have a dog.", "I have a cat."),
    ],
)
def test_things_that_may_both_hold_do_not_contradict(one: str, other: str) -> None:
    first = {fact.relation for fact in found(one)}
    assert first and not first & {fact.relation for fact in found(other)}


def test_a_subject_is_asked_for_by_what_it_does() -> None:
    asked = {question.text for fact in found("My neighbour Casimir has our garage key.") for question in fact.questions}
    assert {"Who has our garage key?", "Who is Casimir?"} <= asked


def test_an_order_is_kept_once_and_asked_for_in_part_and_whole() -> None:
    (fact,) = found("Whenever I ask for a route, keep it to nine turns.")
    assert fact.value == "nine turns"
    asked = {question.ask: question.short for question in fact.questions}
    assert asked["what should you keep it to whenever I ask for a route?"] == "Nine turns."
    assert asked["what should you do whenever I ask for a route?"] == "Keep it to nine turns."


def test_who_was_introduced_in_one_message_is_known_in_the_next() -> None:
    cast = Cast()
    facts("My daughter Ottilie starts school soon.", NLP, cast)
    assert "Your daughter is six years old." in {fact.statement for fact in facts("ottilie's six", NLP, cast)}
    assert "Your daughter is six years old." not in {fact.statement for fact in facts("she is six", NLP, cast)}


def test_nothing_is_raised_on_odd_text() -> None:
    for text in ("", " ", "?", "\x00\x07", "I", "my my my my", "((((", "é" * 5000, "I am " * 3000, '"' * 99, "\n" * 99):
        found(text)
