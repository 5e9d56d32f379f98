"""The exams of the evaluation harness: the hand-written days keep their word, other people's data can be asked."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from arms import (
    marked,
    without_trained,
)
from audit import DAYS, lines, people
from exams import SETS, STYLES, TOLD, Exam, Said, evidence, hand
from results import recalls, summary
from scoring import fold, says

from edgesleep.night.lexicon import words

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("EDGESLEEP_DATA") or ROOT.parent / "shared" / "data")
HAND = hand()[0]


# -- the hand-written days ---------------------------------------------------------------------------------------------


def text_of(exam: Exam) -> dict[str, str]:
    return {turn.id: turn.text for day in exam.days for turn in day}


def test_there_are_three_days_of_enough_questions() -> None:
    assert len(HAND.days) == 3
    dates = [{turn.at[:10] for turn in day} for day in HAND.days]
    assert dates == [{"2026-03-09"}, {"2026-03-10"}, {"2026-03-11"}]
    for day, turns in enumerate(HAND.days):
        asked = [question for question in HAND.questions if question.day == day]
        kinds = Counter(question.kind for question in asked)
        styles = Counter(question.style for question in asked if question.kind in TOLD)
        assert sum(turn.teaches for turn in turns) >= 34
        assert styles["plain"] >= 40 and styles["oblique"] >= 60 and set(styles) == set(STYLES)
        assert kinds["abstention"] == 15 and kinds["foreign"] >= 8
        assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    assert len(text_of(HAND)) == sum(map(len, HAND.days)), "an id stands for one turn"
    assert len({question.id for question in HAND.questions}) == len(HAND.questions)
    assert len({fold(question.text) for question in HAND.questions}) == len(HAND.questions)


def test_every_fact_is_asked_twice_in_both_styles() -> None:
    asked = Counter(((q.fact, q.day), q.style) for q in HAND.questions if q.kind in TOLD)
    for fact, _ in asked:
        assert all(asked[fact, style] >= 2 for style in STYLES), fact


def test_a_plain_question_cannot_be_answered_with_yes() -> None:
    closed = set(words("am is are was were can could do does did have has had will would should"))
    for question in HAND.questions:
        if question.style == "plain" and question.kind in TOLD:
            assert fold(question.text)[0] not in closed, question.text


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


def test_a_wording_that_was_trained_on_counts_for_nothing() -> None:
    asked = [question for question in HAND.questions if question.kind in TOLD][:2]
    replies = [marked(question, 0, question.accepted[0]) for question in asked]
    met = f" tell me {' '.join(fold(asked[0].text))} you do "
    after = without_trained(replies, HAND, [met])
    assert [reply.trained for reply in after] == [True, False]
    assert [recalls(reply, reply.style) for reply in after] == [False, True]
    assert (summary(replies).trained, summary(after).trained) == (0, 1)


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


def test_the_audit_lists_each_memory_with_the_turns_it_is_from() -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    chosen = {name: people(DATA, choice) for name, choice in DAYS.items()}
    assert {name: sum(len(exam.days) for exam in exams) for name, exams in chosen.items()} == dict.fromkeys(DAYS, 30)
    told = {name: {turn.text for exam in exams for day in exam.days for turn in day} for name, exams in chosen.items()}
    assert not {text for text in told["audited"] & told["unread"] if len(text) > 60}
    found = lines(chosen["audited"][0].first(1))
    assert found and all(line["value"].split()[0] in " ".join(line["turns"]) for line in found)
