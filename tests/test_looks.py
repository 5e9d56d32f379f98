"""A look at the model between two passes: whether it is enough, and what it asks; and when a model owns up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from judged import EXAM, PROBES, SETTINGS
from tiny import make_tiny

from edgesleep.engine import Engine
from edgesleep.night import gate, untold
from edgesleep.night.gate import score
from edgesleep.records import Answer, Baseline, PassScore, Probe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "other.gguf", "llama", seed=1)


def passes(*recalls: float, abstained: float | None = None, drift: float = 0.0) -> list[PassScore]:
    return [PassScore(n, recall, None, abstained, drift) for n, recall in enumerate(recalls, 1)]


@pytest.mark.parametrize(
    ("recalls", "wanted"),
    [
        ((0.1,), False),
        ((0.1, 0.1, 0.1, 0.1), False),  # what was best before is not known yet
        ((0.1, 0.1, 0.1, 0.1, 0.1), True),
        ((0.1, 0.5, 0.4, 0.4, 0.4), False),
        ((0.1, 0.5, 0.4, 0.4, 0.4, 0.53), False),
        ((0.1, 0.5, 0.4, 0.4, 0.4, 0.51), True),  # not by enough
        ((0.9, 0.9, 0.9, 0.9, 0.9, 0.95), False),
    ],
)
def test_it_is_enough_when_four_passes_brought_nothing(recalls: tuple[float, ...], wanted: bool) -> None:
    assert gate.enough(passes(*recalls), SETTINGS) == wanted


def test_owning_up_is_learned_too() -> None:
    flat = passes(0.5, 0.5, 0.5, 0.5, 0.5, abstained=0.2)
    assert gate.enough(flat, SETTINGS)
    assert not gate.enough([*flat[:-1], replace(flat[-1], abstained=0.5)], SETTINGS)


def test_it_is_enough_when_all_the_drift_is_spent() -> None:
    spent = passes(0.1, 0.5, 0.9, drift=SETTINGS.drift_budget / gate.SETTLING + 0.01)
    assert gate.enough(spent, SETTINGS)
    settles = passes(0.1, 0.5, 0.9, drift=SETTINGS.drift_budget + 0.01)
    assert not gate.enough(settles, SETTINGS), "as the rate goes down, drift will"
    assert not gate.enough([*spent[:-2], replace(spent[-2], drift=0.0), spent[-1]], SETTINGS), "one look is not enough"
    assert not gate.enough(spent[:1], SETTINGS)


def test_a_look_between_passes_asks_one_wording_of_each_memory_and_skims_the_text(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, other: Path
) -> None:
    two = tuple(Probe(f"two-{n}", "old", f"two {n}?", "gold", hops=2) for n in range(3))
    none = tuple(Probe(f"none-{n}", "", f"none {n}?", "", hops=0) for n in range(200))
    asked: list[Probe] = []

    def answers(engine: Engine, probes: tuple[Probe, ...], limit: int) -> tuple[Answer, ...]:
        asked.extend(probes)
        return tuple(Answer(probe.id, "", probe.id in ("old-0", "two-1")) for probe in probes)

    paragraphs = [f"{n} and {n}." for n in range(2 * gate.SKIMMED)]
    whole, skimmed = (replace(EXAM, text="\n\n".join(paragraphs[:n])) for n in (len(paragraphs), gate.SKIMMED))
    before = Baseline(score(tiny, replace(whole, probes=())), score(tiny, whole))
    monkeypatch.setattr(gate, "ask", answers)
    asked.clear()
    found = gate.after_pass(before, other, replace(whole, probes=PROBES + two + none), 3)
    assert [probe.id for probe in asked if probe.hops] == ["old-0", "new-0", "two-0", "two-1", "two-2"]
    assert 25 < len([probe for probe in asked if not probe.hops]) <= gate.SAMPLE
    assert (found.passes, found.recall, found.two_hops, found.abstained) == (3, 0.5, pytest.approx(1 / 3), 0.0)
    assert found.missed == ("new",), "missed two hops apart is not missed"
    assert found.drift == pytest.approx(score(other, skimmed).loss_mean - score(tiny, skimmed).loss_mean, abs=1e-4)
    assert found.drift != pytest.approx(score(other, whole).loss_mean - before.base.loss_mean, abs=1e-4)


def test_what_was_never_told_is_right_when_it_is_owned_up_to() -> None:
    for answer in (
        "You have not told me that.", "I don't know.", "You haven't told me yet.", "You never said.", "I have no idea.",
        "You didn't mention it.", "I can't tell you what your aunt does.",
    ):  # fmt: skip
        assert untold.owns_up(answer), answer
    for answer in (
        "Your aunt is called Ada. You told me so.", "I do not know, but your aunt is called Mary.", "Not Ada.",
        "You have not told me, I think she is Ada.", "", "She knows.",
    ):  # fmt: skip
        assert not untold.owns_up(answer), answer
