"""A night in a process of its own, so that what ends it without a word is told at once.

Owns that process, and passing on what this one is asked. Leaves the night to its caller, and what is known of a crash
later to `night.underway`. Must stay true: neither of the two is left without the other; whoever asks this one to stop
has asked the night, once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from edgesleep import machine
from edgesleep.errors import EdgesleepError

PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def apart(on_asked: Callable[[], None]) -> None:
    """Go on in a child; this process waits for it, and ends as it does. `on_asked` is told of every signal at once.

    Raises EdgesleepError where the child is killed. Only on Linux, whose system kills when memory is short; and not
    where a caller in this process takes what is printed, which would be lost.
    """
    if sys.platform != "linux" or sys.stdout is not sys.__stdout__:
        return
    for stream in (sys.stdout, sys.stderr):
        print(end="", file=stream, flush=True)  # or both would print what waits to be
    parent, child = os.getpid(), os.fork()
    if child == 0:
        os.setpgid(0, 0)  # or the terminal would ask both, and the night twice
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # as it may write there all the same
        machine.end_with(parent)
        return
    with suppress(OSError):  # it may have done so itself
        os.setpgid(child, child)
    with _passing_on(child, on_asked):
        _, status = os.waitpid(child, 0)
    _end_as(os.waitstatus_to_exitcode(status))


@contextmanager
def _passing_on(child: int, on_asked: Callable[[], None]) -> Iterator[None]:
    def ask(number: int, frame: object) -> None:
        on_asked()
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    def pause(number: int, frame: object) -> None:
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # until someone has this process go on
        os.kill(child, signal.SIGCONT)

    handlers = {getattr(signal, name): ask for name in PASSED_ON} | {signal.SIGTSTP: pause}
    kept = {number: handler for number, handler in handlers.items() if signal.getsignal(number) is not signal.SIG_IGN}
    usual = {number: signal.signal(number, handler) for number, handler in kept.items()}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _end_as(code: int) -> None:
    """End with the exit code of the child, or by the signal that it was asked with."""
    if code >= 0:
        raise SystemExit(code)
    name = signal.Signals(-code).name
    if name in PASSED_ON:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    cause = "as the system does when memory is short" if name == "SIGKILL" else "in native code, perhaps out of memory"
    raise EdgesleepError(
        f"The night was ended by {name}, {cause}; what is served is whole.",
        "End other programs, or lower train.memory in config.toml; `edgesleep run-night` goes on where it was.",
    )
