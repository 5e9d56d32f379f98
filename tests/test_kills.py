"""Nights that are killed at random: a few here, two hundred with `python tests/kills.py 200`."""

from __future__ import annotations

from pathlib import Path

import kills
from nights import needs_fork


@needs_fork
def test_whenever_a_night_is_killed_nothing_is_lost_and_the_next_one_completes(tmp_path: Path) -> None:
    found = kills.run(6, 1, tmp_path)
    assert found["kills"] == 6 and found["nights"] > 0
    assert sum(found["at"].values()) == 6
