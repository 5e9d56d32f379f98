"""`edgesleep memories`: what was found worth keeping, shown, and decided upon by its owner.

Owns the group's commands and how a memory looks on the screen. Leaves deciding to `night.owner` and storing to
`journal`. Must stay true: a secret, approved or withheld, is shown here only by `show --reveal`; a command that writes
holds the home's lock, so that no night runs meanwhile; a dry run writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import records, secrets
from edgesleep.cli_shared import demand_nothing_to_forget, dry_run_flag, json_flag, print_json
from edgesleep.errors import EdgesleepError
from edgesleep.records import Memory

if TYPE_CHECKING:
    from edgesleep.journal import Journal
    from edgesleep.night.owner import Change
    from edgesleep.night.withheld import Withheld

WITHHELD = "withheld"
KINDS = {"told": "told in words", "mentioned": "speaks of a secret", "noted": "noted by an assistant"}
STILL = (
    "No night trains it, or finds the same value on the same topic again. The current model may still know it, until\n"
    "it is rebuilt without it; the messages stay in the journal. What earlier nights wrote keeps it in full: in\n"
    "nights/*/ the reports, memories.json, dreams*.json and what the model answered. `edgesleep forget` takes it out\n"
    "of all of these, and out of the model."
)


@click.group(no_args_is_help=False)
def memories() -> None:
    """See and decide what is learned from your day.

    A memory is one statement that a night found in your messages, each with an id that may be shortened to a
    beginning no other has. It is new, learned (its held-out questions were answered after a night), weak (they were
    not), or replaced by what you said later.

    Example: edgesleep memories list
    """


# -- looking -------------------------------------------------------------------------------------------------------


@memories.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    type=click.Choice([*records.STATES, WITHHELD]),
    help=f"Only those that are {', '.join(records.STATES)}, or what was {WITHHELD}; can be repeated.",
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Only those told on or after DATE.")
@json_flag
@click.pass_obj
def list_(home: Path, states: tuple[str, ...], since: datetime | None, as_json: bool) -> None:
    """List the memories, one a line: id, date, state and statement.

    A star marks those that are pinned. With --state withheld, the sentences that no night learns since they tell a
    secret (password, code, account number) or speak of one: id, date, whether it was approved, and its kind; and what
    an assistant noted for you (`edgesleep mcp`), with its text, which is learned once you approve it.

    Example: edgesleep memories list --state new --state weak --since 2026-03-01
    """
    day = f"{since:%Y-%m-%d}" if since else ""
    with looking(home) as journal:
        shown = Shown(journal)
        rows = [
            memory
            for memory in shown.memories
            if memory.at >= day and shown.state(memory) in (states or records.STATES)
        ]
        secret = [item for item in held_back(journal) if item.at >= day] if WITHHELD in states else []
        if as_json:
            print_json([*map(shown.brief, rows), *(about(journal, item) for item in secret)])
            return
        _print_lines([*map(shown.line, rows), *(_item_line(journal, item) for item in secret)])


@memories.command()
@click.argument("text")
@json_flag
@click.pass_obj
def search(home: Path, text: str, as_json: bool) -> None:
    """Find memories by words.

    All words of TEXT, or their beginnings, have to occur in what the memory says or is asked for by.

    Example: edgesleep memories search "dog called"
    """
    from edgesleep.night import owner

    with looking(home) as journal:
        shown = Shown(journal)
        found = owner.search(shown.memories, text)
        if as_json:
            print_json([*map(shown.brief, found)])
        else:
            _print_lines([*map(shown.line, found)])


@memories.command()
@click.argument("id")
@click.option("--reveal", is_flag=True, help="Show secrets too.")
@json_flag
@click.pass_obj
def show(home: Path, id: str, reveal: bool, as_json: bool) -> None:
    """Show all there is to a memory, or to what was withheld.

    The messages that told it, the questions it is learned by, the one that is held out to test it, what it stands in
    place of, and the generation that learned it.

    Example: edgesleep memories show 3f9c
    """
    with looking(home) as journal:
        if id.startswith("w"):
            _show_item(journal, id, reveal, as_json)
            return
        from edgesleep.night import owner
        from edgesleep.night.withheld import hidden

        shown = Shown(journal)
        memory = owner.pick(shown.memories, id)
        turns = [turn for turn in journal.turns() if turn.id in memory.turn_ids]
        if not reveal:
            turns = [replace(turn, content=shown.without(hidden(turn.content)), sha256="") for turn in turns]
        fields = records.plain(memory) if reveal else shown.covered(memory)
        state, generation = shown.standing[memory.id]
        fields |= {"state": state, "generation": generation, "approved": memory.id in shown.secret}
        fields["turns"] = [{"id": turn.id, "at": turn.at, "content": turn.content} for turn in turns]
        if as_json:
            print_json(fields)
        else:
            click.echo("\n".join(_page(fields)))


def _page(memory: dict[str, Any]) -> Iterator[str]:
    learned = f", since generation {memory['generation']}" if memory["generation"] is not None else ""
    yield f"{memory['id']}  {memory['statement']}"
    yield f"  state:      {memory['state']}{learned}{', pinned' if memory['pinned'] else ''}"
    yield f"  kind:       {memory['kind']} ({memory['relation']})"
    yield f"  value:      {memory['value']}"
    if memory["instead_of"]:
        yield f"  instead of: {memory['instead_of']}"
    if memory["approved"]:
        yield "  secret:     approved"
    for turn in memory["turns"]:
        lines = turn["content"].splitlines()
        yield f"  told:       {turn['at'][:16].replace('T', ' ')}, message {turn['id']}: {lines[0]}"
        yield from (f"              {line}" for line in lines[1:])
    yield "  questions:"
    for question in memory["questions"]:
        held = "  (held out)" if question["ask"] == memory["held_out"] else ""
        yield f"    {question['text']}  {question['full']}{held}"


def _show_item(journal: Journal, wanted: str, reveal: bool, as_json: bool) -> None:
    from edgesleep.night import owner

    item = owner.pick_withheld(journal, wanted)
    fields = about(journal, item) | ({"text": item.text} if reveal and item.text else {})
    if as_json:
        print_json(fields)
        return
    click.echo(f"{item.id}  {kind_of(item)}, message {item.turn}, {item.at[:16].replace('T', ' ')}")
    if item.text:
        click.echo(f"  state: {fields['state']}")
        click.echo(f"  text:  {fields.get('text', '`--reveal` shows it')}")
    else:
        click.echo("  It was taken out before the message was written, and never kept; it cannot be approved.")
    for memory in fields["memories"]:
        click.echo(f"  memory: {memory}")


# -- deciding ------------------------------------------------------------------------------------------------------


@memories.command()
@click.argument("id")
@dry_run_flag
@json_flag
@click.pass_obj
def approve(home: Path, id: str, dry_run: bool, as_json: bool) -> None:
    """Have a withheld secret learned after all, or what an assistant noted.

    ID is one of `edgesleep memories list --state withheld`. From then on it is in the weights of every coming
    generation, and anyone who can ask the model can have it. Keys and card numbers are taken out of a message before
    it is written: they were never kept, and cannot be approved. A note becomes your own word, as if you had said it;
    one that is wrong goes with `edgesleep forget` and the number of its message, like m17.

    Example: edgesleep memories approve w17.1
    """
    from edgesleep.night import owner

    with deciding(home, dry_run) as journal:
        item = owner.pick_withheld(journal, id)
        change = owner.approve(journal, item, commit=not dry_run)
        _tell(journal, change, dry_run, as_json, change.holds)


@memories.command()
@click.argument("ids", nargs=-1, required=True)
@dry_run_flag
@json_flag
@click.pass_obj
def forget(home: Path, ids: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Delete memories.

    With each goes what follows from its sentence. No night finds the same value on the same topic again, but another
    value, or what is said of it on another topic, is found as before. The current model may still know it until it is
    rebuilt without it; the messages stay, and so does what earlier nights wrote in nights/: reports, memories.json and
    dreams*.json have it in full. `edgesleep forget` takes it out of all of these. To have it learned later, put another
    memory so with `edit`.

    Example: edgesleep memories forget 3f9c 81d0
    """
    from edgesleep.night import owner

    with deciding(home, dry_run) as journal:
        shown = Shown(journal)
        change = owner.forget(journal, [owner.pick(shown.memories, id) for id in ids], commit=not dry_run)
        _tell(journal, change, dry_run, as_json, shown.secret.values())
        if not as_json:
            click.echo(STILL)


@memories.command()
@click.argument("id")
@click.option("--off", is_flag=True, help="Let it go again.")
@dry_run_flag
@json_flag
@click.pass_obj
def pin(home: Path, id: str, off: bool, dry_run: bool, as_json: bool) -> None:
    """Have a memory kept as it is.

    It is rehearsed in every night as fully as a new one, however well it is known, and holds whatever is said later;
    only `edit` and `forget` change it.

    Example: edgesleep memories pin 3f9c
    """
    with deciding(home, dry_run) as journal:
        memory = pinned(journal, id, on=not off, commit=not dry_run)
        if as_json:
            print_json(memory | {"dry_run": dry_run})
        else:
            verb = ("Would let go" if off else "Would pin") if dry_run else "No longer pinned" if off else "Pinned"
            click.echo(f"{verb}: {memory['statement']}")


def pinned(journal: Journal, id: str, *, on: bool, commit: bool = True) -> dict[str, Any]:
    """Pin a memory, or let it go; what a list says of it then. Raises EdgesleepError where it holds no more."""
    from edgesleep.night import owner

    shown = Shown(journal)
    memory = owner.pick(shown.memories, id)
    if shown.state(memory) == "replaced":
        raise EdgesleepError(f"{memory.id} was replaced by what you said later.", "Pin that one.")
    if commit:
        journal.pin(memory.id, on)
    return shown.brief(memory) | {"pinned": on}


@memories.command()
@click.argument("id")
@click.argument("sentence")
@dry_run_flag
@json_flag
@click.pass_obj
def edit(home: Path, id: str, sentence: str, dry_run: bool, as_json: bool) -> None:
    """Put a memory otherwise.

    SENTENCE is read as if you had said it in a chat, is logged as such, and has to be one memory; that takes the old
    one's place, and the coming night learns it. Where the old one was pinned, the new one is.

    Example: edgesleep memories edit 3f9c "My dog is called Miso."
    """
    from edgesleep.night import owner

    text = sentence.encode(errors="replace").decode()  # an argument may hold bytes that are no text
    with deciding(home, dry_run) as journal:
        shown = Shown(journal)
        change = owner.edit(journal, owner.pick(shown.memories, id), text, commit=not dry_run)
        _tell(journal, change, dry_run, as_json, shown.secret.values())


def _tell(journal: Journal, change: Change, dry_run: bool, as_json: bool, secret: Iterable[Memory]) -> None:
    """What was decided, or would be; `secret` are covered though a decision may have taken them out."""
    shown = Shown(journal, secret)
    if not as_json:
        click.echo("\n".join(decided(shown, change, dry_run)))
        return
    groups = {"holds": change.holds, "gone": change.gone, "naming": change.naming}
    rows = {name: [*map(shown.brief, found)] for name, found in groups.items()}
    rows["gone"] = [row | {"state": _gone(change).lower()} for row in rows["gone"]]
    print_json(rows | {"dry_run": dry_run})


def decided(shown: Shown, change: Change, dry_run: bool = False) -> Iterator[str]:
    """What a decision changed, or would, a memory a line."""
    gone = _gone(change)
    says = ("Would hold", f"Would be {gone.lower()}") if dry_run else ("Holds", gone)
    for word, found in zip((*says, "Names it too"), (change.holds, change.gone, change.naming), strict=True):
        for memory in found:
            yield f"{word}: {shown.short(memory)}  {shown.brief(memory)['statement']}"


def _gone(change: Change) -> str:
    return "Replaced" if change.holds else "Forgotten"


# -- the journal, and how a memory looks ------------------------------------------------------------------------------


@contextmanager
def looking(home: Path) -> Iterator[Journal]:
    """The journal of a home that is there."""
    from edgesleep.journal import Journal
    from edgesleep.store import Store

    Store(home).base()  # says what to do where there is no home yet, before one is made
    with Journal.open(home) as journal:
        yield journal


@contextmanager
def deciding(home: Path, dry_run: bool) -> Iterator[Journal]:
    """The same, held for a change. Raises BusyError during a night, EdgesleepError during a forgetting."""
    from edgesleep.store import Store

    store = Store(home)
    store.base()
    with nullcontext() if dry_run else store.lock(), looking(home) as journal:
        demand_nothing_to_forget(home)
        yield journal


class Shown:
    """All memories of a journal as they may be shown."""

    def __init__(self, journal: Journal, secret: Iterable[Memory] = ()) -> None:
        """All that were approved are covered, and those of `secret`, which the journal may hold no more."""
        self.memories: Sequence[Memory] = journal.memories()
        self.standing = journal.standing()
        approved = {memory for found in journal.approved().values() for memory in found}
        self.secret = {memory.id: memory for memory in self.memories if memory.id in approved}
        self.secret |= {memory.id: memory for memory in secret}
        ids = {memory.id for memory in self.memories}
        self._width = next((n for n in range(6, 12) if len({id[:n] for id in ids}) == len(ids)), 12)

    def state(self, memory: Memory) -> str:
        return self.standing[memory.id][0] if memory.id in self.standing else "new"

    def short(self, memory: Memory) -> str:
        return memory.id[: self._width]

    def covered(self, memory: Memory) -> dict[str, Any]:
        """The fields of a memory, without secrets: its own, another's that it names, and one whose place it took."""
        fields: dict[str, Any] = self.without(records.plain(memory))
        if memory.relation in {other.relation for other in self.secret.values()}:
            fields = secrets.covered(fields, [memory.instead_of])
        return fields

    def without(self, part: Any) -> Any:
        """Text, or plain values, in which no approved secret stands."""
        return secrets.covered(part, [memory.value for memory in self.secret.values()])

    def brief(self, memory: Memory) -> dict[str, Any]:
        """What a list says of a memory."""
        fields = self.covered(memory)
        names = ("id", "kind", "relation", "statement", "value", "instead_of", "at", "turn_ids", "pinned")
        return {name: fields[name] for name in names} | {"state": self.state(memory)}

    def line(self, memory: Memory) -> str:
        star, statement = "*" if memory.pinned else " ", self.brief(memory)["statement"]
        return f"{star} {self.short(memory)}  {memory.at[:10]}  {self.state(memory):8}  {' '.join(statement.split())}"


def held_back(journal: Journal) -> Iterator[Withheld]:
    """What was withheld, and what was noted."""
    from edgesleep.night.withheld import noted, withheld

    turns = journal.turns()
    yield from withheld(turns)
    yield from noted(turns)


def about(journal: Journal, item: Withheld) -> dict[str, Any]:
    """What a list says of it."""
    approved = journal.approved().get((item.turn, item.sha256), []) if item.text else []
    state = "approved" if approved else WITHHELD if item.text else "redacted"
    fields = {"id": item.id, "state": state, "kind": item.kind, "turn": item.turn, "at": item.at}
    return fields | {"memories": approved} | ({"text": _noted(item)} if item.kind == "noted" else {})


def _item_line(journal: Journal, item: Withheld) -> str:
    fields = about(journal, item)
    text = f": {fields['text']}" if "text" in fields else ""
    return f"  {item.id:6}  {item.at[:10]}  {fields['state']:8}  {kind_of(item)}, in message {item.turn}{text}"


def _noted(item: Withheld) -> str:
    """What an assistant noted, in a line; it is no secret, or is covered."""
    from edgesleep.night.withheld import hidden

    return " ".join(hidden(item.text).split())


def kind_of(item: Withheld) -> str:
    """What it is, in words."""
    return KINDS.get(item.kind, item.kind)


def _print_lines(lines: Sequence[str]) -> None:
    if lines:
        click.echo("\n".join(lines))
    else:
        click.echo("There are none.", err=True)
