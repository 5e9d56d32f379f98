"""Limits: what someone can't have, doesn't eat or doesn't go beyond.

Owns the negated statements that tell a fact ("my son can't have nuts", "we don't go above 12 metres a second", "no
onions for me"). Leaves likes and dislikes that are told without a negation to `rules`. Must stay true: what cannot be
done today ("I can't find my keys") is no limit; only verbs of eating, taking and the like are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.clauses import Clause, parts_of
from edgesleep.night.drafts import Draft, leans
from edgesleep.night.lexicon import HEADS_OF_NOTHING, NUMBERS, words
from edgesleep.night.parties import Cast, Party, party_of
from edgesleep.night.parts import Part, spoken_run
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Target
from edgesleep.night.reading import Word
from edgesleep.night.verbs import Verb, stands, subject_of

_CANT = {*words("have eat drink take tolerate handle digest wear swim drive ride cook touch do")}
_DONT = {*words("eat drink like smoke wear")}
_MEALS = {*words("have eat drink take tolerate digest like")}
_UNIT = (
    r"(?:metres?|meters?|feet|miles?|kilomet(?:re|er)s?|km|kilos?|kg|pounds?|quid|euros?|dollars?|degrees?|percent|knots"
    r"|mph|litres?|liters?|grams?|minutes?|hours?|people|guests|pages|words|reps|watts|volts)"
)
_NUMBER = rf"(?:about |around |exactly )?(?:{NUMBERS}|\d[\d.,]*)(?: (?:{NUMBERS}))?"
_MEASURE = rf"{_NUMBER} {_UNIT}(?: (?:a|an|per) [a-z]+| of [a-z]+)?"
_BEYOND = re.compile(
    r"^(?P<who>I|We) (?P<not>don't|do not|never|can't|cannot) (?P<verb>[a-z]+(?: up| out| in| down)?) "
    rf"(?P<prep>above|over|below|under|beyond|past|more than|less than|before|after) (?P<what>{_MEASURE})$"
)
# What a limit may be of, and the units that this is measured in.
_LIMITED = tuple(
    (noun, re.compile(unit))
    for noun, unit in (
        ("wind", r"knots|mph|\b(?:an?|per) (?:second|hour)"),
        ("weight", r"kilos?|kg|pounds"),
        ("height", r"(?:met(?:re|er)s?|feet)$"),
        ("depth", r"(?:met(?:re|er)s?|feet)$"),
        ("distance", r"(?:met(?:re|er)s?|miles?|kilomet(?:re|er)s?|km)$"),
        ("heat", r"degrees"),
    )
)
_GOING = {"go", "go up", "stop", "turn back", "turn round"}
_UPPER, _LOWER = {"above", "over", "beyond", "past", "more than", "at"}, {"below", "under", "less than"}
_STOPS = "stop|start|turn back|turn round|go up|charge|pay|aim|keep it|close|open|train|run|ride"
_AT = re.compile(
    rf"^(?P<who>I|We) (?:now |always |only |have to |must )?(?P<verb>{_STOPS})(?: up)? "
    rf"(?P<prep>at|above|below|from|after|for|under) (?P<what>{_MEASURE})(?: now)?$"
)
_NONE = re.compile(r"^(?P<no>No|Nothing with|Nothing containing) (?P<what>[a-z][a-z -]+?) for (?:me|us)(?: please)?$")

_PRICE = re.compile(
    r"^(?P<who>They|The [a-z]+|My [a-z]+|He|She) (?P<verb>want|wants|charge|charges|charged|quoted|asked)"
    rf"(?P<whom> me| us)? (?P<sum>[£$€]\d[\d.,]*|{_NUMBER} (?:quid|pounds|euros|dollars|bucks)) "
    r"for (?P<what>(?:the|my|our|a) [a-z -]+?)(?: now)?$"
)
_IDLE = {*words("way thanks problem need worries idea more one chance sense reason hurry rush matter doubt")}


def limits(sentence: Sequence[Word], cast: Cast, message: str = "") -> Iterator[Draft]:
    """What a sentence of a message tells by a negation."""
    text = spoken_run(sentence).removesuffix(" .").strip()
    yield from _measured(re.sub(r",? (?:so|because|but|since|or|unless) .*$", "", text), message)
    yield from _priced(text)
    yield from _refused(text)
    for word in sentence:
        if word.having("neg") and word.tag.startswith("VB"):
            yield from _banned(word, cast)
    yield from _short(sentence)


def _short(sentence: Sequence[Word]) -> Iterator[Draft]:
    """ "I can't have gluten", whose noun the parser takes for a verb."""
    spoken = [word.lower for word in sentence if word.text != "."]
    verb = sentence[4] if len(spoken) == 5 else None
    if verb and spoken[:3] in (["i", "ca", "n't"], ["we", "ca", "n't"]) and spoken[3] in _MEALS and verb.tag == "VBN":
        part = Part("object", "", verb.text, verb.text)
        told = Clause(Party("I", "i"), Verb(spoken[3], "can't", spoken[3], f"can't {spoken[3]}", "present"), (part,))
        yield Draft(told, Target(part.value, "what", ()), "preference", f"i|not|{fold(part.value)}", "ban")


def _banned(verb: Word, cast: Cast) -> Iterator[Draft]:
    """ "My son can't have nuts", "I don't eat pork"."""
    subject = subject_of(verb)
    auxes = [aux for aux in verb.having("aux") if aux.index < verb.index]
    if subject is None or len(auxes) != 1 or not (stands(verb) or verb.dep == "ccomp") or verb.having("mark"):
        return
    cant = auxes[0].lemma == "can" or auxes[0].lower == "ca"
    does = auxes[0].lower if auxes[0].lower in ("do", "does") else ""
    if not (cant and verb.lemma in _CANT) and not (does and verb.lemma in _DONT):
        return
    party = party_of(subject, cast)
    part = next((part for part in parts_of(verb) if part.role == "object"), None)
    if party is None or not (party.is_human or party.is_animal) or part is None or not _is_plain(part, verb):
        return
    beside = [word for word in verb.having("advmod", "npadvmod", "prep") if word.lower not in ("anymore", "either")]
    if verb.lemma in ("have", "do") and beside:
        return  # "I can't have visitors tonight"
    front = "can't" if cant else f"{does}n't"
    told = Clause(party, Verb(verb.lemma, front, verb.lemma, f"{front} {verb.lemma}", "present"), (part,))
    owner = "i" if party.is_self else re.sub(r"^our\b", "my", party.text)
    topic = "ban" if verb.lemma in _MEALS - {"like"} else ""
    yield Draft(told, Target(part.value, "what", ()), "preference", f"{owner}|not|{fold(part.value)}", topic)


def _is_plain(part: Part, verb: Word) -> bool:
    word = part.word
    if word is None or leans(part) or part.noun in HEADS_OF_NOTHING or part.text.startswith(("my ", "our ")):
        return False
    bare = not word.having("det", "poss") and not part.count and part.text.split()[0] not in ("much", "that", "enough")
    return bare and word.tag in ("NN", "NNS", "NNP") and len(part.value.split()) <= 4


def _measured(text: str, message: str) -> Iterator[Draft]:
    """ "We don't go up above 12 metres a second", "we now stop at 10 metres a second"."""
    found = _BEYOND.match(text) or _AT.match(text)
    if found is None:
        return
    party = Party(found["who"] if found["who"] == "I" else "we", "i", plural=found["who"] == "We")
    denied = "not" in found.re.groupindex
    front = ("can't" if found["not"].startswith("can") else "don't") if denied else "do"
    finite = f"{front} {found['verb']}" if denied else found["verb"]
    part = Part("prep", found["prep"], found["what"], found["what"])
    told = Clause(party, Verb(found["verb"], front, found["verb"], finite, "present"), (part,))
    yield Draft(
        told, Target(part.value, "what", (found["prep"],)), "fact", f"i|{_bound(found)}", _limit(found, message)
    )


def _bound(found: re.Match[str]) -> str:
    """Which limit it is: "don't go above 12 metres" and "stop at 10 metres" are one, told on two days."""
    unit = re.sub(rf"^{_NUMBER} ", "", found["what"])
    if found["verb"] in _GOING and found["prep"] in _UPPER | _LOWER:
        return f"limit|{'least' if found['prep'] in _LOWER else 'most'}|{unit}"
    return f"{found['verb']}|{found['prep']}"


def _limit(found: re.Match[str], message: str) -> str:
    """The topic of an upper limit, with what it is a limit of where the message has a word for that."""
    if not _bound(found).startswith("limit|most"):
        return ""
    known = (noun for noun, unit in _LIMITED if re.search(rf"\b{noun}\b", message, re.I) and unit.search(found["what"]))
    noun = next(known, "")
    return f"known limit|{noun}" if noun else "limit"


def _priced(text: str) -> Iterator[Draft]:
    """ "They want 900 quid for the suspension"."""
    found = _PRICE.match(text)
    if found:
        who = "they" if found["who"] == "They" else found["who"][:1].lower() + found["who"][1:]
        past = found["verb"].endswith("ed")
        want = {"wants": "want", "charges": "charge", "charged": "charge", "quoted": "quote", "asked": "ask"}
        base = want.get(found["verb"], found["verb"])
        front = "did" if past else "does" if found["verb"].endswith("s") else "do"
        whom = (found["whom"] or "").strip()
        parts = (
            *((Part("adverb", "", whom, whom),) if whom else ()),
            Part("object", "", found["sum"], found["sum"]),
            Part("prep", "for", found["what"], found["what"]),
        )
        told = Clause(Party(who, "they"), Verb(base, front, base, found["verb"], "past" if past else "present"), parts)
        left = tuple(part.phrase for part in parts if part.text != found["sum"])
        yield Draft(told, Target(found["sum"], "how much", left), "fact", f"price|{fold(found['what'])}")


def _refused(text: str) -> Iterator[Draft]:
    """ "No onions for me", "nothing with nuts for us"."""
    found = _NONE.match(text)
    if found is None or found["what"].split()[0] in _IDLE:
        return
    what = found["what"]
    left: tuple[str, ...] = ()
    if found["no"] == "No":
        verb = Verb("want", "don't", "want", "don't want", "present")
        part = Part("object", "", what, what)
    else:
        verb, left = Verb("want", "do", "want", "want", "present"), (found["no"].lower(),)
        part = Part("object", "", f"{found['no'].lower()} {what}", what)
    told = Clause(Party("I", "i"), verb, (part,))
    yield Draft(told, Target(what, "what", left), "preference", f"i|not|{fold(what)}", "ban")
