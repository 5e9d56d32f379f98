"""The person in front of a running night: what they see on stderr, and how they stop it.

Owns the bar on a terminal, the plain lines everywhere else, and the meaning of
Ctrl-C. Leaves results, which go to stdout, to `cli`. rich is loaded only when
there is a terminal to draw on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from edgesleep.records import PassScore, StepReport

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
STOPPING = (signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP else []))
MOMENT = 1.0  # seconds
LINE_EVERY = 10  # steps between plain lines

STAGES = {
    "anchors": "Rehearsal texts",
    "dreams": "Wordings",
    "baseline": "Questions to the current model",
    "train": "Training",
    "merge": "Merging",
    "gate": "Testing the file",
    "beside": "Asking with memories in the prompt",
}


class Progress(Protocol):
    """Told of every stage that starts and every training step that is done."""

    def stage(self, name: str) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def passed(self, score: PassScore) -> None: ...


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar where stderr is a terminal, lines where it is not."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    text = "{task.description}", "{task.fields[numbers]}"
    columns = SpinnerColumn(), TextColumn(text[0]), BarColumn(12), TimeElapsedColumn(), TextColumn(text[1])
    with Bar(*columns, console=Console(stderr=True)) as bar:
        drawn = Drawn(bar)
        yield drawn
        drawn.finish()


class Lines:
    """One line per stage and per LINE_EVERY steps."""

    def stage(self, name: str) -> None:
        print(f"{STAGES.get(name, name)} ...", *where(name), sep="\n", file=sys.stderr, flush=True)

    def step(self, report: StepReport) -> None:
        if report.step % LINE_EVERY == 0 or report.step == report.steps:
            print(f"  {numbers(report)}", file=sys.stderr, flush=True)

    def passed(self, score: PassScore) -> None:
        print(f"  {looked(score)}", file=sys.stderr, flush=True)


class Drawn:
    """One bar per stage; it pulses where a stage does not count its steps."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def stage(self, name: str) -> None:
        self.finish()
        for line in where(name):
            self._bar.console.print(line, highlight=False)
        self._bar.add_task(STAGES.get(name, name), total=None, numbers="")

    def step(self, report: StepReport) -> None:
        shown = numbers(report)
        for task in self._bar.task_ids[-1:]:
            self._bar.update(task, total=report.steps, completed=report.step, numbers=shown)

    def passed(self, score: PassScore) -> None:
        self._bar.console.print(looked(score), highlight=False)

    def finish(self) -> None:
        """Stop the clock of the last stage."""
        for task in self._bar.task_ids[-1:]:
            self._bar.update(task, total=1, completed=1)


def where(stage: str) -> list[str]:
    """For the stage that may run on a card: on what it begins, and why."""
    if stage != "train":
        return []
    from edgesleep import kernel

    device, why = kernel.device()
    return [f"  On {device} ({why})"]


def numbers(report: StepReport) -> str:
    """Place, time left, speed, loss and drift; what is cut off first on a narrow terminal stands last.

    A report's tokens and seconds count from the start of training.
    """
    seconds = max(report.seconds, 1e-9)
    left = round(min(seconds / report.step * (report.steps - report.step), max(report.limit - seconds, 0)))
    return (
        f"{report.step}/{report.steps} steps  {left // 60}:{left % 60:02d} left  "
        f"{report.tokens / seconds:,.0f} tokens/s  loss {report.loss:.3f}  drift {report.drift:.4f}"
    )


def looked(score: PassScore) -> str:
    """What a look between two passes found."""
    hops = "" if score.two_hops is None else f", over two memories {score.two_hops:.2f}"
    owned = "" if score.abstained is None else f", owned up {score.abstained:.2f}"
    return f"After pass {score.passes}: recall {score.recall:.2f}{hops}{owned}, loss on plain text {score.drift:+.3f}"


@contextmanager
def stoppable(on_asked: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """While it holds, the first Ctrl-C, SIGTERM or end of the terminal only asks to stop; another has its usual effect.

    What comes within a moment is the same one: a service manager asks every process of a service, and so does the one
    of them that passes it on. Yields the function that says whether someone has asked; `on_asked` is told at once,
    within the signal.
    """
    asked, first = threading.Event(), 0.0
    usual = {number: signal.getsignal(number) for number in STOPPING}
    usual = {number: handler for number, handler in usual.items() if handler is not signal.SIG_IGN}  # as nohup has it

    def ask(number: int, frame: object) -> None:
        nonlocal first
        if asked.is_set():
            # The end of the terminal is told by the shell as well.
            if number != HANGUP and time.monotonic() - first >= MOMENT:
                signal.signal(number, usual[number])
                os.kill(os.getpid(), number)
            return
        first = time.monotonic()
        asked.set()
        on_asked()
        # Not through sys.stderr, which the signal may have interrupted in the middle of a write.
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"\nStopping where the work can be gone on with later. Once more stops at once.\n")

    for number in usual:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
