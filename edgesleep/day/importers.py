"""Messages from files into the journal: exports of chat applications, logs of llm, and JSON Lines.

Owns telling by its content what a file is, and writing what is in it. Leaves each format to `exports`, `transcripts`,
`llm_logs` and `json_lines`, and cleaning, redaction and storing to `entries` and `journal`. Must stay true: memory is
bounded by the longest conversation, whatever the size of a file; going in twice adds nothing; of an export with broken
records the rest goes in and they are named, while JSON Lines of our own go in whole or not at all.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from edgesleep.day import exports, json_lines, llm_logs, pieces, transcripts
from edgesleep.day.conversations import Conversation, Format, read
from edgesleep.entries import Ready, ready
from edgesleep.errors import EdgesleepError, shown
from edgesleep.journal import Journal

LINES = "jsonl"  # JSON Lines of our own
FORMATS = (*exports.FORMATS, *transcripts.FORMATS)
TITLES = {
    **{form.name: form.title for form in (*FORMATS, transcripts.SILLYTAVERN)},
    llm_logs.NAME: "llm",
    LINES: "JSON Lines",
}
HINT = (
    f"Accepted are exports of {', '.join(form.title for form in FORMATS)} and {transcripts.SILLYTAVERN.title}, also as "
    f"a .zip that has one in it, and logs.db of llm. {json_lines.FORMAT}"
)
LISTED = 100  # broken records that are named in a result
_SHOWN = 20  # of these, in an error
_LOOK = 20  # records, one of which tells what a file is
_BATCH, _BATCH_BYTES = 1000, 4 << 20  # messages written at once
_EVERY = 5.0  # seconds between two words on how far it is
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Imported:
    """What is in a file: messages that can be in the journal, and how many of them it did not hold yet.

    `formats` are titles; `left_out` counts by what it is; of `broken` records the first LISTED are `named`, with
    places and reasons.
    """

    read: int = 0
    added: int = 0
    formats: tuple[str, ...] = ()
    conversations: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    broken: int = 0
    named: tuple[str, ...] = ()


def import_file(
    journal: Journal, path: Path, name: str = "auto", tell: Callable[[str], None] = lambda line: None
) -> Imported:
    """Write the messages of a file into the journal; `name` is one of TITLES or "auto", and `tell` hears how far it is.

    Raises EdgesleepError, and writes nothing, for a file that cannot be read, that is of no format or of another one,
    of which no record can be read, or that is JSON Lines with a bad line.
    """
    with ExitStack() as stack:
        parts = _parts(path, name, stack)
        _demand_whole(path, parts)
        tally = _Tally()
        added, due = 0, time.monotonic() + _EVERY
        for batch in _batches(_ready(parts, tally)):
            added += journal.log_new(batch)
            if time.monotonic() > due:
                tell(f"{tally.read:,} messages read, {added:,} of them new")
                due = time.monotonic() + _EVERY
        return tally.result(path, parts, added)


def look(path: Path, name: str = "auto") -> Imported:
    """What `import_file` would read; nothing is written, so none are added. Raises as it does."""
    with ExitStack() as stack:
        parts = _parts(path, name, stack)
        _demand_whole(path, parts)
        tally = _Tally()
        for _ in _ready(parts, tally):
            pass
        return tally.result(path, parts, 0)


# -- what a file is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A file, or one in an archive, whose format is known; its conversations can be gone through time after time."""

    format: str
    conversations: Callable[[], Iterator[Conversation]]


@dataclass(frozen=True)
class _Source:
    """Where a text is read from."""

    stem: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


def _parts(path: Path, name: str, stack: ExitStack) -> list[_Part]:
    try:
        with path.open("rb") as file:
            head = file.read(len(llm_logs.MAGIC))
        if head == llm_logs.MAGIC:
            found = [_Part(llm_logs.NAME, partial(llm_logs.conversations, path))]
        elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            found = [part for source in _members(path, stack) if (part := _part(source, alone=False))]
        else:
            part = _part(_Source(path.stem, lambda: path.open("rb")))
            found = [part] if part else []
    except (*_UNREADABLE, NotImplementedError, RuntimeError) as error:  # zipfile's, for a password or a method
        said = shown(getattr(error, "strerror", None) or str(error))
        raise EdgesleepError(f"{path} cannot be read: {said}.", "Check the path, and that it is whole.") from error
    if not found:
        raise EdgesleepError(f"{path.name} is not in a format that can be imported.", HINT)
    if name != "auto" and not (found := [part for part in found if part.format == name]):
        raise EdgesleepError(f"{path.name} is not of {TITLES[name]}.", "Leave --from out: what it is, it says itself.")
    return found


def _members(path: Path, stack: ExitStack) -> Iterator[_Source]:
    """What may hold conversations in an archive, by name."""
    archive = stack.enter_context(zipfile.ZipFile(path))
    for name in sorted(archive.namelist()):
        if name.endswith((".json", ".jsonl")) and not name.startswith("__MACOSX/"):
            yield _Source(PurePosixPath(name).stem, partial(cast(Callable[..., BinaryIO], archive.open), name))


def _part(source: _Source, alone: bool = True) -> _Part | None:
    """None where no format knows a record of it; lines that stand `alone` are then meant as our own, and all bad."""
    with source.open() as file:
        in_lines = _is_in_lines(file)
    if in_lines is None:
        return None
    cut, known = (pieces.lines if in_lines else pieces.records), False
    with source.open() as file:
        for piece in islice(cut(file), _LOOK):
            try:
                record = piece.decoded()
            except EdgesleepError:
                continue
            if form := next((form for form in FORMATS if form.recognise(record)), None):
                return _Part(form.name, partial(_records, source, cut, form))
            if in_lines and transcripts.is_line(record):
                return _Part(transcripts.SILLYTAVERN.name, partial(_chat, source))
            if known := in_lines and json_lines.is_line(record):
                break
    return _Part(LINES, partial(_lines, source)) if known or (alone and in_lines) else None


def _is_in_lines(file: BinaryIO) -> bool | None:
    """Whether a text is records in lines, or one document; None where it is neither. An empty one is no lines."""
    lines = pieces.lines(file)
    first = next(lines, None)
    if first is None:
        return True
    if not (begin := first.data.lstrip()).startswith(b"{"):  # the next line may be far away
        return False if begin.startswith(b"[") else None
    second = next(lines, None)
    for line in (first, second) if second else (first,):
        with suppress(EdgesleepError):
            record = line.decoded()
            if second or json_lines.is_line(record) or transcripts.is_line(record):
                return True
    return False


# -- what is in it ---------------------------------------------------------------------------------------------------


def _records(
    source: _Source, cut: Callable[[BinaryIO], Iterator[pieces.Piece]], form: Format
) -> Iterator[Conversation]:
    """A conversation for every record of a text."""
    with source.open() as file:
        for piece in cut(file):
            try:
                yield read(form, piece.decoded(), piece.place)
            except EdgesleepError as error:
                yield Conversation([(piece.place, error)])


def _chat(source: _Source) -> Iterator[Conversation]:
    """The one conversation that all lines of a text are."""
    with source.open() as file:
        held, size = [], 0
        for line in pieces.lines(file):
            held.append(line)
            size += len(line.data)
            if size > pieces.MAX_PIECE_BYTES:
                yield Conversation([(line.place, EdgesleepError("from here on the chat is too long to be read"))])
                break
    yield read(transcripts.SILLYTAVERN, {transcripts.LINES: held}, "chat")


def _lines(source: _Source) -> Iterator[Conversation]:
    session = "".join(filter(str.isprintable, source.stem[:200])).strip() or "import"
    with source.open() as file:
        yield from json_lines.conversations(pieces.lines(file), session)


def _ready(parts: Sequence[_Part], tally: _Tally) -> Iterator[list[Ready]]:
    """The messages of every conversation as they would be stored."""
    for part in parts:
        for conversation in _to_its_end(part):
            said = []
            for place, row in conversation.rows:
                try:
                    if isinstance(row, EdgesleepError):
                        raise row
                    said.append(ready(row))
                except EdgesleepError as error:
                    tally.refuse(place, error)
            tally.note(said, conversation.left_out)
            yield said


def _to_its_end(part: _Part) -> Iterator[Conversation]:
    """Its conversations; where the file or the archive is damaged, those before."""
    try:
        yield from part.conversations()
    except _UNREADABLE as error:
        yield Conversation([("what follows", EdgesleepError(f"cannot be read ({shown(str(error))})"))])


def _batches(conversations: Iterator[list[Ready]]) -> Iterator[list[list[Ready]]]:
    """Many short ones at once: each write waits for the disk."""
    batch: list[list[Ready]] = []
    count = size = 0
    for said in conversations:
        batch.append(said)
        count += len(said)
        size += sum(len(one.turn.content) for one in said)
        if count >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, count, size = [], 0, 0
    if batch:
        yield batch


def _demand_whole(path: Path, parts: Sequence[_Part]) -> None:
    """Raises EdgesleepError that names the bad lines of JSON Lines of our own: whoever wrote them can mend them."""
    tally = _Tally()
    for _ in _ready([part for part in parts if part.format == LINES], tally):
        pass
    if tally.broken:
        said = f"Nothing was imported; {path.name} has {tally.broken:,} bad line(s):{tally.listed()}"
        raise EdgesleepError(said, json_lines.FORMAT)


class _Tally:
    """What has been found so far."""

    def __init__(self) -> None:
        self.read = self.broken = 0
        self.left_out = Counter[str]()
        self.named: list[str] = []
        self.sessions: set[int] = set()  # hashes, of which there may be many

    def note(self, said: Sequence[Ready], left_out: Mapping[str, int]) -> None:
        self.read += len(said)
        self.left_out.update(left_out)
        self.sessions |= {hash(one.turn.session) for one in said}

    def refuse(self, place: str, error: EdgesleepError) -> None:
        self.broken += 1
        if len(self.named) < LISTED:
            self.named.append(f"{place}: {error}")

    def listed(self) -> str:
        more = f"\n  and {self.broken - _SHOWN:,} more" if self.broken > _SHOWN else ""
        return "".join(f"\n  {reason}" for reason in self.named[:_SHOWN]) + more

    def result(self, path: Path, parts: Sequence[_Part], added: int) -> Imported:
        """Raises EdgesleepError where there is nothing but broken records."""
        if self.broken and not self.read:
            said = f"Nothing was imported; {path.name} has {self.broken:,} broken record(s):{self.listed()}"
            raise EdgesleepError(said, "Export it again: it may be cut off.")
        titles = tuple(dict.fromkeys(TITLES[part.format] for part in parts))
        left_out = dict(self.left_out.most_common())
        return Imported(self.read, added, titles, len(self.sessions), left_out, self.broken, tuple(self.named))
