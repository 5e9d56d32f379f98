"""Every figure of the README stands in the result of a bench named beside it, and results are as they were kept.

A figure is what is written in digits, outside of code, commands and names. Its file is the one named in its row of a
table or in its paragraph, else the one in the paragraph before the table or the printed lines. It counts as found where
any number of the file rounds to it, so that this finds figures that nobody measured and such as have become stale, but
not one that stands for the wrong thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import keep
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = sorted(keep.RESULTS.glob("*"))

# Settings, what is needed, what a bench was told to do: figures that are chosen and not measured.
CHOSEN = (
    "Python (3.10 or newer)",
    "a model of 98 MB",
    "1,024 tokens",
    "kept in 32 bits",
    "products in 8 bits",
    "(20 GB)",
    "(22:00 to 07:00",
    "20 idle minutes",
)
# Named in the README and not yet measured by `make bench`: docs/LOG.md says where their figures are from.
TO_MEASURE = {"peers", "preempt"}

FIGURE = re.compile(r"(?<![\w/.,:-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?=s?(?!\w))")
NAMED = re.compile(r"\bbench/results/([\w-]+)\.txt")

Read = Callable[[str], str]


def figures(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each figure of a page, and the names of the results that it may stand in."""
    lead: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").splitlines()
        printed = all(line.startswith("    ") for line in lines)
        if not printed and not block.startswith("|"):
            lines = [" ".join(line.strip() for line in lines)]
            lead = NAMED.findall(block)
        for line in lines:
            named = NAMED.findall(line) or lead
            yield from ((figure, named) for figure in FIGURE.findall(plain(line, printed)))


def plain(line: str, printed: bool) -> str:
    """Without code, commands, addresses and what is chosen."""
    if printed and re.match(r" {4}(?:\$ |make |edgesleep )", line):
        return ""
    for phrase in CHOSEN:
        line = line.replace(phrase, "")
    return re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def unproven(text: str, read: Read) -> list[str]:
    """The figures that no result shows."""
    return [
        f"{figure}: {'not in ' + ', '.join(names) if names else 'no result is named beside it'}"
        for figure, names in figures(text)
        if not {*names} & TO_MEASURE and not any(stands(figure, read(name)) for name in names)
    ]


def stands(figure: str, result: str) -> bool:
    """Whether a number of the result rounds to the figure; the sign counts where the figure has one."""
    wanted, digits = keep.value(figure), len(figure.partition(".")[2])
    near = 0.5 * 10**-digits * (1 + 1e-9)
    found = (keep.value(number) for number in keep.NUMBER.findall(result))
    return any(abs((number if figure[0] in "+-" else abs(number)) - wanted) <= near for number in found)


def kept(name: str) -> str:
    path = keep.RESULTS / f"{name}.txt"
    assert path.exists(), f"README.md names {name}.txt: run `make bench NAME={name}`"
    return path.read_text("utf-8")


def test_every_figure_of_the_readme_was_measured() -> None:
    assert unproven(README, kept) == []


def test_what_is_said_of_the_figures_holds() -> None:
    assert [phrase for phrase in CHOSEN if phrase not in re.sub(r"\s+", " ", README)] == []
    assert {*NAMED.findall(README)} <= {*keep.BENCHES}
    assert {name for name in TO_MEASURE if (keep.RESULTS / f"{name}.txt").exists()} == set(), "these are measured now"
    assert {*NAMED.findall(README)} >= TO_MEASURE


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_is_of_a_bench_as_it_is_and_of_a_commit(path: Path) -> None:
    assert path.suffix == ".txt" and path.stem in keep.BENCHES
    head = dict(line.split(maxsplit=1) for line in path.read_text("utf-8").partition("\n\n")[0].splitlines())
    bench = keep.BENCHES[path.stem]
    command = re.sub(r"build/bench/\S+", "{home}", head["command"])
    assert command == "; ".join(f"python {command}" for command in bench.commands), "measure it again"
    assert head["seeds"] == bench.seeds and head["runs"].startswith(f"{bench.repeats},")
    assert re.fullmatch(r"[0-9a-f]{7,}", head["commit"]), "measure it on a clean checkout"


PAGE = """\
It was quick on AVX-512 (Q4_1, `--seeds 9`; bench/results/fast.txt), 12 times in 690.4s:

    $ edgesleep diff 3 4
    Loss: +0.023, {loss}

| | speed |
|---|---|
| ours | 1,084 |
| theirs | {theirs} | `bench/results/slow.txt` |

## Later

A model of {size} MB.
"""
SHOWN = {"fast": "12 runs of 690.38 s\ntokens 1084.3\nloss +0.0231, -0.5\n", "slow": "speed 301.6 a second\n"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"loss": "+0.5"}, ["+0.5: not in fast"]),  # the sign counts
        ({"theirs": "303"}, ["303: not in slow"]),
        ({"theirs": "690"}, ["690: not in slow"]),  # of another row's file
        ({"size": "98"}, ["98: no result is named beside it"]),
    ],
)
def test_a_figure_that_was_not_measured_is_found(changes: dict[str, str], found: list[str]) -> None:
    page = PAGE.format(**{"loss": "-0.50", "theirs": "302", "size": "some", **changes})
    assert [figure for figure, _ in figures(page)][:4] == ["12", "690.4", "+0.023", changes.get("loss", "-0.50")]
    assert unproven(page, SHOWN.__getitem__) == found
