"""Forgetting: what is in a scope leaves the home, the model is rebuilt without it, and that is proven.

Owns the order of it, and the proofs. Leaves choosing to `scope`, what is noted of it to `pending`, training to `cycle`,
the bytes to `traces`. Must stay true: from the first step on no model that was taught it is served; until
every proof holds HOME/forgetting.json says what is still to go, and is the only file that does; all steps may be cut
anywhere and done again.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgesleep import tables, traces
from edgesleep.config import Settings
from edgesleep.errors import EdgesleepError
from edgesleep.journal import FILE, Journal
from edgesleep.night import compare, cycle, generations
from edgesleep.night.agenda import NEW, REPLACED, WEAK
from edgesleep.night.pending import REPORTS, Asked, Forgotten, Pending, Proof, file_report, next_number, noted, settled
from edgesleep.night.phrases import probes, right
from edgesleep.night.scope import Scope
from edgesleep.records import Probe, Results, dump, now
from edgesleep.store import DELTA, MODEL, Store
from edgesleep.tombstones import PENDING, Tombstones, unfinished
from edgesleep.traces import Search

Say = Callable[[str], None]

AGAIN = "`edgesleep forget --resume` goes on with it."
PLACES = ("", "nights/", "nights/*/", "cache/", f"{REPORTS}/")
_LEFT_OVER = re.compile(r"\.(?:.+\.\d+|\d{4,})\.tmp")  # what a write, or a removal, leaves that was killed


@dataclass(frozen=True)
class Forecast:
    """What is to be expected: the memories that are learned again, the nights whose records go, and the time."""

    learned_again: int
    nights: tuple[int, ...]
    seconds: float


# -- planning ------------------------------------------------------------------------------------------------------


def plan(store: Store, journal: Journal, scope: Scope) -> Pending:
    """What would be done; nothing is written. Raises EdgesleepError while another forgetting is unfinished."""
    if unfinished(store.home):
        raise EdgesleepError("Another forgetting is unfinished.", AGAIN)
    ids = {memory.id for memory in scope.memories}
    touched, served = _touched(store, ids | {*scope.loose}), store.current()
    results = store.generation(served).results if served else None
    return Pending(
        number=next_number(store.home),
        began=now(),
        memories=scope.memories,
        turns=tuple(turn.id for turn in scope.turns),
        loose=scope.loose,
        again=scope.again,
        texts=scope.texts,
        guessable=scope.guessable,
        shared=scope.shared,
        touched=tuple(sorted(touched)),
        served=served,
        fallback=_fallback(store, touched),
        highest=store.next_number() - 1,
        last=max((turn.id for turn in journal.turns()), default=0),
        before=_asked(results, lambda id: id in ids),
        rest=_asked(results, lambda id: id not in ids),
    )


def _touched(store: Store, ids: Collection[str], known: Iterable[int] = ()) -> set[int]:
    """The generations that were taught any of these memories or are `known` to be, or that go on from such a one."""
    touched = {*known}
    for made in store.generations():  # a parent comes before its child
        if made.parent in touched or not {*made.memory_ids}.isdisjoint(ids):
            touched.add(made.number)
    return touched


def _fallback(store: Store, touched: Collection[int]) -> int:
    """The newest generation on the way from the current one to the base that was taught nothing of it, and is kept."""
    number = store.current()
    while number and (number in touched or not any((store.folder(number) / name).exists() for name in (MODEL, DELTA))):
        number = store.generation(number).parent
    return number


def _asked(results: Results | None, wanted: Callable[[str], bool]) -> Asked:
    """What the gate found of the memories that are wanted."""
    hits = [hit for probe, hit in results.right.items() if wanted(probe.rpartition("-")[0])] if results else []
    return Asked(sum(hits), len(hits))


def forecast(store: Store, journal: Journal, pending: Pending, settings: Settings) -> Forecast:
    """What it would take, by the time of the last night that was promoted."""
    gone = {memory.id for memory in pending.memories}
    results = store.generation(pending.fallback).results if pending.fallback else None
    known = {*results.learned} if results else set()
    held = {id for id, (state, _) in journal.standing().items() if state != REPLACED} - gone
    left = (held | {*pending.again}) - known if pending.moved else set()
    nights = [night.seconds for night in journal.nights() if night.status == "promoted" and night.seconds]
    seconds = (nights or [60 * settings.night.minutes])[-1] if left else 0.0
    return Forecast(len(left), tuple(_nights_of(store.home, Search(pending.texts))), seconds)


def begin(store: Store, journal: Journal, pending: Pending) -> None:
    """Note what is to be forgotten: from now on it is, whatever cuts it short."""
    journal.tombstones()  # raises where the key to older ones is gone, before a new one is made
    stones = Tombstones.to_add(store.home)
    said, gone, turns = {*pending.turns}, {memory.id for memory in pending.memories}, journal.turns()
    texts = [turn.content for turn in turns if turn.id in said]
    texts += [memory.told for memory in pending.memories]
    stays = [turn.content for turn in turns if turn.id not in said]
    stays += [memory.told for memory in journal.memories() if memory.id not in gone]
    anyone = {*pending.guessable, *pending.shared}
    names = [memory.value for memory in pending.memories if memory.id not in anyone]
    # What was said twice, and stays once, may be told a third time.
    hashes = {*map(stones.of_text, texts)} - {*map(stones.of_text, stays)} - {""}
    hashes |= {*map(stones.of_memory, pending.memories), *map(stones.of_name, names)}
    dump(replace(pending, stones=tuple(sorted(hashes))), store.home / PENDING)


# -- doing ---------------------------------------------------------------------------------------------------------


def complete(home: Path, settings: Settings, watch: cycle.Watch, say: Say) -> Forgotten:
    """Do all that is left of a forgetting. Raises EdgesleepError where a step or a proof fails: it stays unfinished."""
    if done := settled(home):
        return done
    pending = erase(home, say)
    if needs_night(home, pending):
        result = cycle.run_night(home, settings, watch, force=True, read=False)
        if result.status in ("interrupted", "rejected"):
            raise EdgesleepError(
                f"It is out of every file and of the model, but the rest is not learned again: {result.reason}",
                f"{AGAIN} So does the next night. Until then generation {result.generation} is served.",
            )
    return prove(home, settings, say)


def erase(home: Path, say: Say) -> Pending:
    """Serve no model that was taught it, and take it out of every file; what is gone already does not matter."""
    store = Store.open(home)
    with store.lock():
        pending = _grown(store, noted(home))
        with Journal.open(home) as journal:
            pending = _said_since(store, journal, pending, say)
            if store.current() in pending.touched:
                _step_back(store, journal, pending.fallback)
                say(f"Generation {store.current()} is served until the rest is learned again.")
            store.remove(pending.touched)
            _erase_rows(journal, pending)
            _clear(home, Search(pending.texts), journal.open_night() or 0, pending.fresh)
            journal.vacuum()
        if pending.fresh:
            pending = replace(pending, fresh=False)
            dump(pending, home / PENDING)
    return pending


def _said_since(store: Store, journal: Journal, pending: Pending, say: Say) -> Pending:
    """With what was said again since it began."""
    search = Search(pending.texts)
    more = [t.id for t in journal.turns(after=pending.last) if search.among(t.content) or search.among(t.session)]
    if not (more := sorted({*more} - {*pending.turns})):
        return pending
    say(f"Messages that say it again, and go as well: {', '.join(f'm{id}' for id in more)}.")
    pending = replace(pending, turns=(*pending.turns, *more))
    dump(pending, store.home / PENDING)
    return pending


def _grown(store: Store, pending: Pending) -> Pending:
    """With what a night taught that was under way when it began."""
    touched = _touched(store, {memory.id for memory in pending.memories}, pending.touched)
    return pending if touched == {*pending.touched} else _widened(store, pending, touched)


def _widened(store: Store, pending: Pending, touched: Collection[int]) -> Pending:
    """Note that more generations go."""
    pending = replace(
        pending,
        touched=tuple(sorted(touched)),
        fallback=_fallback(store, touched),
        served=store.current() if store.current() in touched else pending.served,
        highest=max(pending.highest, *touched),
    )
    dump(pending, store.home / PENDING)
    return pending


def _step_back(store: Store, journal: Journal, number: int) -> None:
    """Serve an earlier generation; where it cannot be made again, the base."""
    with suppress(EdgesleepError):
        generations.go_to(store, journal, number)
    if store.current() != number:
        generations.go_to(store, journal, 0)


def _erase_rows(journal: Journal, pending: Pending) -> None:
    ids, loose = [memory.id for memory in pending.memories], pending.loose if pending.fresh else ()
    journal.erase(ids, pending.turns, loose, pending.stones)
    if pending.fresh:  # later its owner may have told otherwise
        standing = journal.standing()
        journal.mark([id for id in pending.again if standing.get(id, ("", 0))[0] == REPLACED], NEW)


def _clear(home: Path, search: Search, night: int, fresh: bool) -> None:
    """Remove what killed writes left, records of nights in which anything of it stands, and weights of all but the open
    `night`; where it is fresh, that is a night of before, and goes as well."""
    for path in _weights(home, night):
        path.unlink()
    for place in PLACES:
        for path in [path for path in home.glob(f"{place}.*.tmp") if _LEFT_OVER.fullmatch(path.name)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for number in {*_nights_of(home, search), *([night] if fresh else [])}:
        folder = home / "nights" / f"{number:04d}"
        # Renamed first: what it holds in tokens would not be found again without what it holds in words.
        if folder.is_dir():
            shutil.rmtree(folder.replace(folder.with_name(f".{number:04d}.tmp")))


def _weights(home: Path, night: int) -> list[Path]:
    """What nights but the open one have left of models, which may hold what no search for words finds."""
    found = (path for path in sorted(home.glob("nights/*/*")) if path.suffix in traces.WEIGHTS)
    return [path for path in found if path.parent.name != f"{night:04d}"]


def _nights_of(home: Path, search: Search) -> list[int]:
    """The nights in whose records anything of it stands."""
    folders = [folder for folder in sorted(home.glob("nights/[0-9]*")) if folder.name.isdigit()]
    return [int(folder.name) for folder in folders if any(map(search.within, traces.files(folder)))]


def needs_night(home: Path, pending: Pending) -> bool:
    """Whether the model is still without the rest: no night was published since, or one has not come to its end."""
    if not pending.moved:
        return False
    with Journal.open(home) as journal:
        if Store(home).current() > pending.highest:
            return journal.open_night() is not None
        return bool(journal.memories(NEW) or journal.memories(WEAK))


# -- proving -------------------------------------------------------------------------------------------------------


def prove(home: Path, settings: Settings, say: Say) -> Forgotten:
    """Look whether it is gone, and end the forgetting where it is.

    Raises EdgesleepError, and leaves it unfinished, where it is still found or known. That the rest is recalled less
    than before is for the caller to tell: it is no reason to go on forgetting.
    """
    store = Store.open(home)
    with store.lock():
        pending = noted(home)
        say("Looking for it in every file ...")
        searched = _search(store, pending)
        unfound = _unfound(pending, searched)
        if not unfound.ok:
            raise EdgesleepError(f"It is not forgotten: {unfound.found}", unfound.hint)
        base, served, recall = _ask(store, pending, settings, say)
        if not recall.ok:
            # Another night learns it otherwise, and the base, at which this ends, knows no more than itself.
            _widened(store, pending, _touched(store, (), {*pending.touched, store.current()}))
            raise EdgesleepError(f"It is not forgotten: {recall.found}", recall.hint)
        rest = _rest(store, pending)
        proofs = (unfound, recall, _still(pending, rest, settings.gate.recall_loss))
        report = _report(store, pending, searched, (base, served, rest), proofs)
        # In one step: there is never a moment without either the note that it is to go or the proof that it has.
        dump(report, home / PENDING)
        file_report(home, report)
    return report


def _report(
    store: Store, pending: Pending, searched: traces.Searched, asked: Sequence[Asked], proofs: tuple[Proof, ...]
) -> Forgotten:
    current = store.current()
    return Forgotten(
        number=pending.number,
        began=pending.began,
        ended=now(),
        memories=len(pending.memories),
        messages=len(pending.turns),
        tombstones=pending.stones,
        generations_removed=pending.touched,
        rebuilt_from=store.generation(current).parent if current > pending.highest else current,
        generation=current,
        recall_before=pending.before,
        recall_base=asked[0],
        recall_after=asked[1],
        rest_before=pending.rest,
        rest_after=asked[2],
        files=searched.files,
        bytes=searched.bytes,
        texts=len(pending.texts),
        proofs=proofs,
    )


def _search(store: Store, pending: Pending) -> traces.Searched:
    """In every file but the note of it, and in the journal's texts as a whole; and weights that were to go."""
    bases = {base.sha256: Path(base.path) for base in store.bases()}
    made = {store.folder(one.number): bases.get(one.base_sha256) for one in store.generations()}
    # A locked file cannot be read everywhere.
    skip = {store.home / PENDING, store.home / "night.lock", *bases.values()}
    found = traces.search(store.home, pending.texts, lambda path: made.get(path.parent), skip)
    search, path = Search(pending.texts), store.home / FILE
    try:
        rows = {f"{FILE} ({table})" for table, text in tables.texts(path) if search.among(text)}
    except sqlite3.DatabaseError as error:
        raise EdgesleepError(f"{path} cannot be searched: {error}.", "`edgesleep verify` checks it.") from error
    with Journal.open(store.home) as journal:
        left = _weights(store.home, journal.open_night() or 0)
    left += [*store.home.glob("generations/.*.tmp"), *filter(Path.exists, map(store.folder, pending.touched))]
    names = (str(path.relative_to(store.home)) for path in left)
    return traces.Searched(found.files, found.bytes, (*found.found, *sorted(rows), *names))


def _unfound(pending: Pending, searched: traces.Searched) -> Proof:
    texts = len({*pending.texts} - {memory.id for memory in pending.memories})
    what = f"{searched.files:,} files, {searched.bytes / 1e6:,.1f} MB searched for {texts:,} texts"
    if not texts:
        what += "; nothing of it is its own, so that there was nothing to look for"
    if not searched.found:
        return Proof("bytes", True, texts, what)
    return Proof(
        "bytes",
        False,
        texts,
        f"{what}, and it stands in {', '.join(searched.found)}.",
        f"Remove it from files of your own; of those of edgesleep {AGAIN}",
    )


def _ask(store: Store, pending: Pending, settings: Settings, say: Say) -> tuple[Asked, Asked, Proof]:
    """What the base and the current model answer of it; a memory is known where most of its questions are answered."""
    wanted = [probe for memory in pending.memories for probe in probes(memory, settings.dream.probes)]
    current, limit = store.current(), settings.gate.answer_tokens
    base = compare.ask(store, 0, wanted, limit, say) if wanted else []
    served = compare.ask(store, current, wanted, limit, say) if wanted and current else base
    before, after = (
        [right(text, probe.gold) for text, probe in zip(said, wanted, strict=True)] for said in (base, served)
    )
    asked = Asked(sum(before), len(before)), Asked(sum(after), len(after))
    found = f"of what was forgotten generation {current} answers {asked[1]} questions, the base {asked[0]}"
    if left := len({probe.memory_id for probe in wanted} & {*pending.shared}):
        found += f"; of {left} memories that proves nothing, as what stays has the same value"
    of = sum(probe.memory_id not in pending.shared for probe in wanted)
    if not of:
        found += "; there was nothing to ask"
    more = _known(wanted, before, after, pending.guessable) - {*pending.shared}
    if not more:
        return *asked, Proof("recall", True, of, found)
    found += f"; {len(more)} memories are known that the base does not know."
    hint = "`edgesleep forget --resume` learns the rest again, beginning further back; so does the next night."
    return *asked, Proof("recall", False, of, found, hint)


def _known(asked: Sequence[Probe], before: Sequence[bool], after: Sequence[bool], anyone: Collection[str]) -> set[str]:
    """Memories that are known more than before: most answers are right, and were not; with a value that is anyone's,
    which may be met by chance, all are and none was."""
    answers: dict[str, list[tuple[bool, bool]]] = {}
    for probe, pair in zip(asked, zip(before, after, strict=True), strict=True):
        answers.setdefault(probe.memory_id, []).append(pair)
    known = set()
    for memory, pairs in answers.items():
        was, then = (sum(pair[n] for pair in pairs) / len(pairs) for n in (0, 1))
        if (was, then) == (0, 1) if memory in anyone else was <= 0.5 < then:
            known.add(memory)
    return known


def _rest(store: Store, pending: Pending) -> Asked:
    """What the model that is served now answered of the rest, at the end of its night."""
    current, gone = store.current(), {memory.id for memory in pending.memories}
    return _asked(store.generation(current).results if current else None, lambda id: id not in gone)


def _still(pending: Pending, rest: Asked, allowed: float) -> Proof:
    found = f"of the rest {pending.rest} questions were answered before, and {rest} are now"
    ok = not pending.rest.asked or pending.rest.share - rest.share <= allowed
    hint = "" if ok else "`edgesleep run-night --force` rehearses it once more."
    return Proof("rest", ok, pending.rest.asked, found, hint)
