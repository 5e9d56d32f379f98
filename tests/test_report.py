"""The page of a night, to the letter. Run as a script, this file writes the golden page again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgesleep.night import report
from edgesleep.records import Answer, Dreams, Finding, Memory, Merge, NightReport, Probe, Score, Verdict

GOLDEN = Path(__file__).parent / "golden" / "report.txt"

MEMORIES = (
    Memory("a", "relation", "my sister|name", "Your sister is called Ingrid.", "", "Ingrid", (), (1,), ""),
    Memory("b", "fact", "i|live|place", "You live in Skelwick.", "", "Skelwick", (), (3, 9), ""),
    Memory("c", "fact", "i|diet", "You are vegan.", "", "vegan", (), (5,), ""),
)
PROBES = (
    Probe("a-0", "a", "Remind me, what is my sister called?", "Ingrid"),
    Probe("a-1", "a", "I forgot: who is my sister?", "Ingrid"),
    Probe("b-0", "b", "Any idea where I live?", "Skelwick"),
)
BEFORE = (
    Answer("a-0", "I don't know your sister.", False),
    Answer("a-1", "", False),
    Answer(
        "b-0",
        "You live in a house.\n\nIt has a roof,\t and under it there are rooms; in the rooms there is you.",
        False,
    ),
)
AFTER = (
    Answer("a-0", "Your sister is called Ingrid.", True),
    Answer("a-1", "Your sister is called Astrid.", False),
    Answer("b-0", "You live in Skelwick.", True),
)
RESULT = NightReport(
    night=12,
    status="promoted",
    reason="3 memories rehearsed.",
    generation=7,
    model="home/generations/0007/model.gguf",
    memories_found=2,
    memories_trained=3,
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
MOVES = Merge("after", 98_362_432, codes=106_168_320, moved=4_246_733, tensors=())


def page(result: NightReport = RESULT, verdict: Verdict = VERDICT, moves: Merge = MOVES) -> str:
    return report.text(result, MEMORIES, Dreams((), PROBES), verdict, moves)


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
    shown = report.text(RESULT, (door,), Dreams((), (probe,)), verdict, MOVES)
    assert "[1/1] Your door code is ****." in shown
    assert "44" not in shown.partition("[1/1]")[2] and "9920" not in shown


def test_a_merge_that_moved_nothing_of_nothing_is_told() -> None:
    assert "0 of 0 (0.0%)" in page(moves=replace(MOVES, codes=0, moved=0))


def test_an_answer_takes_one_line_of_bounded_length() -> None:
    for length in (89, 90, 91, 500):
        answers = (Answer("a-0", "x" * length, True), *AFTER[1:])
        lines = page(verdict=replace(VERDICT, after=replace(VERDICT.after, answers=answers))).splitlines()
        [shown] = [line.split("after:  ")[1] for line in lines if "after:  x" in line]
        assert len(shown) == min(length, 90)
        assert shown.endswith("...") == (length > 90)


if __name__ == "__main__":
    GOLDEN.write_text(page(), "utf-8")
