"""Pieces: the records of a JSON text are found wherever the reading happens to stop, and no byte is lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesleep.day import pieces
from edgesleep.day.pieces import Piece, records
from edgesleep.errors import EdgesleepError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\[]{},é\u2028', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\[', max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text('ab"{', max_size=3), JSON, max_size=3), max_size=4)


def cut(text: bytes) -> list[bytes]:
    return [piece.data for piece in records(io.BytesIO(text))]


@pytest.fixture(params=[1, 2, 3, 7, 1 << 20])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that are read at a time."""
    monkeypatch.setattr(pieces, "_CHUNK", request.param)
    monkeypatch.setattr(pieces, "_LARGE", request.param)
    return int(request.param)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(OBJECTS, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 9))
def test_the_elements_of_an_array_come_one_by_one(
    values: list[dict[str, Any]], indent: int | None, plain: bool, size: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=plain).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_CHUNK", size)
        patch.setattr(pieces, "_LARGE", size)
        assert [json.loads(data) for data in cut(pieces.BOM + text)] == values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"a": {"b": [1]}}', [b'{"a": {"b": [1]}}']),
        (b'{"x": "]}", "conversations": [ {"conversation": 1}, {"responses": []} ], "p": [{}]}', 2),
        (b'{"history": [{"id": 1}], "folders": [{}]}', [b'{"id": 1}']),
        (b'{"history": {"messages": {}}}', 1),
        (b'{"conversations": [{"from": "human"}]}', 1),
        (b'{"deep": {"history": [{}, {}]}}', 1),
        (b"[]", []),
        (b"", []),
        (b'[{"a": 1}, null, {"b": 2}, 3]', [b'{"a": 1}', b", null, ", b'{"b": 2}', b", 3"]),
        (b'[{"a": 1}, {"b"', [b'{"a": 1}', b'{"b"']),
        (b'[{"a": 1}] {"b": 2}', [b'{"a": 1}', b"]"]),
        (b'{"a": 1} {"b": 2}', [b'{"a": 1}', b"]"]),
        (b'["\\', [b'"\\']),
    ],
)
def test_where_records_are(step: int, text: bytes, found: list[bytes] | int) -> None:
    assert cut(text) == found or len(cut(text)) == found


def test_one_that_is_malformed_spoils_no_other(step: int) -> None:
    data = cut(b'[{"a": 1}, {"b" 2, [tru]}, {"c": 3}]')
    assert data == [b'{"a": 1}', b'{"b" 2, [tru]}', b'{"c": 3}']


def test_what_is_too_long_is_let_go(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_PIECE_BYTES", 50)
    many = b"[" + b"[]," * 100 + b"[]]"
    held = [*records(io.BytesIO(b'[{"a": 1}, ' + many + b', {"b": 2}]'))]
    assert [bool(piece.fault) for piece in held] == [False, True, False]
    assert held[0].data == b'{"a": 1}' and held[-1].data == b'{"b": 2}'


def test_a_string_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_PIECE_BYTES", 1000)
    monkeypatch.setattr(pieces, "_CHUNK", 100)
    monkeypatch.setattr(pieces, "_LARGE", 100)
    file = io.BytesIO(b'[{"a": "' + b"x" * 100_000)
    assert [piece.fault for piece in records(file)] == ["longer than 1,000 bytes"] and file.tell() < 2000


def test_brackets_without_end_are_not_followed_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_DEEPEST", 500)
    monkeypatch.setattr(pieces, "_CHUNK", 100)
    file = io.BytesIO(b"[{}, " + b"[" * 100_000)
    assert [piece.fault for piece in records(file)] == ["", "nested too deeply"] and file.tell() < 5000


def test_blanks_without_end_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_PIECE_BYTES", 1000)
    monkeypatch.setattr(pieces, "_CHUNK", 100)
    blank = b" " * 10_000
    assert cut(blank + b"[" + blank + b"{}" + blank + b"]" + blank) == [b"{}"]


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"a": "\\ud83d!"}', "\ud83d!"), (b'{"a": Infinity}', float("inf")), (b'{"a": 1e999}', float("inf"))],
)
def test_what_is_no_json_but_written_is_read(data: bytes, value: object) -> None:
    assert Piece("", data).decoded() == {"a": value}


@pytest.mark.parametrize("data", [b"", b"[1]", b"7", b'{"a"', b'{"a": "\xff"}', b'{"a": ' * 10**5])
def test_what_is_no_object_is_told(data: bytes) -> None:
    with pytest.raises(EdgesleepError):
        Piece("", data).decoded()
