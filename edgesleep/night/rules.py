"""Rules: which clauses about what is are worth keeping: names, jobs, attributes, belongings, tastes.

Owns one small rule per kind of statement, and the order of all of them. Leaves what happens to `events`, the tables
they read to `lexicon`, the clauses to `clauses` and the wordings to `questions`. Must stay true: a doubtful clause
gives nothing, for junk is trained into weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from edgesleep.night.clauses import Clause, naming
from edgesleep.night.drafts import Draft, Rule, draft, is_telling, is_weekly, leans, made, only, owner_of, totalled
from edgesleep.night.events import (
    change,
    event,
    lasting,
    measure,
    planned,
    promotion,
    reaction,
    routine,
    served,
    state,
    stored,
)
from edgesleep.night.lexicon import (
    ATTRIBUTES,
    BARE,
    COLOURS,
    DEFINITE,
    FLEETING,
    GOODS,
    HEADS_OF_NOTHING,
    JOBS,
    LIKING,
    NATION,
    NO_JOBS,
    OPEN_VERBS,
    PERFORMERS,
    TRAITS,
    VAGUE_WORDS,
)
from edgesleep.night.parties import Party
from edgesleep.night.parts import Part
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Target
from edgesleep.night.verbs import Verb


def _name(clause: Clause) -> Iterator[Draft]:
    """ "My name is Roz", "my sister is called Ana", "the name of my boat is Marigold", "I go by Roz"."""
    party, part = clause.party, clause.part("name")
    if clause.verb.lemma == "be" and party.noun == "name" and (attr := _as_name(clause.part("attr", "adj"))):
        owner = re.sub(r"(?:'s?)? (?:(?:first|full|middle|last) )?name$|^the name of ", "", party.text, flags=re.I)
        party, part = Party("I" if owner in ("my", "our") else owner, party.noun), attr
    elif clause.verb.lemma == "go" and (party.text == "I" or party.is_human or party.is_animal):
        part = next((p for p in clause.parts if p.prep == "by" and p.is_name), None)
    elif clause.verb.finite not in ("is named", "are named", "am named") and clause.verb.lemma != "call":
        return
    if part and not part.is_name:
        return
    if part is None or len(part.value.split()) > 5 or party.text == "we" or party.noun in VAGUE_WORDS:
        return
    if party.text == "I":
        told = Clause(
            Party("I", "i"),
            Verb("call", "am", "called", "am called", "present"),
            (replace(part, role="name", prep="", text=part.value),),
        )
        told = replace(told, parts=told.parts)
    else:
        told = naming(party, part.value)
    topic = "own name" if party.text == "I" else "names" if party.plural else "name"
    made = draft(told, told.parts[0], "relation" if party.is_human and not party.is_self else "fact", "name", topic)
    if made:
        yield made


def _as_name(part: Part | None) -> Part | None:
    """What a name is said to be; the parser takes Rosalind for an adjective."""
    return replace(part, is_name=True) if part and all(word[:1].isupper() for word in part.value.split()) else None


def _role(clause: Clause) -> Iterator[Draft]:
    """ "I'm a nurse", "my father was a builder", "I'm vegetarian", "I'm 43 years old", "I'm from Leeds"."""
    party, verb = clause.party, clause.verb
    if verb.lemma != "be" or not (party.is_human or party.is_animal) or (verb.tense == "past" and party.is_self):
        return
    attr, adj = clause.part("attr"), clause.part("adj")
    place = next((p for p in clause.parts if p.prep == "from" and p.is_name), None)
    if verb.tense == "used" and attr and not leans(attr) and party.text == "I":
        yield from made(draft(replace(clause, parts=(attr,)), attr, "fact", "used to be"))
    elif attr and verb.tense == "present" and (years := _years(attr)) and len(clause.parts) == 1:
        yield Draft(clause, Target(years, "how old", ()), "fact", f"{party.text}|age", "age")
    elif attr and attr.noun in TRAITS["diet"] | TRAITS["religion"]:
        yield from _trait(clause, attr)
    elif attr and attr.word and _is_job(attr) and attr.word.tag != "NNP":
        yield from _job(clause, attr)
    elif attr and party.is_animal and not party.is_human and verb.tense == "present":
        if (
            not leans(attr)
            and attr.noun not in HEADS_OF_NOTHING
            and Party("", attr.noun).is_animal
            and not party.plural
        ):
            yield from made(draft(replace(clause, parts=(attr,)), attr, "fact", "breed", "breed"))
    elif attr and attr.noun == "fan" and (of := next((p for p in clause.parts if p.prep == "of"), None)):
        yield from made(draft(clause, of, "preference", f"fan|{fold(of.value)}"))
    elif attr and attr.is_name and party.text != "I" and not NATION.fullmatch(attr.value) and attr.text == attr.value:
        told = replace(clause, parts=(attr,))
        yield from made(draft(told, attr, "relation", "name"))
    elif adj and adj.word:
        yield from _adjective(clause, adj)
    elif adj and adj.noun == "old":
        asked = Target(adj.value, "how old", (), short=f"{adj.value} years old")
        yield Draft(clause, asked, "fact", f"{clause.party.text}|age", "age")
    elif group := next((part for part in clause.parts if part.prep == "in" and _led_by(part)), None):
        asked = Target(_led_by(group), f"whose {group.noun}", ("in",))
        yield Draft(replace(clause, parts=(group,)), asked, "fact", f"{owner_of(party)}|{group.noun}")
    elif place and len(clause.parts) == 1:
        yield from made(draft(clause, place, "fact", "origin", "origin"))


def _led_by(part: Part) -> str:
    """Of "in Mrs Okafor's class", the name."""
    found = re.fullmatch(r"((?:[A-Z][\w.]*\.? ?)+)'s? (?:class|form|group|team|squad|year)", part.text)
    return found[1].strip() if found else ""


def _job(clause: Clause, attr: Part) -> Iterator[Draft]:
    """ "a carpenter in Gdańsk" is a carpenter, and works there."""
    bare, _, place = attr.text.partition(" in ") if attr.text.count(" in ") == 1 else (attr.text, "", "")
    job = replace(attr, text=bare, value=attr.value.partition(" in ")[0] if place else attr.value)
    yield from made(draft(replace(clause, parts=(job,)), job, "fact", "job", "job"))
    if place and place[:1].isupper() and clause.verb.tense == "present":
        works = ("do", "work") if clause.party.text in ("I", "we") or clause.party.plural else ("does", "works")
        verb = Verb("work", works[0], "work", works[1], "present")
        where = Part("place", "in", place, place, is_name=True)
        yield from made(draft(Clause(clause.party, verb, (where,)), where, "fact", "work|place", "employer"))


def _years(attr: Part) -> str:
    """The number of "I'm 19" and "I'm a 56 year old woman"."""
    match = re.fullmatch(r"(\d{1,2})|an? (\d{1,3})[- ]years?[- ]old (?:man|woman|boy|girl|male|female)", attr.text)
    return (match[1] or match[2]) if match else ""


def _is_job(attr: Part) -> bool:
    noun = attr.noun.lower()
    lead = attr.text.split()[0].lower()
    owned = lead in DEFINITE | {"my", "our"}
    return noun not in NO_JOBS and noun.endswith(JOBS) and len(attr.value.split()) <= 6 and not owned


def _adjective(clause: Clause, adj: Part) -> Iterator[Draft]:
    of = next((part for part in clause.parts if part.role == "prep"), None)
    if adj.noun == "allergic" and of and of.prep == "to" and not leans(of):
        told = replace(clause, parts=(replace(adj, text="allergic"), of))
        yield from made(draft(told, of, "fact", f"allergy|{fold(of.value)}", "allergy"))
    elif adj.noun == "old" and adj.word and any(year.having("nummod") for year in adj.word.having("npadvmod")):
        number = next(w.text for year in adj.word.having("npadvmod") for w in year.having("nummod"))
        told = replace(clause, parts=(replace(adj, text=f"{number} years old", value=number),))
        yield Draft(
            told, Target(number, "how old", (), short=f"{number} years old"), "fact", f"{clause.party.text}|age", "age"
        )
    elif adj.noun in ("afraid", "scared", "terrified") and of and of.prep == "of" and not leans(of):
        told = replace(clause, parts=(replace(adj, text=adj.noun), of))
        yield Draft(
            told,
            Target(of.value, "what", (f"{adj.noun} of",)),
            "preference",
            f"{clause.party.text}|fear|{fold(of.value)}",
        )
    else:
        yield from _trait(clause, adj)


def _trait(clause: Clause, part: Part) -> Iterator[Draft]:
    value = part.noun
    topic = next((topic for topic, known in TRAITS.items() if value in known), "")
    if not topic and NATION.fullmatch(part.value):
        topic = "nationality"
    if topic and not (topic == "marriage" and clause.part("company")):
        yield from made(draft(replace(clause, parts=(part,)), part, "fact", topic, topic))


def _attribute(clause: Clause) -> Iterator[Draft]:
    """ "My favourite colour is green", "my highest score is 124 points", "my birthday is on 3 March"."""
    party, verb = clause.party, clause.verb
    if verb.lemma == "come" and verb.rest == "coming up" and party.noun in ("birthday", "anniversary"):
        verb = Verb("be", "is", "", "is", "present")
        clause = replace(clause, verb=verb)
    if verb.lemma != "be" or party.is_self or party.is_human or party.noun in FLEETING | {"name"}:
        return
    if re.fullmatch(r"(?:my|our) total .*count", party.text):
        return  # see `tallies`
    if re.fullmatch(r"(?:my|our) (?:all-time )?favou?rites?", party.text):
        return  # of what is not said
    favourite = party.noun not in HEADS_OF_NOTHING | {"spot", "moment", "memory", "aspect", "place"} and bool(
        re.match(r"(?:my|our) (?:all-time )?favou?rite ", party.text)
    )
    topic = "favourite" if favourite and re.match(r"(?:my|our) favou?rite ", party.text) and not party.plural else ""
    if topic and party.noun in PERFORMERS:
        topic = "favourite person"
    torn = sum(part.role == "attr" for part in clause.parts) > 1
    for part in clause.parts:
        if part.role == "attr" and not torn and not leans(part) and _fits_attribute(part, party, favourite):
            told = only(replace(clause, parts=tuple(p for p in clause.parts if p.role != "adverb")), part)
            yield from made(_whole(told, part, topic))
            return
        if (
            part.role == "adj"
            and (party.noun in ("color", "colour") or part.noun in COLOURS)
            and len(part.value.split()) <= 2
        ):
            yield from made(draft(replace(clause, parts=(part,)), part, "fact", "is", topic))
            return
        if part.role in ("time", "clock", "place") and not leans(part) and (part.role != "place" or part.is_name):
            topic = "birthday" if part.role == "time" and part.prep == "on" and not is_weekly(part) else ""
            yield from made(draft(replace(clause, parts=(part,)), part, "fact", f"is|{part.role}", topic))
            return


def _whole(clause: Clause, part: Part, topic: str) -> Draft | None:
    """An attribute is asked for with its number and unit: "132 points", not how many of them."""
    made = draft(clause, replace(part, count=""), "fact", "is", topic)
    return (
        replace(made, asked=replace(made.asked, left=tuple(p.phrase for p in clause.parts if p is not part)))
        if made
        else None
    )


def _fits_attribute(part: Part, party: Party, favourite: bool) -> bool:
    named = part.is_name or any(word[:1].isupper() for word in part.value.split())
    if fold(part.text) == fold(party.text):
        return False
    if part.noun in HEADS_OF_NOTHING and not part.count:
        return False
    known = party.noun in ATTRIBUTES | GOODS or party.is_animal or party.text.startswith("the ")
    number = part.value[:1].isdigit() and len(part.value.split()) <= 3
    return (
        favourite
        or (known and (named or number or bool(part.count or part.kind)))
        or (named and part.text == part.value)
    )


def _having(clause: Clause) -> Iterator[Draft]:
    """ "I have 20 playlists on Spotify", "we have a dog called Miso", "my sister has a bakery"."""
    part = clause.part("object")
    if clause.verb.lemma not in ("have", "own") or clause.verb.tense not in ("present", "used"):
        return
    if part is None or part.word is None or not (clause.party.is_self or clause.party.is_human):
        return
    clause = totalled(only(clause, part))
    part = clause.part("object")
    if part is None or part.noun in HEADS_OF_NOTHING or (leans(part) and not part.count):
        return
    if part.kind == "dozen":
        return  # of what, the sentence before says
    slot = f"have|{part.noun}"
    if part.count and part.kind and part.noun not in ("year", "month", "week", "day", "hour", "minute", "dozen"):
        yield from made(draft(clause, part, "fact", slot))
    elif Party("", part.noun).is_animal and part.word and part.word.tag == "NN":
        topic = "pet" if clause.verb.tense == "present" else ""
        yield from made(draft(replace(clause, parts=(part,)), part, "fact", f"{slot}|{fold(part.value)}", topic))
    elif (of := next((p for p in clause.parts if p.prep == "in"), None)) and part.noun in ("degree", "phd", "master"):
        yield from made(draft(clause, of, "fact", "degree", "degree"))
    elif part.kind and not part.count and is_telling(part):
        yield from made(draft(clause, part, "fact", f"{slot}|{fold(part.value)}"))


def _preference(clause: Clause) -> Iterator[Draft]:
    """ "I love rock climbing", "I can't stand coriander", "I prefer tea to coffee"."""
    verb, party = clause.verb, clause.party
    loved = verb.tense == "past" and verb.lemma in ("love", "enjoy", "like", "hate")  # a place or a work, by its name
    if verb.lemma not in LIKING or not party.is_human or not (loved or verb.tense in ("present", "used")):
        return
    if (verb.lemma in ("stand", "bear")) != verb.finite.startswith("can't"):
        return
    part = clause.part("object", "gerund", "verb")
    coloured = part is not None and bool(re.fullmatch(r"the colou?r \w+", part.text))
    if part and (" like " in part.text or part.text.lower().startswith(("a ", "an "))):
        return
    if part and part.role == "gerund" and part.value.split()[-1] in BARE:
        return
    if part and part.role in ("verb", "gerund") and "," in part.value and " and " not in part.value:
        return  # half of a list
    if part and part.role == "object" and part.word and part.word.having("relcl") and not part.is_name:
        return  # "games that are slow" are no games, nor is "the games I like" any
    if part and part.role in ("gerund", "verb") and _is_empty(part):
        return
    if part is None or (leans(part) and not coloured) or part.noun in HEADS_OF_NOTHING or len(part.value.split()) > 8:
        return
    if part.word and any(w.dep == "acl" and w.lemma not in ("call", "name", "title") for w in part.word.subtree()):
        return  # "dates with the month spelled out" are no dates with the month
    start = part.text.lower()
    capital = any(word[:1].isupper() for word in part.text.split()[1:])
    if part.is_name and re.match(r"the [a-z]+ [A-Z]", part.text):
        return  # "I love the thought, Nate", without its comma
    if loved and not (part.is_name or capital):
        return
    known = start.startswith(("my ", "all the ", "both ")) or (start.startswith("the ") and not capital)
    known = known and not coloured
    if part.role == "object" and part.word and (part.word.tag == "PRP" or known):
        return
    told = only(clause, part)
    told = replace(
        told,
        parts=tuple(p for p in told.parts if p is part or p.prep in ("to", "over", "for", "with", "in", "without")),
    )
    others = " ".join(p.phrase for p in told.parts if p is not part)
    slot = f"{verb.finite}|{others if verb.lemma == 'prefer' and others else fold(part.value)}"
    yield from made(draft(told, replace(part, count="", kind="") if not part.count else part, "preference", slot))


def _is_empty(part: Part) -> bool:
    """ "learning new things", "getting to see": a doing without anything that tells."""
    last = part.value.lower().split()[-1]
    return last in ("things", "stuff", "projects", "ideas", "something", "everything") or (
        last in OPEN_VERBS and " " in part.value
    )


RULES: tuple[Rule, ...] = (
    _name,
    promotion,
    _role,
    _attribute,
    _having,
    _preference,
    reaction,
    change,
    served,
    stored,
    routine,
    lasting,
    planned,
    state,
    event,
    measure,
)
