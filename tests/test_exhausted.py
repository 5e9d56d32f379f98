"""A full disk, too little memory and a signal, at every step of a night: one clear error, no damage, and it goes on."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grown import fails, run
from hollow import ends, hollow, left, sound, tried
from nights import SETTINGS, TEXT, die, exit_code, make_home, needs_fork, tell
from tiny import make_tiny

from edgesleep import config, errors, files, progress
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Entry, Journal
from edgesleep.night.cycle import run_night
from edgesleep.records import NightReport, file_digest
from edgesleep.store import Store

STAGES = ["anchors", "dreams", "baseline", "train", "merge", "gate"]
SAID = ("I live in Skelwick.", "I play the zither.")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture
def ready(home: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One night is over, and there is something for the next."""
    hollow(monkeypatch)
    make_home(home, base, SAID[:1])
    assert run_night(home, SETTINGS).status == "promoted"
    tell(home, SAID[1])
    return home


@pytest.fixture
def wanted(ready: Path, tmp_path: Path) -> str:
    """What the next night serves where nothing is in its way."""
    whole = Path(shutil.copytree(ready, tmp_path / "whole"))
    assert run_night(whole, SETTINGS).status == "promoted"
    return file_digest(Store(whole).model_path())


# -- the disk --------------------------------------------------------------------------------------------------------


class Full:
    """A disk with room for so many more writes, of whatever kind, and none after them."""

    def __init__(self, left: int) -> None:
        self.left, self.met = left, False

    def ask(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.met = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.ask()
            return real(*arguments, **named)

        return call

    def open(self, *arguments: Any, **named: Any) -> Any:
        self.ask()
        return _Filling(io.open(*arguments, **named), self)  # noqa: UP020


class _Filling:
    """A file on such a disk."""

    def __init__(self, file: Any, disk: Full) -> None:
        self._file, self._disk = file, disk

    def write(self, data: bytes) -> int:
        self._disk.ask()
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Filling:
        return self

    def __exit__(self, *ending: Any) -> None:
        self._file.close()


def fill(disk: Full, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(files, "open", disk.open, raising=False)
    for name in ("fsync", "replace", "link", "mkdir"):
        patch.setattr(os, name, disk.around(getattr(os, name)))


def test_a_disk_that_is_full_from_any_write_on_does_no_damage(
    ready: Path, wanted: str, base: Path, tmp_path: Path
) -> None:
    writes = 0
    while True:
        home, disk = Path(shutil.copytree(ready, tmp_path / "full")), Full(writes)
        with pytest.MonkeyPatch.context() as patch:
            fill(disk, patch)
            end = tried(home)
        if isinstance(end, EdgesleepError):
            assert "No space left" in end.message and end.hint, end.message
        sound(home, base.read_bytes(), len(SAID))
        ends(home, wanted, 2)
        shutil.rmtree(home)
        if not disk.met:
            break
        writes += 1
    assert isinstance(end, NightReport) and writes > 100, "hardly any write was met"


def limited_night(home: Path, size: int) -> None:
    """No file may be longer than `size`, so that the system itself ends writes, SQLite's as well."""
    with pytest.MonkeyPatch.context() as patch:
        hollow(patch)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            run_night(home, SETTINGS)
        except EdgesleepError as error:
            assert error.message and error.hint
            raise SystemExit(errors.ERROR) from error


@needs_fork
def test_the_system_s_own_refusal_to_write_does_no_damage(ready: Path, wanted: str, base: Path, tmp_path: Path) -> None:
    sizes = [0, 100, 3000, 20_000, 60_000, base.stat().st_size - 1]
    codes = []
    for size in sizes:
        home = Path(shutil.copytree(ready, tmp_path / f"{size}"))
        codes.append(exit_code(limited_night, home, size))
        sound(home, base.read_bytes(), len(SAID))
        ends(home, wanted, 2)
    assert codes == [errors.ERROR] * len(sizes)


def test_a_journal_that_cannot_grow_keeps_what_it_has_and_says_so(home: Path) -> None:
    with Journal.open(home) as journal:
        journal.log("user", SAID[0])
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(EdgesleepError, match="disk is full") as told:
            journal.log_many(Entry("user", f"{number} " * 500) for number in range(50))
        assert "the disk full" in told.value.hint
        assert [turn.content for turn in journal.turns()] == [SAID[0]]
        journal._db.execute("PRAGMA max_page_count = 100000")
        journal.log("user", SAID[1])
    with Journal.open(home) as journal:
        assert [turn.content for turn in journal.turns()] == [*SAID]


# -- memory ----------------------------------------------------------------------------------------------------------


def night(*more: str) -> list[str]:
    return ["run-night", "--nice", "0", "--passes", "3", *more]


@pytest.mark.parametrize("stage", STAGES)
def test_where_memory_runs_out_it_is_told_and_the_next_night_goes_on(
    stage: str, ready: Path, wanted: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(_: object, name: str) -> None:
        if name == stage:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(progress.Lines, "stage", short)
        for _ in range(2):
            assert "not enough memory" in fails(*night())
        assert f"ended 2 times without a word in the stage {stage}" in fails(*night())
    sound(ready, base.read_bytes(), len(SAID))
    assert run(*night("--force")).exit_code == errors.DONE
    ends(ready, wanted, 2)


LIMITED = """
import resource, sys
from pathlib import Path
from edgesleep import cli, kernel, progress
from edgesleep.night import agenda, cycle, gate
from edgesleep.night.hearing import hear
gate.plain_text = lambda: {text!r}
agenda.curate = hear
def limit(self, name):
    print(name, file=sys.stderr, flush=True)
    if name == {stage!r}:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + {more}, held + {more}))
progress.Lines.stage = limit
cli.main(["--home", {home!r}, *{words!r}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("stage", ["anchors", "baseline", "train", "gate"])
def test_a_real_night_within_too_little_memory_says_so_and_does_no_damage(
    stage: str, home: Path, base: Path, tmp_path: Path
) -> None:
    """What native code asks for in vain may end the process; the home is whole even then, and the crash is known."""
    make_home(home, base, SAID)
    told = [f"--set={name}={value}" for name, value in SMALL.items()]
    words = night(*told, "--threads", "1", "--minutes", "1000")
    code = LIMITED.format(text=TEXT, stage=stage, more=200_000, home=str(home), words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert stage in done.stderr.splitlines(), done.stderr
    assert done.returncode in (errors.ERROR, -signal.SIGABRT, -signal.SIGSEGV), (done.returncode, done.stderr)
    if done.returncode == errors.ERROR:
        assert "Error: " in done.stderr and "Traceback" not in done.stderr, done.stderr
    if done.returncode != errors.ERROR or "The night was ended by" in done.stderr:
        assert json.loads((home / "underway.json").read_text())["stage"] == stage
    sound(home, base.read_bytes(), len(SAID))
    assert Store(home).current() == 0


SMALL = {
    "dream.views": 4,
    "dream.probes": 1,
    "dream.anchors": 4,
    "dream.anchor_tokens": 24,
    "train.rank": 4,
    "gate.answer_tokens": 4,
    "gate.turn_tokens": 4,
}


# -- signals ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Those of a terminal: what a shell puts into the background begins with Ctrl-C ignored."""
    usual = {number: signal.getsignal(number) for number in progress.STOPPING}
    for number in usual:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", progress.STOPPING)
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_in_any_stage_stops_the_night_where_it_can_be_gone_on_with(
    stage: str, number: int, ready: Path, wanted: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object, name: str) -> None:
        if name == stage:
            os.kill(os.getpid(), number)
            assert not (ready / "underway.json").exists(), "from here on its end is no crash"

    with monkeypatch.context() as patch:
        patch.setattr(progress.Lines, "stage", stop)
        result = run(*night("--json"))
    last = stage == STAGES[-1]  # after which there is nothing left to stop
    assert result.exit_code == (errors.DONE if last else errors.ERROR)
    assert json.loads(result.stdout)["status"] == ("promoted" if last else "interrupted")
    sound(ready, base.read_bytes(), len(SAID))
    assert not left(ready)
    assert run(*night()).exit_code == (errors.SKIPPED if last else errors.DONE)
    ends(ready, wanted, 2)


def asked_and_killed(home: Path) -> None:
    """What a service manager does to a night that takes too long to stop, here at the same place every time."""

    def stop(_: object, name: str) -> None:
        if name == "train":
            os.kill(os.getpid(), signal.SIGTERM)
            die()

    with pytest.MonkeyPatch.context() as patch:
        hollow(patch)
        patch.setattr(progress.Lines, "stage", stop)
        run("--home", home, *night())


@needs_fork
def test_a_night_that_is_asked_to_stop_and_killed_is_gone_on_with_however_often(ready: Path, wanted: str) -> None:
    assert [exit_code(asked_and_killed, ready) for _ in range(3)] == [-signal.SIGKILL] * 3
    ends(ready, wanted, 2)


@pytest.mark.usefixtures("usual_signals")
def test_where_the_end_of_the_terminal_is_ignored_it_stays_so() -> None:
    """As `nohup` has it."""
    if progress.HANGUP is None:
        pytest.skip("there is no SIGHUP here")
    signal.signal(progress.HANGUP, signal.SIG_IGN)
    with progress.stoppable() as asked:
        os.kill(os.getpid(), progress.HANGUP)
        assert not asked()


@pytest.mark.usefixtures("usual_signals")
def test_the_end_of_the_terminal_may_come_twice() -> None:
    if progress.HANGUP is None:
        pytest.skip("there is no SIGHUP here")
    heard: list[bool] = []
    with progress.stoppable(lambda: heard.append(True)) as asked:
        for _ in range(2):
            os.kill(os.getpid(), progress.HANGUP)
        assert asked() and heard


def test_the_settings_of_these_nights_are_settings(home: Path) -> None:
    assert {*SMALL} <= {name for name, _ in config.flat(config.Settings())}
