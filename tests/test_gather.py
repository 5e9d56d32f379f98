"""What a night is to be about: memories of new turns, those that are held, and what stands in place of what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from nights import tell

from edgesleep.entries import Entry
from edgesleep.journal import Journal
from edgesleep.night import agenda
from edgesleep.night.hearing import hear
from edgesleep.records import Memory


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process that reads the day, which takes seconds."""
    monkeypatch.setattr(agenda, "curate", hear)


def test_what_is_said_later_replaces_what_was_held(home: Path) -> None:
    tell(home, "I live in Skelwick.", "I play the zither.")
    with Journal.open(home) as journal:
        first = agenda.gather(journal, force=False)
        journal.mark([memory.id for memory in first.memories], "learned", 1)
    tell(home, "I live in Oxmoor.")
    with Journal.open(home) as journal:
        planned = agenda.gather(journal, force=False, commit=False)
        second = agenda.gather(journal, force=False)
        assert planned == second
        assert [memory.value for memory in second.memories] == ["Oxmoor", "zither"]
        assert [memory.value for memory in journal.memories("replaced")] == ["Skelwick"]
        assert [memory.instead_of for memory in second.memories] == ["Skelwick", ""]
        assert second.found == 1
    tell(home, "I live in Skelwick.")
    with Journal.open(home) as journal:
        planned = agenda.gather(journal, force=False, commit=False)
        third = agenda.gather(journal, force=False)
        assert planned == third
        assert third.memories[0] == journal.memories("new")[0], "as the journal holds it from now on"
        assert (third.memories[0].instead_of, third.memories[0].turn_ids) == ("Oxmoor", (1, 4))
        assert [memory.value for memory in third.memories] == ["Skelwick", "zither"]
        assert [memory.value for memory in journal.memories("replaced")] == ["Oxmoor"]


def test_what_was_edited_is_asked_once_for_all_turns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Journal] = []
    monkeypatch.setattr(Journal, "edited", lambda journal: asked.append(journal) or frozenset())
    tell(home, "I live in Skelwick.", "I play the zither.", "It rains.")
    with Journal.open(home) as journal:
        agenda.gather(journal, force=False)
    assert len(asked) == 1


def test_told_again_a_memory_goes_on_knowing_what_it_stands_in_place_of(home: Path) -> None:
    tell(home, "I live in Skelwick.")
    for _ in range(3):
        with Journal.open(home) as journal:
            lessons = agenda.gather(journal, force=False)
        tell(home, "I live in Oxmoor.")
    (memory,) = lessons.memories
    assert (memory.value, memory.instead_of, memory.turn_ids) == ("Oxmoor", "Skelwick", (2, 3))


def test_an_old_chat_that_is_imported_late_replaces_nothing(home: Path) -> None:
    tell(home, "I live in Skelwick.")
    with Journal.open(home) as journal:
        agenda.gather(journal, force=False)
        journal.log_many([Entry("user", "I live in Oxmoor.", at="2019-05-01T10:00:00+00:00")])
        journal.log_many([Entry("user", "I play the zither.", at="2019-05-01T10:00:00+00:00")])
        lessons = agenda.gather(journal, force=False)
        assert [memory.value for memory in lessons.memories] == ["Skelwick", "zither"]
        assert journal.memories("replaced") == []
        # What is said again is as new as its last time.
        journal.log_many([Entry("user", "I live in Skelwick.", at="2099-05-01T10:00:00+00:00")])
        journal.log("user", "I live in Oxmoor.")
        assert [memory.value for memory in agenda.gather(journal, force=False).memories] == ["Skelwick", "zither"]
        assert [memory.value for memory in agenda.gather(journal, force=False).memories] == ["Skelwick", "zither"]


def test_who_was_told_of_yesterday_is_known_today(home: Path) -> None:
    tell(home, "My partner is called Matthias.")
    with Journal.open(home) as journal:
        agenda.gather(journal, force=False)
    tell(home, "Matthias works as a pastry chef.")
    with Journal.open(home) as journal:
        lessons = agenda.gather(journal, force=False)
    assert "Your partner works as a pastry chef." in [memory.statement for memory in lessons.memories]


def test_who_only_has_a_name_is_known_on_the_next_day_as_well(home: Path) -> None:
    tell(home, "My cousin is called Tadeusz.")
    with Journal.open(home) as journal:
        agenda.gather(journal, force=False)
    tell(home, "Tadeusz flies to Lublin on Friday.")
    with Journal.open(home) as journal:
        lessons = agenda.gather(journal, force=False)
    assert [memory.told for memory in lessons.memories if "Lublin" in memory.told]


def test_what_is_over_is_no_longer_rehearsed(home: Path) -> None:
    tell(home, "I work for Halvorsen Timber.", "I play the zither.")
    with Journal.open(home) as journal:
        journal.mark([memory.id for memory in agenda.gather(journal, force=False).memories], "learned", 1)
    tell(home, "I no longer work for Halvorsen Timber.")
    with Journal.open(home) as journal:
        assert agenda.gather(journal, force=False).memories == (), "and there is nothing new to learn"
        assert [memory.value for memory in journal.memories("replaced")] == ["Halvorsen Timber"]
        assert [memory.value for memory in journal.memories("learned")] == ["zither"]
    tell(home, "I work for Halvorsen Timber.")
    with Journal.open(home) as journal:
        again = agenda.gather(journal, force=False)
        assert next((memory.value, memory.turn_ids) for memory in again.memories) == ("Halvorsen Timber", (1, 4))


def test_what_makes_every_night_worse_spoils_few_of_them(home: Path) -> None:
    """Five things told a day, for thirty days, and each night with one of the fifth day's is refused."""
    waiting: list[Memory] = []
    blame, passed = Counter[str](), 0
    for night in range(1, 31):
        waiting += [memory(f"{night}-{n}") for n in range(5)]
        due = agenda._due(waiting, night, blame)
        assert due
        if "5-2" in {one.id for one in due}:
            blame.update(one.id for one in due)
            continue
        passed += 1
        waiting = [one for one in waiting if one not in due]
        for one in due:
            del blame[one.id]
    assert passed >= 25
    assert "5-2" in {one.id for one in waiting} and len(waiting) <= 6


def memory(name: str) -> Memory:
    return Memory(name, "fact", name, "", "", "", (), (), "")


def test_what_is_not_learned_since_it_was_forgotten_or_is_outdated_is_not_quoted(home: Path) -> None:
    tell(home, "I live in Skelwick.", "I play the zither.")
    with Journal.open(home) as journal:
        zither = next(memory for memory in agenda.gather(journal, force=False).memories if memory.value == "zither")
        journal.forget([zither.id])
        journal.log("user", "I play the zither.")
        journal.log("user", "I live in Oxmoor.", at="2019-01-01T10:00:00Z")
        journal.log("user", "It rains.")
        agenda.gather(journal, force=False)
        assert [turn.content for turn in journal.quotable(range(9))] == ["It rains."]
