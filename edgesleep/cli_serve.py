"""`edgesleep serve` and `edgesleep log`: the server of the day, and whether what is said is kept.

Owns their flags and what is said of them. Leaves serving to `day.serve`, its pages to `web`, and keeping to
`day.logbook`. Must stay true: a key is never an argument, which other users of the machine could read; where a
browser could open pages of another server, none of ours stand beside them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from edgesleep import config
from edgesleep.cli_shared import dry_run_flag, json_flag, print_json, say
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished

PORT = 8422
KEY = "EDGESLEEP_API_KEY"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes any free one.")
@click.option(
    "--upstream", metavar="URL", help="Pass requests on to this server of the same API, and keep what passes."
)
@click.option("--remote", is_flag=True, help="The upstream may be another machine, to which all you say then goes.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the key that requests have to bear; or in {KEY}. Needed off loopback, and with --cors '*'.",
)
@click.option(
    "--cors", "origins", multiple=True, metavar="ORIGIN", help="Web pages that may ask, or *; can be repeated."
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name by which this server is reached besides this machine's own, as through a proxy; can be repeated.",
)
@click.option(
    "--recall",
    type=click.Choice(["auto", "off"]),
    help="Whether what you said before may stand before a question. [default auto, and off with --remote]",
)
@click.pass_obj
def serve(
    home: Path,
    host: str,
    port: int,
    upstream: str | None,
    remote: bool,
    key_file: Path | None,
    origins: tuple[str, ...],
    names: tuple[str, ...],
    recall: str | None,
) -> None:
    """Serve OpenAI's API, and keep what is said for the night.

    Chat, completions and embeddings of the current generation; when a night publishes a newer one, that is served from
    the next request on. With --upstream another server answers (llama-server, Ollama, LM Studio), tools included; no
    secret that you approved is quoted to it, and to one on another machine nothing unless --recall auto is given. A
    request may bear the headers X-Edgesleep-Log: off, X-Edgesleep-Recall: off, and X-Edgesleep-Session: NAME.
    At `/` it has pages for you: the report of the last night, all nights, and your memories to approve, pin and forget.
    With --upstream they are at `/edgesleep`, and only where there is a key, without which pages of that server would
    stand beside them and could act there; with --remote there are none. They ask for the key where there is one; where
    other people use this machine as well, give it one. A key is no guard against a site of another account of this
    machine that you open in the same browser: it is sent your session, which ends an hour after its last use.
    Needs `pip install 'edgesleep[serve]'`.

    Example: edgesleep serve --port 8080
    """
    settings = config.load(home)
    try:
        from edgesleep.day import serve as day
        from edgesleep.day.guard import Rules
        from edgesleep.day.upstream import Upstream
        from edgesleep.web import BESIDE, Web
    except ImportError as error:
        raise EdgesleepError(
            f"The package {error.name} is not here.", "Install it: `pip install 'edgesleep[serve]'`."
        ) from error
    key = _key(key_file)
    rules = Rules(host, key, origins, names)
    behind = Upstream(upstream, remote=remote, key=bool(key)) if upstream else None
    wanted = recall or ("off" if remote else "auto")
    beside = bool(upstream)  # without a key a browser would open that one's pages here
    pages = None if remote or (beside and not key) else Web(home, settings, rules, BESIDE if beside else "")
    plan = day.Plan(home, settings, rules, wanted == "auto", behind, lambda: unfinished(home), pages)
    listener = day.listening(host, port)
    try:
        server = day.Server(plan, say)
        name = f"[{host}]" if ":" in host else host
        what = f"generation {server.answers.number}" if server.answers else f"what is behind it at {upstream}"
        place = f"http://{name}:{listener.getsockname()[1]}"
        say(f"Serving {what} at {place}/v1; Ctrl-C ends it.")
        if pages:
            say(f"Nights and memories are at {place}{BESIDE if beside else ''}/ in a browser.")
        elif not remote:
            say(f"No nights and memories in a browser, as pages of {upstream} could act there: give it a --key-file.")
        with suppress(KeyboardInterrupt):
            day.run(server, listener)
    finally:
        listener.close()


def _key(path: Path | None) -> str:
    key = path.read_text("utf-8").strip() if path else os.environ.get(KEY, "")
    if path and not key:
        raise EdgesleepError(f"{path} is empty.", "Put a long random key into it.")
    return key


@click.command()
@click.argument("state", type=click.Choice(["on", "off", "status"]), default="status")
@dry_run_flag
@json_flag
@click.pass_obj
def log(home: Path, state: str, dry_run: bool, as_json: bool) -> None:
    """Say whether what is said is kept in the journal, or turn that on or off.

    While it is off, `serve` and `ask` keep nothing; what was kept before is still recalled and learned.

    Example: edgesleep log off
    """
    from edgesleep.day import logbook
    from edgesleep.store import Store

    Store(home).bases()  # says what to do where there is no home yet
    before = logbook.is_on(home)
    on = before if state == "status" else state == "on"
    if on != before and not dry_run:
        logbook.turn(home, on=on)
    if as_json:
        print_json({"kept": on, "changed": on != before, "dry_run": dry_run})
        return
    would = "Would be" if dry_run and on != before else "Is"
    click.echo(f"{would} {'on: what is said is kept' if on else 'off: nothing that is said is kept'}.")
