"""Asides: statements that are no clause of their own.

Owns nicknames ("call me Roz"), restatements after a dash, and titles of things the user made. Leaves all that has a
subject and a verb to `rules`, and what the assistant is to do to `orders`. Must stay true: what is yielded is told of
the user or of what is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.clauses import Clause, naming
from edgesleep.night.lexicon import ATTRIBUTES, UNITS, words
from edgesleep.night.parties import Cast, Party, party_of
from edgesleep.night.parts import Part, spoken_run
from edgesleep.night.reading import Word
from edgesleep.night.verbs import Verb


def nicknames(sentence: Sequence[Word]) -> Iterator[Clause]:
    """ "Everybody calls me Roz", "please call me Roz"."""
    for verb in sentence:
        if verb.lemma == "call" and verb.tag in ("VBZ", "VBP", "VB") and not verb.having("neg"):
            who = verb.having("nsubj")
            general = not who or who[0].lower in ("everyone", "everybody", "people", "friends", "they", "you", "all")
            me = any(word.lower == "me" for word in verb.children) or any(
                word.lower == "me" for child in verb.children for word in child.children
            )
            named = [w for w in verb.subtree() if w.is_name and w.index > verb.index]
            modal = any(aux.lower not in ("can", "do") for aux in verb.having("aux"))
            if general and me and named and not modal and verb.dep in ("ROOT", "conj", "xcomp", "ccomp"):
                value = spoken_run(named)
                yield naming(Party("I", "i"), value)


def made_and_named(sentence: Sequence[Word]) -> Iterator[Clause]:
    """ "this playlist that I created, called Summer Vibes"."""
    for verb in sentence:
        title = next((name for name in verb.having("oprd") if name.is_name), None)
        if (
            verb.lemma not in ("call", "name", "title")
            or verb.tag != "VBN"
            or verb.having("auxpass", "nsubj")
            or not title
        ):
            continue
        makers = [
            w for w in sentence[: verb.index] if w.tag == "VBD" and any(s.lower == "i" for s in w.having("nsubj"))
        ]
        nouns = [w for w in sentence[: verb.index] if w.tag == "NN" and w.having("det")]
        if makers and nouns and nouns[-1].index < makers[-1].index:
            yield naming(
                Party(f"the {nouns[-1].text} I {makers[-1].text}", nouns[-1].lemma), spoken_run(_words_of(title))
            )


_WORKS = (
    "tune|song|piece|book|novel|film|movie|series|show|play|poem|opera|album|track|podcast|hymn|carol|aria|ballad|game"
)
_WORK = re.compile(
    rf"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) (?:[a-z]+ ){{0,2}}(?P<noun>{_WORKS})(?: (?:that )?(?:I|we|they|he|she|my"
    rf" [a-z]+|our [a-z]+)"
    r"(?:'[a-z]+)? [a-z' -]{3,40}?)?) is (?:called )?(?P<title>[^,;:.]+)$"
)
_FOREIGN = {*words("la le les el los las il lo der die das du de des un une")}
_NO_TITLE = {*words("""
    a an my our your his her their its so very really too quite not about by for from in on at to with being getting
    going
    pretty rather almost nearly always never still just also now there here than as like this that it everything
""")}  # fmt: skip


def works(sentence: Sequence[Word]) -> Iterator[Clause]:
    """ "The tune they gave me is la valse d'amelie": titles in small letters, by words that are none of English."""
    found = _WORK.match(spoken_run(sentence).removesuffix(" .").strip())
    if found is None:
        return
    title = found["title"].split()
    inside = [word for word in sentence if word.text.lower() in {part.lower() for part in title}]
    strange = any(not word.known for word in inside) or title[0].lower() in _FOREIGN
    if not 2 <= len(title) <= 6 or _NO_TITLE & {word.lower() for word in title} or not strange:
        return
    party = Party(found["what"][:1].lower() + found["what"][1:], found["noun"])
    part = Part("attr", "", found["title"], found["title"], is_name=True)
    yield Clause(party, Verb("be", "is", "", "is", "present"), (part,))


def _words_of(name: Word) -> list[Word]:
    return [word for word in name.subtree() if word.is_name]


def restated(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "my highest score in Ticket to Ride - 132 points", "my mixed ethnicity - Irish and Italian"."""
    for word in sentence:
        if word.lemma not in ATTRIBUTES or not word.having("poss"):
            continue
        party = party_of(word, cast)
        rest = sentence[word.index + 1 :]
        mark = next((w for w in rest[:7] if w.text in ("-", "–", "—", ":", "(")), None)
        if (
            party is None
            or mark is None
            or any(w.tag.startswith("VB") and w.text[:1].islower() for w in rest[: mark.index - word.index - 1])
        ):
            continue
        value: list[Word] = []
        for w in sentence[mark.index + 1 :]:
            if w.dep == "punct" or w.text in ("-", ")", "–") or w.tag.startswith("VB") or w.tag in ("PRP", "WDT"):
                break
            value.append(w)
        if value and (value[0].tag in ("CD", "JJ", "NNP") or value[0].is_name) and len(value) <= 6:
            text = spoken_run(value)
            part = Part("attr", "", text, text, is_name=True)
            plural = "are" if party.plural else "is"
            named = spoken_run(sentence[word.having("poss")[0].index : mark.index])
            party = replace(party, text=named[:1].lower() + named[1:])
            yield Clause(party, Verb("be", plural, "", plural, "present"), (part,))


def took(sentence: Sequence[Word]) -> Iterator[Clause]:
    """ "it took us around 5 hours to move everything"."""
    for verb in sentence:
        purpose = next((v for v in verb.subtree() if v.tag == "VB" and v.having("aux") and v.index > verb.index), None)
        units = [w for w in sentence if w.lemma in UNITS and w.having("nummod") and w.index > verb.index]
        if verb.lower != "took" or not purpose or not units or verb.dep != "ROOT":
            continue
        span = [w for w in units[0].subtree() if w.index <= units[0].index]
        whom = spoken_run(sentence[verb.index + 1 : span[0].index]) if span[0].index > verb.index + 1 else ""
        rest = spoken_run([w for w in sentence[units[0].index + 1 :] if w.text != "."])
        if any(s.lower == "it" for s in verb.having("nsubj")) and rest.startswith("to ") and "," not in rest:
            long = spoken_run(span)
            parts = (Part("adverb", "", whom, whom), Part("span", "", long, long), Part("adverb", "", rest, rest))
            verb_group = Verb("take", "did", "take", "took", "past")
            yield Clause(Party("it", "it"), verb_group, tuple(part for part in parts if part.text))
