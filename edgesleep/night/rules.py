"""Rules: which clauses are worth keeping, and which of their parts they can be asked for.

Owns one small rule per kind of statement. Leaves the tables they read to `lexicon`, the clauses to `clauses` and the
wordings to `questions`. Must stay true: a doubtful clause gives nothing, for junk is trained into weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edgesleep.night.clauses import Clause, naming
from edgesleep.night.lexicon import (
    ATTRIBUTES,
    BARE,
    COLOURS,
    COMING,
    DAYS,
    DEFINITE,
    FLEETING,
    GOODS,
    HEADS_OF_NOTHING,
    JOBS,
    LIFE,
    LIGHT_EVENTS,
    LIKING,
    NATION,
    NEED_OBJECT,
    NO_EVENT,
    NO_JOBS,
    NO_SPAN,
    ONGOING,
    PERFORMERS,
    STATES,
    TRAITS,
    VAGUE_WORDS,
)
from edgesleep.night.parties import Party, called
from edgesleep.night.parts import Part
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Target, target
from edgesleep.night.verbs import Verb


@dataclass(frozen=True)
class Draft:
    """A fact before its questions. `key` is the relation, `topic` the row of wordings, "" for none."""

    clause: Clause
    asked: Target
    kind: str
    key: str
    topic: str = ""


Rule = Callable[[Clause], Iterator[Draft]]


def draft(clause: Clause, part: Part, kind: str, slot: str, topic: str = "") -> Draft | None:
    """A draft that asks for one part; the key tells apart what else was said, but not the value."""
    asked = target(clause, part)
    if asked is None:
        return None
    rest = " ".join(fold(other.phrase) for other in clause.parts if other is not part and kind == "event")
    if topic == "degree":
        asked = replace(asked, short="")
    return Draft(clause, asked, kind, "|".join(filter(None, (_owner(clause.party), slot, rest))), topic)


def _owner(party: Party) -> str:
    """A party in a relation: who says we one day says I the next."""
    return "i" if party.is_self else re.sub(r"^our\b", "my", party.text)


def only(clause: Clause, *parts: Part | None) -> Clause:
    """The clause without parts that say nothing by themselves: pronouns, and things known only from context."""
    kept = [part for part in clause.parts if part in parts or not leans(part)]
    return replace(clause, parts=tuple(kept[:4]))


def leans(part: Part) -> bool:
    """Whether a part is understood only next to what was said before it."""
    inside = part.text.lower().split()
    if inside[:1] == ["some"]:
        inside = inside[1:]
    if VAGUE_WORDS & {*inside} or inside[:1] in ([], ["any"]) or {"due", "because"} & {*inside}:
        return True
    return inside[0] in DEFINITE and not any(word[:1].isupper() for word in part.text.split()[1:])


# ---- rules: what is worth keeping


def _name(clause: Clause) -> Iterator[Draft]:
    """ "My name is Roz", "my sister is called Ana", "the name of my boat is Marigold", "I go by Roz"."""
    party, part = clause.party, clause.part("name")
    if clause.verb.lemma == "be" and party.noun == "name" and (attr := _as_name(clause.part("attr", "adj"))):
        owner = re.sub(r"(?:'s?)? (?:(?:first|full|middle|last) )?name$|^the name of ", "", party.text, flags=re.I)
        party, part = Party("I" if owner in ("my", "our") else owner, party.noun), attr
    elif clause.verb.lemma == "go" and party.text == "I":
        part = next((p for p in clause.parts if p.prep == "by" and p.is_name), None)
    elif clause.verb.lemma != "call" or (part and not part.is_name):
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
        yield from _made(draft(replace(clause, parts=(attr,)), attr, "fact", "used to be"))
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
            yield from _made(draft(replace(clause, parts=(attr,)), attr, "fact", "breed", "breed"))
    elif attr and attr.noun == "fan" and (of := next((p for p in clause.parts if p.prep == "of"), None)):
        yield from _made(draft(clause, of, "preference", f"fan|{fold(of.value)}"))
    elif attr and attr.is_name and party.text != "I" and not NATION.fullmatch(attr.value) and attr.text == attr.value:
        told = replace(clause, parts=(attr,))
        yield from _made(draft(told, attr, "relation", "name"))
    elif adj and adj.word:
        yield from _adjective(clause, adj)
    elif adj and adj.noun == "old":
        asked = Target(adj.value, "how old", (), short=f"{adj.value} years old")
        yield Draft(clause, asked, "fact", f"{clause.party.text}|age", "age")
    elif group := next((part for part in clause.parts if part.prep == "in" and _led_by(part)), None):
        asked = Target(_led_by(group), f"whose {group.noun}", ("in",))
        yield Draft(replace(clause, parts=(group,)), asked, "fact", f"{_owner(party)}|{group.noun}")
    elif place and len(clause.parts) == 1:
        yield from _made(draft(clause, place, "fact", "origin", "origin"))


def _led_by(part: Part) -> str:
    """Of "in Mrs Okafor's class", the name."""
    found = re.fullmatch(r"((?:[A-Z][\w.]*\.? ?)+)'s? (?:class|form|group|team|squad|year)", part.text)
    return found[1].strip() if found else ""


def _job(clause: Clause, attr: Part) -> Iterator[Draft]:
    """ "a carpenter in Gdańsk" is a carpenter, and works there."""
    bare, _, place = attr.text.partition(" in ") if attr.text.count(" in ") == 1 else (attr.text, "", "")
    job = replace(attr, text=bare, value=attr.value.partition(" in ")[0] if place else attr.value)
    yield from _made(draft(replace(clause, parts=(job,)), job, "fact", "job", "job"))
    if place and place[:1].isupper() and clause.verb.tense == "present":
        works = ("do", "work") if clause.party.text in ("I", "we") or clause.party.plural else ("does", "works")
        verb = Verb("work", works[0], "work", works[1], "present")
        where = Part("place", "in", place, place, is_name=True)
        yield from _made(draft(Clause(clause.party, verb, (where,)), where, "fact", "work|place", "employer"))


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
        yield from _made(draft(told, of, "fact", f"allergy|{fold(of.value)}", "allergy"))
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
        yield from _made(draft(replace(clause, parts=(part,)), part, "fact", topic, topic))


def _made(draft: Draft | None) -> Iterator[Draft]:
    if draft:
        yield draft


def _attribute(clause: Clause) -> Iterator[Draft]:
    """ "My favourite colour is green", "my highest score is 124 points", "my birthday is on 3 March"."""
    party, verb = clause.party, clause.verb
    if verb.lemma == "come" and verb.rest == "coming up" and party.noun in ("birthday", "anniversary"):
        verb = Verb("be", "is", "", "is", "present")
        clause = replace(clause, verb=verb)
    if verb.lemma != "be" or party.is_self or party.is_human or party.noun in FLEETING | {"name"}:
        return
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
            yield from _made(_whole(told, part, topic))
            return
        if (
            part.role == "adj"
            and (party.noun in ("color", "colour") or part.noun in COLOURS)
            and len(part.value.split()) <= 2
        ):
            yield from _made(draft(replace(clause, parts=(part,)), part, "fact", "is", topic))
            return
        if part.role in ("time", "clock", "place") and not leans(part) and (part.role != "place" or part.is_name):
            topic = "birthday" if part.role == "time" and part.prep == "on" and not _is_weekly(part) else ""
            yield from _made(draft(replace(clause, parts=(part,)), part, "fact", f"is|{part.role}", topic))
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
    clause = _totalled(only(clause, part))
    part = clause.part("object")
    if part is None or part.noun in HEADS_OF_NOTHING or (leans(part) and not part.count):
        return
    slot = f"have|{part.noun}"
    if part.count and part.kind and part.noun not in ("year", "month", "week", "day", "hour", "minute", "dozen"):
        yield from _made(draft(clause, part, "fact", slot))
    elif Party("", part.noun).is_animal and part.word and part.word.tag == "NN":
        topic = "pet" if clause.verb.tense == "present" else ""
        yield from _made(draft(replace(clause, parts=(part,)), part, "fact", f"{slot}|{fold(part.value)}", topic))
    elif (of := next((p for p in clause.parts if p.prep == "in"), None)) and part.noun in ("degree", "phd", "master"):
        yield from _made(draft(clause, of, "fact", "degree", "degree"))
    elif part.kind and _is_telling(part):
        yield from _made(draft(clause, part, "fact", f"{slot}|{fold(part.value)}"))


def _totalled(clause: Clause) -> Clause:
    """ "a total of 37 coins" is 37 coins."""
    parts = []
    for part in clause.parts:
        match = part.role == "object" and re.fullmatch(
            r"(?:a total of|about|around|over|roughly|exactly) (\d[\d,]*) (.+)", part.text
        )
        parts.append(
            replace(part, text=f"{match[1]} {match[2]}", count=match[1], kind=match[2], noun="") if match else part
        )
    return replace(clause, parts=tuple(parts))


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
    if part is None or (leans(part) and not coloured) or part.noun in HEADS_OF_NOTHING or len(part.value.split()) > 8:
        return
    start = part.text.lower()
    capital = any(word[:1].isupper() for word in part.text.split()[1:])
    if loved and not (part.is_name or capital):
        return
    known = start.startswith(("my ", "all the ", "both ")) or (start.startswith("the ") and not capital)
    known = known and not coloured
    if part.role == "object" and part.word and (part.word.tag == "PRP" or known):
        return
    told = only(clause, part)
    told = replace(
        told, parts=tuple(p for p in told.parts if p is part or p.prep in ("to", "over", "for", "with", "in"))
    )
    others = " ".join(p.phrase for p in told.parts if p is not part)
    slot = f"{verb.finite}|{others if verb.lemma == 'prefer' and others else fold(part.value)}"
    yield from _made(draft(told, replace(part, count="", kind="") if not part.count else part, "preference", slot))


def _planned(clause: Clause) -> Iterator[Draft]:
    """ "My mum arrives on Saturday at noon", "we're getting a second dog on the 21st"."""
    verb, thing = clause.verb, clause.part("object")
    coming = verb.tense == "progressive" and (verb.lemma not in NO_EVENT | ONGOING or verb.lemma in COMING)
    set_down = verb.tense == "present" and verb.lemma in COMING and not clause.party.is_self and not verb.habit
    when = [part for part in clause.parts if part.role in ("time", "clock") and not _is_weekly(part)]
    if not (coming or set_down) or not when or not clause.party.is_human or (thing and leans(thing)):
        return
    told = only(clause, *when)
    for part in told.parts:
        named = part.role == "place" and part.is_name
        if part in when or named or (part.role == "object" and _is_telling(part)):
            rest = " ".join(fold(other.phrase) for other in told.parts if other is not part and other not in when)
            slot = f"{verb.lemma}|{part.role}|{rest}"
            yield from _made(draft(told, part, "event", slot))


def _reaction(clause: Clause) -> Iterator[Draft]:
    """ "I react badly to penicillin"."""
    part = next((part for part in clause.parts if part.prep == "to"), None)
    if clause.verb.lemma == "react" and clause.verb.rest == "react badly" and part and not leans(part):
        yield from _made(draft(replace(clause, parts=(part,)), part, "fact", f"allergy|{fold(part.value)}", "ban"))


def _change(clause: Clause) -> Iterator[Draft]:
    """ "I've started learning the harp", "I gave up dairy for Lent", "my sister has taken up pottery"."""
    part, verb = clause.part("object"), clause.verb
    changed = re.search(r"\b(?:started|begun|stopped) \w+ing$|\b(?:gave|given|took|taken) up$", verb.finite)
    if (
        not changed
        or part is None
        or not part.word
        or not clause.party.is_human
        or verb.tense not in ("past", "perfect")
    ):
        return
    instrument = part.text.startswith("the ") and verb.lemma in ("learn", "play", "study", "practise", "practice")
    if (leans(part) and not instrument) or part.word.tag not in ("NN", "NNS", "NNP") or part.text.startswith("my "):
        return
    told = replace(clause, parts=tuple(p for p in only(clause, part).parts if p is part or p.role in ("time", "prep")))
    yield from _made(draft(told, replace(part, kind=""), "event", f"{verb.finite.split()[-1]}|{fold(part.value)}"))


def lasting(clause: Clause) -> Iterator[Draft]:
    """ "I've been playing volleyball with friends for two months"."""
    span, verb = clause.part("span"), clause.verb
    if (
        span
        and verb.finite.startswith(("have been ", "has been "))
        and clause.party.is_human
        and verb.lemma not in NO_SPAN
    ):
        thing = clause.part("object")
        told = only(clause, span)
        if len(told.parts) > 1 and not (thing and leans(thing)):
            yield from _made(
                draft(told, span, "fact", f"{verb.lemma}|span|{' '.join(fold(p.text) for p in told.parts[:1])}")
            )


def _state(clause: Clause) -> Iterator[Draft]:
    """ "I live in Porto", "my wife works as a vet", "I'm reading Oblomov", "I usually get up at 5:40"."""
    verb, party = clause.verb, clause.party
    wanted = STATES.get(verb.lemma)
    if wanted is None or not party.is_human or verb.tense not in ("present", "progressive", "used"):
        return
    if (verb.tense == "progressive" and verb.lemma not in ONGOING) or (
        verb.lemma == "read" and verb.tense == "present"
    ):
        return  # "I read Oblomov" is of the past
    thing = clause.part("object")
    if thing and leans(thing) and not (verb.lemma == "play" and thing.text.startswith("the ")):
        return
    for part in clause.parts:
        slot = part.role if part.role in wanted else part.prep
        part = _titled(part)
        definite = verb.lemma == "play" and part.text.startswith("the ")
        if (
            slot not in wanted
            or (leans(part) and not definite)
            or (not _is_telling(part) and not _is_habit(verb, part))
        ):
            continue
        if (
            part.role == "object"
            and verb.lemma in ("take", "use", "run", "watch", "get", "support", "start")
            and not part.is_name
        ):
            continue
        told = only(clause, part)
        if part.role == "span" and len(told.parts) < 2:
            continue
        topic = wanted[slot] if verb.tense != "used" and not verb.finite.startswith("have been") else ""
        if topic == "job":
            told = replace(told, parts=(part,))
        alike = fold(part.value) if part.role == "object" and not part.count else ""
        yield from _made(draft(told, part, "fact", "|".join(filter(None, (verb.lemma, slot, alike))), topic))


def _routine(clause: Clause) -> Iterator[Draft]:
    """ "I walk three miles every day", "we play tennis every other week"."""
    part = clause.part("often") or next((part for part in clause.parts if _is_weekly(part)), None)
    thing, lemma = clause.part("object"), clause.verb.lemma
    lemma = "swim" if clause.verb.rest.startswith("go ") else lemma
    if part is None or clause.verb.tense != "present" or not clause.party.is_human or lemma in ("be", "have", "feel"):
        return
    chore = lemma == "do" and thing is not None and bool(re.fullmatch(r"(?:all )?the [a-z -]+", thing.text))
    if (lemma in NO_EVENT and lemma not in LIGHT_EVENTS) or (thing and leans(thing) and not chore):
        return
    told = only(clause, part, thing)
    if chore and thing:
        yield from _made(draft(told, thing, "fact", f"do|{fold(part.value)}"))
    if len(told.parts) > 1 or lemma in ("swim", "run", "exercise", "meditate", "jog"):
        yield from _made(draft(told, part, "fact", f"{lemma}|often"))


def _is_weekly(part: Part) -> bool:
    """ "on Tuesdays and Sundays"."""
    days = [word for word in re.findall(r"\w+", part.value.lower()) if word != "and"]
    return part.role == "time" and bool(days) and days[-1].endswith("s") and days[0].removesuffix("s") in DAYS


def _is_habit(verb: Verb, part: Part) -> bool:
    """A plain noun is enough for what one always does: "I play chess", "I study law"."""
    lasting = verb.tense == "present" and part.role in ("object", "as") and part.noun not in HEADS_OF_NOTHING
    housed = (
        verb.tense == "present"
        and part.role == "place"
        and verb.lemma in ("live", "work")
        and len(part.text.split()) <= 4
    )
    return housed or (lasting and len(part.text.split()) <= 4)


def _event(clause: Clause) -> Iterator[Draft]:
    """ "I bought a Brompton", "we moved to Porto", "I graduated in 2011", "I've finished 10 videos"."""
    verb, party = clause.verb, clause.party
    if verb.tense not in ("past", "perfect", "past perfect") or not party.is_human or verb.lemma == "be":
        return
    thing = clause.part("object")
    if thing and thing.word and (leans(thing) or thing.word.tag == "PRP"):
        return
    if clause.part("verb", "attr", "adj") or (clause.part("gerund") and verb.lemma != "spend"):
        return
    if verb.lemma in NO_EVENT and verb.lemma not in LIGHT_EVENTS:
        return
    clause = _totalled(clause)
    clause = replace(clause, parts=tuple(_titled(part) for part in clause.parts))
    if (
        verb.lemma in ("spend", "take", "bring", "put", "give")
        and not (thing and thing.kind)
        and len(only(clause).parts) < 2
    ):
        return
    for part in clause.parts:
        if leans(part) or not _happened(verb, party, part):
            continue
        told = only(clause, part)
        topic = _event_topic(verb, part)
        if verb.lemma == "move" and part.role == "place" and not clause.part("time"):
            yield from _made(draft(told, part, "fact", "live|place"))  # the newest home, in the place of the last
            continue
        alike = fold(part.value) if part.role in ("object", "company") and not part.count else ""
        slot = "|".join(filter(None, (verb.lemma, part.role if part.role != "prep" else part.prep, alike)))
        part, topic = _degree(part, topic)
        yield from _made(draft(_swap(told, part), part, "fact" if topic else "event", slot, topic))


def _titled(part: Part) -> Part:
    """Of "a book called Dune", the title is the answer."""
    title = called(part.word) if part.word and part.role in ("object", "prep") else ""
    if not title or part.is_name or not part.word:
        return part
    return replace(part, text=f"{part.text} called {title}", value=title, kind=part.word.text, is_name=True, count="")


def _degree(part: Part, topic: str) -> tuple[Part, str]:
    """Of "a degree in Business Administration", the subject is the answer."""
    match = re.fullmatch(r"(?:an? )?(.*\b(?:degree|PhD|master's|bachelor's|diploma|MBA|BA|MA)) in (.+)", part.text)
    return (replace(part, value=match[2].partition(" from ")[0]), "degree") if match else (part, topic)


def _swap(clause: Clause, part: Part) -> Clause:
    return replace(
        clause, parts=tuple(part if p.text == part.text and p.role == part.role else p for p in clause.parts)
    )


def _event_topic(verb: Verb, part: Part) -> str:
    return "upbringing" if verb.lemma == "grow" and part.role == "place" and verb.rest.endswith(" up") else ""


def _happened(verb: Verb, party: Party, part: Part) -> bool:
    """Whether a part of a past event is worth being asked for."""
    counted = bool(
        re.match(r"(?:my|our) (?:\d+(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|tenth) ", part.text)
    )
    if (verb.lemma == "have" and part.role not in ("span", "time")) or (
        verb.lemma in NEED_OBJECT and part.text.startswith(("my ", "our ")) and not counted
    ):
        return False
    if counted and verb.lemma in NEED_OBJECT - LIGHT_EVENTS:
        return True
    named = any(word[:1].isupper() for word in part.text.split())
    if part.role == "prep" and part.prep == "to" and named and verb.lemma in ("switch", "upgrade", "change", "go"):
        return True
    marked = part.role == "object" and any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    if verb.lemma in LIGHT_EVENTS and not (part.is_name or marked or part.count or part.role in ("span", "clock")):
        return False
    if part.role == "object":
        return _is_telling(part) or (verb.lemma in LIFE and part.noun not in HEADS_OF_NOTHING)
    if part.role == "place":
        return part.is_name
    if part.role in ("time", "clock", "span", "company"):
        return part.role != "company" or part.is_name
    sized = part.text.startswith("$") or re.search(r" of \d", part.text)
    return part.role in ("prep", "as") and (part.is_name or bool(sized) or bool(_degree(part, "")[1]))


def _is_telling(part: Part) -> bool:
    """A name, a number or a described thing, not a word that could stand for anything."""
    if part.noun in HEADS_OF_NOTHING and not (part.count and part.kind):
        return False
    named = any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    return (
        named or part.role in ("span", "clock", "time") or (part.role in ("object", "as", "prep") and bool(part.kind))
    )


def _measure(clause: Clause) -> Iterator[Draft]:
    """ "My commute takes 45 minutes", "our rent costs $900"."""
    span = clause.part("span")
    if (
        clause.party.text == "it"
        and span
        and not VAGUE_WORDS - {"everything"} & {*clause.parts[-1].text.lower().split()}
    ):
        yield from _made(draft(clause, span, "event", "take"))
        return
    part = clause.part("object", "attr")
    if (
        clause.verb.lemma not in ("take", "cost", "weigh", "last")
        or clause.party.is_human
        or clause.verb.tense != "present"
    ):
        return
    if part and re.match(r"(?:about |around |roughly )?(?:\$|\d|an? )", part.text) and (part.count or "$" in part.text):
        wh = "how long" if clause.verb.lemma in ("take", "last") else "how much"
        yield Draft(
            replace(clause, parts=(part,)),
            Target(part.value, wh, ()),
            "fact",
            f"{clause.party.text}|{clause.verb.lemma}",
        )


def _promotion(clause: Clause) -> Iterator[Draft]:
    """ "I've been made team lead"."""
    if clause.verb.lemma == "promote" and (part := clause.part("attr")):
        yield from _made(draft(clause, part, "fact", "promotion"))


RULES: tuple[Rule, ...] = (
    _name,
    _promotion,
    _role,
    _attribute,
    _having,
    _preference,
    _reaction,
    _change,
    _routine,
    lasting,
    _planned,
    _state,
    _event,
    _measure,
)
