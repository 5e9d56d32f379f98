"""Errands: a command of edgesleep that a process which goes on has done in a process of its own.

Owns starting it, what it said, and ending it. Leaves what it does to the command, so that it is done as its owner would
have it done. Must stay true: one at a time, and none is left behind, however this process ends.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path

from edgesleep import errors, machine
from edgesleep.errors import BusyError, EdgesleepError

LINES = 200  # of what it said, the last ones
PATIENCE = 30.0  # seconds for one that is asked to end


class Errand:
    """The errands of one home: the one under way, or else the last."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=LINES)

    def start(self, *words: str) -> None:
        """Have `edgesleep WORDS` done. Raises BusyError while another is under way."""
        with self._lock:
            if self.is_under_way():
                raise BusyError("Another command is under way for these pages.", "Wait until it has ended.")
            self._lines, started = deque[str](maxlen=LINES), Future[subprocess.Popen[str]]()
            self._listener = threading.Thread(target=_done, args=(self._home, words, self._lines, started), daemon=True)
            self._listener.start()
            self._process = started.result()

    def is_under_way(self) -> bool:
        return self._listener is not None and self._listener.is_alive()

    @property
    def code(self) -> int | None:
        """The exit code of the last; None where it is under way, or there was none."""
        return None if self._process is None or self.is_under_way() else self._process.returncode

    @property
    def lines(self) -> list[str]:
        """What it said so far."""
        return [*self._lines]

    def failure(self) -> EdgesleepError | None:
        """The error that it ended with, as it was told; how a night ended is none."""
        if self.code in (None, errors.DONE, errors.REFUSED, errors.SKIPPED):
            return None
        said = {start: rest for start, mark, rest in (line.partition(": ") for line in self.lines) if mark}
        kind = BusyError if self.code == errors.BUSY else EdgesleepError
        return kind(said.get("Error", f"It ended with code {self.code}."), said.get("Try", ""))

    def stop(self) -> None:
        """Ask it to end, and wait until it has: what it was at is gone on with later."""
        with self._lock:
            process, listener = self._process, self._listener
        if process is None or listener is None or not listener.is_alive():
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        listener.join(PATIENCE)


def _done(home: Path, words: tuple[str, ...], lines: deque[str], started: Future[subprocess.Popen[str]]) -> None:
    """Have it done, and take down what it says. By one thread, as it would not outlast the one that starts it."""
    try:
        process = subprocess.Popen(
            machine.edgesleep("--home", str(home), *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
    except Exception as error:  # for whoever starts it
        started.set_exception(error)
        return
    started.set_result(process)
    assert process.stdout
    with process.stdout as told:
        lines.extend(line.rstrip("\n") for line in told)
    process.wait()
