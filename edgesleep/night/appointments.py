"""Appointments: when, at what time and with whom somebody expects the user.

Owns slots, bookings and the like ("they've given me a slot at ten to nine with Dr Hale"). Leaves "my exam is on
Friday" to `rules`, and which day "tomorrow" is to `dates`. Must stay true: an appointment is named by what the message
calls it, or by whom the message says it is with; a day that is known only from when it was said is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgesleep.night.clauses import Clause
from edgesleep.night.drafts import Draft
from edgesleep.night.lexicon import DAYS, MONTHS, NUMBERS, any_word
from edgesleep.night.parties import Party
from edgesleep.night.parts import Part, spoken_run
from edgesleep.night.questions import Target
from edgesleep.night.reading import Word
from edgesleep.night.verbs import Verb

_WHAT = r"slot|appointment|booking|interview|exam|check-?up|scan|viewing|consultation|test|reservation|hearing|lesson"
_GIVEN = re.compile(
    r"^(?:They|I|We|The [a-z]+|My [a-z]+|He|She)(?:'ve| have|'s| has)?(?: just| finally| now)? "
    r"(?:given|gave|got|booked|offered|found|have|has|had|made)(?: me| us)?(?: in for)? (?:an?|my|the) "
    rf"(?P<what>(?:[a-z-]+ ){{0,2}}(?:{_WHAT}))\b(?P<rest>.*)$"
)
_OWN = re.compile(rf"^(?:My|Our) (?P<what>(?:[a-z-]+ ){{0,2}}(?:{_WHAT}))(?:'s| is)(?P<rest> .+)$")
_WITH = re.compile(
    r"\b(dentist|doctor|gp|vet|physio|optician|hairdresser|barber|hospital|bank|lawyer|notary|mechanic|garage|midwife"
    r"|therapist|clinic|solicitor|accountant|landlord|mortgage|driving|eye|blood)\b",
    re.IGNORECASE,
)
_DAY, _MONTH, _NTH = any_word(DAYS), any_word(MONTHS), r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"\bon ((?:the )?(?:(?:{_DAY})(?: (?:the )?{_NTH})?(?: (?:of )?(?:{_MONTH}))?(?: \d{{4}})?"
    rf"|{_NTH}(?: (?:of )?(?:{_MONTH}))?(?: \d{{4}})?))\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    rf"\bat ((?:{NUMBERS}|\d{{1,2}}|half|quarter)(?:[:.]\d\d)?(?: (?:past|to) (?:{NUMBERS}|\d{{1,2}}))?"
    r"(?: ?[ap]\.?m\b| o'clock| thirty| fifteen)?|noon|midnight)\b",
    re.IGNORECASE,
)
_WHO = re.compile(r"\bwith ((?:(?:Dr|Mr|Mrs|Ms|Prof)\.? )?[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)")


def appointments(sentence: Sequence[Word], text: str) -> Iterator[Draft]:
    """The appointment that a sentence of the message `text` tells of."""
    spoken = spoken_run(sentence).removesuffix(" .").strip()
    found = _GIVEN.match(spoken) or _OWN.match(spoken)
    if found is None:
        return
    what, rest = found["what"], found["rest"]
    if what in ("slot", "appointment", "booking"):
        other = _WITH.search(text)
        what = f"{other[1].lower()} appointment" if other else "appointment"
    party = Party(f"my {what}", what.split()[-1])
    parts = [
        Part(role, prep, found[1], found[1].removeprefix("the "), is_name=role == "company")
        for pattern, role, prep in ((_DATE, "time", "on"), (_CLOCK, "clock", "at"), (_WHO, "company", "with"))
        if (found := pattern.search(rest))
    ]
    told = Clause(party, Verb("be", "is", "", "is", "present"), tuple(parts))
    for part in parts:
        wh = {"time": ("when", ("on what day",)), "clock": ("what time", ("at what time",)), "company": ("who", ())}
        asked, more = wh[part.role]
        left = ("with",) if part.role == "company" else ()
        yield Draft(told, Target(part.value, asked, left, more), "event", f"my {what}|is|{part.role}")
