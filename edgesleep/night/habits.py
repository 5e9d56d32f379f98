"""Habits: what the user does as a rule, told on the way.

Owns "..., stopping work emails by 7 pm" after a habit that one works on, "like we do every other week", and "my weekly
tennis sessions". Leaves "I get up at 6" and "we play every week" to `events`. Must stay true: what is told of one day
is no habit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.lexicon import NUMBERS, capital, words
from edgesleep.night.parts import phrase_run, spoken_run
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.reading import Word
from edgesleep.night.undone import is_undone
from edgesleep.night.verbs import is_told, subject_of

_STOPPING = {*words("stop quit avoid cut ignore finish")}
_CHECKED = re.compile(r"\b(?:e-?mails?|messages?|social media|news|notifications|phone|screens?|slack|texts)\b", re.I)
_CLOCK = re.compile(r"\d{1,2}(?::\d\d|(?::\d\d)? ?[ap]\.?m\.?| o'clock)|noon|midnight", re.IGNORECASE)
_OFTEN = (
    rf"(?P<often>every (?:other |second |single )?[a-z]+|(?:once|twice|(?:{NUMBERS}|\d+) times) (?:an?|every) [a-z]+"
    r"|most [a-z]+)"
)
_AS_EVER = re.compile(
    r"\b(?:I|We|we)(?:'m| am|'re| are|'ll| will)(?: (?:also|just|still|now|planning|going|hoping|about) ?)*(?:to )?"
    r"(?P<base>play|go|meet|have|do|watch|cook|visit|run|swim|hike|ride|practise|practice|bake|host|call)(?:ing)? "
    r"(?P<rest>[^,]+?)(?: (?:this|next|on|tomorrow|tonight)\b[^,]*)?,? (?:just )?(?:like|as) (?:I|we) "
    rf"(?:always |usually |normally )?do {_OFTEN}(?=$|[ .,!])"
)
_SESSIONS = re.compile(
    r"\b(?:my|our) (?:own |regular )?(?P<often>daily|weekly|fortnightly|biweekly|monthly|yearly|annual) "
    r"(?P<what>[a-z]+(?: [a-z]+)?) (?P<noun>sessions?|lessons?|class(?:es)?|games?|match(?:es)?|practices?|nights?"
    r"|meetings?|meet-?ups?|rides?|walks?)(?P<with> with (?:my |our )?[a-z]+)?\b"
)


def habits(sentence: Sequence[Word]) -> Iterator[Fact]:
    """The habits that a sentence tells on the way."""
    text = spoken_run(sentence).removesuffix(" .").replace(" ,", ",").strip()
    yield from _as_ever(text)
    for verb in sentence:
        if verb.tag == "VBG" and verb.dep == "advcl" and not verb.having("aux", "mark", "nsubj", "neg"):
            above = verb.head.head if verb.head.dep == "xcomp" else verb.head  # "trying to keep a routine"
            subject = subject_of(above)
            going = above.tag == "VBG" and any(aux.lower in ("been", "'m", "am") for aux in above.having("aux"))
            if going and subject and subject.lower == "i" and is_told(above) and verb.index > above.index:
                yield from _timed(verb)


def _timed(verb: Word) -> Iterator[Fact]:
    """ "stopping work emails and messages by 7 pm": what time one stops."""
    for prep in (w for w in verb.subtree() if w.dep == "prep" and w.index > verb.index and w.having("pobj")):
        run = phrase_run(prep.having("pobj")[0])
        inner = [w for w in verb.subtree() if verb.index < w.index < prep.index]
        at = spoken_run(run) if prep.lower in ("at", "by", "around", "before", "after") else ""
        if not _CLOCK.fullmatch(at) or any(w.text in (",", ";") or w.tag.startswith("VB") for w in inner):
            continue
        doing = f"{verb.lemma} {spoken_run(inner)}".strip()
        ways = [doing]
        if verb.lemma in _STOPPING and _CHECKED.search(doing):
            ways.append(f"{verb.lemma} checking {spoken_run(inner)}")
        pairs = [
            pair
            for way in ways
            for pair in ((f"what time do I {way}?", f"what time I {way}"), (f"when do I {way}?", f"when I {way}"))
        ]
        pairs.append((f"by what time do I {doing}?", f"by what time I {doing}"))
        relation = f"i|{verb.lemma}|clock|{spoken_run(phrase_run(inner[-1])) if inner else ''}"
        yield from fact_of(f"I {doing} {prep.lower} {at}.", at, relation, "fact", pairs, f"{capital(prep.lower)} {at}.")
        return


def _as_ever(text: str) -> Iterator[Fact]:
    if found := _AS_EVER.search(text):
        what = f"{found['base']} {found['rest']}"
        short = re.split(r" (?:at|in|on) (?:the|my|our|a) ", what)[0]
        bare = re.split(r" with ", short)[0]
        ways = [*dict.fromkeys([what, short, bare])]
        thing = bare.split()[-1]
    elif (found := _SESSIONS.search(text)) and not is_undone(text):
        several = re.sub(r"(?<=(?:ss|ch))$", "es", found["noun"]) if found["noun"][-1:] != "s" else found["noun"]
        several = several if several.endswith("s") else several + "s"
        bare = f"have {found['what']} {several}"
        ways = [*dict.fromkeys([bare + (found["with"] or ""), bare])]
        thing = found["what"]
        what = ways[0]
    else:
        return
    often = found["often"]
    pairs = [(f"how often do I {way}?", f"how often I {way}") for way in ways]
    yield from fact_of(f"I {what} {often}.", often, f"i|often|{thing}", "fact", pairs)
