"""What a night is at: a crash is told from all else, and one that would come again is not tried again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hollow import ends, hollow, sound
from nights import SETTINGS, Listener, make_home, tell
from tiny import make_tiny

from edgesleep import machine
from edgesleep.errors import EdgesleepError, KilledError
from edgesleep.journal import Journal
from edgesleep.night import cycle, underway
from edgesleep.night.cycle import run_night
from edgesleep.night.underway import FILE, Attempt, watched
from edgesleep.records import file_digest, load
from edgesleep.store import Store


class Gone(BaseException):
    """The end without a word: the process is killed, and no code of ours hears of it."""


def attempt(home: Path, *means: Any, stage: str = "train", end: BaseException | None = None, **more: bool) -> None:
    """A run that gets as far as one stage, and there to its end."""
    with (
        suppress(Gone, KeyboardInterrupt, SystemExit, MemoryError, ZeroDivisionError, KilledError),
        watched(home, means, lambda: more.get("asked", False), force=more.get("force", False)) as night,
    ):
        night.at(1, stage)
        if end:
            raise end


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing changes."""
    monkeypatch.setattr(machine, "free_memory", lambda: 1 << 30)
    monkeypatch.setattr(machine, "free_disk", lambda path: 1 << 40)
    monkeypatch.setattr(machine, "boot", lambda: "this one")


@pytest.mark.parametrize("end", [Gone(), MemoryError(), ZeroDivisionError(), KilledError("The reader was ended.")])
def test_what_ended_twice_without_a_word_at_one_place_is_not_tried_again(tmp_path: Path, end: BaseException) -> None:
    attempt(tmp_path, "as it was", end=end)
    attempt(tmp_path, "as it was", end=end)
    for _ in range(2):
        with pytest.raises(EdgesleepError, match="Night 1 ended 2 times without a word in the stage train") as told:
            attempt(tmp_path, "as it was")
    assert "--force" in told.value.hint
    attempt(tmp_path, "as it was", end=end, force=True)
    with pytest.raises(EdgesleepError, match="ended 3 times"):
        attempt(tmp_path, "as it was")
    attempt(tmp_path, "as it was", force=True)
    assert not (tmp_path / FILE).exists()
    attempt(tmp_path, "as it was")


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt(), SystemExit(1), EdgesleepError("The disk is full."), OSError(28, "full"), None]
)
def test_what_was_asked_for_or_told_is_no_crash(tmp_path: Path, end: BaseException | None) -> None:
    attempt(tmp_path, end=Gone())
    with suppress(EdgesleepError, OSError):
        attempt(tmp_path, end=end)
    assert not (tmp_path / FILE).exists()
    attempt(tmp_path, end=Gone())
    attempt(tmp_path)


def test_one_that_is_asked_to_stop_and_then_killed_is_no_crash(tmp_path: Path) -> None:
    for _ in range(4):
        attempt(tmp_path, end=Gone(), asked=True)
    assert not (tmp_path / FILE).exists()


def change_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine, "free_memory", lambda: int(1.3 * (1 << 30)))


def change_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine, "free_disk", lambda path: int(1.3 * (1 << 40)))


def change_boot(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine, "boot", lambda: "another")


@pytest.mark.parametrize("change", [change_memory, change_disk, change_boot])
def test_a_change_of_the_machine_lets_it_try_again(
    tmp_path: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        attempt(tmp_path, end=Gone())
    change(monkeypatch)
    attempt(tmp_path, end=Gone())
    assert load(Attempt, tmp_path / FILE).times == 1


def test_a_change_of_means_lets_it_try_again(tmp_path: Path) -> None:
    for _ in range(2):
        attempt(tmp_path, "rank 16", end=Gone())
    attempt(tmp_path, "rank 8", end=Gone())
    attempt(tmp_path, "rank 8", end=Gone())
    with pytest.raises(EdgesleepError):
        attempt(tmp_path, "rank 8")


def test_a_night_that_gets_on_is_not_at_the_same_place(tmp_path: Path) -> None:
    folder = tmp_path / "nights" / "0001"
    folder.mkdir(parents=True)
    for step in range(5):
        attempt(tmp_path, end=Gone())
        (folder / f"checkpoint-{step}.npz").write_bytes(b"")
    for stage in ("train", "merge", "train", "merge"):
        attempt(tmp_path, stage=stage, end=Gone())


# -- in a night ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ready(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    hollow(monkeypatch)
    return make_home(home, make_tiny(tmp_path / "tiny.gguf", "llama"), ("I live in Skelwick.",))


def killed_in(home: Path, stage: str) -> None:
    def die(moment: str) -> None:
        if moment == stage:
            raise Gone

    with pytest.raises(Gone):
        run_night(home, SETTINGS, Listener(at=die).watch)


@pytest.mark.parametrize("stage", ["anchors", "dreams", "baseline", "train", "merge", "gate"])
def test_a_night_that_crashed_twice_waits_for_a_change(stage: str, ready: Path, tmp_path: Path) -> None:
    killed_in(ready, stage)
    killed_in(ready, stage)
    with pytest.raises(EdgesleepError, match=f"in the stage {stage}"):
        run_night(ready, SETTINGS)
    sound(ready, (tmp_path / "tiny.gguf").read_bytes(), 1)
    tell(ready, "I keep bees.")
    assert run_night(ready, SETTINGS).status == "promoted"
    assert run_night(ready, SETTINGS).status == "promoted", "the new message, in a night of its own"
    ends(ready, file_digest(Store(ready).model_path()), 2)


def change_settings(home: Path, patch: pytest.MonkeyPatch) -> Any:
    return replace(SETTINGS, train=replace(SETTINGS.train, memory=64))


def change_version(home: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(cycle, "__version__", "99")
    return SETTINGS


def forget_another(home: Path, patch: pytest.MonkeyPatch) -> Any:
    with Journal.open(home) as journal:
        journal.forget(["another"])
    return SETTINGS


@pytest.mark.parametrize("change", [change_settings, change_version, forget_another])
def test_what_counts_as_a_change(change: Any, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_in(ready, "train")
    killed_in(ready, "train")
    assert run_night(ready, change(ready, monkeypatch)).status == "promoted"


def test_reading_the_day_is_a_stage_as_well(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cycle, "gather", lambda *_, **__: (_ for _ in ()).throw(Gone))
        for _ in range(2):
            with pytest.raises(Gone):
                run_night(ready, SETTINGS)
    with pytest.raises(EdgesleepError, match="A night ended 2 times without a word in the stage reading"):
        run_night(ready, SETTINGS)
    assert run_night(ready, SETTINGS, force=True).status == "promoted"


def test_a_forced_night_that_ends_leaves_nothing_to_be_forced(ready: Path) -> None:
    killed_in(ready, "gate")
    killed_in(ready, "gate")
    assert run_night(ready, SETTINGS, force=True).status == "promoted"
    assert not (ready / underway.FILE).exists()
