"""Smaller steps: what is tried where a night made something worse, in what time, and that night killed in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curated import memories
from nights import SETTINGS, TEXT, check_current, killed, make_home, needs_fork, sentences, sleep, tell
from whole import STAGES, copy, dying_night, spy, turns

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.night import agenda, gate, stages, steps
from edgesleep.night.hearing import hear
from edgesleep.night.stages import Night
from edgesleep.night.steps import Step
from edgesleep.records import Baseline, Memory, Merge, Score, Verdict, dump, file_digest, load
from edgesleep.store import Store


@pytest.fixture
def ready(home: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a day; it is read in this process, and ends with the person's own file as it was."""
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(agenda, "curate", hear)
    before = base.read_bytes()
    yield make_home(home, base)
    assert base.read_bytes() == before


def strict(passing: int) -> Callable[..., Verdict]:
    """A gate that finds something worse in the first so many files of a night, and passes the next; by their names."""
    judge = gate.judge

    def judged(baseline: Baseline, candidate: Path, exam: gate.Exam, topics: gate.Topics) -> Verdict:
        found = judge(baseline, candidate, exam, topics)
        if candidate.name in ("candidate.gguf", "candidate-1.gguf", "candidate-2.gguf")[:passing]:
            return replace(found, outcome="refused", reasons=(f"{candidate.name} is worse.",), regressed=True)
        return found

    return judged


@pytest.mark.parametrize(("passing", "share"), [(1, 0.5**0.5), (2, 0.5)])
def test_a_smaller_step_is_served_where_the_whole_one_made_something_worse(
    passing: int, share: float, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "judge", strict(passing))
    whole: list[Adapter] = []
    spy(monkeypatch, stages.merge, "merge", lambda file, adapter, path: whole.append(copy(adapter)))
    result, listener = sleep(ready)
    assert listener.stages == STAGES + ["merge", "gate"] * passing
    assert (result.status, result.generation, result.share) == ("promoted", 1, pytest.approx(share))
    wanted = f"3 memories rehearsed. Only {share:.2f} of the step was taken, as the whole one was refused: "
    assert result.reason == f"{wanted}candidate.gguf is worse."
    store = Store(ready)
    served, full = Adapter.load(store.delta_path(1)), whole[-1 - passing]
    for name, (a, b) in full.factors.items():
        assert np.array_equal(served.factors[name][0], a)
        assert np.allclose(served.factors[name][1], share * b, atol=1e-8)
    merge = load(Merge, ready / "nights" / "0001" / f"merge-{passing}.json")
    assert file_digest(store.model_path()) == merge.sha256 == store.generation(1).model_sha256
    assert not [*ready.glob("nights/*/*.gguf"), *ready.glob("nights/*/*.safetensors")]
    assert result.reason in (ready / "nights" / "0001" / "report.txt").read_text()


def test_a_smaller_step_is_counted_from_the_parent(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "right", lambda text, gold: True)
    sleep(ready)
    tell(ready, "I work as a baker.")
    monkeypatch.setattr(gate, "judge", strict(1))
    whole: list[Adapter] = []
    spy(monkeypatch, stages.merge, "merge", lambda file, adapter, path: whole.append(copy(adapter)))
    assert sleep(ready)[0].generation == 2
    start, served = (Adapter.load(Store(ready).delta_path(number)) for number in (1, 2))
    for name, ends in whole[-2].factors.items():
        for first, last, got in zip(start.factors[name], ends, served.factors[name], strict=True):
            assert np.allclose(got, first + 0.5**0.5 * (last - first), atol=1e-7)
    assert sleep(ready, force=True)[0].generation == 3, "a later night trains on from it"


def test_when_no_step_passes_nothing_changes_and_fewer_memories_are_tried_next(
    ready: Path,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "judge", strict(3))
        result, listener = sleep(ready)
    assert listener.stages == STAGES + ["merge", "gate"] * 2
    assert (result.status, result.generation, result.share, result.regressed) == ("rejected", 0, 0.0, True)
    assert result.reason == "candidate.gguf is worse. 0.71 and 0.50 of this step were refused as well."
    assert Store(ready).current() == 0 and len(sentences(ready, "new")) == 3
    assert not [*ready.glob("nights/*/*.gguf"), *ready.glob("nights/*/*.safetensors")]
    following, _ = sleep(ready)
    tried = following.memories_trained
    assert following.status == "promoted" and 1 <= tried < 3
    assert following.reason.endswith(f" {3 - tried} wait for a later night, as nights with them were refused.")
    assert len(sentences(ready, "new")) == 3 - tried
    for _ in range(8):
        if sleep(ready)[0].status == "skipped":
            break
    assert not sentences(ready, "new"), "what waited was tried, and nothing is blamed for ever"


def test_without_smaller_steps_the_whole_one_is_all(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "judge", strict(1))
    result, listener = sleep(ready, replace(SETTINGS, gate=replace(SETTINGS.gate, smaller_steps=0)))
    assert (listener.stages, result.status, result.reason) == (STAGES, "rejected", "candidate.gguf is worse.")


@pytest.mark.parametrize(
    ("exams", "stages", "reason"),
    [
        (0.9, [], "For a smaller step no time was left."),
        (1.9, ["merge", "gate"], "0.71 of this step was refused as well. For a smaller step no time was left."),
    ],
)
def test_smaller_steps_end_with_the_nights_minutes(
    exams: float, stages: list[str], reason: str, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the whole step there is time for so many exams."""
    left: list[float] = []
    monkeypatch.setattr(Night, "_exam_takes", lambda night, ready: 1.0)
    monkeypatch.setattr(Night, "_seconds_left", lambda night: exams - len(left))
    monkeypatch.setattr(Night, "_minutes_to_train", lambda night, ready, begun: 1000.0)
    refusing = strict(3)

    def judged(*arguments: object) -> Verdict:
        verdict = refusing(*arguments)
        if arguments[1].name != "candidate.gguf":
            left.append(1.0)
        return verdict

    monkeypatch.setattr(gate, "judge", judged)
    result, listener = sleep(ready)
    assert listener.stages == STAGES + stages
    assert (result.status, result.reason) == ("rejected", f"candidate.gguf is worse. {reason}")


def test_training_leaves_time_for_an_exam_and_for_one_of_a_smaller_step(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    monkeypatch.setattr(Night, "_exam_takes", lambda night, ready: 60.0)
    monkeypatch.setattr(Night, "_seconds_left", lambda night: 600.0)
    spy(monkeypatch, stages.train, "train", lambda network, adapter, plan, *_: given.append(plan.minutes))
    for smaller in (2, 1, 0):
        sleep(ready, replace(SETTINGS, gate=replace(SETTINGS.gate, smaller_steps=smaller)), force=True)
    assert given == [8.0, 8.0, 9.0]


def test_a_night_without_time_to_train_says_so_and_can_be_given_more(ready: Path) -> None:
    with pytest.raises(EdgesleepError, match="Of 0 minutes none are left to train in"):
        sleep(ready, replace(SETTINGS, night=replace(SETTINGS.night, minutes=0.0)))
    result, listener = sleep(ready)
    assert result.status in ("promoted", "rejected")
    assert listener.stages[0] == "train"


def written(verdict: Verdict, step: Step) -> Verdict:
    dump(verdict, step.verdict)
    return verdict


def test_verdicts_of_steps_that_are_not_tried_any_more_go(tmp_path: Path) -> None:
    """Tried under other settings, before a kill: what they say is of another night's files."""
    none = Score("", 0.0, (), 0.0, 0.0, 0)
    passed = Verdict("passed", "", (), none, none, 0.0, 0.0)
    worse = replace(passed, outcome="refused", reasons=("Worse.",), regressed=True)
    for shortened in range(4):
        written(passed if shortened == 2 else worse, Step(tmp_path, shortened))
    tried: list[int] = []

    def judge(step: Step) -> Verdict:
        tried.append(step.shortened)
        return written(worse, step)

    steps.attempt(tmp_path, 1, judge, lambda: False)
    assert tried == [0, 1], "what a kill left is judged again without asking for time"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["verdict-1.json", "verdict.json"]
    assert steps.outcome(tmp_path)[1].outcome == "refused"
    assert steps.reason(tmp_path, 1, 3) == "Worse. 0.71 of this step was refused as well."


def small_step_night(home: Path, moment: str, told: tuple[Memory, ...]) -> None:
    gate.judge = strict(1)
    dying_night(home, moment, told)


@needs_fork
@pytest.mark.parametrize(
    ("moment", "stages"),
    [
        ("writing verdict.json.inputs", ["gate", "merge", "gate"]),
        ("writing adapter-1.safetensors", ["merge", "gate"]),
        ("writing candidate-1.gguf", ["merge", "gate"]),
        ("writing verdict-1.json", ["gate"]),
        ("before publish", []),
        ("before record_generation", []),
    ],
)
def test_a_night_that_was_killed_in_a_smaller_step_goes_on(
    moment: str, stages: list[str], ready: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(small_step_night, ready, moment, memories(turns(ready)))
    check_current(ready, base.read_bytes())
    monkeypatch.setattr(gate, "judge", strict(1))
    result, rest = sleep(ready)
    assert rest.stages == stages
    assert (result.status, result.night, result.generation, result.share) == ("promoted", 1, 1, 0.5**0.5)
    check_current(ready, base.read_bytes())
    assert not [*ready.glob("nights/*/*.gguf"), *ready.glob("nights/*/*.safetensors"), *ready.rglob("*.tmp")]
