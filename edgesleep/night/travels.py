"""Travels: the place that a journey is left with, where a sentence before names it.

Owns "around the country" after "when I was in Japan", and "when I went with my family" after "going back to Hawaii",
put into words before the message is parsed. Leaves "there" to `threads`. Must stay true: of two places none is meant,
and what is only planned has been nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from edgesleep.night.lexicon import capital

_Filling = Callable[[re.Match[str], str], str]
_NAME = r"[A-Z][\w'-]+(?: (?:of |de |du |la )?[A-Z][\w'-]+)*"
_BEEN = re.compile(
    r"\b(?:(?:was|were|been|stayed|lived|studied|worked|arrived) in"
    r"|(?:went|flew|travelled|traveled|drove|sailed|moved|trip|visit|holiday|vacation|honeymoon|journey|cruise) to"
    rf"|(?:[Bb]ack|[Rr]eturned) from) (?P<place>{_NAME})"
)
_BACK = re.compile(
    r"\b(?:go|going|get|getting|travel|travelling|traveling|fly|flying|head|heading)(?: back)? to"
    r"|\b(?:miss|missing|revisit|revisiting)\b|\b(?:return|returning) to"
)
_BACK_TO = re.compile(rf"(?:{_BACK.pattern}) (?P<place>{_NAME})")
_THE_LAND = re.compile(
    r"(?P<way>\b(?:around|across|through|throughout|all over|exploring|touring|discovering) )"
    r"the (?:whole |entire )?(?:country|city|island|region|town)\b(?! of| in|\w)"
)
_WENT = re.compile(
    r"(?P<who>\b(?:I|we) went)(?= (?:with|for an? |for \w+ (?:days|weeks|months)\b|last|in [A-Z]|alone)\b)"
)
_OPENED = re.compile(
    r"(?:\b[Ll]ike,? )?\b(?P<when>[Oo]n (?:my|our) (?:[a-z-]+ ){0,3}?(?:trip|holiday|vacation|honeymoon|cruise|visit) "
    rf"(?:to|in) {_NAME}), (?P<told>(?:I|we) [^,.;:!?]+)"
)
_NEAR = 240  # letters that lie between a place and what is left with it


def travelled(text: str) -> str:
    """The message with the one place that it can mean in the stead of "the country", and where one "went with" others.

    "On my last trip to Crete, I packed 7 shirts" comes with its trip at the end, which no comma cuts off there.
    """
    text = _OPENED.sub(lambda found: f"{capital(found['told'])} {_small(found['when'])}", text)
    text = _put(text, _THE_LAND, _BEEN, lambda found, place: f"{found['way']}{place}")
    return _put(text, _WENT, _BACK_TO, lambda found, place: f"{found['who']} to {place}")


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _put(text: str, gap: re.Pattern[str], named: re.Pattern[str], filled: _Filling) -> str:
    found = gap.search(text)
    if found is None:
        return text
    before = text[max(0, found.start() - _NEAR) : found.start()]
    places = {match["place"] for match in named.finditer(before)}
    return text[: found.start()] + filled(found, places.pop()) + text[found.end() :] if len(places) == 1 else text
