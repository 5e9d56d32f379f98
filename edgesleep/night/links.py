"""Links: what is told of "my brother" is told of Fintan, once it is known that he is the brother.

Owns the questions that two memories about one subject make possible (two-hop questions: "where does Fintan live?" needs
both), and those to which several memories are the answer. Leaves each memory's own questions to those who found it.
Must stay true: what is made here of two memories is for one night and never stored, so that one can go alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesleep.night.lexicon import capital
from edgesleep.night.phrases import fold, probes, right
from edgesleep.records import Memory, Probe, Question

_NAMING = re.compile(r"(?:My|Our) (?P<whom>[\w' -]+?) (?:is called|is) (?P<name>[A-Z][\w' .-]*)\.")

LISTED = 6  # memories that one answer may list
ASKED = 3  # held-out questions that a memory has to have left


@dataclass(frozen=True)
class Link:
    """Whom the user calls "my brother", and their name."""

    whom: str
    name: str


def linked(memories: Sequence[Memory]) -> tuple[Memory, ...]:
    """The memories, each with further questions that call its subject by the other of its names.

    The wording that is held out is so by either name.
    """
    links = [link for memory in memories if (link := _link(memory))]
    return tuple(_with(memory, links) for memory in memories)


def two_hops(memories: Sequence[Memory]) -> tuple[Probe, ...]:
    """The wordings held out, by the other name: no lesson of these memories has them."""
    links = [link for memory in memories if (link := _link(memory))]
    return tuple(
        Probe(f"{memory.id}-linked", memory.id, question.text, memory.value, hops=2)
        for memory in memories
        for question in _by_other_names(memory, links, held_out=True)[:1]
    )


def told_apart(memories: Sequence[Memory]) -> tuple[Memory, ...]:
    """The memories without wordings to which another one of them is the answer as well, for that taught two answers.

    A memory that would be left with too few of them is asked for by all, and answered with all that holds: "What pet do
    I have?" "You have a dog. You have a cat."
    """
    asked: dict[str, dict[str, tuple[Memory, Question]]] = {}
    for memory in memories:
        for question in memory.questions:
            asked.setdefault(fold(question.ask), {}).setdefault(memory.id, (memory, question))

    def others(question: Question) -> list[Memory]:
        shared = asked[fold(question.ask)].values()
        return [other for other, _ in shared if not right(question.full, other.value)]

    def told_of_all(question: Question) -> Question:
        shared = [same for _, same in asked[fold(question.ask)].values()]
        if not others(question) or len(shared) > LISTED:
            return question
        short, full = (
            " ".join(dict.fromkeys(texts)) for texts in zip(*((q.short, q.full) for q in shared), strict=True)
        )
        return replace(question, short=short, full=full)

    def one(memory: Memory) -> Memory:
        alone = replace(memory, questions=tuple(q for q in memory.questions if not others(q)))
        if len(probes(alone, ASKED)) == ASKED:
            return alone
        return replace(memory, questions=tuple(map(told_of_all, memory.questions)))

    return tuple(map(one, memories))


def _link(memory: Memory) -> Link | None:
    found = _NAMING.fullmatch(memory.told) if memory.relation.endswith("|name") else None
    return Link(f"my {found['whom']}", found["name"]) if found else None


def _with(memory: Memory, links: Sequence[Link]) -> Memory:
    return replace(memory, questions=(*memory.questions, *_by_other_names(memory, links, held_out=False)))


def _by_other_names(memory: Memory, links: Sequence[Link], *, held_out: bool) -> list[Question]:
    """The wordings that are trained, or the one held out, each by the subject's other name, where it is not there."""
    chosen = [question for question in memory.questions if (question.ask == memory.held_out) == held_out]
    more = [again for link in links for question in chosen if (again := _renamed(question, memory, link))]
    asked = {question.text for question in memory.questions}
    return list({question.text: question for question in more if question.text not in asked}.values())


def _renamed(question: Question, memory: Memory, link: Link) -> Question | None:
    """The question with the other name; None where its subject has neither, or where it would tell its own answer."""
    for known, other in ((link.whom, link.name), (link.name, link.whom)):
        about = memory.relation.partition("|")[0].casefold()
        subject = about == known.casefold() or about.startswith(f"{known.casefold()}'")
        if subject and not right(f"{link.whom} {link.name}", memory.value):
            pattern = re.compile(rf"(?<![\w']){re.escape(known)}(?!\w)", re.IGNORECASE)
            text, ask, wonder = (pattern.sub(other, part) for part in (question.text, question.ask, question.wonder))
            return replace(question, text=capital(text), ask=ask, wonder=wonder)
    return None
