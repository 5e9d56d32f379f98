"""The wire: requests and replies in the form of OpenAI's API, as llama-server writes them.

Owns reading a request, and the JSON and events of a reply, field for field in llama-server's order. Leaves answering
to `answers`, passing on to `upstream` and what is kept to `logbook`. Must stay true: what a request asks for is done or
refused in words, never left out silently; of a request that is only passed on nothing is demanded.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgesleep import __version__
from edgesleep.errors import EdgesleepError, shown
from edgesleep.records import ROLES, Message

DONE = b"data: [DONE]\n\n"
FINGERPRINT = f"edgesleep-{__version__}"
_ROLES = {"developer": "system"}  # newer clients' name for it

# What would change the answer, and cannot be had from the model here: the value that asks for nothing, or none.
_REFUSED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False,),
    "logit_bias": ({}, []),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "response_format": ({"type": "text"},),
    "audio": (),
    # llama-server's own
    "min_p": (0,),
    "typical_p": (1,),
    "top_n_sigma": (-1,),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "dry_multiplier": (0,),
    "xtc_probability": (0,),
    "dynatemp_range": (0,),
    "mirostat": (0,),
    "grammar": ("",),
    "json_schema": (),
    "ignore_eos": (False,),
    "n_probs": (0,),
}


@dataclass(frozen=True)
class Choice:
    """How tokens are chosen. Greedy at temperature 0, which holds where a request says nothing."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None


@dataclass(frozen=True)
class Ask:
    """What is asked of the model here: messages, or the text of a `prompt` to go on with."""

    messages: tuple[Message, ...]
    prompt: str
    choice: Choice
    limit: int | None
    stops: tuple[str, ...]
    stream: bool
    usage: bool  # whether a stream ends with it
    model: str


@dataclass(frozen=True)
class Said:
    """One message of a request, as far as it is text."""

    role: str
    content: str


# -- reading -----------------------------------------------------------------------------------------------------------


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    """The fields of both kinds of request that are heeded; others have to be of no effect, see `_REFUSED`."""

    messages: list[dict[str, Any]] = []
    prompt: str | list[str] = ""
    model: str | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n_predict: int | None = None  # llama-server's name for it


def body_of(data: bytes) -> dict[str, Any]:
    """The object that a request's body is. Raises EdgesleepError where it is none."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EdgesleepError(f"The request is no JSON object: {error}.", "Send one, as OpenAI's API has it.") from error


def read(body: dict[str, Any], *, chat: bool) -> Ask:
    """A request to the model here. Raises EdgesleepError for what is wrong, or cannot be done."""
    try:
        got = msgspec.convert(body, _Body)
    except msgspec.ValidationError as error:
        raise EdgesleepError(f"The request is wrong: {error}.", "OpenAI's API says what it takes.") from error
    for name, nothing in _REFUSED.items():
        if body.get(name) is not None and body[name] not in nothing:
            raise EdgesleepError(
                f"`{name}` is not served by the model in this process.",
                "Leave it out, or put edgesleep in front of a server that has it: `edgesleep serve --upstream URL`.",
            )
    if isinstance(got.prompt, list) and len(got.prompt) != 1:
        raise EdgesleepError("One prompt is answered at a time.", "Send a request for each.")
    prompt = got.prompt if isinstance(got.prompt, str) else got.prompt[0]
    messages = tuple(_message(message) for message in got.messages)
    if chat and not messages:
        raise EdgesleepError("The request has no messages.", 'Send "messages", as OpenAI\'s API has it.')
    limits = (got.max_completion_tokens, got.max_tokens, got.n_predict)
    limit = next((limit for limit in limits if limit is not None), None)
    if limit is not None and limit < 0:
        limit = None  # llama-server's way to say any number
    return Ask(
        messages if chat else (),
        "" if chat else prompt,
        _choice(got),
        limit,
        tuple(filter(None, [got.stop] if isinstance(got.stop, str) else got.stop or [])),
        bool(got.stream),
        bool(got.stream_options and got.stream_options.include_usage),
        got.model or "",
    )


def _choice(got: _Body) -> Choice:
    temperature, top_p = got.temperature or 0.0, 1.0 if got.top_p is None else got.top_p
    if not 0 <= temperature <= 10 or not 0 < top_p <= 1:
        raise EdgesleepError("temperature is 0 to 10, and top_p above 0 to 1.", "Correct the request.")
    return Choice(temperature, top_p, max(0, got.top_k or 0), got.seed)


def _message(message: dict[str, Any]) -> Message:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise EdgesleepError("A message has no role.", "Give each one.")
    role = _ROLES.get(role, role)
    if role not in ROLES:  # its name would be part of the prompt, as the marks between messages are
        raise EdgesleepError(f"{shown(repr(role))} is no role.", f"One of {', '.join(ROLES)} is.")
    parts = content if isinstance(content, list) else []
    if message.get("tool_calls") or any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise EdgesleepError(
            "The model in this process reads text alone, without tools and pictures.",
            "Put edgesleep in front of a server that has them: `edgesleep serve --upstream URL`.",
        )
    return Message(role, _text(content))


def said(messages: Any) -> list[Said]:
    """The messages of any request as they may be kept. Never raises: what is no message is left out."""
    found = []
    for message in _dicts(messages):
        role = message.get("role")
        if isinstance(role, str):
            text = _text(message.get("content"))
            if calls := message.get("tool_calls"):
                text = f"{text}\n{called(calls)}".strip()
            found.append(Said(_ROLES.get(role, role), text))
    return found


def called(calls: Any) -> str:
    """Calls of tools as one line of text."""
    return f"[tool calls: {msgspec.json.encode(calls).decode()}]"


def _text(content: Any) -> str:
    """The text of a content; what is no text in it is named."""
    if isinstance(content, list):
        return "\n".join(_text(part) for part in content)
    if isinstance(content, dict):
        text = content.get("text")
        return text if isinstance(text, str) else f"[{content.get('type') or 'part'}]"
    return content if isinstance(content, str) else ""


def with_preface(body: dict[str, Any], text: str) -> dict[str, Any]:
    """A request whose last message of the user begins with a text; the messages are otherwise as they were."""
    messages = list(body.get("messages") or ())
    for place in reversed(range(len(messages))):
        if messages[place].get("role") == "user":
            content = messages[place].get("content")
            part = {"type": "text", "text": text}
            new = [part, *content] if isinstance(content, list) else f"{text}\n\n{content or ''}"
            messages[place] = {**messages[place], "content": new}
            return {**body, "messages": messages}
    return body


# -- writing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Usage:
    """Tokens of a prompt and its answer, how many of the prompt were there already, and the seconds that each took."""

    prompt: int = 0
    answer: int = 0
    cached: int = 0
    reading: float = 0.0
    writing: float = 0.0


class Reply:
    """One reply's JSON. A reply has one id, whatever it is sent in."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self.model, self.chat = model, chat
        self.id = f"chatcmpl-{secrets.token_hex(16)}"

    def whole(self, text: str, finish: str, usage: Usage) -> bytes:
        """The reply to a request without a stream."""
        if self.chat:
            message = {"role": "assistant", "content": text}
            choice: dict[str, Any] = {"finish_reason": finish, "index": 0, "message": message}
        else:
            choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
        return msgspec.json.encode(
            {
                "choices": [choice],
                "created": int(time.time()),
                "model": self.model,
                "system_fingerprint": FINGERPRINT,
                "object": "chat.completion" if self.chat else "text_completion",
                "usage": _usage(usage),
                "id": self.id,
                "timings": _timings(usage),
            }
        )

    def begin(self) -> bytes:
        """The first event of a stream; of one that is no chat there is none."""
        return event(self._chunk({"role": "assistant", "content": None}, None)) if self.chat else b""

    def piece(self, text: str) -> bytes:
        return event(self._chunk({"content": text} if self.chat else text, None))

    def end(self, finish: str, usage: Usage, *, show: bool) -> bytes:
        """The last events but DONE; with `show` the usage is one of them."""
        last = self._chunk({} if self.chat else "", finish)
        events = [last]
        if show:
            events.append({**last, "choices": [], "usage": _usage(usage)})
        events[-1]["timings"] = _timings(usage)
        return b"".join(map(event, events))

    def _chunk(self, delta: Any, finish: str | None) -> dict[str, Any]:
        if not self.chat:
            return {
                "choices": [{"text": delta, "index": 0, "logprobs": None, "finish_reason": finish}],
                "created": int(time.time()),
                "model": self.model,
                "system_fingerprint": FINGERPRINT,
                "object": "text_completion",
                "id": self.id,
            }
        return {
            "choices": [{"finish_reason": finish, "index": 0, "delta": delta}],
            "created": int(time.time()),
            "id": self.id,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "object": "chat.completion.chunk",
        }


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def event(value: Any) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "completion_tokens": usage.answer,
        "prompt_tokens": usage.prompt,
        "total_tokens": usage.answer + usage.prompt,
    }


def _timings(usage: Usage) -> dict[str, float]:
    found: dict[str, float] = {"cache_n": usage.cached}
    read_now = usage.prompt - usage.cached
    for name, count, seconds in (("prompt", read_now, usage.reading), ("predicted", usage.answer, usage.writing)):
        found |= {
            f"{name}_n": count,
            f"{name}_ms": 1000 * seconds,
            f"{name}_per_token_ms": 1000 * seconds / max(1, count),
            f"{name}_per_second": count / seconds if seconds else 0.0,
        }
    return found


def failure(code: int, kind: str, message: str) -> dict[str, Any]:
    """What is sent instead of a reply."""
    return {"error": {"code": code, "message": message, "type": kind}}


def models(name: str, created: int) -> bytes:
    entry = {"id": name, "object": "model", "created": created, "owned_by": "edgesleep"}
    return msgspec.json.encode({"object": "list", "data": [entry]})


def texts(body: dict[str, Any]) -> list[str]:
    """What is to be embedded. Raises EdgesleepError where it is no text."""
    wanted = body.get("input")
    found = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise EdgesleepError("`input` is a text or a list of texts.", "Send no tokens.")
    return found


def embeddings(vectors: NDArray[np.float32], model: str, *, packed: bool) -> bytes:
    """One for each row; `packed` in base64 of little-endian f32."""

    def form(vector: NDArray[np.float32]) -> Any:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode() if packed else vector.tolist()

    rows = [{"embedding": form(row), "index": place, "object": "embedding"} for place, row in enumerate(vectors)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return msgspec.json.encode({"model": model, "object": "list", "usage": usage, "data": rows})


# -- listening ---------------------------------------------------------------------------------------------------------


class Heard:
    """An answer as it comes: in our own words, or in what another server sends. Never raises on what it is fed."""

    def __init__(self) -> None:
        self._left = b""
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self.done = False  # whether a stream has said so

    def add(self, text: str) -> None:
        self._text.append(text)

    def feed(self, data: bytes) -> None:
        """The next bytes of a stream of events."""
        *lines, self._left = (self._left + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self.read(line[5:].strip())

    def text(self) -> str:
        """What was heard so far."""
        calls = called([*self._calls.values()]) if self._calls else ""
        return f"{''.join(self._text)}\n{calls}".strip()

    def read(self, data: bytes) -> None:
        """An event's data, or a whole reply."""
        self.done = self.done or data == b"[DONE]"
        try:
            found = msgspec.json.decode(data, type=dict[str, Any])
            for choice in _dicts(found.get("choices")):
                if not choice.get("index"):  # of several, the first is what is kept
                    self._choice(choice)
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):
            return  # of a form that is not known: it is passed on all the same

    def _choice(self, choice: dict[str, Any]) -> None:
        message = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
        if not isinstance(message, dict):
            return
        self._text.append(_text(message.get("content")))
        for place, call in enumerate(_dicts(message.get("tool_calls"))):
            kept = self._calls.setdefault(int(call.get("index", place)), {"name": "", "arguments": ""})
            for name in kept:
                value = (call.get("function") or {}).get(name)
                kept[name] += value if isinstance(value, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return (item for item in items if isinstance(item, dict))
