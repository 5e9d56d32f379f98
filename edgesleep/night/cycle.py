"""The night: journal -> curate -> dream -> train -> merge -> gate -> store -> report.

Owns the order of the stages, the names of their artefacts and what is skipped.
Leaves each stage's work to its module. Invariants: a stage whose artefact
exists for the same inputs is not run again, so a killed night goes on where it
stopped; the current model changes in the store's publish step and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from edgesleep.network import Trainable, build
from edgesleep.night import dream, gate, merge, report, train
from edgesleep.night.agenda import AGENDA, LEARNED, NEW, WEAK, gather
from edgesleep.records import (
    Agenda,
    Baseline,
    Dreams,
    Generation,
    Merge,
    NightReport,
    PassScore,
    Proposer,
    Results,
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

ANCHOR_SETS = 8  # of which each night takes the next; they are written once
RESERVE = 1.3  # of the time that the parent's exam took, for the merge and the candidate's


@dataclass(frozen=True)
class Watch:
    """What the caller of a night hears and says: stages by name, training steps, looks between, whether to stop."""

    stage: Callable[[str], None] = lambda name: None
    step: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    passed: Callable[[PassScore], None] = lambda score: None


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
        proposer = _proposer(store, settings)
        agenda = _left_over(home, number, journal) or gather(journal, force, proposer=proposer)
        if not agenda.memories:
            return _nothing(store)
        number = number or journal.begin_night()
        night = Night(_folder(home, number), number, store, settings, watch or Watch())
        dump(agenda, night.folder / AGENDA)
        result = night.run(journal, agenda)
        if result.status != "interrupted":
            journal.end_night(result)
            night.tidy()  # last: until it has ended, a night that was refused needs its files to go on
        return result


def plan_night(home: Path, *, force: bool = False) -> NightReport:
    """What `run_night` would do now, but for what a large model would propose; nothing is written."""
    store = Store.open(home)
    with Journal.open(home) as journal:
        number = journal.open_night()
        agenda = _left_over(home, number, journal) or gather(journal, force, commit=False)
        if not agenda.memories:
            return _nothing(store)
        number = journal.coming_night()
    reason = f"{len(agenda.memories)} memories would be rehearsed, {agenda.found} of them new."
    return replace(
        _nothing(store),
        night=number,
        status="planned",
        reason=reason,
        memories_found=agenda.found,
        memories_trained=len(agenda.memories),
    )


def _folder(home: Path, number: int) -> Path:
    return home / "nights" / f"{number:04d}"


def _left_over(home: Path, number: int | None, journal: Journal) -> Agenda | None:
    """What an interrupted night was about: it is finished first, and newer turns wait for the next one.

    Nothing where its owner has since forgotten or edited one of its memories: that is not to be learned any more.
    """
    path = _folder(home, number) / AGENDA if number else None
    if path is None or not path.exists():
        return None
    try:
        agenda = load(Agenda, path)
    except EdgesleepError:
        return None  # of an older edgesleep: its turns are read again
    held = {memory.id: memory.told for state in (NEW, WEAK, LEARNED) for memory in journal.memories(state)}
    return agenda if all(held.get(memory.id) == memory.told for memory in agenda.memories) else None


def _proposer(store: Store, settings: Settings) -> Proposer | None:
    """The base, where it is large enough to propose memories and to teach itself."""
    base = store.model_path(0)
    billions = Gguf.open(base).parameters / 1e9
    if round(billions, 1) < settings.curate.proposes_from:
        return None
    return Proposer(str(base), billions, settings.night.threads, settings.curate.minutes)


def _nothing(store: Store) -> NightReport:
    number = store.current()
    return NightReport(0, "skipped", "There is nothing new to learn.", number, str(store.model_path(number)))


@dataclass(frozen=True)
class Ready:
    """What training needs: what the night is about, the first pass's lessons with the probes, anchors, baseline."""

    agenda: Agenda
    dreams: Path
    anchors: Path
    baseline: Baseline


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

    @property
    def _anchors_seed(self) -> int:
        """Night after night on the same texts, a model stays itself on those and drifts on all others (docs/LOG.md)."""
        return self.settings.night.seed + (self.number - 1) % ANCHOR_SETS

    @cached_property
    def _teaches(self) -> bool:
        return _proposer(self.store, self.settings) is not None

    def run(self, journal: Journal, agenda: Agenda) -> NightReport:
        """All stages; the outcome, also written to night.json. An error leaves the night open, to be gone on with."""
        try:
            if not self._published(agenda):
                self._stages(agenda)
        except Interrupted:
            current = self.store.current()
            stopped = NightReport(
                self.number,
                "interrupted",
                "The night was asked to stop; the next run goes on from here.",
                current,
                str(self.store.model_path(current)),
                memories_found=agenda.found,
                memories_trained=len(agenda.memories),
            )
            return self._finish(stopped)
        verdict = load(Verdict, self.folder / "verdict.json")
        if verdict.outcome == "passed":
            self._publish(journal, agenda, verdict)
        result = self._finish(self._outcome(agenda, verdict))
        dreams, moves = load(Dreams, self.folder / "dreams.json"), load(Merge, self.folder / "merge.json")
        page = report.text(result, agenda.memories, dreams, verdict, moves)
        write_atomically(self.folder / "report.txt", page.encode())
        return result

    def _stages(self, agenda: Agenda) -> None:
        settings, seed = self.settings, self.settings.night.seed
        base, base_hash = self.store.model_path(0), self.store.base().sha256
        parent = self.store.current()
        self._demand_room(base, parent)
        kernel.set_threads(machine.threads(settings.night.threads))
        own = [base_hash, settings.dream.anchors, settings.dream.anchor_tokens, self._anchors_seed, WRITER, __version__]
        anchors = self._stage(self._anchors(own), own, lambda path: dump(self._dream_anchors(base), path), "anchors")
        dreams = self._stage(
            "dreams.json",
            [agenda, base_hash, settings.dream, seed, self._teaches],
            lambda path: dump(self._dream(agenda, 0, {}), path),
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
            lambda path: self._train(path, parent, Ready(agenda, dreams, anchors, load(Baseline, baseline))),
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
            lambda path: dump(self._judge(load(Baseline, baseline), dreams, agenda.known), path),
            "gate",
        )

    def _demand_room(self, base: Path, parent: int) -> None:
        """The candidate, and of the adapter's size: itself, its export, and checkpoints (three each) old and new."""
        file = Gguf.open(base)
        sizes = (file.tensors[name].shape for name in Shape.read(file).names if name in file.tensors)
        adapter = 4 * self.settings.train.rank * sum(map(sum, sizes))
        self.store.demand_budget(base.stat().st_size + 2 * adapter, parent, self.settings.store.bytes)
        wanted, free = base.stat().st_size + 8 * adapter, machine.free_disk(self.folder)
        if free < wanted:
            raise EdgesleepError(
                f"A night needs {wanted / 1e9:.1f} GB of disk in {self.folder.parent}, and {free / 1e9:.1f} are free.",
                "Free some space, or move the home with --home.",
            )

    def _published(self, agenda: Agenda) -> bool:
        """Whether this night's model is already current: it was killed between publishing and taking note.

        The number alone does not say: nights are counted from 1 again when the journal was deleted.
        """
        if (current := self.store.current()) == 0:
            return False
        made = self.store.generation(current)
        return made.night == self.number and made.memory_ids == tuple(memory.id for memory in agenda.memories)

    def _anchors(self, own: Sequence[Any]) -> str:
        """Anchors depend on the base alone, so nights share them."""
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
            return dream.anchors(engine, writer, self.settings.dream, self._anchors_seed)

    def _dream(
        self, agenda: Agenda, number: int, losses: Mapping[str, float], score: PassScore | None = None
    ) -> Dreams:
        """Other wordings for every pass, and the same probes."""
        seed = 1000 * self._seed + number
        with Engine(self.store.model_path(0), vocab_only=True) as engine:
            return dream.dream(agenda, engine, self.settings.dream, seed, losses, score, teach=self._teaches)

    def _lessons(self, ready: Ready, number: int, losses: Mapping[str, float]) -> Sequence[Row]:
        """Those of a pass: other wordings in each. Those of the first came with the probes."""
        dreams = ready.dreams
        if number:
            score = next(reversed(self._passes(number)), None)
            inputs = [file_digest(dreams), number, losses, score]
            dreams = self._stage(
                f"dreams-{number + 1}.json",
                inputs,
                lambda path: dump(self._dream(ready.agenda, number, losses, score), path),
                None,
            )
        return load(Dreams, dreams).lessons

    def _baseline(self, base: Path, parent: int, dreams: Path) -> Baseline:
        return gate.baseline(base, self.store.model_path(parent), self._exam(dreams))

    def _train(self, path: Path, parent: int, ready: Ready) -> None:
        night, settings = self.settings.night, self.settings.train
        base = self.store.base()
        network, adapter = self._student(parent)
        sources = [file_digest(ready.dreams), file_digest(ready.anchors)]
        own = [*sources, settings, night.passes, night.seed, base.sha256, parent]
        checkpoint = self.folder / f"checkpoint-{digest([*own, __version__])[:16]}.npz"
        plan = train.Plan(
            lessons=lambda number, losses: self._lessons(ready, number, losses),
            anchors=load(tuple[Row, ...], ready.anchors),
            settings=settings,
            passes=night.passes,
            minutes=self._minutes_left(ready.baseline, checkpoint.exists()),
            seed=self._seed,
        )

        def passed(count: int) -> bool:
            """Ask what the adapter would make of the model so far; whether that is enough."""
            look = [*own, count]
            self._stage(
                f"pass-{count}.json", look, lambda path: dump(self._after_pass(adapter, ready, count), path), None
            )
            scores = self._passes(count)
            self.watch.passed(scores[-1])
            return gate.enough(scores, self.settings.gate)

        watch = train.Watch(self.watch.step, self.watch.should_stop, passed)
        training = train.train(network, adapter, plan, checkpoint, watch)
        if training.stopped == "asked":
            raise Interrupted
        dump(training, self.folder / "training.json")
        replace(adapter, peak=training.peak).save(path)

    def _student(self, parent: int) -> tuple[Trainable, Adapter]:
        """The network of the base, and the parent's cumulative adapter to train on, or a fresh one."""
        night, settings = self.settings.night, self.settings.train
        base, delta = self.store.base(), self.store.delta_path(parent)
        # The cumulative delta keeps the dither that it was trained with, whatever this night's seed is.
        adapter = Adapter.load(delta) if delta else None
        if adapter and (adapter.rank, adapter.alpha) != (settings.rank, settings.alpha):
            raise EdgesleepError(
                f"Generation {parent} was trained with train.rank {adapter.rank} and train.alpha {adapter.alpha:g}.",
                "Set them back in config.toml, or begin again from the base with `edgesleep rollback 0`.",
            )
        seed = adapter.seed if adapter else night.seed
        network = build(Gguf.open(Path(base.path)), seed, settings.memory << 20, settings.exact)
        return network, adapter or Adapter.fresh(network.shapes, settings.rank, settings.alpha, seed, base.sha256)

    def _minutes_left(self, baseline: Baseline, begun: bool) -> float:
        """For training, so that merge and exam fit in as well. Raises EdgesleepError where it cannot even begin."""
        minutes = self.settings.night.minutes
        left = 60 * minutes - (time.monotonic() - self.began) - RESERVE * baseline.seconds
        if left <= 0 and not begun:
            raise EdgesleepError(
                f"Of {minutes:g} minutes none are left to train in: the model's exams alone need "
                f"{(1 + RESERVE) * baseline.seconds / 60:.1f}.",
                "Give the night more with --minutes; what is done already is kept.",
            )
        return max(left / 60, 0.0)

    def _after_pass(self, adapter: Adapter, ready: Ready, count: int) -> PassScore:
        trial = self.folder / "trial.gguf"
        merge.merge(Gguf.open(self.store.model_path(0)), adapter, trial)
        found = gate.after_pass(ready.baseline, trial, self._exam(ready.dreams), count)
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

    def _publish(self, journal: Journal, agenda: Agenda, verdict: Verdict) -> None:
        """Hand the passed candidate to the store, then note what it learned; each at most once."""
        if not self._published(agenda):
            self.store.publish(
                self.folder / "candidate.gguf",
                self.folder / "adapter.safetensors",
                self.folder / "adapter.gguf",
                self._manifest(agenda, verdict),
                verdict,
                self.settings.store.bytes,
            )
        manifest = self.store.generation(self.store.current())
        learned = self._learned(verdict)
        journal.record_generation(manifest)
        journal.mark(learned, LEARNED, manifest.number, self.number)
        journal.mark(set(manifest.memory_ids) - learned, WEAK, manifest.number, self.number)

    def _learned(self, verdict: Verdict) -> set[str]:
        """Ids of the memories of which most held-out wordings were answered."""
        right = {answer.probe_id: answer.right for answer in verdict.after.answers}
        answers: dict[str, list[bool]] = {}
        for probe in filter(lambda probe: probe.hops, load(Dreams, self.folder / "dreams.json").probes):
            answers.setdefault(probe.memory_id, []).append(right[probe.id])
        return {memory for memory, hits in answers.items() if 2 * sum(hits) > len(hits)}

    def _manifest(self, agenda: Agenda, verdict: Verdict) -> Generation:
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
            memory_ids=tuple(memory.id for memory in agenda.memories),
            settings=plain(self.settings),
            adapter_sha256=file_digest(self.folder / "adapter.gguf"),
            memory_sha256={memory.id: memory.sha256 for memory in agenda.memories},
            results=self._results(verdict),
        )

    def _results(self, verdict: Verdict) -> Results:
        after = verdict.after
        return Results(
            after.recall,
            after.two_hops,
            after.abstained,
            verdict.drift_mean,
            verdict.drift_median,
            right={answer.probe_id: answer.right for answer in after.answers},
            learned=tuple(sorted(self._learned(verdict))),
        )

    def _outcome(self, agenda: Agenda, verdict: Verdict) -> NightReport:
        training, moves = load(Training, self.folder / "training.json"), load(Merge, self.folder / "merge.json")
        current, before, after = self.store.current(), self._passes(training.passes - 1), verdict.after
        last = PassScore(len(before) + 1, after.recall, after.two_hops, after.abstained, verdict.drift_mean)
        return NightReport(
            self.number,
            "promoted" if verdict.outcome == "passed" else "rejected",
            " ".join(verdict.reasons) or f"{len(agenda.memories)} memories rehearsed.",
            current,
            str(self.store.model_path(current)),
            memories_found=agenda.found,
            memories_trained=len(agenda.memories),
            recall_before=verdict.before.recall,
            recall_after=verdict.after.recall,
            passes=(*before, last),
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
