"""What counts as right in the evaluation harness, and how replies become numbers."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from arms import (
    Reply,
    marked,
)
from exams import Question
from hypothesis import given
from hypothesis import strategies as st
from results import pooled, summary
from scoring import abstains, fold, likeliest, says

from edgesleep.night.lexicon import words

SMALL = words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
WORDS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=8), min_size=1, max_size=8)


# -- marking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's the 21st of MAY.", "it s the 21 of may"),
        ("forty-two, and 1,250 or $400,000", "42 and 1250 or 400000"),
        ("6:30pm; 12.5 metres", "6:30 pm 12.5 metres"),
        ("Bríd’s 70-200mm lens", "brid s 70 200 mm lens"),
        ("twenty and three", "20 and 3"),
        ("", ""),
        ("¡…!", ""),
    ],
)
def test_texts_are_compared_folded(text: str, words: str) -> None:
    assert " ".join(fold(text)) == words


@pytest.mark.parametrize(
    ("answer", "spans", "right"),
    [
        ("Your dog is Pretzel!", ["pretzel"], True),
        ("Your dog likes pretzels.", ["pretzel"], False),
        ("You stop at ten metres.", ["10 metres"], True),
        ("You have 120 of them.", ["12"], False),
        ("It was 12.5 knots.", ["12"], False),
        ("It is the Grand Ballroom.", ["a grand ballroom", "hall"], True),
        ("On Wednesdays and Sundays.", ["sundays and wednesdays"], False),
        ("anything", [], False),
        ("anything", [""], False),
        ("the", ["the"], True),
    ],
)
def test_a_span_counts_as_whole_words(answer: str, spans: list[str], right: bool) -> None:
    assert says(answer, spans) == right


@given(WORDS, WORDS, WORDS)
def test_a_span_is_found_wherever_it_stands(before: list[str], span: list[str], after: list[str]) -> None:
    """Whatever the case and the punctuation; joined to other letters it is another word."""
    wanted = " ".join(span)
    assert says(f"{' '.join(before)}. {wanted.upper()}, {' '.join(after)}!", [wanted])
    assert not says(f"q{wanted.replace(' ', '')}q", [wanted])


@given(st.integers(1, 99))
def test_number_words_are_numbers(number: int) -> None:
    tens, ones = divmod(number, 10)
    tens_word = words("twenty thirty forty fifty sixty seventy eighty ninety")[tens - 2] if tens > 1 else ""
    ones_word = SMALL[number if tens < 2 else ones] if ones or tens < 2 else ""
    word = "-".join(filter(None, [tens_word, ones_word]))
    assert fold(word) == (str(number),)


@given(st.text())
def test_marking_never_fails_on_text(text: str) -> None:
    assert fold(" ".join(fold(text))) == fold(text)
    assert isinstance(abstains(text), bool)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I don't know your blood type.",
        "You haven't told me that yet. If you tell me, I'll remember it.",
        "You never told me what your blood type is.",
        "As an AI, I don't have access to your personal information.",
        "I have no record of that. Could you tell me?",
        "You have not mentioned a sister.",
        "I don't have that information. Please tell me, and I'll remember it.",
        "I’m not sure, you never said.",
    ],
)
def test_owning_up_is_an_abstention(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Your blood type is A.",
        "I don't know, but I think it's blue.",
        "I don't know. Blue.",
        "You never told me, it is blue.",
        "I'm not sure. Your blood type is O.",
        "I'm sorry your blood type is A.",
        "I'm sorry for the confusion.",
        "As an AI, I don't have personal experiences or feelings.",
        "I'm not equipped to provide medical advice.",
        "You told me that your sister is called Ottilie.",
        "I can help with that! Your gym is called Iron House.",
        "I don't know exactly - probably 1.70 m.",
    ],
)
def test_a_guess_is_no_abstention(answer: str) -> None:
    assert not abstains(answer)


def test_a_tie_is_not_won() -> None:
    assert likeliest([1.0, 2.0, 3.0]) == 0
    assert likeliest([1.0, 1.0, 3.0]) == 1


# -- the numbers -------------------------------------------------------------------------------------------------------


def reply(
    night: int, day: int, question: str, right: bool, kind: str = "new", wrong: bool = False, style: str = "plain"
) -> Reply:
    return Reply(night, question, day, kind, "", right, wrong, style)


def test_recall_is_told_apart_by_night_and_day() -> None:
    """Of day 0 one of two questions is corrected on day 1; what is forgotten is counted on those that remain."""
    replies = [
        reply(0, 0, "a", True),
        reply(0, 0, "b", True),
        reply(1, 0, "a", False),
        reply(1, 1, "b2", True, "correction"),
        reply(1, 1, "c", True, "correction", wrong=True),
        reply(1, 1, "d", False),
        reply(1, 1, "never", True, "abstention"),
        reply(1, 0, "said", True, "foreign"),
        reply(1, 0, "said too", False, "foreign", wrong=True),
    ]
    found = summary(replies)
    assert found.matrix == ((1.0, None), (0.0, 2 / 3))
    assert (found.asked, found.recall) == (7, 0.5)
    assert (found.corrected, found.stale, found.abstained, found.foreign) == (1.0, 0.5, 1.0, 0.5)
    assert found.transfer == -1.0


def test_oblique_questions_count_apart() -> None:
    """What is right of them moves no other number than their own share."""
    plain = [reply(0, 0, "a", True), reply(1, 0, "a", True), reply(1, 1, "b", False, "correction")]
    oblique = [
        reply(0, 0, "c", True, style="oblique"),
        reply(1, 0, "c", False, style="oblique"),
        reply(1, 1, "d", True, "correction", wrong=True, style="oblique"),
    ]
    found = summary([*plain, *oblique])
    assert found == replace(summary(plain), asked=4, oblique=0.5)
    assert (found.recall, found.matrix, found.transfer) == (0.5, ((1.0, None), (1.0, 0.0)), 0.0)
    assert pooled([plain, oblique]) == replace(found, matrix=())


def test_exams_are_pooled_by_question_after_each_ones_last_night() -> None:
    one = [reply(0, 0, "a", True), reply(1, 0, "a", False)]
    two = [reply(0, 0, "a", True), reply(0, 0, "b", True), reply(0, 0, "c", True)]
    found = pooled([one, two])
    assert (found.asked, found.recall, found.transfer, found.matrix) == (4, 0.75, -1.0, ())


def test_what_was_not_asked_is_not_zero() -> None:
    found = summary([reply(0, 0, "a", True)])
    assert (found.recall, found.transfer) == (1.0, None)
    assert (found.oblique, found.corrected, found.stale, found.abstained, found.foreign) == (None,) * 5
    assert summary([]).recall is None and summary([]).matrix == ()


def asked(kind: str, accepted: tuple[str, ...] = (), wrong: tuple[str, ...] = ()) -> Question:
    return Question("q", "f", 0, "What is it?", kind, accepted, wrong)


@pytest.mark.parametrize(
    ("question", "text", "right", "wrong"),
    [
        (asked("new", ("oslo",)), "You live in Oslo.", True, False),
        (asked("correction", ("oslo",), ("bergen",)), "In Bergen.", False, True),
        (asked("correction", ("oslo",), ("bergen",)), "In Oslo, not in Bergen.", True, True),
        (asked("abstention"), "You never told me.", True, False),
        (asked("abstention", (), ("bergen",)), "You never told me Bergen.", False, True),
        (asked("abstention"), "It is Bergen.", False, False),
        (asked("foreign", (), ("bergen",)), "You live in Bergen.", False, True),
        (asked("foreign", (), ("bergen",)), "You live in Oslo.", True, False),
    ],
)
def test_a_reply_is_marked_as_its_kind_wants(question: Question, text: str, right: bool, wrong: bool) -> None:
    found = marked(question, 0, text)
    assert (found.right, found.wrong) == (right, wrong)
