"""Paired tests: whether two models differ by more than noise on the same questions or the same tokens.

Owns the statistics. Leaves what is asked, and how much may be lost, to `gate`. Must stay true: nothing is assumed of
how differences are spread but that, without a real change, each is as likely the other way round; wordings of one
memory, or neighbouring tokens, are not taken for independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

BLOCKS = 64  # of consecutive tokens, whose means are taken for independent


def chance(differences: Sequence[int]) -> float:
    """How likely a sum as high as theirs is, if each were as likely to have the other sign: exact, one-sided.

    For differences of one this is the sign test, and McNemar's for right and wrong answers.
    """
    spread = np.ones(1)  # of the sum, from its least to its highest value
    for size in (abs(difference) for difference in differences if difference):
        spread = np.convolve(spread, [0.5, *[0.0] * (2 * size - 1), 0.5])
    total = sum(map(abs, differences))
    return min(1.0, float(spread[total + sum(differences) :].sum()))


def mean_error(differences: NDArray[np.floating]) -> float:
    """Standard error of the mean of one text's token differences, from the means of its blocks."""
    means = np.array([block.mean() for block in np.array_split(differences, min(BLOCKS, len(differences)))])
    return float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else 0.0


def mean_bound(differences: NDArray[np.floating], error: float) -> float:
    """What the mean is below, but for a chance of `error`."""
    return float(differences.mean()) + _deviations(error) * mean_error(differences)


def median_bound(differences: NDArray[np.floating], error: float) -> float:
    """What the median is below, but for a chance of `error`: beyond it lie so few that the blocks do not explain it."""
    beyond = (differences > np.median(differences)).astype(float)
    return float(np.quantile(differences, min(1.0, 0.5 + _deviations(error) * mean_error(beyond))))


def _deviations(error: float) -> float:
    return NormalDist().inv_cdf(1 - min(error, 0.5))
