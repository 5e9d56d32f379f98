"""Clauses: who does what in a parsed sentence, when it is told as plain truth.

Owns the step from words to clauses: whom a clause is about, its verb group, and its parts by role. Leaves parties to
`parties`, verb groups to `verbs`, which clauses are worth keeping to `rules` and their questions to `questions`. Must
stay true: a clause about an unknown party is not yielded; all text is in the user's first person and stands in the
message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgesleep.night.lexicon import (
    BEASTS,
    GOODS,
    INTRANSITIVE,
    JOURNEYS,
    KIN,
    LEADS,
    OCCASIONS,
    OPINIONS,
    PLACES,
    TURNING,
    words,
)
from edgesleep.night.parties import Cast, Party, called, name_run, owned_by, party_of
from edgesleep.night.parts import (
    Part,
    adjectival,
    constituent,
    is_relative,
    lowered,
    nominal,
    phrase_run,
    prepositional,
    spoken_run,
)
from edgesleep.night.phrases import article
from edgesleep.night.reading import Word
from edgesleep.night.verbs import Verb, gone, inner_of, is_told, subject_of, verb_of

_TOYS = {"stuffed", "toy", "plush", "cuddly", "robot", "imaginary", "virtual", "knitted", "wooden", "inflatable"}


@dataclass(frozen=True)
class Clause:
    party: Party
    verb: Verb
    parts: tuple[Part, ...]

    def part(self, *roles: str) -> Part | None:
        return next((part for part in self.parts if part.role in roles), None)


def clauses(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """The plain statements of a sentence, in order; `cast` learns whom they mention."""
    for word in sentence:
        if word.is_noun:
            yield from _named(word, cast)
        subject = subject_of(word)
        if subject is None or not is_told(word):
            continue
        party = party_of(subject, cast)
        verb = verb_of(word)
        if party and verb and _agrees(party, word):
            cast.topic = party.text
            for parts in _listed(_set((*_gap(word, subject), *parts_of(word)), word)):
                clause = Clause(party, verb, parts)
                yield clause
                yield from _introduced(clause, cast)


def _agrees(party: Party, verb: Word) -> bool:
    """A bare present with one person as its subject is a mistake of the parser's."""
    several = party.plural or party.is_self
    return several or verb.tag != "VBP" or bool(verb.having("aux", "auxpass"))


def _gap(verb: Word, subject: Word) -> Iterator[Part]:
    """Of "the baking class I took in Leeds", the class is the object."""
    if verb.dep != "relcl" or subject.tag in ("WP", "WDT") or any(d.index > verb.index for d in verb.having("dobj")):
        return
    if (
        any(not prep.having("pobj", "pcomp") for prep in verb.having("prep"))
        or verb.having("xcomp", "ccomp")
        or verb.lemma in INTRANSITIVE
    ):
        yield Part("other", "", "", "")
        return
    noun = verb.head
    run = [w for w in phrase_run(noun) if w.lower not in LEADS | {"the"}]
    if run and run[0].lower != "another" and noun.tag in ("NN", "NNS") and not noun.having("prep"):
        part = constituent("object", "", noun, run)
        yield replace(part, text=part.text if noun.tag == "NNS" or part.count else f"{article(part.text)} {part.text}")
    else:
        yield Part("other", "", "", "")


def _listed(parts: tuple[Part, ...]) -> Iterator[tuple[Part, ...]]:
    """One set of parts for each thing in "three sisters and a cat"; other lists stay whole."""
    thing = next((part for part in parts if part.role == "object"), None)
    members = _members(thing.word) if thing and thing.word else []
    if thing is None or not any(_is_counted(word) for word in members[1:]):
        yield parts
        return
    for word in members:
        trip = _trip(word)
        run = [w for w in phrase_run(word, keep=(), without=("conj", "cc")) if trip is None or w.index < trip.index]
        yield tuple(constituent("object", "", word, run) if part is thing else part for part in parts)


# What one does at an event or a place that one went to.
_THERE = {
    *words("see watch hear buy get eat drink meet find catch try spot win sell taste pick count photograph order")
}


def _set(parts: tuple[Part, ...], verb: Word) -> tuple[Part, ...]:
    """The parts with where they are set at their end: "on my last trip to Crete", or where one "went and saw" it."""
    trips = [part for part in parts if part.noun in JOURNEYS and part.prep in ("on", "for", "during") and _names(part)]
    kept = [part for part in parts if part not in trips]
    thing = next((part for part in parts if part.role == "object" and part.word), None)
    for prep in filter(None, map(_trip, _members(thing.word))) if thing and thing.word and not trips else ():
        noun = prep.having("pobj")[0]
        trips.append(constituent("context", prep.lower, noun, phrase_run(noun)))
    settings = [replace(part, role="context", text=_LAST.sub("", part.text)) for part in trips]
    counted = any(part.role == "object" and (part.count or part.is_name) for part in parts)
    placed = settings or any(part.role == "place" or part.prep in ("at", "in", "on", "from") for part in parts)
    above = verb.head
    if verb.dep == "conj" and verb.lemma in _THERE and counted and not placed and above.lemma in ("go", "come"):
        for prep in above.having("prep") if above.tag == verb.tag == "VBD" else ():
            for noun in prep.having("pobj") if prep.lower == "to" and not above.having("neg") else ():
                settings += _attending(noun)
    return (*kept, *settings[:1])


_LAST = re.compile(r"\b(?:last|most recent|recent|latest) ")


def _trip(word: Word) -> Word | None:
    """ "for our holiday in Crete", where the parser hung it on what was packed for it."""
    trips = (prep for prep in word.having("prep") if prep.lower in ("on", "for", "during") and prep.index > word.index)
    return next((prep for prep in trips for noun in prep.having("pobj") if noun.lemma in JOURNEYS), None)


def _names(part: Part) -> bool:
    return any(word[:1].isupper() for word in part.text.split())


def _attending(noun: Word) -> Iterator[Part]:
    """Of "went to an open mic night", at the open mic night; a bare name may be a person's, and "work" is no place."""
    run = phrase_run(noun)
    bare = spoken_run([w for w in run if w.dep not in ("det", "poss")])
    own = next((f"{w.lower} " for w in run if w.dep == "poss" and w.lower in ("my", "our")), "the ")
    if any(w.dep in ("det", "poss") for w in run) and noun.lemma not in KIN:
        yield Part("context", "at", f"{own}{bare}", bare, noun.lemma)


def _members(word: Word) -> list[Word]:
    return [word, *(member for other in word.having("conj") if other.is_noun for member in _members(other))]


def _is_counted(word: Word) -> bool:
    return bool(word.having("nummod")) or any(det.lower in ("a", "an") for det in word.having("det"))


def _attended(clause: Clause, cast: Cast) -> None:
    """Of "I went to an Imagine Dragons concert", the concert can be spoken of as it."""
    part = clause.part("object") or next((p for p in clause.parts if p.prep == "to"), None)
    if clause.verb.lemma not in ("go", "attend", "visit", "see", "watch") or not clause.party.is_self or not part:
        return
    bare = [word for word in part.value.split() if word.lower() not in OPINIONS]
    if part.kind and part.text.lower().startswith(("a ", "an ")) and any(word[:1].isupper() for word in bare):
        cast.see(Party(f"the {' '.join(bare)}", part.noun))


def _introduced(clause: Clause, cast: Cast) -> Iterator[Clause]:
    """Of "I have a sister", the sister can be spoken of from here on; "a dog called Miso" has a name as well."""
    part = clause.part("object", "attr")
    _attended(clause, cast)
    if clause.verb.lemma not in ("have", "own", "adopt", "buy", "get") or not part or not part.word or part.is_name:
        return
    if _TOYS & {word.lower for word in part.word.subtree()}:
        return  # a stuffed dog is nobody's pet
    if part.word.tag == "NN" and (clause.party.is_self or clause.party.is_human):
        owner = "my" if clause.party.is_self else clause.party.genitive
        thing = Party(f"{owner} {part.noun}", part.noun, name=called(part.word))
        if not (thing.is_human or thing.is_animal or clause.verb.lemma in ("have", "own")):
            return
        cast.see(thing)
        if thing.name:
            yield naming(thing, thing.name)


def _named(word: Word, cast: Cast) -> Iterator[Clause]:
    """ "my brother Dariusz", "my sister, Ana", "Dariusz, my partner", "a dog called Miso"."""
    owned = owned_by(word, cast)
    if owned is None and word.is_name:
        for other in word.having("appos"):
            owned = owned_by(other, cast)
            if owned and other.lemma in KIN | BEASTS and not owned.name:
                owned = replace(owned, name=spoken_run(name_run(word)))
                break
            owned = None
    if owned is None:
        return
    owned = cast.see(owned)
    yield from _placed(word)
    yield from _possessed(word)
    yield from _held(word, owned)
    title = called(word)
    if title or (owned.name and (owned.is_human or owned.is_animal)):
        name = title or owned.name
        cast.see(replace(owned, name=name))
        yield naming(owned, name)


def _possessed(word: Word) -> Iterator[Clause]:
    """ "with my new 70-200mm zoom lens": the user has one."""
    mine = word.lemma in GOODS and word.tag == "NN" and any(poss.lower == "my" for poss in word.having("poss"))
    if word.dep == "dobj" and word.head.lemma in ("return", "sell", "lose", "give", "cancel", "refund"):
        return
    run = [w for w in phrase_run(word) if w.index <= word.index and w.dep != "poss"] if mine else []
    if any(w is not word and (w.text[:1].isdigit() or w.is_name) for w in run):
        part = constituent("object", "", word, run)
        have = Verb("have", "do", "have", "have", "present")
        yield Clause(Party("I", "i"), have, (replace(part, text=f"{article(part.text)} {part.text}"),))


def _held(word: Word, owned: Party) -> Iterator[Clause]:
    """ "at my cousin's wedding at the Grand Ballroom", "my recent family trip to Paris"."""
    wanted = {"at"} if word.lemma in OCCASIONS else {"to"} if word.lemma in JOURNEYS else set()
    above = word.head.head if word.dep == "pobj" and word.head.head.lower in ("was", "were") else None
    over = any(w.lower in ("recent", "last", "previous") for w in word.having("amod"))
    if not wanted or not (over or above):
        return  # a trip that is only planned has been nowhere
    after = [*word.having("prep"), *(above.having("prep") if above else [])]
    for prep in after:
        for place in prep.having("pobj") if prep.lower in wanted and prep.index > word.index else ():
            if place.is_name and not is_relative(phrase_run(place)):
                text = owned.text.removesuffix(" " + spoken_run(phrase_run(prep)))
                was = Verb("be", "was", "", "was", "past")
                yield Clause(
                    Party(text, word.lemma), was, (constituent("place", prep.lower, place, phrase_run(place)),)
                )


def _placed(word: Word) -> Iterator[Clause]:
    """ "my new apartment in Harajuku": it is there."""
    home = (
        word.lemma in PLACES and word.tag == "NN" and any(poss.lower in ("my", "our") for poss in word.having("poss"))
    )
    for prep in word.having("prep") if home else ():
        for place in prep.having("pobj"):
            if prep.lower == "in" and place.is_name and not place.having("det") and not is_relative(phrase_run(place)):
                text = spoken_run([w for w in phrase_run(word) if w.index < prep.index])
                party = Party(text[:1].lower() + text[1:], word.lemma)
                part = replace(constituent("place", "in", place, phrase_run(place)), is_name=True)
                yield Clause(party, Verb("be", "is", "", "is", "present"), (part,))


def naming(party: Party, name: str) -> Clause:
    party = replace(party, text=party.text.removesuffix(f" {name}"))
    front = "are" if party.plural else "is"
    verb = Verb("call", front, "called", f"{front} called", "present")
    return Clause(party, verb, (Part("name", "", name, name, is_name=True),))


def parts_of(verb: Word) -> Iterator[Part]:
    going = gone(verb)
    verb = inner_of(verb) or verb
    for child in (*verb.children, *(going.children if going else ())):
        if child is going or (child.index < verb.index and child.dep not in ("prep", "npadvmod")):
            continue
        if child.dep == "prep":
            yield from prepositional(child)
        elif child.dep in ("dobj", "attr", "oprd", "npadvmod"):
            yield from nominal(child)
        elif child.dep == "acomp" and child.lower in TURNING and verb.lower in ("got", "getting"):
            yield from (part for prep in child.having("prep") for part in prepositional(prep))
        elif child.dep == "acomp" and child.lower not in ("pre", "-"):
            yield from adjectival(child)
        elif child.dep in ("advmod", "advmod") and child.lower in ("home", "abroad", "downtown", "upstairs"):
            yield Part("adverb", "", child.lower, child.lower)
        elif child.dep == "xcomp" and child.tag in ("VBG", "VB"):
            yield Part(
                "gerund" if child.tag == "VBG" else "verb", "", lowered(phrase_run(child)), lowered(phrase_run(child))
            )
        elif child.dep == "ccomp" and child.tag in ("VB", "VBP") and verb.lemma in ("see", "watch", "hear"):
            yield from _seen(child)
        elif child.dep in ("ccomp", "xcomp", "dative", "agent", "pcomp"):
            yield Part("other", "", "", "")


def _seen(verb: Word) -> Iterator[Part]:
    """ "10 comedians perform", of those who saw them."""
    who = verb.having("nsubj")
    if len(who) == 1 and who[0].is_noun and len(verb.children) == 1:
        yield constituent("object", "", who[0], phrase_run(who[0]))
        yield Part("adverb", "", verb.text, verb.text)
    else:
        yield Part("other", "", "", "")
