"""What a newcomer types, line for line from the README, in a fresh clone and an empty home: what it says, how long it
takes.

    python bench/newcomer.py

Owns the clone and the clock. Leaves the lines to the README's section "Your own first night", so that what stands there
is what ran. Must stay true: nothing outside of a temporary folder is read or changes, so llama.cpp is built and the
model fetched; the line that installs the daemon only says what it would write; without the answer it fails.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgesleep import machine

ROOT = Path(__file__).parents[1]
SECTION = "## Your own first night"
DONE = "-- done in "
PLACES = {"EDGESLEEP_HOME": "home", "XDG_CACHE_HOME": "cache", "PIP_CACHE_DIR": "cache/pip"}
ASKED, ANSWER = "$ edgesleep ask --recall off", "Rufus"


def main() -> None:
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "edgesleep"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        began = time.monotonic()
        shell = subprocess.run(
            ["bash", "-euc", script(lines((clone / "README.md").read_text("utf-8")))],
            cwd=clone,
            env=os.environ | {name: f"{folder}/{place}" for name, place in PLACES.items()},
            stdout=subprocess.PIPE,
            text=True,
        )
        took = time.monotonic() - began
    print(shell.stdout.replace(folder, "..."))
    if shell.returncode:
        sys.exit(f"A line of the README failed: exit code {shell.returncode}.")
    if ANSWER not in shell.stdout.partition(ASKED)[2].partition(DONE)[0].partition("\n")[2]:
        sys.exit(f"It was told, and did not answer {ANSWER}.")
    print(f"From the clone to the last line: {took / 60:.1f} minutes.")


def lines(readme: str) -> Iterator[str]:
    """The commands, without what is said of them."""
    section = readme.partition(SECTION)[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("    "):
            yield re.split(r"\s{2,}#", line.strip())[0]


def script(commands: Iterator[str]) -> str:
    """All of them in one shell, each shown before it runs and timed."""
    parts = []
    for command in commands:
        run = f"{command} --dry-run" if "daemon install" in command else command
        parts += [f"echo {shlex.quote('$ ' + run)}", "began=$SECONDS", run]
        parts.append(f'echo "{DONE}$((SECONDS - began)) s"; echo')
    return "\n".join(parts)


if __name__ == "__main__":
    main()
