"""Parties: whom a message speaks of, and whom its pronouns mean.

Owns the noun phrases of the user's own world ("my brother", "my sister's dog") and who was spoken of so far. Leaves
what is said of them to `clauses`. Must stay true: a pronoun that could stand for two stands for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from edgesleep.night.lexicon import ACTIVITIES, BEASTS, FAMILY, FEMALE, HOUSEHOLD, KIN, MALE, OF_MANY, OF_SEVERAL
from edgesleep.night.parts import lowered, phrase_run, spoken_run
from edgesleep.night.reading import Word
from edgesleep.night.verbs import is_told, subject_of

_AGED = re.compile(r"\b[\w-]+[- ]years?[- ]old (?=\w)")  # no part of what a child is called by


@dataclass(frozen=True)
class Party:
    """Whom a clause is about. `noun` is the lemma that names them: brother, dog, i."""

    text: str
    noun: str
    plural: bool = False
    name: str = ""

    @property
    def is_self(self) -> bool:
        return self.text in ("I", "we")

    @property
    def is_human(self) -> bool:
        return self.is_self or self.noun in KIN or self.noun == "person"

    @property
    def is_animal(self) -> bool:
        return self.noun in BEASTS

    @property
    def genitive(self) -> str:
        own = {"I": "my", "we": "our"}.get(self.text)
        return own or self.text + ("'" if self.plural and self.text.endswith("s") else "'s")


@dataclass
class Cast:
    """Those spoken of so far: in this message, for pronouns, and in those before it, for names."""

    seen: dict[str, Party] = field(default_factory=dict)
    known: dict[str, Party] = field(default_factory=dict)  # by name
    topic: str = ""  # the subject of the last clause
    met: set[str] = field(default_factory=set)  # further names, of whom no more is known
    recent: tuple[Party, ...] = ()  # of the message before this one
    spoken: str = ""  # this message in the user's own words
    before: str = ""  # ... and the one before it

    @property
    def names(self) -> set[str]:
        return {*self.known, *(party.name for party in self.seen.values() if party.name)}

    @property
    def spelt(self) -> set[str]:
        """All names that were given so far."""
        return self.names | self.met

    def turn(self, spoken: str = "") -> None:
        """A new message begins: its pronouns mean nobody of the last one."""
        self.known |= {party.name: self._told_apart(party) for party in self.seen.values() if party.name}
        self.recent, self.seen = tuple(self.seen.values()), {}
        self.before, self.spoken = self.spoken, spoken

    def _told_apart(self, party: Party) -> Party:
        """Another brother than the one that is known goes by his name."""
        same = [other for other in self.known.values() if other.text == party.text and other.name != party.name]
        several = bool(same) and party.noun in OF_SEVERAL
        return replace(party, text=f"{party.text} {party.name}") if several else party

    def see(self, party: Party) -> Party:
        if party.name and party.text != party.name:
            self.seen.pop(party.name, None)  # no longer a mere name
        known = self.seen.pop(party.text, None)
        party = replace(party, name=party.name or known.name) if known else party
        self.seen[party.text] = party
        return party

    def meant(self, pronoun: str) -> Party | None:
        """The one party a pronoun can stand for; None where there are several, or none."""
        fits = [party for party in self.seen.values() if _fits(pronoun, party)]
        if len(fits) > 1 and pronoun in ("it", "its"):
            fits = [party for party in fits if party.text == self.topic]
        return fits[0] if len(fits) == 1 else None

    def lately(self, pronoun: str) -> Party | None:
        """Whom a pronoun means that goes on from the message before: the only one there, where this one names none."""
        here = [party for party in self.seen.values() if _fits(pronoun, party)]
        fits = here or [party for party in self.recent if _fits(pronoun, party)]
        return fits[0] if len(fits) == 1 else None

    def called(self, noun: str) -> Party | None:
        """The party with this noun ("the dog") or this name."""
        fits = [party for party in self.seen.values() if noun in (party.noun, party.name)]
        if not fits and noun in self.known:
            return self.see(self.known[noun])
        return fits[0] if len(fits) == 1 else None


def _fits(pronoun: str, party: Party) -> bool:
    if pronoun in ("they", "their", "them"):
        return party.plural
    if party.plural:
        return False
    if pronoun in ("it", "its"):
        return not party.is_human
    sexed = MALE if pronoun in ("she", "her") else FEMALE
    return (party.is_human or party.is_animal) and party.noun not in sexed


def party_of(word: Word, cast: Cast) -> Party | None:
    """Whom a noun phrase stands for, if it is someone of the user's world."""
    if word.lower in ("i", "we"):
        return Party("I" if word.lower == "i" else "we", "i", plural=word.lower == "we")
    if word.lower in ("he", "she", "it", "they"):
        return cast.meant(word.lower)
    if word.tag in ("WP", "WDT"):
        return _antecedent(word, cast)
    if not word.is_noun:
        return None
    owned = owned_by(word, cast)
    if owned:
        return cast.see(owned)
    if word.lower in FAMILY and not word.having("det", "poss"):
        return cast.see(Party(f"my {word.lower}", word.lower))
    if word.is_name:
        return cast.called(word.text)
    if word.lower in HOUSEHOLD and any(child.lower == "the" for child in word.having("det")):
        return cast.called(word.lemma) or cast.see(Party(f"my {word.lower}", word.lemma, word.is_plural))
    if word.lower in ACTIVITIES and word.dep == "nsubj" and not word.children:
        return cast.see(Party(f"my {word.lower}", word.lemma, word.tag == "NNS"))
    if any(child.lower == "the" for child in word.having("det")):
        return cast.called(word.lemma) or _told_before(word)
    return None


def _antecedent(word: Word, cast: Cast) -> Party | None:
    """Of "who" in a relative clause."""
    clause = word.head
    return party_of(clause.head, cast) if clause.dep == "relcl" and clause.head.is_noun else None


def owned_by(word: Word, cast: Cast) -> Party | None:
    """ "my brother", "my brother Dariusz", "my sister's dog", "her name"."""
    owner = next(iter(word.having("poss")), None)
    kin = _kin_before_name(word)
    if kin and not owner:
        owner = next(iter(kin.having("poss")), None)
    prefix = _genitive(owner, cast) if owner else ""
    if not prefix or owner is None:
        return None
    last = kin or word
    start = max(child.index for child in owner.subtree()) + 1
    inner = [w for w in word.subtree() if start <= w.index <= last.index and w.dep != "case"]
    if any(w.dep in ("punct", "cc", "conj", "relcl") and w.text != "-" for w in inner):
        return None
    if last.lemma in ("day", "time", "slot", "session") and len(inner) == 2 and inner[0].lower in ACTIVITIES:
        return Party(f"{prefix} {inner[0].lower}", inner[0].lower)
    text = f"{prefix} {_AGED.sub('', spoken_run(inner))}"
    name = spoken_run(name_run(word)) if kin else _appended_name(word)
    if not kin and word.is_name and last.index - start > 3:
        return None
    tail = _of_phrase(word) if not kin else ""
    if name and last.lemma in OF_MANY:
        tail = f" {name}"  # there may be other friends
    return Party(text + tail, last.lemma, last.is_plural if not kin else False, name)


def _of_phrase(word: Word) -> str:
    for prep in word.having("prep"):
        if prep.lower in ("of", "in", "for", "with", "at") and prep.index == word.index + 1:
            return " " + spoken_run(phrase_run(prep))
    return ""


def _kin_before_name(word: Word) -> Word | None:
    """The noun in "my brother Dariusz", where the name is the head."""
    if not word.is_name:
        return None
    nouns = [w for w in word.having("compound", "nmod") if w.tag == "NN" and w.lower in KIN | BEASTS]
    return nouns[-1] if nouns else None


def name_run(word: Word) -> list[Word]:
    return [w for w in word.subtree() if (w.is_name and w.dep in ("compound", word.dep)) or w is word]


def _appended_name(word: Word) -> str:
    for other in word.having("appos"):
        if other.is_name and not other.having("det", "poss", "amod"):
            return spoken_run(name_run(other))
    return ""


def _genitive(owner: Word, cast: Cast) -> str:
    if owner.lower in ("my", "our"):
        return owner.lower
    if owner.lower in ("his", "her", "its", "their"):
        party = cast.meant({"his": "he", "her": "she", "its": "it", "their": "they"}[owner.lower])
    else:
        party = owned_by(owner, cast) or (party_of(owner, cast) if owner.is_name or owner.lower in FAMILY else None)
    return party.genitive if party else ""


def _told_before(word: Word) -> Party | None:
    """ "the play I attended": what the user did with it says which."""
    for clause in word.having("relcl"):
        subject = subject_of(clause)
        mine = subject is not None and subject.lower in ("i", "we") and not clause.having("dobj")
        given = [w.lower for w in clause.having("dobj", "dative")] in (["me"], ["us"])
        if (mine or given) and is_told(clause):
            return Party(lowered(phrase_run(word, keep=("relcl",))), word.lemma, word.is_plural)
    for prep in word.having("prep"):
        for noun in prep.having("pobj"):
            if prep.lower == "of" and any(owner.lower in ("my", "our") for owner in noun.having("poss")):
                return Party(lowered(phrase_run(word)), word.lemma, word.is_plural)
    return None


def called(word: Word) -> str:
    """The name in "a dog called Miso"."""
    for verb in word.having("acl"):
        if verb.lemma in ("call", "name", "title", "nickname"):
            for name in verb.having("oprd", "dobj", "attr"):
                if name.is_name:
                    return spoken_run(phrase_run(name))
    return ""
