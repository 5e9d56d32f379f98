"""Echoes: what stands in a user's message word for word as somebody else had said it.

Owns the cut that keeps the model's own claims, a tool's output and a web page from coming back as the user's: pasted
into a message, they are nobody's word about the user. Leaves quotes and code that a message marks as such to `reading`.
Must stay true: what the user said first stays theirs, however often it is repeated to them, and so is what they say in
one sentence of their own to what the assistant guessed or asked: "I live in York." Nothing is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.phrases import fold
from edgesleep.records import Turn

FEWEST = 3  # words of an echo: "yes, please" is anyone's
LONGEST = 20  # words of an answer: what is longer was rather pasted
_PIECES = re.compile(r"([.!?;:\n\"“”*|>]+)")
# One sentence about oneself, and nothing else: no quote, list or heading.
_STATEMENT = re.compile(r"\s*(?:I|we|my|our)\b(?:[^.!?;:\n\"“”*|>`]|[.:](?=\d))+[.!]*\s*", re.IGNORECASE)


def own(turns: Sequence[Turn], earlier: Sequence[Turn] = ()) -> list[Turn]:
    """Those of the turns that teach, without what others had said before; `earlier` turns came before all of these."""
    asked = {said for turn in turns if turn.teaches for said in map(_words, _pieces(turn.content)) if said}
    mine: set[str] = set()
    others: set[str] = set()
    kept = []
    first = min((turn.id for turn in turns), default=0)
    last: dict[str, Turn] = {}
    for turn in sorted({turn.id: turn for turn in (*earlier, *turns)}.values(), key=lambda turn: turn.id):
        before, last[turn.session] = last.get(turn.session), turn
        if turn.teaches and before and _is_answer(turn.content, before):
            others -= {*map(_words, _pieces(turn.content))}
        if turn.noted:
            continue  # the user's own words at second hand: said again by them, they are theirs
        if not turn.teaches:
            others |= {said for said in map(_words, _pieces(turn.content)) if said in asked and said not in mine}
            continue
        content = "".join(piece for piece in _PIECES.split(turn.content) if _words(piece) not in others)
        mine |= {said for said in map(_words, _pieces(content)) if said in asked}
        if turns and turn.id >= first:
            kept.append(replace(turn, content=content))
    return kept


def _is_answer(said: str, before: Turn) -> bool:
    """Whether a message is one's own word, in one sentence, on what the assistant has just asked or said of one."""
    if before.role != "assistant" or not _STATEMENT.fullmatch(said) or len(said.split()) > LONGEST:
        return False
    guessed = {*map(_words, _pieces(said))} & {*map(_words, _pieces(before.content))} - {""}
    return bool(guessed) or before.content.rstrip().endswith("?")


def _pieces(text: str) -> Iterator[str]:
    return iter(_PIECES.split(text))


def _words(piece: str) -> str:
    """A piece of text for comparison; empty where it is too short to be somebody's."""
    words = fold(piece)
    return words if words.count(" ") + 1 >= FEWEST else ""
