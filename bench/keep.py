"""The benches whose numbers the documentation gives, and bench/results, where each leaves what it measured.

    python bench/keep.py [NAME ...] [--list]        or make bench, make bench NAME=steps

Owns which they are, with which arguments and seeds, how often each is repeated, and what stands above its output:
command, commit, date, machine. Leaves measuring to them. A result is bench/results/NAME.txt, with the medians first
where it was run more than once. A bench that fails or is interrupted leaves the older file as it is and does not stop
the others; the exit code is 1 then. One whose data (EDGESLEEP_DATA) or packages are missing is skipped: it says so
itself, on a first line "skipped: why". bench/audit.py is none of them: it prints what people said, for a person to
judge.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgesleep import kernel, machine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Bench:
    """`commands` are what follows `python`, one after the other; {home} in them is a folder for this bench and commit.

    `minutes` is about what all `repeats` take on two cores of an AMD EPYC with AVX-512. `progress` also keeps what is
    told on stderr.
    """

    commands: tuple[str, ...]
    minutes: float
    seeds: str
    repeats: int = 1
    data: bool = False
    progress: bool = False


# The quick ones first: whoever stops `make bench` has most of it.
BENCHES = {
    "month": Bench(("tests/month.py --seeds 0 1 2 --nights",), 0.2, "0 1 2"),
    "retrieve": Bench(("bench/retrieve.py",), 1, "none: nothing is drawn"),
    "merge": Bench(("bench/merge.py --seeds 0 1 2",), 0.3, "0 1 2"),
    "steps": Bench(("bench/steps.py smollm2-135m",), 1.5, "0", repeats=3),
    "stages": Bench(("bench/stages.py smollm2-135m",), 5, "0"),
    "serve": Bench(("bench/serve.py --streams 50 --seconds 60",), 4, "none: nothing is drawn"),
    "kernels": Bench(("bench/kernels.py --types Q4_0 Q4_1 Q5_0 Q8_0 Q4_K Q6_K",), 3, "0", repeats=3),
    "peers": Bench(("bench/peers.py smollm2-135m",), 8, "0", repeats=3),
    "newcomer": Bench(("bench/newcomer.py",), 20, "0"),
    "tests": Bench(("-m pytest -q",), 12, "those of the tests"),
    "preempt": Bench(("bench/preempt.py --times 40",), 15, "0", repeats=3),
    "imports": Bench(("bench/imports.py --megabytes 10 500",), 12, "0"),
    "demo": Bench(("examples/demo.py", "-m edgesleep --home demo-home report"), 18, "0", progress=True),
    "idle": Bench(("bench/idle.py --seconds 600",), 31, "none: nothing is drawn", repeats=3),
    "night": Bench(("bench/night.py --seeds 0 1 2",), 60, "0 1 2", data=True),
    "learn-lme": Bench(("bench/learn.py --sets lme-user --minutes 20 --seeds 0 1 2",), 90, "0 1 2", data=True),
    "thirty": Bench(("bench/thirty.py {home} --nights 30 --seed 0",), 180, "0", data=True),
    "learn": Bench(
        ("bench/learn.py --sets hand ability --nights 3 --minutes 20 --seeds 0 1 2",), 300, "0 1 2", data=True
    ),
}


class Skipped(Exception):
    """It cannot be measured here; the text says why."""


class Failed(Exception):
    """It ended with an error; the text says where."""


def commit() -> str:
    """The commit that is checked out, and whether more than results differs from it; empty outside a repository."""
    short, changes = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", ".", ":!bench/results"])
    )
    return f"{short}-changed" if short and changes else short


# -- running -----------------------------------------------------------------------------------------------------------


def keep(name: str, bench: Bench, folder: Path = RESULTS) -> Path:
    """Run it as often as it says and write its file. Raises Skipped and Failed, and then writes nothing."""
    data = os.environ.get("EDGESLEEP_DATA")
    if bench.data and not (data and Path(data).is_dir()):
        raise Skipped("EDGESLEEP_DATA names no folder with the development data")
    now, busy = commit(), load()
    home = ROOT / "build" / "bench" / f"{name}-{now or 'unknown'}"
    if not now or now.endswith("-changed"):  # what lies there may be of other code
        shutil.rmtree(home, ignore_errors=True)
    commands = [command.format(home=home.relative_to(ROOT)) for command in bench.commands]
    outputs, seconds = [], []
    for run in range(bench.repeats):
        print(f"-- {name}, run {run + 1} of {bench.repeats}", flush=True)
        began = time.monotonic()
        outputs.append(neutral("".join(output(command, bench) for command in commands)))
        seconds.append(time.monotonic() - began)
    head = {
        "command": "; ".join(f"python {command}" for command in commands),
        "runs": f"{bench.repeats}, of {', '.join(f'{each:.0f}' for each in seconds)} s",
        "seeds": bench.seeds,
        "commit": now or "not known: no repository",
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "machine": f"{described()}, kernel {kernel.name()}, load before it {busy}",
    }
    shutil.rmtree(home, ignore_errors=True)
    return write(folder / f"{name}.txt", page(head, outputs))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(text, "utf-8")
    return path.with_suffix(".new").replace(path)


def output(command: str, bench: Bench) -> str:
    """What it prints, shown meanwhile."""
    lines = [f"$ python {command}\n"] if len(bench.commands) > 1 else []
    stderr = subprocess.STDOUT if bench.progress else None
    words = [sys.executable, *shlex.split(command)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise Failed(f"python {command} ended with {process.returncode}")
    if lines and lines[0].startswith("skipped:"):
        raise Skipped(lines[0].removeprefix("skipped:").strip())
    return "".join(lines)


def neutral(text: str) -> str:
    """Without the places of this machine."""
    places = {os.environ.get("EDGESLEEP_DATA"): "DATA", str(ROOT): ".", str(Path.home()): "~"}
    for place, name in places.items():
        text = text.replace(place, name) if place else text
    return text


def described() -> str:
    own = machine.describe()
    return (
        f"{own['processor']}, {own['threads']} threads, {int(own['memory']) / 2**30:.0f} GiB, {own['system']}, "
        f"Python {own['python']}"
    )


def load() -> str:
    """How many processes wanted a processor in the last minute: whether the machine was quiet."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"


# -- the file ----------------------------------------------------------------------------------------------------------


def page(head: dict[str, str], outputs: Sequence[str]) -> str:
    parts = ["\n".join(f"{key:10}{value}" for key, value in head.items()) + "\n"]
    if len(outputs) > 1:
        parts.append(f"== median of {len(outputs)}, number by number, and in brackets from least to most\n")
        parts[-1] += "".join(f"{line}\n" for line in medians(outputs))
    parts += [f"== run {run}\n{text}" for run, text in enumerate(outputs, start=1)]
    return "\n".join(parts)


def medians(outputs: Sequence[str]) -> Iterable[str]:
    """The lines that all outputs have but for their numbers, with the medians of these; of an even count the lower."""
    first, *others = (forms(text) for text in outputs)
    for form, line in first.items():
        alike = [line, *(other[form] for other in others if form in other)]
        if len(alike) == len(outputs):
            yield median_line(alike)


def forms(text: str) -> dict[tuple[str, int], str]:
    """Lines by what they are without their numbers and spaces, and how many like them came before."""
    seen: defaultdict[str, int] = defaultdict(int)
    found = {}
    for line in text.splitlines():
        form = re.sub(r"\s+", " ", NUMBER.sub("#", line))
        found[form, seen[form]] = line
        seen[form] += 1
    return found


def median_line(alike: Sequence[str]) -> str:
    columns = [sorted(column, key=value) for column in zip(*map(NUMBER.findall, alike), strict=True)]
    texts = iter([column[(len(column) - 1) // 2] for column in columns])
    line = NUMBER.sub(lambda found: next(texts).rjust(len(found[0])), alike[0])
    spread = [f"{column[0]} to {column[-1]}" for column in columns if value(column[0]) != value(column[-1])]
    return f"{line}   [{', '.join(spread)}]" if spread else line


def value(number: str) -> float:
    return float(number.replace(",", ""))


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--list", action="store_true", help="only list them, with their commands and minutes")
    options = parser.parse_args(words)
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    chosen = {name: BENCHES[name] for name in options.names or BENCHES}
    if options.list:
        for name, bench in chosen.items():
            times = f", {bench.repeats} times" if bench.repeats > 1 else ""
            print(f"{name:11}{bench.minutes:6g} min  python {'; python '.join(bench.commands)}{times}")
        return 0
    became = {}
    for name, bench in chosen.items():
        print(f"== {name}, about {bench.minutes:g} minutes", flush=True)
        try:
            became[name] = f"in {keep(name, bench).relative_to(ROOT)}"
        except (Skipped, Failed) as why:
            became[name] = f"{type(why).__name__.lower()}: {why}"
    print()
    for name, what in became.items():
        print(f"{name:11}{what}")
    return int(any(what.startswith("failed") for what in became.values()))


if __name__ == "__main__":
    sys.exit(main())
