"""What the commands share: how an error is told, the flags that mean the same everywhere, and JSON on stdout.

Owns the one place where an error becomes `Error:` and `Try:` with its exit code. Leaves the commands to `cli` and
`cli_memories`. Must stay true: results go to stdout, all else to stderr, and a fault of ours keeps its traceback.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from edgesleep import errors, records
from edgesleep.errors import EdgesleepError


class Main(click.Group):
    """The group that turns every error into two lines and an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit with the code that it returns, or that of its error."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except EdgesleepError as error:
            code = _explain(error.message, error.hint, error.exit_code)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "edgesleep"
            code = _explain(error.format_message(), f"`{command} --help` shows what can be given.", error.exit_code)
        except click.Abort:
            code = _explain("Stopped.", "", errors.ERROR)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            code = _explain(f"{place}{error.strerror or error}.", "Check the disk and the permissions.", errors.ERROR)
        sys.exit(code)


def _explain(message: str, hint: str, code: int) -> int:
    click.echo(f"Error: {message}", err=True)
    if hint:
        click.echo(f"Try: {hint}", err=True)
    return code


json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
dry_run_flag = click.option("--dry-run", is_flag=True, help="Only say what would be done; write nothing.")


def print_json(record: Any) -> None:
    """Print a record, or plain values, as the command's result."""
    click.echo(records.encode(record).decode(), nl=False)
