"""What a host app may call: `import edgesleep`.

Owns the names, the types and the promises of that API. Leaves all work to the modules of the same purpose: `journal`,
`day.recall`, `night.cycle`, `store`. Must stay true: nothing here needs the command line; importing this loads neither
torch, llama.cpp nor ONNX, and calling loads only what the call needs; a night asked for here does what `edgesleep
run-night` does, an unfinished forgetting first; the host's signals, umask and priority are left alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgesleep import config, entries
from edgesleep import journal as journals
from edgesleep import store as stores
from edgesleep.day import logbook
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished
from edgesleep.records import NightReport, PassScore, StepReport, Turn

if TYPE_CHECKING:
    from edgesleep.config import Settings
    from edgesleep.day.recall import Recall, Recalled
    from edgesleep.night.forget import Done

LOOK_EVERY = 1.0  # seconds between two looks at which generation is current

_log = logging.getLogger("edgesleep")


def _home(home: Path | str | None) -> Path:
    return (Path(home) if home else config.default_home()).expanduser().absolute()


# -- the day -------------------------------------------------------------------------------------------------------


class Journal:
    """The journal of a home: everything that was said, and by whom.

    `home` is a folder, without it EDGESLEEP_HOME, or else ~/.edgesleep. May be used by any number of threads and
    processes at once: each thread has a connection of its own, opened by its first call and closed when it ends or
    calls `close`.
    """

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = _home(home)
        self._threads = threading.local()

    def log(
        self, role: str, content: str, *, source: str | None = None, session: str = "default", at: str | None = None
    ) -> Turn:
        """Write one message; it is on the disk when this returns, and returned as it was stored.

        `role` is system, user, assistant or tool; `source` says who is behind the words: user, assistant, tool, web or
        import, and follows from the role where it is left out. Only what a user said (role and source user) is ever
        learned: give what you pasted or fetched for them another source. `content` has at most 1 MiB in UTF-8; keys
        and card numbers are taken out before the write. `at` is ISO 8601, UTC where it has no zone; without it it is
        now. Takes about as long as one fsync. While its owner has switched that off (`edgesleep log off`) nothing is
        written, and what is returned has the id 0. Raises EdgesleepError for what cannot be a message, and where the
        journal cannot be written.
        """
        if not logbook.is_on(self.home):
            return entries.checked(entries.Entry(role, content, source, session, at))
        return self._open().log(role, content, source=source, session=session, at=at)

    def close(self) -> None:
        """Close the connection of this thread; another call opens one again."""
        if opened := getattr(self._threads, "opened", None):
            opened.close()
            del self._threads.opened

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> journals.Journal:
        opened: journals.Journal | None = getattr(self._threads, "opened", None)
        if opened is None:
            opened = self._threads.opened = journals.Journal.open(self.home)
        return opened


class Memory:
    """What the user said before, until the weights know it.

    May be used by any number of threads: each has an index of its own in memory, made from the journal by its first
    call and kept up with it by the others. With `weights` off, whoever is asked is not the model that learns here, and
    what that one knows is recalled as well, and no secret that its user approved.
    """

    def __init__(self, home: Path | str | None = None, *, weights: bool = True) -> None:
        self.home, self.weights = _home(home), weights
        self._journal = Journal(self.home)
        self._threads = threading.local()

    def recall(self, question: str, *, beside: Iterable[str] = ()) -> list[Recalled]:
        """What the user said that bears on a question, the earliest first.

        At most `recall.items` (4) texts of `recall.length` (600) characters together, each with its time and the
        memory or message that it is from. Never what was forgotten, replaced or withheld as a secret, what the model
        knows by now, or what one of the texts `beside` the question says already, as those of the same chat. Empty
        where nothing bears on it, and while a forgetting is unfinished. Raises EdgesleepError where the journal cannot
        be read.
        """
        if unfinished(self.home):
            return []
        return self._recall().find(self._journal._open(), question, beside)

    def prompt(self, question: str, *, beside: Iterable[str] = ()) -> str:
        """The question with what `recall` finds before it, as the user's message to any model; raises what it does."""
        from edgesleep.day.recall import prefaced

        return prefaced(question, self.recall(question, beside=beside))

    def close(self) -> None:
        """Close what this thread has open; another call opens it again."""
        self._journal.close()
        self._threads = threading.local()

    def _recall(self) -> Recall:
        from edgesleep.day.recall import Recall

        made: Recall | None = getattr(self._threads, "made", None)
        if made is None:
            made = self._threads.made = Recall(config.load(self.home).recall, weights=self.weights)
        return made


# -- the night -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a night is.

    `stage` is anchors, dreams, baseline, train, merge or gate. While it trains, `step` is the last step that was taken
    (losses in nats per token, seconds since training began), and `score` what the merged file knew after the last pass
    (shares of held-out wordings, from 0 to 1); else None.
    """

    stage: str
    step: StepReport | None = None
    score: PassScore | None = None


class Night:
    """The nights of a home, in which its model learns what the day told."""

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = _home(home)

    def run(
        self,
        progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> NightReport:
        """Learn what the day told, or go on with a night that was interrupted; returns how it ended.

        Blocks for as long as `night.minutes` says (15 by default), in the calling thread and on all fast cores: give it
        a thread of its own. `progress` is called from that thread, at every stage, training step and look between two
        passes. `should_stop` is asked between steps, a second apart at most on a small model: once it is true the night
        ends as "interrupted" where the next one goes on. `settings` are laid over config.toml, {"night": {"minutes":
        10}}. With `force` a night with nothing new rehearses what is known. `status` of the report is promoted,
        rejected by the gate, skipped as there is nothing new, or interrupted.

        Raises BusyError while another night or change is under way, and EdgesleepError where no model was chosen, a
        setting is wrong, or the night cannot go on; what is served stays as it is in all these cases. Where a
        forgetting is unfinished it is done first, and EdgesleepError also says where that is not proven yet.
        """
        from edgesleep.night import cycle

        store = stores.Store.open(self.home)
        store.base()  # says what to do where there is none
        chosen = config.load(self.home, dict(settings) if settings else None)
        forgotten = self._forgotten(store, chosen)
        report = cycle.run_night(self.home, chosen, _watch(progress, should_stop), force=force)
        return self._judged(store, chosen, forgotten, report) if forgotten else report

    def _forgotten(self, store: stores.Store, settings: Settings) -> Done | None:
        """Have the night begin without what is to be forgotten; what came of it, if a forgetting was unfinished."""
        from edgesleep.night import forget

        if not unfinished(self.home):
            return None
        with store.lock():
            return forget.complete(store, settings, _log.info) if unfinished(self.home) else None

    def _judged(self, store: stores.Store, settings: Settings, done: Done, night: NightReport) -> NightReport:
        """The night, which is taken back where its model knows what was forgotten. Raises where a proof failed."""
        from edgesleep.night import forget

        report = done.report
        if report.is_proven and report.waiting:
            report = forget.judged(self.home, settings, done, night, _log.info)
        if failed := next((proof for proof in report.proofs if not proof.ok), None):
            raise EdgesleepError(f"What was to be forgotten: {failed.found}.", failed.hint)
        if report.relearned and report.relearned.status != night.status:
            number = store.current()
            night = replace(night, status=report.relearned.status, reason=report.relearned.reason)
            night = replace(night, generation=number, model=str(store.model_path(number)))
        return night


def _watch(progress: Callable[[Progress], None] | None, should_stop: Callable[[], bool] | None) -> Any:
    from edgesleep.night.stages import Watch

    now = Progress("")

    def tell(**changes: Any) -> None:
        nonlocal now
        now = Progress(**changes) if "stage" in changes else replace(now, **changes)
        if progress:
            progress(now)

    return Watch(
        stage=lambda name: tell(stage=name),
        step=lambda report: tell(step=report),
        should_stop=should_stop or (lambda: False),
        passed=lambda score: tell(score=score),
    )


# -- what is served ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """The generation that is served.

    `number` is 0 for the base, which was taught nothing. `model` is its GGUF: open it at once, as it may be removed
    after the night after next; an open file stays whole. `created` is ISO 8601, and `night` the number of the night
    that made it; of the base both are None. Any but the base tells what it was taught to anyone who asks: it is private
    data.
    """

    number: int
    model: Path
    night: int | None = None
    created: str | None = None


class Store:
    """The generations of a home's model."""

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = _home(home)

    def current(self) -> Served:
        """The generation that is served now. Takes a few small reads.

        Raises EdgesleepError where no model was chosen (`edgesleep init`), or its file is gone.
        """
        store = stores.Store(self.home)
        number = store.current()
        if number == 0:
            return Served(0, store.model_path(0))
        made = store.generation(number)
        return Served(number, store.model_path(number), made.night, made.created)


class Watching:
    """A thread that looks which generation is served; made by `on_new_generation`, ended by `stop` or `with`."""

    def __init__(self, home: Path, callback: Callable[[Served], None], every: float) -> None:
        self._store, self._callback, self._every = Store(home), callback, every
        self._seen = stores.Store(home).current()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgesleep generations", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; once this returns, the callback is not called any more. Within the callback it only asks to."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Watching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._look()
            except Exception:  # whatever a callback raises; the next generation is to be told all the same
                _log.exception("What a new generation was told to has failed.")

    def _look(self) -> None:
        try:
            served = self._store.current()
        except (EdgesleepError, OSError):  # as between two writes of a migration; the next look finds it whole
            return
        if served.number != self._seen:
            self._seen = served.number
            self._callback(served)


def on_new_generation(
    callback: Callable[[Served], None], *, home: Path | str | None = None, every: float = LOOK_EVERY
) -> Watching:
    """Have `callback` called whenever another generation is served: after a night, a rollback or a forgetting.

    It is called in a thread of its own, one call at a time, within about `every` seconds, with what is served then:
    of two changes within that time only the last is told. What it raises is logged ("edgesleep" of `logging`), and
    does not end it. Keep what is returned, and `stop` it. Raises EdgesleepError where the home's pointer is damaged.
    """
    return Watching(_home(home), callback, every)
