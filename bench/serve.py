"""The server under load: do all streams end, is every row there, and what does keeping a log cost?

    python bench/serve.py [--model smollm2-135m] [--streams 50] [--seconds 60] [--first 150]

Owns the load and its numbers. Leaves serving to edgesleep.day.serve, which runs in a process of its own as a person
would start it. First token times are taken one after the other, with and without the log in turn, so that what else
the machine does hits both alike; of each kind the median counts. Must stay true: each message is told from all others,
and what is counted as kept is in the journal afterwards, with its answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from edgesleep import catalog, machine
from edgesleep.journal import Journal
from edgesleep.store import Store

FILLER = "We spoke of the weather, of the harbour and of the ferry that was late again. " * 6


@contextmanager
def served(home: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "edgesleep", "--home", str(home), "serve", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        yield process.stderr.readline().split(" at ")[1].split("/v1")[0]
        process.terminate()
        if rest := process.stderr.read().strip():
            print(f"the server said: {rest}")


def ask(web: httpx.Client, url: str, text: str, tokens: int, heads: dict[str, str] | None = None) -> tuple[float, bool]:
    """Seconds to the first token, and whether the stream came to its end."""
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "stream": True}
    began, first, last = time.perf_counter(), 0.0, ""
    with web.stream("POST", f"{url}/v1/chat/completions", json=body, headers=heads) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines():
            if line.startswith("data: {") and '"content":"' in line:
                first = first or time.perf_counter() - began
            last = line or last
    return first, last == "data: [DONE]"


def overhead(url: str, count: int) -> tuple[list[float], list[float]]:
    """First token times with the log and without."""
    kept: list[float] = []
    bare: list[float] = []
    with httpx.Client(timeout=None, trust_env=False) as web:
        for number in range(2 * count + 2):
            # Another beginning each time, or the prompt would be there already.
            heads = {"X-Edgesleep-Log": "off", "X-Edgesleep-Recall": "off"}
            if number % 2:
                del heads["X-Edgesleep-Log"]
            first, _ = ask(web, url, f"{number} is the number. {FILLER}", 2, heads)
            if number > 1:  # the first two warm up
                (kept if number % 2 else bare).append(first)
    return kept, bare


def load(url: str, streams: int, seconds: float) -> tuple[Counter[str], list[float]]:
    """How the requests of so many clients ended, each asking anew when it was answered; and their first tokens."""
    ends, firsts, end = Counter[str](), [], time.monotonic() + seconds
    lock = threading.Lock()

    def client(number: int) -> None:
        with httpx.Client(timeout=None, trust_env=False) as web:
            turn = 0
            while time.monotonic() < end:
                turn += 1
                try:
                    first, whole = ask(web, url, f"client {number} turn {turn}: tell me of the sea", 16)
                    how = "whole" if whole else "cut"
                except httpx.HTTPError as error:
                    first, how = 0.0, type(error).__name__
                with lock:
                    ends[how] += 1
                    firsts.append(first)

    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(client, range(streams)))
    return ends, firsts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=150, help="first tokens that are timed of each kind")
    args = parser.parse_args()
    print(json.dumps(machine.describe()))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        Store.open(home).adopt_base(catalog.resolve(args.model), args.model)
        with served(home) as url:
            kept, bare = overhead(url, args.first)
            ends, firsts = load(url, args.streams, args.seconds)
        with Journal.open(home) as journal:
            rows = [turn for turn in journal.turns() if turn.content.startswith("client ") or turn.role == "assistant"]
    asked = Counter(turn.session for turn in rows if turn.content.startswith("client "))
    answered = {turn.session for turn in rows if turn.role == "assistant"}
    with_log, without = statistics.median(kept), statistics.median(bare)
    # What the difference would be by chance: the standard error of a median is about 1.25 of the mean's.
    error = 1.25 * (statistics.variance(kept) / len(kept) + statistics.variance(bare) / len(bare)) ** 0.5
    print(f"first token, median of {len(kept)}: {1e3 * with_log:.1f} ms kept, {1e3 * without:.1f} ms not")
    print(f"overhead of the log: {with_log / without - 1:+.1%} (standard error {error / without:.1%})")
    print(
        f"{args.streams} streams for {args.seconds:.0f} s: {dict(ends)}; first token {statistics.median(firsts):.2f} s"
    )
    print(f"questions kept: {sum(asked.values())} of {sum(ends.values())}, with an answer: {len({*asked} & answered)}")


if __name__ == "__main__":
    main()
