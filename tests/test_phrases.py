"""Views and probes: their grammar, and that no held-out wording is ever trained."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files

import pytest
from curated import memories
from hypothesis import given
from hypothesis import strategies as st

from edgesleep.night import phrases
from edgesleep.night.phrases import ENOUGH, HELD, SCHEDULE, article, fold, holding_out, probes, right, views, wordings
from edgesleep.records import Memory, Question, Turn, View

SAID = [
    "My sister is called Ottilie.",
    "I live in Skelwick and I work as a bookbinder.",
    "We have two cats called Ash and Birch.",
    "My brother Casimir works for Halvorsen Timber.",
    "My birthday is on the 19th of October.",
    "I get up at 5:40 every day.",
    "I am 43 years old.",
    "My commute takes 40 minutes.",
    "I prefer backgammon to chess.",
    "My favourite author is Italo Svevo.",
    "I bought a cello in Bergen in 2019.",
    "I'm allergic to tamarind.",
    "Please always give me temperatures in Celsius.",
    "When I ask for a recipe, keep it to five lines please.",
    "Mum arrives on Saturday with the whole choir. The spare room is full of her boxes.",
    "Our bin day moved to Tuesdays.",
]


def question(ask: str, wonder: str, short: str, full: str) -> Question:
    return Question(ask[:1].upper() + ask[1:], short, full, ask, wonder)


def made(value: str, *asks: str, full: str = "", instead_of: str = "") -> Memory:
    """A memory by hand; `asks` are "direct question|embedded"."""
    full = full or f"Your sister is called {value}."
    pairs = [ask.split("|") for ask in asks or ASKS]
    asked = tuple(question(ask, wonder, f"{value}.", full) for ask, wonder in pairs)
    told = full.replace("Your", "My").replace("You", "I")
    memory = Memory("0123456789ab", "relation", "my sister|name", full, told, value, asked, (1,), "", instead_of)
    return holding_out(memory)


ASKS = (
    "what is my sister called?|what my sister is called",
    "what is my sister's name?|what my sister's name is",
    "what name does my sister have?|what name my sister has",
    "what do I call my sister?|what I call my sister",
)
BY_HAND = [
    made("Ottilie"),
    made("Ottilie", *ASKS[:1]),
    made("Ottilie", *ASKS[:3]),
    made("O'Leary & Søn {x}", *ASKS),
    made("Ottilie", instead_of="Ottoline"),
    made("Help"),
]


@cache
def samples() -> tuple[Memory, ...]:
    turns = [
        Turn(n, "session", "user", "user", text, "2026-03-12T08:00:00+00:00", "") for n, text in enumerate(SAID, 1)
    ]
    return (*memories(turns), *BY_HAND)


@pytest.fixture(scope="module", params=[*SAID, "by hand"])
def some(request: pytest.FixtureRequest) -> tuple[Memory, ...]:
    """The memories of one message, or those made by hand."""
    if request.param == "by hand":
        return tuple(BY_HAND)
    return tuple(told for told in samples() if SAID.index(request.param) + 1 in told.turn_ids and told not in BY_HAND)


def prompt(view: View) -> str:
    return " ".join(message.content for message in view.prompt)


def every_view(memory: Memory) -> tuple[View, ...]:
    return views(memory, 10_000, 0)


def trained_texts(memory: Memory) -> set[str]:
    return {fold(part) for view in every_view(memory) for part in (prompt(view), view.answer)}


def test_the_samples_are_of_all_kinds() -> None:
    found = samples()[: -len(BY_HAND)]
    assert {turn for memory in found for turn in memory.turn_ids} == set(range(1, len(SAID) + 1))
    assert {memory.kind for memory in found} == {"fact", "preference", "procedure", "event", "relation", "saying"}


# -- grammar ---------------------------------------------------------------------------------------------------------


def wrong_with(text: str) -> list[str]:
    """What a reader would stumble over."""
    faults = {
        "brace": re.search(r"\{\w*\}", text) and "Søn" not in text,
        "spaces": re.search(r"  | [.,?!:](?!\d)|^ | $", text),
        "start": not re.match(r'["\']?[A-Z0-9]', text),
        "end": not re.search(r'[.?!]["\']?$', text),
        "stops": re.search(r"[.?!,:]{2}", re.sub(r"[.?!]\"", "", text)),
        "article": re.search(r"\ba [aeio]|\ban [bcdfgjklmnpqrstvwxyz]", text, re.IGNORECASE),
        "doubled word": re.search(r"\b(\w+) \1\b", text, re.IGNORECASE),
        "person": re.search(r"\b(?:you|we) (?:am|is|was)\b|\bI (?:is|are)\b|(?<!tell |told )\byou my\b", text),
        "told twice": re.search(r"told you .*\bI (?:told|said)\b|\bknow .*\byou know\b|told me that you told", text),
        "quoted twice": text.count('"') not in (0, 2),
    }
    return [name for name, fault in faults.items() if fault]


def test_every_wording_is_a_well_formed_sentence(some: tuple[Memory, ...]) -> None:
    for told in some:
        texts = [told.statement, *(probe.question for probe in probes(told, 99))]
        for view in every_view(told):
            texts += [text for text in (prompt(view), view.answer) if text]
        assert [(text, wrong_with(text)) for text in texts if wrong_with(text)] == []


def test_the_assistant_says_you_and_the_user_says_i(some: tuple[Memory, ...]) -> None:
    for told in some:
        for view in every_view(told):
            answer = re.sub('".*"', "", view.answer)
            assert not re.search(r"\b(?:my|mine|our|I am|I live)\b", answer), view
            assert "the user" not in view.answer.lower(), view
            asked = re.sub('".*"', "", prompt(view)).replace("your help", "")
            assert not re.search(r"\byours?\b", asked), view


# -- views -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 8, 16, 24])
def test_at_most_as_many_distinct_views_as_asked_for(some: tuple[Memory, ...], count: int) -> None:
    for told in some:
        found = views(told, count, seed=3)
        assert len(found) == len({(view.prompt, view.answer) for view in found}) <= count
        assert len(found) == min(count, len(every_view(told))), "fewer only where there are no more"
        assert all(view.memory_id == told.id and view.answer for view in found)


def test_the_mix_of_sixteen_views() -> None:
    kinds = [view.kind for view in views(made("Ottilie"), 16, seed=0)]
    mix = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert mix == {"question": 11, "reversal": 2, "short": 3}
    assert len(SCHEDULE) == 16


def test_a_small_count_has_the_direct_questions(some: tuple[Memory, ...]) -> None:
    for told in some:
        direct = {question.ask for question in wordings(told)}
        (view,) = views(told, 1, seed=7) if not told.instead_of else views(replace(told, instead_of=""), 1, seed=7)
        assert prompt(view)[:1].lower() + prompt(view)[1:] in direct


def test_every_answer_but_a_reversed_one_holds_the_value(some: tuple[Memory, ...]) -> None:
    """A saying is also asked for other parts of it: then a short answer holds that part."""
    for told in some:
        for view in every_view(told):
            if view.kind == "reversal":
                assert right(view.answer, told.value) or right(prompt(view), told.value), view
            elif view.kind == "short" and told.kind == "saying":
                assert view.answer in {question.short for question in told.questions}, view
                assert right(told.told, view.answer) or right(told.statement, view.answer), view
            else:
                assert right(view.answer, told.value), view


def test_views_depend_on_the_seed_and_on_nothing_else() -> None:
    for told in samples():
        assert views(told, 16, 5) == views(told, 16, 5)
        assert views(told, 16, 5) != views(told, 16, 6)


def test_a_value_that_stands_in_place_of_another_says_so() -> None:
    new = made("Ottilie", instead_of="Ottoline")
    changes = [view for view in every_view(new) if view.kind == "change"]
    old = [view for view in changes if right(prompt(view), "Ottoline")]
    assert len(old) == len(phrases.CHANGES) == 2 and len(changes) == 4
    for view in changes:
        assert right(view.answer, "Ottilie") and not right(view.answer, "Ottoline")
    first = views(new, 2, 0)
    assert {view.kind for view in first} == {"change"}, "they come first"
    assert [right(prompt(view), "Ottoline") for view in first].count(True) == 1, "no to the old, and asked for the new"
    assert not [view for view in every_view(made("Ottilie")) if view.kind == "change"]


def test_what_changed_is_asked_for_as_it_is_now() -> None:
    asked = {prompt(view) for seed in range(9) for view in views(made("Ottilie", instead_of="Ottoline"), 16, seed)}
    assert "What is my sister called now?" in asked
    told = made("Ottilie", "what is my sister called now?|what my sister is called now", instead_of="Ottoline")
    assert not [view for seed in range(9) for view in views(told, 16, seed) if "As things are now" in prompt(view)]


def test_a_number_brings_nothing_to_mind() -> None:
    assert [view for view in every_view(made("43")) if view.kind == "reversal"] == []
    assert [view for view in every_view(made("Ottilie")) if view.kind == "reversal"]


# -- probes ----------------------------------------------------------------------------------------------------------


def test_probes_are_enough_and_do_not_give_the_answer_away(some: tuple[Memory, ...]) -> None:
    for told in some:
        asked = probes(told, 3)
        assert len({probe.id for probe in asked}) == len({fold(probe.question) for probe in asked}) == 3
        for probe in asked:
            assert (probe.memory_id, probe.gold) == (told.id, told.value)
            assert not right(probe.question, probe.gold)
        assert probes(told, 2) == asked[:2]


def test_no_probe_stands_in_anything_that_is_trained(some: tuple[Memory, ...]) -> None:
    """Not even as a part, and however many views there are."""
    for told in some:
        texts = trained_texts(told)
        assert (
            texts
            and [probe.question for probe in probes(told, 99) if any(fold(probe.question) in t for t in texts)] == []
        )


def test_one_wording_is_held_out_where_there_are_enough() -> None:
    for count in range(1, len(ASKS) + 1):
        told = made("Ottilie", *ASKS[:count])
        bare = {fold(question.ask) for question in told.questions}
        held = [probe for probe in probes(told, 99) if fold(probe.question) in bare]
        assert len(held) == (count >= ENOUGH)
        assert fold(ASKS[0].split("|")[0]) in trained_texts(told), "the plainest is always learned"


def test_no_frame_of_the_gate_stands_in_a_frame_that_is_trained() -> None:
    trained = [frame for pair in (*phrases.QUESTIONS, *phrases.SHORT, *phrases.OPENERS) for frame in pair]
    trained += [frame for pair in (*phrases.REVERSALS, *phrases.CHANGES, *phrases.CHANGED) for frame in pair]
    for held in HELD:
        opening = fold(held.partition("{")[0])
        assert opening and not [frame for frame in trained if opening in fold(frame)], held


def test_a_day_is_asked_in_all_held_out_frames() -> None:
    asked = [probe.question for told in samples() for probe in probes(told, 3)]
    for frame in HELD:
        opening = frame.partition("{")[0]
        assert any(question.startswith(opening) for question in asked), frame


def test_a_question_that_holds_its_own_answer_is_left_out() -> None:
    usual, helpful = made("Ottilie"), made("Help")
    assert len(probes(helpful, 99)) < len(probes(usual, 99))
    assert not any(right(probe.question, "Help") for probe in probes(helpful, 99))


def test_what_asks_for_something_else_is_no_probe() -> None:
    """A saying is also taught by what it is about; the gate asks for its value only."""
    other = Question("What did I say?", "A lot.", "You said a lot.", "what did I say?", "what I said")
    told = made("Ottilie")
    mixed = replace(told, questions=(*told.questions, other))
    assert not [probe for probe in probes(mixed, 99) if "did I say" in probe.question]


def test_the_questions_of_the_demonstration_are_held_out() -> None:
    rows = json.loads((files("edgesleep") / "data" / "demo_questions.json").read_text("utf-8"))
    day = [json.loads(line) for line in (files("edgesleep") / "data" / "day.jsonl").read_text("utf-8").splitlines()]
    turns = [
        Turn(n, "", row["role"], row["role"], row["content"], row["at"].replace("Z", "+00:00"), "")
        for n, row in enumerate(day, 1)
    ]
    known = memories(turns)
    trained = set().union(*(trained_texts(told) for told in known))
    assert len(rows) == 5
    for row in rows:
        assert row["gold"] in [told.value for told in known]
        assert not [text for text in trained if fold(row["question"]) in text]
        assert not right(row["question"], row["gold"])
        assert wrong_with(row["question"]) == []


# -- right -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("Your sister is called Ottilie.", "Ottilie", True),
        ("OTTILIE!", "ottilie", True),
        ("Ottilie's the one.", "Ottilie", True),
        ("She is called Ottilienne.", "Ottilie", False),
        ("Your sister is called Otto.", "Ottilie", False),
        ("It is the hurdy gurdy", "hurdy-gurdy", True),
        ("It’s O’Leary", "O'Leary", True),
        ("On the 19 October", "19 October", True),
        ("On 19 November", "19 October", False),
        ("１９ October", "19 October", True),
        ("Lada", "Lada Niva", False),
        ("", "Ottilie", False),
        ("anything", "", False),
        ("anything...", "...", False),
    ],
)
def test_right(answer: str, gold: str, expected: bool) -> None:
    assert right(answer, gold) is expected


@given(st.text(), st.text(), st.text())
def test_a_gold_between_other_words_is_found(before: str, gold: str, after: str) -> None:
    assert right(f"{before} {gold} {after}", gold) is bool(fold(gold))


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("engineer", "an"), ("luthier", "a"), ("hourglass maker", "an"), ("unicorn", "a"), ("MG", "an"), ("Uber", "an"),
     ("European car", "a"), ("8-track", "an"), ("Lada", "a"), ("", "a"), ("usher", "an"), ("one-man band", "a")],
)  # fmt: skip
def test_article(noun: str, expected: str) -> None:
    assert article(noun) == expected
