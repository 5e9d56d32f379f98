"""Introductions: who somebody is, where the message says so in passing.

Owns names that a message gives without a clause of naming ("I'm Dervla", "Rory, my six year old, ...", "that's my
partner"), what someone "has been made", and which names are people of the user's world. Leaves "my brother Fintan" and
"a dog called Miso" to `clauses`. Must stay true: a word is a name only where the message says that it names someone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.clauses import Clause, naming
from edgesleep.night.lexicon import BEASTS, KIN, NATION, NUMBERS, TIMES, capital, words
from edgesleep.night.parties import Cast, Party, name_run, owned_by
from edgesleep.night.parts import Part, spoken_run
from edgesleep.night.reading import Word
from edgesleep.night.verbs import Verb

_OWN = {"me", "my", "us", "our", "mine", "ours"}
_EVERYONE = {*words("everyone everybody people friends they all most family colleagues folks crew team mates lads")}
_CHILD = re.compile(
    rf"(?:^|, )(?:(?P<first>[A-Z]\w+), )?(?P<who>(?:[Mm]y|[Oo]ur) (?P<age>{NUMBERS}|\d{{1,2}})[- ]years?[- ]old)"
    rf"(?: (?P<kind>[a-z]+))?(?:,? (?P<last>[A-Z]\w+))?\b"
)
_MADE = re.compile(
    r"^(?P<who>I|We)(?:'ve| have| was| were| got)(?: just| now| recently| finally)?(?: been)? "
    r"(?P<verb>made|appointed|named|promoted to) (?P<what>(?:the )?[a-z]+(?: [a-z]+){0,3})$"
)
_BIRTHDAY = re.compile(
    rf"^It(?:'s| is) (?P<whose>(?:my |our )?(?:[a-z]+ )?(?:{'|'.join(sorted(KIN))})(?='s)|[A-Z][a-z]+(?='s)|my"
    rf"|our)(?:'s?)? ?"
    r"(?P<what>(?:\d+(?:st|nd|rd|th) )?birthday|\d+(?:st|nd|rd|th)|(?:wedding )?anniversary|name day|christening"
    r"|graduation) (?P<when>(?:on|in) [^,]+)(?=$|,)",
    re.IGNORECASE,
)
_BE = {True: Verb("be", "are", "", "are", "present"), False: Verb("be", "is", "", "is", "present")}


def introductions(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """What a sentence says in passing of who is who; `before` is the sentence before it."""
    text = spoken_run(sentence).removesuffix(" .").replace(" ,", ",")
    yield from _myself(sentence)
    yield from _short_name(sentence, before)
    yield from _pointed_out(sentence, before, cast)
    yield from _child(text, cast)
    yield from _promoted(text)
    yield from _birthday(text)
    _meet(sentence, cast)


def _myself(sentence: Sequence[Word]) -> Iterator[Clause]:
    """ "I'm Dervla"; in small letters where the word is none of the dictionary's."""
    spoken = [word for word in sentence if word.text not in (".", ",") and word.lower not in ("here", "speaking")]
    if not 3 <= len(spoken) <= 4 or spoken[0].lower != "i" or spoken[1].lower not in ("'m", "am"):
        return
    names = spoken[2:]
    plain = all(word.text.isalpha() and not word.text.isupper() for word in names)
    is_capital = all(word.is_name and not NATION.fullmatch(word.text) for word in names)
    if plain and (is_capital or (len(names) == 1 and not names[0].known)):
        name = " ".join(word.text for word in names)
        yield naming(Party("I", "i"), capital(name))


def _short_name(sentence: Sequence[Word], before: Sequence[Word]) -> Iterator[Clause]:
    """ "Everyone just says Derv", once someone has said their name."""
    root = next((word for word in sentence if word.dep == "ROOT"), None)
    if root is None or root.lemma not in ("say", "call") or not any(_myself(before)):
        return
    said = [word for word in root.having("dobj", "oprd", "ccomp") if not word.children]
    if any(who.lower in _EVERYONE for who in root.having("nsubj")) and said and (said[0].is_name or not said[0].known):
        yield naming(Party("I", "i"), capital(said[0].text))


def _pointed_out(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "Matthias made lunch. That's my partner": whose name the sentence before gave."""
    names = [word for word in before if word.is_name and word.dep not in ("compound", "poss", "appos")]
    root = next((word for word in sentence if word.dep == "ROOT"), None)
    if root is None or root.lemma != "be" or len(names) != 1 or not _is_personal(names[0]):
        return
    subject, attr = root.having("nsubj"), root.having("attr")
    if subject and attr and subject[0].lower in ("that", "he", "she", "this") and attr[0].lemma in KIN | BEASTS:
        party = owned_by(attr[0], cast)
        if party and not party.plural and not party.name:
            name = spoken_run(name_run(names[0]))
            cast.see(replace(party, name=name))
            yield naming(party, name)


def _child(text: str, cast: Cast) -> Iterator[Clause]:
    """ "Rory, my six year old, ..." and "my 4-year-old daughter Mia": a name and an age."""
    for found in _CHILD.finditer(text):
        name = found["first"] or found["last"]
        kin = found["kind"] if found["kind"] in KIN | BEASTS else ""
        if not name or (found["kind"] and not kin) or name.lower() in TIMES:
            continue
        phrase = found["who"][:1].lower() + found["who"][1:]
        who = Party(f"{phrase.split()[0]} {kin}" if kin else phrase, kin or "child", name=name)
        named = cast.see(who if kin else Party(name, "child", name=name))
        yield naming(who, name)
        old = Part("adj", "", f"{found['age']} years old", found["age"], "old")
        yield Clause(named, _BE[False], (old,))


def _promoted(text: str) -> Iterator[Clause]:
    """ "I've been made team lead"."""
    found = _MADE.match(text)
    if found and not {"to", "me", "it", "a", "an", "by", "up"} & {*found["what"].split()}:
        finite = f"have been {found['verb']}"
        yield Clause(
            Party(found["who"] if found["who"] == "I" else "we", "i"),
            Verb("promote", "have", finite.removeprefix("have "), finite, "perfect"),
            (Part("attr", "", found["what"], found["what"].removeprefix("the ")),),
        )


def _birthday(text: str) -> Iterator[Clause]:
    """ "It's my sister's birthday on 3 May"."""
    found = _BIRTHDAY.match(text)
    if found:
        whose = found["whose"]
        if found["what"][-1] in "htd" and found["what"][0].isdigit() and whose.lower().split()[-1] not in KIN:
            return  # "our 10th" may be anything
        if whose.lower() in ("my", "our"):
            whose = whose.lower()
        elif whose.lower().startswith(("my ", "our ")) or (whose[:1].isupper() and whose.lower() not in KIN):
            whose = f"{whose}'s"
        else:
            whose = f"my {whose.lower()}'s"
        prep, when = found["when"].split(" ", 1)
        what = found["what"].lower()
        what = what if what[-1] not in "htd" or not what[0].isdigit() else f"{what} birthday"
        party = Party(f"{whose} {what}", what.split()[-1])
        yield Clause(party, _BE[False], (Part("time", prep.lower(), when, when.removeprefix("the ")),))


def _meet(sentence: Sequence[Word], cast: Cast) -> None:
    """Whom a sentence about the user's own world speaks of by name: "Una goes to our nursery"."""
    if any(word.lower in _OWN or word.lemma in KIN for word in sentence):
        for word in sentence:
            if word.dep in ("nsubj", "nsubjpass") and _is_personal(word) and word.text not in cast.names:
                cast.see(Party(word.text, "person", name=word.text))


def _is_personal(word: Word) -> bool:
    """A single name without an article, as a person has it."""
    bare = not word.having("det", "compound", "amod", "nummod", "poss", "prep", "conj", "appos")
    opens = word.known and word.index == 0  # which gave it its capital: "rug belongs to my mum"
    known = opens or word.lower in TIMES or NATION.fullmatch(word.text)
    return word.tag == "NNP" and word.is_name and bare and not known and word.text.isalpha() and not word.text.isupper()
