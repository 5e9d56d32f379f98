"""Clauses: who does what in a parsed sentence, when it is told as plain truth.

Owns the step from words to clauses: whom a clause is about (pronouns resolved within the
message), its verb group ready for inversion, and its parts by role. Leaves which clauses are
worth keeping to `grammar` and their questions to `questions`. Must stay true: a clause that is
negated, modal, conditional, reported or about an unknown party is not yielded; all text
is in the user's first person and stands in the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgesleep.night.phrases import article
from edgesleep.night.reading import Word
from edgesleep.night.relations import ANIMALS, PEOPLE, words

_FEMALE = {*words("""
    sister mother mum mom wife girlfriend fiancée daughter aunt niece grandmother grandma granny gran nan landlady
    godmother goddaughter mother-in-law sister-in-law
""")}  # fmt: skip
_MALE = {*words("""
    brother father dad husband boyfriend fiancé son uncle nephew grandfather grandpa landlord godfather godson
    father-in-law brother-in-law
""")}  # fmt: skip
_KIN = {
    *PEOPLE,
    *words(
        "parent kid grandparent ex-wife ex-husband fiance fiancee supervisor client student pal classmate bestie girl boy"
    ),
}
_BEASTS = {*ANIMALS, *words("labrador retriever corgi pug bulldog pomeranian husky poodle parakeet kitty pup rooster")}
_UNITS = {*words("second minute hour day night week month year decade")}
_MONTHS = {*words("january february march april may june july august september october november december")}
_DAYS = {*words("monday tuesday wednesday thursday friday saturday sunday")}
_TIMES = {
    *words(
        "morning evening afternoon noon midnight spring summer autumn fall winter christmas easter weekend weeknight weekday"
    )
}
_TIMES |= (
    _MONTHS
    | _DAYS
    | {day + "s" for day in _DAYS}
    | {"mornings", "evenings", "afternoons", "nights", "weekends", "weeknights", "weekdays"}
)
_RELATIVE = {*words("""
    last next this yesterday today tonight tomorrow ago now recently lately currently earlier later past previous
    other
""")}  # fmt: skip
_HABITS = {*words("usually always normally often typically generally regularly mainly mostly")}
_PASSING = {
    *words(
        "yesterday today tonight tomorrow now already lately recently currently actually just also too so far again though again"
    )
}
_DOUBT = {*words("""
    never hardly barely almost nearly maybe perhaps probably possibly supposedly allegedly no longer anymore
    hopefully potentially eventually if unless whether neither nor soon
""")}  # fmt: skip
_EXPANDED = {"'m": "am", "'re": "are", "'ve": "have", "’m": "am", "’ve": "have", "’re": "are"}
_PLACES = {*words("""
    home house flat apartment town city village country countryside area neighbourhood neighborhood street suburb
    suburbs bank office school university college hospital clinic shop store library museum gallery theater theatre
    cinema park gym church station airport hotel restaurant cafe café bakery farm garden beach island coast mountains
    market mall club pub bar stadium arena ballroom centre center company firm startup studio warehouse factory
    bedroom bathroom kitchen basement attic garage shed yard backyard balcony drawer cupboard closet shelf wall wardrobe
""")}  # fmt: skip
# Verbs whose clause is a statement of the user's own, for all that it stands under another verb.
_ADMITTED = {*words("realize realise notice mention admit confess remember recall")}
_GLAD = {*words("glad happy proud lucky grateful thankful surprised sad thrilled excited")}
_ASIDES = {"because", "since", "as", "although", "though", "while"}


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
        return self.is_self or self.noun in _KIN

    @property
    def is_animal(self) -> bool:
        return self.noun in _BEASTS

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
class Part:
    """A constituent. `text` has its articles, `value` is the span an answer must hold."""

    role: str  # object attr name adj place time clock span company as prep gerund verb
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
    sexed = _MALE if pronoun in ("she", "her") else _FEMALE
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
        if party and verb:
            for parts in _listed((*_gap(word, subject), *_parts(word))):
                clause = Clause(party, verb, parts)
                yield clause
                yield from _introduced(clause, cast)


def _gap(verb: Word, subject: Word) -> Iterator[Part]:
    """Of "the baking class I took in Leeds", the class is the object."""
    if verb.dep != "relcl" or subject.tag in ("WP", "WDT") or any(d.index > verb.index for d in verb.having("dobj")):
        return
    if any(not prep.having("pobj", "pcomp") for prep in verb.having("prep")) or verb.having("xcomp", "ccomp"):
        yield Part("other", "", "", "")
        return
    noun = verb.head
    run = [w for w in _run(noun) if w.lower not in _LEADS | {"the"}]
    if run and noun.tag in ("NN", "NNS") and not noun.having("prep"):
        part = _part("object", "", noun, run)
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
        run = _run(word, keep=(), without=("conj", "cc"))
        yield tuple(_part("object", "", word, run) if part is thing else part for part in parts)


def _members(word: Word) -> list[Word]:
    return [word, *(member for other in word.having("conj") if other.is_noun for member in _members(other))]


def _is_counted(word: Word) -> bool:
    return bool(word.having("nummod")) or any(det.lower in ("a", "an") for det in word.having("det"))


def _introduced(clause: Clause, cast: Cast) -> Iterator[Clause]:
    """Of "I have a sister", the sister can be spoken of from here on; "a dog called Miso" has a name as well."""
    part = clause.part("object", "attr")
    if clause.verb.lemma not in ("have", "own", "adopt", "buy", "get") or not part or not part.word or part.is_name:
        return
    if part.word.tag == "NN" and (clause.party.is_self or clause.party.is_human):
        owner = "my" if clause.party.is_self else clause.party.genitive
        thing = cast.see(Party(f"{owner} {part.noun}", part.noun, name=called(part.word)))
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
            return " " + spoken_run(_run(prep))
    return ""


def _kin_before_name(word: Word) -> Word | None:
    """The noun in "my brother Dariusz", where the name is the head."""
    if not word.is_name:
        return None
    nouns = [w for w in word.having("compound", "nmod") if w.tag == "NN" and w.lower in _KIN | _BEASTS]
    return nouns[-1] if nouns else None


def _name_run(word: Word) -> list[Word]:
    return [w for w in word.subtree() if w.is_name and w.dep in ("compound", word.dep) or w is word]


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
            return Party(_lowered(_run(word, keep=("relcl",))), word.lemma, word.is_plural)
    for prep in word.having("prep"):
        for noun in prep.having("pobj"):
            if prep.lower == "of" and any(owner.lower in ("my", "our") for owner in noun.having("poss")):
                return Party(_lowered(_run(word)), word.lemma, word.is_plural)
    return None


def _named(word: Word, cast: Cast) -> Iterator[Clause]:
    """ "my brother Dariusz", "my sister, Ana", "Dariusz, my partner", "a dog called Miso"."""
    owned = _owned(word, cast)
    if owned is None and word.is_name:
        for other in word.having("appos"):
            owned = _owned(other, cast)
            if owned and other.lemma in _KIN | _BEASTS and not owned.name:
                owned = replace(owned, name=spoken_run(_name_run(word)))
                break
            owned = None
    if owned is None:
        return
    owned = cast.see(owned)
    yield from _placed(word)
    title = called(word)
    if title or (owned.name and (owned.is_human or owned.is_animal)):
        name = title or owned.name
        cast.see(replace(owned, name=name))
        yield naming(owned, name)


def _placed(word: Word) -> Iterator[Clause]:
    """ "my new apartment in Harajuku": it is there."""
    home = (
        word.lemma in _PLACES and word.tag == "NN" and any(poss.lower in ("my", "our") for poss in word.having("poss"))
    )
    for prep in word.having("prep") if home else ():
        for place in prep.having("pobj"):
            if prep.lower == "in" and place.is_name and not place.having("det") and not _is_relative(_run(place)):
                text = spoken_run([w for w in _run(word) if w.index < prep.index])
                party = Party(text[:1].lower() + text[1:], word.lemma)
                part = replace(_part("place", "in", place, _run(place)), is_name=True)
                yield Clause(party, Verb("be", "is", "", "is", "present"), (part,))


def called(word: Word) -> str:
    """The name in "a dog called Miso"."""
    for verb in word.having("acl"):
        if verb.lemma in ("call", "name", "title", "nickname"):
            for name in verb.having("oprd", "dobj", "attr"):
                if name.is_name:
                    return spoken_run(_run(name))
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
        return not marks or marks[0] in _ASIDES
    if verb.dep == "conj":
        return _stands(verb.head) and not _is_conditional(verb.head)
    if verb.dep == "relcl":
        return verb.head.is_noun and not any(w.lower in ("whose", "whom", "where", "when") for w in verb.subtree())
    if verb.dep == "advcl" and verb.tag == "VBD" and not verb.head.tag == "VB" and not _is_doubted(verb.head):
        when = [w.lower for w in verb.having("mark", "advmod")]
        if {*when} & {"when", "after", "before"} and _stands(verb.head):
            return True
    if verb.dep == "advcl":
        return bool(marks) and marks[0] in _ASIDES and _stands(verb.head)
    if verb.dep in ("ccomp", "parataxis"):
        above = verb.head
        admitted = above.lemma in _ADMITTED and any(s.lower == "i" for s in above.having("nsubj"))
        glad = above.lower in _GLAD and above.dep == "acomp" and any(s.lower == "i" for s in above.head.having("nsubj"))
        if glad and not _is_doubted(above.head):
            return marks in ([], ["that"])
        return admitted and marks in ([], ["that"]) and not verb.having("advmod") or verb.dep == "parataxis"
    return False


def _is_doubted(verb: Word) -> bool:
    own = [w for child in verb.children for w in ([child] if child.dep not in ("conj", "relcl", "advcl") else [])]
    if verb.having("neg") or any(w.tag == "MD" or w.text in ("'d", "’d") for w in own):
        return not (verb.lemma in ("stand", "bear") and any(w.lemma == "can" or w.lower == "ca" for w in own))
    if any(w.lower in _DOUBT for w in own) or _is_conditional(verb):
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
    habit = next((w.lower for w in word.having("advmod") if w.lower in _HABITS and w.index < word.index), "")
    particle = "".join(" " + w.lower for w in word.having("prt"))
    form = _expanded(word, word)
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


_TURNING = {"married", "engaged", "divorced", "promoted"}


def _got(word: Word, auxes: Sequence[str]) -> Verb | None:
    """ "I've got" is "I have"; in "we got married" it is the auxiliary of a passive."""
    if word.lower == "got" and auxes in (["have"], ["has"]):
        have = auxes[0]
        return Verb("have", "do" if have == "have" else "does", "have", have, "present")
    turned = next((w for w in word.having("acomp") if w.lower in _TURNING), None)
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


# ---- parts


def _parts(verb: Word) -> Iterator[Part]:
    verb = _inner(verb) or verb
    for child in verb.children:
        if child.index < verb.index and child.dep not in ("prep", "npadvmod"):
            continue
        if child.dep == "prep":
            yield from _prepositional(child)
        elif child.dep in ("dobj", "attr", "oprd", "npadvmod"):
            yield from _nominal(child)
        elif child.dep == "acomp" and child.lower in _TURNING and verb.lower == "got":
            yield from (part for prep in child.having("prep") for part in _prepositional(prep))
        elif child.dep == "acomp":
            yield from _adjectival(child)
        elif child.dep in ("advmod", "advmod") and child.lower in ("home", "abroad", "downtown", "upstairs"):
            yield Part("adverb", "", child.lower, child.lower)
        elif child.dep == "xcomp" and child.tag in ("VBG", "VB"):
            yield Part("gerund" if child.tag == "VBG" else "verb", "", _lowered(_run(child)), _lowered(_run(child)))
        elif child.dep in ("ccomp", "xcomp", "dative", "agent", "pcomp"):
            yield Part("other", "", "", "")


def _nominal(word: Word) -> Iterator[Part]:
    run = _run(word)
    if word.dep == "npadvmod":
        if run[0].lower in ("every", "once", "twice") or any(
            w.lower in _UNITS for w in run[1:] if word.lemma == "time"
        ):
            yield Part("often", "", spoken_run(run), spoken_run(run), word.lemma)
        elif word.lemma in _TIMES | _UNITS and not _is_relative(run):
            yield Part("time", "", spoken_run(run), spoken_run(run), word.lemma)
        return
    if word.dep == "attr" and word.tag in ("WP", "WDT"):
        return
    tail = _detachable(word)
    if tail:
        run = [w for w in run if w.index < tail.index]
    role = {"dobj": "object", "attr": "attr", "oprd": "name"}[word.dep]
    yield _part(role, "", word, run)
    if tail:
        yield from _prepositional(tail)


def _detachable(word: Word) -> Word | None:
    """A closing "at Target" that the parser hung on the noun, where it says of the verb where, when or how long."""
    for prep in reversed(word.having("prep")):
        got = prep.lower != "from" or word.head.lemma in _ACQUIRING
        if got and prep.lower in ("at", "in", "on", "from", "for", "with", "since", "as"):
            for part in _prepositional(prep):
                if (
                    part.role in ("time", "clock", "span", "company", "as")
                    or part.role == "place"
                    and prep.lower != "in"
                ):
                    return prep
    return None


_ACQUIRING = {*words("buy get order purchase receive borrow adopt bring graduate rent hire pick collect")}


def _adjectival(word: Word) -> Iterator[Part]:
    run = _run(word)
    preps = [prep for prep in word.having("prep") if prep.having("pobj")]
    if preps:
        run = [w for w in run if w.index < preps[0].index]
    yield Part("adj", "", spoken_run(run), spoken_run(run), word.lemma, word=word)
    for prep in preps[:1]:
        for noun in prep.having("pobj"):
            yield _part("prep", prep.lower, noun, _run(noun))


def _prepositional(prep: Word) -> Iterator[Part]:
    for noun in prep.having("pobj") if prep.lower != "by" else ():
        run = _run(noun)
        if not _is_relative(run):
            tail = _detachable(noun) if noun.dep == "pobj" and prep.lower != "of" else None
            run = [w for w in run if tail is None or w.index < tail.index]
            yield _part(_prep_role(prep.lower, noun, run), prep.lower, noun, run)
            if tail:
                yield from _prepositional(tail)
    for gerund in prep.having("pcomp"):
        if gerund.tag == "VBG" and prep.lower == "since":
            yield Part("prep", prep.lower, spoken_run(_run(gerund)), spoken_run(_run(gerund)))


_DATE = re.compile(
    rf"^(?:the )?(?:{'|'.join(_MONTHS)}|\d\d?(?:st|nd|rd|th)? (?:of )?(?:{'|'.join(_MONTHS)})|\d\d?/\d\d?)\b"
)


def _prep_role(prep: str, noun: Word, run: Sequence[Word]) -> str:
    text = spoken_run(run).lower()
    if re.fullmatch(
        r"(?:around |about )?\d{1,2}(?::\d\d)?(?: ?[ap]\.?m\.?| o'clock)?|noon|midnight", text
    ) and prep in (*("at", "around", "by", "until", "from"),):
        return "clock"
    if noun.lemma in _UNITS and prep in ("for", "in", "over"):
        return "span" if prep == "for" else "prep"
    if _DATE.search(text) or re.fullmatch(r"(?:19|20)\d\d", noun.text) or noun.lemma in _TIMES or noun.lower in _TIMES:
        return "time" if prep in ("in", "on", "at", "since", "during", "until", "by") else "prep"
    if prep == "with" and (noun.lemma in _KIN or noun.is_name):
        return "company"
    if prep in ("as", "with", "about", "of", "for"):
        return "as" if prep == "as" else "prep"
    if _is_small_name(prep, noun):
        return "place"
    if prep == "from" and noun.head.head.lemma not in _ACQUIRING | {*words("be come travel fly drive move hail")}:
        return "prep"
    if noun.is_name or noun.lemma in _PLACES:
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
    return bare and noun.head.head.lemma in ("live", "grow", "bear", "be") and noun.lemma not in _NO_TOWNS


_NO_TOWNS = {*words("fear love peace school bed town poverty home college university harmony trouble scratch")} | _TIMES


def _part(role: str, prep: str, noun: Word, run: list[Word]) -> Part:
    run = _steady(run, noun)
    counts = [w for w in noun.having("nummod") if w in run and w.index < noun.index and w.tag == "CD"]
    titled = counts and counts[0].text[:1].isupper() and noun.text[:1].isupper()  # The Seven Husbands
    if titled or counts and (noun.tag not in ("NNS", "NNPS") or any(w.text == "$" for w in counts[0].head.subtree())):
        counts = []
    count = spoken_run([w for n in counts for w in n.subtree()]) if counts else ""
    ends = [prep.index for prep in noun.having("prep") if prep.index > noun.index and prep.lower != "of"]
    kind = spoken_run([w for w in run if counts and counts[-1].index < w.index < min([*ends, 999])])
    modifiers = [w for w in noun.children if w.index < noun.index and w.dep in ("compound", "amod", "nmod")]
    modifiers = [w for w in modifiers if w.dep != "amod" or w.lower not in _OPINIONS]
    if not counts and modifiers and not noun.is_name and noun.tag == "NN":
        kind = noun.text
    bare = list(run)
    while len(bare) > 1 and (bare[0].lower in _LEADS) and not (bare[0].text[0].isupper() and bare[1].text[0].isupper()):
        bare = bare[1:]
    if role == "object":
        bare = _shortened(bare, noun)
    part = Part(role, prep, spoken_run(run), spoken_run(bare), noun.lemma, noun.is_name, count, kind, noun)
    return _situated(part, noun)


def _shortened(run: list[Word], noun: Word) -> list[Word]:
    """A thing without what it was for or by whom: "a chocolate cake for the party"."""
    ends = [prep.index for prep in noun.having("prep") if prep.lower not in ("of", "in") and prep.index > noun.index]
    return [w for w in run if w.index < ends[0]] if ends else run


def _situated(part: Part, noun: Word) -> Part:
    """Where someone lives "in a small flat in Leeds", the answer has to name Leeds."""
    if part.role == "prep" and part.prep in ("in", "at") and noun.lemma in _PLACES:
        part = replace(part, role="place")
    if part.role == "place" and not part.is_name:
        names = [name for prep in noun.having("prep") if prep.lower == "in" for name in prep.having("pobj")]
        if names and names[0].is_name and part.text.endswith(spoken_run(_run(names[0]))):
            return replace(part, value=spoken_run(_run(names[0])), is_name=True)
    return part


# Adjectives that tell what someone thinks of a thing, or only that it is one more, not which it is.
_OPINIONS = {*words("""
    impressive great nice good new beautiful amazing awesome lovely wonderful bad terrible big small huge large little
    old own first last next few several many other different same certain specific particular similar whole entire
    real true main major minor important interesting cool fun fantastic perfect best better favorite favourite
    pretty decent solid quick simple easy hard tough rough long short recent current previous additional extra
    delicious tasty gorgeous stunning cute sweet excellent incredible positive negative clear strong weak full
    successful helpful useful complete total various such rare special unique great-looking
""")}  # fmt: skip
_LEADS = {*words("a an the some my our this that these those its his her their")}


def _run(word: Word, keep: Sequence[str] = (), without: Sequence[str] = ()) -> list[Word]:
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
        listed = child.dep == "punct" and child.text == "," and word.having("conj")
        apposed = child.dep == "appos" and child.index == word.index + 1 and (child.is_name or child.tag == "CD")
        passing = child.lower in _PASSING or child.dep == "npadvmod" and child.lower in _RELATIVE | _TIMES
        if not passing and (child.dep not in cut or joins or listed or apposed):
            verb_conj = child.dep == "conj" and child.tag.startswith("VB") and not word.tag.startswith("VB")
            if not verb_conj:
                found |= _kept(child, cut)
    return found


def _is_relative(run: Sequence[Word]) -> bool:
    """ "last Sunday": true only on the day it was said."""
    timely = any(w.lemma in _TIMES | _UNITS or w.lower in _TIMES for w in run)
    return any(w.lower in _RELATIVE for w in run) and timely or run[0].lower in ("yesterday", "today", "tomorrow")


def spoken_run(run: Sequence[Word]) -> str:
    return "".join(w.text + (w.space if w is not run[-1] else "") for w in run)


def _lowered(run: Sequence[Word]) -> str:
    text = spoken_run(run)
    return text if run and (run[0].is_name or run[0].lower == "i") else text[:1].lower() + text[1:]
