"""A night on a tiny model that nothing cut, how one is cut, and what it is held to when it has gone on.

Owns what the tests of whole nights and of cut ones share; the fixtures `base` and `whole` of `conftest` make both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from nights import (
    DAY,
    SETTINGS,
    TEXT,
    Listener,
    check_journal,
    die,
    die_in_writing,
    make_home,
    sleep,
    tree,
)

from edgesleep.adapter import Adapter
from edgesleep.journal import Journal
from edgesleep.night import agenda, gate
from edgesleep.night.cycle import run_night
from edgesleep.night.succession import Day
from edgesleep.records import Memory, NightReport, Training, Turn, Verdict, file_digest, load
from edgesleep.store import Store

STAGES = ["anchors", "dreams", "baseline", "train", "merge", "gate"]
STEPS = 9  # 15 lessons, five a step, three passes


@dataclass(frozen=True)
class Whole:
    """A night that nothing cut, by what it left."""

    result: NightReport
    listener: Listener
    folder: dict[str, str]
    sha256: str


def spy(patch: pytest.MonkeyPatch, module: Any, name: str, hear: Callable[..., Any]) -> None:
    real = getattr(module, name)

    def heard(*arguments: Any) -> Any:
        hear(*arguments)
        return real(*arguments)

    patch.setattr(module, name, heard)


def copy(adapter: Adapter) -> Adapter:
    return replace(adapter, factors={name: (a.copy(), b.copy()) for name, (a, b) in adapter.factors.items()})


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


def turns(home: Path) -> list[Turn]:
    with Journal.open(home) as journal:
        return journal.turns()


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


def sleep_whole(home: Path, base: Path) -> Whole:
    make_home(home, base)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "plain_text", lambda: TEXT)
        result, listener = sleep(home)
    return Whole(result, listener, tree(home / "nights" / "0001"), file_digest(Store(home).model_path()))
