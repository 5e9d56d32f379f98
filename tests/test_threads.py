"""Threads: "there" and "since" that go on from what was said before, and those that go nowhere."""

from __future__ import annotations

import pytest
from curated import told

PLACED = [
    (("My cousin Noor cooks well.", "whats the cheapest flight to lisbon", "noor's moving there in june"), "Lisbon"),
    (("Is Bergen expensive? My sister is moving there in May.",), "Bergen"),
    (("best museums in kyoto?", "we lived there for two years"), "Kyoto"),
    (("What's a good hotel in Ghent? I was born there.",), "Ghent"),
    (("how do I get to Sligo by train", "my brother lives there"), "Sligo"),
]
NOWHERE = [
    ("is it far from Leeds to York?", "my brother lives there"),
    ("how do you make bread in summer", "my sister works there"),
    ("my brother lives there",),
    ("Is Bergen nice?", "thanks", "my brother lives there"),
    ("Is Bergen nice? If I lived there I'd swim.",),
]


@pytest.mark.parametrize(("messages", "place"), PLACED, ids=lambda part: str(part)[:40])
def test_there_is_the_one_place_spoken_of(messages: tuple[str, ...], place: str) -> None:
    assert place in {memory.value for memory in told(*messages)}


@pytest.mark.parametrize("messages", NOWHERE, ids=lambda messages: messages[0][:40])
def test_of_two_places_there_is_none(messages: tuple[str, ...]) -> None:
    assert {"Leeds", "York", "Bergen", "Bread"} & {memory.value for memory in told(*messages)} == set()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("My boss is lovely, she's been my manager since I started there in 2014.", "2014"),
        ("I've been with my company since 2012.", "2012"),
        ("I like my job, I've worked there since 2016.", "2016"),
        ("It's a good company, I've been there for nine years.", "nine years"),
        ("my manager is new. i joined in March 2020", "March 2020"),
    ],
)
def test_since_when_somebody_has_had_their_job(text: str, value: str) -> None:
    assert ("i|job|since", value) in {(memory.relation, memory.value) for memory in told(text)}


@pytest.mark.parametrize(
    "text", ["I started there in 2014.", "When I started at work in 2014?", "If I joined the team in 2014?"]
)
def test_without_work_nothing_began(text: str) -> None:
    assert "i|job|since" not in {memory.relation for memory in told(text)}
