"""Clauses: who does what in a parsed sentence, when it is told as plain truth.

Owns the step from words to clauses: whom a clause is about (pronouns resolved within the
message), its verb group ready for inversion, and its parts by role. Leaves which clauses are
worth keeping to `grammar` and their questions to `questions`. Must stay true: a clause that is
negated, modal, conditional, reported or about an unknown party is not yielded; all text
is in the user's first person and stands in the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgesleep.night.lexicon import (
    ADMITTED,
    ASIDES,
    ASKING,
    AUXILIARIES,
    BEASTS,
    DOUBT,
    FEMALE,
    GLAD,
    GOODS,
    HABITS,
    INTRANSITIVE,
    JOURNEYS,
    KIN,
    LEADS,
    MALE,
    OCCASIONS,
    OPINIONS,
    PLACES,
    TURNING,
)
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

_EXPANDED = {"'m": "am", "'re": "are", "'ve": "have", "’m": "am", "’ve": "have", "’re": "are"}


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
        return self.is_self or self.noun in KIN

    @property
    def is_animal(self) -> bool:
        return self.noun in BEASTS

    @property
    def genitive(self) -> str:
        own = {"I": "my", "we": "our"}.get(self.text)
        return own or self.text + ("'" if self.plural and self.text.endswith("s") else "'s")


@dataclass(frozen=True)
class Verb:
    """A verb group: `finite` for statements; `front` and `rest` for questions ("did", "buy")."""

    lemma: str
    front: str
    rest: str
    finite: str
    tense: str  # present, past, perfect, progressive, used
    habit: str = ""


@dataclass(frozen=True)
class Clause:
    party: Party
    verb: Verb
    parts: tuple[Part, ...]

    def part(self, *roles: str) -> Part | None:
        return next((part for part in self.parts if part.role in roles), None)


@dataclass
class Cast:
    """Those spoken of so far in one message, for pronouns."""

    seen: dict[str, Party] = field(default_factory=dict)

    def see(self, party: Party) -> Party:
        known = self.seen.pop(party.text, None)
        party = replace(party, name=party.name or known.name) if known else party
        self.seen[party.text] = party
        return party

    def meant(self, pronoun: str) -> Party | None:
        """The one party a pronoun can stand for; None where there are several, or none."""
        fits = [party for party in self.seen.values() if _fits(pronoun, party)]
        return fits[0] if len(fits) == 1 else None

    def called(self, noun: str) -> Party | None:
        """The party with this noun ("the dog") or this name."""
        fits = [party for party in self.seen.values() if noun in (party.noun, party.name)]
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


def clauses(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """The plain statements of a sentence, in order; `cast` learns whom they mention."""
    for word in sentence:
        if word.is_noun:
            yield from _named(word, cast)
        subject = _subject(word)
        if subject is None or not _is_told(word):
            continue
        party = party_of(subject, cast)
        verb = _verb(word)
        if party and verb and _agrees(party, word):
            for parts in _listed((*_gap(word, subject), *_parts(word))):
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
        run = phrase_run(word, keep=(), without=("conj", "cc"))
        yield tuple(constituent("object", "", word, run) if part is thing else part for part in parts)


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
    if part.word.tag == "NN" and (clause.party.is_self or clause.party.is_human):
        owner = "my" if clause.party.is_self else clause.party.genitive
        thing = Party(f"{owner} {part.noun}", part.noun, name=called(part.word))
        if not (thing.is_human or thing.is_animal or clause.verb.lemma in ("have", "own")):
            return
        cast.see(thing)
        if thing.name:
            yield naming(thing, thing.name)


# ---- parties


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
    owned = _owned(word, cast)
    if owned:
        return cast.see(owned)
    if word.is_name:
        return cast.called(word.text)
    if any(child.lower == "the" for child in word.having("det")):
        return cast.called(word.lemma) or _told_before(word)
    return None


def _antecedent(word: Word, cast: Cast) -> Party | None:
    """Of "who" in a relative clause."""
    clause = word.head
    return party_of(clause.head, cast) if clause.dep == "relcl" and clause.head.is_noun else None


def _owned(word: Word, cast: Cast) -> Party | None:
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
    text = f"{prefix} {spoken_run(inner)}"
    name = spoken_run(_name_run(word)) if kin else _appended_name(word)
    if not kin and word.is_name and last.index - start > 3:
        return None
    tail = _of_phrase(word) if not kin else ""
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


def _name_run(word: Word) -> list[Word]:
    return [w for w in word.subtree() if (w.is_name and w.dep in ("compound", word.dep)) or w is word]


def _appended_name(word: Word) -> str:
    for other in word.having("appos"):
        if other.is_name and not other.having("det", "poss", "amod"):
            return spoken_run(_name_run(other))
    return ""


def _genitive(owner: Word, cast: Cast) -> str:
    if owner.lower in ("my", "our"):
        return owner.lower
    if owner.lower in ("his", "her", "its", "their"):
        party = cast.meant({"his": "he", "her": "she", "its": "it", "their": "they"}[owner.lower])
    else:
        party = _owned(owner, cast) or (cast.called(owner.text) if owner.is_name else None)
    return party.genitive if party else ""


def _told_before(word: Word) -> Party | None:
    """ "the play I attended": what the user did with it says which."""
    for clause in word.having("relcl"):
        subject = _subject(clause)
        if subject and subject.lower in ("i", "we") and _is_told(clause) and not clause.having("dobj"):
            return Party(lowered(phrase_run(word, keep=("relcl",))), word.lemma, word.is_plural)
    for prep in word.having("prep"):
        for noun in prep.having("pobj"):
            if prep.lower == "of" and any(owner.lower in ("my", "our") for owner in noun.having("poss")):
                return Party(lowered(phrase_run(word)), word.lemma, word.is_plural)
    return None


def _named(word: Word, cast: Cast) -> Iterator[Clause]:
    """ "my brother Dariusz", "my sister, Ana", "Dariusz, my partner", "a dog called Miso"."""
    owned = _owned(word, cast)
    if owned is None and word.is_name:
        for other in word.having("appos"):
            owned = _owned(other, cast)
            if owned and other.lemma in KIN | BEASTS and not owned.name:
                owned = replace(owned, name=spoken_run(_name_run(word)))
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


def called(word: Word) -> str:
    """The name in "a dog called Miso"."""
    for verb in word.having("acl"):
        if verb.lemma in ("call", "name", "title", "nickname"):
            for name in verb.having("oprd", "dobj", "attr"):
                if name.is_name:
                    return spoken_run(phrase_run(name))
    return ""


def naming(party: Party, name: str) -> Clause:
    front = "are" if party.plural else "is"
    verb = Verb("call", front, "called", f"{front} called", "present")
    return Clause(party, verb, (Part("name", "", name, name, is_name=True),))


# ---- whether a clause is told


def _subject(verb: Word) -> Word | None:
    found = verb.having("nsubj", "nsubjpass")
    if found:
        return found[0]
    if verb.dep == "conj" and verb.head.tag.startswith("VB") and not verb.having("aux"):
        above = verb.head.is_finite or any(aux.is_finite for aux in verb.head.having("aux", "auxpass"))
        same = verb.tag == verb.head.tag or (verb.is_finite and above)
        return _subject(verb.head) if same else None
    return None


def _is_told(verb: Word) -> bool:
    """Whether a verb with its subject states something as true."""
    if not (verb.tag.startswith("VB")) or _is_doubted(verb) or verb.having("expl", "csubj"):
        return False
    subject = _subject(verb)
    if subject and any(aux.index < subject.index and aux.dep != "neg" for aux in verb.having("aux", "auxpass")):
        return False
    if subject and subject.dep in ("nsubj", "nsubjpass") and verb.index < subject.index:
        return False
    return _stands(verb)


def _stands(verb: Word) -> bool:
    """Whether what the verb hangs from leaves it a statement."""
    marks = [mark.lower for mark in verb.having("mark")]
    if verb.dep == "ROOT":
        return not marks or marks[0] in ASIDES
    if verb.dep == "conj":
        return _stands(verb.head) and not _is_conditional(verb.head)
    if verb.dep == "relcl":
        return verb.head.is_noun and not any(w.lower in ("whose", "whom", "where", "when") for w in verb.subtree())
    if verb.dep == "advcl" and verb.tag == "VBD" and verb.head.tag != "VB" and not _is_doubted(verb.head):
        when = [w.lower for w in verb.having("mark", "advmod")]
        if {*when} & {"when", "after", "before"} and verb.head.lemma not in ASKING and _stands(verb.head):
            return True
    if verb.dep == "advcl":
        return bool(marks) and marks[0] in ASIDES and _stands(verb.head)
    if verb.dep in ("ccomp", "parataxis"):
        above = verb.head
        admitted = above.lemma in ADMITTED and any(s.lower == "i" for s in above.having("nsubj"))
        glad = above.lower in GLAD and above.dep == "acomp" and any(s.lower == "i" for s in above.head.having("nsubj"))
        if glad and not _is_doubted(above.head):
            return marks in ([], ["that"])
        return (admitted and marks in ([], ["that"]) and not _is_how(verb)) or verb.dep == "parataxis"
    return False


def _is_how(verb: Word) -> bool:
    return any(w.lower in ("how", "why", "where", "when") for w in verb.having("advmod"))


def _is_doubted(verb: Word) -> bool:
    own = [w for child in verb.children for w in ([child] if child.dep not in ("conj", "relcl", "advcl") else [])]
    if verb.having("neg") or any(w.tag == "MD" or w.text in ("'d", "’d") for w in own):
        return not (verb.lemma in ("stand", "bear") and any(w.lemma == "can" or w.lower == "ca" for w in own))
    if any(w.lower in DOUBT for w in own) or _is_conditional(verb):
        return True
    near = [w for child in verb.having("dobj", "attr", "acomp", "nsubj", "npadvmod", "advmod") for w in child.children]
    return any(w.lower in ("no", "neither", "not", "never") or w.dep == "neg" for w in near) or any(
        w.lower == "longer" for w in verb.having("advmod", "npadvmod")
    )


def _is_conditional(verb: Word) -> bool:
    return any(mark.lower in ("if", "unless", "whether") for c in verb.having("advcl") for mark in c.having("mark"))


# ---- verb groups


def _verb(word: Word) -> Verb | None:
    auxes = [_expanded(aux, word) for aux in word.having("aux", "auxpass") if aux.index < word.index]
    if word.dep == "conj" and not auxes and word.tag in ("VBN", "VBG"):
        auxes = [_expanded(aux, word.head) for aux in word.head.having("aux", "auxpass")]
    habit = next((w.lower for w in word.having("advmod") if w.lower in HABITS and w.index < word.index), "")
    particle = "".join(" " + w.lower for w in word.having("prt"))
    form = _expanded(word, word)
    if any(aux.lemma not in AUXILIARIES for aux in word.having("aux", "auxpass") if aux.tag not in ("TO", "MD")):
        return None
    inner = _inner(word)
    if inner and word.lemma == "use":
        return Verb(inner.lemma, "did", f"use to {inner.text}", f"used to {inner.text}", "used")
    if inner and (not auxes or auxes == ["have"]):
        to = "" if inner.tag == "VBG" else "to "
        front, rest = (auxes[0], word.lower) if auxes else ("did", word.lemma)
        finite = " ".join([*auxes, f"{word.lower} {to}{inner.text}"])
        return Verb(inner.lemma, front, f"{rest} {to}{inner.text}", finite, "perfect" if auxes else "past")
    got = _got(word, auxes)
    if got:
        return got
    if any(w.tag == "MD" for w in word.having("aux")):
        return Verb(word.lemma, "can't", word.lemma, f"can't {word.lemma}", "present")
    if not auxes:
        return _simple(word, form, particle, habit)
    rest = " ".join([*auxes[1:], form]) + particle
    finite = f"{auxes[0]} {habit} {rest}" if habit else f"{auxes[0]} {rest}"
    return Verb(word.lemma, auxes[0], rest, " ".join(finite.split()), _tense(auxes, word), habit)


def _inner(word: Word) -> Word | None:
    """The verb that counts in "I used to live" and "I managed to spot"."""
    form = {"use": "VB", "manage": "VB", "get": "VB", "finish": "VBG", "start": "VBG", "begin": "VBG"}.get(word.lemma)
    if form is None or word.tag not in ("VBD", "VBN") or word.having("dobj"):
        return None
    return next((verb for verb in word.having("xcomp") if verb.tag == form), None)


def _got(word: Word, auxes: Sequence[str]) -> Verb | None:
    """ "I've got" is "I have"; in "we got married" it is the auxiliary of a passive."""
    if word.lower == "got" and auxes in (["have"], ["has"]):
        have = auxes[0]
        return Verb("have", "do" if have == "have" else "does", "have", have, "present")
    turned = next((w for w in word.having("acomp") if w.lower in TURNING), None)
    if word.lower == "got" and turned and not auxes:
        return Verb("get", "did", f"get {turned.lower}", f"got {turned.lower}", "past")
    if list(auxes) == ["got"]:
        prefix = "pre-" if any(w.lower == "pre" for w in word.children) else ""
        return Verb(word.lemma, "did", f"get {prefix}{word.lower}", f"got {prefix}{word.lower}", "past")
    return None


def _simple(word: Word, form: str, particle: str, habit: str) -> Verb | None:
    """A verb group of one word: be is its own auxiliary, any other verb takes do."""
    if word.lemma == "be":
        if form not in ("am", "is", "are", "was", "were"):
            return None
        return Verb("be", form, "", form, "past" if form.startswith("w") else "present")
    front = {"VBD": "did", "VBP": "do", "VBZ": "does"}.get(word.tag)
    if front is None:
        return None
    tense = "past" if word.tag == "VBD" else "present"
    return Verb(word.lemma, front, word.lemma + particle, f"{habit} {form}{particle}".strip(), tense, habit)


def _tense(auxes: Sequence[str], word: Word) -> str:
    if auxes[0] in ("am", "is", "are", "was", "were"):
        passive = word.tag == "VBN"
        past = auxes[0].startswith("w")
        return ("past" if past else "present") if passive else "past progressive" if past else "progressive"
    if auxes[0] in ("have", "has"):
        return "progressive" if word.tag == "VBG" else "perfect"
    return "past perfect" if auxes[0] == "had" else "present"


def _expanded(word: Word, verb: Word) -> str:
    """A verb form without contraction; the sentence's capital is not part of it."""
    if word.lower in ("'s", "’s"):
        return "has" if verb is not word and verb.tag == "VBN" and word.lemma == "have" else "is"
    return _EXPANDED.get(word.lower, word.lower)


def _parts(verb: Word) -> Iterator[Part]:
    verb = _inner(verb) or verb
    for child in verb.children:
        if child.index < verb.index and child.dep not in ("prep", "npadvmod"):
            continue
        if child.dep == "prep":
            yield from prepositional(child)
        elif child.dep in ("dobj", "attr", "oprd", "npadvmod"):
            yield from nominal(child)
        elif child.dep == "acomp" and child.lower in TURNING and verb.lower == "got":
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
