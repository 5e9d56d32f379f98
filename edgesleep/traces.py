"""Traces: whether a text is left in any file under a folder.

Owns the forms in which a text may stand in a file (any case, UTF-8 or JSON's escapes, any marks or spaces between its
words) and which files are read. Leaves choosing the texts to `night.scope`. Must stay true: what is found is told by
its place and never quoted; no text is cut, so that one is never taken for another that begins alike; what cannot be
read is an error; weights are searched as well, but for texts of WEIGHTY letters or more only, since shorter ones stand
in a hundred megabytes of any numbers by chance.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

WEIGHTY = 8  # letters
WEIGHTS = (".gguf", ".safetensors", ".npz")
CHUNK, OVERLAP = 1 << 23, 1 << 13  # bytes read at a time, and read again so that nothing falls between two
EDGE = 4  # characters where a chunk cuts, which may be a part of one
WORDS = 12  # of a text that is looked for, so that it fits into OVERLAP; of a longer one choose some `around` a place
LONGEST = 40  # letters of a word, by the first of which it is found
MARKS = 64  # that may lie between two words
GAP = "\n" * 2 * MARKS
MANY = 200  # texts from which on taking bytes apart into words is quicker than looking for each text

_LETTER = rb"[0-9a-z\x80-\xff]"  # in bytes whose ASCII is in lower case
_RUN = re.compile(_LETTER + rb"+")
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|[nrtbf"/\\])')


@dataclass(frozen=True)
class Searched:
    """What was read, and the names of the files in which something was found; of a database, with the table."""

    files: int
    bytes: int
    found: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """One text that is looked for, by its words as they are folded."""

    words: tuple[str, ...]
    written: tuple[str, ...]  # the words as they are spelt, since a case once folded does not come back

    @classmethod
    def of(cls, text: str) -> Text | None:
        """None where it has no words."""
        words, written = words_of(folded(text)), words_of(unicodedata.normalize("NFKC", text))
        return cls(words, written if len(written) == len(words) else words) if words else None

    @cached_property
    def letters(self) -> int:
        return sum(map(len, self.words))

    @cached_property
    def longest(self) -> str:
        """The word by which it is found among others: the longest is the rarest."""
        return max(self.words, key=len)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = (re.escape(word) + (r"[^\W_]*" if len(word) == LONGEST else "") for word in self.words)
        return re.compile(r"(?<![^\W_])" + rf"[\W_]{{1,{MARKS}}}".join(words) + r"(?![^\W_])")

    def find(self, text: str, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where it stands as whole words in a text that was `folded`."""
        if self.longest in text:
            yield from (match.span() for match in self._pattern.finditer(text, start))

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        words = [b"|".join(re.escape(form) for form in _spelt(word)) for word in self.written]
        spelt = (b"[^0-9a-z\x80-\xff]{1,%d}" % MARKS).join(b"(?:" + word + b")" for word in words)
        return re.compile(b"(?<!" + _LETTER + b")" + spelt + b"(?!" + _LETTER + b")")

    @cached_property
    def plainest(self) -> bytes:
        """Its longest word that has but one spelling, in ASCII; empty where it has none."""
        alike = (word for word in self.written if len(_spelt(word)) == 1)
        return max((word.lower().encode() for word in alike), key=len, default=b"")

    def find_bytes(self, data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where it stands in bytes whose ASCII is in lower case."""
        if self.plainest in data:
            yield from (match.span() for match in self._bytes.finditer(data, start))


def _spelt(word: str) -> tuple[bytes, ...]:
    """A word in UTF-8 as it may be written, ASCII in lower case."""
    cases = (word, word.casefold(), word.lower(), word.upper(), word.title())
    return tuple({unicodedata.normalize(form, case).encode().lower() for case in cases for form in ("NFC", "NFD")})


def folded(text: str) -> str:
    """Text for comparison: compatible forms are one, case is none."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, none longer than LONGEST."""
    return tuple(word[:LONGEST] for word in re.findall(r"[^\W_]+", text))


def around(words: Sequence[str], start: int, end: int) -> str:
    """Some words of a text from `start` to before `end`, with those around them: WORDS at most."""
    first = max(0, min((start + end - WORDS) // 2, len(words) - WORDS))
    return " ".join(words[first : first + WORDS])


def _read(data: bytes) -> str:
    """What bytes may say, also in JSON: escapes are the characters that they stand for."""
    text = data.decode("utf-8", "replace")
    return folded(
        _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else " ", text) if "\\" in text else text
    )


class Search:
    """Texts that are looked for together."""

    def __init__(self, texts: Collection[str]) -> None:
        held = {text: found for text in texts if (found := Text.of(text))}
        self._given, self._texts = [*held], [*held.values()]
        self._weighty = [text for text in self._texts if text.letters >= WEIGHTY]
        self._by_word: dict[str, list[Text]] = {}
        for text in self._texts:
            self._by_word.setdefault(text.longest, []).append(text)

    def among(self, text: str) -> bool:
        """Whether any of them stands in a text."""
        return any(True for _ in self._places(folded(text)))

    def absent(self, texts: Iterable[str]) -> list[str]:
        """Those that stand in none of other texts, however these are written to a file."""
        whole = GAP.join(texts)
        said = GAP.join((folded(whole), _read(whole.encode("utf-8", "replace")) if "\\" in whole else ""))
        found = {text for text, _ in self._places(said)}
        return [given for given, text in zip(self._given, self._texts, strict=True) if text not in found]

    def _places(self, data: str, start: int = 0) -> Iterator[tuple[Text, int]]:
        """What stands in a text that was `folded`, and where it ends."""
        words = {*words_of(data)}
        for word in words & self._by_word.keys():  # as there may be as many texts as messages
            for text in self._by_word[word]:
                if words.issuperset(text.words):
                    yield from ((text, end) for _, end in text.find(data, start))

    def within(self, path: Path, base: Path | None = None) -> bool:
        """Whether any of them stands in a file. What `base` has in the same place of a model is the base's own."""
        weights = path.suffix in WEIGHTS
        own = base if path.suffix == ".gguf" else None
        for begin, data, last in _chunks(path):
            if weights and any(not _same(own, begin + a, data[a:b]) for a, b in self._weights(data, begin > 0, last)):
                return True
            if not weights and self._told(data, begin > 0, last):
                return True
        return False

    def _weights(self, data: bytes, before: bool, last: bool) -> Iterator[tuple[int, int]]:
        low, texts = data.lower(), self._weighty
        if len(texts) > MANY:
            words = {b"", *_RUN.findall(low)}
            texts = [text for text in texts if text.plainest in words]
        for text in texts:
            for start, end in text.find_bytes(low, before):
                if last or end < len(low):
                    yield start, end

    def _told(self, data: bytes, before: bool, last: bool) -> bool:
        """What a chunk cuts is whole in the one before or after it."""
        said = _read(data)
        end = len(said) + (1 if last else -EDGE)
        return any(stop < end for _, stop in self._places(said, EDGE if before else 0))


def _chunks(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """A file in pieces that overlap: where each begins, what it holds, whether it is the last."""
    with path.open("rb") as file:
        begin, data = 0, file.read(CHUNK)
        while data:
            more = file.read(CHUNK)
            yield begin, data, not more
            tail = data[-OVERLAP:]
            begin, data = begin + len(data) - len(tail), tail + more if more else b""


def _same(base: Path | None, start: int, data: bytes) -> bool:
    if base is None:
        return False
    with base.open("rb") as file:
        file.seek(start)
        return file.read(len(data)) == data


def files(folder: Path, skip: Collection[Path] = ()) -> Iterator[Path]:
    """All files below a folder, in order, also behind links. Raises OSError where a folder cannot be read."""
    been: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        stat = Path(place).stat()
        if (stat.st_dev, stat.st_ino) in been:  # a link leads back
            folders.clear()
            continue
        been.add((stat.st_dev, stat.st_ino))
        folders.sort()
        for path in (Path(place) / name for name in sorted(names)):
            if path not in skip and path.is_file():
                yield path


def _raise(error: OSError) -> None:
    raise error


def search(
    folder: Path,
    texts: Collection[str],
    base: Callable[[Path], Path | None] = lambda path: None,
    skip: Collection[Path] = (),
) -> Searched:
    """Look for texts in every file below a folder but those of `skip`, and in the names of files. Raises OSError.

    `base` says for a model file which other one it was made from.
    """
    wanted, count, size, found = Search(texts), 0, 0, []
    for path in files(folder, skip):
        name = str(path.relative_to(folder))
        count, size = count + 1, size + path.stat().st_size
        if wanted.among(name) or wanted.within(path, base(path)):
            found.append(name)
    return Searched(count, size, tuple(found))
