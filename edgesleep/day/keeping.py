"""Keeping: what goes with every question: quoting what was said before, and keeping what is said now.

Owns both for the chat, `ask` and `llm`. Leaves finding to `recall`, the switch and what the server keeps to `logbook`.
Must stay true: what fails here is told, and breaks no answer; nothing is quoted that may be about to go, and no answer
kept that may tell what was forgotten while it was written: no proof of that forgetting would have looked at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from edgesleep.day import logbook
from edgesleep.day.recall import Recall, Recalled
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import next_number, unfinished
from edgesleep.journal import Journal

Tell = Callable[[str], None]


def recalled(home: Path, by: Recall, question: str, beside: Iterable[str] = (), *, tell: Tell) -> list[Recalled]:
    """What the user said that bears on a question, as `Recall.find`; nothing while a forgetting is unfinished."""
    if unfinished(home):
        return []
    try:
        with Journal.open(home) as journal:
            return by.find(journal, question, beside)
    except Exception as error:  # whatever it is, the answer matters more
        warn(tell, "What was said is not recalled", error)
        return []


class Exchange:
    """A question and its answer, kept in a session as they are said. Made before a generation is chosen to answer."""

    def __init__(self, home: Path, session: str, tell: Tell, *, log: bool = True) -> None:
        """With `log` off nothing is kept; with it on, nothing while its owner has switched that off for all."""
        self._home, self._session, self._tell, self._log = home, session, tell, log
        self._forgettings = next_number(home)

    @property
    def is_stale(self) -> bool:
        """Whether the answer may tell what is, or meanwhile was, forgotten."""
        return unfinished(self._home) or next_number(self._home) != self._forgettings

    def asked(self, content: str, source: str | None = None) -> int:
        """Keep what was said to the model; its number in the journal, 0 where it is not kept."""
        return self._keep("user", content, source)

    def answered(self, content: str) -> int:
        """Keep the answer, unless it is stale; its number, 0 where it is not kept."""
        if not self.is_stale:
            return self._keep("assistant", content, None)
        if self._log and logbook.is_on(self._home):
            _say(self._tell, "The answer is not kept: it may tell what is forgotten.")
        return 0

    def _keep(self, role: str, content: str, source: str | None) -> int:
        if not (self._log and logbook.is_on(self._home)):
            return 0
        try:
            with Journal.open(self._home) as journal:
                return journal.log(role, content, source=source, session=self._session).id
        except Exception as error:  # whatever it is, the answer matters more
            warn(self._tell, "What is said is not kept", error)
            return 0


def warn(tell: Tell, what: str, error: Exception) -> None:
    """Tell what failed, and what can be done."""
    _say(tell, f"{what}: {error} {error.hint if isinstance(error, EdgesleepError) else ''}".strip())


def _say(tell: Tell, line: str) -> None:
    with suppress(OSError, ValueError):  # nobody may be there to read it
        tell(line)
