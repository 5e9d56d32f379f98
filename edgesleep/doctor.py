"""Doctor: whether this machine can do what edgesleep asks of it, and what to do where it cannot.

Owns the list of checks and their fixes. Leaves whether what was written is still whole to `night.verify`, and showing
to `cli_doctor`. Must stay true: nothing is changed, nothing is fetched, and one check that fails, or crashes, hides no
other: what may end a process runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgesleep import __version__, account, catalog, config, files, journal, machine, records
from edgesleep.config import Settings
from edgesleep.daemon import policy, sensors
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import unfinished
from edgesleep.journal import Journal
from edgesleep.store import Store

OK, WARN, FAIL = "ok", "warn", "fail"
SPARE = 500_000_000  # bytes of disk and of memory beside a model: adapters and checkpoints, and what programs take
PATIENCE = 300  # seconds for loading a model and a few words of it
WORDS = 8  # tokens that it is to write
REFUSED = 3  # nights refused in a row from which on something is to be looked at


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its state (ok, warn or fail), what was found, and what to do about it."""

    what: str
    state: str
    found: str
    fix: str = ""


def checks(home: Path) -> Iterator[Check]:
    """Everything, each check as soon as it is done. A home that is not there yet is no fault."""
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "python": _python,
        "settings": lambda: _settings(home),
        "kernel": _kernel,
        "processor": _processor,
        "llama.cpp": lambda: _llama(home),
        "sensors": lambda: _sensors(home),
    }
    for what, look in looks.items():
        yield from _safely(what, look)
    yield from quick(home)


def quick(home: Path) -> Iterator[Check]:
    """What takes no time to look at."""
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "permissions": lambda: _permissions(home),
        "disk": lambda: _disk(home),
        "memory": lambda: _memory(home),
        "journal": lambda: _journal(home),
        "forgetting": lambda: _forgetting(home),
    }
    for what, look in looks.items():
        yield from _safely(what, look)


def _safely(what: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a look finds, or the error in which it ended."""
    try:
        yield from look()
    except EdgesleepError as error:
        yield Check(what, FAIL, error.message, error.hint)
    except (OSError, ImportError) as error:
        yield Check(what, FAIL, f"{error}.", "Install edgesleep again, or check the disk and the permissions.")


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", OK, f"edgesleep {__version__} on Python {version}")


def _settings(home: Path) -> Iterator[Check]:
    settings = config.load(home)
    yield Check("settings", OK, f"{home / config.FILE}" if (home / config.FILE).exists() else "all as they come")
    if not settings.night.threads:
        return
    if (allowed := machine.threads()) < settings.night.threads:
        fix = f"Set night.threads to 0 in {home / config.FILE}: it takes all fast cores."
        yield Check("threads", WARN, f"{settings.night.threads} are asked for, {allowed} can be had", fix)


# -- the machine -----------------------------------------------------------------------------------------------------


def _kernel() -> Iterator[Check]:
    """That the compiled part is there, and merges: nothing with no change, something with one."""
    import numpy as np

    from edgesleep import kernel

    name = kernel.name()
    step, codes = np.array([0.5], np.float16).view(np.uint8), np.arange(32, dtype=np.uint8)
    weights = kernel.Quantized("Q8_0", 1, 32, np.concatenate([step, codes]))
    delta = kernel.Delta(np.ones((1, 32), np.float32), np.ones((1, 1), np.float32), 1.0)
    same, changed = kernel.merge(weights, None)[0], kernel.merge(weights, delta)[0]
    rise = kernel.dequantize(kernel.Quantized("Q8_0", 1, 32, changed)) - kernel.dequantize(weights)
    if not np.array_equal(same, weights.data) or not np.all(rise == 1):
        yield Check("kernel", FAIL, f"{name} merges wrongly", "Set EDGESLEEP_KERNEL=ref, and report it.")
        return
    runs = ", ".join(kernel.supported())
    if name == "ref" and "EDGESLEEP_KERNEL" in os.environ:
        fix = "Unset EDGESLEEP_KERNEL for the fastest one."
        yield Check("kernel", WARN, f"ref, as EDGESLEEP_KERNEL says; {runs} run here", fix)
    elif name == "ref":
        yield Check("kernel", WARN, "ref: no faster one runs on this processor", "Give nights more --minutes.")
    else:
        yield Check("kernel", OK, f"{name}, compiled; {runs} run here")


def _processor() -> Iterator[Check]:
    about = machine.describe()
    used = ["bfloat16 products"] if machine.has_bf16() else []
    yield Check("processor", OK, ", ".join([f"{about['processor']}", f"{about['threads']} threads", *used]))
    if machine.has_amx():
        found = "it has AMX, whose llama.cpp buffers crash; edgesleep loads models without them"
        yield Check(
            "amx", WARN, found, "Where another program that serves the file crashes, start it with --no-repack."
        )
    else:
        yield Check("amx", OK, "none found; where there is one, its llama.cpp buffers crash and are left out")


def _llama(home: Path) -> Iterator[Check]:
    """Loads a model and lets it write, in a process of its own: a fault of native code says no word."""
    model = _model(home)
    if model is None:
        yield Check("llama.cpp", WARN, "there is no model here yet to try it with", "`edgesleep init` fetches one.")
        return
    code = "import sys; from pathlib import Path; from edgesleep import doctor; doctor.speak(Path(sys.argv[1]))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(model)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        fix = "Close other programs, or choose a smaller model with `edgesleep init --model`."
        yield Check("llama.cpp", FAIL, f"{model.name} wrote nothing in {PATIENCE} s", fix)
        return
    if done.returncode == 0:
        yield Check("llama.cpp", OK, f"{done.stdout.strip()}: loads {model.name}, and it writes")
    elif done.returncode < 0:
        fix = "Build it for this processor: `pip install --force-reinstall --no-binary :all: llama-cpp-python`."
        yield Check("llama.cpp", FAIL, f"it crashed on {model.name} (signal {-done.returncode})", fix)
    else:
        said = done.stderr.strip().splitlines()[-1:] or ["it failed"]
        yield Check("llama.cpp", FAIL, said[0], "`edgesleep verify` says whether the file is whole.")


def speak(model: Path) -> None:
    """Have a model write a few tokens, and print which llama.cpp it was. For a process of its own."""
    from edgesleep.engine import VERSION, Engine
    from edgesleep.records import Message

    with Engine(model, context=128) as engine:
        written = engine.complete([engine.chat([Message("user", "Hello!")])], WORDS)
    print(f"llama-cpp-python {VERSION}")
    if len(written) != 1:
        sys.exit("nothing came back")


def _model(home: Path) -> Path | None:
    """What is served, or else any model of the catalogue that is here."""
    if (home / "base.json").exists():
        return Store(home).model_path()
    places = (catalog.cached_path(entry) for entry in catalog.entries())
    return next((path for path in places if path.is_file()), None)


def _sensors(home: Path) -> Iterator[Check]:
    """What the daemon can see of this machine: where that is too little, no night comes by itself."""
    reading = sensors.sensors(home).all()
    against = policy.against_beginning(reading, policy.Affairs(), _settings_of(home).daemon)
    if blind := [str(no) for no in against if no.name in ("idle_unknown", "power_unknown")]:
        fix = "`edgesleep run-night` starts a night; where nobody ever sits at this machine, set daemon.assume_idle."
        yield Check("sensors", WARN, f"no night comes by itself: {' and '.join(blind)}", fix)
        return
    told = records.plain(reading)
    unknown = [name.replace("_", " ") for name in told if told[name] is None and name not in ("load", "charge")]
    also = f"; unknown, which holds up no night: {', '.join(unknown)}" if unknown else ""
    yield Check("sensors", OK, f"what the daemon has to know of this machine can be read{also}")


# -- the home --------------------------------------------------------------------------------------------------------


def _permissions(home: Path) -> Iterator[Check]:
    if not home.exists():
        yield Check("permissions", OK, f"{home} is made by `edgesleep init`, for you alone")
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Check(
            "permissions", FAIL, f"{home} cannot be written", f"`chown -R $USER {home}`, or choose another --home."
        )
    elif files.open_to_others(home):
        yield Check("permissions", WARN, f"others can look into {home}", f"`chmod 700 {home}`")
    else:
        yield Check("permissions", OK, f"{home} is for its owner alone")


def _disk(home: Path) -> Iterator[Check]:
    free, wanted = machine.free_disk(home), _model_bytes(home) + SPARE
    found = f"{free / 1e9:.1f} GB are free, a night needs about {wanted / 1e9:.1f}"
    fix = f"Free some space, lower store.disk in {home / config.FILE}, or move the home with --home."
    yield Check("disk", OK if free >= wanted else FAIL, found, "" if free >= wanted else fix)


def _memory(home: Path) -> Iterator[Check]:
    """By the size of the model, or what the last night took: the more, as one may have ended before its worst."""
    free, wanted = machine.free_memory(), _model_bytes(home) + (_settings_of(home).train.memory << 20) + SPARE
    wanted = max(wanted, next((night.peak_rss for night in account.nights(home)), 0))
    found = f"{free / 1e9:.1f} GB are free, a night takes about {wanted / 1e9:.1f}"
    fix = "End other programs before the night, lower train.memory, or choose a smaller model."
    yield Check("memory", OK if free >= wanted else WARN, found, "" if free >= wanted else fix)


def _settings_of(home: Path) -> Settings:
    with suppress(EdgesleepError):  # told by its own check
        return config.load(home)
    return Settings()


def _model_bytes(home: Path) -> int:
    return Store(home).bases()[0].bytes if (home / "base.json").exists() else 0


def _journal(home: Path) -> Iterator[Check]:
    if not (home / journal.FILE).exists():
        yield Check("journal", OK, "none yet: `edgesleep init` begins one")
        return
    with Journal.open(home) as held:
        turns, nights = held.extent()[0], held.nights()
    yield Check("journal", OK, f"{turns:,} messages, {len(nights)} nights")
    if len(nights) >= REFUSED and all(night.status == "rejected" for night in nights[-REFUSED:]):
        found = f"the last {REFUSED} nights were refused"
        yield Check("nights", WARN, found, "`edgesleep report` says why; with more --minutes a night may do better.")


def _forgetting(home: Path) -> Iterator[Check]:
    if unfinished(home):
        yield Check("forgetting", FAIL, "one is unfinished", "`edgesleep forget --resume` goes on with it.")
