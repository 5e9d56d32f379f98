"""Latecomers: names that come after those who bear them have been spoken of, or that come beside them.

Owns names given to somebody just introduced ("we named her Olive", "two sons, Emil and Otto", "Gudrun, the boss"), and
a name that takes up the one relative spoken of so far ("my mum sent this. Maureen knits all day"). Leaves "my brother
is called Fintan" to `rules`. Must stay true: a name goes to nobody where it could go to two, and only what a person
or an animal does shows that a word is a name of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from edgesleep.night.clauses import Clause, naming
from edgesleep.night.lexicon import BEASTS, KIN, NATION, TIMES, words
from edgesleep.night.parties import Cast, Party, owned_by, party_of
from edgesleep.night.parts import spoken_run
from edgesleep.night.reading import Word
from edgesleep.night.verbs import is_told, subject_of

# What people do, and firms, teams, towns and apps do not.
_HUMAN = {*words("""
    travel snore cook bake knit sew cry laugh giggle smile sleep eat drink swear hate love adore dread refuse insist
    reckon learn forget remember drive walk cycle sing dance smoke sneeze limp retire visit phone hug mind worry
    complain
    moan grumble garden paint ski swim jog sulk promise nap shout whisper wear panic cough hum wave blush wink gossip
    exaggerate fuss nag tease swim knit whistle yawn faint shiver bark purr chew scratch fetch
""")}  # fmt: skip
# By which the user calls one person, said with "the".
_THE_ONE = {*words("boss landlord landlady dog cat puppy kitten baby")}
_IDIOMS = {*words("friend friends mate baby boy girl buddy pal child kid hero nemesis enemy")}
_NAMERS = {"i", "we", "they", "she", "he"}
_ANYONES = {*words("friend colleague neighbour neighbor client")}
_SOME = {*words("a an some this that these those")}
_SETTING = {"i", "i'm", "i've", "i'll", "i'd"} | TIMES
_TITLE = re.compile(r"(?<=[a-z,] )(?<!\bfrom )(?<!\bin )(?<!\bto )(?<!\bat )(?<!\bnear )[A-Z][\w'-]+")  # but for places
_BETWEEN = {*words("always never still just only really also even absolutely")}
_BRANDS = {*words("google siri alexa cortana netflix amazon excel chatgpt claude gemini copilot spotify duolingo")}


def latecomers(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """Who is called what by a sentence that follows or goes with their introduction."""
    yield from _goes_by(sentence, cast)
    yield from _given(sentence, cast)
    yield from _beside(sentence, cast)
    yield from _each(sentence, cast)
    yield from _the_one(sentence, cast)
    yield from _is_mine(sentence, cast)
    yield from _appended(sentence, before, cast)
    yield from _taken_up(sentence, before, cast)


def _appended(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "His name is Bertil, my landlord"."""
    spoken = [word for word in sentence if word.text != "."]
    if len(spoken) != 2 or not spoken[1].is_noun or spoken[1].lemma not in KIN | BEASTS:
        return
    party = owned_by(spoken[1], cast)
    told = re.fullmatch(
        r"(?:(?:He|She|It)(?:'s| is) (?:called|named)|(?:His|Her|Its) name(?:'s| is)) ([A-Z]\w+) \.", spoken_run(before)
    )
    if party and told and not party.name:
        yield _named(party, told[1], cast)


def _goes_by(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "My mum goes by Bridie"."""
    for verb in sentence:
        names = [w for prep in verb.having("prep", "agent") if prep.lower == "by" for w in prep.having("pobj")]
        subject = subject_of(verb)
        if verb.lemma == "go" and verb.tag in ("VBZ", "VBP") and subject and len(names) == 1 and is_told(verb):
            party = party_of(subject, cast)
            if party and (party.is_human or party.is_animal) and not party.plural and _is_personal(names[0]):
                yield _named(party, names[0].text, cast)


def _given(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "We got a puppy and named her Olive", "our new puppy, we called him Bruno"."""
    for verb in sentence:
        subject = subject_of(verb)
        if verb.lemma not in ("call", "name") or subject is None or subject.lower not in _NAMERS:
            continue
        after = [word for word in sentence if verb.index < word.index <= verb.index + 3]
        if len(after) < 2 or after[0].lower not in ("him", "her", "it") or not is_told(verb):
            continue
        party = cast.meant({"him": "he", "her": "she"}.get(after[0].lower, "it"))
        name = [word for word in after[1:] if word.text[:1].isupper() and word.text.isalpha()]
        if party and not party.name and name[:1] == after[1:2] and (party.is_human or party.is_animal):
            yield _named(party, name[0].text, cast)


def _beside(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "My best mate Sanjay is a medic", where the parser takes the two for two."""
    for word, name in pairwise(sentence):
        apart = name.head is not word and word.head is not name and name.dep == "nsubj"
        if word.lemma in KIN and word.tag == "NN" and apart and _is_personal(name):
            party = owned_by(word, cast)
            if party and not party.plural and not party.name and party.text.startswith(("my ", "our ")):
                yield _named(party, name.text, cast)


def _each(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "I have two sons, Emil and Otto"."""
    for word in sentence:
        several = word.tag == "NNS" and (word.lemma in KIN or word.lemma in BEASTS)
        mine = word.head.lemma == "have" and word.dep == "dobj" and _is_ours(word.head)
        if not several or not (mine or any(poss.lower in ("my", "our") for poss in word.having("poss"))):
            continue
        for first in word.having("appos"):
            names = [first, *_joined(first)]
            if len(names) > 1 and all(name.is_name and not name.having("det", "poss", "compound") for name in names):
                run = spoken_run([w for w in sentence if names[0].index <= w.index <= names[-1].index])
                yield naming(Party(f"my {word.text}", word.lemma, plural=True), run)


def _joined(word: Word) -> list[Word]:
    return [other for direct in word.having("conj") for other in (direct, *_joined(direct))]


def _is_ours(verb: Word) -> bool:
    subject = subject_of(verb)
    return subject is not None and subject.lower in ("i", "we") and is_told(verb)


def _the_one(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "Gudrun, the boss, is away", "the boss, Gudrun, is away", "Gudrun's the boss"."""
    for word in sentence:
        the = any(det.lower == "the" for det in word.having("det")) and not word.having("poss", "prep", "relcl", "amod")
        if word.lower not in _THE_ONE or not the:
            continue
        beside = [word.head] if word.dep == "appos" else word.having("appos")
        if word.dep == "attr" and word.head.lemma == "be" and is_told(word.head):
            beside = word.head.having("nsubj")
        names = [name for name in beside if _is_personal(name)]
        party = cast.called(word.lemma) or Party(f"my {word.lower}", word.lemma)
        if names and (not party.name or party.name == names[0].text):
            yield _named(party, names[0].text, cast)


def _is_mine(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "Annika is my wife", "Miso's our dog"."""
    for word in sentence:
        subject = next(iter(word.having("nsubj")), None)
        attr = next(iter(word.having("attr")), None)
        if word.lemma != "be" or subject is None or attr is None or not is_told(word) or not _is_personal(subject):
            continue
        party = owned_by(attr, cast) if attr.lemma in KIN | BEASTS and attr.lemma not in _IDIOMS else None
        if party and not party.plural and not party.name and word.tag == "VBZ":
            yield _named(party, subject.text, cast)


def _taken_up(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "My aunt rang. Maureen hates waiting": the one relative that was spoken of last, still without a name.

    The relative may be of this message or, as its only person, of the one before. The parser may take a name and its
    verb for two nouns ("Philippa snores"), so only their shapes count.
    """
    name, rest = sentence[0], [word for word in sentence[1:3] if word.lower not in _BETWEEN]
    deed = rest[0] if rest else name
    doing = {deed.lemma, deed.lower, deed.lower.removesuffix("s"), deed.lower.removesuffix("es")} & _HUMAN
    if not doing or not deed.lower.endswith(("s", "ed", "te", "ove", "ank")) or deed.lower.endswith("'s"):
        return
    spoken = re.search(rf"(?<![\w'-]){re.escape(name.text)}(?![\w'-])", cast.spoken)
    if not spoken or not _is_new(name, cast) or _names_another(sentence, before, cast.spoken[: spoken.start()]):
        return
    here = [*cast.seen.values()] if before else list(cast.recent)
    people = [party for party in here if (party.is_human or party.is_animal) and party.name != name.text]
    if len(people) != 1 or people[0].plural or people[0].name or people[0].noun in _ANYONES:
        return
    if re.match(r"(?:my|our) \S+$", people[0].text) and cast.topic == people[0].text:
        yield _named(people[0], name.text, cast)


def _names_another(sentence: Sequence[Word], before: Sequence[Word], earlier: str) -> bool:
    """Whether somebody or something else is there that the name may be of: a man, a film, a toy beside "her"."""
    apart = any(word.lower in ("him", "her") and word.dep != "poss" for word in sentence)
    other = any(
        word.is_noun and word.dep in ("dobj", "pobj", "attr") and {det.lower for det in word.having("det")} & _SOME
        for word in before
    )
    titled = any(word.lower() not in _SETTING for word in _TITLE.findall(earlier))
    return apart or other or titled or any(word.is_name for word in sentence[1:])


def _is_new(word: Word, cast: Cast) -> bool:
    """Whether a word looks like a person's name that nobody is known by."""
    shape = word.text[:1].isupper() and word.text[1:].islower() and word.text.isalpha() and len(word.text) > 2
    bare = not [child for child in word.children if child.dep not in ("punct", "case")]
    taken = word.text in cast.known or word.lower in TIMES | KIN | BEASTS | _BRANDS or NATION.fullmatch(word.text)
    return shape and bare and not taken and (word.is_name or not word.known)


def _is_personal(word: Word) -> bool:
    """A single name, as a person has it."""
    bare = not word.having("det", "compound", "amod", "nummod", "poss", "prep", "conj")
    known = word.lower in TIMES | _BRANDS or NATION.fullmatch(word.text)
    return word.is_name and bare and not known and word.text.isalpha() and not word.text.isupper()


def _named(party: Party, name: str, cast: Cast) -> Clause:
    cast.see(replace(party, name=name))
    return naming(party, name)
