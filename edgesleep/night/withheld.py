"""What was withheld: sentences that no night learns unless their owner approves them, since they tell a secret or speak
of one, or as an assistant noted them.

Owns listing them, hiding them where a message is shown, and the stand-in by which the reader takes in a secret that its
owner approved: it knows names, not codes. Leaves what is a secret to `secrets`, and deciding to `owner`. Must stay
true: what was redacted before the write has no text, and cannot be approved; a secret is put back whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from edgesleep import secrets
from edgesleep.journal import EDITS
from edgesleep.night.phrases import fold, holding_out, right
from edgesleep.night.reading import voice
from edgesleep.records import Memory, Turn, digest, plain

NOTED = "noted"  # the kind of what an assistant noted
STAND_INS = ("Kestrel", "Osprey", "Merlin")
_REDACTED = re.compile(r"\[redacted: ([^\]\n]+)\]")
_END = re.compile(r"[.!?\n]")
# What follows "is" in a sentence that tells a secret, up to where it speaks of something else.
_VALUE = (
    r"\W{0,3}?(?P<value>[^\s\"']\S*?(?: \S+?)*?)[\"']?"
    r"(?=[,;.!?]*(?:$|\s+(?:and|but|so|in case|please|for|if)\b)|[,;]\s)"
)
_TOLD = (
    re.compile(rf"(?:\b(?:is|are|was|were|reads?)\b|[:=])\s*{_VALUE}", re.IGNORECASE),
    re.compile(rf"\bto\b\s*{_VALUE}", re.IGNORECASE),
)
_ANYONE = re.compile(r"\b(?:I|me|my|mine|we|us|our|you|your|same|now|not)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Withheld:
    """One such sentence. `text` is empty where it was redacted before the write."""

    id: str  # "w17.1": the first of turn 17
    kind: str
    turn: int
    at: str
    text: str

    @property
    def sha256(self) -> str:
        """By which an approval finds it again, whatever else of the turn is withheld by then."""
        return digest(self.text)


def withheld(turns: Iterable[Turn]) -> Iterator[Withheld]:
    """What is withheld of the turns that could teach."""
    for turn in turns:
        if turn.teaches:
            kept = [*_sentences(voice(turn.content))]
            lost = [(match[1], "") for match in _REDACTED.finditer(turn.content)]
            for number, (kind, text) in enumerate([*kept, *lost], 1):
                yield Withheld(f"w{turn.id}.{number}", kind, turn.id, turn.at, text)


def noted(turns: Sequence[Turn]) -> Iterator[Withheld]:
    """What an assistant noted for the user, and they have not approved yet."""
    approved = {turn.content for turn in turns if turn.session == EDITS}
    for turn in turns:
        if turn.noted and turn.content not in approved:
            yield Withheld(f"w{turn.id}.1", NOTED, turn.id, turn.at, turn.content)


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    """The kind and the sentences of everything that is withheld; a mere question about a secret tells none."""
    found: list[tuple[str, int, int]] = []
    for secret in secrets.withheld(text):
        start = max(text.rfind(mark, 0, secret.start) for mark in ".!?\n") + 1
        ended = secret.end > secret.start and _END.match(text, secret.end - 1)
        end = secret.end if ended else (match.end() if (match := _END.search(text, secret.end)) else len(text))
        if found and start < found[-1][2]:
            kind, start, before = found.pop()
            secret, end = secrets.Secret(kind, start, end, True), max(end, before)
        found.append((secret.kind, start, end))
    for kind, start, end in found:
        sentence = text[start:end].strip()
        if kind != secrets.MENTIONED or not sentence.endswith("?"):
            yield kind, sentence


def hidden(content: str) -> str:
    """A message as it may be shown."""
    for secret in reversed(secrets.withheld(content)):
        text = content[secret.start : secret.end]
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        content = f"{content[: secret.start]}{before}[withheld: {secret.kind}]{after}{content[secret.end :]}"
    return content


# -- approved ------------------------------------------------------------------------------------------------------


def with_stand_in(text: str) -> tuple[str, str, str]:
    """The sentence with a name in the place of its secret, that name, and the secret; "" where none can be told."""
    name = next((name for name in STAND_INS if name not in text), "")
    looks = [secret for secret in secrets.find(text) if secret.kind != "told"]
    if looks:
        widest = max(looks, key=lambda secret: secret.end - secret.start)
        start, end = widest.start, widest.end
    elif told := next((match for pattern in _TOLD if (match := pattern.search(text))), None):
        start, end = told.span("value")
    else:
        return text, "", ""
    if not name or _ANYONE.search(text[start:end]):
        return text, "", ""
    return f"{text[:start]}{name}{text[end:]}", name, text[start:end]


def put_back(memory: Memory, name: str, secret: str) -> Memory | None:
    """The memory with the secret in the stand-in's place; None where it does not tell it, or gives it away."""
    if memory.value != name:
        return None
    fields = _put(plain(memory), re.compile(rf"\b{name}\b", re.IGNORECASE), secret)
    whole = msgspec.convert(fields, Memory)
    if any(right(question.ask, secret) for question in whole.questions):
        return None
    return holding_out(replace(whole, id=digest((whole.relation, fold(secret)))[:12], held_out=""))


def _put(part: Any, name: re.Pattern[str], secret: str) -> Any:
    if isinstance(part, str):
        return name.sub(lambda match: secret, part)
    if isinstance(part, dict):
        return {key: _put(value, name, secret) for key, value in part.items()}
    return [_put(value, name, secret) for value in part] if isinstance(part, list | tuple) else part
