"""The evaluation harness: what counts as right, whether the hand-written days keep their word, and every arm."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import ability
import numpy as np
import pytest
from arms import (
    Asking,
    Reply,
    choice_losses,
    fitted,
    in_context,
    marked,
    nights_of,
    prompt,
    without_context,
    without_trained,
)
from audit import DAYS, lines, people
from exams import SETS, STYLES, TOLD, Exam, Question, Said, evidence, hand
from finds import finds
from hypothesis import given
from hypothesis import strategies as st
from nights import SETTINGS
from results import pooled, recalls, summary
from retrieve import Lexical, Missing, Semantic, sentence_model
from scoring import abstains, fold, likeliest, says
from tiny import make_tiny

from edgesleep.engine import Engine
from edgesleep.night.lexicon import words

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


# -- looking up --------------------------------------------------------------------------------------------------------


def test_bm25_finds_the_turns_with_the_words_of_a_question() -> None:
    found = Lexical(HAND.turns(2)).top("Which lurcher has an odd name?", 3)
    assert "Pretzel" in " ".join(turn.text for turn in found) and len(found) <= 3
    assert all(turn.teaches for turn in found)
    assert [turn.at for turn in found] == sorted(turn.at for turn in found)


@pytest.mark.parametrize("query", ["", "?!", '"', "NEAR AND OR NOT", "text:x*", "zzzz"])
def test_bm25_takes_any_question(query: str) -> None:
    Lexical(HAND.turns(0)).top(query, 3)
    assert Lexical([]).top(query, 3) == []


@pytest.mark.slow
def test_embeddings_find_what_means_the_same() -> None:
    embedder = sentence_model(threads=1)
    found = Semantic(HAND.turns(0), embedder).top("Which musical instrument is being studied?", 3)
    assert "accordion" in " ".join(turn.text for turn in found)
    assert Semantic([], embedder).top("anything", 3) == []


def test_letters_never_stand_in_for_the_embedding_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Missing, match="onnxruntime"):
        sentence_model(threads=1)


# -- the arms, small ---------------------------------------------------------------------------------------------------

ASKING = Asking(threads=1, window=200, answer_tokens=4, together=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


def small_exam() -> Exam:
    """Two days with plain sentences, one of which is corrected."""

    def told(day: int, texts: list[str]) -> tuple[Said, ...]:
        at = f"2026-01-0{day + 1}T08:0"
        return tuple(Said(f"{day}.{n}", f"{at}{n}:00+00:00", "user", "user", text) for n, text in enumerate(texts))

    sister = Question("s", "s", 0, "Which name has my sister?", "new", ("ingrid",), (), ("0.0",))
    home = Question("h", "h", 0, "Where's my house?", "new", ("skelwick",), (), ("0.1",), until=1)
    moved = Question("m", "h", 1, "Where's my house now?", "correction", ("bergen",), ("skelwick",), ("1.0",))
    choice = Question("c", "s", 0, "Who?", "new", ("Ingrid",), (), ("0.0",), choices=("Ingrid", "Olga", "Ann"))
    days = (told(0, ["My sister is called Ingrid.", "I live in Skelwick."]), told(1, ["I live in Bergen."]))
    return Exam("small", days, (sister, home, moved, choice))


@pytest.mark.parametrize(
    "arm", ["nothing", "whole", "evidence", "bm25", pytest.param("embedding", marks=pytest.mark.slow)]
)
def test_an_arm_asks_what_holds_after_every_day(arm: str, tiny: Path) -> None:
    replies = in_context(arm, tiny, small_exam(), ASKING)
    assert [(reply.night, reply.question) for reply in replies] == [
        *((0, "s"), (0, "h"), (0, "c")),
        *((1, "s"), (1, "m"), (1, "c")),
    ]
    assert all(len(reply.text.split()) == 3 for reply in replies if reply.question == "c"), "a loss for every choice"
    assert in_context(arm, tiny, small_exam(), ASKING) == replies


def test_arms_differ_in_nothing_but_the_prompt(tiny: Path) -> None:
    """The same turn in context is found by whole and by bm25 where there is no other."""
    exam = small_exam()
    one = replace(exam, days=(exam.days[0][:1],), questions=exam.questions[:1])
    found = in_context("whole", tiny, one, ASKING)
    assert found == in_context("bm25", tiny, one, ASKING) == in_context("evidence", tiny, one, ASKING)
    assert [reply.text for reply in found] != [reply.text for reply in in_context("nothing", tiny, one, ASKING)]


def test_the_oldest_turns_go_first(tiny: Path) -> None:
    turns = [Said(str(n), f"2026-01-01T00:00:{n:02d}+00:00", "user", "user", f"Fact {n} is short.") for n in range(30)]
    with Engine(tiny, threads=1, context=200) as engine:
        kept = fitted(engine, "What is it?", turns, 190)
        assert 1 <= len(kept) < 30 and kept == turns[-len(kept) :]
        assert len(engine.chat(prompt("What is it?", kept))) <= 190
        assert len(engine.chat(prompt("What is it?", turns[-len(kept) - 1 :]))) > 190
        assert fitted(engine, "What is it?", turns, 1) == turns[-1:]
        assert fitted(engine, "What is it?", [], 1) == []


def test_the_losses_of_a_choice_are_those_of_its_tokens(tiny: Path) -> None:
    messages = prompt("What is it?", [])
    with Engine(tiny, threads=1, context=200) as engine:
        tokens, start = engine.exchange(messages, "Oslo")
        assert engine.ends(tokens[-1])
        wanted = engine.losses(tokens[:-1])[start - 1 :].mean()
        assert choice_losses(engine, messages, ["Oslo"]) == [pytest.approx(float(wanted), abs=1e-5)]


@pytest.mark.usefixtures("one_thread")
def test_nights_are_slept_in_one_home_and_the_served_file_is_asked(tiny: Path) -> None:
    before = tiny.read_bytes()
    exam, seen = small_exam(), []
    for slept in nights_of(tiny, "tiny", exam, SETTINGS, ASKING):
        assert slept.model.read_bytes() != before and slept.model.stat().st_size == len(before)
        seen.append((slept.report.status, slept.report.memories_found, [reply.question for reply in slept.replies]))
        bare = [replace(reply, trained=False) for reply in slept.replies]
        assert bare == without_context(slept.model, exam, slept.night, ASKING)
    assert seen == [("promoted", 3, ["s", "h", "c"]), ("promoted", 1, ["s", "m", "c"])]
    assert not slept.model.exists() and tiny.read_bytes() == before


def test_curation_is_counted_by_source_and_value() -> None:
    found = finds(small_exam())
    assert found.found == ("s (day 1)", "h (day 1)", "h (day 2)") and not found.missed + found.foreign
    assert found.other == ("Ingrid is your sister.",)
    nowhere = replace(small_exam().questions[0], accepted=("olga",))
    missed = finds(replace(small_exam(), questions=(nowhere,)))
    assert (missed.found, missed.missed, missed.share) == ((), ("s (day 1)",), 0.0)
    assert len(missed.other) == missed.memories == 4


def test_curation_of_the_hand_written_days_teaches_nothing_false() -> None:
    assert finds(HAND).foreign == ()


def test_the_audit_lists_each_memory_with_the_turns_it_is_from() -> None:
    if not DATA.is_dir():
        pytest.skip("the development data is not here (EDGESLEEP_DATA)")
    chosen = {name: people(DATA, choice) for name, choice in DAYS.items()}
    assert {name: sum(len(exam.days) for exam in exams) for name, exams in chosen.items()} == dict.fromkeys(DAYS, 30)
    told = {name: {turn.text for exam in exams for day in exam.days for turn in day} for name, exams in chosen.items()}
    assert not {text for text in told["audited"] & told["unread"] if len(text) > 60}
    found = lines(chosen["audited"][0].first(1))
    assert found and all(line["value"].split()[0] in " ".join(line["turns"]) for line in found)


# -- general ability ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts and tasks in the form of the development data."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "retention_text").mkdir()
    (folder / "retention_tasks").mkdir()
    (folder / "retention_text" / "c4_web.jsonl").write_text('{"id": "a", "text": "Rain fell on the quay."}\n', "utf-8")
    (folder / "retention_text" / "wikitext2_valid.txt").write_text("= Title =\n" + "The kettle sang . " * 20, "utf-8")
    last = '{"id": "l", "context": "The kettle sang on the", "continuation": "stove"}\n'
    (folder / "retention_tasks" / "lambada.jsonl").write_text(last * 2, "utf-8")
    for task in ability.CHOICES:
        line = '{"id": "x", "query": "Question: What sang?", "choices": ["the kettle", "a stone"], "gold": 0}\n'
        (folder / "retention_tasks" / f"{task}.jsonl").write_text(line * 3, "utf-8")
    return folder


def test_a_file_against_itself_lost_nothing(tiny: Path, data: Path) -> None:
    scores = ability.measure(tiny, data, 2, threads=1)
    assert set(scores.losses) == {"c4", "wikitext2"} and {*scores.right} == {*ability.TASKS}
    assert all(len(right) == 2 == len(scores.gold[task]) for task, right in scores.right.items())
    for change in ability.compare(scores, scores):
        assert (change.change, change.error, change.middle, change.gold) == (0.0, 0.0, 0.0, 0.0)
        assert change.before == change.after


def test_changes_are_paired(tiny: Path, data: Path, tmp_path: Path) -> None:
    one = ability.measure(tiny, data, 0, threads=1)
    two = ability.measure(make_tiny(tmp_path / "other.gguf", "llama", seed=1), data, 0, threads=1)
    changes = {change.name: change for change in ability.compare(one, two)}
    for name in one.losses:
        assert changes[name].change == pytest.approx(float((two.losses[name] - one.losses[name]).mean()), abs=1e-5)
    assert changes["piqa"].gold == pytest.approx(np.mean(np.subtract(two.gold["piqa"], one.gold["piqa"])))
    with pytest.raises(ValueError, match="cannot be paired"):
        ability.compare(one, ability.measure(tiny, data, 1, threads=1))


def test_a_continuation_is_likelier_than_not_by_its_bytes(tiny: Path) -> None:
    with Engine(tiny, threads=1, context=64) as engine:
        before, after = engine.tokenize("The kettle", begin=True), engine.tokenize(" sang")
        losses = engine.losses(before + after)[-len(after) :]
        assert ability.continuation(engine, "The kettle", " sang") == pytest.approx(-float(losses.sum()) / 5, abs=1e-5)
        long = ability.continuation(engine, "The kettle sang. " * 50, " sang")
        assert np.isfinite(long), "the end of a context that is too long is kept"


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "learn.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_command_prints_a_table_and_writes_json(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "learn.json"
    done = run("--model", tiny, "--arms", "nothing", "bm25", "--threads", 1, "--window", 400, "--json", path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("hand")]
    assert [line[1] for line in lines] == ["nothing", "bm25"]
    paper = json.loads(path.read_text("utf-8"))
    assert paper["commit"] and paper["machine"]["processor"] and paper["command"].endswith(str(path))
    wanted = len([question for question in HAND.questions if question.day == 0])
    assert [len(entry["replies"]) for entry in paper["runs"]] == [wanted, wanted]
    for entry in paper["runs"]:
        assert {reply["style"] for reply in entry["replies"]} == set(STYLES)
        assert entry["summary"]["recall"] is not None and entry["summary"]["oblique"] is not None


def test_curation_is_counted_without_a_model() -> None:
    done = run("--curate-only", "--nights", 3)
    assert done.returncode == 0 and "hand" in done.stdout, done.stderr


def test_a_wrong_set_is_explained() -> None:
    done = run("--curate-only", "--sets", "tofu", "--data", "/nowhere")
    assert done.returncode == 1 and "Error: The data for tofu is not there." in done.stderr and "Try:" in done.stderr
    done = run("--curate-only", "--only", "hnad")
    assert done.returncode == 1 and "There is no exam hnad." in done.stderr
