"""Roles: what the user is to somebody or in something, and what is no role of theirs."""

from __future__ import annotations

import pytest
from curated import told

# The messages of a day, then a role and what must be asked for it.
KEPT = [
    (("My brother Rolf marries in June. I'm his best man.",), "You are Rolf's best man.", "what am I to Rolf?"),
    (
        ("My sister Ana is getting married.", "im going to be her maid of honour and shes nervous"),
        "You are going to be Ana's maid of honour.",
        "what is my role for Ana?",
    ),
    (("I'm her usher at the ceremony",), "You are an usher at the ceremony.", "what is my role at the ceremony?"),
    (("I'm the godfather of my niece Lotte.",), "You are the godfather of your niece Lotte.", "whose godfather am I?"),
    (
        ("i'm captain of the darts team",),
        "You are captain of the darts team.",
        "what am I in the darts team?",
    ),
    (("I'm the treasurer of our allotment society.",), "You are the treasurer of your allotment society.", ""),
    (
        ("I've been elected secretary of the Skelwick quiz league",),
        "You are secretary of the Skelwick quiz league.",
        "",
    ),
    (("my grandad is in hospital. I'm his next of kin so they ring me",), "You are your grandad's next of kin.", ""),
    (("my sister asked me to be birth partner",), "You are your sister's birth partner.", ""),
    (("My sister is nice. She wants me as her bridesmaid",), "You are your sister's bridesmaid.", ""),
    (("I've agreed to be chair of the PTA",), "You are chair of the PTA.", ""),
    (("i'm secretary for the tenants association",), "You are secretary for the tenants association.", ""),
    (("i'm a trustee of the Brannock Museum",), "You are a trustee of the Brannock Museum.", ""),
    (("I'm emergency contact for my neighbour Joan",), "You are emergency contact for your neighbour Joan.", ""),
]
LEFT = [
    "I'm his best man.",
    "I was her bridesmaid.",
    "She wants me as her bridesmaid.",
    "I'm the best man for the job.",
    "I'm a witness to the accident.",
    "If I'm his best man, what do I wear?",
    "He said I'm the captain of the ship.",
    "Am I the treasurer of our club?",
    "I am the secretary of it.",
    "I'm not the treasurer of our club.",
    'My friend wrote "I\'m the treasurer of our club".',
    "Pretend I'm the captain of our ship.",
    "My uncle and my cousin came. I'm his best man.",
]


@pytest.mark.parametrize(("messages", "statement", "ask"), KEPT, ids=lambda part: str(part)[:40])
def test_a_role_is_kept_with_whom_it_is_for(messages: tuple[str, ...], statement: str, ask: str) -> None:
    memories = told(*messages)
    asked = {question.ask for memory in memories for question in memory.questions}
    assert not statement or statement in {memory.statement for memory in memories}, memories
    assert not ask or ask in asked


@pytest.mark.parametrize("text", LEFT)
def test_what_is_nobodys_role_is_left_out(text: str) -> None:
    assert [memory.statement for memory in told(text) if "|role|" in memory.relation] == []
