"""Everything can be undone: models made again to the byte, moves that may be cut anywhere, comparing and checking."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_store import Cut, cut_at
from tiny import make_tiny

from edgesleep import __version__, cli, config, errors, kernel, records
from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.network import Network
from edgesleep.night import compare, generations, merge, verify
from edgesleep.records import Generation, Memory, Question, Results, Score, Verdict, file_digest
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")

SCORE = Score("", 0.0, (), 0.0, 0.0, 0)
MODEL, ADAPTER, DELTA, MANIFEST = "model.gguf", "adapter.gguf", "delta.safetensors", "manifest.json"
GONE_ON = "A generation takes"


@dataclass(frozen=True)
class Bases:
    """Two models, and of the first the shapes that an adapter has."""

    first: Path
    second: Path


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    folder = tmp_path_factory.mktemp("bases")
    return Bases(make_tiny(folder / "first.gguf", "llama"), make_tiny(folder / "second.gguf", "llama", "Q8_0", seed=1))


@pytest.fixture
def store(home: Path, bases: Bases) -> Store:
    """A home on the first base, in which three memories wait to be learned."""
    store = Store.open(home)
    store.adopt_base(bases.first, "first")
    with Journal.open(home) as journal:
        turn = journal.log("user", "My dog is called Miso, my cat Pim and my horse Rask.")
        journal.remember([replace(memory, turn_ids=(turn.id,), at=turn.at) for memory in MEMORIES], turn.id)
    return store


def memory(animal: str, name: str) -> Memory:
    def asked(text: str, wonder: str) -> Question:
        return Question(text, f"{name}.", f"Your {animal} is called {name}.", text[0].lower() + text[1:], wonder)

    questions = (
        asked(f"What is my {animal} called?", f"what my {animal} is called"),
        asked(f"What name does my {animal} have?", f"what name my {animal} has"),
    )
    id = hashlib.sha256(animal.encode()).hexdigest()[:12]
    told = f"Your {animal} is called {name}."
    return Memory(id, "fact", f"my {animal}|name", told, told, name, questions, (), "", held_out=questions[1].ask)


MEMORIES = (memory("dog", "Miso"), memory("cat", "Pim"), memory("horse", "Rask"))
DOG, CAT, HORSE = (memory.id for memory in MEMORIES)


def grow(store: Store, *taught: str, learned: tuple[str, ...] | None = None, disk: int = 0) -> Generation:
    """The next generation, merged and published as a night does, but for its training: the delta is random."""
    number, base = store.next_number(), Gguf.open(store.model_path(0))
    folder = store.home / "nights" / f"{number:04d}"
    adapter = Adapter.fresh(Network(base, 3).shapes, 4, 8.0, 3, store.base().sha256)
    random = np.random.default_rng(number)
    for a, b in adapter.factors.values():
        b[:] = random.standard_normal(b.shape) * 0.02 * a.shape[1] ** 0.5
    files = (folder / "candidate.gguf", adapter.save(folder / "adapter.safetensors"), folder / ADAPTER)
    adapter = Adapter.load(files[1])  # as the night does
    model = merge.merge(base, adapter, files[0]).sha256
    merge.export(base, adapter, files[2], number)
    known = taught if learned is None else learned
    held = {memory.id: memory for memory in MEMORIES}
    made = Generation(
        number=number,
        parent=store.current(),
        night=number,
        created="2026-03-02T03:00:00+00:00",
        base_sha256=store.base().sha256,
        model_sha256=model,
        delta_sha256=file_digest(files[1]),
        seed=3,
        kernel=kernel.name(),
        version=__version__,
        memory_ids=taught,
        adapter_sha256=file_digest(files[2]),
        memory_sha256={id: held[id].sha256 for id in taught},
        results=Results(0.5, None, None, 0.0, 0.0, {f"{id}-0": id in known for id in taught}, known),
    )
    store.publish(*files, made, Verdict("passed", model, (), SCORE, SCORE, 0.0, 0.0), disk)
    with Journal.open(store.home) as journal:
        journal.mark(known, "learned", number, number)
        journal.mark({*taught} - {*known}, "weak", number, number)
    return made


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but those of the lock and of SQLite's own."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): p.read_bytes() for p in files if not p.name.startswith(("night.", "journal.db-"))}


def standing(home: Path) -> dict[str, tuple[str, int | None]]:
    with Journal.open(home) as journal:
        return journal.standing()


def go_to(store: Store, number: int) -> int:
    with Journal.open(store.home) as journal:
        return generations.go_to(store, journal, number)


def migrate(store: Store, base: Path) -> int:
    with Journal.open(store.home) as journal:
        return generations.migrate(store, journal, base, base.stem)


def failed(home: Path, *, rebuild: bool = False) -> list[str]:
    return [f"{check.what}: {check.found}" for check in verify.checks(home, rebuild=rebuild) if not check.ok]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def fails(*words: object, code: int = errors.ERROR) -> str:
    result = run(*words)
    assert result.exit_code == code and isinstance(result.exception, SystemExit), result.output
    first, *rest = result.stderr.splitlines()[-2:]
    assert first.startswith("Error: ") and rest and rest[0].startswith("Try: "), result.stderr
    return result.stderr


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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


def damage_delta(store: Store) -> None:
    path = store.folder(1) / DELTA
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")


def remove_delta(store: Store) -> None:
    (store.folder(1) / DELTA).unlink()


def another_dither(store: Store) -> None:
    """A merge that comes out otherwise, as that of a faulty kernel would."""
    path = store.folder(1) / DELTA
    replace(Adapter.load(path), seed=4).save(path)
    made = replace(store.generation(1), delta_sha256=file_digest(path))
    records.dump(made, store.folder(1) / MANIFEST)


def change_base(store: Store) -> None:
    base = json.loads((store.home / "base.json").read_text())
    copy = store.home / "base.gguf"
    copy.write_bytes(Path(base["path"]).read_bytes()[:-1] + b"\1")
    (store.home / "base.json").write_text(json.dumps(base | {"path": str(copy)}))


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
    monkeypatch.setattr(os, "fsync", lambda _: None)
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


def kept(store: Store, number: int) -> set[str]:
    return {path.name for path in store.folder(number).iterdir()}


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
    with pytest.raises(EdgesleepError, match=GONE_ON) as caught:
        grow(store, DOG, disk=100_000)
    assert "config.toml" in caught.value.hint
    assert tree(store.home / "generations") == before and store.current() == 1


# -- comparing -------------------------------------------------------------------------------------------------------


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


# -- checking --------------------------------------------------------------------------------------------------------


def test_a_sound_home_passes_every_check(store: Store) -> None:
    for _ in range(3):
        grow(store, DOG)
    before = tree(store.home)
    result = run("verify")
    assert result.exit_code == 0 and "FAIL" not in result.stdout
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "ok    pointer",
        "ok    base first",
        "ok    generation 1",
        "ok    generation 2",
        "ok    generation 3",
        "ok    journal.db",
    ]
    assert json.loads(run("verify", "--rebuild", "--json").stdout)["ok"] is True
    assert "model.gguf made again to the byte" in run("verify", "--rebuild").stdout
    assert tree(store.home) == before


def write(name: str, data: bytes) -> Callable[[Store], None]:
    return lambda store: (store.home / name).write_bytes(data) and None


def on_manifest(**changes: Any) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        records.dump(replace(store.generation(2), **changes), store.folder(2) / MANIFEST)

    return change


def sql(*statements: str) -> Callable[[Store], None]:
    def execute(store: Store) -> None:
        with closing(sqlite3.connect(store.home / "journal.db")) as db, db:
            for statement in statements:
                db.execute(statement)

    return execute


def scribble(store: Store) -> None:
    """Over the pages of the tables, behind SQLite's back."""
    with Journal.open(store.home) as journal:
        for _ in range(50):
            journal.log("user", "word " * 500)
    with closing(sqlite3.connect(store.home / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = store.home / "journal.db"
    data = bytearray(path.read_bytes())
    data[8192:16384] = b"\xff" * 8192
    path.write_bytes(data)


def remove(*names: str) -> Callable[[Store], None]:
    return lambda store: [(store.home / name).unlink() for name in names] and None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (write("current", b"many"), "pointer: .* does not say which generation is current"),
        (write("current", b"7\n7\n"), "pointer: There is no generation 7"),
        (write("base.json", b"{"), "base: base.json cannot be read"),
        (change_base, "base first: .*base.gguf is no longer the file that was adopted"),
        (write("generations/0002/model.gguf", b"rot"), "generation 2: model.gguf is not the file that was published"),
        (write("generations/0001/delta.safetensors", b"rot"), "generation 1: delta.safetensors is not the file"),
        (write("generations/0002/adapter.gguf", b"rot"), "generation 2: adapter.gguf is not the file"),
        (write("generations/0001/manifest.json", b"{}"), "generation 1: manifest.json cannot be read"),
        (remove("generations/0002/manifest.json"), "generation 2: manifest.json cannot be read"),
        (remove("generations/0002/model.gguf"), "generation 2: model.gguf is gone, though it is served"),
        (on_manifest(number=1), "generation 2: the manifest is that of generation 1"),
        (on_manifest(base_sha256="0" * 64), "generation 2: it is built on a base that is not known here"),
        (on_manifest(parent=9), "generation 2: generation 9, from which it went on, is not there"),
        (remove("journal.db"), "journal.db: .* is missing"),
        (write("journal.db", b"no database" * 1000), "journal.db: It cannot be read"),
        (scribble, "journal.db: "),
        (
            sql("DROP TRIGGER turns_are_append_only", "UPDATE turns SET content = 'My dog is called Pim.'"),
            "journal.db: message 1 is not what was written",
        ),
        (sql("DELETE FROM turns"), "journal.db: row .* of memory_turns names one of turns that is not there"),
        (
            sql(
                "INSERT INTO nights VALUES (1, 's', 'x', 'x', NULL)",
                "INSERT INTO generations VALUES (1,1,0,'x','y','z')",
            ),
            "journal.db: generation 1 is noted with another model than its manifest has",
        ),
    ],
)
def test_damage_is_found_and_hides_nothing_else(store: Store, damage: Callable[[Store], None], said: str) -> None:
    grow(store, DOG)
    grow(store, DOG)
    damage(store)
    found = failed(store.home)
    assert any(re.match(said, line) for line in found), found
    whats = [check.what for check in verify.checks(store.home)]
    assert whats[0] == "pointer" and whats[-1] == "journal.db" and {"generation 1", "generation 2"} <= {*whats}
    assert "checks failed" in fails("verify")


def test_a_model_that_cannot_be_made_again_is_found_on_request(store: Store) -> None:
    for _ in range(3):
        grow(store, DOG)
    another_dither(store)
    assert failed(store.home) == []
    assert "not the file that was tested then" in failed(store.home, rebuild=True)[0]
    assert kept(store, 1) == {DELTA, MANIFEST}


@pytest.mark.parametrize("words", [["diff", "0", "0"], ["verify"], ["migrate", "--model", "x.gguf"], ["path", "1"]])
def test_before_init_nothing_is_made(words: list[str], home: Path) -> None:
    assert "edgesleep init" in fails(*words)
    assert not home.exists()


def test_every_command_on_generations_has_its_flags() -> None:
    flags = {command.name: {flag for option in command.params for flag in option.opts} for command in cli.COMMANDS}
    assert all("--json" in named for named in flags.values())
    assert {name for name, named in flags.items() if "--dry-run" in named} == {"path", "rollback", "migrate"}
