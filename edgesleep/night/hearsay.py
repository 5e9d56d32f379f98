"""Hearsay: whom the user had a talk with, and what others told the user of their own doings.

Owns "my conversation with Sarah" and "Alex telling me he marinated them for 24 hours". Leaves what is said of others in
plain words to `clauses`. Must stay true: what somebody told is read only of what they did themselves, in the past, and
where a number, a time or a span was told; quotes, opinions and what is only planned are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgesleep.night.clauses import Clause, parts_of
from edgesleep.night.drafts import Draft, draft, leans
from edgesleep.night.lexicon import DAYS, KIN, MONTHS
from edgesleep.night.parties import Cast, Party, owned_by
from edgesleep.night.parts import Part, phrase_run, spoken_run
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.reading import Word
from edgesleep.night.undone import is_undone
from edgesleep.night.verbs import is_doubted, verb_of

_NAME = r"(?:(?:Dr|Mr|Mrs|Ms|Prof)\.? )?[A-Z][a-z][\w'-]*(?: [A-Z][\w'-]+)?"
_TALKS = "conversation|talk|chat|discussion|call|phone call|argument|debate|catch-up"
_MEALS = "lunch|dinner|breakfast|brunch|coffee|meeting|interview"
_WITH = re.compile(
    rf"\bmy (?:(?:recent|last|latest|long|earlier|late-night) )?(?P<what>{_TALKS}|{_MEALS}) with (?P<who>{_NAME})"
    r"(?: about (?P<about>(?:the |my |our )?[a-z][a-z' -]+?)"
    r"(?=$|[,.;:!?]| (?:and|but|yesterday|last|earlier|on|in|at)\b))?"
)
_TO_COME = re.compile(
    r"\b(?:tomorrow|next|upcoming|tonight|later|prepare|preparing|before|schedule|reschedule|cancel|looking forward"
    r"|will|going to have|planned|planning|nervous|ready for)\b",
    re.IGNORECASE,
)
# Only what has been is a talk that the user had: each way to say so, before "my conversation" or after it.
_THOUGHT_OF = re.compile(
    r"\b(?:(?:have|'ve) been|keep|kept) thinking (?:back )?(?:about|to|of) my (?:conversation|talk|chat|discussion"
    r"|argument|debate)\b"
)
_PAST = r"(?:[a-z]+ed|was|were|felt|went|had|got|made|saw|knew|found|came|took|left|ended)"
_HAD = re.compile(
    r"\bmy (?:recent|last|latest|earlier) "
    r"|\bI (?:(?:really|just|also|finally) )?(?:had|enjoyed|loved|liked|hated|remember) my "
)
_AFTER = re.compile(r"\b(?:[Aa]fter|[Dd]uring|[Ss]ince|[Ff]ollowing) my ")
_PASSED = re.compile(rf"^,? (?:I|we|it) {_PAST}\b")
_WAS = re.compile(r"^ (?:was|went|lasted|ended|left|made)\b")
_SENTENCE = re.compile(r"(?:[^.!?\n]|(?<=\b[DM][rs])\.|(?<=\bMrs)\.|(?<=\bProf)\.)+[.!?\n]*")
_TOPIC = re.compile(r"\bthe (?:concept|idea|notion|topic|question|subject|theme) of (?P<topic>[a-z]+)\b")


def talks(text: str) -> Iterator[Fact]:
    """ "my conversation with Sarah about destiny", of one that was; `text` is the whole message."""
    for sentence in _SENTENCE.finditer(text):
        found = _WITH.search(sentence[0])
        if found is None or _TO_COME.search(sentence[0]) or found["who"].lower() in DAYS | MONTHS:
            continue
        if not _has_been(sentence[0], found):
            continue
        what, who, about = found["what"], found["who"], found["about"] or ""
        later = _TOPIC.search(sentence[0], found.end())
        about = about or (later["topic"] if later else "")
        article = (
            "" if what in ("lunch", "dinner", "breakfast", "brunch", "coffee") else "an " if what[0] in "aei" else "a "
        )
        pairs = [
            (f"who did I have {article}{what} with?", f"who I had {article}{what} with"),
            (f"who was my {what} with?", f"who my {what} was with"),
        ]
        talked = [("talk to", "talked to"), ("speak with", "spoke with")] if what in _TALKS.split("|") else []
        pairs += [(f"who did I {base}?", f"who I {past}") for base, past in talked]
        if about:
            on = f" about {about}"
            pairs = [(f"{ask[:-1]}{on}?", wonder + on) for ask, wonder in pairs if "was my" not in ask] + pairs
        told = f"I had {article}{what} with {who}{f' about {about}' if about else ''}."
        yield from fact_of(told, who, f"i|{what}|with|{who}", "event", pairs, f"{who}.")


def _has_been(sentence: str, found: re.Match[str]) -> bool:
    """Whether the sentence says that the talk took place."""
    lead, rest = sentence[: found.end("what")], sentence[found.end() :]
    if sentence.rstrip().endswith("?") or is_undone(lead):
        return False
    after = _AFTER.search(lead) and (_PASSED.match(rest) or re.search(rf"\b(?:I|[Ww]e|[Ii]t) {_PAST}\b", lead))
    return bool(_THOUGHT_OF.search(lead) or _HAD.search(lead) or after or _WAS.match(rest))


_TELLING = {"tell", "mention", "say"}


def hearsay(sentence: Sequence[Word], before: Sequence[Word], cast: Cast) -> Iterator[Draft]:
    """ "Alex telling me he marinated them for 24 hours": of Alex, with what "them" stands for."""
    for verb in sentence:
        above = verb.head
        told = verb.dep == "ccomp" and verb.tag == "VBD" and above.lemma in _TELLING and above.index < verb.index
        if not told or is_doubted(verb) or is_doubted(above) or above.tag not in ("VBD", "VBG"):
            continue
        teller, doer = (next(iter(w.having("nsubj")), None) for w in (above, verb))
        group = verb_of(verb)
        if teller is None or doer is None or group is None or doer.lower not in ("he", "she"):
            continue
        who = _teller(teller, cast)
        if who is None:
            continue
        parts = tuple(_resolved(part, before) for part in parts_of(verb))
        if any(part is None or part.role == "other" for part in parts):
            continue
        clause = Clause(
            who, group, tuple(part for part in parts if part and (part.role == "object" or not leans(part)))
        )
        for part in clause.parts:
            if part.role in ("span", "clock") or (part.count and part.kind):
                made = draft(clause, part, "event", f"{group.lemma}|{part.role}")
                yield from [made] if made else []


def _teller(word: Word, cast: Cast) -> Party | None:
    owned = owned_by(word, cast)
    if owned is not None:
        return owned if owned.noun in KIN else None
    return Party(spoken_run(phrase_run(word)), "friend") if word.is_name else None


def _resolved(part: Part, before: Sequence[Word]) -> Part | None:
    """The part, with the last things spoken of before in the place of "them"; None where there are none."""
    if part.text.lower() not in ("it", "them"):
        return part
    several = part.text.lower() == "them"
    things = [w for w in before if w.dep in ("dobj", "pobj") and w.is_noun and (w.tag in ("NNS", "NNPS")) == several]
    if not things:
        return None
    run = [w for w in phrase_run(things[0]) if w.index <= things[0].index and w.dep != "det" and w.lower != "some"]
    text = spoken_run(run)
    return replace(part, text=f"the {text}" if run[0].dep != "poss" else text, value=text, noun=things[0].lemma)
