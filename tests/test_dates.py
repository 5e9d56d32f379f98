"""Dates: each turn of phrase resolves to the one day it can mean, and whatever can mean two stays as it was said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgesleep.night.dates import absolute

pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of the machine cannot be set here")


@pytest.fixture(autouse=True, scope="module")
def in_utc() -> Iterator[None]:
    yield from zone("UTC")


def zone(name: str) -> Iterator[None]:
    old = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    yield
    del os.environ["TZ"]
    if old is not None:
        os.environ["TZ"] = old
    time.tzset()


def at(day: str, clock: str = "18:30") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00+00:00")


MONDAY = at("2026-03-09")

RESOLVED = [
    ("Dinner is tomorrow at ten to nine.", "Dinner is on Tuesday 10 March 2026 at ten to nine."),
    ("Tomorrow I have an exam.", "On Tuesday 10 March 2026 I have an exam."),
    ("Tomorrow is my birthday.", "Tuesday 10 March 2026 is my birthday."),
    ("I have until tomorrow.", "I have until Tuesday 10 March 2026."),
    ("I ran a marathon yesterday.", "I ran a marathon on Sunday 8 March 2026."),
    ("We were in Rome the day before yesterday.", "We were in Rome on Saturday 7 March 2026."),
    ("The show is the day after tomorrow.", "The show is on Wednesday 11 March 2026."),
    ("I got the job today!", "I got the job on Monday 9 March 2026!"),
    ("I'm at a concert tonight.", "I'm at a concert on the evening of Monday 9 March 2026."),
    ("Last night I slept badly.", "On the night of Sunday 8 March 2026 I slept badly."),
    ("I ran 10 km this morning.", "I ran 10 km on the morning of Monday 9 March 2026."),
    ("I fly at 9 tomorrow morning.", "I fly at 9 on the morning of Tuesday 10 March 2026."),
    # weekdays
    ("I'm seeing the dentist on Thursday.", "I'm seeing the dentist on Thursday 12 March 2026."),
    ("I see the dentist on Thursday at 3pm.", "I see the dentist on Thursday 12 March 2026 at 3pm."),
    ("See you on friday!", "See you on Friday 13 March 2026!"),
    ("My exam is on Monday.", "My exam is on Monday 16 March 2026."),
    ("I saw the dentist on Thursday.", "I saw the dentist on Thursday 5 March 2026."),
    ("I met Dr. Smith on Friday.", "I met Dr. Smith on Friday 6 March 2026."),
    ("We met last Thursday.", "We met on Thursday 5 March 2026."),
    ("We met last Monday.", "We met on Monday 2 March 2026."),
    ("Next Monday I start at Siemens.", "On Monday 16 March 2026 I start at Siemens."),
    ("My interview is next week on Tuesday.", "My interview is on Tuesday 17 March 2026."),
    ("My interview is Tuesday next week.", "My interview is on Tuesday 17 March 2026."),
    ("We spoke on Thursday last week.", "We spoke on Thursday 5 March 2026."),
    ("I'm off this Friday.", "I'm off on Friday 13 March 2026."),
    ("Dinner Thursday at ten.", "Dinner on Thursday 12 March 2026 at ten."),
    ("Friday night we ate sushi.", "On the night of Friday 6 March 2026 we ate sushi."),
    ("I'm free until Friday.", "I'm free until Friday 13 March 2026."),
    ("I'm here til friday.", "I'm here til Friday 13 March 2026."),
    ("I'm in Bari 'til tomorrow.", "I'm in Bari 'til Tuesday 10 March 2026."),
    ("I have been ill since Friday.", "I have been ill since Friday 6 March 2026."),
    ("The meeting was moved to Thursday.", "The meeting was moved to Thursday 12 March 2026."),
    # weeks, weekends, months, years, and their parts
    ("I was ill last week.", "I was ill in the week of 2 March 2026."),
    ("Last week was hard.", "The week of 2 March 2026 was hard."),
    ("We are in Rome the week after next.", "We are in Rome in the week of 23 March 2026."),
    ("This weekend we are hiking.", "On the weekend of 14 March 2026 we are hiking."),
    ("I went hiking this weekend.", "I went hiking on the weekend of 7 March 2026."),
    ("Last weekend I rested.", "On the weekend of 7 March 2026 I rested."),
    ("We're moving to Porto next month.", "We're moving to Porto in April 2026."),
    ("He's visiting later this month.", "He's visiting later in March 2026."),
    ("I moved here last year.", "I moved here in 2025."),
    ("I moved here in May last year.", "I moved here in May 2025."),
    ("I've been vegan since last year.", "I've been vegan since 2025."),
    ("Last summer we went to Greece.", "In the summer of 2025 we went to Greece."),
    ("We're going to Greece this summer.", "We're going to Greece in the summer of 2026."),
    ("I learned to ski last winter.", "I learned to ski in the winter of 2025/26."),
    ("She married last December.", "She married in December 2025."),
    ("Last Christmas I got a drone.", "At Christmas 2025 I got a drone."),
    ("Porto? It's next month!", "Porto? It's in April 2026!"),
    # counted
    ("We fly to Rome in six weeks.", "We fly to Rome around 20 April 2026."),
    ("My exam is in three days.", "My exam is on Thursday 12 March 2026."),
    ("The deadline is in two weeks' time.", "The deadline is around 23 March 2026."),
    ("I'm due in two months.", "I'm due around May 2026."),
    ("In two years I retire.", "In 2028 I retire."),
    ("I bought my bike two years ago.", "I bought my bike in 2024."),
    ("About ten years ago we lived in Rome.", "Around 2016 we lived in Rome."),
    ("My dog died three weeks ago.", "My dog died around 16 February 2026."),
    ("I called her 3 days ago.", "I called her on Friday 6 March 2026."),
    # days of the month
    ("She arrives on the 21st.", "She arrives on the 21st of March 2026."),
    ("The report is due by the 5th.", "The report is due by the 5th of April 2026."),
    ("My parcel came on the 2nd.", "My parcel came on the 2nd of March 2026."),
    # as phones type it
    ("I didn’t sleep on Friday.", "I didn’t sleep on Friday 6 March 2026."),
]


@pytest.mark.parametrize(("told", "expected"), RESOLVED)
def test_on_a_monday_in_march(told: str, expected: str) -> None:
    assert absolute(told, MONDAY) == expected
    assert absolute(expected, MONDAY) == expected


@pytest.mark.parametrize(
    "text",
    [
        # habits, ages, durations
        "I play football on Thursdays.",
        "Every Saturday we go swimming.",
        "Saturdays are for rest.",
        "I usually swim on Thursday.",
        "I work from Monday to Friday.",
        "I train on Monday and Thursday.",
        "I pay rent on the 1st of every month.",
        "I get paid on the 15th.",
        "Our anniversary is on the 20th.",
        "I go to church on Sunday.",
        "I don't work on Friday.",
        "The shop is closed on Monday.",
        "On Saturday nights we dance.",
        "I have lived here for four years.",
        "My son is six years old.",
        "I read that book in six weeks.",
        "You can learn it in two months.",
        "I haven't seen her in two years.",
        # names and quotations
        "My favourite song is Yesterday.",
        'I read "Saturday" and "Next Year in Havana".',
        "'See you tomorrow,' she wrote.",
        "I support Sheffield Wednesday.",
        "We had a party on Good Friday.",
        "I watched Saturday Night Fever.",
        "Tomorrow Never Dies is my favourite film.",
        "I live on the 21st floor.",
        "It was built in the 20th century.",
        "Sunday Brunch is on.",
        "I fixed tomorrow's plan and last week's bug.",
        # of either this or that
        "We'll meet next Thursday.",
        "I leave next weekend.",
        "We're going to Greece next summer.",
        "We moved last January.",
        "I decided to leave on Friday.",
        "I was supposed to fly on Friday.",
        "The package should have come on Friday.",
        "Anna told me that she comes on Thursday.",
        "He said he would call tomorrow.",
        "I went to the shop, and on Thursday we fly to Rome.",
        "I'm off on Friday in two weeks.",
        "See you Thursday week on the phone.",
        "In a couple of weeks we leave.",
        "It happened two or three weeks ago.",
        "It was more than two years ago.",
        "I married a year and a half ago.",
        "From the 3rd to the 10th, I'm away.",
        "We fly on the 9th.",
        "It happened on a Tuesday morning.",
        # otherwise
        "We married on Thursday 12 March 2026.",
        "I'm off on Thursday, March 12.",
        "I'm off on Friday the 13th.",
        "My birthday is on 3 May.",
        "Humans emerged 300,000 years ago.",
        "This time last year I was in Spain.",
        "The last week of March was great.",
        "The kids today are different.",
        "Coal is rarely used today.",
        "It feels like yesterday.",
        "My flight is in 3 hours.",
        "See example.com/last/week and v.today.",
    ],
)
def test_what_is_no_date_or_could_be_two_stays(text: str) -> None:
    assert absolute(text, MONDAY) == text


@pytest.mark.parametrize(
    ("said", "told", "expected"),
    [
        ("2024-02-28", "I fly tomorrow.", "I fly on Thursday 29 February 2024."),
        ("2024-02-29", "I fly tomorrow.", "I fly on Friday 1 March 2024."),
        ("2025-02-28", "I fly tomorrow.", "I fly on Saturday 1 March 2025."),
        ("2024-02-29", "We met a year ago.", "We met in 2023."),
        ("2024-03-31", "We met last month.", "We met in February 2024."),
        ("2025-12-31", "I fly tomorrow.", "I fly on Thursday 1 January 2026."),
        ("2025-12-31", "I fly next month.", "I fly in January 2026."),
        ("2026-01-01", "I moved yesterday.", "I moved on Wednesday 31 December 2025."),
        ("2026-01-02", "I was ill last week.", "I was ill in the week of 22 December 2025."),
        ("2026-01-15", "I met her two months ago.", "I met her around November 2025."),
        ("2026-01-15", "I skied last winter.", "I skied in the winter of 2024/25."),
        ("2026-12-30", "The report is due by the 2nd.", "The report is due by the 2nd of January 2027."),
        ("2026-01-30", "The report is due by the 29th.", "The report is due by the 29th."),  # there is none
        ("2026-03-12", "We'll meet next Thursday.", "We'll meet on Thursday 19 March 2026."),
        ("2026-03-12", "I'll call on Thursday.", "I'll call on Thursday 19 March 2026."),
        ("2026-03-12", "I saw her on Thursday.", "I saw her on Thursday."),  # today or a week ago
        ("2026-03-13", "We met last Thursday.", "We met last Thursday."),  # yesterday or a week before
        ("2026-03-14", "This weekend we are hiking.", "On the weekend of 14 March 2026 we are hiking."),
        ("2026-03-14", "We leave next weekend.", "We leave on the weekend of 21 March 2026."),
        ("2026-03-15", "I was ill last week.", "I was ill last week."),  # a Sunday begins a week or ends one
        ("2026-10-09", "We were in Rome last summer.", "We were in Rome last summer."),
        ("2026-10-09", "We fly to Rome next summer.", "We fly to Rome in the summer of 2027."),
        ("2026-12-28", "We met last Christmas.", "We met last Christmas."),
    ],
)
def test_ends_of_months_and_years_and_the_day_itself(said: str, told: str, expected: str) -> None:
    assert absolute(told, at(said)) == expected


@pytest.mark.parametrize(
    ("place", "day", "clock", "expected"),
    [
        ("Asia/Tokyo", "2026-03-09", "20:00", "On Wednesday 11 March 2026 I fly."),  # 5 in the morning of the 10th
        ("America/New_York", "2026-03-10", "02:00", "On Tuesday 10 March 2026 I fly."),  # 10 in the evening of the 9th
        ("America/New_York", "2026-03-10", "06:00", "Tomorrow I fly."),  # 2 at night: after sleep, or the day after it
        ("America/New_York", "2026-03-10", "00:00", "On Wednesday 11 March 2026 I fly."),  # a date without a time
    ],
)
def test_days_are_those_of_the_clock_of_the_machine(place: str, day: str, clock: str, expected: str) -> None:
    for _ in zone(place):
        assert absolute("Tomorrow I fly.", at(day, clock)) == expected


PIECES = [
    *(told for told, _ in RESOLVED), "on", "in", "the", "last", "next", "this", "week", "weekend", "Thursday", "friday",
    "morning", "two", "years", "ago", "tomorrow", "yesterday", "today", "21st", "March", "summer", "Christmas", "until",
    "I", "went", "will", "go", ",", ".", "\n", "'", '"', "12", "999", "days", "from now", "time", "is", "was", "winter",
]  # fmt: skip
TEXTS = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)
TIMES = st.datetimes(timezones=st.sampled_from([timezone(timedelta(hours=hours)) for hours in (-12, 0, 14)]))


@given(TEXTS, TIMES)
@example("I was here 999 years ago, and tomorrow I will be in 999 years.", datetime.max.replace(tzinfo=timezone.utc))
@example("I was here 999 years ago, and yesterday too, last month.", datetime.min.replace(tzinfo=timezone.utc))
def test_any_text_at_any_time_is_settled_at_once(text: str, said: datetime) -> None:
    once = absolute(text, said)
    assert absolute(once, said) == once


@given(st.text(st.characters(codec="ascii", exclude_characters="aeiouAEIOU0123456789")), TIMES)
def test_a_text_without_words_for_time_stays(text: str, said: datetime) -> None:
    assert absolute(text, said) == text


def test_what_is_too_long_for_a_sentence_costs_no_time() -> None:
    text = "tomorrow x " * 50_000
    start = time.monotonic()
    assert absolute(text, MONDAY) == text
    assert time.monotonic() - start < 5
