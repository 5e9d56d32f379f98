"""The commands of the morning: how things stand, and what a night did.

Owns what is on the one screen of `status`, and where a report goes. Leaves words to `morning`, the page to `page`, and
health to `doctor`. Must stay true: a report is made from night.json alone; a page is written for its owner only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import records
from edgesleep.cli_shared import daemon_line, demand_nothing_to_forget, json_flag, print_json, say
from edgesleep.errors import EdgesleepError

if TYPE_CHECKING:
    from edgesleep.account import NightRecord


@click.command()
@json_flag
@click.pass_obj
def status(home: Path, as_json: bool) -> None:
    """Say what is served, what is known, and what waits to be learned.

    A memory is new; learning, when its held-out questions were answered after one night; graduated, after two; weak,
    when they were not; or superseded by what you said later.

    Example: edgesleep status --json
    """
    found = _standing(home)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(_screen(found)))


def _standing(home: Path) -> dict[str, Any]:
    from edgesleep import config, doctor, machine
    from edgesleep.files import size
    from edgesleep.journal import Journal
    from edgesleep.store import Store

    store = Store(home)
    base, generation = store.base(), store.current()
    model = store.model_path(generation)
    with Journal.open(home) as journal:
        turns, read = journal.turns(), journal.curated_through()
        counts = {state: len(journal.memories(state)) for state in records.STATES}
        graduated, pinned = len(journal.graduated()), sum(memory.pinned for memory in journal.memories())
        nights, under_way, coming = journal.nights(), journal.open_night(), journal.coming_night()
    waiting = sum(turn.id > read for turn in turns)
    return {
        "home": str(home),
        "base": base.spec,
        "generation": generation,
        "model": str(model),
        "messages": len(turns),
        "messages_waiting": waiting,
        "memories": {
            "new": counts["new"],
            "learning": counts["learned"] - graduated,
            "graduated": graduated,
            "weak": counts["weak"],
            "superseded": counts["replaced"],
        },
        "pinned": pinned,
        "last_night": nights[-1] if nights else None,
        "next_night": {"night": coming, "messages": waiting, "memories": counts["new"] + counts["weak"]},
        "unfinished_night": under_way,
        "daemon": _daemon(home),
        "disk": {
            "home": size(home),
            "generations": size(home / "generations"),
            "budget": config.load(home).store.bytes,
            "free": machine.free_disk(home),
        },
        "health": [check for check in doctor.quick(home) if check.state != doctor.OK],
    }


def _daemon(home: Path) -> dict[str, Any] | None:
    """What the daemon of this home says of itself; nothing where none runs."""
    from edgesleep.daemon.control import ask

    with suppress(EdgesleepError):
        return ask(home, do="status")
    return None


def _screen(found: dict[str, Any]) -> Iterator[str]:
    yield f"Serving generation {found['generation']} of {found['base']}: {found['model']}"
    yield f"Messages: {found['messages']}, of which {found['messages_waiting']} wait for the next night"
    pinned = f"; {found['pinned']} pinned" if found["pinned"] else ""
    yield "Memories: " + ", ".join(f"{count} {state}" for state, count in found["memories"].items()) + pinned
    if last := found["last_night"]:
        yield f"Last night: {last.night}, {last.status}. {last.reason}"
        if last.recall_after is not None:
            yield f"  recall {last.recall_before or 0:.2f} -> {last.recall_after:.2f}; `edgesleep report` tells more"
    if found["unfinished_night"]:
        yield f"Night {found['unfinished_night']} is unfinished; `edgesleep run-night` goes on with it."
    else:
        yield _coming(found["next_night"])
    if found["daemon"]:
        yield f"Daemon: {daemon_line(found['daemon'])}"
    else:
        yield "Daemon: none runs; `edgesleep daemon install` has nights come by themselves"
    disk = {name: number / 1e9 for name, number in found["disk"].items()}
    budget = f"of {disk['budget']:.0f} GB allowed" if disk["budget"] else "with no limit"
    yield f"Disk: {disk['home']:.2f} GB, generations {disk['generations']:.2f} {budget}; {disk['free']:.1f} GB are free"
    if not found["health"]:
        yield "Health: nothing is wrong; `edgesleep doctor` looks closer"
    for check in found["health"]:
        yield f"Health: {check.what}: {check.found}. Try: {check.fix}"


def _coming(night: dict[str, int]) -> str:
    if not night["messages"] and not night["memories"]:
        return f"Next night: {night['night']}; there is nothing new to learn yet"
    what = f"{night['messages']} messages to read, {night['memories']} memories to learn"
    return f"Next night: {night['night']}, with `edgesleep run-night`: {what}"


@click.command()
@click.argument("night", type=click.IntRange(min=1), required=False)
@click.option(
    "--html", "html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as one web page to this file."
)
@click.option("--open", "opened", is_flag=True, help="Show the page in the browser.")
@json_flag
@click.pass_obj
def report(home: Path, night: int | None, html: Path | None, opened: bool, as_json: bool) -> None:
    """Show what a night learned, what was refused and why.

    Without NIGHT the last one that came to its end. The web page is one file that asks the network for nothing; without
    --html it is written beside the night's records. It quotes what you told: `edgesleep forget` takes away the one
    there, and no others.

    Example: edgesleep report 3 --open
    """
    from edgesleep import account

    demand_nothing_to_forget(home)
    record = account.night_of(home, night)
    if html or opened:
        _page(home, record, html, opened)
    if as_json:
        print_json(record)
    elif not html and not opened:
        click.echo(_text(home, record), nl=False)


def _text(home: Path, record: NightRecord) -> str:
    """The text of a night; of one that an older edgesleep ran, as it was written then."""
    from edgesleep import morning
    from edgesleep.night.artefacts import folder_of

    old = folder_of(home, record.night) / "report.txt"
    return old.read_text("utf-8") if record.account is None and old.exists() else morning.text(record)


def _page(home: Path, record: NightRecord, html: Path | None, opened: bool) -> None:
    import webbrowser

    from edgesleep import page
    from edgesleep.files import write_atomically
    from edgesleep.night.artefacts import folder_of

    path = (html or folder_of(home, record.night) / "report.html").absolute()
    write_atomically(path, page.night(record).encode())
    say(f"The page is {path}.")
    if not opened:
        return

    if not webbrowser.open(path.as_uri()):
        raise EdgesleepError("No browser could be started.", f"Open {path} yourself.")


COMMANDS = (status, report)
