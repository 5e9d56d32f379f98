"""The command that says whether this machine can do what edgesleep asks of it.

Owns how the checks look on the screen. Leaves looking to `doctor`. Must stay true: every line that is not ok says what
to do, and the exit code is 1 where one fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesleep import errors, records
from edgesleep.cli_shared import json_flag, print_json

if TYPE_CHECKING:
    from edgesleep.doctor import Check


@click.command("doctor")
@json_flag
@click.pass_obj
def doctor(home: Path, as_json: bool) -> int:
    """Check this machine: kernel, processor, llama.cpp, sensors, permissions, disk and memory.

    Each line is ok, warn or fail, and says what to do. A model is loaded, in a process of its own, and writes a few
    words; nothing is changed or fetched. Whether the files of a home are whole is asked with `edgesleep verify`. Exit
    codes: 0, or 1 where something fails.

    Example: edgesleep doctor
    """
    from edgesleep.doctor import FAIL, checks

    found: list[Check] = []
    for check in checks(home):
        found.append(check)
        if not as_json:
            show(check)
    failed = any(check.state == FAIL for check in found)
    if as_json:
        print_json({"ok": not failed, "checks": records.plain(found)})
    return errors.ERROR if failed else errors.DONE


def show(check: Check) -> None:
    """One check, a line or two."""
    click.echo(f"{check.state:5} {check.what}: {check.found}")
    if check.fix:
        click.echo(f"      Try: {check.fix}")
