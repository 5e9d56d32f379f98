"""How soon a night is gone when someone comes back: a real night under the daemon, again and again.

    python bench/preempt.py [--times 200] [--model smollm2-135m]

Owns measuring. Leaves the daemon and the night to `edgesleep daemon run`, whose sensors are a file here. A time is from
the moment before that file says that someone is here until no process of the night runs any more, as the system tells.
The moments are spread over whatever the night does: reading, writing texts, asking, training.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil

from edgesleep import catalog, machine
from edgesleep.daemon import control
from edgesleep.entries import Entry
from edgesleep.journal import Journal
from edgesleep.store import Store

DAY = ("I live in Skelwick.", "I'm allergic to tamarind.", "I play the zither.", "My sister is called Ottilie.")
CONFIG = """
[daemon]
hours = "00:00-24:00"
idle_again = 0.0
hold = 60.0
[night]
minutes = 60.0
passes = 100
"""
GONE, HERE = '{"idle": 90000, "mains": true}', '{"idle": 0, "mains": true}'
STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--model", default="smollm2-135m")
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        home = prepared(Path(folder) / "home", options.model)
        with started(home) as night:
            took, stages = measured(home, night, options.times)
    ordered = sorted(took)
    p99 = ordered[max(0, round(0.99 * len(ordered)) - 1)]
    print(f"{len(took)} times: median {statistics.median(took):.3f} s, p99 {p99:.3f} s, most {ordered[-1]:.3f} s")
    print(f"in the stages {dict(stages)}")


def prepared(home: Path, model: str) -> Path:
    Store.open(home).adopt_base(catalog.resolve(model, print), model)
    with Journal.open(home) as journal:
        journal.log_many(Entry("user", text) for text in DAY)
    (home / "config.toml").write_text(CONFIG)
    see(home, GONE)
    return home


def see(home: Path, reading: str) -> None:
    path = home / "sensors.json"
    path.with_suffix(".new").write_text(reading)
    path.with_suffix(".new").replace(path)


@contextmanager
def started(home: Path) -> Iterator[psutil.Process]:
    """The process of the night that a daemon has begun."""
    words = ["--home", str(home), "daemon", "run", "--sensors", str(home / "sensors.json")]
    with subprocess.Popen([sys.executable, "-m", "edgesleep", *words]) as daemon:
        try:
            while not control.answers(home) or not (night := control.ask(home, do="status")["night"]):
                time.sleep(0.1)
            yield psutil.Process(night)
        finally:
            daemon.terminate()


def measured(home: Path, night: psutil.Process, times: int) -> tuple[list[float], Counter[str]]:
    took, stages, random = [], Counter[str](), Random(0)
    for _ in range(times):
        time.sleep(random.uniform(0.5, 2.5))
        family = [night, *night.children(recursive=True)]
        stages[stage(home)] += 1
        began = time.perf_counter()
        see(home, HERE)
        while any(one.status() not in STILL for one in family):
            time.sleep(0.001)
        took.append(time.perf_counter() - began)
        see(home, GONE)
        while control.ask(home, do="status")["phase"] != "running":
            time.sleep(0.1)
    return took, stages


def stage(home: Path) -> str:
    """What the night printed last that it is at."""
    lines = (home / "daemon" / "night.txt").read_text("utf-8", "replace").splitlines()
    begun = [line.partition(" ...")[0] for line in lines if line.endswith(" ...")]
    return begun[-1] if begun else "Reading"


if __name__ == "__main__":
    main()
