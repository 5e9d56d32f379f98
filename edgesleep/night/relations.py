"""The phrase book: what people tell an assistant about themselves, and how each such thing is put in words.

Owns the table of relations: the clauses they are heard in, and their questions
and statements. Leaves finding clauses to `curate` and making views and probes to `phrases`.
A wording is written once, in the user's mouth ("my {thing} is called {value}");
the assistant's "your" is derived. `held` questions are asked by the gate and are
never trained. To add a relation, add a row: tests check its grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


def words(text: str) -> list[str]:
    """A word list, written as text."""
    return text.split()


PEOPLE = words("""
    sister brother mother father mum mom dad wife husband partner girlfriend boyfriend fiancé fiancée son
    daughter child baby aunt uncle cousin niece nephew grandmother grandfather grandma grandpa granny gran nan
    twin sibling friend flatmate roommate housemate neighbour neighbor colleague coworker boss manager mentor
    teacher tutor coach dentist doctor therapist hairdresser barber landlord landlady babysitter nanny vet
    accountant lawyer mechanic godmother godfather goddaughter godson mother-in-law father-in-law sister-in-law
    brother-in-law
""")
ANIMALS = words("""
    dog cat puppy kitten tortoise turtle hamster rabbit bunny parrot budgie canary goldfish fish horse pony
    donkey goat sheep hen chicken duck goose snake lizard gecko ferret mouse rat gerbil chinchilla hedgehog pig
    cow llama alpaca cockatiel iguana frog newt axolotl spider tarantula bird pet terrier spaniel poodle collie
    dachshund greyhound beagle
""")
_WORD = r"[^\W\d_][\w'&-]*"
_TRAITS = (
    "hobby|pastime|blood type|shoe size|ring size|star sign|nickname|mother tongue|native language|dream job"
    f"|comfort food|guilty pleasure|signature dish|pet peeve|go-to {_WORD}|usual {_WORD}"
)
# What <name> stands for in `hears`. These fill the slot "thing" ...
THINGS = {
    "thing": rf"{_WORD}(?: [\w'&-]+){{0,4}}?",
    "things": rf"{_WORD}(?: [\w'&-]+){{0,3}}?s",
    "person": rf"(?:{_WORD} ){{0,2}}(?:{'|'.join(PEOPLE)})",
    "animal": rf"(?:{_WORD} ){{0,2}}(?:{'|'.join(ANIMALS)})",
    "trait": rf"(?:favourite {_WORD}(?: [\w'&-]+){{0,3}}?|(?:{_WORD} ){{0,2}}(?:{_TRAITS}))",
    "favourites": r"favourite [\w' -]+s",
    "date_of": rf"(?:(?:{_WORD} ){{0,3}}{_WORD}'s )?(?:birthday|anniversary|wedding anniversary)",
}
# ... these the slot "value" (`curate` knows what each may look like), and <other> the slot "other".
VALUES = ("name", "Name", "Names", "Titled", "Language", "noun", "phrase", "place", "list", "job", "date", "number")


@dataclass(frozen=True)
class Relation:
    """One kind of fact.

    `hears` are regular expressions over a whole first-person clause, `record` the
    sentence that is kept. Wordings hold {value}, {thing}, {other} and the forms
    derived from them: {a_value} with its article, {thing_s} as a genitive, {who}
    for Who or What. `asks` are direct questions, `wonders` what may follow "Do you
    know", `facts` statements (the first is the usual answer), `about` a noun phrase,
    `short` answers of few words, `reverse` question and answer about the value.
    """

    name: str
    hears: tuple[str, ...]
    record: str
    facts: tuple[str, ...]
    asks: tuple[str, ...]
    wonders: tuple[str, ...]
    about: str
    held: tuple[str, ...]
    short: tuple[str, ...] = ("{value}",)
    reverse: tuple[tuple[str, str], ...] = ()


@cache
def ears(relation: Relation) -> tuple[re.Pattern[str], ...]:
    """The compiled `hears`; group names are those of THINGS and VALUES, and "other"."""

    def group(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{THINGS.get(match[1], '.+')})"

    return tuple(re.compile(re.sub(r"(?<!P)<(\w+)>", group, text), re.IGNORECASE) for text in relation.hears)


# fmt: off
PHRASE_BOOK: tuple[Relation, ...] = (
    Relation(
        "own_name",
        hears=("my (?:first |full )?name is <name>", "(?:you can |please |just )*call me <Name>", "I am called <name>",
               "(?:people|everyone|friends|my friends) calls? me <name>", "I go by <Name>"),
        record="The user's name is {value}.",
        facts=("my name is {value}", "I am called {value}"),
        asks=("What is my name?", "What am I called?"),
        wonders=("what my name is", "what I am called"),
        about="my name",
        held=("What do people call me?",),
        short=("{value}", "You are {value}"),
    ),
    Relation(
        "name",
        hears=("my <thing> is (?:called|named) <name>", "my <thing>(?:'s|') name is <name>",
               "the name of my <thing> is <name>",
               "I (?:have|own|got|adopted|bought) an? <thing> (?:called|named) <name>",
               "my <person> is <Titled>", "my <animal> is <Name>"),
        record="The user's {thing} is called {value}.",
        facts=("my {thing} is called {value}", "the name of my {thing} is {value}"),
        asks=("What is my {thing} called?", "What is the name of my {thing}?", "What's my {thing_s} name?"),
        wonders=("what my {thing} is called", "what my {thing_s} name is"),
        about="my {thing}",
        held=("What did I say my {thing} was called?", "What name does my {thing} have?"),
        short=("{value}", "It's {value}"),
        reverse=(("{who} is {value}?", "{value} is my {thing}"),
                 ("Do you know {who_low} {value} is?", "yes, {value} is my {thing}")),
    ),
    Relation(
        "names",
        hears=("my <things> are (?:called|named) <Names>", "my <things>(?:'s|') names are <Names>",
               "the names of my <things> are <Names>",
               r"I (?:have|own|got|adopted) (?:two|three|four|five|six|\d+) <things> (?:called|named) <Names>"),
        record="The user's {thing} are called {value}.",
        facts=("my {thing} are called {value}", "the names of my {thing} are {value}"),
        asks=("What are my {thing} called?", "What are the names of my {thing}?"),
        wonders=("what my {thing} are called", "what the names of my {thing} are"),
        about="my {thing}",
        held=("What did I say my {thing} were called?", "Which names do my {thing} have?"),
        short=("{value}", "They are {value}"),
        reverse=(("{who} are {value}?", "{value} are my {thing}"),),
    ),
    Relation(
        "date_of",
        hears=("my <date_of> is (?:on )?(?:the )?<date>",),
        record="The user's {thing} is on {value}.",
        facts=("my {thing} is on {value}",),
        asks=("When is my {thing}?", "What date is my {thing}?"),
        wonders=("when my {thing} is", "on what date my {thing} is"),
        about="my {thing}",
        held=("When did I say my {thing} was?", "On which day do I celebrate my {thing}?"),
        short=("On {value}", "{value}"),
        reverse=(("What happens on {value}?", "my {thing} is on {value}"),),
    ),
    Relation(
        "model",
        hears=("my <thing> is an? <Name>",),
        record="The user's {thing} is {a_value}.",
        facts=("my {thing} is {a_value}",),
        asks=("What kind of {thing} do I have?", "Which {thing} do I have?"),
        wonders=("what kind of {thing} I have", "which {thing} I have"),
        about="my {thing}",
        held=("What did I say my {thing} was?", "What make is my {thing}?"),
        short=("{a_value}", "It's {a_value}"),
    ),
    Relation(
        "address",
        hears=(r"I live (?:at|on|in) (?P<Name>.*\b(?:street|road|lane|avenue|square|way|hill|close|row|court|terrace))",
               "I live at <Name>", "my address is <Name>"),
        record="The user's address is {value}.",
        facts=("my address is {value}",),
        asks=("What is my address?", "Which street do I live in?"),
        wonders=("what my address is", "which street I live in"),
        about="my address",
        held=("On which street is my house?", "What address should I write on the form?"),
    ),
    Relation(
        "home",
        hears=("I live in <name>", "I (?:have )?moved to <name>", "I am based in <name>", "my home is in <name>"),
        record="The user lives in {value}.",
        facts=("I live in {value}", "my home is in {value}"),
        asks=("Where do I live?", "Which place do I live in?", "What is the name of the place where I live?"),
        wonders=("where I live", "which place I live in"),
        about="my home",
        held=("Where is my home?", "In which town would you find my house?"),
        short=("In {value}", "{value}"),
        reverse=(("Who lives in {value}?", "I live in {value}"),),
    ),
    Relation(
        "birthplace",
        hears=("I was born in <name>", "my (?:birthplace|place of birth) is <name>"),
        record="The user was born in {value}.",
        facts=("I was born in {value}", "my birthplace is {value}"),
        asks=("Where was I born?", "What is my birthplace?"),
        wonders=("where I was born", "what my birthplace is"),
        about="my birthplace",
        held=("In which place did I come into the world?", "In which town did my life begin?"),
        short=("In {value}", "{value}"),
    ),
    Relation(
        "birth_year",
        hears=(r"I was born in (?P<number>\d{4})",),
        record="The user was born in {value}.",
        facts=("I was born in {value}",),
        asks=("In which year was I born?", "What year was I born in?"),
        wonders=("in which year I was born",),
        about="the year of my birth",
        held=("In what year did I come into the world?",),
        short=("In {value}", "{value}"),
    ),
    Relation(
        "origin",
        hears=("I grew up in <name>", "I (?:come|am|hail) (?:originally )?from <Name>", "my home ?town is <Name>",
               "I (?:was raised|spent my childhood) in <name>"),
        record="The user grew up in {value}.",
        facts=("I grew up in {value}", "I come from {value}"),
        asks=("Where did I grow up?", "Where do I come from?", "Which place did I grow up in?"),
        wonders=("where I grew up", "where I come from"),
        about="my childhood",
        held=("Where did I spend my childhood?", "In which town did I spend my early years?"),
        short=("In {value}", "{value}"),
    ),
    Relation(
        "diet",
        hears=("I am (?:an? )?(?P<phrase>vegetarian|vegan|pescatarian|coeliac|diabetic|lactose intolerant)",),
        record="The user is {value}.",
        facts=("I am {value}",),
        asks=("What should you know about my diet?", "What is special about what I eat?"),
        wonders=("what is special about my diet",),
        about="my diet",
        held=("What should a cook know about me?",),
    ),
    Relation(
        "job",
        hears=("I work as an? <noun>", "I am an? <job>", "my (?:job|profession|occupation) is (?:being )?an? <noun>",
               "I make my living as an? <noun>"),
        record="The user works as {a_value}.",
        facts=("I work as {a_value}", "I am {a_value}"),
        asks=("What do I do for a living?", "What is my job?", "What do I work as?"),
        wonders=("what I do for a living", "what my job is"),
        about="my job",
        held=("What profession do I have?", "How do I earn my money?"),
        short=("{a_value}", "You are {a_value}"),
    ),
    Relation(
        "employer",
        hears=("I work (?:for|at) <Name>", "I am employed (?:by|at) <Name>", "my employer is <Name>"),
        record="The user works for {value}.",
        facts=("I work for {value}", "my employer is {value}"),
        asks=("Who do I work for?", "Which company do I work for?"),
        wonders=("who I work for", "what my employer is called"),
        about="my employer",
        held=("Where am I employed?", "Who pays my salary?"),
    ),
    Relation(
        "subject",
        hears=("I (?:am studying|study|am reading for a degree in) <noun>",),
        record="The user studies {value}.",
        facts=("I study {value}", "my subject is {value}"),
        asks=("What do I study?", "Which subject do I study?"),
        wonders=("what I study", "which subject I study"),
        about="my studies",
        held=("What am I studying?", "What subject am I taking?"),
    ),
    Relation(
        "allergy",
        hears=("I am (?:very |badly |terribly |severely )?allergic to <noun>", "I have an? <noun> allergy"),
        record="The user is allergic to {value}.",
        facts=("I am allergic to {value}", "my allergy is to {value}"),
        asks=("What am I allergic to?", "Which thing am I allergic to?"),
        wonders=("what I am allergic to", "what my allergy is"),
        about="my allergy",
        held=("What gives me an allergic reaction?", "What must I avoid because of my allergy?"),
    ),
    Relation(
        "car",
        hears=("I drive an? <noun>",),
        record="The user drives {a_value}.",
        facts=("I drive {a_value}", "my car is {a_value}"),
        asks=("What car do I drive?", "What do I drive?"),
        wonders=("what car I drive", "what I drive"),
        about="my car",
        held=("What kind of car is mine?", "Which vehicle would you find me driving?"),
        short=("{a_value}",),
    ),
    Relation(
        "ride",
        hears=("I (?:ride|cycle on) an? <noun>",),
        record="The user rides {a_value}.",
        facts=("I ride {a_value}",),
        asks=("What do I ride?", "What am I riding when I am out?"),
        wonders=("what I ride",),
        about="my rides",
        held=("What do I get around on?",),
        short=("{a_value}",),
    ),
    Relation(
        "instrument",
        hears=("I play the <noun>",),
        record="The user plays the {value}.",
        facts=("I play the {value}", "my instrument is the {value}"),
        asks=("Which instrument do I play?", "What instrument do I play?"),
        wonders=("which instrument I play", "what my instrument is"),
        about="the music I make",
        held=("What do I play when I make music?", "What musical instrument is mine?"),
        short=("The {value}",),
    ),
    Relation(
        "learning",
        hears=("I (?:am learning|have started learning|started learning|am teaching myself) <noun>",),
        record="The user is learning {value}.",
        facts=("I am learning {value}",),
        asks=("What am I learning?", "What have I started to learn?"),
        wonders=("what I am learning",),
        about="my lessons",
        held=("What am I taking lessons in?", "What am I trying to learn?"),
    ),
    Relation(
        "language",
        hears=("I speak (?:fluent |some |a little |a bit of )?<Language>",),
        record="The user speaks {value}.",
        facts=("I speak {value}",),
        asks=("Which language do I speak?", "What language do I speak?"),
        wonders=("which language I speak",),
        about="the languages I speak",
        held=("In which language can people talk to me?",),
    ),
    Relation(
        "collection",
        hears=("I collect <noun>",),
        record="The user collects {value}.",
        facts=("I collect {value}", "my collection is made up of {value}"),
        asks=("What do I collect?", "Which things do I collect?"),
        wonders=("what I collect", "what is in my collection"),
        about="my collection",
        held=("What am I a collector of?", "What would you find in my collection?"),
    ),
    Relation(
        "team",
        hears=(r"I (?:support|root for) (?P<Name>\S+ \S.*)", "my (?:team|football team|club|football club) is <Name>"),
        record="The user supports {value}.",
        facts=("I support {value}", "my team is {value}"),
        asks=("Which team do I support?", "What team do I support?"),
        wonders=("which team I support", "what my team is"),
        about="my team",
        held=("Which team am I a fan of?", "Who do I cheer for?"),
    ),
    Relation(
        "volunteering",
        hears=("I volunteer (?:at|for|with) (?:the )?<Name>",),
        record="The user volunteers for {value}.",
        facts=("I volunteer for {value}",),
        asks=("Where do I volunteer?", "Who do I volunteer for?"),
        wonders=("where I volunteer",),
        about="my volunteering",
        held=("Where do I help out for free?",),
    ),
    Relation(
        "training",
        hears=("I am training for <phrase>",),
        record="The user is training for {value}.",
        facts=("I am training for {value}",),
        asks=("What am I training for?", "Which event am I training for?"),
        wonders=("what I am training for",),
        about="my training",
        held=("Which event is my training meant for?",),
    ),
    Relation(
        "saving",
        hears=("I am saving (?:up )?(?:for|to buy) an? <noun>",),
        record="The user is saving up for {a_value}.",
        facts=("I am saving up for {a_value}",),
        asks=("What am I saving up for?", "What am I putting money aside for?"),
        wonders=("what I am saving up for",),
        about="my savings",
        held=("What do I want to buy with my savings?",),
        short=("{a_value}",),
    ),
    Relation(
        "reading",
        hears=("I am reading <Name>", "the book I am reading is (?:called )?<Name>"),
        record="The user is reading {value}.",
        facts=("I am reading {value}",),
        asks=("Which book am I reading?", "What am I reading?"),
        wonders=("which book I am reading",),
        about="the book I am reading",
        held=("Which book is on my bedside table?",),
    ),
    Relation(
        "served",
        hears=("I (?:take|drink|have|like) my (?P<thing>coffee|tea|eggs|toast|steak|porridge|whisky|burger) <phrase>",),
        record="The user takes their {thing} {value}.",
        facts=("I take my {thing} {value}", "I like my {thing} {value}"),
        asks=("How do I take my {thing}?", "How do I like my {thing}?"),
        wonders=("how I take my {thing}", "how I like my {thing}"),
        about="the way I take my {thing}",
        held=("How should my {thing} be served?", "If you made me {thing}, how should it be?"),
    ),
    Relation(
        "preference",
        hears=("I prefer (?P<noun>.+?) (?:over|to|rather than) <other>",
               "I like (?P<noun>.+?) (?:better|more) than <other>"),
        record="The user prefers {value} to {other}.",
        facts=("I prefer {value} to {other}", "I like {value} better than {other}"),
        asks=("What do I prefer to {other}?", "What do I like better than {other}?"),
        wonders=("what I prefer to {other}", "what I like better than {other}"),
        about="what I think of {other}",
        held=("What would I choose over {other}?", "What should you offer me in place of {other}?"),
    ),
    Relation(
        "kept",
        hears=("I (?:keep|store|hide) my <thing> (?P<place>(?:in|under|on|behind|inside|above|below|at|next to) .+)",),
        record="The user keeps their {thing} {value}.",
        facts=("I keep my {thing} {value}",),
        asks=("Where do I keep my {thing}?", "What is the place where I keep my {thing}?"),
        wonders=("where I keep my {thing}", "in which place I keep my {thing}"),
        about="my {thing}",
        held=("Where should I look for my {thing}?", "In what place would I find my {thing}?"),
    ),
    Relation(
        "spouse",
        hears=("I am (?P<thing>married|engaged) to <Name>",),
        record="The user is {thing} to {value}.",
        facts=("I am {thing} to {value}",),
        asks=("Who am I {thing} to?", "What is the name of the person I am {thing} to?"),
        wonders=("who I am {thing} to",),
        about="my better half",
        held=("Which person am I {thing} to?",),
        reverse=(("Who is {value}?", "I am {thing} to {value}"),),
    ),
    Relation(
        "age",
        hears=(r"I am (?P<number>\d{1,3}) years old", r"my age is (?P<number>\d{1,3})"),
        record="The user is {value} years old.",
        facts=("I am {value} years old", "my age is {value}"),
        asks=("How old am I?", "What is my age?"),
        wonders=("how old I am", "what my age is"),
        about="my age",
        held=("How many years old am I?", "What age did I give you?"),
    ),
    Relation(
        "rising",
        hears=("I (?:get|wake) up (?:every (?:day|morning) )?at <number>",),
        record="The user gets up at {value}.",
        facts=("I get up at {value}",),
        asks=("When do I get up?", "What time do I get up?"),
        wonders=("when I get up", "what time I get up"),
        about="my mornings",
        held=("At which hour does my day begin?", "For what time should I set my alarm clock?"),
        short=("At {value}",),
    ),
    Relation(
        "person_home",
        hears=("my <person> (?:lives|is living|is based) in <name>", "my <person> (?:has )?moved to <name>"),
        record="The user's {thing} lives in {value}.",
        facts=("my {thing} lives in {value}", "the home of my {thing} is in {value}"),
        asks=("Where does my {thing} live?", "Which place does my {thing} live in?"),
        wonders=("where my {thing} lives", "which place my {thing} lives in"),
        about="where my {thing} lives",
        held=("Where is my {thing_s} home?", "Where would I go to visit my {thing}?"),
        short=("In {value}", "{value}"),
    ),
    Relation(
        "person_job",
        hears=("my <person> works as an? <noun>", "my <person> is an? <job>"),
        record="The user's {thing} works as {a_value}.",
        facts=("my {thing} works as {a_value}", "my {thing} is {a_value}"),
        asks=("What does my {thing} do for a living?", "What is my {thing_s} job?"),
        wonders=("what my {thing} does for a living", "what my {thing_s} job is"),
        about="my {thing_s} job",
        held=("What profession does my {thing} have?", "How does my {thing} earn money?"),
        short=("{a_value}",),
    ),
    Relation(
        "person_employer",
        hears=("my <person> works (?:for|at) <Name>",),
        record="The user's {thing} works for {value}.",
        facts=("my {thing} works for {value}",),
        asks=("Who does my {thing} work for?", "Which company does my {thing} work for?"),
        wonders=("who my {thing} works for",),
        about="my {thing_s} employer",
        held=("Where is my {thing} employed?", "Who pays my {thing_s} salary?"),
    ),
    Relation(
        "person_allergy",
        hears=("my <person> is (?:very |badly |terribly |severely )?allergic to <noun>",),
        record="The user's {thing} is allergic to {value}.",
        facts=("my {thing} is allergic to {value}",),
        asks=("What is my {thing} allergic to?", "Which thing is my {thing} allergic to?"),
        wonders=("what my {thing} is allergic to",),
        about="my {thing_s} allergy",
        held=("What gives my {thing} an allergic reaction?", "What must my {thing} avoid?"),
    ),
    # The general case comes last: whatever the rows above did not know better.
    Relation(
        "attribute",
        hears=("my <trait> is <phrase>", "my <thing> is <Name>"),
        record="The user's {thing} is {value}.",
        facts=("my {thing} is {value}",),
        asks=("What is my {thing}?", "What's my {thing}?"),
        wonders=("what my {thing} is",),
        about="my {thing}",
        held=("What did I say my {thing} was?", "What would you put down as my {thing}?"),
        short=("{value}", "It's {value}"),
        reverse=(("What is {value} to me?", "{value} is my {thing}"),),
    ),
    Relation(
        "attributes",
        hears=("my <favourites> are <list>",),
        record="The user's {thing} are {value}.",
        facts=("my {thing} are {value}",),
        asks=("What are my {thing}?", "Which are my {thing}?"),
        wonders=("what my {thing} are",),
        about="my {thing}",
        held=("What did I say my {thing} were?", "What would you put down as my {thing}?"),
        short=("{value}", "They are {value}"),
    ),
)
# fmt: on

BY_NAME = {relation.name: relation for relation in PHRASE_BOOK}
