"""Plain wording: casual ways to put a statement, turned into the way that the parser reads best.

Owns words typed in a hurry, days and months in small letters, the missing "on" of "arrives Saturday", contrasts that
are taken back ("not on Thursday"), pleas and manners at the end ("please remember"), ages without their unit, and
"Ana's moving" with its verb. Leaves "ours" and "one" to `pointing`, cutting a message into sentences to `reading`. Must
stay true: no rewrite adds a thing that the message does not say, and text that needs none comes back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from edgesleep.night.lexicon import (
    BEASTS,
    COLOURS,
    DAYS,
    KIN,
    MONTHS,
    NO_TOWNS,
    NUMBERS,
    any_word,
    capital,
)
from edgesleep.night.pointing import pointing

# Typed in a hurry: the parser knows these words only with their apostrophes.
_HURRIED = {
    "im": "I'm", "ive": "I've", "dont": "don't", "doesnt": "doesn't", "didnt": "didn't", "cant": "can't",
    "isnt": "isn't", "wasnt": "wasn't", "arent": "aren't", "havent": "haven't", "hasnt": "hasn't", "thats": "that's",
    "whats": "what's", "hes": "he's", "shes": "she's", "theyre": "they're", "youre": "you're", "theres": "there's",
    "weve": "we've", "theyve": "they've", "wont": "won't", "wouldnt": "wouldn't", "couldnt": "couldn't",
    "shouldnt": "shouldn't", "i": "I",
}  # fmt: skip
_HURRY = re.compile(rf"(?<![\w'])(?:{'|'.join(_HURRIED)})(?!\w)", re.IGNORECASE)
# These are words by themselves: only what follows tells.
_TORN = (
    (re.compile(r"\bits (?=(?:been|a|an|the|my|our|not|gone|going|just|only|got|on)\b)", re.IGNORECASE), "it's "),
    (re.compile(r"\bill (?=(?:be|miss|have|get|go|do|make|need|take|let|never|probably|also)\b)"), "I'll "),
    (re.compile(r"\bid (?=(?:be|miss|have|like|love|rather|prefer|never|go|say)\b)"), "I'd "),
)
_DAYS = "|".join(sorted(DAYS))
_CALENDAR = re.compile(rf"\b(?:(?:{_DAYS})s?|(?:{'|'.join(sorted(MONTHS - {'march', 'may'}))}))\b")
_BARE_DAYS = re.compile(
    rf"(?<=[a-z,] )(?<!\bon )(?<!\band )(?<!\bor )(?<!\bto )(?<!\bof )(?<!\bby )(?<!\bfrom )(?<!\bfor )(?<!\blast )"
    rf"(?<!\bnext )(?<!\bthis )(?<!\bevery )(?<!\beach )(?<!\buntil )(?<!\btill )(?<!\bsince )(?<!\bthe )(?<!\ba )"
    rf"(?<!\bbefore )(?<!\bafter )(?<!\bhappy )(?<!\blove )(?<!\bhate )(?<!\blike )(?<!\bmy )(?<!\bour )(?<!\bgood )"
    rf"(?<!\bwas )(?<!\bjust )(?<!\bblack )(?<!\bcalled )(?<!\bprefer )(?<!\bbetween )(?<!\bmost )(?<!\b, )"
    rf"(?=(?:{_DAYS})s?(?: and (?:{_DAYS})s?)?"
    r"(?:,|$| (?:at|now|from|with|\d|mornings?|afternoons?|evenings?|nights?)\b|$))",
    re.IGNORECASE,
)
_NAMES_DAYS = re.compile(r"\b(?:to)?days?\b.* (?:is|are|was) |\b(?:today|tomorrow|yesterday)'s ", re.IGNORECASE)
_UNIT = r"(?:quid|pounds?|dollars?|euros?|metres?|meters?|miles?|kilos?|weeks?|days?|months?|years?|hours?|minutes?)"
_TAKEN_BACK = re.compile(
    r"(?:,| and| but|, and|, but) not (?:on |at |in |the )?[\w:'£$.-]+(?: [\w:'£$.-]+){0,2}(?=,|$)"
    rf"| (?:instead of|rather than) (?:on |at |in )?(?:{NUMBERS}|\d[\d:.]*|(?:{_DAYS})s?)(?: {_UNIT})?(?=,|$)",
    re.IGNORECASE,
)
_ECHO = re.compile(r",? (?:and )?(?:never|always) (?:could|have|has|had|did|do|will|was|were|am|is|can|would)$")
_AGE = re.compile(
    rf"^((?:[A-Z]\w+|he|she|my [\w' -]{{2,30}}?|our [\w' -]{{2,30}}?)(?:'s| is)|I(?:'m| am)|they(?:'re| are))"
    rf"(?: (?:just|only|already|now))?(?: turned)? ((?:{NUMBERS})(?:-(?:{NUMBERS}))?|\d{{1,2}})(?: now)?"
    rf"(?= and\b| but\b|,|$)",
    re.IGNORECASE,
)
_ONE_WHO = re.compile(r"^(I)(?:'m| am)(?: usually| always)? the one (?:who|that) (?:usually |always )?(\w+?s)\b(?!')")


# Names in small letters, where the words before them say that they are some.
_SMALL_NAME = re.compile(
    r"(?<=\bname is )(?!(?:a|an|the|not|my|on|in)\b)[a-z]\w+$"
    r"|((?:\b(?:is|are|was|were)|'s|'re|\b(?:an?|the|my|our|one) [\w-]+) (?:called|named) )"
    r"(?!(?:a|an|the|my|her|his|it|me|him|in|for|off|out|back|by|on|up|to|after|because|upon|away|that|this)\b)([a-z]\w+)"
)
_SMALL_TOWN = re.compile(
    r"(\b(?:liv(?:e|es|ed|ing)|grew up|raised|born|based) in |\b(?:am|is|are|'m|'s|'re) (?:originally )?from )"
    r"([a-z][a-z-]+)(?= with| and| now| since| for| until|,|$)"
)
_COLOURED = re.compile(
    rf"\b((?:an?|my|our|the) )((?:[a-z]+ )?)((?:[A-Z][\w-]+ )*[A-Z][\w-]+), (?:in )?({any_word(COLOURS)})"
    rf"(?:, (?:{NUMBERS}) [a-z]+)?(?=,|$)"
)
_HAVING = re.compile(r"(?<=[a-z0-9]), having ([a-z]+(?:ed|en|un|ad|t) .+)$")
_BRINGS = re.compile(
    r", (?:which|and that|and this) (?:brings|makes|took|brought) my ([a-z -]+?) (?:up )?to (\d[\d,.]*)(?=,|$)"
)
_AMOUNT = re.compile(
    r"\bmy ((?:[a-z]+ ){0,3}(?:time|score|record|weight|salary|rent|budget|goal|level|rate|average|speed|height|pace"
    r"|mileage|balance|count|total|allowance|mortgage|bill)) of "
    r"((?:about |around )?[$£€]?\d[\w:.,]*(?: [a-z]+)?)(?= this| last| in| on| at| for| and| when| with| but|,|$)"
)
_THAT_MAKES = re.compile(
    r"^That's (?:already |now |about )?(\d+ [\w -]+?) (?:so far|already|now|in total|altogether|since)\b.*$"
)
_SUCH_AS = re.compile(
    r"^(I (?:also |really )*(?:like|love|enjoy|prefer|listen to|play|watch|read|collect|grow|eat|speak)) "
    r"[a-z]+(?: [a-z]+)?,? (?:such as|like) (?!to )"
)
_TO_SEE = re.compile(r"(?<=^I )went to see |(?<=^We )went to see ")
_TORN_IS = re.compile(r"^((?:My|Our) [a-z]+)'s ([a-z]+(?: again| now| too| already)?)$")
_FROM_NOW = re.compile(r"(?<=[a-z0-9]) from now on$")
_OVER_FROM = re.compile(r"\b(is|are|'s|'re) (?:over|up|down|visiting|staying with us|here|across) from(?= [A-Z])")
_TORN_CALLED = re.compile(
    r"^((?:My|Our) [a-z][a-z -]*)'s (called|named) (?=[A-Z][\w'.-]*(?: [A-Z][\w'.-]*)*?(?: and\b|,|$))"
)
# A plea to remember, and how well or ill something is done, add nothing to the statement before them.
_REMEMBER = (
    r"(?:remember|note|don't forget|(?:keep|bear) (?:(?:that|this|it) )?in mind)(?: (?:that|this|it))?"
    r"(?: (?:when|whenever|if|in|from|next) [^,]+)?$"
)
_PLEA = re.compile(
    rf"(?:,| —)(?: (?:so|and|please|pls|do|just|always))* {_REMEMBER}"
    rf"| (?:(?:so|and) )?(?:please|pls) (?:do )?{_REMEMBER}",
    re.IGNORECASE,
)
_MANNER = re.compile(
    r"(?<=[\w\ue001]), (?:if |albeit |though |although |only )?(?:very |rather |quite |pretty |really |so )?"
    r"(?!(?:early|daily|weekly|monthly|yearly|hourly|family|jelly|only|july|italy|lovely|friendly|likely)\b)[a-z]+ly$"
)
_LAST_NAMED = re.compile(
    r"^(?:(?:He|She|It)(?:'s| is) (?:called|named)|(?:His|Her|Its) name(?:'s| is)) ([A-Z]\w+), (?:the|my|our) "
    r"([a-z]+(?: [a-z]+)?)(?=,|$)"
)
_IS_MINE = re.compile(r"^([A-Z][\w-]+)'s (?=(?:my|our|the) [a-z-]+(?:,|$| and\b| now\b| at\b))")
# Somebody and what they are about to do, run together: "Ana's moving to Ghent".
_DOING = re.compile(
    r"^((?:My|Our) [a-z-]+(?: [A-Z][\w-]+)?|[A-Z][\w-]+)'s "
    r"(?=(?:moving|coming|going|getting|leaving|starting|visiting|flying|driving"
    r"|arriving|marrying|retiring|staying|working|living|studying|turning|bringing|expecting|learning|buying|selling|taking"
    r"|stuck|away|ill|sick|busy|mad|obsessed|allergic|scared|married|engaged)"
    r" (?:to|there|here|again|about|of|in|into|from|on|at|up|over|down|back|out|home|off|away|with|for|married"
    r"|engaged|an?|the|us|me|my|our|next|this|after|around|as|[A-Z\d])\b)"
)
_FEAST_IS = re.compile(
    r"(\b(?:birthday|anniversary|name day|wedding|exam|christening)(?:'s| is)) (the \d{1,2}(?:st|nd|rd|th)\b)"
)
_DATE_BEHIND = re.compile(rf", (?:the )?(\d{{1,2}}(?:st|nd|rd|th) of (?:{any_word(MONTHS)}))(?=,|$)", re.IGNORECASE)
# At the end of a statement, what only comments on it.
_COMMENT = re.compile(
    r",? (?:obviously|of course|naturally|apparently|sadly|luckily|thankfully)(?:,.*)?$", re.IGNORECASE
)


def unhurried(text: str, names: Collection[str] = ()) -> str:
    """A message with the apostrophes and the capitals that its writer left out; `names` are known to be some."""
    text = _HURRY.sub(lambda found: _HURRIED.get(found[0].lower(), found[0]), text)
    for pattern, form in _TORN:
        text = pattern.sub(form, text)
    if names:
        small = "|".join(re.escape(name.lower()) for name in names)
        text = re.sub(rf"(?<![\w'])(?:{small})(?![\w-])", lambda found: capital(found[0]), text)
    return _CALENDAR.sub(lambda found: found[0].capitalize(), text)


def plainer(sentence: str, before: str, is_name: Callable[[str], bool]) -> Iterator[str]:
    """One statement in plain wording, as one or two; `before` is what the message says before it."""
    sentence = _ECHO.sub("", _TAKEN_BACK.sub("", sentence))
    sentence = _MANNER.sub("", _PLEA.sub("", sentence))
    sentence = _ONE_WHO.sub(lambda found: f"{found[1]} {_base(found[2])}", sentence)
    if (aged := _AGE.match(sentence)) and _has_years(aged[1], is_name):
        sentence = _years_old(aged) + sentence[aged.end() :]
    sentence = _SMALL_NAME.sub(lambda found: (found[1] or "") + capital(found[2] or found[0]), sentence)
    sentence = _OVER_FROM.sub(r"\1 from", sentence)
    sentence = _SMALL_TOWN.sub(_town, sentence)
    sentence = _LAST_NAMED.sub(r"My \2 is called \1", sentence)
    sentence = _FEAST_IS.sub(r"\1 on \2", sentence)
    sentence = _DATE_BEHIND.sub(r" on the \1", sentence, count=1)
    sentence = _DOING.sub(r"\1 is ", _IS_MINE.sub(r"\1 is ", _COMMENT.sub("", sentence)))
    sentence = _TORN_CALLED.sub(r"\1 is \2 ", sentence)
    sentence = pointing(sentence, before)
    sentence = _TORN_IS.sub(r"\1 is \2", sentence)
    sentence, more = _unfolded(_FROM_NOW.sub("", sentence))
    coloured = _COLOURED.search(sentence)
    sentence = _COLOURED.sub(r"\1\2\3", sentence)
    yield sentence if _NAMES_DAYS.search(sentence) else _BARE_DAYS.sub("on ", sentence)
    if coloured and re.match(r"(?:I|We|My|Our)\b", sentence):
        yield f"My {coloured[3]} is {coloured[4]}"
    yield from more


def _unfolded(sentence: str) -> tuple[str, list[str]]:
    """A statement, and what it tells on the way: ", having watched 15 films", "my best time of 25:50"."""
    sentence = _TO_SEE.sub("saw ", _SUCH_AS.sub(r"\1 ", sentence))
    if total := _THAT_MAKES.match(sentence):
        sentence = f"I have {total[1]}"
    more = []
    if re.match(r"(?:I|We)\b", sentence) and (having := _HAVING.search(sentence)):
        sentence = sentence[: having.start()]
        more.append(f"I have {having[1]}")
    if brings := _BRINGS.search(sentence):
        sentence = sentence[: brings.start()]
        more.append(f"My {brings[1]} is {brings[2]}")
    more += [f"My {found[1]} is {found[2]}" for found in _AMOUNT.finditer(sentence)]
    return sentence, more


def _town(found: re.Match[str]) -> str:
    return found[0] if found[2] in NO_TOWNS | KIN else found[1] + capital(found[2])


def _base(verb: str) -> str:
    """ "does" is do, "carries" is carry."""
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith(("oes", "ches", "shes", "sses", "xes")):
        return verb[:-2]
    return {"has": "have", "is": "am"}.get(verb, verb.removesuffix("s"))


def _has_years(who: str, is_name: Callable[[str], bool]) -> bool:
    """Whether a number after this subject is an age: a person's or an animal's."""
    noun = re.sub(r"(?:'s|'m|'re| is| am| are)$", "", who)
    return noun.lower() in ("i", "he", "she", "they") or noun.split()[-1].lower() in KIN | BEASTS or is_name(noun)


def _years_old(found: re.Match[str]) -> str:
    who = re.sub(r"'s$", " is", re.sub(r"'m$", " am", re.sub(r"'re$", " are", found[1])))
    return f"{who} {found[2]} years old"
