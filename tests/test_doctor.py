"""The doctor finds what is wrong with a machine, says what to do, and one fault hides no other."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from grown import Bases, make_store, run

from edgesleep import doctor, errors, kernel, machine
from edgesleep.account import NIGHT
from edgesleep.daemon import sensors
from edgesleep.daemon.policy import Reading
from edgesleep.doctor import FAIL, OK, WARN, Check
from edgesleep.errors import KernelError
from edgesleep.forgotten import PENDING
from edgesleep.records import NightReport, dump
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def healthy(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on a machine on which nothing is wrong, whatever the one that runs the tests is like."""
    make_store(home, bases)
    monkeypatch.setattr(machine, "has_amx", lambda: False)
    monkeypatch.setattr(machine, "free_memory", lambda: 64 << 30)
    monkeypatch.setattr(machine, "free_disk", lambda path: 64 << 30)
    monkeypatch.setattr(kernel, "name", lambda: "avx2")
    sees(monkeypatch, Reading(idle=5.0, mains=True))
    return home


def sees(monkeypatch: pytest.MonkeyPatch, reading: Reading) -> None:
    """What the sensors of the machine tell."""
    monkeypatch.setattr(sensors.Machine, "all", lambda self: reading)


def spoke(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "", error: str = "") -> None:
    """What became of the process in which llama.cpp is tried."""
    done = subprocess.CompletedProcess([], code, said, error)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def found(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.what: check for check in checks}


def test_a_healthy_machine_passes_with_a_model_that_writes(healthy: Path) -> None:
    done = run("doctor")
    assert done.exit_code == errors.DONE, done.stdout
    assert {line[:5].strip() for line in done.stdout.splitlines()} == {OK}
    assert "loads first.gguf, and it writes" in done.stdout


def test_where_there_is_no_home_nothing_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_model", lambda home: None)
    done = run("doctor", "--json")
    states = {check["what"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["llama.cpp"] == WARN and states["journal"] == OK and done.exit_code == errors.DONE
    assert not home.exists()


def test_what_fails_is_told_with_the_fix_and_hides_nothing(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoke(monkeypatch, 0, "llama-cpp-python 1\n")

    def none() -> str:
        raise KernelError("The kernel cannot run.", "Unset it.")

    monkeypatch.setattr(kernel, "name", none)
    monkeypatch.setattr(machine, "free_disk", lambda path: 0)
    (healthy / "config.toml").write_text("nonsense = 1\n")
    done = run("doctor")
    assert done.exit_code == errors.ERROR
    lines = done.stdout.splitlines()
    failed = [line.split()[1].rstrip(":") for line in lines if line.startswith(FAIL)]
    assert failed == ["settings", "kernel", "disk"]
    assert all(lines[n + 1].startswith("      Try: ") for n, line in enumerate(lines) if not line.startswith((OK, " ")))
    assert any(line.startswith("ok    journal") for line in lines)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (-4, "", "it crashed on first.gguf (signal 4)"),
        (1, "Traceback\nEdgesleepError: no", "EdgesleepError: no"),
        (1, "", "it failed"),
    ],
)
def test_what_becomes_of_llama_cpp_is_told(
    healthy: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: str, said: str
) -> None:
    spoke(monkeypatch, code, "", error)
    check = found(doctor.checks(healthy))["llama.cpp"]
    assert (check.state, check.found) == (FAIL, said) and check.fix


def test_a_model_that_is_cut_short_does_not_load(healthy: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(Store(healthy).model_path().read_bytes()[:2000])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "_model", lambda home: cut)
        check = found(doctor.checks(healthy))["llama.cpp"]
    assert check.state == FAIL and "cut.gguf" in check.found


def test_one_that_writes_nothing_in_time_is_told(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", doctor.PATIENCE)

    monkeypatch.setattr(subprocess, "run", slow)
    assert found(doctor.checks(healthy))["llama.cpp"].state == FAIL


def test_amx_is_warned_of_as_other_programs_may_crash(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoke(monkeypatch, 0)
    monkeypatch.setattr(machine, "has_amx", lambda: True)
    check = found(doctor.checks(healthy))["amx"]
    assert check.state == WARN and "--no-repack" in check.fix


@pytest.mark.parametrize(
    ("reading", "assume_idle", "said"),
    [
        (Reading(idle=5.0, mains=False), False, None),
        (Reading(mains=True), False, "whether someone is here"),
        (Reading(mains=True), True, None),
        (Reading(idle=5.0), False, "whether there is mains power"),
    ],
)
def test_sensors_without_which_no_night_comes_are_warned_of(
    healthy: Path, monkeypatch: pytest.MonkeyPatch, reading: Reading, assume_idle: bool, said: str | None
) -> None:
    spoke(monkeypatch, 0)
    sees(monkeypatch, reading)
    (healthy / "config.toml").write_text(f"[daemon]\nassume_idle = {str(assume_idle).lower()}\n")
    check = found(doctor.checks(healthy))["sensors"]
    assert (check.state, bool(check.fix)) == ((WARN, True) if said else (OK, False))
    assert (said or "unknown, which holds up no night: ") in check.found


def test_a_kernel_that_merges_wrongly_fails(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoke(monkeypatch, 0)
    merge = kernel.merge
    monkeypatch.setattr(kernel, "merge", lambda w, delta: merge(w, None))
    check = found(doctor.checks(healthy))["kernel"]
    assert check.state == FAIL and "EDGESLEEP_KERNEL=ref" in check.fix


@pytest.mark.parametrize("forced", [True, False])
def test_the_slow_kernel_is_warned_of(healthy: Path, monkeypatch: pytest.MonkeyPatch, forced: bool) -> None:
    spoke(monkeypatch, 0)
    monkeypatch.setattr(kernel, "name", lambda: "ref")
    if forced:
        monkeypatch.setenv("EDGESLEEP_KERNEL", "ref")
    else:
        monkeypatch.delenv("EDGESLEEP_KERNEL", raising=False)
    check = found(doctor.checks(healthy))["kernel"]
    assert check.state == WARN and ("Unset" in check.fix) == forced


def test_memory_is_judged_by_what_the_last_night_took(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(doctor.quick(healthy))["memory"]
    assert first.state == OK
    dump(NightReport(1, "promoted", "", 1, "m", peak_rss=100 << 30), healthy / "nights/0001" / NIGHT)
    check = found(doctor.quick(healthy))["memory"]
    assert check.state == WARN and "107.4" in check.found
    dump(NightReport(2, "promoted", "", 1, "m", peak_rss=1), healthy / "nights/0002" / NIGHT)
    assert found(doctor.quick(healthy))["memory"].found == first.found


@pytest.mark.skipif(os.name != "posix", reason="modes of files are Unix's")
def test_a_home_that_others_can_look_into_is_told(healthy: Path) -> None:
    healthy.chmod(0o755)
    check = next(doctor.quick(healthy))
    assert (check.what, check.state, check.fix) == ("permissions", WARN, f"`chmod 700 {healthy}`")


def test_an_unfinished_forgetting_and_nights_that_are_refused_are_told(healthy: Path) -> None:
    from edgesleep.journal import Journal

    (healthy / PENDING).write_text("{}")
    with Journal.open(healthy) as journal:
        for _ in range(doctor.REFUSED):
            journal.end_night(NightReport(journal.begin_night(), "rejected", "Drift.", 0, "m"))
    checks = found(doctor.quick(healthy))
    assert (checks["forgetting"].state, checks["nights"].state) == (FAIL, WARN)
