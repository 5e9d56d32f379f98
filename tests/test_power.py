"""The power goes out at any moment of a night, a publish or a way back: what is left is whole, and goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from grown import Bases, fails, go_to, grow, make_store, run
from hollow import ends, hollow, sound
from nights import SETTINGS, make_home, tell
from power import Disk, Tree, lay
from tiny import make_tiny

from edgesleep import machine
from edgesleep.errors import EdgesleepError
from edgesleep.files import remove, whole_file, write_atomically
from edgesleep.night.cycle import run_night
from edgesleep.records import file_digest
from edgesleep.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="holds inodes as only Linux can")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


# -- the record itself: it has to find what is wrong -----------------------------------------------------------------


def states_of(folder: Path, work: Callable[[Path], object]) -> list[Tree]:
    disk = Disk(folder)
    with disk.recorded():
        work(folder)
    return [tree for _, tree in disk.states()]


def test_a_file_that_is_written_atomically_is_old_or_new(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    states = states_of(tmp_path, lambda folder: write_atomically(folder / "file", b"new and longer"))
    assert {tree["file"] for tree in states} == {b"old", b"new and longer"}
    assert states[-1] == {"file": b"new and longer"}, "when the call has returned, it lasts"


def test_a_file_that_is_written_in_place_may_be_anything(tmp_path: Path) -> None:
    def in_place(folder: Path) -> None:
        (folder / "file").write_bytes(b"new.")
        write_atomically(folder / "other", b"")

    (tmp_path / "file").write_bytes(b"old.")
    assert {tree["file"] for tree in states_of(tmp_path, in_place)} == {b"old.", b"new.", b"ne", b"\0" * 4}


def test_a_rename_without_a_sync_of_the_bytes_may_leave_none(tmp_path: Path) -> None:
    def hasty(folder: Path) -> None:
        (folder / ".file.tmp").write_bytes(b"new.")
        (folder / ".file.tmp").replace(folder / "file")

    (tmp_path / "file").write_bytes(b"old.")
    assert {tree["file"] for tree in states_of(tmp_path, hasty)} == {b"old.", b"new.", b"ne", b"", b"\0" * 4}


def test_removals_and_renames_may_change_places_unless_a_folder_is_synced(tmp_path: Path) -> None:
    def plainly(folder: Path) -> None:
        (folder / "mark").unlink()
        write_atomically(folder / "file", b"new")

    def orderly(folder: Path) -> None:
        remove(folder / "mark")
        write_atomically(folder / "file", b"new")

    for work, possible in ((plainly, True), (orderly, False)):
        folder = tmp_path / work.__name__
        folder.mkdir()
        for name in ("mark", "file"):
            (folder / name).write_bytes(b"old")
        states = states_of(folder, work)
        assert any(tree["file"] == b"new" and "mark" in tree for tree in states) is possible


def test_a_new_folder_lasts_with_what_is_written_into_it(tmp_path: Path) -> None:
    states = states_of(tmp_path, lambda folder: write_atomically(folder / "a" / "b" / "file", b"new"))
    assert states[-1] == {"a": None, "a/b": None, "a/b/file": b"new"}


def test_a_write_that_ends_in_an_error_leaves_the_old_one(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        with suppress(ZeroDivisionError), whole_file(folder / "file") as file:
            file.write(b"half")
            raise ZeroDivisionError

    (tmp_path / "file").write_bytes(b"old")
    assert {tree["file"] for tree in states_of(tmp_path, broken)} == {b"old"}


@pytest.fixture
def after_the_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on the machine has been started again: this process is none that left anything."""
    return lambda: monkeypatch.setattr(machine, "boot", lambda: "after the cut")


# -- a night ---------------------------------------------------------------------------------------------------------


def test_every_state_of_a_night_is_sound_and_the_next_night_completes(
    home: Path, base: Path, tmp_path: Path, after_the_cut: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third night: it goes on from one model and gives up another."""
    hollow(monkeypatch)
    said = ["I live in Skelwick.", "I play the zither.", "I keep bees."]
    make_home(home, base, ())
    for text in said[:2]:
        tell(home, text)
        assert run_night(home, SETTINGS).status == "promoted"
    tell(home, said[2])
    disk, pristine = Disk(home), base.read_bytes()
    with disk.recorded():
        assert run_night(home, SETTINGS).status == "promoted"
    after_the_cut()
    wanted, count, begun = file_digest(Store(home).model_path()), 0, set()
    for call, tree in disk.states():
        cut = lay(tree, tmp_path / "cut")
        try:
            begun.add(Store(cut).current())
            sound(cut, pristine, len(said))
            ends(cut, wanted, 3)
        except AssertionError as error:
            raise AssertionError(f"a power cut at {call}: {error}") from error
        shutil.rmtree(cut)
        count += 1
    assert begun == {2, 3}
    assert count > 200, "hardly any state was seen"


# -- what else changes a home ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_state_of_going_back_is_sound(
    number: int, home: Path, bases: Bases, tmp_path: Path, after_the_cut: Callable[[], None]
) -> None:
    """To the base, to a model that is made again, to the one before: what is served is the one or the other."""
    store = make_store(home, bases)
    for taught in ((), (), ()):
        grow(store, *taught)
    disk, pristine = Disk(home), bases.first.read_bytes()
    with disk.recorded():
        go_to(store, number)
    after_the_cut()
    serving = set()
    for call, tree in disk.states():
        cut = lay(tree, tmp_path / "cut")
        try:
            sound(cut, pristine, 1)
            serving.add(Store(cut).current())
            go_to(Store.open(cut), number)
            grow(Store.open(cut))
            sound(cut, pristine, 1)
        except (AssertionError, EdgesleepError) as error:
            raise AssertionError(f"a power cut at {call}: {error}") from error
        shutil.rmtree(cut)
    assert serving == {3, number}


def test_every_state_of_choosing_a_model_can_be_chosen_in_again(
    tmp_path: Path, base: Path, after_the_cut: Callable[[], None]
) -> None:
    (tmp_path / "disk").mkdir()
    home = tmp_path / "disk" / "home"
    disk = Disk(home.parent)
    with disk.recorded():
        assert run("--home", home, "init", "--model", base).exit_code == 0
    after_the_cut()
    states = [tree for _, tree in disk.states()]
    assert "home/config.toml" in states[-1] and "home/base.json" in states[-1]
    for tree in states:
        cut = lay(tree, tmp_path / "cut")
        if "home/base.json" not in tree:
            assert "edgesleep init" in fails("--home", cut / "home", "status")
        assert run("--home", cut / "home", "init", "--model", base).exit_code == 0
        assert run("--home", cut / "home", "verify").exit_code == 0
        shutil.rmtree(cut)
