"""A night that was cut short when something is forgotten: it goes on as one that was never told it, to the same bytes.

Real nights on a tiny model, each cut at some moment. Beside it stands what comes of the same home where the same is
forgotten while no night is under way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from forgetting import forgets, left, write_settings
from grown import Bases, failed, run
from nights import DAY, SETTINGS, TEXT, Listener, make_home, sleep, tell
from test_store import Cut

from edgesleep import errors
from edgesleep.journal import Journal
from edgesleep.night import agenda, gate
from edgesleep.night.cycle import run_night
from edgesleep.night.hearing import hear
from edgesleep.progress import Lines
from edgesleep.records import file_digest
from edgesleep.store import Store

FORGOTTEN = "tamarind"  # of what the day's first sentence tells
MOMENTS = {  # where a night is cut, and the last that it has made of all it was told by then
    "train": "dreams.json",
    "step 3": "checkpoint-*.npz",
    "merge": "adapter.safetensors",
    "gate": "candidate.gguf",
}
Served = tuple[str, str]  # hashes of a model and its delta


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "plain_text", lambda: TEXT)
        patch.setattr(agenda, "curate", hear)
        yield


@pytest.fixture(scope="module")
def homes(bases: Bases, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A day that no night has read, and one of which it is learned already; by whether it is."""
    folder = tmp_path_factory.mktemp("homes")
    for learned in (False, True):
        home = make_home(folder / f"{learned}", bases.first, DAY[:1] if learned else DAY)
        write_settings(home)
        if learned:
            assert run_night(home, SETTINGS).status == "promoted"
            tell(home, *DAY[1:])
    return {learned: folder / f"{learned}" for learned in (False, True)}


@pytest.fixture(scope="module")
def never(homes: dict[bool, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Served]:
    """What is served in the end where it is forgotten before the night begins."""

    @cache
    def asleep(learned: bool) -> Served:
        home = Path(shutil.copytree(homes[learned], tmp_path_factory.mktemp("never") / "home"))
        forgotten(home)
        return slept(home)

    return asleep


def cut(moment: str) -> Callable[[str], None]:
    def at(now: str) -> None:
        if now == moment:
            raise Cut

    return at


def cut_short(home: Path, moment: str) -> Path:
    """A night that ends without a word at that moment; its folder."""
    with pytest.raises(Cut):
        run_night(home, SETTINGS, Listener(at=cut(moment)).watch)
    return home / "nights" / f"{open_night(home):04d}"


def open_night(home: Path) -> int:
    with Journal.open(home) as journal:
        return journal.open_night() or 0


def forgotten(home: Path) -> None:
    said = run("--home", home, "forget", "--query", FORGOTTEN, "--yes")
    assert said.exit_code == errors.DONE, said.output
    assert left(home, FORGOTTEN) == ()


def slept(home: Path) -> Served:
    """A night comes to its end, where none has within the forgetting."""
    if not Store(home).current():
        said = run("--home", home, "run-night")
        assert said.exit_code == errors.DONE, said.output
    assert not open_night(home) and failed(home) == [] and left(home, FORGOTTEN) == ()
    store = Store(home)
    delta = store.delta_path(store.current())
    assert delta is not None
    return file_digest(store.model_path()), file_digest(delta)


def hashes(folder: Path) -> set[str]:
    return {file_digest(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("learned", "moment"), [*((False, moment) for moment in MOMENTS), (True, "step 3")])
def test_nothing_that_was_made_of_it_is_gone_on_with(
    learned: bool, moment: str, home: Path, homes: dict[bool, Path], never: Callable[[bool], Served]
) -> None:
    """Neither lessons nor weights. The second night of two was training on what had learned it."""
    shutil.copytree(homes[learned], home)
    folder = cut_short(home, moment)
    assert [*folder.glob(MOMENTS[moment])], "it was cut too early to show anything"
    made = hashes(folder)
    forgotten(home)
    assert not made & hashes(home)
    assert slept(home) == never(learned)


def test_without_forgetting_it_is_gone_on_with_to_other_bytes(
    home: Path, homes: dict[bool, Path], never: Callable[[bool], Served]
) -> None:
    """Or the others show nothing."""
    shutil.copytree(homes[False], home)
    folder = cut_short(home, "merge")
    adapter = file_digest(folder / "adapter.safetensors")
    assert run("--home", home, "run-night").exit_code == errors.DONE
    assert file_digest(Store(home).delta_path(1) or home) == adapter != never(False)[1]


def test_one_that_was_to_teach_the_rest_again_goes_on_to_the_same_bytes(
    home: Path, homes: dict[bool, Path], never: Callable[[bool], Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked about what was forgotten, as nothing knows any more what that was; and was never told it."""
    shutil.copytree(homes[True], home)
    cut_short(home, "dreams")  # the day is read
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "stage", lambda self, name: cut("merge")(name))
        said = run("--home", home, "forget", "--query", FORGOTTEN, "--yes")
    assert isinstance(said.exception, Cut) and left(home, FORGOTTEN) == ()
    assert [*home.glob(f"nights/{open_night(home):04d}/adapter.safetensors")]
    assert slept(home) == never(True)


# -- one that had published already ------------------------------------------------------------------------------------


@pytest.fixture
def published(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A night that was cut off after it had published, before it was noted as ended."""
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(gate, "right", lambda text, gold: True)
    monkeypatch.setattr(agenda, "curate", hear)
    make_home(home, bases.first, ("I live in Skelwick.",))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cut):

        def cut(*_: object) -> None:
            raise Cut

        patch.setattr(Journal, "end_night", cut)
        sleep(home)
    write_settings(home)
    return Store(home)


def test_a_night_that_had_published_is_ended_before_anything_goes(published: Store, home: Path) -> None:
    tell(home, "My heron is called Archibald.")
    assert "Nights whose records go: none" in forgets("--query", "heron", "--dry-run").stdout
    forgets("--query", "heron", "--yes")
    with Journal.open(home) as journal:
        assert [(night.night, night.status) for night in journal.nights()] == [(1, "promoted")]
        assert journal.open_night() is None
    assert (home / "nights" / "0001" / "report.txt").exists() and published.current() == 1
    assert run("run-night").exit_code == errors.SKIPPED


def test_a_night_that_had_published_it_goes_with_its_records(published: Store, home: Path) -> None:
    tell(home, "I play the zither.")
    assert forgets("--query", "Skelwick", "--yes").exit_code == errors.DONE
    assert not (home / "nights" / "0001").exists() and left(home, "Skelwick") == ()
    assert run("run-night").exit_code == errors.DONE


def test_without_its_records_a_published_night_is_run_anew(published: Store, home: Path) -> None:
    """No traceback: there is no verdict to end it with."""
    shutil.rmtree(home / "nights" / "0001")
    result, _ = sleep(home, force=True)
    assert (result.status, result.night, result.generation) == ("promoted", 1, 2)
    assert failed(home) == []


def test_records_that_cannot_be_read_hold_nothing_up(published: Store, home: Path) -> None:
    (home / "nights" / "0001" / "verdict.json").write_text("{}")
    tell(home, "My heron is called Archibald.")
    assert "Nights whose records go: 1" in forgets("--query", "heron", "--dry-run").stdout
    forgets("--query", "heron", "--yes")
    assert run("run-night", "--force").exit_code == errors.DONE and published.current() == 2
