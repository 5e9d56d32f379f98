"""Homes with generations that no night had to train: what the tests of going back, comparing and checking share.

Owns two tiny base models, three memories, and generations on them that are merged and published as a night does, with a
random delta. The fixtures `bases` and `store` of `conftest` make them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from tiny import make_tiny

from edgesleep import __version__, cli, errors, kernel, records
from edgesleep.adapter import Adapter
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.network import Network
from edgesleep.night import generations, merge, verify
from edgesleep.records import Generation, Memory, Question, Results, Score, Verdict, file_digest
from edgesleep.store import Store

SCORE = Score("", 0.0, (), 0.0, 0.0, 0)
MODEL, ADAPTER, DELTA, MANIFEST = "model.gguf", "adapter.gguf", "delta.safetensors", "manifest.json"


@dataclass(frozen=True)
class Bases:
    """Two models of different bytes and types."""

    first: Path
    second: Path


def make_bases(folder: Path) -> Bases:
    return Bases(make_tiny(folder / "first.gguf", "llama"), make_tiny(folder / "second.gguf", "llama", "Q8_0", seed=1))


def make_store(home: Path, bases: Bases) -> Store:
    store = Store.open(home)
    store.adopt_base(bases.first, "first")
    with Journal.open(home) as journal:
        turn = journal.log("user", "My dog is called Miso, my cat Pim and my horse Rask.")
        journal.remember([replace(memory, turn_ids=(turn.id,), at=turn.at) for memory in MEMORIES], turn.id)
    return store


def memory(animal: str, name: str) -> Memory:
    def asked(text: str, wonder: str) -> Question:
        return Question(text, f"{name}.", f"Your {animal} is called {name}.", text[0].lower() + text[1:], wonder)

    questions = (
        asked(f"What is my {animal} called?", f"what my {animal} is called"),
        asked(f"What name does my {animal} have?", f"what name my {animal} has"),
    )
    id = hashlib.sha256(animal.encode()).hexdigest()[:12]
    told = f"Your {animal} is called {name}."
    return Memory(id, "fact", f"my {animal}|name", told, told, name, questions, (), "", held_out=questions[1].ask)


MEMORIES = (memory("dog", "Miso"), memory("cat", "Pim"), memory("horse", "Rask"))
DOG, CAT, HORSE = (memory.id for memory in MEMORIES)


def grow(store: Store, *taught: str, learned: tuple[str, ...] | None = None, disk: int = 0) -> Generation:
    """The next generation, merged and published as a night does, but for its training: the delta is random."""
    number, base = store.next_number(), Gguf.open(store.model_path(0))
    folder = store.home / "nights" / f"{number:04d}"
    adapter = Adapter.fresh(Network(base, 3).shapes, 4, 8.0, 3, store.base().sha256)
    random = np.random.default_rng(number)
    for a, b in adapter.factors.values():
        b[:] = random.standard_normal(b.shape) * 0.02 * a.shape[1] ** 0.5
    files = (folder / "candidate.gguf", adapter.save(folder / "adapter.safetensors"), folder / ADAPTER)
    adapter = Adapter.load(files[1])  # as the night does
    model = merge.merge(base, adapter, files[0]).sha256
    merge.export(base, adapter, files[2], number)
    known = taught if learned is None else learned
    held = {memory.id: memory for memory in MEMORIES}
    made = Generation(
        number=number,
        parent=store.current(),
        night=number,
        created="2026-03-02T03:00:00+00:00",
        base_sha256=store.base().sha256,
        model_sha256=model,
        delta_sha256=file_digest(files[1]),
        seed=3,
        kernel=kernel.name(),
        version=__version__,
        memory_ids=taught,
        adapter_sha256=file_digest(files[2]),
        memory_sha256={id: held[id].sha256 for id in taught},
        results=Results(0.5, None, None, 0.0, 0.0, {f"{id}-0": id in known for id in taught}, known),
    )
    store.publish(*files, made, Verdict("passed", model, (), SCORE, SCORE, 0.0, 0.0), disk)
    with Journal.open(store.home) as journal:
        journal.mark(known, "learned", number, number)
        journal.mark({*taught} - {*known}, "weak", number, number)
    return made


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but those of the lock and of SQLite's own."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): p.read_bytes() for p in files if not p.name.startswith(("night.", "journal.db-"))}


def standing(home: Path) -> dict[str, tuple[str, int | None]]:
    with Journal.open(home) as journal:
        return journal.standing()


def go_to(store: Store, number: int) -> int:
    with Journal.open(store.home) as journal:
        return generations.go_to(store, journal, number)


def migrate(store: Store, base: Path) -> int:
    with Journal.open(store.home) as journal:
        return generations.migrate(store, journal, base, base.stem)


def failed(home: Path, *, rebuild: bool = False) -> list[str]:
    return [f"{check.what}: {check.found}" for check in verify.checks(home, rebuild=rebuild) if not check.ok]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def fails(*words: object, code: int = errors.ERROR) -> str:
    result = run(*words)
    assert result.exit_code == code and isinstance(result.exception, SystemExit), result.output
    first, *rest = result.stderr.splitlines()[-2:]
    assert first.startswith("Error: ") and rest and rest[0].startswith("Try: "), result.stderr
    return result.stderr


def full(*_: object, **__: object) -> None:
    """What a write ends in on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kept(store: Store, number: int) -> set[str]:
    return {path.name for path in store.folder(number).iterdir()}


def another_dither(store: Store) -> None:
    """A merge that comes out otherwise, as that of a faulty kernel would."""
    path = store.folder(1) / DELTA
    replace(Adapter.load(path), seed=4).save(path)
    made = replace(store.generation(1), delta_sha256=file_digest(path))
    records.dump(made, store.folder(1) / MANIFEST)


def change_base(store: Store) -> None:
    base = json.loads((store.home / "base.json").read_text())
    copy = store.home / "base.gguf"
    copy.write_bytes(Path(base["path"]).read_bytes()[:-1] + b"\1")
    (store.home / "base.json").write_text(json.dumps(base | {"path": str(copy)}))
