"""The lock: one holder at a time, and whatever became of the last one, the next can have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from edgesleep import machine
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.lock import Holder, Lock
from edgesleep.records import dump


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def alive() -> Iterator[Holder]:
    """Another process that lives, as it would be noted."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield replace(Holder.this(), pid=child.pid, began=machine.process_began(child.pid))
    assert child.stdin is not None
    child.stdin.close()
    child.wait()


def holder_of(folder: Path) -> Holder:
    return Holder(**json.loads((folder / "night.pid").read_text()))


def test_who_holds_it_is_on_disk_as_long_as_it_is_held(folder: Path) -> None:
    lock = Lock(folder)
    with lock.held():
        holder = holder_of(folder)
        assert holder == Holder.this() and holder.pid == os.getpid() and holder.lives()
        with lock.held():
            pass
        assert holder_of(folder) == holder, "the outer one holds on"
    assert not (folder / "night.pid").exists()


def test_a_holder_tells_processes_apart_that_have_one_number(alive: Holder) -> None:
    assert alive.lives()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    others = {
        "no such process": replace(alive, pid=gone.pid),
        "the number was given again": replace(alive, began="1"),
        "the machine was started again": replace(alive, boot="another"),
        "another container": replace(alive, space="pid:[1]"),
        "the system told nothing": replace(alive, began=""),
    }
    assert [why for why, other in others.items() if other.lives()] == []


def test_one_that_was_killed_and_waits_to_be_buried_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    holder = replace(Holder.this(), pid=child.pid, began=machine.process_began(child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not holder.lives()
    child.stdin.close()
    child.wait()


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"began": "1"}, {"boot": "another"}, {"space": "pid:[1]"}])
def test_what_a_holder_left_that_is_gone_is_broken(folder: Path, alive: Holder, change: dict[str, object]) -> None:
    dump(replace(alive, **change), folder / "night.pid")
    with Lock(folder).held():
        assert holder_of(folder) == Holder.this()


@pytest.mark.parametrize("note", ["", "1234\n", '{"pid": 1', "\0" * 40])
def test_a_note_that_is_torn_or_of_an_older_edgesleep_holds_up_nobody(folder: Path, note: str) -> None:
    (folder / "night.pid").write_text(note)
    with Lock(folder).held():
        assert holder_of(folder) == Holder.this()


def test_where_the_file_system_grants_a_lock_twice_a_living_holder_is_believed(folder: Path, alive: Holder) -> None:
    dump(alive, folder / "night.pid")
    with pytest.raises(BusyError, match=f"process {alive.pid}"), Lock(folder).held():
        pass
    assert holder_of(folder) == alive, "its note stays"
    with FileLock(folder / "night.lock", timeout=0):
        pass  # it was let go


def test_where_there_are_no_locks_it_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", none)
    with pytest.raises(EdgesleepError, match="cannot be locked: FileSystem does not") as told, Lock(folder).held():
        pass
    assert "--home" in told.value.hint


def test_a_full_disk_does_not_keep_anyone_from_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To go back to an earlier model has to work then."""

    def full(*_: object) -> None:
        raise EdgesleepError("No space left on device.")

    monkeypatch.setattr("edgesleep.lock.dump", full)
    with Lock(folder).held():
        assert not (folder / "night.pid").exists()
        with pytest.raises(BusyError, match="process unknown"), Lock(folder).held():
            pass


def test_the_machine_tells_its_start_and_that_of_a_process() -> None:
    assert machine.boot() == machine.boot() != ""
    assert machine.process_began(os.getpid()) == machine.process_began(os.getpid()) != ""
    assert machine.process_began(2**22 + 1) == ""
