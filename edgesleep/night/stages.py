"""The stages of one night, in its folder.

Owns their order, the names and inputs of their artefacts, and the night's time.
Leaves each stage's work to its module, what is skipped to `artefacts`, and when
there is a night to `cycle`. Must stay true: a killed night goes on where it
stopped; the current model changes in the store's publish step and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesleep import __version__, kernel, machine, morning
from edgesleep.account import NIGHT, Account, NightRecord, Rival
from edgesleep.adapter import Adapter
from edgesleep.config import Settings
from edgesleep.engine import VERSION, Engine
from edgesleep.errors import EdgesleepError
from edgesleep.files import remove, write_atomically
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.model import Shape
from edgesleep.network import Trainable, build
from edgesleep.night import beside, dream, gate, merge, report, standing, steps, train
from edgesleep.night.agenda import LEARNED, WEAK, waiting
from edgesleep.night.artefacts import Artefacts, Interrupted, folder_of, shared
from edgesleep.night.spent import EVERY, Meter
from edgesleep.night.steps import Step
from edgesleep.records import (
    Agenda,
    Baseline,
    Dreams,
    Generation,
    Merge,
    NightReport,
    PassScore,
    Results,
    Row,
    Score,
    StepReport,
    Training,
    Verdict,
    digest,
    dump,
    file_digest,
    load,
    now,
    plain,
)
from edgesleep.store import Store
from edgesleep.writer import WRITER, Writer

ANCHOR_SETS = 8  # of which each night takes the next; they are written once
RESERVE = 1.3  # of the time that the parent's exam took, for the merge and the candidate's


@dataclass(frozen=True)
class Watch:
    """What the caller of a night hears and says: stages by name, training steps, looks between, whether to stop."""

    stage: Callable[[str], None] = lambda name: None
    step: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    passed: Callable[[PassScore], None] = lambda score: None


@dataclass(frozen=True)
class Ready:
    """What to train and judge with: the agenda, the first pass's lessons with the probes, anchors, baseline."""

    agenda: Agenda
    dreams: Path
    anchors: Path
    baseline: Baseline


@dataclass
class Night:
    """One night's folder, and the stages in it. `teaches`: the base is large enough to write lessons itself."""

    folder: Path
    number: int
    store: Store
    settings: Settings
    watch: Watch
    teaches: bool = False
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.folder)

    @cached_property
    def artefacts(self) -> Artefacts:
        return Artefacts(self.folder, self._stage, self.watch.should_stop)

    def _stage(self, name: str) -> None:
        self.meter.note()
        self.watch.stage(name)

    def _step(self, report: StepReport) -> None:
        self.meter.note(EVERY)
        self.watch.step(report)

    @property
    def _seed(self) -> int:
        """Wordings and order differ from night to night, so that a refused night is not tried again as it was."""
        return self.settings.night.seed + self.number

    @property
    def _anchors_seed(self) -> int:
        """Night after night on the same texts, a model stays itself on those and drifts on all others (docs/LOG.md)."""
        return self.settings.night.seed + (self.number - 1) % ANCHOR_SETS

    def run(self, journal: Journal, agenda: Agenda) -> NightReport:
        """All stages; the outcome, also written to night.json. An error leaves the night open, to be gone on with."""
        try:
            if not self.has_published(agenda):
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
        step, verdict = steps.outcome(self.folder)
        if verdict.outcome == "passed":
            self._publish(journal, agenda, step, verdict)
        return self._finish(self._outcome(agenda, step, verdict), self._account(agenda, step, verdict))

    def _stages(self, agenda: Agenda) -> None:
        settings, seed = self.settings, self.settings.night.seed
        base, base_hash = self.store.model_path(0), self.store.base().sha256
        parent = self.store.current()
        self._demand_room(base, parent)
        kernel.set_threads(machine.threads(settings.night.threads))
        make = self.artefacts.make
        own = [base_hash, settings.dream.anchors, settings.dream.anchor_tokens, self._anchors_seed, WRITER, __version__]
        anchors = make(shared("anchors", own), own, lambda path: dump(self._dream_anchors(base), path), "anchors")
        dreams = make(
            "dreams.json",
            [agenda, base_hash, settings.dream, seed, self.teaches],
            lambda path: dump(self._dream(agenda, 0, {}), path),
        )
        # Before training, so that it knows how long the candidate's exam will take.
        texts, versions = [gate.plain_text(), standing.bundled()], [VERSION, __version__]
        asked = [file_digest(dreams), settings.gate, base_hash, parent, agenda.known, *texts, *versions]
        baseline = make("baseline.json", asked, lambda path: dump(self._baseline(parent, dreams), path))
        ready = Ready(agenda, dreams, anchors, load(Baseline, baseline))
        # Minutes and threads are left out: a night that was stopped may go on with others.
        plan = [settings.train, settings.night.passes, seed]
        inputs = [file_digest(dreams), file_digest(anchors), *plan, base_hash, parent]
        adapter = make("adapter.safetensors", inputs, lambda path: self._train(path, parent, ready), "train")

        def judged(step: Step) -> Verdict:
            if step.shortened:
                self._shorten(step, adapter, parent)
            return self._try(step, base_hash, asked, ready)

        steps.attempt(
            self.folder, settings.gate.smaller_steps, judged, lambda: self._seconds_left() > self._exam_takes(ready)
        )

    def _shorten(self, step: Step, adapter: Path, parent: int) -> None:
        """Only a share of what the night changed, counted from the parent's delta."""
        delta = self.store.delta_path(parent)

        def work(path: Path) -> None:
            start = Adapter.load(delta) if delta else None
            Adapter.load(adapter).part(start, step.share).save(path)

        self.artefacts.make(step.adapter.name, [file_digest(adapter), parent, step.share], work, None)

    def _try(self, step: Step, base_hash: str, asked: Sequence[Any], ready: Ready) -> Verdict:
        """Merge so much of the night's change, and judge the file. What was refused is neither kept nor made again."""
        made, make, files = self.artefacts.made, self.artefacts.make, (step.candidate, step.export)
        merging = [file_digest(step.adapter), base_hash]
        judged = [step.merged.read_text(), *asked] if made(step.merged.name, merging) else []
        if not made(step.verdict.name, judged) or load(Verdict, step.verdict).outcome == "passed":
            # Publishing takes these two away; a night that is rolled back before it has ended makes them again.
            if not all(path.exists() for path in files):
                remove(step.merged)
            make(step.merged.name, merging, lambda path: self._merge(step, path), "merge")
            judged = [step.merged.read_text(), *asked]
            make(step.verdict.name, judged, lambda path: dump(self._judge(step, ready), path), "gate")
        verdict = load(Verdict, step.verdict)
        if verdict.outcome != "passed":
            for path in files:
                path.unlink(missing_ok=True)
        return verdict

    def _demand_room(self, base: Path, parent: int) -> None:
        """The candidate, and of the adapter's size: itself, its export, smaller steps, two checkpoints (three each)."""
        file = Gguf.open(base)
        sizes = (file.tensors[name].shape for name in Shape.read(file).names if name in file.tensors)
        adapter = 4 * self.settings.train.rank * sum(map(sum, sizes))
        self.store.demand_budget(base.stat().st_size + 2 * adapter, parent, self.settings.store.bytes)
        adapters = 8 + self.settings.gate.smaller_steps
        wanted, free = base.stat().st_size + adapters * adapter, machine.free_disk(self.folder)
        if free < wanted:
            raise EdgesleepError(
                f"A night needs {wanted / 1e9:.1f} GB of disk in {self.folder.parent}, and {free / 1e9:.1f} are free.",
                "Free some space, or move the home with --home.",
            )

    def has_published(self, agenda: Agenda) -> bool:
        """Whether this night's model is already current: it was killed between publishing and taking note.

        The number alone does not say: nights are counted from 1 again when the journal was deleted. And without the
        verdict on that very model, as when the folder was taken away, there is nothing to end the night with.
        """
        if (current := self.store.current()) == 0:
            return False
        made, memories = self.store.generation(current), tuple(memory.id for memory in agenda.memories)
        same = (made.night, made.memory_ids) == (self.number, memories)
        return same and steps.passed(self.folder, made.model_sha256) is not None

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
            return dream.dream(agenda, engine, self.settings.dream, seed, losses, score, teach=self.teaches)

    def _lessons(self, ready: Ready, number: int, losses: Mapping[str, float]) -> Sequence[Row]:
        """Those of a pass: other wordings in each. Those of the first came with the probes."""
        dreams = ready.dreams
        if number:
            score = next(reversed(self._passes(number)), None)
            inputs = [file_digest(dreams), number, losses, score]
            dreams = self.artefacts.make(
                f"dreams-{number + 1}.json",
                inputs,
                lambda path: dump(self._dream(ready.agenda, number, losses, score), path),
                None,
            )
        return load(Dreams, dreams).lessons

    def _baseline(self, parent: int, dreams: Path) -> Baseline:
        """Of what no night is to change, the parent is not asked again what it said when it was judged itself."""
        exam = self._exam(dreams)
        base = self._lasting(exam.lasting)
        known = self._known(parent, exam) if parent else gate.Known(base)
        return gate.baseline(self.store.model_path(parent), exam, base, known)

    def _lasting(self, exam: gate.Exam) -> Score:
        """The base's own answers to what no night is to change: asked once, and for how long that takes, by threads."""
        own = [*self._asked(exam), self.settings.night.threads]

        def work(path: Path) -> None:
            dump(gate.score(self.store.model_path(0), exam), path)

        return load(Score, self.artefacts.make(shared("standing", own), own, work, None))

    def _asked(self, exam: gate.Exam) -> list[Any]:
        """What the answers to the lasting part of the exam depend on, but for the file."""
        lasting, lengths = exam.lasting, (exam.settings.answer_tokens, exam.settings.turn_tokens)
        return [self.store.base().sha256, lasting.text, lasting.standing, *lengths, VERSION, __version__]

    def _known(self, number: int, exam: gate.Exam) -> gate.Known | None:
        """From the verdict on a generation's very bytes, if its night is still there, whole, and asked the same."""
        made = self.store.generation(number)
        with suppress(EdgesleepError):
            verdict = steps.passed(folder_of(self.store.home, made.night), made.model_sha256)
            if verdict and verdict.lasting == digest(self._asked(exam)):
                return gate.Known(verdict.after, (verdict.drift_mean, verdict.drift_median))
        return None

    def _train(self, path: Path, parent: int, ready: Ready) -> None:
        night, settings = self.settings.night, self.settings.train
        kernel.device()  # a wrong name is told before anything is computed
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
            minutes=self._minutes_to_train(ready, checkpoint.exists()),
            seed=self._seed,
        )

        def passed(count: int) -> bool:
            """Ask what the adapter would make of the model so far; whether that is enough."""
            if self.watch.should_stop():  # before what takes as long as an exam
                raise Interrupted
            look = [*own, count]
            self.artefacts.make(
                f"pass-{count}.json", look, lambda path: dump(self._after_pass(adapter, ready, count), path), None
            )
            scores = self._passes(count)
            self.watch.passed(scores[-1])
            return gate.enough(scores, self.settings.gate)

        watch = train.Watch(self._step, self.watch.should_stop, passed)
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

    def _seconds_left(self) -> float:
        return 60 * self.settings.night.minutes - self.meter.run

    def _exam_takes(self, ready: Ready) -> float:
        """Seconds, for the merge as well."""
        return RESERVE * ready.baseline.parent.seconds

    def _minutes_to_train(self, ready: Ready, begun: bool) -> float:
        """So that the exam fits in as well, and one of a smaller step: for want of it a whole night's work may be lost.

        The second only where it leaves training most of the time. Raises EdgesleepError where none is left for that.
        """
        exam = self._exam_takes(ready)
        left = self._seconds_left() - exam
        if self.settings.gate.smaller_steps and exam < left / 2:
            left -= exam
        if left <= 0 and not begun:
            raise EdgesleepError(
                f"Of {self.settings.night.minutes:g} minutes none are left to train in: the model's exams alone need "
                f"{(ready.baseline.parent.seconds + exam) / 60:.1f}.",
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

    def _merge(self, step: Step, path: Path) -> None:
        adapter, file = Adapter.load(step.adapter), Gguf.open(self.store.model_path(0))
        result = merge.merge(file, adapter, step.candidate)
        merge.export(file, adapter, step.export, self.number)
        dump(result, path)

    def _judge(self, step: Step, ready: Ready) -> Verdict:
        known = ready.agenda.known
        new = frozenset(memory.id for memory in ready.agenda.memories) - known
        topics = gate.Topics(known, new, self._owned(self.store.current()))
        exam = self._exam(ready.dreams)
        verdict = gate.judge(ready.baseline, step.candidate, exam, topics)
        return replace(verdict, lasting=digest(self._asked(exam)))

    def _owned(self, number: int) -> float:
        """The best share of what was never told that a generation on the way to this one owned up to."""
        return max(((made.results and made.results.abstained) or 0.0 for made in self._line(number)), default=0.0)

    def _line(self, number: int) -> Iterator[Generation]:
        """A generation and those that it goes on from, back to the first."""
        made = {generation.number: generation for generation in self.store.generations()}
        while number in made:
            yield made[number]
            number = made[number].parent

    def _exam(self, dreams: Path) -> gate.Exam:
        probes, settings = load(Dreams, dreams).probes, self.settings
        return gate.Exam(probes, gate.plain_text(), settings.gate, settings.night.threads, standing.bundled())

    def _publish(self, journal: Journal, agenda: Agenda, step: Step, verdict: Verdict) -> None:
        """Hand the passed candidate to the store, then note what it learned; each at most once."""
        if not self.has_published(agenda):
            manifest, disk = self._manifest(agenda, step, verdict), self.settings.store.bytes
            self.store.publish(step.candidate, step.adapter, step.export, manifest, verdict, disk)
        manifest = self.store.generation(self.store.current())
        learned = set(self._results(verdict).learned)
        journal.record_generation(manifest)
        journal.mark(learned, LEARNED, manifest.number, self.number)
        journal.mark(set(manifest.memory_ids) - learned, WEAK, manifest.number, self.number)

    def _results(self, verdict: Verdict) -> Results:
        return gate.results(verdict, load(Dreams, self.folder / "dreams.json").probes)

    def _manifest(self, agenda: Agenda, step: Step, verdict: Verdict) -> Generation:
        return Generation(
            number=self.store.next_number(),
            parent=self.store.current(),
            night=self.number,
            created=now(),
            base_sha256=self.store.base().sha256,
            model_sha256=verdict.sha256,
            delta_sha256=file_digest(step.adapter),
            seed=self.settings.night.seed,
            kernel=kernel.name(),
            version=__version__,
            memory_ids=tuple(memory.id for memory in agenda.memories),
            settings=plain(self.settings),
            adapter_sha256=file_digest(step.export),
            memory_sha256={memory.id: memory.sha256 for memory in agenda.memories},
            results=self._results(verdict),
        )

    def _outcome(self, agenda: Agenda, step: Step, verdict: Verdict) -> NightReport:
        training, moves = load(Training, self.folder / "training.json"), load(Merge, step.merged)
        current, before, after = self.store.current(), self._passes(training.passes - 1), verdict.after
        last = PassScore(len(before) + 1, after.recall, after.two_hops, after.abstained, verdict.drift_mean)
        return NightReport(
            self.number,
            "promoted" if verdict.outcome == "passed" else "rejected",
            steps.reason(self.folder, self.settings.gate.smaller_steps, len(agenda.memories)) + waiting(agenda),
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
            share=step.share if verdict.outcome == "passed" else 0.0,
            regressed=verdict.regressed,
        )

    def _account(self, agenda: Agenda, step: Step, verdict: Verdict) -> Account:
        dreams, moves = load(Dreams, self.folder / "dreams.json"), load(Merge, step.merged)
        line = [*self._line(self.store.current())]
        found = report.Evidence(agenda, dreams, steps.judged(self.folder), verdict, moves, line)
        told = report.account(self.number, self.meter.spent().began, self.store.base().spec, found)
        return replace(told, drift_budget=self.settings.gate.drift_budget, watts=self.settings.report.watts)

    def compare(self, agenda: Agenda) -> None:
        """Add to the report of a night that has ended what the base makes of the memories in its prompt.

        Only where that is asked for, and the night has time left. What goes wrong is told in the report: the night is
        published already, or was refused, and loses nothing by it.
        """
        if not self.settings.report.beside or self._seconds_left() <= 0 or self.watch.should_stop():
            return
        self.watch.stage("beside")
        record = load(NightRecord, self.folder / NIGHT)
        if record.account is None:
            return
        try:
            told = replace(record.account, rivals=self._rivals(agenda))
        except Exception as error:
            told = replace(record.account, rivals_failed=str(error) or type(error).__name__)
        self._write(replace(record, account=told))

    def _rivals(self, agenda: Agenda) -> tuple[Rival, ...]:
        probes, (_, verdict) = load(Dreams, self.folder / "dreams.json").probes, steps.outcome(self.folder)
        after = {answer.probe_id: answer.right for answer in verdict.after.answers}
        limit = self.settings.gate.answer_tokens
        return beside.beside(self.store.model_path(0), agenda.memories, probes, after, limit)

    def _finish(self, result: NightReport, account: Account | None = None) -> NightReport:
        """Write down how it ended; the figures alone are what is handed on."""
        self.meter.note()
        spent = self.meter.spent()
        result = replace(result, seconds=spent.seconds, peak_rss=spent.peak_rss)
        self._write(NightRecord.of(result, account))
        return result

    def _write(self, record: NightRecord) -> None:
        dump(record, self.folder / NIGHT)
        if record.account:
            write_atomically(self.folder / "report.txt", morning.text(record).encode())
