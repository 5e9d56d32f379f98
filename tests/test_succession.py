"""Which memory a new one is, and which it takes the place of: on one day, and across days."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from curated import memories, told
from hypothesis import given
from hypothesis import strategies as st

from edgesleep import embed
from edgesleep.night.corrections import corrected, corrections
from edgesleep.night.hearing import hear
from edgesleep.night.phrases import probes, right
from edgesleep.night.succession import Ledger
from edgesleep.records import Memory, Turn, digest

# What was said, what was said later, and then: a value that holds, and the one in whose place it does.
REPLACED = [
    ("I live in Skelwick.", "I no longer live in Skelwick but in Oxmoor.", "Oxmoor", "Skelwick"),
    ("I live in Skelwick.", "We've moved to Oxmoor.", "Oxmoor", "Skelwick"),
    ("My sister drives a Lada.", "Actually, my sister drives a Volvo.", "Volvo", "Lada"),
    ("My sister drives a Lada.", "My sister drives a Volvo now.", "Volvo", "Lada"),
    ("I drive a Lada Niva.", "I don't drive the Lada any more but a Volvo.", "Volvo", "Lada Niva"),
    ("I play the zither.", "I play the accordion now instead of the zither.", "accordion", "zither"),
    ("I work as a bookbinder.", "I'm no longer a bookbinder, I'm a baker now.", "baker", "bookbinder"),
    ("My phone is a Fairphone.", "My new phone is a Pixel.", "Pixel", "Fairphone"),
    ("My boss is called Anna.", "My new boss is called Berta.", "Berta", "Anna"),
    ("Our spare key is with Gina.", "Our spare key is with Tomas now.", "Tomas", "Gina"),
    ("Gina has our spare key.", "Tomas has our spare key now.", "Tomas", "Gina"),
    (
        "We don't go above 12 metres a second.",
        "They changed it, we now stop at 10 metres a second.",
        "10 metres a second",
        "12 metres a second",
    ),
    (
        "We don't go above 12 metres a second on the turbines.",
        "Update on the wind: we now stop at 10 metres a second, not 12.",
        "10",
        "12",
    ),
    (
        "My eye test is on Thursday at 10.",
        "My eye test has been moved to Friday.",
        "Friday 13 March 2026",
        "Thursday 19 March 2026",
    ),
    (
        "My crown fitting is in six weeks.",
        "The crown fitting has moved, I'm back in three weeks instead of six.",
        "around 2 April 2026",
        "around 23 April 2026",
    ),
    ("Remember this: the wifi name is Kestrel.", "Remember this: the wifi name is Gannet.", "Gannet", "Kestrel"),
    ("Remember: the ferry leaves from gate 14.", "Remember: the ferry leaves from gate 9.", "9", "14"),
    (
        "They want 900 quid for the suspension.",
        "They want 750 quid for the suspension now.",
        "750 quid",
        "900 quid",
    ),
    (
        "Always give me temperatures in Celsius.",
        "Always give me temperatures in Fahrenheit.",
        "Fahrenheit",
        "Celsius",
    ),
]
# Two messages, and the values that both hold after them.
BOTH_HOLD = [
    ("My brother Fintan lives in Cork.", "My brother Declan lives in Derry.", {"Fintan", "Declan", "Cork", "Derry"}),
    ("My brother is called Fintan.", "My brother is called Declan.", {"Fintan", "Declan"}),
    ("My sister Ana lives in Bari.", "My sister Ida now lives in Bari.", {"Ana", "Ida"}),
    ("I have a dog called Rex.", "I also have a dog called Bess.", {"Rex", "Bess"}),
    ("My dog is called Rex.", "My dog is called Bess.", {"Rex", "Bess"}),
    ("I'm allergic to tamarind.", "I'm allergic to lupin.", {"tamarind", "lupin"}),
    ("I'm allergic to tamarind.", "I'm now allergic to lupin, actually.", {"tamarind", "lupin"}),
    ("I don't eat pork.", "I don't eat beef.", {"pork", "beef"}),
    ("I play the zither.", "I play the accordion.", {"zither", "accordion"}),
    ("My cousin Ottilie drives a Lada.", "My cousin Bruno drives a Lada.", {"Ottilie", "Bruno"}),
    ("Remember: the Heron Medal is from Bari.", "Remember: the Crane Medal is from Cork.", {"Bari", "Cork"}),
    ("My mum arrives on Saturday.", "My class is on Sunday, not Saturday.", {"Saturday 14 March 2026"}),
    ("My brother lives in Cork.", "I no longer go to Cork.", {"Cork"}),
    ("My brother lives in Cork.", "The train goes from Cork to Derry.", {"Cork"}),
    ("I'm allergic to milk.", "I no longer take milk in my tea.", {"milk"}),
    ("I live in Skelwick.", "Should I move from Skelwick to Oxmoor?", {"Skelwick"}),
    ("I live in Skelwick.", "If I no longer lived in Skelwick, I'd be sad.", {"Skelwick"}),
    ("My car is a Skoda Octavia.", "My neighbour sold his Skoda.", {"Skoda Octavia"}),
]
# What was said, and what sounds like its end, but is of something else.
NOT_OVER = [
    ("My dog is allergic to chicken.", "My dog doesn't eat chicken any more."),
    ("My brother lives in Maribor.", "My brother no longer likes Maribor."),
    ("My brother lives in Maribor.", "My brother never flies to Maribor any more."),
    ("My cousin works at Fiat.", "My cousin no longer drives a Fiat."),
    ("My mum was born in Ennis.", "My mum has moved from Ennis to Cork."),
    ("My mum was born in Ennis.", "My mum is no longer in Ennis."),
    ("I was born in Leeds.", "I was born in Leeds and moved from Leeds to York when I was two."),
    ("I have a dog.", "We gave away the dog bed."),
    ("I drive a Lada Niva.", "I sold the Lada Niva poster."),
    ("My car is a Skoda Octavia.", "We sold the Skoda roof rack."),
]
# What was said, and what was said later: nothing of it holds any more.
OVER = [
    ("I work for Halvorsen Timber.", "I no longer work for Halvorsen Timber."),
    ("I don't eat pork.", "I can eat pork again."),
    ("My car is a Skoda Octavia.", "We sold the Skoda."),
    ("My car is a 2014 Skoda Octavia.", "So about the car: the Skoda goes to the scrapyard."),
    ("My brother lives in Cork.", "My brother doesn't live in Cork any more."),
    ("My brother lives in Cork.", "My brother isn't in Cork any more."),
    ("My mum is on warfarin.", "My mum no longer takes warfarin."),
    ("My dad drives a Skoda.", "My dad no longer has the Skoda."),
    ("I drive a Lada Niva.", "I sold the Lada to my cousin."),
    ("I have a dog.", "We gave away the dog last week."),
]


def turn(text: str, number: int) -> Turn:
    return Turn(number, "s", "user", "user", text, f"2026-03-12T08:{number:02}:00+00:00", "")


def later(*days: str) -> list[Memory]:
    """What holds after days of one message each, by what the journal would keep of each."""
    held: dict[str, Memory] = {}
    for number, text in enumerate(days, 1):
        day = hear([turn(text, number)], list(held.values()))
        held = {relation: memory for relation, memory in held.items() if memory.id not in day.ended}
        held |= {memory.relation: memory for memory in day.memories}
    return list(held.values())


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
@pytest.mark.parametrize(("old", "new", "value", "before"), REPLACED, ids=[new for _, new, *_ in REPLACED])
def test_what_is_said_otherwise_takes_the_place_of_the_old(told, old: str, new: str, value: str, before: str) -> None:
    found = told(old, new)
    assert (value, before) in [(memory.value, memory.instead_of) for memory in found]
    assert [memory.told for memory in found if right(memory.told, before)] == []
    for memory in found:
        assert memory.id == digest((memory.relation, memory.value.lower()))[:12]
        assert len(probes(memory, 3)) == 3


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
@pytest.mark.parametrize(("one", "other", "values"), BOTH_HOLD, ids=[other for _, other, _ in BOTH_HOLD])
def test_two_facts_are_never_made_one(told, one: str, other: str, values: set[str]) -> None:
    found = told(one, other)
    assert values <= {memory.value for memory in found}
    assert {memory.instead_of for memory in found if memory.value in values} == {""}


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
@pytest.mark.parametrize(("old", "new"), OVER, ids=[new for _, new in OVER])
def test_what_is_over_ends(told, old: str, new: str) -> None:
    gone = {memory.told for memory in told(old)}
    assert gone and not gone & {memory.told for memory in told(old, new)}


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
@pytest.mark.parametrize(("old", "new"), NOT_OVER, ids=[new for _, new in NOT_OVER])
def test_what_is_over_is_only_what_was_meant(told, old: str, new: str) -> None:
    kept = {memory.told for memory in told(old)}
    assert kept and kept <= {memory.told for memory in told(old, new)}


def test_what_was_told_in_the_same_breath_goes_as_well() -> None:
    found = later("My sister Ottilie drives a Lada.", "My sister Ottilie drives a Volvo now.")
    assert not [memory.told for memory in found if right(memory.told, "Lada")]
    assert "Ottilie" in {memory.value for memory in found if memory.relation == "who|drives a volvo"}


# Facts that share a subject and a value, what is said of one of them, and what is left of the other.
APART = [
    ("My mum lives in Ennis.", "My mum was born in Ennis.", "My mum lives in Cork now.", "My mum was born in Ennis."),
    (
        "My sister lives in Leeds.",
        "My sister works in Leeds.",
        "My sister now works in York.",
        "My sister lives in Leeds.",
    ),
    (
        "My brother has two cats.",
        "My brother has two children.",
        "My brother has three children now.",
        "My brother has two cats.",
    ),
    (
        "My dad plays chess on Tuesdays.",
        "My dad works from home on Tuesdays.",
        "My dad plays chess on Fridays now.",
        "My dad works from home on Tuesdays.",
    ),
]


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
@pytest.mark.parametrize(("one", "other", "new", "left"), APART, ids=[new for *_, new, _ in APART])
def test_what_has_the_same_value_stays(told, one: str, other: str, new: str, left: str) -> None:
    assert left in {memory.told for memory in told(one, other, new)}
    assert left in {memory.told for memory in told(f"{one} {other}", new)}, "in one message too"


@pytest.mark.parametrize("told", [lambda *said: told(*said), later], ids=["one day", "two days"])
def test_another_brother_keeps_his_own_facts(told) -> None:
    brothers = ("My brother Fintan lives in Cork.", "My brother Declan lives in Derry.")
    found = told(*brothers, "Declan works as a nurse.", "Fintan works as a baker.")
    assert {memory.instead_of for memory in found} == {""}
    assert {"Cork", "Derry", "nurse", "baker", "Fintan", "Declan"} <= {memory.value for memory in found}


def test_a_value_may_come_back_with_its_own_id() -> None:
    lada, _, again = "My sister drives a Lada.", "My sister drives a Volvo now.", "My sister drives a Lada now."
    (first,) = (memory for memory in later(lada) if memory.value == "Lada")
    (last,) = (memory for memory in later(lada, _, again) if memory.value == "Lada")
    assert (last.id, last.instead_of) == (first.id, "Volvo")


def test_in_other_words_a_saying_is_told_again() -> None:
    (memory,) = told("Our boiler was put in by a firm from Tralee.", "My boiler was put in by a firm from Tralee now.")
    assert memory.turn_ids == (1, 2) and memory.told == "Our boiler was put in by a firm from Tralee."


def test_what_is_pinned_is_neither_corrected_nor_ended() -> None:
    (memory,) = memories([turn("I work for Halvorsen Timber.", 1)])
    pinned = Memory(**{**{name: getattr(memory, name) for name in memory.__dataclass_fields__}, "pinned": True})
    assert hear([turn("I no longer work for Halvorsen Timber.", 2)], [pinned]).ended == ()


def test_an_older_message_corrects_nothing() -> None:
    held = memories([turn("I work for Halvorsen Timber.", 5)])
    assert hear([turn("I no longer work for Halvorsen Timber.", 2)], held).ended == ()


def test_no_vectors_are_made_where_no_memory_is_like_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load", lambda *_, **__: pytest.fail("loaded"))
    assert told("I live in Skelwick.", "My sister is called Ottilie.")


def test_the_sentence_model_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def load(threads: int = 0, download: bool = True) -> embed.Embedder:
        asked.append(download)
        return embed.Pieces()

    monkeypatch.setattr(embed, "load", load)
    assert told("My sister drives a Lada.", "My sister drives a Volvo now.")
    assert asked == [False]


@pytest.mark.slow
def test_both_kinds_of_vectors_come_to_the_same() -> None:
    def came_to(embedder: embed.Embedder, said: Sequence[str]) -> list[str]:
        ledger = Ledger((), lambda: embedder)
        for number, text in enumerate(said, 1):
            message = turn(text, number)
            ledger.enter(memories([message]), text, number, message.at)
        return [memory.told for memory in ledger.day.memories]

    model = embed.MiniLM(threads=1)
    for old, new, *_ in REPLACED:
        assert came_to(model, (old, new)) == came_to(embed.Pieces(), (old, new))


@given(st.lists(st.text() | st.sampled_from([text for pair in REPLACED for text in pair[:2]]), max_size=4))
def test_odd_text_never_raises_and_corrections_are_sound(texts: list[str]) -> None:
    held = [memory for old, *_ in REPLACED[:4] for memory in KNOWN[old]]
    for text in texts:
        for fix in corrections(text, held):
            fresh = corrected(fix.memory, fix.value, 9, "2026-03-12T09:00:00+00:00")
            assert fresh is None or (right(fresh.told, fresh.value) and fresh.instead_of == fix.memory.value)


KNOWN = {old: told(old) for old, *_ in REPLACED[:4]}
