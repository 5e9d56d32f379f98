"""What is found in a day's turns, and what must not be."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from untold import UNTOLD

from edgesleep.night.curate import curate
from edgesleep.night.phrases import right
from edgesleep.night.reading import MAX_CHARS
from edgesleep.night.relations import BY_NAME
from edgesleep.records import Turn, digest


def turn(
    text: str, number: int = 1, role: str = "user", source: str = "user", at: str = "2026-03-12T08:00:00Z"
) -> Turn:
    return Turn(number, "session", role, source, text, at, digest(text))


def told(*texts: str) -> list[str]:
    return [memory.sentence for memory in curate([turn(text, number) for number, text in enumerate(texts, 1)])]


TOLD = [
    ("My name is Pelham.", "The user's name is Pelham."),
    ("Hi! Please call me Wren.", "The user's name is Wren."),
    ("Everyone calls me Tuck, actually.", "The user's name is Tuck."),
    ("My sister is called Ottilie.", "The user's sister is called Ottilie."),
    ("By the way, my sister's called Ottilie, so what should I get her?", "The user's sister is called Ottilie."),
    ("Like I said, my older brother's name is Casimir!", "The user's older brother is called Casimir."),
    ("The name of my boat is Marigold", "The user's boat is called Marigold."),
    ("I've got a tortoise named Bramwick and he loves clover.", "The user's tortoise is called Bramwick."),
    ("We have a cat called Mr. Pym.", "The user's cat is called Mr. Pym."),
    ("my sister is called ottilie", "The user's sister is called Ottilie."),
    ('Our wi-fi is called "Kestrel Nest".', "The user's wifi is called Kestrel Nest."),
    ("My dentist is Dr. Pellworm, and she is great.", "The user's dentist is called Dr. Pellworm."),
    ("I have two hens called Ash and Birch.", "The user's hens are called Ash and Birch."),
    ("My cats are called Ash, Birch and Cole.", "The user's cats are called Ash, Birch and Cole."),
    ("My birthday is on the 19th of October.", "The user's birthday is on 19 October."),
    ("My wife's birthday is March 3, so I need a present.", "The user's wife's birthday is on March 3."),
    ("My phone is a Fairphone.", "The user's phone is a Fairphone."),
    ("I live in Skelwick, near the harbour.", "The user lives in Skelwick."),
    ("Anyway, I just moved to San Juan de la Vega last week.", "The user lives in San Juan de la Vega."),
    ("I live at 12 Quarrel Lane.", "The user's address is 12 Quarrel Lane."),
    ("I was born in Maribor but left early.", "The user was born in Maribor."),
    ("I was born in 1971.", "The user was born in 1971."),
    ("I grew up in Maribor.", "The user grew up in Maribor."),
    ("I'm originally from Maribor.", "The user grew up in Maribor."),
    ("I work as a bookbinder at a small press.", "The user works as a bookbinder."),
    ("I'm an engineer.", "The user works as an engineer."),
    ("I work for Quillfeather Press.", "The user works for Quillfeather Press."),
    ("I study marine biology in Leiden.", "The user studies marine biology."),
    ("Also, I'm allergic to tamarind.", "The user is allergic to tamarind."),
    ("I drive an old Lada Niva.", "The user drives an old Lada Niva."),
    ("I play the zither, but badly.", "The user plays the zither."),
    ("I'm currently learning Faroese.", "The user is learning Faroese."),
    ("I speak a little Faroese.", "The user speaks Faroese."),
    ("I collect thimbles.", "The user collects thimbles."),
    ("I ride a Brompton to the office.", "The user rides a Brompton."),
    ("I volunteer at the Skelwick Lifeboat Station.", "The user volunteers for Skelwick Lifeboat Station."),
    ("I'm training for the Brannock Ultra.", "The user is training for the Brannock Ultra."),
    ("I'm saving up for a cello.", "The user is saving up for a cello."),
    ("I'm reading Oblomov at the moment.", "The user is reading Oblomov."),
    ("I support Partick Thistle and we lost again.", "The user supports Partick Thistle."),
    ("I'm a vegetarian.", "The user is vegetarian."),
    ("I take my coffee with cardamom these days.", "The user takes their coffee with cardamom."),
    ("I prefer backgammon to chess.", "The user prefers backgammon to chess."),
    ("I keep my spare key under the clay heron.", "The user keeps their spare key under the clay heron."),
    ("I'm married to Ilja.", "The user is married to Ilja."),
    ("I am 43 years old.", "The user is 43 years old."),
    ("I usually get up at 5:40.", "The user gets up at 5:40."),
    ("My aunt lives in Gdansk.", "The user's aunt lives in Gdansk."),
    ("My brother works as a glazier.", "The user's brother works as a glazier."),
    ("My mother is a beekeeper.", "The user's mother works as a beekeeper."),
    ("My cousin works for Halvorsen Timber.", "The user's cousin works for Halvorsen Timber."),
    ("My daughter is allergic to lupin.", "The user's daughter is allergic to lupin."),
    ("My favorite tea is lapsang.", "The user's favourite tea is lapsang."),
    ("My favourite bands are Zorn and Kliff.", "The user's favourite bands are Zorn and Kliff."),
    ("My bank is Norvik Savings.", "The user's bank is Norvik Savings."),
    ("Correction: my sister is called Ottoline, not Ottilie.", "The user's sister is called Ottoline."),
]

NOT_TOLD = [
    *UNTOLD,
    "I used to live in Skelwick.",
    "My sister is not called Ottilie.",
    "My name is not important.",
    'She wrote "I live in Skelwick.',
    "Ottilie lives in Skelwick.",
    "You live in Skelwick.",
    "His sister is called Ottilie.",
    "I live in fear.",
    "I live in a small flat.",
    "I moved to the other room.",
    "My back is killing me.",
    "My car is broken.",
    "My wife is Italian.",
    "My class is Tuesday.",
    "My sister is a nightmare.",
    "I am a bit tired.",
    "I'm a mess today.",
    "I drive a lot.",
    "Call me back later.",
    "My favourite colour is not sure.",
    "My favourite part of the film is the ending.",
    "My birthday is tomorrow.",
    "My commute is 40 minutes.",
    "My password is Xylophone9.",
    "My door code is Kestrel.",
    "My problem is Excel.",
    "I prefer to walk to work.",
    "I'm learning a lot.",
    "I take my coffee at work.",
    "i work for myself",
    "my dog is hungry",
]


@pytest.mark.parametrize(("text", "sentence"), TOLD)
def test_plain_statements_are_memories(text: str, sentence: str) -> None:
    assert told(text) == [sentence]


def test_every_relation_is_heard() -> None:
    heard = {memory.relation for text, _ in TOLD for memory in curate([turn(text)])}
    assert heard == set(BY_NAME)


@pytest.mark.parametrize("text", NOT_TOLD)
def test_other_text_is_not(text: str) -> None:
    assert told(text) == []


def test_one_message_may_tell_several_things() -> None:
    assert told(
        "Hello! I'm Ann's neighbour. I live in Skelwick and work as a bookbinder, and my sister is called Ottilie."
    ) == [
        "The user lives in Skelwick.",
        "The user works as a bookbinder.",
        "The user's sister is called Ottilie.",
    ]


@pytest.mark.parametrize(
    ("role", "source"),
    [("assistant", "assistant"), ("tool", "tool"), ("user", "web"), ("user", "import"), ("system", "user")],
)
def test_only_the_user_teaches(role: str, source: str) -> None:
    assert curate([turn("My sister is called Ottilie.", role=role, source=source)]) == ()


def test_the_newest_of_two_values_wins_whatever_the_order_of_turns() -> None:
    old = turn("I live in Maribor.", 1, at="2026-03-12T08:00:00Z")
    new = turn("I live in Skelwick.", 2, at="2026-03-12T09:00:00Z")
    for turns in ([old, new], [new, old]):
        (memory,) = curate(turns)
        assert (memory.value, memory.turn_ids, memory.at) == ("Skelwick", (2,), new.at)


def test_told_again_a_memory_keeps_the_ids_of_both_turns_and_its_own_id() -> None:
    once = curate([turn("My sister is called Ottilie.", 1)])
    twice = curate([turn("My sister is called Ottilie.", 1), turn("my Sister's name is OTTILIE", 2)])
    assert [memory.turn_ids for memory in twice] == [(1, 2)]
    assert once[0].id == twice[0].id == digest(("name", {"thing": "sister", "value": "Ottilie"}))[:12]


def test_different_things_do_not_contradict_each_other() -> None:
    assert (
        len(told("My sister is called Ottilie.", "My boat is called Marigold.", "My brother is called Casimir.")) == 3
    )


def test_a_value_that_its_own_question_gives_away_is_no_memory() -> None:
    assert told("My boat is called Boat.") == []


DEMONSTRATION = [
    ("The user is allergic to tamarind.", "tamarind"),
    ("The user takes their coffee with cardamom.", "with cardamom"),
    ("The user lives in Skelwick.", "Skelwick"),
    ("The user's sister is called Ottilie.", "Ottilie"),
    ("The user's tortoise is called Bramwick.", "Bramwick"),
    ("The user works as a bookbinder.", "bookbinder"),
    ("The user works for Quillfeather Press.", "Quillfeather Press"),
    ("The user's brother works as a glazier.", "glazier"),
    ("The user's birthday is on 19 October.", "19 October"),
    ("The user drives a Lada Niva.", "Lada Niva"),
    ("The user plays the zither.", "zither"),
    ("The user is learning Faroese.", "Faroese"),
    ("The user's aunt lives in Gdansk.", "Gdansk"),
    ("The user's favourite tea is lapsang.", "lapsang"),
    ("The user's favourite author is Italo Svevo.", "Italo Svevo"),
    ("The user's phone is a Fairphone.", "Fairphone"),
    ("The user's dentist is called Dr Pellworm.", "Dr Pellworm"),
    ("The user's wifi is called Kestrel Nest.", "Kestrel Nest"),
    ("The user keeps their spare key under the clay heron.", "under the clay heron"),
    ("The user prefers backgammon to chess.", "backgammon"),
    ("The user grew up in Maribor.", "Maribor"),
    ("The user supports Partick Thistle.", "Partick Thistle"),
    ("The user collects thimbles.", "thimbles"),
    ("The user's boat is called Marigold.", "Marigold"),
]


def demonstration_day() -> list[Turn]:
    lines = (files("edgesleep") / "data" / "day.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Turn(number, row["session"], row["role"], row["role"], row["content"], row["at"], "")
        for number, row in enumerate(rows, 1)
    ]


def test_the_demonstration_day_tells_exactly_these_facts() -> None:
    day = demonstration_day()
    memories = curate(day)
    assert [(memory.sentence, memory.value) for memory in memories] == DEMONSTRATION
    for memory in memories:
        (number,) = memory.turn_ids
        assert right(day[number - 1].content, memory.value)
    assert {row.role for row in day} == {"user", "assistant", "tool"}


def test_the_plain_text_gives_no_fact_of_the_demonstration_away() -> None:
    plain = (files("edgesleep") / "data" / "plain_text.txt").read_text("utf-8")
    assert 4000 <= len(plain.split()) <= 5000
    assert [value for _, value in DEMONSTRATION if right(plain, value)] == []
    assert curate([turn(text) for text in plain.split("\n\n")]) == ()


PIECES = st.sampled_from(
    [
        "my ",
        "sister",
        " is called ",
        "I live in ",
        "Rex",
        ". ",
        "? ",
        '"',
        "'",
        "```",
        "\n",
        "\0",
        "\ud800",
        "́",
        "if ",
        ", so ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_odd_text_never_raises_and_gives_sound_memories(text: str) -> None:
    memories = curate([turn_of(text)])
    assert memories == curate([turn_of(text)])
    for memory in memories:
        assert 0 < len(memory.value) <= 48
        assert memory.value.isprintable()
        assert len(memory.id) == 12


def turn_of(text: str) -> Turn:
    return Turn(1, "session", "user", "user", text, "2026-03-12T08:00:00Z", "")


@pytest.mark.parametrize(
    "text",
    ["a. ", "my ", "I live in ", '"', "'", "\n", " ", "so ", "hi, ", "my sister's ", "if, ", "- ", "write me a "],
)
def test_megabytes_are_bounded_work(text: str) -> None:
    fact = "My sister is called Ottilie.\n"
    huge = fact + text * (2_000_000 // len(text))
    assert len(huge) > 50 * MAX_CHARS
    assert {memory.value for memory in curate([turn_of(huge)])} <= {"Ottilie"}
