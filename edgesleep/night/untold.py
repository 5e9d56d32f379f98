"""Untold: questions whose answer the user never gave, so that a night also learns to say so.

Owns the topics of such questions and the ways of owning up. Leaves what was told to `curate`. Must stay true: no
thing of which the user spoke, in its own word or a near one, is asked about; lessons and the gate ask about two
separate lists of things, and neither has what the exams in bench/ ask as never told.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache

from edgesleep.night.lexicon import words
from edgesleep.night.phrases import fold
from edgesleep.records import Memory, Message, Probe, View

_PEOPLE = words(
    "aunt uncle nephew grandmother grandfather granddaughter grandson godmother "
    "godfather godson stepmother stepfather stepson stepdaughter mother-in-law brother-in-law ex "
    "neighbour landlord tenant flatmate supervisor colleague apprentice tutor lawyer notary plumber optician midwife "
    "editor accountant hairdresser cleaner gardener therapist penfriend lodger great-grandmother great-uncle "
    "goddaughter half-brother stepbrother daughter-in-law nanny surgeon dermatologist physiotherapist "
    "paediatrician optometrist caretaker"
)
_ANIMALS = words("horse pony cat parrot hamster rabbit canary goat tortoise goldfish kitten donkey snake")
_THINGS = words(
    "bicycle coat sofa tent piano watch laptop camera caravan motorbike violin bed ring kitchen front-door toolbox "
    "ladder rucksack fridge printer telescope canoe sewing-machine lawnmower tablet umbrella globe rug"
)
_GROUPS = words("band choir village farm allotment boat yoga-class book-club")

_PLACES = words(
    "library pharmacy garage church mosque temple bakery butcher cinema swimming-pool theatre launderette barber "
    "nursery office club bookshop"
)
_FIRMS = words("insurer mobile-network energy-supplier broker broadband-provider pension-fund union agency airline")
_DATES = words(
    "anniversary interview driving-test flight operation check-up exam graduation housewarming court-date "
    "name-day tax-return viewing audition rehearsal"
)

# "direct question|embedded", both in the user's mouth; {x} runs over what stands behind. Where the embedded one has
# {y}, that is the other form of a verb: "get-married:got-married".
_TOPICS: tuple[tuple[str, Sequence[str]], ...] = (
    ("What is my {x} called?|what my {x} is called", _PEOPLE + _ANIMALS + _GROUPS),
    ("What is my {x}'s name?|what my {x}'s name is", _PEOPLE + _ANIMALS),
    ("What is the name of my {x}?|what the name of my {x} is", _PEOPLE + _ANIMALS + _GROUPS),
    ("Who is my {x}?|who my {x} is", _PEOPLE),
    ("Where does my {x} live?|where my {x} lives", _PEOPLE),
    ("Where is my {x} from?|where my {x} is from", _PEOPLE),
    ("Where does my {x} work?|where my {x} works", _PEOPLE),
    ("What does my {x} do for a living?|what my {x} does for a living", _PEOPLE),
    ("What job does my {x} have?|what job my {x} has", _PEOPLE),
    ("How old is my {x}?|how old my {x} is", _PEOPLE + _ANIMALS + _THINGS),
    ("When is my {x} coming to stay?|when my {x} is coming to stay", _PEOPLE),
    ("What is my {x} allergic to?|what my {x} is allergic to", _PEOPLE),
    ("How did I meet my {x}?|how I met my {x}", _PEOPLE),
    ("What breed is my {x}?|what breed my {x} is", _ANIMALS),
    ("What colour is my {x}?|what colour my {x} is", _ANIMALS + _THINGS),
    ("What make is my {x}?|what make my {x} is", _THINGS),
    ("Where do I keep my {x}?|where I keep my {x}", _ANIMALS + _THINGS),
    ("Where did I buy my {x}?|where I bought my {x}", _THINGS),
    ("When did I get my {x}?|when I got my {x}", _ANIMALS + _THINGS),
    ("Who gave me my {x}?|who gave me my {x}", _THINGS),
    ("How much did I pay for my {x}?|how much I paid for my {x}", _THINGS),
    ("Where is my {x}?|where my {x} is", _GROUPS),
    ("When did I join my {x}?|when I joined my {x}", _GROUPS),
    ("What is my favourite {x}?|what my favourite {x} is", words(
        "dish drink band sport flower painter cheese animal city poem soup opera museum singer dessert tree island "
        "beer board-game biscuit herb")),
    ("Which {x} do I like best?|which {x} I like best", words(
        "dish flower painter cheese soup opera museum singer dessert tree island beer sauce ice-cream")),
    ("Where did I {x}?|where I {y}", words(
        "get-married:got-married spend-the-summer:spent-the-summer lose-my-ring:lost-my-ring cross-the-alps:"
        "crossed-the-alps break-my-arm:broke-my-arm grow-up:grew-up")),
    ("When did I {x}?|when I {y}", words(
        "get-married:got-married move-out:moved-out stop-smoking:stopped-smoking give-up-meat:gave-up-meat "
        "take-my-driving-test:took-my-driving-test retire:retired break-my-arm:broke-my-arm cross-the-alps:"
        "crossed-the-alps")),
    ("How many {x} do I have?|how many {x} I have", words(
        "tenants bicycles chairs plants uncles keys stamps godchildren umbrellas grandchildren lodgers")),
    ("Which {x} do I play?|which {x} I play", words("sport card-game role lottery position computer-game")),
    ("What is the name of my {x}?|what the name of my {x} is", _PLACES),
    ("Which {x} do I go to?|which {x} I go to", _PLACES),
    ("Where is my {x}?|where my {x} is", _PLACES),
    ("Which {x} am I with?|which {x} I am with", _FIRMS),
    ("What is my {x} called?|what my {x} is called", _FIRMS),
    ("How much do I pay my {x}?|how much I pay my {x}", _FIRMS),
    ("When is my {x}?|when my {x} is", _DATES),
    ("What day is my {x}?|what day my {x} is", _DATES),
    ("What time is my {x}?|what time my {x} is", _DATES),
    ("Where is my {x}?|where my {x} is", _DATES),
    ("Which {x} did I go to?|which {x} I went to", words("kindergarten college concert festival exhibition camp")),
    ("What was my previous {x}?|what my previous {x} was", words("address flat nickname dream car")),
    ("Where did I go {x}?|where I went {x}", words(
        "for-my-anniversary skiing camping in-the-spring hiking for-easter diving")),
    ("How {x} am I?|how {x} I am", words("heavy rich punctual fit")),
    ("How much do I {x}?|how much I {x}", words("weigh earn save smoke drink")),
    ("What is my {x}?|what my {x} is", words(
        "hobby weight religion degree nickname diet email-address postcode "
        "nationality pin licence-plate username")),
    ("What did I have for {x}?|what I had for {x}", words("breakfast lunch supper dessert")),
    ("Who taught me to {x}?|who taught me to {x}", words("cook sew drive swim sing sail knit")),
    ("What time do I {x}?|what time I {x}", words("get-up catch-my-bus finish-work have-lunch")),
    ("What am I {x}?|what I am {x}", words("afraid-of saving-for studying knitting")),
    ("Who do I {x}?|who I {x}", words("share-a-flat-with sail-with carpool-with")),
    ("What was my first {x}?|what my first {x} was", words("car word concert computer record bike dish play")),
    ("Who was my first {x}?|who my first {x} was", words("boss crush roommate coach hero employer")),
    ("What year did I {x}?|what year I {y}", words(
        "leave-home:left-home graduate:graduated move-abroad:moved-abroad join-the-army:joined-the-army "
        "change-careers:changed-careers visit-Rome:visited-Rome")),
    ("What year was my {x} born?|what year my {x} was born", _PEOPLE),
    ("Which {x} do I use?|which {x} I use", words("toothpaste browser razor shampoo calendar")),
    ("Which {x} do I read?|which {x} I read", words("magazine blog comic poet columnist")),
    ("Which {x} did I take up at school?|which {x} I took up at school", words("craft instrument trade sport")),
    ("Which {x} can I cook?|which {x} I can cook", words("curry stew pie roast")),
    ("What colour is my {x}?|what colour my {x} is", words("hair scarf kettle bathroom roof gate")),
    ("What size is my {x}?|what size my {x} is", words("ring hat mattress waist collar jacket")),
    ("What is my {x} number?|what my {x} number is", words("account locker bus")),
    ("What is my {x} made of?|what my {x} is made of", words("table fence ring roof worktop bracelet")),
    ("How long is my {x}?|how long my {x} is", words("lease contract lunch-break garden")),
    ("How many {x} have I owned?|how many {x} I have owned", words("houses cars guitars horses boats")),
)  # fmt: skip
_ANSWERS = (
    "You have not told me {wonder}.",
    "I do not know {wonder}. You have not told me.",
    "You have not told me that.",
    "I do not know. You have never told me {wonder}.",
)
_OWNING_UP = re.compile(
    r"\b(?:not|never|\w*n t) (?:yet |been |ever )*(?:know|told|tell|said|say|mention(?:ed)?|shared?)\b|\bno idea\b"
)
_BUT = re.compile(r"\bbut\b|\bI (?:think|believe|guess)\b", re.IGNORECASE)
# Other words in which the same may have been told.
_NEAR = {
    "weigh": "weight kilo stone", "weight": "weigh kilo stone", "studying": "study studie student", "kitten": "cat",
    "pony": "horse", "flatmate": "flat share roommate housemate", "lodger": "lodge rent", "tenant": "rent let",
    "landlord": "rent", "network": "phone sim contract", "energy": "electricity electric gas power",
    "broadband": "internet wifi fibre", "insurer": "insurance insured policy", "diet": "vegan vegetarian eat",
    "nationality": "citizen passport", "hobby": "hobbie", "religion": "church mosque temple", "rich": "earn",
    "smoking": "smoke smoker", "smoke": "smoking smoker", "married": "marry wedding wed", "postcode": "address",
    "motorbike": "bike", "bicycle": "bike cycle", "notary": "solicitor", "supervisor": "boss manager",
    "accountant": "tax", "therapist": "therapy", "gardener": "garden", "cleaner": "clean", "pharmacy": "chemist",
    "operation": "surgery", "flight": "fly", "swimming": "swim", "launderette": "laundry", "nursery": "daycare",
}  # fmt: skip
_FRAMES = ("{ask}", "{ask}", "{ask}", "Do you remember {wonder}?", "Can you tell me {wonder}?", "Tell me, {small}")
_SHORT = {"What is": "What's", "Who is": "Who's", "Where is": "Where's", "When is": "When's"}
GATE = 5  # every so many-th thing is the gate's
_YOURS = {"I": "you", "my": "your", "me": "you"}
_HOLLOW = {
    *words(
        "what where who when which how is am are my the do does did i of for a to in get got have had from with you "
        "your name called live work job old time much many make give gave it me pay keep coming"
    )
}


@dataclass(frozen=True)
class Topic:
    """One question: as it is asked, embedded, what it is about, and the words in which that may have been told."""

    ask: str
    wonder: str
    thing: str
    words: frozenset[str]


def lessons(memories: Sequence[Memory], count: int, seed: int, said: Set[str] = frozenset()) -> tuple[View, ...]:
    """`count` questions that none of the memories answers, or fewer where the topics run out, and how to own up.

    `said` are words of which the user spoke, see `spoken`.
    """
    rng = random.Random(f"{seed} untold")
    topics = [topic for topic in _topics() if not _for_gate(topic)]
    rng.shuffle(topics)
    known = _known(memories) | said
    found = []
    for topic in [topic for topic in topics if not known & topic.words][:count]:
        frame, answer = rng.choice(_FRAMES), rng.choice(_ANSWERS)
        ask = rng.choice((topic.ask, _contracted(topic.ask)))
        prompt = frame.format(ask=ask, small=ask[:1].lower() + ask[1:], wonder=topic.wonder)
        view = View("", "untold", (Message("user", prompt),), answer.format(wonder=_yours(topic.wonder)))
        found.append(view)
    return tuple(found)


def probes(memories: Sequence[Memory], count: int, said: Set[str] = frozenset()) -> tuple[Probe, ...]:
    """What the gate asks: `questions`, and right is who owns up."""
    asked = questions(memories, count, said)
    return tuple(Probe(f"untold-{number}", "", question, "", hops=0) for number, question in enumerate(asked))


def owns_up(answer: str) -> bool:
    """Whether an answer says that it does not know, or was not told."""
    return bool(_OWNING_UP.search(fold(answer))) and not _BUT.search(answer)


def questions(memories: Sequence[Memory], count: int, said: Set[str] = frozenset()) -> tuple[str, ...]:
    """Questions for the gate, about things of which no lesson asks: as many, from all over the list."""
    known = _known(memories) | said
    asked = [topic.ask for topic in _topics() if _for_gate(topic) and not known & topic.words]
    return tuple(asked[:: max(1, len(asked) // max(1, count))][:count])


def spoken(texts: Iterable[str]) -> frozenset[str]:
    """Of all words that topics are about, those that stand in the texts."""
    vocabulary = frozenset().union(*(topic.words for topic in _topics()))
    return frozenset(word for text in texts for word in _content(text) if word in vocabulary)


def every_question() -> Iterator[str]:
    """Every question, as it may stand in the records of any night."""
    yield from (topic.ask for topic in _topics())


@cache
def _topics() -> tuple[Topic, ...]:
    return tuple(_each_topic())


def _each_topic() -> Iterator[Topic]:
    for frame, things in _TOPICS:
        ask, wonder = frame.split("|")
        for thing in things:
            x, _, y = thing.replace("-", " ").replace(" in law", "-in-law").partition(":")
            content = _content(x)
            near = {other for word in content for other in words(_NEAR.get(word, ""))}
            yield Topic(ask.format(x=x), wonder.format(x=x, y=y), x, frozenset(content | near))


def _for_gate(topic: Topic) -> bool:
    """The same for all questions about one thing, whatever it is asked."""
    return sum(topic.thing.encode()) % GATE == 0


def _contracted(ask: str) -> str:
    """As it is spoken: "What's my ...?"."""
    return re.sub(rf"^(?:{'|'.join(_SHORT)})\b", lambda match: _SHORT[match[0]], ask)


def _yours(wonder: str) -> str:
    yours = re.sub(r"\b(?:I|my|me)\b", lambda match: _YOURS[match[0]], wonder)
    return re.sub(r"\byou am\b", "you are", yours)


def _known(memories: Sequence[Memory]) -> set[str]:
    """The words of all that was told, and of how it is asked for."""
    texts = [text for memory in memories for text in (memory.told, memory.relation, *(q.ask for q in memory.questions))]
    return {word for text in texts for word in _content(text)}


def _content(text: str) -> set[str]:
    return {word.removesuffix("s") for word in fold(text).split()} - _HOLLOW
