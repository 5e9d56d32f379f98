"""Whether an installed edgesleep is whole: run by `make wheel` and by cibuildwheel, in the environment it was put into.

Owns a look at what a wheel can lack: the compiled kernel, the files that are read at run time, the command. Leaves all
else to the tests. Must stay true: it needs nothing but the wheel and what that requires, and never the source tree.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import files, version
from pathlib import Path

import numpy as np

import edgesleep
from edgesleep import kernel
from edgesleep.page import render

WANTED = ("plain_text.txt", "page.css", "page.js", "night.html", "shell.html", "catalog.toml")


def main() -> None:
    here = Path(edgesleep.__file__).resolve()
    assert Path(sysconfig.get_path("platlib")).resolve() in here.parents, f"{here} is not the installed one"
    weights = kernel.Quantized("Q8_0", 1, 32, np.zeros(34, np.uint8))
    assert kernel.merge(weights, None)[0].tobytes() == bytes(34)
    there = {path.name for path in files("edgesleep") or ()}
    assert there.issuperset(WANTED), set(WANTED) - there
    assert not [name for name in there if name.startswith("test_")]
    assert render("shell.html").startswith("<!DOCTYPE html>")
    command = [sys.executable, "-m", "edgesleep", "--version"]
    assert version("edgesleep") in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(f"edgesleep {version('edgesleep')} with the kernel {kernel.name()}: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
