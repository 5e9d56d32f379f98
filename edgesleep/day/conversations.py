"""Conversations: what every chat application's export comes down to before it goes into the journal.

Owns the record of one conversation, roles, times, which branch is shown, and telling what is left out and what is
broken. Leaves the fields of each application to `exports` and `transcripts`. Must stay true: only what the user said
themselves has the source "user"; the same conversation, also when it has grown, has the same session and times, so that
it can be imported again; one broken message spoils no other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple

from edgesleep.entries import Entry
from edgesleep.errors import EdgesleepError, shown
from edgesleep.records import digest

# What is left out, as it is told.
BRANCH = "on branches that the application does not show"
HIDDEN = "hidden by the application"
EMPTY = "without text"
REASONING = "pieces of reasoning"
TOOLS = "tool calls"
FILES = "attached files"
FAILED = "failed answers"

_ROLES = {
    "user": "user human you prompter",
    "assistant": "assistant gpt model bot ai chatgpt chatbot bard bing claude gemini llm",
    "system": "system developer",
    "tool": "tool function observation",
}
ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
SOURCE_OF = {"user": "user", "assistant": "import", "system": "import", "tool": "tool"}


@dataclass(frozen=True)
class Said:
    """One message as an application has it. `at` is a time in any of the forms that `moment` reads."""

    role: str
    text: str
    at: Any = None
    left_out: Sequence[str] = ()  # what of it is
    source: str = ""  # where it follows not from the role


@dataclass(frozen=True)
class Outline:
    """One conversation before its messages are read: `shown` are those that the application shows, in order.

    `identity` is the application's own id; where that is not `unique`, as where it is empty, the first message is a
    part of it.
    """

    identity: str
    shown: Sequence[Any]
    others: Sequence[Any] = ()
    started: Any = None
    unique: bool = True


@dataclass(frozen=True)
class Format:
    """One application's export: `name` is for --from, `title` for people."""

    name: str
    title: str
    recognise: Callable[[dict[str, Any]], bool]
    outline: Callable[[dict[str, Any]], Outline]
    said: Callable[[Any], Said]


@dataclass
class Conversation:
    """Places in a file with what stands there, or why it cannot be read; and what is left out."""

    rows: list[tuple[str, Entry | EdgesleepError]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read(form: Format, record: dict[str, Any], place: str) -> Conversation:
    """The conversation of a record. Raises EdgesleepError where it is none of this format."""
    if not form.recognise(record):
        raise EdgesleepError(f"no conversation of {form.title}")
    return told(form.name, form.outline(record), form.said, place)


def told(name: str, outline: Outline, read: Callable[[Any], Said], place: str) -> Conversation:
    """The conversation that an outline is of, each message read by `read`; `name` is that of the format."""
    found = Conversation()
    said = [*_said(outline, read, place, found.left_out)]
    session = _session(name, outline, [message for _, message in said if isinstance(message, Said)])
    try:
        at = moment(outline.started)
    except EdgesleepError:
        at = None  # only for messages that have none themselves
    for where, message in said:
        if isinstance(message, Said):
            at = message.at or at
            source = message.source or SOURCE_OF[message.role]
            found.rows.append((where, Entry(message.role, message.text, source, session, at)))
        else:
            found.rows.append((where, message))
    return found


def _said(
    outline: Outline, read: Callable[[Any], Said], place: str, left_out: Counter[str]
) -> Iterator[tuple[str, Said | EdgesleepError]]:
    """The messages that have a text, and those that are broken, with their places; the others are counted."""
    for number, message in enumerate(outline.shown, 1):
        where = f"{place}, message {number}"
        try:
            one = read(message)
            one = replace(one, role=role(one.role), at=moment(one.at))
        except EdgesleepError as error:
            yield where, error
            continue
        left_out.update(one.left_out)
        if one.text.strip():
            yield where, one
        elif not one.left_out:
            left_out[EMPTY] += 1
    for message in outline.others:
        with suppress(EdgesleepError):  # it would not be imported anyway
            left_out.update([BRANCH] * bool(read(message).text.strip()))


def _session(name: str, outline: Outline, said: Sequence[Said]) -> str:
    identity = outline.identity
    if not (identity and outline.unique) or len(identity) > 150:
        first = next((one for one in said if one.role != "system"), Said("", ""))  # a prompt may be changed later
        identity = digest([identity, first.role, first.text, first.at])[:20]
    return f"{name}:{identity}"


def role(name: str) -> str:
    """One of ROLES for what an application calls it. Raises EdgesleepError where none is meant."""
    if found := ROLE_OF.get(name.casefold()):
        return found
    raise EdgesleepError(f"{shown(repr(name))} is not a role")


# -- fields of unknown records ---------------------------------------------------------------------------------------


def text(record: Any, *path: str) -> str:
    """The text at a place of nested objects; empty where there is none. Raises EdgesleepError for anything else."""
    return str(_value(record, path, str, "text") or "")


def table(record: Any, *path: str) -> dict[str, Any]:
    """The object at a place, likewise."""
    return _value(record, path, dict, "object") or {}


def items(record: Any, *path: str) -> list[Any]:
    """The array at a place, likewise."""
    return _value(record, path, list, "array") or []


def _value(record: Any, path: Sequence[str], kind: type, name: str) -> Any:
    if path and not isinstance(record, dict):
        raise EdgesleepError("no object")
    value = record
    for key in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise EdgesleepError(f"the parent of `{key}` is no object")
        value = value.get(key)
    if value is not None and not isinstance(value, kind):
        raise EdgesleepError(f"`{'.'.join(path)}` is no {name}" if path else f"no {name}")
    return value


def files(record: dict[str, Any], *keys: str) -> list[str]:
    """FILES for every one that some lists name; what is no list names none."""
    return [FILES for key in keys if isinstance(held := record.get(key), list) for _ in held]


def identity(value: Any) -> str:
    """An id, which some applications count and others draw."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


# -- times -----------------------------------------------------------------------------------------------------------

# What is said far in the future would be the newest for good.
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (1970, 2100))
_NUMBER = re.compile(r"\d{9,17}(?:\.\d+)?")
_FRACTION = re.compile(r"(?<=:\d\d)\.(\d+)")
# SillyTavern has two of its own.
_STAMP = re.compile(r"(\d{4})-(\d\d?)-(\d\d?) ?@(\d\d?)h ?(\d\d?)m ?(\d\d?)s(?: ?(\d{1,3})ms)?")
_SPOKEN = re.compile(r"([A-Z][a-z]+) (\d\d?), (\d{4}),? (\d\d?):(\d\d)(?::(\d\d))? ?([ap]m)", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def moment(value: Any) -> str | None:
    """A time as ISO 8601 in UTC: seconds, milliseconds or microseconds since 1970, or one of many texts.

    None where there is none. A time without a zone is taken as UTC, so that it is the same wherever it is read. Raises
    EdgesleepError for what is no time.
    """
    while isinstance(value, dict) and len(value) == 1:  # as MongoDB writes: {"$date": {"$numberLong": "17..."}}
        (value,) = value.values()
    if not value:
        return None
    try:
        if isinstance(value, str):
            value = float(value) if _NUMBER.fullmatch(value) else _parsed(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = next(unit for unit, least in ((1e6, 1e14), (1e3, 1e11), (1, 0)) if value >= least)
            value = datetime.fromtimestamp(value / unit, timezone.utc)
        if isinstance(value, datetime) and _FIRST <= value < _LAST:
            return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError, StopIteration):
        pass
    raise EdgesleepError(f"{shown(repr(value))} is not a time")


def _parsed(text: str) -> datetime:
    """Raises ValueError where no form fits."""
    if found := _STAMP.fullmatch(text):
        year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
        return datetime(year, month, day, hour, minute, second, int(found[7] or 0) * 1000, timezone.utc)
    if found := _SPOKEN.fullmatch(text):
        hour = int(found[4]) % 12 + 12 * (found[7].lower() == "pm")
        month = _MONTHS.index(found[1][:3].lower()) + 1
        return datetime(int(found[3]), month, int(found[2]), hour, int(found[5]), int(found[6] or 0), 0, timezone.utc)
    whole = re.sub(r"(?:Z| ?UTC)$", "+00:00", text, flags=re.IGNORECASE)
    whole = _FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", whole)  # Python 3.10 reads three digits or six
    read = datetime.fromisoformat(whole)
    return read.replace(tzinfo=read.tzinfo or timezone.utc)


# -- branches --------------------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A message in a conversation that branches where something was said anew."""

    id: str
    parent: str
    message: Any


def branch(nodes: Sequence[Node], leaf: str = "") -> tuple[list[Any], list[Any]]:
    """The messages on the way to a leaf, and all others.

    Without a leaf that is known it is the newest of each fork, as applications open them. Nodes are in the order in
    which they were written; where none names its parent, they are one line.
    """
    places = {node.id: place for place, node in enumerate(nodes)}
    parents = [_parent(node, place, places) for place, node in enumerate(nodes)]
    if all(parent is None for parent in parents):
        return [node.message for node in nodes], []
    at = places[leaf] if leaf in places else _newest(parents)
    way: list[int] = []
    seen: set[int] = set()
    here: int | None = at
    while here is not None and here not in seen:
        seen.add(here)
        way.append(here)
        here = parents[here]
    return [nodes[place].message for place in reversed(way)], [
        node.message for place, node in enumerate(nodes) if place not in seen
    ]


def _parent(node: Node, place: int, places: dict[str, int]) -> int | None:
    if node.parent in places and node.parent != node.id:
        return places[node.parent]
    is_first = not node.parent or node.parent.startswith("00000000-0000")
    return None if is_first or not place else place - 1  # of one that is missing, it follows the message before


def _newest(parents: Sequence[int | None]) -> int:
    children: dict[int | None, int] = {}
    for place, parent in enumerate(parents):
        children[parent] = place  # the last stays
    here, seen = children.get(None, len(parents) - 1), set[int]()
    while here in children and here not in seen:
        seen.add(here)
        here = children[here]
    return here
