"""Two memories about one subject: each is asked for by the other's name, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

from curated import told

from edgesleep.night.lexicon import capital
from edgesleep.night.links import ASKED, linked, told_apart, two_hops
from edgesleep.night.phrases import fold, probes, right
from edgesleep.records import Memory, Question


def asked(*messages: str) -> dict[str, set[str]]:
    """The questions that links add, by statement."""
    memories = told(*messages)
    return {
        after.statement: {q.text for q in after.questions} - {q.text for q in before.questions}
        for before, after in zip(memories, linked(memories), strict=True)
    }


def test_what_is_told_of_the_brother_is_asked_by_his_name() -> None:
    added = asked("My brother is called Casimir.", "My brother lives in Maribor.")
    assert "Where does Casimir live?" in added["Your brother lives in Maribor."]


def test_what_is_told_by_the_name_is_asked_of_the_sister() -> None:
    naming, *_ = told("My sister is called Ottilie.")
    question = Question("How old is Ottilie?", "Nine.", "Ottilie is nine.", "how old is Ottilie?", "how old Ottilie is")
    age = replace(
        naming, id="f" * 12, relation="ottilie|age", told="Ottilie is nine.", value="nine", questions=(question,)
    )
    _, again = linked([naming, age])
    assert [(q.text, q.wonder) for q in again.questions[1:]] == [("How old is my sister?", "how old my sister is")]


def test_a_name_is_not_asked_for_by_itself() -> None:
    for memory in linked(told("My brother is called Casimir.", "My brother lives in Maribor.")):
        assert not any(right(question.ask, memory.value) for question in memory.questions)


def test_without_a_name_or_about_someone_else_nothing_is_added() -> None:
    assert not any(asked("My brother lives in Maribor.", "I drive a Lada Niva.").values())
    added = asked("My dentist is called Dr Pellworm.", "My boat is called Marigold.")
    assert not any("dentist" in fold(text) for text in added["Your boat is called Marigold."])


def test_the_wording_held_out_is_asked_by_the_other_name_and_never_taught_so() -> None:
    memories = told("My brother is called Casimir.", "My brother lives in Maribor.", "I drive a Lada Niva.")
    held = {memory.id: memory for memory in memories}
    hops = two_hops(memories)
    assert [(probe.gold, probe.hops) for probe in hops] == [("Maribor", 2)]
    assert fold(hops[0].question) == fold(held[hops[0].memory_id].held_out.replace("my brother", "Casimir"))
    for memory in linked(memories):
        assert not [q for q in memory.questions if hops[0].question in (q.text, capital(q.ask))]


def test_the_answers_and_all_else_stay() -> None:
    before = told("My brother is called Casimir.", "My brother lives in Maribor.")
    for one, other in zip(before, linked(before), strict=True):
        assert other.questions[: len(one.questions)] == one.questions
        assert (one.id, one.statement, one.value) == (other.id, other.statement, other.value)


# -- what several memories are the answer to -------------------------------------------------------------------------


def answers(memories: tuple[Memory, ...], ask: str) -> set[str]:
    return {question.full for memory in memories for question in memory.questions if question.ask == ask}


def test_a_wording_that_does_not_tell_two_memories_apart_asks_for_neither() -> None:
    alone = told("My aunt kept her accordion in Tralee.")
    both = told_apart(told("My aunt kept her accordion in Tralee.", "My aunt tuned her accordion in Sligo."))
    ask = "what do you know about my aunt?"
    assert answers(alone, ask) and not answers(both, ask)
    assert {"Tralee", "Sligo"} <= {memory.value for memory in both}
    assert all(len(probes(memory, ASKED)) == ASKED for memory in both)


def test_what_only_such_wordings_ask_for_is_answered_with_all_that_holds() -> None:
    pets = told("I have a tortoise.", "I have a cat.")
    ask = "what pet do I have?"
    assert answers(told_apart(pets), ask) == {"You have a tortoise. You have a cat."}
    assert answers(pets, ask) == {"You have a tortoise.", "You have a cat."}, "each memory keeps its own answer"
    assert answers(told_apart(told("I have a cat.", "I have a cat.")), ask) == {"You have a cat."}
