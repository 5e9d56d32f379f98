"""Untold: questions whose answer the user never gave, so that a night also learns to say so.

Owns the topics of such questions and the ways of owning up. Leaves what was told to `curate`. Must stay true: nothing
that a memory is about is asked; the topics for training and those the gate asks are two separate lists, and neither
has a topic of the exams in bench/.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgesleep.night.lexicon import words
from edgesleep.night.phrases import fold
from edgesleep.records import Memory, Message, View

# "direct question|embedded", both in the user's mouth; {x} runs over what stands behind. Where the embedded one has
# {y}, that is the other form of a verb: "get-married:got-married".
_TOPICS = (
    ("What is my favourite {x}?|what my favourite {x} is",
     "dish drink band sport flower painter cheese animal city poem"),
    ("Which {x} do I like best?|which {x} I like best", "soup opera museum singer dessert tree island beer"),
    ("What is my {x} called?|what my {x} is called", "horse boat parrot choir hamster village rabbit canary goat"),
    ("What is the name of my {x}?|what the name of my {x} is", "landlord plumber tutor notary farm band allotment"),
    ("What is my {x}'s name?|what my {x}'s name is", "grandmother uncle dentist nephew neighbour stepson godson"),
    ("Who is my {x}?|who my {x} is", "lawyer editor coach vet flatmate optician supervisor"),
    ("Where does my {x} live?|where my {x} lives", "aunt grandfather godmother ex goddaughter stepmother"),
    ("What does my {x} do for a living?|what my {x} does for a living", "wife husband girlfriend uncle grandson"),
    ("How old is my {x}?|how old my {x} is", "grandfather nephew cat house aunt bicycle"),
    ("What colour is my {x}?|what colour my {x} is", "bicycle front-door coat sofa kitchen tent"),
    ("Where do I keep my {x}?|where I keep my {x}", "toolbox ladder violin savings skis"),
    ("Where did I buy my {x}?|where I bought my {x}", "coat piano bed ring camera"),
    ("Where did I {x}?|where I {y}",
     "get-married:got-married spend-the-summer:spent-the-summer lose-my-ring:lost-my-ring"),
    ("When did I {x}?|when I {y}",
     "get-married:got-married move-out:moved-out stop-smoking:stopped-smoking "
     "take-my-driving-test:took-my-driving-test give-up-meat:gave-up-meat"),
    ("How much did I pay for my {x}?|how much I paid for my {x}", "laptop watch bicycle sofa holiday"),
    ("How many {x} do I have?|how many {x} I have", "tenants bicycles chairs plants uncles keys stamps"),
    ("Which {x} do I play?|which {x} I play", "sport card-game role lottery position"),
    ("What is my {x}?|what my {x} is", "middle-name nationality hobby weight religion degree nickname diet"),
    ("What did I have for {x}?|what I had for {x}", "breakfast lunch supper dessert"),
    ("Who taught me to {x}?|who taught me to {x}", "cook sew drive swim sing"),
)  # fmt: skip
_ANSWERS = (
    "You have not told me {wonder}.",
    "I do not know {wonder}. You have not told me.",
    "You have not told me that.",
    "I do not know. You have never told me {wonder}.",
)
_FRAMES = ("{ask}", "{ask}", "Do you remember {wonder}?", "Can you tell me {wonder}?", "Tell me, {small}")
GATE = 5  # every so many-th topic is the gate's
_YOURS = {"I": "you", "my": "your", "me": "you"}
_HOLLOW = {*words("what where who when which how is my the do does did i of for a to in get have you your name called")}


@dataclass(frozen=True)
class Topic:
    """One question: as it is asked, embedded, and the words that it is about."""

    ask: str
    wonder: str
    words: frozenset[str]


def lessons(memories: Sequence[Memory], count: int, seed: int) -> tuple[View, ...]:
    """`count` questions that none of the memories answers, or fewer where the topics run out, and how to own up."""
    rng = random.Random(f"{seed} untold")
    topics = [topic for number, topic in enumerate(_topics()) if number % GATE]
    rng.shuffle(topics)
    known = _known(memories)
    found = []
    for topic in [topic for topic in topics if not known & topic.words][:count]:
        frame, answer = rng.choice(_FRAMES), rng.choice(_ANSWERS)
        prompt = frame.format(ask=topic.ask, small=topic.ask[:1].lower() + topic.ask[1:], wonder=topic.wonder)
        view = View("", "untold", (Message("user", prompt),), answer.format(wonder=_yours(topic.wonder)))
        found.append(view)
    return tuple(found)


def questions(memories: Sequence[Memory], count: int) -> tuple[str, ...]:
    """Questions for the gate, on topics that are never trained: as many, from all over the list."""
    known = _known(memories)
    asked = [topic.ask for n, topic in enumerate(_topics()) if n % GATE == 0 and not known & topic.words]
    return tuple(asked[:: max(1, len(asked) // max(1, count))][:count])


def _topics() -> Iterator[Topic]:
    for frame, things in _TOPICS:
        ask, wonder = frame.split("|")
        for thing in words(things):
            x, _, y = thing.replace("-", " ").partition(":")
            yield Topic(ask.format(x=x), wonder.format(x=x, y=y), frozenset(_content(x)))


def _yours(wonder: str) -> str:
    return re.sub(r"\b(?:I|my|me)\b", lambda match: _YOURS[match[0]], wonder)


def _known(memories: Sequence[Memory]) -> set[str]:
    """The words of all that was told, and of how it is asked for."""
    texts = [text for memory in memories for text in (memory.told, memory.relation, *(q.ask for q in memory.questions))]
    return {word for text in texts for word in _content(text)}


def _content(text: str) -> set[str]:
    return {word.removesuffix("s") for word in fold(text).split()} - _HOLLOW
