"""What a host app may call: light to import, and each name does what the command of the same purpose does."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forgetting import MEMORIES, begun, knows, learn, left, live
from grown import CAT, DOG, go_to, grow
from nights import DAY, SETTINGS, make_home, tell
from tiny import make_tiny

import edgesleep
from edgesleep import journal, records
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.forgotten import PENDING
from edgesleep.night import compare, cycle

if TYPE_CHECKING:
    from grown import Bases

    from edgesleep.store import Store

HEAVY = ["torch", "llama_cpp", "onnxruntime", "spacy", "tokenizers"]
EXAMPLE = Path(__file__).parents[1] / "examples" / "host.py"


def loaded(code: str) -> list[str]:
    """Modules of HEAVY that a process has loaded after some code."""
    code = f"import sys, edgesleep\n{code}\nprint(*sys.modules.keys() & {HEAVY!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


# -- light -------------------------------------------------------------------------------------------------------------


def test_importing_it_loads_nothing_but_itself() -> None:
    code = "import sys; before = {*sys.modules}; import edgesleep; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if name.startswith("edgesleep")} == {"edgesleep"}
    assert not {"click", "numpy", "sqlite3", "msgspec", *HEAVY} & {*done.stdout.split()}


def test_logging_and_looking_load_no_model(home: Path) -> None:
    make_home(home, make_tiny(home.parent / "tiny.gguf", "llama"), ())
    assert loaded("edgesleep.Journal().log('user', 'Hello.'); edgesleep.Store().current(); edgesleep.Night()") == []
    assert "llama_cpp" not in loaded("edgesleep.Memory().recall('Who?')")


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(edgesleep, name) for name in edgesleep.__all__)
    assert {*edgesleep.__all__} <= {*dir(edgesleep)}
    with pytest.raises(AttributeError, match="no attribute 'Jornal'"):
        edgesleep.Jornal  # noqa: B018


@pytest.mark.slow
def test_it_is_typed(tmp_path: Path) -> None:
    """For a host that is checked, too: each name has its type, and a wrong call is found."""
    (tmp_path / "host.py").write_text(
        "import edgesleep\n"
        "reveal_type(edgesleep.Store().current())\n"
        "reveal_type(edgesleep.Night().run())\n"
        "reveal_type(edgesleep.Memory().recall('x'))\n"
        "edgesleep.Journal().log(1)\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "host.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    for told in ("api.Served", "records.NightReport", "recall.Recalled", 'Missing positional argument "content"'):
        assert told in checked.stdout, checked.stdout + checked.stderr


# -- the day -----------------------------------------------------------------------------------------------------------


def test_what_is_logged_is_in_the_journal(home: Path) -> None:
    with edgesleep.Journal(home) as told:
        turn = told.log("user", "My dog is called Miso.", session="notes", at="2026-03-01T21:30:00Z")
        told.log("user", "A page about zithers.", source="web")
        with pytest.raises(EdgesleepError, match="not a role"):
            told.log("nobody", "Hi")
    with journal.Journal.open(home) as kept:
        assert kept.turns() == [turn, kept.turns()[1]] and [one.teaches for one in kept.turns()] == [True, False]


def test_a_journal_serves_many_threads(home: Path) -> None:
    told = edgesleep.Journal(home)
    wrong: list[BaseException] = []

    def tell_some(name: str) -> None:
        try:
            for number in range(5):
                told.log("user", f"{name} {number}")
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=tell_some, args=(f"thread {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.log("user", "the last")
    told.close()
    told.log("user", "and one more")  # opens it again
    with journal.Journal.open(home) as kept:
        assert not wrong and len(kept.turns()) == 22


def test_what_was_told_is_recalled_at_once(home: Path) -> None:
    told, memory = edgesleep.Journal(home), edgesleep.Memory(home)
    assert memory.recall("What is my dog called?") == []
    assert memory.prompt("What is my dog called?") == "What is my dog called?"
    told.log("user", "My dog is called Miso.")
    (found,) = memory.recall("What is my dog called?")
    assert isinstance(found, edgesleep.Recalled) and "Miso" in found.text
    asked = memory.prompt("What is my dog called?")
    assert "Miso" in asked and asked.endswith("What is my dog called?")
    assert memory.recall("What is my dog called?", beside=[found.text]) == []
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.extend(memory.recall("What is my dog called?")))
    thread.start()
    thread.join()
    memory.close()
    assert seen == [found] == memory.recall("What is my dog called?")


# -- the night ---------------------------------------------------------------------------------------------------------


def test_a_night_is_run_stopped_gone_on_with_and_heard_of(home: Path, tmp_path: Path, one_thread: None) -> None:
    make_home(home, make_tiny(tmp_path / "tiny.gguf", "llama"))
    night, settings = edgesleep.Night(home), records.plain(SETTINGS)
    heard: list[edgesleep.Progress] = []
    published: list[edgesleep.Served] = []
    came = threading.Event()

    def note(served: edgesleep.Served) -> None:
        published.append(served)
        came.set()

    with edgesleep.on_new_generation(note, home=home, every=0.01):
        report = night.run(heard.append, lambda: heard[-1:] != [] and heard[-1].step is not None, settings=settings)
        assert report.status == "interrupted" and not published
        assert heard[0].stage == "anchors" and heard[-1].stage == "train" and heard[-1].step.step == 1
        report = night.run(heard.append, settings=settings)
        assert report.status == "promoted" and came.wait(30)
    assert [one.stage for one in heard if one.score] and heard[-1].stage == "gate"
    now = edgesleep.Store(home).current()
    assert published == [now] and (now.number, now.night, str(now.model)) == (1, 1, report.model)
    assert report.memories_trained == len(DAY)


def test_a_night_that_cannot_be_says_why(home: Path, store: Store) -> None:
    other = home.parent / "other"
    with pytest.raises(EdgesleepError, match="No model has been chosen"):
        edgesleep.Night(other).run()
    assert edgesleep.Night(make_home(other, store.model_path(0), ())).run().status == "skipped"
    with pytest.raises(EdgesleepError, match=r"Unknown setting: night\.hours"):
        edgesleep.Night(home).run(settings={"night": {"hours": 1}})
    code = (
        "import sys, edgesleep.store as s, pathlib; lock = s.Store(pathlib.Path(sys.argv[1])).lock(); "
        "lock.__enter__(); print(flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline()
    with pytest.raises(BusyError):
        edgesleep.Night(home).run()
    holder.communicate()


def test_a_night_does_not_begin_before_what_is_to_be_forgotten_is(home: Path, store: Store) -> None:
    """It is the same forgetting as everywhere: here one that cannot be read, so that no night is begun at all."""
    (home / PENDING).write_text("{}")
    with pytest.raises(EdgesleepError, match="nothing else says what was to be forgotten"):
        edgesleep.Night(home).run()
    with journal.Journal.open(home) as kept:
        assert kept.open_night() is None


def test_an_unfinished_forgetting_is_done_before_the_night(
    home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(live(home, bases), MEMORIES[2].id)
    monkeypatch.setattr(cycle, "run_night", lambda home, *_, force: learn(home, force=force))
    report = edgesleep.Night(home).run()
    assert report.status == "promoted" and not (home / PENDING).exists()
    assert edgesleep.Store(home).current().number == report.generation
    assert left(home, "Rocinante") == () and left(home, "Pemberley")


def test_a_night_that_knows_what_was_forgotten_is_taken_back(
    home: Path, bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(live(home, bases), MEMORIES[2].id)
    monkeypatch.setattr(compare, "ask", knows("Rocinante"))  # every generation, but not the base
    monkeypatch.setattr(cycle, "run_night", lambda home, *_, force: learn(home, force=force))
    report = edgesleep.Night(home).run()
    assert (report.status, report.generation) == ("rejected", 0) and "taken back" in report.reason
    assert edgesleep.Store(home).current().number == 0


# -- what is served ----------------------------------------------------------------------------------------------------


def test_what_is_served(home: Path, store: Store) -> None:
    assert edgesleep.Store(home).current() == edgesleep.Served(0, store.model_path(0))
    made = grow(store, DOG)
    assert edgesleep.Store(home).current() == edgesleep.Served(1, store.model_path(1), 1, made.created)
    with pytest.raises(EdgesleepError, match="No model has been chosen"):
        edgesleep.Store(home.parent / "other").current()


def test_every_change_of_what_is_served_is_told(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []
    came = threading.Event()

    def note(served: edgesleep.Served) -> None:
        told.append(served.number)
        came.set()
        if served.number == 1:
            raise ValueError("the host's own fault")

    def change(number: int) -> None:
        came.clear()
        grow(store, DOG) if number else go_to(store, 0)
        assert came.wait(30)

    watching = edgesleep.on_new_generation(note, home=home, every=0.01)
    with caplog.at_level(logging.ERROR, "edgesleep"):
        change(1)
        change(0)
    watching.stop()
    grow(store, CAT)
    assert told == [1, 0] and "the host's own fault" in caplog.text


def test_a_callback_may_end_it(home: Path, store: Store) -> None:
    ended = threading.Event()
    watching = edgesleep.on_new_generation(lambda served: (watching.stop(), ended.set()), home=home, every=0.01)
    grow(store, DOG)
    assert ended.wait(30)
    watching.stop()


# -- the example -------------------------------------------------------------------------------------------------------


def test_the_example_logs_recalls_and_is_short(home: Path, tmp_path: Path) -> None:
    make_home(home, make_tiny(tmp_path / "tiny.gguf", "llama"), ())
    tell(home, "My dog is called Miso.")
    done = subprocess.run(
        [sys.executable, EXAMPLE, home], input="What is my dog called?\n", capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "(generation 0)" in done.stderr and done.stdout.strip()
    with journal.Journal.open(home) as kept:
        said = [(turn.role, turn.content) for turn in kept.turns() if turn.session == "host"]
    assert said[0] == ("user", "What is my dog called?") and said[1][0] == "assistant"
    assert len(EXAMPLE.read_text().splitlines()) < 60
