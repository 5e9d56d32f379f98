"""Training learns and holds still; at what rate, with what teacher, and what it cannot be given."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from nights import TRAIN
from training import begun, flat, plan, ran, rows, start, stop_after

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.network import Trainable
from edgesleep.night import train
from edgesleep.night.train import Plan, Run, Watch, anchor_tasks
from edgesleep.records import Row, StepReport, Training


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Adapter]:
    """A run that nothing interrupts: 12 steps, checkpoints at every second."""
    return ran(base, plan(), tmp_path_factory.mktemp("whole") / "checkpoint")


# -- learning and staying --------------------------------------------------------------------------------------------


def test_the_loss_falls_to_a_third(base: Path, tmp_path: Path) -> None:
    settings = replace(TRAIN, rank=16, alpha=32.0, rate=1e-2, drift_budget=1.0, checkpoint_every=1000)
    training, adapter = ran(base, plan(passes=30, lessons=5, settings=settings), tmp_path / "c")
    assert (training.steps, training.stopped) == (30, "finished")
    assert training.loss < training.history[0].loss / 3
    assert all(b.any() for _, b in adapter.factors.values()), "every matrix learns"


def test_the_rest_of_the_report_adds_up(whole: tuple[Training, Adapter]) -> None:
    training, _ = whole
    assert [report.step for report in training.history] == list(range(1, 13))
    assert {report.steps for report in training.history} == {12}
    last = training.history[-1]
    assert (last.loss, last.drift, last.tokens) == (training.loss, training.drift, training.tokens)
    tokens = [report.tokens for report in training.history]
    assert tokens == sorted(set(tokens))
    assert all(math.isfinite(report.loss) and report.rate > 0 for report in training.history)


def test_the_rate_rises_then_falls(whole: tuple[Training, Adapter]) -> None:
    rates = [report.rate for report in whole[0].history]
    top = rates.index(max(rates))
    assert top <= 3, "the warm-up is short"
    assert max(rates) <= TRAIN.rate
    assert rates[-1] < 0.3 * max(rates)


def test_drift_is_nothing_at_the_first_step(whole: tuple[Training, Adapter]) -> None:
    """The delta is zero, so the student is the base, and what it is held to is itself."""
    first, *others = (report.drift for report in whole[0].history)
    assert abs(first) < 1e-3
    assert max(others) > 10 * abs(first)


def test_the_balance_follows_drift(base: Path) -> None:
    """Above its budget staying weighs more, below it less, always within its range."""
    run = begun(base)
    budget = TRAIN.drift_budget
    weights = [run.stay]
    for drift in [3 * budget] * 1000 + [0.0] * 1000:
        run._balance(drift)
        run.step += 1
        weights.append(run.stay)
    up, down = weights[:1001], weights[1001:]
    assert up[0] < up[1] and up == sorted(up)
    low, high = train.STAY_RANGE
    assert up[-1] == high
    assert down == sorted(down, reverse=True)
    assert down[-1] == low
    assert len(set(weights)) > 20, "the weight jumps"


def test_factors_decay_apart_from_the_gradient(base: Path) -> None:
    """AdamW: without any gradient a step only multiplies."""
    run = begun(base)
    before = {key: factor.copy() for key, factor in run._named()}
    for pair in run.network.gradients.values():
        for gradient in pair:
            gradient.fill(0.0)
    run._descend(0.5)
    for key, factor in run._named():
        np.testing.assert_allclose(factor, before[key] * (1 - 0.5 * TRAIN.decay), rtol=1e-6)
    assert TRAIN.decay > 0


def test_one_wild_step_is_smoothed(base: Path) -> None:
    run = begun(base)
    run._balance(TRAIN.drift_budget)
    run.step = 1
    run._balance(1000 * TRAIN.drift_budget)
    assert TRAIN.drift_budget < run.drift < 500 * TRAIN.drift_budget
    assert run.stay < 2


def test_the_rate_gives_way_to_drift_that_runs_away(base: Path) -> None:
    """What suits one model wrecks another: far above its budget the pace falls, and comes back when drift does."""
    run = begun(base)
    paces = []
    for drift in [2 * train.TOO_FAST * TRAIN.drift_budget] * 1000 + [0.0] * 1000:
        run._balance(drift)
        run.step += 1
        paces.append(run.pace)
    low, high = train.PACE_RANGE
    assert paces[0] < high and paces[999] == low
    assert paces[-1] == high
    run.step, run.pace = 3, high
    full = run._rate()
    run.pace = low
    assert run._rate() == pytest.approx(low * full)


def test_the_rate_gives_way_where_staying_cannot_weigh_more(base: Path) -> None:
    """A first night of few steps ends its warm-up before drift shows, so that no peak is found for the later ones."""
    run = begun(base)
    weights = []
    for run.step in range(200):
        run._balance(1.5 * train.ENOUGH * TRAIN.drift_budget)
        weights.append((run.stay, run.pace))
    most, (least, _) = train.STAY_RANGE[1], train.PACE_RANGE
    assert {pace for stay, pace in weights if stay < most} == {1.0}, "at first the weight alone goes up"
    assert run.stay == most and run.pace == least
    for run.step in range(200, 300):
        run._balance(0.9 * train.ENOUGH * TRAIN.drift_budget)
    assert run.stay == most and run.pace > 2 * least, "what the weight can settle, it settles"


def test_the_rate_rises_only_until_the_model_moves(base: Path) -> None:
    """One model moves at a third of the rate that another needs: each finds its own peak, and keeps it."""
    moved, free = begun(base, passes=40), begun(base, passes=40)
    steps = 40 * moved._steps
    assert train.WARM_UP * steps > 6
    rates = []
    for moved.step in range(steps):
        rates.append(moved._rate())
        budgets = 0.0 if moved.step < 3 else 12.0 if moved.step == 3 else 1.5  # smoothed: 0, 2.4, and down to 1.5
        moved._balance(budgets * TRAIN.drift_budget)
    assert rates[2] < rates[3] == max(rates)
    assert moved.peak == pytest.approx(4 / (train.WARM_UP * steps + 1))
    free.step = steps // 2
    assert rates[steps // 2] == pytest.approx(moved.peak * free._rate())


def test_the_rate_that_was_found_once_is_kept_for_later_nights(base: Path) -> None:
    """A parent drifts from the start on anchors that are new to it: that is not the rate's doing."""
    first, later = begun(base, passes=40), begun(base, passes=40, peak=0.4)
    assert first.peak == 1.0
    for run in (first, later):
        run._balance(3 * train.ENOUGH * TRAIN.drift_budget)
    assert first.peak < 0.4 == later.peak
    later.step = later.plan.passes * later._steps // 2
    first.step, first.peak = later.step, 1.0
    assert later._rate() == pytest.approx(0.4 * first._rate())


def test_the_rate_does_not_jump_where_time_ends_the_warm_up(base: Path) -> None:
    """Of 40 minutes one is spent in each step: the warm-up ends after four, whatever its share of all steps."""
    run = begun(base, passes=400)
    assert train.WARM_UP * 400 * run._steps > 100
    rates = []
    for run.step in range(8):
        run.seconds = 60.0 * run.step * run.plan.minutes / 40
        rates.append(run._rate())
    assert rates[4] == max(rates) == pytest.approx(TRAIN.rate, rel=0.01)
    assert max(after - before for before, after in pairwise(rates)) < 0.3 * TRAIN.rate


def test_drift_that_ran_away_slowed_the_run_that_is_cut_below(whole: tuple[Training, Adapter], base: Path) -> None:
    """So that its checkpoints have a pace to keep."""
    run = begun(base)
    planned = []
    for run.step in range(12):
        planned.append(run._rate())
    actual = [report.rate for report in whole[0].history]
    assert actual[0] == planned[0]
    assert actual[-1] < 0.95 * planned[-1]


def test_training_never_moves_the_targets_of_the_anchors(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come from the base alone: before, during and after training, and after going on from a checkpoint."""
    before = anchor_tasks(start(base)[0], plan().anchors, TRAIN.top_tokens)
    seen: list[list[train.Task]] = []
    init = Run.__init__

    def spy(self: Run, network: Trainable, adapter: Adapter, wanted: Plan, anchors: list[train.Task]) -> None:
        seen.append(anchors)
        init(self, network, adapter, wanted, anchors)

    monkeypatch.setattr(Run, "__init__", spy)
    stop_after(base, 5, tmp_path / "c")
    ran(base, plan(), tmp_path / "c")
    assert len(seen) == 2
    for tasks in seen:
        for mine, theirs in zip(tasks, before, strict=True):
            assert (mine.row, mine.entropy) == (theirs.row, theirs.entropy)
            for name in ("places", "ids", "probs"):
                np.testing.assert_array_equal(getattr(mine.target, name), getattr(theirs.target, name))


def test_targets_are_the_likeliest_tokens_of_the_base(base: Path) -> None:
    network, _ = start(base)
    anchors = plan().anchors
    tasks = anchor_tasks(network, anchors, TRAIN.top_tokens)
    assert [task.row for task in tasks] == list(anchors), "in their own order"
    row, target = tasks[0].row, tasks[0].target
    assert target.places.tolist() == list(range(row.start - 1, len(row.tokens)))
    logits = network.logits(row.tokens)[row.start - 1 :]
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    order = np.argsort(-probs, axis=1)[:, : TRAIN.top_tokens]
    assert (target.ids == order).all()
    np.testing.assert_allclose(target.probs, np.take_along_axis(probs, order, 1), rtol=1e-4)
    assert 0 <= tasks[0].entropy <= len(target.places) * math.log(probs.shape[1])


# -- a teacher: the base with the memory in its prompt ---------------------------------------------------------------


def led(count: int, seed: int, every: int = 1) -> tuple[Row, ...]:
    """Lessons of which every so many have a teacher's prompt."""
    random = np.random.default_rng([seed, 1])
    prompts = [tuple(int(t) for t in random.integers(0, 250, 9)) for _ in range(count)]
    lessons = zip(rows(count, seed), prompts, strict=True)
    return tuple(replace(row, teacher=() if n % every else prompt) for n, (row, prompt) in enumerate(lessons))


@pytest.fixture
def heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the teacher says: a random model knows no answer."""
    monkeypatch.setattr(train, "HEEDED", 0.0)


@pytest.mark.usefixtures("heeded")
def test_what_is_taught_is_half_the_teachers_and_half_certain(base: Path) -> None:
    network, _ = start(base)
    lessons, top = led(5, 1, 2), 20
    found = train.taught_targets(network, lessons, top)
    assert [*found] == [row for row in lessons if row.teacher]
    for row, target in found.items():
        answer = row.tokens[row.start :]
        assert target.places.tolist() == train.lesson_task(row).target.places.tolist()
        logits = network.logits(row.teacher + answer)[len(row.teacher) - 1 : -1]
        probs = np.exp(logits - logits.max(1, keepdims=True))
        probs /= probs.sum(1, keepdims=True)
        likely = np.argsort(-probs, axis=1)[:, :top]
        for ids, given, own, token, order in zip(target.ids, target.probs, probs, answer, likely, strict=True):
            wanted = [token, *(int(one) for one in order if one != token)][:top]
            assert ids.tolist() == wanted
            certain = 0.5 * own[token] * (token in order) + 0.5
            np.testing.assert_allclose(given, [certain, *(0.5 * own[wanted[1:]])], rtol=1e-4)
        assert train.lesson_task(row, target).entropy > 0


def test_a_teacher_that_does_not_know_the_answer_is_not_heeded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = start(base)
    lessons = led(5, 1)
    assert train.taught_targets(network, lessons, 32) == {}
    monkeypatch.setattr(train, "HEEDED", 0.0)
    assert len(train.taught_targets(network, lessons, 32)) == 5


@pytest.mark.usefixtures("heeded")
def test_a_teacher_is_the_base_in_every_pass_and_a_stopped_run_goes_on_the_same(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lessons are new in each pass, some without a teacher, and the adapter is never in what it says."""
    wanted = replace(plan(passes=3), lessons=lambda number, losses: led(12, number, 3))
    asked: list[dict[Row, train.Target]] = []
    ask = train.taught_targets

    def spy(network: Trainable, lessons: tuple[Row, ...], top: int) -> dict[Row, train.Target]:
        asked.append(ask(network, lessons, top))
        return asked[-1]

    monkeypatch.setattr(train, "taught_targets", spy)
    training, adapter = ran(base, wanted, tmp_path / "whole")
    assert training.steps == 9 and len(asked) == 3
    fresh = start(base)[0]
    for number, found in enumerate(asked):
        own = ask(fresh, led(12, number, 3), TRAIN.top_tokens)
        assert [*own] == [*found] and len(own) == 4
        for row, target in own.items():
            np.testing.assert_array_equal(target.ids, found[row].ids)
            np.testing.assert_array_equal(target.probs, found[row].probs)
    told: list[StepReport] = []
    for steps in (1, 4, 6, 7):
        ran(base, wanted, tmp_path / "c", Watch(told.append, lambda limit=steps: bool(told) and told[-1].step >= limit))
    _, again = ran(base, wanted, tmp_path / "c")
    assert flat(again) == flat(adapter)
    plain = replace(wanted, lessons=lambda number, losses: tuple(replace(r, teacher=()) for r in led(12, number, 3)))
    assert flat(ran(base, plain, tmp_path / "plain")[1]) != flat(adapter)


@pytest.mark.usefixtures("heeded")
def test_what_is_known_as_well_as_by_the_teacher_has_no_loss_left(base: Path) -> None:
    """A lesson's loss is counted less the entropy of what is wanted, as an anchor's is."""
    run = begun(base)
    row = replace(rows(1, 3)[0], teacher=rows(1, 3)[0].tokens[: rows(1, 3)[0].start])
    target = train.taught_targets(start(base)[0], [row], 250)[row]
    sure = train.Target(target.places, target.ids, (target.probs - np.eye(1, 250, dtype=np.float32) / 2) * 2)
    assert run._learn([train.Task(row, sure, train._entropy(sure.probs))], 1.0) == pytest.approx(0, abs=1e-3)
    total, count = run.met["m"]
    assert total / count == pytest.approx(0, abs=1e-3)


# -- what is computed together ---------------------------------------------------------------------------------------


def test_rows_that_begin_alike_are_computed_together() -> None:
    beginning = tuple(range(40))
    chats = [(*beginning, 50 + i, 60, 70) for i in range(6)]
    texts = [(100 + i, *range(30)) for i in range(4)]
    mixed = [text for pair in zip(chats, [*texts, *texts[:2]], strict=True) for text in pair]
    batches = list(train._batches(mixed, lambda text: text, 90))
    assert sorted(text for batch in batches for text in batch) == sorted(mixed)
    assert batches[0] == chats, "58 tokens, where one by one they have 258"
    assert all(sum(map(len, batch)) <= 90 for batch in batches[1:])


def test_a_row_longer_than_a_batch_is_computed_alone() -> None:
    texts = [tuple(range(200)), (1, 2, 3), (7, 8)]
    assert [len(batch) for batch in train._batches(texts, lambda text: text, 50)] == [1, 2]


# -- what cannot be trained ------------------------------------------------------------------------------------------


def test_nothing_to_learn_or_to_stay_on_is_an_error(base: Path, tmp_path: Path) -> None:
    network, adapter = start(base)
    for broken in (replace(plan(), lessons=lambda number, losses: ()), replace(plan(), anchors=())):
        with pytest.raises(EdgesleepError, match="no lessons or no anchors") as caught:
            train.train(network, adapter, broken, tmp_path / "c", Watch())
        assert caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("which", ["lessons", "anchors"])
def test_a_loss_that_is_no_number_ends_the_run(
    which: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third step breaks: its gradient reaches neither the adapter nor a checkpoint."""
    wanted = plan(settings=replace(TRAIN, checkpoint_every=1))
    clean = tmp_path / "clean"
    stop = Watch(should_stop=iter([False, False, True]).__next__)
    _, before = ran(base, wanted, clean, stop)

    calls = 0
    learn = Run._learn

    def breaking(self: Run, tasks: list[train.Task], weight: float) -> float:
        nonlocal calls
        mean = learn(self, tasks, weight)
        calls += (not tasks[0].row.memory_id) == (which == "anchors")
        return math.nan if calls == 3 else mean

    monkeypatch.setattr(Run, "_learn", breaking)
    network, adapter = start(base)
    with pytest.raises(EdgesleepError, match="broke at step 3") as caught:
        train.train(network, adapter, wanted, tmp_path / "c", Watch())
    assert "train.rate" in caught.value.hint
    assert flat(adapter) == flat(before)
    monkeypatch.undo()
    _, kept = ran(base, wanted, tmp_path / "c", Watch(should_stop=lambda: True))
    assert flat(kept) == flat(before), "the checkpoint is that of step 2"


def test_a_rate_beyond_reason_ends_in_a_clear_error(base: Path, tmp_path: Path) -> None:
    """The weights leave the floats before the loss does; the kernel is the one that tells."""
    with pytest.raises(EdgesleepError, match=r"broke at step|NaN or infinity") as caught:
        ran(base, plan(settings=replace(TRAIN, rate=1e30)), tmp_path / "c")
    assert caught.value.hint
