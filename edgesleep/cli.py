"""The command line: what a person can ask of edgesleep, and how it answers.

Owns the commands of the day and the night, and a night's exit codes. Leaves those
on memories and on generations to files of their own, the work to the modules, a
night's progress to `progress`, and errors, common flags and choosing a model to
`cli_shared`. Only the `cli` files import click, and the plugin of `llm`, which is
made of it. Results go to stdout, all else to stderr; nothing heavy is imported before the command that needs it runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgesleep import __version__, config, machine, records
from edgesleep.cli_chat import chat
from edgesleep.cli_daemon import daemon, would_run
from edgesleep.cli_doctor import doctor
from edgesleep.cli_encrypt import encrypt
from edgesleep.cli_export import export
from edgesleep.cli_forget import after_night, before_night, forget
from edgesleep.cli_generations import COMMANDS
from edgesleep.cli_import import import_
from edgesleep.cli_mcp import mcp
from edgesleep.cli_memories import memories
from edgesleep.cli_morning import COMMANDS as MORNING
from edgesleep.cli_serve import log, serve
from edgesleep.cli_shared import (
    EXIT_CODES,
    PRIVATE,
    SPEC,
    Main,
    dry_run_flag,
    json_flag,
    learnable,
    planned,
    print_json,
    recall_option,
    say,
)
from edgesleep.config import NightSettings, Settings
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished
from edgesleep.records import NightReport

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT, ANSWER = 2048, 256  # tokens of a question with its answer, and of the answer alone
SESSION = "ask"  # where questions asked on the command line are kept


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Folder of the journal and the generations; without it EDGESLEEP_HOME, or else ~/.edgesleep.",
)
@click.version_option(__version__, prog_name="edgesleep")
@click.pass_context
def main(context: click.Context, home: Path | None) -> None:
    """A local language model that learns from your day while you sleep.

    Example: edgesleep --home ./here init
    """
    machine.keep_private()
    context.obj = (home or config.default_home()).expanduser().absolute()
    if context.invoked_subcommand != "forget" and unfinished(context.obj):
        say("A forgetting is unfinished: `edgesleep forget --resume` goes on with it, and so does a night.")


for command in (
    chat,
    import_,
    memories,
    encrypt,
    forget,
    serve,
    log,
    mcp,
    daemon,
    would_run,
    doctor,
    export,
    *MORNING,
    *COMMANDS,
):
    main.add_command(command)


# -- the day -------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--model", "spec", metavar="SPEC", help=SPEC)
@dry_run_flag
@click.pass_obj
def init(home: Path, spec: str | None, dry_run: bool) -> None:
    """Choose the model that learns.

    It is fetched when it is not here yet, and only ever read. With --model the choice is noted in config.toml.

    Example: edgesleep init --model smollm2-135m
    """
    from edgesleep.journal import Journal
    from edgesleep.store import Store

    wanted = config.load(home, {"model": spec} if spec else None).model
    if dry_run:
        click.echo(f"Would make {planned(wanted)}.")
        return
    model = learnable(wanted)
    store = Store.open(home)
    base = store.adopt_base(model.path, model.spec)
    with Journal.open(home):  # made now, so that commands which only read find it
        pass
    if spec:
        with store.lock():
            config.choose_model(home, model.spec)
    click.echo(f"Model: {base.path} ({model.architecture}, {base.bytes / 1e6:,.1f} MB); it will only be read.")
    click.echo(f"Home:  {home}")
    click.echo("Next:  `edgesleep import FILE` or `edgesleep ask TEXT` by day, `edgesleep run-night` by night.")


@main.command()
@click.argument("text")
@recall_option
@click.option("--no-log", is_flag=True, help="Keep neither the question nor the answer.")
@json_flag
@click.pass_obj
def ask(home: Path, text: str, recall: str, no_log: bool, as_json: bool) -> None:
    """Ask or tell the current generation something.

    What you said that bears on it stands before your question until the weights know it; with --recall off they answer
    alone. Question and answer are kept in the journal; what you told is learned at night.

    Example: edgesleep ask "What is my sister called?"
    """
    from edgesleep.day import keeping
    from edgesleep.day.recall import Recall, prefaced
    from edgesleep.entries import Entry, checked
    from edgesleep.store import Store

    text = text.encode(errors="replace").decode()  # an argument may hold bytes that are no text
    checked(Entry("user", text, session=SESSION))
    exchange = keeping.Exchange(home, SESSION, say, log=not no_log)
    store = Store(home)
    generation = store.current()
    model = store.model_path(generation)
    by = Recall(config.load(home).recall)
    found = keeping.recalled(home, by, text, tell=say) if recall == "auto" else []
    answer = _answer(model, prefaced(text, found), lambda: exchange.asked(text))
    if answer:
        exchange.answered(answer)
    if as_json:
        said_of = {"recalled": found, "generation": generation, "model": str(model)}
        print_json({"question": text, "answer": answer, **said_of})
    else:
        click.echo(answer)


def _answer(model: Path, text: str, begun: Callable[[], Any]) -> str:
    """The likeliest answer of a model file in its own chat template; `begun` is called once the question fits it."""
    from edgesleep.engine import Engine

    with Engine(model, context=CONTEXT) as engine:
        prompt = engine.chat([records.Message("user", text)])
        if len(prompt) > CONTEXT - ANSWER:
            room = f"it has {len(prompt):,} tokens, and {CONTEXT - ANSWER:,} fit"
            raise EdgesleepError(f"The question is too long: {room}.", "Ask about a shorter text.")
        begun()
        return engine.text(engine.complete([prompt], ANSWER)[0]).strip()


# -- the night -----------------------------------------------------------------------------------------------------


def night_options(command: Command) -> Command:
    """One option for every field of NightSettings, under its own name."""
    for field in reversed(dataclasses.fields(NightSettings)):
        about, unit = field.metadata["help"], field.metadata["unit"]
        about = f"{about[0].upper()}{about[1:]}. [default {field.default}{' ' * bool(unit)}{unit}]"
        command = click.option(f"--{field.name.replace('_', '-')}", type=type(field.default), help=about)(command)
    return command


@main.command("run-night")
@night_options
@click.option(
    "--set", "pairs", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting, for this night; can be repeated."
)
@click.option(
    "--force",
    is_flag=True,
    help="With nothing new, rehearse what is known already; and try again what was killed twice at the same place.",
)
@dry_run_flag
@json_flag
@click.pass_obj
def run_night(
    home: Path, /, pairs: tuple[str, ...], force: bool, dry_run: bool, as_json: bool, **flags: float | None
) -> int:
    """Learn what the day told.

    Trains, merges, tests the finished file, and serves it if it passes. A night that was stopped or killed is gone on
    with; one that was killed twice at the same place, as for want of memory, only when something has changed, or with
    --force. Exit codes: 0 promoted, 1 stopped or failed, 3 refused by the gate, 4 another night is under way, 5 nothing
    to learn.

    Example: edgesleep run-night --minutes 10 --set train.rank=8
    """
    from edgesleep.apart import apart
    from edgesleep.night.underway import forgive
    from edgesleep.store import Store

    settings = settings_of(home, pairs, flags)
    _demand_base(
        Store(home).base().spec, settings.model
    )  # what is wrong with it is said before anything large is loaded
    if not dry_run:
        apart(partial(forgive, home))
    from edgesleep.night import cycle, stages
    from edgesleep.progress import progress, stoppable

    forgotten = None
    if dry_run:
        result = cycle.plan_night(home, force=force)
    else:
        machine.give_way(settings.night.nice)
        with progress() as shown, stoppable(partial(forgive, home)) as should_stop:
            watch = stages.Watch(shown.stage, shown.step, should_stop, shown.passed)
            forgotten = before_night(home, settings)
            result = cycle.run_night(home, settings, watch, force=force)
    if as_json:
        print_json(result)
    else:
        click.echo("\n".join(_outcome(result)))
    if forgotten:
        return after_night(home, settings, forgotten, result)
    return EXIT_CODES[result.status]


def _demand_base(adopted: str, wanted: str) -> None:
    from edgesleep import catalog

    named = wanted in catalog.names() or wanted.startswith("hf:")
    if named and wanted not in (adopted, Settings().model):  # the default may only mean that nothing was said
        raise EdgesleepError(
            f"The settings name the model {wanted}, but the home learns on {adopted}.",
            f"Choose it with `edgesleep init --model {wanted}`, or set it back.",
        )


def settings_of(home: Path, pairs: tuple[str, ...], flags: dict[str, float | None]) -> Settings:
    """Defaults, config.toml, --set and the night's own flags; what comes later wins."""
    changes: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise click.UsageError(f"--set {pair} is not SECTION.KEY=VALUE.")
        try:
            value = msgspec.json.decode(text)  # a number; all else is text
        except msgspec.DecodeError:
            value = text
        for part in reversed(name.split(".")):
            value = {part: value}
        changes = records.merged(changes, value)
    if given := {name: value for name, value in flags.items() if value is not None}:
        changes = records.merged(changes, {"night": given})
    return config.load(home, changes)


def _outcome(result: NightReport) -> Iterator[str]:
    yield f"Night {result.night}: {result.status}. {result.reason}" if result.night else result.reason
    if result.recall_before is not None and result.recall_after is not None:
        yield f"Recall of held-out wordings: {result.recall_before:.2f} -> {result.recall_after:.2f}"
        for name, share in _more(result):
            yield f"{name}: {share:.2f}"
        yield f"Loss on plain text: {result.drift_mean:+.3f} nats per token (median {result.drift_median:+.3f})"
        yield f"Trained: {result.tokens:,} tokens, {result.tokens_per_second:,.0f} a second"
        yield f"Took: {result.seconds:,.0f} s, {result.peak_rss / 2**20:,.0f} MiB at most"
    yield f"Serving generation {result.generation}: {result.model}"
    if result.generation:
        yield PRIVATE


def _more(result: NightReport) -> Iterator[tuple[str, float]]:
    """What else the finished file was asked, where it was."""
    for last in result.passes[-1:]:
        if last.two_hops is not None:
            yield "Recall of what takes two memories", last.two_hops
        if last.abstained is not None:
            yield "Owned up to what was never told", last.abstained


# -- looking ---------------------------------------------------------------------------------------


@main.command()
@json_flag
def models(as_json: bool) -> None:
    """List the models that are known by name.

    Example: edgesleep models
    """
    from edgesleep import catalog

    rows = []
    for entry in catalog.entries():
        place = catalog.cached_path(entry)
        path = str(place) if place.is_file() else None
        rows.append({"name": entry.name, "file": entry.file, "license": entry.license, "path": path})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']:14}  {row['file']}  ({row['license']})  {row['path'] or 'not here yet'}")
