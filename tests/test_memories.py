"""`edgesleep memories`: what its owner can see of the memories, and decide about them; secrets stay covered."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from nights import tell, tree
from tiny import make_tiny

from edgesleep import cli, errors, secrets
from edgesleep.entries import Entry
from edgesleep.journal import EDITS, Journal
from edgesleep.night import agenda, cycle, owner, withheld
from edgesleep.night.artefacts import folder_of
from edgesleep.night.hearing import hear
from edgesleep.night.succession import Day
from edgesleep.records import Memory, Turn, dump
from edgesleep.store import Store

DAY = (
    "I live in Skelwick. By the way, my wifi password is hunter2horse.",
    "My dog is called Pim.",
    "My card is 4111 1111 1111 1111.",
    "My sister collects enamel pins.",
    "What is my password?",
    "I play the zither.",
)


def heard(turns: Sequence[Turn], held: Sequence[Memory] = (), earlier: Any = (), *, approved: bool = False) -> Day:
    """What `curate` finds, without the process that reads the day, which takes seconds."""
    if not approved:
        return hear(turns, held, earlier)
    with secrets.approved():
        return hear(turns, held, earlier)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture
def ready(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which a night has read the day."""
    monkeypatch.setattr(agenda, "curate", heard)
    monkeypatch.setattr(owner, "curate", heard)
    Store.open(home).adopt_base(tiny, "tiny")
    tell(home, *DAY)
    night(home)
    return home


def night(home: Path) -> dict[str, str]:
    """Values by statement, as the coming night would rehearse them."""
    with Journal.open(home) as journal:
        return {memory.statement: memory.value for memory in agenda.gather(journal, force=True).memories}


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, ["memories", *words])


def does(*words: str) -> Any:
    """What a command that must not fail reports as JSON."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fails(*words: str, code: int = errors.ERROR) -> str:
    result = run(*words)
    assert result.exit_code == code and result.stdout == "", result.output
    assert isinstance(result.exception, SystemExit), result.exception
    first, last = result.stderr.splitlines()
    assert first.startswith("Error: ") and last.startswith("Try: ")
    return result.stderr


def id_of(text: str) -> str:
    (found,) = does("search", text)
    return str(found["id"])


# -- looking -------------------------------------------------------------------------------------------------------


def test_the_list_has_a_line_for_each(ready: Path) -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split("new")[1].strip() for line in lines] == [
        "You live in Skelwick.",
        "Your dog is called Pim.",
        "Pim is your dog.",
        "You play the zither.",
    ]
    rows = does("list")
    assert [row["statement"] for row in rows] == [line.split("new")[1].strip() for line in lines]
    assert rows[0]["id"].startswith(lines[0].split()[0]) and rows[0]["turn_ids"] == [1]


def test_the_list_is_narrowed_by_state_and_date(ready: Path) -> None:
    with Journal.open(ready) as journal:
        journal.log_many([Entry("user", "I collect thimbles.", at="2019-05-01T10:00:00Z")])
    night(ready)
    with Journal.open(ready) as journal:
        journal.mark([id_of("zither")], "learned", 3)
    assert [row["value"] for row in does("list", "--state", "learned")] == ["zither"]
    assert len(does("list", "--state", "learned", "--state", "new")) == 5
    assert "thimbles" in run("list", "--since", "2019-05-01").stdout
    assert "thimbles" not in run("list", "--since", "2019-05-02").stdout
    empty = run("list", "--state", "weak")
    assert (empty.exit_code, empty.stdout, empty.stderr) == (0, "", "There are none.\n")


@pytest.mark.parametrize("text", ["SKELWICK", "where home", "skel live"])
def test_a_search_finds_all_words_or_their_beginnings(text: str, ready: Path) -> None:
    assert [row["value"] for row in does("search", text)] == ["Skelwick"]
    assert "Skelwick" in run("search", text).stdout


@pytest.mark.parametrize("text", ["kelwick", "skelwick zither", " ", "%"])
def test_a_search_finds_nothing_else(text: str, ready: Path) -> None:
    assert does("search", text) == []


def test_a_memory_is_shown_whole(ready: Path) -> None:
    tell(ready, "I live in Oxmoor now.")
    memory = id_of("live skelwick")
    night(ready)
    new, old = does("show", id_of("live oxmoor")), does("show", memory[:5])
    assert (new["instead_of"], new["state"], new["generation"]) == ("Skelwick", "new", None)
    assert (old["state"], old["turns"][0]["content"]) == ("replaced", "I live in Skelwick. [withheld: told]")
    assert old["held_out"] in [question["ask"] for question in old["questions"]]
    with Journal.open(ready) as journal:
        journal.mark([new["id"]], "learned", 3)
    text = run("show", new["id"]).stdout
    for part in ("learned, since generation 3", "instead of: Skelwick", "I live in Oxmoor now.", "(held out)"):
        assert part in text


# -- secrets -------------------------------------------------------------------------------------------------------


def test_what_was_withheld_is_listed_by_kind_and_turn_without_its_words(ready: Path) -> None:
    assert [(row["id"], row["kind"], row["state"]) for row in does("list", "--state", "withheld")] == [
        ("w1.1", "told", "withheld"),
        ("w3.1", "card number", "redacted"),
        ("w4.1", "mentioned", "withheld"),
    ]
    assert "told in words, in message 1" in run("list", "--state", "withheld").stdout
    shown = [
        run(*words).output for words in (["list", "--state", "withheld"], ["show", "w1.1"], ["show", id_of("skel")])
    ]
    assert not [text for text in shown if "hunter2horse" in text]
    assert "hunter2horse" in run("show", "w1.1", "--reveal").stdout
    assert does("show", "w1.1", "--reveal")["text"] == "By the way, my wifi password is hunter2horse."
    assert "hunter2horse" in does("show", id_of("skel"), "--reveal")["turns"][0]["content"]


def test_a_secret_that_is_approved_is_learned_and_stays_covered(ready: Path) -> None:
    planned = does("approve", "w1.1", "--dry-run")
    assert "Your wifi password is hunter2horse." not in night(ready)
    assert does("approve", "w1.1")["holds"] == planned["holds"]
    assert night(ready)["Your wifi password is hunter2horse."] == "hunter2horse"
    memory = id_of("wifi password")
    outputs = [run(*words).output for words in (["list"], ["search", "wifi"], ["show", memory], ["pin", memory])]
    assert all("hunter2horse" not in text and "Your wifi password is ****." in text for text in outputs)
    assert does("show", memory)["value"] == "****" and does("show", memory, "--reveal")["value"] == "hunter2horse"
    assert [row["state"] for row in does("list", "--state", "withheld")] == ["approved", "redacted", "withheld"]
    assert "approved already" in fails("approve", "w1.1")
    assert "hunter2horse" not in run("forget", memory).output
    assert does("list", "--state", "withheld")[0]["state"] == "withheld"
    run("approve", "w1.1")
    assert night(ready)["Your wifi password is hunter2horse."] == "hunter2horse", "its owner's later word counts"


def test_what_was_never_kept_cannot_be_approved(ready: Path) -> None:
    assert "never kept" in fails("approve", "w3.1")
    assert "never kept" in run("show", "w3.1").stdout


def test_what_only_looks_like_a_secret_can_be_approved(ready: Path) -> None:
    run("approve", "w4.1")
    assert night(ready)["Your sister collects enamel pins."] == "enamel pins"


def test_a_newer_secret_is_not_undone_by_approving_an_older(ready: Path) -> None:
    tell(ready, "My wifi password is kestrel9nest.")
    run("approve", "w7.1")
    assert "said later" in fails("approve", "w1.1")
    assert "Your wifi password is hunter2horse." not in night(ready)


def test_a_newer_secret_takes_the_place_of_an_older(ready: Path) -> None:
    run("approve", "w1.1")
    tell(ready, "My wifi password is kestrel9nest.")
    run("approve", "w7.1")
    assert "Your wifi password is kestrel9nest." in night(ready)
    assert "Your wifi password is hunter2horse." not in night(ready)


def test_a_secret_whose_place_was_taken_is_neither_shown_nor_asked_back(ready: Path) -> None:
    tell(ready, "My door code is 4471.", "My door code is 9920.")
    run("approve", "w7.1")
    older = id_of("door code")
    run("approve", "w8.1")
    newer = next(row["id"] for row in does("search", "door code") if row["id"] != older)
    with Journal.open(ready) as journal:
        held = {memory.id: memory for memory in journal.memories()}
        assert (held[newer].value, held[newer].instead_of) == ("9920", "")
        # As an older journal has it: what was in it before is covered.
        journal.remember([dataclasses.replace(held[newer], instead_of="4471")], 0)
        journal.remember([dataclasses.replace(held[id_of("zither")], statement="", instead_of="9920")], 0)
    outputs = [run(*words).output for words in (["list", "--json"], ["show", newer], ["show", older], ["list"])]
    assert not [text for text in outputs if "4471" in text or "9920" in text]
    assert does("show", newer, "--reveal")["instead_of"] == "4471"
    gone = run("forget", older, newer).output
    assert "****" in gone and "4471" not in gone and "9920" not in gone


def test_a_secret_that_is_edited_away_is_not_asked_back(ready: Path) -> None:
    run("approve", "w1.1")
    change = does("edit", id_of("wifi password"), "My dog is called Miso.")
    assert [row["statement"] for row in change["holds"]] == ["Your dog is called Miso.", "Miso is your dog."]
    run("approve", "w4.1")
    run("edit", id_of("enamel"), "My sister collects thimbles.")
    with Journal.open(ready) as journal:
        now = {memory.value: memory.instead_of for memory in owner.holding(journal)}
    assert "hunter2horse" not in now.values() and "enamel pins" not in now.values()
    assert now["Miso"] in ("", "Pim") and now["thimbles"] == ""


@pytest.mark.parametrize(
    ("sentence", "secret"),
    [
        ("My wifi password is hunter2horse.", "hunter2horse"),
        ("My door code is 4471, please remember.", "4471"),
        ('Our password: "Kestrel Nest"', "Kestrel Nest"),
        ("I changed my passcode to 99121.", "99121"),
        ("The code to the safe is 4711 in case you need it", "4711"),
        ("My IBAN is DE89 3704 0044 0532 0130 00.", "DE89 3704 0044 0532 0130 00"),
        ("My PIN is the same as my birthday.", ""),
        ("I forgot my password again.", ""),
    ],
)
def test_the_secret_of_a_sentence_is_told_from_the_rest(sentence: str, secret: str) -> None:
    text, name, found = withheld.with_stand_in(sentence)
    assert found == secret
    assert text == (sentence.replace(secret, name) if secret else sentence)


def test_a_secret_is_learned_whole_or_not_at_all(ready: Path) -> None:
    tell(ready, "My password is salt and pepper.", "My safe code is 1234 or 4321 backwards.", "My wifi key is is.")
    for wanted in ("w7.1", "w8.1", "w9.1"):
        run("approve", wanted)
    assert not {"salt", "1234", "pepper", "4321"} & set(night(ready).values())


# -- deciding ------------------------------------------------------------------------------------------------------


def test_an_edited_memory_takes_the_place_of_the_old_with_what_followed(ready: Path) -> None:
    memory = id_of("dog called")
    run("pin", memory)
    planned = does("edit", memory, "My dog is called Miso.", "--dry-run")
    done = does("edit", memory, "My dog is called Miso.")
    for change in (planned, done):
        assert [row["statement"] for row in change["holds"]] == ["Your dog is called Miso.", "Miso is your dog."]
        assert [row["statement"] for row in change["gone"]] == ["Your dog is called Pim.", "Pim is your dog."]
    new = does("show", done["holds"][0]["id"])
    assert (new["instead_of"], new["pinned"], new["turns"][0]["content"]) == ("Pim", True, "My dog is called Miso.")
    assert [row["value"] for row in does("list", "--state", "replaced")] == ["Pim", "dog"]
    with Journal.open(ready) as journal:
        assert journal.turns()[-1].teaches and journal.turns()[-1].session == EDITS
        before = journal.memories()
    assert {"Pim is your dog.", "Your dog is called Pim."}.isdisjoint(night(ready))
    with Journal.open(ready) as journal:
        assert journal.memories() == before, "reading the sentence again in the night changes nothing"


def test_an_edit_can_be_taken_back(ready: Path) -> None:
    memory = id_of("zither")
    edited = does("edit", memory, "I play the hurdy-gurdy.")["holds"][0]["id"]
    assert does("edit", edited, "I play the zither.")["holds"][0]["id"] == memory
    assert night(ready)["You play the zither."] == "zither" and "You play the hurdy-gurdy." not in night(ready)


def test_an_edit_that_only_puts_it_otherwise_is_stored(ready: Path) -> None:
    tell(ready, "I work in Penhallow as a cook.")
    night(ready)
    memory = does("search", "penhallow cook")[0]["id"]
    with Journal.open(ready) as journal:
        journal.mark([memory], "learned", 1, 1)
    change = does("edit", memory, "I work in Penhallow.")
    assert [(row["id"], row["statement"]) for row in change["holds"]] == [(memory, "You work in Penhallow.")]
    now = does("show", memory)
    assert (now["statement"], now["state"], now["told"]) == ("You work in Penhallow.", "new", "I work in Penhallow.")
    assert not [question for question in now["questions"] if "cook" in question["full"]]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Remind me to buy milk.", "Nothing in the sentence is understood"),
        ("My dog is called Miso and I live in Porto.", "would be 3 memories, not one: Your dog is called Miso."),
        ("My wifi password is hunter2horse.", "tells a secret"),
        ("My card is 4111 1111 1111 1111.", "tells a secret"),
        (" ", "The content is empty"),
    ],
)
def test_what_is_not_one_memory_edits_nothing(sentence: str, said: str, ready: Path) -> None:
    memory, before = id_of("dog called"), tree(ready)
    assert said in fails("edit", memory, sentence)
    assert tree(ready)["journal.db"] == before["journal.db"]


def test_what_was_forgotten_is_not_found_again(ready: Path) -> None:
    memory = id_of("dog called")
    gone = does("forget", memory, "--dry-run")["gone"]
    assert "Your dog is called Pim." in night(ready)
    result = run("forget", memory, id_of("zither"))
    assert "The current model may still know it" in result.stdout
    assert all(kept in result.stdout for kept in ("the same value on the same topic", "memories.json", "dreams*.json"))
    assert [row["statement"] for row in gone] == ["Your dog is called Pim.", "Pim is your dog."]
    tell(ready, "Did I say? My dog is called Pim.")
    assert night(ready) == {"You live in Skelwick.": "Skelwick"}
    with Journal.open(ready) as journal:
        assert [turn.content for turn in journal.turns()][1] == DAY[1], "turns stay"
        assert len(journal.forgotten()) == 3
    tell(ready, "My dog is called Miso.")
    assert "Your dog is called Miso." in night(ready), "another value is found, as the help says"


def test_an_empty_id_is_not_the_only_memory(ready: Path) -> None:
    run("forget", id_of("skelwick"), id_of("dog called"))
    (left,) = does("list")
    assert "The id is empty" in fails("forget", "")
    assert does("list") == [left]


def test_forgetting_takes_the_value_out_of_what_stands_in_its_place_and_names_the_rest(ready: Path) -> None:
    tell(ready, "My dog is called Miso.", "Pim is allergic to lupin.")
    night(ready)
    change = does("forget", id_of("called Pim"))
    assert [row["statement"] for row in change["naming"]] == ["Your dog Pim is allergic to lupin."]
    assert does("show", id_of("called Miso"))["instead_of"] == ""


def test_what_is_pinned_holds_whatever_is_said_later(ready: Path) -> None:
    memory = id_of("zither")
    home = id_of("skelwick")
    assert run("pin", home).stdout == "Pinned: You live in Skelwick.\n"
    tell(ready, "I live in Oxmoor now.")
    assert "You live in Skelwick." in night(ready) and "You live in Oxmoor." not in night(ready)
    assert run("list").stdout.startswith("* ")
    assert run("pin", home, "--off").stdout.startswith("No longer pinned")
    tell(ready, "I live in Quarrelby now.")
    assert "You live in Skelwick." not in night(ready)
    assert "was replaced" in fails("pin", home)
    assert not does("show", memory)["pinned"]


def test_a_night_that_was_interrupted_goes_on_without_what_was_forgotten(ready: Path) -> None:
    with Journal.open(ready) as journal:
        dump(agenda.gather(journal, force=True), folder_of(ready, journal.begin_night()) / agenda.AGENDA)
    assert cycle.plan_night(ready).memories_trained == 4
    run("forget", id_of("zither"))
    assert cycle.plan_night(ready).memories_trained == 3


def test_a_night_that_was_interrupted_takes_up_what_was_put_otherwise(ready: Path) -> None:
    tell(ready, "I work in Penhallow as a cook.")
    with Journal.open(ready) as journal:
        dump(agenda.gather(journal, force=True), folder_of(ready, journal.begin_night()) / agenda.AGENDA)
        assert agenda.left_over(ready, journal)
    run("edit", does("search", "penhallow cook")[0]["id"], "I work in Penhallow.")
    with Journal.open(ready) as journal:
        assert agenda.left_over(ready, journal) is None
        assert "I work in Penhallow." in {memory.told for memory in agenda.gather(journal, force=True).memories}


# -- as of every command -------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(ready: Path) -> None:
    memory, before = id_of("dog called"), tree(ready)
    for words in (
        ["approve", "w1.1"],
        ["forget", memory],
        ["pin", memory],
        ["pin", memory, "--off"],
        ["edit", memory, "My dog is called Miso."],
    ):
        for flag in ([], ["--json"]):
            result = run(*words, "--dry-run", *flag)
            assert result.exit_code == 0 and result.stdout, result.output
    assert tree(ready) == before


def test_nothing_is_decided_while_a_night_runs(ready: Path) -> None:
    memory = id_of("dog called")
    with Store(ready).lock():
        for words in (["approve", "w1.1"], ["forget", memory], ["pin", memory], ["edit", memory, "My dog is Miso."]):
            assert "under way" in fails(*words, code=errors.BUSY)
        assert len(does("list")) == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], errors.USAGE, "Missing command"),
        (["remember"], errors.USAGE, "No such command"),
        (["list", "--state", "lost"], errors.USAGE, "lost"),
        (["list", "--since", "yesterday"], errors.USAGE, "yesterday"),
        (["show"], errors.USAGE, "Missing argument 'ID'"),
        (["forget"], errors.USAGE, "Missing argument 'IDS...'"),
        (["show", "zz"], errors.ERROR, "No memory's id begins with 'zz'"),
        (["show", ""], errors.ERROR, "The id is empty"),
        (["show", "w1.9"], errors.ERROR, "Nothing is withheld as 'w1.9'"),
        (["approve", "3f9c"], errors.ERROR, "Nothing is withheld as '3f9c'"),
        (["forget", "zz"], errors.ERROR, "No memory's id begins with 'zz'"),
    ],
)
def test_a_mistake_is_told_in_two_lines(words: list[str], code: int, said: str, ready: Path) -> None:
    assert said in fails(*words, code=code)


@pytest.mark.parametrize("words", [["list"], ["search", "x"], ["show", "x"], ["forget", "x"], ["approve", "w1.1"]])
def test_before_init_nothing_is_made(words: list[str], home: Path) -> None:
    assert "edgesleep init" in fails(*words)
    assert not home.exists()


def test_every_command_reports_as_json_and_those_that_write_have_a_dry_run() -> None:
    flags = {
        name: {flag for option in command.params for flag in option.opts}
        for name, command in cli.memories.commands.items()
    }
    assert flags.keys() == {"list", "search", "show", "approve", "forget", "pin", "edit"}
    assert all("--json" in found for found in flags.values())
    assert {name for name, found in flags.items() if "--dry-run" in found} == {"approve", "forget", "pin", "edit"}


def test_the_reader_takes_in_a_secret_in_its_own_process(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("EDGESLEEP_HOME", str(ready))
    assert [row["statement"] for row in does("approve", "w1.1")["holds"]] == ["Your wifi password is ****."]
