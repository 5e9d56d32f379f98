"""Transcripts: the exports that hold a conversation as one list, of AI Studio, LM Studio, Chatbot UI, ShareGPT and
SillyTavern.

Owns where these have their messages, and which version of one they show. Leaves roles, times and sessions to
`conversations`. Must stay true: drafts that were not sent, versions that are not shown and reasoning are no messages.
"""

from __future__ import annotations

from typing import Any

from edgesleep.day.conversations import (
    BRANCH,
    FAILED,
    FILES,
    HIDDEN,
    REASONING,
    TOOLS,
    Format,
    Outline,
    Said,
    identity,
    items,
    table,
    text,
)
from edgesleep.day.exports import joined
from edgesleep.day.pieces import Piece
from edgesleep.errors import EdgesleepError

Record = dict[str, Any]


def _prompt(words: str) -> list[Any]:
    """What the conversation was set up with, as its first message."""
    return [{"role": "system", "content": words}] if words.strip() else []


def _has(record: Record, key: str, *inner: str) -> bool:
    """Whether there is a list of objects, whose first has all of some keys."""
    held = record.get(key)
    if not isinstance(held, list):
        return False
    first = next((one for one in held if isinstance(one, dict)), None)
    return first is not None and all(name in first for name in inner)


# -- AI Studio -------------------------------------------------------------------------------------------------------


def _is_aistudio(record: Record) -> bool:
    return isinstance(record.get("chunkedPrompt"), dict)


def _aistudio(record: Record) -> Outline:
    setup = table(record, "systemInstruction")
    words = text(setup, "text") or joined([text(part, "text") for part in items(setup, "parts")])
    prompt = [{"role": "system", "text": words}] if words.strip() else []
    return Outline("", [*prompt, *items(record, "chunkedPrompt", "chunks")])


def _aistudio_said(chunk: Any) -> Said:
    role, at = text(chunk, "role"), chunk.get("createTime")
    if chunk.get("isThought") or chunk.get("thought"):
        return Said(role, "", at, (REASONING,))
    parts = [part for part in items(chunk, "parts") if isinstance(part, dict) and not part.get("thought")]
    said = text(chunk, "text") or "".join(text(part, "text") for part in parts)
    left = []
    for key in chunk:
        if key.startswith(("drive", "inline", "youtube")):
            left.append(FILES)
        elif key in ("executableCode", "codeExecutionResult", "functionCall", "functionResponse"):
            left.append(TOOLS)
        elif key == "errorMessage" and not said:
            left.append(FAILED)
    return Said(role, said, at, left)


# -- LM Studio -------------------------------------------------------------------------------------------------------


def _is_lmstudio(record: Record) -> bool:
    return _has(record, "messages", "versions") or (record.get("messages") == [] and "lastUsedModel" in record)


def _lmstudio(record: Record) -> Outline:
    shown, others = _prompt(text(record, "systemPrompt")), []
    for message in items(record, "messages"):
        versions = items(message, "versions") if isinstance(message, dict) else []
        at = message.get("currentlySelected") if isinstance(message, dict) else 0
        if not isinstance(at, int) or not 0 <= at < len(versions):
            shown.append(message)  # said to be broken in its place
            continue
        shown.append(versions[at])
        others += versions[:at] + versions[at + 1 :]
    return Outline(identity(record.get("createdAt")), shown, others, record.get("createdAt"))


def _lmstudio_said(version: Any) -> Said:
    role = text(version, "role")
    if "versions" in version:
        raise EdgesleepError("`currentlySelected` names no version")
    if isinstance(version.get("content"), str):
        return Said(role, version["content"])
    steps = items(version, "steps") if text(version, "type") == "multiStep" else [version]
    parts, left, at = [], [], None
    for step in steps:
        # A step is named by the millisecond in which it began: "1735318362285-0.6152911041210843".
        at = at or text(step, "stepIdentifier").partition("-")[0]
        if text(step, "style", "type") == "thinking":
            left.append(REASONING)
            continue
        for block in items(step, "content"):
            kind = text(block, "type")
            if kind == "text":
                parts.append(text(block, "text"))
            else:
                left.append(TOOLS if kind.startswith("tool") else FILES)
    return Said(role, joined(parts), at if at and at.isdigit() else None, left)


# -- Chatbot UI ------------------------------------------------------------------------------------------------------


def _is_chatbotui(record: Record) -> bool:
    return _has(record, "messages", "role", "content") or (record.get("messages") == [] and "folderId" in record)


def _chatbotui(record: Record) -> Outline:
    prompt = _prompt(text(record, "prompt") if isinstance(record.get("prompt"), str) else "")
    name = record.get("id")
    # The first versions counted conversations from 1; later ones draw an id.
    return Outline(identity(name), [*prompt, *items(record, "messages")], unique=isinstance(name, str))


def _chatbotui_said(message: Any) -> Said:
    if isinstance(message, dict) and isinstance(message.get("content"), list):
        blocks = message["content"]
        said = joined([text(block, "text") for block in blocks])
        return Said(text(message, "role"), said, left_out=[FILES for block in blocks if "image_url" in block])
    return Said(text(message, "role"), text(message, "content"))


# -- ShareGPT --------------------------------------------------------------------------------------------------------


def _is_sharegpt(record: Record) -> bool:
    return _has(record, "conversations", "from") or _has(record, "items", "from")


def _sharegpt(record: Record) -> Outline:
    prompt = [{"from": "system", "value": words}] if (words := text(record, "system")).strip() else []
    shown = items(record, "conversations") or items(record, "items")
    # Its ids are unique in one file at most.
    return Outline(identity(record.get("id")), [*prompt, *shown], unique=False)


def _sharegpt_said(message: Any) -> Said:
    role = text(message, "from")
    if role == "function_call":
        return Said("assistant", "", left_out=(TOOLS,))
    return Said("tool" if role == "observation" else role, text(message, "value"))


# -- SillyTavern -----------------------------------------------------------------------------------------------------

LINES = "lines"  # all of a chat, which is a file of lines


def is_line(record: Record) -> bool:
    """Whether a line is a message of SillyTavern, or what stands above them."""
    return "is_user" in record or _is_head(record)


def _is_head(record: Record) -> bool:
    return "chat_metadata" in record or {"user_name", "character_name"} <= record.keys()


def _sillytavern(record: Record) -> Outline:
    lines: list[Piece] = record[LINES]
    try:
        is_head = bool(lines) and _is_head(lines[0].decoded())
    except EdgesleepError:
        is_head = False
    return Outline("", lines[is_head:])


def _sillytavern_said(line: Piece) -> Said:
    message = line.decoded()
    role, at = "user" if message.get("is_user") else "assistant", message.get("send_date")
    if message.get("is_system"):
        return Said(role, "", at, (HIDDEN,))
    swipes = message.get("swipes")
    return Said(role, text(message, "mes"), at, [BRANCH] * (len(swipes) - 1) if isinstance(swipes, list) else ())


SILLYTAVERN = Format("sillytavern", "SillyTavern", lambda record: LINES in record, _sillytavern, _sillytavern_said)
FORMATS = (
    Format("aistudio", "AI Studio", _is_aistudio, _aistudio, _aistudio_said),
    Format("lmstudio", "LM Studio", _is_lmstudio, _lmstudio, _lmstudio_said),
    Format("sharegpt", "ShareGPT", _is_sharegpt, _sharegpt, _sharegpt_said),
    Format("chatbotui", "Chatbot UI", _is_chatbotui, _chatbotui, _chatbotui_said),
)
