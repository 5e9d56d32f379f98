"""Exports of the applications that keep branches: ChatGPT, Claude, Grok, Open WebUI and LibreChat.

Owns where these have their messages, which of them they show, and what in a message is its text. Leaves roles, times
and the walk along a branch to `conversations`. Must stay true: what an application hides, such as reasoning, tool calls
and instructions of its own, is no message; attached files are not the user's words.
"""

from __future__ import annotations

from typing import Any

from edgesleep.day.conversations import (
    FAILED,
    FILES,
    HIDDEN,
    REASONING,
    TOOLS,
    Format,
    Node,
    Outline,
    Said,
    branch,
    files,
    identity,
    items,
    table,
    text,
)

Record = dict[str, Any]


def joined(parts: list[str]) -> str:
    """Blocks of one message as one text."""
    return "\n\n".join(part for part in parts if part.strip())


# -- ChatGPT ---------------------------------------------------------------------------------------------------------

_INSTRUCTIONS = ("user_editable_context", "model_editable_context", "app_pairing_content")
_THOUGHTS = ("thoughts", "reasoning_recap")


def _is_chatgpt(record: Record) -> bool:
    return isinstance(record.get("mapping"), dict)


def _chatgpt(record: Record) -> Outline:
    mapping = table(record, "mapping")
    parents: dict[str, str] = {}
    for key, node in mapping.items():  # where a node itself cannot be read, its parent still knows it
        for child in items(node, "children") if isinstance(node, dict) else []:
            parents[identity(child)] = key
    for key, node in mapping.items():
        if isinstance(node, dict) and isinstance(node.get("parent"), str):
            parents[key] = node["parent"]
    nodes = [Node(key, parents.get(key, ""), node) for key, node in mapping.items()]
    shown, others = branch(nodes, text(record, "current_node"))
    root = [node for node in shown if not isinstance(node, dict) or node.get("message") is not None]
    name = text(record, "conversation_id") or text(record, "id")
    return Outline(name, root, [node for node in others if node], record.get("create_time"))


def _chatgpt_said(node: Any) -> Said:
    message = table(node, "message")
    content, role = table(message, "content"), text(message, "author", "role")
    kind, at = text(content, "content_type"), message.get("create_time")
    if kind in _INSTRUCTIONS or table(message, "metadata").get("is_visually_hidden_from_conversation"):
        return Said("system", "", left_out=(HIDDEN,))
    if kind in _THOUGHTS:
        return Said("assistant", "", left_out=(REASONING,))
    if role == "assistant" and text(message, "recipient") not in ("", "all"):
        return Said("assistant", "", left_out=(TOOLS,))
    parts, pictures = [], 0
    for part in items(content, "parts"):
        if isinstance(part, dict) and not isinstance(part.get("text"), str):
            pictures += 1  # or sounds
        else:
            parts.append(text(part, "text") if isinstance(part, dict) else text(part))
    said = "\n".join(parts) if parts else text(content, "text") or text(content, "result")
    name = text(message, "author", "name")
    source = "web" if role == "tool" and name.startswith(("browser", "web", "bing", "search")) else ""
    return Said(role, said, at, (FILES,) * pictures, source)


# -- Claude ----------------------------------------------------------------------------------------------------------


def _is_claude(record: Record) -> bool:
    return isinstance(record.get("chat_messages"), list)


def _claude(record: Record) -> Outline:
    nodes = [
        Node(text(message, "uuid") or str(number), text(message, "parent_message_uuid"), message)
        if isinstance(message, dict)
        else Node(str(number), "", message)
        for number, message in enumerate(items(record, "chat_messages"))
    ]
    shown, others = branch(nodes, text(record, "current_leaf_message_uuid"))
    return Outline(text(record, "uuid"), shown, others, record.get("created_at"))


def _claude_said(message: Any) -> Said:
    parts, left = [], []
    for block in items(message, "content"):
        kind = text(block, "type")
        if kind in ("text", "voice_note"):
            parts.append(text(block, "text"))
        elif "thinking" in kind:
            left.append(REASONING)
        elif "tool" in kind:
            left.append(TOOLS)
        elif kind != "token_budget":
            left.append(FILES)
    left += files(message, "attachments", "files")
    said = joined(parts)
    if not said and TOOLS not in left:  # there it only says that a block cannot be shown
        said = text(message, "text")
    return Said(text(message, "sender"), said, message.get("created_at"), left)


# -- Grok ------------------------------------------------------------------------------------------------------------


def _is_grok(record: Record) -> bool:
    return isinstance(record.get("responses"), list) and isinstance(record.get("conversation"), dict)


def _grok(record: Record) -> Outline:
    about = table(record, "conversation")
    nodes = []
    for number, wrapper in enumerate(items(record, "responses")):
        response = wrapper.get("response", wrapper) if isinstance(wrapper, dict) else wrapper
        known = response if isinstance(response, dict) else {}
        name = identity(known.get("response_id")) or identity(known.get("_id")) or str(number)
        nodes.append(Node(name, identity(known.get("parent_response_id")), response))
    shown, others = branch(nodes, identity(about.get("leaf_response_id")))
    name = identity(about.get("conversation_id")) or identity(about.get("id"))
    return Outline(name, shown, others, about.get("create_time"))


def _grok_said(response: Any) -> Said:
    role, at = text(response, "sender"), response.get("create_time")
    if response.get("is_control"):
        return Said(role, "", at, (HIDDEN,))
    left = [REASONING] if response.get("thinking_trace") else []
    return Said(role, text(response, "message"), at, left + files(response, "file_attachments", "image_attachments"))


# -- Open WebUI ------------------------------------------------------------------------------------------------------


def _chat(record: Record) -> Any:
    return record["chat"] if isinstance(record.get("chat"), dict) else record


def _is_openwebui(record: Record) -> bool:
    history = _chat(record).get("history")
    return isinstance(history, dict) and isinstance(history.get("messages"), dict)


def _openwebui(record: Record) -> Outline:
    chat = _chat(record)
    messages = table(chat, "history", "messages")
    nodes = [
        Node(key, identity(message.get("parentId")) if isinstance(message, dict) else "", message)
        for key, message in messages.items()
    ]
    shown, others = branch(nodes, text(chat, "history", "currentId"))
    name = text(record, "id") or text(chat, "id") or next((node.id for node in nodes if not node.parent), "")
    started = record.get("created_at") or chat.get("timestamp")
    return Outline(name, shown, others, started)


def _openwebui_said(message: Any) -> Said:
    content = message.get("content") if isinstance(message, dict) else message
    blocks = content if isinstance(content, list) else []
    said = joined([text(block, "text") for block in blocks]) if blocks else text(message, "content")
    left = files(message, "files")
    if message.get("error") and not said:
        left.append(FAILED)
    return Said(text(message, "role"), said, message.get("timestamp"), left)


# -- LibreChat -------------------------------------------------------------------------------------------------------


def _librechat_messages(record: Record) -> list[Any]:
    return items(record, "messages") or items(record, "messagesTree")


def _is_librechat(record: Record) -> bool:
    if not isinstance(record.get("conversationId"), str):
        return False
    held = record.get("messages") or record.get("messagesTree")
    return isinstance(held, list)


def _librechat(record: Record) -> Outline:
    nodes: list[Node] = []
    waiting = [(message, "") for message in reversed(_librechat_messages(record))]
    while waiting:  # a tree, or its messages in a row that name their parents
        message, above = waiting.pop()
        known = message if isinstance(message, dict) else {}
        name = text(known, "messageId") or f"#{len(nodes)}"
        nodes.append(Node(name, above or text(known, "parentMessageId"), message))
        children = known.get("children")
        waiting += [(child, name) for child in reversed(children if isinstance(children, list) else [])]
    shown, others = branch(nodes)
    return Outline(text(record, "conversationId"), shown, others)


def _librechat_said(message: Any) -> Said:
    role = text(message, "role") or ("user" if message.get("isCreatedByUser") else "assistant")
    at = message.get("createdAt")
    if message.get("error"):
        return Said(role, "", at, (FAILED,))
    parts, left = [text(message, "text")], []
    for block in items(message, "content"):
        kind = text(block, "type")
        if kind == "text":
            parts.append(text(block, "text", "value") if isinstance(block.get("text"), dict) else text(block, "text"))
        elif kind != "error":
            left.append(REASONING if kind == "think" else TOOLS if kind == "tool_call" else FILES)
    return Said(role, joined(parts), at, left + files(message, "files"))


FORMATS = (
    Format("chatgpt", "ChatGPT", _is_chatgpt, _chatgpt, _chatgpt_said),
    Format("claude", "Claude", _is_claude, _claude, _claude_said),
    Format("grok", "Grok", _is_grok, _grok, _grok_said),
    Format("openwebui", "Open WebUI", _is_openwebui, _openwebui, _openwebui_said),
    Format("librechat", "LibreChat", _is_librechat, _librechat, _librechat_said),
)
