"""`edgesleep export`: a generation for another program.

Owns the command, and telling that what leaves the home is private. Leaves files and templates to `export`. Must stay
true: nothing is exported while a forgetting is unfinished, and whoever exports is told that none reaches the copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgesleep.cli_shared import PRIVATE, demand_nothing_to_forget, dry_run_flag, json_flag, print_json, say

if TYPE_CHECKING:
    from edgesleep.export import Export
    from edgesleep.store import Base

PLACE = click.Path(path_type=Path)


@click.command()
@click.argument("number", type=click.IntRange(min=0), required=False)
@click.option("--ollama", type=PLACE, metavar="DIR", help="A Modelfile and the model, for `ollama create`.")
@click.option("--lm-studio", type=PLACE, metavar="DIR", help="publisher/model/file below DIR, LM Studio's models.")
@click.option("--adapter", type=PLACE, metavar="FILE", help="The LoRA alone, for llama.cpp on the base.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@dry_run_flag
@json_flag
@click.pass_obj
def export(
    home: Path,
    number: int | None,
    ollama: Path | None,
    lm_studio: Path | None,
    adapter: Path | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Lay a generation out for another program.

    Without NUMBER it is the current one; 0 is the base. The model is the very file that the gate passed; the adapter
    on the base comes close to it, but was not tested so. Ollama is told the model's own chat template, to answer at
    temperature 0, as it was tested, and to keep 2,048 tokens of a chat. All but the base hold what you told, for anyone
    who asks them: the files are for your account alone, and no `edgesleep forget` reaches them or what a program makes
    of them.

    Example: edgesleep export --ollama ./mine && ollama create mine -f ./mine/Modelfile
    """
    from edgesleep import export as exports
    from edgesleep.store import Store

    store = Store(home)
    store.base()  # says what to do where there is no home yet
    places = {exports.to_ollama: ollama, exports.to_lm_studio: lm_studio, exports.to_adapter: adapter}
    chosen = [(make, place.expanduser().absolute()) for make, place in places.items() if place]
    if len(chosen) != 1:
        raise click.UsageError("Give one of --ollama, --lm-studio and --adapter.")
    demand_nothing_to_forget(home)
    ((make, place),) = chosen
    plan = make(store, store.current() if number is None else number, place)
    exports.demand_room(plan, home, force=force)
    size = plan.bytes if dry_run else exports.write(store, plan, force=force)
    if not as_json:
        _tell(plan, exports.base_of(store, plan.generation), size, dry_run)
        return
    about = {"kind": plan.kind, "generation": plan.generation, "files": [str(path) for path in plan.files]}
    print_json(about | {"bytes": size, "private": plan.generation > 0, "dry_run": dry_run})


def _tell(plan: Export, base: Base, size: int, dry_run: bool) -> None:
    click.echo(f"{'Would export' if dry_run else 'Exported'} generation {plan.generation} ({size / 1e6:,.1f} MB):")
    for path in plan.files:
        click.echo(f"  {path}")
    if plan.kind == "ollama":
        click.echo(f"Next: `ollama create edgesleep -f {plan.text}`; Ollama keeps a copy of its own.")
    if plan.kind == "adapter":
        click.echo(f"Next: `llama-cli -m {base.path} --lora {plan.large}`")
    if not plan.templated:
        say("The model's chat template cannot be said in Ollama's language; Ollama chooses one by itself.")
    if plan.generation:
        say(f"{PRIVATE} `edgesleep forget` does not reach it: then remove it yourself, and what was made of it.")
