"""A sound home passes every check, and each kind of damage is found and hides nothing else."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from grown import (
    DELTA,
    DOG,
    MANIFEST,
    another_dither,
    change_base,
    failed,
    fails,
    grow,
    kept,
    run,
    tree,
)

from edgesleep import records
from edgesleep.journal import Journal
from edgesleep.night import verify
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_sound_home_passes_every_check(store: Store) -> None:
    for _ in range(3):
        grow(store, DOG)
    before = tree(store.home)
    result = run("verify")
    assert result.exit_code == 0 and "FAIL" not in result.stdout
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "ok    home",
        "ok    pointer",
        "ok    base first",
        "ok    generation 1",
        "ok    generation 2",
        "ok    generation 3",
        "ok    journal.db",
    ]
    assert json.loads(run("verify", "--rebuild", "--json").stdout)["ok"] is True
    assert "model.gguf made again to the byte" in run("verify", "--rebuild").stdout
    assert tree(store.home) == before


def write(name: str, data: bytes) -> Callable[[Store], None]:
    return lambda store: (store.home / name).write_bytes(data) and None


def on_manifest(**changes: Any) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        records.dump(replace(store.generation(2), **changes), store.folder(2) / MANIFEST)

    return change


def sql(*statements: str) -> Callable[[Store], None]:
    def execute(store: Store) -> None:
        with closing(sqlite3.connect(store.home / "journal.db")) as db, db:
            for statement in statements:
                db.execute(statement)

    return execute


def scribble(store: Store) -> None:
    """Over the pages of the tables, behind SQLite's back."""
    with Journal.open(store.home) as journal:
        for _ in range(50):
            journal.log("user", "word " * 500)
    with closing(sqlite3.connect(store.home / "journal.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = store.home / "journal.db"
    data = bytearray(path.read_bytes())
    data[8192:16384] = b"\xff" * 8192
    path.write_bytes(data)


def remove(*names: str) -> Callable[[Store], None]:
    return lambda store: [(store.home / name).unlink() for name in names] and None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (write("current", b"many"), "pointer: .* does not say which generation is current"),
        (write("current", b"7\n7\n"), "pointer: There is no generation 7"),
        (write("base.json", b"{"), "base: base.json cannot be read"),
        (change_base, "base first: .*base.gguf is no longer the file that was adopted"),
        (write("generations/0002/model.gguf", b"rot"), "generation 2: model.gguf is not the file that was published"),
        (write("generations/0001/delta.safetensors", b"rot"), "generation 1: delta.safetensors is not the file"),
        (write("generations/0002/adapter.gguf", b"rot"), "generation 2: adapter.gguf is not the file"),
        (write("generations/0001/manifest.json", b"{}"), "generation 1: manifest.json cannot be read"),
        (remove("generations/0002/manifest.json"), "generation 2: manifest.json cannot be read"),
        (remove("generations/0002/model.gguf"), "generation 2: model.gguf is gone, though it is served"),
        (remove("generations/0002/adapter.gguf"), "generation 2: adapter.gguf is gone, though it is served"),
        (write("current", b"1\n1\n"), "pointer: .* older than 2: `edgesleep rollback 2`"),
        (on_manifest(number=1), "generation 2: the manifest is that of generation 1"),
        (on_manifest(base_sha256="0" * 64), "generation 2: it is built on a base that is not known here"),
        (on_manifest(parent=9), "generation 2: generation 9, from which it went on, is not there"),
        (remove("journal.db"), "journal.db: .* is missing"),
        (write("journal.db", b"no database" * 1000), "journal.db: .*(cannot be read|no journal)"),
        (scribble, "journal.db: "),
        (
            sql("DROP TRIGGER turns_are_append_only", "UPDATE turns SET content = 'My dog is called Pim.'"),
            "journal.db: message 1 is not what was written",
        ),
        (sql("DELETE FROM turns"), "journal.db: row .* of memory_turns names one of turns that is not there"),
        (
            sql(
                "INSERT INTO nights VALUES (1, 's', 'x', 'x', NULL)",
                "INSERT INTO generations VALUES (1,1,0,'x','y','z')",
            ),
            "journal.db: generation 1 is noted with another model than its manifest has",
        ),
    ],
)
def test_damage_is_found_and_hides_nothing_else(store: Store, damage: Callable[[Store], None], said: str) -> None:
    grow(store, DOG)
    grow(store, DOG)
    damage(store)
    found = failed(store.home)
    assert any(re.match(said, line) for line in found), found
    whats = [check.what for check in verify.checks(store.home)]
    assert (
        whats[:2] == ["home", "pointer"] and whats[-1] == "journal.db" and {"generation 1", "generation 2"} <= {*whats}
    )
    assert "checks failed" in fails("verify")


@pytest.mark.parametrize("unreadable", ["base.json", "current"])
def test_what_cannot_be_read_hides_no_other_fault(store: Store, unreadable: str) -> None:
    grow(store, DOG)
    grow(store, DOG)
    for name in (unreadable, "generations/0001/delta.safetensors"):
        (store.home / name).write_bytes(b"rot")
    first, second = failed(store.home)
    assert first.startswith("base: " if unreadable == "base.json" else "pointer: ")
    assert second == "generation 1: delta.safetensors is not the file that was published."


def test_a_model_that_cannot_be_made_again_is_found_on_request(store: Store) -> None:
    for _ in range(3):
        grow(store, DOG)
    another_dither(store)
    assert failed(store.home) == []
    assert "not the file that was tested then" in failed(store.home, rebuild=True)[0]
    assert kept(store, 1) == {DELTA, MANIFEST}
