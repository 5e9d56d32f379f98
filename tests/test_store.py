"""The generation store: only judged bytes are published, and whatever cuts a publish, `current` is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.records import Generation, Score, Verdict, file_digest
from edgesleep.store import UNFINISHED, Store

SCORE = Score("", 0.0, (), 0.0, 0.0, 0)


@dataclass(frozen=True)
class Candidate:
    """What a night hands to `publish`."""

    model: Path
    delta: Path
    adapter: Path
    manifest: Generation
    verdict: Verdict

    def publish(self, store: Store) -> Path:
        return store.publish(self.model, self.delta, self.adapter, self.manifest, self.verdict)


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    base = tmp_path / "base.gguf"
    base.write_bytes(b"the person's own model")
    store = Store.open(home)
    store.adopt_base(base, "tiny")
    return store


def make(store: Store, text: str = "") -> Candidate:
    """A candidate of the next night, with a verdict that fits it."""
    number = store.next_number()
    folder = store.home / "nights" / f"{number:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    model, delta, adapter = (folder / name for name in ("candidate.gguf", "delta.safetensors", "adapter.gguf"))
    for path in (model, delta, adapter):
        path.write_bytes(f"{path.name} of generation {number} {text}".encode() * 50)
    sha256 = file_digest(model)
    manifest = Generation(
        number=number,
        parent=store.current(),
        night=number,
        created="2026-03-02T03:00:00.000+00:00",
        base_sha256=store.base().sha256,
        model_sha256=sha256,
        delta_sha256=file_digest(delta),
        seed=0,
        kernel="ref",
        version="0.1.0",
        memory_ids=("m1",),
    )
    return Candidate(model, delta, adapter, manifest, Verdict("passed", sha256, (), SCORE, SCORE, 0.0, 0.0))


def tree(home: Path) -> dict[str, bytes]:
    """Every file below the home but those of the lock."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.startswith("night."))
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


# -- the base --------------------------------------------------------------------------------------------------------


def test_the_base_is_generation_0_and_stays_untouched(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    before = path.stat()
    assert store.current() == 0
    assert store.model_path() == store.model_path(0) == path
    assert store.delta_path() is None
    assert store.generations() == []
    make(store).publish(store)
    store.rollback()
    after = path.stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_ino) == (before.st_mtime_ns, before.st_mode, before.st_ino)
    assert after.st_nlink == 1


def test_a_store_without_a_base_says_so(home: Path) -> None:
    with pytest.raises(EdgesleepError, match="No model has been chosen") as caught:
        Store.open(home).model_path()
    assert "edgesleep init" in caught.value.hint


def test_a_base_that_was_only_touched_or_copied_back_is_the_same(store: Store, tmp_path: Path) -> None:
    os.utime(tmp_path / "base.gguf", (1, 1))
    assert store.base().spec == "tiny"


@pytest.mark.parametrize("content", [b"the person's own modeL", b"shorter", None])
def test_a_changed_or_missing_base_is_refused(store: Store, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "base.gguf"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        os.utime(path, (1, 1))
    with pytest.raises(EdgesleepError, match=r"base\.gguf (is no longer|cannot be read)"):
        store.model_path(0)


def test_a_moved_base_can_be_adopted_again_but_not_another_one(store: Store, tmp_path: Path) -> None:
    make(store).publish(store)
    moved = (tmp_path / "base.gguf").rename(tmp_path / "moved.gguf")
    assert store.adopt_base(moved, "tiny").path == str(moved)
    assert store.current() == 1
    other = tmp_path / "other.gguf"
    other.write_bytes(b"another model")
    with pytest.raises(EdgesleepError, match=r"generations of another model \(tiny\)"):
        store.adopt_base(other, "other")
    assert store.model_path(0) == moved


def test_another_base_may_be_chosen_before_the_first_generation(store: Store, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"another model")
    store.adopt_base(other, "other")
    assert store.model_path() == other


# -- publishing ------------------------------------------------------------------------------------------------------


def test_a_published_generation_is_current_and_complete(store: Store) -> None:
    candidate = make(store)
    whole = {path.name: path.read_bytes() for path in (candidate.model, candidate.delta, candidate.adapter)}
    path = candidate.publish(store)
    assert path == store.model_path() == store.home / "generations" / "0001" / "model.gguf"
    assert path.read_bytes() == whole["candidate.gguf"]
    assert (path.parent / "adapter.gguf").read_bytes() == whole["adapter.gguf"]
    delta = store.delta_path()
    assert delta is not None
    assert delta.read_bytes() == whole["delta.safetensors"]
    assert store.generations() == [candidate.manifest]
    assert (store.home / "current").read_text().split()[0] == "1"
    assert not candidate.model.exists(), "the same bytes lie in two places"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: replace(c, verdict=replace(c.verdict, outcome="refused", reasons=("it drifted",))), "it drifted"),
        (lambda c: replace(c, verdict=replace(c.verdict, outcome="invalid")), "invalid"),
        (lambda c: replace(c, verdict=replace(c.verdict, sha256="0" * 64)), "the verdict is about other bytes"),
        (lambda c: replace(c, manifest=replace(c.manifest, model_sha256="0" * 64)), "other model bytes"),
        (lambda c: replace(c, manifest=replace(c.manifest, delta_sha256="0" * 64)), "other delta bytes"),
        (lambda c: replace(c, manifest=replace(c.manifest, base_sha256="0" * 64)), "another base"),
        (lambda c: replace(c, manifest=replace(c.manifest, parent=1)), "generation 0 is current, not 1"),
        (lambda c: replace(c, manifest=replace(c.manifest, number=7)), "the next number is 1, not 7"),
        (lambda c: replace(c, adapter=c.adapter.with_name("gone")), "gone is missing"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    store: Store, change: Callable[[Candidate], Candidate], complaint: str
) -> None:
    candidate = make(store)
    before = tree(store.home)
    with pytest.raises(EdgesleepError, match=complaint):
        change(candidate).publish(store)
    assert tree(store.home) == before
    candidate.publish(store)


def test_bytes_changed_after_the_verdict_are_refused(store: Store) -> None:
    candidate = make(store)
    data = bytearray(candidate.model.read_bytes())
    data[len(data) // 2] ^= 1
    candidate.model.write_bytes(data)
    with pytest.raises(EdgesleepError, match=r"the verdict is about other bytes; the manifest names other model"):
        candidate.publish(store)
    assert store.current() == 0


def test_only_the_current_and_the_previous_model_are_kept_whole(store: Store) -> None:
    for _ in range(4):
        make(store).publish(store)
    files = {path.relative_to(store.home / "generations").as_posix() for path in store.home.glob("generations/*/*")}
    for number in range(1, 5):
        names = {"delta.safetensors", "manifest.json"} | ({"model.gguf", "adapter.gguf"} if number >= 3 else set())
        assert {name for name in files if name.startswith(f"000{number}")} == {f"000{number}/{name}" for name in names}
    assert [g.number for g in store.generations()] == [1, 2, 3, 4]


@pytest.mark.parametrize("refused", [["link"], ["link", "copy_file_range"]])
def test_files_from_another_file_system_are_copied(
    store: Store, refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    for name in refused:
        monkeypatch.setattr(os, name, refuse, raising=False)
    candidate = make(store)
    assert file_digest(candidate.publish(store)) == candidate.manifest.model_sha256


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
def test_only_the_owner_can_read_it_whatever_the_umask(home: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        (tmp_path / "base.gguf").write_bytes(b"base")
        store = Store.open(home)
        store.adopt_base(tmp_path / "base.gguf", "tiny")
        make(store).publish(store)
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (home, *(home / "generations").rglob("*"))}
    assert modes.pop("home") == modes.pop("0001") == (home / "generations").stat().st_mode & 0o777 == 0o700
    assert modes == dict.fromkeys(["model.gguf", "delta.safetensors", "adapter.gguf", "manifest.json"], 0o600)
    for name in ("base.json", "current", "night.lock"):
        assert (home / name).stat().st_mode & 0o777 == 0o600, name


def test_generations_are_removed_for_good_but_not_the_one_that_is_served(store: Store) -> None:
    for _ in range(3):
        make(store).publish(store)
    with pytest.raises(EdgesleepError, match="Generation 3 is served"):
        store.remove([2, 3])
    assert store.numbers() == [1, 2, 3]
    store.rollback()
    store.remove([3, 7])
    assert (store.numbers(), store.current(), store.next_number()) == ([1, 2], 2, 4)
    with pytest.raises(EdgesleepError, match="no generation 3"):
        store.generation(3)


# -- cut short -------------------------------------------------------------------------------------------------------

STEPS = [(os, "replace"), (os, "fsync"), (os, "link"), (os, "mkdir"), (os, "unlink"), (os, "chmod"), (os, "rmdir")]


class Cut(Exception):
    """Stands for whatever ends a publish: an error, a signal, the power."""


def cut_at(step: int, end: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let `end` happen instead of the `step`-th operation on the file system."""
    done = iter(range(step + 1))

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if next(done, None) == step:
                end()
            return real(*arguments, **named)

        return call

    for module, name in STEPS:
        patch.setattr(module, name, counted(getattr(module, name)))


def check_whole(home: Path, before: bytes, candidate: Candidate) -> bool:
    """A fresh process finds a whole model under `current`, old or new, and can publish; True when it is the new one."""
    store = Store.open(home)
    published = store.current() == candidate.manifest.number
    expected = candidate.manifest.model_sha256 if published else None
    assert (
        store.model_path().read_bytes() == before if expected is None else file_digest(store.model_path()) == expected
    )
    assert len(store.generations()) == store.current()
    if published:
        assert store.rollback() == candidate.manifest.parent
        assert store.model_path().read_bytes() == before
    else:
        candidate.publish(store)  # the night's files are still there, so it can be tried again
    assert make(store).publish(store) == store.model_path()
    assert not [path.name for path in home.rglob(".*")], "leftovers"
    return published


def with_one_generation(folder: Path) -> tuple[Store, bytes, Candidate]:
    """A store, the bytes of its current model, and a candidate for the second generation."""
    folder.mkdir()
    (folder / "base.gguf").write_bytes(b"base")
    store = Store.open(folder / "home")
    store.adopt_base(folder / "base.gguf", "tiny")
    make(store).publish(store)
    return store, store.model_path().read_bytes(), make(store)


@pytest.mark.parametrize("error", [Cut(), OSError(28, "No space left on device")])
def test_an_error_at_any_step_leaves_a_whole_current_model(tmp_path: Path, error: BaseException) -> None:
    for step in range(100):
        store, before, candidate = with_one_generation(tmp_path / f"{step}")
        raised = []

        def end(raised: list[bool] = raised) -> None:
            raised.append(True)
            raise error

        with pytest.MonkeyPatch.context() as patch, suppress(Cut, EdgesleepError):
            cut_at(step, end, patch)
            candidate.publish(store)
        check_whole(store.home, before, candidate)
        if not raised:
            break
    assert not raised
    assert step > 15, "hardly any step was cut"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process; there is no fork here")
def test_a_process_killed_at_any_step_leaves_a_whole_current_model(tmp_path: Path) -> None:
    outcomes: list[tuple[int, bool]] = []
    while not outcomes or outcomes[-1][0] == 9:
        store, before, candidate = with_one_generation(tmp_path / f"{len(outcomes)}")
        if (child := os.fork()) == 0:
            try:
                cut_at(len(outcomes), lambda: os._exit(9), pytest.MonkeyPatch())
                candidate.publish(Store.open(store.home))
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        outcomes.append((code, check_whole(store.home, before, candidate)))
    assert outcomes[-1] == (0, True)
    published = [new for _, new in outcomes]
    assert published == sorted(published), "there is one moment from which the new model is current"
    assert {(9, False), (9, True)} < set(outcomes)


def test_a_lost_pointer_is_reported_and_deletes_nothing(store: Store) -> None:
    make(store).publish(store)
    make(store).publish(store)
    (store.home / "current").unlink()
    before = tree(store.home)
    for use in (store.current, store.generations, store.rollback, store.next_number):
        with pytest.raises(EdgesleepError, match="does not say which generation is current"):
            use()
    assert tree(store.home) == before
    (store.home / "current").write_text("1\n")
    assert store.current() == 1
    assert store.next_number() == 3


def test_an_older_pointer_that_was_put_back_costs_no_generation(store: Store) -> None:
    make(store).publish(store)
    older = (store.home / "current").read_bytes()
    for _ in range(2):
        make(store).publish(store)
    (store.home / "current").write_bytes(older)
    before = tree(store.home)
    assert (store.current(), store.ahead(), store.next_number()) == (1, [2, 3], 4)
    with store.lock():
        pass
    assert tree(store.home) == before
    assert store.rollback(3) == 3
    assert (store.ahead(), store.next_number()) == ([], 4)


def test_a_publish_that_was_cut_short_is_told_from_a_finished_one(store: Store) -> None:
    make(store).publish(store)
    cut = store.folder(2)
    cut.mkdir()
    (cut / UNFINISHED).touch()
    assert (store.ahead(), store.next_number(), len(store.generations())) == ([], 2, 1)
    (store.folder(1) / UNFINISHED).touch()  # cut after the pointer had moved
    with store.lock():
        pass
    assert not cut.exists() and not (store.folder(1) / UNFINISHED).exists()
    assert store.numbers() == [1]


def test_the_budget_of_a_later_generation_counts_its_parent_s_delta(store: Store) -> None:
    store.demand_budget(100, 0, 100)
    make(store).publish(store)
    delta = (store.folder(1) / "delta.safetensors").stat().st_size
    store.demand_budget(100, 1, 100 + delta)
    with pytest.raises(EdgesleepError, match="A generation takes"):
        store.demand_budget(100, 1, 99 + delta)


@pytest.mark.parametrize("text", ["", "one", "1.5"])
def test_a_damaged_pointer_is_reported(store: Store, text: str) -> None:
    (store.home / "current").write_text(text)
    with pytest.raises(EdgesleepError, match="does not say which generation is current"):
        store.model_path()


# -- rollback --------------------------------------------------------------------------------------------------------


def test_rollback_there_and_back(store: Store) -> None:
    first, second = make(store).publish(store), make(store).publish(store)
    assert store.rollback() == 1
    assert store.model_path() == first
    assert store.rollback(2) == 2
    assert store.model_path() == second
    assert store.rollback(0) == 0
    with pytest.raises(EdgesleepError, match="nothing to go back to"):
        store.rollback()


def test_numbers_are_never_used_twice(store: Store) -> None:
    make(store).publish(store)
    make(store).publish(store)
    store.rollback(0)
    candidate = make(store)
    assert (candidate.manifest.number, candidate.manifest.parent) == (3, 0)
    candidate.publish(store)
    assert [g.number for g in store.generations()] == [1, 2, 3]


def test_rollback_to_what_is_not_there_changes_nothing(store: Store) -> None:
    for _ in range(3):
        make(store).publish(store)
    with pytest.raises(EdgesleepError, match="generation 1 is no longer kept"):
        store.rollback(1)
    for number in (9, -1):
        with pytest.raises(EdgesleepError, match=f"no generation {number}"):
            store.rollback(number)
    store.model_path(2).write_bytes(b"bit rot")
    with pytest.raises(EdgesleepError, match="generation 2 is damaged"):
        store.rollback()
    assert store.current() == 3


# -- the lock --------------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from edgesleep.store import UNFINISHED, Store
with Store.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_night_at_a_time_and_a_killed_one_holds_nothing(store: Store) -> None:
    command = [sys.executable, "-c", HOLD, str(store.home)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline().strip() == b"held"
        candidate = make(store)
        for change in (lambda: candidate.publish(store), store.rollback, store.lock().__enter__):
            with pytest.raises(BusyError, match=rf"process {holder.pid}\)"):
                change()
        assert store.current() == 0, "reading needs no lock"
        holder.kill()
        holder.wait()
    candidate.publish(store)


def test_the_lock_is_released_by_an_error_and_may_be_nested(store: Store) -> None:
    with pytest.raises(Cut), store.lock(), store.lock():
        raise Cut
    other = Store.open(store.home)
    with other.lock(), pytest.raises(BusyError, match=f"process {os.getpid()}"), store.lock():
        pass


def test_a_reader_does_not_tidy_away_a_publish_under_way(store: Store) -> None:
    with store.lock():
        staging = store.home / "generations" / ".0001.tmp"
        staging.mkdir()
        assert Store.open(store.home).generations() == []
        assert staging.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EdgesleepError, match="cannot be used"):
        Store.open(tmp_path / "file" / "home")
