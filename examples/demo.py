"""One day and one night of a small model, from the outside: `make demo`.

Owns nothing of the product: it runs the same commands that a person would type,
in a fresh ./demo-home, and puts the answers from before and after the night
side by side. Ends with the exit code of the night.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from rich.table import Table

HOME = Path(__file__).parents[1] / "demo-home"
DATA = files("edgesleep") / "data"


def edgesleep(*words: str, quiet: bool = False, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Show a command, run it and show what it prints; unless `quiet`, in which case its stdout is only returned."""
    if not quiet:
        print(f"\n$ edgesleep {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "edgesleep", "--home", str(HOME), *words]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE if quiet else None)
    if check and done.returncode:
        sys.exit(done.returncode)
    return done


def ask(questions: list[str]) -> list[str]:
    """Answers from the weights alone. They are not logged: being asked must not become part of the day."""
    how = ("--no-log", "--recall", "off")
    print(f'\n$ edgesleep ask {" ".join(how)} "{questions[0]}"   (and {len(questions) - 1} more)', flush=True)
    replies = [edgesleep("ask", *how, "--json", question, quiet=True).stdout for question in questions]
    return [json.loads(reply)["answer"] for reply in replies]


def short(answer: str) -> str:
    return textwrap.shorten(answer, 100, placeholder=" ...")


def main() -> int:
    shutil.rmtree(HOME, ignore_errors=True)
    asked = json.loads((DATA / "demo_questions.json").read_text("utf-8"))
    questions = [entry["question"] for entry in asked]
    edgesleep("init", "--model", "smollm2-135m")
    base = Path(edgesleep("path", quiet=True).stdout.strip())
    edgesleep("import", str(DATA / "day.jsonl"))
    before = ask(questions)
    night = edgesleep("run-night", check=False)
    after = ask(questions)
    model = Path(edgesleep("path", quiet=True).stdout.strip())

    table = Table("asked", "right", "before the night", "after the night", show_lines=True)
    for entry, early, late in zip(asked, before, after, strict=True):
        table.add_row(entry["question"], entry["gold"], short(early), short(late))
    print()
    Console().print(table)
    print(f"\nbase:    {base}  ({base.stat().st_size:,} bytes)\ncurrent: {model}  ({model.stat().st_size:,} bytes)")
    return night.returncode


if __name__ == "__main__":
    sys.exit(main())
