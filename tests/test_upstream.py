"""Another server behind this one: what passes is given back byte for byte, and kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Running, hosted, said, serving

from edgesleep.day.guard import Rules
from edgesleep.day.upstream import Upstream
from edgesleep.day.wire import Heard, with_preface
from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.store import Store

# As llama-server streams an answer that calls a tool (tools/server/server-task.cpp and common/chat.cpp of llama.cpp).
HEAD = b'"created":1764400000,"id":"chatcmpl-x","model":"m","system_fingerprint":"b1","object":"chat.completion.chunk"}'


def chunk(delta: bytes, finish: bytes = b"null") -> bytes:
    return b'data: {"choices":[{"finish_reason":%s,"index":0,"delta":%s}],%s\n\n' % (finish, delta, HEAD)


CALL = b'{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"look","arguments":"%s"}}]}'
MORE = b'{"tool_calls":[{"index":0,"function":{"arguments":"%s"}}]}'
STREAM = (
    chunk(b'{"role":"assistant","content":null}'),
    chunk('{"content":"Bücher'.encode() + b'"}'),
    chunk(b'{"content":" \xf0\x9f\x90\x95"}'),
    chunk(CALL % b'{\\"at\\":'),
    chunk(MORE % b"1}"),
    chunk(b"{}", b'"tool_calls"'),
    b"data: [DONE]\n\n",
)
KEPT = 'Bücher 🐕\n[tool calls: [{"name":"look","arguments":"{\\"at\\":1}"}]]'
WHOLE = b'{ "choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"Porto."}}] }'
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


class Behind:
    """A server that answers as it was told, and notes what it was asked."""

    def __init__(self) -> None:
        self.stream: tuple[bytes, ...] = STREAM
        self.status = 200
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        while (got := await receive())["type"] == "http.request":
            body += got["body"]
            if not got.get("more_body"):
                break
        heads = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = json.loads(body or b"{}")
        self.asked.append((f"{scope['method']} {scope['path']}", heads, asked))
        stream = isinstance(asked, dict) and asked.get("stream")
        kind = b"text/event-stream" if stream else b"application/json"
        own = [(b"content-type", kind), (b"x-behind", b"yes")]
        await send({"type": "http.response.start", "status": self.status, "headers": own})
        for piece in self.stream if stream else (WHOLE,):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def running(store: Store, behind: Behind) -> Iterator[Running]:
    (store.home / "journal.db").unlink()
    with hosted(behind) as url, serving(store.home, upstream=f"{url}/v1") as running:
        yield running


def test_a_stream_passes_byte_for_byte_tools_and_all(running: Running, behind: Behind, store: Store) -> None:
    wish = {"tools": [TOOL], "tool_choice": "auto", "stream": True, "logit_bias": {"5": 1}}
    reply = running.chat("Look.", **wish)
    assert reply.content == b"".join(STREAM) and reply.headers["x-behind"] == "yes"
    place, heads, asked = behind.asked[0]
    assert place == "POST /v1/chat/completions" and "x-edgesleep-log" not in heads
    assert asked == {"messages": [{"role": "user", "content": "Look."}], "max_tokens": 8, **wish}
    assert said(store.home) == [("user", "user", "Look."), ("assistant", "assistant", KEPT)]


def test_the_round_of_a_tool_is_kept_once(running: Running, behind: Behind, store: Store) -> None:
    running.chat("Look.", stream=True)
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "a", "content": "It rains."}
    running.chat({"role": "user", "content": "Look."}, called, result)
    kept = [(role, content) for role, _, content in said(store.home)]
    assert kept == [("user", "Look."), ("assistant", KEPT), ("tool", "It rains."), ("assistant", "Porto.")]


def test_a_whole_reply_passes_byte_for_byte(running: Running, behind: Behind, store: Store) -> None:
    assert running.chat("Where?", heads={"Authorization": "Bearer theirs"}).content == WHOLE
    assert behind.asked[0][1]["authorization"] == "Bearer theirs"
    assert said(store.home)[1] == ("assistant", "assistant", "Porto.")


def test_what_else_it_serves_passes_and_is_not_kept(running: Running, behind: Behind, store: Store) -> None:
    with httpx.Client(trust_env=False) as web:
        assert web.get(f"{running.url}/v1/models?x=1").content == WHOLE
        assert web.post(f"{running.url}/v1/embeddings", json={"input": "x"}).content == WHOLE
    assert [place for place, *_ in behind.asked] == ["GET /v1/models", "POST /v1/embeddings"]
    assert not (store.home / "journal.db").exists() or said(store.home) == []


def test_what_was_told_is_put_before_the_question(running: Running, behind: Behind, store: Store) -> None:
    """Of what the weights know too: those of another server do not. Only the user's last message is changed."""
    with Journal.open(store.home) as journal:
        journal.log("user", "I live in Skelwick.")
    parts = {"role": "user", "content": [{"type": "text", "text": "Where do I live?"}]}
    running.chat({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where do I live?"})
    running.chat(parts, recall="auto")
    running.chat("Where do I live?", recall="off")
    first, second, third = (asked for *_, asked in behind.asked)
    assert first["messages"][0]["content"] == "Be brief."
    assert "Skelwick" in first["messages"][1]["content"] and first["messages"][1]["content"].endswith(
        "Where do I live?"
    )
    assert "Skelwick" in second["messages"][0]["content"][0]["text"] and "recall" not in second
    assert third["messages"] == [{"role": "user", "content": "Where do I live?"}]
    assert [content for role, _, content in said(store.home)[1:] if role == "user"] == ["Where do I live?"] * 3


def test_what_it_refuses_passes_and_no_answer_is_kept(running: Running, behind: Behind, store: Store) -> None:
    behind.status = 503
    reply = running.chat("Look.")
    assert (reply.status_code, reply.content) == (503, WHOLE)
    assert said(store.home) == [("user", "user", "Look.")]


def test_a_stream_without_its_end_is_kept_all_the_same(running: Running, behind: Behind, store: Store) -> None:
    behind.stream = (*STREAM[:2], b": a comment\n\ndata: {broken\n\n", b'data: {"choices":7}\n\n')
    assert running.chat("Look.", stream=True).content == b"".join(behind.stream)
    assert said(store.home)[1][2] == "Bücher"


def test_that_nobody_is_there_is_said(store: Store) -> None:
    with serving(store.home, upstream="http://127.0.0.1:9") as running:
        reply = running.chat("Look.")
    assert reply.status_code == 502 and "cannot be reached" in reply.json()["error"]["message"]


@pytest.mark.parametrize("url", ["http://10.0.0.1:80", "https://example.org/v1", "http://localhost.example"])
def test_nothing_goes_to_another_machine_unless_that_was_said(url: str) -> None:
    with pytest.raises(EdgesleepError, match="another machine"):
        Upstream(url)
    assert Upstream(url, remote=True).url.endswith(url.removesuffix("/v1"))


def test_our_own_key_is_not_passed_on(store: Store, behind: Behind) -> None:
    ours = {"Authorization": "Bearer ours"}
    with hosted(behind) as url, serving(store.home, upstream=url, rules=Rules("127.0.0.1", "ours")) as running:
        assert running.chat("Look.").status_code == 401
        assert running.chat("Look.", heads=ours).status_code == 200
    assert "authorization" not in behind.asked[0][1]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_an_answer_is_heard_however_it_is_cut(size: int) -> None:
    heard, data = Heard(), b"".join(STREAM).replace(b"\n", b"\r\n")
    for start in range(0, len(data), size):
        heard.feed(data[start : start + size])
    assert heard.text() == KEPT and heard.done


def test_a_preface_without_a_question_changes_nothing() -> None:
    body = {"messages": [{"role": "system", "content": "x"}]}
    assert with_preface(body, "before") == body
