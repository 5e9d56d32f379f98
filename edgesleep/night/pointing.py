"""Pointing: the thing or the day that a statement leaves to the sentence before it.

Owns "ours", "one", "two of them", "it's 40 on our street" and "it's Dad's on the 9th of June", put into words where the
sentence before names the thing. Leaves people to `parties` and "there" to `threads`. Must stay true: of two things
that fit none is meant.
"""

from __future__ import annotations

import re

from edgesleep.night.lexicon import HEADS_OF_NOTHING, KIN, NUMBERS, VAGUE_WORDS, any_word

_MEASURED = re.compile(
    r"^It(?:'s| is) (?:about |around |exactly )?(\d[\d,]*|" + NUMBERS + r") (?=(?:on|in|at) (?:our|my|the)\b)"
)
_COUNTED = re.compile(r"\bhow many ([a-z][\w-]*s)\b")
_OF_THEM = re.compile(rf"\b((?:{NUMBERS}|\d+)) of (?:them|those)\b", re.IGNORECASE)
_MINE_BEFORE = re.compile(r"\b(?:my|our) ((?:[a-z-]+ )??(?!has|is|was|does)[a-z-]+s)\b")
_ANY = re.compile(
    r"\b(?:an?|another) ((?:[a-z][\w-]* ){0,2}?[a-z][\w-]*)(?= (?:for|in|on|at|to|of|that|who|which|with"
    r"|from|by|is|was|has|has|and|or|like|about|as)\b|[.,?!;:]|$)"
)
_OURS = re.compile(r"^(Ours|Mine)(?= (?:is|are|was|were|has|have|'s)\b|'s )|(?<=[a-z] )(ours|mine)\b")
_ONE = re.compile(r"^((?:I|We)(?:'ve| have)(?: got)?) one\b(?: now| too| already)*")


def pointing(sentence: str, before: str) -> str:
    """ "Ours is called Miso", "we've got one", "two of them", "it's 40 on our street", with the thing named."""
    last = re.split(r"[.?!\n]\s+", before.strip(" .?!\n"))[-1] if before else ""
    if counted := _COUNTED.search(last):
        sentence = _MEASURED.sub(lambda found: f"We have {found[1]} {counted[1]} ", sentence)
    things = _MINE_BEFORE.findall(last)
    if len({*things}) == 1:
        sentence = _OF_THEM.sub(lambda found: f"{found[1]} {things[0]}", sentence)
    sentence = _dated(sentence, before)
    thing = _thing(last)
    if thing:
        sentence = _OURS.sub(
            lambda found: (
                {"Ours": "Our", "ours": "our", "Mine": "My", "mine": "my"}[found[1] or found[2]] + f" {thing}"
            ),
            sentence,
        )
    others = [noun for noun in _ANY.findall(last) if _is_thing(noun)]
    if others:
        article = "an" if others[-1][0] in "aeiou" else "a"
        sentence = _ONE.sub(lambda found: f"{found[1]} {article} {others[-1]}", sentence)
    return sentence


_FEAST = re.compile(
    r"\b(?P<feast>birthday|anniversary|name day|christening|graduation|retirement do|leaving do)\b", re.IGNORECASE
)
_BEARER = re.compile(
    rf"\b(?P<whose>(?:my|our) (?:[a-z]+ )?(?:{any_word(KIN)})'s|(?:{any_word(KIN)})'s|[A-Z][a-z]+'s|my|our)"
    rf" (?:[\w-]+ )?"
    r"(?P<feast>birthday|(?:wedding )?anniversary|name day|christening|graduation)\b",
    re.IGNORECASE,
)
_FOR_WHOM = re.compile(
    rf"\b(?P<feast>birthday|anniversary) (?:card|present|gift|cake)s? for (?P<whose>(?:my|our) (?:{any_word(KIN)}))\b"
)
_ON = (
    r"(?: on| in)? (?P<when>(?:the )?\d{1,2}(?:st|nd|rd|th)?(?: of)? [A-Z][a-z]+(?: \d{4})?|[A-Z][a-z]+ (?:the"
    r" )?\d{1,2}(?:st|nd|rd|th)?"
    r"(?: [A-Z][a-z]+ \d{4})?|[A-Z][a-z]+day(?: \d{1,2} [A-Z][a-z]+ \d{4})?)(?=,|$| and | so | but )"
)
_ITS = re.compile(
    rf"^(?:It's|It is|That's|His is|Hers is) (?P<whose>(?:(?:my |our )?(?:{any_word(KIN)})|[A-Z][a-z]+)'s|ours"
    rf"|mine){_ON}",
    re.IGNORECASE,
)
_JUST = re.compile(rf"^(?:It's|It is|That's){_ON}")


def _dated(sentence: str, before: str) -> str:
    """ "It's Dad's on the 9th of June", where the sentence before speaks of a birthday."""
    feasts = {match["feast"].lower() for match in _FEAST.finditer(before)}
    if len(feasts) != 1:
        return sentence
    if found := _ITS.match(sentence):
        whose = {"ours": "our", "mine": "my"}.get(found["whose"].lower(), found["whose"])
        return f"It's {whose} {feasts.pop()} on {found['when']}" + sentence[found.end() :]
    bearers = {(match["whose"], match["feast"].lower()) for match in _BEARER.finditer(before)}
    bearers |= {(f"{match['whose']}'s", match["feast"].lower()) for match in _FOR_WHOM.finditer(before)}
    if len(bearers) == 1 and (found := _JUST.match(sentence)):
        whose, feast = bearers.pop()
        return f"It's {whose} {feast} on {found['when']}" + sentence[found.end() :]
    return sentence


def _thing(text: str) -> str:
    """What "ours" stands for: the first thing that the sentence before speaks of."""
    return next((noun for noun in _ANY.findall(text) if _is_thing(noun)), "")


def _is_thing(noun: str) -> bool:
    last = noun.split()[-1]
    return last not in HEADS_OF_NOTHING | {"name", "friend", "word", "bit", "lot"} and not {*noun.split()} & VAGUE_WORDS
