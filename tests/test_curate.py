"""What is found in a day's turns, and what must not be."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest
from curated import memories
from hypothesis import given, settings
from hypothesis import strategies as st
from untold import UNTOLD, WITHHELD

from edgesleep.errors import EdgesleepError
from edgesleep.night import curate as module
from edgesleep.night.curate import curate
from edgesleep.night.dates import absolute
from edgesleep.night.hearing import HELD_OUT
from edgesleep.night.phrases import fold, probes, right
from edgesleep.night.reading import MAX_CHARS, load
from edgesleep.night.succession import Day
from edgesleep.records import Memory, Turn, digest


def turn(
    text: str, number: int = 1, role: str = "user", source: str = "user", at: str = "2026-03-12T08:00:00+00:00"
) -> Turn:
    return Turn(number, "session", role, source, text, at, "")


def dated(turn: Turn) -> str:
    """What the user said, with the date of "tomorrow" in its place."""
    return absolute(turn.content, datetime.fromisoformat(turn.at.replace("Z", "+00:00")))


def found(*texts: str) -> tuple[Memory, ...]:
    return memories([turn(text, number) for number, text in enumerate(texts, 1)])


# A message, a memory of it, and that memory's value.
TOLD = [
    ("My name is Pelham.", "You are called Pelham.", "Pelham"),
    ("Hi! Please call me Wren.", "You are called Wren.", "Wren"),
    ("Everyone calls me Tuck, actually.", "You are called Tuck.", "Tuck"),
    ("My sister is called Ottilie.", "Your sister is called Ottilie.", "Ottilie"),
    (
        "By the way, my sister's called Ottilie, so what should I get her?",
        "Your sister is called Ottilie.",
        "Ottilie",
    ),
    ("Like I said, my older brother's name is Casimir!", "Your older brother is called Casimir.", "Casimir"),
    ("The name of my boat is Marigold", "Your boat is called Marigold.", "Marigold"),
    ("I've got a tortoise named Bramwick and he loves clover.", "Your tortoise is called Bramwick.", "Bramwick"),
    ("We have a cat called Mr. Pym.", "Your cat is called Mr. Pym.", "Mr. Pym"),
    ("my sister is called ottilie", "Your sister is called Ottilie.", "Ottilie"),
    ('Our wi-fi is called "Kestrel Nest".', "Your wi-fi is called Kestrel Nest.", "Kestrel Nest"),
    ("My dentist is Dr. Pellworm, and she is great.", "Your dentist is Dr. Pellworm.", "Dr. Pellworm"),
    ("I have two hens called Ash and Birch.", "You have two hens called Ash and Birch.", "Ash and Birch"),
    (
        "My cats are called Ash, Birch and Cole.",
        "Your cats are called Ash, Birch and Cole.",
        "Ash, Birch and Cole",
    ),
    ("My birthday is on the 19th of October.", "Your birthday is on the 19th of October.", "19th of October"),
    ("My birthday is tomorrow.", "Your birthday is on Friday 13 March 2026.", "Friday 13 March 2026"),
    ("My wife's birthday is March 3, so I need a present.", "Your wife's birthday is March 3.", "March 3"),
    ("My phone is a Fairphone.", "Your phone is a Fairphone.", "Fairphone"),
    ("I live in Skelwick, near the harbour.", "You live in Skelwick.", "Skelwick"),
    (
        "Anyway, I just moved to San Juan de la Vega last week.",
        "You moved to San Juan de la Vega in the week of 2 March 2026.",
        "San Juan de la Vega",
    ),
    ("I live in Skelwick and work as a bookbinder.", "You work as a bookbinder.", "bookbinder"),
    ("My cat is called Pemberly.", "Your cat is called Pemberly.", "Pemberly"),
    ("My cat is called Pemberly and she sleeps all day.", "Your cat is called Pemberly.", "Pemberly"),
    (
        "I'm allergic to tamarind, so please keep that in mind when you suggest sauces.",
        "You are allergic to tamarind.",
        "tamarind",
    ),
    ("I live at 12 Quarrel Lane.", "You live at 12 Quarrel Lane.", "12 Quarrel Lane"),
    ("I used to live in Skelwick.", "You used to live in Skelwick.", "Skelwick"),
    ("I live in a small flat.", "You live in a small flat.", "small flat"),
    ("I was born in Maribor but left early.", "You were born in Maribor.", "Maribor"),
    ("I was born in 1971.", "You were born in 1971.", "1971"),
    ("I grew up in Maribor.", "You grew up in Maribor.", "Maribor"),
    ("I'm originally from Maribor.", "You are from Maribor.", "Maribor"),
    ("I work as a bookbinder at a small press.", "You work as a bookbinder.", "bookbinder"),
    ("I'm an engineer.", "You are an engineer.", "engineer"),
    ("I work for Quillfeather Press.", "You work for Quillfeather Press.", "Quillfeather Press"),
    ("I study marine biology in Leiden.", "You study marine biology in Leiden.", "marine biology"),
    ("Also, I'm allergic to tamarind.", "You are allergic to tamarind.", "tamarind"),
    ("I'm allergic to tamarind, please remember that.", "You are allergic to tamarind.", "tamarind"),
    ("I drive an old Lada Niva.", "You drive an old Lada Niva.", "old Lada Niva"),
    ("I play the zither, but badly.", "You play the zither.", "zither"),
    ("I play the hurdy-gurdy, badly.", "You play the hurdy-gurdy.", "hurdy-gurdy"),
    ("I'm currently learning Faroese.", "You are learning Faroese.", "Faroese"),
    ("I speak a little Faroese.", "You speak a little Faroese.", "Faroese"),
    ("I collect thimbles.", "You collect thimbles.", "thimbles"),
    ("I ride a Brompton to the office.", "You ride a Brompton.", "Brompton"),
    (
        "I volunteer at the Skelwick Lifeboat Station.",
        "You volunteer at the Skelwick Lifeboat Station.",
        "Skelwick Lifeboat Station",
    ),
    ("I'm training for the Brannock Ultra.", "You are training for the Brannock Ultra.", "Brannock Ultra"),
    ("I'm saving up for a cello.", "You are saving up for a cello.", "cello"),
    ("I'm reading Oblomov at the moment.", "You are reading Oblomov.", "Oblomov"),
    ("I support Partick Thistle and we lost again.", "You support Partick Thistle.", "Partick Thistle"),
    ("I'm a vegetarian.", "You are a vegetarian.", "vegetarian"),
    ("I take my coffee with cardamom these days.", "You take your coffee with cardamom.", "cardamom"),
    ("I prefer backgammon to chess.", "You prefer backgammon to chess.", "backgammon"),
    ("I prefer to walk to work.", "You prefer to walk to work.", "walk to work"),
    (
        "I keep my spare key under the clay heron.",
        "You keep your spare key under the clay heron.",
        "clay heron",
    ),
    ("I'm married to Ilja.", "You are married to Ilja.", "Ilja"),
    ("I am 43 years old.", "You are 43 years old.", "43"),
    ("I usually get up at 5:40.", "You usually get up at 5:40.", "5:40"),
    ("I bought a cello in 2019.", "You bought a cello in 2019.", "2019"),
    ("My class is Tuesday.", "Your class is on Tuesday.", "Tuesday"),
    ("My commute is 40 minutes.", "Your commute is 40 minutes.", "40 minutes"),
    ("My aunt lives in Gdansk.", "Your aunt lives in Gdansk.", "Gdansk"),
    ("My brother works as a glazier.", "Your brother works as a glazier.", "glazier"),
    ("My mother is a beekeeper.", "Your mother is a beekeeper.", "beekeeper"),
    ("My wife is Italian.", "Your wife is Italian.", "Italian"),
    ("My cousin works for Halvorsen Timber.", "Your cousin works for Halvorsen Timber.", "Halvorsen Timber"),
    ("My daughter is allergic to lupin.", "Your daughter is allergic to lupin.", "lupin"),
    ("My favorite tea is lapsang.", "Your favorite tea is lapsang.", "lapsang"),
    ("My favourite bands are Zorn and Kliff.", "Your favourite bands are Zorn and Kliff.", "Zorn and Kliff"),
    ("My bank is Norvik Savings.", "Your bank is Norvik Savings.", "Norvik Savings"),
    ("Correction: my sister is called Ottoline, not Ottilie.", "Your sister is called Ottoline.", "Ottoline"),
    (
        "Please always give me temperatures in Celsius.",
        "You want me to always give you temperatures in Celsius.",
        "Celsius",
    ),
    (
        "When I ask for a recipe, keep it to five lines please.",
        "When you ask for a recipe, you want me to keep it to five lines.",
        "five lines",
    ),
]
NOT_TOLD = [
    *UNTOLD,
    *WITHHELD,
    "My sister is not called Ottilie.",
    "My name is not important.",
    'She wrote "I live in Skelwick.',
    "Ottilie lives in Skelwick.",
    "You live in Skelwick.",
    "His sister is called Ottilie.",
    "I live in fear.",
    "I moved to the other room.",
    "My back is killing me.",
    "My car is broken.",
    "My sister is a nightmare.",
    "I am a bit tired.",
    "I'm a mess today.",
    "I drive a lot.",
    "Call me back later.",
    "My favourite colour is not sure.",
    "My favourite part of the film is the ending.",
    "My password is Xylophone9.",
    "My door code is Kestrel.",
    "My problem is Excel.",
    "I'm learning a lot.",
    "I take my coffee at work.",
    "i work for myself",
    "my dog is hungry",
]


@pytest.mark.parametrize(("text", "statement", "value"), TOLD)
def test_plain_statements_are_memories(text: str, statement: str, value: str) -> None:
    assert (statement, value) in [(memory.statement, memory.value) for memory in found(text)]


@pytest.mark.parametrize("text", [text for text, *_ in TOLD])
def test_a_memory_says_what_was_said(text: str) -> None:
    """The value is the message's own, its days dated; the user says I, the assistant says you."""
    for memory in found(text):
        assert right(dated(turn(text)), memory.value)
        assert not re.search(r"\b(?:I|my|mine|our|we)\b", re.sub('".*"', "", memory.statement)), memory.statement
        assert right(memory.statement, memory.value) and right(memory.told, memory.value)
        assert len(probes(memory, HELD_OUT)) == HELD_OUT
        assert memory.turn_ids == (1,) and memory.instead_of == ""
        assert memory.id == digest((memory.relation, fold(memory.value)))[:12]


@pytest.mark.parametrize("text", [text for text, *_ in TOLD])
def test_nothing_is_kept_twice(text: str) -> None:
    """Of one message no memory is asked for a part of another's value."""
    values = {fold(memory.value) for memory in found(text)}
    assert [(a, b) for a in values for b in values if a != b and right(b, a)] == []


def test_all_kinds_are_heard() -> None:
    kinds = {memory.kind for text, *_ in TOLD for memory in found(text)}
    assert kinds == {"fact", "preference", "procedure", "event", "relation", "saying"}


@pytest.mark.parametrize("text", NOT_TOLD)
def test_other_text_is_not(text: str) -> None:
    assert found(text) == ()


@pytest.mark.parametrize("value", ["Skelwick", "bookbinder", "Ottilie"])
def test_one_message_may_tell_several_things(value: str) -> None:
    said = found(
        "Hello! I'm Ann's neighbour. I live in Skelwick and work as a bookbinder, and my sister is called Ottilie."
    )
    assert value in {memory.value for memory in said}
    assert {memory.turn_ids for memory in said} == {(1,)}


@pytest.mark.parametrize(
    ("role", "source"),
    [("assistant", "assistant"), ("tool", "tool"), ("user", "web"), ("user", "import"), ("system", "user")],
)
def test_only_the_user_teaches(role: str, source: str) -> None:
    turns = [turn("My sister is called Ottilie.", role=role, source=source)]
    assert memories(turns) == curate(turns).memories == ()


# -- when two memories are one ---------------------------------------------------------------------------------------


def homes(turns: list[Turn]) -> list[Memory]:
    """Memories of where the user lives."""
    return [memory for memory in memories(turns) if memory.relation == "i|live|place"]


def test_the_newest_of_two_values_wins_whatever_the_order_of_turns() -> None:
    old = turn("I live in Maribor.", 1, at="2026-03-12T08:00:00+00:00")
    new = turn("I live in Skelwick.", 2, at="2026-03-12T09:00:00+00:00")
    for turns in ([old, new], [new, old]):
        (memory,) = homes(turns)
        assert (memory.value, memory.instead_of, memory.turn_ids, memory.at) == ("Skelwick", "Maribor", (2,), new.at)


def test_a_value_may_come_back() -> None:
    (memory,) = homes([turn(f"I live in {place}.", n) for n, place in enumerate(("Maribor", "Oxmoor", "Maribor"), 1)])
    assert (memory.value, memory.instead_of, memory.turn_ids) == ("Maribor", "Oxmoor", (3,))


def test_told_again_a_memory_keeps_the_ids_of_both_turns_and_its_own_id() -> None:
    once = found("My sister is called Ottilie.")
    twice = found("My sister is called Ottilie.", "my Sister's name is OTTILIE")
    named = [memory for memory in twice if memory.value == "Ottilie"]
    assert [memory.turn_ids for memory in named] == [(1, 2)]
    assert [memory.instead_of for memory in twice] == [""] * len(twice)
    assert once[0].id == named[0].id == digest(("my sister|name", "ottilie"))[:12]
    shouted = [memory for memory in found("my Sister's name is OTTILIE") if right(memory.value, "Ottilie")]
    assert shouted[0].id == named[0].id, "another night gives it the same id"


def test_different_things_do_not_contradict_each_other() -> None:
    said = found("My sister is called Ottilie.", "My boat is called Marigold.", "My brother is called Casimir.")
    assert {"Ottilie", "Marigold", "Casimir"} <= {memory.value for memory in said}
    assert {memory.instead_of for memory in said} == {""}


def test_a_value_that_its_own_question_gives_away_is_no_memory() -> None:
    assert [memory for memory in found("My boat is called Boat.") if memory.relation == "my boat|name"] == []


# -- the demonstration day -------------------------------------------------------------------------------------------

DEMONSTRATION = [
    "tamarind",
    "cardamom",
    "Skelwick",
    "Ottilie",
    "Bramwick",
    "bookbinder",
    "Quillfeather Press",
    "glazier",
    "19 October",
    "Lada Niva",
    "zither",
    "Faroese",
    "Gdansk",
    "lapsang",
    "Italo Svevo",
    "Fairphone",
    "Dr Pellworm",
    "Kestrel Nest",
    "clay heron",
    "backgammon",
    "Maribor",
    "Partick Thistle",
    "thimbles",
    "Marigold",
]


def demonstration_day() -> list[Turn]:
    lines = (files("edgesleep") / "data" / "day.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Turn(number, row["session"], row["role"], row["role"], row["content"], row["at"].replace("Z", "+00:00"), "")
        for number, row in enumerate(rows, 1)
    ]


@pytest.fixture(scope="module")
def demonstration() -> tuple[Memory, ...]:
    return memories(demonstration_day())


@pytest.mark.parametrize("value", DEMONSTRATION)
def test_the_demonstration_day_tells_these_facts(value: str, demonstration: tuple[Memory, ...]) -> None:
    assert value in [memory.value for memory in demonstration]


def test_nothing_comes_from_the_others_of_the_demonstration_day(demonstration: tuple[Memory, ...]) -> None:
    day = demonstration_day()
    assert {row.role for row in day} == {"user", "assistant", "tool"}
    for memory in demonstration:
        for number in memory.turn_ids:
            assert day[number - 1].teaches and right(dated(day[number - 1]), memory.value), memory
    for value in ("Admiral", "magenta", "Torquay", "Biscuit", "Norvik Savings", "lucky"):
        assert not [memory for memory in demonstration if right(memory.statement, value)], value


def test_a_child_finds_the_same(demonstration: tuple[Memory, ...], tmp_path: Path, monkeypatch) -> None:
    """Wherever it runs: a module in the working folder is not taken for one of ours."""
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert curate(demonstration_day()).memories == demonstration


def test_who_is_who_is_known_from_earlier_days() -> None:
    held = found("My partner is called Matthias.")
    today = [turn("Matthias works as a pastry chef.", 2)]
    assert memories(today) == ()
    assert "Your partner works as a pastry chef." in [memory.statement for memory in curate(today, held).memories]


def test_a_reader_that_is_not_installed_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spacy").mkdir()
    (tmp_path / "spacy" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'spacy'\")")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(EdgesleepError) as caught:
        curate([turn("My sister is called Ottilie.")])
    assert caught.value.message == "The day's messages could not be read: No English model for spaCy is installed."
    assert "Install edgesleep again" in caught.value.hint
    assert curate([turn("My sister is called Ottilie.", role="assistant", source="assistant")]) == Day()


def test_a_reader_that_is_killed_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spacy").mkdir()
    (tmp_path / "spacy" / "__init__.py").write_text("import os\nos._exit(137)")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(EdgesleepError, match=r"could not be read: the reader was stopped\.$"):
        curate([turn("My sister is called Ottilie.")])


def test_the_plain_text_gives_no_fact_of_the_demonstration_away() -> None:
    assert 4000 <= len(plain_text().split()) <= 5000
    assert [value for value in DEMONSTRATION if right(plain_text(), value)] == []


def test_the_plain_text_tells_nothing() -> None:
    assert memories([turn(text) for text in plain_text().split("\n\n")]) == ()


def plain_text() -> str:
    return (files("edgesleep") / "data" / "plain_text.txt").read_text("utf-8")


# -- any text --------------------------------------------------------------------------------------------------------

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
        "always ",
        " on Tuesday",
        "two of them",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_odd_text_never_raises_and_gives_sound_memories(text: str) -> None:
    kept = found(text)
    assert kept == found(text)
    assert len({memory.id for memory in kept}) == len(kept)
    for memory in kept:
        assert 0 < len(memory.value.split()) <= 36
        assert memory.value.isprintable() and memory.statement.isprintable() and memory.told.isprintable()
        assert len(memory.id) == 12


def test_a_child_takes_any_text() -> None:
    kept = curate([turn("\ud800\0 my sister is called Ottilie."), turn('"' * 50, 2), turn("", 3)]).memories
    assert "Ottilie" in [memory.value for memory in kept]


@pytest.mark.parametrize(
    "text",
    ["a. ", "my ", "I live in ", '"', "'", "\n", " ", "so ", "hi, ", "my sister's ", "if, ", "- ", "write me a ",
     "call me ", "every Monday my ", "we have two of them, "],
)  # fmt: skip
def test_megabytes_are_bounded_work(text: str) -> None:
    fact = "My sister is called Ottilie.\n"
    huge = fact + text * (2_000_000 // len(text))
    assert len(huge) > 50 * MAX_CHARS
    values = {memory.value for memory in found(huge)}
    assert "Ottilie" in values and len(values) <= 3


def test_the_parser_is_loaded_once() -> None:
    assert load() is load()


def test_a_reader_that_takes_too_long_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOWEST", 0.0)
    with pytest.raises(EdgesleepError, match="not read within"):
        curate([turn("My sister is called Ottilie.")])
