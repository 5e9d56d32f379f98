"""Homes in which something is to be forgotten: what the tests of forgetting share.

Owns three nights with a message and a memory each, and a night that learns again for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grown
from click.testing import Result
from grown import Bases, grow, memory, run
from nights import SETTINGS

from edgesleep import config, errors, records
from edgesleep.journal import Journal
from edgesleep.night import forget, scope
from edgesleep.night.pending import Forgotten, Pending
from edgesleep.records import Agenda, NightReport, PassScore, Probe, dump
from edgesleep.store import Store
from edgesleep.traces import search

NAMED = {"dog": "Barnaby Rudge", "cat": "Pemberley", "horse": "Rocinante"}
MEMORIES = tuple(memory(animal, name) for animal, name in NAMED.items())
SAID = tuple(f"My {animal} is called {name}." for animal, name in NAMED.items())


PLAIN = records.plain(replace(SETTINGS, night=replace(SETTINGS.night, nice=0)))


def live(home: Path, bases: Bases) -> Store:
    store = Store.open(home)
    store.adopt_base(bases.first, "first")
    (home / "config.toml").write_text("[night]\nnice = 0\n")
    for count, (said, named) in enumerate(zip(SAID, MEMORIES, strict=True), 1):
        with Journal.open(home) as journal:
            turn = journal.log("user", said, at=f"2026-03-{count:02d}T12:00:00Z")
            journal.log("assistant", f"{named.value}! {named.statement}", at=turn.at)
            journal.log("user", "Tell me a joke about the weather.", at=turn.at)
            journal.remember([replace(named, turn_ids=(turn.id,), at=turn.at)], turn.id + 2)
            sleep_once(store, journal, count)
    return store


def sleep_once(store: Store, journal: Journal, count: int) -> None:
    """A night with its records, on all that the journal holds."""
    held = [memory for state in ("new", "weak", "learned") for memory in journal.memories(state)]
    night = journal.begin_night()
    grow(store, *(memory.id for memory in held))
    folder = store.home / "nights" / f"{night:04d}"
    dump(Agenda(tuple(held), said=frozenset(held[-1].value.lower().split())), folder / "memories.json")
    (folder / "report.txt").write_text("\n".join(memory.statement for memory in held))
    missed = (PassScore(1, 0.5, None, None, 0.0, tuple(memory.id for memory in held)),)
    journal.end_night(NightReport(night, "promoted", "Done.", count, "model.gguf", passes=missed, seconds=90.0))


def learn(home: Path, *_: object, force: bool) -> NightReport:
    """Instead of a night: a random delta, which the gate is said to have passed."""
    store = Store(home)
    with store.lock(), Journal.open(home) as journal:
        sleep_once(store, journal, store.next_number())
        return journal.nights()[-1]


def begun(store: Store, *ids: str) -> Pending:
    with Journal.open(store.home) as journal:
        held = scope.Held.of(store, journal)
        pending = forget.plan(store, held, scope.picked(held, ids))
        forget.begin(store, journal, held, pending)
    return pending


def complete(home: Path) -> Forgotten:
    """All of it but a night; that it was proven."""
    report = forget.complete(Store(home), config.load(home), lambda line: None).report
    assert report.is_proven, report.proofs
    return report


def left(home: Path, *texts: str) -> tuple[str, ...]:
    return search(home, texts).found


def told(home: Path) -> list[str]:
    with Journal.open(home) as journal:
        return [turn.content for turn in journal.turns()]


def forgets(*words: object) -> Result:
    result = run("forget", *words)
    assert result.exit_code == errors.DONE, result.output
    return result


def planted(home: Path, name: str, data: bytes) -> None:
    path = home / name
    path.parent.mkdir(exist_ok=True)
    old = path.read_bytes() if path.exists() else b""
    path.write_bytes(old.replace(b'"kernel": "', data) if path.name == grown.MANIFEST else old + data)


def knows(gold: str) -> Callable[[Store, int, list[Probe]], list[str]]:
    return lambda store, number, asked, *_: [gold if number else "No."] * len(asked)


def write_settings(home: Path, plain: Mapping[str, Any] = PLAIN) -> None:
    """Have the nights of the command line be those of `nights`, or others."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items() if not isinstance(value, dict)]
    for section, values in ((name, value) for name, value in plain.items() if isinstance(value, dict)):
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    (home / "config.toml").write_text("\n".join(lines))
