"""Sayings: what the user told in words that no rule of `grammar` reads, kept as it was said.

Owns which sentences tell something of the user's own world, which of them belong together, the spans that they can be
asked for, and questions that are sound for any span ("what did I say we shout?"). Leaves the user's own voice to
`reading`, facts that a rule reads to `grammar`, and what the assistant is to do to `orders`. Must stay true: a value
stands in the message; a sentence that asks, bids, wants, greets or points at an earlier one is no saying by itself; a
question is grammatical wherever its gap is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from edgesleep.night.lexicon import (
    DAYS,
    HEADS_OF_NOTHING,
    HEDGES,
    HOUSEHOLD,
    KIN,
    LEADS,
    MONTHS,
    NO_EVENT,
    OF_THOUGHT,
    OPINIONS,
    RELATIVE,
    TIMES,
    UNITS,
    VAGUE_WORDS,
    any_word,
    capital,
    words,
)
from edgesleep.night.parties import Cast
from edgesleep.night.parts import lowered, spoken_run
from edgesleep.night.phrases import fold, right
from edgesleep.night.questions import Fact, yours
from edgesleep.night.reading import Word, any_of
from edgesleep.records import Question

MOST_WORDS = 30  # of a saying
SPANS, CHUNKS = 3, 2  # that one saying is asked for, and asked by
STRONG = 5  # the weight of a name, a date, a time or a measure
WANTED, LONGEST = 4, 16  # wordings of a saying; words of a question

_OWN = {"i", "me", "my", "mine", "we", "us", "our", "ours", "myself"}
_ADDRESS = {*words("you your yourself let")}
_POINTING = {*words("he she him his her they them their it its that this those these one ones")}
_THINKING = {*words("think believe guess suppose reckon assume imagine doubt")}
_LEANING = {"he", "she", "it", "they", "that", "this", "his", "her", "their", "those", "these", "there"}
_WEEKDAYS = DAYS | {day + "s" for day in DAYS}
_MANY = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|quarter|half"
_CLOCK = re.compile(
    rf"\b(?:\d{{1,2}}[:.]\d\d(?: ?[ap]\.?m\b)?|\d{{1,2}} ?[ap]\.?m\b|(?:{_MANY}|\d+) (?:to|past) (?:{_MANY}|\d+)|noon"
    rf"|midnight|(?:{_MANY}) o'clock)",
    re.IGNORECASE,
)
_PERIOD = "(?:week|weekend|morning|afternoon|evening|night)"
_DATE = re.compile(
    rf"\b(?:{_PERIOD} of )?(?:around )?(?:(?:(?:{any_word(DAYS)}) )?\d{{1,2}} )?(?:{any_word(MONTHS)}) \d{{4}}\b"
    r"|\baround \d{4}\b",
    re.IGNORECASE,
)  # whole, as `dates` writes it
_DATED = re.compile(rf"^(?:on|in) (?:the )?(?:{_DATE.pattern}),? ", re.IGNORECASE)
# A wish, a plea, a thought or a courtesy: true while the message is written, and of no use the day after.
_PASSING = re.compile(
    r"^(?:please )?"
    + any_of(r"""
    i(?:'m| am|'ve| have|'ve been| have been| was)? (?:(?:just|also|really|still|currently|now|actually|always|been
        |very|so|pretty|quite|feeling|a bit|a little) )*(?:looking|trying|wondering|thinking|curious|interested
        |considering|planning|hoping|asking|going to|not sure|excited|glad|happy|sorry|sure|ready|need|want|wanted
        |wonder|think|guess|hope|know|see|understand|appreciate|agree|believe|suppose|feel|feeling|thought|heard
        |noticed|decided|didn't|don't|haven't|hadn't|never|realized|tend|tired|wanting|struggling|upset|stressed
        |nervous|worried|anxious|down|free)
    | (?:i|we|you)(?:'d|'ll| would| will| can| could| might| should| must| may) | you | your
    | it(?:'s| is| was| sounds| looks| seems) | (?:that|this|what|how|which|where|who|why)(?:'s|s| is| was)?
    | thanks | thank | tell | give | show | help | find | explain | write | let | make | do | can | could | would | did
    | does | is | are | put | here(?:'s| is| are)? | search | draft | speaking | play | quick | fun | home
    """).replace("\n        ", "")
    + r"\b",
    re.IGNORECASE,
)
# What is only said to be kind, whatever it names.
_COURTESY = re.compile(
    r"^i(?:'ll| will) (?:definitely |certainly |also |surely )?(?:look|check|try|give|keep|consider)\b", re.I
)
# What people do, and things hardly ever.
_DEEDS = {*words("""
    say tell ask call give send show teach help bring make bake cook pack drive live move arrive come visit work marry
    love like hate want know think play sing write read eat drink sleep walk swim meet invite join leave stay buy wear
    wait sit carry clean paint build fix repair study train win lose swear retire
""")}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A part of a sentence that can be asked for: its value, by which word, and its first and last word's index."""

    value: str
    wh: str
    first: int
    last: int
    weight: int


def _meet(sentences: Sequence[Sequence[Word]], cast: Cast) -> None:
    """Take note of the names of those of whom the user speaks."""
    for sentence in sentences:
        if any(word.lower in _OWN or word.lemma in KIN for word in sentence):
            cast.met |= {word.text for word in sentence if word.is_name and _is_somebody(word)}


def _is_of_the_world(word: Word, names: Collection[str]) -> bool:
    return word.lower in _OWN or word.text in names or _is_kin(word) or _is_household(word)


def _is_kin(word: Word) -> bool:
    """ "Mum arrives on Saturday": as a name, without an article; "a group of parents" are anyone's."""
    return word.lemma in KIN and not word.having("det", "poss") and word.tag != "NNS"


def _is_household(word: Word) -> bool:
    return word.lower in HOUSEHOLD and any(det.lower == "the" for det in word.having("det"))


def sayings(text: str, spoken: Sequence[list[Word]], known: Sequence[Fact], cast: Cast) -> tuple[Fact, ...]:
    """What a message, read as `spoken`, tells beyond the facts that are `known` from it, as facts of kind saying."""
    told = f" {' '.join(fold(f'{fact.statement} {fact.value}') for fact in known)} "
    _meet(spoken, cast)
    message = f" {fold(text)} "
    found: list[Fact] = []
    for group in _groups(spoken, cast.spelt):
        spans = [(span, one) for one in group for span in _spans(one) if f" {fold(span.value)} " in message]
        fresh = [(span, one) for span, one in spans if f" {fold(span.value)} " not in told]
        fresh.sort(key=lambda pair: -pair[0].weight)
        if fresh and (fresh[0][0].weight >= STRONG or (_is_telling(group) and len(fresh) == len(spans))):
            found += _made(group, fresh[:SPANS])
    return tuple(found)


def _made(group: Sequence[Sequence[Word]], spans: Sequence[tuple[Span, Sequence[Word]]]) -> Iterator[Fact]:
    last = max(n for n, one in enumerate(group) if any(own is one for _, own in spans))
    kept = group[: last + 1]  # what follows only comments
    first = " ".join(_trimmed(one, [span for span, own in spans if own is one]) for one in kept)
    full = yours(first)
    chunks = list(dict.fromkeys(chunk for sentence in kept for chunk in _chunks(sentence)))
    asked: dict[str, Question] = {}
    for question in (
        *(question for span, sentence in spans for question in _direct(sentence, span, full)),
        *_about(chunks[:CHUNKS], spans[0][0].value, full),
    ):
        asked.setdefault(question.text, question)
    if len(asked) >= WANTED:
        yield Fact(full, first, spans[0][0].value, f"said|{fold(first)}", "saying", tuple(asked.values()))


def _groups(sentences: Sequence[list[Word]], names: Collection[str]) -> Iterator[list[list[Word]]]:
    """Sentences that tell something; one that leans on the sentence before it stands together with that one."""
    group: list[list[Word]] = []
    for sentence in sentences:
        leans = sentence[0].lower in _LEANING or sentence[0].tag in ("VBD", "VBZ", "VBN")
        if group and leans and sum(map(len, group)) + len(sentence) <= MOST_WORDS:
            group.append(sentence)
            continue
        if _tells(group, names):
            yield group
        group = [sentence]
    if _tells(group, names):
        yield group


def _tells(group: Sequence[Sequence[Word]], names: Collection[str]) -> bool:
    """Whether someone of the user's world is spoken of, in a statement that stands by itself."""
    if not 0 < sum(map(len, group)) <= MOST_WORDS or not _is_whole(group[0]):
        return False
    addressed = any(word.lower in _ADDRESS for sentence in group for word in sentence)
    if addressed or _points_back(group[0]) or any(_is_hollow(sentence) for sentence in group):
        return False
    for sentence in group:
        if any(_is_of_the_world(word, names) for word in sentence):
            strong = any(span.weight >= STRONG for span in _spans(sentence))
            mine = any(word.lower in ("my", "our") for word in sentence)
            said = _DATED.sub("", _said(sentence))
            if not _PASSING.match(said) or (strong and mine and not _COURTESY.match(said)):
                return True
    return False


def _points_back(sentence: Sequence[Word]) -> bool:
    """Whether a sentence speaks of something that only an earlier one names."""
    if any(_is_unnamed(word, sentence) for word in sentence):
        return True
    for word in sentence:
        if word.is_noun and (word.is_name or word.having("det", "poss", "amod", "compound") or word.lemma in KIN):
            return any(w.lower in ("then", "there") and w.dep == "advmod" and not w.children for w in sentence[-2:-1])
        if word.lower in _POINTING and not word.having("relcl"):
            return True
    return False


def _is_unnamed(word: Word, sentence: Sequence[Word]) -> bool:
    """ "Our records show that it left": no thing before it; "the same problem": as what?"""
    if word.lower == "same":
        return word.dep == "amod" and not any(w.lower in ("as", "that") and w.index > word.index for w in sentence)
    subject = word.dep in ("nsubj", "nsubjpass") and word.head.dep == "ccomp"
    nothing = KIN | TIMES | HEADS_OF_NOTHING
    return (
        word.lower == "it"
        and (subject or word.dep == "dobj")
        and not any(w.tag in ("NN", "NNP") and w.lemma not in nothing and w.index < word.index for w in sentence)
    )


def _is_hollow(sentence: Sequence[Word]) -> bool:
    """Whether a sentence says what is only thought, what something is not, or nothing in particular."""
    root = next((word for word in sentence if word.dep == "ROOT"), sentence[0])
    subject = next(iter(root.having("nsubj", "nsubjpass")), None)
    what = next(iter(root.having("attr")), None)
    ours = subject is not None and subject.lower in ("i", "we")
    thought = ours and root.lemma in _THINKING and bool(root.having("ccomp"))
    naming = (what is not None and (what.is_name or bool(what.having("det", "poss")))) or (
        root.lemma in ("call", "name") and bool(root.having("auxpass"))
    )
    over = any(w.lower in ("longer", "anymore") and w.head is root for w in sentence)
    had = next(iter(root.having("dobj")), None)
    trouble = ours and had is not None and had.lemma in OF_THOUGHT
    mood = ours and what is not None and what.lemma in HEADS_OF_NOTHING
    matter = root.lemma == "be" and subject is not None and subject.lemma in OF_THOUGHT
    return thought or mood or trouble or matter or over or (naming and bool(root.having("neg")))


def _is_whole(sentence: Sequence[Word]) -> bool:
    """Whether a sentence has a verb with its subject, and bids nobody do anything."""
    root = next((word for word in sentence if word.dep == "ROOT"), sentence[0])
    bids = root.tag == "VB" and not root.having("nsubj", "aux")
    if any(mark.lower in ("since", "when", "while", "after", "before", "until") for mark in root.having("mark")):
        return False  # "since I just saw it"
    return not bids and any(
        w.is_finite and (w.having("nsubj", "nsubjpass") or w.dep in ("aux", "auxpass")) for w in sentence
    )


def _is_telling(group: Sequence[Sequence[Word]]) -> bool:
    """Whether a group without a name or a number still tells what someone has, does or did."""
    first = group[0]
    root = next((word for word in first if word.dep == "ROOT"), first[0])
    subject = next(iter(root.having("nsubj")), None)
    if subject is None or len(group) > 1 or root.lemma in NO_EVENT or any(w.tag == "MD" for w in root.children):
        return False
    who = subject.lower in ("i", "we") or any(poss.lower in ("my", "our") for poss in subject.having("poss"))
    thing = next((w for w in root.having("dobj", "attr") if w.is_noun), None)
    described = (
        thing is not None
        and thing.lemma not in HEADS_OF_NOTHING
        and any(w.lower not in OPINIONS for w in thing.having("compound", "amod"))
    )
    return who and described and root.tag in ("VBD", "VBN", "VBP", "VBZ") and len(first) <= 14


def _said(sentence: Sequence[Word]) -> str:
    return spoken_run([w for w in sentence if w.text != "." or w is not sentence[-1]]).strip() + "."


def _trimmed(sentence: Sequence[Word], spans: Sequence[Span]) -> str:
    """A sentence up to the end of the clause that holds the last span: what follows only comments on it."""
    last = max((span.last for span in spans), default=-1)
    place = {word.index: n for n, word in enumerate(sentence)}
    for n, word in enumerate(sentence):
        ends = word.text in (",", ";", "—", ":") or word.lower in ("which", "because", "since", "so", "although", "but")
        if spans and n > place[last] and ends and n >= 5:
            return spoken_run(sentence[:n]).strip(" ,;:—") + "."
    return _said(sentence)


# ---- spans


def _spans(sentence: Sequence[Word]) -> Iterator[Span]:
    taken: set[int] = set()
    text = "".join(w.text + w.space for w in sentence)
    for pattern, wh in ((_DATE, "when"), (_CLOCK, "what time")):
        for match in pattern.finditer(text):
            inside = _words_at(sentence, match.start(), match.end())
            noun = bool(inside) and inside[-1].dep in ("compound", "amod", "nmod") and inside[-1].head not in inside
            if inside and not noun and not taken & {w.index for w in inside}:
                taken |= {w.index for w in inside}
                value = spoken_run(inside)
                yield Span(value, wh, inside[0].index, inside[-1].index, 5 if value.startswith("week") else 6)
    for word in sentence:
        run = _run(word)
        if run and not taken & {w.index for w in run} and (span := _typed(word, run)):
            taken |= {w.index for w in run}
            yield span


def _words_at(sentence: Sequence[Word], start: int, end: int) -> list[Word]:
    found, place = [], 0
    for word in sentence:
        if start <= place < end:
            found.append(word)
        place += len(word.text + word.space)
    return found


def _run(word: Word) -> list[Word]:
    """The noun phrase that ends in a noun, without what follows the noun; a list of names or days stays together."""
    if word.tag == "CD" and not (word.head.is_noun and word.dep == "nummod"):
        return [w for w in word.subtree() if w is word or (w.tag == "$" and w.index == word.index - 1)]
    if not (word.is_noun or word.lower in _WEEKDAYS) or (
        word.dep in ("compound", "nmod", "poss") and word.head.is_noun
    ):
        return []
    if word.dep == "conj" and (word.head.is_noun or word.head.lower in _WEEKDAYS):
        return []
    cut = {"relcl", "advcl", "preconj", "punct"}
    run = [w for w in word.subtree() if w.index < word.index and (w.dep not in cut or w.text in ("-", "$", "'"))]
    run.append(word)
    steady = [run[-1]]
    for w in reversed(run[:-1]):
        if w.index != steady[0].index - 1:
            break
        steady.insert(0, w)
    if (tail := _of_name(word)) is not None:
        return steady + [w for w in word.subtree() if word.index < w.index <= tail.index]
    other = next((w for w in word.having("conj") if w.is_noun or w.lower in _WEEKDAYS), None)
    if other is not None and other.index - word.index <= 4:
        steady += [w for w in word.subtree() if word.index < w.index <= other.index]
    return steady


def _of_name(word: Word) -> Word | None:
    """The last word of "Call of Duty", "the 22nd of April"."""
    if not word.is_name and not re.fullmatch(r"\d+(?:st|nd|rd|th)", word.lower):
        return None
    names = [noun for prep in word.having("prep") if prep.lower == "of" for noun in prep.having("pobj") if noun.is_name]
    return names[0] if names and names[0].index - word.index <= 4 else None


def _typed(word: Word, run: list[Word]) -> Span | None:
    """What a noun phrase is asked for by; None where it says nothing by itself."""
    lower = {w.lower for w in run}
    bare = run
    while len(bare) > 1 and (_is_lead(bare[0]) or bare[0].dep in ("det", "poss", "case")):
        bare = bare[1:]
    text = spoken_run(bare)
    if not fold(text) or {*text.lower().split()} & (VAGUE_WORDS | _OWN | {"now", "today", "tonight", "tomorrow"}):
        return None
    ends = run[0].index, run[-1].index
    if word.dep == "npadvmod" and lower & RELATIVE:
        return None  # "last Tues": of the day it was said
    if lower & (_WEEKDAYS | MONTHS) or re.fullmatch(r"(?:19|20)\d\d", text):
        return Span(text, "when", *ends, 6)
    numbers = [w for w in run if w.tag == "CD"]
    if "%" in text or (word.head.lemma == "old" and word.dep == "npadvmod"):
        return None
    if word.lemma in UNITS and numbers:
        return Span(text, "how long", *ends, 5)
    if any(w.tag == "$" for w in run) or (word.lemma in ("quid", "dollar", "euro", "pound") and numbers):
        return Span(text, "how much", *ends, 5)
    if numbers and numbers[0] is not word and not word.is_name:
        kind = spoken_run([w for w in run if w.index > numbers[0].index])
        return Span(numbers[0].text, f"how many {kind}", *ends, 5 if _is_own(word) else 4)
    if word.tag == "CD":
        return Span(text, "what number", *ends, 4)
    if word.is_name and (word.dep in ("npadvmod", "intj", "dep", "punct", "ROOT") or word.text.isupper()):
        return None  # an address, mostly
    if word.is_name and not (word.index == 0 and word.known):
        placed = word.dep == "pobj" and word.head.lower in ("in", "from", "at", "to", "near")
        placed = placed and word.head.head.dep != "acomp"  # "interested in"
        return Span(text, "where" if placed else "who" if _is_somebody(word) else "what", *ends, 6)
    if word.lemma in HEADS_OF_NOTHING | KIN | TIMES | UNITS or len(text) < 3:
        return None
    central = word.dep in ("dobj", "attr", "pobj", "oprd", "acomp")
    return Span(text, "what", *ends, 2 + central + (len(bare) > 1))


def _is_lead(word: Word) -> bool:
    return word.lower in LEADS | OPINIONS | HEDGES and word.text.islower()


def _is_own(word: Word) -> bool:
    """Whether it is the user who has or does something with a thing."""
    verb = word.head if word.dep != "pobj" else word.head.head
    return any(subject.lower in ("i", "we") for subject in verb.having("nsubj"))


def _is_somebody(word: Word) -> bool:
    """Whether a name is a person's: beside a word of kin, or doing what people do."""
    if word.having("det", "nummod") or word.lower in TIMES:
        return False
    near = [word.head, *word.children, *word.head.children]
    acts = word.dep in ("nsubj", "nsubjpass", "agent") and word.head.lemma in _DEEDS
    return any(w.lemma in KIN for w in near) or acts


def _chunks(sentence: Sequence[Word]) -> Iterator[str]:
    """What the sentence is about: its noun phrases."""
    for word in sentence:
        run = _run(word)
        if run and word.is_noun and word.lemma not in HEADS_OF_NOTHING | UNITS | TIMES:
            text = lowered(run)
            if not ({*text.lower().split()} & (VAGUE_WORDS | {"me", "us"})) and len(text.split()) <= 6:
                yield text


# ---- questions


def _direct(sentence: Sequence[Word], span: Span, full: str) -> Iterator[Question]:
    """The sentence with a gap: "where did I say my brother is over from?" is sound wherever the gap is."""
    around = _around(sentence, span)
    if not around or not _is_sound(around, span):
        return
    inner = [w for w in around if not span.first <= w.index <= span.last]
    stays = span.wh in ("what", "who") or span.wh.startswith(("how many", "how much"))
    weekly = any(
        w.index == span.first and w.lower in ("every", "each") for w in sentence
    )  # "I go in every Saturday": not in it, but then
    gap = span.first
    for leading in (("the",), ("in", "at", "on", "for", "near")) if not stays and not weekly else ():
        before = next((w for w in inner if w.index == gap - 1), None)
        if before is not None and before.lower in leading and (before.lower != "the" or span.wh == "when"):
            inner.remove(before)
            gap -= 1
    if not stays and any(w.index == gap - 1 and w.lower == "of" for w in inner):
        return
    if span.wh == "how long" and any(w.lower == "ago" and w.index == span.last + 1 for w in inner):
        inner = [w for w in inner if w.index != span.last + 1]
        span = replace(span, wh="how long ago")
    rest = _joined(inner)
    if not inner or len(rest.split()) < 2 or len(rest.split()) + 4 > LONGEST or right(rest, span.value):
        return
    short = yours(capital(span.value)) + "."
    ways = (("did I say", "I said"), ("did I tell you", "I told you"))
    for verb, told in ways[:1] if inner[0].is_finite else ways:  # not "what did I tell you is sore?"
        ask, wonder = f"{span.wh} {verb} {rest}?", f"{span.wh} {told} {rest}"
        for text in (ask, f"Do you remember {wonder}?", f"Can you tell me {wonder}?"):
            yield Question(capital(text), short, full, ask, wonder)


_BREAKS = {",", ";", "—", ":", ".", "so", "which", "because", "although", "(", ")"}


def _around(sentence: Sequence[Word], span: Span) -> list[Word]:
    """The clause that holds a span, without what is joined to its end by "and"; none where that says too little."""
    breaks = [w.index for w in sentence if w.lower in _BREAKS and not span.first <= w.index <= span.last]
    breaks += [w.index for w in sentence if w.dep == "cc" and _joins_verbs(w) and w.index > span.last]
    start = max((place for place in breaks if place < span.first), default=-1)
    end = min((place for place in breaks if place > span.last), default=sentence[-1].index + 1)
    inside = [w for w in sentence if start < w.index < end]
    if inside and inside[0].lower in ("and", "but", "or"):
        inside.pop(0)
    return inside if len(inside) - (span.last - span.first) >= 4 else []


def _joins_verbs(word: Word) -> bool:
    return any(other.tag.startswith("VB") for other in word.head.having("conj"))


def _is_sound(around: Sequence[Word], span: Span) -> bool:
    """Whether the clause stays grammatical without the span: it has a verb, and no half of a list is left over."""
    outside = [w for w in around if not span.first <= w.index <= span.last]
    inside = [w for w in around if span.first <= w.index <= span.last]
    after = next((w for w in outside if w.index == span.last + 1), None)
    before = next((w for w in outside if w.index == span.first - 1), None)
    verbs = [w for w in outside if w.is_finite]
    halves = any(w.dep == "conj" and w.head in inside for w in outside) or any(w.dep == "conj" for w in inside[:1])
    owned = after is not None and (after.tag == "POS" or after.lower in ("'s", "-", "and", "or", "of"))
    subject = any(w.dep in ("nsubj", "nsubjpass") for w in inside)
    followed = not subject or (after is not None and (after.tag.startswith(("VB", "MD", "RB"))))
    owned = owned or (before is not None and (before.text == "-" or (before.lower == "of" and before.head.is_name)))
    cut = around[-1].tag.startswith("VB") and bool(around[-1].having("cc"))  # "I cleaned" of "I cleaned and oiled it"
    relative = around[0].tag in ("WP", "WDT", "WRB")
    second = any(w.dep == "cc" and _joins_verbs(w) and w.index < span.first for w in around)
    spoken = any(w.dep in ("nsubj", "nsubjpass", "expl") for w in around)
    whole = bool(verbs) and spoken and not cut and not relative
    return whole and not halves and not owned and followed and not second


def _about(chunks: Sequence[str], value: str, full: str) -> Iterator[Question]:
    for chunk in chunks:
        if not right(chunk, value):
            for ask, wonder in (
                (f"what did I tell you about {chunk}?", f"what I told you about {chunk}"),
                (f"what do you know about {chunk}?", f"what you know about {chunk}"),
            ):
                yield Question(capital(ask), full, full, ask, wonder)


def _joined(inner: Sequence[Word]) -> str:
    text = re.sub(r" ,", ",", " ".join("".join(w.text + w.space for w in inner).split())).strip(" ,;")
    keeps = bool(inner) and (inner[0].is_name or inner[0].lower == "i")
    return text if keeps else text[:1].lower() + text[1:]
