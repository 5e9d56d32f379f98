"""Every relation's wordings: their grammar, and that no held-out question is ever trained."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesleep.night.phrases import HELD, SCHEDULE, article, fold, probes, right, sentence, views
from edgesleep.night.relations import BY_NAME, PHRASE_BOOK, ears
from edgesleep.records import Memory, View, digest

# Slots that no relation has in common: for each, one of every form that changes the grammar.
SLOTS: dict[str, list[dict[str, str]]] = {
    "name": [
        {"thing": "sister", "value": "Ottilie"},
        {"thing": "boat", "value": "Marigold"},
        {"thing": "boss's dog", "value": "Mr. Pym"},
        {"thing": "friend from work", "value": "O'Leary"},
    ],
    "names": [{"thing": "cats", "value": "Ash and Birch"}, {"thing": "bikes", "value": "Juniper and Larch"}],
    "date_of": [{"thing": "birthday", "value": "19 October"}, {"thing": "wife's birthday", "value": "March 3"}],
    "attribute": [{"thing": "favourite tea", "value": "lapsang"}, {"thing": "bank", "value": "Norvik Savings"}],
    "attributes": [{"thing": "favourite bands", "value": "Zorn and Kliff"}],
    "model": [{"thing": "phone", "value": "Fairphone"}, {"thing": "car", "value": "Alpine"}],
    "served": [{"thing": "coffee", "value": "with cardamom"}],
    "preference": [{"other": "chess", "value": "backgammon"}],
    "kept": [{"thing": "spare key", "value": "under the clay heron"}],
    "spouse": [{"thing": "married", "value": "Ilja"}, {"thing": "engaged", "value": "Ilja"}],
}


def memory(relation: str, slots: dict[str, str]) -> Memory:
    return Memory(
        digest((relation, slots))[:12], relation, sentence(relation, slots), slots, (1,), "2026-03-12T08:00:00Z"
    )


def samples() -> list[Memory]:
    found = []
    for relation in PHRASE_BOOK:
        usual = {"value": "Skelwick"} | ({"thing": "brother"} if "{thing}" in relation.record else {})
        found += [memory(relation.name, slots) for slots in SLOTS.get(relation.name, [usual])]
    return found


SAMPLES = samples()
each_memory = pytest.mark.parametrize("told", SAMPLES, ids=lambda told: f"{told.relation}-{told.value}")


def prompt(view: View) -> str:
    return " ".join(message.content for message in view.prompt)


def wrong_with(text: str) -> list[str]:
    """What a reader would stumble over."""
    faults = {
        "brace": re.search(r"[{}]", text),
        "spaces": re.search(r"  | [.,?!:]|^ | $", text),
        "start": not re.match(r'["\']?[A-Z0-9]', text),
        "end": not re.search(r'[.?!]["\']?$', text),
        "stops": re.search(r"[.?!,:]{2}", text.replace('."', '"')),
        "article": re.search(r"\ba [aeiou]|\ban [bcdfgjklmnpqrstvwxyz]", text, re.IGNORECASE),
        "doubled word": re.search(r"\b(\w+) \1\b", text, re.IGNORECASE),
        "person": re.search(r"\b(?:you|we) (?:am|is|was)\b|\bI (?:is|are)\b|\byou my\b", text),
    }
    return [name for name, fault in faults.items() if fault]


@each_memory
def test_every_wording_is_a_well_formed_sentence(told: Memory) -> None:
    texts = [told.sentence, *(probe.question for probe in probes(told, 99))]
    for view in views(told, 99, 0):
        texts += [text for text in (prompt(view), view.answer) if text]
    assert [(text, wrong_with(text)) for text in texts if wrong_with(text)] == []


@each_memory
def test_the_assistant_says_you_and_the_user_says_i(told: Memory) -> None:
    for view in views(told, 99, 0):
        if view.prompt:
            assert not re.search(r"\b(?:my|mine|I am)\b", view.answer), view
            assert "the user" not in view.answer.lower(), view
            assert not re.search(r"\byour (?!help\b)", prompt(view)), view


@each_memory
@pytest.mark.parametrize("count", [0, 1, 8, 16, 24])
def test_as_many_distinct_views_as_asked_for(told: Memory, count: int) -> None:
    made = views(told, count, seed=3)
    assert len(made) == len({(view.prompt, view.answer) for view in made}) == count
    assert all(view.memory_id == told.id and view.answer for view in made)


@each_memory
def test_the_mix_of_sixteen_views(told: Memory) -> None:
    kinds = [view.kind for view in views(told, 16, seed=0)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "question": 9,
        "short": 3,
        "reversal": 2,
        "statement": 2,
    }
    assert len(SCHEDULE) == 16


@each_memory
def test_every_answer_but_a_reversed_one_holds_the_value(told: Memory) -> None:
    for view in views(told, 99, 0):
        assert right(view.answer, told.value) or (view.kind == "reversal" and right(prompt(view), told.value)), view


def test_views_depend_on_the_seed_and_on_nothing_else() -> None:
    for told in SAMPLES:
        assert views(told, 16, 5) == views(told, 16, 5)
        assert views(told, 16, 5) != views(told, 16, 6)


@each_memory
def test_probes_are_enough_and_do_not_give_the_answer_away(told: Memory) -> None:
    asked = probes(told, 3)
    assert len({probe.id for probe in asked}) == len({fold(probe.question) for probe in asked}) == 3
    for probe in asked:
        assert (probe.memory_id, probe.gold) == (told.id, told.value)
        assert not right(probe.question, probe.gold)
    assert probes(told, 2) == asked[:2]


def test_no_probe_is_a_trained_prompt_of_any_memory() -> None:
    trained = {fold(prompt(view)) for told in SAMPLES for view in views(told, 99, 0)}
    asked = {fold(probe.question) for told in SAMPLES for probe in probes(told, 99)}
    assert len(asked) > 6 * len(SAMPLES)
    assert asked & trained == set()


def test_no_probe_is_a_trained_prompt_whatever_is_told() -> None:
    """As above with every slot left open: "What is my X called?" is trained for any X."""
    trained = set()
    for relation in PHRASE_BOOK:
        slots = {"value": "Vvv"} | {
            name: name.title() * 2 for name in ("thing", "other") if f"{{{name}" in relation.record
        }
        open_slots = re.compile("vvv|thingthing(?: s)?|otherother")
        for view in views(memory(relation.name, slots), 99, 0):
            if view.prompt:
                trained.add(re.compile(".+".join(map(re.escape, open_slots.split(fold(prompt(view)))))))
    asked = {fold(probe.question) for told in SAMPLES for probe in probes(told, 99)}
    assert len(trained) > 1000
    assert [(text, wording.pattern) for text in asked for wording in trained if wording.fullmatch(text)] == []


def test_a_day_is_asked_in_all_held_out_frames() -> None:
    asked = [probe.question for told in SAMPLES for probe in probes(told, 3)]
    for frame in HELD:
        opening = frame.partition("{")[0]
        assert any(question.startswith(opening) for question in asked), frame


def test_a_question_that_holds_its_own_answer_is_left_out() -> None:
    usual, helpful = (memory("name", {"thing": "sister", "value": value}) for value in ("Ottilie", "Help"))
    assert len(probes(usual, 99)) == len(probes(helpful, 99)) + 1
    assert not any(right(probe.question, "Help") for probe in probes(helpful, 99))


def test_each_relation_is_complete() -> None:
    assert len(BY_NAME) == len(PHRASE_BOOK)
    for relation in PHRASE_BOOK:
        assert relation.held and relation.facts and len(relation.asks) >= 2, relation.name
        assert ears(relation), relation.name
        assert not {fold(text) for text in relation.held} & {fold(text) for text in relation.asks}, relation.name


def test_the_questions_of_the_demonstration_are_held_out() -> None:
    rows = json.loads((files("edgesleep") / "data" / "demo_questions.json").read_text("utf-8"))
    trained = {fold(prompt(view)) for told in SAMPLES for view in views(told, 99, 0)}
    assert len(rows) == 5
    for row in rows:
        assert fold(row["question"]) not in trained
        assert not right(row["question"], row["gold"])
        assert wrong_with(row["question"]) == []


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
