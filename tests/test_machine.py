"""What the machine tells about itself: units, limits and the systems' differences."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from edgesleep import machine

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's scheduler or /proc")


@pytest.mark.parametrize(("wanted", "given"), [(0, 3), (1, 1), (3, 3), (4, 3), (-1, 3)])
@linux_only
def test_threads_stay_within_the_processors_allowed(monkeypatch: pytest.MonkeyPatch, wanted: int, given: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7})
    monkeypatch.setattr(machine, "_SYSTEM", Path("nowhere"))
    assert machine.threads(wanted) == given


@linux_only
def test_threads_follow_a_real_affinity() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from edgesleep.machine import threads; print(threads())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("files", "given"),
    [
        ({}, 6),
        ({"cpu_core/cpus": "0-1,4\n", "cpu_atom/cpus": "2-3,5-9\n"}, 3),
        ({"cpu_core/cpus": "8-9\n"}, 6),
        ({f"system/cpu/cpu{cpu}/cpu_capacity": f"{1024 if cpu < 2 else 446}\n" for cpu in range(6)}, 2),
        ({f"system/cpu/cpu{cpu}/cpu_capacity": "1024\n" for cpu in range(6)}, 6),
    ],
)
@linux_only
def test_slow_cores_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], given: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "_SYSTEM", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert machine.threads() == given
    assert machine.threads(5) == 5


@linux_only
def test_giving_way_holds_for_threads_and_never_takes_more(tmp_path: Path) -> None:
    code = """if True:
        import os, psutil, threading
        from edgesleep import machine
        def shown(): print(os.getpriority(os.PRIO_PROCESS, 0), psutil.Process().ionice().value, end=" ")
        machine.give_way(0); before = os.getpriority(os.PRIO_PROCESS, 0); print(before, end=" ")
        machine.give_way(12); machine.give_way(3)
        thread = threading.Thread(target=shown); thread.start(); thread.join()"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == [told[0], str(max(12, int(told[0]))), "7"]


@linux_only
def test_a_session_of_its_own_goes_last_as_a_whole_and_no_other_does() -> None:
    mine = Path("/proc/self/autogroup")
    if not mine.exists():
        pytest.skip("this kernel does not share the processor between sessions")
    code = "from edgesleep.machine import go_last; go_last(0, 12); print(open('/proc/self/autogroup').read())"
    before = mine.read_text()
    for own, told in ((True, "nice 12"), (False, before.strip())):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, start_new_session=own)
        assert done.stdout.strip().endswith(told), done
    assert mine.read_text() == before


@pytest.mark.parametrize(
    ("cpuinfo", "amx"),
    [
        ("processor\t: 0\nmodel name\t: Xeon: 4\nflags\t\t: fpu amx_bf16 avx512_vnni amx_tile amx_int8\n", True),
        ("processor\t: 0\nmodel name\t: Xeon: 4\nflags\t\t: fpu avx512_vnni not_amx_tile\n", False),
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_amx_is_read_from_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, amx: bool
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    assert machine.has_amx() is amx
    if sys.platform == "linux":
        assert (machine.describe()["processor"] == "Xeon: 4") == ("Xeon" in (cpuinfo or ""))


def test_peak_rss_is_in_bytes_and_sees_what_was_freed() -> None:
    before = machine.peak_rss()
    assert before > 0.5 * psutil.Process().memory_info().rss
    code = "from edgesleep.machine import peak_rss; x = b'x' * (200 << 20); del x; print(peak_rss())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 200 << 20 < peak < 400 << 20


def test_free_disk_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    there, not_yet = machine.free_disk(tmp_path), machine.free_disk(tmp_path / "a" / "b")
    assert there > 0
    assert abs(there - not_yet) < 1 << 30


def test_the_description_can_go_into_a_report() -> None:
    told = machine.describe()
    assert msgspec.json.decode(msgspec.json.encode(told)) == told
    assert told["processor"]
    assert told["threads"] == machine.threads()
    assert told["memory"] == psutil.virtual_memory().total


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, edgesleep.machine; print({'psutil', 'numpy', 'torch', 'llama_cpp'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
