"""`edgesleep forget`: something is forgotten for good, in every file and in the model.

Owns how a choice is shown and confirmed, and how the proofs are told. Leaves what goes with it to `night.scope`, doing
and proving to `night.forget`. Must stay true: nothing is written before it was shown and confirmed; a secret is covered
as in `cli_memories`; that it is forgotten is said only after every proof of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import config, machine, records, tombstones
from edgesleep.cli_memories import Shown
from edgesleep.cli_shared import dry_run_flag, json_flag, print_json, say
from edgesleep.errors import EdgesleepError

if TYPE_CHECKING:
    from edgesleep.config import Settings
    from edgesleep.night.forget import Forecast
    from edgesleep.night.pending import Forgotten, Pending
    from edgesleep.night.scope import Held, Scope
    from edgesleep.records import Memory, Turn
    from edgesleep.store import Store

WIDTH = 90  # of a message in a list


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--query", metavar="TEXT", help="All in which the words of TEXT occur, or their beginnings.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="All that was said on or after DATE.")
@click.option("--resume", is_flag=True, help="Go on with one that was cut short, or of which a proof failed.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@dry_run_flag
@json_flag
@click.pass_obj
def forget(home: Path, /, resume: bool, yes: bool, dry_run: bool, as_json: bool, **wanted: Any) -> None:
    """Forget something for good.

    IDS are of memories, or of messages, like m17. With each go the messages that tell it, memories that say or name the
    same, what it replaced, every generation that was taught any of it, and the records of those nights. At once the
    newest generation is served that never was taught it, or else the base; a night then teaches that one the rest
    again. At last it is proven: it is found in no file under the home, the model knows no more of it than the base
    does, and the rest is recalled as before. Where the model still does, --resume goes further back and learns again.

    A value that is short, a number or a common word takes with it only messages that tell it in the same sentence, and
    answers shortly after that repeat it. It is looked for in these sentences, any other value by itself, and a message
    by its sentences that have a word which is not common and stays nowhere else. In models only texts of 8 letters or
    more are looked for, and nowhere parts of a value, or what is compressed, encrypted or in UTF-16. What is said of it
    again before all is proven goes as well. After --since what ended since then does not hold again.

    No night learns it again: not the same value on the same topic, what is told in the same words, or more about a name
    that was forgotten; and what is said in the same words is not imported. For that the journal keeps hashes, and
    forget.key beside it their key; whoever has both can try values on them. What is told so otherwise that its topic is
    read as another is learned, and `memories edit` has anything learned again. Copies of the home or of a model, what
    other programs keep, and free blocks of the disk are beyond it.

    Example: edgesleep forget 3f9c --dry-run
    """
    from edgesleep.store import Store

    store = Store(home)
    store.base()  # says what to do where there is no home yet
    if sum((resume, *(bool(choice) for choice in wanted.values()))) != 1:
        raise click.UsageError("Give either IDS, or one of --query, --since and --resume.")
    settings = config.load(home)
    if not resume:
        if not _begun(store, settings, wanted, yes, dry_run, as_json):
            return
    elif not tombstones.unfinished(home):
        raise EdgesleepError("No forgetting is unfinished.", "`edgesleep forget ID` begins one.")
    elif dry_run:
        line = "Would go on with the forgetting that is unfinished."
        print_json({"resume": True, "dry_run": True}) if as_json else click.echo(line)
        return
    _tell(_done(home, settings), as_json)


def _begun(store: Store, settings: Settings, wanted: dict[str, Any], yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Show what would go, and note it where it is meant."""
    from edgesleep.journal import Journal
    from edgesleep.night import forget as forgetting
    from edgesleep.night import scope as scopes

    with nullcontext() if dry_run else store.lock(), Journal.open(store.home) as journal:
        held = scopes.Held.of(store, journal)
        scope, near = _chosen(held, **wanted)
        pending = forgetting.plan(store, journal, scope)
        ahead = forgetting.forecast(store, journal, pending, settings)
        page = Page(Shown(journal), held, scope, pending, ahead, near, journal.curated_through())
        if dry_run and as_json:
            print_json(page.fields())
        elif dry_run or not yes:
            click.echo("\n".join(page.lines()), err=not dry_run)
        if not dry_run:
            if not yes:
                click.confirm("Forget all this for good?", abort=True, err=True)
            forgetting.begin(store, journal, pending)
    return not dry_run


def _chosen(
    held: Held, ids: tuple[str, ...], query: str | None, since: datetime | None
) -> tuple[Scope, Iterable[Memory]]:
    """What goes, and what is near it in meaning and does not."""
    from edgesleep.night import scope as scopes

    if since:
        return scopes.since(held, since.astimezone(timezone.utc).isoformat(timespec="milliseconds")), ()
    if query:
        scope = scopes.asked_for(held, query)
        return scope, scopes.near(held, query, scope)
    return scopes.picked(held, ids), ()


def _done(home: Path, settings: Settings) -> Forgotten:
    from edgesleep.night import cycle
    from edgesleep.night import forget as forgetting
    from edgesleep.progress import progress, stoppable

    machine.give_way(settings.night.nice)
    with progress() as shown, stoppable() as should_stop:
        watch = cycle.Watch(shown.stage, shown.step, should_stop, shown.passed)
        return forgetting.complete(home, settings, watch, say)


# -- how it looks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """What would go, as it may be shown."""

    shown: Shown
    held: Held
    scope: Scope
    pending: Pending
    ahead: Forecast
    near: Iterable[Memory]
    read: int  # the last message that a night has read

    def fields(self) -> dict[str, Any]:
        """All of it as plain values, for --json."""
        return {
            "memories": [self._brief(memory) for memory in self.scope.memories],
            "messages": [
                {"id": turn.id, "at": turn.at, "content": self._said(turn), "read": self._is_read(turn)}
                for turn in self.scope.turns
            ],
            "sessions": self._sessions(),
            "left_without_a_message": [self._brief(memory) for memory in self._orphans()],
            "hold_again": [self._brief(memory) for memory in self.held.memories if memory.id in self.scope.again],
            "near": [self._brief(memory) for memory in self.near],
            "guessable": self.scope.guessable,
            "shared": self.scope.shared,
            "generations": self.pending.touched,
            "rebuilt_from": self.pending.fallback,
            **records.plain(self.ahead),
            "dry_run": True,
        }

    def lines(self) -> Iterator[str]:
        memories, messages = self.scope.memories, self.scope.turns
        yield f"Memories that go: {len(memories)}"
        yield from map(self._line, memories)
        yield f"Messages that go: {len(messages)}"
        for turn in messages:
            unread = "" if self._is_read(turn) else "(not read by a night yet) "
            yield f"  m{turn.id:<5} {turn.at[:16].replace('T', ' ')}  {unread}{self._said(turn)}"
        if sessions := self._sessions():
            yield f"Sessions that go as a whole: {', '.join(sessions)}"
        for title, others in (
            ("Stay, but without a message that tells them", self._orphans()),
            ("Hold again", [memory for memory in self.held.memories if memory.id in self.scope.again]),
            ("Near in meaning, and stay", [*self.near]),
        ):
            if others:
                yield f"{title}: {len(others)}"
                yield from map(self._line, others)
        yield from self._model()
        if self.scope.guessable:
            yield (
                f"Values that are short, numbers or common words: {len(self.scope.guessable)}; they are looked for in "
                "the sentences that tell them."
            )

    def _model(self) -> Iterator[str]:
        pending, ahead = self.pending, self.ahead
        yield f"Generations that go: {_listed(pending.touched)}"
        yield f"Nights whose records go: {_listed(ahead.nights)}"
        if not pending.moved:
            yield f"Generation {pending.served} was never taught it, and is served on; nothing is to be rebuilt."
            return
        start = f"generation {pending.fallback}" if pending.fallback else "the base"
        if not ahead.learned_again:
            yield f"Served from then on is {start}, which was never taught it; nothing is to be learned again."
            return
        yield f"Rebuilt from {start}, which was never taught it and is served meanwhile."
        yield f"Memories that are learned again: {ahead.learned_again}"
        yield f"Time: about {ahead.seconds / 60:.0f} minutes, as the last night took."

    def _orphans(self) -> list[Memory]:
        gone, out = {memory.id for memory in self.scope.memories}, {turn.id for turn in self.scope.turns}
        return [m for m in self.held.memories if m.id not in gone and m.turn_ids and {*m.turn_ids} <= out]

    def _sessions(self) -> list[str]:
        """Names of the sessions of which no message stays."""
        out = {turn.id for turn in self.scope.turns}
        stays = {turn.session for turn in self.held.turns if turn.id not in out}
        return sorted({self.shown.without(turn.session) for turn in self.scope.turns if turn.session not in stays})

    def _is_read(self, turn: Turn) -> bool:
        return turn.id <= self.read or not turn.teaches

    def _brief(self, memory: Memory) -> dict[str, Any]:
        return self.shown.brief(memory)

    def _line(self, memory: Memory) -> str:
        return f"  {self.shown.short(memory)}  {' '.join(self._brief(memory)['statement'].split())}"

    def _said(self, turn: Turn) -> str:
        from edgesleep.night.withheld import hidden

        text = " ".join(self.shown.without(hidden(turn.content)).split())
        return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _tell(report: Forgotten, as_json: bool) -> None:
    """The proofs. Raises EdgesleepError where one failed."""
    if as_json:
        print_json(report)
    else:
        click.echo("\n".join(_proven(report)))
    _demand_all(report)


def _proven(report: Forgotten) -> Iterator[str]:
    yield f"Forgotten: {report.memories} memories and {report.messages} messages."
    yield f"Generations removed: {_listed(report.generations_removed)}; served is {report.generation}."
    for proof in report.proofs:
        yield f"{('ok  ' if proof.of else 'none') if proof.ok else 'FAIL'}  {proof.what}: {proof.found}"


def _demand_all(report: Forgotten) -> None:
    for proof in report.proofs:
        if not proof.ok:
            raise EdgesleepError(f"It is forgotten, but {proof.found}.", proof.hint)


# -- with a night --------------------------------------------------------------------------------------------------


def before_night(home: Path) -> bool:
    """Have a night begin without what is to be forgotten; whether a forgetting is unfinished."""
    if not tombstones.unfinished(home):
        return False
    from edgesleep.night import forget as forgetting
    from edgesleep.night.pending import settled

    if settled(home):
        return False
    forgetting.erase(home, say)
    return True


def after_night(home: Path, settings: Settings) -> None:
    """Prove a forgetting that waited for a night. Raises EdgesleepError where a proof fails."""
    from edgesleep.night import forget as forgetting
    from edgesleep.night.pending import noted

    if not forgetting.needs_night(home, noted(home)):
        report = forgetting.prove(home, settings, say)
        for line in _proven(report):
            say(line)
        _demand_all(report)
