"""A conversation: what is said in it, what of that the model is shown, and what is kept of it. Without a screen.

Owns the context of a session and its budget, when which turn is logged, the change to a new generation between two
answers, and on what an answer rests. Leaves what is recalled to `recall`, what may be quoted and kept to `keeping`,
running the model to `engine`, commands and the screen to the `cli` files. Must stay true: what the user said is in the
journal before it is answered, and where that fails it is answered all the same; what was erased from the journal is in
no later prompt; with logging off nothing is written at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgesleep.config import Settings
from edgesleep.day import keeping, logbook
from edgesleep.day.keeping import Exchange
from edgesleep.day.recall import Recall, Recalled, prefaced
from edgesleep.engine import Engine
from edgesleep.entries import Entry, checked, clean
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.records import Memory, Message, Turn, now
from edgesleep.store import Store

PREFIX = "chat-"  # of the names of sessions that were given none
KEPT = 3, 4  # the share of the room that old turns have left when some were dropped: not every answer drops some
RESUMED = 64  # turns of an earlier conversation that are shown at most
HISTORY = 200  # messages that can be gone back to


@dataclass(frozen=True)
class Said:
    """A message of the conversation; `turn` is its number in the journal, 0 where it is not there."""

    role: str
    content: str
    turn: int = 0


@dataclass(frozen=True)
class Basis:
    """On what an answer rests: what stood before the question, and which model wrote it.

    `recalled` was quoted to it, and so were so many `earlier` messages of the conversation. `known` are memories that
    this `generation` was taught and whose value the answer has. `ended`: the model came to the end of its answer.
    """

    question: str
    answer: str
    generation: int
    recalled: tuple[Recalled, ...]
    earlier: int
    known: tuple[Memory, ...]
    ended: bool
    turn: int = 0


def fresh_name() -> str:
    """The name of a new session, after its time."""
    return PREFIX + re.sub(r"\D", "", now("milliseconds").partition("+")[0])


class Conversation:
    """One session with the current generation of a home. Use it as a context manager, from one thread.

    `recall` and `log` may be changed between two answers. `tell` is given what goes wrong without breaking an answer,
    and what changes meanwhile.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        session: str | None = None,
        *,
        recall: bool = True,
        log: bool = True,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.home, self.recall, self.log, self.tell = home, recall, log, tell
        self.session = session or fresh_name()
        self.generation = 0
        self.basis: Basis | None = None  # of the last answer
        self._settings, self._store = settings, Store(home)
        self._recall = Recall(settings.recall)
        self._engine: Engine | None = None
        self._said: list[Said] = []
        if session:
            self._resume()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the model's memory back; the next answer loads it again."""
        if self._engine:
            self._engine.close()
        self._engine = None

    # -- the session ---------------------------------------------------------------------------------------------

    def begin(self, session: str | None = None) -> None:
        """Begin another session, of which nothing was said yet, or go on with one that has this name."""
        self.session, self.basis, self._said = session or fresh_name(), None, []
        if session:
            self._resume()

    def forget_context(self) -> None:
        """Show the model nothing of what was said so far; the journal keeps it."""
        self._said, self.basis = [], None
        self._recall = Recall(self._settings.recall)

    @property
    def keeps(self) -> bool:
        """Whether what is said is logged: it is to be in this conversation, and `edgesleep log off` was not said."""
        return self.log and logbook.is_on(self.home)

    def _resume(self) -> None:
        with Journal.open(self.home) as journal:
            turns = journal.session(self.session)[-RESUMED:]
        self._said = [Said(turn.role, turn.content, turn.id) for turn in turns if turn.role in ("user", "assistant")]

    def history(self) -> list[str]:
        """What the user said in chats, the latest first, without what is the same as the one after it."""
        with Journal.open(self.home) as journal:
            said = journal.said(f"{PREFIX}*", self.session, HISTORY)
        return [text for place, text in enumerate(said) if place == 0 or said[place - 1] != text]

    # -- answering -----------------------------------------------------------------------------------------------

    def ready(self) -> Engine:
        """The current generation, loaded. Raises EdgesleepError where there is none."""
        number = self._store.current()
        if self._engine and number == self.generation:
            return self._engine
        wanted = self._settings.chat.context
        engine = Engine(self._store.model_path(number), context=wanted)
        if self._engine:  # only now: until the new one is there, the old one answers
            self._engine.close()
            self._recall = Recall(self._settings.recall)  # with it, something may have been forgotten
            self.tell(f"Generation {number} answers from now on.")
        self._engine, self.generation = engine, number
        return engine

    def answer(self, text: str) -> Generator[str, None, None]:
        """The answer in pieces, some of them empty, as it is written; closing the generator ends it there.

        Question and answer, as far as it came, are then part of the conversation and in the journal. Raises
        EdgesleepError, before anything was logged, where the text is empty or too long.
        """
        content = checked(Entry("user", text, session=self.session)).content
        exchange = Exchange(self.home, self.session, self.tell, log=self.log)
        engine = self.ready()
        self._drop_erased()
        found = self._find(content) if self.recall else []
        prompt = self._prompt(engine, content, found)
        earlier = len(self._said)
        self._said.append(Said("user", content, exchange.asked(content)))
        written: list[str] = []
        ended = False
        settings = self._settings.chat
        try:
            stream = engine.stream(prompt, self._limit(engine), temperature=settings.temperature, seed=settings.seed)
            while True:
                try:
                    piece = next(stream)
                except StopIteration as end:
                    ended = end.value
                    break
                piece = clean(piece)  # a screen obeys control characters
                written.append(piece if any(written) else piece.lstrip())
                yield written[-1]
        finally:
            basis = Basis(content, "".join(written).strip(), self.generation, tuple(found), earlier, (), ended)
            self._answered(exchange, basis)

    def _answered(self, exchange: Exchange, basis: Basis) -> None:
        turn = exchange.answered(basis.answer) if basis.answer else 0
        if exchange.is_stale:
            self.basis = replace(basis, recalled=())
            return
        if basis.answer:
            self._said.append(Said("assistant", basis.answer, turn))
        known: tuple[Memory, ...] = ()
        with suppress(Exception):  # what cannot be said of an answer does not break it
            known = tuple(self._known(basis.answer))
        self.basis = replace(basis, known=known, turn=turn)

    def _find(self, text: str) -> list[Recalled]:
        """What was said elsewhere that bears on it."""
        beside = [said.content for said in self._said if said.role == "user"]
        return keeping.recalled(self.home, self._recall, text, beside, tell=self.tell)

    def _known(self, answer: str) -> Iterator[Memory]:
        """Memories that the generation was taught and whose value stands in the answer."""
        taught = {*self._store.generation(self.generation).memory_ids} if self.generation and answer else set()
        if taught:
            with Journal.open(self.home) as journal:
                for memory in journal.memories():
                    if memory.id in taught and _stands(memory.value, answer):
                        yield memory

    # -- what the model is shown ---------------------------------------------------------------------------------

    def _limit(self, engine: Engine) -> int:
        return min(self._settings.chat.answer_tokens, engine.context // 2)

    def _prompt(self, engine: Engine, text: str, found: list[Recalled]) -> list[int]:
        """The tokens of all that is shown. Where it is too much, what was said first is dropped for good, and then what
        was `found`, the least fitting first."""
        room = wanted = engine.context - self._limit(engine)
        while True:
            prompt = engine.chat(_alternating([*self._said, Said("user", prefaced(text, found))]))
            if len(prompt) <= wanted or (len(prompt) <= room and not self._said):
                return prompt
            if self._said:
                wanted = room * KEPT[0] // KEPT[1]
                self._drop_first()
            elif found:
                found.remove(min(found, key=lambda one: one.score))
            else:
                said = f"it has {len(prompt):,} tokens, and {room:,} fit"
                raise EdgesleepError(f"The message is too long: {said}.", "Say it in parts, or raise chat.context.")

    def _drop_first(self) -> None:
        """The first exchange: up to what the user said after an answer."""
        del self._said[0]
        while self._said and self._said[0].role != "user":
            del self._said[0]

    def _drop_erased(self) -> None:
        """What was forgotten since, here or by another process, is shown no more; nor what cannot be looked up."""
        if any(said.turn for said in self._said):
            left: set[int] = set()
            try:
                with Journal.open(self.home) as journal:
                    left = {turn.id for turn in journal.session(self.session)}
            except Exception as error:  # whatever it is, the answer matters more
                keeping.warn(self.tell, "What was said before is not shown to the model", error)
            self._said = [said for said in self._said if not said.turn or said.turn in left]

    # -- what is kept --------------------------------------------------------------------------------------------

    def note(self, text: str) -> Turn | None:
        """Take in what the user said without answering: the next prompt has it, and the journal as their own words.

        Returns the turn, None where nothing is logged. Raises EdgesleepError where the text is empty or too long.
        """
        content = checked(Entry("user", text, session=self.session)).content
        turn = None
        if self.keeps:
            with Journal.open(self.home) as journal:
                turn = journal.log("user", content, session=self.session)
        self._said.append(Said("user", content, turn.id if turn else 0))
        return turn

    def judge(self, good: bool) -> None:
        """Keep with the last answer whether it was good.

        Raises EdgesleepError where there is none in the journal, and while nothing is logged.
        """
        if not self.basis or not self.basis.answer:
            raise EdgesleepError("Nothing was answered yet.", "Ask something first.")
        if not self.basis.turn:
            raise EdgesleepError("The last answer is not in the journal.", "It was not logged.")
        if not self.keeps:
            raise EdgesleepError("Nothing is logged now, nor what you think of an answer.", "Turn logging on first.")
        with Journal.open(self.home) as journal:
            journal.judge(self.basis.turn, good)


def _stands(value: str, text: str) -> bool:
    return bool(value) and bool(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE))


def _alternating(said: Sequence[Said]) -> list[Message]:
    """The messages with the user first and the roles in turns, as many templates demand; neighbours become one."""
    messages: list[Message] = []
    for one in said:
        if messages and messages[-1].role == one.role:
            messages[-1] = Message(one.role, f"{messages[-1].content}\n\n{one.content}")
        elif messages or one.role == "user":
            messages.append(Message(one.role, one.content))
    return messages
