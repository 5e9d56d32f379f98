"""Verify: whether everything in a home is still what it was when it was written.

Owns the list of checks. Leaves repairing to its reader: a model is made again by `generations`, all else comes from a
backup. Must stay true: nothing that is checked is changed, and one thing that is broken hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from edgesleep import files, journal, tables
from edgesleep.database import account, failures
from edgesleep.errors import EdgesleepError
from edgesleep.night.generations import make
from edgesleep.records import Generation, file_digest, load
from edgesleep.store import ADAPTER, DELTA, MANIFEST, MODEL, Base, Store

T = TypeVar("T")


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
    yield _check("home", partial(_home, home))
    bases, unread = _read(store.bases)
    current, lost = _read(store.current)
    yield Check("pointer", False, lost) if current is None else _check("pointer", partial(_pointer, store, bases))
    if bases is None:
        yield Check("base", False, unread)
    for base in bases or ():
        yield _check(f"base {base.spec}", partial(_base, base))
    for number in _published(store):
        yield _check(f"generation {number}", partial(_generation, store, number, bases, number == current, rebuild))
    yield _check(journal.FILE, lambda: _journal(store))


def _home(home: Path) -> str:
    if files.open_to_others(home):
        raise EdgesleepError(f"others can look into {home}: `chmod 700 {home}`.")
    return f"{home} is for its owner alone"


def _check(what: str, look: Callable[[], str]) -> Check:
    """What a look found, or the error that it ended in."""
    try:
        return Check(what, True, look())
    except EdgesleepError as error:
        return Check(what, False, error.message)
    except OSError as error:
        return _unread(what, error)
    except failures("DatabaseError") as error:
        return _unread(what, error)


def _unread(what: str, error: Exception) -> Check:
    return Check(what, False, f"It cannot be read: {error}.")


def _read(look: Callable[[], T]) -> tuple[T | None, str]:
    """What a look finds, or nothing and why."""
    try:
        return look(), ""
    except EdgesleepError as error:
        return None, error.message


def _pointer(store: Store, bases: tuple[Base, ...] | None) -> str:
    current = store.current()
    made = store.generation(current) if current else None
    if made and bases and made.base_sha256 != bases[0].sha256:
        raise EdgesleepError(f"Generation {current} is current, but built on another base than the one that is.")
    if ahead := store.ahead():
        raise EdgesleepError(
            f"generation {current} is current, but the file is older than {', '.join(map(str, ahead))}: "
            f"`edgesleep rollback {ahead[-1]}` serves the newest, `edgesleep rollback {current}` stays with this one."
        )
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


def _generation(store: Store, number: int, bases: tuple[Base, ...] | None, served: bool, rebuild: bool) -> str:
    folder = store.folder(number)
    made = load(Generation, folder / MANIFEST)
    wanted = {MODEL: made.model_sha256, DELTA: made.delta_sha256, ADAPTER: made.adapter_sha256}
    kept = [name for name in wanted if (folder / name).exists()]
    changed = [name for name in kept if wanted[name] and file_digest(folder / name) != wanted[name]]
    faults = [f"{name} is not the file that was published" for name in changed]
    faults += _misfits(store, number, made, bases)
    if served:
        faults += [f"{name} is gone, though it is served" for name in wanted if wanted[name] and name not in kept]
    if faults:
        raise EdgesleepError(f"{'; '.join(faults)}.")
    if rebuild and DELTA in kept and MODEL not in kept:
        with store.lend(number, partial(make, store, number)):
            return ", ".join([*kept, f"{MODEL} made again to the byte"])
    return ", ".join([*kept, MANIFEST])


def _misfits(store: Store, number: int, made: Generation, bases: tuple[Base, ...] | None) -> Iterator[str]:
    """How a manifest does not go with what is around it."""
    if made.number != number:
        yield f"the manifest is that of generation {made.number}"
    if bases is not None and made.base_sha256 not in {base.sha256 for base in bases}:
        yield "it is built on a base that is not known here"
    if made.parent and made.parent not in store.numbers():
        yield f"generation {made.parent}, from which it went on, is not there"


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
    return f"{path}, {'encrypted' if account(path) else 'not encrypted'}"
