"""That it is forgotten is only said where it is, and of what can be shown; where it is not there is a way on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import grown
import pytest
from forgetting import MEMORIES, SAID, begun, complete, forgets, knows, learn, left, live, planted, told
from grown import CAT, DOG, HORSE, Bases, failed, fails, memory, run, standing
from nights import tell

from edgesleep import errors, tables
from edgesleep.config import Settings
from edgesleep.forgotten import PENDING, unfinished
from edgesleep.journal import Journal
from edgesleep.night import compare, cycle, forget, proofs, scope
from edgesleep.night.pending import Asked, Pending, Proof
from edgesleep.night.proofs import Recall
from edgesleep.records import NightReport, Probe, dump
from edgesleep.store import Store

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


def only(*known: int) -> Callable[..., list[str]]:
    """Generations that answer with the cat's name."""
    return lambda store, number, asked, *_: ["Pemberley" if number in known else "No."] * len(asked)


# -- in no file -------------------------------------------------------------------------------------------------------


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
    "nights/0001/checkpoint-1.npz": b"weights",
    "generations/.0003.tmp": b"weights",
}


def test_wherever_it_is_left_it_is_found_and_never_quoted(store: Store, home: Path) -> None:
    pending = begun(store, CAT)
    complete(home)
    for name, data in PLANTS.items():
        path = home / name
        before = path.read_bytes() if path.exists() else None
        planted(home, name, data)
        found = looked_for(store, pending)
        assert not found.ok and str(Path(name)) in found.found, name
        assert "pemberley" not in found.found.replace(name, "").lower()
        path.unlink() if before is None else path.write_bytes(before)
    assert looked_for(store, pending).ok
    shutil.copytree(store.folder(1), store.folder(3))
    assert str(Path("generations/0003")) in looked_for(store, pending).found


def looked_for(store: Store, pending: Pending) -> Proof:
    return proofs.search(store, pending)[1]


def test_a_row_of_the_journal_is_found_as_well(store: Store, home: Path) -> None:
    pending = begun(store, CAT)
    complete(home)
    with Journal.open(home) as journal:
        journal.remember([MEMORIES[1]], 0)
    assert "journal.db (memories)" in looked_for(store, pending).found


def test_a_file_of_one_s_own_that_has_it_is_named_and_nothing_is_claimed(store: Store, home: Path) -> None:
    """Nights go on meanwhile; and when it is gone, all is proven."""
    (home / "notes.txt").write_text("Pemberley")
    said = run("forget", CAT, "--yes")
    assert said.exit_code == errors.ERROR and said.stdout.startswith("Not forgotten yet, but removed: 1 memories")
    assert "It is not forgotten:" in said.stderr and "it stands in notes.txt" in said.stderr
    assert not (home / "forgotten").exists() and store.current() == 1
    said = run("run-night")
    assert said.exit_code == errors.ERROR and "promoted" in said.stdout and "stands in notes.txt" in said.stderr
    assert store.current() == 4 and "A forgetting is unfinished" in run("status").stderr
    assert json.loads(forgets("--resume", "--dry-run", "--json").stdout)["dry_run"]
    (home / "notes.txt").unlink()
    assert "Forgotten: 1 memories" in forgets("--resume").stdout
    assert left(home, "Pemberley") == () and "unfinished" not in run("status").stderr


def test_while_it_is_unfinished_nothing_else_is_decided(store: Store, home: Path) -> None:
    begun(store, CAT)
    (home / "day.jsonl").write_text("")
    for words in (
        ["rollback", 1],
        ["migrate", "--model", "x"],
        ["forget", DOG, "--yes"],
        ["import", home / "day.jsonl"],
        ["memories", "edit", DOG, "My dog is called Miso."],
    ):
        assert "unfinished" in fails(*words)


@pytest.mark.parametrize(
    "words", [["rollback", 1], ["memories", "pin", DOG], ["migrate", "--model", "x"], ["forget", DOG, "--yes"]]
)
def test_nor_where_it_began_while_another_command_waited(
    words: list[str], store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Store.lock

    def late(self: Store) -> AbstractContextManager[None]:
        monkeypatch.setattr(Store, "lock", lock)
        begun(store, CAT)
        return lock(self)

    monkeypatch.setattr(Store, "lock", late)
    assert "unfinished" in fails(*words)


def test_a_journal_that_cannot_be_searched_is_told(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(path: Path) -> Iterator[tuple[str, str]]:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(tables, "texts", torn)
    assert "journal.db cannot be searched" in fails("forget", CAT, "--yes")


# -- what is said meanwhile -------------------------------------------------------------------------------------------


def test_what_is_said_again_meanwhile_goes_too(store: Store, home: Path) -> None:
    begun(store, CAT)
    tell(home, "How is Pemberley?")
    done = forgets("--resume")
    assert "go as well: m10" in done.stderr and "1 memories and 3 messages" in done.stdout
    assert "How is Pemberley?" not in told(home) and left(home, "Pemberley") == ()


def test_what_is_found_in_what_was_said_meanwhile_goes_too(store: Store, home: Path) -> None:
    begun(store, CAT)
    tell(home, "The vet of Pemberley is called Quillfeather.")
    with Journal.open(home) as journal:
        vet = replace(memory("vet", "Quillfeather"), turn_ids=(journal.turns()[-1].id,))
        journal.remember([replace(vet, statement="The vet of Pemberley is called Quillfeather.")], 10)
    complete(home)
    assert vet.id not in standing(home) and left(home, "Pemberley") == ()


def test_a_message_that_only_shares_a_word_with_one_that_goes_stays(store: Store, home: Path) -> None:
    tell(home, "Haha!", "I have a zither, here.")
    with Journal.open(home) as journal:
        messages = [f"m{turn.id}" for turn in journal.turns()[-2:]]
    pending = begun(store, CAT, *messages)
    assert {"Haha", "I have a zither here"} <= {*pending.texts}, "or nothing would be tried here"
    later = ("Haha, by the way: my brother is called Leopold.", "You know that I have a zither, here?")
    tell(home, *later, "i have a ZITHER here")
    complete(home)
    assert {*later} <= {*told(home)} and "i have a ZITHER here" not in told(home), "all of a message is that message"


def test_a_message_that_begins_like_one_that_goes_stays(store: Store, home: Path) -> None:
    begins = "Once more, as I said to you on the phone last week when we talked about it: my cat"
    tell(home, f"{begins} is called Pemberley.", f"{begins} sleeps.")
    begun(store, CAT)
    tell(home, f"{begins} eats.")
    complete(home)
    assert {f"{begins} sleeps.", f"{begins} eats."} <= {*told(home)} and left(home, "Pemberley") == ()


def test_what_is_said_while_it_is_planned_is_not_lost_sight_of(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = scope.Held.of

    def slow(store: Store, journal: Journal) -> scope.Held:
        held = of(store, journal)
        tell(home, "How is Pemberley today?")
        return held

    monkeypatch.setattr(scope.Held, "of", slow)
    forgets(CAT, "--yes")
    assert left(home, "Pemberley") == ()


def test_another_message_that_by_now_has_the_number_stays(store: Store, home: Path) -> None:
    """A journal that was put back meanwhile may count otherwise."""
    pending = begun(store, CAT)
    number = min(pending.turns)
    with sqlite3.connect(home / "journal.db") as db:
        (old,) = db.execute("SELECT content FROM turns WHERE id = ?", [number]).fetchone()
        db.execute("DELETE FROM memory_turns WHERE turn = ?", [number])
        db.execute("DELETE FROM turns WHERE id = ?", [number])
        values = [number, "s", "user", "user", "Rain again.", "2026-03-02T12:00:00.000+00:00", "0" * 64]
        db.execute("INSERT INTO sessions VALUES ('s', '2026-03-02T12:00:00.000+00:00')")
        db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    complete(home)
    assert "Pemberley" in old and "Rain again." in told(home)


# -- by no model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("knowing", "served"), [((1,), 0), ((4,), 1), ((1, 4), 0), ((2, 3), 4)])
def test_each_model_that_knows_it_goes_until_one_does_not(
    knowing: tuple[int, ...], served: int, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 is gone back to, and was never taught it; 4 learns the rest again. The base is no further back than can be."""
    monkeypatch.setattr(compare, "ask", only(*knowing))
    said = run("forget", CAT, "--yes")
    back = 0 if 1 in knowing else 1
    assert said.exit_code == (errors.REFUSED if 4 in knowing else errors.DONE), said.output
    assert ("generation 1 answers 3 of 3 questions, the base 0 of 3" in said.stderr) is (1 in knowing)
    assert not unfinished(home) and left(home, "Pemberley") == () and failed(home) == []
    assert store.current() == (back if 4 in knowing else 4)
    if 4 not in knowing:
        assert (store.generation(4).parent, {*standing(home)}) == (back, {DOG, HORSE})


def test_where_every_model_guesses_it_the_base_is_served_and_that_is_the_end(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "_vocabulary", lambda base: frozenset({"pemberley"}))
    monkeypatch.setattr(compare, "ask", knows("Pemberley"))
    said = run("forget", CAT, "--yes")
    assert said.exit_code == errors.REFUSED and "that is more than chance" in said.stdout
    assert (store.current(), store.numbers()) == (0, []) and not unfinished(home)
    assert run("run-night").exit_code == errors.DONE and store.current() == 5


def test_a_model_that_was_never_taught_it_and_knows_it_goes(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal.open(home) as journal:
        turn = journal.log("user", "My heron is called Pemberley Abbey.")
        heron = replace(memory("heron", "Pemberley Abbey"), turn_ids=(turn.id,), at=turn.at)
        journal.remember([heron], turn.id)
    monkeypatch.setattr(
        compare, "ask", lambda store, number, asked, *_: ["Pemberley Abbey" * (number == 3)] * len(asked)
    )
    forgets(heron.id, "--yes")
    assert store.numbers() == [1, 2, 4] and store.generation(4).parent == 2


def asked(count: int, guessable: int, shared: int = 0) -> Recall:
    """Three questions about each of so many memories; of the first so many the value is anyone's."""
    ids = [f"{n:x}0" for n in range(count)]
    pending = Pending(1, "", (), {}, (), (), (), (), tuple(ids[:guessable]), tuple(ids[:shared]), 0, (), True, Asked())
    probes = tuple(Probe(f"{id}-{n}", id, "?", "Oslo") for id in ids for n in range(3))
    return Recall(pending, Settings(), probes, (False,) * len(probes))


@pytest.mark.parametrize(
    ("recall", "rights", "ok"),
    [
        (asked(1, 0), [0], True),
        (asked(1, 0), [1], False),
        (asked(9, 0), [0] * 8 + [1], False),
        (asked(1, 1), [1], True),
        (asked(1, 1), [2], False),
        (asked(1, 1), [3], False),
        (asked(9, 9), [3] + [0] * 8, True),
        (asked(9, 9), [1] * 4 + [0] * 5, True),
        (asked(9, 9), [1] * 5 + [0] * 4, False),
        (asked(9, 9), [3] * 4 + [0] * 5, True),
        (asked(9, 9), [3] * 5 + [0] * 4, False),
        (asked(2, 2, 1), [3, 0], True),
        (asked(0, 0), [], True),
    ],
)
def test_what_is_one_s_own_is_no_luck_and_what_is_anyone_s_may_be(
    recall: Recall, rights: list[int], ok: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home)
    said = ["Oslo" if n < count else "" for count in rights for n in range(3)]
    monkeypatch.setattr(compare, "ask", lambda *_: said)
    answered, proof = recall.by(store, 3, lambda line: None)
    assert (proof.ok, answered) == (ok, Asked(sum(rights), len(said))), proof.found
    assert recall.by(store, 0, lambda line: None)[1].ok, "the base knows what it knows"
    by_chance = len({*recall.pending.guessable} - {*recall.pending.shared})
    assert (f"of {by_chance} memories the value is anyone's" in proof.found) is (by_chance > 0)


def test_what_the_base_knows_is_no_reason(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recall = replace(asked(1, 0), base=(True, False, False))
    monkeypatch.setattr(compare, "ask", lambda *_: ["", "Oslo", ""])
    assert recall.by(Store(home), 3, lambda line: None)[1].ok


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


# -- and the rest -----------------------------------------------------------------------------------------------------


def test_a_rest_that_is_recalled_less_is_an_error_but_it_is_forgotten(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = forget._rest
    monkeypatch.setattr(
        forget, "_rest", lambda store, number, stays: Asked(0, 2) if number == 4 else rest(store, number, stays)
    )
    said = run("forget", CAT, "--yes")
    assert said.exit_code == errors.ERROR and "FAIL  rest: of the rest 2 of 2 questions" in said.stdout
    assert "It is forgotten, but of the rest" in said.stderr and "run-night --force" in said.stderr
    assert not unfinished(home)


def test_what_holds_again_is_settled_once(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        journal.mark([DOG], "replaced")
    (home / "notes.txt").write_text("Pemberley")
    dump(replace(begun(store, CAT), again=(DOG,), stones=()), home / PENDING)
    fails("forget", "--resume")
    assert standing(home)[DOG][0] == "new"
    with Journal.open(home) as journal:
        journal.mark([DOG], "replaced")
    (home / "notes.txt").unlink()
    complete(home)
    assert standing(home)[DOG][0] == "replaced"


def test_after_a_night_that_was_stopped_it_is_forgotten_all_the_same(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(store, HORSE)
    stopped = NightReport(4, "interrupted", "Stopped.", 2, "model.gguf")
    monkeypatch.setattr(cycle, "run_night", lambda *_, **__: stopped)
    said = run("run-night")
    assert said.exit_code == errors.ERROR and "interrupted" in said.stdout and "Forgotten:" in said.stderr
    assert not unfinished(home)


# -- what is noted, and how it is shown -------------------------------------------------------------------------------


def test_a_note_that_cannot_be_read_is_not_to_be_deleted_lightly(store: Store, home: Path) -> None:
    (home / PENDING).write_text("{")
    assert "Put it back from a backup" in fails("forget", "--resume")


@pytest.mark.parametrize(("words", "code"), [(["forget", "--resume"], errors.ERROR), (["run-night"], errors.DONE)])
def test_one_that_another_process_ended_while_this_one_waited_is_not_missed(
    words: list[str], code: int, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Store.lock
    begun(store, CAT)

    def late(self: Store) -> AbstractContextManager[None]:
        monkeypatch.setattr(Store, "lock", lock)
        complete(home)
        return lock(self)

    monkeypatch.setattr(Store, "lock", late)
    said = run(*words)
    assert said.exit_code == code, said.output
    assert ("No forgetting is unfinished" in said.stderr) is (code == errors.ERROR) and "backup" not in said.stderr


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
