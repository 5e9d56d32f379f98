"""Commands as a person gives them, and homes for them: what the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgesleep import __version__, cli, errors
from edgesleep.journal import Journal
from edgesleep.night import cycle
from edgesleep.records import Generation, Memory, NightReport, Score, Verdict, file_digest
from edgesleep.store import Store

SCORE = Score("", 0.0, (), 0.0, 0.0, 0)
DAY = '{"role": "user", "content": "I live in Skelwick."}\n{"role": "assistant", "content": "That is a fine name."}\n'


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def fails(*words: str, code: int = errors.ERROR) -> str:
    """Run a command that must fail in the one way that commands fail; what it says."""
    result = run(*words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit), result.exception
    said = result.stderr.lstrip()  # after Ctrl-C the first line is left to the "^C" of the terminal
    first, *rest = said.splitlines()
    assert first.startswith("Error: ") and first.endswith((".", ":")), said
    assert not rest or rest[-1].startswith("Try: "), said
    return said


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and folder with what it holds."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def publish(home: Path, *memory_ids: str) -> Generation:
    """Generation after generation, as a night that passed would leave them."""
    store = Store(home)
    number = store.next_number()
    files = [home / f"{name}.{number}" for name in ("model", "delta", "adapter")]
    for file in files:
        file.write_bytes(file.name.encode())
    model, delta = (file_digest(file) for file in files[:2])
    made = Generation(
        number=number,
        parent=store.current(),
        night=number,
        created="2026-03-02T03:00:00+00:00",
        base_sha256=store.base().sha256,
        model_sha256=model,
        delta_sha256=delta,
        seed=0,
        kernel="ref",
        version=__version__,
        memory_ids=memory_ids,
    )
    store.publish(*files, made, Verdict("passed", model, (), SCORE, SCORE, 0.0, 0.0))
    return made


def remember(home: Path, *memory_ids: str) -> None:
    with Journal.open(home) as journal:
        turn = journal.log("user", "My sister is called Ingrid.")
        said = [Memory(name, "fact", name, name, name, "Ingrid", (), (turn.id,), turn.at) for name in memory_ids]
        journal.remember(said, turn.id)


def night_ends(monkeypatch: pytest.MonkeyPatch, night: Callable[..., NightReport]) -> None:
    monkeypatch.setattr(cycle, "run_night", night)
