"""The verdict: regression before gain, the base and not the parent for drift, and never passed on nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nights import TEXT
from tiny import make_tiny

from edgesleep.config import GateSettings
from edgesleep.engine import Engine
from edgesleep.night import gate, untold
from edgesleep.night.gate import Exam, baseline, judge, score
from edgesleep.night.phrases import fold
from edgesleep.records import Answer, Baseline, PassScore, Probe, Score, Verdict, file_digest

CANDIDATE = Path("candidate")
SETTINGS = GateSettings(drift_budget=0.1, recall_gain=0.25, recall_loss=0.25, answer_tokens=6)
PROBES = tuple(Probe(f"{memory}-{n}", memory, f"{memory} {n}?", "gold") for memory in ("old", "new") for n in range(4))
EXAM = Exam(PROBES, TEXT, SETTINGS, threads=1)
KNOWN = frozenset({"old"})
FLAT = np.full(5, 3.0, np.float32)


def answered(name: str, right: tuple[int, int], losses: np.ndarray) -> Score:
    """A score with the first so many probes of the old and of the new memory right."""
    good = {f"{memory}-{n}" for memory, count in zip(("old", "new"), right, strict=True) for n in range(count)}
    answers = tuple(Answer(probe.id, "", probe.id in good) for probe in PROBES)
    mean, median = float(np.mean(losses)), float(np.median(losses))
    return Score(f"hash of {name}", sum(right) / 8, answers, mean, median, len(losses), tuple(losses.tolist()))


def verdict(
    monkeypatch: pytest.MonkeyPatch,
    *,
    right_before: tuple[int, int] = (4, 0),
    right_after: tuple[int, int] = (4, 4),
    losses: np.ndarray = FLAT,
    exam: Exam = EXAM,
    parent_losses: np.ndarray = FLAT,
) -> Verdict:
    """The judgement of made-up answers (right old ones, right new ones) and losses; the base's losses are 3."""

    def scored(path: Path, exam: Exam) -> Score:
        assert path == CANDIDATE
        return answered("candidate", right_after, losses)

    monkeypatch.setattr(gate, "score", scored)
    parent = answered("parent", right_before, parent_losses)
    found = judge(Baseline(answered("base", (0, 0), FLAT), parent, 1.0), CANDIDATE, exam, KNOWN)
    assert found.sha256 == found.after.sha256 == "hash of candidate"
    return found


def test_a_model_that_learned_and_stayed_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch)
    assert (found.outcome, found.reasons) == ("passed", ())
    assert (found.drift_mean, found.drift_median) == (0.0, 0.0)
    assert (found.before.sha256, found.before.recall, found.after.recall) == ("hash of parent", 0.5, 1.0)


@pytest.mark.parametrize(
    ("shift", "named"),
    [
        ([0, 0, 0, 0, 1], ["mean"]),
        ([-1, -1, 0.2, 0.2, 0.2], ["median"]),
        ([0.2] * 5, ["mean", "median"]),
        ([0, 0, 0, 0, np.nan], ["mean", "median"]),
        ([0, 0, 0, 0, np.inf], ["mean"]),
    ],
)
def test_drift_over_budget_is_refused(shift: list[float], named: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both by mean and by median, and a loss that is no number counts as over budget."""
    found = verdict(monkeypatch, losses=FLAT + np.array(shift, np.float32))
    assert found.outcome == "refused"
    assert [reason.split()[1] for reason in found.reasons] == named
    assert all("0.100 are allowed" in reason for reason in found.reasons)


def test_drift_within_the_budget_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, losses=FLAT + 0.0999)
    assert found.outcome == "passed"
    assert found.drift_mean == pytest.approx(0.0999, abs=1e-5) == found.drift_median


def test_a_model_that_reads_better_than_the_base_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, losses=FLAT - 1)
    assert (found.outcome, found.drift_mean) == ("passed", -1.0)


@pytest.mark.parametrize(("kept", "outcome"), [(4, "passed"), (3, "passed"), (2, "refused"), (0, "refused")])
def test_old_memories_may_not_be_lost(kept: int, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter may; more may not, however much was gained."""
    found = verdict(monkeypatch, right_before=(4, 0), right_after=(kept, 4))
    assert found.outcome == outcome
    wanted = [f"Recall of older memories fell by {(4 - kept) / 4:.2f}; 0.25 are allowed."]
    assert list(found.reasons) == (wanted if outcome == "refused" else [])


@pytest.mark.parametrize(("new", "outcome"), [(1, "refused"), (2, "passed"), (0, "refused")])
def test_without_gain_it_is_refused(new: int, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of four was known before; a second has to come."""
    found = verdict(monkeypatch, right_before=(4, 1), right_after=(4, new))
    assert found.outcome == outcome
    assert ("Recall of new memories rose by" in "".join(found.reasons)) == (outcome == "refused")


def test_old_memories_regained_are_no_gain_of_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(monkeypatch, right_before=(0, 0), right_after=(4, 0)).outcome == "refused"


def test_all_regressions_are_named_and_gain_only_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, right_before=(4, 4), right_after=(0, 0), losses=FLAT + 1)
    assert [reason.split(" rose")[0].split(" fell")[0] for reason in found.reasons] == [
        "The mean loss on plain text",
        "The median loss on plain text",
        "Recall of older memories",
    ]


def test_a_rehearsal_of_known_memories_needs_no_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    old = tuple(probe for probe in PROBES if probe.memory_id == "old")
    assert (
        verdict(monkeypatch, right_before=(4, 0), right_after=(4, 0), exam=replace(EXAM, probes=old)).outcome
        == "passed"
    )


def test_drift_is_measured_against_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that had drifted does not shift the mark, so drift cannot creep from night to night."""
    found = verdict(monkeypatch, losses=FLAT + 0.15, parent_losses=FLAT + 0.09)
    assert found.outcome == "refused"
    assert found.drift_mean == pytest.approx(0.15, abs=1e-5)


def test_on_the_first_night_the_base_is_the_parent_and_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, other: Path
) -> None:
    asked: list[tuple[Path, int]] = []
    real = gate.score

    def spy(path: Path, exam: Exam) -> Score:
        asked.append((path, len(exam.probes)))
        return real(path, exam)

    monkeypatch.setattr(gate, "score", spy)
    found = baseline(tiny, tiny, EXAM)
    assert replace(found.base, losses=()) == found.parent and len(found.base.losses) == found.base.tokens > 0
    assert found.seconds > 0
    later = baseline(tiny, other, EXAM)
    assert (later.base.sha256, later.parent.sha256) == (file_digest(tiny), file_digest(other))
    assert (later.base.loss_mean, later.base.loss_median) == (found.base.loss_mean, found.base.loss_median)
    assert asked == [(tiny, len(PROBES)), (other, len(PROBES)), (tiny, 0)], "the base is only read plain text"


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda exam: replace(exam, probes=()), ["probes"]),
        (lambda exam: replace(exam, text=""), ["plain text"]),
        (lambda exam: replace(exam, text=" \n\n\t\n\n"), ["plain text"]),
        (lambda exam: replace(exam, probes=(), text=""), ["probes", "plain text"]),
    ],
)
def test_without_questions_the_verdict_is_invalid(
    change: Callable[[Exam], Exam], missing: list[str], tiny: Path
) -> None:
    """A file that was asked nothing has not passed, not even the base against itself."""
    exam = change(replace(EXAM, settings=replace(SETTINGS, recall_gain=-1.0)))
    found = judge(baseline(tiny, tiny, exam), tiny, exam, frozenset())
    assert found.outcome == "invalid"
    assert list(found.reasons) == [f"There is no {name} to ask." for name in missing]
    assert found.sha256 == file_digest(tiny)


# -- the real thing, small -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "other.gguf", "llama", seed=1)


def losses_of(path: Path, text: str = TEXT) -> np.ndarray:
    with Engine(path, threads=1, context=256, sequences=16) as engine:
        return gate.text_losses(engine, text)


def test_a_score_names_its_file_and_is_the_same_twice(tiny: Path, other: Path) -> None:
    first, losses = score(tiny, EXAM), losses_of(tiny)
    assert first.sha256 == file_digest(tiny)
    assert [answer.probe_id for answer in first.answers] == [probe.id for probe in PROBES]
    assert (first.loss_mean, first.loss_median) == (float(losses.mean()), float(np.median(losses)))
    assert first.tokens == losses.size > 0
    assert first.losses == pytest.approx(losses.tolist(), abs=6e-5)
    assert score(tiny, EXAM) == first
    different = score(other, EXAM)
    assert different.sha256 == file_digest(other) != first.sha256
    assert different.answers != first.answers


def test_the_losses_are_those_of_every_token_of_every_paragraph(tiny: Path) -> None:
    losses = losses_of(tiny, "One two.\n\n\n\n  \n\nThree.")
    with Engine(tiny, threads=1, context=256, sequences=16) as engine:
        parts = [engine.losses(engine.tokenize(part, begin=True)) for part in ("One two.", "Three.")]
    assert losses.tolist() == pytest.approx(np.concatenate(parts).tolist(), abs=1e-5)


def test_an_answer_is_right_when_it_says_the_gold(tiny: Path) -> None:
    """Whatever the random model says is right to whoever asked for it, and wrong to everyone else."""
    said = [answer.text for answer in score(tiny, EXAM).answers]
    words = [fold(text).split(" ")[0] for text in said]
    assert any(words), said
    probes = tuple(replace(probe, gold=word or "gold") for probe, word in zip(PROBES, words, strict=True))
    result = score(tiny, replace(EXAM, probes=probes))
    assert [answer.right for answer in result.answers] == [bool(word) for word in words]
    assert result.recall == sum(map(bool, words)) / len(PROBES)


def test_the_base_against_itself_has_neither_drift_nor_gain(tiny: Path) -> None:
    found = judge(baseline(tiny, tiny, EXAM), tiny, EXAM, frozenset())
    assert (found.drift_mean, found.drift_median) == (0.0, 0.0)
    assert found.outcome == "refused"
    assert found.reasons == ("Recall of new memories rose by 0.00; 0.25 are wanted.",)


def test_the_drift_of_another_model_is_the_difference_of_the_losses(tiny: Path, other: Path) -> None:
    found = judge(baseline(tiny, tiny, EXAM), other, EXAM, frozenset())
    assert (found.before.sha256, found.after.sha256) == (file_digest(tiny), file_digest(other))
    assert abs(found.drift_mean) > 0.01
    assert found.drift_mean == pytest.approx(found.after.loss_mean - found.before.loss_mean, abs=1e-5)
    assert found.drift_median == pytest.approx(np.median(losses_of(other) - losses_of(tiny)), abs=2e-4)
    assert not found.before.losses and not found.after.losses, "they would fill the disk"


def test_the_bundled_text_is_prose_in_short_paragraphs() -> None:
    """Long enough to measure drift to a hundredth; no paragraph runs over the 256 tokens that are read of it."""
    paragraphs = [part for part in gate.plain_text().split("\n\n") if part.strip()]
    assert len(gate.plain_text().split()) > 3000
    assert max(len(part.split()) for part in paragraphs) < 170


# -- between passes ---------------------------------------------------------------------------------------------------


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
    spent = passes(0.1, 0.5, 0.9, drift=SETTINGS.drift_budget + 0.01)
    assert gate.enough(spent, SETTINGS)
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

    monkeypatch.setattr(gate, "ask", answers)
    paragraphs = [f"{n} and {n}." for n in range(2 * gate.SKIMMED)]
    whole, skimmed = (replace(EXAM, text="\n\n".join(paragraphs[:n])) for n in (len(paragraphs), gate.SKIMMED))
    before = Baseline(score(tiny, replace(whole, probes=())), score(tiny, whole), 1.0)
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
