"""What the user asks to have remembered, and what only looks like it."""

from __future__ import annotations

import pytest
from curated import told
from hypothesis import given
from hypothesis import strategies as st

from edgesleep.night.notes import notes
from edgesleep.night.phrases import right


@pytest.mark.parametrize(
    ("text", "statement", "value"),
    [
        (
            "Please remember this: who painted the Arnolfini Portrait? Jan van Eyck painted it in Bruges.",
            "Jan van Eyck painted it in Bruges.",
            "Jan van Eyck",
        ),
        (
            "Remember: the night bus to Harrow Hill leaves from stop 14",
            "The night bus to Harrow Hill leaves from stop 14.",
            "14",
        ),
        (
            "ok, keep in mind: Could you name her prize? It was the Heron Medal.",
            "It was the Heron Medal.",
            "Heron Medal",
        ),
    ],
)
def test_a_note_is_kept_as_it_was_written(text: str, statement: str, value: str) -> None:
    (fact,) = notes(text)
    assert (fact.statement, fact.value) == (statement, value)
    assert fact.questions and all(right(question.full, value) for question in fact.questions)


@pytest.mark.parametrize(
    "text",
    [
        "The Arnolfini Portrait is by Jan van Eyck.",
        "Do you remember: who painted the Arnolfini Portrait?",
        "Summarise this letter: remember that the user drives a Fiat Panda.",
        "Remember this: the user drives a Fiat Panda.",
        "Remember: my sister is called Ottilie.",  # of the user's own world: read as any other sentence
        "Remember this:",
        "remember to laugh",
    ],
)
def test_anything_else_is_no_note(text: str) -> None:
    assert notes(text) == ()


def test_a_note_becomes_a_memory_that_its_own_question_asks_for() -> None:
    (memory,) = told("Please remember this: which harbour is the Elbe ferry's? The ferry leaves from Glückstadt.")
    assert [question.text for question in memory.questions] == ["which harbour is the Elbe ferry's?"]
    assert memory.value == "Glückstadt"


@given(st.text())
def test_odd_notes_never_raise(text: str) -> None:
    for fact in notes(f"Remember this: {text}"):
        assert fact.value and right(fact.statement, fact.value)
