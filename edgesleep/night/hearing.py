"""Hearing: one message after the other, from the user's words to what holds by the end of the day.

Owns the way of a message through its readers, and what a memory has to have. Leaves reading sentences to `grammar`,
`sayings` and `notes`, dates to `dates`, other wordings to `synonyms`, and which of two memories holds to `succession`.
Must stay true: a memory has wordings enough to be learned and asked; the newest wins. Never raises on text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from edgesleep import embed
from edgesleep.night.dates import absolute
from edgesleep.night.echoes import own
from edgesleep.night.grammar import facts
from edgesleep.night.notes import notes
from edgesleep.night.parties import Cast
from edgesleep.night.phrases import fold, holding_out, probes
from edgesleep.night.questions import Fact
from edgesleep.night.reading import Parser, load, own_words, read
from edgesleep.night.sayings import sayings
from edgesleep.night.succession import Day, Ledger
from edgesleep.night.synonyms import widened
from edgesleep.records import Memory, Turn, digest

HELD_OUT = 3  # wordings that a memory must have for the gate


def hear(turns: Sequence[Turn], held: Sequence[Memory] = (), earlier: Sequence[Turn] = ()) -> Day:
    """What `curate` returns, found in this process, which loads the parser. Raises ImportError without one."""
    reader = Reader(load(), held)
    # By what is on this machine: no night waits for a download. One thread, for others may be at work.
    ledger = Ledger(held, lambda: embed.load(threads=1, download=False))
    for turn in sorted(own(turns, earlier), key=lambda turn: (turn.at, turn.id)):
        text = absolute(own_words(turn.content), datetime.fromisoformat(turn.at.replace("Z", "+00:00")))
        ledger.enter(tuple(memories(reader.facts(text), turn)), text, turn.id, turn.at)
    return ledger.day


class Reader:
    """Reads each message with those in mind whom the ones before it spoke of; `held` say who is who."""

    def __init__(self, parser: Parser, held: Sequence[Memory]) -> None:
        self._parser, self._cast = parser, Cast()
        for memory in held:
            if memory.kind == "relation":
                facts(memory.told, parser, self._cast)

    def facts(self, text: str) -> tuple[Fact, ...]:
        """All that a message tells; a note is nothing else as well."""
        if found := notes(text):
            return found
        spoken = list(read(text, self._parser, self._cast.spelt))
        found = facts(text, self._parser, self._cast, spoken)
        return tuple(fact for fact in found + sayings(text, spoken, found, self._cast) if _stands(fact.value, text))


def _stands(value: str, text: str) -> bool:
    """Whether a value is more than the end of a word: "on training" of "hands-on training"."""
    return not re.search(rf"\w-{re.escape(value)}\b", text) or bool(re.search(rf"(?<![\w-]){re.escape(value)}\b", text))


def memories(found: Sequence[Fact], turn: Turn) -> Iterator[Memory]:
    """Those of the facts of a turn that have wordings enough."""
    for fact in map(widened, found):
        memory = Memory(
            digest((fact.relation, fold(fact.value)))[:12],
            fact.kind,
            fact.relation,
            fact.statement,
            fact.statement_first,
            fact.value,
            fact.questions,
            (turn.id,),
            turn.at,
        )
        if len(probes(memory := holding_out(memory), HELD_OUT)) == HELD_OUT:
            yield memory
