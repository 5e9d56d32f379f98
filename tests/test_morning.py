"""The commands of the morning: a report as text, JSON and page, made from night.json alone; and how things stand."""

from __future__ import annotations

import json
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
from grown import CAT, DOG, Bases, fails, grow, make_store, run
from test_report import RESULT, page, record
from test_service import TOLD

from edgesleep import account, errors, morning
from edgesleep.account import NIGHT, NightRecord
from edgesleep.daemon import control
from edgesleep.forgotten import PENDING
from edgesleep.journal import Journal
from edgesleep.records import NightReport, dump, encode
from edgesleep.store import Store

pytestmark = pytest.mark.usefixtures("one_thread")


def night(home: Path, number: int, kept: NightReport) -> Path:
    return dump(replace(kept, night=number), home / f"nights/{number:04d}" / NIGHT)


@pytest.fixture
def nights(home: Path) -> Path:
    """Two nights with an account, one of an older edgesleep, and one that was interrupted."""
    night(home, 1, RESULT)
    (home / "nights/0001/report.txt").write_text("As it was written then.\n")
    night(home, 2, record(replace(RESULT, status="rejected", reason="It forgot too much.")))
    night(home, 10, record())
    night(home, 11, NightReport(11, "interrupted", "Asked to stop.", 7, "model.gguf"))
    return home


def test_a_report_is_that_of_the_last_night_or_of_the_one_asked_for(nights: Path) -> None:
    assert run("report").stdout == page(replace(RESULT, night=10))
    assert run("report", "2").stdout.startswith("Night 2: rejected. It forgot too much.")
    assert run("report", "1").stdout == "As it was written then.\n"


def test_it_is_made_from_the_record_alone(nights: Path, tmp_path: Path) -> None:
    said = run("report", "10").stdout
    (nights / "nights/0001").rename(tmp_path / "away")
    assert sorted(path.name for path in nights.iterdir()) == ["nights"]
    assert run("report", "10").stdout == said and morning.text(account.night_of(nights, 10)) == said


def test_json_is_the_record(nights: Path) -> None:
    assert run("report", "--json").stdout == (nights / "nights/0010" / NIGHT).read_text()


@pytest.mark.parametrize(("number", "said"), [("3", "Night 3 has a report."), ("11", "Night 11 has a report.")])
def test_a_night_without_one_is_an_error(nights: Path, number: str, said: str) -> None:
    assert said in fails("report", number)


def test_no_night_at_all_is_an_error(home: Path) -> None:
    assert "No night has a report." in fails("report")


def test_a_damaged_record_is_named(nights: Path) -> None:
    (nights / "nights/0010" / NIGHT).write_text("{")
    assert NIGHT in fails("report") and run("report", "2").exit_code == errors.DONE


def test_a_page_goes_where_it_is_wanted_for_its_owner_only(nights: Path, tmp_path: Path) -> None:
    path = tmp_path / "night.html"
    done = run("report", "--html", path)
    assert done.exit_code == errors.DONE and str(path) in done.stderr
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>") and path.stat().st_mode & 0o077 == 0


def test_the_browser_is_shown_a_page_beside_the_record(nights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not asked.append(address))
    assert run("report", "--open").exit_code == errors.DONE
    assert asked == [(nights / "nights/0010/report.html").as_uri()] and (nights / "nights/0010/report.html").exists()


def test_without_a_browser_the_page_is_named(nights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert "report.html" in fails("report", "--open")


def test_while_a_forgetting_is_unfinished_nothing_is_told(nights: Path) -> None:
    (nights / PENDING).write_text("{}")
    assert "unfinished" in fails("report")


def test_figures_quote_nothing(nights: Path) -> None:
    """What the journal keeps and `run-night --json` prints is the record without its account."""
    whole = account.night_of(nights, 10)
    assert isinstance(whole, NightRecord) and "Skelwick" in encode(whole).decode()
    figures = json.loads(encode(RESULT))
    assert "account" not in figures and "Skelwick" not in json.dumps(figures)


# -- how things stand ------------------------------------------------------------------------------------------------


@pytest.fixture
def grown(home: Path, bases: Bases) -> Store:
    """Two nights: the dog was answered after both, the cat only after the last; the horse is new."""
    store = make_store(home, bases)
    grow(store, DOG, CAT, learned=(DOG,))
    grow(store, DOG, CAT)
    with Journal.open(home) as journal:
        for number in (journal.begin_night(), journal.begin_night()):
            journal.end_night(replace(RESULT, night=number))
    return store


def test_memories_are_counted_by_what_they_are_in(grown: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        assert journal.graduated() == {DOG}
    found = json.loads(run("status", "--json").stdout)
    assert found["memories"] == {"new": 1, "learning": 1, "graduated": 1, "weak": 0, "superseded": 0}
    assert found["next_night"] == {"night": 3, "messages": 0, "memories": 1}
    assert found["disk"]["generations"] > 0 and found["disk"]["home"] > found["disk"]["generations"]
    assert found["health"] == []
    screen = run("status").stdout
    assert "1 new, 1 learning, 1 graduated" in screen and "Health: nothing is wrong" in screen
    assert len(screen.splitlines()) < 24, "one screen"


def test_status_says_what_is_wrong_and_what_to_do(grown: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesleep.machine.free_disk", lambda path: 1000)
    [disk] = json.loads(run("status", "--json").stdout)["health"]
    assert (disk["what"], disk["state"]) == ("disk", "fail")
    screen = run("status").stdout
    assert "Health: disk: 0.0 GB are free" in screen and "Try: Free some space" in screen


def test_status_says_what_the_daemon_is_at(grown: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Daemon: none runs; `edgesleep daemon install`" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["daemon"] is None
    monkeypatch.setattr(control, "ask", lambda home, **asked: TOLD)
    assert f"\nDaemon: {run('daemon', 'status').stdout}" in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["daemon"] == TOLD
