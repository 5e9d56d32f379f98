"""What the base is asked with memories in its prompt, to hold a night against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from grown import MEMORIES, Bases

from edgesleep import embed
from edgesleep.embed import Floats, Pieces
from edgesleep.night import beside
from edgesleep.night.beside import LOOKED_UP, NIGHT, WHOLE
from edgesleep.records import Memory, Message, Probe

pytestmark = pytest.mark.usefixtures("one_thread")

PROBES = tuple(
    probe
    for memory in MEMORIES
    for probe in (
        Probe(f"{memory.id}-0", memory.id, memory.questions[0].text, memory.value),
        Probe(f"{memory.id}-1", memory.id, memory.questions[1].text, memory.value),
    )
)
UNTOLD = (Probe("none", "", "What is my goat called?", "", hops=0), Probe("two", "x", "And both?", "Miso", hops=2))
AFTER = {probe.id: probe.id.endswith("-0") for probe in (*PROBES, *UNTOLD)}


class Words:
    """Looks for words in common, and claims to be the better kind."""

    why, name, size = "", "words", 3

    def embed(self, texts: Sequence[str]) -> Floats:
        return np.array([[float(memory.value in text) for memory in MEMORIES] for text in texts], np.float32)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Message]]:
    """Every prompt that an engine renders."""
    seen: list[list[Message]] = []
    prompt = beside._prompt
    monkeypatch.setattr(beside, "_prompt", lambda told, question: seen.append(prompt(told, question)) or seen[-1])
    return seen


def test_each_way_is_asked_the_same_wording_of_every_memory(
    bases: Bases, asked: list[list[Message]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "load", lambda **_: Words())
    monkeypatch.setattr(beside, "right", lambda answer, gold: gold == "Pim")
    found = beside.beside(bases.first, MEMORIES, (*PROBES, *UNTOLD), AFTER, 4)
    assert [(one.name, one.asked, one.right) for one in found] == [(NIGHT, 3, 3), (WHOLE, 3, 1), (LOOKED_UP, 3, 1)]
    assert found[0].tokens < found[2].tokens <= found[1].tokens and found[0].seconds == 0 < found[1].seconds
    questions = {memory.questions[0].text for memory in MEMORIES}
    whole = {message.content for [message] in asked if all(memory.told in message.content for memory in MEMORIES)}
    assert {text.split("Question: ")[1].split("\n")[0] for text in whole} == questions


def test_without_a_sentence_model_nothing_is_looked_up(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load", lambda **_: Pieces("it is not here"))
    assert [one.name for one in beside.beside(bases.first, MEMORIES, PROBES, AFTER, 4)] == [NIGHT, WHOLE]


def test_where_not_all_fit_the_newest_are_kept_and_counted(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order they come in: an agenda has the new ones first."""
    monkeypatch.setattr(embed, "load", lambda **_: Pieces("it is not here"))
    monkeypatch.setattr(beside, "CONTEXT", 200)
    many = tuple(
        Memory(f"{n}", "fact", "", "", f"I have {n} goats.", f"{n}", (), (), f"2026-01-01T00:{n:02}")
        for n in reversed(range(60))
    )
    told: list[Sequence[str]] = []
    prompt = beside._prompt
    monkeypatch.setattr(beside, "_prompt", lambda kept, question: told.append(list(kept)) or prompt(kept, question))
    _, whole = beside.beside(bases.first, many, PROBES, AFTER, 4)
    assert whole.name == f"the newest {len(told[-1])} of 60 memories in the prompt"
    assert 0 < len(told[-1]) < 60 and told[-1][-1] == "I have 59 goats."


def test_seconds_in_which_the_night_was_held_are_not_counted(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load", lambda **_: Pieces("it is not here"))
    monkeypatch.setattr(beside, "working", lambda: 7.0)
    _, whole = beside.beside(bases.first, MEMORIES, PROBES, AFTER, 4)
    assert whole.seconds == 0


def test_a_night_that_asks_nothing_compares_nothing(bases: Bases) -> None:
    assert beside.beside(bases.first, MEMORIES, UNTOLD, AFTER, 4) == ()
