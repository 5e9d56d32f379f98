"""Parts: the constituents of a clause, by what they say: a thing, a place, a time, how long, with whom.

Owns how far a phrase goes in the sentence, its role, and which span of it is the value. Leaves whose clause it is
to `clauses`. Must stay true: a phrase is words that stand together in the message; what is true only on the day
it was said ("last Sunday") is in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgesleep.night.lexicon import (
    ACQUIRING,
    HEDGES,
    KIN,
    LEADS,
    MONTHS,
    MOTION,
    NO_TOWNS,
    OPINIONS,
    PASSING,
    PLACES,
    RELATIVE,
    STORING,
    TIMES,
    UNITS,
    words,
)
from edgesleep.night.reading import Word


@dataclass(frozen=True)
class Part:
    """A constituent. `text` has its articles, `value` is the span an answer must hold."""

    role: str  # object attr name adj place time clock span company as prep gerund verb context
    prep: str
    text: str
    value: str
    noun: str = ""
    is_name: bool = False
    count: str = ""  # "7" of "7 shirts"
    kind: str = ""  # "shirts" of "7 shirts", "lens" of "a zoom lens"
    word: Word | None = field(default=None, compare=False, repr=False)

    @property
    def phrase(self) -> str:
        return f"{self.prep} {self.text}".strip()


def nominal(word: Word) -> Iterator[Part]:
    run = phrase_run(word)
    if word.dep == "npadvmod":
        if run[0].lower in ("every", "once", "twice") or any(w.lower in UNITS for w in run[1:] if word.lemma == "time"):
            yield Part("often", "", spoken_run(run), spoken_run(run), word.lemma)
        elif word.lemma in TIMES | UNITS and not is_relative(run):
            yield Part("time", "", spoken_run(run), spoken_run(run), word.lemma)
        return
    if word.dep == "attr" and word.tag in ("WP", "WDT"):
        return
    if _is_torn(word, run):
        yield Part("other", "", "", "")
        return
    tail = _detachable(word)
    if tail:
        run = [w for w in run if w.index < tail.index]
    role = {"dobj": "object", "attr": "attr", "oprd": "name"}[word.dep]
    yield constituent(role, "", word, run)
    if tail:
        yield from prepositional(tail)


def _is_torn(word: Word, run: Sequence[Word]) -> bool:
    """Whether the article was lost on the way: then the parse is not to be trusted."""
    return any(det not in run for det in word.having("det", "poss") if det.index < word.index)


def _detachable(word: Word) -> Word | None:
    """A closing "at Target" that the parser hung on the noun, where it says of the verb where, when or how long."""
    for prep in reversed(word.having("prep")):
        if word.head.lemma == "keep" and prep.lower in STORING and not prep.having("prep"):
            return prep
        got = prep.lower != "from" or word.head.lemma in ACQUIRING
        if got and prep.lower in ("at", "in", "on", "from", "for", "with", "since", "as"):
            for part in prepositional(prep):
                if part.role in ("time", "clock", "span", "company", "as") or (
                    part.role == "place" and prep.lower != "in"
                ):
                    return prep
    return None


def adjectival(word: Word) -> Iterator[Part]:
    run = phrase_run(word)
    preps = [prep for prep in word.having("prep") if prep.having("pobj")]
    if preps:
        run = [w for w in run if w.index < preps[0].index]
    yield Part("adj", "", spoken_run(run), spoken_run(run), word.lemma, word=word)
    for prep in preps[:1]:
        for noun in prep.having("pobj"):
            yield constituent("prep", prep.lower, noun, phrase_run(noun))


def prepositional(prep: Word) -> Iterator[Part]:
    for noun in prep.having("pobj") if prep.lower != "by" else ():
        run = phrase_run(noun)
        if not is_relative(run) and not _is_torn(noun, run):
            tail = _detachable(noun) if noun.dep == "pobj" and prep.lower != "of" else None
            if tail and prep.lower == "from" and any(part.role == "place" for part in prepositional(tail)):
                tail = None  # "from the shelter in Stroud"
            run = [w for w in run if tail is None or w.index < tail.index]
            yield constituent(_prep_role(prep.lower, noun, run), prep.lower, noun, run)
            if tail:
                yield from prepositional(tail)
    for gerund in prep.having("pcomp"):
        if gerund.tag == "VBG" and prep.lower == "since":
            yield Part("prep", prep.lower, spoken_run(phrase_run(gerund)), spoken_run(phrase_run(gerund)))


_DATE = re.compile(
    r"^\d\d?(?:st|nd|rd|th)$|^the \d\d?(?:st|nd|rd|th)$"
    rf"|^(?:the )?(?:{'|'.join(MONTHS)}|\d\d?(?:st|nd|rd|th)? (?:of )?(?:{'|'.join(MONTHS)})|\d\d?/\d\d?)\b"
)


def _prep_role(prep: str, noun: Word, run: Sequence[Word]) -> str:
    text = spoken_run(run).lower()
    if re.fullmatch(
        r"(?:around |about )?\d{1,2}(?::\d\d)?(?: ?[ap]\.?m\.?| o'clock)?|noon|midnight", text
    ) and prep in (*("at", "around", "by", "until", "from"),):
        return "clock"
    if noun.lemma in UNITS and prep in ("for", "in", "over"):
        return "span" if prep == "for" else "prep"
    if _DATE.search(text) or re.fullmatch(r"(?:19|20)\d\d", noun.text) or noun.lemma in TIMES or noun.lower in TIMES:
        return "time" if prep in ("in", "on", "at", "since", "during", "until", "by") else "prep"
    if prep == "with" and (noun.lemma in KIN or noun.is_name):
        return "company"
    if prep in ("as", "with", "about", "of", "for"):
        return "as" if prep == "as" else "prep"
    if _is_small_name(prep, noun):
        return "place"
    if prep == "from" and noun.head.head.lemma not in ACQUIRING | {*words("be come travel fly drive move hail")}:
        return "prep"
    if prep == "to" and noun.head.head.lemma not in MOTION:
        return "prep"
    if prep == "on" and any(det.lower in ("a", "an") for det in noun.having("det")):
        return "prep"
    if noun.is_name or noun.lemma in PLACES:
        return (
            "place" if prep in ("in", "at", "near", "from", "to", "around", "outside", "by", "on", "into") else "prep"
        )
    return "prep"


def _steady(run: list[Word], noun: Word) -> list[Word]:
    """A phrase without an ending that points at something said before: "37 coins in that collection"."""
    for prep in noun.having("prep"):
        pointing = any(w.lower in ("that", "this", "these", "those", "it", "them", "there") for w in prep.subtree())
        if pointing and prep.index > noun.index:
            return [w for w in run if w.index < prep.index]
    return run


def _is_small_name(prep: str, noun: Word) -> bool:
    """A town in small letters: "I grew up in manhattan"."""
    bare = noun.tag == "NN" and not noun.having("det", "poss", "amod", "nummod", "prep") and prep in ("in", "from")
    return bare and noun.head.head.lemma in ("live", "grow", "bear", "be") and noun.lemma not in NO_TOWNS


def constituent(role: str, prep: str, noun: Word, run: list[Word]) -> Part:
    run = _steady(run, noun)
    counts = [w for w in noun.having("nummod") if w in run and w.index < noun.index and w.tag == "CD"]
    titled = counts and counts[0].text[:1].isupper() and noun.text[:1].isupper()  # The Seven Husbands
    if titled or (counts and not _is_number_of(counts[0], noun, run)):
        counts = []
    count = spoken_run([w for n in counts for w in n.subtree()]) if counts else ""
    ends = [prep.index for prep in noun.having("prep") if prep.index > noun.index and prep.lower != "of"]
    ends += [w.index for w in run if w.index > noun.index and w.tag in ("RP", "RB")]
    kind = spoken_run([w for w in run if counts and counts[-1].index < w.index < min([*ends, 999])])
    modifiers = [w for w in noun.children if w.index < noun.index and w.dep in ("compound", "amod", "nmod")]
    modifiers = [w for w in modifiers if w.dep != "amod" or w.lower not in OPINIONS]
    hyphened = any(w.text == "-" and w.index == noun.index - 1 for w in run)  # a hurdy-gurdy is no kind of gurdy
    if not counts and modifiers and not noun.is_name and noun.tag == "NN" and not noun.having("conj") and not hyphened:
        kind = noun.text
    bare = list(run)
    while (
        len(bare) > 1
        and (bare[0].lower in LEADS | HEDGES)
        and not (bare[0].text[0].isupper() and bare[1].text[0].isupper())
    ):
        bare = bare[1:]
    if len(bare) > 1 and bare[0].lower == "little" and noun.is_name and run[0].lower == "a":
        bare = bare[1:]  # how much of a language, not which
    if role == "object":
        bare = _shortened(bare, noun)
    part = Part(role, prep, spoken_run(run), spoken_run(bare), noun.lemma, noun.is_name, count, kind, noun)
    return _situated(part, noun)


def _is_number_of(count: Word, noun: Word, run: Sequence[Word]) -> bool:
    """Whether a number says how many: of "7 shirts" and "9 bass", not of "a $5 coupon" or "one sister"."""
    money = any(w.text == "$" for w in noun.subtree() if w.index <= noun.index)
    plain = noun.tag == "NN" and run[0] is count and count.lower not in ("1", "one")
    return not money and (noun.tag in ("NNS", "NNPS") or plain)


def _shortened(run: list[Word], noun: Word) -> list[Word]:
    """A thing without what it was for or by whom: "a chocolate cake for the party"."""
    ends = [
        prep.index
        for prep in noun.having("prep")
        if prep.index > noun.index
        and prep.lower != "of"
        and not (prep.lower == "in" and _leads_to_name(prep))
        and not (prep.lower in ("with", "without") and len(run) > 1 and run[0] is noun and noun.tag == "NNS")
    ]
    return [w for w in run if w.index < ends[0]] if ends else run


def _leads_to_name(prep: Word) -> bool:
    return any(noun.is_name for noun in prep.having("pobj"))


def _situated(part: Part, noun: Word) -> Part:
    """Where someone lives "in a small flat in Leeds", the answer has to name Leeds."""
    if part.role == "prep" and part.prep in ("in", "at") and noun.lemma in PLACES:
        part = replace(part, role="place")
    if part.role == "place" and not part.is_name:
        names = [name for prep in noun.having("prep") if prep.lower == "in" for name in prep.having("pobj")]
        if names and names[0].is_name and part.text.endswith(spoken_run(phrase_run(names[0]))):
            return replace(part, value=spoken_run(phrase_run(names[0])), is_name=True)
    return part


def phrase_run(word: Word, keep: Sequence[str] = (), without: Sequence[str] = ()) -> list[Word]:
    """The words of a phrase as far as they stand together, without relative clauses and additions."""
    cut = {"relcl", "acl", "appos", "advcl", "mark", "punct", "parataxis", "ccomp"} - {*keep} | {*without}
    inside = _kept(word, cut)
    run = [word]
    for step in (-1, 1):
        place = word.index + step
        while place in inside:
            run.append(inside[place])
            place += step
    run.sort(key=lambda w: w.index)
    while run and run[-1].dep in ("punct", "cc") and run[-1] is not word:
        run.pop()
    return run


def _kept(word: Word, cut: set[str]) -> dict[int, Word]:
    found = {word.index: word}
    for child in word.children:
        joins = child.dep == "punct" and child.text in ("-", "/", "$", "&", ",", "'") and child.index < word.index
        joins = joins or child.text == "/" or (child.text == "-" and child.space == "" and _goes_on(word, child))
        listed = child.dep == "punct" and child.text == "," and word.having("conj")
        apposed = child.dep == "appos" and child.index == word.index + 1 and (child.is_name or child.tag == "CD")
        dated = child.dep == "appos" and child.lower in MONTHS and 0 < child.index - word.index <= 2
        passing = child.lower in PASSING or (child.dep == "npadvmod" and child.lower in RELATIVE | TIMES)
        if not passing and (child.dep not in cut or joins or listed or apposed or dated):
            verb_conj = child.dep == "conj" and child.tag.startswith("VB") and not word.tag.startswith("VB")
            if not verb_conj:
                found |= _kept(child, cut)
    return found


def _goes_on(word: Word, hyphen: Word) -> bool:
    """Whether a hyphen joins a word to the next one that hangs on it: "hands-on training"."""
    return any(child.index == hyphen.index + 1 and child.tag == "RP" for child in word.children)


def is_relative(run: Sequence[Word]) -> bool:
    """ "last Sunday": true only on the day it was said."""
    timely = any(w.lemma in TIMES | UNITS or w.lower in TIMES for w in run)
    return (any(w.lower in RELATIVE for w in run) and timely) or run[0].lower in ("yesterday", "today", "tomorrow")


def spoken_run(run: Sequence[Word]) -> str:
    return "".join(w.text + (w.space if w is not run[-1] else "") for w in run)


def lowered(run: Sequence[Word]) -> str:
    text = spoken_run(run)
    return text if run and (run[0].is_name or run[0].lower == "i") else text[:1].lower() + text[1:]
