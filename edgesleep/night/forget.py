"""Forgetting: what is in a scope leaves the home, the model is rebuilt without it, and that is proven.

Owns the order of it, what is noted while it is unfinished, and the proofs. Leaves choosing to `scope`, training to
`cycle`, the bytes to `traces`. Must stay true: from the first step on no model that was taught it is served; until
every proof holds HOME/forgetting.json says what is still to go, and is the only file that does; all steps may be cut
anywhere and done again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgesleep import journal as journals
from edgesleep import tables, traces
from edgesleep.config import Settings
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import compare, cycle, generations
from edgesleep.night.agenda import NEW, REPLACED, WEAK
from edgesleep.night.phrases import probes, right
from edgesleep.night.scope import Scope
from edgesleep.records import Memory, Probe, Results, dump, load, now
from edgesleep.store import DELTA, MODEL, Store
from edgesleep.tombstones import PENDING, Tombstones, unfinished
from edgesleep.traces import Search

Say = Callable[[str], None]

REPORTS = "forgotten"  # the folder of what was proven, one file for each forgetting
AGAIN = "`edgesleep forget --resume` goes on with it."
PLACES = ("", "nights/", "nights/*/", "cache/", f"{REPORTS}/")
_LEFT_OVER = re.compile(r"\.(?:.+\.\d+|\d{4,})\.tmp")  # what a write, or a removal, leaves that was killed


@dataclass(frozen=True)
class Asked:
    """How many questions were answered right."""

    right: int = 0
    asked: int = 0

    def __str__(self) -> str:
        return f"{self.right} of {self.asked}"

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Pending:
    """A forgetting that is not proven yet: what goes, and how things stood.

    `touched` are the generations that were taught any of it, which go; where the one that was `served` is of them,
    `fallback` is served until the rest is learned again. `highest` is the last generation that there was.
    """

    number: int
    began: str
    memories: tuple[Memory, ...]
    turns: tuple[int, ...]
    loose: tuple[str, ...]
    again: tuple[str, ...]
    texts: tuple[str, ...]
    guessable: tuple[str, ...]
    touched: tuple[int, ...]
    served: int
    fallback: int
    highest: int
    before: Asked
    rest: Asked
    stones: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        return self.served in self.touched


@dataclass(frozen=True)
class Proof:
    """One thing that was to be shown, whether it was, and what to do where not."""

    what: str
    ok: bool
    found: str
    hint: str = ""


@dataclass(frozen=True)
class Forgotten:
    """What is kept of a forgetting: counts, and the tombstones' hashes; nothing of what it was."""

    number: int
    began: str
    ended: str
    memories: int
    messages: int
    tombstones: tuple[str, ...]
    generations_removed: tuple[int, ...]
    rebuilt_from: int
    generation: int
    recall_before: Asked
    recall_after: Asked
    recall_base: Asked
    rest_before: Asked
    rest_after: Asked
    files: int
    bytes: int
    texts: int
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Forecast:
    """What is to be expected: the memories that are learned again, the nights whose records go, and the time."""

    learned_again: int
    nights: tuple[int, ...]
    seconds: float


# -- planning ------------------------------------------------------------------------------------------------------


def plan(store: Store, scope: Scope) -> Pending:
    """What would be done; nothing is written. Raises EdgesleepError while another forgetting is unfinished."""
    if unfinished(store.home):
        raise EdgesleepError("Another forgetting is unfinished.", AGAIN)
    ids = {memory.id for memory in scope.memories}
    touched, served = _touched(store, ids | {*scope.loose}), store.current()
    results = store.generation(served).results if served else None
    return Pending(
        number=1 + len([*store.home.glob(f"{REPORTS}/*.json")]),
        began=now(),
        memories=scope.memories,
        turns=tuple(turn.id for turn in scope.turns),
        loose=scope.loose,
        again=scope.again,
        texts=scope.texts,
        guessable=scope.guessable,
        touched=tuple(sorted(touched)),
        served=served,
        fallback=_fallback(store, touched),
        highest=store.next_number() - 1,
        before=_asked(results, lambda id: id in ids),
        rest=_asked(results, lambda id: id not in ids),
    )


def _touched(store: Store, ids: Collection[str]) -> set[int]:
    """The generations that were taught any of these memories, or that go on from one that was."""
    touched: set[int] = set()
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
    said = [turn.content for turn in journal.turns() if turn.id in pending.turns]
    texts = [*said, *(memory.told for memory in pending.memories)]
    names = [memory.value for memory in pending.memories if memory.id not in pending.guessable]
    hashes = {*map(stones.of_memory, pending.memories), *map(stones.of_text, texts), *map(stones.of_name, names)} - {""}
    dump(replace(pending, stones=tuple(sorted(hashes))), store.home / PENDING)


# -- doing ---------------------------------------------------------------------------------------------------------


def complete(home: Path, settings: Settings, watch: cycle.Watch, say: Say) -> Forgotten:
    """Do all that is left of a forgetting. Raises EdgesleepError where a step or a proof fails: it stays unfinished."""
    if done := settled(home):
        return done
    pending = erase(home, say)
    if is_to_learn(home, pending):
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
        pending = _grown(store, load(Pending, home / PENDING))
        with Journal.open(home) as journal:
            if store.current() in pending.touched:
                _step_back(store, journal, pending.fallback)
                say(f"Generation {store.current()} is served until the rest is learned again.")
            store.remove(pending.touched)
            _erase_rows(journal, pending)
        _clear(home, Search(pending.texts))
        with Journal.open(home) as journal:
            journal.vacuum()
    return pending


def _grown(store: Store, pending: Pending) -> Pending:
    """With what a night taught that was under way when it began."""
    touched = {*pending.touched, *_touched(store, {memory.id for memory in pending.memories})}
    if touched == {*pending.touched}:
        return pending
    fallback = _fallback(store, touched)
    served = store.current() if store.current() in touched else pending.served
    pending = replace(pending, touched=tuple(sorted(touched)), fallback=fallback, served=served)
    pending = replace(pending, highest=max(pending.highest, *touched))
    dump(pending, store.home / PENDING)
    return pending


def _step_back(store: Store, journal: Journal, number: int) -> None:
    """Serve an earlier generation; where it cannot be made again, the base."""
    with suppress(EdgesleepError):
        generations.go_to(store, journal, number)
    if store.current() != number:
        generations.go_to(store, journal, 0)


def _erase_rows(journal: Journal, pending: Pending) -> None:
    search = Search(pending.texts)
    since = {turn.id for turn in journal.turns() if search.among(turn.content)}  # said again since it began
    ids = [memory.id for memory in pending.memories]
    journal.erase(ids, {*pending.turns, *since}, pending.loose, pending.stones)
    standing = journal.standing()
    journal.mark([id for id in pending.again if standing.get(id, ("", 0))[0] == REPLACED], NEW)


def _clear(home: Path, search: Search) -> None:
    """Remove what was left by writes that were killed, and the records of nights in which anything of it stands."""
    for place in PLACES:
        for path in [path for path in home.glob(f"{place}.*.tmp") if _LEFT_OVER.fullmatch(path.name)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for night in _nights_of(home, search):
        folder = home / "nights" / f"{night:04d}"
        # Renamed first: what it holds in tokens would not be found again without what it holds in words.
        shutil.rmtree(folder.replace(folder.with_name(f".{night:04d}.tmp")))


def _nights_of(home: Path, search: Search) -> list[int]:
    """The nights in whose records anything of it stands."""
    folders = [folder for folder in sorted(home.glob("nights/[0-9]*")) if folder.name.isdigit()]
    return [int(folder.name) for folder in folders if any(map(search.within, traces.files(folder)))]


def is_to_learn(home: Path, pending: Pending) -> bool:
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
        pending = load(Pending, home / PENDING)
        say("Looking for it in every file ...")
        searched = _search(store, pending)
        base, served, recall = _ask(store, pending, settings, say)
        proofs = (_unfound(searched), recall, _still(pending, _rest(store, pending), settings.gate.recall_loss))
        for proof in proofs[:2]:
            if not proof.ok:
                raise EdgesleepError(f"It is not forgotten: {proof.found}", proof.hint)
        report = _report(store, pending, searched, (base, served), proofs)
        # In one step: there is never a moment without either the note that it is to go or the proof that it has.
        dump(report, home / PENDING)
        _file(home, report)
    return report


def _report(
    store: Store, pending: Pending, searched: traces.Searched, recall: tuple[Asked, Asked], proofs: tuple[Proof, ...]
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
        recall_base=recall[0],
        recall_after=recall[1],
        rest_before=pending.rest,
        rest_after=_rest(store, pending),
        files=searched.files,
        bytes=searched.bytes,
        texts=len(pending.texts),
        proofs=proofs,
    )


def settled(home: Path) -> Forgotten | None:
    """The report of one that was cut short in its last step."""
    try:
        report = load(Forgotten, home / PENDING)
    except EdgesleepError:
        return None
    _file(home, report)
    return report


def _file(home: Path, report: Forgotten) -> None:
    folder = home / REPORTS
    folder.mkdir(mode=0o700, exist_ok=True)
    (home / PENDING).replace(folder / f"{report.number:04d}.json")


def _search(store: Store, pending: Pending) -> traces.Searched:
    """In every file but the note of it, and in the journal's texts as a whole."""
    base = Path(store.base().path)
    skip = {store.home / PENDING, store.home / "night.lock", base}  # a locked file cannot be read everywhere
    found = traces.search(store.home, pending.texts, base, skip)
    search, path = Search(pending.texts), store.home / journals.FILE
    rows = {f"{journals.FILE} ({table})" for table, text in tables.texts(path) if search.among(text)}
    return traces.Searched(found.files, found.bytes, (*found.found, *sorted(rows)))


def _unfound(searched: traces.Searched) -> Proof:
    what = f"{searched.files:,} files, {searched.bytes / 1e6:,.1f} MB searched"
    if not searched.found:
        return Proof("bytes", True, what)
    return Proof(
        "bytes",
        False,
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
    more = _known(wanted, after) - _known(wanted, before) - {*pending.guessable}
    asked = Asked(sum(before), len(before)), Asked(sum(after), len(after))
    found = f"of what was forgotten generation {current} answers {asked[1]} questions, the base {asked[0]}"
    hint = f"`edgesleep rollback 0` serves the base, which never knew it; then {AGAIN}"
    if more:
        found += f"; {len(more)} memories are known that the base does not know."
    return *asked, Proof("recall", not more, found, hint if more else "")


def _known(asked: Sequence[Probe], hits: Iterable[bool]) -> set[str]:
    answers: dict[str, list[bool]] = {}
    for probe, hit in zip(asked, hits, strict=True):
        answers.setdefault(probe.memory_id, []).append(hit)
    return {memory for memory, hit in answers.items() if 2 * sum(hit) > len(hit)}


def _rest(store: Store, pending: Pending) -> Asked:
    """What the model that is served now answered of the rest, at the end of its night."""
    current, gone = store.current(), {memory.id for memory in pending.memories}
    return _asked(store.generation(current).results if current else None, lambda id: id not in gone)


def _still(pending: Pending, rest: Asked, allowed: float) -> Proof:
    found = f"of the rest {pending.rest} questions were answered before, and {rest} are now"
    ok = not pending.rest.asked or pending.rest.share - rest.share <= allowed
    return Proof("rest", ok, found, "" if ok else "`edgesleep run-night --force` rehearses it once more.")
