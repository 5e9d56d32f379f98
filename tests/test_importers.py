"""Imports: a file goes in whole or not at all, twice is once, and every bad line is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesleep.day import importers
from edgesleep.day.importers import Imported, import_file, read_jsonl
from edgesleep.entries import Entry
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal

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


def write(folder: Path, *lines: object, name: str = "day.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return path


def test_messages_arrive_in_order_and_only_the_user_teaches(journal: Journal, tmp_path: Path) -> None:
    assert import_file(journal, write(tmp_path, *GOOD)) == Imported(read=5, added=5)
    turns = journal.turns()
    assert [turn.content for turn in turns] == [line["content"] for line in GOOD]
    assert [turn.session for turn in turns] == ["s1", "day", "day", "day", "day"]
    assert [turn.source for turn in turns] == ["user", "assistant", "user", "user", "web"]
    assert [turn.teaches for turn in turns] == [True, False, True, True, False]


def test_the_same_file_twice_adds_nothing_and_a_grown_one_its_new_lines(journal: Journal, tmp_path: Path) -> None:
    import_file(journal, write(tmp_path, *GOOD))
    assert import_file(journal, write(tmp_path, *GOOD)) == Imported(read=5, added=0)
    assert import_file(journal, write(tmp_path, *GOOD, GOOD[2])) == Imported(read=6, added=1)
    assert len(journal.turns()) == 6


def test_bom_crlf_blank_lines_and_a_missing_last_newline_are_tolerated(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\r\n{"role": "user", "content": "a"}\r\n\r\n  \n{"role": "user", "content": "b"}')
    assert read_jsonl(path) == [Entry("user", "a", session="day"), Entry("user", "b", session="day")]


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
        assert reason in line
    assert journal.turns() == []


def test_a_flood_of_bad_lines_is_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(EdgesleepError, match=r"1,000 bad line\(s\)(?s:.*)and 980 more") as caught:
        read_jsonl(write(tmp_path, *[b"{}"] * 1000))
    assert len(caught.value.message.splitlines()) == 22


def test_a_huge_line_is_bad_but_does_not_hide_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "MAX_LINE_BYTES", 64)
    start = b'{"role": "user", "content": "'
    fits = start + b"x" * (63 - len(start) - 2) + b'"}'
    assert len(fits) == 63
    assert len(read_jsonl(write(tmp_path, fits, fits))) == 2
    for extra in (2, 64, 65, 500):
        with pytest.raises(EdgesleepError, match="1 bad line") as caught:
            read_jsonl(write(tmp_path, fits, start + b"x" * (64 + extra) + b'"}', fits))
        assert "line 2: longer than 64 bytes" in caught.value.message


@pytest.mark.parametrize(
    "data", [b"[\n  {}\n]", b"role,content\nuser,hi\n", b"\x1f\x8b\x08\x00gzip", "\ufeff{}".encode("utf-16-le")]
)
def test_another_format_is_told_what_is_accepted(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(data)
    with pytest.raises(EdgesleepError, match=r"export\.json is not in a format") as caught:
        read_jsonl(path)
    assert "JSON Lines" in caught.value.hint


def test_a_line_without_end_in_another_format_is_refused_at_once() -> None:
    zeros = Path("/dev/zero")
    if not zeros.exists():
        pytest.skip("the system has no endless file")
    with pytest.raises(EdgesleepError, match="not in a format"):
        read_jsonl(zeros)


@pytest.mark.parametrize("field", ["role", "source", "at"])
def test_megabytes_in_a_bad_line_are_not_repeated(tmp_path: Path, field: str) -> None:
    path = write(tmp_path, GOOD[0], {"role": "user", "content": "x", field: "\x1b[2J" * 10**6})
    with pytest.raises(EdgesleepError, match="1 bad line") as caught:
        read_jsonl(path)
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
        read_jsonl(write(tmp_path, GOOD[0], b'{"role": "user", "content": "x' + text + b'"}'))


def test_a_file_whose_name_is_no_text_names_a_session(journal: Journal, tmp_path: Path) -> None:
    for number, name in enumerate((b"day\xff.jsonl", b"\x01.jsonl", b" .jsonl")):
        line = {"role": "user", "content": f"I have {number} cats."}
        import_file(journal, write(tmp_path, line, name=os.fsdecode(name)))
    assert [turn.session for turn in journal.turns()] == ["day", "import", "import"]


def test_an_empty_file_holds_no_messages(journal: Journal, tmp_path: Path) -> None:
    assert import_file(journal, write(tmp_path)) == Imported(read=0, added=0)


@pytest.mark.parametrize("name", ["missing.jsonl", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(EdgesleepError, match="cannot be read"):
        read_jsonl(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(b'{"role": "user", "content": "first"}\n' + data)
    try:
        assert read_jsonl(path)[0].content == "first"
    except EdgesleepError as error:
        assert error.hint
