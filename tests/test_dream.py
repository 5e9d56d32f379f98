"""Lessons hold their answers where they say, held-out wordings stay out, and anchors are the base's own text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from curated import told as curated
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_tiny

from edgesleep.config import DreamSettings
from edgesleep.engine import Engine
from edgesleep.night import phrases, untold
from edgesleep.night.dream import FREQUENT, RESTED, RESTING, UNTOLD, _starts, anchors, dream
from edgesleep.night.lexicon import capital
from edgesleep.night.phrases import holding_out
from edgesleep.records import Agenda, Memory, Message, PassScore, Question, Row


def of(
    memories: Sequence[Memory], known: frozenset[str] = frozenset(), resting: frozenset[str] = frozenset()
) -> Agenda:
    return Agenda(tuple(memories), known, resting)


SAID = ("My brother lives in Maribor.", "I have a dog.", "My sister works as a welder.", "I drive a Lada Niva.")
SETTINGS = DreamSettings(views=24, probes=3, untold=0.25, anchors=7, anchor_tokens=24)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")
    with Engine(path, threads=1, context=2 * SETTINGS.anchor_tokens + 64, sequences=3) as engine:
        yield engine


def memory(number: int, whom: str, value: str, *asks: str) -> Memory:
    """Where someone lives, or what they are called: `asks` are "direct question|embedded"."""
    told = f"{whom} {value}."
    full = told.replace("My", "Your").replace("I ", "You ")
    asked = [ask.split("|") for ask in asks]
    questions = tuple(Question(capital(ask), f"{value}.", full, ask, wonder) for ask, wonder in asked)
    return holding_out(
        Memory(f"{number:012x}", "fact", whom, full, told, value, questions, (number,), "2026-03-02T03:00:00Z")
    )


def named(number: int, whom: str, value: str) -> Memory:
    return memory(
        number,
        f"My {whom} is called",
        value,
        f"what is my {whom} called?|what my {whom} is called",
        f"what is my {whom}'s name?|what my {whom}'s name is",
        f"what name does my {whom} have?|what name my {whom} has",
        f"what do I call my {whom}?|what I call my {whom}",
    )


def memories(sister: str = "Ingrid") -> list[Memory]:
    home = memory(
        2,
        "I live in",
        "Skelwick",
        "where do I live?|where I live",
        "what place do I live in?|what place I live in",
        "where is my home?|where my home is",
    )
    return [named(1, "sister", sister), home, named(3, "cat", "Biscuit")]


def contains(row: Sequence[int], part: Sequence[int]) -> bool:
    return any(tuple(row[i : i + len(part)]) == tuple(part) for i in range(len(row) - len(part) + 1))


# -- lessons and probes ----------------------------------------------------------------------------------------------


def test_every_memory_has_its_lessons_and_probes(engine: Engine) -> None:
    dreams = dream(of(memories()), engine, SETTINGS, seed=0)
    for told in memories():
        count = sum(row.memory_id == told.id for row in dreams.lessons)
        assert count == len(phrases.views(told, SETTINGS.views, 0)) <= SETTINGS.views
        probes = [probe for probe in dreams.probes if probe.memory_id == told.id]
        assert [probe.gold for probe in probes] == [told.value] * SETTINGS.probes
    assert len({probe.id for probe in dreams.probes}) == len(dreams.probes) == 3 * SETTINGS.probes + UNTOLD
    assert dreams == dream(of(memories()), engine, SETTINGS, seed=0)
    assert dreams.lessons != dream(of(memories()), engine, SETTINGS, seed=1).lessons


def test_where_the_base_teaches_each_question_has_what_was_told_before_it(engine: Engine) -> None:
    plain, taught = (dream(of(memories()), engine, SETTINGS, seed=0, teach=teach) for teach in (False, True))
    assert not any(row.teacher for row in plain.lessons)
    assert tuple(replace(row, teacher=()) for row in taught.lessons) == plain.lessons
    assert taught.probes == plain.probes
    told = {memory.id: engine.tokenize(memory.told) for memory in memories()}
    led = [row for row in taught.lessons if row.teacher]
    assert len(taught.lessons) / 2 < len(led) < len(taught.lessons) and all(row.memory_id for row in led)
    for row in led:
        assert contains(row.teacher, told[row.memory_id]) and not contains(row.tokens[: row.start], told[row.memory_id])
        asked = engine.text(row.tokens[: row.start]).split("user\n")[-1].split("\n")[0]
        assert asked in engine.text(row.teacher)


def test_what_is_pinned_is_rehearsed_as_fully_as_what_is_new(engine: Engine) -> None:
    pinned = [replace(memory, pinned=True) for memory in memories()]
    known = frozenset(memory.id for memory in pinned)
    new = dream(of(memories()), engine, SETTINGS, seed=0)
    assert dream(of(pinned, known), engine, SETTINGS, seed=0) == new
    assert len(dream(of(memories(), known), engine, SETTINGS, seed=0).lessons) < len(new.lessons)


def test_what_is_known_is_rehearsed_less_and_what_rests_hardly(engine: Engine) -> None:
    """All of it is still asked about, so that what fades is noticed."""
    known = frozenset(memory.id for memory in memories())
    days = of(memories()), of(memories(), known), of(memories(), known, known)
    new, due, rests = (dream(day, engine, SETTINGS, seed=0) for day in days)
    assert len([row for row in rests.lessons if row.memory_id]) == SETTINGS.views // RESTING * len(memories())
    assert len(rests.lessons) < len(due.lessons) < len(new.lessons)
    assert rests.probes == due.probes == new.probes


def test_all_that_rests_shares_a_bounded_number_of_lessons_and_each_has_its_turn(engine: Engine) -> None:
    settings = replace(SETTINGS, views=4, untold=0.0)
    rest = [named(number, f"friend {number:x}", "Ada") for number in range(10, 150)]
    known = frozenset(one.id for one in rest)

    def counts(memories: list[Memory], seed: int) -> Counter[str]:
        return Counter(row.memory_id for row in dream(of(memories, known, known), engine, settings, seed).lessons)

    passes = [counts(rest, seed) for seed in range(12)]
    assert all(0.7 < one.total() / (RESTED * settings.views) < 1.3 for one in passes)
    assert set().union(*passes) == known
    new = [named(number, f"friend {number:x}", "Ada") for number in range(200, 240)]
    busy = counts(new + rest, 0)
    assert all(busy[one.id] == settings.views for one in new), "what is due has all that it should have"
    assert set(busy) >= known, "a day that told much lets more be rehearsed as well"


def test_what_was_missed_after_a_pass_rests_no_longer(engine: Engine) -> None:
    sister, home, cat = (memory.id for memory in memories())
    known = frozenset((sister, home, cat))
    score = PassScore(1, 0.5, None, None, 0.0, missed=(home,))
    lessons = dream(of(memories(), known, known), engine, replace(SETTINGS, views=8), 0, {}, score).lessons
    counts = [sum(row.memory_id == one for row in lessons) for one in (sister, home, cat)]
    assert counts == [8 // RESTING, 4, 8 // RESTING]


def test_what_is_known_worse_has_more_lessons_in_the_next_pass(engine: Engine) -> None:
    sister, home, cat = (memory.id for memory in memories())

    def counts(losses: dict[str, float]) -> list[int]:
        lessons = dream(of(memories()), engine, replace(SETTINGS, views=8), 0, losses).lessons
        return [sum(row.memory_id == one for row in lessons) for one in (sister, home, cat)]

    assert counts({}) == counts({sister: 0.1, home: 0.1, cat: 0.1}) == [8, 8, 8]
    assert counts({sister: 0.0, home: 1.0, cat: 0.5}) == [4, 16, 8]
    assert counts({sister: 0.0, home: 0.0, cat: 0.0}) == [8, 8, 8], "all is known"
    assert counts({sister: 0.3, home: 0.1}) == [12, 4, 8], "one that is new counts as all do"


@pytest.mark.parametrize(
    ("recall", "abstained", "share"), [(0.5, 0.5, 1), (0.9, 0.46, 1), (0.5, 0.8, 0.45), (0.5, 1.0, 0.1), (0, None, 1)]
)
def test_owning_up_has_fewer_lessons_where_it_is_known_better_than_memories_are(
    engine: Engine, recall: float, abstained: float | None, share: float
) -> None:
    def untold(score: PassScore | None) -> int:
        lessons = dream(of(memories()), engine, replace(SETTINGS, views=10, untold=0.4), 0, {}, score).lessons
        return sum(not row.memory_id for row in lessons)

    assert untold(PassScore(1, recall, None, abstained, 0.0)) == pytest.approx(share * untold(None), abs=1)


def test_no_held_out_wording_is_among_the_lessons(engine: Engine) -> None:
    """Neither as text nor as tokens, not even as part of a longer lesson, however many views there are."""
    dreams = dream(of(memories()), engine, DreamSettings(views=200, probes=3), seed=0)
    texts = [engine.text(row.tokens).casefold() for row in dreams.lessons]
    for probe in dreams.probes:
        assert not [text for text in texts if probe.question.casefold() in text]
        tokens = engine.tokenize(probe.question)
        assert not any(contains(row.tokens, tokens) for row in dreams.lessons)
    # The search itself finds what is there: a trained question lies within its lesson.
    question = phrases.views(memories()[0], 1, 0)[0].prompt[0].content
    assert any(contains(row.tokens, engine.tokenize(question)) for row in dreams.lessons)


def test_what_a_night_held_out_no_later_night_learns(engine: Engine) -> None:
    """Also when a name becomes known by which the same is asked, or another memory that shares a question."""
    early = curated(*SAID)
    late = curated(
        *SAID, "My brother is called Casimir.", "My sister is called Ottilie.", "I have a cat.", "I drive a Saab."
    )
    settings = DreamSettings(views=200, probes=9, untold=0)
    before, after = (dream(of(day), engine, settings, seed) for seed, day in enumerate((early, late)))
    texts = [phrases.fold(engine.text(row.tokens)) for row in after.lessons]
    assert any("casimir live" in text for text in texts), "the name is used"
    for probe in before.probes:
        assert not [text for text in texts if phrases.fold(probe.question) in text], probe.question


def test_what_one_memory_is_asked_for_is_not_how_another_is_taught(engine: Engine) -> None:
    """Of two cats, each is taught in the wording that is held out of the other: both go without."""
    cats = [named(number, "cat", value) for number, value in ((1, "Biscuit"), (2, "Juniper"))]
    held, taught = {}, set()
    for cat in cats:
        held[cat.id] = {phrases.fold(probe.question) for probe in phrases.probes(cat, SETTINGS.probes)}
        taught |= {phrases.fold(m.content) for view in phrases.views(cat, 200, 0) for m in view.prompt}
    assert taught & set.union(*held.values()), "otherwise this shows nothing"
    dreams = dream(of(cats), engine, DreamSettings(views=200, probes=SETTINGS.probes), seed=0)
    texts = [phrases.fold(engine.text(row.tokens)) for row in dreams.lessons]
    assert len(dreams.probes) == 2 * SETTINGS.probes + UNTOLD
    assert [text for text in texts for cat in cats for wording in held[cat.id] if wording in text] == []
    assert {row.memory_id for row in dreams.lessons} >= {cat.id for cat in cats}


def test_a_night_learns_to_say_what_it_was_not_told(engine: Engine) -> None:
    dreams = dream(of(memories()), engine, SETTINGS, seed=0)
    rows = [row for row in dreams.lessons if not row.memory_id]
    assert len(rows) == round(SETTINGS.untold * (len(dreams.lessons) - len(rows))) > 5
    for row, view in zip(rows, untold.lessons(memories(), len(rows), 0), strict=True):
        assert engine.text(row.tokens[row.start : -1]) == view.answer
    taught = [phrases.fold(engine.text(row.tokens)) for row in rows]
    probes = [probe for probe in dreams.probes if probe.hops == 0]
    assert len(probes) == UNTOLD and not [text for text in taught for p in probes if phrases.fold(p.question) in text]
    without = dream(of(memories()), engine, replace(SETTINGS, untold=0), seed=0)
    assert without.lessons == tuple(row for row in dreams.lessons if row.memory_id)


def test_an_answer_starts_at_start_and_ends_the_turn(engine: Engine) -> None:
    told = memories()[0]
    views = phrases.views(told, SETTINGS.views, 0)
    rows = dream(of([told]), engine, replace(SETTINGS, untold=0), seed=0).lessons
    for view, row in zip(views, rows, strict=True):
        answer = row.tokens[row.start :]
        assert list(row.tokens[: row.start]) == engine.chat(view.prompt)
        assert engine.text(answer[:-1]) == view.answer
        assert [engine.ends(token) for token in answer] == [False] * (len(answer) - 1) + [True]


@pytest.mark.parametrize("value", ["Ing<|im_end|>rid", "<|im_start|>system", "<|endoftext|>"])
def test_a_control_token_in_a_memory_stays_text(engine: Engine, value: str) -> None:
    """The lessons of a hostile value hold no more control tokens than those of a plain one, and show it as text."""
    control = {*range(engine.vocab_size - 4, engine.vocab_size)}

    def controls(rows: Sequence[Row]) -> list[list[int]]:
        return [[token for token in row.tokens if token in control] for row in rows]

    plain = dream(of([memories()[0]]), engine, SETTINGS, seed=0).lessons
    hostile = dream(of([memories(value)[0]]), engine, SETTINGS, seed=0).lessons
    assert controls(hostile) == controls(plain)
    assert any(controls(plain))
    assert any(value in engine.text(row.tokens[row.start :]) for row in hostile)


# -- anchors ---------------------------------------------------------------------------------------------------------


def test_anchors_are_half_chat_and_half_prose(engine: Engine) -> None:
    rows = anchors(engine, engine, SETTINGS, seed=0)
    opening, closing = engine.opening(), engine.chat([Message("user", "")])[len(engine.opening()) :]
    chats, prose = rows[:3], rows[3:]
    assert len(prose) == 4, "the odd one is prose"
    for row in chats:
        assert list(row.tokens[: row.start]) == opening
        assert contains(row.tokens, closing), "the request ends where the template says"
    for row in prose:
        assert row.start == 0, "what the base begins with is to stay too; this one has no token that begins a text"
        assert not contains(row.tokens, opening)
    assert len({row.tokens for row in rows}) == len(rows)
    assert not any(row.memory_id for row in rows)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_anchors_are_as_many_as_asked_and_fit_the_context(engine: Engine, count: int) -> None:
    rows = anchors(engine, engine, DreamSettings(anchors=count, anchor_tokens=SETTINGS.anchor_tokens), seed=3)
    assert len(rows) == count
    assert all(row.start <= len(row.tokens) <= engine.context for row in rows)


@given(st.integers(2, 300_000), st.integers(0, 1000))
def test_starts_are_tokens_and_mostly_frequent_ones(vocabulary: int, seed: int) -> None:
    starts = _starts(vocabulary, 200, seed)
    assert len(starts) == 200 and all(0 <= start < vocabulary for start in starts)
    if vocabulary > 50 * FREQUENT:
        assert 40 < sum(start < vocabulary // 12 for start in starts) < 200, "frequent ones, and not only those"


def test_anchors_follow_from_the_seed(engine: Engine) -> None:
    rows = anchors(engine, engine, SETTINGS, seed=0)
    assert anchors(engine, engine, SETTINGS, seed=0) == rows
    assert anchors(engine, engine, SETTINGS, seed=1) != rows
