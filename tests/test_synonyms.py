"""Synonyms: in which other words a fact is asked for, and in which it is not."""

from __future__ import annotations

import re

import pytest
from curated import found

from edgesleep.night.grammar import Fact
from edgesleep.night.phrases import HELD, right
from edgesleep.night.reading import load
from edgesleep.night.synonyms import FIRST, MORE, widened
from edgesleep.night.thesaurus import KIN_SAME, KINDS, THINGS_SAME, TURNS

NLP = load()


def asked(text: str) -> set[str]:
    return {question.ask for fact in found(text) for question in widened(fact).questions}


# A message, and wordings that its facts must have.
WIDER = [
    ("I've started learning the harp.", ["which instrument am I learning?", "which instrument do I play?"]),
    ("I'm learning Icelandic.", ["which language am I learning?"]),
    ("I'm allergic to walnuts.", ["which nut am I allergic to?", "which food am I allergic to?"]),
    ("I'm allergic to ibuprofen.", ["which medicine should I not take?", "what do I react badly to?"]),
    ("I react badly to morphine.", ["which medicine am I allergic to?"]),
    ("I can't stand aubergines.", ["which vegetable can't I stand?", "what do I hate?"]),
    ("I bought a Toyota Yaris in May.", ["which car did I buy in May?"]),
    ("My car is a 2011 Lada Niva.", ["what car do I drive?", "what make is my car?"]),
    ("Our whippet is called Fern.", ["what is my dog called?"]),
    ("My boss is called Berit.", ["who is my boss?", "what is my manager called?"]),
    ("My mum is called Gro.", ["what is my mother called?", "who is my mum?"]),
    ("My partner is a plumber.", ["what does my other half do for a living?", "what job does my partner have?"]),
    ("I'm a carpenter.", ["what line of work am I in?", "what is my occupation?"]),
    ("I live in Porto.", ["which town do I live in?", "where am I based?"]),
    ("I grew up in Norway.", ["which country did I grow up in?", "where did I spend my childhood?"]),
    ("My brother works for Siemens.", ["who does my brother work for?"]),
    ("I do the laundry on Thursdays.", ["which day of the week do I do the laundry?"]),
    ("We moved to Ghent in 2014.", ["which year did we move to Ghent?"]),
    ("I worked at Larkhill for three years.", ["how many years did I work at Larkhill?"]),
    ("My neighbour Casimir has our spare key.", ["who keeps our spare key?"]),
    ("I've been made head nurse.", ["what is my new role?"]),
    ("My optician appointment is on Monday at ten.", ["when do I see the optician?"]),
    ("I speak French and Danish.", ["which languages do I speak?"]),
    ("Please always give me miles as well.", ["which unit should you always give me as well?"]),
    ("I have two hives at the farm.", ["how many beehives do I keep?"]),
    ("My Skoda is blue.", ["what colour is my car?"]),
    ("My kids are called Ada and Bo.", ["what are my children's names?"]),
    ("My aunt arrives on 3 May at noon.", ["when is my aunt coming?", "what time is my aunt coming?"]),
    ("My sister is 31 years old.", ["what age is my sister?"]),
    ("The wind matters. We don't go out above 20 knots.", ["what speed don't we go out above?"]),
    ("With that wind, we stop at 14 metres a second.", ["what is our wind limit?", "what speed do we stop at?"]),
    ("We stop at 14 metres a second.", ["what is our limit?", "how many metres a second do we stop at?"]),
    ("I did nights for six years at Larkhill.", ["how long did I work nights?", "how many years was I on nights?"]),
    ("I do the ironing on Mondays.", ["when do I iron?", "what day do I iron?", "when is it my turn to iron?"]),
    ("They want 300 quid for the gearbox.", ["what is the price for the gearbox?"]),
    ("We have 40 sheep on our farm.", ["how many sheep are there on our farm?"]),
    ("My hives are on the roof.", ["where do I keep my bees?"]),
    ("My mum's birthday is on the 9th of May.", ["what date is my mum's birthday?"]),
    ("I take my coffee with cardamom.", ["what goes in my coffee?"]),
    ("I gave up sugar for Lent.", ["what have I given up for Lent?"]),
    ("Always give me miles as well, never just km.", ["what should you always add?", "what do I want besides km?"]),
    ("No bullet points when you answer me.", ["what formatting do I not want in your answers?"]),
    ("Never ever use semicolons.", ["what punctuation should you not use in your answers?"]),
    (
        "For recipes I want short lists.",
        ["what should you use for recipes?", "which list style do I want for recipes?"],
    ),
    ("Whenever there's a date, put the month first.", ["which date format do I like?"]),
    ('Never start answers with "Sure thing".', ["what should you not start answers with?"]),
    ("I love the pool. I go in every Monday evening.", ["when do I go swimming?", "what day do I swim?"]),
    ("I finished Nostromo, the one about Costaguana.", ["what book did I finish?"]),
]


@pytest.mark.parametrize(("text", "wordings"), WIDER, ids=lambda part: str(part))
def test_a_fact_is_asked_for_in_other_words(text: str, wordings: list[str]) -> None:
    every = asked(text)
    assert [wording for wording in wordings if wording not in every] == [], sorted(every)


# A message, and what must stand in none of its wordings.
NARROW = [
    ("I live in Yorkshire.", "town"),
    ("I live in Norway.", "town"),
    ("I bought a keyboard for $50.", "instrument"),
    ("I love Thai food.", "language"),
    ("My Honda is red.", "my car"),
    ("My mother tongue is Welsh.", "mum"),
    ("My mother-in-law is called Gro.", "mum-in-law"),
    ("My phone number is 555 0101.", "mobile"),
    ("My brother can't have salmon.", "allergic"),
    ("I'm allergic to dust.", "food"),
    ("I have two dogs.", "beehives"),
    ("My parents can't stand olives.", "does my parents"),
    ("I like painting, skiing and chess.", "sport"),
    ("I'm allergic to reptiles.", "can't I have"),
    ("We stop at 14 metres a second.", "wind"),
    ("I go in every Monday morning.", "swim"),
    ("I finished Bluey, the one about the beach, a great series.", "book"),
    ("My aunt is coming up on the train from Ennis.", "aunt coming is"),
    ("I have two hives up.", "beehives do I keep up"),
]


@pytest.mark.parametrize(("text", "never"), NARROW, ids=lambda part: part)
def test_a_doubtful_word_is_not_used(text: str, never: str) -> None:
    assert [ask for ask in asked(text) if never in ask] == []


EVERY = [fact for text, _ in WIDER for fact in (found(text) if NLP else ())]


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.statement)
def test_a_wider_fact_keeps_its_own_wordings(fact: Fact) -> None:
    wide = widened(fact)
    fresh = [question for question in wide.questions if question not in fact.questions]
    assert wide.questions[:FIRST] == fact.questions[:FIRST] and len(fresh) <= MORE
    assert [question for question in wide.questions if question in fact.questions] == [*fact.questions]
    assert len({question.text for question in wide.questions}) == len(wide.questions)
    for question in fresh:
        assert (question.short, question.full) == (fact.questions[0].short, fact.questions[0].full)
        assert question.text == question.ask[0].upper() + question.ask[1:], question
        assert not right(question.text, fact.value), question
        assert re.match(r"(?:on |at |for )?(?:what|who|where|when|which|how)\b", question.wonder), question
        assert re.fullmatch(r"[^?|{}\[\]]+\?", question.ask) and not re.search(r"[?|{}\[\]]|  ", question.wonder)
        assert not re.search(r"\b(\w+) \1\b|\b(?:I|we) (?:is|does|has)\b|\byours?\b", question.ask), question
        verbs = re.findall(r"\b(?:is|are|am)\b", question.ask)
        assert [verb for verb in verbs if verb not in question.wonder.split()] == [], question
        assert not any(question.text.startswith(frame.partition("{")[0]) for frame in HELD if frame[0] != "{")


def test_orders_and_prose_keep_their_words() -> None:
    for fact in found("Always keep it short. From now on never use emojis."):
        assert widened(fact) == fact


def test_the_tables_keep_to_their_form() -> None:
    for _, known, context in KINDS:
        assert all(word == word.lower() and "_" not in word for word in known)
        re.compile(context)
    for table in (KIN_SAME, THINGS_SAME):
        assert all(word not in others for word, others in table.items())
    for _, templates in TURNS:
        assert all(template.count("?|") == 1 for template in templates)
