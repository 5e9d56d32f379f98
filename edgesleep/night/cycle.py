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
from edgesleep.model import Shape
from edgesleep.network import build
from edgesleep.night import dream, gate, merge, report, train
from edgesleep.night.curate import curate
from edgesleep.records import (
    Baseline,
    Dreams,
    Generation,
    Memory,
    Merge,
    NightReport,
    PassScore,
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
from edgesleep.writer import WRITER, Writer

T = TypeVar("T")

NEW, LEARNED, WEAK, REPLACED = "new", "learned", "weak", "replaced"
LESSONS = "memories.json"
LOOK_BACK = 5000  # turns of before, out of which a message may be pasted
RESERVE = 1.3  # of the time that the parent's exam took, for the merge and the candidate's


@dataclass(frozen=True)
class Watch:
    """What the caller of a night hears and says: stages by name, training steps, looks between, whether to stop."""

    stage: Callable[[str], None] = lambda name: None
    step: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    passed: Callable[[PassScore], None] = lambda score: None


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
        number = journal.open_night()
        lessons = _left_over(home, number, journal) or gather(journal, force)
        if not lessons.memories:
            return _nothing(store)
        number = number or journal.begin_night()
        night = Night(_folder(home, number), number, store, settings, watch or Watch())
        dump(lessons, night.folder / LESSONS)
        result = night.run(journal, lessons)
        if result.status != "interrupted":
            journal.end_night(result)
            night.tidy()  # last: until it has ended, a night that was refused needs its files to go on
        return result


def plan_night(home: Path, settings: Settings, *, force: bool = False) -> NightReport:
    """What `run_night` would do now; nothing is written."""
    store = Store.open(home)
    with Journal.open(home) as journal:
        number = journal.open_night()
        lessons = _left_over(home, number, journal) or gather(journal, force, commit=False)
        if not lessons.memories:
            return _nothing(store)
        number = number or len(journal.nights()) + 1
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
    """Curate the turns since the last night into memories, and choose what to rehearse.

    What was said later replaces what was held on the same topic, learned or not.
    """
    since = journal.curated_through()
    recent = journal.turns(after=since - LOOK_BACK)
    turns, earlier = [t for t in recent if t.id > since], [t for t in recent if t.id <= since]
    through = turns[-1].id if turns else since
    turns = [turn for turn in turns if turn.id not in journal.edited()]
    held = {state: journal.memories(state) for state in (NEW, WEAK, LEARNED, REPLACED)}
    latest = {memory.relation: memory for state in (NEW, WEAK, LEARNED) for memory in held[state]}
    day, forgotten = curate(turns, list(latest.values()), earlier), journal.forgotten()
    told = [(memory, latest.get(memory.relation)) for memory in day.memories if memory.id not in forgotten]
    fresh = [_standing_for(memory, before) for memory, before in told if not _outdated(memory, before)]
    said = dict.fromkeys((m.relation for m in latest.values() if m.id in day.ended and not m.pinned), "")
    said |= {memory.relation: memory.id for memory in fresh}
    held = {state: _told_again(memories, fresh) for state, memories in held.items()}
    still = {state: [m for m in held[state] if said.get(m.relation, m.id) == m.id] for state in (NEW, WEAK, LEARNED)}
    again = [m for m in held[REPLACED] if said.get(m.relation) == m.id]
    if commit:
        # Marks first: a kill before the watermark moves only means that these turns are read again.
        for state, changed in ((REPLACED, [m for s in still for m in held[s] if m not in still[s]]), (NEW, again)):
            if changed:
                journal.mark([m.id for m in changed], state)
        journal.remember(fresh, through)
    there = {m.id for memories in held.values() for m in memories}
    new = [*still[NEW], *again, *(m for m in fresh if m.id not in there)]
    chosen = [*new, *still[WEAK], *still[LEARNED]] if new or still[WEAK] or force else []
    return Lessons(tuple(chosen), frozenset(m.id for m in still[LEARNED]), len(new), through)


def _outdated(memory: Memory, held: Memory | None) -> bool:
    """Whether something else holds: said later, as an old chat may be imported after a new one, or pinned."""
    return held is not None and held.id != memory.id and (held.pinned or memory.at < held.at)


def _standing_for(memory: Memory, held: Memory | None) -> Memory:
    """The memory, knowing the value that it stands in place of; told again, it goes on knowing that."""
    if held is None:
        return memory
    same = held.id == memory.id
    return replace(memory, instead_of=memory.instead_of or held.instead_of if same else held.value)


def _told_again(held: Sequence[Memory], fresh: Sequence[Memory]) -> list[Memory]:
    """Memories that the journal holds, as it will hold them after this night's were added."""
    again = {memory.id: memory for memory in fresh}
    return [
        replace(
            memory,
            turn_ids=tuple(sorted({*memory.turn_ids, *new.turn_ids})),
            at=max(memory.at, new.at),
            instead_of=new.instead_of,
        )
        if (new := again.get(memory.id))
        else memory
        for memory in held
    ]


def _folder(home: Path, number: int) -> Path:
    return home / "nights" / f"{number:04d}"


def _left_over(home: Path, number: int | None, journal: Journal) -> Lessons | None:
    """What an interrupted night was about: it is finished first, and newer turns wait for the next one.

    Nothing where its owner has since forgotten or edited one of its memories: that is not to be learned any more.
    """
    path = _folder(home, number) / LESSONS if number else None
    if path is None or not path.exists():
        return None
    try:
        lessons = load(Lessons, path)
    except EdgesleepError:
        return None  # of an older edgesleep: its turns are read again
    held = {memory_id for memory_id, (state, _) in journal.standing().items() if state != REPLACED}
    return lessons if held.issuperset(memory.id for memory in lessons.memories) else None


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

    @property
    def _seed(self) -> int:
        """Wordings and order differ from night to night, so that a refused night is not tried again as it was."""
        return self.settings.night.seed + self.number

    def run(self, journal: Journal, lessons: Lessons) -> NightReport:
        """All stages; the outcome, also written to night.json. An error leaves the night open, to be gone on with."""
        try:
            if not self._published(lessons):
                self._stages(lessons)
        except Interrupted:
            current = self.store.current()
            stopped = NightReport(
                self.number,
                "interrupted",
                "The night was asked to stop; the next run goes on from here.",
                current,
                str(self.store.model_path(current)),
                memories_found=lessons.found,
                memories_trained=len(lessons.memories),
            )
            return self._finish(stopped)
        verdict = load(Verdict, self.folder / "verdict.json")
        if verdict.outcome == "passed":
            self._publish(journal, lessons, verdict)
        result = self._finish(self._outcome(lessons, verdict))
        dreams, moves = load(Dreams, self.folder / "dreams.json"), load(Merge, self.folder / "merge.json")
        page = report.text(result, lessons.memories, dreams, verdict, moves)
        write_atomically(self.folder / "report.txt", page.encode())
        return result

    def _stages(self, lessons: Lessons) -> None:
        settings, seed = self.settings, self.settings.night.seed
        base, base_hash = self.store.model_path(0), self.store.base().sha256
        parent = self.store.current()
        self._demand_room(base)
        kernel.set_threads(machine.threads(settings.night.threads))
        own = [base_hash, settings.dream.anchors, settings.dream.anchor_tokens, seed, WRITER, __version__]
        anchors = self._stage(self._anchors(own), own, lambda path: dump(self._dream_anchors(base), path), "anchors")
        dreams = self._stage(
            "dreams.json",
            [lessons, base_hash, settings.dream, seed],
            lambda path: dump(self._dream(lessons, base), path),
        )
        # Before training, so that it knows how long the candidate's exam will take.
        asked = [file_digest(dreams), settings.gate, base_hash, parent]
        baseline = self._stage("baseline.json", asked, lambda path: dump(self._baseline(base, parent, dreams), path))
        # Minutes and threads are left out: a night that was stopped may go on with others.
        plan = [settings.train, settings.night.passes, seed]
        inputs = [file_digest(dreams), file_digest(anchors), *plan, base_hash, parent]
        adapter = self._stage(
            "adapter.safetensors",
            inputs,
            lambda path: self._train(path, parent, dreams, anchors, load(Baseline, baseline)),
            "train",
        )
        # Publishing takes these two away; a night that is rolled back before it has ended makes them again.
        if not all((self.folder / name).exists() for name in ("candidate.gguf", "adapter.gguf")):
            (self.folder / "merge.json").unlink(missing_ok=True)
        merged = self._stage("merge.json", [file_digest(adapter), base_hash], lambda path: self._merge(path, base))
        judged = [merged.read_text(), *asked]
        self._stage(
            "verdict.json",
            judged,
            lambda path: dump(self._judge(load(Baseline, baseline), dreams, lessons.known), path),
            "gate",
        )

    def _demand_room(self, base: Path) -> None:
        """The candidate, and of the adapter's size: itself, its export, and checkpoints (three each) old and new."""
        file = Gguf.open(base)
        sizes = (file.tensors[name].shape for name in Shape.read(file).names if name in file.tensors)
        adapter = 4 * self.settings.train.rank * sum(map(sum, sizes))
        wanted, free = base.stat().st_size + 8 * adapter, machine.free_disk(self.folder)
        if free < wanted:
            raise EdgesleepError(
                f"A night needs {wanted / 1e9:.1f} GB of disk in {self.folder.parent}, and {free / 1e9:.1f} are free.",
                "Free some space, or move the home with --home.",
            )

    def _published(self, lessons: Lessons) -> bool:
        """Whether this night's model is already current: it was killed between publishing and taking note.

        The number alone does not say: nights are counted from 1 again when the journal was deleted.
        """
        if (current := self.store.current()) == 0:
            return False
        made = self.store.generation(current)
        return made.night == self.number and made.memory_ids == tuple(memory.id for memory in lessons.memories)

    def _anchors(self, own: Sequence[Any]) -> str:
        """Anchors depend on the base alone, so all nights share them."""
        return f"../../cache/anchors-{digest(own)[:16]}.json"

    def _stage(self, file: str, inputs: Sequence[Any], make: Callable[[Path], Any], name: str | None = "") -> Path:
        """Run `make` unless its artefact is there for the same inputs; the artefact's path. Without a name unheard."""
        path = self.folder / file
        mark = path.with_name(f"{path.name}.inputs")
        wanted = digest(inputs)
        if path.exists() and mark.exists() and mark.read_text() == wanted:
            return path
        if self.watch.should_stop():
            raise Interrupted
        if name is not None:
            self.watch.stage(name or path.stem)
        mark.unlink(missing_ok=True)
        make(path)
        write_atomically(mark, wanted.encode())
        machine.give_back_memory()
        return path

    def _dream_anchors(self, base: Path) -> tuple[Row, ...]:
        with Engine(base, vocab_only=True) as engine:
            writer = Writer.of(base, engine.ends, self.settings.train.memory << 20)
            return dream.anchors(engine, writer, self.settings.dream, self.settings.night.seed)

    def _dream(self, lessons: Lessons, base: Path) -> Dreams:
        with Engine(base, vocab_only=True) as engine:
            return dream.dream(lessons.memories, engine, self.settings.dream, self._seed, lessons.known)

    def _baseline(self, base: Path, parent: int, dreams: Path) -> Baseline:
        return gate.baseline(base, self.store.model_path(parent), self._exam(dreams))

    def _train(self, path: Path, parent: int, dreams: Path, anchors: Path, baseline: Baseline) -> None:
        night, settings = self.settings.night, self.settings.train
        base, delta = self.store.base(), self.store.delta_path(parent)
        # The cumulative delta keeps the dither that it was trained with, whatever this night's seed is.
        adapter = Adapter.load(delta) if delta else None
        if adapter and (adapter.rank, adapter.alpha) != (settings.rank, settings.alpha):
            raise EdgesleepError(
                f"Generation {parent} was trained with train.rank {adapter.rank} and train.alpha {adapter.alpha:g}.",
                "Set them back in config.toml, or begin again from the base with `edgesleep rollback 0`.",
            )
        network = build(
            Gguf.open(Path(base.path)), adapter.seed if adapter else night.seed, settings.memory << 20, settings.exact
        )
        adapter = adapter or Adapter.fresh(network.shapes, settings.rank, settings.alpha, night.seed, base.sha256)
        own = [file_digest(dreams), file_digest(anchors), settings, night.passes, night.seed, base.sha256, parent]
        checkpoint = self.folder / f"checkpoint-{digest([*own, __version__])[:16]}.npz"
        left = 60 * night.minutes - (time.monotonic() - self.began) - RESERVE * baseline.seconds
        if left <= 0 and not checkpoint.exists():
            raise EdgesleepError(
                f"Of {night.minutes:g} minutes none are left to train in: the model's exams alone need "
                f"{(1 + RESERVE) * baseline.seconds / 60:.1f}.",
                "Give the night more with --minutes; what is done already is kept.",
            )
        plan = train.Plan(
            lessons=lambda number: load(Dreams, dreams).lessons,
            anchors=load(tuple[Row, ...], anchors),
            settings=settings,
            passes=night.passes,
            minutes=max(left / 60, 0.0),
            seed=self._seed,
        )

        def passed(count: int) -> bool:
            """Ask what the adapter would make of the model so far; whether that is enough."""
            self._stage(
                f"pass-{count}.json",
                [*own, count],
                lambda path: dump(self._after_pass(adapter, dreams, baseline, count), path),
                None,
            )
            scores = self._passes(count)
            self.watch.passed(scores[-1])
            return gate.enough(scores, self.settings.gate)

        watch = train.Watch(self.watch.step, self.watch.should_stop, passed)
        training = train.train(network, adapter, plan, checkpoint, watch)
        if training.stopped == "asked":
            raise Interrupted
        dump(training, self.folder / "training.json")
        adapter.save(path)

    def _after_pass(self, adapter: Adapter, dreams: Path, baseline: Baseline, count: int) -> PassScore:
        trial = self.folder / "trial.gguf"
        merge.merge(Gguf.open(self.store.model_path(0)), adapter, trial)
        found = gate.after_pass(baseline, trial, self._exam(dreams), count)
        trial.unlink()
        return found

    def _passes(self, count: int) -> list[PassScore]:
        """What was found after the first so many passes."""
        paths = [self.folder / f"pass-{number}.json" for number in range(1, count + 1)]
        return [load(PassScore, path) for path in paths if path.exists()]

    def _merge(self, path: Path, base: Path) -> None:
        adapter = Adapter.load(self.folder / "adapter.safetensors")
        file = Gguf.open(base)
        result = merge.merge(file, adapter, self.folder / "candidate.gguf")
        merge.export(file, adapter, self.folder / "adapter.gguf", self.number)
        dump(result, path)

    def _judge(self, baseline: Baseline, dreams: Path, known: frozenset[str]) -> Verdict:
        return gate.judge(baseline, self.folder / "candidate.gguf", self._exam(dreams), known)

    def _exam(self, dreams: Path) -> gate.Exam:
        return gate.Exam(
            load(Dreams, dreams).probes, gate.plain_text(), self.settings.gate, self.settings.night.threads
        )

    def _publish(self, journal: Journal, lessons: Lessons, verdict: Verdict) -> None:
        """Hand the passed candidate to the store, then note what it learned; each at most once."""
        if not self._published(lessons):
            self.store.publish(
                self.folder / "candidate.gguf",
                self.folder / "adapter.safetensors",
                self.folder / "adapter.gguf",
                self._manifest(lessons, verdict),
                verdict,
            )
        manifest = self.store.generation(self.store.current())
        learned = self._learned(verdict)
        journal.record_generation(manifest)
        journal.mark(learned, LEARNED, manifest.number)
        journal.mark(set(manifest.memory_ids) - learned, WEAK, manifest.number)

    def _learned(self, verdict: Verdict) -> set[str]:
        """Ids of the memories of which most held-out wordings were answered."""
        right = {answer.probe_id: answer.right for answer in verdict.after.answers}
        answers: dict[str, list[bool]] = {}
        for probe in load(Dreams, self.folder / "dreams.json").probes:
            answers.setdefault(probe.memory_id, []).append(right[probe.id])
        return {memory for memory, hits in answers.items() if 2 * sum(hits) > len(hits)}

    def _manifest(self, lessons: Lessons, verdict: Verdict) -> Generation:
        return Generation(
            number=self.store.next_number(),
            parent=self.store.current(),
            night=self.number,
            created=now(),
            base_sha256=self.store.base().sha256,
            model_sha256=verdict.sha256,
            delta_sha256=file_digest(self.folder / "adapter.safetensors"),
            seed=self.settings.night.seed,
            kernel=kernel.name(),
            version=__version__,
            memory_ids=tuple(memory.id for memory in lessons.memories),
            settings=plain(self.settings),
        )

    def _outcome(self, lessons: Lessons, verdict: Verdict) -> NightReport:
        training, moves = load(Training, self.folder / "training.json"), load(Merge, self.folder / "merge.json")
        current, before = self.store.current(), self._passes(training.passes - 1)
        return NightReport(
            self.number,
            "promoted" if verdict.outcome == "passed" else "rejected",
            " ".join(verdict.reasons) or f"{len(lessons.memories)} memories rehearsed.",
            current,
            str(self.store.model_path(current)),
            memories_found=lessons.found,
            memories_trained=len(lessons.memories),
            recall_before=verdict.before.recall,
            recall_after=verdict.after.recall,
            passes=(*before, PassScore(len(before) + 1, verdict.after.recall, verdict.after.two_hops, verdict.drift_mean)),
            drift_mean=verdict.drift_mean,
            drift_median=verdict.drift_median,
            tokens=training.tokens,
            tokens_per_second=training.tokens / training.seconds if training.seconds else 0.0,
            codes_moved=moves.moved,
        )

    def _finish(self, result: NightReport) -> NightReport:
        result = replace(result, seconds=round(time.monotonic() - self.began, 1), peak_rss=machine.peak_rss())
        dump(result, self.folder / "night.json")
        return result

    def tidy(self) -> None:
        """A finished night keeps its records; weights and checkpoints are the store's, or were refused."""
        for pattern in (".*.tmp", "checkpoint-*", "*.gguf", "adapter.safetensors"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
