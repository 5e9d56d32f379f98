"""What stands against a night, by name; what nobody knows; and the hours, whatever the clock does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edgesleep import errors
from edgesleep.config import DaemonSettings
from edgesleep.daemon import hours, policy
from edgesleep.daemon.hours import Hours
from edgesleep.daemon.keeper import Facts, Keeper, Moment, Remembered
from edgesleep.daemon.policy import NAMES, Affairs, Reading
from edgesleep.errors import EdgesleepError

S = DaemonSettings(display_off=True)
FIT = Reading(1e5, True, 90.0, False, 45.0, False, 8.0, 50.0, 5.0, 1.0, False, False)
NOES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no_model", {}, {"model": False}),
    ("paused", {}, {"paused": True}),
    ("busy", {}, {"busy": True}),
    ("nothing_to_learn", {}, {"waiting": False}),
    ("done_tonight", {}, {"done": True}),
    ("given_up", {}, {"given_up": True}),
    ("outside_hours", {}, {"within_hours": False}),
    ("idle_unknown", {"idle": None}, {}),
    ("in_use", {"idle": 60 * S.idle - 1}, {}),
    ("power_unknown", {"mains": None}, {}),
    ("on_battery", {"mains": False}, {}),
    ("battery_low", {"charge": S.charge - 1}, {}),
    ("hot", {"temperature": S.cool}, {}),
    ("throttled", {"throttled": True}, {}),
    ("memory_short", {"memory": S.memory - 0.1}, {}),
    ("disk_short", {"disk": S.disk - 0.1}, {}),
    ("machine_busy", {"load": S.busy + 1}, {}),
    ("gpu_busy", {"gpu": S.gpu_busy + 1}, {}),
    ("presenting", {"presenting": True}, {}),
    ("display_on", {"display_on": True}, {}),
]


def names(found: list[policy.No]) -> list[str]:
    return [no.name for no in found]


@pytest.mark.parametrize(("name", "read", "affairs"), NOES)
def test_each_no_stands_alone_and_has_its_name(name: str, read: dict[str, Any], affairs: dict[str, Any]) -> None:
    found = policy.against_beginning(replace(FIT, **read), Affairs(**affairs), S)
    assert names(found) == [name]
    assert str(found[0]).startswith(NAMES[name])


def test_every_name_is_met_and_nothing_stands_against_a_fit_machine() -> None:
    lid = policy.against_beginning(replace(FIT, mains=False, lid_closed=True), Affairs(), replace(S, battery=50))
    assert names(lid) == ["lid_closed"]
    assert {name for name, _, _ in NOES} | {"lid_closed"} == {*NAMES}
    assert policy.against_beginning(FIT, Affairs(), S) == policy.against_going_on(FIT, Affairs(), S) == []


def test_what_is_unknown_stands_against_nothing_but_for_who_is_here_and_the_power() -> None:
    assert names(policy.against_beginning(Reading(), Affairs(), S)) == ["idle_unknown", "power_unknown"]
    served = replace(S, assume_idle=True)
    assert names(policy.against_beginning(Reading(mains=True), Affairs(), served)) == []
    assert names(policy.against_beginning(Reading(mains=True, idle=3.0), Affairs(), served)) == ["in_use"]


@pytest.mark.parametrize(
    ("battery", "charge", "found"), [(0, 100, ["on_battery"]), (60, 59, ["on_battery"]), (60, 60, [])]
)
def test_a_night_on_battery_is_for_the_user_to_allow(battery: float, charge: float, found: list[str]) -> None:
    reading = replace(FIT, mains=False, charge=charge)
    assert names(policy.against_beginning(reading, Affairs(), replace(S, battery=battery))) == found
    assert names(policy.against_going_on(reading, Affairs(), replace(S, battery=battery))) == found


@pytest.mark.parametrize(
    ("read", "goes_on"),
    [
        ({"idle": 31.0}, True),
        ({"idle": 29.0}, False),
        ({"temperature": 85.0}, True),
        ({"temperature": 92.0}, False),
        ({"load": 100.0, "gpu": 100.0}, True),
        ({"memory": 0.5}, True),
        ({"memory": 0.3}, False),
        ({"mains": False}, False),
        ({"mains": None}, False),
        ({"presenting": True}, False),
    ],
)
def test_a_night_that_is_under_way_is_not_in_its_own_way(read: dict[str, Any], goes_on: bool) -> None:
    assert (not policy.against_going_on(replace(FIT, **read), Affairs(done=True, waiting=False), S)) is goes_on


def test_whoever_says_run_now_is_asked_about_nothing_that_they_can_see() -> None:
    here = replace(FIT, idle=0.0, load=99.0, gpu=99.0, presenting=True, display_on=True)
    affairs = Affairs(waiting=False, within_hours=False, done=True, given_up=True, forced=True)
    assert policy.against_beginning(here, affairs, S) == policy.against_going_on(here, affairs, S) == []
    assert names(policy.against_beginning(replace(here, mains=False, temperature=80.0), affairs, S)) == [
        "on_battery",
        "hot",
    ]


# -- hours ---------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 28, 12)


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [
        ("22:00-07:00", (22, 23, 0, 6), (7, 12, 21)),
        ("1:30 - 5:00", (2, 4), (1, 5, 23)),
        ("00:00-24:00", (0, 12, 23), ()),
    ],
)
def test_hours_are_read_as_they_are_written(text: str, within: tuple[int, ...], without: tuple[int, ...]) -> None:
    read = Hours.read(text)
    assert all(read.hold(NOON.replace(hour=hour)) for hour in within)
    assert not any(read.hold(NOON.replace(hour=hour)) for hour in without)


@pytest.mark.parametrize("text", ["", "22-7", "25:00-07:00", "22:00", "22:60-23:00", "night"])
def test_hours_that_are_none_are_an_error(text: str) -> None:
    with pytest.raises(EdgesleepError, match=r"daemon\.hours"):
        Hours.read(text)


@pytest.mark.parametrize("day", [datetime(2026, 3, 28, 22), datetime(2026, 10, 24, 22), datetime(2026, 6, 1, 22)])
def test_a_night_is_one_night_whatever_summer_time_does(day: datetime) -> None:
    zone, read = ZoneInfo("Europe/Berlin"), Hours.read("22:00-07:00")
    start = day.replace(tzinfo=zone).timestamp()
    minutes = [datetime.fromtimestamp(start + 60 * n, zone) for n in range(24 * 60)]
    night = [moment for moment in minutes if read.hold(moment)]
    first = [moment for moment in night if moment < minutes[0] + timedelta(hours=15)]
    assert {read.night_of(moment) for moment in first} == {day.date().isoformat()}
    assert len(first) == (9 - (day.month == 3) + (day.month == 10)) * 60


def test_a_quiet_hour_is_learned_in_a_week_and_unlearned_at_once() -> None:
    days: hours.Days = {}
    for number in range(7):
        assert not hours.quiet(days, NOON + timedelta(days=number))
        days = hours.noted(days, NOON + timedelta(days=number), used=False)
        days = hours.noted(days, NOON + timedelta(days=number, hours=1), used=number == 3)
    eighth = NOON + timedelta(days=7)
    assert hours.quiet(days, eighth) and not hours.quiet(days, eighth + timedelta(hours=1))
    assert hours.next_begin(Hours.read("22:00-07:00"), days, eighth - timedelta(hours=1, minutes=3)) == eighth
    days = hours.noted(days, eighth, used=True)
    assert hours.quiet(days, eighth) and not hours.quiet(days, eighth + timedelta(days=1))
    for number in range(40):
        days = hours.noted(days, NOON + timedelta(days=number), used=False)
    assert len(days) == hours.DAYS_KEPT


# -- from night to night -------------------------------------------------------------------------------------------


def at(seconds: float, slept: float = 0.0) -> Moment:
    """So many seconds after an evening began, of which the machine has slept some."""
    evening = datetime(2026, 6, 1, 22)
    return Moment(1e9 + seconds, seconds - slept, seconds, evening + timedelta(seconds=seconds))


def test_a_night_that_fails_is_tried_once_a_day_and_given_up_until_something_is_said() -> None:
    keeper, begun = Keeper(replace(S, days=3), Remembered()), []
    for minute in range(10 * 24 * 60):
        act = keeper.look(
            at(60 * minute), FIT, Facts(said="a", ended=errors.ERROR if keeper.phase == "running" else None)
        )
        begun += [minute // (24 * 60)] if act.do == "begin" else []
    assert begun == [0, 1, 2]
    assert "given_up" in names([*keeper.against])
    assert keeper.look(at(10 * 86400), FIT, Facts(said="b")).do == "begin"


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "promoted"), (3, "rejected"), (5, "skipped"), (1, "failed"), (-9, "failed")]
)
def test_how_a_night_ended_is_kept_and_there_is_one_a_night(code: int, outcome: str) -> None:
    keeper = Keeper(S, Remembered())
    assert keeper.look(at(0), FIT, Facts()).do == "begin"
    act = keeper.look(at(9), FIT, Facts(ended=code))
    assert keeper.memory.last and keeper.memory.last.outcome == outcome
    assert act.do == "nothing" and names([*act.against]) == ["done_tonight"]
    assert Keeper(S, keeper.memory).look(at(30), FIT, Facts()).do == "nothing"
    assert Keeper(S, keeper.memory).look(at(86400), FIT, Facts()).do == "begin"


def test_a_night_that_takes_more_memory_than_there_is_has_failed_and_does_not_begin_again_at_once() -> None:
    keeper, begun = Keeper(S, Remembered()), 0
    for minute in range(600):
        short = keeper.phase != "none"  # it takes it itself
        ended = -9 if keeper.phase == "ending" else None
        act = keeper.look(at(60 * minute), replace(FIT, memory=0.1 if short else 8.0), Facts(ended=ended))
        begun += act.do == "begin"
        assert act.do != "kill" or any(no.fails for no in act.against)
    assert begun == 1 and keeper.memory.last and keeper.memory.last.outcome == "failed"


def test_a_night_that_found_nothing_to_learn_is_tried_again_once_more_is_said() -> None:
    keeper = Keeper(S, Remembered())
    assert keeper.look(at(0), FIT, Facts(said="a")).do == "begin"
    keeper.look(at(60), FIT, Facts())  # while it runs nobody asks what was said
    assert names([*keeper.look(at(90), FIT, Facts(said="a", ended=errors.SKIPPED)).against]) == ["done_tonight"]
    assert keeper.look(at(120), FIT, Facts(said="a")).do == "nothing"
    assert keeper.look(at(180), FIT, Facts(said="b")).do == "begin"
    assert keeper.look(at(240), FIT, Facts(said="c", ended=errors.SKIPPED)).do == "begin"  # said meanwhile
    keeper.look(at(300), FIT, Facts(said="c", ended=errors.DONE))
    assert keeper.look(at(360), FIT, Facts(said="d")).do == "nothing"  # it learned: one a night


def test_what_another_night_was_ahead_of_is_tried_again() -> None:
    keeper = Keeper(S, Remembered())
    keeper.look(at(0), FIT, Facts())
    assert keeper.look(at(9), FIT, Facts(ended=errors.BUSY, busy=True)).do == "nothing"
    assert keeper.look(at(99), FIT, Facts()).do == "begin"


def test_a_machine_that_wakes_holds_its_night_and_counts_as_used() -> None:
    keeper = Keeper(S, Remembered())
    keeper.look(at(0), FIT, Facts())
    act = keeper.look(at(3600, slept=3599), FIT, Facts())
    assert act.do == "hold" and names([*act.against]) == ["in_use"]
    assert keeper.look(at(3600 + 60 * S.idle_again - 5, slept=3599), FIT, Facts()).do == "nothing"
    assert keeper.look(at(3600 + 60 * S.idle_again + 5, slept=3599), FIT, Facts()).do == "go_on"


def test_a_night_that_is_held_too_long_ends_and_begins_again_in_the_same_night() -> None:
    keeper, here = Keeper(S, Remembered()), replace(FIT, idle=1.0)
    keeper.look(at(0), FIT, Facts())
    assert keeper.look(at(10), here, Facts()).do == "hold"
    assert keeper.look(at(10 + 60 * S.hold - 1), here, Facts()).do == "nothing"
    assert keeper.look(at(10 + 60 * S.hold), here, Facts()).do == "kill"
    assert keeper.look(at(400), here, Facts(ended=-9)).do == "nothing"
    assert keeper.memory.last and keeper.memory.last.outcome == "unfinished"
    assert keeper.look(at(4000), FIT, Facts()).do == "begin"


def test_the_morning_is_told_once_of_a_night_and_never_at_night() -> None:
    keeper, here = Keeper(replace(S, notify=True), Remembered()), replace(FIT, idle=5.0)
    keeper.look(at(0), FIT, Facts())
    keeper.look(at(60), FIT, Facts(ended=0))
    assert keeper.news(at(7200), here) is None  # at midnight
    assert keeper.news(at(11 * 3600), FIT) is None  # nobody sees it
    news = keeper.news(at(11 * 3600), here)
    assert news and news.outcome == "promoted"
    assert keeper.news(at(12 * 3600), here) is None
    silent = Keeper(S, replace(keeper.memory, told=0.0))
    assert silent.news(at(11 * 3600), here) is None


def test_a_pause_ends_a_night_at_once() -> None:
    keeper = Keeper(S, Remembered())
    keeper.look(at(0), FIT, Facts())
    keeper.memory = replace(keeper.memory, paused_until=1e9 + 100)
    assert keeper.look(at(1), FIT, Facts()).do == "kill"
    assert names([*keeper.look(at(2), FIT, Facts(ended=-9)).against]) == ["paused"]
    assert keeper.look(at(101), FIT, Facts()).do == "begin"
