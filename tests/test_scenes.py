# ruff: noqa: E501
"""Scenes and tallies: what is told with its place in another clause, by the way, by others, or by a running count."""

from __future__ import annotations

import pytest
from curated import told

KEPT = [
    # counts on a journey
    ("On my last trip to Norway, I brought 4 sweaters and 2 coats.", "4", "how many sweaters did I pack for my trip to Norway?"),
    ("I packed 3 dresses and 2 hats for our holiday in Crete.", "2", "how many hats did I take on our holiday in Crete?"),
    ("On our trip to Peru, we took 6 shirts and 3 pairs of boots.", "3", "how many pairs of boots did we take on our trip to Peru?"),
    # the clause before says where
    ("I went to a circus and saw 12 acrobats perform.", "12", "how many acrobats did I watch perform at the circus?"),
    ("We went to the harbour and caught 8 crabs.", "8", "how many crabs did we catch at the harbour?"),
    ("I went to a flea market and bought 5 lamps.", "5", "how many lamps did I buy at the flea market?"),
    # the place that was named before
    ("I loved it when I was in Peru. I spent three weeks travelling around the country.", "three weeks", "how long was I in Peru?"),
    ("We were in Iceland in May. We spent ten days driving around the island.", "ten days", "how long did we stay in Iceland?"),
    ("I got back from Morocco. I spent two months cycling across the country.", "two months", "how long was I in Morocco?"),
    ("I'd like to go back to Malta, it was lovely when I went with my sister for a week last year.", "Malta", "where did I go with my sister?"),
    ("I'm thinking of returning to Madeira, I went with my husband for a month.", "Madeira", "where did I go for a month?"),
    ("I dream of going back to Kenya. I went with my daughter for a week.", "Kenya", "where did I go on a week-long trip with my daughter?"),
    # habits on the way
    ("I've been trying to sleep better, putting my phone away by 9 pm.", "9 pm", "what time do I put my phone away?"),
    ("I've been working on my mornings, starting yoga at 6 am.", "6 am", "when do I start yoga?"),
    ("I've been trying to rest more, quitting social media by 8 pm.", "8 pm", "what time do I quit checking social media?"),
    ("I'm going to cook with my sister this Friday, like we do every month.", "every month", "how often do I cook with my sister?"),
    ("We're planning to play chess at the cafe on Sunday, like we always do every other week.", "every other week", "how often do I play chess?"),
    ("That reminds me of my weekly pottery classes with Ann.", "weekly", "how often do I have pottery classes?"),
    # whom one talked with
    ("I keep thinking about my conversation with Miriam about forgiveness.", "Miriam", "who did I talk to about forgiveness?"),
    ("I enjoyed my lunch with Tomasz yesterday.", "Tomasz", "who did I have lunch with?"),
    ("After my call with Dr. Osei I felt calmer.", "Dr. Osei", "who did I have a call with?"),
    # what others did, by their own word
    ("I made some lamb chops. I remember Priya telling me she smoked them for 5 hours.", "5 hours", "how long did Priya smoke the lamb chops?"),
    ("My uncle told me he drove for 14 hours to get there.", "14 hours", "how long did my uncle drive?"),
    ("I want to try pickled onions, and I recall Ben telling me he soaked them for two days.", "two days", "how long did Ben soak the pickled onions?"),
    # values behind a dash
    ("I'm proud of my mixed heritage - Greek and Welsh - and my name.", "Greek and Welsh", "what is my heritage?"),
    # running counts, sums and aims
    ("I just finished my third chapter.", "third", "how many chapters have I finished?"),
    ("I love The Economist, I've been reading about trade in The Economist, and I just read my sixth issue.", "sixth", "how many issues of The Economist have I read?"),
    ("I recently completed my 8th quilt since moving here.", "8th", "how many quilts have I completed since moving here?"),
    ("I'm working on my oak table. I've already put in 20 hours.", "20 hours", "how many hours have I spent on my oak table?"),
    ("I saw a puffin in my local bay, which brings my total bird count to 61.", "61", "how many birds have I seen in my local bay?"),
    ("We sell some of our jars - we've got 12 dozen stored in the cellar.", "12", "how many dozen jars do we have in the cellar?"),
    ("We got approved for $90,000 from Barclays.", "$90,000", "how much were we approved for by Barclays?"),
    ("It was a long way - remember when I was quoted $1,200 by Hansen?", "$1,200", "how much was I quoted?"),
    ("My chai ratio is settled: 2 spoons of tea for every 3 cups of milk.", "2 spoons of tea for every 3 cups of milk", "what is my chai ratio?"),
    ("I've been playing a lot of Tetris lately and I'm aiming to reach level 40 this month.", "40", "what is my goal for my Tetris level?"),
    ("I'm determined to read 60 books this year.", "60", "how many books am I aiming to read?"),
    ("I love my new 85mm portrait lens.", "85mm portrait lens", "what lens did I get most recently?"),
]  # fmt: skip

HUNG = [
    (
        "I recently moved the Blue Tide painting by Ann Lee above my bed, and it looks good.",
        "bed",
        "where is the Blue Tide painting hanging?",
    ),
    ("We hung our mirror in the hall.", "hall", "where is our mirror?"),
    ("I've just put my desk next to the window.", "window", "where did I put my desk?"),
]

LEFT = [
    ("I'm preparing for my meeting with Olga tomorrow.", "Olga"),
    ("Alex told me the ribs need 24 hours.", "24 hours"),
    ("Sam says he will run for 3 hours.", "3 hours"),
    ("She was in Peru and in Chile. I spent two weeks travelling around the country.", "Peru"),
    ("Do you remember when I got approved for $90,000?", "$90,000"),
    ("I'm not aiming to reach level 40.", "40"),
]

UPDATED = [
    ("I've completed 4 projects since starting pottery classes.", "I just finished my 5th project since starting pottery classes.", "5th", "4"),
    ("I've watched 10 talks.", "I have watched 15 talks.", "15", "10"),
    ("I'm aiming to reach level 30.", "I'm now aiming to reach level 50.", "50", "30"),
    ("I got pre-approved for $350,000 from Chase.", "I got pre-approved for $400,000 from Chase.", "$400,000", "$350,000"),
    ("I love my weekly chess sessions.", "I'm going to play chess on Sunday, like we do every other week.", "every other week", "weekly"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value", "ask"), KEPT + HUNG, ids=lambda part: part[:40])
def test_it_is_kept_and_asked_for_as_a_person_would(text: str, value: str, ask: str) -> None:
    asked = {question.ask: memory.value for memory in told(text) for question in memory.questions}
    assert asked.get(ask) == value, asked


@pytest.mark.parametrize(("text", "value"), LEFT, ids=lambda part: part[:40])
def test_what_is_to_come_or_only_said_is_left_out(text: str, value: str) -> None:
    assert [memory.told for memory in told(text) if memory.value == value and memory.kind != "saying"] == []


@pytest.mark.parametrize(("first", "then", "value", "old"), UPDATED, ids=lambda part: part[:40])
def test_the_newest_count_takes_the_place_of_the_last(first: str, then: str, value: str, old: str) -> None:
    values = {memory.value: memory.instead_of for memory in told(first, then) if memory.kind != "saying"}
    assert values.get(value) == old and old not in values, values
