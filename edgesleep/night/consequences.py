"""Consequences: what a message says as well, by the meaning of its words.

Owns the further facts that follow from found ones: whose dentist it is that the dentist's appointment is with, whose
teacher has the class, what somebody does for a living who drives buses. Leaves what is said outright to `grammar` and
other words for the same to `synonyms`. Must stay true: what is merely likely does not follow; the value is a span of
the message, and a fact said outright is not told twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from edgesleep.night.children import children
from edgesleep.night.lexicon import BUSINESSES, DAYS, NUMBERS, any_word, words
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, fact_of

Pairs = list[tuple[str, str]]

_TITLED = r"(?:Dr|Mr|Mrs|Ms|Miss|Prof|Professor)\b\.? [A-Z][\w'-]+(?: [A-Z][\w'-]+)?"
# Whose appointment names the one who is seen, and what one sees them about.
_SEEN = {
    "dentist": "my teeth",
    "doctor": "",
    "gp": "",
    "vet": "",
    "physio": "",
    "optician": "my eyes",
    "hairdresser": "my hair",
    "barber": "my hair",
    "therapist": "",
    "lawyer": "",
    "solicitor": "",
    "accountant": "",
    "midwife": "",
}
_WITH = re.compile(
    rf"\b(?:[Mm]y|I have an?|I've got an?|I've an?|I have my|I've got my|I've) (?P<who>{any_word(_SEEN)})(?:'?s'?)?"
    rf"(?: appointment| check-?up| slot| visit)\b(?P<when>(?: (?:on|at|for|this|next|tomorrow)\b[^.;!?]{{0,40}}?)?)"
    rf" with (?P<name>{_TITLED})"
)
_THEIRS = re.compile(
    r"\b(?:[Ss]?[Hh]e|They|they|[Mm]y (?!dentist|vet|doctor)[a-z]+|[A-Z][a-z]+)(?:'s| has| have|'ve)?"
    r"(?: had| got| booked)? (?:an?|the|his|her|their) [\w ]{0,20}(?:appointment|slot|check-?up|booking)"
    r"|\b(?:appointment|slot|check-?up|booking) for (?:my|our|the [a-z]|him|her|them)\b"
)
_CLASS = re.compile(rf"(?P<who>[A-Z][\w' -]*?) (?:is|am) in (?P<name>{_TITLED})'s? (?:class|form)(?: at [^.]+)?\.")
_VEHICLES = (
    "trains|buses|taxis|lorries|trams|ambulances|cabs|coaches|minicabs|hearses"
    "|an? (?:train|bus|taxi|lorry|tram|ambulance|cab|minicab|hearse)"
)
_SUBJECTS = any_word(words("""
    maths math mathematics physics chemistry biology history geography english french german spanish italian latin
    music art drama science economics law philosophy psychology literature linguistics engineering statistics
    algebra geology sociology nursing
"""))  # fmt: skip
_TRADE = re.compile(
    rf"(?P<who>I|(?:My|Our) [\w' -]+?|[A-Z]\w+) (?P<does>(?:drives?) (?P<vehicle>{_VEHICLES})"
    rf"|(?:teach|teaches) (?:[a-z]+ school |primary |secondary )?(?:{_SUBJECTS})"
    rf"|(?:run|runs) (?:an?|the|our|my) (?:[\w'-]+ ){{0,2}}(?:{any_word(BUSINESSES)})"
    r"|[a-z]+ [\w' -]+? for a living)(?: (?:in|at|for|near) [^.]+)?\.",
    re.IGNORECASE,
)
_PAST_WORK = re.compile(
    r"I (?:worked|did (?:nights|days|shifts|night shifts|earlies|lates))\b[^.]* (?:at|for) "
    r"(?P<where>(?:the )?[A-Z0-9][\w&'.-]*(?: [A-Z0-9][\w&'.-]*)*)(?= |\.)"
)
_LEFT = re.compile(
    rf"\bfor (?:about |over |nearly |almost )?(?:{NUMBERS}|\d+|a|many|several|a few) (?:years?|months?|decades?)\b"
    r"|\bbefore (?:I|we|moving|joining|starting|retiring|changing|switching|this job|my (?:current|present))\b"
    r"|\b(?:until|till) \d{4}\b|\bused to\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"\bI (?P<was>was|used to work|used to be|worked) (?P<at>at|for|with) (?P<where>(?:the )?[A-Z][\w&'.-]*"
    r"(?: [A-Z][\w&'.-]*)*)(?P<span> for [\w ]+? (?:years?|months?))? before "
    r"(?:this\b(?! (?:morning|meeting))|that job|joining|I joined"
    r"|retiring|I retired|my (?:current|present)|I changed|I switched|switching|changing)"
)
_OURS = re.compile(
    r"\b(?:an?|any) (?:[a-z]+ )?(?P<home>house|flat|apartment|cottage|bungalow|studio) in "
    r"(?P<where>[A-Z][\w'-]+(?:[ -](?:[A-Z][\w'-]+|in|on|upon|under|le|la|de|am|sur))*)\b[^.!]{0,80}?[.?!,;:]? "
    r"(?P<who>[Ww]e|I)(?:'ve| have)?(?: only| just)? (?:bought|got|rented|moved into) (?:ours|mine)\b"
)
_MINE = re.compile(r"(?:My|Our) (?:[\w-]+ )*(?P<home>house|flat|apartment|cottage|bungalow|studio) is in [^.]+\.")
_ELSEWHERE = re.compile(
    r"\b(?:holiday|second|summer|rents? out|renting out|let out|tenants?|airbnb|old|sell\w*)\b", re.I
)
# "In" is into the water only right after a word on how the user likes it.
_GOES_IN = re.compile(
    r"\b(?:I|we)(?:'d| would)?(?: really| always)? (?:love|miss|enjoy|adore|like) "
    r"(?:swimming\b|(?:the|our|my) (?:cold )?"
    r"(?:sea|pool|lake|lido|river|loch)\b)[^.,;:!?—-]{0,30}[.,;:!—-]+ ?(?:and |so )?"
    rf"(?:I|we) (?:go|get|am|'m|always go) (?:back )?in (?:every|each|on) (?P<when>(?:{any_word(DAYS)})s?"
    r"(?: (?:mornings?|afternoons?|evenings?|nights?))?)\b"
    r"(?! (?:at|to|for|by|and work)\b)",
    re.IGNORECASE,
)
_ABOUT = re.compile(r", (?:the|that) one (?P<by>about|by) (?P<whom>[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")
_BOOKISH = re.compile(
    r"\b(?:the|an?|this|that|my|good|great) (?:book|novel|audiobook)\b|\b(?:reading|chapters|author|kindle)\b", re.I
)
_SCREEN = re.compile(
    r"\b(?:watch\w*|films?|movies?|series|episodes?|seasons?|shows?|games?|play\w*|albums?|course|puzzle)\b",
    re.IGNORECASE,
)
_MEALS = re.compile(r"\b(?:recipes?|cooking|cook|meals?|dinners?|lunch(?:es)?|menus?)\b", re.IGNORECASE)
_FOR_MANY = re.compile(rf"\bmake it for (?P<many>{NUMBERS}|\d+)\b", re.IGNORECASE)


def consequences(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """The facts that follow from those `found` in a message, without those that were told outright."""
    told = {fact.relation for fact in found}
    for rule in _RULES:
        for fact in rule(text, found):
            if fact.relation not in told and fold(fact.value) in fold(text):
                told.add(fact.relation)
                yield fact


def _called(whom: str, name: str, more: Pairs, relation: str = "") -> Iterator[Fact]:
    """That somebody is called so; `whom` is "my dentist"."""
    told = f"{whom[:1].upper()}{whom[1:]} is called {name}."
    pairs = [
        (f"who is {whom}?", f"who {whom} is"),
        (f"what is {whom} called?", f"what {whom} is called"),
        (f"what is {whom}'s name?", f"what {whom}'s name is"),
        *more,
    ]
    return fact_of(told, name, relation or f"{whom}|name", "relation", pairs)


def _professional(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "A slot with Dr Hale" at the dentist: the dentist is Dr Hale."""
    if _THEIRS.search(text):
        return
    booked = re.compile(r"my (\w+) appointment\|is\|company")
    met = [(match[1], fact.value) for fact in found if (match := booked.fullmatch(fact.relation))]
    met += [(match["who"].lower(), match["name"]) for match in _WITH.finditer(text)]
    for who, name in met:
        if who in _SEEN and re.fullmatch(_TITLED, name):
            whom, about = "my GP" if who == "gp" else f"my {who}", _SEEN[who]
            more = [(f"who do I see about {about}?", f"who I see about {about}")] if about else []
            yield from _called(whom, name, more)


def _teacher(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "He's in Mrs Holt's class": his teacher is Mrs Holt."""
    for fact in found:
        match = _CLASS.fullmatch(fact.statement_first)
        if match and not fact.relation.startswith("who|"):
            who = match["who"] if not match["who"].startswith(("My ", "Our ")) else "m" + match["who"][1:]
            who = re.sub(r"^mur ", "our ", who)
            whose = "my" if who == "I" else f"{who}'s"
            teaches = f"who teaches {'me' if who == 'I' else who}"
            yield from _called(f"{whose} teacher", match["name"], [(f"{teaches}?", teaches)])


def _trade(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "My brother drives trains" is what he does for a living."""
    jobs = {fact.relation.partition("|")[0] for fact in found if fact.relation.endswith("|job")}
    for fact in found:
        match = _TRADE.fullmatch(fact.statement_first)
        owner = fact.relation.partition("|")[0]
        value = fact.value.partition(" in ")[0]
        if not match or owner in jobs | {"who", "said", "you"} or fold(value) not in fold(match["does"]):
            continue
        jobs.add(owner)
        who = match["who"]
        who = who if who == "I" or not who.startswith(("My ", "Our ")) else who[0].lower() + who[1:]
        yield from fact_of(fact.statement_first, value, f"{owner}|living", "fact", _job_pairs(who), fact.statement)


def _job_pairs(who: str) -> Pairs:
    own = who == "I"
    do, does, whose = ("do", "do", "my") if own else ("does", "does", f"{who}'s")
    return [
        (f"what {do} {who} do for a living?", f"what {who} {does} for a living"),
        (f"what is {whose} job?", f"what {whose} job is"),
        (f"what kind of work {do} {who} do?", f"what kind of work {who} {does}"),
        (f"how {do} {who} earn a living?", f"how {who} {'earn' if own else 'earns'} a living"),
    ]


def _past_work(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "I did nights for four years at Larkhill": a place of work before this one."""
    places = [
        (fact.statement_first, match["where"])
        for fact in found
        if (match := _PAST_WORK.match(fact.statement_first)) and fact.value == match["where"] and _LEFT.search(text)
    ]
    places += [
        (f"I {match['was']} {match['at']} {match['where']} before.", match["where"]) for match in _BEFORE.finditer(text)
    ]
    for told, where in places[:1]:
        pairs = [
            ("where did I work before?", "where I worked before"),
            ("where did I use to work?", "where I used to work"),
            ("what was my former place of work?", "what my former place of work was"),
            ("where did I have a job before?", "where I had a job before"),
        ]
        yield from fact_of(told, where, "i|worked|before", "fact", pairs)


def _home(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "A house in Ghent, we bought ours", "my flat in Ghent": home is there."""
    if _ELSEWHERE.search(text) or any(fact.relation == "i|live|place" for fact in found):
        return
    homes = [
        (fact.statement_first, match["home"], fact.value)
        for fact in found
        if (match := _MINE.fullmatch(fact.statement_first)) and fact.relation.endswith("|is|place")
    ]
    for match in _OURS.finditer(text):
        own = "My" if match["who"] == "I" else "Our"
        homes.append((f"{own} {match['home']} is in {match['where']}.", match["home"], match["where"]))
    for told, home, where in homes[:1]:
        own = told.split()[0].lower()
        pairs = [
            (f"where is {own} {home}?", f"where {own} {home} is"),
            ("where do I live?", "where I live"),
            (f"what place is {own} {home} in?", f"what place {own} {home} is in"),
            (f"where is {own} home?", f"where {own} home is"),
        ]
        yield from fact_of(told, where, f"i|home|{home}", "fact", pairs, f"In {where}.")


def _portions(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "Recipes always for six": for how many people, how many portions."""
    for fact in found:
        match = _FOR_MANY.search(fact.statement_first)
        meal = _MEALS.search(fact.statement_first)
        if fact.kind == "procedure" and match and meal:
            what = meal[0].lower() if meal[0].lower() in ("recipe", "recipes", "meals", "dinners") else "recipes"
            what = "recipes" if what == "recipe" else what
            pairs = [
                (f"how many people should {what} be for?", f"how many people {what} should be for"),
                (f"how many portions do I want {what} to make?", f"how many portions I want {what} to make"),
                (f"how many people should {what} feed?", f"how many people {what} should feed"),
                (f"how many servings should {what} have?", f"how many servings {what} should have"),
            ]
            relation = f"{fact.relation.split('|make')[0]}|portions"
            yield from fact_of(fact.statement_first, match["many"], relation, "procedure", pairs, full=fact.statement)
            return


def _swim(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "I'd miss the sea, I go in every Sunday": when the user swims."""
    match = _GOES_IN.search(text)
    if match:
        when = match["when"]
        pairs = [
            ("when do I go swimming?", "when I go swimming"),
            ("what day do I swim?", "what day I swim"),
            ("when do I swim?", "when I swim"),
            ("which day of the week do I go swimming?", "which day of the week I go swimming"),
            ("when do I go in the water?", "when I go in the water"),
        ]
        told = f"I go swimming {'on' if fold(when.split()[-1]).endswith('s') else 'every'} {when}."
        yield from fact_of(told, when, "i|swim|often", "fact", pairs)


def _book(text: str, found: Sequence[Fact]) -> Iterator[Fact]:
    """ "I finished Endurance, the one about Shackleton" is a book, where nothing was watched or played."""
    for fact in found:
        finished = re.fullmatch(r"I (?:have |'ve )?(?:just )?finished (?P<title>[A-Z][^.]*)\.", fact.statement_first)
        if not finished or fact.value != finished["title"] or _SCREEN.search(text):
            continue
        start = text.find(fact.value) + len(fact.value)
        after, near = _ABOUT.match(text, start), re.match(r"[^.!?\n]*[.!\n]?", text[start:])
        if after and {*fold(fact.value).split()} & {*fold(after["whom"]).split()}:
            continue  # a film about Oppenheimer is as likely called so
        if not after and not (near and near[0].rstrip()[-1:] in ".!" and _BOOKISH.search(near[0])):
            continue  # what is said of reading elsewhere is not said of this
        pairs = [
            ("what book did I finish?", "what book I finished"),
            ("which book have I just read?", "which book I have just read"),
            ("what book did I read?", "what book I read"),
            ("what is the title of the book I finished?", "what the title of the book I finished is"),
        ]
        if after:
            one = f"the book {after['by']} {after['whom']}"
            pairs.append((f"what is {one} called?", f"what {one} is called"))
        yield from fact_of(fact.statement_first, fact.value, f"i|finished|book|{fold(fact.value)}", "event", pairs)


_RULES: tuple[Callable[[str, Sequence[Fact]], Iterator[Fact]], ...] = (
    _professional, _teacher, children, _trade, _past_work, _home, _portions, _swim, _book,
)  # fmt: skip
