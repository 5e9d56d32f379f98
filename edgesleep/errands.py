"""Errands: a command of edgesleep that a process which goes on has done in a process of its own.

Owns starting it, what it said, and ending it. Leaves what it does to the command, so that it is done as its owner would
have it done. Must stay true: one at a time, and none is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from edgesleep import errors
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
            lines = self._lines = deque[str](maxlen=LINES)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgesleep", "--home", str(self._home), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            )
            self._listener = threading.Thread(target=_listen, args=(self._process, lines), daemon=True)
            self._listener.start()

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
        """The error that it ended with, as it was told."""
        if not self.code:
            return None
        said = {start: rest for start, mark, rest in (line.partition(": ") for line in self.lines) if mark}
        kind = BusyError if self.code == errors.BUSY else EdgesleepError
        return kind(said.get("Error", f"It ended with code {self.code}."), said.get("Try", ""))

    def stop(self) -> None:
        """Ask it to end, and wait until it has: what it was at is gone on with later."""
        process = self._process
        if process is None or not self.is_under_way():
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listen(process: subprocess.Popen[str], lines: deque[str]) -> None:
    assert process.stdout
    with process.stdout as told:
        lines.extend(line.rstrip("\n") for line in told)
    process.wait()
