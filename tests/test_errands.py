"""Errands: what is done in a process of its own is told, and ends with whoever had it done."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from serving import SMALL, serving, wait

from edgesleep import machine
from edgesleep.day.guard import Rules
from edgesleep.errands import Errand
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING
from edgesleep.store import Store
from edgesleep.web import Web

# `edgesleep serve`, whose pages have a forgetting that lasts; once it is asked to end it says so in a file.
FORGETTING = """
import pathlib, signal, sys, time
def asked(number, frame):
    pathlib.Path("asked").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, asked)
print("It lasts.", flush=True)
time.sleep(600)
"""
SERVING = """
from edgesleep import machine
from edgesleep.cli import main
machine.edgesleep = lambda *words: machine.child({errand!r})
main(["--home", {home!r}, "serve", "--port", "0"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("by", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_an_errand_ends_with_the_server_whatever_ends_that(store: Store, by: str) -> None:
    (store.home / PENDING).write_text("{}")
    code = SERVING.format(errand=FORGETTING, home=str(store.home))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        url = next(line for line in process.stderr if "/v1" in line).split(" at ")[1].split("/v1")[0]
        with httpx.Client(base_url=url, headers={"Origin": url}, trust_env=False, timeout=60) as client:
            token = client.get("/forgetting").text.split('name="token" value="')[1].split('"')[0]
            assert client.post("/forgetting", data={"token": token}).status_code == 303
            wait(lambda: "It lasts." in client.get("/forgetting").text)
        (errand,) = psutil.Process(process.pid).children()
        process.send_signal(signal.Signals[by])
        process.wait(60)
        rest = process.stderr.read()
    wait(lambda: not machine.process_began(errand.pid), 10)
    assert (store.home / "asked").exists() is (by != "SIGKILL") and "Traceback" not in rest


def test_the_server_ends_them_before_it_is_done(store: Store) -> None:
    pages = Web(store.home, SMALL, Rules("127.0.0.1"))
    with serving(store.home, recall=False, pages=pages):
        pages.errand.start("serve", "--port", "0")
        with pytest.raises(EdgesleepError, match="under way"):
            pages.errand.start("status")
        wait(lambda: pages.errand.lines)
    assert not pages.errand.is_under_way() and pages.errand.code is not None


def test_nothing_in_a_working_folder_is_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in this one's nor in its own."""
    (here := tmp_path / "here").mkdir()
    for folder in (here, store.home):
        (folder / "click.py").write_text("import pathlib; pathlib.Path(__file__).with_name('run').touch()")
    monkeypatch.chdir(here)
    errand = Errand(store.home)
    errand.start("log", "status")
    wait(lambda: not errand.is_under_way())
    assert (errand.code, errand.lines) == (0, ["Is on: what is said is kept."])
    assert not (here / "run").exists() and not (store.home / "run").exists()
    errand.start("log", "never")
    wait(lambda: not errand.is_under_way())
    assert (failure := errand.failure()) and "never" in failure.message


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    errand = Errand(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        errand.start("status")
    assert not errand.is_under_way() and errand.code is None
