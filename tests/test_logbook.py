"""What the server keeps: each thing that was said once, before its answer begins; and what it recalls of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from grown import MEMORIES
from serving import Running, said, serving, turns, wait

from edgesleep import cli, database
from edgesleep.config import Settings
from edgesleep.day import logbook
from edgesleep.day.logbook import Logbook, Wish, new, turn
from edgesleep.day.wire import Said
from edgesleep.journal import Journal
from edgesleep.store import Store
from edgesleep.tombstones import Tombstones

USER, ASSISTANT = ("user", "user"), ("assistant", "assistant")
OFF = {"X-Edgesleep-Log": "off"}


@pytest.fixture
def empty(store: Store) -> Path:
    """A home in whose journal nothing was said yet."""
    (store.home / "journal.db").unlink()
    return store.home


@pytest.fixture
def running(empty: Path) -> Iterator[Running]:
    with serving(empty) as running:
        yield running


def conversation(*texts: str, system: str = "") -> list[Said]:
    """The user's words and the assistant's in turn."""
    first = [Said("system", system)] if system else []
    return [*first, *(Said(("user", "assistant")[place % 2], text) for place, text in enumerate(texts))]


class Keeper:
    """A journal that keeps what requests bring."""

    def __init__(self, home: Path) -> None:
        self.journal = Journal.open(home)

    def keep(self, messages: list[Said], answer: str = "", **wish: Any) -> tuple[str, int]:
        """The session, and how many of the messages were new."""
        session, entries = new(self.journal, messages, Wish(**wish))
        self.journal.log_many(entries)
        if answer:
            self.journal.log("assistant", answer, session=session)
        return session, len(entries)


@pytest.fixture
def keeper(home: Path) -> Keeper:
    return Keeper(home)


# -- what is new -------------------------------------------------------------------------------------------------------


def test_a_conversation_that_is_sent_again_and_again_is_kept_once(keeper: Keeper) -> None:
    first, count = keeper.keep(conversation("I live in Porto.", system="Be brief."), "Nice.")
    assert count == 2
    assert keeper.keep(conversation("I live in Porto.", "Nice.", "yes", system="Be brief."), "Yes?") == (first, 1)
    longer = conversation("I live in Porto.", "Nice.", "yes", "Yes?", "yes", system="Be brief.")
    assert keeper.keep(longer, "Well.") == (first, 1)
    assert keeper.keep(longer) == (first, 0)  # another answer is wanted
    said = [turn.content for turn in keeper.journal.session(first)]
    assert said == ["Be brief.", "I live in Porto.", "Nice.", "yes", "Yes?", "yes", "Well."]


def test_it_is_known_again_whatever_the_client_did_to_the_answers(keeper: Keeper) -> None:
    """Or where it has let its beginning go, or the server was started anew: the journal alone says what was kept."""
    session, _ = keeper.keep(conversation("one two", "a", "three four"), "b \n")
    assert keeper.keep(conversation("one two", "A, in short", "three four", "b", "five six")) == (session, 1)
    assert keeper.keep(conversation("three four", "b", "five six", "c", "seven eight")) == (session, 1)


def test_what_was_edited_goes_on_in_the_same_session(keeper: Keeper) -> None:
    session, _ = keeper.keep(conversation("one two"), "a")
    keeper.keep(conversation("one two", "a", "three four"), "b")
    assert keeper.keep(conversation("one two", "a", "three five"), "c") == (session, 1)
    assert keeper.keep(conversation("one two", "a", "three four", "b", "six seven"), "d") == (session, 1)


def test_the_same_thing_said_on_another_day_counts_again(keeper: Keeper) -> None:
    """What was said last holds; but not where the client says that it only asks once more."""
    first, _ = keeper.keep(conversation("I live in Porto."), "Nice.")
    second, count = keeper.keep(conversation("I live in Porto."), "Nice.")
    assert second != first and count == 1
    assert keeper.keep(conversation("I live in Porto."), again=True) == (second, 0)
    assert keeper.keep(conversation("I live in Porto.", "Nice.", "I live in Bergen."))[0] == second


def test_what_is_sent_again_is_known_only_as_what_was_said_last_and_lately(keeper: Keeper) -> None:
    """A request that is sent again may be the first that came."""
    assert keeper.keep(conversation("I live in Porto."), again=True)[1] == 1
    session, _ = keeper.keep(conversation("I live in Porto."), "Nice.", again=True)
    keeper.keep(conversation("I live in Porto.", "Nice.", "Where is the hat?"), "There.")
    other, count = keeper.keep(conversation("Where is the hat?"), again=True)
    assert (other, count) == (session, 0)
    assert keeper.keep(conversation("I live in Porto."), again=True)[1] == 1
    keeper.journal.log("user", "So it goes.", session="old", at="2026-01-01T10:00:00Z")
    assert keeper.keep(conversation("So it goes."), again=True)[1] == 1


def test_what_was_said_before_the_server_heard_it_is_not_kept(keeper: Keeper) -> None:
    session, count = keeper.keep(conversation("My cat is Pim.", "Nice.", "My dog is Miso."))
    assert count == 1
    assert [turn.content for turn in keeper.journal.session(session)] == ["My dog is Miso."]
    assert keeper.keep(conversation("My cat is Pim.", "Nice.", "My dog is Miso.", "So?", "yes"))[0] == session


def test_what_was_said_while_nothing_was_kept_stays_unkept(keeper: Keeper) -> None:
    """Also where something like it was said elsewhere; and the conversation goes on where it was."""
    keeper.keep(conversation("yes"), "Yes?")
    session, _ = keeper.keep(conversation("I live in Porto."), "Nice.")
    now = conversation("I live in Porto.", "Nice.", "My door code is eight.", "I see.", "yes", "Yes?", "And you?")
    assert keeper.keep(now, "I do not live.") == (session, 1)
    assert keeper.keep([*now, *conversation("And you?", "I do not live.", "Why?")[1:]]) == (session, 1)
    assert not any("door" in turn.content for turn in keeper.journal.turns())


def erase(journal: Journal, home: Path, *texts: str) -> None:
    """Forget messages for good, as far as the journal does it."""
    stones, gone = Tombstones.to_add(home), [turn for turn in journal.turns() if turn.content in texts]
    journal.erase((), [turn.id for turn in gone], (), {stones.of_text(turn.content) for turn in gone} - {""})


def test_what_was_forgotten_does_not_come_back_from_the_client(keeper: Keeper, home: Path) -> None:
    """It goes on sending all that it has; what the user says anew is told now."""
    session, _ = keeper.keep(conversation("My dog is Miso."), "What a name, Miso.")
    keeper.keep(conversation("My dog is Miso.", "What a name, Miso.", "Where is the hat?"), "There.")
    erase(keeper.journal, home, "My dog is Miso.", "What a name, Miso.")
    still = conversation("My dog is Miso.", "What a name, Miso.", "Where is the hat?", "There.", "And the cat?")
    assert keeper.keep(still, "Here.") == (session, 1)
    assert (
        keeper.keep([*still, Said("assistant", "Here."), Said("user", "my dog is Miso!"), Said("user", "So?")])[1] == 1
    )
    assert not any("Miso" in turn.content for turn in keeper.journal.turns())
    assert keeper.keep(conversation("My dog is Miso."))[1] == 1


def test_only_the_users_own_words_teach(keeper: Keeper) -> None:
    messages = [Said("system", "Your name is Rex."), Said("user", "one"), Said("tool", "found"), Said("alien", "x")]
    keeper.keep(messages)
    keeper.keep([Said("user", "### Task:\nWrite a title for: I live in Porto.")])
    keeper.keep([Said("user", "def f(x):")], live=False)
    assert [turn.content for turn in keeper.journal.turns() if turn.teaches] == ["one"]
    assert len(keeper.journal.turns()) == 5


def test_a_client_may_name_the_conversation(keeper: Keeper) -> None:
    assert keeper.keep(conversation("one"), "a", session="mine") == ("mine", 1)
    assert keeper.keep(conversation("one", "a", "two"), session="mine") == ("mine", 1)
    assert keeper.keep(conversation("one"), session="mine") == ("mine", 1)  # it sends what is new alone


def test_what_is_too_long_or_no_text_breaks_nothing(keeper: Keeper) -> None:
    keeper.keep([Said("user", "x" * (1 << 21)), Said("user", " "), Said("user", "a\udcff\0b")])
    kept = [turn.content for turn in keeper.journal.turns()]
    assert kept[0] == "[2,097,152 characters, too long to be kept]" and len(kept) == 2


# -- through the server ------------------------------------------------------------------------------------------------


def test_both_sides_are_kept_before_the_reply_ends(running: Running, empty: Path) -> None:
    first = running.answer("I live in Porto.")
    assert said(empty) == [(*USER, "I live in Porto."), (*ASSISTANT, first)]
    second = running.answer("I live in Porto.", first, "the hat", tokens=6)
    assert said(empty)[2:] == [(*USER, "the hat"), (*ASSISTANT, second)]
    assert len({turn.session for turn in turns(empty)}) == 1


def test_what_the_user_said_is_kept_before_the_first_byte_and_what_was_read_after_the_last(
    running: Running, empty: Path
) -> None:
    """A reader that leaves has what it was sent kept."""
    body = {"messages": [{"role": "user", "content": "the hat"}], "stream": True, "max_tokens": 200}
    with httpx.stream("POST", f"{running.url}/v1/chat/completions", json=body, trust_env=False) as reply:
        pieces = reply.iter_text()
        next(pieces)
        assert said(empty)[0] == (*USER, "the hat")
    wait(lambda: len(said(empty)) == 2)
    role, _, text = said(empty)[1]
    whole = running.answer("the hat", tokens=200, heads=OFF)
    assert role == "assistant" and whole.startswith(text)


def test_a_stream_is_kept_as_it_was_sent(running: Running, empty: Path) -> None:
    reply = running.chat("the hat", tokens=8, stream=True)
    events = [json.loads(event[6:]) for event in reply.text.split("\n\n")[:-2]]
    sent = "".join(event["choices"][0]["delta"].get("content") or "" for event in events)
    assert said(empty) == [(*USER, "the hat"), (*ASSISTANT, sent)]


def test_a_raw_prompt_is_kept_but_teaches_nothing(running: Running, empty: Path) -> None:
    reply = running.post("/v1/completions", {"prompt": "I live in Porto.", "max_tokens": 4}).json()
    assert said(empty) == [("user", "import", "I live in Porto."), (*ASSISTANT, reply["choices"][0]["text"])]
    running.post("/v1/embeddings", {"input": "nothing of this"})
    assert len(turns(empty)) == 2


def test_secrets_do_not_reach_the_disk(running: Running, empty: Path) -> None:
    running.answer("My card is 4111 1111 1111 1111.")
    assert b"4111" not in b"".join(path.read_bytes() for path in empty.glob("journal.db*"))
    assert "[redacted" in said(empty)[0][2]


def test_nothing_is_kept_where_that_was_asked(running: Running, empty: Path) -> None:
    def log(*words: str) -> Any:
        return json.loads(CliRunner().invoke(cli.main, ["log", *words, "--json"]).stdout)

    running.answer("one", heads=OFF)
    assert log("off", "--dry-run") == {"kept": False, "changed": True, "dry_run": True} and log()["kept"]
    assert log("off")["changed"] and not log()["kept"] and not log("off")["changed"]
    running.answer("two")
    CliRunner().invoke(cli.main, ["ask", "three"])
    assert said(empty) == []
    assert log("on") == {"kept": True, "changed": True, "dry_run": False}
    running.answer("four")
    assert said(empty)[0][2] == "four"


def test_a_switch_is_read_however_it_is_written_and_never_guessed(running: Running, empty: Path) -> None:
    for name, value in (("Log", "OFF"), ("Log", "Off"), ("Recall", "OFF")):
        running.answer("one", heads={**OFF, f"X-Edgesleep-{name}": value}, tokens=1)
    for value in ("false", "0", "no", ""):
        for name in ("Log", "Recall"):
            reply = running.chat("one", heads={f"X-Edgesleep-{name}": value})
            assert reply.status_code == 400 and f"X-Edgesleep-{name}" in reply.json()["error"]["message"]
    for wish in (False, 0, "", "no", []):
        assert running.chat("one", recall=wish).status_code == 400
    assert said(empty) == [] and running.chat("one", recall=None, heads=OFF, tokens=1).status_code == 200


def test_that_nothing_can_be_kept_is_told_once_and_breaks_no_reply(running: Running, empty: Path) -> None:
    running.answer("one")
    with sqlite3.connect(empty / "journal.db") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON turns BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    for text in ("two", "three"):
        assert running.chat(text, stream=True).text.endswith("data: [DONE]\n\n")
    assert len(running.said) == 1 and "not kept" in running.said[0] and "disk full" in running.said[0]
    with sqlite3.connect(empty / "journal.db") as db:
        db.execute("DROP TRIGGER full")
    running.answer("four")
    assert [content for role, _, content in said(empty) if role == "user"] == ["one", "four"]


# -- without a server around it ----------------------------------------------------------------------------------------

DOG = "My dog is Miso."


@pytest.mark.parametrize("when", ["before", "within", "after", "never"])
def test_an_answer_that_began_before_a_forgetting_is_not_kept_after_it(home: Path, when: str) -> None:
    """It may tell what is forgotten: the model, or what was recalled for it, was that of before."""
    under_way = when == "within"
    book = Logbook(home, Settings().recall, pytest.fail, lambda: under_way)

    async def answered() -> None:
        nonlocal under_way
        opened = await book.opened(conversation(DOG, "Ah.", "Who is Miso?"), Wish())
        under_way = when == "before"
        if when == "after":
            with Journal.open(home) as journal:
                erase(journal, home, "Who is Miso?")
        await book.closed(opened, "Miso is your dog.")

    asyncio.run(answered())
    book.close()
    assert ("Miso is your dog." in {turn.content for turn in turns(home)}) == (when == "never")


def test_an_answer_whose_reader_leaves_at_its_end_is_kept(home: Path) -> None:
    """The thread of the journal is busy when the reader goes."""
    book, busy = Logbook(home, Settings().recall, pytest.fail), threading.Event()

    async def answered() -> None:
        opened = await book.opened(conversation(DOG), Wish())
        waiting = asyncio.ensure_future(book._done(busy.wait))
        closing = asyncio.ensure_future(book.closed(opened, "What a name."))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.sleep(0)
        busy.set()
        await waiting

    asyncio.run(answered())
    book.close()
    assert [turn.content for turn in turns(home)] == [DOG, "What a name."]


def test_an_answer_that_was_awaited_when_logging_was_turned_off_is_not_kept(home: Path) -> None:
    book = Logbook(home, Settings().recall, pytest.fail)

    async def answered() -> None:
        opened = await book.opened(conversation(DOG), Wish())
        turn(home, on=False)
        await book.closed(opened, "What a name.")

    asyncio.run(answered())
    book.close()
    assert [kept.content for kept in turns(home)] == [DOG]


def test_a_locked_journal_is_waited_for_once_and_briefly(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is locked for long would have every reply wait, one after the other."""
    monkeypatch.setattr(logbook, "WAIT", 0.05)
    monkeypatch.setattr(database, "WAIT_SECONDS", 3600.0)
    told: list[str] = []
    book = Logbook(home, Settings().recall, told.append)

    async def asked() -> None:
        assert await book.opened(conversation("one"), Wish())
        other = sqlite3.connect(home / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert not await book.opened(conversation("two"), Wish())
        other.close()
        assert not await book.opened(conversation("three"), Wish())
        monkeypatch.setattr(book, "_locked", 0.0)
        assert await book.opened(conversation("four"), Wish())

    asyncio.run(asked())
    book.close()
    assert [kept.content for kept in turns(home)] == ["one", "four"] and len(told) == 1 and "locked" in told[0]


def test_that_nobody_can_be_told_breaks_no_reply(home: Path) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    home.write_text("no folder")
    book = Logbook(home, Settings().recall, gone)
    assert asyncio.run(book.opened(conversation("one"), Wish())) is None
    book.close()


# -- recalled ----------------------------------------------------------------------------------------------------------


def prompts(running: Running, *messages: str, **more: Any) -> tuple[int, str]:
    """Tokens of the prompt, and how many things were recalled for it."""
    reply = running.chat(*messages, tokens=1, **more)
    assert reply.status_code == 200, reply.text
    return reply.json()["usage"]["prompt_tokens"], reply.headers["x-edgesleep-recalled"]


def test_what_was_told_is_before_the_question_in_another_conversation(running: Running, empty: Path) -> None:
    running.answer("I live in Skelwick.", tokens=1)
    alone, none = prompts(running, "Where do I live?", recall="off")
    assert none == "0" and prompts(running, "Where do I live?", heads={"X-Edgesleep-Recall": "off"}) == (alone, "0")
    with_it, one = prompts(running, "Where do I live?")
    assert one == "1" and with_it - alone > len("I live in Skelwick.") // 2
    assert prompts(running, "I live in Skelwick.", "Ah.", "Where do I live?")[1] == "0"  # it is there already
    assert prompts(running, "the hat")[1] == "0"
    assert running.chat("Where do I live?", recall="perhaps").status_code == 400
    assert not any("I said:" in content for _, _, content in said(empty))  # what was recalled is not kept again


def test_a_server_may_recall_nothing_and_waits_for_a_forgetting(store: Store) -> None:
    question = "What is my dog called?"
    assert MEMORIES[0].value == "Miso"
    with serving(store.home) as running:
        assert prompts(running, question)[1] != "0"
    with serving(store.home, recall=False) as running:
        assert prompts(running, question)[1] == "0"
    with serving(store.home, paused=lambda: True) as running:
        assert prompts(running, question)[1] == "0"


def test_a_journal_that_is_served_can_be_cleaned(running: Running, empty: Path) -> None:
    """What another process erases is not quoted by this one, and its bytes go while the server has the file open."""
    running.answer("I live in Skelwick.", tokens=1)
    assert prompts(running, "Where do I live?")[1] == "1"
    with Journal.open(empty) as journal:
        journal.erase((), [turn.id for turn in journal.turns()], (), ())
        journal.vacuum()
    assert b"Skelwick" not in b"".join(path.read_bytes() for path in empty.glob("journal.db*"))
    assert prompts(running, "Where do I live?")[1] == "0"
