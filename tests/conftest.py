"""What every test may use: a throw-away home, and the real models where a test asks for one.

The models come through the catalogue into the user's real cache, so that a
machine downloads them once; tests that ask for one are marked slow, and fail
where it cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgesleep import catalog, kernel, machine

if TYPE_CHECKING:
    from grown import Bases

    from edgesleep.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """EDGESLEEP_HOME of the test; no test touches the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGESLEEP_HOME", str(folder))
    return folder


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


@pytest.fixture
def store(home: Path, bases: Bases) -> Store:
    """A home on the first of them, in which three memories wait to be learned."""
    from grown import make_store

    return make_store(home, bases)
