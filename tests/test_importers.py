"""Imports: what a file is, twice is once, and what is broken is named.

JSON Lines of our own, archives, and what is the same for all formats; these have tests of their own.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesleep import cli_import
from edgesleep.cli import main
from edgesleep.day import importers, pieces
from edgesleep.day.importers import import_file, look
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.tombstones import Tombstones

GOOD = [
    {"role": "user", "content": "I live in Bergen.", "session": "s1", "at": "2026-03-01T20:00:00Z"},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": "yes"},
    {"role": "user", "content": "yes"},
    {"role": "tool", "content": "The user lives in Oslo.", "source": "web", "name": "search"},
]


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    with Journal.open(home) as opened:
        yield opened


def imported(journal: Journal, path: Path) -> tuple[int, int]:
    """How many messages were read, and how many of them were new."""
    done = import_file(journal, path)
    return done.read, done.added


def write(folder: Path, *lines: object, name: str = "day.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return path


def test_messages_arrive_in_order_and_only_the_user_teaches(journal: Journal, tmp_path: Path) -> None:
    assert imported(journal, write(tmp_path, *GOOD)) == (5, 5)
    turns = journal.turns()
    assert [turn.content for turn in turns] == [line["content"] for line in GOOD]
    assert [turn.session for turn in turns] == ["s1", "day", "day", "day", "day"]
    assert [turn.source for turn in turns] == ["user", "assistant", "user", "user", "web"]
    assert [turn.teaches for turn in turns] == [True, False, True, True, False]


def test_the_same_file_twice_adds_nothing_and_a_grown_one_its_new_lines(journal: Journal, tmp_path: Path) -> None:
    import_file(journal, write(tmp_path, *GOOD))
    assert imported(journal, write(tmp_path, *GOOD)) == (5, 0)
    assert imported(journal, write(tmp_path, *GOOD, GOOD[2])) == (6, 1)
    assert len(journal.turns()) == 6


def test_bom_crlf_blank_lines_and_a_missing_last_newline_are_tolerated(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\r\n{"role": "user", "content": "a"}\r\n\r\n  \n{"role": "user", "content": "b"}')
    import_file(journal, path)
    assert [(turn.content, turn.session) for turn in journal.turns()] == [("a", "day"), ("b", "day")]


def test_every_bad_line_is_named_and_nothing_is_imported(journal: Journal, tmp_path: Path) -> None:
    bad = [
        b'{"role": "user"}',
        {"role": "user", "content": ["text"]},
        {"role": "robot", "content": "x"},
        {"role": "user", "content": "x", "at": "late"},
        {"role": "user", "content": "x", "source": "heaven"},
        b'{"role": "user", "content": "\xff"}',
        b'{"role": "user", "content": "x"',
        b'{"role": "user", "content": ' + b"[" * 100_000,
        b"[1]",
        {"role": "user", "content": "  "},
    ]
    with pytest.raises(EdgesleepError) as caught:
        import_file(journal, write(tmp_path, GOOD[0], *bad, GOOD[1]))
    listed = caught.value.message.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in listed] == [f"line {n}" for n in range(2, 12)]
    for line, reason in zip(
        listed,
        ("`content`", "`str`", "'robot'", "'late'", "'heaven'", "utf-8", "truncated", "", "object", "empty"),
        strict=True,
    ):
        assert reason in line.lower()
    assert journal.turns() == []


def test_a_flood_of_bad_lines_is_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(EdgesleepError, match=r"1,000 bad line\(s\)(?s:.*)and 980 more") as caught:
        look(write(tmp_path, *[b"{}"] * 1000))
    assert len(caught.value.message.splitlines()) == 22


def test_a_huge_line_is_bad_but_does_not_hide_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_LINE_BYTES", 64)
    start = b'{"role": "user", "content": "'
    fits = start + b"x" * (63 - len(start) - 2) + b'"}'
    assert len(fits) == 63
    assert look(write(tmp_path, fits, fits)).read == 2
    for extra in (2, 64, 65, 500):
        with pytest.raises(EdgesleepError, match="1 bad line") as caught:
            look(write(tmp_path, fits, start + b"x" * (64 + extra) + b'"}', fits))
        assert "line 2: longer than 64 bytes" in caught.value.message


@pytest.mark.parametrize(
    "data", [b"[\n  {}\n]", b"role,content\nuser,hi\n", b"\x1f\x8b\x08\x00gzip", "\ufeff{}".encode("utf-16-le")]
)
def test_another_format_is_told_what_is_accepted(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(data)
    with pytest.raises(EdgesleepError, match=r"export\.json is not in a format") as caught:
        look(path)
    assert "JSON Lines" in caught.value.hint and "ChatGPT" in caught.value.hint


def test_a_line_without_end_in_another_format_is_refused_at_once() -> None:
    zeros = Path("/dev/zero")
    if not zeros.exists():
        pytest.skip("the system has no endless file")
    with pytest.raises(EdgesleepError, match="not in a format"):
        look(zeros)


@pytest.mark.parametrize("field", ["role", "source", "at"])
def test_megabytes_in_a_bad_line_are_not_repeated(tmp_path: Path, field: str) -> None:
    path = write(tmp_path, GOOD[0], {"role": "user", "content": "x", field: "\x1b[2J" * 10**6})
    with pytest.raises(EdgesleepError, match="1 bad line") as caught:
        look(path)
    assert len(caught.value.message) < 1000 and "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (rb"a\u0000\u001bb", "ab"),
        (rb"\ud83d\ude00", "😀"),
        (b"\xe2\x80\xaeb", "\u202eb"),
        (b"<|im_start|>", "<|im_start|>"),
    ],
)
def test_odd_characters_arrive_clean(journal: Journal, tmp_path: Path, text: bytes, kept: str) -> None:
    import_file(journal, write(tmp_path, b'{"role": "user", "content": "' + text + b'"}'))
    assert [turn.content for turn in journal.turns()] == [kept]


@pytest.mark.parametrize("text", [rb"\ud800", b"\xed\xa0\x80", b"\xff", b"\xc0\x80"])
def test_text_that_is_no_unicode_is_a_bad_line(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(EdgesleepError, match="line 2"):
        look(write(tmp_path, GOOD[0], b'{"role": "user", "content": "x' + text + b'"}'))


def test_a_file_whose_name_is_no_text_names_a_session(journal: Journal, tmp_path: Path) -> None:
    for number, name in enumerate((b"day\xff.jsonl", b"\x01.jsonl", b" .jsonl")):
        line = {"role": "user", "content": f"I have {number} cats."}
        import_file(journal, write(tmp_path, line, name=os.fsdecode(name)))
    assert [turn.session for turn in journal.turns()] == ["day", "import", "import"]


def test_an_empty_file_holds_no_messages(journal: Journal, tmp_path: Path) -> None:
    assert imported(journal, write(tmp_path)) == (0, 0)


@pytest.mark.parametrize("name", ["missing.jsonl", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(EdgesleepError, match="cannot be read"):
        look(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(b'{"role": "user", "content": "first"}\n' + data)
    try:
        assert look(path).read >= 1
    except EdgesleepError as error:
        assert error.hint


# -- exports ---------------------------------------------------------------------------------------------------------


def chat(name: str, *said: str, **more: object) -> dict[str, object]:
    """A conversation as Claude exports it: the user and the assistant by turns."""
    messages = [
        {
            "uuid": f"{name}-{n}",
            "sender": ("human", "assistant")[n % 2],
            "text": text,
            "created_at": f"2026-01-0{n + 1}",
        }
        for n, text in enumerate(said)
    ]
    return {"uuid": name, "chat_messages": messages, "created_at": "2026-01-01", **more}


def export(folder: Path, *records: object, name: str = "conversations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(records))
    return path


def test_a_newer_export_adds_what_is_new_in_a_conversation_that_is_known(journal: Journal, tmp_path: Path) -> None:
    assert imported(journal, export(tmp_path, chat("a", "I live in Bergen.", "Nice."))) == (2, 2)
    grown = chat("a", "I live in Bergen.", "Nice.", "I have a dog.")
    assert imported(journal, export(tmp_path, chat("b", "Hello."), grown)) == (4, 2)
    assert imported(journal, export(tmp_path, grown, chat("b", "Hello."))) == (4, 0)
    assert [turn.content for turn in journal.turns()] == ["I live in Bergen.", "Nice.", "Hello.", "I have a dog."]


def test_of_what_another_model_said_nothing_teaches(journal: Journal, tmp_path: Path) -> None:
    import_file(journal, export(tmp_path, chat("a", "I live in Bergen.", "You have a cat called Tiger.")))
    assert [(turn.role, turn.source, turn.teaches) for turn in journal.turns()] == [
        ("user", "user", True),
        ("assistant", "import", False),
    ]


def test_broken_records_are_named_and_the_rest_goes_in(journal: Journal, tmp_path: Path) -> None:
    broken = chat("b", "kept", "lost", "kept as well")
    broken["chat_messages"][1]["sender"] = "robot"  # type: ignore[index]
    late = chat("d", "lost", "kept")
    late["chat_messages"][0]["created_at"] = "late"  # type: ignore[index]
    path = export(tmp_path, chat("a", "kept"), {"uuid": "x"}, broken, 7, late, {"chat_messages": "none"})
    done = import_file(journal, path)
    assert (done.read, done.added, done.broken) == (4, 4, 5)
    assert [reason.partition(":")[0] for reason in done.named] == [
        "record 2",
        "record 3, message 2",
        "record 4",
        "record 5, message 1",
        "record 6",
    ]
    assert import_file(journal, path).added == 0


def test_an_export_that_is_cut_off_gives_what_is_whole(journal: Journal, tmp_path: Path) -> None:
    path = export(tmp_path, chat("a", "kept"), chat("b", "kept"), chat("c", "lost"))
    path.write_bytes(path.read_bytes()[:-40])
    done = import_file(journal, path)
    assert (done.read, done.broken, done.named[0].partition(":")[0]) == (2, 1, "record 3")


def test_where_all_is_broken_it_is_an_error(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(EdgesleepError, match=r"Nothing was imported; .* 1 broken record"):
        import_file(journal, export(tmp_path, {"chat_messages": [7]}))
    assert journal.turns() == []


@pytest.mark.parametrize("record", [b"[" * 10**6, b'{"mapping":' * 10**5, b'{"mapping": {"a": ' + b"9" * 10**5 + b"}}"])
def test_what_is_nested_or_numbered_without_end_is_an_error(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(b"[" + record)
    with pytest.raises(EdgesleepError):
        look(path)


def test_a_conversation_that_is_too_long_spoils_no_other(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_PIECE_BYTES", 2000)
    done = import_file(journal, export(tmp_path, chat("a", "kept"), chat("b", "x" * 5000), chat("c", "kept")))
    assert (done.read, done.broken, done.named) == (2, 1, ("record 2: longer than 2,000 bytes",))


def test_a_message_that_is_too_long_spoils_no_other(journal: Journal, tmp_path: Path) -> None:
    done = import_file(journal, export(tmp_path, chat("a", "kept", "x" * (1 << 20) + "y", "kept as well")))
    assert (done.added, done.broken) == (2, 1) and "record 1, message 2: The content has" in done.named[0]


def test_what_was_forgotten_does_not_come_back(journal: Journal, tmp_path: Path) -> None:
    path = export(tmp_path, chat("a", "My sister is called Quillfeather.", "Noted."))
    import_file(journal, path)
    stones = Tombstones.to_add(tmp_path / "home")
    journal.erase([], [turn.id for turn in journal.turns()], [], [stones.of_text("My sister is called Quillfeather.")])
    assert imported(journal, path) == (2, 1)
    assert [turn.content for turn in journal.turns()] == ["Noted."]


def test_secrets_do_not_reach_the_disk(journal: Journal, tmp_path: Path) -> None:
    import_file(journal, export(tmp_path, chat("a", "My key is sk-" + "a1B2" * 10)))
    assert "sk-" not in journal.turns()[0].content


def test_a_dry_run_reads_and_writes_nothing(journal: Journal, tmp_path: Path) -> None:
    seen = look(export(tmp_path, chat("a", "I live in Bergen.", ""), {}))
    assert (seen.read, seen.added, seen.formats, seen.conversations, seen.broken) == (1, 0, ("Claude",), 1, 1)
    assert seen.left_out == {"without text": 1} and journal.turns() == []


def test_an_archive_is_looked_into(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "data-2026.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.json", json.dumps([{"uuid": "u", "full_name": "Me"}]))
        archive.writestr("export/conversations.json", json.dumps([chat("a", "I live in Bergen."), {}]))
        archive.writestr("export/more.jsonl", json.dumps(GOOD[0]))
        archive.writestr("chat.html", "<html>")
        archive.writestr("metrics.jsonl", '{"clicks": 3}\n{"clicks": 4}')
    done = import_file(journal, path)
    assert (done.added, done.formats, done.broken) == (2, ("Claude", "JSON Lines"), 1)
    assert imported(journal, path) == (2, 0)


def test_an_archive_that_is_damaged_or_holds_nothing_is_told(tmp_path: Path) -> None:
    path, held = tmp_path / "export.zip", io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("conversations.json", json.dumps([chat("a", "I live in Bergen.")]))
    whole = held.getvalue()
    for data in (whole[:-30], whole.replace(b"Bergen", b"Bergem", 1)):
        path.write_bytes(data)
        with pytest.raises(EdgesleepError, match=r"cannot be read|Nothing was imported"):
            look(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(EdgesleepError, match="not in a format"):
        look(path)


def test_another_format_can_be_demanded(tmp_path: Path) -> None:
    path = export(tmp_path, chat("a", "Hello."))
    assert look(path, "claude") == look(path)
    with pytest.raises(EdgesleepError, match="not of ChatGPT"):
        look(path, "chatgpt")
    assert set(cli_import.FORMATS) == {"auto", *importers.TITLES}


def test_how_far_it_is_is_told(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "_EVERY", -1.0)
    monkeypatch.setattr(importers, "_BATCH", 2)
    heard: list[str] = []
    import_file(journal, export(tmp_path, *(chat(f"c{n}", "One.", "Two.") for n in range(3))), tell=heard.append)
    assert heard[0] == "2 messages read, 2 of them new" and len(heard) == 3


# -- the command -----------------------------------------------------------------------------------------------------


def run(*words: object) -> str:
    done = CliRunner().invoke(main, ["import", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_tells_what_became_of_a_file(tmp_path: Path) -> None:
    path = export(tmp_path, chat("a", "I live in Bergen.", "", "I have a dog."), *[{}] * 25)
    lines = run(path).splitlines()
    assert lines[0] == f"2 new messages, of 2 in {path} (Claude; conversations: 1), are in the journal."
    assert lines[1:4] == [
        "Left out: 1 without text.",
        "25 records or messages could not be read:",
        "  record 2: no conversation of Claude",
    ]
    assert lines[-1] == "  and 5 more" and len(lines) == 24
    told = json.loads(run(path, "--json"))
    assert (told["read"], told["added"], told["broken"], len(told["named"])) == (2, 0, 25, 25)


def test_a_dry_run_makes_no_home(home: Path, tmp_path: Path) -> None:
    path = export(tmp_path, chat("a", "I live in Bergen."))
    assert run(path, "--dry-run", "--from", "claude").startswith(f"1 messages of {path} (Claude; conversations: 1) can")
    assert json.loads(run(path, "--dry-run", "--json"))["dry_run"] and not home.exists()
