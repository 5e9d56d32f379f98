"""Questions: a clause and one of its parts, turned into what the user may ask and what is answered.

Owns wh-fronting with inversion and do-support, the wordings of frequent topics, and the change of
person. Leaves what is a fact to `grammar` and the gate's held-out frames to `phrases`. Must stay true: a question
never holds its own answer, none can be answered by yes or no, the user says I and the assistant says you.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from edgesleep.night.clauses import Clause
from edgesleep.night.lexicon import ACQUIRING, COLOURS, DAYS, UNITS, capital
from edgesleep.night.parties import Party
from edgesleep.night.parts import Part
from edgesleep.night.phrases import right
from edgesleep.records import Question

WANTED, MOST = 6, 14
_LONGEST = 30  # words of a question

# Frames for training; those of `phrases.HELD` are the gate's and stand in none of these.
_FRAMES = (
    "Do you remember {wonder}?",
    "Can you tell me {wonder}?",
    "Please tell me {wonder}.",
    "Do you know {wonder}?",
    "Tell me, {ask}",
    "Have I told you {wonder}?",
    "I would like to know {wonder}.",
    "So, {ask}",
)
# The wordings of frequent topics, "direct|embedded": {p} my brother, {ps} my brother's; {do} {is} {has} {s} agree with
# {p}.
_TOPICS = {
    "own name": (
        "What is my name?|what my name is",
        "What am I called?|what I am called",
        "What do people call me?|what people call me",
        "What name do I go by?|what name I go by",
        "What should you call me?|what you should call me",
    ),
    "name": (
        "What {is} {p} called?|what {p} {is} called",
        "What is {ps} name?|what {ps} name is",
        "What name {do} {p} have?|what name {p} {has}",
        "What do I call {p}?|what I call {p}",
    ),
    "names": (
        "What are {p} called?|what {p} are called",
        "What are {ps} names?|what {ps} names are",
        "What do I call {p}?|what I call {p}",
    ),
    "job": (
        "What {do} {p} do for a living?|what {p} {does} for a living",
        "What is {ps} job?|what {ps} job is",
        "What is {ps} profession?|what {ps} profession is",
        "What kind of work {do} {p} do?|what kind of work {p} {does}",
    ),
    "home": (
        "Where {do} {p} live?|where {p} live{s}",
        "Where is {ps} home?|where {ps} home is",
        "What place {do} {p} live in?|what place {p} live{s} in",
    ),
    "employer": (
        "Where {do} {p} work?|where {p} work{s}",
        "Where {is} {p} employed?|where {p} {is} employed",
        "What is {ps} place of work?|what {ps} place of work is",
    ),
    "origin": (
        "Where {is} {p} from?|where {p} {is} from",
        "Where {do} {p} come from?|where {p} come{s} from",
    ),
    "upbringing": ("Where did {p} grow up?|where {p} grew up", "Where {was} {p} raised?|where {p} {was} raised"),
    "age": ("How old {is} {p}?|how old {p} {is}", "What is {ps} age?|what {ps} age is"),
    "allergy": (
        "What {is} {p} allergic to?|what {p} {is} allergic to",
        "What allergy {do} {p} have?|what allergy {p} {has}",
        "What should {p} avoid because of an allergy?|what {p} should avoid because of an allergy",
    ),
    "ban": (
        "What {do} {p} have to avoid?|what {p} {has} to avoid",
        "What {do} {p} have to stay away from?|what {p} {has} to stay away from",
    ),
    "degree": (
        "What degree {do} {p} have?|what degree {p} {has}",
        "What is {ps} degree in?|what {ps} degree is in",
        "What did {p} study for {ps} degree?|what {p} studied for {ps} degree",
    ),
    "diet": (
        "What diet {do} {p} follow?|what diet {p} follow{s}",
        "What is {ps} diet?|what {ps} diet is",
        "What are {ps} eating habits?|what {ps} eating habits are",
    ),
    "marriage": (
        "What is {ps} marital status?|what {ps} marital status is",
        "What is {ps} relationship status?|what {ps} relationship status is",
    ),
    "nationality": (
        "What nationality {is} {p}?|what nationality {p} {is}",
        "What is {ps} nationality?|what {ps} nationality is",
    ),
    "religion": ("What is {ps} religion?|what {ps} religion is", "What faith {is} {p}?|what faith {p} {is}"),
    "pet": (
        "What pet {do} {p} have?|what pet {p} {has}",
        "What kind of pet {do} {p} have?|what kind of pet {p} {has}",
        "What animal {do} {p} have at home?|what animal {p} {has} at home",
    ),
    "birthday": (
        "When is {p}?|when {p} is",
        "On what day is {p}?|on what day {p} is",
        "What is the date of {p}?|what the date of {p} is",
    ),
    "limit": (
        "What is {ps} limit?|what {ps} limit is",
        "What is the limit for {whom}?|what the limit for {whom} is",
    ),
    "known limit": (
        "What is {ps} {noun} limit?|what {ps} {noun} limit is",
        "What is the {noun} limit for {whom}?|what the {noun} limit for {whom} is",
    ),
    "favourite person": (
        "Who is {p}?|who {p} is",
        "What {kind} do I like best?|what {kind} I like best",
        "What {kind} do I like more than any other?|what {kind} I like more than any other",
    ),
    "breed": (
        "What breed is {p}?|what breed {p} is",
        "What kind of animal is {p}?|what kind of animal {p} is",
        "What is the breed of {p}?|what the breed of {p} is",
    ),
    "favourite": (
        "What is {p}?|what {p} is",
        "What {kind} do I like best?|what {kind} I like best",
        "What {kind} do I like more than any other?|what {kind} I like more than any other",
    ),
}
# What an object is asked for by: "What book am I reading?"
_OBJECTS = {"read": "book", "devour": "book", "drive": "car", "speak": "language", "study": "subject"}
_COLOURED = {"shade", "color", "colour", "tone"}
_SYNONYMS = {
    "buy": ("purchase", "purchased"),
    "purchase": ("buy", "bought"),
    "attend": ("go to", "went to"),
    "complete": ("finish", "finished"),
    "finish": ("complete", "completed"),
    "obtain": ("get", "got"),
}
_PERSON_VERBS = {"meet", "marry", "date", "interview", "hire"}


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
class Target:
    """What of a clause is asked for: the span of the answer, and how it is asked for."""

    value: str
    wh: str
    left: tuple[str, ...]  # the phrases of the clause that stay in the question, a stranded preposition in its place
    more: tuple[str, ...] = ()  # other ways to begin: "What kind of lens"
    short: str = ""  # the value as an answer by itself, where that is more than the value: "a carpenter"


def statement(clause: Clause) -> str:
    """The clause in the user's mouth, as a sentence."""
    return _sentence(" ".join([clause.party.text, clause.verb.finite, *(part.phrase for part in clause.parts)]))


def yours(text: str) -> str:
    """A sentence in the user's mouth, turned round into the assistant's."""
    turned = text
    for pattern, form in _TURNS:
        turned = re.sub(pattern, form, turned)
    turned = re.sub(rf"\b(?:{'|'.join(_YOURS)})\b", lambda match: _YOURS[match[0]], turned)
    return capital(turned) if text[:1].isupper() else turned


_TURNS = ((r"\bI am\b", "you are"), (r"\bI was\b", "you were"), (r"\bI'm\b", "you are"))
_YOURS = {
    "I": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "we": "you", "us": "you",
    "our": "your", "ours": "yours", "ourselves": "yourselves",
}  # fmt: skip
_YOURS |= {word.capitalize(): form.capitalize() for word, form in _YOURS.items() if word != "I"}


def target(clause: Clause, part: Part) -> Target | None:
    """How to ask for a part; None where no wording is sure to be grammatical."""
    verb = clause.verb

    def asked(wh: str, tail: str = "", *more: str, value: str = part.value, short: str = "") -> Target:
        same = [(other.role, other.phrase) == (part.role, part.phrase) for other in clause.parts]
        phrases = (tail if is_it else other.phrase for other, is_it in zip(clause.parts, same, strict=True))
        return Target(value, wh, tuple(phrase for phrase in phrases if phrase), more, short)

    if verb.lemma == "spend" and part.role == "object" and part.noun in UNITS:
        return asked("how long", "", "how much time")
    if part.count and part.kind and part.role in ("object", "prep"):
        numbers = (f"what number of {part.kind}",) if part.role == "object" else ()
        rest = part.text.partition(part.kind)[2].strip() if part.role == "object" else ""
        return asked(f"how many {part.kind}", part.prep or rest, *numbers, value=part.count)
    if part.prep in ("for", "at") and part.text.startswith("$"):
        return asked("how much", part.prep, "what amount")
    measure = re.fullmatch(
        r"(?:an? |my |the )?([\w -]+?) of (\d.*?)(?: (?:during|at|in|on|for|with|since) .*)?", part.text
    )
    if measure and part.role in ("object", "prep") and part.prep not in _UNSTRANDED:
        return asked(f"what {measure[1]}", part.prep, value=measure[2])
    if part.role == "object":
        wh, more = _object(clause, part)
        after = part.text.partition(part.value)[2].strip()  # "for the party" of "a cake for the party"
        return asked(wh, after, *more, short=part.text)
    if part.role in ("gerund", "verb"):
        return asked("what", "doing" if part.role == "gerund" else "to do", value=part.value.removeprefix("to "))
    if part.role == "often":
        daily = any(day in part.value.lower() for day in DAYS)
        return asked("when", "", "how often") if daily else asked("how often")
    if part.prep == "from" and part.role == "prep" and verb.lemma in ACQUIRING:
        return asked("where", "from", "what place", short=part.phrase)
    if part.role == "place":
        stays = part.prep in ("from", "to") and verb.lemma not in ("go", "travel", "fly", "return", "move")
        lost = verb.rest.endswith((" up", " down", " back", " out", " over")) and verb.lemma != "grow"
        return None if lost else asked("where", part.prep if stays else "", short=part.text)
    if part.role == "time":
        return asked("when") if part.prep in ("in", "on", "during", "at") else None
    if part.role == "clock":
        return asked("what time", "", "when") if part.prep not in ("until", "from") else None
    if part.role == "span":
        return asked("how long", "", "for how long", short=part.text)
    if part.role in ("company", "as", "prep"):
        governed = part.prep == "on" and clause.part("object") is not None  # "put a deposit on a car"
        sound = governed or (part.prep not in _UNSTRANDED and (part.prep != "from" or verb.lemma in ("come", "be")))
        return asked("who" if part.role == "company" else "what", part.prep, short=part.text) if sound else None
    if part.role == "adj" and part.noun in COLOURS:
        return asked("what colour", "", "what color")
    human = part.is_name and clause.party.is_human and part.role == "attr"
    return asked("who" if human else "what", short=part.text) if part.role in ("attr", "name", "adj") else None


# Prepositions whose noun is not asked for: "on what did I ...?" is rarely a question of anyone's.
_UNSTRANDED = {
    "of",
    "on",
    "over",
    "through",
    "during",
    "after",
    "before",
    "since",
    "by",
    "than",
    "like",
    "in",
    "at",
    "out",
}


def _object(clause: Clause, part: Part) -> tuple[str, tuple[str, ...]]:
    """The wh-word of an object, and others that fit."""
    lemma = clause.verb.lemma
    if part.text.startswith("$"):
        return "how much", ("how much money",) if lemma == "spend" else ()
    if part.is_name and lemma in _PERSON_VERBS and not part.text.lower().startswith("the "):
        return "who", ()
    if part.noun in _COLOURED and lemma.removeprefix("re") in ("paint", "dye", "colour", "color"):
        return "what color", ("what colour",)
    if part.kind and part.is_name:
        return f"what {part.kind}", (f"which {part.kind}",)
    noun = _OBJECTS.get(lemma)
    several = part.word is not None and part.word.tag == "NNS"
    if noun and (part.is_name or (lemma in ("drive", "study") and not several)):
        return "what", (f"what {noun}", f"which {noun}")
    if part.kind and part.word is not None and not part.is_name:
        own = part.text.startswith(("my ", "our "))  # "which of my keys", not "what kind of"
        return f"which {part.kind}" if own else f"what kind of {part.kind}", ("what",) if len(clause.parts) > 1 else ()
    return "what", ()


def questions(clause: Clause, asked: Target, topic: str, full: str) -> tuple[Question, ...]:
    """Distinct wordings with their answers, direct ones first; empty where fewer than wanted are sound."""
    return framed(_pairs(clause, asked, topic), asked.value, _sentence(yours(asked.short or asked.value)), full)


def framed(told: Iterable[tuple[str, str]], value: str, short: str, full: str) -> tuple[Question, ...]:
    """Wordings from pairs of a direct and an embedded question; empty where fewer than wanted are sound."""
    pairs = list(dict.fromkeys(pair for pair in told if _is_sound(pair, value)))
    found: dict[str, Question] = {}
    for ask, wonder in pairs:
        found.setdefault(ask, Question(capital(ask), short, full, ask, wonder))
    plain = [pair for pair in pairs if "I told you" not in pair[1]]
    for number, frame in enumerate(_FRAMES):
        if plain and len(found) < MOST:
            ask, wonder = plain[number % len(plain)]
            text = capital(frame.format(ask=ask, wonder=wonder))
            found.setdefault(text, Question(text, short, full, ask, wonder))
    return tuple(found.values())[:MOST] if len(found) >= WANTED else ()


def fact_of(
    told: str, value: str, relation: str, kind: str, pairs: Iterable[tuple[str, str]], short: str = "", full: str = ""
) -> Iterator[Fact]:
    """The fact that `told` says in the user's mouth, where enough of the questions are sound."""
    full = full or yours(told)
    wordings = framed(pairs, value, short or _sentence(yours(value)), full)
    if wordings:
        yield Fact(full, told, value, relation.lower(), kind, wordings)


def _is_sound(pair: tuple[str, str], value: str) -> bool:
    return not right(pair[0], value) and len(pair[0].split()) <= _LONGEST


def _pairs(clause: Clause, asked: Target, topic: str) -> Iterator[tuple[str, str]]:
    yield from _by_topic(clause.party, topic)
    if topic in (
        "own name",
        "name",
        "names",
        "job",
        "diet",
        "marriage",
        "nationality",
        "religion",
        "pet",
        "age",
        "breed",
        "favourite person",
    ):
        return
    for wh in (asked.wh, *asked.more):
        yield _fronted(clause, replace(asked, wh=wh))
    dates = {part.phrase for part in clause.parts if part.role in ("time", "clock")}
    if clause.verb.tense == "progressive" and asked.wh == "where" and (planned := dates & {*asked.left}):
        left = tuple(phrase for phrase in asked.left if phrase not in planned)
        yield _fronted(clause, replace(asked, left=left))
        if clause.verb.lemma == "move" and not left:
            yield _fronted(clause, replace(asked, left=("to",)))
    party, verb = clause.party.text, clause.verb
    rest = _joined(party, verb.finite, *asked.left)
    if verb.tense == "past" and verb.lemma != "be" and asked.wh in ("what", "where", "when", "who"):
        yield f"{asked.wh} was it that {rest}?", f"{asked.wh} it was that {rest}"
    other = _SYNONYMS.get(verb.lemma)
    if other and verb.tense == "past" and not verb.habit and verb.front == "did":
        base, past = other
        ask = f"{_joined(asked.wh, 'did', party, base, *asked.left)}?"
        yield ask, _joined(asked.wh, party, past, *asked.left)
    if asked.wh.startswith(("what", "who", "which", "how many")):  # "when did I tell you" would ask for the telling
        yield f"{asked.wh} did I tell you {rest}?", f"{asked.wh} I told you {rest}"


def _fronted(clause: Clause, asked: Target) -> tuple[str, str]:
    """The wh-word first, then auxiliary, subject and the rest; embedded without inversion."""
    verb, party = clause.verb, clause.party.text
    ask = _joined(asked.wh, verb.front, party, verb.habit, verb.rest, *asked.left)
    return f"{ask}?", _joined(asked.wh, party, verb.finite, *asked.left)


def _by_topic(party: Party, topic: str) -> Iterator[tuple[str, str]]:
    topic, _, noun = topic.partition("|")
    third = party.text not in ("I", "we") and not party.plural
    own = party.text == "I"
    forms = {
        "p": party.text,
        "ps": party.genitive,
        "whom": "me" if own else "us" if party.text == "we" else party.text,
        "noun": noun,
        "kind": re.sub(r"^(?:my|our) favou?rite ", "", party.text),
        "do": "does" if third else "do",
        "does": "does" if third else "do",
        "has": "has" if third else "have",
        "is": "am" if own else "is" if third else "are",
        "was": "was" if own or third else "were",
        "s": "s" if third else "",
    }
    for row in _TOPICS.get(topic, ()):
        ask, _, wonder = row.format(**forms).partition("|")
        yield ask[:1].lower() + ask[1:], wonder


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    text = capital(text.strip())
    return text if text.endswith((".", "!", "?")) else text + "."
