"""What is more than noise: exact against counting every case, and bounds that hold as often as they say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from edgesleep.night import paired


@pytest.mark.parametrize("differences", [[1], [1, 1, -1], [3, 0, -1, 2], [2, 2, 2, -1, 0], [-1, -2], [3, 3, 3]])
def test_the_chance_is_the_share_of_all_ways_to_sign_the_differences(differences: list[int]) -> None:
    signs = itertools.product((1, -1), repeat=len(differences))
    ways = [sum(s * d for s, d in zip(some, differences, strict=True)) for some in signs]
    assert paired.chance(differences) == pytest.approx(sum(w >= sum(differences) for w in ways) / len(ways))


def test_for_right_and_wrong_it_is_the_sign_test() -> None:
    tail = sum(math.comb(12, k) for k in range(9, 13)) / 2**12
    assert paired.chance([1] * 9 + [-1] * 3 + [0] * 20) == pytest.approx(tail)


def test_without_a_difference_there_is_nothing_to_tell() -> None:
    assert paired.chance([]) == paired.chance([0, 0]) == 1.0


def test_many_memories_take_no_time_and_no_rounding_makes_it_more_than_certain() -> None:
    assert paired.chance([-3] * 300) == 1.0
    assert 0 < paired.chance([3] * 300) < 1e-80


@pytest.mark.parametrize("bound", [paired.mean_bound, paired.median_bound])
def test_a_bound_holds_but_for_its_error_rate(bound) -> None:
    random = np.random.default_rng(0)
    missed = sum(bound(random.normal(0.0, 1.0, 1000), 0.1) < 0.0 for _ in range(600))
    assert missed / 600 == pytest.approx(0.1, abs=0.04)


def test_neighbouring_tokens_that_rise_together_widen_the_bound() -> None:
    random = np.random.default_rng(0)
    alone = random.normal(0.0, 1.0, 64 * 50)
    together = np.repeat(random.normal(0.0, 1.0, 64 * 10), 5)
    assert paired.mean_error(together) > 1.7 * paired.mean_error(alone)
    assert paired.median_bound(together, 0.05) > 1.7 * paired.median_bound(alone, 0.05)


def test_one_rise_for_all_leaves_nothing_to_chance() -> None:
    rises = np.full(500, 0.25)
    assert paired.mean_bound(rises, 0.05) == paired.median_bound(rises, 0.05) == 0.25
    assert paired.mean_bound(rises[:1], 0.05) == 0.25
