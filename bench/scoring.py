"""When a free answer is right, stale, leaked or an abstention; and which of several answers a model finds likeliest.

Owns the rules by which bench/learn.py marks answers, all of them deterministic and without a judge. Leaves asking to
bench/arms.py. An accepted span counts as whole words, after case, accents, punctuation and number words are folded
away; a negated span counts too ("it is not Oslo" says Oslo). An abstention is strict: the answer has to say that it was
never told or does not know, and nothing beyond that may be anything but courtesy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from edgesleep.night.lexicon import words

_NUMBERS = words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
_SMALL = {word: number for number, word in enumerate(_NUMBERS)}
_TENS = {word: 10 * n for n, word in enumerate(words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)}
_TOKEN = re.compile(r"\d+(?:[.:]\d+)*|[^\W\d_]+")
_ORDINAL = {"st", "nd", "rd", "th"}
_ARTICLES = {"a", "an", "the"}

# A clause that owns up. "told", "mentioned" and the like need the negation beside them.
_UNKNOWN = re.compile(
    r"\b(?:"
    r"(?:have|has|had|did|do|were|was|are|is|'ve) ?(?:not|n't|never)(?: yet| actually| ever)? "
    r"(?:been told|told|tell|mentioned|mention|shared|share|said|say|given|know|specified|provided|remember|recall"
    r"|aware|sure"
    r"|have (?:any |that |this |enough |a |your )?(?:personal )?(?:access|information|record|details|data|idea))"
    r"|(?:never|not) (?:been )?(?:told|mentioned|shared|said|given|known)"
    r"|(?:can|could)(?:not| not|n't) (?:know|recall|remember|tell|say)"
    r"|no (?:idea|record|memory|information|way of knowing|knowledge)"
    r"|(?:am|'m) (?:not sure|not aware|unaware|unable to (?:know|say|tell|recall|access))"
    r"|unknown to me"
    r")\b"
)
# What may stand beside it.
_COURTESY = re.compile(
    r"(?:(?:but|and|so|however|unfortunately|actually|oh|hmm|well|yes|no) )*"
    r"(?:i(?: a|')m (?:so |very |really )?(?:sorry|afraid)|sorry|apologies|my apologies|i apologi[sz]e|if you|please"
    r"|could you|would you|can you|will you|do you want|feel free|you (?:can|could) (?:tell|share|let)"
    r"|let me know|just (?:tell|let)|tell me|thanks|thank you|i(?: wi|')ll (?:remember|be happy|be glad|note|keep)"
    r"|i (?:can|could) (?:help|remember|note)|i would (?:be|need|love)|i(?: a|')m (?:happy|glad|here|an ai|a computer)"
    r"|(?:as|since|because) (?:i(?: a|')m )?(?:an ai|a computer|a chatbot|a language model|an assistant)"
    r"|what is it|what was it|how can i)\b"
)
_CLAUSE = re.compile(r"[.!?;:\n]+(?=\s|$)|\s[-–—]+\s| (?=(?:but|however|although|though) )|,\s+")
_GUESS = re.compile(r"\b(?:guess|think|believe|suppose|maybe|perhaps|probably|might be|could be)\b")
_CLAIM = re.compile(r"^(?:but |and |so )*(?:i|as|since|because|sorry|my)\b.*\b(?:your? \w+|you'?re|it is|it's)\b.*\b\w")


def fold(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: small, without accents, numbers in digits.

    >>> fold("It's the 21st of MAY, at 6:30pm: $1,250 for twenty-five!")
    ('it', 's', 'the', '21', 'of', 'may', 'at', '6:30', 'pm', '1250', 'for', '25')
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain)
    parts = _TOKEN.findall(plain)
    found: list[str] = []
    for place, word in enumerate(parts):
        before = parts[place - 1] if place else ""
        if word in _ORDINAL and before.isdigit():
            continue  # "21st" is "21"
        if before in _TENS and 0 < _SMALL.get(word, 0) < 10:
            found[-1] = str(_TENS[before] + _SMALL[word])  # "forty two" is one number
        else:
            found.append(str(_SMALL.get(word, _TENS.get(word, word))))
    return tuple(found)


def says(text: str, spans: Iterable[str]) -> bool:
    """Whether a text holds any of the spans as whole words. An article at the start of a span does not count."""
    said = f" {' '.join(fold(text))} "
    return any(wanted and f" {wanted} " in said for wanted in (" ".join(_bare(span)) for span in spans))


def _bare(span: str) -> tuple[str, ...]:
    parts = fold(span)
    return parts[1:] if len(parts) > 1 and parts[0] in _ARTICLES else parts


def abstains(answer: str) -> bool:
    """Whether an answer says that it was not told, or does not know, and invents nothing beside that.

    Every clause has to own up or be a courtesy ("I'm sorry", "if you tell me ..."); a guess after owning up fails.
    """
    text = answer.translate(str.maketrans("’‘", "''")).casefold()
    clauses = [part.strip(" ,'\"") for part in _CLAUSE.split(text)]
    owned = False
    for clause in filter(None, clauses):
        if _UNKNOWN.search(clause) and not _GUESS.search(clause):
            owned = True
        elif not _COURTESY.match(clause) or _CLAIM.search(clause):
            return False
    return owned


def likeliest(losses: Sequence[float]) -> int:
    """The place of the smallest loss; of equal ones the last, so that the first (the right one) wins only alone."""
    least = min(losses)
    return max(place for place, loss in enumerate(losses) if loss == least)
