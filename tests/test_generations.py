"""Everything can be undone: models made again to the byte, and moves that may be cut anywhere."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from grown import (
    ADAPTER,
    CAT,
    DELTA,
    DOG,
    HORSE,
    MANIFEST,
    MODEL,
    Bases,
    another_dither,
    change_base,
    failed,
    fails,
    full,
    go_to,
    grow,
    kept,
    migrate,
    run,
    standing,
    tree,
)
from nights import SETTINGS, TEXT, make_home, sleep
from test_store import Cut, cut_at

from edgesleep import cli, config
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import gate, generations
from edgesleep.records import file_digest
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


# -- made again ------------------------------------------------------------------------------------------------------


def test_a_dropped_model_is_made_again_to_the_byte(store: Store) -> None:
    first = grow(store, DOG)
    whole = {name: (store.folder(1) / name).read_bytes() for name in (MODEL, ADAPTER, DELTA, MANIFEST)}
    grow(store, DOG)
    grow(store, DOG)
    assert {path.name for path in store.folder(1).iterdir()} == {DELTA, MANIFEST}
    assert file_digest(generations.model(store, 1)) == first.model_sha256
    assert {path.name: path.read_bytes() for path in store.folder(1).iterdir()} == whole
    assert store.current() == 3
    grow(store, DOG)
    assert {path.name for path in store.folder(1).iterdir()} == {DELTA, MANIFEST}, "it is kept for a day"


def test_a_damaged_model_is_made_again(store: Store) -> None:
    made = grow(store, DOG)
    store.model_path(1).write_bytes(b"bit rot")
    assert file_digest(generations.model(store, 1)) == made.model_sha256
    assert store.current() == 1


def test_rollback_and_path_reach_a_model_that_is_not_kept(store: Store) -> None:
    made = [grow(store, DOG), grow(store, DOG), grow(store, DOG)]
    assert "(made again when asked for)" in run("generations").stdout.splitlines()[1]
    before = tree(store.home)
    assert run("path", 1, "--dry-run").stdout == f"Would make {store.folder(1) / MODEL} again.\n"
    assert run("rollback", 1, "--dry-run").stdout.startswith("Would serve generation 1 instead of 3")
    assert tree(store.home) == before
    told = json.loads(run("path", 1, "--json").stdout)
    assert (told["generation"], told["made_again"], file_digest(Path(told["model"]))) == (1, True, made[0].model_sha256)
    (store.folder(1) / MODEL).unlink()
    told = json.loads(run("rollback", 1, "--json").stdout)
    assert (told["generation"], told["instead_of"], store.current()) == (1, 3, 1)
    assert file_digest(store.model_path()) == made[0].model_sha256
    (store.folder(1) / MODEL).unlink()
    assert "`edgesleep path 1` makes it again" in fails("ask", "Who?", "--no-log")
    assert run("path").stdout == f"{store.folder(1) / MODEL}\n"


def test_a_night_s_model_is_made_again_to_the_byte(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the base and the delta, once the night's own files are gone."""
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(gate, "right", lambda text, gold: True)
    make_home(home, bases.first)
    with pytest.raises(EdgesleepError, match=r"store\.disk allows"):
        sleep(home, replace(SETTINGS, store=config.StoreSettings(disk=1e-4)))
    assert sleep(home)[0].status == "promoted"
    store = Store(home)
    made = store.generation(1)
    for name in (MODEL, ADAPTER):
        (store.folder(1) / name).unlink()
    assert file_digest(generations.model(store, 1)) == made.model_sha256
    assert file_digest(store.folder(1) / ADAPTER) == made.adapter_sha256
    assert set(made.results.learned) == set(made.memory_ids)


def damage_delta(store: Store) -> None:
    path = store.folder(1) / DELTA
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")


def remove_delta(store: Store) -> None:
    (store.folder(1) / DELTA).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_delta, "The delta of generation 1 is damaged"),
        (remove_delta, "Of generation 1 only the manifest is kept"),
        (another_dither, "not the file that was tested then"),
        (change_base, "is no longer the file that was adopted"),
    ],
)
def test_what_cannot_be_made_again_is_told_and_changes_nothing(
    store: Store, damage: Callable[[Store], None], said: str
) -> None:
    for _ in range(3):
        grow(store, DOG)
    damage(store)
    before, held = tree(store.home), standing(store.home)
    for words in (("path", 1), ("rollback", 1)):
        assert said in fails(*words)
    assert (tree(store.home), standing(store.home)) == (before, held)


@pytest.mark.parametrize("where", ["write", "fsync"])
def test_a_full_disk_is_told_and_does_no_damage(store: Store, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        grow(store, DOG)
    before = tree(store.home)
    monkeypatch.setattr(*{"write": (generations.merge, "export"), "fsync": (os, "fsync")}[where], full)
    assert "No space left on device" in fails("rollback", 1)
    assert tree(store.home) == before
    monkeypatch.undo()
    assert not list(store.home.rglob(".*"))


def test_a_lent_model_goes_again_and_a_kept_one_stays(store: Store) -> None:
    for _ in range(3):
        grow(store, DOG)
    with store.lend(1, partial(generations.make, store, 1)) as path:
        assert path.exists()
    assert {path.name for path in store.folder(1).iterdir()} == {DELTA, MANIFEST}
    with store.lend(2, partial(generations.make, store, 2)) as path:
        pass
    assert path.exists()


def test_what_is_lent_is_not_what_others_are_given(store: Store) -> None:
    """It goes again, and a path that was printed meanwhile would be of nothing."""
    for _ in range(3):
        grow(store, DOG)
    with store.lend(1, partial(generations.make, store, 1)) as path:
        assert path.parent != store.folder(1) and kept(store, 1) == {DELTA, MANIFEST}
        with pytest.raises(BusyError):
            generations.model(Store(store.home), 1)
    assert not path.exists()
    assert generations.model(store, 1).exists()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"rot")], ids=["gone", "rot"])
def test_an_adapter_that_is_gone_or_damaged_is_made_again(store: Store, damage: Callable[[Path], object]) -> None:
    made = grow(store, DOG)
    damage(store.folder(1) / ADAPTER)
    assert failed(store.home)
    generations.model(store, 1)
    assert file_digest(store.folder(1) / ADAPTER) == made.adapter_sha256
    assert failed(store.home) == []
    damage(store.folder(1) / ADAPTER)
    remove_delta(store)
    assert file_digest(generations.model(store, 1)) == made.model_sha256, "it holds up no whole model"


# -- memories follow -------------------------------------------------------------------------------------------------


def test_going_back_and_forth_keeps_what_each_generation_had_learned(store: Store) -> None:
    grow(store, DOG)
    grow(store, DOG, CAT, learned=(DOG,))
    assert go_to(store, 1) == 1
    assert standing(store.home) == {DOG: ("learned", 1), CAT: ("new", None), HORSE: ("new", None)}
    assert go_to(store, 2) == 0
    assert standing(store.home) == {DOG: ("learned", 1), CAT: ("new", None), HORSE: ("new", None)}
    with Journal.open(store.home) as journal:
        assert not journal.resting(store.next_number())


def test_what_is_put_otherwise_now_was_not_learned_by_an_earlier_generation(store: Store) -> None:
    grow(store, DOG)
    assert go_to(store, 0) == 1
    with Journal.open(store.home) as journal:
        (now,) = (memory for memory in journal.memories() if memory.id == DOG)
        journal.adopt([replace(now, statement="Miso is your dog.")])
    go_to(store, 1)
    assert standing(store.home)[DOG] == ("new", None)


def test_an_interrupted_night_chooses_anew_after_a_move(store: Store) -> None:
    grow(store, DOG)
    with Journal.open(store.home) as journal:
        night = journal.begin_night()
    left = store.home / "nights" / f"{night:04d}" / "memories.json"
    left.touch()
    assert run("rollback", "--dry-run").exit_code == 0 and left.exists()
    assert run("rollback").exit_code == 0 and not left.exists()


# -- another base ----------------------------------------------------------------------------------------------------


def test_another_base_is_learned_from_the_beginning_and_can_be_undone(store: Store, bases: Bases) -> None:
    made = grow(store, DOG, CAT)
    before = standing(store.home)
    told = run("migrate", "--model", bases.second)
    assert "Left generations: 1; `edgesleep rollback 1` goes back" in told.stdout
    assert "learned anew: 2" in told.stdout
    assert (store.current(), store.model_path(), store.left()) == (0, bases.second, [1])
    assert {state for state, _ in standing(store.home).values()} == {"new"}
    assert config.load(store.home).model == str(bases.second)
    assert failed(store.home, rebuild=True) == []

    second = grow(store, DOG)
    assert (second.number, second.parent, second.base_sha256) == (2, 0, file_digest(bases.second))
    assert f"on {bases.first.stem}" in run("generations").stdout.splitlines()[1]
    assert run("rollback", 1).exit_code == 0
    assert file_digest(store.model_path()) == made.model_sha256 and store.model_path(0) == bases.first
    assert config.load(store.home).model == "first"
    assert standing(store.home) == before
    assert (go_to(store, 2), store.model_path(0)) == (1, bases.second), "the cat it was not taught"
    assert standing(store.home)[DOG] == ("learned", 2)
    assert failed(store.home, rebuild=True) == []


def test_what_was_left_can_be_removed(store: Store, bases: Bases) -> None:
    grow(store, DOG)
    would = json.loads(run("migrate", "--model", bases.second, "--remove-left", "--dry-run", "--json").stdout)
    assert would["generations_removed"] == [1] and would["dry_run"] and store.numbers() == [1]
    assert "Left" in run("migrate", "--model", bases.second).stdout
    grow(store, DOG)
    told = json.loads(run("migrate", "--model", bases.second, "--remove-left", "--json").stdout)
    assert (told["generations_removed"], told["memories_again"]) == ([1], 0)
    assert (store.numbers(), store.current(), len(store.bases())) == ([2], 2, 1)
    assert "no generation 1" in fails("rollback", 1)
    assert failed(store.home) == []
    assert grow(store, DOG).number == 3


def test_a_migration_that_is_only_asked_about_changes_nothing(store: Store, bases: Bases) -> None:
    grow(store, DOG)
    before, held = tree(store.home), standing(store.home)
    said = run("migrate", "--model", bases.second, "--dry-run").stdout.splitlines()
    assert said[0] == f"Would make {bases.second} the base."
    assert said[-1] == "Memories to be learned anew: 1"
    for spec in ("nonesuch", bases.first.parent, store.home / "base.json"):
        fails("migrate", "--model", spec)
    assert (tree(store.home), standing(store.home)) == (before, held)


def test_a_base_that_was_moved_is_found_again(store: Store, tmp_path: Path, bases: Bases) -> None:
    grow(store, DOG)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(bases.second.read_bytes())
    migrate(store, copy)
    copy.rename(tmp_path / "moved.gguf")
    grow_error = fails("path", 0)
    assert "copy.gguf cannot be read" in grow_error and "edgesleep init --model" in grow_error
    assert migrate(store, tmp_path / "moved.gguf") == 0
    assert store.model_path() == tmp_path / "moved.gguf" and store.left() == [1]


def test_a_base_that_is_gone_is_told_before_anything_changes(store: Store, bases: Bases, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(bases.second.read_bytes())
    grow(store, DOG)
    migrate(store, copy)
    grow(store, DOG)
    go_to(store, 1)
    copy.unlink()
    before, held = tree(store.home), standing(store.home)
    assert "edgesleep migrate --model` with its new path" in fails("rollback", 2)
    assert (tree(store.home), standing(store.home), store.current()) == (before, held, 1)
    assert len(failed(store.home)) == 1 and failed(store.home)[0].startswith("base copy: It cannot be read")


MOVES: dict[str, Callable[[Store, Bases], object]] = {
    "rollback": lambda store, bases: go_to(store, 1),
    "to the other base": lambda store, bases: go_to(store, 2),
    "migrate": lambda store, bases: migrate(store, bases.second),
    "remove": lambda store, bases: store.remove_left(),
}


@pytest.mark.parametrize("error", [Cut(), OSError(errno.ENOSPC, "No space left on device")], ids=["killed", "full"])
@pytest.mark.parametrize("move", MOVES)
def test_a_move_may_be_cut_anywhere(
    move: str, error: BaseException, home: Path, store: Store, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is served is whole and goes with its base; nothing counts as learned that the served model was not taught.

    Generations 1, 3 and 4 are on the first base, 2 on the second; 1 and 2 are not kept.
    """
    grow(store, DOG)
    migrate(store, bases.second)
    grow(store, CAT)
    go_to(store, 1)
    grow(store, DOG, HORSE)
    grow(store, DOG, HORSE)
    pristine = tree(home)
    known = {0: set(), 1: {DOG}, 2: {CAT}, 3: {DOG, HORSE}, 4: {DOG, HORSE}}
    step, raised = 0, True
    while raised:
        reset(home, pristine)
        raised = False

        def end() -> None:
            nonlocal raised
            raised = True
            raise error

        with pytest.MonkeyPatch.context() as patch, suppress(Cut, EdgesleepError, OSError):
            cut_at(step, end, patch)
            MOVES[move](Store(home), bases)
        again = Store(home)
        with again.lock():
            pass
        assert failed(home) == [], step
        learned = {memory for memory, (state, _) in standing(home).items() if state == "learned"}
        assert learned <= known[again.current()], step
        assert not [path.name for path in home.rglob(".*")], step
        step += 1
    assert step > 3, "hardly any step was cut"
    MOVES[move](Store(home), bases)
    assert failed(home) == []


def reset(home: Path, files: dict[str, bytes]) -> None:
    for path in home.rglob("*"):
        if path.is_file() and str(path) not in files:
            path.unlink()
    for name, data in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(data)


# -- the disk budget -------------------------------------------------------------------------------------------------


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_beyond_the_budget_the_previous_model_goes_then_the_oldest_deltas(store: Store) -> None:
    first = grow(store, DOG)
    one, delta = size(store.folder(1)), (store.folder(1) / DELTA).stat().st_size
    about = (store.folder(1) / MANIFEST).stat().st_size
    assert one > 3 * delta
    for disk, number in ((2 * one + 10 * about, 2), (2 * one + 10 * about, 3)):
        grow(store, DOG, disk=disk)
        assert kept(store, number) == {MODEL, ADAPTER, DELTA, MANIFEST}
        assert size(store.home / "generations") <= disk
    assert kept(store, 2) == {ADAPTER, DELTA, MANIFEST} and kept(store, 1) == {DELTA, MANIFEST}
    disk = one + 2 * delta + 10 * about
    grow(store, DOG, disk=disk)
    assert [sorted(kept(store, n)) for n in (1, 2, 3)] == [[MANIFEST], [DELTA, MANIFEST], [DELTA, MANIFEST]]
    assert size(store.home / "generations") <= disk
    assert "Of generation 1 only the manifest is kept" in fails("rollback", 1)
    assert "(no longer to be had)" in run("generations").stdout.splitlines()[1]
    assert failed(store.home, rebuild=True) == []
    assert go_to(store, 3) == 0
    assert first.number in store.numbers()


def test_a_generation_that_is_larger_than_the_budget_is_refused(store: Store) -> None:
    grow(store, DOG)
    before = tree(store.home / "generations")
    with pytest.raises(EdgesleepError, match="A generation takes") as caught:
        grow(store, DOG, disk=100_000)
    assert "config.toml" in caught.value.hint
    assert tree(store.home / "generations") == before and store.current() == 1


# -- the commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["diff", "0", "0"], ["verify"], ["migrate", "--model", "x.gguf"], ["path", "1"]])
def test_before_init_nothing_is_made(words: list[str], home: Path) -> None:
    assert "edgesleep init" in fails(*words)
    assert not home.exists()


def test_every_command_on_generations_has_its_flags() -> None:
    flags = {command.name: {flag for option in command.params for flag in option.opts} for command in cli.COMMANDS}
    assert all("--json" in named for named in flags.values())
    assert {name for name, named in flags.items() if "--dry-run" in named} == {"path", "rollback", "migrate"}
