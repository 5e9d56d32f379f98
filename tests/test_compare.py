"""What sets two generations apart: memories by their manifests, answers by asking both."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from grown import (
    CAT,
    DELTA,
    DOG,
    HORSE,
    MANIFEST,
    fails,
    grow,
    kept,
    run,
)

from edgesleep import records
from edgesleep.journal import Journal
from edgesleep.night import compare
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


def test_diff_says_which_memories_and_which_answers(store: Store) -> None:
    grow(store, DOG, CAT)
    grow(store, DOG)
    grow(store, DOG, HORSE)
    with Journal.open(store.home) as journal:
        journal.forget([CAT])
    found = json.loads(run("diff", 1, 3, "--json").stdout)
    assert [row["id"] for row in found["added"]] == [HORSE]
    assert [(row["id"], row["statement"]) for row in found["removed"]] == [(CAT, "(forgotten)")]
    assert (found["reworded"], found["asked"]) == ([], 2)
    assert len(found["answers"]) == 2, "random models that say the same"
    for row in found["answers"]:
        assert row["before"] != row["after"] and row["right_before"] is row["right_after"] is False
        assert "name" in row["question"].lower(), "the wording held out"
    assert kept(store, 1) == {DELTA, MANIFEST}, "made again only for that"
    text = run("diff", 1, 3).stdout
    assert f"  + {HORSE}  Your horse is called Rask." in text and "Answers: 2 of 2 are others" in text


def test_diff_of_a_generation_with_itself_is_nothing(store: Store) -> None:
    grow(store, DOG)
    found = json.loads(run("diff", 1, 1, "--json").stdout)
    assert (found["added"], found["removed"], found["reworded"], found["answers"]) == ([], [], [], [])
    assert found["asked"] == 1


def test_diff_without_asking_loads_no_model(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = grow(store, DOG)
    records.dump(replace(made, memory_sha256={DOG: "0" * 64}), store.folder(1) / MANIFEST)
    grow(store, DOG, HORSE)
    monkeypatch.setattr(compare, "Engine", None)
    text = run("diff", 1, 2, "--no-ask").stdout.splitlines()
    assert text == [
        "Memories, from generation 1 to 2:",
        f"  + {HORSE}  Your horse is called Rask.",
        f"  ~ {DOG}  Your dog is called Miso.",
    ]
    assert "the same" in run("diff", 0, 0, "--no-ask").stdout
    assert "no generation 7" in fails("diff", 0, 7)


def test_diff_shows_no_secret(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(store, DOG)
    with Journal.open(store.home) as journal:
        (dog,) = (memory for memory in journal.memories() if memory.id == DOG)
        journal.adopt([dog], secret="0" * 64)
    said = compare.Answered(DOG, "What is my dog called?", "Miso, it is.", "No.", True, False)
    found = compare.Difference((DOG,), (), (), 1, (said,))
    monkeypatch.setattr(compare, "compare", lambda *_: found)
    for words in (("diff", 0, 1), ("diff", 0, 1, "--json")):
        assert "Miso" not in run(*words).stdout
