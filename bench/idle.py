"""What the daemon costs while it does nothing: memory, processor and wake-ups of one with this machine's sensors.

    python bench/idle.py [--seconds 600] [--home DIR]

Owns measuring. Leaves the daemon to `edgesleep daemon run`, which is started on a home of its own, or on DIR, outside
the hours of a night. Prints, after it has begun: its resident memory at the end, its processor time as a share of one
processor, and how often it was woken, which is what the kernel counts as voluntary switches of context.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from edgesleep import machine
from edgesleep.daemon import control

STARTED = 5.0  # seconds after which it has loaded all it ever does


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not options.home:
            (home / "config.toml").write_text(f'[daemon]\nhours = "{later()}"\n')
        with subprocess.Popen([sys.executable, "-m", "edgesleep", "--home", str(home), "daemon", "run"]) as daemon:
            try:
                measure(psutil.Process(daemon.pid), home, options.seconds)
            finally:
                daemon.terminate()


def later() -> str:
    """Hours of a night that begins half a day from now."""
    begin = datetime.now() + timedelta(hours=12)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


def measure(process: psutil.Process, home: Path, seconds: float) -> None:
    while not control.answers(home):
        time.sleep(0.1)
    time.sleep(STARTED)
    before, switches, began = process.cpu_times(), process.num_ctx_switches().voluntary, time.monotonic()
    time.sleep(seconds)
    after, woken, took = process.cpu_times(), process.num_ctx_switches().voluntary - switches, time.monotonic() - began
    used = after.user + after.system - before.user - before.system
    print(f"resident memory     {process.memory_info().rss / 2**20:7.1f} MB")
    print(f"processor           {100 * used / took:7.3f} %  ({used:.2f} s of {took:.0f} s)")
    print(f"wake-ups a minute   {60 * woken / took:7.2f}")


if __name__ == "__main__":
    main()
