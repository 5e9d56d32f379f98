"""The night: journal -> curate -> dream -> train -> merge -> gate -> store -> report.

Owns the order of the stages, the names of their artefacts and what is skipped.
Leaves each stage's work to its module. Invariants: a stage whose artefact
exists for the same inputs is not run again, so a killed night goes on where it
stopped; the current model changes in the store's publish step and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from edgesleep import __version__, kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.config import Settings
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night import dream, gate, merge, report, train
from edgesleep.night.curate import curate
from edgesleep.network import Network
from edgesleep.records import (
    Dreams,
    Generation,
    Memory,
    Merge,
    NightReport,
    Row,
    StepReport,
    Training,
    Verdict,
    digest,
    dump,
    file_digest,
    load,
    now,
    plain,
    write_atomically,
)
from edgesleep.store import Store

T = TypeVar("T")

LEARNED, NEW, WEAK = "learned", "new", "weak"


@dataclass(frozen=True)
class Watch:
    """What the caller of a night hears and says: stages by name, training steps, and whether to stop."""

    stage: Callable[[str], None] = lambda name: None
    step: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Lessons:
    """What a night is about. `through` is the last turn that was read for it."""

    memories: tuple[Memory, ...]
    known: frozenset[str]
    found: int
    through: int


class Interrupted(Exception):
    """Someone asked the night to stop; what was done so far is on disk."""


def run_night(home: Path, settings: Settings, watch: Watch | None = None, *, force: bool = False) -> NightReport:
    """Run one night, or go on with the one that was interrupted.

    With `force` a night with nothing new rehearses what is already known.
    Raises BusyError while another night runs.
    """
    store = Store.open(home)
    with store.lock(), Journal.open(home) as journal:
        lessons = gather(journal, force)
        if not lessons.memories:
            return _nothing(store)
        number = journal.open_night() or journal.begin_night()
        night = Night(home / "nights" / f"{number:04d}", number, store, settings, watch or Watch())
        result = night.run(journal, lessons)
        if result.status != "interrupted":
            journal.end_night(result)
        return result


def plan_night(home: Path, settings: Settings, *, force: bool = False) -> NightReport:
    """What `run_night` would do now; nothing is written."""
    store = Store.open(home)
    with Journal.open(home) as journal:
        lessons = gather(journal, force, commit=False)
        if not lessons.memories:
            return _nothing(store)
        number = journal.open_night() or len(journal.nights()) + 1
    reason = f"{len(lessons.memories)} memories would be rehearsed, {lessons.found} of them new."
    return replace(
        _nothing(store),
        night=number,
        status="planned",
        reason=reason,
        memories_found=lessons.found,
        memories_trained=len(lessons.memories),
    )


def gather(journal: Journal, force: bool, *, commit: bool = True) -> Lessons:
    """Curate the turns since the last night into memories, and choose what to rehearse."""
    turns = journal.turns(after=journal.curated_through())
    through = turns[-1].id if turns else journal.curated_through()
    fresh = curate(turns)
    if commit:
        journal.remember(fresh, through)
        waiting = [*journal.memories(NEW), *journal.memories(WEAK)]
    else:
        held = {memory.id for memory in journal.memories()}
        waiting = [*journal.memories(NEW), *journal.memories(WEAK), *(m for m in fresh if m.id not in held)]
    known = journal.memories(LEARNED)
    chosen = [*waiting, *known] if waiting or force else []
    return Lessons(tuple(chosen), frozenset(m.id for m in known), len(waiting), through)


def _nothing(store: Store) -> NightReport:
    number = store.current()
    return NightReport(0, "skipped", "There is nothing new to learn.", number, str(store.model_path(number)))


@dataclass
class Night:
    """One night's folder, and the stages in it."""

    folder: Path
    number: int
    store: Store
    settings: Settings
    watch: Watch
    began: float = field(default_factory=time.monotonic)

    def run(self, journal: Journal, lessons: Lessons) -> NightReport:
        parent = self.store.current()
        draft = NightReport(
            self.number,
            "interrupted",
            "The night was asked to stop; run it again to go on.",
            parent,
            str(self.store.model_path(parent)),
            memories_found=lessons.found,
            memories_trained=len(lessons.memories),
        )
        kernel.set_threads(machine.threads(self.settings.night.threads))
        try:
            training, merged, verdict, generation = self._stages(journal, lessons, parent)
        except Interrupted:
            return self._finish(draft)
        passed = verdict.outcome == "passed"
        result = replace(
            draft,
            status="promoted" if passed else "rejected",
            reason=" ".join(verdict.reasons) or f"{len(lessons.memories)} memories rehearsed.",
            generation=generation,
            model=str(self.store.model_path(generation)),
            recall_before=verdict.before.recall,
            recall_after=verdict.after.recall,
            drift_mean=verdict.drift_mean,
            drift_median=verdict.drift_median,
            tokens=training.tokens,
            tokens_per_second=training.tokens / training.seconds if training.seconds else 0.0,
            codes_moved=merged.moved,
        )
        finished = self._finish(result)
        page = report.text(finished, lessons.memories, verdict, merged)
        write_atomically(self.folder / "report.txt", page.encode())
        return finished

    def _stages(self, journal: Journal, lessons: Lessons, parent: int) -> tuple[Training, Merge, Verdict, int]:
        settings, seed, base = self.settings, self.settings.night.seed, self.store.model_path(0)
        threads = machine.threads(settings.night.threads)
        base_hash = self.store.base_sha256()
        memories = self._stage("memories.json", [plain(lessons)], lambda path: dump(lessons, path))
        anchors = self._stage(
            f"../../cache/anchors-{digest([base_hash, settings.dream, seed])[:16]}.json",
            [base_hash, settings.dream, seed],
            lambda path: dump(self._dream_anchors(base, threads), path),
            name="dream: the base writes",
        )
        dreams = self._stage(
            "dreams.json",
            [file_digest(memories), settings.dream, seed, base_hash],
            lambda path: dump(self._dream(lessons.memories, base), path),
            name="dream: lessons",
        )
        inputs = [file_digest(dreams), file_digest(anchors), settings.train, settings.night, base_hash, parent]
        self._stage("adapter.safetensors", inputs, lambda path: self._train(path, dreams, anchors, digest(inputs)))
        adapter, training = self.folder / "adapter.safetensors", load(Training, self.folder / "training.json")
        merged = self._stage("merge.json", [file_digest(adapter), base_hash], lambda path: self._merge(path, base))
        judged = [merged.read_text(), settings.gate, file_digest(dreams), parent]
        verdict_path = self._stage(
            "verdict.json", judged, lambda path: dump(self._judge(base, parent, dreams, lessons.known), path)
        )
        verdict, moves = load(Verdict, verdict_path), load(Merge, merged)
        generation = self._publish(journal, lessons, parent, verdict) if verdict.outcome == "passed" else parent
        return training, moves, verdict, generation

    def _stage(self, file: str, inputs: Sequence[Any], make: Callable[[Path], Any], name: str = "") -> Path:
        """Run `make` unless its artefact is there for the same inputs; the artefact's path."""
        path = self.folder / file
        mark = path.with_name(f"{path.name}.inputs")
        wanted = digest(inputs)
        if path.exists() and mark.exists() and mark.read_text() == wanted:
            return path
        if self.watch.should_stop():
            raise Interrupted
        self.watch.stage(name or path.stem)
        mark.unlink(missing_ok=True)
        make(path)
        write_atomically(mark, wanted.encode())
        return path

    def _dream_anchors(self, base: Path, threads: int) -> tuple[Row, ...]:
        length = 2 * self.settings.dream.anchor_tokens + 64
        with Engine(base, threads=threads, context=length, sequences=16) as engine:
            return dream.anchors(engine, self.settings.dream, self.settings.night.seed)

    def _dream(self, memories: Sequence[Memory], base: Path) -> Dreams:
        with Engine(base, vocab_only=True) as engine:
            return dream.dream(memories, engine, self.settings.dream, self.settings.night.seed)

    def _train(self, path: Path, dreams: Path, anchors: Path, inputs: str) -> None:
        night = self.settings.night
        plan = train.Plan(
            lessons=load(Dreams, dreams).lessons,
            anchors=load(tuple[Row, ...], anchors),
            settings=self.settings.train,
            passes=night.passes,
            minutes=night.minutes,
            seed=night.seed,
        )
        network = Network(Gguf.open(self.store.model_path(0)), night.seed)
        adapter = self._inherited() or Adapter.fresh(
            network.shapes, self.settings.train.rank, self.settings.train.alpha, night.seed, self.store.base_sha256()
        )
        checkpoint = self.folder / f"checkpoint-{inputs[:16]}.safetensors"
        watch = train.Watch(self.watch.step, self.watch.should_stop)
        training = train.train(network, adapter, plan, checkpoint, machine.threads(night.threads), watch)
        if training.stopped == "asked":
            raise Interrupted
        dump(training, self.folder / "training.json")
        adapter.save(path)
        checkpoint.unlink(missing_ok=True)

    def _inherited(self) -> Adapter | None:
        """The cumulative adapter of the current generation; None on the base."""
        path = self.store.delta_path()
        return Adapter.load(path) if path else None

    def _merge(self, path: Path, base: Path) -> None:
        adapter = Adapter.load(self.folder / "adapter.safetensors")
        file = Gguf.open(base)
        result = merge.merge(file, adapter, self.folder / "candidate.gguf")
        merge.export(file, adapter, self.folder / "adapter.gguf", self.number)
        dump(result, path)

    def _judge(self, base: Path, parent: int, dreams: Path, known: frozenset[str]) -> Verdict:
        settings = self.settings
        exam = gate.Exam(
            load(Dreams, dreams).probes, gate.plain_text(), settings.gate, machine.threads(settings.night.threads)
        )
        return gate.judge(base, self.store.model_path(parent), self.folder / "candidate.gguf", exam, known)

    def _publish(self, journal: Journal, lessons: Lessons, parent: int, verdict: Verdict) -> int:
        """Hand the passed candidate to the store, once, then note what it learned."""
        right = {answer.probe_id for answer in verdict.after.answers if answer.right}
        probes = load(Dreams, self.folder / "dreams.json").probes
        learned = {probe.memory_id for probe in probes if probe.id in right}
        ids = tuple(memory.id for memory in lessons.memories)
        manifest = Generation(
            number=self.store.next_number(),
            parent=parent,
            night=self.number,
            created=now(),
            base_sha256=self.store.base_sha256(),
            model_sha256=verdict.sha256,
            delta_sha256=file_digest(self.folder / "adapter.safetensors"),
            seed=self.settings.night.seed,
            kernel=kernel.name(),
            version=__version__,
            memory_ids=ids,
            settings=plain(self.settings),
        )
        self.store.publish(
            self.folder / "candidate.gguf",
            self.folder / "adapter.safetensors",
            self.folder / "adapter.gguf",
            manifest,
            verdict,
        )
        journal.record_generation(manifest)
        journal.mark(learned, LEARNED, manifest.number)
        journal.mark(set(ids) - learned, WEAK, manifest.number)
        return manifest.number

    def _finish(self, result: NightReport) -> NightReport:
        result = replace(result, seconds=round(time.monotonic() - self.began, 1), peak_rss=machine.peak_rss())
        dump(result, self.folder / "night.json")
        return result


__all__ = ["EdgesleepError", "Interrupted", "Lessons", "Night", "Watch", "gather", "plan_night", "run_night"]
