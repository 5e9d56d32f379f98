"""What every test may use: a throw-away home, and the real models where a test asks for one.

The models come through the catalogue into the user's real cache, so that a
machine downloads them once; tests that ask for one are marked slow, and fail
where it cannot be had.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgesleep import catalog, kernel, machine

if TYPE_CHECKING:
    from grown import Bases
    from playwright.sync_api import Browser
    from whole import Whole

    from edgesleep.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """EDGESLEEP_HOME of the test; no test touches the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGESLEEP_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync is still a step that can be cut, but does not wait for the disk: no test's power fails but in `power`."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command that a test runs here puts the tests after it last: a process cannot take that back."""
    monkeypatch.setattr(machine, "give_way", lambda nice: None)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct in Q4_1 (architecture llama)."""
    return catalog.resolve("smollm2-135m")


@pytest.fixture(scope="session")
def gemma3() -> Path:
    """Gemma-3-270M in Q5_0, Q4_K, Q8_0 and Q6_K."""
    return catalog.resolve("gemma3-270m")


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks compute on one thread: tiny matrices are slower on more."""
    monkeypatch.setattr(machine, "threads", lambda wanted=0: wanted or 1)
    kernel.set_threads(1)
    yield
    kernel.set_threads(0)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Two tiny models that a home can learn on."""
    from grown import make_bases

    return make_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def base(bases: Bases) -> Path:
    """The first of them."""
    return bases.first


@pytest.fixture(scope="session")
def pristine(base: Path) -> bytes:
    return base.read_bytes()


@pytest.fixture
def base_stays(base: Path, pristine: bytes) -> Iterator[None]:
    """The test ends with the person's own file as it was."""
    yield
    assert base.read_bytes() == pristine


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nights read little plain text, and the day without a process of its own, which takes seconds; `whole` has it."""
    from nights import TEXT

    from edgesleep.night import agenda, gate
    from edgesleep.night.hearing import hear

    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(agenda, "curate", hear)


@pytest.fixture(scope="session")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A night that nothing cut."""
    from whole import sleep_whole

    return sleep_whole(tmp_path_factory.mktemp("whole") / "home", base)


@pytest.fixture
def store(home: Path, bases: Bases) -> Store:
    """A home on the first of them, in which three memories wait to be learned."""
    from grown import make_store

    return make_store(home, bases)


@pytest.fixture
def same_kernel_afterwards() -> Iterator[None]:
    """Whatever kernel a test chooses, and on however many threads."""
    before = kernel.name()
    yield
    kernel._native.select(before)
    kernel.set_threads(0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of the system; `make browser` installs one on Debian and Ubuntu."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    if (path := next(filter(None, map(shutil.which, names)), None)) is None:
        pytest.skip("no Chromium here: `make browser` installs it on Debian and Ubuntu")
    rooted = hasattr(os, "geteuid") and os.geteuid() == 0  # its sandbox does not run as root, as in a container
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if rooted else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=300_000)
        yield browser
        browser.close()
