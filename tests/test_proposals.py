"""A model's proposals become memories only where they are grounded, asked back right, and contradict nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from curated import memories as by_rules
from tiny import make_tiny

from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.model import Tokens
from edgesleep.night import proposals
from edgesleep.night.curate import with_proposals
from edgesleep.night.forms import Proposal, written
from edgesleep.night.phrases import probes, right, views
from edgesleep.night.proposals import KIND, embedded, propose, refusal
from edgesleep.night.succession import Day
from edgesleep.records import Memory, Message, Proposer, Turn

BOAT = Proposal(
    "We finally named the boat Marigold.",
    "the boat",
    "Marigold",
    "name",
    "What is the boat called?",
    "The boat is called Marigold.",
)
RENT = Proposal(
    "Our landlord wants the rent by the 3rd of each month",
    "Our landlord",
    "3rd of each month",
    "rent day",
    "When does our landlord want the rent?",
    "Our landlord wants the rent by the 3rd of each month.",
)


class Scripted:
    """A model that says what it is told to: `proposed` by what a text begins with, and `answer` to a question."""

    def __init__(
        self, *proposed: Proposal, answer: Callable[[str], str] = lambda asked: asked.partition("\n")[0]
    ) -> None:
        self.proposed, self.answer = proposed, answer
        self.shown: list[str] = []
        self.said: list[str] = []

    def chat(self, messages: Sequence[Message]) -> list[int]:
        last = messages[-1].content
        if len(messages) == 1:
            self.said.append(self.answer(last))
        else:
            self.shown.append(last)
            self.said.append(written([one for one in self.proposed if one.quote in last]))
        return [len(self.said) - 1]

    def text(self, tokens: Sequence[int]) -> str:
        return self.said[tokens[0]]

    def complete(self, prompts: Sequence[Tokens], limit: int, *, grammars: Sequence[str] = ()) -> list[list[int]]:
        return [list(prompt) for prompt in prompts]


def turn(text: str, number: int = 1, role: str = "user", source: str = "user") -> Turn:
    return Turn(number, "session", role, source, text, f"2026-03-12T08:{number:02}:00+00:00", "")


def found(model: Scripted, *texts: str, held: Sequence[Memory] = (), day: Day | None = None) -> Day:
    return propose(model, [turn(text, number) for number, text in enumerate(texts, 1)], held, day or Day())


def test_a_grounded_proposal_is_a_memory_that_can_be_learned_and_asked() -> None:
    (boat, rent) = found(Scripted(BOAT, RENT), BOAT.quote, f"{RENT.quote}, which is annoying.").memories
    assert (boat.kind, boat.relation, boat.value, boat.turn_ids) == (KIND, "the boat|name", "Marigold", (1,))
    assert (boat.statement, boat.told) == ("The boat is called Marigold.", "The boat is called Marigold.")
    assert rent.statement == "Your landlord wants the rent by the 3rd of each month."
    for memory in (boat, rent):
        asked = probes(memory, 3)
        assert len(asked) == 3 and not any(right(probe.question, memory.value) for probe in asked)
        trained = {view.prompt[0].content for view in views(memory, 16, 0) if view.prompt}
        assert len(trained) >= 4 and not trained & {probe.question for probe in asked}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"quote": "My boat is called Marigold."}, "the quote is not the user's"),
        ({"value": "Primrose", "statement": "The boat is called Primrose."}, "the value is not in the quote"),
        ({"value": "finally named the boat"}, "the statement lacks the value"),
        ({"subject": "the ship", "statement": "The ship is Marigold."}, "the subject is not in the quote"),
        ({"subject": "Marigold"}, "the subject is nobody"),
        ({"subject": "I"}, "the statement lacks the subject"),
        ({"subject": "It"}, "the subject is not in the quote"),
        ({"question": "Is the boat called Marigold?"}, "the question tells the value"),
        ({"question": "What is it called?"}, "the question lacks the subject"),
        ({"question": "Is the boat named?"}, "the question is none"),
        ({"statement": "The boat of your sister is called Marigold."}, "it is not in the user's mouth"),
        ({"statement": "The boat in Maribor is called Marigold."}, "it names what the quote does not"),
        ({"statement": "The boat of 1987 is called Marigold."}, "it names what the quote does not"),
        ({"statement": "The boat is not called Marigold."}, "it denies otherwise"),
    ],
)
def test_what_is_not_grounded_is_refused(changed: dict[str, str], why: str) -> None:
    bad = replace(BOAT, **changed)
    assert refusal(BOAT, [BOAT.quote]) == ""
    assert refusal(bad, [BOAT.quote]) == why
    assert found(Scripted(bad), BOAT.quote, bad.quote if why.startswith("it denies") else "Hm.").memories == ()


@pytest.mark.parametrize(
    ("quote", "statement", "subject", "value", "why"),
    [
        (
            "My sister Runa has a parrot.",
            "My sister stole a parrot.",
            "My sister",
            "parrot",
            "it says what the quote does",
        ),
        ("I want to move to Rome.", "I live in Rome.", "I", "Rome", "it says what the quote does"),
        ("I want to move to Rome.", "I move to Rome.", "I", "Rome", "it is surer than the quote"),
        ("They thought I was fired by Argos.", "I was fired by Argos.", "I", "Argos", "it is surer than the quote"),
        ("I might sell the house in May.", "I sold my house in May.", "I", "May", "it says what the quote does"),
        ("I moved to Rome for work.", "I was moving to Rome.", "I", "Rome", ""),
    ],
)
def test_a_model_adds_nothing_to_what_was_said(quote: str, statement: str, subject: str, value: str, why: str) -> None:
    proposal = Proposal(quote, subject, value, "home", f"Where did {subject} go?", statement)
    assert refusal(proposal, [quote]).removesuffix(" not") == why


def test_what_is_denied_stays_denied() -> None:
    quote = "My sister never eats walnuts."
    said = Proposal(quote, "My sister", "walnuts", "food", "What does my sister eat?", "My sister eats walnuts.")
    assert refusal(said, [quote]) == "it denies otherwise"


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("I live in Porto, where can I buy shoes?", "I live in Porto"),
        ("Where do I live?", ""),
        ("If I lived in York I would cycle. I moved to Tarnby.", "I moved to Tarnby."),
        ("I wish I had a dog.", ""),
        ('He wrote "I am your cook" to me.', ""),
        ("> I live in York\nI moved to Tarnby.", "I moved to Tarnby."),
        ("My door code is 4471. I moved to Tarnby.", "I moved to Tarnby."),
        ("Translate: I live in York.", ""),
        ("```\nI live in York\n```", ""),
    ],
)
def test_only_claims_of_the_user_reach_the_model(text: str, claims: str) -> None:
    model = Scripted()
    found(model, text)
    assert " ".join(model.shown) == claims


def test_tools_pages_and_the_assistant_never_reach_the_model() -> None:
    model = Scripted()
    turns = [turn("I live in York.", n, role, role) for n, role in enumerate(("assistant", "tool"), 1)]
    turns += [turn("I live in York.", 3, "user", "web"), turn("I live in York.", 4, "user", "import")]
    propose(model, turns, (), Day())
    assert model.shown == []


def test_a_long_turn_is_shown_in_parts_and_not_without_end() -> None:
    model = Scripted()
    found(model, "I saw the boat in the harbour today. " * 400)
    assert len(model.shown) == proposals.PIECES
    assert max(map(len, model.shown)) <= proposals.LONGEST


def test_what_is_not_asked_back_right_is_no_memory() -> None:
    assert found(Scripted(BOAT, answer=lambda asked: "Primrose."), BOAT.quote).memories == ()
    assert found(Scripted(BOAT, answer=lambda asked: asked), BOAT.quote).memories == (), "it only repeats"
    told = found(Scripted(BOAT, answer=lambda asked: "It is Marigold!" if BOAT.quote in asked else ""), BOAT.quote)
    assert len(told.memories) == 1


def test_a_rule_on_the_same_topic_holds_instead() -> None:
    """Whether it says the same or otherwise, and whether it was held or is of today."""
    texts = ["My sister is called Ottilie."]
    rules = by_rules([turn(texts[0])])
    same = Proposal(
        texts[0][:-1], "My sister", "Ottilie", "name", "What is my sister called?", "My sister is called Ottilie."
    )
    other = replace(same, quote="My sister is called Runa", value="Runa", statement="My sister is called Runa.")
    both = f"{texts[0]} {other.quote}, I joke."
    assert found(Scripted(same), *texts, day=Day(rules)).memories == rules
    assert found(Scripted(other), both, day=Day(rules)).memories == rules
    assert found(Scripted(other), both, held=rules).memories == ()


def test_a_proposal_gives_way_to_what_a_rule_tells_later() -> None:
    quote = "My sister is called Runa"
    said = Proposal(quote, "My sister", "Runa", "name", "What is my sister called?", f"{quote}.")
    (old,) = found(Scripted(said), f"{quote}.").memories
    rules = by_rules([turn("My sister is called Ottilie.", 5)])
    assert found(Scripted(), "Hm.", held=[old], day=Day(rules)).ended == (old.id,)
    assert found(Scripted(), "Hm.", held=[replace(old, pinned=True)], day=Day(rules)).ended == ()


def test_a_later_proposal_takes_the_place_of_an_older_one_only_where_something_changed() -> None:
    (old,) = found(Scripted(BOAT), BOAT.quote).memories
    later = replace(
        BOAT, quote="The boat is now called Primrose.", value="Primrose", statement="The boat is called Primrose."
    )
    silent = replace(later, quote="The boat is called Primrose.")
    hour = turn(later.quote, 9), turn(silent.quote, 9)
    (new,) = propose(Scripted(later), [hour[0]], [old], Day()).memories
    assert (new.relation, new.value) == (old.relation, "Primrose") and new.id != old.id
    assert propose(Scripted(silent), [hour[1]], [old], Day()).memories == ()
    assert propose(Scripted(later), [hour[0]], [replace(old, pinned=True)], Day()).memories == ()


def test_told_again_a_proposal_is_the_same_memory() -> None:
    (old,) = found(Scripted(BOAT), BOAT.quote).memories
    (again,) = propose(Scripted(BOAT), [turn(BOAT.quote, 9)], [old], Day()).memories
    assert (again.id, again.turn_ids) == (old.id, (9,))


def test_when_it_is_late_the_rest_is_left_to_the_rules() -> None:
    texts = [f"The boat number {n} is called Marigold." for n in range(9)]
    model, asked = Scripted(), iter([False, True])
    rules = by_rules([turn("My sister is called Ottilie.")])
    day = propose(model, [turn(text, n) for n, text in enumerate(texts)], (), Day(rules), lambda: next(asked))
    assert len(model.shown) == proposals.TOGETHER and day.memories == rules


@pytest.mark.parametrize(
    ("ask", "subject", "wonder"),
    [
        ("where do I live?", "I", "where I live"),
        ("what is the boat called?", "the boat", "what the boat is called"),
        ("what is my sister's job?", "my sister", "what my sister's job is"),
        ("who is my dentist?", "my dentist", "who my dentist is"),
        ("when can I call?", "I", "when I can call"),
        ("what is the name of the boat?", "the boat", ""),
        ("where does my sister live?", "my sister", ""),
        ("who bakes our bread?", "our bread", ""),
    ],
)
def test_a_question_is_embedded_where_it_is_sure_how(ask: str, subject: str, wonder: str) -> None:
    assert embedded(ask, subject) == wonder


# -- the process -----------------------------------------------------------------------------------------------------


def test_a_model_is_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    """A random one proposes what is hardly ever grounded; what the rules found is kept."""
    model = make_tiny(tmp_path / "tiny.gguf", "llama")
    said = turn("\ud800 My sister is called Ottilie."), turn("I live in York.", 2, "tool", "tool")
    rules = Day(by_rules(said[:1]), ("gone",))
    proposer = Proposer(str(model), 0.0, 1, 1.0)
    day = with_proposals(rules, said, proposer=proposer)
    assert day.memories[: len(rules.memories)] == rules.memories and day.ended == ("gone",)
    assert with_proposals(rules, said[1:], proposer=replace(proposer, model="missing")) == rules
    with pytest.raises(EdgesleepError, match="cannot load missing") as caught:
        with_proposals(rules, said, proposer=replace(proposer, model="missing"))
    assert "curate.proposes_from" in caught.value.hint


def test_an_engine_is_such_a_model(tmp_path: Path) -> None:
    path = make_tiny(tmp_path / "tiny.gguf", "qwen3")
    with Engine(path, threads=1, context=proposals.CONTEXT, sequences=proposals.TOGETHER) as engine:
        day = propose(engine, [turn(BOAT.quote), turn(RENT.quote, 2)], (), Day())
    assert all(refusal(BOAT, [BOAT.quote]) == "" for _ in day.memories)
