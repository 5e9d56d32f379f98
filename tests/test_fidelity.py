"""The account of bench/merge.py on small tensors: what it says of changes that are known."""

from __future__ import annotations

import merge
import numpy as np
import pytest
from merge import WAYS, left

from edgesleep import kernel
from edgesleep.kernel import Bytes, Delta, Floats, Quantized

pytestmark = pytest.mark.usefixtures("one_thread")


def pair(type: str) -> tuple[Quantized, Delta]:
    values = np.random.default_rng(1).normal(0, 0.1, (128, 512)).astype(np.float32)
    return Quantized(type, 128, 512, merge.quantized(values, type), 5), merge.drawn(128, 512, 0)


@pytest.mark.parametrize("type", merge.GRIDS)
def test_only_what_was_trained_through_is_what_training_saw(type: str) -> None:
    found = {way: left(round_in, [pair(type), pair(type)]) for way, round_in in WAYS.items()}
    through, anew, after = found["trained through"], found["requantized"], found["random after"]
    assert through.off_training == 0 < min(anew.off_training, after.off_training)
    # Both are without bias, but for the ends of the grid; the noise of two bits is the most.
    assert all(0.6 < one.arrives < 1.3 for one in (through, after))
    assert through.arrives != after.arrives  # another dither
    assert type == "Q8_0" or anew.arrives < 0.5 * through.arrives  # steps of eight bits are as small as the delta


def test_shares_are_what_they_say() -> None:
    w, delta = pair("Q8_0")
    half = Delta(delta.a, delta.b / 2, delta.scale)

    def nothing(w: Quantized, delta: Delta) -> tuple[Bytes, Floats]:
        return w.data, kernel.dequantize(w) + merge.dense(delta)

    def halved(w: Quantized, _delta: Delta) -> tuple[Bytes, Floats]:
        return kernel.merge(w, half)[0], kernel.effective(w, half)

    lost = left(nothing, [(w, delta)])
    assert (lost.arrives, lost.correlation, lost.changed) == (0, 0, 0)
    assert lost.off_training == pytest.approx(1, rel=1e-3)
    assert left(halved, [(w, delta)]).arrives == pytest.approx(0.5, abs=0.05)
    assert np.sqrt(np.mean(merge.dense(delta) ** 2)) == pytest.approx(merge.RMS, rel=1e-5)
