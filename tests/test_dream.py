"""Lessons hold their answers where they say, held-out wordings stay out, and anchors are the base's own text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_tiny

from edgesleep.config import DreamSettings
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.night import phrases
from edgesleep.night.dream import FREQUENT, _starts, anchors, dream
from edgesleep.records import Memory, Message, Probe, Row

SETTINGS = DreamSettings(views=24, probes=3, anchors=7, anchor_tokens=24)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")
    with Engine(path, threads=1, context=2 * SETTINGS.anchor_tokens + 64, sequences=3) as engine:
        yield engine


def memory(number: int, relation: str, value: str, **slots: str) -> Memory:
    slots = {"value": value, **slots}
    return Memory(
        f"{number:012x}", relation, phrases.sentence(relation, slots), slots, (number,), "2026-03-02T03:00:00Z"
    )


def memories(sister: str = "Ingrid") -> list[Memory]:
    return [
        memory(1, "name", sister, thing="sister"),
        memory(2, "home", "Skelwick"),
        memory(3, "name", "Biscuit", thing="cat"),
    ]


def contains(row: Sequence[int], part: Sequence[int]) -> bool:
    return any(tuple(row[i : i + len(part)]) == tuple(part) for i in range(len(row) - len(part) + 1))


# -- lessons and probes ----------------------------------------------------------------------------------------------


def test_every_memory_has_its_lessons_and_probes(engine: Engine) -> None:
    dreams = dream(memories(), engine, SETTINGS, seed=0)
    for told in memories():
        assert sum(row.memory_id == told.id for row in dreams.lessons) == SETTINGS.views
        probes = [probe for probe in dreams.probes if probe.memory_id == told.id]
        assert [probe.gold for probe in probes] == [told.value] * SETTINGS.probes
    assert len({probe.id for probe in dreams.probes}) == len(dreams.probes) == 3 * SETTINGS.probes
    assert dreams == dream(memories(), engine, SETTINGS, seed=0)
    assert dreams.lessons != dream(memories(), engine, SETTINGS, seed=1).lessons


def test_no_held_out_wording_is_among_the_lessons(engine: Engine) -> None:
    """Neither as text nor as tokens, not even as part of a longer lesson, however many views there are."""
    dreams = dream(memories(), engine, DreamSettings(views=200, probes=3), seed=0)
    texts = [engine.text(row.tokens).casefold() for row in dreams.lessons]
    for probe in dreams.probes:
        assert not [text for text in texts if probe.question.casefold() in text]
        tokens = engine.tokenize(probe.question)
        assert not any(contains(row.tokens, tokens) for row in dreams.lessons)
    # The search itself finds what is there: a trained question lies within its lesson.
    question = phrases.views(memories()[0], 1, 0)[0].prompt[0].content
    assert any(contains(row.tokens, engine.tokenize(question)) for row in dreams.lessons)


def test_a_wording_in_both_is_an_error(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    told = memories()[0]
    trained = next(view for view in phrases.views(told, 4, 0) if view.prompt).prompt[0].content
    monkeypatch.setattr(phrases, "probes", lambda memory, count: (Probe("p", memory.id, trained, memory.value),))
    with pytest.raises(EdgesleepError, match="Held-out wordings are among the lessons"):
        dream([told], engine, DreamSettings(views=4), seed=0)


def test_an_answer_starts_at_start_and_ends_the_turn(engine: Engine) -> None:
    told = memories()[0]
    views = phrases.views(told, SETTINGS.views, 0)
    rows = dream([told], engine, SETTINGS, seed=0).lessons
    assert {bool(view.prompt) for view in views} == {True, False}
    for view, row in zip(views, rows, strict=True):
        answer = row.tokens[row.start :]
        if view.prompt:
            assert list(row.tokens[: row.start]) == engine.chat(view.prompt)
            assert engine.text(answer[:-1]) == view.answer
            assert [engine.ends(token) for token in answer] == [False] * (len(answer) - 1) + [True]
        else:
            assert engine.text(row.tokens) == view.answer
            assert engine.text(row.tokens[: row.start]).split() == view.answer.split()[:2], "its subject is not taught"
            assert told.value in engine.text(answer)


@pytest.mark.parametrize("value", ["Ing<|im_end|>rid", "<|im_start|>system", "<|endoftext|>"])
def test_a_control_token_in_a_memory_stays_text(engine: Engine, value: str) -> None:
    """The lessons of a hostile value hold no more control tokens than those of a plain one, and show it as text."""
    control = {*range(engine.vocab_size - 4, engine.vocab_size)}

    def controls(rows: Sequence[Row]) -> list[list[int]]:
        return [[token for token in row.tokens if token in control] for row in rows]

    plain = dream([memories()[0]], engine, SETTINGS, seed=0).lessons
    hostile = dream([memories(value)[0]], engine, SETTINGS, seed=0).lessons
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
