"""The commands on generations: list and compare them, go back, check them, and move over to another base model.

Owns how a generation looks on the screen. Leaves files and pointer to `store`, making models again and what becomes of
the memories to `night.generations`, comparing to `night.compare`, checking to `night.verify`. Must stay true: a dry run
writes nothing, and a secret is covered in what is compared as it is in `cli_memories`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import config, records
from edgesleep.cli_memories import Shown
from edgesleep.cli_shared import (
    PRIVATE,
    SPEC,
    demand_nothing_to_forget,
    dry_run_flag,
    json_flag,
    learnable,
    named,
    planned,
    print_json,
    say,
)
from edgesleep.errors import EdgesleepError

if TYPE_CHECKING:
    from edgesleep.night.compare import Difference
    from edgesleep.records import Generation
    from edgesleep.store import Store

GROUPS = {"added": "+", "removed": "-", "reworded": "~"}
KEPT = {"delta": "(made again when asked for)", "manifest": "(no longer to be had)"}


@click.command()
@click.argument("number", type=click.IntRange(min=0), required=False)
@dry_run_flag
@json_flag
@click.pass_obj
def path(home: Path, number: int | None, dry_run: bool, as_json: bool) -> None:
    """Print the path of a GGUF.

    Any program that loads a GGUF can use it. Without NUMBER it is the current one; 0 is the base. An older one that is
    no longer kept is made again, and stays until the next night that is promoted. All but the base hold what you told,
    for anyone who asks them, and so do the adapters beside them.

    Example: llama-cli -m "$(edgesleep path)"
    """
    from edgesleep.store import Store

    store = Store(home)
    store.bases()  # says what to do where there is no home yet
    generation = store.current() if number is None else number
    again = _kept(store, generation) != "model"
    if not dry_run and (again or number):
        from edgesleep.night import generations as past

        model = past.model(store, generation)
    else:
        model = _place(store, generation)
    if as_json:
        about = {"made_again": again, "dry_run": dry_run, "private": generation > 0}
        print_json({"generation": generation, "model": str(model)} | about)
        return
    if generation:
        say(PRIVATE)
    click.echo(f"Would make {model} again." if dry_run and again else model)


@click.command("generations")
@json_flag
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """List all generations since the base.

    Recall is the share of held-out wordings that each answered after its night.

    Example: edgesleep generations
    """
    from edgesleep.store import Store

    store = Store(home)
    specs = {base.sha256: base.spec for base in store.bases()}
    base = store.bases()[0]
    rows: list[dict[str, Any]] = [{"number": 0, "night": None, "created": None, "memories": 0, "base": base.spec}]
    rows[0] |= {"parent": None, "recall": None}
    for made in store.generations():
        about = {"night": made.night, "created": made.created, "memories": len(made.memory_ids)}
        about |= {"base": specs.get(made.base_sha256), "parent": made.parent}
        rows.append({"number": made.number, **about, "recall": made.results.recall if made.results else None})
    for row in rows:
        row["current"] = row["number"] == store.current()
        row["kept"] = _kept(store, row["number"])
        row["model"] = str(store.model_path(row["number"])) if row["kept"] == "model" else None
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(_line(row, base.spec))


def _line(row: dict[str, Any], base: str) -> str:
    what = f"night {row['night']}, {row['created']}, {row['memories']} memories" if row["night"] else "the base"
    what += f", recall {row['recall']:.2f}" if row["recall"] is not None else ""
    what += f", on {row['base'] or 'an unknown base'}" if row["base"] != base else ""
    return f"{'*' if row['current'] else ' '} {row['number']:4d}  {what}  {row['model'] or KEPT[row['kept']]}"


def _kept(store: Store, number: int) -> str:
    """What is left of a generation: its model, or the delta to make it again from, or only the manifest."""
    from edgesleep.store import DELTA, MODEL

    if number == 0:
        store.base()  # has to be there, as all others are made from it
        return "model"
    store.generation(number)
    names = {"model": MODEL, "delta": DELTA}
    return next((kept for kept, name in names.items() if (store.folder(number) / name).exists()), "manifest")


def _place(store: Store, number: int) -> Path:
    """Where the model lies, or will once it is made again. Raises EdgesleepError where it cannot be."""
    from edgesleep.store import MODEL

    if _kept(store, number) == "model":
        return store.model_path(number)
    store.delta_path(number)
    return store.folder(number) / MODEL


@click.command()
@click.argument("number", type=click.IntRange(min=0), required=False)
@dry_run_flag
@json_flag
@click.pass_obj
def rollback(home: Path, number: int | None, dry_run: bool, as_json: bool) -> None:
    """Serve an earlier generation again.

    Without NUMBER the one before the current; 0 is the base. One that is no longer kept is made again from the base and
    its delta, to the byte as it was tested. What the generations left behind were taught is learned anew in the next
    night, also where the earlier one had begun to learn it; what the earlier one had learned counts as learned.

    Example: edgesleep rollback
    """
    from edgesleep.journal import Journal
    from edgesleep.night import generations as past
    from edgesleep.store import Store

    store = Store(home)
    base = store.bases()[0]
    with nullcontext() if dry_run else store.lock(), Journal.open(home) as journal:
        demand_nothing_to_forget(home)
        current = store.current()
        if number is None:
            if current == 0:
                raise EdgesleepError("The base model is current; there is nothing to go back to.")
            number = store.generation(current).parent
        model = _place(store, number)
        again = past.again(store, journal, number) if dry_run else past.go_to(store, journal, number)
    if not dry_run and (served := store.bases()[0]).sha256 != base.sha256:
        with store.lock():
            config.choose_model(home, served.spec)
    if as_json:
        about = {"generation": number, "instead_of": current, "model": str(model)}
        print_json(about | {"memories_again": again, "dry_run": dry_run})
        return
    click.echo(f"{'Would serve' if dry_run else 'Serving'} generation {number} instead of {current}: {model}")
    click.echo(f"Memories to be learned anew: {again}")


@click.command()
@click.option("--model", "spec", required=True, metavar="SPEC", help=SPEC)
@click.option("--remove-left", is_flag=True, help="Remove the generations of other models, for good.")
@dry_run_flag
@json_flag
@click.pass_obj
def migrate(home: Path, spec: str, remove_left: bool, dry_run: bool, as_json: bool) -> None:
    """Move to another base model.

    It is served from now on, and the next night teaches it all memories of the journal. The generations of the model
    before stay, and `rollback NUMBER` goes back to one of them and its base, unless they are removed. The choice is
    noted in config.toml.

    Example: edgesleep migrate --model gemma3-270m
    """
    from edgesleep.journal import Journal
    from edgesleep.night import generations as past
    from edgesleep.store import Store

    store = Store(home)
    old, current = store.bases()[0], store.current()
    with nullcontext() if dry_run else store.lock(), Journal.open(home) as journal:
        demand_nothing_to_forget(home)
        if dry_run:
            wanted, model = named(spec), planned(spec)
            others = [made.number for made in store.generations() if _spec(store, made) != wanted]
            again = past.again(store, journal, 0) if wanted != old.spec else 0
        else:
            chosen = learnable(spec)
            wanted, model = chosen.spec, f"{chosen.path} the base"
            again = past.migrate(store, journal, chosen.path, chosen.spec)
            config.choose_model(home, chosen.spec)
            others = store.remove_left() if remove_left else store.left()
    if as_json:
        print_json(
            {
                "model": wanted,
                "instead_of": old.spec,
                "generations_removed": others if remove_left else [],
                "generations_left": [] if remove_left else others,
                "memories_again": again,
                "dry_run": dry_run,
            }
        )
        return
    click.echo(f"{'Would make' if dry_run else 'Made'} {model}.")
    if others:
        verb = ("Would remove" if dry_run else "Removed") if remove_left else "Left"
        back = f"; `edgesleep rollback {current}` goes back" if current in others and not remove_left else ""
        click.echo(f"{verb} generations: {', '.join(map(str, others))}{back}")
    click.echo(f"Memories to be learned anew: {again}")


def _spec(store: Store, made: Generation) -> str | None:
    """What the base that a generation is built on is called."""
    return next((base.spec for base in store.bases() if base.sha256 == made.base_sha256), None)


@click.command()
@click.argument("before", type=click.IntRange(min=0))
@click.argument("after", type=click.IntRange(min=0))
@click.option("--no-ask", is_flag=True, help="Compare what they were taught only; no model is loaded.")
@json_flag
@click.pass_obj
def diff(home: Path, before: int, after: int, no_ask: bool, as_json: bool) -> None:
    """Compare two generations: which memories, and which answers.

    Both are asked for every memory that either was taught and the journal still holds, in a wording that no night
    trains. A model that is no longer kept is made again for it, and goes again. Secrets are not shown.

    Example: edgesleep diff 3 4
    """
    from edgesleep.journal import Journal
    from edgesleep.night import compare
    from edgesleep.store import Store

    store, limit = Store(home), config.load(home).gate.answer_tokens
    store.base()  # says what to do where there is no home yet, before a journal is made
    with Journal.open(home) as journal:
        shown = Shown(journal)
    # What still holds comes last: it is what a question that is asked in the same words is about.
    memories = sorted(shown.memories, key=lambda memory: shown.state(memory) != "replaced")
    found = compare.compare(store, memories, before, after, 0 if no_ask else limit, say)
    if as_json:
        rows = {name: [_memory(shown, id) for id in getattr(found, name)] for name in GROUPS}
        answers = [shown.without(records.plain(answer)) for answer in found.answers]
        print_json({"before": before, "after": after} | rows | {"asked": found.asked, "answers": answers})
    else:
        click.echo("\n".join(_page(shown, found, before, after)))


def _page(shown: Shown, found: Difference, before: int, after: int) -> Iterator[str]:
    yield f"Memories, from generation {before} to {after}:"
    rows = [(sign, _memory(shown, id)) for name, sign in GROUPS.items() for id in getattr(found, name)]
    yield from (f"  {sign} {row['id'][:12]}  {row['statement']}" for sign, row in rows)
    yield from [] if rows else ["  the same"]
    if found.asked:
        yield f"Answers: {len(found.answers)} of {found.asked} are others"
    for answer in found.answers:
        yield f"  {shown.without(answer.question)}"
        for number, said, right in (
            (before, answer.before, answer.right_before),
            (after, answer.after, answer.right_after),
        ):
            yield f"    {number}: {' '.join(shown.without(said).split())}{'  (right)' if right else ''}"


def _memory(shown: Shown, id: str) -> dict[str, Any]:
    """What may be shown of a memory; of one that was forgotten its id is all there is."""
    memory = next((memory for memory in shown.memories if memory.id == id), None)
    return shown.brief(memory) if memory else {"id": id, "statement": "(forgotten)", "state": "forgotten"}


@click.command()
@click.option("--rebuild", is_flag=True, help="Also make every model again that is not kept, for a moment.")
@json_flag
@click.pass_obj
def verify(home: Path, rebuild: bool, as_json: bool) -> None:
    """Check every hash, every pointer and the journal.

    One line for each base, generation and file, ok or FAIL; the exit code is 1 where anything fails. Nothing that is
    checked is changed.

    Example: edgesleep verify
    """
    from edgesleep.night.verify import checks

    done = []
    for check in checks(home, rebuild=rebuild):
        done.append(check)
        if not as_json:
            click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}: {check.found}")
    failed = sum(not check.ok for check in done)
    if as_json:
        print_json({"ok": not failed, "checks": done})
    if failed:
        raise EdgesleepError(
            f"{failed} of {len(done)} checks failed.",
            "`edgesleep path NUMBER` makes a model again; put other files back from a backup.",
        )


COMMANDS = (path, list_, rollback, migrate, diff, verify)
