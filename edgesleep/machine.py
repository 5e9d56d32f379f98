"""What this machine can do right now: processors, memory, disk, and its name for reports.

Owns the differences between Linux, macOS and Windows in asking. Leaves
deciding what to do with the answers to its callers. Imports nothing heavy;
psutil is loaded where it is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_LOOK = 0.2  # seconds between two looks whether a parent is still there
_PARENT_DEATH = 1  # of prctl: the signal that the system sends when the parent ends
_CPUINFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SYSTEM = Path("/sys/devices")


def threads(wanted: int = 0) -> int:
    """How many threads to run: `wanted`, but no more than the processors this process may use; 0 takes the fast ones.

    On processors with slow cores beside fast ones, a thread on a slow core only keeps the others waiting.
    """
    # Affinity (taskset, containers) can allow fewer processors than the machine has.
    allowed = os.sched_getaffinity(0) if sys.platform == "linux" else set(range(os.cpu_count() or 1))
    return min(wanted, len(allowed)) if wanted > 0 else _fast(allowed)


def _fast(allowed: set[int]) -> int:
    """How many of the processors are fast cores; all of them where none are, or the system does not tell."""
    if sys.platform == "darwin":
        count = _asked("/usr/sbin/sysctl", "-n", "hw.perflevel0.logicalcpu")
        return min(int(count), len(allowed)) if count.isdigit() else len(allowed)
    if listed := _text(_SYSTEM / "cpu_core/cpus"):  # Intel's hybrids
        return len(allowed & _processors(listed)) or len(allowed)
    told = [_text(_SYSTEM / f"system/cpu/cpu{cpu}/cpu_capacity") for cpu in allowed]  # Arm, of 1024
    if not all(text.isdigit() for text in told):
        return len(allowed)
    return sum(2 * int(text) > max(map(int, told)) for text in told)


def _processors(listed: str) -> set[int]:
    """The kernel's lists of processors: "0-3,8" are five."""
    ends = [(part.split("-")[0], part.split("-")[-1]) for part in listed.split(",")]
    return {cpu for first, last in ends for cpu in range(int(first), int(last) + 1)}


def give_way(nice: int) -> None:
    """Let other programs go before this one, in processor (`nice`, as Unix counts) and disk; 0 changes nothing.

    It holds for threads started from now on, and cannot be taken back.
    """
    if not nice:
        return
    import psutil

    own = psutil.Process()
    with contextlib.suppress(OSError, psutil.Error):  # some sandboxes forbid it, and a night is worth more
        if sys.platform == "win32":
            own.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
            own.ionice(psutil.IOPRIO_VERYLOW)
            return
        own.nice(max(own.nice(), min(nice, 19)))
        if sys.platform == "linux":
            own.ionice(psutil.IOPRIO_CLASS_BE, 7)  # the idle class may wait for ever


def go_last(pid: int = 0, nice: int | None = None) -> None:
    """Have a process that leads a session of its own, and all in it, count as `nice` beside other sessions.

    Without a number as this process is. Linux shares the processor between sessions first, and each begins as the equal
    of all others, however nice what runs in it.
    """
    if sys.platform == "linux" and os.getsid(pid) == (pid or os.getpid()):
        wanted = os.getpriority(os.PRIO_PROCESS, 0) if nice is None else nice
        with contextlib.suppress(OSError):  # a kernel without it
            Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(max(0, min(wanted, 19))))


def keep_private() -> None:
    """Have this process write for its owner alone, in whatever library, and no image of its memory where it crashes.

    Those that it starts are held to it as well.
    """
    os.umask(0o077)
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has none
        import resource

        # Programs that collect such images are given them by Linux whatever the limit, unless it is 1 byte.
        least = 1 if sys.platform == "linux" else 0
        resource.setrlimit(resource.RLIMIT_CORE, (least, least))  # for good: a debugger would lift a soft limit


def has_amx() -> bool:
    """Whether the processor has Intel's AMX tiles, whose llama.cpp buffers crash; only Linux can tell, and only x86."""
    return "amx_tile" in _cpuinfo("flags").split()


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX-512 BF16 or AMX)."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpuinfo("flags").split())


def peak_rss() -> int:
    """The most memory this process has held so far, in bytes."""
    # On Linux getrusage would also count what the parent held before this program was started.
    if mark := _field(_STATUS, "VmHWM"):
        return int(mark.split()[0]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes


def give_back_memory() -> None:
    """Hand memory that was freed back to the system; glibc keeps it otherwise."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # no malloc_trim, or no such library here
        ctypes.CDLL(None).malloc_trim(0)


def free_disk(path: Path) -> int:
    """Free bytes on the file system that holds `path`, or will hold it once it is made."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free


def free_memory() -> int:
    """Bytes that programs can have without others being put aside for them."""
    import psutil

    return int(psutil.virtual_memory().available)


def boot() -> str:
    """Which start of the machine this is: another one after each, empty where the system does not tell."""
    if sys.platform == "darwin":
        return _asked("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
    if sys.platform == "win32":
        import psutil

        return str(round(psutil.boot_time() / 60))
    return _text(_BOOT)


def process_space() -> str:
    """Within what a process number means one process: a container has numbers of its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def process_began(pid: int) -> str:
    """When the process with this number began, as its system counts, whatever the clock says; empty: there is none."""
    if sys.platform != "linux":
        import psutil

        with contextlib.suppress(psutil.Error):
            return str(round(psutil.Process(pid).create_time()))
        return ""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()  # the name before it may hold anything
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def end_with(parent: int) -> None:
    """From now on this process ends, without a word, when its parent does: whoever ended that one meant both.

    On Linux also where it stands still, as one that is held does.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGKILL)

    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()


def child(code: str) -> list[str]:
    """The command of a process that does `code` with the modules that this one has, and ends when this one does.

    Start it in a thread that stays as long: to Linux its parent has ended when that thread has.
    """
    # Not by -m, which would look for modules in the working folder first.
    path = [str(Path(place).absolute()) for place in sys.path]
    start = f"import sys; sys.path[:] = {path!r}; from edgesleep.machine import end_with; end_with({os.getpid()})"
    return [sys.executable, "-c", f"{start}\n{code}"]


def edgesleep(*words: str) -> list[str]:
    """The same of one that does `edgesleep WORDS`."""
    return child(f"from edgesleep.cli import main; main({[*words]!r})")


def describe() -> dict[str, str | int]:
    """Processor, threads, memory (bytes), system and Python, for reports."""
    import psutil

    return {
        "processor": _processor(),
        "threads": threads(),
        "memory": int(psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    name = _cpuinfo("model name")
    if sys.platform == "darwin":
        name = _asked("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine()


def _asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _cpuinfo(field: str) -> str:
    return _field(_CPUINFO, field)


def _field(path: Path, field: str) -> str:
    """The first value of a field in one of Linux's files of `name: value` lines; empty where there is none."""
    pairs = (line.partition(":") for line in _text(path).splitlines())
    return next((value.strip() for name, _, value in pairs if name.strip() == field), "")


def _text(path: Path) -> str:
    """What a file of the system says; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
