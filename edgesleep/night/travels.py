"""Travels: the place that a journey is left with, where a sentence before names it.

Owns "around the country" after "when I was in Japan", and "when I went with my family" after "going back to Hawaii",
put into words before the message is parsed. Leaves "there" to `threads`. Must stay true: of two places none is meant,
and what is only planned has been nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from edgesleep.night.lexicon import MONTHS, capital, words

_Filling = Callable[[re.Match[str], str], str]
_NAME = r"[A-Z][\w'-]+(?: (?:of |de |du |la )?[A-Z][\w'-]+)*"
_BEEN = re.compile(
    r"\b(?:(?:I|[Ww]e)(?:'ve| have)?(?: just| recently| once)? (?:(?:was|were|been|stayed|arrived) in|(?:went|flew"
    r"|travelled|traveled|drove|sailed|been) to|(?:got|came|am|are) back from|returned from)"
    r"|(?:I'm|[Ww]e're)(?: just)? back from"
    rf"|(?:[Mm]y|[Oo]ur)(?: [a-z]+)? (?:trip|visit|holiday|vacation|honeymoon|journey|cruise) to) (?P<place>{_NAME})"
)
_BACK = re.compile(
    r"\b(?:go|going|get|getting|travel|travelling|traveling|fly|flying|head|heading) back to"
    r"|\b(?:miss|missing|revisit|revisiting)\b|\b(?:return|returning) to"
)
_BACK_TO = re.compile(rf"(?:{_BACK.pattern}) (?P<place>{_NAME})")
_THE_LAND = re.compile(
    r"(?P<way>\b(?:around|across|through|throughout|exploring|touring|discovering) )"
    r"the (?:whole |entire )?(?P<land>country|island)\b(?! of| in|\w)"
)
# A town has no "the country" of its own, so only these can be meant by it.
_COUNTRIES = {*words("""
    Albania Argentina Armenia Australia Austria Bangladesh Belgium Belize Bhutan Bolivia Bosnia Botswana Brazil Bulgaria
    Cambodia Canada Chile China Colombia Croatia Cuba Cyprus Denmark Ecuador Egypt England Estonia Ethiopia Finland
    France Georgia Germany Ghana Greece Guatemala Honduras Hungary Iceland India Indonesia Iran Ireland Israel Italy
    Jamaica Japan Jordan Kenya Laos Latvia Lebanon Lithuania Madagascar Malaysia Malta Mexico Moldova Mongolia
    Montenegro Morocco Mozambique Myanmar Namibia Nepal Netherlands Nicaragua Nigeria Norway Oman Pakistan Panama
    Paraguay Peru Philippines Poland Portugal Romania Rwanda Scotland Senegal Serbia Singapore Slovakia Slovenia Spain
    Sweden Switzerland Taiwan Tanzania Thailand Tunisia Turkey Uganda Ukraine Uruguay Venezuela Vietnam Wales Zambia
    Zimbabwe
"""), "Costa Rica", "New Zealand", "South Africa", "South Korea", "Sri Lanka", "Saudi Arabia"}  # fmt: skip
_PLACED = re.compile(rf"\b(?:in|to|from|of|at) (?P<place>{_NAME})")
_WENT = re.compile(
    r"(?P<who>\b(?:I|we) went)"
    r"(?= (?:with|for an? (?:day|week|weekend|fortnight|month|year)|for \w+ (?:days|weeks|months)|last|alone)\b)"
    rf"(?![^.!?;,\n]* (?:to|into|in(?! (?:\d|the week|(?:{'|'.join(map(capital, sorted(MONTHS)))})\b)))\b)"
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
    text = _put(text, _THE_LAND, _BEEN, lambda found, place: f"{found['way']}{place}", _is_its_land)
    return _put(text, _WENT, _BACK_TO, lambda found, place: f"{found['who']} to {place}")


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _is_its_land(found: re.Match[str], before: str, place: str) -> bool:
    """Whether "the country" is what the user was in: they travel it, in no year of its own, and no other is named."""
    clause = re.split(r"[.!?;,\n]", before)[-1]
    others = {match["place"] for match in _PLACED.finditer(before)} - {place}
    rest = re.match(r"[^.!?\n]*", found.string[found.end() :])
    dated = bool(rest and re.search(r"\b(?:19|20)\d\d\b", rest[0]))
    land = found["land"] == "island" or place in _COUNTRIES
    own = bool(re.search(r"\b(?:I|[Ww]e)\b", clause))
    return land and own and not dated and all(other.lower() in MONTHS for other in others)


_Check = Callable[[re.Match[str], str, str], bool]


def _put(
    text: str,
    gap: re.Pattern[str],
    named: re.Pattern[str],
    filled: _Filling,
    fits: _Check = lambda found, before, place: True,
) -> str:
    """The text with its gap filled by the one place named in this sentence or the one before."""
    found = gap.search(text)
    if found is None:
        return text
    before = text[max(0, found.start() - _NEAR) : found.start()]
    before = " ".join(re.split(r"(?<=[.!?\n])\s+", before)[-2:])
    places = {match["place"] for match in named.finditer(before)}
    if len(places) != 1 or not fits(found, before, place := places.pop()):
        return text
    return text[: found.start()] + filled(found, place) + text[found.end() :]
