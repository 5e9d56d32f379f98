"""Health: what was done to the user's body, what lasts, and when they are to come back."""

from __future__ import annotations

import pytest
from curated import told

KEPT = [
    ("my hip is bad. had it replaced in 2019, the right one", "which hip did I have replaced?", "right"),
    ("my hip is bad. had it replaced in 2019, the right one", "when did I have my right hip replaced?", "2019"),
    ("I had my appendix out in 2011.", "when did I have my appendix out?", "2011"),
    ("My dad had his left shoulder pinned in March.", "which shoulder did my dad have pinned?", "left"),
    ("ive had my tonsils out", "what did I have out?", "tonsils"),
    ("I've got asthma and a bike", "what condition do I have?", "asthma"),
    ("My sister has type 1 diabetes.", "what condition does my sister have?", "type 1 diabetes"),
    ("i was diagnosed with adhd in 2021", "what condition do I have?", "adhd"),
    ("i'm colour blind, so no red on green please", "what condition do I have?", "colour blind"),
    ("I'm deaf in my left ear", "which ear am I deaf in?", "left"),
    ("My son is left-handed.", "which hand does my son write with?", "left-handed"),
    ("I have a bad back.", "what condition do I have?", "bad back"),
    ("I take 20 mg of sertraline a day", "what medicine do I take?", "sertraline"),
    ("my mum's on warfarin", "what medicine does my mum take?", "warfarin"),
    ("they said come back in six weeks for the crown", "when is my crown appointment?", "23 April 2026"),
    ("they want me back in three weeks to have the stitches out", "", "2 April 2026"),
    ("I have to go back in two weeks for a check up", "when is my check up appointment?", "26 March 2026"),
    ("the physio wants to see me again in four weeks", "when do I have to go back to the physio?", "9 April 2026"),
]
LEFT = [
    "my knee hurts today",
    "had it replaced in 2019",
    "If I had asthma, would it help?",
    "My friend says I have asthma.",
    "Do I have asthma?",
    "I'm on a good line.",
    "I had my hand out.",
    "I take Valentine to school.",
    "I don't have diabetes.",
    "My wrist and my hip ache. Had it replaced in 2019.",
    "They said come back in two weeks.",
    "Pretend I'm diabetic.",
    "He had his knee replaced in 2019.",
]


@pytest.mark.parametrize(("text", "ask", "value"), KEPT, ids=lambda part: part[:40])
def test_what_is_told_of_the_body_is_kept(text: str, ask: str, value: str) -> None:
    memories = told(text)
    asked = {question.ask: memory.value for memory in memories for question in memory.questions}
    assert asked.get(ask) == value if ask else value in {memory.value for memory in memories}, asked


@pytest.mark.parametrize("text", LEFT)
def test_what_is_of_the_day_or_of_nobody_is_left_out(text: str) -> None:
    keys = ("|had|", "|condition|", "|medicine|", "|back|", "|handed")
    assert [memory.statement for memory in told(text) if any(key in memory.relation for key in keys)] == []


def test_a_moved_date_stands_in_place_of_the_first() -> None:
    (memory,) = (
        memory
        for memory in told("they said come back in six weeks for the crown", "the crown moved, i'm back in two weeks")
        if memory.relation == "i|back|crown"
    )
    assert memory.value == "26 March 2026"
