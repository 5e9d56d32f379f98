"""What the daemon leaves in HOME/daemon: its log, and what its last night printed.

Owns the names of these files, one line of JSON for each thing that happens, and how much of it is kept. Leaves what is
worth a line to `loop`. Must stay true: a line has names, numbers and times only, so that nothing that was told ever
stands in it; the file is opened for each line, so that whoever removes it has removed it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesleep.files import make_folder, private
from edgesleep.records import now

FOLDER = "daemon"
FILE = "log.jsonl"
PRINTED = "night.txt"  # of the last night: it may quote, so `forget` looks into it
STATE = "state.json"
CLAIM = "daemon.lock"  # of the daemon that serves the home
SAYS_NOTHING = (f"{FOLDER}/{FILE}*", f"{FOLDER}/{STATE}")  # of what was told
BYTES, OLDER = 1 << 18, 2  # of one file, and how many before it are kept


def note(home: Path, event: str, **figures: Any) -> None:
    """Add a line. A log that cannot be written must not end what it tells of."""
    path = home / FOLDER / FILE
    line = json.dumps({"at": now(), "event": event, **figures}, ensure_ascii=False) + "\n"
    try:
        make_folder(path.parent)
        if path.exists() and path.stat().st_size + len(line) > BYTES:
            for number in range(OLDER, 0, -1):
                before = _older(path, number - 1)
                if before.exists():
                    before.replace(_older(path, number))
        with open(path, "a", encoding="utf-8", opener=_private) as file:
            file.write(line)
    except OSError:
        return


def lines(home: Path) -> Iterator[dict[str, Any]]:
    """All that is kept, the oldest first; a line that was cut short is left out."""
    path = home / FOLDER / FILE
    for number in range(OLDER, -1, -1):
        if _older(path, number).exists():
            for text in _older(path, number).read_text("utf-8", "replace").splitlines():
                try:
                    yield json.loads(text)
                except ValueError:
                    continue


def last_error(home: Path) -> str:
    """What the last night said that went wrong, or nothing. It may quote, so it is for the owner's eyes only."""
    path = home / FOLDER / PRINTED
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    errors = [line.removeprefix("Error: ") for line in text.splitlines() if line.startswith("Error: ")]
    return errors[-1] if errors else ""


def printed(home: Path) -> Path:
    """An empty file for what a night prints, for nobody else."""
    path = make_folder(home / FOLDER) / PRINTED
    path.write_bytes(b"")
    private(path)
    return path


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
