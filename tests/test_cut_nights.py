"""A night that is stopped, killed or met by another goes on where it was, to the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from curated import memories
from nights import (
    DAY,
    SETTINGS,
    TEXT,
    Listener,
    check_current,
    check_journal,
    die,
    exit_code,
    killed,
    make_home,
    needs_fork,
    sentences,
    sleep,
    tell,
)
from whole import STAGES, STEPS, Whole, check_finished, dying_night, turns

from edgesleep import account, errors
from edgesleep.errors import BusyError
from edgesleep.journal import Journal
from edgesleep.night import agenda, artefacts, gate, stages
from edgesleep.night.cycle import run_night
from edgesleep.night.spent import Spent
from edgesleep.records import Agenda, NightReport, dump, file_digest, load
from edgesleep.store import Store

REFUSING = replace(SETTINGS, gate=replace(SETTINGS.gate, recall_gain=1.5))
pytestmark = pytest.mark.usefixtures("read_here", "base_stays")


@pytest.fixture
def ready(home: Path, base: Path) -> Path:
    return make_home(home, base)


# -- stopped and gone on ---------------------------------------------------------------------------------------------


def test_a_night_that_is_asked_to_stop_goes_on_later(ready: Path, whole: Whole) -> None:
    listener = Listener()
    listener.stop = lambda: len(listener.steps) >= 3
    stopped = run_night(ready, SETTINGS, listener.watch)
    assert (stopped.status, stopped.night, stopped.generation) == ("interrupted", 1, 0)
    assert listener.stages == STAGES[:4]
    assert load(NightReport, ready / "nights" / "0001" / "night.json") == stopped
    with Journal.open(ready) as journal:
        assert journal.open_night() == 1
    result, rest = sleep(ready)
    assert rest.stages == STAGES[3:]
    assert [report.step for report in rest.steps] == list(range(4, STEPS + 1)), "not one step is lost"
    check_finished(ready, result, whole)


@needs_fork
def test_its_time_and_memory_are_those_of_all_its_runs(ready: Path) -> None:
    """Of one that was stopped, of one that was killed, and of the last."""
    path = ready / "nights" / "0001" / artefacts.SPENT
    run_night(ready, SETTINGS, Listener(stop=path.exists).watch)
    dump(replace(load(Spent, path), began="2026-01-01", seconds=5000.0, peak_rss=1 << 50), path)
    killed(dying_night, ready, "step 3", memories(turns(ready)))
    assert load(Spent, path).began == "2026-01-01" and load(Spent, path).seconds >= 5000
    dump(replace(load(Spent, path), seconds=6000.0), path)
    result, _ = sleep(ready)
    assert result.seconds > 6000 and result.peak_rss == 1 << 50
    told = account.night_of(ready, 1)
    assert told.account and told.account.began == "2026-01-01" and told.seconds == result.seconds
    assert not path.exists()


def test_a_night_may_be_stopped_between_any_two_stages(ready: Path, whole: Whole) -> None:
    for done in range(len(STAGES)):
        listener = Listener()
        listener.stop = lambda listener=listener: bool(listener.stages)
        stopped = run_night(ready, SETTINGS, listener.watch)
        assert listener.stages == STAGES[done : done + 1]
        if STAGES[done] == "train":  # which is asked before its first step, and again in the next round
            listener = Listener()
            listener.stop = lambda listener=listener: len(listener.steps) == STEPS
            stopped = run_night(ready, SETTINGS, listener.watch)
        assert stopped.status == ("interrupted" if done < len(STAGES) - 1 else "promoted")
    check_finished(ready, stopped, whole)


def test_who_stops_at_the_end_of_a_pass_waits_for_no_look(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping: list[bool] = []

    def one_pass(network: object, adapter: object, plan: object, checkpoint: Path, watch: Any) -> None:
        stopping.append(True)
        watch.passed(1)

    monkeypatch.setattr(stages.train, "train", one_pass)
    result = run_night(ready, SETTINGS, Listener(stop=lambda: bool(stopping)).watch)
    assert result.status == "interrupted" and not (ready / "nights" / "0001" / "pass-1.json").exists()


def test_what_is_said_after_an_interruption_waits_for_the_next_night(ready: Path, whole: Whole) -> None:
    run_night(ready, SETTINGS, Listener(stop=lambda: True).watch)
    tell(ready, "I work as a baker.")
    result, _ = sleep(ready)
    check_finished(ready, result, whole, turns=4)
    following, _ = sleep(ready)
    assert following.night == 2
    assert "You work as a baker." in [m.statement for m in lessons(ready, 2).memories]


def lessons(home: Path, night: int) -> Agenda:
    return load(Agenda, home / "nights" / f"{night:04d}" / agenda.AGENDA)


def test_other_settings_run_the_stages_that_they_concern_again(ready: Path) -> None:
    listener = Listener()
    listener.stop = lambda: len(listener.steps) >= 3
    run_night(ready, SETTINGS, listener.watch)
    faster = replace(SETTINGS, train=replace(SETTINGS.train, rate=1e-3))
    result, rest = sleep(ready, faster)
    assert rest.stages == STAGES[3:]
    assert rest.steps[0].step == 1, "the checkpoint was that of another rate"
    assert result.status == "promoted"


KILLS = {
    "after remember": STAGES,
    "before begin_night": STAGES,
    "after begin_night": STAGES,
    "writing memories.json": STAGES,
    "anchors": STAGES,
    "writing dreams.json.inputs": STAGES[1:],
    "dreams": STAGES[1:],
    "baseline": STAGES[2:],
    "writing baseline.json": STAGES[2:],
    "train": STAGES[3:],
    "step 1": STAGES[3:],
    "step 3": STAGES[3:],
    "writing trial.gguf": STAGES[3:],
    "writing pass-1.json": STAGES[3:],
    "writing dreams-2.json": STAGES[3:],
    "step 5": STAGES[3:],
    "writing pass-2.json.inputs": STAGES[3:],
    "writing adapter.safetensors": STAGES[3:],
    "merge": STAGES[4:],
    "writing candidate.gguf": STAGES[4:],
    "writing adapter.gguf": STAGES[4:],
    "gate": STAGES[5:],
    "writing verdict.json": STAGES[5:],
    "before publish": [],
    "writing 0001": [],
    "writing current": [],
    "before _keep_budget": [],
    "before record_generation": [],
    "before mark": [],
    "after mark": [],
    "writing night.json": [],
    "writing report.txt": [],
    "before end_night": [],
}


def test_every_stage_is_killed_once(whole: Whole) -> None:
    """The list above is that of a night which nothing cut."""
    assert whole.listener.stages == STAGES
    assert set(STAGES) < set(KILLS)
    assert len(whole.listener.steps) == STEPS


@needs_fork
@pytest.mark.parametrize("moment", KILLS)
def test_a_night_that_was_killed_goes_on(
    moment: str, ready: Path, base: Path, pristine: bytes, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(dying_night, ready, moment, memories(turns(ready)))
    check_current(ready, pristine)
    check_journal(ready, turns=len(DAY))
    result, rest = sleep(ready)
    assert rest.stages == KILLS[moment], "stages that were done are not done again"
    if moment == "step 3":
        assert rest.steps[0].step == 3, "it goes on from the checkpoint of step 2"
    if moment == "writing pass-1.json":
        assert rest.steps[0].step == 4, "and from that at the end of the pass"
    check_finished(ready, result, whole)
    check_current(ready, pristine)


def refused_night(home: Path) -> None:
    gate.plain_text = lambda: TEXT
    Journal.end_night = lambda *_: die()  # type: ignore[method-assign]
    run_night(home, REFUSING)


@needs_fork
def test_a_refused_night_that_was_killed_at_its_end_is_not_trained_again(ready: Path) -> None:
    killed(refused_night, ready)
    result, rest = sleep(ready, REFUSING)
    assert rest.stages == []
    assert (result.status, result.night) == ("rejected", 1)
    assert not [*ready.glob("nights/*/*.gguf"), *ready.glob("nights/*/*.safetensors")]


@needs_fork
def test_a_rollback_after_a_kill_lets_the_night_end(ready: Path, whole: Whole) -> None:
    """Published, killed before it was noted, taken back by hand: the night makes its files once more."""
    killed(dying_night, ready, "before record_generation", memories(turns(ready)))
    Store(ready).rollback()
    result, _ = sleep(ready)
    store = Store(ready)
    assert (result.status, result.night, result.generation) == ("promoted", 1, 2)
    assert file_digest(store.model_path()) == whole.sha256


def test_a_journal_that_was_deleted_does_not_stand_for_the_old_nights(ready: Path, pristine: bytes) -> None:
    """Nights are numbered from 1 again; generation 1 is not the new first night's."""
    sleep(ready)
    for path in ready.glob("journal.db*"):
        path.unlink()
    tell(ready, "I work as a baker.")
    result, listener = sleep(ready)
    assert listener.stages == STAGES[1:]
    assert (result.status, result.night, result.generation) == ("promoted", 1, 2)
    assert sentences(ready) == ["You work as a baker."]
    check_current(ready, pristine)


# -- two at once -----------------------------------------------------------------------------------------------------


def try_a_night(home: Path) -> None:
    try:
        run_night(home, SETTINGS)
    except BusyError as error:
        raise SystemExit(error.exit_code) from error


@needs_fork
@pytest.mark.parametrize("moment", ["anchors", "step 2", "gate"])
def test_a_second_night_is_turned_away(moment: str, ready: Path, whole: Whole) -> None:
    """From another process and from this one, in every phase; the first does not notice."""
    codes: list[int | None] = []

    def meanwhile(now: str) -> None:
        if now == moment:
            with pytest.raises(BusyError, match="Another night"):
                run_night(ready, SETTINGS)
            codes.append(exit_code(try_a_night, ready))

    result = run_night(ready, SETTINGS, Listener(at=meanwhile).watch)
    assert codes == [errors.BUSY]
    check_finished(ready, result, whole)


def test_a_night_that_an_older_edgesleep_left_open_is_begun_anew(ready: Path, whole: Whole) -> None:
    run_night(ready, SETTINGS, Listener(stop=lambda: True).watch)
    (ready / "nights" / "0001" / agenda.AGENDA).write_text('{"memories": [{"id": "m1", "sentence": "x", "slots": {}}]}')
    result, _ = sleep(ready)
    check_finished(ready, result, whole)
