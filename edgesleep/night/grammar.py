"""Grammar: the facts in a message, each with its questions and answers, by the parse of its sentences.

Owns which clauses are worth keeping: one small rule per kind of statement, and the tables they
read. Leaves the user's own voice to `reading`, clauses to `clauses` and wordings to `questions`. Must stay
true: a doubtful clause gives nothing, for junk is trained into weights; the value of a fact is a span of the message;
a fact comes with at least six sound wordings or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgesleep.night.clauses import Cast, Clause, Part, Party, Verb, called, clauses, naming, party_of, spoken_run
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Question, Target, questions, statement, target, yours
from edgesleep.night.reading import Parser, Word, read
from edgesleep.night.relations import words

MAX_VALUE_WORDS, MAX_STATEMENT_WORDS = 12, 28


@dataclass(frozen=True)
class Fact:
    """One thing told. Of two facts with the same `relation`, only the newer holds."""

    statement: str  # "Your dog is called Miso."
    statement_first: str  # "My dog is called Miso."
    value: str  # "Miso"
    relation: str  # "my dog|name"
    kind: str  # fact, preference, procedure, event or relation
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Draft:
    """A fact before its questions. `key` is the relation, `topic` the row of wordings, "" for none."""

    clause: Clause
    asked: Target
    kind: str
    key: str
    topic: str = ""


Rule = Callable[[Clause], Iterator[Draft]]

_JOBS = (
    *words("""
    ist ian smith wright keeper maker worker driver man woman grapher teacher farmer baker painter writer carpenter
    plumber butcher engineer officer lawyer trainer gardener designer developer programmer builder dancer singer tiler
    weaver potter roofer miner welder sailor tailor actor doctor editor author sculptor translator tutor conductor
    inspector director professor operator counselor counsellor accountant consultant assistant attendant student
    researcher nurse chef cook pilot judge vet clerk midwife poet architect solicitor firefighter paramedic soldier
    monk nun priest vicar actress waitress waiter mechanic diver barber banker cashier courier manager analyst
    librarian housekeeper instructor coach lecturer owner representative agent broker surgeon scientist administrator
    specialist coordinator strategist founder intern freelancer contractor electrician supervisor executive marketer
"""),
)  # how the last word of a job ends
_NO_JOBS = {*words("man woman cook owner optimist perfectionist pessimist partner beginner lover fan person")}
_TRAITS = {
    "diet": {*words("vegetarian vegan pescatarian gluten-free lactose-intolerant coeliac celiac kosher halal")},
    "marriage": {*words("married single divorced widowed engaged")},
    "religion": {*words("jewish muslim catholic hindu buddhist christian protestant sikh atheist agnostic mormon")},
}
_NATION = re.compile(r"[A-Z]\w*(?:ish|ese|[^g]ian|ean|ican)|Dutch|French|Greek|Swiss|Czech|Thai|Welsh|German")
_COLOURS = {*words("red blue green yellow orange purple violet pink black white brown grey gray teal turquoise")}
_LIKING = {*words("love like enjoy prefer hate dislike adore detest loathe stand bear")}
_ATTRIBUTES = {*words("""
    score record ethnicity height weight salary budget address size sign title team band bank number goal rate
    nickname hobby sport hometown native tongue language major minor degree breed brand colour color flavour flavor
    destination blood dream pastime car phone laptop bike camera guitar bicycle piano username handle instrument
    time pace distance best average
""")}  # fmt: skip
_HEADS_OF_NOTHING = {*words("""
    thing things lot lots bit stuff way ways time times idea ideas question questions problem problems issue issues
    trouble chance plan plans feeling feelings sense interest habit help advice tip tips suggestion suggestions
    recommendation recommendations information info experience experiences look part kind sort type something anything
    everything nothing someone people person one ones result results progress point opportunity while rest
    appointment meeting deadline headache cold pain fun trip day today weekend need need options option change
    changes number couple few some any more most all reason mind life work job success luck difference research
    purchase purchases item items example examples amount attention care effort step steps feedback impact effect
    difficulty struggle concern concerns goal goals conversation topic project projects skill skills fact
    sure much many mistake mess break message email process piece hand role control access benefit
""")}  # fmt: skip
_PERFORMERS = {*words("""
    singer actor actress author writer artist teacher player musician director poet painter athlete comedian rapper
    composer footballer character president
""")}  # fmt: skip
_FLEETING = {
    *words("point problem question guess idea opinion answer issue mistake turn request concern feeling heart hope")
}
_FLEETING |= {
    *words("day week weekend mood head appointment exam meeting flight train interview deadline shift impression")
}
# What a verb of state may be asked for, and the topic of each: "I live in Porto", "she works for Siemens".
_STATES: dict[str, dict[str, str]] = {
    "live": {"place": "home", "company": "", "span": ""},
    "work": {"place": "employer", "as": "job", "for": "employer", "span": "", "clock": ""},
    "study": {"object": "", "place": "", "span": ""},
    "teach": {"object": "", "place": ""},
    "drive": {"object": ""},
    "ride": {"object": ""},
    "play": {"object": "", "place": "", "company": ""},
    "speak": {"object": ""},
    "collect": {"object": "", "span": ""},
    "own": {"object": ""},
    "learn": {"object": ""},
    "read": {"object": ""},
    "devour": {"object": ""},
    "reside": {"place": "home"},
    "volunteer": {"place": ""},
    "train": {"for": "", "span": ""},
    "support": {"object": ""},
    "practise": {"object": "", "span": ""},
    "practice": {"object": "", "span": ""},
    "come": {"from": "origin"},
    "belong": {"to": ""},
    "keep": {"place": ""},
    "take": {"object": "", "with": ""},
    "use": {"object": "", "span": ""},
    "listen": {"to": "", "place": ""},
    "commute": {"place": "", "span": ""},
    "wake": {"clock": ""},
    "get": {"clock": ""},
    "go": {"clock": ""},
    "start": {"clock": ""},
    "stop": {"clock": ""},
    "finish": {"clock": ""},
    "leave": {"clock": ""},
    "eat": {"clock": ""},
    "run": {"object": "", "place": ""},
    "work out": {},
    "raise": {"object": ""},
    "grow": {"object": ""},
    "coach": {"object": ""},
    "manage": {"object": ""},
    "rent": {"object": ""},
    "watch": {"object": ""},
    "save": {"for": ""},
    "aim": {},
    "date": {"object": ""},
    "restore": {"object": ""},
    "attend": {"object": ""},
}
_ONGOING = {*words("""
    live work study learn read devour train collect play teach practise practice use take listen volunteer watch
    restore save date attend rent
""")}  # fmt: skip
# Verbs of the past that tell of talk, thought or moods, not of what happened.
_NO_EVENT = {*words("""
    be have do think guess wonder hope notice realize realise feel know hear mean say tell ask want need try look
    seem consider plan decide forget remember mention believe suppose understand agree expect worry talk speak
    discuss chat see get let make go come take keep put give show help like love enjoy hate use happen appear prefer
    explain suggest recommend answer reply intend manage struggle fail start begin stop end continue work focus end
    figure turn check deal face wish dream imagine assume doubt refer share follow search google experience
    appreciate thank turn bring live read study collect teach find hit
""")}  # fmt: skip
# ... of which these happened nonetheless, if what they are asked for is a name, a number or a place.
_LIGHT_EVENTS = {
    *words("get make go take see bring give start live study work read teach come use put have find hit do")
}
_NEED_OBJECT = {*words("""
    get have make take see bring give read use put buy find spend complete finish collect devour purchase order receive
    win lose build bake cook add sell keep own
""")}  # fmt: skip
_LIFE = {*words("buy purchase adopt sell join build restore paint inherit")}
_DEFINITE = {*words("the this that these those his her its their your such another")}
_VAGUE_WORDS = {*words("""
    it them that this these those there one ones he she his her him they their something everything anything who which what
    its himself herself myself itself how why some your you such
""")}  # fmt: skip


def facts(text: str, nlp: Parser) -> tuple[Fact, ...]:
    """The facts of one message of the user, in the order in which they are told. Never raises on text."""
    cast = Cast()
    found: dict[str, Fact] = {}
    for sentence in read(text, nlp):
        for draft in _drafts(sentence, cast):
            fact = _finished(draft, text)
            if fact and fact.statement + fact.value not in found:
                found[fact.statement + fact.value] = fact
        for fact in _instructions(sentence):
            found.setdefault(fact.statement, fact)
    return tuple(found.values())


def _finished(draft: Draft, text: str) -> Fact | None:
    """A draft with its wordings, where its value and its length are sound."""
    told = statement(draft.clause)
    value = draft.asked.value
    sound = 0 < len(value.split()) <= MAX_VALUE_WORDS and len(told.split()) <= MAX_STATEMENT_WORDS
    message = f" {fold(text)} "
    if any(f" {fold(part.value)} " not in message or part.text.endswith("-") for part in draft.clause.parts):
        return None  # the parse has put together what does not stand together
    if not sound or not fold(value) or f" {fold(value)} " not in message or _VAGUE_WORDS & {*value.lower().split()}:
        return None
    asked = questions(draft.clause, draft.asked, draft.topic, yours(told))
    if not asked:
        return None
    return Fact(yours(told), told, value, draft.key.lower(), draft.kind, asked)


def _drafts(sentence: Sequence[Word], cast: Cast) -> Iterator[Draft]:
    for clause in (
        *_nicknames(sentence),
        *_restated(sentence, cast),
        *_made_and_named(sentence),
        *clauses(sentence, cast),
    ):
        if any(part.role == "other" for part in clause.parts):
            continue
        objects = sum(part.role == "object" for part in clause.parts)
        lacking = not objects and clause.verb.lemma in _NEED_OBJECT and not re.match(r"get \w", clause.verb.rest)
        if objects > 1 and clause.verb.lemma not in ("paint", "repaint", "dye") or lacking and not clause.part("clock"):
            continue
        for rule in RULES:
            drafts = [draft for draft in rule(clause) if draft is not None]
            yield from drafts
            if drafts and rule is not _lasting:
                break


def _draft(clause: Clause, part: Part, kind: str, slot: str, topic: str = "") -> Draft | None:
    """A draft that asks for one part; the key tells apart what else was said, but not the value."""
    asked = target(clause, part)
    if asked is None:
        return None
    rest = " ".join(fold(other.phrase) for other in clause.parts if other is not part and kind == "event")
    return Draft(clause, asked, kind, "|".join(filter(None, (clause.party.text, slot, rest))), topic)


def _only(clause: Clause, *parts: Part | None) -> Clause:
    """The clause without parts that say nothing by themselves: pronouns, and things known only from context."""
    kept = [part for part in clause.parts if part in parts or not _leans(part)]
    return replace(clause, parts=tuple(kept[:4]))


def _leans(part: Part) -> bool:
    """Whether a part is understood only next to what was said before it."""
    inside = part.text.lower().split()
    if _VAGUE_WORDS & {*inside} or not inside:
        return True
    return inside[0] in _DEFINITE and not any(word[:1].isupper() for word in part.text.split()[1:])


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
    if part is None or len(part.value.split()) > 5 or party.text == "we" or party.noun in _VAGUE_WORDS:
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
    made = _draft(told, told.parts[0], "relation" if party.is_human and not party.is_self else "fact", "name", topic)
    if made:
        yield made


def _as_name(part: Part | None) -> Part | None:
    """What a name is said to be; the parser takes Rosalind for an adjective."""
    return replace(part, is_name=True) if part and all(word[:1].isupper() for word in part.value.split()) else None


def _role(clause: Clause) -> Iterator[Draft]:
    """ "I'm a nurse", "my father was a builder", "I'm vegetarian", "I'm 43 years old", "I'm from Leeds"."""
    party, verb = clause.party, clause.verb
    if verb.lemma != "be" or not (party.is_human or party.is_animal) or verb.tense == "past" and party.is_self:
        return
    attr, adj = clause.part("attr"), clause.part("adj")
    place = next((p for p in clause.parts if p.prep == "from" and p.is_name), None)
    if verb.tense == "used" and attr and not _leans(attr) and party.text == "I":
        yield from _made(_draft(replace(clause, parts=(attr,)), attr, "fact", "used to be"))
    elif attr and verb.tense == "present" and (years := _years(attr)) and len(clause.parts) == 1:
        yield Draft(clause, Target(years, "how old", ()), "fact", f"{party.text}|age", "age")
    elif attr and attr.noun in _TRAITS["diet"] | _TRAITS["religion"]:
        yield from _trait(clause, attr)
    elif attr and attr.word and _is_job(attr) and attr.word.tag != "NNP":
        yield from _job(clause, attr)
    elif attr and party.is_animal and not party.is_human and verb.tense == "present":
        if (
            not _leans(attr)
            and attr.noun not in _HEADS_OF_NOTHING
            and Party("", attr.noun).is_animal
            and not party.plural
        ):
            yield from _made(_draft(replace(clause, parts=(attr,)), attr, "fact", "breed", "breed"))
    elif attr and attr.noun == "fan" and (of := next((p for p in clause.parts if p.prep == "of"), None)):
        yield from _made(_draft(clause, of, "preference", f"fan|{fold(of.value)}"))
    elif attr and attr.is_name and party.text != "I" and not _NATION.fullmatch(attr.value) and attr.text == attr.value:
        told = replace(clause, parts=(attr,))
        yield from _made(_draft(told, attr, "relation", "name"))
    elif adj and adj.word:
        yield from _adjective(clause, adj)
    elif place and len(clause.parts) == 1:
        yield from _made(_draft(clause, place, "fact", "origin", "origin"))


def _job(clause: Clause, attr: Part) -> Iterator[Draft]:
    """ "a carpenter in Gdańsk" is a carpenter, and works there."""
    bare, _, place = attr.text.partition(" in ") if attr.text.count(" in ") == 1 else (attr.text, "", "")
    job = replace(attr, text=bare, value=attr.value.partition(" in ")[0] if place else attr.value)
    yield from _made(_draft(replace(clause, parts=(job,)), job, "fact", "job", "job"))
    if place and place[:1].isupper() and clause.verb.tense == "present":
        works = ("do", "work") if clause.party.text in ("I", "we") or clause.party.plural else ("does", "works")
        verb = Verb("work", works[0], "work", works[1], "present")
        where = Part("place", "in", place, place, is_name=True)
        yield from _made(_draft(Clause(clause.party, verb, (where,)), where, "fact", "work|place", "employer"))


def _years(attr: Part) -> str:
    """The number of "I'm 19" and "I'm a 56 year old woman"."""
    match = re.fullmatch(r"(\d{1,2})|an? (\d{1,3})[- ]years?[- ]old (?:man|woman|boy|girl|male|female)", attr.text)
    return (match[1] or match[2]) if match else ""


def _is_job(attr: Part) -> bool:
    noun = attr.noun.lower()
    lead = attr.text.split()[0].lower()
    return noun not in _NO_JOBS and noun.endswith(_JOBS) and len(attr.value.split()) <= 6 and lead not in _DEFINITE


def _adjective(clause: Clause, adj: Part) -> Iterator[Draft]:
    of = next((part for part in clause.parts if part.role == "prep"), None)
    if adj.noun == "allergic" and of and of.prep == "to" and not _leans(of):
        told = replace(clause, parts=(replace(adj, text="allergic"), of))
        yield from _made(_draft(told, of, "fact", f"allergy|{fold(of.value)}", "allergy"))
    elif adj.noun == "old" and adj.word and any(year.having("nummod") for year in adj.word.having("npadvmod")):
        number = next(w.text for year in adj.word.having("npadvmod") for w in year.having("nummod"))
        told = replace(clause, parts=(adj,))
        yield Draft(
            told, Target(number, "how old", (), short=f"{number} years old"), "fact", f"{clause.party.text}|age", "age"
        )
    elif adj.noun in ("afraid", "scared", "terrified") and of and of.prep == "of" and not _leans(of):
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
    topic = next((topic for topic, known in _TRAITS.items() if value in known), "")
    if not topic and _NATION.fullmatch(part.value):
        topic = "nationality"
    if topic and not (topic == "marriage" and clause.part("company")):
        yield from _made(_draft(replace(clause, parts=(part,)), part, "fact", topic, topic))


def _made(draft: Draft | None) -> Iterator[Draft]:
    if draft:
        yield draft


def _attribute(clause: Clause) -> Iterator[Draft]:
    """ "My favourite colour is green", "my highest score is 124 points", "my birthday is on 3 March"."""
    party, verb = clause.party, clause.verb
    if verb.lemma != "be" or party.is_self or party.is_human or party.noun in _FLEETING | {"name"}:
        return
    favourite = bool(re.match(r"(?:my|our) (?:all-time )?favou?rite ", party.text))
    topic = "favourite" if favourite and re.match(r"(?:my|our) favou?rite ", party.text) and not party.plural else ""
    if topic and party.noun in _PERFORMERS:
        topic = "favourite person"
    for part in clause.parts:
        if part.role == "attr" and not _leans(part) and _fits_attribute(part, party, favourite):
            told = _only(replace(clause, parts=tuple(p for p in clause.parts if p.role != "adverb")), part)
            yield from _made(_whole(told, part, topic))
            return
        if part.role == "adj" and (favourite or part.noun in _COLOURS) and len(part.value.split()) <= 2:
            yield from _made(_draft(replace(clause, parts=(part,)), part, "fact", "is", topic))
            return
        if part.role in ("time", "clock", "place") and not _leans(part) and (part.role != "place" or part.is_name):
            topic = "birthday" if part.role == "time" and part.prep == "on" else ""
            yield from _made(_draft(replace(clause, parts=(part,)), part, "fact", f"is|{part.role}", topic))
            return


def _whole(clause: Clause, part: Part, topic: str) -> Draft | None:
    """An attribute is asked for with its number and unit: "132 points", not how many of them."""
    made = _draft(clause, replace(part, count=""), "fact", "is", topic)
    return (
        replace(made, asked=replace(made.asked, left=tuple(p.phrase for p in clause.parts if p is not part)))
        if made
        else None
    )


def _fits_attribute(part: Part, party: Party, favourite: bool) -> bool:
    named = part.is_name or any(word[:1].isupper() for word in part.value.split())
    if part.noun in _HEADS_OF_NOTHING and not part.count:
        return False
    known = party.noun in _ATTRIBUTES or party.is_animal or party.text.startswith("the ")
    return favourite or (known and (named or bool(part.count or part.kind))) or (named and part.text == part.value)


def _having(clause: Clause) -> Iterator[Draft]:
    """ "I have 20 playlists on Spotify", "we have a dog called Miso", "my sister has a bakery"."""
    part = clause.part("object")
    if clause.verb.lemma not in ("have", "own") or clause.verb.tense not in ("present", "used"):
        return
    if part is None or part.word is None or not (clause.party.is_self or clause.party.is_human):
        return
    clause = _totalled(_only(clause, part))
    part = clause.part("object")
    if part is None or part.noun in _HEADS_OF_NOTHING or _leans(part) and not part.count:
        return
    slot = f"have|{part.noun}"
    if part.count and part.kind and part.noun not in ("year", "month", "week", "day", "hour", "minute"):
        yield from _made(_draft(clause, part, "fact", slot))
    elif Party("", part.noun).is_animal and part.word.tag == "NN":
        yield from _made(
            _draft(
                replace(clause, parts=(part,)),
                part,
                "fact",
                f"{slot}|{fold(part.value)}",
                "pet" if clause.verb.tense == "present" else "",
            )
        )
    elif (of := next((p for p in clause.parts if p.prep == "in"), None)) and part.noun in ("degree", "phd", "master"):
        yield from _made(_draft(clause, of, "fact", "degree", "degree"))
    elif part.kind and _is_telling(part):
        yield from _made(_draft(clause, part, "fact", f"{slot}|{fold(part.value)}"))


def _totalled(clause: Clause) -> Clause:
    """ "a total of 37 coins" is 37 coins."""
    parts = []
    for part in clause.parts:
        match = re.fullmatch(r"(?:a total of|about|around|over|roughly|exactly) (\d[\d,]*) (.+)", part.text)
        parts.append(
            replace(part, text=f"{match[1]} {match[2]}", count=match[1], kind=match[2], noun="") if match else part
        )
    return replace(clause, parts=tuple(parts))


def _preference(clause: Clause) -> Iterator[Draft]:
    """ "I love rock climbing", "I can't stand coriander", "I prefer tea to coffee"."""
    verb, party = clause.verb, clause.party
    if verb.lemma not in _LIKING or verb.tense not in ("present", "used") or not party.is_human:
        return
    if (verb.lemma in ("stand", "bear")) != verb.finite.startswith("can't"):
        return
    part = clause.part("object", "gerund", "verb")
    coloured = part is not None and part.text.startswith(("the color ", "the colour "))
    if part and part.role == "gerund" and part.value in _BARE:
        return
    if part is None or _leans(part) and not coloured or part.noun in _HEADS_OF_NOTHING or len(part.value.split()) > 8:
        return
    start = part.text.lower()
    known = start.startswith(("the ", "my ", "all the ", "both ")) and not start.startswith(("the color", "the colour"))
    if part.role == "object" and part.word and (part.word.tag == "PRP" or known):
        return
    told = _only(clause, part)
    told = replace(
        told, parts=tuple(p for p in told.parts if p is part or p.prep in ("to", "over", "for", "with", "in"))
    )
    slot = f"{verb.finite}|{' '.join(p.phrase for p in told.parts if p is not part) if verb.lemma == 'prefer' else fold(part.value)}"
    yield from _made(_draft(told, replace(part, count="", kind="") if not part.count else part, "preference", slot))


def _lasting(clause: Clause) -> Iterator[Draft]:
    """ "I've been playing volleyball with friends for two months"."""
    span, verb = clause.part("span"), clause.verb
    if (
        span
        and verb.finite.startswith(("have been ", "has been "))
        and clause.party.is_human
        and verb.lemma not in _NO_SPAN
    ):
        thing = clause.part("object")
        told = _only(clause, span)
        if len(told.parts) > 1 and not (thing and _leans(thing)):
            yield from _made(
                _draft(told, span, "fact", f"{verb.lemma}|span|{' '.join(fold(p.text) for p in told.parts[:1])}")
            )


_NO_SPAN = {
    *words("have look try think wonder feel struggle deal want need plan consider wait search hope mean be use")
}


_BARE = {*words("watching seeing helping having making getting doing using being going trying taking putting")}


def _state(clause: Clause) -> Iterator[Draft]:
    """ "I live in Porto", "my wife works as a vet", "I'm reading Oblomov", "I usually get up at 5:40"."""
    verb, party = clause.verb, clause.party
    wanted = _STATES.get(verb.lemma)
    if wanted is None or not party.is_human or verb.tense not in ("present", "progressive", "used"):
        return
    if verb.tense == "progressive" and verb.lemma not in _ONGOING or verb.lemma == "read" and verb.tense == "present":
        return  # "I read Oblomov" is of the past
    thing = clause.part("object")
    if thing and _leans(thing) and not (verb.lemma == "play" and thing.text.startswith("the ")):
        return
    for part in clause.parts:
        slot = part.role if part.role in wanted else part.prep
        part = _titled(part)
        definite = verb.lemma == "play" and part.text.startswith("the ")
        if slot not in wanted or _leans(part) and not definite or not _is_telling(part) and not _is_habit(verb, part):
            continue
        if (
            part.role == "object"
            and verb.lemma in ("take", "use", "run", "watch", "get", "support", "start")
            and not part.is_name
        ):
            continue
        told = _only(clause, part)
        topic = wanted[slot] if verb.tense != "used" and not verb.finite.startswith("have been") else ""
        if topic == "job":
            told = replace(told, parts=(part,))
        alike = fold(part.value) if part.role == "object" and not part.count else ""
        yield from _made(_draft(told, part, "fact", "|".join(filter(None, (verb.lemma, slot, alike))), topic))


def _routine(clause: Clause) -> Iterator[Draft]:
    """ "I walk three miles every day", "we play tennis every other week"."""
    part = clause.part("often")
    if part and clause.verb.tense == "present" and clause.party.is_human and clause.verb.lemma not in ("be", "have"):
        if clause.verb.lemma not in _NO_EVENT | {"feel"} or clause.verb.lemma in _LIGHT_EVENTS:
            if not clause.part("object") or not _leans(clause.part("object") or part):
                told = _only(clause, part)
                if len(told.parts) > 1 or clause.verb.lemma in ("swim", "run", "exercise", "meditate", "jog"):
                    yield from _made(_draft(told, part, "fact", f"{clause.verb.lemma}|often"))


def _is_habit(verb: Verb, part: Part) -> bool:
    """A plain noun is enough for what one always does: "I play chess", "I study law"."""
    lasting = verb.tense == "present" and part.role in ("object", "as") and part.noun not in _HEADS_OF_NOTHING
    housed = (
        verb.tense == "present"
        and part.role == "place"
        and verb.lemma in ("live", "work")
        and len(part.text.split()) <= 4
    )
    return housed or lasting and len(part.text.split()) <= 4


def _event(clause: Clause) -> Iterator[Draft]:
    """ "I bought a Brompton", "we moved to Porto", "I graduated in 2011", "I've finished 10 videos"."""
    verb, party = clause.verb, clause.party
    if verb.tense not in ("past", "perfect", "past perfect") or not party.is_human or verb.lemma == "be":
        return
    thing = clause.part("object")
    if (
        thing
        and thing.word
        and (_leans(thing) or thing.word.tag == "PRP")
        or clause.part("gerund", "verb", "attr", "adj")
    ):
        return
    if verb.lemma in _NO_EVENT and verb.lemma not in _LIGHT_EVENTS:
        return
    clause = _totalled(clause)
    clause = replace(clause, parts=tuple(_titled(part) for part in clause.parts))
    if verb.lemma in ("spend", "take", "bring", "put", "give") and len(_only(clause).parts) < 2:
        return
    for part in clause.parts:
        if _leans(part) or not _happened(verb, party, part):
            continue
        told = _only(clause, part)
        topic = _event_topic(verb, part)
        alike = fold(part.value) if part.role in ("object", "company") and not part.count else ""
        slot = "|".join(filter(None, (verb.lemma, part.role if part.role != "prep" else part.prep, alike)))
        part, topic = _degree(part, topic)
        yield from _made(_draft(_swap(told, part), part, "fact" if topic else "event", slot, topic))


def _titled(part: Part) -> Part:
    """Of "a book called Dune", the title is the answer."""
    title = called(part.word) if part.word and part.role in ("object", "prep") else ""
    if not title or part.is_name or not part.word:
        return part
    return replace(part, text=f"{part.text} called {title}", value=title, kind=part.word.text, is_name=True, count="")


def _degree(part: Part, topic: str) -> tuple[Part, str]:
    """Of "a degree in Business Administration", the subject is the answer."""
    match = re.fullmatch(r"(?:an? )?(.*\b(?:degree|PhD|master's|bachelor's|diploma|MBA|BA|MA)) in (.+)", part.text)
    return (replace(part, value=match[2]), "degree") if match else (part, topic)


def _swap(clause: Clause, part: Part) -> Clause:
    return replace(
        clause, parts=tuple(part if p.text == part.text and p.role == part.role else p for p in clause.parts)
    )


def _event_topic(verb: Verb, part: Part) -> str:
    return "upbringing" if verb.lemma == "grow" and part.role == "place" and verb.rest.endswith(" up") else ""


def _happened(verb: Verb, party: Party, part: Part) -> bool:
    """Whether a part of a past event is worth being asked for."""
    if (
        verb.lemma == "have"
        and part.role != "span"
        or verb.lemma in _NEED_OBJECT
        and part.text.startswith(("my ", "our "))
    ):
        return False
    marked = part.role == "object" and any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    if verb.lemma in _LIGHT_EVENTS and not (part.is_name or marked or part.count or part.role in ("span", "clock")):
        return False
    if part.role == "object":
        return _is_telling(part) or verb.lemma in _LIFE and part.noun not in _HEADS_OF_NOTHING
    if part.role == "place":
        return part.is_name
    if part.role in ("time", "clock", "span", "company"):
        return part.role != "company" or part.is_name
    sized = part.text.startswith("$") or re.search(r" of \d", part.text)
    return part.role in ("prep", "as") and (part.is_name or bool(sized) or bool(_degree(part, "")[1]))


def _is_telling(part: Part) -> bool:
    """A name, a number or a described thing, not a word that could stand for anything."""
    if part.noun in _HEADS_OF_NOTHING and not (part.count and part.kind):
        return False
    named = any(word[:1].isupper() or word[:1].isdigit() for word in part.text.split())
    return (
        named or part.role in ("span", "clock", "time") or (part.role in ("object", "as", "prep") and bool(part.kind))
    )


def _measure(clause: Clause) -> Iterator[Draft]:
    """ "My commute takes 45 minutes", "our rent costs $900"."""
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


RULES: tuple[Rule, ...] = (_name, _role, _attribute, _having, _preference, _routine, _lasting, _state, _event, _measure)


# ---- statements without a clause of their own


def _nicknames(sentence: Sequence[Word]) -> Iterator[Clause]:
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


def _made_and_named(sentence: Sequence[Word]) -> Iterator[Clause]:
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


def _words_of(name: Word) -> list[Word]:
    return [word for word in name.subtree() if word.is_name]


def _restated(sentence: Sequence[Word], cast: Cast) -> Iterator[Clause]:
    """ "my highest score in Ticket to Ride - 132 points", "my mixed ethnicity - Irish and Italian"."""
    for word in sentence:
        if word.lemma not in _ATTRIBUTES or not word.having("poss"):
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
            part = Part("attr", "", text, text, value[-1].lemma, is_name=True)
            plural = "are" if party.plural else "is"
            yield Clause(party, Verb("be", plural, "", plural, "present"), (part,))


def _instructions(sentence: Sequence[Word]) -> Iterator[Fact]:
    """ "Always give me Celsius", "when I ask for a recipe, keep it short"."""
    root = next((word for word in sentence if word.dep == "ROOT"), None)
    if root is None or root.tag not in ("VB", "VBP") or root.having("nsubj", "aux"):
        return
    first = sentence[0].lower if sentence[0].lower != "please" else sentence[1].lower
    marker = next((w for w in root.having("advmod", "neg") if w.lower in ("always", "never")), None)
    when = next((c for c in root.having("advcl") if any(w.lower in ("when", "whenever") for w in c.children)), None)
    if when and any(w.lower == "i" for w in when.having("nsubj")):
        yield from _procedure(sentence, root, when)
    elif marker and first in ("always", "never", root.lower):
        body = spoken_run([w for w in sentence if w.index >= root.index and w.text != "."])
        yield from _standing(marker.lower, body[:1].lower() + body[1:])


def _standing(marker: str, body: str) -> Iterator[Fact]:
    inner = _turned(body)
    full = f"I should {marker} {inner}."
    rows = (
        (f"what should you {marker} do?", f"what you should {marker} do"),
        (f"what did I ask you to {marker} do?", f"what I asked you to {marker} do"),
        (f"what have I told you to {marker} do?", f"what I have told you to {marker} do"),
    )
    if not _VAGUE_WORDS - {"you", "your"} & {*body.lower().split()}:
        yield _told_to(f"{marker.capitalize()} {body}.", full, body, f"you|{marker}|{body.split()[0]}", inner, rows)


def _procedure(sentence: Sequence[Word], root: Word, when: Word) -> Iterator[Fact]:
    inside = {w.index for w in when.subtree()}
    body = spoken_run([w for w in sentence if w.index not in inside and w.index >= root.index and w.dep != "punct"])
    occasion = spoken_run([w for w in when.subtree() if w.dep != "punct" or w.text == "-"])
    occasion, body = occasion[:1].lower() + occasion[1:], body[:1].lower() + body[1:]
    full = f"{yours(occasion)}, I should {_turned(body)}."
    rows = (
        (f"what should you do {occasion}?", f"what you should do {occasion}"),
        (f"what did I ask you to do {occasion}?", f"what I asked you to do {occasion}"),
        (f"what have I told you to do {occasion}?", f"what I have told you to do {occasion}"),
    )
    full, told = full[:1].upper() + full[1:], f"{occasion[:1].upper()}{occasion[1:]}, {body}."
    yield _told_to(told, full, body, f"you|{fold(occasion)}", _turned(body), rows)


def _turned(body: str) -> str:
    """An instruction in the assistant's mouth: "give me" is "give you"."""
    other = {"your": "my", "yourself": "myself", "you": "I"}
    return " ".join(other.get(word.lower(), yours(word)) for word in body.split())


def _told_to(told: str, full: str, value: str, key: str, short: str, rows: Sequence[tuple[str, str]]) -> Fact:
    made = []
    for ask, wonder in rows:
        for frame in ("{ask}", "Do you remember {wonder}?", "Can you tell me {wonder}?"):
            text = frame.format(ask=ask, wonder=wonder)
            made.append(Question(text[:1].upper() + text[1:], short[:1].upper() + short[1:] + ".", full, ask, wonder))
    return Fact(full, told, value, key, "procedure", tuple(made))
