"""Proofs that something is forgotten: it is in no file, the model knows no more of it than the base, the rest is as
before.

Owns what is looked for and asked, and what counts as known. Leaves bytes to `traces`, asking to `compare`, and what
follows where a proof fails to `forget`. Must stay true: a value that is one memory's own is no luck, one that is
anyone's may be; what could not be looked for or asked is told, and not counted as shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesleep import tables, traces
from edgesleep.config import Settings
from edgesleep.daemon.log import CLAIM, FOLDER
from edgesleep.database import account, failures
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING
from edgesleep.journal import FILE, Journal
from edgesleep.night import compare, paired, remains
from edgesleep.night.pending import Asked, Pending, Proof
from edgesleep.night.phrases import probes, right
from edgesleep.records import Probe
from edgesleep.store import Store
from edgesleep.traces import Search

Say = Callable[[str], None]

AGAIN = "`edgesleep forget --resume` goes on with it."
HALF, FEW = 0.5, 2  # of what the base missed, and answers: so many more are no luck, however few were asked


# -- in no file ----------------------------------------------------------------------------------------------------


def search(store: Store, pending: Pending) -> tuple[traces.Searched, Proof]:
    """Look in every file but the note of it, in the journal's texts as a whole, and for weights that were to go.

    While this process has the journal open it may not be: closing the file again drops what SQLite has locked in it.
    """
    with Journal.open(store.home) as journal:
        texts, night = _own(journal, pending), journal.open_night() or 0
    bases = {base.sha256: Path(base.path) for base in store.bases()}
    made = {store.folder(one.number): bases.get(one.base_sha256) for one in store.generations()}
    # A locked file cannot be read everywhere; it is empty.
    skip = {store.home / PENDING, store.home / "night.lock", store.home / FOLDER / CLAIM, *bases.values()}
    if account(store.home / FILE):  # encrypted, so that only its texts say anything
        skip |= {store.home / f"{FILE}{end}" for end in ("", "-wal", "-shm")}
    found = traces.search(store.home, texts, lambda path: made.get(path.parent), skip)
    left = remains.weights(store.home, night)
    left += [*store.home.glob("generations/.*.tmp"), *filter(Path.exists, map(store.folder, pending.touched))]
    names = (str(path.relative_to(store.home)) for path in left)
    places = tuple(dict.fromkeys((*found.found, *_tables(store.home / FILE, Search(texts)), *names)))
    searched = traces.Searched(found.files, found.bytes, places)
    return searched, _unfound(searched, len({*texts} - {memory.id for memory in pending.memories}))


def _own(journal: Journal, pending: Pending) -> list[str]:
    """What is looked for: all but what others have said since, as what stays has it by now."""
    later = [turn for turn in journal.turns(after=pending.last) if turn.id not in pending.turns]
    return Search(pending.texts).absent([text for turn in later for text in (turn.content, turn.session)])


def _tables(path: Path, search: Search) -> list[str]:
    try:
        return sorted({f"{FILE} ({table})" for table, text in tables.texts(path) if search.among(text)})
    except failures("DatabaseError") as error:
        raise EdgesleepError(f"{path} cannot be searched: {error}.", "`edgesleep verify` checks it.") from error


def _unfound(searched: traces.Searched, texts: int) -> Proof:
    what = f"{searched.files:,} files, {searched.bytes / 1e6:,.1f} MB searched for {texts:,} texts"
    if not texts:
        what += "; nothing of it is its own, so that there was nothing to look for"
    if not searched.found:
        return Proof("bytes", True, texts, what)
    hint = f"Remove it from files of your own; of those of edgesleep {AGAIN}"
    return Proof("bytes", False, texts, f"{what}, and it stands in {', '.join(searched.found)}", hint)


# -- by no model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recall:
    """What is asked of something that goes, and whether the base answers it. Held in memory only, as it says what."""

    pending: Pending
    settings: Settings
    asked: tuple[Probe, ...]
    base: tuple[bool, ...] = ()

    @classmethod
    def of(cls, store: Store, pending: Pending, settings: Settings, say: Say) -> Recall:
        asked = tuple(probe for memory in pending.memories for probe in probes(memory, settings.dream.probes))
        none = cls(pending, settings, asked)
        return cls(pending, settings, asked, none._right(store, 0, say))

    def _right(self, store: Store, number: int, say: Say) -> tuple[bool, ...]:
        limit = self.settings.gate.answer_tokens
        said = compare.ask(store, number, self.asked, limit, say) if self.asked else []
        return tuple(right(text, probe.gold) for text, probe in zip(said, self.asked, strict=True))

    def by(self, store: Store, number: int, say: Say) -> tuple[Asked, Proof]:
        """What a generation answers of it, and whether that is no more than the base does; of the base it always is."""
        hits = self._right(store, number, say) if number else self.base
        asked, base = (Asked(sum(rights), len(rights)) for rights in (hits, self.base))
        found = f"of what was forgotten generation {number} answers {asked} questions, the base {base}"
        shared, guessable = {*self.pending.shared}, {*self.pending.guessable} - {*self.pending.shared}
        of = sum(probe.memory_id not in shared for probe in self.asked)
        memories = {probe.memory_id for probe in self.asked}
        for count, about in (
            (len(memories & shared), "memories that proves nothing, as what stays has the same value"),
            (len(memories & guessable), "memories the value is anyone's, and may be met by chance"),
        ):
            found += f"; of {count} {about}" if count else ""
        found += "" if of else "; there was nothing to ask"
        more = self._more(hits)
        return asked, Proof("recall", not more, of, f"{found}; {more}" if more else found)

    def _more(self, hits: Sequence[bool]) -> str:
        """What is known more than the base knows it, if anything is."""
        changes: dict[str, int] = {}
        for probe, was, now in zip(self.asked, self.base, hits, strict=True):
            changes[probe.memory_id] = changes.get(probe.memory_id, 0) + now - was
        shared, guessable = {*self.pending.shared}, {*self.pending.guessable}
        own = sum(change > 0 for memory, change in changes.items() if memory not in guessable | shared)
        rises = [change for memory, change in changes.items() if memory in guessable - shared]
        missed = sum(
            not was and probe.memory_id in guessable - shared for probe, was in zip(self.asked, self.base, strict=True)
        )
        plain = sum(rises) >= max(FEW, HALF * missed)
        if own:
            return f"{own} memories are known better than the base knows them"
        if plain or paired.chance(rises) <= self.settings.gate.error_rate:
            return "that is more than chance"
        return ""


# -- and the rest --------------------------------------------------------------------------------------------------


def rest(before: Asked, after: Asked, waiting: int, allowed: float) -> Proof:
    """Whether the rest is recalled as before, where it does not wait to be learned again."""
    if waiting:
        return Proof("rest", True, 0, f"{waiting} memories wait to be learned")
    found = f"of the rest {before} questions were answered before, and {after} are now"
    ok = not before.asked or before.share - after.share <= allowed
    return Proof("rest", ok, before.asked, found, "" if ok else "`edgesleep run-night --force` rehearses it once more.")
