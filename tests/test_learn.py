"""The evaluation harness: what counts as right, whether the hand-written days keep their word, and every arm."""

from __future__ import annotations

import os
import string
from collections import Counter
from pathlib import Path

import pytest
from exams import SETS, TOLD, Exam, Said, evidence, hand, journal_turns
from hypothesis import given
from hypothesis import strategies as st
from scoring import abstains, fold, likeliest, says

from edgesleep.night.curate import curate
from edgesleep.night.phrases import probes, views
from edgesleep.night.relations import words

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("EDGESLEEP_DATA") or ROOT.parent / "shared" / "data")
SMALL = words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
WORDS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=8), min_size=1, max_size=8)
HAND = hand()[0]

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


# -- the hand-written days ---------------------------------------------------------------------------------------------


def text_of(exam: Exam) -> dict[str, str]:
    return {turn.id: turn.text for day in exam.days for turn in day}


def test_there_are_three_days_of_enough_questions() -> None:
    assert len(HAND.days) == 3
    dates = [{turn.at[:10] for turn in day} for day in HAND.days]
    assert dates == [{"2026-03-09"}, {"2026-03-10"}, {"2026-03-11"}]
    for day, turns in enumerate(HAND.days):
        kinds = Counter(question.kind for question in HAND.questions if question.day == day)
        assert sum(turn.teaches for turn in turns) >= 34
        assert kinds["new"] + kinds["correction"] >= 60 and kinds["abstention"] == 15 and kinds["foreign"] >= 8
        assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    assert len(text_of(HAND)) == sum(map(len, HAND.days)), "an id stands for one turn"
    assert len({question.id for question in HAND.questions}) == len(HAND.questions)
    assert len({question.text for question in HAND.questions}) == len(HAND.questions)


def test_every_answer_stands_in_a_turn_of_the_user() -> None:
    said = {turn.id: turn for day in HAND.days for turn in day}
    for question in HAND.questions:
        if question.kind in TOLD:
            turns = [said[turn] for turn in question.evidence]
            assert turns and all(turn.teaches for turn in turns), question.id
            assert any(says(turn.text, question.accepted) for turn in turns), question.id
            assert any(turn in HAND.days[question.day] for turn in turns), question.id


def test_a_question_neither_gives_its_answer_away_nor_was_asked_before() -> None:
    texts = [fold(text) for text in text_of(HAND).values()]
    for question in HAND.questions:
        assert not says(question.text, [*question.accepted, *question.wrong]), question.text
        assert question.text.endswith((".", "?")), question.text
        asked = fold(question.text)
        assert not any(asked == text[at : at + len(asked)] for text in texts for at in range(len(text))), question.text


def test_a_question_is_never_trained_on() -> None:
    """Nothing that the phrase book makes of the days is worded like a question of the exam."""
    turns, _ = journal_turns(HAND, 2)
    ours = {fold(question.text) for question in HAND.questions}
    for memory in curate(turns):
        trained = {fold(message.content) for view in views(memory, 500, 0) for message in view.prompt}
        assert not ours & trained, memory.sentence
        assert probes(memory, 1)


def test_what_others_said_is_not_what_the_user_said() -> None:
    """The false value comes from no turn in which the user speaks for herself (she may quote it)."""
    said = {turn.id: turn for day in HAND.days for turn in day}
    true = {span for question in HAND.questions if question.kind in TOLD for span in question.accepted}
    for question in HAND.questions:
        if question.kind == "foreign":
            assert len(question.wrong) == 1 and question.wrong[0] not in true, question.id
            assert any(says(said[turn].text, question.wrong) for turn in question.evidence), question.id
            others = [turn for turn in said.values() if turn.teaches and turn.id not in question.evidence]
            assert not any(says(turn.text, question.wrong) for turn in others), question.id


def test_a_correction_replaces_a_fact_of_a_day_before() -> None:
    corrections = {question.fact: question for question in HAND.questions if question.kind == "correction"}
    assert len(corrections) >= 5 and {question.day for question in corrections.values()} == {1, 2}
    for fact, question in corrections.items():
        before = [other for other in HAND.questions if other.fact == fact and other.kind == "new"]
        assert before and question.wrong and not set(question.wrong) & set(question.accepted)
        for old in before:
            assert old.until == question.day > old.day
            assert set(question.wrong) & set(old.accepted) or says(" ".join(old.accepted), question.wrong)


@pytest.mark.parametrize("night", [0, 1, 2])
def test_a_fact_has_one_true_value_at_a_time(night: int) -> None:
    accepted: dict[str, set[tuple[str, ...]]] = {}
    for question in HAND.first(night + 1).questions:
        if question.kind in TOLD and question.holds(night):
            accepted.setdefault(question.fact, set()).add(question.accepted)
    assert all(len(values) == 1 for values in accepted.values())


# -- other people's data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SETS if name != "hand"])
def test_a_reader_gives_exams_that_can_be_asked(name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    exams = SETS[name](DATA)
    assert exams
    for exam in exams:
        ids = text_of(exam)
        assert len(ids) == sum(map(len, exam.days)) and all(ids.values())
        assert len({question.id for question in exam.questions}) == len(exam.questions) > 0
        for question in exam.questions:
            assert 0 <= question.day < len(exam.days)
            assert question.accepted if question.kind in TOLD else not question.accepted
            assert all(turn in ids for turn in question.evidence)
            assert not says(" ".join(question.accepted), question.wrong), question.id
            assert len(question.choices) in (0, 6)


def test_longmemeval_is_annotated_without_copies() -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    users, updates = SETS["lme-user"](DATA), SETS["lme-update"](DATA)
    assert sum(len(exam.questions) for exam in users) == 21
    assert sum(len(exam.questions) for exam in updates) == 24
    for exam in updates:
        for question in exam.questions:
            assert question.kind in ("correction", "old")
            assert bool(question.wrong) == (question.kind == "correction"), question.id
    unfounded = [q.id for exam in users + updates for q in exam.questions if not q.evidence]
    assert unfounded == ["lme-update-0-69fee5aa"], "37 coins, and then one more"


def test_only_the_user_is_evidence() -> None:
    turns = [
        Said("a", "2026-01-01T00:00:00+00:00", role, source, "It is in Oslo.")
        for role, source in (("assistant", "assistant"), ("tool", "web"))
    ]
    mine = Said("b", "2026-01-01T00:00:00+00:00", "user", "user", "It is in Oslo.")
    assert evidence([*turns, mine], ["oslo"]) == ("b",)
