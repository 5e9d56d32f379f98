"""The command line as a person meets it: results, errors in two lines, exit codes, and dry runs that leave no trace."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import DAY, fails, night_ends, publish, remember, run, tree
from tiny import make_tiny

from edgesleep import __version__, catalog, cli, config, errors
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.records import NightReport, PassScore
from edgesleep.store import Store


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", "llama")


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.jsonl"
    path.write_text(DAY)
    return path


@pytest.fixture
def ready(home: Path, tiny: Path) -> Path:
    """A home in which `init` has been run."""
    assert run("init", "--model", str(tiny)).exit_code == 0
    return home


# -- setting up and the day ----------------------------------------------------------------------------------------


def test_init_adopts_a_model_and_says_what_next(home: Path, tiny: Path) -> None:
    result = run("init", "--model", str(tiny))
    assert result.exit_code == 0
    assert str(tiny) in result.stdout and "edgesleep import" in result.stdout
    assert Store(home).model_path() == tiny
    assert config.load(home).model == str(tiny)


def test_init_refuses_a_model_that_cannot_be_trained(home: Path, tmp_path: Path) -> None:
    """At once, and not after a night's dreaming; the home stays as it was."""
    result = run("init", "--model", str(make_tiny(tmp_path / "tiny.gguf", "llama", ("Q4_1", "IQ4_NL"))))
    assert result.exit_code != 0 and "IQ4_NL have no affine grid" in result.stderr
    assert not (home / config.FILE).exists() and not (home / "base.json").exists()


def test_init_refuses_a_broken_chat_template(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny.CHATML", "{% if %}")
    result = run("init", "--model", str(make_tiny(tmp_path / "tiny.gguf", "llama")))
    assert result.exit_code == errors.ERROR and "The chat template of tiny.gguf is broken" in result.stderr
    assert not (home / config.FILE).exists()


@pytest.mark.parametrize("where", ["flag", "file"])
def test_a_night_on_another_model_than_the_home_s_is_refused(where: str, ready: Path) -> None:
    if where == "file":
        (ready / config.FILE).write_text('model = "gemma3-270m"\n')
    words = ["--set", "model=gemma3-270m"] if where == "flag" else []
    assert "name the model gemma3-270m, but the home learns on" in fails("run-night", *words)


def test_init_without_a_model_takes_the_configured_one(home: Path, tiny: Path) -> None:
    home.mkdir()
    (home / config.FILE).write_text(f'model = "{tiny}"\n')
    assert run("init").exit_code == 0
    assert (home / config.FILE).read_text() == f'model = "{tiny}"\n'
    assert Store(home).base().spec == str(tiny)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'model = "SPEC"\n'),
        ('model = "old"', 'model = "SPEC"\n'),
        ("# mine\n[night]\nminutes = 3.0\n", 'model = "SPEC"\n# mine\n[night]\nminutes = 3.0\n'),
        ("# mine\nmodel='old'\n\n[night]\nseed = 3\n", '# mine\nmodel = "SPEC"\n\n[night]\nseed = 3\n'),
    ],
)
def test_init_keeps_the_rest_of_the_settings(before: str, after: str, home: Path, tiny: Path) -> None:
    home.mkdir()
    (home / config.FILE).write_text(before)
    assert run("init", "--model", str(tiny)).exit_code == 0
    assert (home / config.FILE).read_text() == after.replace("SPEC", str(tiny))


def test_the_home_can_be_given(home: Path, tiny: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert run("--home", str(elsewhere), "init", "--model", str(tiny)).exit_code == 0
    assert elsewhere.is_dir() and not home.exists()


def test_import_twice_adds_nothing(ready: Path, day: Path) -> None:
    assert "2 new messages, of 2" in run("import", str(day)).stdout
    assert "0 new messages, of 2" in run("import", str(day)).stdout


def test_ask_answers_and_logs_both_sides(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_answer", lambda model, text, begun: begun() and "Ingrid.")
    assert run("ask", "What is my sister called?").stdout == "Ingrid.\n"
    with Journal.open(ready) as journal:
        said = [(turn.role, turn.source, turn.content) for turn in journal.turns()]
    assert said == [("user", "user", "What is my sister called?"), ("assistant", "assistant", "Ingrid.")]


def test_what_was_asked_is_kept_before_it_is_answered(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "complete", stopped)
    assert run("ask", "My sister is called Ingrid.").exit_code == errors.ERROR
    with Journal.open(ready) as journal:
        assert [turn.content for turn in journal.turns()] == ["My sister is called Ingrid."]


def test_a_journal_that_cannot_be_opened_breaks_no_answer(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(home: Path) -> None:
        raise EdgesleepError("The journal is locked.", "Wait.")

    monkeypatch.setattr(Journal, "open", locked)
    monkeypatch.setattr(Engine, "text", lambda *_: "Ingrid.")
    result = run("ask", "What is my sister called?")
    assert (result.exit_code, result.stdout) == (0, "Ingrid.\n")
    assert result.stderr.count("is not kept: The journal is locked. Wait.") == 2


def test_ask_without_log_leaves_no_trace(ready: Path) -> None:
    before = tree(ready)
    reply = json.loads(run("ask", "Who?", "--json", "--no-log").stdout)
    assert reply.keys() == {"question", "answer", "recalled", "generation", "model"}
    assert tree(ready) == before


def test_ask_is_greedy_and_takes_bytes_that_are_no_text(ready: Path) -> None:
    first, second = (run("ask", "--no-log", "a\udcff<|im_end|>") for _ in range(2))
    assert first.exit_code == 0 and first.stdout == second.stdout


# -- looking -------------------------------------------------------------------------------------------------------


def test_status_counts_messages_and_memories(ready: Path, day: Path) -> None:
    run("import", str(day))
    remember(ready, "a", "b")
    found = json.loads(run("status", "--json").stdout)
    assert (found["messages"], found["messages_waiting"], found["generation"]) == (3, 0, 0)
    assert found["memories"] == {"new": 2, "learning": 0, "graduated": 0, "weak": 0, "superseded": 0}
    text = run("status").stdout
    assert "3, of which 0 wait" in text and "2 new" in text


def test_status_names_the_last_and_the_unfinished_night(ready: Path) -> None:
    with Journal.open(ready) as journal:
        journal.end_night(NightReport(journal.begin_night(), "rejected", "Drift.", 0, "base.gguf"))
        journal.begin_night()
    text = run("status").stdout
    assert "Last night: 1, rejected. Drift." in text and "Night 2 is unfinished" in text
    found = json.loads(run("status", "--json").stdout)
    assert (found["last_night"]["status"], found["unfinished_night"]) == ("rejected", 2)


def test_generations_marks_the_current_one(ready: Path, tiny: Path) -> None:
    for _ in range(3):
        publish(ready)
    rows = json.loads(run("generations", "--json").stdout)
    assert [(row["number"], row["current"]) for row in rows] == [(0, False), (1, False), (2, False), (3, True)]
    assert rows[0]["model"] == str(tiny) and rows[1]["model"] is None and Path(rows[3]["model"]).is_file()
    lines = run("generations").stdout.splitlines()
    assert lines[3].startswith("*    3  night 3") and "(made again when asked for)" in lines[1]


def test_path_is_the_current_file(ready: Path, tiny: Path) -> None:
    assert run("path").stdout == f"{tiny}\n"
    publish(ready)
    assert Path(run("path").stdout.strip()).read_bytes() == b"model.1"


def test_models_says_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESLEEP_CACHE", str(tmp_path))
    here = catalog.cached_path(catalog.entries()[1])
    here.parent.mkdir(parents=True)
    here.touch()
    rows = json.loads(run("models", "--json").stdout)
    assert [row["name"] for row in rows] == catalog.names()
    assert [row["path"] for row in rows if row["path"]] == [str(here)]
    assert "not here yet" in run("models").stdout


def test_the_version_and_the_module(home: Path) -> None:
    command = [sys.executable, "-m", "edgesleep"]
    assert subprocess.check_output([*command, "--version"], text=True) == f"edgesleep, version {__version__}\n"
    failed = subprocess.run([*command, "path"], capture_output=True, text=True)
    assert failed.returncode == errors.ERROR and failed.stderr.startswith("Error: ") and not home.exists()


# -- going back ----------------------------------------------------------------------------------------------------


def test_rollback_serves_the_parent_and_learns_anew_what_only_the_child_knew(ready: Path) -> None:
    remember(ready, "a", "b", "c", "d")
    publish(ready, "a")
    publish(ready, "a", "b", "c")
    with Journal.open(ready) as journal:
        journal.mark(["a"], "learned", 1)
        journal.mark(["b"], "learned", 2)
        journal.mark(["c"], "weak", 2)
    assert "Serving generation 1 instead of 2" in run("rollback").stdout
    assert Store(ready).current() == 1
    with Journal.open(ready) as journal:
        assert [memory.id for memory in journal.memories("learned")] == ["a"]
        assert [memory.id for memory in journal.memories("new")] == ["b", "c", "d"]


def test_rollback_learns_anew_what_only_the_child_knew_well(ready: Path) -> None:
    remember(ready, "a", "b")
    publish(ready, "a", "b")
    publish(ready, "a")
    with Journal.open(ready) as journal:
        journal.mark(["b"], "learned", 1, 1)
        journal.mark(["a"], "weak", 1, 1)
        for number in (2, 3, 5):
            journal.mark(["a"], "learned", 2, number)
        assert journal.resting(6) == {"a"}
    assert "learned anew: 1" in run("rollback", "1").stdout
    with Journal.open(ready) as journal:
        assert journal.standing() == {"a": ("new", None), "b": ("learned", 1)}
        assert journal.resting(6) == frozenset()


def test_rollback_to_the_base_forgets_nothing_but_learns_all_anew(ready: Path, tiny: Path) -> None:
    remember(ready, "a", "b")
    publish(ready, "a")
    publish(ready, "a", "b")
    with Journal.open(ready) as journal:
        journal.mark(["a", "b"], "learned", 2)
    assert "learned anew: 2" in run("rollback", "0").stdout
    assert run("path").stdout == f"{tiny}\n"


# -- what leaves no trace, and what is said when it cannot be done ----------------------------------------------------


def test_a_dry_run_before_anything_creates_nothing(home: Path, tiny: Path, day: Path) -> None:
    for words in (["init"], ["init", "--model", str(tiny)], ["init", "--model", "hf:a/b/c.gguf"], ["import", str(day)]):
        result = run(*words, "--dry-run")
        assert result.exit_code == 0 and result.stdout
    assert not home.exists()


def test_a_dry_run_later_changes_nothing(ready: Path, day: Path, tiny: Path) -> None:
    run("import", str(day))
    publish(ready)
    before = tree(ready)
    for words in (
        ["init"],
        ["import", str(day)],
        ["rollback"],
        ["rollback", "0"],
        ["migrate", "--model", str(tiny)],
        ["run-night"],
        ["run-night", "--json"],
    ):
        result = run(*words, "--dry-run")
        assert result.exit_code == 0 and result.stdout, result.output
    assert tree(ready) == before


def test_a_planned_night_says_what_it_would_learn(ready: Path, day: Path) -> None:
    run("import", str(day))
    planned = json.loads(run("run-night", "--dry-run", "--json").stdout)
    assert (planned["status"], planned["memories_found"]) == ("planned", 1)


def test_a_night_without_the_reader_says_how_to_get_it(
    ready: Path, day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spacy.py").write_text("raise ModuleNotFoundError(\"No module named 'spacy'\")")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    run("import", str(day))
    said = fails("run-night")
    assert (
        said.splitlines()[0] == "Error: The day's messages could not be read: No English model for spaCy is installed."
    )
    assert said.splitlines()[-1].startswith("Try: Install edgesleep again")


@pytest.mark.parametrize(
    "words", [["path"], ["status"], ["generations"], ["ask", "Who?"], ["run-night"], ["rollback", "0"]]
)
def test_before_init_a_command_names_init_and_creates_nothing(words: list[str], home: Path) -> None:
    assert "edgesleep init" in fails(*words)
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["frobnicate"], errors.USAGE, "No such command"),
        (["--frobnicate"], errors.USAGE, "No such option"),
        (["ask"], errors.USAGE, "Missing argument 'TEXT'"),
        (["run-night", "--minutes", "many"], errors.USAGE, "--minutes"),
        (["run-night", "--set", "night.minutes"], errors.USAGE, "SECTION.KEY=VALUE"),
        (["run-night", "--set", "night.hours=3"], errors.ERROR, "Unknown setting: night.hours"),
        (["run-night", "--set", "night.passes=many"], errors.ERROR, "wrong type"),
        (["rollback"], errors.ERROR, "nothing to go back to"),
        (["rollback", "7"], errors.ERROR, "no generation 7"),
        (["rollback", "-1"], errors.USAGE, "-1"),
        (["rollback", "first"], errors.USAGE, "first"),
        (["report"], errors.ERROR, "No night has a report"),
        (["report", "4"], errors.ERROR, "Night 4 has a report"),
        (["ask", " "], errors.ERROR, "empty"),
        (["ask", "the " * 4000], errors.ERROR, "too long"),
        (["import", "nowhere.jsonl"], errors.ERROR, "nowhere.jsonl"),
        (["import", "."], errors.ERROR, "directory"),
        (["init", "--model", "nonesuch"], errors.ERROR, "no model nonesuch"),
        (["init", "--model", "nowhere.gguf"], errors.ERROR, "nowhere.gguf"),
        (["init", "--model", "hf:what"], errors.ERROR, "hf:REPO/FILE"),
    ],
)
def test_a_mistake_is_told_in_two_lines(words: list[str], code: int, said: str, ready: Path) -> None:
    before = tree(ready)
    assert said in fails(*words, code=code)
    assert tree(ready) == before


def test_a_damaged_model_is_not_adopted(home: Path, tiny: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:-100])
    assert "cut.gguf" in fails("init", "--model", str(cut))
    assert not home.exists()


def test_another_model_is_refused_once_there_are_generations(ready: Path, tmp_path: Path) -> None:
    publish(ready)
    another = make_tiny(tmp_path / "another.gguf", "llama", seed=1)
    before = tree(ready)
    assert "another model" in fails("init", "--model", str(another))
    assert tree(ready) == before


def test_bad_lines_of_a_day_are_all_named(ready: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(DAY + '{"role": "user"}\n{"role": "king", "content": "x"}\n')
    for words in (["import", str(path)], ["import", str(path), "--dry-run"]):
        said = fails(*words)
        assert "line 3" in said and "line 4" in said


def test_a_home_that_is_a_file_is_told(tmp_path: Path, tiny: Path, day: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for words in (["init", "--model", str(tiny)], ["import", str(day)]):
        assert str(file) in fails("--home", str(file), *words)


def test_an_error_of_the_system_is_told(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **extra: Any) -> NightReport:
        raise OSError(28, "No space left on device", "candidate.gguf")

    night_ends(monkeypatch, full)
    assert fails("run-night").startswith("Error: candidate.gguf: No space left on device.\n")


def test_an_error_without_a_hint_is_one_line(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **extra: Any) -> NightReport:
        raise EdgesleepError("It broke.")

    night_ends(monkeypatch, broken)
    assert fails("run-night") == "Error: It broke.\n"


def test_a_fault_of_ours_keeps_its_traceback(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*args: Any, **extra: Any) -> NightReport:
        raise ZeroDivisionError

    night_ends(monkeypatch, fault)
    assert isinstance(run("run-night").exception, ZeroDivisionError)


def test_every_command_that_writes_has_a_dry_run() -> None:
    def flags(name: str) -> set[str]:
        return {flag for option in cli.main.commands[name].params for flag in option.opts}

    assert all("--dry-run" in flags(name) for name in ("init", "import", "run-night", "rollback", "migrate", "path"))
    assert all("--json" in flags(name) for name in ("ask", "run-night", "status", "generations", "models", "report"))
    assert "--no-log" in flags("ask")


def test_a_night_says_what_else_its_file_was_asked() -> None:
    last = PassScore(2, 0.6, 0.5, 0.75, 0.01)
    night = NightReport(1, "promoted", "", 1, "m", recall_before=0.0, recall_after=0.6, passes=(last,), drift_mean=0.0)
    lines = list(cli._outcome(replace(night, drift_median=0.0)))
    assert lines[2:4] == ["Recall of what takes two memories: 0.50", "Owned up to what was never told: 0.75"]
    bare = replace(night, drift_median=0.0, passes=(PassScore(1, 0.6, None, None, 0.01),))
    assert not [line for line in cli._outcome(bare) if "two memories" in line or "Owned" in line]
