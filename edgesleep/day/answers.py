"""Answers: the current generation, loaded, and the answers that it is writing.

Owns a thread for each loaded generation, which writes several answers side by side, a token each in turn, and the
change to a generation that was published meanwhile. Leaves requests and replies to `wire`, and llama.cpp to `engine`,
of which one is used by its own thread alone. Must stay true: an answer that was begun is ended by the generation that
began it, which is closed only then; answers begin in the order in which they were asked for; the one failure ends the
answers that were being written, with an error, and no others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesleep.config import ServeSettings
from edgesleep.day.wire import Ask, Choice, Usage
from edgesleep.engine import Engine, Floats
from edgesleep.errors import EdgesleepError
from edgesleep.model import common
from edgesleep.records import now
from edgesleep.store import Store

FEW = 256  # tokens that are sorted first, where the likeliest are wanted
PAUSE = 10.0  # seconds after which a generation that could not be loaded is tried again


@dataclass(frozen=True)
class End:
    """How an answer ended: "stop" where the model ended it or a stop was met, "length" where the room did."""

    finish: str
    usage: Usage


Event = str | End | Exception  # pieces of an answer as they are written, and at last one of the others


@dataclass
class Job:
    """An answer that is asked for. `put` is called with its events, from the thread that writes them."""

    ask: Ask
    put: Callable[[Event], None]
    cancelled: bool = False


@dataclass
class _Slot:
    """Where one answer is written after the other. `held` are the tokens of text `place` in llama.cpp's memory."""

    place: int
    held: list[int] = field(default_factory=list)
    job: Job | None = None
    unread: list[int] = field(default_factory=list)  # of the prompt, or the token that was just chosen
    answer: list[int] = field(default_factory=list)
    said: int = 0  # characters of the answer
    limit: int = 0
    prompt: int = 0
    cached: int = 0
    chances: np.random.Generator = field(default_factory=np.random.default_rng)
    began: float = 0.0
    first: float = 0.0

    @property
    def usage(self) -> Usage:
        ended = time.monotonic()
        return Usage(self.prompt, len(self.answer), self.cached, self.first - self.began, ended - self.first)


class Served:
    """One generation, loaded, with the thread that writes its answers."""

    def __init__(self, path: Path, number: int, settings: ServeSettings) -> None:
        """Raises EdgesleepError where the file cannot be loaded, or there is no memory for it."""
        self.number, self.loaded = number, now()
        self.users, self.dropped = 0, False  # as `Answers` has it
        self._engine = Engine(path, context=settings.context, sequences=settings.answers)
        self._slots = [_Slot(place) for place in range(settings.answers)]
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._retired = False
        self._thread = threading.Thread(target=self._work, name=f"generation {number}", daemon=True)
        self._thread.start()

    def ask(self, ask: Ask, put: Callable[[Event], None]) -> Job:
        """Have an answer written, after those that were asked for before."""
        job = Job(ask, put)
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job

    def retire(self) -> None:
        """End the thread, and close the file, as soon as all is answered."""
        with self._changed:
            self._retired = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    # -- its thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._next():
            try:
                self._step()
            except Exception as error:  # whatever it was, those who wait for it have to be told
                self._engine.clear()
                for slot in self._slots:
                    slot.held.clear()
                    if slot.job:
                        self._leave(slot, error)
        self._engine.close()

    def _next(self) -> bool:
        """Wait for something to do, and give free slots to who has waited longest; False where all is done."""
        while True:
            for slot in self._slots:
                if slot.job and slot.job.cancelled:
                    slot.job = None
            with self._changed:
                while not (self._waiting or self._retired or any(slot.job for slot in self._slots)):
                    self._changed.wait()
                free = [slot for slot in self._slots if not slot.job]
                job = self._waiting.popleft() if self._waiting and free else None
            if job is None:
                return any(slot.job for slot in self._slots)
            if not job.cancelled:
                try:
                    self._begin(job, free)
                except Exception as error:
                    job.put(error)

    def _begin(self, job: Job, free: list[_Slot]) -> None:
        """Give a job the free slot that has most of its prompt already."""
        ask, engine = job.ask, self._engine
        prompt = engine.chat(ask.messages) if ask.messages else engine.tokenize(ask.prompt, begin=True)
        if not prompt:
            raise EdgesleepError("There is nothing to go on with.", "Send a prompt.")
        if len(prompt) >= engine.context:
            raise TooLongError(len(prompt), engine.context)
        slot = max(free, key=lambda slot: _shared(prompt, slot.held))
        kept = min(_shared(prompt, slot.held), len(prompt) - 1)  # the last is read again: its logits are wanted
        if not engine.cut(slot.place, kept):
            kept = 0
            engine.cut(slot.place, 0)
        room = engine.context - len(prompt)
        self._slots[slot.place] = _Slot(
            slot.place,
            held=prompt[:kept],
            job=job,
            unread=prompt[kept:],
            limit=room if ask.limit is None else min(room, ask.limit),
            prompt=len(prompt),
            cached=kept,
            chances=np.random.default_rng(ask.choice.seed),
            began=time.monotonic(),
        )

    def _step(self) -> None:
        """One token more of each answer, and of prompts what the batch has room for."""
        entries: list[tuple[int, int, int, bool]] = []
        asked: list[_Slot] = []
        busy = [slot for slot in self._slots if slot.job]
        for slot in sorted(busy, key=lambda slot: (not slot.answer, slot.began)):
            part = slot.unread[: self._engine.batch - len(entries)]
            del slot.unread[: len(part)]
            last = len(part) - 1 if not slot.unread else -1
            entries += [(token, len(slot.held) + i, slot.place, i == last) for i, token in enumerate(part)]
            slot.held += part
            if part and not slot.unread:
                asked.append(slot)
        rows = self._engine.decode(entries)
        for slot, row in zip(asked, rows, strict=True):
            self._take(slot, row)

    def _take(self, slot: _Slot, row: Floats) -> None:
        """Choose the next token of an answer and say what can be said of it."""
        assert slot.job
        slot.first = slot.first or time.monotonic()
        token = pick(row, slot.job.ask.choice, slot.chances)
        if self._engine.ends(token) or slot.limit == 0:
            self._say(slot, "stop" if slot.limit else "length")
            return
        slot.answer.append(token)
        slot.unread = [token]
        self._say(slot, "length" if len(slot.answer) == slot.limit else "")

    def _say(self, slot: _Slot, finish: str) -> None:
        """Send what is new and whole; what may be the beginning of a stop waits, unless the answer is at its end."""
        assert slot.job
        text, stops = self._engine.text(slot.answer), slot.job.ask.stops
        ends = [place for stop in stops if (place := text.find(stop)) >= 0]
        if ends:
            text, finish = text[: min(ends)], "stop"
        until = len(text) if finish else len(text) - _held_back(text, stops)
        if until > slot.said:
            slot.job.put(text[slot.said : until])
            slot.said = until
        if finish:
            self._leave(slot, End(finish, slot.usage))

    def _leave(self, slot: _Slot, event: Event) -> None:
        assert slot.job
        slot.job.put(event)
        slot.job = None


class TooLongError(EdgesleepError):
    """A prompt that does not fit; llama-server's API has a kind of error of its own for it."""

    def __init__(self, tokens: int, context: int) -> None:
        super().__init__(
            f"The request has {tokens:,} tokens, and {context:,} is the context of a conversation.",
            "Shorten it, or raise serve.context.",
        )


def _shared(prompt: list[int], held: list[int]) -> int:
    return common([prompt, held]) if held else 0


def _held_back(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end may still become a stop, or are the beginning of a character."""
    if text.endswith("\ufffd"):
        return len(text) - len(text.rstrip("\ufffd"))
    lengths = (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return max(lengths, default=0)


def pick(row: Floats, choice: Choice, chances: np.random.Generator) -> int:
    """The next token from its logits, [vocabulary]."""
    if choice.temperature <= 0:
        return int(row.argmax())
    weights = np.exp((row - row.max()).astype(np.float64) / choice.temperature)
    kept = _likeliest(weights, choice)
    sums = weights[kept].cumsum()
    drawn = int(sums.searchsorted(chances.random() * sums[-1], side="right"))
    return int(kept[min(drawn, len(kept) - 1)])


def _likeliest(weights: NDArray[np.float64], choice: Choice) -> NDArray[np.intp]:
    """The `top_k` likeliest tokens, and of them the fewest that are as likely together as `top_p`, best first."""
    size = len(weights)
    if not choice.top_k and choice.top_p >= 1:
        return np.arange(size)
    few, total = min(choice.top_k or FEW, size), float(weights.sum())
    while True:
        best = np.argpartition(-weights, few - 1)[:few]
        best = best[np.argsort(-weights[best], kind="stable")]
        sums = weights[best].cumsum()
        wanted = choice.top_p * (sums[-1] if choice.top_k else total)
        if choice.top_k or few == size or sums[-1] >= wanted:
            return best[: int(sums.searchsorted(wanted)) + 1]
        few = min(8 * few, size)  # to sort the whole vocabulary takes longer than a token of a small model


# -- which generation --------------------------------------------------------------------------------------------------


class AwayError(EdgesleepError):
    """There is nothing to answer with just now."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"Generation {number} was removed, and the one that is current now is not loaded yet.", "Try again."
        )


class Answers:
    """The current generation of a home, and a newer one when there is one.

    A generation whose folder is gone begins no more answers, whatever there is in its place: it may know what was
    forgotten.
    """

    def __init__(self, home: Path, settings: ServeSettings) -> None:
        """Load what is current. Raises EdgesleepError where that cannot be served."""
        self._store, self._settings = Store(home), settings
        self._lock = threading.Lock()
        self._seen = self._failed = self._pointer()  # as it was when the model was loaded, or could not be
        self._again = 0.0
        self._current = self._load()

    @property
    def number(self) -> int:
        return self._current.number

    @property
    def loaded(self) -> str:
        return self._current.loaded

    @property
    def away(self) -> bool:
        """Whether nothing is served until what is current can be loaded."""
        with self._lock:
            self._look()
            return self._current.dropped

    @contextmanager
    def taken(self) -> Iterator[Served]:
        """What is current now, which stays loaded until it is given back. Raises AwayError where there is nothing."""
        with self._lock:
            self._look()
            served = self._current
            if served.dropped:
                raise AwayError(served.number)
            served.users += 1
        try:
            yield served
        finally:
            self._give_back(served)

    def _give_back(self, served: Served) -> None:
        with self._lock:
            served.users -= 1
            if served.dropped and not served.users:
                served.retire()

    def refresh(self) -> bool:
        """Load what was published since, and whether there was anything; meanwhile the one before goes on.

        Raises EdgesleepError where it cannot be served; that is tried again after `PAUSE`, or when something else is
        current.
        """
        pointer = self._pointer()
        if pointer == self._seen or (pointer == self._failed and time.monotonic() < self._again):
            return False
        with self._lock:
            self._look()  # before the newer is loaded: both may not have room
        try:
            new = self._load()
        except BaseException:
            self._failed, self._again = pointer, time.monotonic() + PAUSE
            raise
        with self._lock:
            old, self._current, self._seen = self._current, new, pointer
            self._drop(old)
        return True

    def close(self) -> None:
        self._current.retire()
        self._current.join(5)

    def _look(self) -> None:
        """Drop what is current where its folder is gone; under the lock."""
        number = self._current.number
        if number and not self._store.folder(number).exists():
            self._drop(self._current)

    def _drop(self, served: Served) -> None:
        served.dropped = True
        if not served.users:
            served.retire()

    def _load(self) -> Served:
        number = self._store.current()
        served = Served(self._store.model_path(number), number, self._settings)
        self.base = self._store.base().spec
        return served

    def _pointer(self) -> Any:
        """What changes with the model that is served."""
        files = (self._store.home / name for name in ("current", "base.json"))
        return tuple((stat.st_mtime_ns, stat.st_ino) if (stat := _stat(path)) else None for path in files)


def _stat(path: Path) -> Any:
    return path.stat() if path.exists() else None
