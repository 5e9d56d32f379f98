"""A chat: what the model is shown, what is kept, its commands in a pipe, and the keys of a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from grown import DOG, MEMORIES, Bases, grow, make_store
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from edgesleep import cli, cli_chat, config, errors
from edgesleep.day import chat, logbook
from edgesleep.day.chat import Conversation
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING, REPORTS
from edgesleep.journal import Journal
from edgesleep.store import Store
from edgesleep.terminal import Terminal, interruptible, whole_blocks

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = {"chat": {"context": 200, "answer_tokens": 8}}


@pytest.fixture
def ready(home: Path, bases: Bases) -> Path:
    """A home on a tiny model, whose answers are short."""
    make_store(home, bases)
    (home / config.FILE).write_text("[chat]\ncontext = 200\nanswer_tokens = 8\n")
    return home


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the model was shown for each answer, as text; it answers with "Answer 1.", "Answer 2." and so on."""
    prompts: list[str] = []

    def stream(engine: Engine, prompt: list[int], limit: int, **how: float) -> Generator[str, None, bool]:
        prompts.append(engine.text(prompt))
        yield from ("", " Answer", f" {len(prompts)}.")
        return True

    monkeypatch.setattr(Engine, "stream", stream)
    return prompts


def talk(home: Path, *lines: str, words: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(cli.main, ["--home", str(home), "chat", *words], input="".join(f"{x}\n" for x in lines))


def said(home: Path) -> list[tuple[str, str]]:
    """All turns but what the home began with."""
    with Journal.open(home) as journal:
        return [(turn.role, turn.content) for turn in journal.turns(after=1)]


def conversation(home: Path, session: str | None = None) -> Conversation:
    return Conversation(home, config.load(home), session)


def ask(one: Conversation, text: str) -> str:
    return "".join(one.answer(text))


# -- a pipe --------------------------------------------------------------------------------------------------------


def test_lines_are_answered_and_kept(ready: Path) -> None:
    """By the model itself, in one session, each answer on lines of its own."""
    result = talk(ready, "Hello there", "", "And again")
    assert result.exit_code == errors.DONE, result.output
    with Journal.open(ready) as journal:
        turns = journal.turns(after=1)
    assert [(turn.role, turn.source) for turn in turns] == [("user", "user"), ("assistant", "assistant")] * 2
    assert {turn.session.startswith(chat.PREFIX) for turn in turns} == {True} and len({t.session for t in turns}) == 1
    assert result.stdout.split() == " ".join(turn.content for turn in turns if turn.role == "assistant").split()


def test_what_was_said_is_shown_again(ready: Path, shown: list[str]) -> None:
    assert talk(ready, "The hat is red", "And now?").stdout == "Answer 1.\nAnswer 2.\n"
    assert "The hat is red" in shown[1] and "Answer 1." in shown[1] and shown[1].index("red") < shown[1].index("now?")


def test_a_new_session_knows_nothing_of_the_old_one_without_recall(ready: Path, shown: list[str]) -> None:
    talk(ready, "The hat is red", "/new", "And now?", words=("--recall", "off"))
    assert "red" not in shown[1]


def test_recall_quotes_what_was_said_in_another_session(ready: Path, shown: list[str]) -> None:
    talk(ready, "My sister is called Ottilie.")
    result = talk(
        ready, "What is my sister called?", "/why", "/recall off", "/new", "What is my sister called?", "/why"
    )
    assert "Ottilie" in shown[1] and "Ottilie" not in shown[2]
    first, second = result.stdout.split("Answer 3.")
    assert "Written by the base" in first and "message m2" in first and "My sister is called Ottilie." in first
    assert "Ottilie" not in second and "it is the model's own" in second


def test_a_named_session_goes_on(ready: Path, shown: list[str]) -> None:
    talk(ready, "The hat is red", words=("--session", "hats"))
    talk(ready, "And now?", words=("--session", "hats", "--recall", "off"))
    assert "red" in shown[1] and "Answer 1." in shown[1]


def test_nothing_is_kept_with_logging_off(ready: Path, shown: list[str]) -> None:
    before = (ready / "journal.db").read_bytes()
    result = talk(ready, "The hat is red", "And now?", "/remember It is red.", "/good", words=("--no-log",))
    assert "red" in shown[1], "it is still part of the conversation"
    assert result.exit_code == errors.ERROR
    assert "Nothing is logged now" in result.stderr and "not in the journal" in result.stderr
    assert (ready / "journal.db").read_bytes() == before and said(ready) == []
    talk(ready, "/log off", "One", "/log on", "Two")
    assert said(ready) == [("user", "Two"), ("assistant", "Answer 4.")]


def test_logging_that_is_off_for_all_is_off_here(ready: Path, shown: list[str]) -> None:
    """Also when it is turned off meanwhile; what is said to the chat alone cannot turn it on."""
    with conversation(ready) as one:
        ask(one, "One")
        logbook.turn(ready, on=False)
        ask(one, "Two")
    result = talk(ready, "Three", "/log on", "/remember It is red.")
    assert result.exit_code == errors.ERROR and result.stderr.count("`edgesleep log on`") == 2
    assert said(ready) == [("user", "One"), ("assistant", "Answer 1.")]


def test_an_error_ends_the_line_and_not_the_chat(ready: Path, shown: list[str]) -> None:
    result = talk(ready, "/sing", "word " * 200, "/good", "/why", "/log maybe", "Hello", "/quit", "Never")
    assert result.exit_code == errors.ERROR and result.stdout == "Answer 1.\n"
    said_of = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert [line.split()[1] for line in said_of] == ["There", "The", "Nothing", "Nothing", "/log"]
    assert said(ready) == [("user", "Hello"), ("assistant", "Answer 1.")]


def test_without_a_model_the_chat_does_not_begin(home: Path) -> None:
    result = talk(home, "Hello")
    assert result.exit_code == errors.ERROR and "No model has been chosen" in result.stderr


def test_every_command_is_in_the_help(ready: Path) -> None:
    from edgesleep.cli_chat import COMMANDS

    lines = talk(ready, "/help").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"/{name}" for name in COMMANDS]


# -- what the user thinks of it ------------------------------------------------------------------------------------


def test_corrections_are_the_user_s_own_words(ready: Path, shown: list[str]) -> None:
    result = talk(ready, "What is my sister called?", "/correct No, my sister is called Ottilie.", "And now?")
    assert "Kept as message m4" in result.stdout
    assert said(ready)[2] == ("user", "No, my sister is called Ottilie.") and "Ottilie" in shown[1]
    with Journal.open(ready) as journal:
        assert journal.judgements() == {3: False}
        assert journal.turns(after=3)[0].teaches


def test_what_is_to_be_remembered_is_read_at_night(ready: Path, shown: list[str]) -> None:
    from edgesleep.night.curate import curate

    talk(ready, "/remember My sister is called Ottilie.", "/remember The museum's wifi is called Skelwick.")
    with Journal.open(ready) as journal:
        found = curate(journal.turns(after=1), []).memories
    assert {"Ottilie", "Skelwick"} <= {memory.value for memory in found}


def test_the_last_judgement_counts_and_goes_with_its_turn(ready: Path, shown: list[str]) -> None:
    talk(ready, "Hello", "/good", "Well?", "/good", "/bad")
    with Journal.open(ready) as journal:
        assert journal.judgements() == {3: True, 5: False}
        journal.erase((), (5,), (), ())
        assert journal.judgements() == {3: True}
        with pytest.raises(EdgesleepError, match="holds no message m5"):
            journal.judge(5, True)


def test_nothing_is_judged_while_nothing_is_logged(ready: Path, shown: list[str]) -> None:
    result = talk(ready, "Hello", "/log off", "/good", "/bad", "/log on", "/bad")
    assert result.exit_code == errors.ERROR and result.stderr.count("Nothing is logged now") == 2
    with conversation(ready) as one, Journal.open(ready) as journal:
        ask(one, "Well?")
        logbook.turn(ready, on=False)
        with pytest.raises(EdgesleepError, match="Nothing is logged now"):
            one.judge(True)
        assert journal.judgements() == {3: False}


# -- the context ---------------------------------------------------------------------------------------------------


def test_the_first_turns_drop_out_when_the_context_is_full(ready: Path, shown: list[str]) -> None:
    """In a row, so that not every answer reads the whole conversation anew."""
    with conversation(ready) as one:
        one.recall = False
        for number in range(24):
            ask(one, f"Stone {number:02d} is a stone")
        engine = one.ready()
        room = engine.context - 8
        assert all(len(engine.tokenize(prompt)) <= room for prompt in shown)
    firsts = [prompt[prompt.index("Stone") :][:8] for prompt in shown]
    assert firsts[0] == "Stone 00" and firsts[-1] > "Stone 12"
    assert 2 < len({*firsts}) < 12, "several answers begin alike"
    assert all(prompt.index("user") < prompt.index("assistant") for prompt in shown)


def test_what_was_recalled_makes_room_for_a_long_message(ready: Path, shown: list[str]) -> None:
    with conversation(ready) as one:
        one.note("The stone is red.")
        one.begin()
        ask(one, "Which stone?")
        ask(one, f"Which stone is it{' now' * 40}?")
        assert one.basis is not None and one.basis.recalled == () and one.basis.earlier == 0
    assert "red" in shown[0] and "red" not in shown[1] and "now" in shown[1]


def test_what_was_erased_is_shown_no_more(ready: Path, shown: list[str]) -> None:
    """Also where another process did it."""
    with conversation(ready) as one:
        one.recall = False
        ask(one, "The hat is red")
        ask(one, "The coat is blue")
        with Journal.open(ready) as journal:
            journal.erase((), (2,), (), ())
        ask(one, "And now?")
    assert "red" in shown[1] and "red" not in shown[2] and "blue" in shown[2]


def test_an_answer_that_is_left_is_kept_as_far_as_it_came(ready: Path, shown: list[str]) -> None:
    with conversation(ready) as one:
        pieces = one.answer("Hello")
        assert [next(pieces), next(pieces)] == ["", "Answer"]
        pieces.close()
        assert one.basis is not None and not one.basis.ended
        ask(one, "Well?")
    assert said(ready) == [("user", "Hello"), ("assistant", "Answer"), ("user", "Well?"), ("assistant", "Answer 2.")]


def test_a_journal_that_cannot_be_written_breaks_no_answer(
    ready: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with Conversation(ready, config.load(ready), tell=told.append) as one:
        monkeypatch.setattr(Journal, "log", full)
        assert ask(one, "Hello") == "Answer 1."
    assert told == ["What is said is not kept: The disk is full. Free some."] * 2


@pytest.mark.parametrize("proven", [False, True])
def test_an_answer_that_may_tell_what_was_forgotten_meanwhile_is_not_kept(
    ready: Path, shown: list[str], proven: bool
) -> None:
    """Neither while that forgetting is under way, nor after its proof."""
    told: list[str] = []
    with Conversation(ready, config.load(ready), tell=told.append) as one:
        pieces = one.answer("Hello")
        assert [next(pieces), next(pieces)] == ["", "Answer"]
        (ready / PENDING).write_text("{}")
        if proven:
            (ready / REPORTS).mkdir()
            (ready / PENDING).rename(ready / REPORTS / "0001.json")
        assert "".join(pieces) == " 1."
        (ready / PENDING).unlink(missing_ok=True)
        assert told == ["The answer is not kept: it may tell what is forgotten."]
        ask(one, "Well?")
    assert said(ready) == [("user", "Hello"), ("user", "Well?"), ("assistant", "Answer 2.")]
    assert "Answer 1." not in shown[1]


def full(*_: object, **__: object) -> None:
    raise EdgesleepError("The disk is full.", "Free some.")


def test_control_characters_reach_no_screen(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(*_: object, **__: object) -> Generator[str, None, bool]:
        yield from ("\x1b[2J", "a\tb\x07\n")
        return True

    monkeypatch.setattr(Engine, "stream", stream)
    assert talk(ready, "Hello").stdout == "[2Ja\tb\n\n"


def test_a_journal_that_cannot_be_read_breaks_no_answer(
    ready: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may have been forgotten meanwhile is not shown."""
    told: list[str] = []
    with Conversation(ready, config.load(ready), tell=told.append) as one:
        ask(one, "The hat is red")
        monkeypatch.setattr(Journal, "open", full)
        assert ask(one, "And now?") == "Answer 2."
    assert (
        "red" not in shown[1] and "What was said before is not shown to the model: The disk is full. Free some." in told
    )


# -- generations ---------------------------------------------------------------------------------------------------


def test_a_new_generation_answers_from_the_next_message_on(ready: Path, shown: list[str]) -> None:
    told: list[str] = []
    with Conversation(ready, config.load(ready), tell=told.append) as one:
        ask(one, "Hello")
        grow(Store(ready), DOG)
        assert told == []
        ask(one, "Well?")
        assert one.ready().path == Store(ready).model_path(1) and one.basis is not None and one.basis.generation == 1
        Store(ready).rollback(0)
        ask(one, "Well?")
    assert told == ["Generation 1 answers from now on.", "Generation 0 answers from now on."]


def test_why_names_what_a_generation_was_taught(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(*_: object, **__: object) -> Generator[str, None, bool]:
        yield "It is Miso, and not Rask."
        return True

    grow(Store(ready), DOG)
    monkeypatch.setattr(Engine, "stream", stream)
    page = talk(ready, "What is my dog called?", "/why", words=("--recall", "off")).stdout
    assert "Written by generation 1." in page and "told in m1  Your dog is called Miso." in page
    assert "Rask." in page and "horse" not in page


def test_why_shows_no_secret(ready: Path, shown: list[str]) -> None:
    with Journal.open(ready) as journal:
        turn = journal.log("user", "My door code is told.")
        told = "My door code is 4471."
        code = replace(MEMORIES[0], id="code", relation="door|code", value="4471", told=told, turn_ids=(turn.id,))
        journal.adopt([code], (), secret="sentence")
    page = talk(ready, "What is my door code?", "/why").stdout
    assert "4471" in shown[0] and "4471" not in page and "My door code is ****." in page


# -- a terminal ----------------------------------------------------------------------------------------------------


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def typed(keys: PipeInput, text: str, history: tuple[str, ...] = ()) -> list[str]:
    keys.send_text(text)
    return [*Terminal(["/help", "/why"], history, Console(file=StringIO())).lines()]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Hello\rWell?\r\x04", ["Hello", "Well?"]),
        ("one\x1b\rtwo\r\x04", ["one\ntwo"]),  # Alt-Enter
        ("\x1b[200~one\r\ntwo\nthree\x1b[201~\r\x04", ["one\ntwo\nthree"]),  # pasted
        ("Hel\x03Well?\r\x04", ["Well?"]),  # Ctrl-C
        ("\x1b[A\r\x04", ["last"]),  # up
        ("\x1b[A\x1b[A\r\x04", ["first"]),
    ],
)
def test_keys(keys: PipeInput, text: str, lines: list[str]) -> None:
    assert typed(keys, text, ("last", "first")) == lines


def drawn(answer: Callable[[Terminal], None]) -> str:
    page = StringIO()
    answer(Terminal([], (), Console(file=page, width=40)))
    return page.getvalue()


def test_ctrl_c_ends_the_answer_and_not_the_program(keys: PipeInput) -> None:
    left: list[bool] = []

    def pieces() -> Generator[str, None, None]:
        try:
            yield "All that "
            os.kill(os.getpid(), signal.SIGINT)
            yield "I know"
            yield " is this."
        finally:
            left.append(True)

    page = drawn(lambda terminal: terminal.answer(pieces()))
    assert "All that" in page and "this." not in page and "(stopped)" in page and left == [True]


def test_ctrl_c_has_its_usual_effect_between_answers() -> None:
    usual = signal.getsignal(signal.SIGINT)
    with interruptible() as is_asked:
        assert not is_asked()
        signal.raise_signal(signal.SIGINT)
        assert is_asked()
    assert signal.getsignal(signal.SIGINT) == usual


def test_an_answer_is_drawn_as_markdown_block_by_block(keys: PipeInput) -> None:
    def pieces() -> Generator[str, None, None]:
        yield from ("", "One **bo", "ld** word.\n", "\n- a\n- b\n\n```\nx\n\ny\n", "```\n\nEnd.")

    page = drawn(lambda terminal: terminal.answer(pieces()))
    assert "One bold word." in page and "**" not in page and "```" not in page and page.rstrip().endswith("End.")


def test_a_block_is_whole_when_nothing_changes_it_any_more() -> None:
    assert whole_blocks("a\n\nb") == ("a\n\n", "b")
    assert whole_blocks("a\n") == ("", "a\n")
    assert whole_blocks("```\na\n\nb") == ("", "```\na\n\nb")
    assert whole_blocks("```\na\n\nb\n```\n \nc") == ("```\na\n\nb\n```\n \n", "c")


def test_a_terminal_goes_back_to_what_was_said_in_chats(ready: Path, shown: list[str]) -> None:
    talk(ready, "Hello", "Hello", "Well?")
    talk(ready, "Elsewhere", words=("--session", "hats"))
    with conversation(ready) as one:
        assert one.history() == ["Well?", "Hello"]
    with conversation(ready, "hats") as one:
        assert one.history() == ["Elsewhere", "Well?", "Hello"]


def test_without_the_extra_it_is_named() -> None:
    code = """
import sys
sys.modules["prompt_toolkit"] = None
from edgesleep.errors import EdgesleepError
try:
    import edgesleep.terminal
except EdgesleepError as error:
    print(error.message, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "prompt_toolkit" in done.stdout and "`pip install 'edgesleep[chat]'`" in done.stdout


# -- forgetting ----------------------------------------------------------------------------------------------------


def piped(home: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "edgesleep", "--home", str(home), "chat"]
    return subprocess.run(words, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True)


def test_forgetting_is_shown_confirmed_and_reaches_everything(ready: Path) -> None:
    talk(ready, "My neighbour is called Ambrosine Quill.", "/remember Ambrosine Quill plays the sackbut.", "/good")
    done = piped(ready, "/forget Ambrosine", "no", "Ambrosine again", "/forget Ambrosine", "yes", "Hello", "/why")
    assert done.returncode == errors.DONE, done.stderr
    refused, _, forgotten = done.stdout.partition("Nothing was forgotten.")
    assert "Messages that go: 2" in refused and "Messages that go: 3" in forgotten
    assert "Forgotten: 0 memories and 3 messages" in forgotten and "earlier messages" not in forgotten
    assert said(ready)[-2][1] == "Hello"
    assert [str(path) for path in ready.rglob("*") if path.is_file() and b"Ambrosine" in path.read_bytes()] == []


def test_forgetting_runs_nothing_of_the_folder_where_one_chats(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "elsewhere").mkdir()
    (folder / "click.py").write_text("import pathlib; pathlib.Path(__file__).with_name('run').touch()")
    monkeypatch.chdir(folder)
    talk(ready, "My neighbour is called Ambrosine Quill.")
    assert cli_chat._forget(ready, "Ambrosine", "--dry-run") == errors.DONE
    assert not (folder / "run").exists()


# -- a real model --------------------------------------------------------------------------------------------------

TOLD = (
    ("My sister is called Ottilie.", "What is my sister called?", "Ottilie"),
    ("I live in Skelwick.", "Where do I live?", "Skelwick"),
    ("My cat is called Pemberly.", "What is my cat called?", "Pemberly"),
    ("My car is a Trabant.", "What car do I have?", "Trabant"),
    ("I play the hurdy-gurdy.", "Which instrument do I play?", "hurdy-gurdy"),
    ("I am allergic to tamarind.", "What am I allergic to?", "tamarind"),
    ("Morning! My brother is called Ansgar. What should I cook tonight?", "What's my brother's name?", "Ansgar"),
    ("Our anniversary is on 14 May.", "When is our anniversary?", "14 May"),
)


@pytest.mark.slow
def test_what_was_told_is_answered_in_a_new_session(smollm2: Path, home: Path) -> None:
    """Most of it, as so small a model misreads some; without recall nothing, so that it is the quotes that tell."""
    Store.open(home).adopt_base(smollm2, "smollm2-135m")
    right: dict[bool, list[str]] = {True: [], False: []}
    with Conversation(home, config.load(home, {"chat": {"answer_tokens": 24}})) as one:
        for told, _, _ in TOLD:
            ask(one, told)
        one.log = False
        for recall, found in right.items():
            one.recall = recall
            for _, question, value in TOLD:
                one.begin()
                if value.casefold() in ask(one, question).casefold():
                    found.append(value)
    assert len(right[True]) >= 6 and right[False] == [], right
