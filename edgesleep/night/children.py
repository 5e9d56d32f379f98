"""Children: who must be a son or a daughter of the user, by what the message says of them.

Owns the children that nobody calls so: "Ivo, my six year old, ... because he ...", "tell the nursery that Una will be
fetched by her granny and not by us". Leaves "my daughter Ines" to `clauses`. Must stay true: what anyone could write
of a pupil, a guest or somebody else's child makes nobody a child of the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.lexicon import BEASTS, DAYS, KIN, MONTHS, NUMBERS, words
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, fact_of

_AGED = re.compile(rf"(?:My|Our) (?:{NUMBERS}|\d{{1,2}})[- ]years?[- ]old is called (?P<name>[A-Z][\w'-]+)\.")
_PRONOUN = re.compile(r"\b(?:(?P<he>he|him|his|himself)|(?P<she>she|her|hers|herself))\b", re.IGNORECASE)
_PAWS = {*words("bone bones paw paws tail fur kennel leash lead litter barks barked whiskers hooves saddle stable")}
_NO_NAMES = {*DAYS, *MONTHS, "i"}

_MINDED = (
    r"nursery|kindergarten|kita|cr[eè]che|day ?care|pre-?school|playgroup|childminder|babysitter|school(?! of\b)"
    r"|school office|form tutor|class teacher|head ?teacher|teacher|after[- ]?school club|swimming teacher|kinder"
)
# Words for those who look after a child, asked for or told something.
_WORD_TO = re.compile(
    r"\b(?:note|notes|lines?|message|word|words|something|reply|tell|let|inform|texts?|excuse|explain|write|draft|ask)\b"
    rf"[^.!?\n]{{0,40}}?\b(?:for|to|the|his|her|their|our|my)\b[^.!?\n]{{0,16}}?\b(?:{_MINDED})\b",
    re.IGNORECASE,
)
_CARED = re.compile(
    r"(?<![\w'])(?P<name>[A-Z][a-z]\w*)(?:'s| is| will be| won't be| was| has been| has to be| needs to be|'ll be)"
    r"(?: not| being| going to be)* (?:picked up|collected|fetched|dropped off|brought in|late|absent|off|away|ill"
    r"|poorly"
    r"|sick|at home|staying (?:home|at home|off)|not coming in|in (?:late|today|tomorrow|school|nursery)|leaving early"
    r"|going home early|coming in late|home (?:sick|ill|today))\b"
)
_GRAN = r"gran(?:ny|d?ma|dad|ddad|pa|dpa|dmother|dfather)?|nan|nana|aunt|auntie|uncle|grandparents|childminder|nanny"
_NOT_US = re.compile(
    rf"\b(?:(?:his|her|their) (?:{_GRAN})\b[^.!?\n]{{0,40}}?\b(?:not|instead of|rather"
    rf" than)\b[^.!?\n]{{0,8}}?\b(?:us|me)"
    rf"|not (?:by )?(?:us|me)\b[^.!?\n]{{0,20}}?\b(?:his|her|their) (?:{_GRAN}))\b"
)
_OTHERS = re.compile(
    r"\b(?:my (?:pupils?|students?|class|nephew|niece|grandson|granddaughter|godson|goddaughter|neighbour|neighbor"
    r"|friend"
    r"|sister|brother|client|dog|cat|puppy|colleague)|I teach|parents of|(?:his|her|their) (?:mum|mom|mam|dad|mother"
    r"|father|parents?|owner)|for (?:a|my) (?:friend|sister|brother|neighbour|neighbor|colleague)|puppy school)\b",
    re.IGNORECASE,
)


def children(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """The sons and daughters that follow from the facts `found` in a message and from its own words."""
    known = " ".join(fact.statement_first for fact in found if fact.kind == "relation")
    for fact in found:
        match = _AGED.fullmatch(fact.statement_first)
        kin = _sex(text, match["name"]) if match else ""
        if match and kin:
            yield from _is_child(kin, match["name"])
    for match in _CARED.finditer(text) if not _OTHERS.search(text) else ():
        name = match["name"]
        sure = _WORD_TO.search(text) or (_NOT_US.search(text) and re.search(rf"\b(?:{_MINDED})\b", text))
        if sure and fold(name) not in _NO_NAMES | KIN | BEASTS | _PEOPLE and not re.search(rf"\b{name}\b", known):
            yield from _is_child(_sex(text, name) or "child", name)
            return


_PEOPLE = {*words("he she they it we you everyone somebody someone nobody who that this there today tomorrow school")}


def _is_child(kin: str, name: str) -> Iterator[Fact]:
    small = {"son": "boy", "daughter": "girl", "child": "kid"}[kin]
    pairs = [
        (f"what is my {kin} called?", f"what my {kin} is called"),
        (f"what is my {kin}'s name?", f"what my {kin}'s name is"),
        (f"who is my {kin}?", f"who my {kin} is"),
        (f"what is my {small} called?", f"what my {small} is called"),
    ]
    yield from fact_of(f"My {kin} is called {name}.", name, f"my {kin}|{name}|name", "relation", pairs)


def _sex(text: str, name: str) -> str:
    """Son or daughter, by the pronoun next to the name, where nobody else is named between the two."""
    start = re.search(rf"\b{re.escape(name)}\b", text)
    pronoun = _PRONOUN.search(text, start.end()) if start else None
    if start is None or pronoun is None or (BEASTS | _PAWS) & {*fold(text).split()}:
        return ""
    between = text[start.end() : pronoun.start()]
    others = [word for word in re.findall(r"[\w'-]+", between) if word[:1].isupper() and word.lower() not in _NO_NAMES]
    if KIN & {*fold(between).split()} or [word for word in others if word != name and not _opens(word, between)]:
        return ""
    several = {bool(match["he"]) for match in _PRONOUN.finditer(between + pronoun[0])}
    return ("son" if pronoun["he"] else "daughter") if len(several) == 1 else ""


def _opens(word: str, text: str) -> bool:
    """Whether a word has its capital from the sentence that it opens, and is an everyday one."""
    return bool(re.search(rf"[.!?] {re.escape(word)}\b", text)) and len(word) <= 4
