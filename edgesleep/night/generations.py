"""Generations: a model that is no longer kept is made again, and the home moves from one generation to another.

Owns making a model from the pristine base and its delta, and what going back, or over to another base, means for the
memories. Leaves the files and the pointer to `store`, states of memories to `journal`. Must stay true: memories count
as new before the pointer moves and as learned only after it, so that a move that is cut short only means that some are
learned once more.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from edgesleep.adapter import Adapter
from edgesleep.files import remove
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night import merge
from edgesleep.night.agenda import AGENDA
from edgesleep.night.artefacts import folder_of
from edgesleep.records import Generation, file_digest
from edgesleep.store import ADAPTER, MODEL, Store


def model(store: Store, number: int) -> Path:
    """The model of a generation, made again where it is no longer kept or was damaged; raises as `Store.restore`."""
    return store.restore(number, partial(make, store, number))


def make(store: Store, number: int, folder: Path) -> None:
    """Write model and adapter of a generation into `folder`: the night's merge once more, with the same dither."""
    made, delta = store.generation(number), store.delta(number)
    base = Gguf.open(Path(store.base(made.base_sha256).path))
    adapter = Adapter.load(delta)
    merge.merge(base, adapter, folder / MODEL)
    merge.export(base, adapter, folder / ADAPTER, made.night)


def go_to(store: Store, journal: Journal, number: int) -> int:
    """Serve another generation; returns how many memories the next night learns anew. Raises as `model` does."""
    with store.lock():
        model(store, number)
        if number:
            store.base(store.generation(number).base_sha256)
        lost, known = _moved(store, journal, number)
        _unlearn(store, journal, lost | known)  # also what is learned: what came after says nothing of when it is due
        store.rollback(number)
        journal.mark(known, "learned", number)
    return len(lost - known)


def migrate(store: Store, journal: Journal, base: Path, spec: str) -> int:
    """Serve another base, on which the next night learns all memories anew; returns how many those are.

    The generations of the base before stay, and `go_to` undoes it. Raises EdgesleepError when `base` cannot be read.
    """
    with store.lock():
        same = file_digest(base) == store.bases()[0].sha256
        lost, _ = (set(), set()) if same else _moved(store, journal, 0)
        _unlearn(store, journal, lost)
        store.adopt_base(base, spec, leave=True)
    return len(lost)


def again(store: Store, journal: Journal, number: int) -> int:
    """How many memories would be learned anew after `go_to`, or after `migrate` where `number` is 0."""
    lost, known = _moved(store, journal, number)
    return len(lost - known)


def _moved(store: Store, journal: Journal, number: int) -> tuple[set[str], set[str]]:
    """Memories that do not stand where a generation has them: what it was not taught, and what it knew.

    The former are what no generation on the way from the base to it was taught, or brought to where it stands: of the
    latter it is only known how well it knew it where its own night asked for it, as it is put now.
    """
    made = {generation.number: generation for generation in store.generations()}
    taught = {memory for generation in made.values() for memory in generation.memory_ids}
    way, last = set(), number
    while last in made:
        way.add(last)
        taught.difference_update(made[last].memory_ids)
        last = made[last].parent
    standing = journal.standing()
    held = {memory: by for memory, (state, by) in standing.items() if state in ("learned", "weak")}
    lost = {memory for memory, by in held.items() if memory in taught or (by is not None and by not in way)}
    new = {memory for memory, (state, _) in standing.items() if state == "new"}
    return lost, _answered(made.get(number), journal) & (lost | new)


def _unlearn(store: Store, journal: Journal, memories: set[str]) -> None:
    """Have them learned anew, and an interrupted night choose anew: what may rest, it chose for another model."""
    journal.mark(memories, "new")
    if night := journal.open_night():
        remove(folder_of(store.home, night) / AGENDA)


def _answered(made: Generation | None, journal: Journal) -> set[str]:
    """Memories that a generation knew after its night, and that are put now as they were then."""
    if made is None or made.results is None:
        return set()
    now = {memory.id: memory.sha256 for memory in journal.memories()}
    return {memory for memory in made.results.learned if now.get(memory) == made.memory_sha256.get(memory, "")}
