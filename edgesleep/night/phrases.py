"""Memories in words: the views a night learns from, and the probes the gate asks.

Owns the sentence frames that go round the wordings of `relations`, grammar (person,
article, genitive, capital letters), and when an answer is right. Leaves tokens and
chat templates to `dream`. Invariant: frames and questions for training and for
probing are two separate tables, so that no probe was ever trained on.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import cycle

from edgesleep.night.relations import ANIMALS, BY_NAME, PEOPLE, words
from edgesleep.records import Memory, Message, Probe, View

# {ask} "where do I live?"   {wonder} "where I live"   {fact} "you live in Skelwick"   {about} "my home"
# A capital first letter in the name gives one in the text. In {ask} the question mark is included.
QUESTIONS = (
    ("{Ask}", "{Fact}."),
    ("Do you know {wonder}?", "Yes, {fact}."),
    ("Can you tell me {wonder}?", "{Fact}."),
    ("Tell me, {ask}", "{Fact}."),
    ("Do you remember {wonder}?", "Yes, {fact}."),
    ("Please tell me {wonder}.", "{Fact}."),
    ("So, {ask}", "{Fact}."),
    ("I would like to know {wonder}.", "{Fact}."),
    ("Have I told you {wonder}?", "Yes, you told me that {fact}."),
    ("Quick question: {ask}", "{Fact}."),
    ("I wonder if you still know {wonder}.", "I do: {fact}."),
    ("What do you know about {about}?", "{Fact}."),
    ("What did I tell you about {about}?", "You told me that {fact}."),
)
SHORT = (
    ("Just the answer, please: {ask}", "{Short}."),
    ("In short, {ask}", "{Short}."),
    ("Keep it brief: {ask}", "{Short}."),
    ("Short answer only. {Ask}", "{Short}."),
)
REVERSALS = (
    ('What comes to mind when I say "{value}"?', "{Fact}."),
    ('Does "{value}" ring a bell?', "Yes, {fact}."),
    ('I once said something about "{value}". What was it?', "You said that {fact}."),
)
OPENERS = (
    ("Hey, quick one: {ask}", "{Fact}."),
    ("Good morning! I am filling in a form. {Ask}", "{Fact}."),
    ("A friend asked me something just now. {Ask}", "{Fact}."),
    ("Thanks for your help yesterday. One more thing: {ask}", "{Fact}."),
)
STATEMENTS = (("", "{record}"), ("", "{I_fact}."), ("", 'The user said: "{I_fact}."'))
HELD = (
    "Remind me, {ask}",
    "Could you remind me {wonder}?",
    "I forgot: {ask}",
    "Any idea {wonder}?",
    "Sorry, but {ask}",
    "Do you happen to know {wonder}?",
    "I can't recall {wonder}. Can you help?",
)

# Which pool the next view comes from: of 16 views, 8 questions, 3 short answers, 2 reversals, 2 statements, 1 opener.
SCHEDULE = words("""
    question question short question statement question reversal question
    opener question short question statement question reversal short
""")

_YOURS = {"I am": "you are", "I was": "you were", "I": "you", "my": "your", "me": "you"}


def views(memory: Memory, count: int, seed: int) -> tuple[View, ...]:
    """`count` distinct ways of meeting a memory (fewer where its wordings run out, never below 24).

    The direct questions come first, so that a small count still has them; which
    frames follow, and the order, depend on `seed` and the memory alone.
    """
    rng = random.Random(f"{seed} {memory.id}")
    pools = {kind: _pool(kind, memory, rng) for kind in dict.fromkeys(SCHEDULE)}
    chosen: dict[tuple[tuple[Message, ...], str], View] = {}
    for kind in cycle(SCHEDULE):
        if len(chosen) >= count or not any(pools.values()):
            break
        if pools[kind]:
            prompt, answer = pools[kind].pop(0)
            messages = (Message("user", prompt),) if prompt else ()
            view = View(memory.id, "question" if kind == "opener" else kind, messages, answer)
            chosen.setdefault((messages, answer), view)
    result = list(chosen.values())
    rng.shuffle(result)
    return tuple(result)


def probes(memory: Memory, count: int) -> tuple[Probe, ...]:
    """Up to `count` held-out questions of a memory, its own wordings mixed with common frames.

    A question that gives its own answer away is left out; `curate` keeps only memories that have enough others.
    """
    texts = [text for text in _held(memory) if not right(text, memory.value)]
    return tuple(Probe(f"{memory.id}-{n}", memory.id, text, memory.value) for n, text in enumerate(texts[:count]))


def right(answer: str, gold: str) -> bool:
    """Whether `answer` contains `gold` as whole words, whatever the case and punctuation."""
    wanted = fold(gold)
    return bool(wanted) and f" {wanted} " in f" {fold(answer)} "


def fold(text: str) -> str:
    """Text for comparison: NFKC, case folded, everything but letters and digits a single space."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def sentence(relation: str, slots: dict[str, str]) -> str:
    """The sentence that a memory is kept as, in the third person."""
    return _capital(BY_NAME[relation].record.format_map(_forms(slots)))


def _pool(kind: str, memory: Memory, rng: random.Random) -> list[tuple[str, str]]:
    """All (prompt, answer) pairs of one kind: the direct questions first, the rest shuffled."""
    if kind == "statement":
        return [("", answer) for _, answer in _framed(STATEMENTS, memory)]
    if kind == "reversal":
        first, rest = _reversed(memory), _framed(REVERSALS, memory)
    elif kind == "question":
        first, rest = _framed(QUESTIONS[:1], memory), _framed(QUESTIONS[1:], memory)
    else:
        first, rest = [], _framed(SHORT if kind == "short" else OPENERS, memory)
    rng.shuffle(rest)
    return first + rest


def _framed(frames: Iterable[tuple[str, str]], memory: Memory) -> list[tuple[str, str]]:
    """Every frame round every wording it has room for; the nth question goes with the nth way of stating the fact."""
    relation, forms = BY_NAME[memory.relation], _forms(memory.slots)
    pairs = []
    for question, answer in frames:
        variants = (
            relation.asks if "{ask}" in question.lower() else relation.wonders if "{wonder}" in question else ("",)
        )
        for n, variant in enumerate(variants):
            fact = relation.facts[n % len(relation.facts)]
            parts = {
                "ask": variant,
                "wonder": variant,
                "about": relation.about,
                "i_fact": fact,
                "fact": _yours(fact),
                "short": relation.short[n % len(relation.short)],
                "record": relation.record,
                "value": "{value}",
            }
            pairs.append((_put(question, parts, forms), _put(answer, parts, forms)))
    return pairs


def _reversed(memory: Memory) -> list[tuple[str, str]]:
    forms = _forms(memory.slots)
    return [
        (_capital(question.format_map(forms)), _capital(_yours(answer).format_map(forms)) + ".")
        for question, answer in BY_NAME[memory.relation].reverse
    ]


def _held(memory: Memory) -> Iterator[str]:
    """All held-out questions: a wording of the relation, two frames, the next wording, and so on.

    Where the frames start depends on the memory, so that a day is asked in all of them.
    """
    relation, forms = BY_NAME[memory.relation], _forms(memory.slots)
    start = int(memory.id, 16) % len(HELD)
    framed = [_framed([(frame, "")], memory) for frame in HELD[start:] + HELD[:start]]
    turns = [pairs[n % len(pairs)][0] for n, pairs in enumerate(framed)]
    for wording in relation.held:
        yield _capital(wording.format_map(forms))
        yield from turns[:2]
        turns = turns[2:]
    yield from turns


def _put(frame: str, parts: dict[str, str], forms: dict[str, str]) -> str:
    """A frame with its parts, then the slots, filled in. {Name} is {name} with a capital; {ask} starts small."""

    def part(match: re.Match[str]) -> str:
        text = parts[match[1].lower()].format_map(forms)
        return _capital(text) if match[1][0].isupper() else _small(text) if match[1] == "ask" else text

    return _capital(re.sub(r"\{(\w+)\}", part, frame))


def _forms(slots: dict[str, str]) -> dict[str, str]:
    """The slots, and the forms of them that wordings may ask for."""
    value, thing = slots["value"], slots.get("thing", "")
    words = {word.removesuffix("s") for word in thing.lower().split()[-1:]} | set(thing.lower().split()[-1:])
    who = "Who" if words & {*PEOPLE, *ANIMALS} else "What"
    return {
        **slots,
        "a_value": f"{article(value)} {value}",
        "thing_s": thing + ("'" if thing.endswith("s") else "'s"),
        "who": who,
        "who_low": who.lower(),
    }


def article(noun: str) -> str:
    """a or an, by the sound that the spelling suggests."""
    first = noun.split()[0] if noun.split() else ""
    if len(first) > 1 and first.isupper():  # spelt out: an MG, a UFO
        return "an" if first[0] in "AEFHILMNORSX" else "a"
    return (
        "an" if re.match(r"(?!uni|use|usu|uk|eu|one\b|once)[aeiou]|hour|honest|heir|8|11\b|18\b", first, re.I) else "a"
    )


def _yours(text: str) -> str:
    """A wording in the user's mouth, turned round into the assistant's."""
    return re.sub(rf"\b({'|'.join(_YOURS)})\b", lambda match: _YOURS[match[0]], text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
