"""The command that encrypts the journal, or makes it plain again.

Owns what is said of it. Leaves the file and its key to `database`. Must stay true: no key is ever shown, and what is
not encrypted by it is named.
"""

from __future__ import annotations

from pathlib import Path

import click

from edgesleep.cli_shared import dry_run_flag, json_flag, print_json


@click.command()
@click.option("--off", is_flag=True, help="Make it plain again.")
@dry_run_flag
@json_flag
@click.pass_obj
def encrypt(home: Path, off: bool, dry_run: bool, as_json: bool) -> None:
    """Encrypt the journal, with a key in the keychain of the system.

    All that was said and found is then read with that key only; without it nobody can, you neither, so keep a backup of
    the keychain. Needs `pip install 'edgesleep[encryption]'`. Models, and the reports and artefacts of nights, are not
    encrypted: only a disk that is encrypted as a whole protects those, and what lay on it before.

    Example: edgesleep encrypt
    """
    from edgesleep import database
    from edgesleep.errors import EdgesleepError
    from edgesleep.journal import FILE, Journal
    from edgesleep.store import Store

    store, path = Store(home), home / FILE
    store.bases()  # says what to do where there is no home yet
    if not path.exists():
        raise EdgesleepError(f"There is no journal in {home} yet.", "`edgesleep import` or `edgesleep ask` begins one.")
    before = bool(database.account(path))
    changes = before == off
    if changes and not dry_run:
        with store.lock():
            database.convert(path, encrypted=not off)
            Journal.open(home).close()
    if as_json:
        print_json({"journal": str(path), "encrypted": not off, "changed": changes, "dry_run": dry_run})
        return
    state = "plain" if off else "encrypted"
    said = f"Would make it {state}" if dry_run else f"Now {state}"
    click.echo(f"{said if changes else f'Already {state}'}: {path}")
