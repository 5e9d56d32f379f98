"""The evaluation harness: looking up, every arm, general ability, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ability
import numpy as np
import pytest
from arms import (
    Asking,
    choice_losses,
    fitted,
    in_context,
    nights_of,
    prompt,
    without_context,
)
from exams import STYLES, Exam, Question, Said, hand
from finds import finds
from nights import SETTINGS
from retrieve import Lexical, Missing, Semantic, sentence_model
from tiny import make_tiny

from edgesleep.engine import Engine

ROOT = Path(__file__).parents[1]
HAND = hand()[0]


# -- looking up --------------------------------------------------------------------------------------------------------


def test_bm25_finds_the_turns_with_the_words_of_a_question() -> None:
    found = Lexical(HAND.turns(2)).top("Which lurcher has an odd name?", 3)
    assert "Pretzel" in " ".join(turn.text for turn in found) and len(found) <= 3
    assert all(turn.teaches for turn in found)
    assert [turn.at for turn in found] == sorted(turn.at for turn in found)


@pytest.mark.parametrize("query", ["", "?!", '"', "NEAR AND OR NOT", "text:x*", "zzzz"])
def test_bm25_takes_any_question(query: str) -> None:
    Lexical(HAND.turns(0)).top(query, 3)
    assert Lexical([]).top(query, 3) == []


@pytest.mark.slow
def test_embeddings_find_what_means_the_same() -> None:
    embedder = sentence_model(threads=1)
    found = Semantic(HAND.turns(0), embedder).top("Which musical instrument is being studied?", 3)
    assert "accordion" in " ".join(turn.text for turn in found)
    assert Semantic([], embedder).top("anything", 3) == []


def test_letters_never_stand_in_for_the_embedding_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Missing, match="onnxruntime"):
        sentence_model(threads=1)


# -- the arms, small ---------------------------------------------------------------------------------------------------

ASKING = Asking(threads=1, window=200, answer_tokens=4, together=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


def small_exam() -> Exam:
    """Two days with plain sentences, one of which is corrected."""

    def told(day: int, texts: list[str]) -> tuple[Said, ...]:
        at = f"2026-01-0{day + 1}T08:0"
        return tuple(Said(f"{day}.{n}", f"{at}{n}:00+00:00", "user", "user", text) for n, text in enumerate(texts))

    sister = Question("s", "s", 0, "Which name has my sister?", "new", ("ingrid",), (), ("0.0",))
    home = Question("h", "h", 0, "Where's my house?", "new", ("skelwick",), (), ("0.1",), until=1)
    moved = Question("m", "h", 1, "Where's my house now?", "correction", ("bergen",), ("skelwick",), ("1.0",))
    choice = Question("c", "s", 0, "Who?", "new", ("Ingrid",), (), ("0.0",), choices=("Ingrid", "Olga", "Ann"))
    days = (told(0, ["My sister is called Ingrid.", "I live in Skelwick."]), told(1, ["I live in Bergen."]))
    return Exam("small", days, (sister, home, moved, choice))


@pytest.mark.parametrize(
    "arm", ["nothing", "whole", "evidence", "bm25", pytest.param("embedding", marks=pytest.mark.slow)]
)
def test_an_arm_asks_what_holds_after_every_day(arm: str, tiny: Path) -> None:
    replies = in_context(arm, tiny, small_exam(), ASKING)
    assert [(reply.night, reply.question) for reply in replies] == [
        *((0, "s"), (0, "h"), (0, "c")),
        *((1, "s"), (1, "m"), (1, "c")),
    ]
    assert all(len(reply.text.split()) == 3 for reply in replies if reply.question == "c"), "a loss for every choice"
    assert in_context(arm, tiny, small_exam(), ASKING) == replies


def test_arms_differ_in_nothing_but_the_prompt(tiny: Path) -> None:
    """The same turn in context is found by whole and by bm25 where there is no other."""
    exam = small_exam()
    one = replace(exam, days=(exam.days[0][:1],), questions=exam.questions[:1])
    found = in_context("whole", tiny, one, ASKING)
    assert found == in_context("bm25", tiny, one, ASKING) == in_context("evidence", tiny, one, ASKING)
    assert [reply.text for reply in found] != [reply.text for reply in in_context("nothing", tiny, one, ASKING)]


def test_the_oldest_turns_go_first(tiny: Path) -> None:
    turns = [Said(str(n), f"2026-01-01T00:00:{n:02d}+00:00", "user", "user", f"Fact {n} is short.") for n in range(30)]
    with Engine(tiny, threads=1, context=200) as engine:
        kept = fitted(engine, "What is it?", turns, 190)
        assert 1 <= len(kept) < 30 and kept == turns[-len(kept) :]
        assert len(engine.chat(prompt("What is it?", kept))) <= 190
        assert len(engine.chat(prompt("What is it?", turns[-len(kept) - 1 :]))) > 190
        assert fitted(engine, "What is it?", turns, 1) == turns[-1:]
        assert fitted(engine, "What is it?", [], 1) == []


def test_the_losses_of_a_choice_are_those_of_its_tokens(tiny: Path) -> None:
    messages = prompt("What is it?", [])
    with Engine(tiny, threads=1, context=200) as engine:
        tokens, start = engine.exchange(messages, "Oslo")
        assert engine.ends(tokens[-1])
        wanted = engine.losses(tokens[:-1])[start - 1 :].mean()
        assert choice_losses(engine, messages, ["Oslo"]) == [pytest.approx(float(wanted), abs=1e-5)]


@pytest.mark.usefixtures("one_thread")
def test_nights_are_slept_in_one_home_and_the_served_file_is_asked(tiny: Path) -> None:
    before = tiny.read_bytes()
    exam, seen = small_exam(), []
    for slept in nights_of(tiny, "tiny", exam, SETTINGS, ASKING):
        assert slept.model.read_bytes() != before and slept.model.stat().st_size == len(before)
        seen.append((slept.report.status, slept.report.memories_found, [reply.question for reply in slept.replies]))
        bare = [replace(reply, trained=False) for reply in slept.replies]
        assert bare == without_context(slept.model, exam, slept.night, ASKING)
    assert seen == [("promoted", 3, ["s", "h", "c"]), ("promoted", 1, ["s", "m", "c"])]
    assert not slept.model.exists() and tiny.read_bytes() == before


def test_curation_is_counted_by_source_and_value() -> None:
    found = finds(small_exam())
    assert found.found == ("s (day 1)", "h (day 1)", "h (day 2)") and not found.missed + found.foreign
    assert found.other == ("Ingrid is your sister.",)
    nowhere = replace(small_exam().questions[0], accepted=("olga",))
    missed = finds(replace(small_exam(), questions=(nowhere,)))
    assert (missed.found, missed.missed, missed.share) == ((), ("s (day 1)",), 0.0)
    assert len(missed.other) == missed.memories == 4


def test_curation_of_the_hand_written_days_teaches_nothing_false() -> None:
    assert finds(HAND).foreign == ()


# -- general ability ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts and tasks in the form of the development data."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "retention_text").mkdir()
    (folder / "retention_tasks").mkdir()
    (folder / "retention_text" / "c4_web.jsonl").write_text('{"id": "a", "text": "Rain fell on the quay."}\n', "utf-8")
    (folder / "retention_text" / "wikitext2_valid.txt").write_text("= Title =\n" + "The kettle sang . " * 20, "utf-8")
    last = '{"id": "l", "context": "The kettle sang on the", "continuation": "stove"}\n'
    (folder / "retention_tasks" / "lambada.jsonl").write_text(last * 2, "utf-8")
    for task in ability.CHOICES:
        line = '{"id": "x", "query": "Question: What sang?", "choices": ["the kettle", "a stone"], "gold": 0}\n'
        (folder / "retention_tasks" / f"{task}.jsonl").write_text(line * 3, "utf-8")
    return folder


def test_a_file_against_itself_lost_nothing(tiny: Path, data: Path) -> None:
    scores = ability.measure(tiny, data, 2, threads=1)
    assert set(scores.losses) == {"c4", "wikitext2"} and {*scores.right} == {*ability.TASKS}
    assert all(len(right) == 2 == len(scores.gold[task]) for task, right in scores.right.items())
    for change in ability.compare(scores, scores):
        assert (change.change, change.error, change.middle, change.gold) == (0.0, 0.0, 0.0, 0.0)
        assert change.before == change.after


def test_changes_are_paired(tiny: Path, data: Path, tmp_path: Path) -> None:
    one = ability.measure(tiny, data, 0, threads=1)
    two = ability.measure(make_tiny(tmp_path / "other.gguf", "llama", seed=1), data, 0, threads=1)
    changes = {change.name: change for change in ability.compare(one, two)}
    for name in one.losses:
        assert changes[name].change == pytest.approx(float((two.losses[name] - one.losses[name]).mean()), abs=1e-5)
    assert changes["piqa"].gold == pytest.approx(np.mean(np.subtract(two.gold["piqa"], one.gold["piqa"])))
    with pytest.raises(ValueError, match="cannot be paired"):
        ability.compare(one, ability.measure(tiny, data, 1, threads=1))


def test_a_continuation_is_likelier_than_not_by_its_bytes(tiny: Path) -> None:
    with Engine(tiny, threads=1, context=64) as engine:
        before, after = engine.tokenize("The kettle", begin=True), engine.tokenize(" sang")
        losses = engine.losses(before + after)[-len(after) :]
        assert ability.continuation(engine, "The kettle", " sang") == pytest.approx(-float(losses.sum()) / 5, abs=1e-5)
        long = ability.continuation(engine, "The kettle sang. " * 50, " sang")
        assert np.isfinite(long), "the end of a context that is too long is kept"


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "learn.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_command_prints_a_table_and_writes_json(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "learn.json"
    done = run("--model", tiny, "--arms", "nothing", "bm25", "--threads", 1, "--window", 400, "--json", path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("hand")]
    assert [line[1] for line in lines] == ["nothing", "bm25"]
    paper = json.loads(path.read_text("utf-8"))
    assert paper["commit"] and paper["machine"]["processor"] and paper["command"].endswith(str(path))
    wanted = len([question for question in HAND.questions if question.day == 0])
    assert [len(entry["replies"]) for entry in paper["runs"]] == [wanted, wanted]
    for entry in paper["runs"]:
        assert {reply["style"] for reply in entry["replies"]} == set(STYLES)
        assert entry["summary"]["recall"] is not None and entry["summary"]["oblique"] is not None


def test_curation_is_counted_without_a_model() -> None:
    done = run("--curate-only", "--nights", 3)
    assert done.returncode == 0 and "hand" in done.stdout, done.stderr


def test_a_wrong_set_is_explained() -> None:
    done = run("--curate-only", "--sets", "tofu", "--data", "/nowhere")
    assert done.returncode == 1 and "Error: The data for tofu is not there." in done.stderr and "Try:" in done.stderr
    done = run("--curate-only", "--only", "hnad")
    assert done.returncode == 1 and "There is no exam hnad." in done.stderr
