"""Forgetting: what is in a scope leaves the home and the model that is served; that is proven; the rest is relearned.

Owns the order of it. Leaves choosing to `scope`, what is noted of it to `pending`, what nights left to `remains`, the
proofs to `proofs`, training to `cycle`. Must stay true: from the first step on no model that was taught it is served;
until it is proven HOME/forgetting.json says what is still to go; all steps may be cut anywhere and done again; learning
the rest again is a night like any other, and nothing of the forgetting waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgesleep.config import Settings
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING, next_number, unfinished
from edgesleep.journal import Journal
from edgesleep.night import cycle, generations, proofs, remains, stages
from edgesleep.night.agenda import NEW, REPLACED, WEAK
from edgesleep.night.pending import Asked, Forgotten, Pending, Proof, Relearned, file_report, noted, report_path
from edgesleep.night.proofs import AGAIN, Recall, Say
from edgesleep.night.scope import Held, Scope
from edgesleep.records import NightReport, Results, dump, now
from edgesleep.store import DELTA, MODEL, Store
from edgesleep.tombstones import Tombstones
from edgesleep.traces import Search, Searched


@dataclass(frozen=True)
class Forecast:
    """What is to be expected: which generation is served then, how many memories are learned again, and in what time;
    and the nights whose records go."""

    rebuilt_from: int
    learned_again: int
    nights: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Done:
    """A report, and what was asked for it."""

    report: Forgotten
    recall: Recall


# -- planning ------------------------------------------------------------------------------------------------------


def plan(store: Store, held: Held, scope: Scope) -> Pending:
    """What would be done; nothing is written. Raises EdgesleepError while another forgetting is unfinished."""
    if unfinished(store.home):
        raise EdgesleepError("Another forgetting is unfinished.", AGAIN)
    ids = {memory.id for memory in scope.memories}
    touched, served = _touched(store, ids | {*scope.loose}), store.current()
    return Pending(
        number=next_number(store.home),
        began=now(),
        memories=scope.memories,
        turns={turn.id: turn.sha256 for turn in scope.turns},
        loose=scope.loose,
        again=scope.again,
        texts=scope.texts,
        telling=scope.telling,
        guessable=scope.guessable,
        shared=scope.shared,
        last=scope.last,
        touched=tuple(sorted(touched)),
        moved=served in touched,
        rest=_rest(store, served, {memory.id for memory in held.memories} - held.past - ids),
    )


def _touched(store: Store, ids: Collection[str], known: Iterable[int] = ()) -> set[int]:
    """The generations that were taught any of these memories or are `known` to be, or that go on from such a one."""
    touched = {*known}
    for made in store.generations():  # a parent comes before its child
        if made.parent in touched or not {*made.memory_ids}.isdisjoint(ids):
            touched.add(made.number)
    return touched


def _fallback(store: Store, touched: Collection[int]) -> int:
    """The newest generation on the way from the current one to the base that is not of these, and is kept."""
    number = store.current()
    while number and (number in touched or not any((store.folder(number) / name).exists() for name in (MODEL, DELTA))):
        number = store.generation(number).parent
    return number


def _results(store: Store, number: int) -> Results | None:
    return store.generation(number).results if number else None


def _rest(store: Store, number: int, stays: Collection[str]) -> Asked:
    """What a generation answered of the memories that stay, at the end of its night."""
    results = _results(store, number)
    hits = [hit for probe, hit in results.right.items() if probe.rpartition("-")[0] in stays] if results else []
    return Asked(sum(hits), len(hits))


def forecast(store: Store, journal: Journal, pending: Pending, settings: Settings) -> Forecast:
    """What it would take, by the time of the last night that was promoted."""
    gone, back = {memory.id for memory in pending.memories}, _fallback(store, pending.touched)
    results = _results(store, back)
    known = {*results.learned} if results else set()
    held = {id for id, (state, _) in journal.standing().items() if state != REPLACED} - gone
    left = (held | {*pending.again}) - known if pending.moved else set()
    took = [night.seconds for night in journal.nights() if night.status == "promoted" and night.seconds]
    nights = remains.nights_of(store, Search(pending.texts), pending.touched)
    if (night := journal.open_night()) and not _end_published(store, journal, settings, commit=False):
        nights.add(night)
    seconds = (took or [60 * settings.night.minutes])[-1] if left else 0.0
    return Forecast(back, len(left), tuple(sorted(nights)), seconds)


def _end_published(store: Store, journal: Journal, settings: Settings, *, commit: bool = True) -> bool:
    """As `cycle.end_published`; where its records cannot be read they go, and the next night copes with that."""
    with suppress(EdgesleepError):
        return cycle.end_published(store, journal, settings, commit=commit)
    return False


def begin(store: Store, journal: Journal, held: Held, pending: Pending) -> None:
    """Note what is to be forgotten: from now on it is, whatever cuts it short."""
    journal.tombstones()  # raises where the key to older ones is gone, before a new one is made
    stones, gone = Tombstones.to_add(store.home), {memory.id for memory in pending.memories}
    texts = [turn.content for turn in held.turns if turn.id in pending.turns]
    texts += [memory.told for memory in pending.memories]
    stays = [turn.content for turn in held.turns if turn.id not in pending.turns]
    stays += [memory.told for memory in held.memories if memory.id not in gone]
    anyone = {*pending.guessable, *pending.shared}
    names = [memory.value for memory in pending.memories if memory.id not in anyone]
    # What was said twice, and stays once, may be told a third time.
    hashes = {*map(stones.of_text, texts)} - {*map(stones.of_text, stays)} - {""}
    hashes |= {*map(stones.of_memory, pending.memories), *map(stones.of_name, names)}
    _note(store, replace(pending, stones=tuple(sorted(hashes))))


def _note(store: Store, pending: Pending) -> Pending:
    dump(pending, store.home / PENDING)
    return pending


# -- doing ---------------------------------------------------------------------------------------------------------


def complete(store: Store, settings: Settings, say: Say) -> Done:
    """Do and prove all that is left of a forgetting; where it is still found in a file, it stays unfinished.

    Each round takes away what is served and knows it all the same; the base, at which that ends, knows what it knows.
    """
    with store.lock():
        while True:
            pending = _erase(store, settings, say)
            recall = Recall.of(store, pending, settings, say)
            served, known = recall.by(store, store.current(), say)
            if known.ok:
                break
            say(f"It is known all the same: {known.found}.")
            _note(store, replace(pending, touched=(*pending.touched, store.current())))
        say("Looking for it in every file ...")
        searched, unfound = proofs.search(store, pending)
        with Journal.open(store.home) as journal:
            waiting = len(journal.memories(NEW) + journal.memories(WEAK)) if pending.moved else 0
            after = _rest(store, store.current(), journal.standing().keys())
        rest = proofs.rest(pending.rest, after, waiting, settings.gate.recall_loss)
        asked = (Asked(sum(recall.base), len(recall.base)), served, after)
        report = _report(store, pending, searched, asked, waiting, (unfound, known, rest))
        if report.is_proven:
            file_report(store.home, report)
    return Done(report, recall)


def _report(
    store: Store,
    pending: Pending,
    searched: Searched,
    asked: tuple[Asked, Asked, Asked],
    waiting: int,
    proven: tuple[Proof, ...],
) -> Forgotten:
    return Forgotten(
        number=pending.number,
        began=pending.began,
        ended=now(),
        memories=len(pending.memories),
        messages=len(pending.turns),
        tombstones=pending.stones,
        generations_removed=pending.touched,
        rebuilt_from=store.current(),
        generation=store.current(),
        recall_base=asked[0],
        recall_after=asked[1],
        rest_before=pending.rest,
        rest_after=asked[2],
        files=searched.files,
        bytes=searched.bytes,
        texts=len(pending.texts),
        waiting=waiting,
        proofs=proven,
    )


def _erase(store: Store, settings: Settings, say: Say) -> Pending:
    """Serve no model that was taught it, and take it out of every file; what is gone already does not matter."""
    with Journal.open(store.home) as journal:
        pending = noted(store.home)
        if pending.fresh:
            _end_published(store, journal, settings)
        pending = _grown(store, journal, pending, say)
        if back := store.current() in pending.touched:
            _step_back(store, journal, _fallback(store, pending.touched))
            say(f"Generation {store.current()}, which was never taught it, is served.")
        night = journal.open_night() or 0
        # The open night may be at it, or go on from such a model.
        remains.clear(store, Search(pending.texts), pending.touched, night, anew=pending.fresh or back)
        store.remove(pending.touched)
        _erase_rows(journal, pending)
        journal.vacuum()
    return _note(store, replace(pending, fresh=False))


def _grown(store: Store, journal: Journal, pending: Pending, say: Say) -> Pending:
    """With what was said, found and taught of it since it was noted."""
    search = Search(pending.telling)
    stones = replace(Tombstones.to_add(store.home), hashes=frozenset(pending.stones))
    said = {
        turn.id: turn.sha256
        for turn in journal.turns(after=pending.last)
        if search.among(turn.content) or search.among(turn.session) or stones.hold_text(turn.content)
    }
    if new := said.keys() - pending.turns.keys():
        say(f"Messages that say it again, and go as well: {', '.join(f'm{id}' for id in sorted(new))}.")
    known = {memory.id for memory in pending.memories}
    found = [m for m in journal.memories() if m.turn_ids and said.keys() >= {*m.turn_ids} and m.id not in known]
    memories = (*pending.memories, *found)
    touched = _touched(store, {memory.id for memory in memories}, pending.touched)
    grown = replace(
        pending,
        memories=memories,
        turns=pending.turns | said,
        texts=(*pending.texts, *(memory.id for memory in found)),
        touched=tuple(sorted(touched)),
        moved=pending.moved or store.current() in touched,
    )
    return _note(store, grown) if grown != pending else pending


def _step_back(store: Store, journal: Journal, number: int) -> None:
    """Serve an earlier generation; where it cannot be made again, the base."""
    with suppress(EdgesleepError):
        generations.go_to(store, journal, number)
    if store.current() != number:
        generations.go_to(store, journal, 0)


def _erase_rows(journal: Journal, pending: Pending) -> None:
    ids, loose = [memory.id for memory in pending.memories], pending.loose if pending.fresh else ()
    turns = [turn.id for turn in journal.turns() if pending.turns.get(turn.id) == turn.sha256]
    journal.erase(ids, turns, loose, pending.stones)
    if pending.fresh:  # later its owner may have told otherwise
        standing = journal.standing()
        journal.mark([id for id in pending.again if standing.get(id, ("", 0))[0] == REPLACED], NEW)


# -- learning the rest again ---------------------------------------------------------------------------------------


def relearn(home: Path, settings: Settings, watch: stages.Watch, done: Done, say: Say) -> Forgotten:
    """Have a night learn again what the generation that it was gone back to does not know. Raises as a night does."""
    if not done.report.waiting:
        return done.report
    return judged(home, settings, done, cycle.run_night(home, settings, watch, force=True), say)


def judged(home: Path, settings: Settings, done: Done, night: NightReport, say: Say) -> Forgotten:
    """The report, with what the night after it came to. A model that knows what was forgotten is taken back."""
    report, store, number = done.report, Store.open(home), night.generation
    if night.status == "promoted":
        with store.lock(), Journal.open(home) as journal:
            served, known = done.recall.by(store, number, say)
            if not known.ok:
                _taken_back(store, journal, done.recall.pending, report.generation, number)
                night = replace(night, status="rejected", reason=f"It was taken back: {known.found}.")
            else:
                after = _rest(store, number, journal.standing().keys())
                rest = proofs.rest(report.rest_before, after, 0, settings.gate.recall_loss)
                report = replace(report, generation=number, recall_after=served, rest_after=after, waiting=0)
                report = replace(report, proofs=(report.proofs[0], known, rest))
    report = replace(report, relearned=Relearned(night.night, night.status, night.reason))
    if report.is_proven:
        dump(report, report_path(home, report))
    return report


def _taken_back(store: Store, journal: Journal, pending: Pending, back: int, made: int) -> None:
    """Serve again what it was proven on; the rest is learned again by the nights that follow."""
    if store.current() == made:
        _step_back(store, journal, back)
    remains.clear(store, Search(pending.texts), {made}, journal.open_night() or 0)
    store.remove({made})
