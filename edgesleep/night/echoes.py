"""Echoes: what stands in a user's message word for word as somebody else had said it.

Owns the cut that keeps the model's own claims, a tool's output and a web page from coming back as the user's: pasted
into a message, they are nobody's word about the user. Leaves quotes and code that a message marks as such to `reading`.
Must stay true: what the user said first stays theirs, however often it is repeated to them; nothing is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.phrases import fold
from edgesleep.records import Turn

FEWEST = 3  # words of an echo: "yes, please" is anyone's
_PIECES = re.compile(r"([.!?;:\n\"“”*|>]+)")


def own(turns: Sequence[Turn], earlier: Sequence[Turn] = ()) -> list[Turn]:
    """Those of the turns that teach, without what others had said before; `earlier` turns came before all of these."""
    asked = {said for turn in turns if turn.teaches for said in map(_words, _pieces(turn.content)) if said}
    mine: set[str] = set()
    others: set[str] = set()
    kept = []
    first = min((turn.id for turn in turns), default=0)
    for turn in sorted({turn.id: turn for turn in (*earlier, *turns)}.values(), key=lambda turn: turn.id):
        if not turn.teaches:
            others |= {said for said in map(_words, _pieces(turn.content)) if said in asked and said not in mine}
            continue
        content = "".join(piece for piece in _PIECES.split(turn.content) if _words(piece) not in others)
        mine |= {said for said in map(_words, _pieces(content)) if said in asked}
        if turns and turn.id >= first:
            kept.append(replace(turn, content=content))
    return kept


def _pieces(text: str) -> Iterator[str]:
    return iter(_PIECES.split(text))


def _words(piece: str) -> str:
    """A piece of text for comparison; empty where it is too short to be somebody's."""
    words = fold(piece)
    return words if words.count(" ") + 1 >= FEWEST else ""
