"""NVIDIA: how busy its graphics processors are, asked of the driver through NVIDIA's own library.

Owns asking it, where the extra `nvidia` is installed. Leaves cards that say it in a file to `linux`, and what it means
to `policy`. Must stay true: where the system tells which cards sleep, as Linux does, none of those is woken to be
asked, and none is kept from sleeping afterwards; without the library, the driver or a card that tells, it is unknown.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from edgesleep.daemon.aside import Aside, sleeps

HOLDS = 600.0  # seconds: where no program uses a card, only to begin asking may take the driver a second
CARDS = Path("/sys/bus/pci/drivers/nvidia")


class Nvidia:
    """The cards of this machine. What keeps one busy while nobody is here lasts, so they are asked now and then."""

    def __init__(self) -> None:
        self._load = Aside(load, HOLDS)

    def load(self) -> float | None:
        """Percent, of the busiest card; None where nobody tells."""
        name: str = sys.platform
        if name == "darwin":
            return None
        if name == "linux":
            if not any(CARDS.glob("*:*")):
                return None
            if not _awake():
                return 0.0
        return self._load.told()


def load() -> float | None:
    """The same, asked of the library, as long as that takes. Raises what it does where there is no driver."""
    with suppress(ImportError):
        import pynvml

        pynvml.nvmlInit()
        try:
            told = []
            name: str = sys.platform
            if name == "linux":  # as NVIDIA documents it, this wakes the card of that address only
                finds = [partial(pynvml.nvmlDeviceGetHandleByPciBusId, address) for address in _awake()]
            else:
                count = pynvml.nvmlDeviceGetCount()
                finds = [partial(pynvml.nvmlDeviceGetHandleByIndex, number) for number in range(count)]
            for find in finds:
                with suppress(pynvml.NVMLError):  # one that is shared out in parts, for instance, does not tell
                    told.append(float(pynvml.nvmlDeviceGetUtilizationRates(find()).gpu))
            return max(told, default=None)
        finally:
            pynvml.nvmlShutdown()  # whoever keeps it open keeps the card awake
    return None


def _awake() -> list[str]:
    """PCI addresses of the cards that do not sleep."""
    return [card.name for card in CARDS.glob("*:*") if not sleeps(card)]
