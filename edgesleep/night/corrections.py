"""Corrections: what of that which is held a message takes back, and what it says holds instead.

Owns the words by which an old value is called gone ("10, not 12", "no longer in Skelwick but in Oxmoor", "has been
moved to Friday", "we sold the Skoda"), and a held memory with a new value in the old one's place. Leaves to
`succession` whether a memory of the message itself says the same. Must stay true: a correction names the old value, or
the one thing that it was told of; what is asked, supposed or only far from the old value corrects nothing; the new
value stands in the message, and is of the old one's kind: a number for a number, a day for a day, a name for a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edgesleep.night.dates import absolute
from edgesleep.night.lexicon import DAYS, MONTHS, NUMBERS, any_word, words
from edgesleep.night.phrases import article, fold, holding_out, right
from edgesleep.records import Memory, Question, digest


@dataclass(frozen=True)
class Correction:
    """A held memory that no longer holds; `value` is what does, "" where the message only says that it is over."""

    memory: Memory
    value: str


_DAY, _MONTH = f"(?:{any_word(DAYS)})", f"(?:{any_word(MONTHS)})"
_DATE = (
    rf"(?:(?:around |the week of )?(?:{_DAY}s?(?: and {_DAY}s?)?|\d{{1,2}}(?:st|nd|rd|th)?(?= (?:of )?{_MONTH}))"
    rf"(?: (?:\d{{1,2}} )?(?:of )?{_MONTH}(?: \d{{4}})?)?|the \d{{1,2}}(?:st|nd|rd|th)\b)"
)
_NUMBER = rf"(?:\d[\d.,:]*\d|\d|{NUMBERS})(?!\w)"
_NAME = r"(?-i:[A-Z])[\w'’-]*(?: (?-i:[A-Z])[\w'’-]*)*"
_LOWER = r"[a-z][a-z-]+(?: (?!now\b|these\b|from\b|any\b)[a-z][a-z-]+)?"
_BEFORE_IT = r"(?:(?:on|at|in|for|to|with|by|a|an|the|my|our|called|it's|they're|we're|I'm|now) )*"
_NOW = r"(?: (?:now|from now on|these days|instead))*"

_CUE = re.compile(
    r"\b(?:not|instead of|rather than|no longer|any ?more|any longer|again|moved|changed|switched|swapped|postponed"
    r"|pushed|rescheduled|put back|brought forward|sold|scrapped|got rid of|gave away|given away|traded in"
    r"|scrapyard)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\d|\w)[^.!?\n]*)*[.!?\n]*")
_SUPPOSED = re.compile(r"^\W*(?:if|unless|suppose|imagine|maybe|perhaps|what if|wish)\b", re.IGNORECASE)
# What calls the span after it gone; of the first kind only where something else is said to hold.
_NOT_IT = re.compile(
    rf"(?:(?:^|[,;(–—-]|\band|\bnow|\bmean)\s*not|\binstead of|\brather than|\bis not|\bisn't|\baren't"
    r"|\b(?:moved|changed|switched|swapped|gone|went|pushed|put back|brought forward)\b[^,;]{0,30}\bfrom)"
    rf"\s+{_BEFORE_IT}$",
    re.IGNORECASE,
)
_LEFT_PLACE = re.compile(rf"\b(?:moved|gone|went)\b[^,;]{{0,30}}\bfrom\s+{_BEFORE_IT}$", re.IGNORECASE)
_NO_LONGER = re.compile(rf"\bno longer\s+(?P<said>(?:[a-z]+ ){{0,2}}{_BEFORE_IT})$", re.IGNORECASE)
_NEGATED = re.compile(r"(?:n't|\bnot|\bnever|\bstop|\bno need to)\b(?P<said>[^,;:]*)$", re.IGNORECASE)
_ANY_MORE = re.compile(r"^[^.,;:!?]{0,24}?\s(?:any ?more|any longer)\b", re.IGNORECASE)
_AGAIN = re.compile(r"\bcan (?:now )?(?P<said>[a-z]+) $", re.IGNORECASE)  # what could not be
_FOR_GOOD = re.compile(r"\|(?:bear|born|grow|origin)\b")  # relations that nothing ends
_LIVING = {"liv", "hom", "bas"}  # roots
_HAVING = re.compile(r"\b(?:have|has|had|having|got|owns?|keeps?)\b", re.IGNORECASE)
_NO_TRADE = re.compile(r"(?:'m|\bam|\bis|\bare|'s|'re) no longer an? ", re.IGNORECASE)
_SOLD = re.compile(
    r"\b(?:I|we)(?:'ve| have)? (?:just |finally )?(?:sold|scrapped|got rid of|gave away|given away|traded in) "
    r"(?:the|my|our) (?:old )?$",
    re.IGNORECASE,
)
# What can follow the thing that was sold, and no noun: not "we sold the Skoda roof rack".
_THING_ENDS = re.compile(
    r"\s*(?:$|[.,;:!?)–—]|(?:to|for|and|but|or|so|as|because|since|when|while|after|before|on|in|at|with|by|around|about"
    r"|last|this|today|yesterday|now|already|then|too|off|online|I|we|it|he|she|they|which|who|that|my|our|the|an?"
    r"|is|was|has|\w+ly)\b)",
    re.IGNORECASE,
)
_SCRAPPED = re.compile(
    r"^ (?:is|has|was|goes|went|has gone|is going)(?: been)? (?:sold|scrapped|to the scrapyard|gone)\b", re.IGNORECASE
)
_MOVED = re.compile(
    r"\b(?:(?:my|our|the|his|her) (?P<what>[\w' -]{2,40}?)|(?P<whose>(?-i:[A-Z])\w+'s? [\w' -]{2,40}?)) "
    r"(?:(?:has|have|had|was|were|is|are|got|'s|been|being|just|now) ?)*"
    r"(?:moved|changed|postponed|rescheduled|pushed back|put back|brought forward|shifted)\b(?P<rest>.*)",
    re.IGNORECASE,
)
_GENERIC = {*words("""
    thing bit one day days date dates time times appointment session slot place is are was am be been being has have
    had do does did will would can could the a an my our his her their your i we you he she it they me us them that
    this these those and or but so not no in on at to of for with by from as now just up out off very really
    there here who what when where which than then too also about around week
"""), *DAYS, *MONTHS}  # fmt: skip


def corrections(text: str, held: Sequence[Memory]) -> Iterator[Correction]:
    """What a message corrects of what is `held`; `text` with its dates absolute. Never raises on text."""
    if not _CUE.search(text):
        return
    before = ""
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if _CUE.search(sentence) and not sentence.endswith("?") and not _SUPPOSED.match(sentence):
            yield from _in(sentence, f"{before} {sentence}", held)
        before = sentence


def _in(sentence: str, around: str, held: Sequence[Memory]) -> Iterator[Correction]:
    named = [(memory, *found) for memory in held if (found := _gone(sentence, memory))]
    moved = [] if named else list(_moved(sentence, held))
    shared = {memory.id: _shared(memory, called, sentence, around) for memory, called, _ in named}
    most = max(shared.values(), default=0)
    for memory, _, value in named:
        if most and shared[memory.id] == most:
            yield Correction(memory, value)
    yield from (Correction(memory, value) for memory, value in moved)


def _shared(memory: Memory, called: str, sentence: str, around: str) -> int:
    """How many words besides what is gone say that a sentence is about what a memory is about."""
    trade = memory.relation.endswith(("|job", "|as", "|living")) and _NO_TRADE.search(sentence)
    left, _, right_of = sentence.partition(called)
    gone = called if re.match(_NUMBER, called, re.IGNORECASE) else memory.value
    return len(content(memory.told, gone) & content(around)) or int(bool(trade) or _is_given_away(left, right_of))


def _gone(sentence: str, memory: Memory) -> tuple[str, str] | None:
    """What a sentence calls the memory's value, where it says that it is gone, and the new one, "" if it says none."""
    for form, kind in _forms(memory.value):
        called = [*re.finditer(rf"(?<![\w'’])(?:{form})(?![\w'’])", sentence, re.IGNORECASE)]
        for match in called:
            before, after = sentence[: match.start()], sentence[match.end() :]
            over = _is_over(before, after, memory) or (_is_owned(memory) and _is_given_away(before, after))
            other = _NOT_IT.search(before) and (
                not _LEFT_PLACE.search(before) or _can_move(sentence, memory, len(called))
            )
            value = _instead(before, after, kind) if over or other else ""
            if over or value:
                return match[0], _whole(memory.value, match[0], value, kind)
    return None


def _is_over(before: str, after: str, memory: Memory) -> bool:
    """Whether what a memory says is said to be so no longer, by the words before its value and after it."""
    said = _NO_LONGER.search(before) or (_ANY_MORE.match(after) and _NEGATED.search(before))
    if not said and "|not|" in memory.relation and after.startswith(" again"):
        said = _AGAIN.search(before)
    return said is not None and _is_theirs(before, memory) and _is_meant(said["said"], memory)


def _is_meant(said: str, memory: Memory) -> bool:
    """Whether a memory says of its value what these words do, or they only say "is".

    Who no longer likes Cork may still live there, and a dog that eats no chicken any more may be allergic to it.
    """
    if _FOR_GOOD.search(memory.relation):
        return False
    subject = _roots(memory.relation.partition("|")[0])
    having = _HAVING.search(said)
    verbs = _roots(_HAVING.sub("", said)) - subject
    if verbs:
        return bool(verbs & (_roots(f"{memory.told} {memory.questions[0].ask}") - subject))
    return not having or "|drive|" in memory.relation or bool(_HAVING.search(memory.told)) or _is_owned(memory)


def _can_move(sentence: str, memory: Memory, times: int) -> bool:
    """Whether a memory can be over because somebody or something moved from its value, named so many times.

    Not a birth, nor what the sentence says of the place besides: "I was born in Leeds, and moved from Leeds to York".
    """
    about = _roots(memory.told, memory.value) - _roots(memory.relation.partition("|")[0])
    so = not about or bool(about & (_LIVING | _roots(sentence)))
    return so and times == 1 and not _FOR_GOOD.search(memory.relation)


def _roots(text: str, without: str = "") -> set[str]:
    """What `content` finds, so that "lives", "living" and "live" are one."""
    stems = (re.sub(r"[eyi]$", "", stem) for stem in content(text, without) if not stem.endswith("ly"))
    return {re.sub(r"(.)\1$", r"\1", stem) for stem in stems}


def _forms(value: str) -> Iterator[tuple[str, str]]:
    """How a value may be called again, as regular expressions, and of what kind it is."""
    date = re.match(rf"(?:around )?{_DAY}", value, re.IGNORECASE)
    number = re.match(rf"{_NUMBER}(?! (?-i:[A-Z]))", value, re.IGNORECASE)
    if date or re.fullmatch(_DATE, value, re.IGNORECASE):
        day = re.match(rf"{_DAY}s?", value, re.IGNORECASE)
        yield "|".join([re.escape(value), *([rf"{re.escape(day[0])}(?: \d+ \w+ \d+)?"] if day else [])]), "date"
    elif number:
        yield f"{re.escape(value)}|{re.escape(number[0])}(?! (?:of )?{_MONTH})", "number"
    else:
        names = [name for name in re.findall(r"[A-Z][\w'’-]+", value) if len(name) > 2]
        yield "|".join(re.escape(name) for name in [value, *names]), "name" if names else "thing"


def _instead(before: str, after: str, kind: str) -> str:
    """What is said to hold, next to what is gone."""
    span = {"date": _DATE, "number": _NUMBER, "name": _NAME, "thing": _LOWER}[kind]
    after = re.sub(r"^ any ?more| any longer", "", after, flags=re.IGNORECASE)
    later = re.match(rf",? (?:but|to|it's|they're|it is|I'm|I am|we're|he's|she's)(?: now)? {_BEFORE_IT}", after, re.I)
    if later and (found := re.compile(span, re.IGNORECASE).match(after, later.end())):
        return found[0]
    cue = re.search(r"(?:,|;|–|—|-|\band)?\s*\b(?:not|instead of|rather than)\b[^,;]*$", before, re.IGNORECASE)
    told = before[: cue.start()] if cue else ""
    if kind in ("date", "number"):  # one such in the clause: "we now stop at 10 metres a second, not 12"
        found_all = [match[0] for match in re.finditer(span, told, re.IGNORECASE)]
        return found_all[0] if len(found_all) == 1 else ""
    owned = r"\b(?:an?|the|my|our) " if kind == "thing" else r"(?<![\w'’-])"
    ending = re.search(rf"{owned}(?P<new>{span}){_NOW}$", told, re.IGNORECASE)
    return ending["new"] if ending else ""


def _whole(value: str, called: str, new: str, kind: str) -> str:
    """The new value in full: of "12 metres a second" that is now 10, "10 metres a second"."""
    return value.replace(called, new, 1) if new and kind == "number" else new


def _is_theirs(before: str, memory: Memory) -> bool:
    """Whether it is the memory's own subject of whom something is said to be over."""
    subject = memory.relation.partition("|")[0]
    if subject in ("i", "you", "said", "note", "who", "price"):
        own = re.match(r"(?:I|We)\b", memory.told)
        return not own or subject == "you" or bool(re.search(r"\b(?:I|we)\b", before, re.IGNORECASE))
    return content(subject) <= content(before)


def _is_owned(memory: Memory) -> bool:
    subject, _, slot = memory.relation.partition("|")
    return memory.kind == "fact" and (
        (subject.startswith("my ") and slot == "is")
        or (subject == "i" and slot.startswith(("have|", "own|", "drive|")))
    )


def _is_given_away(before: str, after: str) -> bool:
    return bool(_SOLD.search(before) and _THING_ENDS.match(after)) or bool(
        re.search(r"\b(?:the|my|our) (?:old )?$", before, re.IGNORECASE) and _SCRAPPED.match(after)
    )


def _moved(sentence: str, held: Sequence[Memory]) -> Iterator[tuple[Memory, str]]:
    """ "The eye test has been moved to Friday", where one thing that is held of it is a day."""
    match = _MOVED.search(sentence)
    days = {found[0] for found in re.finditer(_DATE, match["rest"], re.IGNORECASE)} if match else set()
    if match is None or len(days) != 1:
        return
    what = content(match["what"] or match["whose"])
    dated = [memory for memory in held if re.match(rf"(?:around )?{_DATE}", memory.value, re.IGNORECASE)]
    shared = {memory.id: len(what & content(memory.told, memory.value)) for memory in dated}
    best = [memory for memory in dated if what and shared[memory.id] == max(shared.values()) > 0]
    if len({memory.told for memory in best}) == 1:
        yield from ((memory, next(iter(days))) for memory in best)


def content(text: str, without: str = "") -> set[str]:
    """The stems of the words that say what a text is about."""
    left_out = {*fold(without).split()}
    told = [word for word in fold(text).split() if word.isalpha() and word not in _GENERIC | left_out and len(word) > 1]
    return {re.sub(r"(?:'s|s|es|ed|ing)$", "", word) if len(word) > 3 else word for word in told}


# ---- the memory corrected


def corrected(memory: Memory, value: str, turn: int, at: str) -> Memory | None:
    """The memory with another value in the place of its own; None where that makes no sound memory."""
    old = memory.value
    if re.fullmatch(_DAY, value, re.IGNORECASE) and re.search(r"\d{4}$", old):
        said = datetime.fromisoformat(at.replace("Z", "+00:00"))
        value = absolute(f"on {value}", said).removeprefix("on ")
    if not value or fold(value) == fold(old) or not right(memory.told, old):
        return None
    year = r"(?: \d{4})?" if re.search(r" \d{4}$", value) else ""
    pattern = re.compile(rf"(?:\b(?P<article>an?) )?(?<![\w'’]){re.escape(old)}{year}(?![\w'’])", re.IGNORECASE)

    def put(text: str) -> str:
        return pattern.sub(lambda match: f"{article(value)} {value}" if match["article"] else value, text)

    def again(question: Question) -> Question:
        short = put(question.short)
        return Question(
            put(question.text),
            short[:1].upper() + short[1:],
            put(question.full),
            put(question.ask),
            put(question.wonder),
        )

    asked = [again(question) for question in memory.questions]
    sound = tuple(question for question in asked if not right(question.ask, value))
    relation = re.sub(rf"\b{re.escape(fold(old))}{year}\b", fold(value), memory.relation)
    fresh = replace(
        memory,
        id=digest((relation, fold(value)))[:12],
        relation=relation,
        statement=put(memory.statement),
        told=put(memory.told),
        value=value,
        questions=sound,
        turn_ids=(turn,),
        at=at,
        instead_of=old,
        held_out="",
    )
    return holding_out(fresh) if sound and right(fresh.statement, value) else None


def told_with(memory: Memory, others: Iterable[Memory]) -> list[Memory]:
    """The other memories of the same message that say what a memory says, and maybe more.

    Of a message, for a place to live can be a place of birth as well: "My mum lives in Ennis", "She was born in Ennis".
    """
    said = content(memory.told) - {"call"}  # "My sister is called Ida" is told by "My sister Ida drives a Lada" too
    # The subject and a number are too little: "My sister is 30", "My sister works 30 hours".
    bare = not said or (memory.value.isdigit() and said <= content(memory.relation.partition("|")[0]))
    return [
        other
        for other in others
        if other.id != memory.id
        and {*other.turn_ids} & {*memory.turn_ids}
        and (
            other.told == memory.told or (not bare and right(other.told, memory.value) and said <= content(other.told))
        )
    ]
