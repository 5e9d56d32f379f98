"""The night on the command line: its exit codes, signals, and how it is shown while it runs."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import fails, night_ends, run

from edgesleep import config, errors, progress
from edgesleep.errors import BusyError
from edgesleep.night import stages
from edgesleep.records import NightReport, PassScore, StepReport


@pytest.fixture
def ready(home: Path, base: Path) -> Path:
    """A home in which `init` has been run."""
    assert run("init", "--model", str(base)).exit_code == 0
    return home


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("promoted", errors.DONE),
        ("rejected", errors.REFUSED),
        ("skipped", errors.SKIPPED),
        ("interrupted", errors.ERROR),
    ],
)
def test_a_night_ends_with_its_exit_code(status: str, code: int, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = NightReport(1, status, "So it went.", 1, "model.gguf", 1, 1, 0.0, 0.5, drift_mean=0.01, drift_median=0.0)
    night_ends(monkeypatch, lambda *args, **extra: ended)
    result = run("run-night", "--json")
    assert result.exit_code == code and json.loads(result.stdout)["status"] == status
    text = run("run-night")
    assert text.exit_code == code and f"Night 1: {status}. So it went." in text.stdout and "0.00 -> 0.50" in text.stdout


def test_a_busy_home_has_its_own_exit_code(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: Any, **extra: Any) -> NightReport:
        raise BusyError("Another night is under way.", "Wait.")

    night_ends(monkeypatch, busy)
    assert fails("run-night", code=errors.BUSY) == "Error: Another night is under way.\nTry: Wait.\n"


def test_a_night_with_nothing_new_is_skipped(ready: Path) -> None:
    assert run("run-night").exit_code == errors.SKIPPED
    assert run("run-night", "--dry-run").exit_code == errors.SKIPPED


def told(watch: stages.Watch) -> bool:
    """Whether a signal arrives; another thread may take it, which is later, and two that wait are one."""
    until = time.monotonic() + 10
    while not watch.should_stop() and time.monotonic() < until:
        time.sleep(0.001)
    return watch.should_stop()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own Ctrl-C, which a process that a shell has put into the background begins without."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_the_night_to_stop(number: int, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = signal.getsignal(number)
    asked: list[bool] = []

    def night(home: Path, settings: config.Settings, watch: stages.Watch, *, force: bool) -> NightReport:
        asked.append(watch.should_stop())
        os.kill(os.getpid(), number)
        asked.append(told(watch))
        return NightReport(1, "interrupted", "Asked to.", 0, "base.gguf")

    night_ends(monkeypatch, night)
    assert run("run-night").exit_code == errors.ERROR
    assert asked == [False, True]
    assert signal.getsignal(number) == usual


@pytest.mark.usefixtures("interruptible")
def test_the_second_signal_stops_at_once(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not within a moment of the first: that is the same one, which came twice."""
    monkeypatch.setattr(progress, "MOMENT", 0.2)

    def night(home: Path, settings: config.Settings, watch: stages.Watch, *, force: bool) -> NightReport:
        os.kill(os.getpid(), signal.SIGINT)
        told(watch)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        raise AssertionError("it went on")

    night_ends(monkeypatch, night)
    assert fails("run-night") == "Error: Stopped.\n"


def step(number: int) -> StepReport:
    return StepReport(number, 40, 1.5, 0.0123, 0.001, 1000 * number, 2.0 * number, limit=66.0)


def test_progress_on_no_terminal_is_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesleep.kernel.device", lambda: ("cpu", "no card"))
    with progress.progress() as shown:
        shown.stage("train")
        for number in range(1, 22):
            shown.step(step(number))
        shown.step(step(40))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Training ...",
        "  On cpu (no card)",
        "  10/40 steps  0:46 left  500 tokens/s  loss 1.500  drift 0.0123",
        "  20/40 steps  0:26 left  500 tokens/s  loss 1.500  drift 0.0123",
        "  40/40 steps  0:00 left  500 tokens/s  loss 1.500  drift 0.0123",
    ]


def test_progress_says_what_was_found_between_two_passes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress() as shown:
        shown.passed(PassScore(2, 0.614, 0.5, 0.8, 0.0123))
        shown.passed(PassScore(3, 0.75, None, None, -0.001))
    assert capsys.readouterr().err.splitlines() == [
        "  After pass 2: recall 0.61, over two memories 0.50, owned up 0.80, loss on plain text +0.012",
        "  After pass 3: recall 0.75, loss on plain text -0.001",
    ]


def test_progress_on_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress() as shown:
        for stage in progress.STAGES:
            shown.stage(stage)
            if stage == "train":
                shown.step(step(10))
    out, err = capsys.readouterr()
    assert out == "" and all(text in err for text in progress.STAGES.values())
    assert "10/40 steps  0:46 left" in err
