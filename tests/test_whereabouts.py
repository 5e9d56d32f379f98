"""Whereabouts: where the user's things stand, and from where somebody comes to see them."""

from __future__ import annotations

import pytest
from curated import told

KEPT = [
    ("I've got two beehives up on the roof.", "roof", "where are my beehives?"),
    ("we've got six hens at the bottom of the garden", "bottom of the garden", "where do I keep our hens?"),
    ("we have a caravan near Whitby", "Whitby", "where is our caravan?"),
    ("our boat's in the marina at Largs", "marina at Largs", "where is our boat?"),
    ("the stopcock is under the sink, behind the bleach", "sink", "where is the stopcock?"),
    ("The spare key is under the blue pot.", "blue pot", "where is the spare key?"),
    ("I've got a piano in the cellar but it's out of tune", "cellar", "where is my piano?"),
    ("my gran is arriving by train from Dundee at noon", "Dundee", "where does my gran come from?"),
    ("my aunt comes up from Cork every summer", "Cork", "where does my aunt come from?"),
    ("My mum is here. She's coming down on the bus from Oban again", "Oban", "where is my mum coming from?"),
    ("my nephew got the ferry from Larne", "Larne", "where does my nephew come from?"),
]
LEFT = [
    "My dad's coming back from Crete on Sunday.",
    "My brother flew in from his holiday in Malta.",
    "My sister is coming home from Madrid.",
    "My brother travels from Leeds to York every day.",
    "My aunt came straight from Larne.",
    "My boss is flying in from Heathrow airport.",
    "My mum might come up from Cork.",
    "Is my aunt coming from Cork?",
    "My phone is in the kitchen.",
    "I've got a meeting in the garage.",
    "The car is in the garage.",
    "If my boat is in the marina, is it safe?",
    "He says the spare key is under the pot.",
]


@pytest.mark.parametrize(("text", "value", "ask"), KEPT, ids=lambda part: part[:40])
def test_a_place_is_kept_and_asked_for_plainly(text: str, value: str, ask: str) -> None:
    asked = {question.ask: memory.value for memory in told(text) for question in memory.questions}
    assert asked.get(ask) == value, asked


@pytest.mark.parametrize("text", LEFT)
def test_where_something_is_for_now_is_left_out(text: str) -> None:
    relations = [memory.relation for memory in told(text)]
    assert [relation for relation in relations if relation.endswith(("|is|place", "|coming|from"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "My sister is flying over from Dubai on Friday.",
        "my gran is arriving by train from Dundee at noon",
        "My cousin drove up from Bari.",
    ],
)
def test_where_one_sets_out_is_not_where_one_lives(text: str) -> None:
    asked = {question.ask for memory in told(text) for question in memory.questions}
    assert [ask for ask in asked if "from" in ask] and not [ask for ask in asked if "live" in ask or "home" in ask]
