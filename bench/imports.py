"""What importing a large export takes: memory and time, against the size of the file.

    python bench/imports.py [--megabytes 10 500] [--zip] [--twice]

Writes a synthetic ChatGPT export of each size into a temporary folder (40 messages a conversation, words of the bundled
plain text, one answer in ten on a branch that is not shown), imports it with the command line in a child, and prints
how many messages were new, how fast it was, the child's peak of resident memory, and the size of the journal. With
--twice it is imported once more, and nothing may be new. Everything is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from edgesleep.journal import FILE

WORDS = (Path(__file__).parents[1] / "edgesleep" / "data" / "plain_text.txt").read_text("utf-8").split()
MESSAGES = 40  # of a conversation
ASKED, ANSWERED = (5, 40), (50, 400)  # words, least and most


def message(rng: random.Random, name: str, parent: str, role: str, at: float) -> dict[str, Any]:
    start, length = rng.randrange(len(WORDS)), rng.randint(*(ASKED if role == "user" else ANSWERED))
    words = [WORDS[(start + n) % len(WORDS)] for n in range(length)]
    content = {"content_type": "text", "parts": [" ".join(words)]}
    told = {"id": name, "author": {"role": role, "name": None, "metadata": {}}, "create_time": at, "content": content}
    more = {"status": "finished_successfully", "weight": 1.0, "metadata": {"citations": []}, "recipient": "all"}
    return {"id": name, "parent": parent, "children": [], "message": {**told, **more}}


def conversation(rng: random.Random, number: int) -> dict[str, Any]:
    begun, parent = 1.6e9 + 3600 * number, "root"
    mapping: dict[str, Any] = {"root": {"id": "root", "parent": None, "children": [], "message": None}}
    for place in range(MESSAGES):
        role = ("user", "assistant")[place % 2]
        for name in ([f"{number}-{place}-other"] if role == "assistant" and rng.random() < 0.1 else []) + [
            f"{number}-{place}"
        ]:
            mapping[name] = message(rng, name, parent, role, begun + place)
            mapping[parent]["children"].append(name)
        parent = f"{number}-{place}"
    about = {"title": "Synthetic", "create_time": begun, "conversation_id": f"synthetic-{number}"}
    return {**about, "mapping": mapping, "current_node": parent}


def write(path: Path, size: int, packed: bool) -> Path:
    """An export of about `size` bytes, as one line, or in an archive."""
    rng, written = random.Random(0), 0
    with path.open("wb") as file:
        for number in range(size):
            written += file.write(b"," if number else b"[")
            written += file.write(json.dumps(conversation(rng, number)).encode())
            if written >= size:
                break
        file.write(b"]")
    if not packed:
        return path
    archive = path.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.write(path, "conversations.json")
    path.unlink()
    return archive


def measure(path: Path, home: Path) -> tuple[dict[str, Any], float, float]:
    """What the command tells, its seconds, and the peak of its resident memory in MiB."""
    words = [sys.executable, "-m", "edgesleep", "--home", str(home), "import", str(path), "--json"]
    start = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        assert child.stdout
        told = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"The import ended with {child.returncode}.")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes
    return json.loads(told), time.monotonic() - start, used.ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 500])
    parser.add_argument("--zip", action="store_true", help="pack each into an archive")
    parser.add_argument("--twice", action="store_true", help="import each once more")
    options = parser.parse_args()
    print(f"{'MB':>8}{'messages':>12}{'new':>12}{'seconds':>10}{'MB/s':>8}{'peak MiB':>10}{'journal MB':>12}")
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder) / "conversations.json", megabytes * 10**6, options.zip)
            for _ in range(1 + options.twice):
                done, seconds, peak = measure(path, home := Path(folder) / "home")
                held = sum(file.stat().st_size for file in home.glob(f"{FILE}*")) / 1e6
                print(
                    f"{megabytes:8}{done['read']:12,}{done['added']:12,}{seconds:10.1f}{megabytes / seconds:8.1f}"
                    f"{peak:10.0f}{held:12.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
