"""A training that was stopped, killed or out of time goes on to the same adapter; a damaged checkpoint is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from nights import die, killed, needs_fork
from training import begun, flat, plan, ran, rows, stop_after

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.night import train
from edgesleep.night.train import Watch
from edgesleep.records import Row, StepReport, Training


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Adapter]:
    """A run that nothing interrupts: 12 steps, checkpoints at every second."""
    return ran(base, plan(), tmp_path_factory.mktemp("whole") / "checkpoint")


@pytest.mark.parametrize("step", [0, 1, 2, 5, 11])
def test_a_run_that_was_stopped_goes_on_to_the_same_adapter(
    step: int, base: Path, tmp_path: Path, whole: tuple[Training, Adapter]
) -> None:
    """Before the first step, at a checkpoint, between two, and across the border of a pass."""
    stop_after(base, step, tmp_path / "c")
    training, adapter = ran(base, plan(), tmp_path / "c")
    assert flat(adapter) == flat(whole[1])
    assert [r.step for r in training.history] == list(range(step + 1, 13))
    same(training, whole[0], step)


def same(training: Training, wanted: Training, after: int) -> None:
    """The same numbers as an uninterrupted run, but for the time."""
    assert (training.steps, training.stopped) == (wanted.steps, wanted.stopped)
    assert (training.loss, training.drift, training.tokens) == (wanted.loss, wanted.drift, wanted.tokens)
    for mine, theirs in zip(training.history, wanted.history[after:], strict=True):
        assert replace(mine, seconds=0, limit=0.0) == replace(theirs, seconds=0, limit=0.0)


def test_a_run_may_be_stopped_at_every_step(base: Path, tmp_path: Path, whole: tuple[Training, Adapter]) -> None:
    for step in range(1, 12):
        stop_after(base, step, tmp_path / "c")
    _, adapter = ran(base, plan(), tmp_path / "c")
    assert flat(adapter) == flat(whole[1])


def train_until_killed(base: Path, checkpoint: Path, step: int) -> None:
    ran(base, plan(), checkpoint, Watch(lambda report: die() if report.step == step else None))


@needs_fork
@pytest.mark.parametrize(("step", "kept"), [(1, 0), (5, 4), (8, 6)])
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    step: int, kept: int, base: Path, tmp_path: Path, whole: tuple[Training, Adapter]
) -> None:
    """At step 8 its checkpoint was not yet written: a step is reported before it is saved."""
    killed(train_until_killed, base, tmp_path / "c", step)
    assert (tmp_path / "c").exists() == (kept > 0)
    training, adapter = ran(base, plan(), tmp_path / "c")
    assert flat(adapter) == flat(whole[1])
    same(training, whole[0], kept)


@pytest.mark.parametrize("cut", [0, 1, 1000, -1])
def test_a_damaged_checkpoint_is_named(base: Path, tmp_path: Path, cut: int) -> None:
    """Empty, hardly begun, cut in an array, and short of its last byte."""
    checkpoint = tmp_path / "c"
    stop_after(base, 2, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:cut])
    with pytest.raises(EdgesleepError, match=f"{checkpoint} is damaged") as caught:
        ran(base, plan(), checkpoint)
    assert "Delete it" in caught.value.hint


def test_a_flipped_bit_in_a_checkpoint_is_noticed(base: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c"
    stop_after(base, 2, checkpoint)
    whole = checkpoint.read_bytes()
    for place in (*range(0, 40, 3), len(whole) // 2, *range(len(whole) - 22, len(whole) - 2, 3)):
        data = bytearray(whole)
        data[place] ^= 1
        checkpoint.write_bytes(data)
        try:
            run = begun(base)
            run.resume(checkpoint)
        except EdgesleepError as error:
            assert "is damaged" in error.message
        else:  # some bits of a zip's headers say nothing
            assert run.step == 2 and place != len(whole) // 2


def test_each_pass_has_lessons_of_its_own(base: Path, tmp_path: Path) -> None:
    """Asked for by number, again in a run that goes on, and after the caller heard of the pass before."""
    heard: list[str] = []

    def lessons(number: int, losses: Mapping[str, float]) -> tuple[Row, ...]:
        heard.append(f"lessons {number}")
        return rows(12 - 5 * (number == 1), number)

    def passed(count: int) -> bool:
        heard.append(f"passed {count}")
        return False

    wanted, told = replace(plan(passes=3), lessons=lessons), []
    training, adapter = ran(base, wanted, tmp_path / "whole", Watch(passed=passed))
    assert heard[2:] == ["lessons 0", "passed 1", "lessons 1", "passed 2", "lessons 2"]
    assert training.steps == 3 + 2 + 3
    for steps in (1, 4, 5):
        ran(base, wanted, tmp_path / "c", Watch(told.append, lambda limit=steps: bool(told) and told[-1].step >= limit))
    heard.clear()
    _, again = ran(base, wanted, tmp_path / "c", Watch(passed=passed))
    assert heard[2:] == ["passed 2", "lessons 2"], "it stopped between two passes"
    assert flat(again) == flat(adapter)


def test_a_pass_hears_how_badly_each_memory_was_known_in_the_one_before(base: Path, tmp_path: Path) -> None:
    """The mean over all places of its lessons, the same for a run that was stopped; nothing of what has no memory."""
    heard: dict[int, Mapping[str, float]] = {}

    def lessons(number: int, losses: Mapping[str, float]) -> tuple[Row, ...]:
        assert heard.setdefault(number, losses) == losses
        return (*rows(6, 1, "one"), *rows(3, 2, "two"), *rows(3, 4, ""))

    wanted = replace(plan(passes=3), lessons=lessons)
    ran(base, wanted, tmp_path / "whole")
    assert heard[0] == {} and set(heard[1]) == set(heard[2]) == {"one", "two"}
    assert all(0 < heard[2][name] < heard[1][name] for name in ("one", "two")), "they are learned"
    told: list[StepReport] = []
    for steps in (2, 4, 6):
        ran(base, wanted, tmp_path / "c", Watch(told.append, lambda limit=steps: bool(told) and told[-1].step >= limit))
    ran(base, wanted, tmp_path / "c")


def test_where_it_is_enough_one_more_pass_is_the_last(base: Path, tmp_path: Path) -> None:
    """In which the rate falls, as it would have in the last one that was planned; also after a stop between the two."""
    enough = Watch(passed=lambda count: count == 2)
    training, adapter = ran(base, plan(passes=9), tmp_path / "whole", enough)
    assert (training.steps, training.stopped) == (9, "finished")
    rates = [report.rate for report in training.history]
    assert rates[-1] < 0.5 * max(rates)
    assert training.history[-1].steps == 9
    told: list[StepReport] = []
    ran(base, plan(passes=9), tmp_path / "c", replace(enough, report=told.append, should_stop=lambda: len(told) >= 6))
    _, again = ran(base, plan(passes=9), tmp_path / "c", enough)
    assert flat(again) == flat(adapter)


def test_a_finished_run_goes_on_to_nothing(base: Path, tmp_path: Path, whole: tuple[Training, Adapter]) -> None:
    ran(base, plan(), tmp_path / "c")
    training, adapter = ran(base, plan(), tmp_path / "c")
    assert training.history == ()
    assert (training.steps, training.loss) == (12, whole[0].loss)
    assert flat(adapter) == flat(whole[1])


def test_time_stops_a_run_and_counts_over_resumptions(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that gives a minute to each step, each checkpoint, each pass's beginning and each process's.

    Of seven and a half, the first process uses two and two steps; the second two to go on, a step, with which a pass
    ends, two to write that down and begin another, and a step.
    """
    clock = tick(60.0)
    monkeypatch.setattr(train, "working", clock)
    done: list[StepReport] = []
    wanted = plan(minutes=7.5)
    first, _ = ran(base, wanted, tmp_path / "c", Watch(done.append, lambda: len(done) >= 2))
    assert (first.steps, first.stopped, first.seconds) == (2, "asked", 120.0)
    second, _ = ran(base, wanted, tmp_path / "c")
    assert (second.steps, second.stopped, second.seconds) == (4, "time", 240.0)


def tick(seconds: float) -> Callable[[], float]:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    return clock


def test_no_time_at_all_trains_nothing(base: Path, tmp_path: Path) -> None:
    training, adapter = ran(base, plan(minutes=0.0), tmp_path / "c")
    assert (training.steps, training.stopped, training.tokens) == (0, "time", 0)
    assert not any(b.any() for _, b in adapter.factors.values())
