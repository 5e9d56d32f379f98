"""Synonyms: further wordings of a fact, in other everyday words for what it is about.

Owns how the tables of `thesaurus` become questions: the kind of the value named ("which instrument"), the wording
turned ("what is my new role?"), the word for whom or what it is about changed ("my manager"). Leaves a fact's own
questions to those who found it. Must stay true: a fact keeps all its own wordings and their answers; a new one asks for
the same value, tells nothing of it, and is grammatical.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from edgesleep.night.lexicon import BEASTS, DAYS, KIN, MONTHS, any_word, capital
from edgesleep.night.phrases import fold, right
from edgesleep.night.questions import Fact
from edgesleep.night.thesaurus import CARS, CATS, DOGS, KIN_SAME, KINDS, NO_KIN, THINGS_SAME, TURNS
from edgesleep.records import Question

Pair = tuple[str, str]  # "where do I live?", "where I live"

MORE, FIRST = 8, 2  # wordings added, and how many of the fact's own come before them
ENOUGH = 12  # wordings of a fact, from which on none is added
_LONGEST = 24  # words of a wording
_TOKENS = {
    "<p>": "(?P<p>.+?)",
    "<do>": "(?P<do>do|does)",
    "<be>": "(?P<be>am|is|are)",
}


def _pattern(turn: str) -> re.Pattern[str]:
    for token, form in _TOKENS.items():
        turn = turn.replace(token, form)
    return re.compile(turn + r"\?")


_TURNS = [(_pattern(turn), templates) for turn, templates in TURNS]
_GUARD = re.compile(r" \[(\w+)\]")
_DAY, _MONTH = any_word(DAYS), any_word(MONTHS)
_DATED = re.compile(
    rf"(?:on )?(?:the )?(?:(?P<day>(?:{_DAY})s?)\b.*|(?P<month>{_MONTH})|(?P<year>(?:19|20)\d\d))", re.I
)
_NTH = re.compile(rf"\d(?:st|nd|rd|th)\b|\b(?:\d{{1,2}} (?:of )?(?:{_MONTH})|(?:{_MONTH}) \d{{1,2}})\b", re.IGNORECASE)
_LASTING = re.compile(r"(?:(?:about|over|almost|nearly|around) )?\w+ (?P<unit>year|month|week|day|hour|minute)s?")
_SPEED = re.compile(
    r"[\w. ]+ (?:mph|kph|km/h|knots|(?:met(?:re|er)s?|miles?|kilomet(?:re|er)s?|km|feet|m) (?:an?|per) "
    r"(?:second|hour|minute))"
)
_WARMTH = re.compile(r"[\w. -]+ (?:degrees|°C|°F)(?: (?:Celsius|Fahrenheit|C|F))?")
_AT = r"\b(?:at|above|over|below|under)\?$"
_MASS = ("speed", "temperature", "punctuation", "formatting")  # of which one asks "what", not "which"
_NO_TOWN = re.compile(
    r"\b(?:county|island|islands|coast|valley|north|south|east|west|the|street|road|house|flat|countryside|village"
    r"|farm|country|\w+shire|yorkshire|cornwall|devon|kent|sussex|texas|california|florida|alabama|ohio|bavaria)\b",
    re.IGNORECASE,
)
_OWN = r"\b(?P<own>my|our|\w+'s) "
_ENDS = (
    r"(?=\?|$|'s\b| (?:is|are|was|were|in|at|on|from|called|take|takes|do|does|did|cost|costs|live|have|has|with)\b)"
)


def widened(fact: Fact) -> Fact:
    """The fact with up to eight more wordings, after its first two."""
    own = list({question.ask: (question.ask, question.wonder) for question in fact.questions}.values())
    if not own:
        return fact
    kinds = _kinds(fact.value) | {"person" if _is_person(own) else "thing"}
    turned = list(_turned(own[:4], kinds)) if fact.kind != "saying" else []
    kind = list(_of_kind([own[0], *turned, *own[1:3]], fact.value)) if fact.kind != "saying" else []
    plain = [pair for pair in own[:2] if " was it that " not in pair[0]]
    same = list(_in_other_words([*plain, *turned[:2], *kind[:1]])) if fact.kind != "procedure" else []
    rounds = chain.from_iterable(zip_longest(kind, turned, same))
    fresh = [pair for pair in dict.fromkeys(rounds) if pair and _is_sound(pair, fact.value, own)]
    room = max(0, min(MORE, ENOUGH - len(own)))
    model = fact.questions[0]
    more = [Question(capital(ask), model.short, model.full, ask, wonder) for ask, wonder in fresh[:room]]
    return replace(fact, questions=(*fact.questions[:FIRST], *more, *fact.questions[FIRST:]))


def _is_sound(pair: Pair, value: str, own: Sequence[Pair]) -> bool:
    ask = pair[0]
    doubled = re.search(r"\b(\w+) \1\b", ask, re.IGNORECASE)
    return not right(ask, value) and ask not in dict(own) and len(ask.split()) <= _LONGEST and not doubled


# ---- the kind of the value


def _kinds(value: str) -> set[str]:
    """What a value is: "the harp" is an instrument."""
    found = {kind for kind, known, _ in KINDS if _is_one_of(value, known)}
    if dated := _DATED.fullmatch(value):
        found |= {"day"} if dated["day"] else set()
    found |= {"date"} if _NTH.search(value) else set()
    named = all(word[:1].isupper() or word in ("in", "on", "upon", "le", "de", "la") for word in value.split())
    if named and not found and not _NO_TOWN.search(value) and len(value.split()) <= 3 and "," not in value:
        found.add("town")
    return found


def _is_one_of(value: str, known: Sequence[str]) -> bool:
    """Whether a value, or what it ends in, stands in a list; of a car, its make does."""
    words = fold(value).removeprefix("the ").removeprefix("my ").split()
    heads = [" ".join(words), " ".join(words[-2:]), words[-1]] if words and " and " not in value else []
    heads += [re.sub(r"(?<=o)es$|s$", "", head) for head in heads] + [re.sub(r"ies$", "y", head) for head in heads]
    return any(head in known for head in [*heads, *(words if known is CARS else ())])


def _kinds_named(value: str) -> Iterator[tuple[str, str]]:
    """The kinds of a value with the wordings that fit them; of a list all must be of one kind, which is plural."""
    members = re.split(r",? and |, ", value)
    for kind, known, context in KINDS:
        if all(_is_one_of(member, known) for member in members):
            several = re.sub(r"y$", "ie", kind) + "s" if len(members) > 1 else kind
            if len(members) == 1 or kind not in ("seafood", "kind of dog"):
                yield several, context
    if _SPEED.fullmatch(value):
        yield "speed", _AT
        yield f"how many {re.sub(r'^[0-9][0-9.]*|^[a-z]+', '', value).strip()}", _AT
    if _WARMTH.fullmatch(value):
        yield "temperature", r"\b(?:at|above|over|below|under|to)\?$"


def _of_kind(pairs: Sequence[Pair], value: str) -> Iterator[Pair]:
    """ "What am I learning?" is "which instrument am I learning?", "when ..." is "which month ..."."""
    fitting = list(_kinds_named(value))
    for ask, wonder in pairs:
        if re.search(r"\bdid I (?:tell you|say)\b|\bit was that\b|\bwas it that\b", ask):
            continue
        kinds = [kind for kind, context in fitting if re.search(context, ask)][
            : 2 if ask == pairs[0][0] or "speed" in dict(fitting) else 1
        ]
        if re.match(r"what (?:do|does|did|have|has|am|is|are|can't|don't|should) ", ask):
            for kind in kinds:
                which = kind if kind.startswith("how many") else f"{'what' if kind in _MASS else 'which'} {kind}"
                yield ask.replace("what", which, 1), wonder.replace("what", which, 1)
        for before, after in _measures(value):
            if ask.startswith(f"{before} ") and wonder.startswith(f"{before} "):
                yield after + ask.removeprefix(before), after + wonder.removeprefix(before)


def _measures(value: str) -> Iterator[Pair]:
    """What "when" and "how long" may be called where the value names a day, a month, a year or a number of them."""
    dated, lasting = _DATED.fullmatch(value), _LASTING.fullmatch(value)
    if dated and dated["day"]:
        several = bool(re.search(rf"\b(?:{_DAY})s?(?:,| and| or) ", value, re.IGNORECASE))
        yield "when", "which days of the week" if several else "which day of the week"
        yield "when", "which days" if several else "what day"
    elif dated:
        yield "when", "which month" if dated["month"] else "which year"
    if lasting:
        yield "how long", f"how many {lasting['unit']}s"
        yield "for how long", f"for how many {lasting['unit']}s"


# ---- other turns


def _turned(pairs: Sequence[Pair], kinds: set[str]) -> Iterator[Pair]:
    for ask, _ in pairs:
        for pattern, templates in _TURNS:
            found = pattern.fullmatch(ask)
            if found and not _is_unsure(found.groupdict()):
                forms = _forms(found.groupdict())
                have = kinds | {"self" if forms["p"] == "I" else "other"}
                for template in templates:
                    if {*_GUARD.findall(template)} <= have:
                        put = re.sub(r" +(?=[ ?|]|$)", "", _GUARD.sub("", template).format(**forms))
                        asked, _, wonder = put.partition("|")
                        yield asked, wonder


def _forms(slots: dict[str, str | None]) -> dict[str, str]:
    """The words that agree with whom a wording is about."""
    who = slots.get("p") or "I"
    own, we = who == "I", who == "we"
    several = own or we or slots.get("do") == "do" or slots.get("be") == "are"
    forms = {
        "p": who,
        "ps": "my" if own else "our" if we else f"{who}'" if several and who.endswith("s") else f"{who}'s",
        "do": "do" if several else "does",
        "does": "do" if several else "does",
        "be": "am" if own else "are" if several else "is",
        "has": "have" if several else "has",
        "was": "was" if own or not several else "were",
        "s": "" if several else "s",
    }
    return forms | {name: text or "" for name, text in slots.items() if name not in forms}


def _is_unsure(slots: dict[str, str | None]) -> bool:
    """Whether one cannot tell from a wording if those it is about are several."""
    told = slots.get("do") or slots.get("be") or "p" not in slots
    return not told and bool(re.search(r"(?:(?<!s)s|children|people|men)$", slots["p"] or ""))


def _is_person(own: Sequence[Pair]) -> bool:
    """Whether a fact's wordings ask what somebody is called."""
    found = re.fullmatch(r"what is (?:.* )?([a-z-]+) called\?", own[0][0])
    return found is not None and found[1] in KIN - BEASTS


# ---- other words


def _in_other_words(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """The wordings with another word for whom or what they are about, the plainest wording in all words first."""
    for ask, wonder in pairs:
        for pattern, other in _SAME:
            if pattern.search(ask) and pattern.search(wonder):
                put, told = pattern.sub(other, ask), pattern.sub(other, wonder)
                yield put.replace("children' ", "children's "), told.replace("children' ", "children's ")


def _same() -> Iterator[tuple[re.Pattern[str], str]]:
    for word, others in KIN_SAME.items():
        pattern = re.compile(rf"{_OWN}{word}(?![\w-])(?! (?:{'|'.join(NO_KIN)})\b)")
        yield from ((pattern, rf"\g<own> {other}") for other in others)
    for word, others in THINGS_SAME.items():
        pattern = re.compile(rf"{_OWN}{word}(?![\w-]){_ENDS}")
        yield from ((pattern, rf"\g<own> {other}") for other in others)
    yield re.compile(r"\b(?P<own>how many) hives\b(?! of)"), r"\g<own> beehives"
    for names, kind in ((DOGS, "dog"), (CATS, "cat")):
        known = any_word(names)
        yield re.compile(rf"\b(?:my|our) (?:[a-z-]+ )?(?:{known})(?: (?:puppy|dog|pup|kitten))?{_ENDS}"), f"my {kind}"
    makes = "|".join(sorted({name.split()[0].capitalize() for name in CARS if " " not in name} | {"VW"}))
    body = "(?: (?:estate|saloon|hatchback|convertible|van))?"
    yield re.compile(rf"\b(?:my|our) (?:[a-z]+ |\d+ )?(?:{makes})(?: [A-Z0-9][\w-]*)*{body}{_ENDS}"), "my car"


_SAME = tuple(_same())
