"""Dates: "tomorrow" and "two years ago" as the days and years that they were when someone said so.

Owns which words of a sentence stand for a day, a week, a month or a year, and which one that is. Leaves the sentence
otherwise as it was said. Must stay true: a wrong date is worse than none, so whatever can be read in two ways stays (a
habit, a name, a quotation, how long something took, "next Friday" early in the week, "tomorrow" after midnight); what
was made absolute is not touched again. Days are those of the clock of this machine, which is the user's; weeks begin
on Monday, and seasons are those of the northern half.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # the month in which each begins
_COUNT = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen",
)  # fmt: skip
_NUMBERS = {"a": 1, "an": 1, "twenty": 20, "thirty": 30, **{word: n for n, word in enumerate(_COUNT, 1)}}
_NEAR = {"the day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "the day after tomorrow": 2}
_STEP = {"last": -1, "this": 0, "next": 1}
_LONGEST = 2_000  # characters; what is longer is no sentence
_SMALL_HOURS = 4  # until then "tomorrow" may be the day that has begun

Phrase = tuple[str, str]  # a date's own preposition, and the date


def absolute(text: str, said: datetime) -> str:
    """`text` with the dates that are relative to when it was `said` made absolute, where they can mean only one.

    Midnight in UTC to the microsecond is taken for a date that came without its time, as exports of chats have it.
    """
    timeless = said.utcoffset() == timedelta() and said.time() == datetime.min.time()
    try:
        here = said if timeless else said.astimezone()
        small = here.hour < _SMALL_HOURS and not timeless
        return _SENTENCE.sub(lambda sentence: _dated(sentence[0], here.date(), small), text)
    except (OverflowError, ValueError):  # before the year 1 or after 9999
        return text


def _dated(sentence: str, today: date, small_hours: bool) -> str:
    if len(sentence) > _LONGEST:
        return sentence
    same = sentence.replace("’", "'")  # of the same length
    found = [_Place(match, today, small_hours, rule) for rule in _RULES for match in rule.pattern.finditer(same)]
    found.sort(key=lambda place: (place.start, -place.end))
    places: list[_Place] = []
    for place in found:  # the longest at each place: "the day after tomorrow" is no "tomorrow"
        if not places or place.start >= places[-1].end:
            places.append(place)
    linked = {
        place for pair in pairwise(places) if _LINK.fullmatch(sentence, pair[0].end, pair[1].start) for place in pair
    }  # "Friday in two weeks": one counts from the other
    left, end = "", 0
    for place in places:
        if place not in linked and not place.is_name and (phrase := place.rule.read(place)):
            left += sentence[end : place.start] + place.fitted(*phrase)
            end = place.end
    return left + sentence[end:]


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    read: Callable[[_Place], Phrase | None]  # None in doubt


@dataclass(frozen=True)
class _Place:
    """Words for a date in a sentence, and when that was said."""

    match: re.Match[str]
    today: date
    small_hours: bool
    rule: _Rule

    def __getitem__(self, group: str) -> str:
        return " ".join((self.match[group] or "").lower().split())

    @property
    def start(self) -> int:
        return self.match.start()

    @property
    def end(self) -> int:
        return self.match.end()

    @property
    def before(self) -> str:
        return self.match.string[: self.start]

    @property
    def after(self) -> str:
        return self.match.string[self.end :]

    @property
    def opens(self) -> bool:
        """Whether the sentence begins here."""
        return not self.before.strip(_MARKS)

    @property
    def is_name(self) -> bool:
        """Whether it is quoted, or in capitals where no sentence begins, or goes on in capitals where one does."""
        if any(quote.start() < self.start < quote.end() for quote in _QUOTE.finditer(self.match.string)):
            return True
        if not self.match[0][0].isupper() or self.match[0].split()[0] in _DAYS:
            return False
        return not self.opens or (not self.match["given"] and bool(_NAME_AFTER.match(self.after)))

    @property
    def clause(self) -> str:
        start = max((cut.end() for cut in _CUT.finditer(self.before)), default=0)
        cut = _CUT.search(self.after)
        return self.match.string[start : self.end + (cut.start() if cut else len(self.after))]

    @property
    def tense(self) -> int:
        """-1 when the clause tells of the past, 1 when of what is to come, 0 in doubt."""
        if _REPORTED.search(self.match.string):
            return 0
        whole, clause = _tense(self.match.string), _tense(self.clause)
        if clause is None:
            return 1 if whole in (None, 1) and not _CUSTOM.search(self.clause) else 0
        return clause

    def fitted(self, own: str, noun: str) -> str:
        """The date after the preposition that is there or its own, or as the subject without one."""
        given = self["given"]
        if given not in ("", "on"):
            words = f"{given} {own} {noun}" if own == "around" else f"{given} {noun}"
        elif noun.isdigit() and _MONTH_BEFORE.search(self.before):
            words = noun  # "in May last year"
        elif not given and _CLAUSE_START.search(self.before) and _VERB_AFTER.match(self.after):
            words = noun
        else:
            words = f"{own} {noun}"
        return words[0].upper() + words[1:] if self.opens and self.match[0][0].isupper() else words


# -- what a sentence says around its dates ---------------------------------------------------------------------------

_ANY_DAY, _ANY_MONTH = f"(?:{'|'.join(_DAYS)})", f"(?:{'|'.join(_MONTHS)})"
_MARKS = " \t-–—•*>(\"'“‘,"
_SENTENCE = re.compile(
    r"(?:[^.!?…\n]|[.!?…](?!\s|$)|(?:(?<=\bDr)|(?<=\bMr)|(?<=\bMs)|(?<=\bSt)|(?<=\bMrs)|(?<=\bProf)|(?<=[ap]\.m))\.)+"
)
_QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”|‘[^']{2,80}'(?!\w)|(?<!\w)'[^']{2,80}'(?!\w)")
_LINK = re.compile(r"\s+(?:(?:of|in|on|from|at)\s+)?")
_NAME_AFTER = re.compile(r"\s+(?!I\b)[A-Z]")
_MONTH_BEFORE = re.compile(rf"\b{_ANY_MONTH}\s+$")
_CLAUSE_START = re.compile(r"(?:^|[,;:—]|\b(?:and|but|because|that|so|since|if|when|while))[\s\"'“(-]*$", re.IGNORECASE)
_VERB_AFTER = re.compile(r"\s+(?:is|isn't|was|wasn't|will|won't|would|has|had|felt|feels|looks|seems|turned|marks)\b")
_CUT = re.compile(r"[,;:—()]|\b(?:and|but|because|so|which|who|when|while|although|though|if)\b", re.IGNORECASE)
_HABIT = re.compile(
    r"\b(?:every|each|usual(?:ly)?|always|normally|often|sometimes|mostly|generally|regularly|typically|tends?|never"
    r"|(?:a|per) (?:day|week|month|year)|daily|weekly|monthly|yearly|annual(?:ly)?|except|don't|doesn't|closed|open)\b",
    re.IGNORECASE,
)
# In the present tense, with nothing that says "this once".
_CUSTOM = re.compile(
    r"\b(?:(?:play|work|train|swim|run|cook|clean|practi[cs]e|volunteer|sing|dance|study|babysit|attend)s?|goe?s?|do|does"
    r"|teach(?:es)?|church|mass|choir|practice|training|yoga|gym|lessons?|class(?:es)?|rehearsals?|school|salary|rent)\b",
    re.IGNORECASE,
)
_RETURNING = re.compile(r"\b(?:birthday|anniversary|celebrates?|born|paid|pension|payday)\b", re.IGNORECASE)
# What is told in someone's words counts from when those were said.
_REPORTED = re.compile(r"\b(?:said|told|asked|promised|thought|announced|wrote|texted|heard|knew)\b", re.IGNORECASE)
# After these a day may be one that was still to come: "we decided to leave on Friday", "I won tickets for Friday".
_INTENDED = re.compile(
    r"\b(?:supposed|(?:decided|wanted|planned|agreed|hoped|had|was|were|forgot|meant|used) (?:going )?to|booked"
    r"|scheduled|reserved|arranged|moved|postponed|rescheduled|invited|got|(?:bought|ordered|found|won|received)\b.*\bfor)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:(?:should|would|could|might|must)(?:n't)?(?: ha|')ve|was|were|wasn't|weren't|did|didn't|had|hadn't|went"
    r"|saw|met|bought|got|came|took|made|gave|ran|ate|drank"
    r"|felt|found|lost|won|flew|drove|slept|spoke|began|broke|brought|built|caught|chose|fell|forgot|grew|held|kept|led"
    r"|left|lent|paid|rode|rang|sold|sent|sang|sat|spent|stood|stole|swam|taught|threw|woke|wore|gone|been|seen|done"
    r"|(?!(?:need|speed|seed|feed|indeed|hundred|proceed|succeed)\b)[a-z]{2,}ed)\b",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"(?:\b(?:am|is|are|be|being|gets?|getting)|'m|'re) (?:[a-z]+ly )?(?:[a-z]+ed|done|held|made|paid|sent|sold)\b",
    re.IGNORECASE,
)
_COMING = re.compile(
    r"\b(?:will|won't|shall|gonna|am|is|are|isn't|aren't|(?:have|has|going) to|needs?|must|should|plans?|hopes?|wants?"
    r"|would|let's|can|could|might)\b|'(?:ll|m|re|d)\b|\b(?:it|he|she|that|there|what|where|who)'s\b(?! been)",
    re.IGNORECASE,
)


def _tense(words: str) -> int | None:
    """-1 past, 1 to come, 0 in doubt, None where no verb tells."""
    coming = bool(_COMING.search(words))
    past = bool(_PAST.search(_STATE.sub("is", words)))
    if past and (coming or _INTENDED.search(words)):
        return 0
    return -1 if past else 1 if coming else None


# -- how a date is written -------------------------------------------------------------------------------------------


def _plain(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _on(day: date, part: str = "") -> Phrase:
    named = f"{_DAYS[day.weekday()]} {_plain(day)}"
    return "on", f"the {part} of {named}" if part else named


def _week(day: date) -> Phrase:
    return "in", f"the week of {_plain(day - timedelta(day.weekday()))}"


def _weekend(day: date) -> Phrase:
    return "on", f"the weekend of {_plain(day + timedelta(5 - day.weekday()))}"


def _month(day: date, months: int) -> Phrase:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return "in", f"{_MONTHS[month]} {_year(year)}"


def _year(year: int) -> str:
    return str(date(year, 1, 1).year)  # raises where there is no such year


# -- what words for a date mean --------------------------------------------------------------------------------------


def _near_day(at: _Place) -> Phrase | None:
    if at.small_hours or _NO_DAY_BEFORE.search(at.before):
        return None
    if at["name"] == "today" and (not _SOMEBODY.search(at.match.string) or _NOWADAYS.search(at.clause)):
        return None
    if at["name"] == "tomorrow" and _REPORTED.search(at.clause):
        return None
    return _on(at.today + timedelta(_NEAR[at["name"]]), at["part"])


def _half_day(at: _Place) -> Phrase | None:
    if at.small_hours:
        return None
    which, part = ("this", "evening") if at["words"] == "tonight" else at["words"].split()
    return _on(at.today + timedelta(_STEP[which]), part)


def _weekday(at: _Place) -> Phrase | None:
    which, week, day = at["which"], at["week"] or at["week2"], _DAYS.index((at["day"] or at["day2"]).title())
    now = at.today.weekday()
    ahead, back = (day - now - 1) % 7 + 1, (now - day - 1) % 7 + 1  # to the next and the last such day, 1 to 7
    same_week = now + ahead < 7
    if _MORE_AFTER.match(at.after) or _MORE_BEFORE.search(at.before):
        return None
    if week:  # where weeks begin on Sunday, that is another day
        days = None if 6 in (day, now) else day - now + 7 * _STEP[week]
    elif which == "last":
        days = -back if back > 1 else None
    elif which == "next":
        days = None if same_week or (now == 6 and day != 6) else ahead
    elif (at.small_hours and ahead >= 6) or (not which and _is_no_date(at)):  # after midnight: today or yesterday
        days = None
    elif which.endswith("coming") or (at["given"] in ("for", "to") and at.tense != -1):
        days = ahead
    elif at["given"] == "since" or at.tense == -1:
        days = -back if back < 7 and (which != "this" or back <= now) else None
    else:
        days = ahead if at.tense == 1 and (which != "this" or same_week or ahead <= 3) else None
    return None if days is None else _on(at.today + timedelta(days), at["part"])


def _is_no_date(at: _Place) -> bool:
    """Whether a weekday is a habit or a name. Without a preposition it needs a time, or to begin: "Friday I'm off"."""
    if at["given"]:
        return bool(_HABIT.search(at.match.string))
    timed = at["part"] or _TIME_AFTER.match(at.after) or (at.opens and _WE_AFTER.match(at.after))
    return not timed or bool(_HABIT.search(at.match.string) or _NAME_BEFORE.search(at.before))


def _span(at: _Place) -> Phrase | None:
    """A week, weekend, month, year, season or Christmas, by its name and last, this or next."""
    step, unit, today = _STEP[at["which"]], at["unit"], at.today
    if _FIXED_BEFORE.search(at.before) or _FIXED_AFTER.match(at.after):
        return None
    if unit == "week":  # on a Sunday it depends on where weeks begin
        return None if today.weekday() == 6 else _week(today + timedelta(7 * step))
    if unit == "weekend":
        return _named_weekend(at, step)
    if unit == "month":
        return _month(today, step)
    if unit == "year":
        return "in", _year(today.year + step)
    # The name of a part of the year: the year is plain where the nearest such part is not of this one.
    begins = 12 if unit == "christmas" else _SEASONS.get(unit) or _MONTHS.index(unit.title()) + 1
    length = 3 if unit in _SEASONS else 1
    year = _year_of(today, begins, length, step)
    if year is None:
        return None
    if unit == "christmas":
        return None if step == -1 and today > date(today.year, 12, 24) else ("at", f"Christmas {_year(year)}")
    if unit in _SEASONS:
        return "in", f"the {unit} of {_year(year)}" + (f"/{_year(year + 1)[-2:]}" if unit == "winter" else "")
    return "in", f"{unit.title()} {_year(year)}"


def _year_of(today: date, begins: int, length: int, step: int) -> int | None:
    """The year in which last, this or next part of the year began: "last summer" told in autumn may be either."""
    ends = begins + length - 1  # above 12 for a winter
    year = today.year - 1 if today.month <= ends - 12 else today.year  # a winter that began last year
    running = begins <= today.month + 12 * (today.year - year) <= ends
    over = not running and today.month > ends
    if step == 0:
        return None if (over and length == 1) or (begins - today.month > 6 and not running) else year
    if step == -1:
        return year - 1 if running or not over else None
    return year + 1 if running or over else None


def _named_weekend(at: _Place, step: int) -> Phrase | None:
    now = at.today.weekday()
    if now >= 5:
        return _weekend(at.today + timedelta(7 * step))
    if step == -1 or (step == 0 and now <= 1 and at.tense == -1):
        return _weekend(at.today - timedelta(7))
    return _weekend(at.today) if step == 0 and at.tense == 1 else None


def _after_next(at: _Place) -> Phrase | None:
    """ "The week before last", "the year after next"."""
    step = -2 if at["which"] == "before last" else 2
    if at["unit"] == "week":
        return None if at.today.weekday() == 6 else _week(at.today + timedelta(7 * step))
    return _month(at.today, step) if at["unit"] == "month" else ("in", _year(at.today.year + step))


def _ago(at: _Place) -> Phrase | None:
    return None if _COUNTED_BEFORE.search(at.before) or _COUNTED_AFTER.match(at.after) else _counted(at, -1)


def _ahead(at: _Place) -> Phrase | None:
    """ "In six weeks" is also how long something takes, so it needs a verb of what is to come, and none of doing."""
    if _COUNTED_BEFORE.search(at.before) or _COUNTED_AFTER.match(at.after) or _TAKING.search(at.clause):
        return None
    return _counted(at, 1) if at["from"] or _STARTING.search(at.clause) else None


def _counted(at: _Place, sign: int) -> Phrase | None:
    number = int(at["number"]) if at["number"].isdigit() else _NUMBERS[at["number"]]
    unit, vague = at["unit"].rstrip("s"), bool(at["about"])
    if unit in ("year", "decade"):
        years = number * (10 if unit == "decade" else 1)
        return "around" if vague or (years >= 10 and years % 5 == 0) else "in", _year(at.today.year + sign * years)
    if unit == "month":
        return "around", _month(at.today, sign * number)[1]
    days = number * {"day": 1, "week": 7, "fortnight": 14}[unit]
    exact = unit == "day" and number <= 7 and not vague and not at.small_hours
    day = at.today + timedelta(sign * days)
    return _on(day) if exact else ("around", _plain(day))


def _numbered_day(at: _Place) -> Phrase | None:
    """ "The 21st", of this month or of the next: the other one of two may be in another month."""
    number, today = int(at["number"]), at.today
    if number == today.day or len(_NTH.findall(at.match.string)) > 1 or _HABIT.search(at.match.string):
        return None
    if _RETURNING.search(at.match.string) or at.tense == 0 or (at["given"] == "since" and at.tense == 1):
        return None
    months = int(number < today.day) if at.tense == 1 else -int(number > today.day)
    year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
    try:
        date(year, month + 1, number)
    except ValueError:
        return None
    return "on", f"the {at['nth']} of {_MONTHS[month]} {year}"


_SOMEBODY = re.compile(r"\b(?:I|me|my|we|us|our|he|him|his|she|her)\b", re.IGNORECASE)
_NOWADAYS = re.compile(r"\b(?:still|than|any ?more|these days|modern|current)\b", re.IGNORECASE)
_NO_DAY_BEFORE = re.compile(r"\b(?:like|of|people|kids|children|world|society|even|still|here)\s*$", re.IGNORECASE)
_NAME_BEFORE = re.compile(r"[\w,]\s+(?!I\b)[A-Z][\w'-]*\s*$")
_TIME_AFTER = re.compile(rf"\s+at (?:\d|noon|half|quarter|(?:{'|'.join(_COUNT)})\b)")
_WE_AFTER = re.compile(r",?\s+(?:I|we)\b")
# A weekday that has its date, is one of several, or belongs to a name.
_MORE_AFTER = re.compile(
    rf"\s*[,(]?\s*(?:the )?\d{{1,2}}(?!\d|:|\.\d|\s?[ap]\.?m)|\s*,?\s*{_ANY_MONTH}\b|\s*\("
    r"|\s+(?:week|or so|mornings|afternoons|evenings|nights)\b"
    rf"|\s*(?:,|\band|\bor|\bto|\bthrough|'?\btill?|\buntil|[-–/&])\s*(?:on )?(?i:{_ANY_DAY})|\s+(?!I\b)[A-Z]"
)
_MORE_BEFORE = re.compile(
    rf"{_ANY_DAY}s?\s*(?:,|\band|\bor|\bto|\bthrough|'?\btill?|\buntil|[-–/&])\s*(?:on )?$"
    r"|\b(?:an?|the|that|one|any|some|good|ash|black|palm)\s+$",
    re.IGNORECASE,
)
_FIXED_BEFORE = re.compile(
    r"(?:\b(?:the|a|my|our|his|her|its|their|your|these|very|time|all|half|most)|(?<!\bit)(?<!\bthat)'s|s')\s+$",
    re.IGNORECASE,
)
_FIXED_AFTER = re.compile(r"\s+(?:of|holidays?|break|camp|school|party|tree|term|semester|sale|group|dinner|present)\b")
_COUNTED_BEFORE = re.compile(
    r"\b(?:half|than|over|least|most|under|nearly|almost|only|just|and|or|to|within|once|twice|times?|days|much|many|all"
    r"|first|one|every|exactly)\s+$",
    re.IGNORECASE,
)
_COUNTED_AFTER = re.compile(rf"\s+(?:of|on|and a half|or so|today|to the day|this|{_ANY_DAY})\b", re.IGNORECASE)
_TAKING = re.compile(
    r"\b(?:learn|teach|read|write|build|lose|gain|save|run|cover|complete|finish|do|done|make|made|achieve|master|grow"
    r"|possible|can|could|able|never|ever|first|best|worst|most|not|every|each)\b|n't\b|\b(?:up|down) by\b",
    re.IGNORECASE,
)
_STARTING = re.compile(
    r"\b(?:will|shall|am|is|are|going to|gonna|fl(?:y|ies)|leaves?|starts?|begins?|moves?|arrives?|returns?|ends?"
    r"|opens?|expires?|closes?|retires?|graduates?|get(?:s|ting)? married|turns?|due)\b"
    r"|'(?:ll|m|re)\b|\b(?:he|she|it)'s\b|\b(?:come|go|be|me|us) back\b|\bsee (?:me|us) again\b|\b(?:have|need) to\b",
    re.IGNORECASE,
)
_NTH = re.compile(r"\b\d{1,2}(?:st|nd|rd|th)\b")

_SINCE = "by|until|till|'?til|before|after|since|from|for"
_NUMBER = rf"(?P<number>[1-9]\d{{0,2}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_UNIT = r"(?P<unit>days?|weeks?|fortnights?|months?|years?|decades?)"
_PART = r"(?: (?P<part>(?-i:morning|afternoon|evening|night)))?"


def _rule(given: str, words: str, read: Callable[[_Place], Phrase | None]) -> _Rule:
    """The words after one of the `given` prepositions, or after none where that is allowed by an empty one."""
    optional = "?" if given.endswith("|") else ""
    pattern = rf"(?<![\w'/.@#–-])(?<!\d,)(?:(?P<given>{given.rstrip('|')}) ){optional}(?:{words})(?!['-]?\w|/)"
    return _Rule(re.compile(pattern.replace(" ", r"[^\S\n]+"), re.IGNORECASE), read)


_RULES = (
    _rule(f"{_SINCE}|than|about|of|", rf"(?P<name>{'|'.join(_NEAR)}){_PART}", _near_day),
    _rule(f"{_SINCE}|", "(?P<words>tonight|last night|this (?:morning|afternoon|evening))", _half_day),
    _rule(
        f"on|{_SINCE}|to|",
        rf"(?:(?P<which>last|next|this|(?:this |the )?coming) )?(?P<day>{_ANY_DAY}){_PART}"
        rf"(?: (?:of )?(?P<week>last|this|next) week)?|(?P<week2>last|this|next) week (?:on )?(?P<day2>{_ANY_DAY})",
        _weekday,
    ),
    _rule(
        f"{_SINCE}|than|about|of|over|during|",
        r"(?P<which>last|this|next) (?P<unit>week|weekend|month|year|spring|summer|autumn|fall|winter|(?-i:Christmas"
        rf"|{_ANY_MONTH}))",
        _span,
    ),
    _rule(f"{_SINCE}|", "the (?P<unit>week|month|year) (?P<which>before last|after next)", _after_next),
    _rule(f"{_SINCE}|", rf"(?:(?P<about>about|around|roughly|some) )?{_NUMBER} {_UNIT} ago", _ago),
    _rule("by|", rf"in (?:(?P<about>about|around|roughly) )?{_NUMBER} {_UNIT}(?P<from>'? time)?", _ahead),
    _rule(f"{_SINCE}|", rf"(?P<about>about )?{_NUMBER} {_UNIT} (?P<from>from (?:now|today))", _ahead),
    _rule(
        f"on|{_SINCE}",
        r"the (?P<nth>(?P<number>[12]?\d|3[01])(?:st|nd|rd|th))(?=\s*(?:[,;:)]|$)|\s+(?:at|in the|we|I)\b)",
        _numbered_day,
    ),
)
