"""The worked example of the documentation: its numbers are the kernel's, and the page is not stale."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def maker() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_example.py"))


def test_the_page_has_what_the_kernel_computes(maker: dict[str, Any]) -> None:
    assert maker["page"]() == (DOCS / "how-it-works.md").read_text("utf-8"), "run `make docs`"


def test_the_dither_of_the_page_explains_every_code(maker: dict[str, Any]) -> None:
    found = maker["example"]()
    rows = zip(maker["CODES"], maker["WANTED"], found.dither, found.codes, strict=True)
    for code, wanted, dither, new in rows:
        assert 0 < dither < 1 and min(code + math.floor(wanted / maker["STEP"] + dither), 15) == new


def test_the_example_shows_what_the_page_says_of_it(maker: dict[str, Any]) -> None:
    found, codes, wanted, step = maker["example"](), maker["CODES"], maker["WANTED"], maker["STEP"]
    small = [n for n, change in enumerate(wanted) if abs(change) < step / 2]
    assert all(found.nearest[n] == codes[n] for n in small), "small wishes are lost by rounding to the nearest"
    moved = [n for n in small if found.codes[n] != codes[n]]
    assert moved and len(moved) < len(small), "some move, others stay"
    assert codes[-1] == found.codes[-1] == 15 and found.mean[-1] == 0, "the end of the grid"
    spread = 5 * step / 2 / math.sqrt(maker["MANY"])  # five standard errors of a share, in steps
    assert all(abs(mean - change) < spread for mean, change in zip(found.mean[:-1], wanted[:-1], strict=True))
