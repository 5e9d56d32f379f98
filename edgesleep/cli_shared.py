"""What commands share: telling errors and the daemon, flags that mean the same everywhere, JSON, choosing a model.

Owns the one place where an error becomes `Error:` and `Try:` with its exit code. Leaves the commands to the other
`cli` files. Must stay true: results go to stdout, all else to stderr, and a fault of ours keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from edgesleep import errors, records
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished

EXIT_CODES = {
    "promoted": errors.DONE,
    "planned": errors.DONE,
    "rejected": errors.REFUSED,
    "interrupted": errors.ERROR,
    "skipped": errors.SKIPPED,
}  # of a night, by its status
PRIVATE = "It holds what you told it, for anyone who asks: treat it as private data."  # of every model and adapter
SPEC = "Catalogue name, path of a .gguf, or hf:REPO/FILE."  # help of --model


class Main(click.Group):
    """The group that turns every error into two lines and an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit with the code that it returns, or that of its error."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except EdgesleepError as error:
            code = explain(error.message, error.hint, error.exit_code)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "edgesleep"
            code = explain(error.format_message(), f"`{command} --help` shows what can be given.", error.exit_code)
        except click.Abort:
            code = explain("Stopped.", "", errors.ERROR)
        except MemoryError:
            hint = "End other programs, or lower train.memory in config.toml; nothing that was there is changed."
            code = explain("There is not enough memory.", hint, errors.ERROR)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            code = explain(f"{place}{error.strerror or error}.", "Check the disk and the permissions.", errors.ERROR)
        sys.exit(code)


def explain(message: str, hint: str, code: int) -> int:
    """Tell an error as every command does; returns its exit code."""
    click.echo(f"Error: {message}", err=True)
    if hint:
        click.echo(f"Try: {hint}", err=True)
    return code


json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
dry_run_flag = click.option("--dry-run", is_flag=True, help="Only say what would be done; write nothing.")

recall_option = click.option(
    "--recall",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Whether what you said before may stand before a question.",
)


def print_json(record: Any) -> None:
    """Print a record, or plain values, as the command's result."""
    click.echo(records.encode(record).decode(), nl=False)


def say(line: str) -> None:
    """Tell what takes time."""
    click.echo(line, err=True)


def daemon_line(told: dict[str, Any]) -> str:
    """What a daemon says of itself, in one line."""
    return " ".join(_stands(told))


def _stands(told: dict[str, Any]) -> Iterator[str]:
    phases = {"running": "A night is under way.", "held": "A night is held still:", "ending": "A night is ending."}
    begins = "A night begins now." if told.get("pid", 0) is not None else "A night begins at the timer's next look."
    yield phases.get(told["phase"], "No night now:" if told["against"] else begins)
    if told["against"] and told["phase"] in ("none", "held"):
        yield f"{', '.join(no['why'] for no in told['against'])}."
    if last := told["last_night"]:
        yield f"Last night: {last['outcome']}, ended {datetime.fromtimestamp(last['ended']):%Y-%m-%d %H:%M}."
    if told.get("failure"):  # a daemon from before an update knows none
        yield told["failure"]
    if not told["within_hours"] and told["hours_begin"]:
        yield f"Next hours: from {datetime.fromisoformat(told['hours_begin']):%H:%M}."


def demand_nothing_to_forget(home: Path) -> None:
    """Raises EdgesleepError while a forgetting is unfinished: it says what is served, and what is to go is not told."""
    if unfinished(home):
        raise EdgesleepError(
            "A forgetting is unfinished, and what is served and held waits for it.",
            "`edgesleep forget --resume` ends it.",
        )


@dataclass(frozen=True)
class Chosen:
    """A model file that can learn. `spec` is what settings call it: a name, an hf: address, or its whole path."""

    path: Path
    spec: str
    architecture: str


def learnable(wanted: str) -> Chosen:
    """The model that is meant, fetched if need be. Raises EdgesleepError where it cannot be had, trained or asked."""
    from edgesleep import catalog
    from edgesleep.engine import Engine
    from edgesleep.gguf import Gguf
    from edgesleep.network import build

    path = catalog.resolve(wanted, say)
    file = Gguf.open(path)
    # A model that cannot be trained, or asked in its own chat template, is refused now and not in the night.
    build(file, seed=0, memory=0, exact=True)
    Engine(path, vocab_only=True).close()
    return Chosen(path, named(wanted), file.architecture)


def named(wanted: str) -> str:
    """What settings call a model. Raises EdgesleepError where it is none of the three."""
    from edgesleep import catalog

    return wanted if wanted in catalog.names() or wanted.startswith("hf:") else str(catalog.resolve(wanted))


def planned(wanted: str) -> str:
    """What choosing a model would do; nothing is fetched. Raises EdgesleepError where there is no such model."""
    from edgesleep import catalog

    if wanted.startswith("hf:"):
        return f"{wanted} the base, and fetch it if it is not in {catalog.cache_folder()}"
    entry = next((entry for entry in catalog.entries() if entry.name == wanted), None)
    path = catalog.cached_path(entry) if entry else catalog.resolve(wanted)
    return f"{path} the base{'' if path.is_file() else ', and download it first'}"
