"""The page of a night, to the letter. Run as a script, this file writes the golden page again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgesleep import morning
from edgesleep.account import NightRecord
from edgesleep.night import report
from edgesleep.night.steps import Step
from edgesleep.records import (
    Agenda,
    Answer,
    Dreams,
    Finding,
    Generation,
    Memory,
    Merge,
    NightReport,
    Probe,
    Results,
    Score,
    TensorMove,
    Verdict,
    encode,
)

GOLDEN = Path(__file__).parent / "golden" / "report.txt"

DAY, SISTER, HOME = "2026-03-11T19:30:00.000+00:00", "My sister is called Ingrid.", "I live in Skelwick now."
MEMORIES = (
    Memory("a1", "relation", "my sister|name", "Your sister is called Ingrid.", SISTER, "Ingrid", (), (1,), DAY),
    Memory("b2", "fact", "i|live|place", "You live in Skelwick.", HOME, "Skelwick", (), (3, 9), DAY, "Porto"),
    Memory("c3", "fact", "i|diet", "You are vegan.", "I'm vegan.", "vegan", (), (5,), ""),
)
PROBES = (
    Probe("a1-0", "a1", "Remind me, what is my sister called?", "Ingrid"),
    Probe("a1-1", "a1", "I forgot: who is my sister?", "Ingrid"),
    Probe("b2-0", "b2", "Any idea where I live?", "Skelwick"),
)
BEFORE = (
    Answer("a1-0", "I don't know your sister.", False),
    Answer("a1-1", "", False),
    Answer(
        "b2-0",
        "You live in a house.\n\nIt has a roof,\t and under it there are rooms; in the rooms there is you.",
        False,
    ),
)
AFTER = (
    Answer("a1-0", "Your sister is called Ingrid.", True),
    Answer("a1-1", "Your sister is called Astrid.", False),
    Answer("b2-0", "You live in Skelwick.", True),
)
RESULT = NightReport(
    night=12,
    status="promoted",
    reason="3 memories rehearsed.",
    generation=7,
    model="home/generations/0007/model.gguf",
    memories_found=2,
    memories_trained=3,
    recall_before=0.0,
    recall_after=2 / 3,
    drift_mean=0.0515,
    drift_median=-0.0039,
    tokens=123_456,
    tokens_per_second=789.6,
    seconds=754.4,
    peak_rss=1_300 * 2**20,
)
VERDICT = Verdict(
    "passed",
    "after",
    (),
    Score("before", 0.0, BEFORE, 3.0, 2.5, 4000),
    Score("after", 2 / 3, AFTER, 3.0515, 2.4961, 4000),
    drift_mean=0.0515,
    drift_median=-0.0039,
    drift_bound=0.0682,
    findings=(
        Finding("older memories", 6, 1.0, 5 / 6, 0.5),
        Finding("general knowledge", 40, 0.65, 0.625, 0.5),
        Finding("harmful requests", 16, 0.0, 0.0, 1.0, tells=False),
        Finding("new memories", 3, 0.0, 2 / 3, 0.25),
    ),
)
TENSORS = tuple(
    TensorMove(f"blk.{layer}.{kind}.weight", "Q4_K", 1000 * (layer + 1), 10 * layer + 40, 0, 0.001, 1.0)
    for layer in range(3)
    for kind in ("attn_q", "ffn_down", "ssm_out")
)
MOVES = Merge("after", 98_362_432, codes=18_000, moved=450, tensors=TENSORS)
LINE = tuple(
    Generation(
        number,
        number - 1,
        night,
        f"2026-03-0{night}T03:00:00+00:00",
        *("base", "model", "delta", 0, "ref", "1"),
        memory_ids=("c3",),
        results=Results(0.5, None, None, 0.0, 0.0, {}, ()),
    )
    for number, night in ((7, 9), (6, 4))
)


def record(
    result: NightReport = RESULT,
    verdict: Verdict = VERDICT,
    memories: tuple[Memory, ...] = MEMORIES,
    probes: tuple[Probe, ...] = PROBES,
) -> NightRecord:
    """A night's record, made of what its stages would have left."""
    agenda = Agenda(memories, known=frozenset({"c3"}), resting=frozenset({"c3"}), waiting=1)
    judged = [(Step(GOLDEN.parent), verdict)]
    found = report.Evidence(agenda, Dreams((), probes), judged, verdict, MOVES, LINE)
    told = report.account(result.night, "2026-03-12T03:00:00+00:00", "smollm2-135m", found)
    return NightRecord.of(result, replace(told, drift_budget=0.08, watts=25.0, ended="2026-03-12T03:12:34+00:00"))


def page(result: NightReport = RESULT, verdict: Verdict = VERDICT) -> str:
    return morning.text(record(result, verdict))


def test_the_page_is_the_golden_one() -> None:
    assert page() == GOLDEN.read_text("utf-8")


def test_a_refused_night_says_why_first() -> None:
    why = "The mean loss on plain text rose by 0.300 nats per token; 0.080 are allowed."
    refused = replace(RESULT, status="rejected", reason=why, generation=6)
    assert page(refused).splitlines()[0] == f"Night 12: rejected. {why}"
    assert "Serving generation 6" in page(refused)


def test_an_approved_secret_is_covered_whoever_says_it() -> None:
    told = "My door code is 4471."
    door = Memory("d", "fact", "door|code", "Your door code is 4471.", told, "4471", (), (7,), "", instead_of="9920")
    probe = Probe("d-0", "d", "Is the door code 4471?", "4471")
    before, after = Answer("d-0", "It was 9920.", False), Answer("d-0", "x" * 83 + " It is 4471.", True)
    scores = (replace(score, answers=(said,)) for score, said in ((VERDICT.before, before), (VERDICT.after, after)))
    verdict = replace(VERDICT, **dict(zip(("before", "after"), scores, strict=True)))
    night = record(RESULT, verdict, (door,), (probe,))
    shown, kept = morning.text(night), encode(night).decode()
    assert "[1/1] Your door code is ****." in shown
    assert "4471" not in shown + kept and "9920" not in shown + kept


def test_an_answer_takes_one_line_of_bounded_length() -> None:
    for length in (89, 90, 91, 500):
        answers = (Answer("a1-0", "x" * length, True), *AFTER[1:])
        lines = page(verdict=replace(VERDICT, after=replace(VERDICT.after, answers=answers))).splitlines()
        [shown] = [line.split("after:  ")[1] for line in lines if "after:  x" in line]
        assert len(shown) == min(length, 90)
        assert shown.endswith("...") == (length > 90)


if __name__ == "__main__":
    GOLDEN.write_text(page(), "utf-8")
