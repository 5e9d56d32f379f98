"""The command that takes a file into the journal.

Owns its flags, and how it tells what became of the file. Leaves reading and writing to `day.importers`. Must stay true:
what is left out and what is broken is said, and nothing heavy is loaded for its help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesleep.cli_shared import demand_nothing_to_forget, dry_run_flag, json_flag, print_json, say

if TYPE_CHECKING:
    from edgesleep.day.importers import Imported

SHOWN = 20  # broken records
# The names of `importers.TITLES`, which is not loaded for the help.
FORMATS = (
    *("auto", "chatgpt", "claude", "grok", "aistudio", "openwebui", "librechat", "chatbotui", "sharegpt", "lmstudio"),
    *("sillytavern", "llm", "jsonl"),
)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "name",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What the file is of; its content tells it as well.",
)
@dry_run_flag
@json_flag
@click.pass_obj
def import_(home: Path, file: Path, name: str, dry_run: bool, as_json: bool) -> None:
    """Write a file's messages into the journal.

    FILE is the export of a chat application, as it is or in its .zip, logs.db of llm, or JSON Lines: role and content,
    and session, at and source where they are known. Of a conversation with branches the one goes in that its
    application shows; broken records are named, and the rest goes in, but for JSON Lines, which go in whole or not at
    all. Of a file that was imported before only what is new is added. Only what you wrote yourself can be learned.

    Example: edgesleep import conversations.json
    """
    from edgesleep.day.importers import import_file, look
    from edgesleep.journal import Journal

    if dry_run:
        done = look(file, name)
    else:
        demand_nothing_to_forget(home)
        with Journal.open(home) as journal:
            done = import_file(journal, file, name, say)
    if as_json:
        print_json({"file": str(file), "dry_run": dry_run, **dataclasses.asdict(done)})
        return
    of = f"{file} ({', '.join(done.formats)}; conversations: {done.conversations:,})"
    if dry_run:
        click.echo(f"{done.read} messages of {of} can be imported.")
    else:
        click.echo(f"{done.added} new messages, of {done.read} in {of}, are in the journal.")
    for line in _rest(done):
        click.echo(line)


def _rest(done: Imported) -> Iterator[str]:
    if done.left_out:
        yield f"Left out: {', '.join(f'{count:,} {what}' for what, count in done.left_out.items())}."
    if done.broken:
        yield f"{done.broken:,} records or messages could not be read:"
        yield from (f"  {reason}" for reason in done.named[:SHOWN])
    if done.broken > SHOWN:
        yield f"  and {done.broken - SHOWN:,} more"
