"""`llm -m edgesleep`: the current generation as a model of the command line tool `llm`.

Owns what `llm` asks of a plugin, and which words of a prompt are the user's own. Leaves answering to `day.answers`,
recall and keeping to `day.keeping`. Must stay true: only what was typed into `llm` at a terminal teaches, unless the
caller says that it is the user's own; a file, a pipe, a fragment and what a program asks are kept as what was read;
that nothing could be kept breaks no answer.
"""

from __future__ import annotations

import atexit
import queue
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
import llm
from pydantic import Field

from edgesleep import config
from edgesleep.day import keeping
from edgesleep.day.answers import Answers, End, Event
from edgesleep.day.keeping import Exchange
from edgesleep.day.recall import Recall, prefaced
from edgesleep.day.wire import Ask, Choice
from edgesleep.errors import EdgesleepError
from edgesleep.records import Message


@llm.hookimpl
def register_models(register: Any) -> None:
    register(Edgesleep())


class Edgesleep(llm.Model):
    """The generation that is served, of the home that EDGESLEEP_HOME names, or else ~/.edgesleep."""

    model_id = "edgesleep"
    can_stream = True

    class Options(llm.Options):
        recall: Literal["auto", "off"] = Field("auto", description="Whether what you said before may stand before it")
        log: Literal["auto", "off"] = Field("auto", description="Whether it is kept in the journal")
        mine: bool | None = Field(
            None,
            description="Whether these are your own words, to be learned; without it, what is typed into llm",
        )
        temperature: float = Field(0.0, ge=0, description="0 takes the likeliest word each time, as it was tested")
        max_tokens: int | None = Field(None, gt=0, description="Length of the answer; without it, what fits")

    def __init__(self) -> None:
        self._answers: dict[Path, Answers] = {}

    def execute(
        self, prompt: llm.Prompt, stream: bool, response: llm.Response, conversation: llm.Conversation | None
    ) -> Iterator[str]:
        """The answer in pieces as it is written. Raises llm.ModelError where there can be none."""
        home, options = config.default_home().expanduser().absolute(), prompt.options
        try:
            yield from self._answered(home, prompt, options, response, conversation)
        except EdgesleepError as error:
            raise llm.ModelError(f"{error.message} {error.hint}".strip()) from error

    def _answered(
        self, home: Path, prompt: llm.Prompt, options: Any, response: llm.Response, conversation: Any
    ) -> Iterator[str]:
        session = f"llm-{conversation.id}"[:200] if conversation else "llm"
        exchange = Exchange(home, session, _warn, log=options.log == "auto")
        answers = self._loaded(home)
        messages = _texts(prompt.messages)
        if not messages or messages[-1].role != "user":
            raise EdgesleepError("There is no question.", "Give a prompt.")
        asked = _recalled(home, messages) if options.recall == "auto" else messages[-1].content
        kept = [exchange.asked(text, source) for text, source in _said(prompt, options.mine)]
        events: queue.Queue[Event] = queue.Queue()
        chat = (*messages[:-1], replace(messages[-1], content=asked))
        choice = Choice(temperature=options.temperature)
        wish = Ask(chat, "", choice, options.max_tokens, (), True, True, self.model_id)
        answer = ""
        with answers.taken() as served:
            job = served.ask(wish, events.put)
            try:
                while not isinstance(event := events.get(), End):
                    if isinstance(event, Exception):
                        raise event
                    answer += event
                    yield event
                response.set_usage(input=event.usage.prompt, output=event.usage.answer)
            finally:
                job.cancelled = True  # where its reader has left
                if all(kept) and answer.strip():
                    exchange.answered(answer)

    def _loaded(self, home: Path) -> Answers:
        """What is current now; a chat goes on with a newer generation once there is one.

        Where that one cannot be loaded the one before does not answer either: it may know what was forgotten since.
        """
        if home not in self._answers:
            self._answers[home] = Answers(home, replace(config.load(home).serve, answers=1))
            atexit.register(self._answers[home].close)
        else:
            try:
                self._answers[home].refresh()
            except BaseException:
                self._answers.pop(home).close()  # the next prompt loads what is current then
                raise
        return self._answers[home]


def _texts(messages: Any) -> tuple[Message, ...]:
    """The messages of a chat, as far as they are text."""
    texts = ((message.role, "\n".join(getattr(part, "text", "") for part in message.parts)) for message in messages)
    return tuple(Message(role, text) for role, text in texts if role in ("system", "user", "assistant") and text)


def _recalled(home: Path, messages: tuple[Message, ...]) -> str:
    """The question with what bears on it."""
    question, beside = messages[-1].content, [one.content for one in messages if one.role != "system"]
    found = keeping.recalled(home, Recall(config.load(home).recall), question, beside, tell=_warn)
    return prefaced(question, found)


def _said(prompt: llm.Prompt, mine: bool | None) -> list[tuple[str, str]]:
    """What of a prompt is new, with who is behind it: fragments were read, and so is what comes through a pipe."""
    fragments = [str(fragment) for fragment in prompt.fragments or []]
    typed = prompt.prompt.removeprefix("\n".join(fragments)).strip()
    own = mine if mine is not None else _is_typed()
    read = [(text, "tool") for text in fragments if text.strip()]
    return [*read, *([(typed, "user" if own else "tool")] if typed else [])]


def _is_typed() -> bool:
    """Whether the command `llm` itself runs, at a terminal: a program started from one asks in its own words."""
    from llm.cli import cli

    context = click.get_current_context(silent=True)
    return context is not None and context.find_root().command is cli and sys.stdin.isatty()


def _warn(line: str) -> None:
    print(line, file=sys.stderr)
