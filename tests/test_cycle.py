"""Whole nights on a tiny model: how one ends, what the next goes on from, and what a plan says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nights import (
    SETTINGS,
    Listener,
    make_home,
    sentences,
    sleep,
    tell,
    tree,
)
from whole import STAGES, STEPS, copy, spy

from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.network import build
from edgesleep.night import gate, stages
from edgesleep.night.cycle import plan_night, run_night
from edgesleep.records import Dreams, NightReport, Verdict, file_digest, load
from edgesleep.store import Store

REFUSING = replace(SETTINGS, gate=replace(SETTINGS.gate, recall_gain=1.5))
pytestmark = pytest.mark.usefixtures("read_here", "base_stays")


@pytest.fixture
def ready(home: Path, base: Path) -> Path:
    return make_home(home, base)


@pytest.fixture
def all_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer counts as right, so that every memory of a passed night is learned."""
    monkeypatch.setattr(gate, "right", lambda text, gold: True)


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
    parent, _, asked, known = given["baseline"]
    assert (asked.sha256, parent, candidate.name) == (file_digest(base), store.model_path(1), "candidate.gguf")
    assert known.score.sha256 == store.generation(1).model_sha256, "what lasts, it said in its own exam"
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


def test_a_full_disk_is_said_before_the_night_begins(home: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(home, base)
    monkeypatch.setattr(stages.machine, "free_disk", lambda path: 1000)
    with pytest.raises(EdgesleepError, match="of disk"):
        sleep(home)
    assert Store.open(home).current() == 0
