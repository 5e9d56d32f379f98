"""Hours: when in the day a night may be, by the wall clock of whoever lives here.

Owns reading `daemon.hours`, which night a moment belongs to, and which hours of the day have turned out to be quiet.
Leaves all else that may stand against a night to `policy`. Must stay true: only the wall clock counts here, as it shows
now, so that daylight saving and a clock that is set only move the hours; nothing that lasts is measured with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from edgesleep.errors import EdgesleepError, shown

DAYS_KEPT = 14  # of which it is known in which hours someone was here
DAYS_NEEDED = 7  # in which an hour was seen, and each time quiet, before it is held to be so
_HOUR = r"([01]?\d|2[0-4]):([0-5]\d)"
_STEP = timedelta(minutes=5)  # in which the next hours are looked for


@dataclass(frozen=True)
class Hours:
    """From when to when a night may be; the same twice: at any time."""

    begin: time
    end: time

    @classmethod
    def read(cls, text: str) -> Hours:
        """As "22:00-07:00". Raises EdgesleepError."""
        match = re.fullmatch(rf"{_HOUR}-{_HOUR}", text.replace(" ", ""))
        if not match:
            raise EdgesleepError(
                f"daemon.hours is {shown(text)}, which is no time of the day.",
                'Write it as "22:00-07:00"; "00:00-24:00" is always.',
            )
        hours = [int(match[1]), int(match[3])]
        begin, end = (time(hour % 24, int(minute)) for hour, minute in zip(hours, (match[2], match[4]), strict=True))
        return cls(begin, end)

    def hold(self, local: datetime) -> bool:
        """Whether a moment is within them."""
        now = local.time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def night_of(self, local: datetime) -> str:
        """The night that a moment belongs to: the date on which its hours began. What is done is done for one night."""
        since = timedelta(hours=self.begin.hour, minutes=self.begin.minute)
        return (local.replace(tzinfo=None) - since).date().isoformat()


@dataclass(frozen=True)
class Seen:
    """In which hours of a day the daemon looked, and in which of these someone was here; bit 0 is midnight."""

    looked: int = 0
    used: int = 0


Days = dict[str, Seen]  # by date


def noted(days: Days, local: datetime, used: bool) -> Days:
    """The days, with one more look."""
    date, bit = local.date().isoformat(), 1 << local.hour
    seen = days.get(date, Seen())
    if seen.looked & bit and (not used or seen.used & bit):
        return days
    new = {**days, date: Seen(seen.looked | bit, seen.used | bit * used)}
    return dict(sorted(new.items())[-DAYS_KEPT:])


def quiet(days: Days, local: datetime) -> bool:
    """Whether this hour of the day was seen often enough, and nobody was ever here then; today does not count."""
    today, bit = local.date().isoformat(), 1 << local.hour
    looked = [seen for date, seen in days.items() if seen.looked & bit and date != today]
    return len(looked) >= DAYS_NEEDED and not any(seen.used & bit for seen in looked)


def next_begin(hours: Hours, days: Days, local: datetime) -> datetime | None:
    """When the hours of a night begin next, from a moment outside them; None where that is not within a day."""
    start = local.replace(second=0, microsecond=0, minute=local.minute // 5 * 5)
    for count in range(1, 24 * 12 + 1):
        moment = start + count * _STEP
        if hours.hold(moment) or quiet(days, moment):
            return moment
    return None
