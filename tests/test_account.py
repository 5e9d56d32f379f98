"""The account of a night quotes what was told, so a forgetting takes it away; its other words are anyone's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import grown
import msgspec
import pytest
from forgetting import MEMORIES, begun, forgets, learn, left, live, planted
from grown import CAT, Bases, failed, run
from nights import SETTINGS, TEXT, make_home, sleep, tell

from edgesleep import account, page, records
from edgesleep.account import NIGHT, Account, Lesson, NightRecord
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import agenda, beside, compare, cycle, gate, remains, scope
from edgesleep.night.beside import NIGHT as NIGHT_FILE
from edgesleep.night.beside import WHOLE
from edgesleep.night.hearing import hear
from edgesleep.records import Agenda, NightReport, dump, encode, load
from edgesleep.store import Store
from edgesleep.traces import Search

pytestmark = pytest.mark.usefixtures("one_thread")


MACHINE = {"processor": "Quetzalcoatl 9000", "threads": 2, "system": "Linux"}


@pytest.fixture
def store(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three nights, each with a memory more, and the accounts of what they taught."""
    monkeypatch.setattr(grown, "MEMORIES", MEMORIES)
    monkeypatch.setattr(cycle, "run_night", learn)
    monkeypatch.setattr(compare, "ask", lambda store, number, asked, *_: ["I do not know."] * len(asked))
    store = live(home, bases)
    with Journal.open(home) as journal:
        nights = journal.nights()
    for night in nights:
        told(home, night, account_of(night.night))
    return store


@pytest.fixture
def short_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little text, and the day is read in this process."""
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(agenda, "curate", hear)


def account_of(night: int) -> Account:
    lessons = (
        Lesson(one.id, one.statement, one.told, one.turn_ids, "", night, 2, 0, 2, "Well?", "No.", one.value)
        for one in MEMORIES[:night]
    )
    return Account("", "", "first", tuple(lessons), 0, (), (), 0.0, machine=MACHINE)


def told(home: Path, night: NightReport, told: Account) -> None:
    dump(NightRecord.of(night, told), home / f"nights/{night.night:04d}" / NIGHT)


def test_what_is_forgotten_leaves_the_accounts_and_the_pages_of_nights(store: Store, home: Path) -> None:
    for number in (1, 2, 3):
        assert run("report", number, "--html", home / f"nights/{number:04d}/report.html").exit_code == 0
    assert {name.split("/")[-1] for name in left(home, "Pemberley")} >= {NIGHT, "report.html"}
    forgets(CAT, "--yes")
    assert left(home, "Pemberley", CAT) == () and failed(home) == []
    assert [night.night for night in account.nights(home)] == [1], "the first night never knew of it"
    assert "Barnaby Rudge" in run("report").stdout


def test_a_night_of_which_only_the_account_quotes_it_goes(store: Store, home: Path) -> None:
    """Such as one that was refused, and whose other records were taken away by hand."""
    pending = begun(store, CAT)
    told(home, NightReport(7, "rejected", "Worse.", 3, "model.gguf"), account_of(2))
    told(home, NightReport(8, "rejected", "Worse.", 3, "model.gguf"), account_of(1))
    found = remains.nights_of(store, Search(pending.texts), ())
    assert 7 in found and 8 not in found


def test_words_of_an_account_that_quote_nobody_are_anyone_s(store: Store, home: Path) -> None:
    words = scope._ours(home)
    assert {"quetzalcoatl", "promoted"} <= words
    assert "pemberley" not in words and "rocinante" not in words
    (home / "nights/0001" / NIGHT).write_text('{"quotes": "Pemberley"')
    assert "pemberley" not in scope._ours(home), "what cannot be read may quote anything"


def test_what_stays_is_told_in_the_accounts_that_stay(store: Store, home: Path) -> None:
    planted(home, "nights/0009/memories.json", records.encode(Agenda(MEMORIES[:1])))
    told(home, NightReport(9, "rejected", "Worse.", 3, "model.gguf"), account_of(1))
    forgets(CAT, "--yes")
    assert account.night_of(home, 9).account == account_of(1)


def test_an_older_record_is_read_and_a_newer_one_by_an_older_edgesleep(home: Path) -> None:
    old = NightReport(1, "promoted", "Done.", 1, "model.gguf", recall_after=0.5)
    path = dump(old, home / "nights/0001" / NIGHT)
    assert load(NightRecord, path) == NightRecord.of(old, None) == account.night_of(home, 1)
    whole = replace(NightRecord.of(old, account_of(1)), night=2)
    assert msgspec.json.decode(encode(whole), type=NightReport) == replace(old, night=2)


def test_the_journal_keeps_figures_alone(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        assert all(type(night) is NightReport for night in journal.nights())
        assert "account" not in json.loads(encode(journal.nights()[-1]))


def test_the_last_night_is_the_last_that_ended(home: Path) -> None:
    with pytest.raises(EdgesleepError, match="No night has a report"):
        account.night_of(home, None)
    for number, status in ((1, "promoted"), (2, "rejected"), (3, "interrupted")):
        dump(NightReport(number, status, "", 1, "m"), home / f"nights/{number:04d}" / NIGHT)
    assert account.night_of(home, None).night == 2
    assert [night.night for night in account.nights(home)] == [2, 1]


def test_a_real_night_leaves_one_and_so_does_a_refused_one(home: Path, bases: Bases, short_night: None) -> None:
    refusing = replace(SETTINGS, gate=replace(SETTINGS.gate, recall_gain=1.5))
    comparing = replace(SETTINGS, report=replace(SETTINGS.report, beside=True))
    for settings, status in ((comparing, "promoted"), (refusing, "rejected")):
        if status == "promoted":
            make_home(home, bases.first)
        else:
            tell(home, "My sister is called Ingrid.")
        result, _ = sleep(home, settings)
        night = account.night_of(home, None)
        assert (night.status, night.night, type(result)) == (status, result.night, NightReport)
        kept = night.account
        assert kept is not None and NightRecord.of(result, kept) == night
        taught = load(Agenda, home / f"nights/{night.night:04d}/memories.json").memories
        assert [lesson.id for lesson in kept.lessons] == [memory.id for memory in taught]
        assert all(lesson.question and lesson.asked for lesson in kept.lessons)
        assert [one.outcome == "passed" for one in kept.attempts][:1] == [status == "promoted"]
        assert sum(one.moved for one in kept.tensors) == night.codes_moved > 0
        assert [one.number for one in kept.line] == [1] and kept.findings and kept.machine["threads"]
        assert kept.began <= kept.ended and {lesson.since for lesson in kept.lessons} == {1, night.night}
        assert [one.name for one in kept.rivals][:2] == ([NIGHT_FILE, WHOLE] if status == "promoted" else [])
        assert (home / f"nights/{night.night:04d}/report.txt").read_text("utf-8") == run("report").stdout
        assert page.night(night).startswith("<!DOCTYPE html>")


def test_a_comparison_that_fails_costs_no_night_and_none_is_made_to_end_one(
    home: Path, bases: Bases, short_night: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when it has published, nor in the midst of a forgetting, which only has it end."""
    comparing = replace(SETTINGS, report=replace(SETTINGS.report, beside=True))
    make_home(home, bases.first)
    compared: list[int | None] = []

    def failing(*_: object) -> tuple[account.Rival, ...]:
        with Journal.open(home) as journal:
            compared.append(journal.open_night())
        raise MemoryError("too little memory")

    monkeypatch.setattr(beside, "beside", failing)
    cut = pytest.MonkeyPatch()
    cut.setattr(Journal, "end_night", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cycle.run_night(home, comparing)
    cut.undo()
    with Journal.open(home) as journal:
        assert cycle.end_published(Store(home), journal, comparing) and journal.open_night() is None
    assert compared == []
    tell(home, "My sister is called Ingrid.")
    result, _ = sleep(home, comparing)
    assert compared == [None], "it has ended before"
    kept = account.night_of(home, result.night).account
    assert kept is not None and (kept.rivals, kept.rivals_failed) == ((), "too little memory")
    assert "not compared: too little memory" in run("report").stdout
