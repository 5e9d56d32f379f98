"""A month of laptop days against the policy: never while someone is here, on battery or hot; gone within a second."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from month import KINDS, WORK, Replay, Trace, fit_nights, replay

from edgesleep.config import DaemonSettings

SETTINGS = DaemonSettings()


@pytest.fixture(scope="module")
def month() -> Replay:
    return replay(Trace(0), SETTINGS)


def during(trace: Trace, begin: float, end: float) -> list[tuple[float, float]]:
    """The parts of a stretch in which no night may be at work."""
    spans = zip(trace.spans, [*trace.starts[1:], trace.end], strict=True)
    return [
        (max(span.start, begin), min(until, end))
        for span, until in spans
        if span.bad and span.start < end > begin < until
    ]


def test_it_has_all_kinds_of_days_and_work_enough_to_judge_by(month: Replay) -> None:
    assert {*month.trace.kinds.values()} == {*KINDS}
    assert sum(end - begin for begin, end in month.work) > 20 * WORK
    done = {do for _, do, _ in month.turns}
    assert done == {"begin", "hold", "go_on", "kill", "nothing"}


def test_no_night_begins_while_someone_is_here_or_there_is_no_mains_power(month: Replay) -> None:
    for begin, _ in month.work:
        span, idle = month.trace.at(begin)
        assert not span.bad, (month.local(begin), span)
        assert idle >= 60 * SETTINGS.idle_again


def test_a_night_is_gone_within_a_second(month: Replay) -> None:
    late = [
        (month.local(a), b - a) for work in month.work for a, b in during(month.trace, *work) if not asleep(month, a)
    ]
    assert len(late) >= 8 and max(seconds for _, seconds in late) <= 1.0, late


def test_a_night_that_was_suspended_does_not_work_on_after_it(month: Replay) -> None:
    slept = [work for work in month.work if any(asleep(month, a) for a, _ in during(month.trace, *work))]
    assert slept
    for _, end in slept:
        span = month.trace.spans[bisect_right(month.trace.starts, end) - 1]
        assert not span.asleep and end - span.start <= 1.0


def asleep(month: Replay, t: float) -> bool:
    return month.trace.at(t)[0].asleep


def test_no_night_is_hot(month: Replay) -> None:
    assert month.hottest < SETTINGS.hot + 1  # the look that saw it
    named = {name for _, do, names in month.turns if do in ("hold", "nothing") for name in names}
    assert "hot" in named


def test_every_night_that_was_fit_for_one_had_one_and_none_had_two(month: Replay) -> None:
    nights = fit_nights(month.trace, SETTINGS)
    assert len(nights) >= 15
    assert nights <= {*month.done}
    assert len(month.done) == len({*month.done})


def test_days_that_were_not_fit_are_told_apart_by_name(month: Replay) -> None:
    named = {name for _, _, names in month.turns for name in names}
    assert named >= {"in_use", "outside_hours", "on_battery", "hot", "presenting", "machine_busy", "done_tonight"}


def test_an_hour_that_is_always_quiet_is_learned(month: Replay) -> None:
    """Between 18 and 19 nobody is ever here, which takes a week to know."""
    early = [(month.local(begin) - month.local(0.0)).days for begin, _ in month.work if month.local(begin).hour == 18]
    assert early and min(early) >= 7
