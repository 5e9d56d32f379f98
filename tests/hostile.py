"""Hostile files by the thousand, each read as the product reads one: `python tests/hostile.py 100000`.

Owns the reading and the counting of outcomes. A mutant may be used, or be refused in one short error. All else is a
failure whose mutant stays on disk: another exception, a warning, more memory than such a small file can need, and, with
the end of the run, a crash or seconds without an end. Leaves the mutations to `mutants`.
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from mutants import SHAPES, Adapters, Checkpoints, Models, fresh_run

from edgesleep import kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.kernel import Quantized
from edgesleep.network import Network, build

SECONDS, BYTES = 20, 512 << 20  # what a mutant may take, far above what any does
LONGEST = 600  # characters of an error


def use_model(path: Path) -> None:
    """What `init` and a night do before llama.cpp reads the file: everything is looked at, and tokens go through."""
    file = Gguf.open(path)
    for key in file.metadata:
        file.get(key)
    assert all(len(tensor.data) == tensor.nbytes for tensor in file.tensors.values())
    network = build(file, 0, 0, exact=True)
    assert isinstance(network, Network)
    network.attach(Adapter.fresh(network.shapes, 2, 4.0, 0, ""))
    network.logits([1, 2, network.vocabulary - 1])


def use_adapter(path: Path) -> None:
    adapter = Adapter.load(path)
    adapter.demand_fit(SHAPES, 7)
    for name, (rows, cols) in SHAPES.items():
        kernel.merge(Quantized("F32", rows, cols, np.zeros(4 * rows * cols, np.uint8)), adapter.delta(name))


def use_checkpoint(path: Path) -> None:
    run, new = fresh_run(), fresh_run()
    run.resume(path)
    assert {key: type(value) for key, value in vars(run).items()} == {k: type(value) for k, value in vars(new).items()}


KINDS: dict[str, tuple[type[Models | Adapters | Checkpoints], Callable[[Path], None], int]] = {
    "model": (Models, use_model, 8),
    "adapter": (Adapters, use_adapter, 1),
    "checkpoint": (Checkpoints, use_checkpoint, 1),
}


def run(kind: str, count: int, seed: int, folder: Path) -> dict[str, object]:
    """Use `count` mutants and count what came of it."""
    mutants, use, _ = KINDS[kind]
    source, path = mutants(folder), folder / f"mutant.{kind}"
    outcomes, slowest, began = Counter[str](), 0.0, time.perf_counter()
    for number in range(count):
        if number % 5000 == 0:
            print(f"{number:,} of {count:,} {kind} mutants: {dict(outcomes)}", file=sys.stderr, flush=True)
        path.unlink(missing_ok=True)  # a file that is cut to nothing and written again waits for the disk
        path.write_bytes(source.mutant(Random(f"{seed} {number}"), number))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        start = time.thread_time()
        try:
            use(path)
            outcomes["used"] += 1
        except EdgesleepError as error:
            clear = 0 < len(error.message) <= LONGEST and error.message.isprintable()
            outcomes["refused" if clear else "unclear"] += 1
            if not clear:
                failed(path, number, error)
        except BaseException as error:  # as it would end the program
            outcomes["failed"] += 1
            failed(path, number, error)
        slowest = max(slowest, time.thread_time() - start)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {"kind": kind, **outcomes, "seconds": round(time.perf_counter() - began, 1), "slowest": round(slowest, 3)}


def failed(path: Path, number: int, error: BaseException) -> None:
    kept = path.rename(path.with_name(f"{number}{path.suffix}"))
    print(f"{kept}:", *traceback.format_exception(error)[-4:], file=sys.stderr)


def limit() -> None:
    """End this process where a mutant takes too much memory; what the libraries hold already is not counted."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + BYTES, held + BYTES))
    warnings.simplefilter("error", RuntimeWarning)


def main(count: int, seed: int = 0) -> bool:
    """Use mutants of all kinds and print one line of JSON for each kind. Whether all is well."""
    kernel.set_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    limit()
    well = True
    for kind, (_, _, share) in KINDS.items():
        found = run(kind, count * share // 10, seed, folder)
        print(json.dumps(found | {"peak_mib": machine.peak_rss() >> 20}), flush=True)
        well = well and not found.keys() & {"failed", "unclear"}
    if well:
        shutil.rmtree(folder)
    return well


if __name__ == "__main__":
    sys.exit(not main(*map(int, sys.argv[1:])))
