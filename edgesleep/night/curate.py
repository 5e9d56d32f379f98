"""Curation: what a day's turns say that is worth keeping.

Owns finding the user's plain first-person statements and turning them into
memories. Leaves the kinds of fact to `relations` and their wordings to `phrases`.
Must stay true: only turns that `teach` are read; questions, suppositions, quoted,
pasted and negated text give nothing; a doubtful statement is left out, since what
is learned wrongly is harder to notice than what is missing. Never raises on text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.phrases import fold, probes, sentence
from edgesleep.night.reading import OPENINGS, any_of, opening, printable
from edgesleep.night.relations import PEOPLE, PHRASE_BOOK, VALUES, Relation, ears, words
from edgesleep.records import Memory, Turn, digest

# Bounds of a plausible fact.
MIN_CLAUSE, MAX_CLAUSE = 8, 200
MAX_VALUE_CHARS, MAX_VALUE_WORDS = 48, 6
HELD_OUT = 3  # wordings that a memory must have for the gate

# From here on a turn is no longer the user talking about themselves.
_BORROWED = re.compile(
    any_of(r"""
    \b(?:translate|proofread|summari[sz]e|paraphrase|rewrite|rephrase|pretend|imagine|role-?play|hypothetically)\b
    | \b(?:act as|the following|for example|once upon a time|lyrics|(?:correct|edit) (?:this|the))\b
    | \bin (?:my|the|this) (?:story|novel|book|film|game|dream|play)\b
    | \b(?:write|draft|compose) (?:me )?(?:an? |the |my )?\w* ?(?:story|poem|song|letter|e-?mail|speech|bio|text|post)\b
    | \bhere(?:'s| is| are) (?:the|an?|what|my|his|her|their) [^\n.]{0,40}:
    | \b(?:says|said|wrote|writes|posted|reads)\s?: | ^(?:From|To|Subject):
    """),
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED = re.compile(r'"([^"\n]*)"|(?<!\w)\'([^\'\n]*)\'(?!\w)')
_MINE = re.compile(r"\b(?:I|my|me|we|our)\b", re.IGNORECASE)
_TITLES = r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMrs)(?<!\bProf)(?<!\b[A-Z])"  # whose full stop ends no sentence
_SENTENCE = re.compile(rf"(?:[!?…]|{_TITLES}\.)\s+|\n+")
_CLAUSE = re.compile(
    r"(?: ?[,;] ?| [-–—]+ | ?— ?| (?=(?:and|but|so|because|since)\b))"
    r"(?:(?:and|but|so|because|since|then|also) ){0,3}(?="
    + any_of("""
    I | I'm | I've | I'd | my | we | we've | our | he | she | it | it's | they | please | call me | what | what's | how
    | which | where | who | when | why | can | could | would | should | do | does | did | is | are | any | work | live
    | drive | play | speak | collect | keep | prefer""")
    + r"\b)",
    re.IGNORECASE,
)
_SAME_SUBJECT = re.compile(r"(?:work|live|drive|play|speak|collect|keep|prefer)\b", re.IGNORECASE)
_SUPPOSED = re.compile(
    r"^(?:if|when|whenever|unless|suppose|supposing|say|let's say|what if|once|maybe|perhaps|assuming|as if)\b|\b"
    + any_of("""
    says? | said | told me | asks? | asked | replied | writes? | claims? | thinks | wish | wishes | dreamt | dreamed
    | heard | jokes? | joked""")
    + r"\b",
    re.IGNORECASE,
)
_OPENING = opening(OPENINGS)
_ADVERBS = "really|currently|actually|still|just|now|also|always|usually|only|recently|mainly|mostly|normally|generally"
# One spelling of each clause, so that `hears` need not list them all.
_PLAIN = [
    (re.compile(pattern, re.IGNORECASE), form)
    for pattern, form in (
        (r"\bI'm\b", "I am"),
        (r"\bI(?:'ve| have) got\b", "I have"),
        (r"\bI've\b", "I have"),
        (r"^we(?:'ve| have)?(?: got)? (?=an? )", "I have "),
        (r"^we(?:'ve| have)? (?=live|moved|have|own|adopted)", "I "),
        (r"^our\b", "my"),
        (r"\bfavorite\b", "favourite"),
        (r"\bwi-fi\b", "wifi"),
        (r"^(my [\w' -]+?)'s (?=called |named |an? |allergic )", r"\1 is "),
        (r"^(my (?:first |full )?name|my [\w' -]+?'s name|my favourite [\w -]+?)'s ", r"\1 is "),
        (rf"^(I(?: am| have)?|my [\w' -]{{1,40}}? (?:is|are)) (?:(?:{_ADVERBS}) )+", r"\1 "),
    )
]
_DENIED = re.compile(r"\b(?:not|never|no longer|no more|any ?more|\w+n't|none|neither|used to)\b", re.IGNORECASE)
# Where a value ends. Lower case only: The Who is a band.
_TAIL = re.compile(
    rf" ?(?:[,:](?!\d)|[;()\[\]{{}}<>|\"])| [-–—]+ | ?—|(?:[!?…]|{_TITLES}\.)(?: |$)| "
    + any_of(r"""
    but | because | so | which | who | whom | where | when | while | though | although | since | if | unless | until
    | after | before | as well | too | either | again | at the moment | right now | now | these days | nowadays | btw
    | by the way | actually | anyway | please | lol | haha | of course | in fact | today | tonight | tomorrow | any day
    | with my | every | sometimes | for (?:years|ages|a|an|the|work|now|fun|over|about|\d+)
    | and (?:I|we|he|she|it|they|my|our|his|her|that|this|is|am|are|has|have|love|really)""")
    + r"\b"
)
_WHERE = re.compile(r" (?:at|in|to|for|with|near|from|by|on|down|as|here)\b")  # what only adds to a noun or a name
_NO_VALUE = {*words("""
    not no never it that this these those he she they him her you me us them what who which how why where
    something someone somewhere anything nothing none unknown unsure my your his our their one ones so very too
    quite really pretty kind sort going being getting still always probably maybe perhaps about like to more
    less better worse best there here as if when because fine ok okay good bad great nice lovely cool awful
    terrible annoying boring interesting late early broken dead tired sick ill busy ready gone back away up down
    out off on in at from for with all both some any lot lots bit few new things stuff a an the and or just only
    almost nearly already dunno tbd whatever myself town home fear hope peace denial
""")}  # fmt: skip
_ARTICLES_AND_SUCH = {*words("a an the with without")}  # which may open a phrase
_NO_HEAD = {*words("""
    point problem question guess idea plan opinion answer issue mistake bad fault turn request concern feeling
    understanding hope character protagonist hero villain day week weekend month year life mood head appointment
    exam meeting flight train interview deadline shift holiday trip homework experience impression goal advice
    suggestion task thing heart stomach verdict conclusion favourite worry fear dream nightmare
""")}  # fmt: skip
_NO_THING = {*words("""
    next last previous former other whole only own part bit moment is was are that which and or will has had can
    would have
""")}  # fmt: skip
_SECRET = re.compile(
    r"\b(?:password|passphrase|passcode|pin|secret|ssn|card|iban|cvv|token|login|credentials?|combination"
    r"|social security|(?:api|access|door|security) (?:key|code)|(?:account|passport) number)\b",
    re.IGNORECASE,
)
_PARTICLES = {*words("of the and de la le du des del della di da van von der den ter zu y e & upon on in und et")}
_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_JOBS = words("""
    ist ian smith wright keeper maker worker driver man woman grapher teacher farmer baker painter writer carpenter
    plumber butcher engineer officer lawyer trainer gardener designer developer programmer builder dancer singer tiler
    weaver potter glazier roofer miner welder sailor tailor actor doctor editor author sculptor translator tutor
    conductor inspector surveyor director professor operator counsellor accountant consultant assistant attendant
    student researcher falconer nurse chef cook pilot judge vet clerk midwife poet architect solicitor barrister luthier
    firefighter paramedic soldier monk nun priest vicar actress waitress waiter mechanic cooper thatcher diver barber
    banker cashier courier bookbinder stonemason
""")  # how the last word of a job ends
_SHAPES = {
    "Titled": re.compile(r"(?:Dr|Mrs?|Ms|Miss|Sir|Prof(?:essor)?|Doctor)\b\.? \w.*"),
    "Names": re.compile(r".+ and .+"),
    "Language": re.compile(r"[A-Z]\w+(?: and [A-Z]\w+)?"),
    "job": re.compile(rf"(?i:(?:\S+ ){{0,3}}\w*(?:{'|'.join(_JOBS)}))"),
    "date": re.compile(rf"\d\d? {_MONTH}|{_MONTH} \d\d?|\d\d?[./-]\d\d?(?:[./-]\d{{2,4}})?|\w+ (?:eve|day)", re.I),
    "number": re.compile(r"\d.*|(?:half|quarter) (?:past|to) .*"),
    "noun": re.compile(r"\S+(?: \S+){0,3}"),
}
# "My wife is Italian", "my class is Tuesday": capitals, but no names.
_NO_NAME = re.compile(
    r"\w+(?:ish|ese|[^g]ian|ean|ican)|dutch|french|greek|swiss|czech|thai|welsh|german"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day",
    re.IGNORECASE,
)


def curate(turns: Sequence[Turn]) -> tuple[Memory, ...]:
    """The memories of a day, in the order in which they were first told.

    Two statements about the same thing contradict each other when their values differ; the newest wins. Told again
    with the same value, a memory keeps the ids of all those turns.
    """
    kept: dict[tuple[str, ...], Memory] = {}
    for turn in sorted(turns, key=lambda turn: (turn.at, turn.id)):
        if not turn.teaches:
            continue
        for memory in _memories(turn):
            before = kept.get(memory.topic)
            if before and fold(before.value) == fold(memory.value):
                ids = tuple(dict.fromkeys(before.turn_ids + memory.turn_ids))
                memory = replace(before, turn_ids=ids, at=memory.at)
            kept[memory.topic] = memory
    return tuple(kept.values())


def _memories(turn: Turn) -> Iterator[Memory]:
    text = _spoken(turn.content)
    lower = text == text.lower()
    for clause in _clauses(text):
        for relation in PHRASE_BOOK:
            slots = _heard(relation, clause, lower)
            if not slots:
                continue
            told = sentence(relation.name, slots)
            memory = Memory(digest((relation.name, slots))[:12], relation.name, told, slots, (turn.id,), turn.at)
            if len(probes(memory, HELD_OUT)) == HELD_OUT:
                yield memory
            break


def _spoken(content: str) -> str:
    """The part of a message in which the user speaks: printable, unquoted, nothing pasted."""
    text = re.sub(r"```.*?(?:```|$)", "\n", printable(content), flags=re.DOTALL)
    text = re.sub(r"^ ?[>|$#].*$", "", text, flags=re.MULTILINE)
    text = _QUOTED.sub(lambda quote: " … " if _MINE.search(quote[0]) else quote[1] or quote[2] or "", text)
    text = text.partition('"')[0]  # a quotation that does not end
    borrowed = _BORROWED.search(text)
    return text[: borrowed.start()] if borrowed else text


def _clauses(text: str) -> Iterator[str]:
    """First-person clauses, brought to one form: no discourse marker, no contraction."""
    start = 0
    for end in [*(match.end() for match in _SENTENCE.finditer(text)), len(text)]:
        whole, start = text[start:end].strip(), end
        clauses = _CLAUSE.split(whole)
        if whole.rstrip(" )'").endswith("?"):
            clauses.pop()  # only what comes before the question is a statement
        subject = ""
        for clause in clauses:
            bare = _OPENING.sub("", clause.strip()).rstrip(" .!…")
            if _SUPPOSED.search(bare):
                break
            if subject and _SAME_SUBJECT.match(bare):
                bare = f"I {bare}"
            subject = "I" if re.match(r"I\b", bare, re.IGNORECASE) else ""
            if MIN_CLAUSE <= len(bare) <= MAX_CLAUSE:
                yield _plain(bare)


def _plain(clause: str) -> str:
    for pattern, form in _PLAIN:
        clause = pattern.sub(form, clause)
    return clause


def _heard(relation: Relation, clause: str, lower: bool) -> dict[str, str] | None:
    """The slots of a clause, if it states this relation with a plausible value."""
    for pattern in ears(relation):
        match = pattern.fullmatch(clause)
        if not match:
            continue
        slots = {}
        for name, text in match.groupdict().items():
            if name in VALUES:
                slots["value"] = _value(name, text, lower)
            elif name == "other":
                slots["other"] = _value("noun", text, lower)
            else:
                slots["thing"] = _thing(text)
        if all(slots.values()):
            return dict(sorted(slots.items()))
    return None


def _thing(text: str) -> str:
    """What a fact is about, or "" where it is no lasting thing, or a secret."""
    parts = text.lower().split()
    if _SECRET.search(text) or parts[-1] in _NO_HEAD or _NO_THING & {*parts} or _DENIED.search(text):
        return ""
    return text.lower() if parts[-1] in PEOPLE else text


def _value(kind: str, text: str, lower: bool) -> str:
    """The span that an answer has to contain, or "" where the words are no value of this kind."""
    if kind in ("Names", "list"):  # whose commas do not end them
        text = text.replace(", and ", " and ").replace(", ", "\0")
    if kind in ("noun", "job", "Name", "Titled"):
        text = _WHERE.split(text)[0]
    tail = _TAIL.search(text)
    text = (text[: tail.start()] if tail else text).replace("\0", ", ").strip(" .,!?'*_~-…")
    if kind in ("noun", "job"):
        text = re.sub(r"^(?:an?|the|some) ", "", text, flags=re.IGNORECASE)
    if kind == "date":
        text = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b(?: of)?", "", text)
    if kind in ("name", "Name", "Names", "Titled", "Language"):
        text = _name(text, whole=kind != "name", lower=lower and kind == "name")
    parts = text.lower().split()
    if not parts or len(parts) > MAX_VALUE_WORDS or len(text) > MAX_VALUE_CHARS or not fold(text):
        return ""
    if kind != "place" and parts[0] in _NO_VALUE - (_ARTICLES_AND_SUCH if kind != "noun" else set()):
        return ""
    if _DENIED.search(text) or _MINE.search(text) or re.search(r"[{}\\/@=]", text):
        return ""
    if kind == "Name" and _NO_NAME.fullmatch(text):
        return ""
    return text if kind not in _SHAPES or _SHAPES[kind].fullmatch(text) else ""


def _name(text: str, whole: bool, lower: bool) -> str:
    """The capitalised words that `text` opens with; `whole`: only if nothing follows.

    A message without any capital letter (`lower`) is taken at its word, and gets them.
    """
    parts = text.split()
    if lower:
        plain = 0 < len(parts) <= 3 and not {*parts} & (_NO_VALUE | _NO_THING)
        return " ".join(part.capitalize() for part in parts) if plain else ""
    end = 0
    for n, part in enumerate(parts):
        if part[0].isupper() or part[0].isdigit():
            end = n + 1
        elif part not in _PARTICLES:
            break
    if whole and end < len(parts) and parts[end] != "and":
        return ""
    name = " ".join(parts[:end])
    return name if name != name.lower() else ""
