"""What the night does besides training: writing anchors, merging the file, asking it.

    python bench/stages.py [MODEL] [--threads 0] [--anchors 240] [--repeats 5]

Anchors are written by llama.cpp (16 texts side by side) and by the native
network, in tokens a second; a whole model is merged, and copied with and without
checksum, all synced; llama.cpp reads the bundled prose, in tokens a second. Every
line is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import models
from edgesleep import config, gguf, kernel, machine
from edgesleep.adapter import Adapter
from edgesleep.engine import Engine
from edgesleep.gguf import Gguf
from edgesleep.network import Network
from edgesleep.night import dream, gate, merge
from edgesleep.records import Row
from edgesleep.writer import Writer

TRAIN = config.TrainSettings()
MEMORY = TRAIN.memory << 20


def by_llama(path: Path, options: argparse.Namespace) -> tuple[Row, ...]:
    settings = config.DreamSettings(anchors=options.anchors)
    with Engine(path, threads=options.threads, context=2 * settings.anchor_tokens + 64, sequences=16) as engine:
        return dream.anchors(engine, engine, settings, 0)


def natively(path: Path, options: argparse.Namespace) -> tuple[Row, ...]:
    with Engine(path, vocab_only=True) as engine:
        writer = Writer.of(path, engine.ends, MEMORY)
        return dream.anchors(engine, writer, config.DreamSettings(anchors=options.anchors), 0)


def show_anchors(write: Callable[[Path, argparse.Namespace], tuple[Row, ...]]) -> Callable[..., str]:
    def measured(path: Path, options: argparse.Namespace) -> str:
        began = time.perf_counter()
        rows = write(path, options)
        seconds = time.perf_counter() - began
        written = sum(len(row.tokens) - row.start for row in rows)
        return f"{seconds:8.1f} s {written / seconds:8.0f} tokens/s"

    return measured


def show_prose(path: Path, options: argparse.Namespace) -> str:
    with Engine(path, threads=options.threads, context=512) as engine:
        tokens = engine.tokenize(gate.plain_text())
        pieces = [tokens[i : i + 512] for i in range(0, len(tokens), 512)]
        began = time.perf_counter()
        for piece in pieces:
            engine.losses(piece)
        seconds = time.perf_counter() - began
    return f"{seconds:8.1f} s {len(tokens) / seconds:8.0f} tokens/s"


def merged(file: Gguf, to: Path) -> Callable[[], object]:
    adapter = Adapter.fresh(Network(file, 0, MEMORY).shapes, TRAIN.rank, TRAIN.alpha, 0, "")
    random = np.random.default_rng(0)
    for _, b in adapter.factors.values():
        b[:] = random.normal(0, 0.002, b.shape)
    return lambda: merge.merge(file, adapter, to)


def copied(file: Gguf, to: Path) -> Callable[[], object]:
    return lambda: gguf.write_copy(file, to, {})


def copied_bare(file: Gguf, to: Path) -> Callable[[], object]:
    def run() -> None:
        with file.path.open("rb") as source, to.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())

    return run


def show_file(make: Callable[[Gguf, Path], Callable[[], object]]) -> Callable[..., str]:
    def measured(path: Path, options: argparse.Namespace) -> str:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            run, times = make(Gguf.open(path), Path(folder) / "copy.gguf"), []
            for _ in range(options.repeats + 1):
                (Path(folder) / "copy.gguf").unlink(missing_ok=True)
                began = time.perf_counter()
                run()
                times.append(time.perf_counter() - began)
        times.pop(0)  # the file was read from the disk
        return f"{statistics.median(times):8.3f} s   from {min(times):.3f} to {max(times):.3f}"

    return measured


LINES = {
    "anchors, llama.cpp": show_anchors(by_llama),
    "anchors, native": show_anchors(natively),
    "prose read, llama.cpp": show_prose,
    "copy": show_file(copied_bare),
    "copy with checksum": show_file(copied),
    "merge": show_file(merged),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each processor")
    parser.add_argument("--anchors", type=int, default=config.DreamSettings().anchors)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--line", choices=LINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = models.locate(options.model)
    if options.line:
        kernel.set_threads(machine.threads(options.threads))
        print(f"{options.line:24}{LINES[options.line](path, options)}{machine.peak_rss() / 2**20:8.0f} MiB")
        return
    print(f"{machine.describe()}, kernel {kernel.name()}", flush=True)
    for line in LINES:
        subprocess.run([sys.executable, *sys.argv, "--line", line], check=True)


if __name__ == "__main__":
    main()
