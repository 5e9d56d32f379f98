"""Pieces: the records of a large JSON text, one after the other, without holding the text.

Owns finding where a record begins and ends, in lines and in one document. Leaves what a record means to `exports` and
its neighbours. Must stay true: memory is bounded by the longest record, and that by MAX_PIECE_BYTES; a record that is
malformed spoils no other as long as its brackets match; every byte between two records is accounted for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

from edgesleep.entries import MAX_TURN_BYTES
from edgesleep.errors import EdgesleepError

BOM = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 8 * MAX_TURN_BYTES  # JSON spends up to six bytes on one, and a line has more than its content
MAX_PIECE_BYTES = 128 << 20  # of one conversation, which may hold pictures
_CHUNK, _LARGE = 1 << 20, 16 << 20  # read at a time
_NEAR = 1 << 10  # within which what follows a key is seen
_NESTED = "nested too deeply"
_DEEPEST = 100_000  # brackets in brackets, far beyond what can be decoded


@dataclass(frozen=True)
class Piece:
    """One record: where it stands, and its bytes; where it has a `fault`, its bytes do not count."""

    place: str
    data: bytes
    fault: str = ""

    def decoded(self) -> dict[str, Any]:
        """The object that it is. Raises EdgesleepError saying what else it is."""
        if self.fault:
            raise EdgesleepError(self.fault)
        try:
            value = _decoded(self.data)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise EdgesleepError(str(error)) from error
        except RecursionError as error:
            raise EdgesleepError(_NESTED) from error
        if not isinstance(value, dict):
            raise EdgesleepError("no object")
        return value


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError):
        # Halves of surrogate pairs, NaN and Infinity: no JSON, but Python and JavaScript write them.
        try:
            return json.loads(data)
        except ValueError:
            pass
        raise


def _longer(limit: int) -> str:
    return f"longer than {limit:,} bytes"


def lines(file: BinaryIO) -> Iterator[Piece]:
    """The lines of a text that are not blank; of one that is too long only so much that this can be seen."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(BOM)
        if line.strip():
            yield Piece(f"line {number}", line, _longer(MAX_LINE_BYTES) if len(line) > MAX_LINE_BYTES else "")
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


# -- one document ------------------------------------------------------------------------------------------------------

# A string that the end of the text cuts is matched as well, without its last quote.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
# Where one object keeps conversations, as Grok and Chatbot UI write it. In one of ShareGPT there are messages.
_HOLDS = re.compile(
    rb'"(?:conversations"\s*:\s*\[(?=\s*\{)(?!\s*\{\s*"(?:from|value|role|content|text)")|history"\s*:\s*\[)'
)
_QUOTE, _OPEN = ord('"'), b"[{"


def records(file: BinaryIO) -> Iterator[Piece]:
    """The records of a document: the elements of its array, or of the one in which its object keeps conversations.

    Another object is a record itself. What stands between records and is none comes as one, and so does what the end of
    the file cuts off.
    """
    return _Cutter(file).pieces()


class _Cutter:
    """Where in a document it stands: `data[start:]` is not given out yet, and `data[seen:]` not looked at."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.data = bytearray()
        self.start = self.seen = 0
        self.depth = 0
        self.level = -1  # depth of the array of records; 0: the document is one itself
        self.number = 1
        self.fault = ""  # of what began at `start`, the beginning is dropped then

    def pieces(self) -> Iterator[Piece]:
        more = b" "
        while more:
            # As much again as is held, so that a long record is not copied time after time.
            more = self.file.read(min(max(_CHUNK, len(self.data) - self.start), _LARGE))
            del self.data[: self.start]
            self.seen, self.start = self.seen - self.start, 0
            self.data += more
            if (yield from self._look(ended=not more)):
                if self.level < 2 and self._goes_on():
                    yield Piece(f"record {self.number}", b"]")  # what stands after the end
                return
            self._drop()
            if self.depth > _DEEPEST:
                self.fault = _NESTED
            elif len(self.data) - self.seen > MAX_PIECE_BYTES:  # one string
                self.fault = _longer(MAX_PIECE_BYTES)
            else:
                continue
            break  # where it ends is not worth knowing
        if self.level >= 0:
            yield self._piece(len(self.data))

    def _goes_on(self) -> bool:
        rest = bytes(self.data[self.start :]) or self.file.read(_CHUNK)
        while rest and not rest.strip():
            rest = self.file.read(_CHUNK)
        return bool(rest)

    def _look(self, ended: bool) -> Generator[Piece, None, bool]:
        """Go on to the end of what is held; returns whether that of the records was come to."""
        data = self.data
        for token in _TOKEN.finditer(data, self.seen):
            at, end = token.span()
            char = data[at]
            if char == _QUOTE:
                inside = not self.level and self.depth == 1
                if not ended and (end == len(data) or (inside and len(data) - at < _NEAR)):
                    self.seen = at
                    return False
                if inside and _HOLDS.match(data, at):
                    self.level, self.fault = 2, ""
            elif char in _OPEN:
                if self.depth == self.level > 0:
                    yield from self._between(at)
                self.depth += 1
                if self.level < 0:
                    self.level = 1 if char == _OPEN[0] else 0
                    self.start = end if self.level else at
                elif self.depth == self.level == 2:
                    self.start = end
            else:
                self.depth -= 1
                if self.depth < self.level:
                    yield from self._between(at)
                    self.start = end
                    return True
                if self.depth == self.level:
                    yield self._piece(end)
                    if not self.level:
                        return True
        self.seen = len(data)
        return False

    def _between(self, end: int) -> Iterator[Piece]:
        """What stands before a record, but for commas; the record begins at `end`."""
        if self.fault or self.data[self.start : end].strip(b" \t\r\n,"):
            yield self._piece(end)
        self.start = end

    def _piece(self, end: int) -> Piece:
        fault = self.fault or (_longer(MAX_PIECE_BYTES) if end - self.start > MAX_PIECE_BYTES else "")
        piece = Piece(f"record {self.number}", b"" if fault else bytes(self.data[self.start : end]), fault)
        self.number += 1
        self.start, self.fault = end, ""
        return piece

    def _drop(self) -> None:
        """Let go of what is too long, and of blanks between records."""
        if self.seen - self.start > MAX_PIECE_BYTES:
            self.fault, self.start = _longer(MAX_PIECE_BYTES), self.seen
        elif self.level and self.depth <= max(self.level, 0):
            held = self.data[self.start : self.seen]
            self.start += len(held) - len(held.lstrip(b" \t\r\n"))
