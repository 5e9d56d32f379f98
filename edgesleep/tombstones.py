"""Tombstones: what tells a copy of something forgotten from something new, and does not say what that was.

Owns the home's key, the form in which texts are compared, and the hashes. Leaves keeping the hashes to `journal`, and
choosing what is forgotten to `night.scope`. Must stay true: a hash is made with a random key that lies outside the
journal, so that one who has the journal alone cannot try values on it; one who has the whole home can.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.files import write_atomically
from edgesleep.records import Memory

KEY = "forget.key"
FEWEST = 3  # words of a text that is known again: "yes, please" is anyone's


@dataclass(frozen=True)
class Tombstones:
    """The hashes of what was forgotten, under the key of one home."""

    key: bytes
    hashes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, home: Path, hashes: Iterable[str]) -> Tombstones:
        """Those of a home. Raises EdgesleepError where there are some, and the key to them is gone."""
        held = frozenset(hashes)
        if not held:
            return cls(b"")
        try:
            return cls((home / KEY).read_bytes(), held)
        except OSError as error:
            raise EdgesleepError(
                f"{home / KEY} cannot be read ({error.strerror or error}), and without it what was forgotten cannot be "
                "told from what is new.",
                "Put it back from a backup. An empty file in its place lets be learned again what is told again.",
            ) from error

    @classmethod
    def to_add(cls, home: Path) -> Tombstones:
        """None yet, under the key of the home, which is made where there is none, or an empty one."""
        path = home / KEY
        if not path.exists() or not path.stat().st_size:
            write_atomically(path, secrets.token_bytes(32))
        return cls(path.read_bytes())

    def of_text(self, text: str) -> str:
        """The hash of a text; empty for one that is too short to be somebody's."""
        words = _words(text)
        return self._hash("text", "".join(words)) if len(words) >= FEWEST else ""

    def of_memory(self, memory: Memory) -> str:
        """The hash of what it is about and of its value."""
        return self._hash("memory", f"{memory.relation}\0{''.join(_words(memory.value))}")

    def of_name(self, text: str) -> str:
        """The hash of a name of which more may be told: it is the value of one memory and what another is about."""
        return self._hash("name", "".join(_words(text)))

    def of_all(self, memory: Memory) -> tuple[str, ...]:
        """Every hash by which it, or more about what it names, would be known again."""
        about = memory.relation.partition("|")[0]
        names = (self.of_name(about), self.of_name(memory.value))
        return (self.of_memory(memory), self.of_text(memory.told), *names)

    def hold_text(self, text: str) -> bool:
        """Whether just this was said in a message that was forgotten."""
        return bool(self.hashes) and self.of_text(text) in self.hashes

    def hold(self, memory: Memory) -> bool:
        """Whether it was forgotten: the same value on the same topic, told in the same words, or about such a name."""
        about = memory.relation.partition("|")[0]
        known = {self.of_memory(memory), self.of_text(memory.told), self.of_name(about)}
        return bool(self.hashes) and not known.isdisjoint(self.hashes)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self.key, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()


def _words(text: str) -> list[str]:
    """Letters and digits alone, and joined for a hash: another break of lines, dash or case makes no other text."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
