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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import config, errors, machine, records
from edgesleep.cli_memories import Shown
from edgesleep.cli_shared import EXIT_CODES, dry_run_flag, json_flag, print_json, say
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished

if TYPE_CHECKING:
    from edgesleep.config import Settings
    from edgesleep.journal import Journal
    from edgesleep.night.forget import Done, Forecast
    from edgesleep.night.pending import Forgotten, Pending
    from edgesleep.night.scope import Held, Scope
    from edgesleep.records import Memory, NightReport, Turn
    from edgesleep.store import Store

WIDTH = 90  # of a message in a list


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--query", metavar="TEXT", help="All in which the words of TEXT occur, or their beginnings.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="All that was said on or after DATE.")
@click.option("--resume", is_flag=True, help="Go on with one that was cut short, or that is still found in a file.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@click.option(
    "--confirm", metavar="CODE", help="The same, but only if that is what `--dry-run --json` gave this `code` for."
)
@dry_run_flag
@json_flag
@click.pass_obj
def forget(
    home: Path, /, resume: bool, yes: bool, confirm: str | None, dry_run: bool, as_json: bool, **wanted: Any
) -> int:
    """Forget something for good.

    IDS are of memories, or of messages, like m17. With each go the messages that tell it, memories that say or name the
    same, what it replaced, every generation that was taught any of it, and the records of those nights. Served from
    then on is the newest generation that never was taught it, or else the base. At once it is proven: it is found in no
    file under the home, and the model knows no more of it than the base does; one that does goes as well, and the one
    before it is asked. Then a night teaches the rest again, and that model is asked too: one that knows it is taken
    back. A night that is refused or stopped changes nothing of this; the next ones go on with the rest. Exit codes:
    those of `run-night` for that night, else 0, or 1 where it is not proven yet.

    A value that is short, a number or a common word takes with it only messages that tell it in the same sentence, and
    answers shortly after that repeat it. It is looked for in these sentences, any other value by itself, and a message
    by its sentences that have a word which is not common and stays nowhere else. In models only texts of 8 letters or
    more are looked for, and nowhere parts of a value, or what is compressed, encrypted or in UTF-16. Where it is still
    found, messages go as well that tell it again before that is mended: with such a value, the words of TEXT, the
    sentence of a memory, or all of a message that goes. After --since what ended since then does not hold again.

    No night learns it again: not the same value on the same topic, what is told in the same words, or more about a name
    that was forgotten; and what is said in the same words is not imported. For that the journal keeps hashes, and
    forget.key beside it their key; whoever has both can try values on them. What is told so otherwise that its topic is
    read as another is learned, and `memories edit` has anything learned again. Only a model that learned the rest in
    the same command is asked for it: where that was cut short, the proof before it stands, as nothing knows any more
    what to ask. Copies of the home or of a model, what other programs keep, and free blocks of the disk are beyond it.

    Example: edgesleep forget 3f9c --dry-run
    """
    from edgesleep.night import forget as forgetting
    from edgesleep.store import Store

    store = Store(home)
    store.base()  # says what to do where there is no home yet
    if sum((resume, *(bool(choice) for choice in wanted.values()))) != 1:
        raise click.UsageError("Give either IDS, or one of --query, --since and --resume.")
    if resume and confirm:
        raise click.UsageError("What is unfinished was confirmed before: --confirm is for what begins.")
    settings = config.load(home)
    # One lock for all of it: nobody else ends it between.
    with nullcontext() if dry_run else store.lock():
        if resume:
            _demand_unfinished(home, dry_run, as_json)
        else:
            _begin(store, settings, wanted, confirm if confirm is not None else yes, dry_run, as_json)
        if dry_run:
            return errors.DONE
        machine.give_way(settings.night.nice)
        done = forgetting.complete(store, settings, say)
    return _relearn(home, settings, done, as_json)


def _demand_unfinished(home: Path, dry_run: bool, as_json: bool) -> None:
    if not unfinished(home):
        raise EdgesleepError("No forgetting is unfinished.", "`edgesleep forget ID` begins one.")
    if dry_run:
        line = "Would go on with the forgetting that is unfinished."
        print_json({"resume": True, "dry_run": True}) if as_json else click.echo(line)


def _begin(
    store: Store, settings: Settings, wanted: dict[str, Any], meant: bool | str, dry_run: bool, as_json: bool
) -> None:
    """Show what would go, and note it where it is `meant`: yes, or just what has this code."""
    from edgesleep.journal import Journal
    from edgesleep.night import forget as forgetting

    with Journal.open(store.home) as journal:
        page = planned(store, journal, settings, **wanted)
        if dry_run and as_json:
            print_json(page.fields())
        elif dry_run or not meant:
            click.echo("\n".join(page.lines()), err=not dry_run)
        if not dry_run:
            if isinstance(meant, str):
                demand_same(page, meant)
            elif not meant:
                click.confirm("Forget all this for good?", abort=True, err=True)
            forgetting.begin(store, journal, page.held, page.pending)


def planned(
    store: Store,
    journal: Journal,
    settings: Settings,
    ids: tuple[str, ...] = (),
    query: str | None = None,
    since: datetime | None = None,
) -> Page:
    """What would go with a choice; nothing is written. Raises EdgesleepError where there is no such thing."""
    from edgesleep.night import forget as forgetting
    from edgesleep.night import scope as scopes

    held = scopes.Held.of(store, journal)
    scope, near = chosen(held, ids, query, since)
    pending = forgetting.plan(store, held, scope)
    ahead = forgetting.forecast(store, journal, pending, settings)
    return Page(Shown(journal), held, scope, pending, ahead, near, journal.curated_through())


def demand_same(page: Page, code: str) -> None:
    """Raises EdgesleepError where that is not what was shown with a code."""
    if page.code != code:
        raise EdgesleepError(
            "That is not what was shown: more or less would go by now.", "Have it shown again, and confirm that."
        )


def chosen(
    held: Held, ids: tuple[str, ...], query: str | None, since: datetime | None
) -> tuple[Scope, Iterable[Memory]]:
    """What goes, and what is near it in meaning and does not."""
    from edgesleep.night import scope as scopes

    if since:
        return scopes.since(held, _moment(since)), ()
    if query:
        scope = scopes.asked_for(held, query)
        return scope, scopes.near(held, query, scope)
    return scopes.picked(held, ids), ()


def _moment(day: datetime) -> str:
    """When a day began here, as `Turn.at` says it."""
    try:
        return day.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as error:  # before the year 1 there, or what the system knows
        raise click.UsageError(f"{day:%Y-%m-%d} is too early a date.") from error


def _relearn(home: Path, settings: Settings, done: Done, as_json: bool) -> int:
    """Teach the rest again; what was proven is told, whatever becomes of that."""
    from edgesleep.night import forget as forgetting
    from edgesleep.night import stages
    from edgesleep.night.underway import forgive
    from edgesleep.progress import progress, stoppable

    report = done.report
    try:
        if report.is_proven and report.waiting:
            with progress() as shown, stoppable(partial(forgive, home)) as should_stop:
                watch = stages.Watch(shown.stage, shown.step, should_stop, shown.passed)
                report = forgetting.relearn(home, settings, watch, done, say)
    finally:
        print_json(report) if as_json else click.echo("\n".join(proven(report)))
    return _ended(report)


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

    @property
    def code(self) -> str:
        """It stands for just what goes."""
        gone = self.pending
        return records.digest([[memory.id for memory in gone.memories], [*gone.turns.items()], gone.touched])[:8]

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
            **records.plain(self.ahead),
            "code": self.code,
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
        ahead = self.ahead
        yield f"Generations that go: {_listed(self.pending.touched)}"
        yield f"Nights whose records go: {_listed(ahead.nights)}"
        start = f"generation {ahead.rebuilt_from}" if ahead.rebuilt_from else "the base"
        if not self.pending.moved:
            yield f"Served on is {start}, which was never taught it."
            return
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


def proven(report: Forgotten) -> Iterator[str]:
    said = "Forgotten" if report.is_proven else "Not forgotten yet, but removed"
    yield f"{said}: {report.memories} memories and {report.messages} messages."
    yield f"Generations removed: {_listed(report.generations_removed)}; served is {report.generation}."
    for proof in report.proofs:
        yield f"{('ok  ' if proof.of else 'none') if proof.ok else 'FAIL'}  {proof.what}: {proof.found}."
    if night := report.relearned:
        yield f"Night {night.night} was to teach the rest again: {night.status}. {night.reason}"


def _ended(report: Forgotten) -> int:
    """The exit code. Raises EdgesleepError where a proof failed."""
    for proof in (proof for proof in report.proofs if not proof.ok):
        is_left = "It is forgotten, but" if report.is_proven else "It is not forgotten:"
        raise EdgesleepError(f"{is_left} {proof.found}.", proof.hint)
    return EXIT_CODES[report.relearned.status] if report.relearned else errors.DONE


# -- with a night --------------------------------------------------------------------------------------------------


def before_night(home: Path, settings: Settings) -> Done | None:
    """Have a night begin without what is to be forgotten; what came of it, if a forgetting was unfinished."""
    if not unfinished(home):
        return None
    from edgesleep.night import forget as forgetting
    from edgesleep.store import Store

    store = Store.open(home)
    with store.lock():
        done = forgetting.complete(store, settings, say) if unfinished(home) else None  # ended meanwhile by another
    for line in proven(done.report) if done else ():
        say(line)
    return done


def after_night(home: Path, settings: Settings, done: Done, night: NightReport) -> int:
    """Tell what came of it, also of the model that learned the rest; the exit code. Raises as `forget` does."""
    from edgesleep.night import forget as forgetting

    report = done.report
    if report.is_proven and report.waiting:
        report = forgetting.judged(home, settings, done, night, say)
        for line in proven(report):
            say(line)
    return _ended(report) or EXIT_CODES[night.status]
