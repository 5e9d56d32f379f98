"""Memories in words: the views a night learns from, and the probes the gate asks.

Owns the frames that go round the questions of a memory, which of its wordings are held out, and when an answer is
right. Leaves the questions themselves to `questions` and `sayings`, tokens and chat templates to `dream`. Invariant: a
wording that is held out, and a frame of the gate, stand in no view, so that no probe was ever trained on.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

from edgesleep.night.lexicon import capital
from edgesleep.records import Memory, Message, Probe, Question, View

# {ask} "where do I live?"   {wonder} "where I live"   {fact} "you live in Skelwick"   {full} "You live in Skelwick."
# A capital first letter in the name gives one in the text. In {ask} the question mark is included; {now} is "where do I
# live now?".
QUESTIONS = (
    ("{Ask}", "{full}"),
    ("Do you know {wonder}?", "Yes, {fact}."),
    ("Can you tell me {wonder}?", "{full}"),
    ("Tell me, {ask}", "{full}"),
    ("Do you remember {wonder}?", "Yes, {fact}."),
    ("Please tell me {wonder}.", "{full}"),
    ("So, {ask}", "{full}"),
    ("I would like to know {wonder}.", "{full}"),
    ("Have I told you {wonder}?", "Yes, you told me that {fact}."),
    ("Quick question: {ask}", "{full}"),
    ("I wonder if you still know {wonder}.", "I do: {fact}."),
)
SHORT = (
    ("Just the answer, please: {ask}", "{short}"),
    ("In short, {ask}", "{short}"),
    ("Keep it brief: {ask}", "{short}"),
    ("Short answer only. {Ask}", "{short}"),
)
OPENERS = (
    ("Hey, quick one: {ask}", "{full}"),
    ("Good morning! I am filling in a form. {Ask}", "{full}"),
    ("A friend asked me something just now. {Ask}", "{full}"),
    ("Thanks for your help yesterday. One more thing: {ask}", "{full}"),
)
REVERSALS = (
    ('What comes to mind when I say "{value}"?', "{full}"),
    ('Does "{value}" ring a bell?', "Yes, {fact}."),
    ('I once said something about "{value}". What was it?', "You said that {fact}."),
    ("What do you know about {value}?", "{full}"),
)
CHANGES = (
    ('Was it not "{old}"?', "Not any more: {fact}."),
    ('You used to say "{old}". Is that still right?', "No, that has changed: {fact}."),
)
CHANGED = (
    ("{Now}", "{full}"),
    ("As things are now, {ask}", "{full}"),
    ("After the change, {ask}", "{full}"),
    ("These days, {ask}", "{full}"),
)
HELD = (
    "Remind me, {ask}",
    "Could you remind me {wonder}?",
    "I forgot: {ask}",
    "Any idea {wonder}?",
    "Sorry, but {ask}",
    "Do you happen to know {wonder}?",
    "I can't recall {wonder}. Can you help?",
)

# Which pool the next view comes from: of 16 views, 10 questions, 3 short answers, 2 reversals, 1 opener. None is a bare
# statement: text of no chat taught a third of the drift on prose, and no recall (docs/LOG.md).
SCHEDULE = (
    *("question", "question", "short", "question", "question", "question", "reversal", "question"),
    *("opener", "question", "short", "question", "question", "question", "reversal", "short"),
)
ENOUGH = 4  # wordings of a memory from which on one of them is held out
_PRESENT = re.compile(r"\b(?:now|nowadays|these days|currently|any more)\b")
_SPEAKABLE = re.compile(r"(?:You|Your|It|The|That) ")  # may begin small in the middle of a sentence


def views(memory: Memory, count: int, seed: int) -> tuple[View, ...]:
    """Up to `count` distinct ways of meeting a memory.

    The direct questions come first, so that a small count still has them; which frames follow, and the order, depend
    on `seed` and the memory alone.
    """
    rng = random.Random(f"{seed} {memory.id}")
    pools = {kind: _pool(kind, memory, rng) for kind in dict.fromkeys(SCHEDULE)}
    chosen: dict[tuple[str, str], View] = {}
    for prompt, answer in _changed(memory, rng) if memory.instead_of else ():
        chosen[prompt, answer] = View(memory.id, "change", (Message("user", prompt),), answer)
    for kind in cycle(SCHEDULE):
        if len(chosen) >= count or not any(pools.values()):
            break
        if pools[kind]:
            prompt, answer = pools[kind].pop(0)
            view = View(memory.id, "question" if kind == "opener" else kind, (Message("user", prompt),), answer)
            chosen.setdefault((prompt, answer), view)
    result = list(chosen.values())[:count]
    rng.shuffle(result)
    return tuple(result)


def probes(memory: Memory, count: int) -> tuple[Probe, ...]:
    """Up to `count` held-out questions of a memory, none of which gives its own answer away."""
    texts = [text for text in dict.fromkeys(_held(memory)) if not right(text, memory.value)]
    return tuple(Probe(f"{memory.id}-{n}", memory.id, text, memory.value) for n, text in enumerate(texts[:count]))


def right(answer: str, gold: str) -> bool:
    """Whether `answer` contains `gold` as whole words, whatever the case and punctuation."""
    wanted = fold(gold)
    return bool(wanted) and f" {wanted} " in f" {fold(answer)} "


def reminded(told: str, question: str) -> tuple[Message, ...]:
    """The question, asked right after its asker said what the answer is."""
    return (Message("user", f"{told}\n\n{question}"),)


def fold(text: str) -> str:
    """Text for comparison: NFKC, case folded, everything but letters and digits a single space."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def article(noun: str) -> str:
    """a or an, by the sound that the spelling suggests."""
    first = noun.split()[0] if noun.split() else ""
    if len(first) > 1 and first.isupper():  # spelt out: an MG, a UFO
        return "an" if first[0] in "AEFHILMNORSX" else "a"
    return (
        "an" if re.match(r"(?!uni|use|usu|uk|eu|one\b|once)[aeiou]|hour|honest|heir|8|11\b|18\b", first, re.I) else "a"
    )


def wordings(memory: Memory) -> list[Question]:
    """The questions of a memory, each once whatever its frame."""
    return list({question.ask: question for question in memory.questions}.values())


def holding_out(memory: Memory) -> Memory:
    """The memory with one of its wordings held out for good, where it has enough of them."""
    asked = _asking(memory, wordings(memory))
    if len(asked) < ENOUGH:
        return memory
    out = asked[1 + int(memory.id, 16) % (len(asked) - 1)]  # the first is the plainest, and has to be learned
    return replace(memory, held_out=out.ask)


def _split(memory: Memory) -> tuple[list[Question], list[Question]]:
    """Wordings to train on, and the one that is held out, if any."""
    asked = wordings(memory)
    out = [question for question in asked if question.ask == memory.held_out]
    return [question for question in asked if not any(_alike(question, held) for held in out)], out


def _asking(memory: Memory, questions: Sequence[Question]) -> list[Question]:
    """Those of the questions that ask for the memory's value, without telling it."""
    direct = [question for question in questions if not right(question.ask, memory.value)]
    return [question for question in direct if right(question.short, memory.value)]


def _alike(one: Question, other: Question) -> bool:
    """Whether a wording contains the other as text."""
    return any(fold(theirs) in fold(ours) for theirs in (other.ask, other.wonder) for ours in (one.ask, one.wonder))


def _trained(memory: Memory) -> list[Question]:
    return _split(memory)[0]


def _pool(kind: str, memory: Memory, rng: random.Random) -> list[tuple[str, str]]:
    """All (prompt, answer) pairs of one kind: the direct questions first, the rest shuffled."""
    trained = _trained(memory)
    if kind == "reversal":
        first: list[tuple[str, str]] = []
        rest = _framed(REVERSALS, memory, trained[:1]) if _is_telling(memory.value) else []
    elif kind == "question":
        first, rest = _framed(QUESTIONS[:1], memory, trained), _framed(QUESTIONS[1:], memory, trained)
    else:
        asked = [question for question in trained if kind != "short" or question.short != question.full]
        first, rest = [], _framed(SHORT if kind == "short" else OPENERS, memory, asked)
    rng.shuffle(rest)
    return first + rest


def _changed(memory: Memory, rng: random.Random) -> list[tuple[str, str]]:
    """What is said only of what has changed, by turns: no to the old value, and a question about the present."""
    trained = _trained(memory)
    asked = [question for question in trained if not _PRESENT.search(question.ask)]
    past, present = _framed(CHANGES, memory, trained[:1]), _framed(CHANGED, memory, asked)
    rng.shuffle(past)
    rng.shuffle(present)
    return [view for pair in zip(past, present, strict=False) for view in pair]


def _is_telling(value: str) -> bool:
    """Whether a value brings its memory to mind: a number or a word like "two" does not."""
    return len(fold(value)) > 4 and not fold(value).replace(" ", "").isdigit()


def _framed(frames: Sequence[tuple[str, str]], memory: Memory, questions: Sequence[Question]) -> list[tuple[str, str]]:
    """Every frame round every question that it fits."""
    return [
        (_put(frame, memory, question), _put(answer, memory, question))
        for frame, answer in frames
        for question in questions
        if _fits(frame + answer, question)
    ]


def _fits(frame: str, question: Question) -> bool:
    """Not: "Have I told you what I told you", "Do you know what you know", "You said that you told me: ..."."""
    if "{wonder}" in frame and not question.wonder:  # a question that was told as it stands
        return False
    wonder = question.wonder if "{wonder}" in frame else ""
    twice = ("told you" in frame and re.search(r"\bI (?:told|said)\b", wonder)) or (
        re.search(r"\bknow\b", frame) and re.search(r"\byou know\b", wonder)
    )
    return not twice and not ("that {fact}" in frame and '"' in question.full)


def _held(memory: Memory) -> Iterator[str]:
    """All held-out questions: the wording held out, and the gate's frames round it and round the others.

    Where the frames start depends on the memory, so that a day is asked in all of them.
    """
    trained, out = _split(memory)
    asked = _asking(memory, trained)
    start = int(memory.id, 16) % len(HELD)
    frames = HELD[start:] + HELD[:start]
    for n, frame in enumerate(frames):
        for question in out[:1]:
            yield _put(frame if n and _fits(frame, question) else "{Ask}", memory, question)
        fitting = [question for question in asked if _fits(frame, question)]
        if fitting:
            yield _put(frame, memory, fitting[n % len(fitting)])


def _put(frame: str, memory: Memory, question: Question) -> str:
    """A frame with its parts filled in. {Name} is {name} with a capital; {ask} starts small."""
    bare = question.full.removesuffix(".")
    parts = {
        "ask": question.ask,
        "now": f"{question.ask.removesuffix('?')} now?",
        "wonder": question.wonder,
        "fact": bare[:1].lower() + bare[1:] if _SPEAKABLE.match(bare) else bare,
        "full": question.full,
        "short": question.short,
        "value": memory.value,
        "old": memory.instead_of,
    }

    def part(match: re.Match[str]) -> str:
        text = parts[match[1].lower()]
        return capital(text) if match[1][0].isupper() else text

    return re.sub(r'([.!?]")\.$', r"\1", capital(re.sub(r"\{(\w+)\}", part, frame)))  # a quotation ends by itself
