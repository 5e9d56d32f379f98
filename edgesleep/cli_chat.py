"""`edgesleep chat`: a conversation on a terminal, or of the lines of a pipe.

Owns its commands, what they say, and plain input and output. Leaves the conversation to `day.chat`, drawing to
`terminal`, and forgetting to `edgesleep forget`, which runs as a process of its own. Must stay true: an error ends a
line and not the chat; nothing is forgotten that was not shown and confirmed; after it the model is shown nothing of
what was said before.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from edgesleep import config, errors, machine
from edgesleep.cli_shared import explain, recall_option, say
from edgesleep.errors import EdgesleepError

if TYPE_CHECKING:
    from edgesleep.day.chat import Basis, Conversation

ELSEWHERE = "`edgesleep log on` keeps what is said again."
NOT_LOGGED = "Nothing is logged now, and what is not logged is not learned."


@click.command()
@recall_option
@click.option("--no-log", is_flag=True, help="Keep nothing of what is said; `/log on` changes that.")
@click.option("--session", metavar="NAME", help="Go on with the conversation of this name, or begin it.")
@click.pass_obj
def chat(home: Path, recall: str, no_log: bool, session: str | None) -> int:
    """Talk with the current generation.

    What you say is in the journal before it is answered, and learned at night; until the weights know it, what bears on
    a question is quoted before it. Enter sends, Alt-Enter begins another line, Ctrl-C stops an answer, Ctrl-D leaves;
    /help lists the commands. When the context is full the first turns drop out of it, and when a night publishes a
    generation the next answer is its. On a terminal it needs `pip install 'edgesleep[chat]'`. Input that is no terminal
    is answered line by line, commands too; the exit code is 1 where one of them failed.

    Example: edgesleep chat --session garden
    """
    from edgesleep.day.chat import Conversation

    settings = config.load(home)
    with Conversation(home, settings, session, recall=recall == "auto", log=not no_log, tell=say) as conversation:
        conversation.ready()
        screen: Screen = Plain()
        if sys.stdin.isatty() and sys.stdout.isatty():
            from edgesleep.terminal import Terminal

            screen = Terminal([f"/{name}" for name in COMMANDS], conversation.history())
            screen.show(f"Generation {conversation.generation} answers. /help lists commands, Ctrl-D leaves.")
        return Chat(home, conversation, screen).run()


class Screen(Protocol):
    """Where a chat is read from and shown."""

    def lines(self) -> Iterator[str]: ...

    def answer(self, pieces: Generator[str, None, None]) -> None: ...

    def show(self, text: str) -> None: ...

    def confirm(self, question: str) -> bool: ...

    def go_back_to(self, history: Sequence[str]) -> None: ...


class Plain:
    """Lines in, lines out."""

    def __init__(self) -> None:
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a pipe may hold bytes that are no text

    def lines(self) -> Iterator[str]:
        yield from (line.lstrip("\ufeff") for line in iter(sys.stdin.readline, ""))

    def answer(self, pieces: Generator[str, None, None]) -> None:
        for piece in pieces:
            click.echo(piece, nl=False)
        click.echo()

    def show(self, text: str) -> None:
        click.echo(text)

    def confirm(self, question: str) -> bool:
        """The next line says it, with "y" or "yes"."""
        click.echo(f"{question} [y/N]", err=True)
        return sys.stdin.readline().strip().casefold() in ("y", "yes")

    def go_back_to(self, history: Sequence[str]) -> None:
        pass


class Chat:
    """A conversation on a screen, and its commands."""

    def __init__(self, home: Path, conversation: Conversation, screen: Screen) -> None:
        self._home, self._conversation, self._screen = home, conversation, screen
        self._over, self._code = False, errors.DONE

    def run(self) -> int:
        """Answer what is entered until its end; the exit code says whether all could be."""
        for line in self._screen.lines():
            try:
                self._take(line.strip())
            except EdgesleepError as error:
                self._code = explain(error.message, error.hint, error.exit_code)
            if self._over:
                break
        return self._code

    def _take(self, line: str) -> None:
        if line.startswith("/"):
            name, _, rest = line[1:].partition(" ")
            if name not in COMMANDS:
                raise EdgesleepError(f"There is no command /{name}.", "`/help` lists those that there are.")
            COMMANDS[name][0](self, rest.strip())
        elif line:
            self._screen.answer(self._conversation.answer(line))

    # -- the commands --------------------------------------------------------------------------------------------

    def help(self, _: str) -> None:
        width = max(len(f"/{name} {usage}") for name, (_, usage, _) in COMMANDS.items())
        lines = (f"{f'/{name} {usage}':{width}}  {about}" for name, (_, usage, about) in COMMANDS.items())
        self._screen.show("\n".join(lines))

    def remember(self, text: str) -> None:
        from edgesleep.night.notes import asking

        self._note(asking(_demanded(text, "/remember My sister is called Ottilie.")))

    def correct(self, text: str) -> None:
        _demanded(text, "/correct My sister is called Ottilie.")
        basis = self._conversation.basis
        if self._conversation.keeps and basis and basis.turn:
            self._conversation.judge(False)
        self._note(text)

    def _note(self, text: str) -> None:
        if not self._conversation.keeps:
            raise EdgesleepError(NOT_LOGGED, ELSEWHERE if self._conversation.log else "Say `/log on` first.")
        turn = self._conversation.note(text)
        self._screen.show(f"Kept as message m{turn.id if turn else 0}; the coming night reads it.")

    def good(self, _: str) -> None:
        self._conversation.judge(True)
        self._screen.show("Noted as good.")

    def bad(self, _: str) -> None:
        self._conversation.judge(False)
        self._screen.show("Noted as bad. `/correct TEXT` says what is right.")

    def why(self, _: str) -> None:
        if not (basis := self._conversation.basis):
            raise EdgesleepError("Nothing was answered yet.", "Ask something first.")
        self._screen.show("\n".join(_reasons(self._home, basis)))

    def recall(self, text: str) -> None:
        wanted = _switched(text, {"auto": True, "off": False}, self._conversation.recall, "recall")
        self._conversation.recall = wanted
        self._screen.show(f"Recall is {'auto' if wanted else 'off'}.")

    def log(self, text: str) -> None:
        self._conversation.log = _switched(text, {"on": True, "off": False}, self._conversation.log, "log")
        if self._conversation.log and not self._conversation.keeps:
            raise EdgesleepError("`edgesleep log off` was said, and it holds here too.", ELSEWHERE)
        self._screen.show(f"Logging is {'on' if self._conversation.log else 'off'}.")

    def new(self, name: str) -> None:
        self._conversation.begin(name or None)
        self._screen.show(f"Session {self._conversation.session}.")

    def quit(self, _: str) -> None:
        self._over = True

    def forget(self, query: str) -> None:
        """As `edgesleep forget --query` does it, shown first and confirmed here."""
        _demanded(query, "/forget Ottilie")
        self._conversation.close()  # a night needs the memory
        if code := _forget(self._home, query, "--dry-run"):
            self._code = code
            return
        if not self._screen.confirm("Forget all this for good?"):
            self._screen.show("Nothing was forgotten.")
            return
        try:
            self._code = _forget(self._home, query, "--yes") or self._code
        finally:
            self._conversation.forget_context()
            self._screen.go_back_to(self._conversation.history())
        self._screen.show("The model is shown nothing of what was said here before.")


Command = Callable[[Chat, str], None]
COMMANDS: dict[str, tuple[Command, str, str]] = {
    "help": (Chat.help, "", "List the commands."),
    "remember": (Chat.remember, "TEXT", "Keep it for the coming night."),
    "forget": (Chat.forget, "TEXT", "Show all in which its words occur, ask, and forget that for good."),
    "why": (Chat.why, "", "Say on what the last answer rests."),
    "good": (Chat.good, "", "Note that the last answer was good."),
    "bad": (Chat.bad, "", "Note that the last answer was bad."),
    "correct": (Chat.correct, "TEXT", "Note that it was bad, and say what is right, to be learned."),
    "recall": (Chat.recall, "auto|off", "Whether what you said before may stand before a question."),
    "log": (Chat.log, "on|off", "Whether what is said is kept."),
    "new": (Chat.new, "[NAME]", "Begin another session, or go on with the one of that name."),
    "quit": (Chat.quit, "", "Leave."),
}


def _demanded(text: str, example: str) -> str:
    if not text:
        raise EdgesleepError("The command needs a text.", f"Write it so: `{example}`")
    return text


def _switched(text: str, values: dict[str, bool], now: bool, name: str) -> bool:
    """What a switch is to be; without a text, what it is."""
    if text and text not in values:
        raise EdgesleepError(f"/{name} is {' or '.join(values)}, not {text!r}.", f"Write it so: `/{name} off`")
    return values.get(text, now)


def _forget(home: Path, query: str, how: str) -> int:
    """Run `edgesleep forget` with what is shown here; returns its exit code. Ctrl-C is left to it."""
    words = machine.edgesleep("--home", str(home), "forget", "--query", query, how)
    usual = signal.signal(signal.SIGINT, lambda number, frame: None)  # ignored, it would be by the process as well
    try:
        with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
            return process.wait()
    finally:
        signal.signal(signal.SIGINT, usual)


def _reasons(home: Path, basis: Basis) -> Iterator[str]:
    """On what an answer rests, line by line; secrets are covered as in `edgesleep memories`."""
    from edgesleep.cli_memories import Shown
    from edgesleep.journal import Journal

    model = f"generation {basis.generation}" if basis.generation else "the base, before any night"
    yield f"Written by {model}{'' if basis.ended else '; it was cut off'}."
    if basis.recalled:
        yield "Quoted to it, as you said it before:"
    for one in basis.recalled:
        which = f"memory {one.memory}" if one.memory else f"message m{one.turn}"
        yield f"  {one.at[:16].replace('T', ' ')}  {which}  score {one.score:.2f}  {one.covered}"
    if basis.earlier:
        yield f"Shown to it as well: {basis.earlier} earlier messages of this session."
    if basis.known:
        yield f"Generation {basis.generation} was taught what the answer names:"
        with Journal.open(home) as journal:
            shown = Shown(journal)
            for memory in basis.known:
                told = ", ".join(f"m{turn}" for turn in memory.turn_ids)
                statement = " ".join(shown.brief(memory)["statement"].split())
                yield f"  {memory.at[:16].replace('T', ' ')}  memory {shown.short(memory)}, told in {told}  {statement}"
    if not (basis.recalled or basis.earlier or basis.known):
        yield "Nothing that you said stood before it, or is known to have taught it: it is the model's own."
