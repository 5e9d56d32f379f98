"""Something is forgotten: in no file, by no model, whatever cuts it short, and nothing else with it."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grown
import pytest
from forgetting import MEMORIES, begun, complete, forgets, learn, left, live, planted, sleep_once, told, write_settings
from grown import CAT, DOG, HORSE, Bases, failed, fails, run, standing, tree
from nights import TEXT, make_home, sleep, tell
from test_store import Cut, cut_at

from edgesleep import errors
from edgesleep.entries import Entry
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING, unfinished
from edgesleep.journal import Journal
from edgesleep.night import agenda, compare, cycle, gate
from edgesleep.night.hearing import hear
from edgesleep.records import Memory, NightReport, Probe, dump
from edgesleep.store import Store
from edgesleep.tombstones import KEY

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


# -- what it does ----------------------------------------------------------------------------------------------------


def test_it_is_gone_and_the_rest_is_learned_again(store: Store, home: Path) -> None:
    assert len(left(home, "Pemberley")) > 3
    report = json.loads(forgets(CAT[:6], "--yes", "--json").stdout)
    assert left(home, "Pemberley", CAT, "my cat is called") == ()
    assert [row["number"] for row in json.loads(run("generations", "--json").stdout)] == [0, 1, 4]
    assert (store.current(), store.generation(4).parent, store.generation(4).memory_ids) == (4, 1, (HORSE, DOG))
    assert not any("Pemberley" in text for text in told(home)) and len(told(home)) == 7
    assert set(standing(home)) == {DOG, HORSE}
    assert failed(home) == []
    assert (report["memories"], report["messages"], report["generations_removed"]) == (1, 2, [2, 3])
    assert (report["rebuilt_from"], report["generation"]) == (1, 4)
    assert [(proof["what"], proof["ok"]) for proof in report["proofs"]] == [
        (n, True) for n in ("bytes", "recall", "rest")
    ]
    assert (report["recall_base"], report["recall_after"]) == ({"right": 0, "asked": 3}, {"right": 0, "asked": 3})
    assert report["relearned"] == {"night": 4, "status": "promoted", "reason": "Done."}
    assert (report["rest_before"]["asked"], report["rest_after"]["asked"]) == (2, 2)
    assert not unfinished(home)
    kept = (home / "forgotten" / "0001.json").read_text()
    assert json.loads(kept) == report and len(report["tombstones"]) == 5
    assert sorted(path.name for path in (home / "nights").iterdir()) == ["0001", "0004"]
    with Journal.open(home) as journal:
        assert [night.night for night in journal.nights()] == [1, 2, 3, 4], "numbers name nobody"


def test_with_the_first_the_base_is_what_is_left(store: Store, home: Path) -> None:
    said = forgets(DOG, "--yes")
    assert "Generation 0, which was never taught it, is served." in said.stderr
    assert "Generations removed: 1, 2, 3; served is 4." in said.stdout and said.stdout.count("ok  ") == 3
    assert store.generation(4).parent == 0 and left(home, "Barnaby Rudge") == ()


def test_with_the_last_nothing_is_to_be_learned_again(store: Store, home: Path) -> None:
    page = forgets(HORSE, "--dry-run").stdout
    assert "generation 2, which was never taught it; nothing is to be learned again." in page and "minutes" not in page
    forgets(HORSE, "--yes")
    assert (store.current(), store.numbers()) == (2, [1, 2])
    assert {state for state, _ in standing(home).values()} == {"learned"}
    assert failed(home, rebuild=True) == []


def test_what_no_generation_was_taught_leaves_the_model(store: Store, home: Path) -> None:
    tell(home, "My heron is called Archibald.")
    assert "Served on is generation 3, which was never taught it." in forgets("--query", "heron", "--dry-run").stdout
    said = forgets("--query", "heron", "--yes").stdout
    assert "was to teach the rest" not in said
    assert (store.current(), store.numbers()) == (3, [1, 2, 3]) and left(home, "Archibald") == ()


def test_everything_since_a_day_goes(store: Store, home: Path) -> None:
    forgets("--since", "2026-03-02", "--yes")
    assert set(standing(home)) == {DOG} and store.current() == 1
    assert left(home, "Pemberley", "Rocinante") == () and left(home, "Barnaby Rudge") != ()


def test_what_memories_forget_left_in_the_records_goes_too(store: Store, home: Path) -> None:
    assert run("memories", "forget", CAT).exit_code == errors.DONE
    forgets(CAT, "--yes")
    assert left(home, "Pemberley", CAT) == () and store.generation(store.current()).parent == 1


def test_it_can_be_done_twice(store: Store, home: Path) -> None:
    forgets(CAT, "--yes")
    forgets(HORSE, "--yes")
    assert set(standing(home)) == {DOG} and (home / "forgotten" / "0002.json").exists()
    assert left(home, "Pemberley", "Rocinante") == ()


def test_a_dry_run_and_a_no_change_nothing(store: Store, home: Path) -> None:
    before = tree(home)
    page = forgets(CAT, "--dry-run").stdout
    assert all(
        line in page
        for line in (
            "Memories that go: 1",
            "Your cat is called Pemberley.",
            "Messages that go: 2",
            "Generations that go: 2, 3",
            "Nights whose records go: 2, 3",
            "Rebuilt from generation 1",
            "Memories that are learned again: 1",
            "about 2 minutes",
        )
    ), page
    fields = json.loads(forgets(CAT, "--dry-run", "--json").stdout)
    assert (fields["generations"], fields["nights"], fields["seconds"]) == ([2, 3], [2, 3], 90.0)
    assert run("forget", CAT).exit_code == errors.ERROR, "nobody said yes"
    assert tree(home) == before and not (home / KEY).exists()


# -- not learned again -----------------------------------------------------------------------------------------------


def test_a_copy_is_neither_imported_nor_learned(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "curate", hear)
    forgets(CAT, "--yes")
    copy = home.parent / "day.jsonl"
    said = ("My cat is called Pemberley.", "my  CAT is called Pemberley!", "Tell me a joke.")
    copy.write_text("".join(json.dumps({"role": "user", "content": text}) + "\n" for text in said))
    assert "1 new messages, of 3" in run("import", copy).stdout
    tell(home, "My cat is called Pemberley.", "Did I say? My cat is called Pemberley.", "My parrot is called Pip.")
    with Journal.open(home) as journal:
        found = {one.statement for one in agenda.gather(journal, force=True).memories}
    assert not any("Pemberley" in text for text in found) and any("Pip" in text for text in found)
    with Journal.open(home) as journal:
        journal.adopt([MEMORIES[1]], said=journal.turns()[-1])
        assert not journal.tombstones().hold(MEMORIES[1]), "its owner had it learned again"


def test_without_their_key_tombstones_stop_the_night(store: Store, home: Path) -> None:
    forgets(CAT, "--yes")
    key = (home / KEY).read_bytes()
    (home / KEY).unlink()
    with Journal.open(home) as journal, pytest.raises(EdgesleepError, match="told from what is new") as caught:
        agenda.gather(journal, force=True)
    assert "An empty file" in caught.value.hint
    assert "told from what is new" in fails("forget", DOG, "--yes")
    (home / KEY).touch()
    with Journal.open(home) as journal:
        assert not journal.tombstones().hold(MEMORIES[1])
    (home / KEY).write_bytes(key)
    with Journal.open(home) as journal:
        assert journal.tombstones().hold(MEMORIES[1]) and not journal.tombstones().hold_text("Yes, please")


def test_what_is_erased_stands_neither_in_the_database_nor_beside_it(home: Path) -> None:
    with Journal.open(home) as journal:
        journal.log_many(Entry("user", f"Secret number {n} is Quillfeather{n}. " * 50) for n in range(200))
        journal.log("user", "This stays.")
        journal.erase((), range(1, 201), (), ())
        journal.vacuum()
    assert left(home, *(f"Quillfeather{n}" for n in range(200)), "Secret number") == ()
    assert told(home) == ["This stays."]


# -- cut short -------------------------------------------------------------------------------------------------------


def test_a_night_that_taught_it_meanwhile_is_undone_as_well(store: Store, home: Path) -> None:
    begun(store, CAT)
    with Journal.open(home) as journal:
        sleep_once(store, journal, 4)
    report = complete(home)
    assert (report.generations_removed, store.current()) == ((2, 3, 4), 1)
    assert left(home, "Pemberley", CAT) == ()


def test_what_killed_writes_left_goes_too(store: Store, home: Path) -> None:
    begun(store, CAT)
    planted(home, "nights/0001/.report.txt.123.tmp", b"Pemberley")
    planted(home, ".config.toml.123.tmp", b"Pemberley")
    assert all(proof.ok for proof in complete(home).proofs)


def test_where_the_fallback_is_damaged_the_base_is_served(store: Store, home: Path) -> None:
    begun(store, CAT)
    for path in store.folder(1).iterdir():
        if path.name != "manifest.json":
            path.write_bytes(b"rot")
    complete(home)
    assert store.current() == 0


def test_it_may_be_cut_anywhere(home: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served is whole; it is not said to be forgotten before it is; and it can always be ended."""
    begun(store, HORSE)
    pristine = home.with_name("pristine")
    shutil.copytree(home, pristine)
    step, raised = 0, True
    while raised:
        raised = False
        shutil.rmtree(home)
        shutil.copytree(pristine, home)

        def end() -> None:
            nonlocal raised
            raised = True
            raise Cut

        with pytest.MonkeyPatch.context() as patch, suppress(Cut, EdgesleepError):
            cut_at(step, end, patch)
            complete(home)
        if raised:
            with Store(home).lock():
                assert failed(home) == [], step
            gone = {*left(home, "Rocinante", HORSE)} <= {PENDING}
            assert unfinished(home) or gone, step
            assert not (home / "forgotten").is_dir() or gone or not [*(home / "forgotten").glob("*.json")], step
            if unfinished(home):
                complete(home)
        assert left(home, "Rocinante", HORSE) == () and failed(home) == [], step
        assert (Store(home).current(), Store(home).numbers()) == (2, [1, 2]), step
        step += 1
    assert step > 15, "hardly any step was cut"


# -- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"), [("rejected", errors.REFUSED), ("interrupted", errors.ERROR), ("skipped", errors.SKIPPED)]
)
def test_a_night_that_does_not_teach_the_rest_again_leaves_only_that_undone(
    status: str, code: int, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not learned again is no reason to keep what was forgotten, or to hold up anything else."""
    monkeypatch.setattr(cycle, "run_night", lambda *_, **__: NightReport(4, status, "It drifted.", 1, "model.gguf"))
    said = run("forget", CAT, "--yes")
    assert said.exit_code == code and f"teach the rest again: {status}. It drifted." in said.stdout
    assert "Forgotten: 1 memories and 2 messages" in said.stdout and "1 memories wait to be learned" in said.stdout
    assert not unfinished(home) and store.current() == 1 and left(home, "Pemberley", CAT) == ()
    assert json.loads((home / "forgotten" / "0001.json").read_text())["relearned"]["status"] == status
    assert standing(home) == {DOG: ("learned", 1), HORSE: ("new", None)}
    monkeypatch.setattr(cycle, "run_night", learn)
    for words in (
        ["memories", "pin", DOG],
        ["rollback", 0],
        ["run-night"],
        ["memories", "forget", HORSE],
        ["forget", DOG, "--yes"],
    ):
        assert run(*words).exit_code == errors.DONE, words
    assert failed(home) == []


def test_a_night_that_fails_is_told_after_what_was_proven(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NightReport:
        raise EdgesleepError("A night needs 9.9 GB of disk.", "Free some space.")

    monkeypatch.setattr(cycle, "run_night", full)
    said = run("forget", CAT, "--yes", "--json")
    assert said.exit_code == errors.ERROR and "A night needs 9.9 GB" in said.stderr
    assert all(proof["ok"] for proof in json.loads(said.stdout)["proofs"]) and not unfinished(home)


def test_a_model_that_learned_the_rest_and_knows_it_is_taken_back(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(store: Store, number: int, asked: list[Probe], *_: object) -> list[str]:
        return ["Pemberley" if number == 4 else "No."] * len(asked)

    monkeypatch.setattr(compare, "ask", ask)
    said = run("forget", CAT, "--yes")
    assert said.exit_code == errors.REFUSED and "It was taken back: of what was forgotten generation 4" in said.stdout
    assert "Forgotten: 1 memories" in said.stdout and "served is 1." in said.stdout
    assert (store.current(), store.numbers(), standing(home)[HORSE][0]) == (1, [1], "new") and failed(home) == []
    assert not (home / "nights" / "0004").exists(), "it may have answered with it"


def test_one_that_was_cut_short_is_ended_by_a_night_which_is_asked_as_well(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(store, CAT)
    said = run("run-night", "--json")
    assert said.exit_code == errors.DONE and json.loads(said.stdout)["status"] == "promoted"
    assert "Forgotten: 1 memories" in said.stderr and "generation 4 answers 0 of 3" in said.stderr
    assert not unfinished(home) and left(home, "Pemberley") == () and store.current() == 4


def test_one_that_was_cut_after_its_proof_is_proven_once_more(store: Store, home: Path) -> None:
    pending = begun(store, CAT)
    first = complete(home)
    dump(replace(pending, fresh=False), home / PENDING)
    said = forgets("--resume").stdout
    assert "Night 4 was to teach the rest again: promoted" in said and "served is 4." in said
    assert not unfinished(home) and store.current() == 4
    assert [*(home / "forgotten").iterdir()] == [home / "forgotten" / f"{first.number:04d}.json"]


def test_what_a_night_was_doing_when_it_began_goes_and_is_named(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        night = journal.begin_night()
    planted(home, f"nights/{night:04d}/checkpoint-1.npz", b"weights")
    assert "Nights whose records go: 2, 3, 4" in forgets(CAT, "--dry-run").stdout
    begun(store, CAT)
    complete(home)
    assert not (home / f"nights/{night:04d}").exists()


# -- with nights -----------------------------------------------------------------------------------------------------


def test_three_nights_forget_one_of_their_memories(home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "plain_text", lambda: TEXT)
    monkeypatch.setattr(gate, "right", lambda text, gold: True)
    monkeypatch.setattr(agenda, "curate", hear)
    make_home(home, bases.first, ("I live in Skelwick.",))
    sleep(home)
    for said in ("I'm allergic to tamarind.", "I play the zither."):
        tell(home, said)
        sleep(home)
    write_settings(home)
    report = json.loads(forgets("--query", "tamarind", "--yes", "--json").stdout)
    store = Store(home)
    assert (report["generations_removed"], report["rebuilt_from"], store.current()) == ([2, 3], 1, 4)
    assert left(home, "tamarind") == () and failed(home, rebuild=True) == []
    with Journal.open(home) as journal:
        assert {one.statement for one in journal.memories("learned")} == {
            "You live in Skelwick.",
            "You play the zither.",
        }
    assert all(proof["ok"] for proof in report["proofs"])
    assert "tamarind" not in run("report").stdout


# -- as of every command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], errors.USAGE, "Give either IDS"),
        ([DOG, "--resume"], errors.USAGE, "Give either IDS"),
        (["--since", "yesterday"], errors.USAGE, "yesterday"),
        (["--since", "2027-01-01"], errors.ERROR, "Nothing was said since then"),
        (["--since", "0001-01-01"], errors.USAGE, "too early a date"),
        (["--query", "heron"], errors.ERROR, "No memory and no message"),
        (["zz"], errors.ERROR, "No memory's id begins with 'zz'"),
        (["m99"], errors.ERROR, "There is no message m99"),
        (["--resume"], errors.ERROR, "No forgetting is unfinished"),
    ],
)
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot be told another time zone")
def test_a_mistake_is_told_in_two_lines(words: list[str], code: int, said: str, store: Store) -> None:
    before = tree(store.home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert said in fails("forget", *words, code=code)
    time.tzset()
    assert tree(store.home) == before


def test_before_init_nothing_is_made(home: Path) -> None:
    assert "edgesleep init" in fails("forget", "3f9c", "--yes")
    assert not home.exists()


def test_nothing_is_forgotten_while_a_night_runs(store: Store, home: Path) -> None:
    with Store(home).lock():
        assert "under way" in fails("forget", CAT, "--yes", code=errors.BUSY)
    assert not unfinished(home)


def test_a_secret_is_covered(store: Store, home: Path) -> None:
    with Journal.open(home) as journal:
        turn = journal.log("user", "My wifi password is hunter2horse.")
        secret = Memory(
            "ab12", "fact", "wifi", "Your wifi password is hunter2horse.", "", "hunter2horse", (), (turn.id,), ""
        )
        journal.adopt([secret], secret="0")
    page = forgets("ab12", "--dry-run").stdout + forgets("ab12", "--dry-run", "--json").stdout
    assert "hunter2horse" not in page and "****" in page
    forgets("ab12", "--yes")
    assert left(home, "hunter2horse") == ()
