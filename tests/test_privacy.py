"""Privacy at rest: whatever the umask, what is written is for its owner alone, and what leaves is called private."""

from __future__ import annotations

import ast
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grown import Bases, go_to, grow, make_store, run
from hollow import hollow
from nights import SETTINGS, make_home, tell
from tiny import make_tiny

from edgesleep import errors, files
from edgesleep.cli_shared import PRIVATE
from edgesleep.journal import Journal
from edgesleep.night.cycle import run_night
from edgesleep.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """One that lets everyone do everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(home: Path) -> list[str]:
    wrong = [path for path in [home, *home.rglob("*")] if mode(path) != (0o700 if path.is_dir() else 0o600)]
    return [f"{path.relative_to(home)} {mode(path):o}" for path in wrong]


def test_all_that_nights_write_is_for_its_owner_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every stage, with what is only there for a while: temporary files, SQLite's, checkpoints, caches, notes."""
    hollow(monkeypatch)
    monkeypatch.chdir(tmp_path)
    make_home(home, make_tiny(tmp_path / "tiny.gguf", "llama"), ("I live in Skelwick.",))
    seen, found = set(), []
    real = os.replace

    def looking(*arguments: object) -> None:
        found.extend(open_to_others(home))
        real(*arguments)
        seen.update(path.name for path in home.rglob("*"))

    monkeypatch.setattr(os, "replace", looking)
    for text in ("I keep bees.", "I play the zither."):
        with Journal.open(home) as held:
            tell(home, text)
            assert run_night(home, SETTINGS).status == "promoted"
            found += open_to_others(home)
        go_to(Store(home), 1)
    assert found == []
    assert {"journal.db-wal", "journal.db-shm", "night.pid", "underway.json", "cache", "model.gguf", "0002"} <= seen
    assert any(name.startswith("checkpoint-") for name in seen)
    assert held is not None


def test_the_command_line_takes_all_rights_from_others(home: Path, tmp_path: Path) -> None:
    """Also for what a library writes without being told how."""
    assert run("init", "--model", make_tiny(tmp_path / "tiny.gguf", "llama")).exit_code == errors.DONE
    assert os.umask(0) == 0o077
    assert open_to_others(home) == []


CRASHING = """
import os, resource
{first}
if os.fork() == 0:
    os.abort()
_, status = os.wait()
print((os.WTERMSIG(status), os.WCOREDUMP(status), resource.getrlimit(resource.RLIMIT_CORE)))
"""


def crashed(folder: Path, first: str) -> tuple[int, bool, tuple[int, int]]:
    """How a process ends that crashes in this folder, whether it left an image, and how large that may be at most.

    Its owner wants such images of whatever crashes here.
    """

    def wanted() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    words = [sys.executable, "-c", CRASHING.format(first=first)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder, preexec_fn=wanted)
    ended: tuple[int, bool, tuple[int, int]] = ast.literal_eval(done.stdout)
    return ended


def test_a_crash_leaves_no_image_of_what_was_told(tmp_path: Path) -> None:
    """Whatever becomes of such images on this machine, and also where a debugger lifts the limit as far as it may."""
    private = "from edgesleep import machine; machine.keep_private()"
    number, dumped, (least, most) = crashed(tmp_path, private)
    assert (number, dumped) == (signal.SIGABRT, False) and least == most and 0 <= most <= 1
    assert [*tmp_path.iterdir()] == []


def test_every_command_sees_to_that(home: Path, tmp_path: Path) -> None:
    command = "from grown import run; run('status')"
    assert not crashed(tmp_path, f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {command}")[1]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ggml starts no debugger of this name")
def test_where_llama_cpp_gives_up_no_debugger_looks_into_what_was_told(tmp_path: Path) -> None:
    """Neither in words on the terminal, nor in an image of the debugger's own where it fails in its turn."""
    for name in ("gdb", "lldb"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/looked\n")
        (tmp_path / name).chmod(0o755)
    code = "{}from llama_cpp._ggml import libggml; libggml.ggml_abort(b'here', 1, b'No memory.')"
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("GGML_NO_BACKTRACE", None)
    for ours, looked in (("", True), ("import edgesleep.engine; ", False)):
        (tmp_path / "looked").unlink(missing_ok=True)
        words = [sys.executable, "-c", code.format(ours)]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == -signal.SIGABRT and "No memory." in done.stderr, done.stderr
        assert (tmp_path / "looked").exists() == looked


def test_a_home_that_others_could_look_into_is_closed(home: Path, bases: Bases) -> None:
    home.mkdir(mode=0o755)
    make_store(home, bases)
    assert mode(home) == 0o700
    home.chmod(0o750)
    Journal.open(home).close()
    assert mode(home) == 0o700


@pytest.mark.parametrize("place", ["cwd", "home"])
def test_a_folder_that_its_owner_lives_or_works_in_is_only_told_of(
    place: str, tmp_path: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o755)
    if place == "cwd":
        monkeypatch.chdir(folder)
    else:
        monkeypatch.setenv("HOME", str(folder))
    grow(make_store(folder, bases))
    assert mode(folder) == 0o755
    assert [path.name for path in folder.iterdir() if mode(path) & 0o077] == [], "what is ours is closed there too"
    told = run("--home", folder, "verify")
    assert told.exit_code == errors.ERROR and f"FAIL  home: others can look into {folder}: `chmod 700" in told.stdout
    folder.chmod(0o700)
    assert run("--home", folder, "verify").exit_code == errors.DONE


def test_a_folder_that_holds_other_things_is_only_told_of_until_it_is_a_home(home: Path, bases: Bases) -> None:
    home.mkdir()
    home.chmod(0o775)
    (home / "team.txt").write_text("plans")
    files.make_home(home)
    assert mode(home) == 0o775
    make_store(home, bases)
    Journal.open(home).close()
    assert mode(home) == 0o700


def test_what_its_owner_has_under_names_like_ours_stays(home: Path, bases: Bases, tmp_path: Path) -> None:
    store, away = make_store(home, bases), tmp_path / "away"
    away.mkdir()
    kept = [away / "thesis.txt", home / ".notes.tmp", home / ".scratch.tmp" / "draft"]
    (home / ".scratch.tmp").mkdir()
    for path in kept:
        path.write_text("mine")
    (home / ".work.12.tmp").symlink_to(away)
    ours = [home / ".current.123.tmp", home / "generations" / ".0001.tmp"]
    for path in ours:
        path.write_text("cut short")
    with store.lock():
        assert [path for path in kept if not path.exists()] == []
        assert [path for path in ours if path.exists()] == []


# -- what leaves -----------------------------------------------------------------------------------------------------


def test_where_a_model_is_given_out_it_is_called_private(home: Path, bases: Bases) -> None:
    store = make_store(home, bases)
    base = run("path")
    assert (base.stdout, base.stderr) == (f"{bases.first}\n", "")
    grow(store)
    told = run("path")
    assert told.stdout == f"{store.model_path(1)}\n", "for $(edgesleep path)"
    assert told.stderr == f"{PRIVATE}\n"
    assert json.loads(run("path", "--json").stdout)["private"] is True
    assert json.loads(run("path", 0, "--json").stdout)["private"] is False


def test_a_night_that_is_served_says_so(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hollow(monkeypatch)
    make_home(home, make_tiny(tmp_path / "tiny.gguf", "llama"), ("I live in Skelwick.",))
    result = run("run-night", "--nice", "0", "--passes", "2")
    assert result.exit_code == errors.DONE and result.stdout.splitlines()[-1] == PRIVATE
