"""Verify: whether everything in a home is still what it was when it was written.

Owns the list of checks. Leaves repairing to its reader: a model is made again by `generations`, all else comes from a
backup. Must stay true: nothing that is checked is changed, and one thing that is broken hides no other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgesleep import journal, tables
from edgesleep.errors import EdgesleepError
from edgesleep.night.generations import make
from edgesleep.records import Generation, file_digest, load
from edgesleep.store import ADAPTER, DELTA, MANIFEST, MODEL, Base, Store


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, whether it is as it should be, and what was found."""

    what: str
    ok: bool
    found: str


def checks(home: Path, *, rebuild: bool = False) -> Iterator[Check]:
    """Look at every base, pointer, generation and message of a home; each as soon as it is known.

    With `rebuild` every model that is not kept is made again, for a moment, to see that it still can be. Raises
    EdgesleepError only where there is no home yet.
    """
    store = Store(home)
    if not (home / "base.json").exists():
        store.bases()  # says so
    yield _check("pointer", lambda: _pointer(store))
    bases: tuple[Base, ...] = ()
    try:
        bases = store.bases()
    except EdgesleepError as error:
        yield Check("base", False, error.message)
    for base in bases:
        yield _check(f"base {base.spec}", partial(_base, base))
    for number in _published(store):
        yield _check(f"generation {number}", partial(_generation, store, number, rebuild))
    yield _check(journal.FILE, lambda: _journal(store))


def _check(what: str, look: Callable[[], str]) -> Check:
    """What a look found, or the error that it ended in."""
    try:
        return Check(what, True, look())
    except EdgesleepError as error:
        return Check(what, False, error.message)
    except (OSError, sqlite3.DatabaseError) as error:
        return Check(what, False, f"It cannot be read: {error}.")


def _pointer(store: Store) -> str:
    current = store.current()
    if current and store.generation(current).base_sha256 != store.bases()[0].sha256:
        raise EdgesleepError(f"Generation {current} is current, but built on another base than the one that is.")
    return f"generation {current} is current"


def _base(base: Base) -> str:
    if file_digest(Path(base.path)) != base.sha256:
        raise EdgesleepError(f"{base.path} is no longer the file that was adopted.")
    return base.path


def _published(store: Store) -> list[int]:
    """Without what a publish left that was cut short; where the pointer is broken, that cannot be told."""
    try:
        above = store.next_number()
    except EdgesleepError:
        return store.numbers()
    return [number for number in store.numbers() if number < above]


def _generation(store: Store, number: int, rebuild: bool) -> str:
    folder = store.folder(number)
    made = load(Generation, folder / MANIFEST)
    wanted = {MODEL: made.model_sha256, DELTA: made.delta_sha256, ADAPTER: made.adapter_sha256}
    kept = [name for name in wanted if (folder / name).exists()]
    changed = [name for name in kept if wanted[name] and file_digest(folder / name) != wanted[name]]
    faults = [f"{name} is not the file that was published" for name in changed]
    faults += _misfits(store, number, made, kept)
    if faults:
        raise EdgesleepError(f"{'; '.join(faults)}.")
    if rebuild and DELTA in kept and MODEL not in kept:
        with store.lend(number, partial(make, store, number)):
            return ", ".join([*kept, f"{MODEL} made again to the byte"])
    return ", ".join([*kept, MANIFEST])


def _misfits(store: Store, number: int, made: Generation, kept: list[str]) -> Iterator[str]:
    """How a manifest does not go with what is around it."""
    if made.number != number:
        yield f"the manifest is that of generation {made.number}"
    if made.base_sha256 not in {base.sha256 for base in store.bases()}:
        yield "it is built on a base that is not known here"
    if made.parent and made.parent not in store.numbers():
        yield f"generation {made.parent}, from which it went on, is not there"
    if number == store.current():
        yield from (f"{name} is gone, though it is served" for name in (MODEL, DELTA) if name not in kept)


def _journal(store: Store) -> str:
    path = store.home / journal.FILE
    if not path.exists():
        raise EdgesleepError(f"{path} is missing.")
    models = {}
    for number in _published(store):
        with suppress(EdgesleepError):  # told by its own check
            models[number] = store.generation(number).model_sha256
    if found := list(tables.faults(path, models)):
        raise EdgesleepError(f"{'; '.join(found)}.")
    return str(path)
