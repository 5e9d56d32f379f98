"""A real night under a real daemon: it begins, is held and ended in mid-training, goes on from there, and is served."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from grown import Bases
from nights import tell

from edgesleep.daemon import control, log
from edgesleep.journal import Journal
from edgesleep.records import NightReport, Training, file_digest, load
from edgesleep.store import Store

DAY = ("I live in Skelwick.", "I'm allergic to tamarind.", "I play the zither.")
CONFIG = """
[daemon]
hours = "00:00-24:00"
hold = 0.05
[night]
passes = {passes}
threads = 1
minutes = 60.0
[dream]
views = 10
probes = 1
anchors = 12
anchor_tokens = 16
[train]
lessons_per_step = 2
anchors_per_step = 2
checkpoint_every = {every}
{train}
[gate]
drift_budget = 2000.0
recall_gain = -1.0
recall_loss = 2.0
untold_loss = 2.0
knowledge_loss = 2.0
refusal_loss = 2.0
format_loss = 2.0
luck = 1.0
answer_tokens = 8
turn_tokens = 8
"""  # a gate that is wide open: what is tested is the way there
CHECKPOINT = 4  # steps
PATIENCE = 1500.0  # seconds


@contextmanager
def served(home: Path, base: Path, config: str) -> Iterator[None]:
    """A home with a day in it, and its daemon, as a service would run it."""
    Store.open(home).adopt_base(base, "base")
    tell(home, *DAY)
    (home / "config.toml").write_text(config)
    see(home, idle=5.0)
    words = ["--home", str(home), "daemon", "run", "--sensors", str(home / "sensors.json")]
    with subprocess.Popen([sys.executable, "-m", "edgesleep", *words], stdin=subprocess.DEVNULL) as process:
        until(lambda: control.answers(home))
        try:
            yield
        finally:
            process.terminate()


def see(home: Path, idle: float) -> None:
    path = home / "sensors.json"
    path.with_suffix(".new").write_text(json.dumps({"idle": idle, "mains": True, "charge": 90.0}))
    path.with_suffix(".new").replace(path)


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
    return found


def printed(home: Path) -> list[int]:
    """The training steps that the present night has told of."""
    text = (home / log.FOLDER / log.PRINTED).read_text("utf-8", "replace")
    return [int(step) for step in re.findall(r"^  (\d+)/\d+ steps", text, re.MULTILINE)]


def phase(home: Path) -> str:
    return str(control.ask(home, do="status")["phase"])


def last(home: Path) -> str | None:
    told = control.ask(home, do="status")["last_night"]
    return told["outcome"] if told else None


def night(home: Path) -> None:
    """Begun, held and ended in mid-training, gone on with from its checkpoint, and served."""
    assert phase(home) == "none"
    see(home, idle=90_000.0)
    control.ask(home, do="resume")  # or it would look once a minute
    night = psutil.Process(until(lambda: control.ask(home, do="status")["night"]))
    until(lambda: printed(home) or last(home) == "failed")
    assert last(home) is None, (home / log.FOLDER / log.PRINTED).read_text()

    family = [night, *night.children(recursive=True)]
    came_back = time.monotonic()
    see(home, idle=0.0)
    until(lambda: all(one.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE) for one in family))
    at = printed(home)[-1]
    print(f"held after {time.monotonic() - came_back:.2f} s, at step {at}")

    assert until(lambda: last(home)) == "unfinished"  # whoever came back stayed
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))
    with Journal.open(home) as journal:
        assert journal.open_night() == 1
    assert [*home.glob("nights/0001/checkpoint-*")]

    see(home, idle=90_000.0)
    control.ask(home, do="resume")
    until(lambda: last(home) not in (None, "unfinished"))
    assert last(home) == "promoted", (home / log.FOLDER / log.PRINTED).read_text()
    training = load(Training, home / "nights" / "0001" / "training.json")
    assert training.history[0].step > at - CHECKPOINT  # it did not begin anew
    store = Store(home)
    assert store.current() == 1 and file_digest(store.model_path()) == store.generation(1).model_sha256
    assert load(NightReport, home / "nights" / "0001" / "night.json").status == "promoted"
    events = [line["event"] for line in log.lines(home)]
    assert [event for event in events if event in ("begin", "hold", "kill", "night ended")] == [
        *("begin", "hold", "kill", "night ended", "begin", "night ended")
    ]


def test_a_night_on_a_tiny_model_is_held_goes_on_and_is_served(home: Path, bases: Bases) -> None:
    with served(home, bases.first, CONFIG.format(passes=6, every=CHECKPOINT, train="rank = 4")):
        night(home)


@pytest.mark.slow
def test_a_night_on_a_small_model_is_held_goes_on_and_is_served(home: Path, smollm2: Path) -> None:
    with served(home, smollm2, CONFIG.format(passes=1, every=CHECKPOINT, train="")):
        night(home)
