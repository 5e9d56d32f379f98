"""That it is forgotten is only said where it is, and of what can be shown; where it is not there is a way on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grown
import pytest
from forgetting import MEMORIES, SAID, begun, complete, forgets, knows, learn, left, live, planted, told
from grown import CAT, DOG, HORSE, Bases, failed, fails, memory, run, standing
from nights import tell

from edgesleep import config, errors, tables
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import compare, cycle, forget, scope
from edgesleep.night.pending import Asked
from edgesleep.records import NightReport, dump
from edgesleep.store import Store
from edgesleep.tombstones import PENDING, unfinished

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown, "MEMORIES", MEMORIES)


@pytest.fixture
def store(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three nights, each with a message and a memory more; the models answer nothing, and learning again is cheap."""
    monkeypatch.setattr(cycle, "run_night", learn)
    monkeypatch.setattr(compare, "ask", lambda store, number, asked, *_: ["I do not know."] * len(asked))
    return live(home, bases)


# -- proofs ----------------------------------------------------------------------------------------------------------


PLANTS: dict[str, bytes] = {
    "day.jsonl": b'{"role": "user", "content": "A cat,\\nPEMBERLEY"}',
    "Pemberley.txt": b"",
    "config.toml": b"\n# pemberley\n",
    "nights/0001/answers.json": b'"pemberley"',
    "nights/0009/dreams.json": CAT.encode(),
    "cache/anchors-1.json": b"Your cat is called\\u0020Pemberley",
    "generations/0001/manifest.json": b'"kernel": "pemberley ',
    "generations/0001/delta.safetensors": b"\0Pemberley\0",
    "generations/0001/model.gguf": b"\0pemberley\0",
    "run.log": b"...Pemberley...",
}


@pytest.mark.parametrize("name", PLANTS)
def test_wherever_it_is_left_it_is_found_and_nothing_is_claimed(name: str, store: Store, home: Path) -> None:
    begun(store, CAT)
    pending = forget.erase(home, lambda line: None)
    assert forget.needs_night(home, pending)
    before = (home / name).read_bytes() if (home / name).exists() else None
    planted(home, name, PLANTS[name])
    with pytest.raises(EdgesleepError, match="It is not forgotten") as caught:
        forget.prove(home, config.load(home), lambda line: None)
    assert str(Path(name)) in caught.value.message and "pemberley" not in caught.value.message.replace(name, "").lower()
    assert unfinished(home) and not (home / "forgotten").exists()
    if before is None:
        (home / name).unlink()
    else:
        (home / name).write_bytes(before)
    assert all(proof.ok for proof in complete(home).proofs)


def test_a_row_of_the_journal_is_found_as_well(store: Store, home: Path) -> None:
    begun(store, CAT)
    forget.erase(home, lambda line: None)
    with Journal.open(home) as journal:
        journal.log("user", "Hello", session="Pemberley again")
    with pytest.raises(EdgesleepError, match=r"journal\.db \(sessions\)"):
        forget.prove(home, config.load(home), lambda line: None)


def test_what_is_said_again_meanwhile_goes_too(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(*arguments: object, **named: bool) -> NightReport:
        monkeypatch.setattr(cycle, "run_night", learn)
        tell(home, "How is Pemberley?")
        return learn(*arguments, **named)

    monkeypatch.setattr(cycle, "run_night", talk)
    assert "journal.db" in fails("forget", CAT, "--yes")
    assert "A forgetting is unfinished" in run("status").stderr
    (home / "day.jsonl").write_text("")
    for words in (
        ["rollback", 1],
        ["migrate", "--model", "x"],
        ["forget", DOG, "--yes"],
        ["import", home / "day.jsonl"],
        ["memories", "edit", DOG, "My dog is called Miso."],
    ):
        assert "unfinished" in fails(*words)
    assert json.loads(forgets("--resume", "--dry-run", "--json").stdout)["dry_run"]
    done = forgets("--resume")
    assert "go as well: m10" in done.stderr and "1 memories and 3 messages" in done.stdout
    assert "How is Pemberley?" not in told(home) and "unfinished" not in run("status").stderr


def test_a_model_that_still_knows_it_is_told(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "ask", knows("Pemberley"))
    said = fails("forget", CAT, "--yes")
    assert "generation 4 answers 3 of 3 questions, the base 0 of 3; 1 memories are known" in said
    assert unfinished(home) and "forget --resume" in said
    again = fails("forget", "--resume")
    assert "Generation 1 is served" in again and "generation 5 answers" in again
    monkeypatch.setattr(compare, "ask", knows("Nobody"))
    forgets("--resume")
    assert (store.current(), store.numbers(), store.generation(6).parent) == (6, [1, 6], 1)
    assert set(standing(home)) == {DOG, HORSE} and failed(home) == []


def test_where_the_model_that_was_never_taught_it_knows_it_the_base_is_gone_back_to(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "ask", knows("Archibald"))
    with Journal.open(home) as journal:
        turn = journal.log("user", "My heron is called Archibald.")
        heron = replace(memory("heron", "Archibald"), turn_ids=(turn.id,), at=turn.at)
        journal.remember([heron], turn.id)
    assert "generation 3 answers 3 of 3" in fails("forget", heron.id, "--yes")
    monkeypatch.setattr(compare, "ask", knows("Nobody"))
    forgets("--resume")
    assert store.numbers() == [1, 2, 4] and store.generation(4).parent == 2


def test_a_value_that_can_be_guessed_may_be_met_by_chance_but_not_every_time(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "_vocabulary", lambda base: frozenset({"pemberley"}))
    monkeypatch.setattr(compare, "ask", knows("Pemberley"))
    assert "1 memories are known" in fails("forget", CAT, "--yes")
    monkeypatch.setattr(
        compare, "ask", lambda store, number, asked, *_: ["Pemberley." if number else "No."] * 2 + ["?"]
    )
    assert "2 of 3 questions, the base 0 of 3" in forgets("--resume").stdout


def test_what_also_stays_proves_nothing_and_may_be_told_again(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal.open(home) as journal:
        turn = journal.log("user", "My friend is called Barnaby Rudge.", at="2026-03-05T12:00:00Z")
        journal.log("user", "My dog is called Barnaby Rudge.", at="2026-03-05T12:00:00Z")
        friend = replace(memory("friend", "Barnaby Rudge"), turn_ids=(turn.id,), at=turn.at)
        journal.remember([friend], turn.id + 1)
    monkeypatch.setattr(compare, "ask", knows("Barnaby Rudge"))
    said = forgets("--since", "2026-03-05", "--yes").stdout
    assert "none  recall" in said and "what stays has the same value" in said and "nothing to ask" in said
    with Journal.open(home) as journal:
        stones = journal.tombstones()
        assert stones.hold(friend) and not stones.hold_text(SAID[0])
        assert not stones.hold(replace(MEMORIES[0], relation="barnaby rudge|eats", value="fish", told="He eats fish."))


def test_of_a_message_that_is_anyone_s_nothing_is_claimed(store: Store, home: Path) -> None:
    said = forgets("m3", "--yes").stdout
    assert "none  recall" in said and "there was nothing to ask" in said


def test_a_message_that_begins_like_one_that_goes_stays(store: Store, home: Path) -> None:
    begins = "Once more, as I said to you on the phone last week when we talked about it: my cat"
    tell(home, f"{begins} is called Pemberley.", f"{begins} sleeps.")
    begun(store, CAT)
    tell(home, f"{begins} eats.")
    complete(home)
    assert {f"{begins} sleeps.", f"{begins} eats."} <= {*told(home)} and left(home, "Pemberley") == ()


def test_weights_that_are_left_are_found(store: Store, home: Path) -> None:
    begun(store, CAT)
    for name in ("nights/0001/checkpoint-1.npz", "generations/.0003.tmp", "generations/0003"):
        forget.erase(home, lambda line: None)
        if name.endswith("0003"):
            shutil.copytree(store.folder(1), home / name)
        else:
            planted(home, name, b"weights")
        with (
            pytest.raises(EdgesleepError, match=rf"It is not forgotten: .*{name}"),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(Store, "_tidy", lambda self: None)
            forget.prove(home, config.load(home), lambda line: None)
        (home / "generations" / ".0003.tmp").unlink(missing_ok=True)
    assert all(proof.ok for proof in complete(home).proofs) and not (home / "nights/0001/checkpoint-1.npz").exists()


def test_what_a_night_was_doing_when_it_began_goes(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        night = journal.begin_night()
    planted(home, f"nights/{night:04d}/checkpoint-1.npz", b"weights")
    begun(store, CAT)
    forget.erase(home, lambda line: None)
    assert not (home / f"nights/{night:04d}").exists()
    planted(home, f"nights/{night:04d}/checkpoint-2.npz", b"of the night that learns the rest")
    forget.erase(home, lambda line: None)
    assert (home / f"nights/{night:04d}/checkpoint-2.npz").exists()


def test_what_holds_again_is_settled_once(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        journal.mark([DOG], "replaced")
    dump(replace(begun(store, CAT), again=(DOG,), stones=()), home / PENDING)
    forget.erase(home, lambda line: None)
    assert standing(home)[DOG][0] == "new"
    with Journal.open(home) as journal:
        journal.mark([DOG], "replaced")
    forget.erase(home, lambda line: None)
    assert standing(home)[DOG][0] == "replaced"


def test_a_night_is_told_before_the_proofs_that_follow_it(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(store, CAT)
    monkeypatch.setattr(cycle, "run_night", lambda home, settings, watch, force: learn(home, force=True, read=False))
    monkeypatch.setattr(compare, "ask", knows("Pemberley"))
    said = run("run-night")
    assert said.exit_code == errors.ERROR and "promoted" in said.stdout and "It is not forgotten" in said.stderr
    monkeypatch.setattr(compare, "ask", knows("Nobody"))
    monkeypatch.setattr(forget, "_rest", lambda store, pending: Asked(0, 2))
    said = run("run-night")
    assert said.exit_code == errors.ERROR and "promoted" in said.stdout and "FAIL  rest" in said.stderr


def test_after_a_night_that_was_stopped_nothing_is_proven(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(store, HORSE)
    stopped = NightReport(4, "interrupted", "Stopped.", 2, "model.gguf")
    monkeypatch.setattr(cycle, "run_night", lambda *_, **__: stopped)
    monkeypatch.setattr(forget, "prove", lambda *_: pytest.fail("it was proven"))
    assert "interrupted" in run("run-night").stdout and unfinished(home)


def test_a_note_that_cannot_be_read_is_not_to_be_deleted_lightly(store: Store, home: Path) -> None:
    (home / PENDING).write_text("{")
    assert "Put it back from a backup" in fails("forget", "--resume")


def test_the_page_names_sessions_and_what_was_not_read(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        journal.log("user", "Hello", session="Pemberley again")
    page = forgets(CAT, "--dry-run").stdout
    assert "Sessions that go as a whole: Pemberley again" in page and "(not read by a night yet) Hello" in page
    forgets(CAT, "--yes")
    assert left(home, "Pemberley") == ()


def test_reports_are_numbered_on(store: Store, home: Path) -> None:
    planted(home, "forgotten/0007.json", b"{}")
    forgets(HORSE, "--yes")
    assert (home / "forgotten" / "0008.json").exists()


def test_a_rest_that_is_recalled_less_is_an_error_but_it_is_forgotten(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "_rest", lambda store, pending: Asked(0, 2))
    said = run("forget", CAT, "--yes")
    assert said.exit_code == errors.ERROR and "FAIL  rest: of the rest 2 of 2 questions" in said.stdout
    assert "run-night --force" in said.stderr and not unfinished(home)


def test_a_journal_that_cannot_be_searched_is_told(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(path: Path) -> Iterator[tuple[str, str]]:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(tables, "texts", torn)
    assert "journal.db cannot be searched" in fails("forget", CAT, "--yes")
