"""Events: which clauses about what someone does are worth keeping: states, habits, plans, what happened.

Owns one small rule per kind of doing. Leaves what someone is or has to `rules`, and the tables they read to `lexicon`.
Must stay true: what is only tried, thought or felt is no event; a part is asked for only where it tells something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from edgesleep.night.clauses import Clause
from edgesleep.night.drafts import Draft, draft, is_telling, is_weekly, leans, made, only, totalled
from edgesleep.night.lexicon import (
    ACQUIRING,
    BUSINESSES,
    COMING,
    HEADS_OF_NOTHING,
    LEADS,
    LIFE,
    LIGHT_EVENTS,
    NEED_OBJECT,
    NO_EVENT,
    NO_SPAN,
    ONGOING,
    PLACES,
    SERVED,
    STATES,
    STORING,
    UNSTORED,
    VAGUE_WORDS,
)
from edgesleep.night.parties import Party, called
from edgesleep.night.parts import Part
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Target
from edgesleep.night.verbs import Verb


def planned(clause: Clause) -> Iterator[Draft]:
    """ "My mum arrives on Saturday at noon", "we're getting a second dog on the 21st"."""
    clause = _with_source(clause)
    verb, thing = clause.verb, clause.part("object")
    coming = verb.tense == "progressive" and (verb.lemma not in NO_EVENT | ONGOING or verb.lemma in COMING)
    set_down = verb.tense == "present" and verb.lemma in COMING and not clause.party.is_self and not verb.habit
    when = [part for part in clause.parts if part.role in ("time", "clock") and not is_weekly(part)]
    moving = coming and verb.lemma in ("move", "emigrate", "relocate") and bool(clause.part("place"))
    if not (coming or set_down) or not (when or moving) or not clause.party.is_human or (thing and leans(thing)):
        return
    told = only(clause, *when)
    if verb.lemma == "go" and not {*told.parts} - {*when} and not verb.rest.startswith("going "):
        return  # "I'm going tonight"
    for part in told.parts:
        named = (part.role == "place" and part.is_name) or _is_source(verb, part)
        if part in when or named or (part.role == "object" and is_telling(part)):
            rest = " ".join(fold(other.phrase) for other in told.parts if other is not part and other not in when)
            slot = f"{verb.lemma}|{part.role}|{rest}"
            yield from made(draft(told, part, "event", slot))


def _is_source(verb: Verb, part: Part) -> bool:
    """ "From the rescue in Kendal", of what one gets."""
    return part.prep == "from" and verb.lemma in ACQUIRING and any(word[:1].isupper() for word in part.text.split())


def _with_source(clause: Clause) -> Clause:
    """ "From the shelter in Stroud" in one, where the parser takes the town for where the getting is done."""
    parts: list[Part] = []
    for part in clause.parts:
        last = parts[-1] if parts and clause.verb.lemma in ACQUIRING else None
        if last and last.prep == "from" and part.role == "place" and part.prep == "in":
            text, value = (f"{span} {part.phrase}" for span in (last.text, last.value))
            parts[-1] = replace(last, role="prep", text=text, value=value, kind="", count="")
        else:
            parts.append(part)
    return replace(clause, parts=tuple(parts))


def reaction(clause: Clause) -> Iterator[Draft]:
    """ "I react badly to penicillin"."""
    part = next((part for part in clause.parts if part.prep == "to"), None)
    if clause.verb.lemma == "react" and clause.verb.rest == "react badly" and part and not leans(part):
        yield from made(draft(replace(clause, parts=(part,)), part, "fact", f"allergy|{fold(part.value)}", "ban"))


def change(clause: Clause) -> Iterator[Draft]:
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
    yield from made(draft(told, replace(part, kind=""), "event", f"{verb.finite.split()[-1]}|{fold(part.value)}"))


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
            yield from made(
                draft(told, span, "fact", f"{verb.lemma}|span|{' '.join(fold(p.text) for p in told.parts[:1])}")
            )


def state(clause: Clause) -> Iterator[Draft]:
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
    clause = replace(clause, parts=tuple(_titled(part) for part in clause.parts))
    for part in clause.parts:
        slot = part.role if part.role in wanted else part.prep
        definite = verb.lemma == "play" and part.text.startswith("the ")
        if slot not in wanted or (leans(part) and not definite) or (not is_telling(part) and not _is_habit(verb, part)):
            continue
        if (
            part.role == "object"
            and verb.lemma in ("take", "use", "run", "watch", "get", "support", "start")
            and not part.is_name
            and not (verb.lemma == "run" and part.noun in BUSINESSES)
        ):
            continue
        told = only(clause, part)
        if part.role == "span" and len(told.parts) < 2:
            continue
        topic = wanted[slot] if verb.tense != "used" and not verb.finite.startswith("have been") else ""
        if topic == "job":
            told = replace(told, parts=(part,))
        alike = fold(part.value) if part.role == "object" and not part.count else ""
        yield from made(draft(told, part, "fact", "|".join(filter(None, (verb.lemma, slot, alike))), topic))


def routine(clause: Clause) -> Iterator[Draft]:
    """ "I walk three miles every day", "we play tennis every other week"."""
    part = clause.part("often") or next((part for part in clause.parts if is_weekly(part)), None)
    thing, lemma = clause.part("object"), clause.verb.lemma
    lemma = "swim" if clause.verb.rest.startswith("go ") else lemma
    if part is None or clause.verb.tense != "present" or not clause.party.is_human or lemma in ("be", "have", "feel"):
        return
    chore = lemma == "do" and thing is not None and bool(re.fullmatch(r"(?:all )?the [a-z -]+", thing.text))
    if (lemma in NO_EVENT and lemma not in LIGHT_EVENTS) or (thing and leans(thing) and not chore):
        return
    told = only(clause, part, thing)
    if chore and thing:
        yield from made(draft(told, thing, "fact", f"do|{fold(part.value)}"))
    if len(told.parts) > 1 or lemma in ("swim", "run", "exercise", "meditate", "jog"):
        yield from made(draft(told, part, "fact", f"{lemma}|often"))


def served(clause: Clause) -> Iterator[Draft]:
    """ "I take my coffee with cardamom"."""
    thing, part = clause.part("object"), next((part for part in clause.parts if part.prep == "with"), None)
    if clause.verb.lemma not in ("take", "drink", "eat") or clause.verb.tense != "present" or not thing or not part:
        return
    own = thing.noun in SERVED and thing.text.startswith(("my ", "our "))
    told = part.role == "prep" and part.word and part.word.is_noun and part.noun not in HEADS_OF_NOTHING
    if own and told and clause.party.is_human and not leans(part):
        yield from made(draft(only(clause, part), part, "preference", f"take|{thing.noun}|with"))


def stored(clause: Clause) -> Iterator[Draft]:
    """ "I keep my spare key under the clay heron"."""
    thing = clause.part("object")
    part = next((part for part in clause.parts if part.prep in STORING and part.role in ("prep", "place")), None)
    if clause.verb.lemma != "keep" or clause.verb.tense != "present" or not clause.party.is_self or not part:
        return
    known = thing is not None and thing.text.lower().startswith(("my ", "our ", "the ")) and thing.noun not in UNSTORED
    inside = part.text.lower().split()
    vague = inside[0] not in LEADS | {"my", "our"} or bool(VAGUE_WORDS & {*inside}) or part.noun in HEADS_OF_NOTHING
    sure = part.prep not in STORING[-3:] or part.noun in PLACES or bool(part.kind)
    if thing and known and sure and (part.is_name or not vague):
        where = replace(part, role="place", prep="", text=part.phrase)
        told = replace(clause, parts=(thing, where))
        yield from made(draft(told, where, "fact", f"keep|{fold(thing.value)}|place"))


def _is_habit(verb: Verb, part: Part) -> bool:
    """A plain noun is enough for what one always does: "I play chess", "I study law"."""
    aimed = verb.lemma in ("save", "train") and part.prep == "for" and part.noun not in HEADS_OF_NOTHING
    lasting = verb.tense == "present" and part.role in ("object", "as") and part.noun not in HEADS_OF_NOTHING
    housed = (
        verb.tense == "present"
        and part.role == "place"
        and verb.lemma in ("live", "work")
        and len(part.text.split()) <= 4
    )
    return housed or ((lasting or aimed) and len(part.text.split()) <= 4)


def event(clause: Clause) -> Iterator[Draft]:
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
    clause = totalled(_with_source(clause))
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
        if part.role == "time" and _is_hollow(told):
            continue
        topic = _event_topic(verb, part)
        if verb.lemma == "move" and part.role == "place" and not clause.part("time"):
            yield from made(draft(told, part, "fact", "live|place"))  # the newest home, in the place of the last
            continue
        alike = fold(part.value) if part.role in ("object", "company") and not part.count else ""
        if part.count and part.word and (part.word.dep == "conj" or part.word.having("conj")):
            alike = fold(part.kind)  # 7 shirts do not take the place of 5 pairs of shorts
        slot = "|".join(filter(None, (verb.lemma, part.role if part.role != "prep" else part.prep, alike)))
        part, topic = _degree(part, topic)
        yield from made(draft(_swap(told, part), part, "fact" if topic else "event", slot, topic))


def _is_hollow(told: Clause) -> bool:
    """Whether only the day is told of nothing in particular: "I had a problem on Friday"."""
    thing = told.part("object")
    return thing is not None and thing.noun in HEADS_OF_NOTHING and not thing.count and len(told.parts) == 2


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
    if counted and verb.lemma in NEED_OBJECT:
        return False  # `tallies` says how many it makes
    named = any(word[:1].isupper() for word in part.text.split())
    if part.role == "prep" and part.prep == "to" and named and verb.lemma in ("switch", "upgrade", "change", "go"):
        return True
    marked = part.role == "object" and any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    if verb.lemma in LIGHT_EVENTS and not (part.is_name or marked or part.count or part.role in ("span", "clock")):
        return False
    if part.role == "object":
        return is_telling(part) or (verb.lemma in LIFE and part.noun not in HEADS_OF_NOTHING)
    if part.role == "place":
        return part.is_name
    if part.role in ("time", "clock", "span", "company"):
        return part.role != "company" or part.is_name
    if _is_source(verb, part):
        return True
    sized = part.text.startswith("$") or re.search(r" of \d", part.text)
    return part.role in ("prep", "as") and (part.is_name or bool(sized) or bool(_degree(part, "")[1]))


def measure(clause: Clause) -> Iterator[Draft]:
    """ "My commute takes 45 minutes", "our rent costs $900"."""
    span = clause.part("span")
    if (
        clause.party.text == "it"
        and span
        and not VAGUE_WORDS - {"everything"} & {*clause.parts[-1].text.lower().split()}
    ):
        yield from made(draft(clause, span, "event", "take"))
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


def promotion(clause: Clause) -> Iterator[Draft]:
    """ "I've been made team lead"."""
    if clause.verb.lemma == "promote" and (part := clause.part("attr")):
        yield from made(draft(clause, part, "fact", "promotion"))
