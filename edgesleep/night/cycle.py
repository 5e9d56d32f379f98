"""The night: journal -> curate -> dream -> train -> merge -> gate -> store -> report.

Owns when there is a night, what it is about, and how it comes to its end in the
journal. Leaves its stages to `stages`, what it is about to `agenda`, and what is
known of a crash to `underway`. Must stay true: one night at a time; one that was
cut short is gone on with before another begins.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesleep import __version__, kernel
from edgesleep.config import Settings
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night.agenda import AGENDA, blamed, gather, left_over, waiting
from edgesleep.night.artefacts import folder_of, tidy_ended
from edgesleep.night.stages import Night, Watch
from edgesleep.night.underway import READING, watched
from edgesleep.records import Agenda, NightReport, Proposer, dump
from edgesleep.store import Store


def run_night(home: Path, settings: Settings, watch: Watch | None = None, *, force: bool = False) -> NightReport:
    """Run one night, or go on with the one that was interrupted.

    With `force` a night with nothing new rehearses what is already known, and
    one that crashed twice at the same place is tried again. Raises BusyError
    while another night runs.
    """
    store, watch = Store.open(home), watch or Watch()
    with (
        store.lock(),
        Journal.open(home) as journal,
        watched(home, _means(store, journal, settings), watch.should_stop, force=force) as underway,
    ):
        tidy_ended(home, journal.open_night())
        large = proposer(store, settings)
        if (agenda := left_over(home, journal)) is None:
            underway.at(0, READING)
            agenda = gather(journal, force, proposer=large, blame=blamed(home, journal))
        if not agenda.memories:
            return _nothing(store)
        number = journal.open_night() or journal.begin_night()

        def stage(name: str) -> None:
            underway.at(number, name)
            watch.stage(name)

        folder, listened = folder_of(home, number), replace(watch, stage=stage)
        night = Night(folder, number, store, settings, listened, teaches=large is not None)
        night.artefacts.sweep()
        dump(agenda, night.folder / AGENDA)
        result = _ended(night, journal, agenda)
        if result.status != "interrupted":
            night.compare(agenda)
        return result


def proposer(store: Store, settings: Settings) -> Proposer | None:
    """The base, where it is large enough to propose memories and to teach itself."""
    base = store.model_path(0)
    billions = Gguf.open(base).parameters / 1e9
    if round(billions, 1) < settings.curate.proposes_from:
        return None
    return Proposer(str(base), billions, settings.night.threads, settings.curate.minutes)


def _ended(night: Night, journal: Journal, agenda: Agenda) -> NightReport:
    """How a night came to its end, where nothing interrupted it."""
    result = night.run(journal, agenda)
    if result.status != "interrupted":
        journal.end_night(result)
        night.artefacts.tidy()  # last: until it has ended, a night that was refused needs its files to go on
    return result


def end_published(store: Store, journal: Journal, settings: Settings, *, commit: bool = True) -> bool:
    """Bring the open night to its end, without training, where it was killed after it had published; whether it was."""
    number, agenda = journal.open_night(), left_over(store.home, journal)
    if not number or not agenda:
        return False
    night = Night(folder_of(store.home, number), number, store, settings, Watch())
    published = night.has_published(agenda)
    if published and commit:
        _ended(night, journal, agenda)
    return published


def plan_night(home: Path, *, force: bool = False) -> NightReport:
    """What `run_night` would do now, but for what a large model would propose; nothing is written."""
    store = Store.open(home)
    with Journal.open(home) as journal:
        agenda = left_over(home, journal) or gather(journal, force, commit=False, blame=blamed(home, journal))
        if not agenda.memories:
            return _nothing(store)
        number = journal.coming_night()
    reason = f"{len(agenda.memories)} memories would be rehearsed; {agenda.found} are new.{waiting(agenda)}"
    return replace(
        _nothing(store),
        night=number,
        status="planned",
        reason=reason,
        memories_found=agenda.found,
        memories_trained=len(agenda.memories),
    )


def _means(store: Store, journal: Journal, settings: Settings) -> list[Any]:
    """What may let a night end otherwise than one that crashed."""
    said, unlearned = journal.extent(), sorted(journal.forgotten())
    return [settings, __version__, store.base().sha256, store.current(), kernel.name(), said, unlearned]


def _nothing(store: Store) -> NightReport:
    number = store.current()
    return NightReport(0, "skipped", "There is nothing new to learn.", number, str(store.model_path(number)))
