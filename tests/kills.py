"""Nights of a tiny model, killed at random moments by the hundred: `python tests/kills.py 200`.

Owns the killing and what has to hold after it: every check of `verify` passes, no message is lost, no leftovers pile
up, and the night that is then let through publishes the very model that one which nothing cut does. Each night is real,
in a process of its own, and may be killed several times; where that was twice at one place, the next is forced.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from curated import memories
from hollow import left, sound
from nights import DAY, SETTINGS, TEXT, Listener, make_home
from tiny import make_tiny

from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import agenda, gate
from edgesleep.night.artefacts import tidy_ended
from edgesleep.night.cycle import run_night
from edgesleep.night.succession import Day
from edgesleep.night.underway import forgive
from edgesleep.records import Memory, file_digest
from edgesleep.store import Store

AGAIN = 0.5  # chance that a night which was killed is killed once more before it is let through
ENDED, FORCED = 0, 7  # exit codes


def sleep(home: Path, told: tuple[Memory, ...], place: Any) -> None:
    """One night in a process of its own; `place` says how far it is."""
    gate.plain_text = lambda: TEXT
    agenda.curate = lambda turns, held, earlier: Day(told)

    def at(moment: str) -> None:
        place.value = moment.encode()

    at("begin")
    code = ENDED
    try:
        run_night(home, SETTINGS, Listener(at=at).watch)
    except EdgesleepError as error:
        if "without a word" not in error.message:
            raise
        code = FORCED
        run_night(home, SETTINGS, Listener(at=at).watch, force=True)
    os._exit(code)


class Nights:
    """Homes that all begin alike, and the night that nothing cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["kills", "edgesleep.night.cycle", "gguf"])
        self.base = make_tiny(folder / "tiny.gguf", "llama")
        self.pristine = self.base.read_bytes()
        self.fresh = make_home(folder / "fresh", self.base)
        with Journal.open(self.fresh) as journal:
            self.told = memories(journal.turns())
        whole = self.home("whole")
        child, _ = self.begin(whole)
        began = time.monotonic()
        child.join()
        assert child.exitcode == ENDED
        self.seconds = time.monotonic() - began
        self.sha256, self.files = file_digest(Store(whole).model_path()), files(whole)

    def home(self, name: str) -> Path:
        return Path(shutil.copytree(self.fresh, self.folder / name))

    def begin(self, home: Path) -> tuple[Any, Any]:
        place = self.context.Array("c", 40, lock=False)
        child = self.context.Process(target=sleep, args=(home, self.told, place))
        child.start()
        while child.is_alive() and not place.value:  # until all is imported
            time.sleep(0.001)
        return child, place

    def kill(self, home: Path, random: Random) -> str | None:
        """Kill a night at a random moment; where it was then, or None where it had ended before."""
        child, place = self.begin(home)
        child.join(random.uniform(0, 1.05 * self.seconds))
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        if child.exitcode != -signal.SIGKILL:
            assert child.exitcode in (ENDED, FORCED), child.exitcode
            return None
        sound(home, self.pristine, len(DAY))
        # The write that was cut, a generation that was half there, and the note of the lock.
        assert len(left(home)) <= 3, left(home)
        return str(place.value.decode())

    def finish(self, home: Path) -> int:
        """Let the night through, unless it was killed after its end; its exit code."""
        if ended(home):
            with Store(home).lock():  # as the next night does
                tidy_ended(home, None)
                forgive(home)
            code: int | None = ENDED
        else:
            child, _ = self.begin(home)
            child.join()
            code = child.exitcode
        assert code in (ENDED, FORCED), code
        sound(home, self.pristine, len(DAY))
        assert file_digest(Store(home).model_path()) == self.sha256
        assert [made.number for made in Store(home).generations()] == [1]
        assert files(home) == self.files
        return code


def ended(home: Path) -> bool:
    """Whether the night is over: killed after its end, there would be another."""
    with Journal.open(home) as journal:
        return bool(journal.nights())


def files(home: Path) -> set[str]:
    """What there is in a home, but for SQLite's log and the checkpoint's name of random letters."""
    return {str(path.relative_to(home)) for path in home.rglob("*") if not path.name.startswith("journal.db-")}


def run(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Kill `count` times, and let every night through afterwards; how often, and where."""
    nights, random = Nights(folder), Random(seed)
    killed, let, forced, places = 0, 0, 0, Counter[str]()
    while killed < count:
        home, again = nights.home(f"home-{let}"), True
        while again and killed < count:
            place = nights.kill(home, random)
            again = place is not None and random.random() < AGAIN and not ended(home)
            if place is not None:
                killed, places[place.partition(" ")[0]] = killed + 1, places[place.partition(" ")[0]] + 1
        forced += nights.finish(home) == FORCED
        let += 1
        shutil.rmtree(home)
        if let % 20 == 0:
            print(f"{killed} of {count} kills, {let} nights let through: {dict(places)}", file=sys.stderr, flush=True)
    return {"kills": killed, "nights": let, "forced": forced, "at": dict(places), "night_seconds": nights.seconds}


def main(count: int, seed: int = 0) -> None:
    """Kill, and print one line of JSON; an error ends it, and leaves the homes to be looked at."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    print(f"in {folder}", file=sys.stderr)
    print(json.dumps(run(count, seed, folder)))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
