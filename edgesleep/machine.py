"""What this machine can do right now: processors, memory, disk, and its name for reports.

Owns the differences between Linux, macOS and Windows in asking. Leaves
deciding what to do with the answers to its callers. Imports nothing heavy;
psutil is loaded where it is needed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")


def threads(wanted: int = 0) -> int:
    """How many threads to run: `wanted`, but no more than the processors this process may use; 0 takes all of them."""
    # Affinity (taskset, containers) can allow fewer processors than the machine has.
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(wanted, allowed) if wanted > 0 else allowed


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


def free_disk(path: Path) -> int:
    """Free bytes on the file system that holds `path`, or will hold it once it is made."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free


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
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return name or platform.processor() or platform.machine()


def _cpuinfo(field: str) -> str:
    return _field(_CPUINFO, field)


def _field(path: Path, field: str) -> str:
    """The first value of a field in one of Linux's files of `name: value` lines; empty where there is none."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == field), "")
