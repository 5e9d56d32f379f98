"""Questions about things never told: none of what is known, each honestly answered, and some kept for the gate."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from scoring import abstains

from edgesleep.night import untold
from edgesleep.night.phrases import fold
from edgesleep.records import Memory, Question, View

DAYS = Path(__file__).parents[1] / "bench" / "days"
ALL = 10_000


def memory(told: str, *asks: str) -> Memory:
    questions = tuple(Question(ask, "", "", ask, ask) for ask in asks)
    return Memory("0" * 12, "fact", told, told, told, "value", questions, (1,), "")


def asked(views: Sequence[View]) -> list[str]:
    return [message.content for view in views for message in view.prompt]


TOPICS = untold._topics()


def test_topics_are_many_and_each_is_there_once() -> None:
    assert len(TOPICS) > 100
    assert len({topic.ask for topic in TOPICS}) == len({topic.wonder for topic in TOPICS}) == len(TOPICS)
    assert all(topic.words for topic in TOPICS)


def test_every_lesson_is_answered_by_an_abstention() -> None:
    views = [view for seed in range(5) for view in untold.lessons([], ALL, seed)]
    answers = {view.answer for view in views}
    assert len(answers) > 200
    assert [answer for answer in sorted(answers) if not abstains(answer)] == []
    assert {(view.kind, view.memory_id) for view in views} == {("untold", "")}


def test_the_user_asks_as_i_and_the_assistant_answers_you() -> None:
    for seed in range(10):
        for view in untold.lessons([], ALL, seed):
            (prompt,) = asked([view])
            assert re.fullmatch(r"[A-Z][\w' ,-]+\?", prompt), prompt
            assert re.search(r"\b(?:I|my|me)\b", prompt) and not re.search(r"\byours?\b|tell me,? who taught I", prompt)
            assert not re.search(r"\b(?:my|me I)\b", view.answer.replace("told me", "")), view.answer
            assert not re.search(r"\bI (?!do not know)", view.answer), view.answer
            assert not re.search(r"[{}:]|  |\bI (?:are|is)\b|\byou (?:am|is)\b", prompt + view.answer)


def test_lessons_follow_from_the_seed_and_are_as_many_as_wanted() -> None:
    assert untold.lessons([], 20, 1) == untold.lessons([], 20, 1)
    assert untold.lessons([], 20, 1) != untold.lessons([], 20, 2)
    for count in (0, 1, 48):
        assert len(untold.lessons([], count, 0)) == len({*asked(untold.lessons([], count, 0))}) == count
    assert 600 < len(untold.lessons([], ALL, 0)) < len(TOPICS)


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (memory("My aunt lives in Gdansk."), "aunt"),
        (memory("I have two cats called Ash and Birch."), "cat"),
        (memory("My cousin plays in three bands."), "band"),
        (memory("I am a vegetarian."), "diet"),
        (memory("I am with Octopus for my electricity."), "energy"),
        (memory("I am 80 kilos."), "weigh"),
        (memory("I got married in Maribor."), "married"),
        (memory('I told you: "Never suggest cheese."'), "cheese"),
    ],
)
def test_nothing_that_is_known_is_asked(told: Memory, word: str) -> None:
    """Neither what was told nor what it is asked for by; what is like it, but for the word, still is."""
    assert any(word in ask for ask in everything([])), "otherwise this shows nothing"
    left = everything([told])
    assert [ask for ask in left if re.search(rf"\b{word}s?\b", ask)] == []
    assert len(left) > 0.9 * len(everything([]))


def everything(memories: list[Memory]) -> list[str]:
    """All that may be asked, by lessons and by the gate."""
    return [*asked(untold.lessons(memories, ALL, 0)), *untold.questions(memories, ALL)]


def test_the_gate_asks_what_no_lesson_does() -> None:
    gate = {fold(ask) for ask in untold.questions([], ALL)}
    assert len(gate) > 20
    taught = {fold(text) for seed in range(5) for text in asked(untold.lessons([], ALL, seed))}
    assert [text for text in taught for ask in gate if ask in text] == []
    held = {topic.wonder for topic in TOPICS if fold(topic.ask) in gate}
    assert [text for text in taught for wonder in held if fold(wonder) in text] == []


@pytest.mark.parametrize("count", [0, 1, 8, 20])
def test_the_gate_asks_as_much_as_wanted_from_all_over(count: int) -> None:
    found = untold.questions([], count)
    assert len(found) == len(set(found)) == count
    assert found == untold.questions([], count)
    if count == 20:
        assert len({ask.split()[0] for ask in found}) >= 4


def test_no_topic_is_one_of_the_exams() -> None:
    never = [ask for path in sorted(DAYS.glob("day?.json")) for ask in json.loads(path.read_text("utf-8"))["never"]]
    assert len(never) == 45
    words = {word for ask in never for word in untold._content(ask)}
    assert [topic.ask for topic in TOPICS if untold._content(topic.thing) & words] == []


def test_what_the_user_spoke_of_is_not_said_to_be_untold() -> None:
    """Also where no memory was made of it."""
    said = untold.spoken(["i went to see my aunt about the tents", "The notary was late."])
    assert said == {"aunt", "tent", "notary"}
    left = [*asked(untold.lessons([], ALL, 0, said)), *untold.questions([], ALL, said)]
    assert 0 < len(left) < len(everything([]))
    assert not [ask for ask in left if re.search(r"\b(?:aunt|tent|notary)\b", ask)]


def test_it_is_asked_as_people_speak_too() -> None:
    lessons = asked(untold.lessons([], ALL, 0))
    for form in ("'s my ", " is my "):
        assert len([ask for ask in lessons if form in ask]) > 20
