"""A chat on a terminal: the line that is typed, and the answer as it grows.

Owns the keys, what can be gone back to and completed, drawing, and that Ctrl-C ends an answer and not the program.
The only file that imports prompt_toolkit. Leaves what a line means to `cli_chat`. Must stay true: what was typed is
written to no file here.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.text import Text

from edgesleep.errors import EdgesleepError

try:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.shortcuts import confirm
except ImportError as error:
    raise EdgesleepError(
        f"A chat on a terminal needs a package that is not here: {error.name}.",
        "Install it: `pip install 'edgesleep[chat]'`. Without it, lines of a pipe are answered: "
        "`echo Hello | edgesleep chat`.",
    ) from error

BLANK = re.compile(r"\n[ \t]*\n")
FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)


class Terminal:
    """The person's screen and keyboard. `commands` can be completed, `history` (the latest first) gone back to."""

    def __init__(self, commands: Sequence[str], history: Sequence[str] = (), console: Console | None = None) -> None:
        self._commands, self._console = commands, console or Console()
        self.go_back_to(history)

    def go_back_to(self, history: Sequence[str]) -> None:
        """Have the arrow keys lead to these texts, and no more to what was typed so far."""
        self._session: PromptSession[str] = PromptSession(
            history=InMemoryHistory([*reversed(history)]),
            completer=WordCompleter([*self._commands], sentence=True),
            complete_while_typing=False,
            multiline=True,
            prompt_continuation="  ",
            key_bindings=_keys(),
        )

    def lines(self) -> Iterator[str]:
        """What is entered, until Ctrl-D; Ctrl-C empties the line."""
        while True:
            try:
                yield self._session.prompt("> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return

    def answer(self, pieces: Generator[str, None, None]) -> None:
        """Draw an answer while it is written; on Ctrl-C it ends where it is."""
        text = ""
        with interruptible() as is_asked, Live(Spinner("dots"), console=self._console, transient=True) as live:
            for piece in pieces:
                if is_asked():
                    pieces.close()
                    break
                if piece:
                    done, text = whole_blocks(text + piece)
                    if done:
                        self._console.print(Markdown(done), "")
                    live.update(Markdown(text))
        if text.strip():
            self._console.print(Markdown(text))
        if is_asked():
            self._console.print(Text("(stopped)", "dim"))

    def show(self, text: str) -> None:
        """What a command has to say."""
        self._console.print(Text(text), soft_wrap=True)

    def confirm(self, question: str) -> bool:
        try:
            return confirm(question)
        except (KeyboardInterrupt, EOFError):
            return False


def _keys() -> KeyBindings:
    """Enter sends; Alt-Enter, or a pasted text, makes lines."""
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def whole_blocks(text: str) -> tuple[str, str]:
    """A growing text in two: the blocks of Markdown that nothing changes any more, and the one being written."""
    end = 0
    for blank in BLANK.finditer(text):
        if len(FENCE.findall(text, 0, blank.start())) % 2 == 0:
            end = blank.end()
    return text[:end], text[end:]


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """While it holds, Ctrl-C does no more than make true what it yields."""
    pressed = threading.Event()
    usual = signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
