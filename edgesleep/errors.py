"""The one error class of edgesleep.

Owns what a person is told when something cannot be done: what happened, why,
and what to try. Leaves turning it into output and an exit code to `cli`.
Every module raises this class (or a subclass) for anything a user can cause;
nothing logs an error and goes on.
"""

from __future__ import annotations

# Exit codes of every command; the meaning is part of the public contract.
DONE = 0
ERROR = 1
USAGE = 2
REFUSED = 3  # the night ran and the gate refused it
BUSY = 4
SKIPPED = 5  # nothing to learn, or the machine is in use

_SHOWN = 200  # characters of a value in an error


class EdgesleepError(Exception):
    """Something a person can act on.

    `message` says what failed and why, `hint` what to try; `exit_code` is the
    process status the command line ends with.
    """

    exit_code = ERROR

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(value: object) -> str:
    """What a file or a caller gave, as an error may repeat it: in one line, short, and without control characters."""
    text = value if isinstance(value, str) else repr(value)
    line = "".join(char if char.isprintable() else "\ufffd" for char in text[: _SHOWN + 1])
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


class BusyError(EdgesleepError):
    """Another night holds the lock."""

    exit_code = BUSY


class KilledError(EdgesleepError):
    """A process that worked for the night was ended without a word, perhaps for want of memory."""


class GgufError(EdgesleepError):
    """A model file is damaged, hostile or of a kind edgesleep does not serve."""


class KernelError(EdgesleepError):
    """The native kernel is missing, was given bad input, or a forced one cannot run here."""
