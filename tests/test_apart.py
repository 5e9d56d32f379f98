"""A night in a process of its own: it ends as the one that waits, and that one as it; what killed it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hollow import sound
from nights import make_home
from tiny import make_tiny

from edgesleep import apart, errors
from edgesleep.records import file_digest
from edgesleep.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux the night is in a process of its own")

NIGHT = """
import os, signal, sys, time
from edgesleep.apart import apart
from edgesleep.machine import keep_private
from edgesleep.cli_shared import Main
import click

@click.command(cls=Main, invoke_without_command=True)
def night():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it,
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what nohup starts ignores this
    keep_private()
    apart(lambda: print("asked", flush=True))
    print(os.getpid(), flush=True)
    {work}

night()
"""


class Begun:
    """A program whose night does `work`; `night` is the process in which it does."""

    def __init__(self, work: str) -> None:
        code = NIGHT.format(work="\n    ".join(work.splitlines()))
        self.program = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.program.stdout is not None
        self.night = int(self.program.stdout.readline())

    def end(self) -> tuple[int, str, str]:
        assert self.program.stdout is not None and self.program.stderr is not None
        with self.program, self.program.stdout as out, self.program.stderr as err:
            told = out.read(), err.read()
        return self.program.returncode, *told


def gone(pid: int) -> bool:
    """Whether a process is no more, or soon will be."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("code", [0, 1, 3, 5])
def test_it_ends_with_the_exit_code_of_the_night(code: int) -> None:
    begun = Begun(f"print('done')\nsys.exit({code})")
    assert begun.night != begun.program.pid
    assert begun.end() == (code, "done\n", "")


def test_an_error_of_the_night_is_told_once() -> None:
    begun = Begun("from edgesleep.errors import BusyError\nraise BusyError('Another.', 'Wait.')")
    assert begun.end() == (errors.BUSY, "", "Error: Another.\nTry: Wait.\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_what_kills_the_night_is_told_with_what_to_do(number: signal.Signals) -> None:
    begun = Begun("time.sleep(60)")
    os.kill(begun.night, number)
    code, _, err = begun.end()
    assert code == errors.ERROR
    assert f"Error: The night was ended by {number.name}, " in err and "Try: " in err and "train.memory" in err


def test_what_kills_the_one_that_waits_ends_the_night() -> None:
    begun = Begun("time.sleep(60)")
    begun.program.kill()
    begun.program.wait()
    assert gone(begun.night)
    begun.end()


STOPPABLE = """
from edgesleep.progress import stoppable
with stoppable() as asked:
    print("here", flush=True)
    while not asked(): time.sleep(0.01)
print("stopped")
sys.exit(1)
"""


@pytest.fixture
def stoppable() -> Iterator[Begun]:
    begun = Begun(STOPPABLE.strip())
    assert begun.program.stdout is not None and begun.program.stdout.readline() == "here\n"
    yield begun
    if not begun.program.stdout.closed:
        begun.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_and_asks_once(number: signal.Signals, stoppable: Begun) -> None:
    stoppable.program.send_signal(number)
    code, out, err = stoppable.end()
    assert (code, out) == (errors.ERROR, "asked\nstopped\n")
    assert err.count("Stopping where") == 1


def test_a_service_manager_that_asks_both_has_asked_once(stoppable: Begun) -> None:
    for _ in range(2):
        os.kill(stoppable.night, signal.SIGTERM)
        stoppable.program.terminate()
    code, out, err = stoppable.end()
    assert (code, out.replace("asked\n", "")) == (errors.ERROR, "stopped\n")
    assert err.count("Stopping where") == 1


def test_a_second_signal_has_its_usual_effect_on_both() -> None:
    begun = Begun("time.sleep(60)")  # which has no handler, as after the first
    begun.program.terminate()
    assert begun.end()[0] == -signal.SIGTERM
    assert gone(begun.night)


def test_a_pause_holds_for_both(stoppable: Begun) -> None:
    def state(pid: int) -> str:
        time.sleep(0.2)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    stoppable.program.send_signal(signal.SIGTSTP)
    assert (state(stoppable.program.pid), state(stoppable.night)) == ("T", "T")
    stoppable.program.send_signal(signal.SIGCONT)
    assert state(stoppable.night) == "S"
    stoppable.program.terminate()


def test_where_a_caller_takes_what_is_printed_there_is_no_other_process(capsys: pytest.CaptureFixture[str]) -> None:
    before = os.getpid()
    apart.apart(lambda: None)
    print("here")
    assert os.getpid() == before and capsys.readouterr().out == "here\n"


REAL = """
import os, signal
import pytest
from edgesleep import cli, progress
from hollow import hollow
hollow(pytest.MonkeyPatch())
def stage(self, name):
    if name == "train" and {deadly}:
        os.kill(os.getpid(), signal.SIGKILL)
progress.Lines.stage = stage
cli.main(["--home", {home!r}, "run-night", "--nice", "0", "--passes", "3"])
"""


def test_a_night_of_the_command_line_that_is_killed_says_so_and_the_next_goes_on(home: Path, tmp_path: Path) -> None:
    def run(deadly: bool) -> subprocess.CompletedProcess[str]:
        code = REAL.format(home=str(home), deadly=deadly)
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    base = make_tiny(tmp_path / "tiny.gguf", "llama")
    make_home(home, base, ("I live in Skelwick.",))
    killed = run(True)
    assert killed.returncode == errors.ERROR and "ended by SIGKILL" in killed.stderr, killed.stderr
    sound(home, base.read_bytes(), 1)
    assert run(True).returncode == errors.ERROR
    assert "ended 2 times without a word in the stage train" in run(False).stderr
    (home / "config.toml").write_text("[train]\nmemory = 64\n")
    done = run(False)
    assert done.returncode == errors.DONE and "promoted" in done.stdout, done.stderr
    assert Store(home).current() == 1
    assert file_digest(Store(home).model_path()) == Store(home).generation(1).model_sha256
