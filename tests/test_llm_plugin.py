"""`llm -m edgesleep`, by the real `llm`: the current generation answers, recalls, and is taught only by its user."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import llm
import llm.cli
import pytest
from grown import DOG, grow

from edgesleep import llm_plugin
from edgesleep.day import logbook
from edgesleep.engine import Engine
from edgesleep.forgotten import REPORTS
from edgesleep.journal import Journal
from edgesleep.records import Message, Turn

if TYPE_CHECKING:
    from edgesleep.store import Store

ASKED = "What is my horse called?"


@pytest.fixture
def model(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[llm.Model]:
    """What `llm` registers, of a home where the dog, the cat and the horse were told; nothing of it is left loaded."""
    found: list[Any] = []
    llm_plugin.register_models(found.append)
    monkeypatch.setattr(llm_plugin.sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115
    yield found[0]
    for answers in found[0]._answers.values():
        answers.close()


def turns(home: Path) -> list[Turn]:
    with Journal.open(home) as journal:
        return [turn for turn in journal.turns() if turn.session.startswith("llm")]


def said(home: Path) -> list[tuple[str, str, str]]:
    return [(turn.role, turn.source, turn.content) for turn in turns(home)]


def greedy(path: Path, *texts: str, limit: int = 8) -> str:
    with Engine(path, context=512) as engine:
        roles = ("user", "assistant") * len(texts)
        chat = [Message(role, text) for role, text in zip(roles, texts, strict=False)]
        return engine.text(engine.complete([engine.chat(chat)], limit)[0])


def test_the_real_llm_answers_with_it(store: Store, tmp_path: Path) -> None:
    assert "edgesleep.llm_plugin" in {entry.value for entry in entry_points(group="llm")}, "run `make setup`"
    env = os.environ | {"LLM_USER_PATH": str(tmp_path / "llm"), "LLM_LOAD_PLUGINS": "edgesleep"}
    options = ["-m", "edgesleep", "-o", "recall", "off", "-o", "max_tokens", "8"]
    done = subprocess.run(
        [sys.executable, "-m", "llm", *options], input=ASKED, capture_output=True, text=True, env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == greedy(store.model_path(), ASKED).strip()
    (question, answer) = turns(store.home)
    assert (question.role, question.source, question.content) == ("user", "tool", ASKED), "a pipe is nobody's words"
    assert answer.role == "assistant" and not answer.teaches


def test_it_streams_and_says_what_it_took(model: llm.Model, store: Store) -> None:
    response = model.prompt("aaaa", recall="off", max_tokens=12)
    pieces = [*response]
    assert "".join(pieces) == greedy(store.model_path(), "aaaa", limit=12) and len(pieces) > 6
    assert response.usage().output == 12 and response.usage().input > 4


def test_what_was_told_stands_before_the_question(model: llm.Model, store: Store) -> None:
    recalled, plain = (model.prompt(ASKED, recall=wish, max_tokens=8) for wish in ("auto", "off"))
    recalled.text(), plain.text()
    assert recalled.usage().input > plain.usage().input + 8
    assert [content for role, _, content in said(store.home) if role == "user"] == [ASKED, ASKED], "kept as it was said"


TYPED = [
    (True, True, None, "user"),
    (True, False, None, "tool"),
    (False, True, None, "tool"),
    (False, False, True, "user"),
    (True, True, False, "tool"),
]


@pytest.mark.parametrize(("command", "terminal", "mine", "source"), TYPED)
def test_only_what_its_user_typed_teaches(
    model: llm.Model,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    command: bool,
    terminal: bool,
    mine: bool | None,
    source: str,
) -> None:
    monkeypatch.setattr(llm_plugin.sys.stdin, "isatty", lambda: terminal)
    with click.Context(llm.cli.cli) if command else nullcontext():
        model.prompt("I live in Skelwick.", fragments=["A page about zithers."], mine=mine, max_tokens=2).text()
    assert said(store.home)[:2] == [("user", "tool", "A page about zithers."), ("user", source, "I live in Skelwick.")]


SCRIPT = "import llm; llm.get_model('edgesleep').prompt('I live in Skelwick.', recall='off', max_tokens=2).text()"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_a_program_that_was_started_from_a_terminal_is_not_its_user(store: Store, tmp_path: Path) -> None:
    """By the real `llm` and a script, both at a terminal."""
    env = os.environ | {"LLM_USER_PATH": str(tmp_path / "llm"), "LLM_LOAD_PLUGINS": "edgesleep"}
    options = ["-m", "edgesleep", "-o", "recall", "off", "-o", "max_tokens", "2", "I live in Skelwick."]
    ours, theirs = os.openpty()
    for words in (["-c", SCRIPT], ["-m", "llm", *options]):
        subprocess.run([sys.executable, *words], stdin=theirs, env=env, timeout=300, check=True, capture_output=True)
    os.close(ours), os.close(theirs)
    assert [source for role, source, _ in said(store.home) if role == "user"] == ["tool", "user"]


def test_a_conversation_is_one_session_and_is_known_to_the_model(model: llm.Model, store: Store) -> None:
    chat = model.conversation()
    first = chat.prompt("Hello.", recall="off", max_tokens=4).text()
    second = chat.prompt("And now?", recall="off", max_tokens=4).text()
    assert second == greedy(store.model_path(), "Hello.", first, "And now?", limit=4)
    assert len({turn.session for turn in turns(store.home)}) == 1
    assert [content for role, _, content in said(store.home) if role == "user"] == ["Hello.", "And now?"]


def test_nothing_is_kept_where_that_is_not_wanted(model: llm.Model, store: Store) -> None:
    model.prompt(ASKED, log="off", max_tokens=2).text()
    logbook.turn(store.home, on=False)
    model.prompt(ASKED, max_tokens=2).text()
    assert turns(store.home) == []


def test_what_cannot_be_kept_is_told_and_answered(
    model: llm.Model, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.home / "journal.db").unlink()
    (store.home / "journal.db").mkdir()
    assert model.prompt(ASKED, max_tokens=4).text()
    told = capsys.readouterr().err
    assert "is not kept" in told and "is not recalled" in told


def test_an_answer_that_may_tell_what_was_forgotten_meanwhile_is_not_kept(model: llm.Model, store: Store) -> None:
    pieces = iter(model.prompt("aaaa", recall="off", max_tokens=12))
    next(pieces)
    (store.home / REPORTS).mkdir()
    (store.home / REPORTS / "0001.json").write_text("{}")
    assert [*pieces]
    assert [role for role, *_ in said(store.home)] == ["user"]


def test_a_chat_goes_on_with_a_newer_generation(model: llm.Model, store: Store) -> None:
    before = model.prompt(ASKED, recall="off", max_tokens=8).text()
    grow(store, DOG)
    after = model.prompt(ASKED, recall="off", max_tokens=8).text()
    assert after == greedy(store.model_path(1), ASKED) != before


def test_no_generation_before_it_answers_where_the_newer_cannot_be_loaded(model: llm.Model, store: Store) -> None:
    """At every prompt, until it can."""
    model.prompt(ASKED, recall="off", max_tokens=2).text()
    grow(store, DOG)
    whole = store.model_path(1).read_bytes()
    store.model_path(1).write_bytes(b"no model")
    for _ in range(2):
        with pytest.raises(llm.ModelError):
            model.prompt(ASKED, recall="off", max_tokens=2).text()
    store.model_path(1).write_bytes(whole)
    assert model.prompt(ASKED, recall="off", max_tokens=8).text() == greedy(store.model_path(1), ASKED)


def test_without_a_home_it_says_what_to_do(home: Path) -> None:
    model = llm_plugin.Edgesleep()
    with pytest.raises(llm.ModelError, match="edgesleep init"):
        model.prompt(ASKED).text()
