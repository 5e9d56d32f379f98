"""A whole night on a tiny model, and the same night killed wherever it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
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
    die_in_writing,
    exit_code,
    killed,
    make_home,
    needs_fork,
    sentences,
    sleep,
    tell,
    tree,
)
from tiny import make_tiny

from edgesleep import errors
from edgesleep.adapter import Adapter
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.journal import Journal
from edgesleep.network import build
from edgesleep.night import agenda, gate, stages
from edgesleep.night.cycle import plan_night, run_night
from edgesleep.night.hearing import hear
from edgesleep.night.succession import Day
from edgesleep.records import Agenda, Dreams, Memory, NightReport, Training, Turn, Verdict, file_digest, load
from edgesleep.store import Store

STAGES = ["anchors", "dreams", "baseline", "train", "merge", "gate"]
STEPS = 9  # 15 lessons, five a step, three passes
REFUSING = replace(SETTINGS, gate=replace(SETTINGS.gate, recall_gain=1.5))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture(scope="module")
def pristine(base: Path) -> bytes:
    return base.read_bytes()


@pytest.fixture(autouse=True)
def short_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process that reads the day, which takes seconds; `whole` has it."""
    monkeypatch.setattr(agenda, "curate", hear)


@pytest.fixture(autouse=True)
def base_stays(base: Path, pristine: bytes) -> None:
    """Every test ends with the person's own file as it was."""
    yield
    assert base.read_bytes() == pristine


@pytest.fixture
def ready(home: Path, base: Path) -> Path:
    return make_home(home, base)


@pytest.fixture
def all_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer counts as right, so that every memory of a passed night is learned."""
    monkeypatch.setattr(gate, "right", lambda text, gold: True)


@dataclass(frozen=True)
class Whole:
    """A night that nothing cut, by what it left."""

    result: NightReport
    listener: Listener
    folder: dict[str, str]
    sha256: str


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = make_home(tmp_path_factory.mktemp("whole") / "home", base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "plain_text", lambda: TEXT)
        result, listener = sleep(home)
    return Whole(result, listener, tree(home / "nights" / "0001"), file_digest(Store(home).model_path()))


# -- how a night ends ------------------------------------------------------------------------------------------------


def test_a_night_that_passes_is_promoted(ready: Path, base: Path) -> None:
    result, listener = sleep(ready)
    assert listener.stages == STAGES
    assert [report.step for report in listener.steps] == list(range(1, STEPS + 1))
    store = Store(ready)
    assert (result.status, result.night, result.generation, store.current()) == ("promoted", 1, 1, 1)
    assert (result.memories_found, result.memories_trained) == (3, 3)
    assert result.model == str(store.model_path())
    assert store.model_path().stat().st_size == base.stat().st_size
    assert store.model_path().read_bytes() != base.read_bytes()
    assert result.codes_moved > 0 and result.tokens > 0 and result.tokens_per_second > 0 and result.peak_rss > 1 << 20
    made = store.generation(1)
    assert (made.parent, made.night, made.seed) == (0, 1, SETTINGS.night.seed)
    assert (made.base_sha256, made.model_sha256) == (file_digest(base), file_digest(store.model_path()))
    assert made.adapter_sha256 == file_digest(store.folder(1) / "adapter.gguf")
    verdict = load(Verdict, ready / "nights" / "0001" / "verdict.json")
    assert made.results == gate.results(verdict, load(Dreams, ready / "nights" / "0001" / "dreams.json").probes)
    assert (made.results.recall, made.results.learned) == (verdict.after.recall, ())
    with Journal.open(ready) as journal:
        assert journal.nights() == [result]
        assert journal.open_night() is None
        assert journal.generation_states() == {1: "published"}
        assert made.memory_sha256 == {memory.id: memory.sha256 for memory in journal.memories()}
        assert set(made.memory_ids) == set(made.memory_sha256)
    assert load(NightReport, ready / "nights" / "0001" / "night.json") == result


def test_a_finished_night_keeps_its_records_only(ready: Path) -> None:
    sleep(ready)
    names = {path.name for path in (ready / "nights" / "0001").iterdir() if path.suffix != ".inputs"}
    records = {"memories", "dreams", "baseline", "training", "merge", "verdict", "night"}
    records |= {"pass-1", "dreams-2", "pass-2", "dreams-3"}
    assert names == {f"{name}.json" for name in records} | {"report.txt"}
    assert not list(ready.rglob("*.tmp"))


@pytest.mark.parametrize("exact", [True, False])
def test_the_products_are_those_that_the_settings_say(
    ready: Path, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    asked = []
    monkeypatch.setattr(stages, "build", lambda *arguments: asked.append(arguments[-1]) or build(*arguments))
    sleep(ready, replace(SETTINGS, train=replace(SETTINGS.train, exact=exact)))
    assert asked == [exact]


def test_what_is_answered_right_is_learned_and_the_rest_is_weak(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most wordings have to be answered: one of two leaves a memory weak, and it is tried again next night."""
    asked: list[str] = []

    def right(text: str, gold: str) -> bool:
        asked.append(gold)
        return (gold == "tamarind" and asked.count(gold) % 2 == 0) or gold == "zither"

    monkeypatch.setattr(gate, "right", right)
    sleep(ready)
    assert sentences(ready, "learned") == ["You play the zither."]
    assert sentences(ready, "weak") == ["You are allergic to tamarind.", "You live in Skelwick."]
    again, _ = sleep(ready)
    assert (again.night, again.memories_found, again.memories_trained) == (2, 0, 3)


def test_a_night_that_is_refused_changes_nothing(ready: Path, base: Path) -> None:
    result, listener = sleep(ready, REFUSING)
    assert listener.stages == STAGES
    assert (result.status, result.generation, result.model) == ("rejected", 0, str(base))
    assert result.reason == "Recall of new memories rose by 0.00; 1.50 are wanted."
    assert Store(ready).current() == 0
    assert Store(ready).generations() == []
    assert len(sentences(ready, "new")) == 3
    assert result.reason in (ready / "nights" / "0001" / "report.txt").read_text()
    assert not [*ready.glob("nights/*/*.gguf"), *ready.glob("nights/*/*.safetensors")]
    with Journal.open(ready) as journal:
        assert (journal.open_night(), journal.nights()) == (None, [result])


def test_after_a_refusal_the_next_night_tries_other_wordings(ready: Path) -> None:
    sleep(ready, REFUSING)
    result, listener = sleep(ready)
    assert listener.stages == STAGES
    assert (result.night, result.status, result.generation) == (2, "promoted", 1)
    first, second = ((ready / "nights" / night / "dreams.json").read_bytes() for night in ("0001", "0002"))
    assert first != second


def test_nights_have_other_anchors_and_write_none_twice(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "ANCHOR_SETS", 2)
    assert [sleep(ready, REFUSING)[1].stages for _ in range(3)] == [STAGES, STAGES, STAGES[1:]]
    assert len({path.read_bytes() for path in (ready / "cache").glob("anchors-*.json")}) == 2


def test_a_verdict_that_is_invalid_publishes_nothing(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "plain_text", lambda: "")
    result, _ = sleep(ready)
    assert (result.status, result.generation, Store(ready).current()) == ("rejected", 0, 0)
    assert "plain text is empty" in result.reason


def test_with_nothing_new_it_is_skipped(home: Path, base: Path) -> None:
    make_home(home, base, ("What is the weather like?",))
    result, listener = sleep(home)
    assert (result.status, result.generation, result.model) == ("skipped", 0, str(base))
    assert listener.stages == []
    assert not (home / "nights").exists()
    with Journal.open(home) as journal:
        assert (journal.open_night(), journal.nights()) == (None, [])


@pytest.mark.usefixtures("all_right")
def test_force_rehearses_what_is_known(ready: Path) -> None:
    sleep(ready)
    assert sleep(ready)[0].status == "skipped"
    result, listener = sleep(ready, force=True)
    assert listener.stages == STAGES
    assert (result.status, result.night, result.generation) == ("promoted", 2, 2)
    assert (result.memories_found, result.memories_trained) == (0, 3)


def test_force_without_any_memory_is_skipped(home: Path, base: Path) -> None:
    make_home(home, base, ())
    assert sleep(home, force=True)[0].status == "skipped"


# -- the second night ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("all_right")
def test_the_second_night_goes_on_from_the_cumulative_delta_and_the_pristine_base(
    ready: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep(ready)
    tell(ready, "I work as a baker.")
    given: dict[str, Any] = {}
    spy(monkeypatch, stages.train, "train", lambda network, adapter, plan, *_: given.update(start=copy(adapter)))
    spy(monkeypatch, stages.merge, "merge", lambda file, adapter, path: given.update(merged=file.path))
    spy(monkeypatch, stages.gate, "baseline", lambda *arguments: given.update(baseline=arguments))
    spy(monkeypatch, stages.gate, "judge", lambda *arguments: given.update(judged=arguments))
    result, _ = sleep(ready)
    store = Store(ready)
    first = Adapter.load(store.delta_path(1))
    assert (result.status, result.generation, store.generation(2).parent) == ("promoted", 2, 1)
    assert factors(given["start"]) == factors(first)
    assert factors(Adapter.load(store.delta_path(2))) != factors(first)
    assert given["merged"] == base, "never from a rounded night"
    _, candidate, exam, topics = given["judged"]
    parent, _, asked = given["baseline"]
    assert (asked.sha256, parent, candidate.name) == (file_digest(base), store.model_path(1), "candidate.gguf")
    assert topics.known == set(store.generation(1).memory_ids)
    assert topics.known | topics.new == set(store.generation(2).memory_ids)
    assert (
        {probe.memory_id for probe in exam.probes if probe.hops} == set(store.generation(2).memory_ids) > topics.known
    )
    assert (result.memories_found, result.memories_trained) == (1, 4)


@pytest.mark.usefixtures("all_right")
def test_the_delta_keeps_its_dither_when_the_seed_changes(ready: Path) -> None:
    sleep(ready)
    other = replace(SETTINGS, night=replace(SETTINGS.night, seed=5))
    result, _ = sleep(ready, other, force=True)
    assert result.status == "promoted"
    assert Adapter.load(Store(ready).delta_path()).seed == SETTINGS.night.seed


@pytest.mark.usefixtures("all_right")
def test_another_rank_than_the_delta_s_is_refused_and_can_be_set_back(ready: Path) -> None:
    sleep(ready)
    other = replace(SETTINGS, train=replace(SETTINGS.train, rank=SETTINGS.train.rank + 1))
    with pytest.raises(EdgesleepError, match=f"Generation 1 was trained with train.rank {SETTINGS.train.rank}"):
        sleep(ready, other, force=True)
    result, _ = sleep(ready)
    assert (result.status, result.generation) == ("promoted", 2)


@pytest.mark.usefixtures("all_right")
def test_after_a_rollback_the_next_night_starts_from_what_is_served(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep(ready)
    Store(ready).rollback()
    given: dict[str, Adapter] = {}
    spy(monkeypatch, stages.train, "train", lambda network, adapter, plan, *_: given.update(start=copy(adapter)))
    result, _ = sleep(ready, force=True)
    assert not any(b.any() for _, b in given["start"].factors.values())
    assert (result.generation, Store(ready).generation(2).parent) == (2, 0)


def spy(patch: pytest.MonkeyPatch, module: Any, name: str, hear: Callable[..., Any]) -> None:
    real = getattr(module, name)

    def heard(*arguments: Any) -> Any:
        hear(*arguments)
        return real(*arguments)

    patch.setattr(module, name, heard)


def copy(adapter: Adapter) -> Adapter:
    return replace(adapter, factors={name: (a.copy(), b.copy()) for name, (a, b) in adapter.factors.items()})


def factors(adapter: Adapter) -> dict[str, bytes]:
    return {name: np.concatenate([part.ravel() for part in pair]).tobytes() for name, pair in adapter.factors.items()}


# -- planning --------------------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing_and_says_what_the_night_then_does(ready: Path) -> None:
    before = tree(ready)
    planned = plan_night(ready)
    assert tree(ready) == before
    assert (planned.status, planned.night, planned.generation) == ("planned", 1, 0)
    result, _ = sleep(ready)
    assert (result.memories_found, result.memories_trained) == (planned.memories_found, planned.memories_trained)


@pytest.mark.usefixtures("all_right")
def test_a_plan_counts_the_known_and_the_new(ready: Path) -> None:
    sleep(ready)
    assert plan_night(ready).status == "skipped"
    tell(ready, "I work as a baker.")
    before = tree(ready)
    planned = plan_night(ready)
    assert tree(ready) == before
    assert (planned.night, planned.memories_found, planned.memories_trained) == (2, 1, 4)
    assert planned.reason == "4 memories would be rehearsed; 1 are new."


def test_a_plan_after_an_interruption_is_that_of_the_open_night(ready: Path) -> None:
    """The night that goes on keeps to what it was about; what was said since then waits."""
    run_night(ready, SETTINGS, Listener(stop=lambda: True).watch)
    tell(ready, "I work as a baker.")
    planned = plan_night(ready)
    assert (planned.night, planned.memories_trained) == (1, 3)
    assert sleep(ready)[0].memories_trained == 3
    assert plan_night(ready).night == 2


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


# -- killed ----------------------------------------------------------------------------------------------------------


def dying_night(home: Path, moment: str, told: tuple[Memory, ...]) -> None:
    """Run a night on what was told and die at `moment`: a stage, a step, a file that is just written, or a call."""
    gate.plain_text = lambda: TEXT
    agenda.curate = lambda turns, held, earlier: Day(told)
    kind, _, name = moment.partition(" ")
    if kind == "writing":
        die_in_writing(name)
    elif kind in ("before", "after"):
        owner = Store if hasattr(Store, name) else Journal
        real = getattr(owner, name)

        def dying(*arguments: Any, **named: Any) -> None:
            if kind == "after":
                real(*arguments, **named)
            die()

        setattr(owner, name, dying)
    run_night(home, SETTINGS, Listener(at=lambda now: die() if now == moment else None).watch)


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


def turns(home: Path) -> list[Turn]:
    with Journal.open(home) as journal:
        return journal.turns()


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


def check_finished(home: Path, result: NightReport, whole: Whole, turns: int = len(DAY)) -> None:
    """The night ended as it would have without a cut: same number, same bytes, same marks, and nothing left over."""
    store = Store(home)
    ours, wanted = (replace(r, model="", seconds=0, peak_rss=0, tokens_per_second=0) for r in (result, whole.result))
    assert ours == wanted
    assert file_digest(store.model_path()) == whole.sha256
    assert [made.number for made in store.generations()] == [1]
    assert {path.name for path in (home / "nights" / "0001").iterdir()} == set(whole.folder)
    assert not list(home.rglob("*.tmp"))
    assert not (home / "nights" / "0002").exists()
    check_journal(home, turns)
    with Journal.open(home) as journal:
        assert journal.nights() == [result]
        assert journal.open_night() is None
        assert journal.generation_states() == {1: "published"}
        assert {memory.id for memory in journal.memories("weak")} == set(store.generation(1).memory_ids)
    verdict = load(Verdict, home / "nights" / "0001" / "verdict.json")
    assert (verdict.outcome, verdict.sha256) == ("passed", whole.sha256)
    assert load(Training, home / "nights" / "0001" / "training.json").steps == STEPS


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


def test_a_full_disk_is_said_before_the_night_begins(home: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(home, base)
    monkeypatch.setattr(stages.machine, "free_disk", lambda path: 1000)
    with pytest.raises(EdgesleepError, match="of disk"):
        sleep(home)
    assert Store.open(home).current() == 0
