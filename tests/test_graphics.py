"""How busy graphics processors are: drivers' files and NVIDIA's library, as recorded and as they fail."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from edgesleep.daemon import aside, nvidia, sensors

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of cards in files")


@linux_only
@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ([], None),
        ([("active", "37")], 37.0),
        ([("active", "3"), ("active", "64")], 64.0),
        ([("suspended", "99")], 0.0),  # and is not asked, which could wake it
        ([("suspended", "99"), ("active", "8")], 8.0),
        ([("active", "")], None),
        ([("active", None)], None),
    ],
)
def test_a_card_that_says_it_in_a_file_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cards: list[tuple[str, str | None]], told: float | None
) -> None:
    from edgesleep.daemon import linux

    monkeypatch.setattr(linux, "DRM", tmp_path)
    for number, (state, busy) in enumerate(cards):
        device = tmp_path / f"card{number}" / "device"
        (device / "power").mkdir(parents=True)
        (device / "power" / "runtime_status").write_text(f"{state}\n")
        if busy is not None:
            (device / "gpu_busy_percent").write_text(f"{busy}\n")
    assert linux.Linux().gpu() == told


class Driver:
    """What NVIDIA's library is told by a driver: each card's load in percent, or by number the error that it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cards: Path) -> None:
        self.loads: list[int] = [0]
        self.errors: dict[int, int] = {}
        self.missing, self.begun, self.open = False, 0, 0
        self.hangs: Callable[[], Any] | None = None
        self.asked: list[int] = []
        handles = ("DeviceGetCount", "DeviceGetHandleByIndex", "DeviceGetHandleByPciBusId")
        for name in ("Init", "Shutdown", *handles, "DeviceGetUtilizationRates"):
            monkeypatch.setattr(pynvml, f"nvml{name}", getattr(self, name))
        monkeypatch.setattr(nvidia, "CARDS", cards)
        monkeypatch.setattr(sys, "platform", "linux")
        self.cards = cards

    def Init(self) -> None:
        self.begun += 1
        if self.hangs:
            self.hangs()
        if self.missing:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        self.open += 1

    def Shutdown(self) -> None:
        self.open -= 1

    def DeviceGetCount(self) -> int:
        return len(self.loads)

    def DeviceGetHandleByIndex(self, number: int) -> int:
        self.asked.append(number)  # which wakes it
        return number

    def DeviceGetHandleByPciBusId(self, address: str) -> int:
        return self.DeviceGetHandleByIndex(int(address.removeprefix("0000:0").removesuffix(":00.0")))

    def DeviceGetUtilizationRates(self, number: int) -> Any:
        if number in self.errors:
            raise pynvml.NVMLError(self.errors[number])
        return SimpleNamespace(gpu=self.loads[number], memory=0)

    def plug(self, *states: str) -> None:
        for number, state in enumerate(states):
            power = self.cards / f"0000:0{number}:00.0" / "power"
            power.mkdir(parents=True, exist_ok=True)
            (power / "runtime_status").write_text(f"{state}\n")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    monkeypatch.setattr(aside, "TIMEOUT", 60.0)  # a machine that does much else is slow
    made = Driver(monkeypatch, tmp_path / "nvidia")
    made.plug("active")
    return made


def test_the_busiest_card_counts_and_the_driver_is_let_go_of(driver: Driver) -> None:
    driver.plug("active", "active")
    driver.loads = [3, 86]
    assert nvidia.Nvidia().load() == 86.0
    assert (driver.begun, driver.open) == (1, 0)


def test_a_card_that_does_not_tell_is_left_out(driver: Driver) -> None:
    driver.plug("active", "active")
    driver.loads, driver.errors = [0, 41], {0: pynvml.NVML_ERROR_NOT_SUPPORTED}
    assert nvidia.load() == 41.0
    driver.errors[1] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert nvidia.load() is None and driver.open == 0


def test_cards_that_sleep_are_not_woken(driver: Driver) -> None:
    driver.plug("suspended", "suspended")
    assert nvidia.Nvidia().load() == 0.0 and driver.begun == 0
    driver.plug("suspended", "active")
    driver.loads = [99, 50]
    assert nvidia.Nvidia().load() == 50.0 and driver.asked == [1]


def test_where_no_system_says_which_cards_sleep_all_are_asked(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.plug("suspended")
    driver.loads = [20, 70]
    monkeypatch.setattr(sys, "platform", "win32")
    assert nvidia.Nvidia().load() == 70.0 and driver.asked == [0, 1]


def test_without_a_card_or_a_driver_it_is_unknown(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.missing = True
    assert nvidia.Nvidia().load() is None and driver.begun == 1
    monkeypatch.setattr(nvidia, "CARDS", driver.cards / "none")
    assert nvidia.Nvidia().load() is None and driver.begun == 1


def test_without_the_library_it_is_unknown(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvidia.Nvidia().load() is None and driver.begun == 0


def test_it_is_asked_now_and_then_only(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = nvidia.Nvidia()
    assert cards.load() == 0.0
    driver.loads = [90]
    assert cards.load() == 0.0 and driver.begun == 1
    monkeypatch.setattr(aside, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + nvidia.HOLDS))
    assert cards.load() == 90.0 and driver.begun == 2


def test_a_driver_that_is_slow_is_unknown_at_first_and_told_from_then_on(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, cards = threading.Event(), nvidia.Nvidia()
    driver.hangs, driver.loads = go_on.wait, [77]
    monkeypatch.setattr(aside, "TIMEOUT", 0.01)
    assert cards.load() is None and cards.load() is None and driver.begun == 1
    go_on.set()
    while (told := cards.load()) is None:
        time.sleep(0.01)
    assert told == 77.0 and driver.begun == 1


def test_whoever_looks_once_waits_for_a_driver_that_is_slow_but_not_for_one_that_hangs(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go_on, machine = threading.Event(), sensors.Machine(tmp_path, sensors.Unknown())
    driver.hangs, driver.loads = go_on.wait, [77]
    monkeypatch.setattr(aside, "TIMEOUT", 0.01)
    monkeypatch.setattr(sensors, "PATIENCE", 0.02)
    assert sensors.settled(machine).gpu is None and machine.nvidia.load() is None
    monkeypatch.setattr(sensors, "PATIENCE", 60.0)
    late = threading.Timer(2 * sensors.SAMPLE, go_on.set)
    late.start()
    assert sensors.settled(machine).gpu == 77.0 and driver.begun == 1
    late.join()


def test_a_machine_is_as_busy_as_its_busiest_card(driver: Driver, tmp_path: Path) -> None:
    driver.loads = [35]
    machine = sensors.Machine(tmp_path, sensors.Unknown())
    assert machine.all().gpu == 35.0
    machine.system.gpu = lambda: 60.0  # type: ignore[method-assign]
    assert machine.all().gpu == 60.0


def test_nvidias_own_library_finds_no_driver_where_there_is_none() -> None:
    if any(nvidia.CARDS.glob("*:*")):
        pytest.skip("there is a card here")
    assert nvidia.Nvidia().load() is None
    with pytest.raises(pynvml.NVMLError):
        nvidia.load()
