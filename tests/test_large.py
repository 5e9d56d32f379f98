"""A night of a model that is large enough to propose memories, and to teach itself with them in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from nights import SETTINGS, TEXT, make_home, sleep, tell
from tiny import make_tiny

from edgesleep.config import CurateSettings
from edgesleep.gguf import Gguf
from edgesleep.night import agenda, gate
from edgesleep.night.hearing import hear
from edgesleep.night.succession import Day
from edgesleep.records import Dreams, Memory, Proposer, Turn, load
from edgesleep.store import Store


def test_a_large_model_proposes_and_teaches_itself(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large is what the setting says; a smaller one is not asked, and its lessons have no teacher."""
    asked: list[Proposer] = []

    def with_proposals(
        day: Day, turns: Sequence[Turn], held: Sequence[Memory], earlier: Sequence[Turn], *, proposer: Proposer
    ) -> Day:
        asked.append(proposer)
        return day

    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(agenda, "curate", hear)  # here, without the process that takes seconds
    monkeypatch.setattr(agenda, "with_proposals", with_proposals)
    base = make_tiny(tmp_path / "tiny.gguf", "llama")
    ready = make_home(home, base)
    plain, _ = sleep(ready)
    assert asked == []
    lessons = load(Dreams, ready / "nights" / "0001" / "dreams.json").lessons
    assert not any(row.teacher for row in lessons)
    tell(ready, "My sister is called Ottilie.")
    large = replace(SETTINGS, curate=CurateSettings(proposes_from=0.0, minutes=2.0))
    result, _ = sleep(ready, large)
    assert (plain.status, result.status) == ("promoted", "promoted")
    ((model, billions, threads, minutes),) = [(one.model, one.billions, one.threads, one.minutes) for one in asked]
    assert (Path(model), threads, minutes) == (Store(ready).model_path(0), 1, 2.0)
    assert 0 < billions == Gguf.open(base).parameters / 1e9 < 0.05
    for name in ("dreams.json", "dreams-2.json"):
        assert any(row.teacher for row in load(Dreams, ready / "nights" / "0002" / name).lessons)
