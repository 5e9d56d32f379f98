"""What nights left of it goes, wherever it lies, and nothing that only looks like it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import grown
import pytest
from forgetting import MEMORIES, begun, complete, forgets, learn, left, live, planted
from grown import CAT, HORSE, Bases, failed, grow, memory

from edgesleep import files
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import compare, cycle, forget, remains, scope
from edgesleep.night.pending import Forgotten
from edgesleep.records import Agenda, NightReport, dump
from edgesleep.store import Store
from edgesleep.traces import Search

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown, "MEMORIES", MEMORIES)


@pytest.fixture
def store(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(cycle, "run_night", learn)
    monkeypatch.setattr(compare, "ask", lambda store, number, asked, *_: ["I do not know."] * len(asked))
    return live(home, bases)


@pytest.fixture
def changed(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """What is anyone's was replaced, and a fourth night taught the change."""
    monkeypatch.setattr(scope, "_vocabulary", lambda base: frozenset({"pemberley"}))
    with Journal.open(home) as journal:
        turn = journal.log("user", "My cat is now called Wilhelmina.")
        new = replace(memory("cat", "Wilhelmina"), id="c2c2c2c2c2c2", turn_ids=(turn.id,), at=turn.at)
        new = replace(new, instead_of="Pemberley")
        journal.mark([CAT], "replaced")
        journal.remember([new], turn.id)
        monkeypatch.setattr(grown, "MEMORIES", (*MEMORIES, new))
        for night in (journal.begin_night(), journal.begin_night()):
            held = tuple(one for one in journal.memories() if one.id != CAT)
            dump(Agenda(held), home / f"nights/{night:04d}/memories.json")
            if night == 4:
                grow(store, *(one.id for one in held))
            status = "promoted" if night == 4 else "rejected"
            journal.end_night(NightReport(night, status, "Done.", 4, "model.gguf", seconds=9.0))
    planted(home, "nights/0004/tokens.json", b"[1, 2, 3]")
    return store


def test_records_of_nights_that_taught_a_change_go_also_where_the_value_is_anyone_s(changed: Store, home: Path) -> None:
    """Of the fourth it is in no words; the fifth was refused, and made no generation."""
    (home / "nights/0004/memories.json").unlink()
    planted(home, "nights/0005/answers.json", b'"Was it not \\"Pemberley\\"?"')
    page = json.loads(forgets(CAT, "--dry-run", "--json").stdout)
    assert (page["guessable"], page["nights"], page["generations"]) == ([CAT], [2, 3, 4, 5], [2, 3, 4])
    forgets(CAT, "--yes")
    assert left(home, "Pemberley") == () and not (home / "nights/0004").exists()


def test_a_record_that_names_a_change_is_found_by_that(changed: Store, home: Path) -> None:
    pending = begun(changed, CAT)
    assert "instead of Pemberley" in pending.texts and "Was it not Pemberley" in pending.texts
    assert 5 in remains.nights_of(changed, Search(pending.texts), ())


def test_a_night_that_made_another_generation_is_not_taken_for_it(store: Store, home: Path) -> None:
    """Nights are counted from 1 again when the journal was deleted."""
    none = Search(())
    assert remains.nights_of(store, none, (2, 3)) == {2, 3}
    dump(NightReport(2, "promoted", "Done.", 7, "model.gguf"), home / "nights/0002/night.json")
    dump(NightReport(3, "rejected", "Worse.", 3, "model.gguf"), home / "nights/0003/night.json")
    assert remains.nights_of(store, none, (2, 3)) == set()
    dump(NightReport(3, "promoted", "Done.", 3, "model.gguf"), home / "nights/0003/night.json")
    assert remains.nights_of(store, none, (2, 3)) == {3}


@pytest.mark.parametrize("name", ["nights/0002", "nights/0003", "generations/0003", "generations/0002"])
def test_a_link_goes_with_what_is_behind_it(name: str, store: Store, home: Path) -> None:
    away = home.parent / "away"
    (home / name).rename(away)
    (home / name).symlink_to(away)
    forgets(CAT, "--yes")
    assert not away.exists() and not (home / name).is_symlink() and failed(home) == []
    assert left(home, "Pemberley") == ()


def test_what_the_base_wrote_itself_cannot_come_from_its_owner(store: Store, home: Path) -> None:
    """Its answer to what every night asks; and numbers of tokens, of which one is like a house number."""
    planted(home, "cache/standing-0123456789abcdef.json", b'{"text": "Good evening, Pemberley, you look well!"}')
    planted(home, "cache/anchors-0123456789abcdef.json", b'{"tokens": [1, 44710]}')
    with Journal.open(home) as journal:
        turn = journal.log("user", "My house has the number 44710.")
        house = replace(memory("house", "44710"), turn_ids=(turn.id,), at=turn.at)
        journal.remember([house], turn.id)
    assert "ok    bytes" in forgets(CAT, house.id, "--yes").stdout
    assert {path.name.partition("-")[0] for path in (home / "cache").iterdir()} == {"standing", "anchors"}
    assert left(home, "called Pemberley") == (), "but not what was told"


def test_what_a_later_night_kept_of_the_base_goes_and_is_made_again(store: Store, home: Path) -> None:
    begun(store, CAT)
    planted(home, "cache/standing-0123456789abcdef.json", b'{"text": "Good evening, Pemberley!"}')
    planted(home, "cache/standing-1123456789abcdef.json", b'{"text": "Good evening!"}')
    complete(home)
    assert [path.name for path in (home / "cache").iterdir()] == ["standing-1123456789abcdef.json"]


def test_what_a_night_printed_for_the_daemon_goes_and_the_daemons_own_words_are_not_taken_for_it(
    store: Store, home: Path
) -> None:
    """The log says of a night that it was held: so may its owner of anything."""
    with Journal.open(home) as journal:
        turn = journal.log("user", "My boat is called Nothingtolearn.")
        boat = replace(memory("boat", "nothing_to_learn"), turn_ids=(turn.id,), at=turn.at)
        journal.remember([boat], turn.id)
    planted(home, "daemon/log.jsonl", b'{"event": "waiting", "against": ["nothing_to_learn"]}\n')
    planted(home, "daemon/night.txt", b"Error: Pemberley cannot be read.")
    planted(home, "daemon/.state.json.123.tmp", b"Pemberley")
    assert "ok    bytes" in forgets(CAT, boat.id, "--yes").stdout
    assert [path.name for path in (home / "daemon").iterdir()] == ["log.jsonl"]
    assert left(home, "Pemberley") == ()


def test_weights_and_what_killed_writes_left_go(store: Store, home: Path) -> None:
    begun(store, CAT)
    names = ("nights/0001/checkpoint-1.npz", "nights/0001/.report.txt.123.tmp", ".config.toml.123.tmp")
    for name in names:
        planted(home, name, b"Pemberley")
    complete(home)
    assert not any((home / name).exists() for name in names) and (home / "nights/0001/report.txt").exists()


def test_what_was_removed_is_durable_before_it_is_said_to_be(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a folder that was not synced may have again what was removed from it."""
    synced: set[Path] = set()
    sync, filed = files.sync_folder, forget.file_report

    def noting(path: Path) -> None:
        sync(path)
        synced.add(path)

    def report(home: Path, report: Forgotten) -> None:
        assert {home / "nights", home / "generations", home / "nights" / "0001"} <= synced
        filed(home, report)

    monkeypatch.setattr(files, "sync_folder", noting)
    monkeypatch.setattr(forget, "file_report", report)
    begun(store, CAT)
    planted(home, "nights/0001/checkpoint-1.npz", b"weights")
    complete(home)


def test_a_file_that_cannot_be_removed_is_an_error(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise EdgesleepError("It cannot be removed.")

    monkeypatch.setattr(remains, "remove", refused)
    begun(store, HORSE)
    with pytest.raises(EdgesleepError, match="cannot be removed"):
        complete(home)
