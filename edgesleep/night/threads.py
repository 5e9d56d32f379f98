"""Threads: what goes on from the message before, or from the sentence before: "there", and since when.

Owns "there" where one place alone has been spoken of, and how long the user has been in their job or their home when
only "there" or nothing says so. Leaves pronouns for people to `parties`. Must stay true: of two places "there" means
none; a job is one only where the message speaks of work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgesleep.night.lexicon import KIN, MONTHS, NATION, NO_TOWNS, NUMBERS, PLACES, TIMES, any_word, capital, words
from edgesleep.night.phrases import fold
from edgesleep.night.questions import Fact, fact_of
from edgesleep.night.reading import Parser

_TO = re.compile(
    r"\b(?P<verb>mov(?:e|es|ed|ing)|relocat(?:e|es|ed|ing)|emigrat(?:e|es|ed|ing)|go(?:es|ing)?|went|travel(?:s|led|ling)?"
    r"|fl(?:y|ies|ew|ying)|drives?|driving|been)(?: (?:back|over|out|down|up))? there\b",
    re.IGNORECASE,
)
_IN = re.compile(
    r"\b(?P<verb>liv(?:e|es|ed|ing)|grew up|grow(?:s|ing)? up|born|raised|stay(?:s|ed|ing)?|(?:get|gets|getting"
    r"|got) married|marri(?:es|ed)|met|stud(?:y|ies|ied|ying)|retired?|retiring|settled|bought (?:a|our)"
    r" [a-z]+|rent(?:s|ed|ing)? a [a-z]+|has a [a-z]+|have a [a-z]+|teach(?:es|ing)?|taught)( (?:in|out|over|up|down))?"
    r" there\b",
    re.IGNORECASE,
)
_NO_PLACE = {*words("""
    train bus car foot plane bike ferry boat hand heart mind case front fact time person general order advance detail
    breakfast lunch dinner supper bed work church hospital prison jail court english french german spanish italian dutch
    portuguese latin polish irish welsh celsius fahrenheit pounds euros dollars metric yarn paint hospital class
    practice
    theory private public secret summary short full shape use need love life death power stock charge example lent
    ramadan
    me him her us them you it this that someone everyone people beginners kids children free fun sale real sure now here
    today tomorrow
""")}  # fmt: skip
_WORK = re.compile(
    r"\b(?:boss|manager|job|work|works|working|colleagues?|coworkers?|company|firm|office|crew|shifts?|employer"
    r"|contract|promotion|promoted|supervisor|hired)\b",
    re.IGNORECASE,
)
_YEAR = rf"(?P<when>(?:(?:{any_word(MONTHS)}) )?(?:19|20)\d\d)"
_STARTED = re.compile(
    rf"\bI (?:first |only )?(?:started|joined|began|got hired)(?: working| work)?(?: (?:there|here|with them"
    rf"|the company|the firm|the team))? (?:back )?in {_YEAR}\b",
    re.IGNORECASE,
)
_SINCE = re.compile(
    rf"\bI(?:'ve| have) (?:been (?:working )?|worked )(?:there|here|with them|at the company|with the company|in"
    rf" this job"
    rf"|at this job|in the job|(?:with|at|in|for) my (?:current |present )?(?:company|firm|job|employer))"
    rf" (?P<how>since {_YEAR}|for (?P<span>(?:about |over |almost )?(?:{NUMBERS}|\d+)"
    rf" (?:years|months)))",
    re.IGNORECASE,
)
_UNSURE = re.compile(r"\b(?:if|would|might|could|wish|should|suppose|imagine|says?|said)\b[^.!?]*$", re.IGNORECASE)


def placed(text: str, spoken: str, before: str, nlp: Parser) -> str:
    """The message with the one place that "there" can mean in its stead.

    `spoken` is the message without what it quotes, `before` the message before it.
    """
    found = _TO.search(text) or _IN.search(text)
    if found is None or len(re.findall(r"\bthere\b(?! (?:is|are|was|were|has|have|will)\b)", text, re.I)) > 1:
        return text
    start = spoken.find(found[0])
    here = places(spoken[:start], nlp) if start >= 0 else set()
    known = here or places(before, nlp)
    if len(known) != 1:
        return text
    prep = "to" if found.re is _TO else "in"
    return text[: found.end() - len("there")] + f"{prep} {known.pop()}" + text[found.end() :]


def places(text: str, nlp: Parser) -> set[str]:
    """The places that a text names, with their capitals; in small letters where a preposition shows that they are."""
    found: dict[str, str] = {}
    tokens = list(nlp(text)) if text.strip() else []
    for before, word, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        taken = word.lower_ in _NO_PLACE | TIMES | NO_TOWNS | KIN | PLACES or NATION.fullmatch(capital(word.text))
        if before is None or taken or not word.is_alpha or len(word.text) < 4:
            continue
        goes_on = after is not None and (after.tag_.startswith("NN") or after.tag_ == "POS" or after.text == "-")
        small = before.lower_ in _LEADING and word.tag_ in ("NN", "NNP") and word.text.islower() and not goes_on
        large = before.lower_ in _LEADING | _NAMING and word.text[:1].isupper() and word.tag_ in _NAMES
        if small or large:
            more = [after.text] if large and goes_on and after is not None and after.text[:1].isupper() else []
            run = " ".join([capital(word.text), *more])
            found[fold(run)] = run
    return set(found.values())


_LEADING = {"to", "in", "from", "near", "around"}
_NAMING = {"is", "are", "of", "for", "visit", "about", "like", "was"}
_NAMES = ("NNP", "NNPS", "JJ")


def since(text: str) -> Iterator[Fact]:
    """ "He's been my manager since I started there in 2021": when the user began their job."""
    if not _WORK.search(text):
        return
    for found in _STARTED.finditer(text):
        if not _UNSURE.search(text[: found.start()]) and not re.match(r"[^.!]*\?", text[found.end() :]):
            yield from fact_of(
                f"I started work there in {found['when']}.", found["when"], "i|job|since", "fact", _BEGAN
            )
            return
    for found in _SINCE.finditer(text):
        if _UNSURE.search(text[: found.start()]) or re.match(r"[^.!]*\?", text[found.end() :]):
            continue
        value = found["when"] or found["span"]
        yield from fact_of(
            f"I have worked there {found['how']}.", value, "i|job|since", "fact", _BEGAN if found["when"] else _LONG
        )
        return


_BEGAN = [
    ("when did I start my job?", "when I started my job"),
    ("what year did I start at work?", "what year I started at work"),
    ("when did I get my job?", "when I got my job"),
    ("when did I start to work there?", "when I started to work there"),
]
_LONG = [
    ("how long have I had my job?", "how long I have had my job"),
    ("how long have I been in my job?", "how long I have been in my job"),
    ("for how long have I worked there?", "for how long I have worked there"),
    ("how long have I worked at my place of work?", "how long I have worked at my place of work"),
]
