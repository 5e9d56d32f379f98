"""What a model knows after its days: nothing, the whole day or retrieved turns in context, against nights of sleep.

    python bench/learn.py [--data DIR] [--sets hand lme-user lme-update memorybank locomo tofu ability]
                          [--arms nothing whole evidence bm25 embedding night] [--nights 1] [--seeds 0] [--json PATH]

DIR (or EDGESLEEP_DATA) is where the development data lies; the hand-written days need none. After each of the first
--nights days of an exam every arm is asked all that was told so far. Prints one line for each exam, arm and seed, the
recall of every day after every night where there are several, and with the set `ability` what the last served file
lost. Recall, and whatever is made of it, is of plain questions; the column `oblique` is of those that take inference
(exams.py says why); `met` counts wordings that a night trained on, which are left out of both. --curate-only asks no
model: it counts which facts today's curation finds. --only narrows the exams by name.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ability
from arms import ARMS, Asking, Reply, in_context, nights_of
from exams import SETS, Exam
from finds import Finds, finds
from keep import commit
from results import Summary, pooled, summary
from retrieve import Missing

from edgesleep import catalog, config, kernel, machine
from edgesleep.errors import EdgesleepError
from edgesleep.night.stages import Watch
from edgesleep.records import NightReport, StepReport, dump

ABILITY = "ability"


@dataclass(frozen=True)
class Run:
    """One arm on one exam. `skipped` says why there is nothing else; only nights have a seed and reports."""

    exam: str
    arm: str
    seed: int | None
    seconds: float = 0.0
    summary: Summary | None = None
    reports: tuple[NightReport, ...] = ()
    ability: tuple[ability.Change, ...] = ()
    replies: tuple[Reply, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class Paper:
    """All that goes into --json."""

    command: str
    commit: str
    machine: dict[str, str | int]
    kernel: str
    model: str
    asking: Asking
    runs: tuple[Run, ...] = ()
    finds: tuple[Finds, ...] = ()


def main() -> None:
    options = parse()
    try:
        exams = [exam.first(options.nights) for exam in chosen(options)]
        paper = Paper(shlex.join(sys.argv), commit(), machine.describe(), kernel.name(), options.model, asking(options))
        print(f"{paper.machine}, kernel {paper.kernel}, commit {paper.commit}")
        if options.curate_only:
            found = tuple(map(finds, exams))
            show_finds(found)
            write(options.json, paper, finds=found)
        else:
            evaluate(options, exams, paper)
    except EdgesleepError as error:
        sys.exit(f"Error: {error}\nTry: {error.hint}")


def parse() -> argparse.Namespace:
    night = config.NightSettings()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGESLEEP_DATA"))
    parser.add_argument("--sets", nargs="+", choices=[*SETS, ABILITY], default=["hand"])
    parser.add_argument("--only", nargs="+", default=[], help="names of exams, of all that the sets have")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--nights", type=int, default=1, help="days of each exam that are told, a night after each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[night.seed])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--minutes", type=float, default=night.minutes, help="length of a night")
    parser.add_argument("--exact", action="store_true", help="train with products in 32 bits (train.exact)")
    parser.add_argument("--threads", type=int, default=0, help="0: all fast cores")
    parser.add_argument("--window", type=int, default=Asking().window, help="tokens of a prompt and its answer")
    parser.add_argument("--items", type=int, default=0, help="of each task of the set ability; 0: all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--curate-only", action="store_true", help="only count the facts that curation finds")
    return parser.parse_args()


def asking(options: argparse.Namespace) -> Asking:
    return Asking(threads=options.threads, window=options.window)


def chosen(options: argparse.Namespace) -> list[Exam]:
    """The exams of the sets that were asked for. Raises EdgesleepError where their data is not there."""
    wanted = [name for name in options.sets if name != "hand"]
    if wanted and (options.data is None or not Path(options.data).is_dir()):
        raise EdgesleepError(f"The data for {', '.join(wanted)} is not there.", "Name its folder with --data.")
    exams = [exam for name in options.sets if name in SETS for exam in SETS[name](options.data or Path())]
    if unknown := {*options.only} - {exam.name for exam in exams}:
        names = ", ".join(exam.name for exam in exams)
        raise EdgesleepError(f"There is no exam {', '.join(sorted(unknown))}.", f"There are {names}.")
    return [exam for exam in exams if not options.only or exam.name in options.only]


# -- running -----------------------------------------------------------------------------------------------------------


def evaluate(options: argparse.Namespace, exams: list[Exam], paper: Paper) -> None:
    """Every arm on every exam; a line as soon as it is known, and what there is so far in --json."""
    base = catalog.resolve(options.model, say)
    before = None
    if ABILITY in options.sets:
        before = ability.measure(base, options.data, options.items, options.threads)
        show_base(before)
    runs: list[Run] = []
    if exams:
        print(HEADER)
    for exam in exams:
        for run in each_arm(options, exam, base, before):
            show(run)
            runs.append(run)
            write(options.json, paper, runs=tuple(runs))
    if len(exams) > 1:
        show_totals(runs)


def each_arm(options: argparse.Namespace, exam: Exam, base: Path, before: ability.Ability | None) -> Iterator[Run]:
    for arm in options.arms:
        if arm == "night":
            for seed in options.seeds:
                yield sleeping(options, exam, base, seed, before)
            continue
        say(f"{exam.name}: {arm}")
        began = time.monotonic()
        try:
            replies = in_context(arm, base, exam, asking(options))
        except Missing as error:
            yield Run(exam.name, arm, None, skipped=str(error))
            continue
        yield Run(exam.name, arm, None, time.monotonic() - began, summary(replies), replies=tuple(replies))


def sleeping(
    options: argparse.Namespace,
    exam: Exam,
    base: Path,
    seed: int,
    before: ability.Ability | None,
) -> Run:
    """All nights of an exam with one seed."""
    settings = night_settings(options, seed)
    began = time.monotonic()
    watch = Watch(lambda name: say(f"  {name}, after {time.monotonic() - began:.0f} s"), told)
    replies: list[Reply] = []
    reports: list[NightReport] = []
    lost: tuple[ability.Change, ...] = ()
    for slept in nights_of(base, options.model, exam, settings, asking(options), watch):
        say(f"{exam.name}: night {slept.night + 1}, seed {seed}: {slept.report.status}. {slept.report.reason}")
        replies += slept.replies
        reports.append(slept.report)
        if before is not None and slept.night == len(exam.days) - 1:
            after = ability.measure(slept.model, options.data, options.items, options.threads)
            lost = tuple(ability.compare(before, after))
    seconds = time.monotonic() - began
    return Run(exam.name, "night", seed, seconds, summary(replies), tuple(reports), lost, tuple(replies))


def night_settings(options: argparse.Namespace, seed: int) -> config.Settings:
    plain = config.Settings()
    night = replace(plain.night, seed=seed, minutes=options.minutes, threads=options.threads)
    return replace(plain, night=night, train=replace(plain.train, exact=options.exact))


def told(step: StepReport) -> None:
    if step.step % 10 == 0:
        say(f"    {step.step}: loss {step.loss:.3f}, drift {step.drift:.4f}")


def write(path: Path | None, paper: Paper, **parts: Any) -> None:
    if path is not None:
        dump(replace(paper, **parts), path)


# -- showing -----------------------------------------------------------------------------------------------------------

HEADER = (
    f"{'exam':22}{'arm':11}{'seed':>5}{'asked':>7}{'met':>5}{'recall':>8}{'oblique':>9}{'new':>7}{'stale':>7}"
    f"{'abstain':>9}{'foreign':>9}{'back':>7}{'seconds':>9}"
)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def show(run: Run) -> None:
    """One line after the last night; then the days apart, and what was lost."""
    if run.summary is None:
        print(f"{run.exam:22}{run.arm:11}  skipped: {run.skipped}", flush=True)
        return
    found = run.summary
    print(line(run.exam, run.arm, run.seed, found, run.seconds), flush=True)
    if len(found.matrix) > 1:
        for night, row in enumerate(found.matrix, start=1):
            print(f"    after night {night}:{''.join(number(value, 7) for value in row)}", flush=True)
    for report in run.reports:
        print(
            f"    night {report.night}: {report.status}, {report.memories_found} new memories, {report.seconds:.0f} s"
        )
        for name, shares in passes(report):
            print(f"      {name:30}{''.join(number(share, 6) for share in shares)}")
    for change in run.ability:
        went = f"{change.name:12}{change.before:9.3f} -> {change.after:.3f}: {change.change:+.3f} +- {change.error:.3f}"
        print(f"    {went}, median {change.middle:+.3f}, gold {change.gold:+.4f} nats a byte")


def passes(report: NightReport) -> Iterator[tuple[str, list[float | None]]]:
    """The gate's own wordings after each pass, of one memory and of two, and the rise of the loss on bundled text."""
    yield "recall after each pass", [score.recall for score in report.passes]
    yield "of what takes two memories", [score.two_hops for score in report.passes]
    yield "of what was never told", [score.abstained for score in report.passes]
    yield "loss on bundled text", [score.drift for score in report.passes]


def show_totals(runs: list[Run]) -> None:
    """All exams of this call together, arm by arm and seed by seed."""
    for arm, seed in dict.fromkeys((run.arm, run.seed) for run in runs if run.summary):
        those = [run for run in runs if (run.arm, run.seed) == (arm, seed)]
        print(line("all of these", arm, seed, pooled(run.replies for run in those), sum(run.seconds for run in those)))


def line(exam: str, arm: str, seed: int | None, found: Summary, seconds: float) -> str:
    recalled = (found.recall, found.oblique, found.corrected, found.stale)
    shares = (*recalled, found.abstained, found.foreign, found.transfer)
    columns = "".join(number(value, width) for value, width in zip(shares, (8, 9, 7, 7, 9, 9, 7), strict=True))
    return (
        f"{exam:22}{arm:11}{'-' if seed is None else seed:>5}{found.asked:>7}{found.trained:>5}{columns}{seconds:>9.0f}"
    )


def number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.2f}"


def show_base(scores: ability.Ability) -> None:
    for name, losses in scores.losses.items():
        print(f"{name:12} {losses.mean():.3f} nats per token, median {sorted(losses)[len(losses) // 2]:.3f}")
    for name, right in scores.right.items():
        print(f"{name:12} {100 * sum(right) / len(right):.1f} % of {len(right)}")


def show_finds(found: tuple[Finds, ...]) -> None:
    print(
        f"{'exam':22}{'facts':>7}{'found':>7}{'share':>7}{'not literal':>13}{'memories':>10}{'other':>7}{'foreign':>9}"
        f"{'stale':>7}"
    )
    for one in found:
        facts = len(one.found) + len(one.missed)
        print(
            f"{one.exam:22}{facts:>7}{len(one.found):>7}{one.share:>7.2f}{len(one.unfounded):>13}{one.memories:>10}"
            f"{len(one.other):>7}{len(one.foreign):>9}{len(one.stale):>7}"
        )
        for sentence in one.foreign:
            print(f"    never told by the user: {sentence}")
        for sentence in one.stale:
            print(f"    held although corrected: {sentence}")


if __name__ == "__main__":
    main()
