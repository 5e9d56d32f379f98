"""Artefacts: made once from the same inputs, again from others, and never half."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesleep.night.artefacts import Artefacts, Interrupted, folder_of, shared

HEARD: list[str] = []


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    HEARD.clear()
    folder_of(tmp_path, 1).mkdir(parents=True)
    return Artefacts(folder_of(tmp_path, 1), HEARD.append, lambda: False)


def make(artefacts: Artefacts, said: str, *inputs: object) -> str:
    return artefacts.make("one.json", inputs, lambda path: path.write_text(said)).read_text()


def test_it_is_made_once_from_the_same_inputs(artefacts: Artefacts) -> None:
    assert [make(artefacts, said, 1, "a") for said in ("first", "second")] == ["first", "first"]
    assert make(artefacts, "third", 2, "a") == "third"
    assert (HEARD, artefacts.folder.name) == (["one", "one"], "0001")
    assert artefacts.made("one.json", (2, "a")) and not artefacts.made("one.json", (1, "a"))


def test_it_is_heard_of_by_its_stage_or_not_at_all(artefacts: Artefacts) -> None:
    for name, stage in (("a.json", "train"), ("b.json", None), ("c.d.json", "")):
        artefacts.make(name, [], Path.touch, stage)
    assert HEARD == ["train", "c.d"]


def test_when_asked_to_stop_only_what_is_there_is_given(artefacts: Artefacts) -> None:
    make(artefacts, "first", 1)
    stopped = replace(artefacts, should_stop=lambda: True)
    assert make(stopped, "second", 1) == "first"
    with pytest.raises(Interrupted):
        make(stopped, "second", 2)
    assert artefacts.made("one.json", (1,))


def test_what_was_cut_short_does_not_count(artefacts: Artefacts) -> None:
    make(artefacts, "first", 1)

    def cut(path: Path) -> None:
        path.write_text("ha")
        raise OSError

    with pytest.raises(OSError):
        artefacts.make("one.json", [2], cut)
    assert not artefacts.made("one.json", [1]) and not artefacts.made("one.json", [2])
    assert make(artefacts, "whole", 2) == "whole"


def test_what_has_to_do_with_the_base_alone_lies_beside_the_nights(artefacts: Artefacts, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    path = artefacts.make(shared("anchors", [1]), [1], Path.touch)
    assert path.resolve().parent == tmp_path / "cache"
    assert Artefacts(folder_of(tmp_path, 2), HEARD.append, lambda: True).folder.parent == artefacts.folder.parent
    assert shared("anchors", [1]) != shared("anchors", [2]) != shared("standing", [2])


def test_records_stay_when_the_night_has_ended(artefacts: Artefacts) -> None:
    kept = ("verdict.json", "verdict.json.inputs", "report.txt")
    for name in (*kept, "candidate.gguf", "adapter-1.safetensors", "checkpoint-1.npz", ".verdict.json.7.tmp"):
        (artefacts.folder / name).touch()
    artefacts.tidy()
    assert {path.name for path in artefacts.folder.iterdir()} == set(kept)
