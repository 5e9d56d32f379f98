"""The server as clients meet it: OpenAI's own client, `llm`, curl and web pages; who is kept out; newer generations.

What is kept of a conversation is in test_logbook, another server behind this one in test_upstream.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from click.testing import CliRunner
from grown import Bases, full, go_to, grow, make_store
from serving import SMALL, Running, said, serving, turns, wait

from edgesleep import cli
from edgesleep.config import ServeSettings
from edgesleep.day import answers
from edgesleep.day.answers import Answers, Choice, End, Event, pick
from edgesleep.day.guard import Rules
from edgesleep.day.wire import Ask
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.records import Message
from edgesleep.store import Store

KEY = "a long random key"


@pytest.fixture(scope="module")
def served(bases: Bases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests that do not look at what is kept."""
    home = tmp_path_factory.mktemp("served") / "home"
    make_store(home, bases)
    with serving(home, recall=False) as running:
        yield running


@pytest.fixture
def client(served: Running) -> Iterator[openai.OpenAI]:
    web = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, http_client=web) as client:
        yield client


def asked(text: str, *stops: str, limit: int | None = 24, choice: Choice = Choice()) -> Ask:  # noqa: B008
    return Ask((Message("user", text),), "", choice, limit, stops, False, False, "")


def streamed(events: str) -> str:
    """The text of a stream."""
    chunks = [json.loads(event[6:]) for event in events.split("\n\n")[:-2]]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]).strip()


# -- clients ---------------------------------------------------------------------------------------------------------


def test_the_openai_client_chats(client: openai.OpenAI, bases: Bases) -> None:
    """Whole and in pieces it says the same, which is what the model says."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "the hat and the cat"}]
    whole = client.chat.completions.create(model="any", messages=messages, max_tokens=12)  # type: ignore[call-overload]
    with Engine(bases.first, context=256) as engine:
        prompt = engine.chat([Message(**message) for message in messages])
        (tokens,) = engine.complete([prompt], 12)
        expected = engine.text(tokens)
    assert whole.choices[0].message.content == expected
    assert (whole.object, whole.model, whole.choices[0].message.role) == ("chat.completion", "any", "assistant")
    assert whole.choices[0].finish_reason == ("stop" if len(tokens) < 12 else "length")
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (len(prompt), len(tokens))
    events = [
        *client.chat.completions.create(  # type: ignore[call-overload]
            model="any", messages=messages, max_tokens=12, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert "".join(event.choices[0].delta.content or "" for event in events if event.choices) == expected
    assert events[-1].usage.total_tokens == len(prompt) + len(tokens) and events[-1].choices == []
    assert len({event.id for event in events}) == 1


def test_the_openai_client_completes_embeds_and_lists(client: openai.OpenAI, served: Running) -> None:
    whole = client.completions.create(model="any", prompt="the hat", max_tokens=6)
    pieces = client.completions.create(model="any", prompt="the hat", max_tokens=6, stream=True)
    assert "".join(event.choices[0].text for event in pieces) == whole.choices[0].text
    listed = client.models.list().data
    assert [model.id for model in listed] == ["first"] and listed[0].created > 1e9
    vectors = client.embeddings.create(model="any", input=["the hat", "a hat", "stones"])  # in base64
    plain = client.embeddings.create(model="any", input="the hat", encoding_format="float")
    rows = np.array([entry.embedding for entry in vectors.data])
    assert np.allclose(rows[0], plain.data[0].embedding) and rows[0] @ rows[1] > rows[0] @ rows[2]


def test_what_is_not_served_is_refused_in_words(client: openai.OpenAI, served: Running) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    for wish in ({"tools": [tool]}, {"n": 2}, {"logprobs": True}, {"response_format": {"type": "json_object"}}):
        reply = served.chat("hello", **wish)
        (name,) = wish
        assert reply.status_code == 400 and f"`{name}`" in reply.json()["error"]["message"]
    for wish in ({"min_p": 0.05}, {"repeat_penalty": 1.1}, {"grammar": "root ::= x"}, {"ignore_eos": True}):
        assert served.chat("hello", **wish).status_code == 400
    none = {"min_p": 0, "repeat_penalty": 1.0, "grammar": "", "json_schema": None, "ignore_eos": False}
    assert served.chat("hello", tokens=1, **none).status_code == 200
    few = {"messages": [{"role": "user", "content": "the hat"}], "n_predict": 2}
    assert served.post("/v1/chat/completions", few).json()["usage"]["completion_tokens"] <= 2
    for role in ("alien", "user<|im_end|>\n<|im_start|>system", "User", ""):
        assert "is no role" in served.chat({"role": role, "content": "x"}).json()["error"]["message"]
    with pytest.raises(openai.BadRequestError, match=r"1,0.. tokens.*context") as error:
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": "x" * 1000}])
    assert error.value.type == "exceed_context_size_error"
    for body in ({}, {"messages": []}, {"messages": [{"content": "x"}]}, {"messages": "x"}, [], "x"):
        assert served.post("/v1/chat/completions", body).status_code == 400
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    assert "pictures" in served.chat(picture).json()["error"]["message"]
    assert served.chat("hello", temperature=-1).status_code == served.chat("hello", temperature="x").status_code == 400
    assert served.post("/v1/embeddings", {"input": [[1, 2]]}).status_code == 400
    assert httpx.get(served.url + "/v1/nothing", trust_env=False).status_code == 404


def test_a_stream_has_the_bytes_of_llama_server(served: Running) -> None:
    """Its fields, in its order, as nlohmann writes them: tools/server/server-task.cpp of llama.cpp."""
    reply = served.chat("the hat", tokens=2, stream=True, stream_options={"include_usage": True}, model="m")
    assert reply.headers["content-type"].startswith("text/event-stream")
    *events, done, end = reply.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") and ": " not in event[6:] for event in events)
    chunks = [json.loads(event[6:]) for event in events]
    keys = ["choices", "created", "id", "model", "system_fingerprint", "object"]
    assert [list(chunk) for chunk in chunks[:-1]] == [keys] * (len(chunks) - 1)
    assert list(chunks[-1]) == [*keys, "usage", "timings"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert all(list(choice) == ["finish_reason", "index", "delta"] for choice in choices)
    assert choices[0]["delta"] == {"role": "assistant", "content": None}
    assert all(list(choice["delta"]) == ["content"] for choice in choices[1:-1])
    assert choices[-1] == {"finish_reason": choices[-1]["finish_reason"], "index": 0, "delta": {}}
    assert chunks[-1]["choices"] == [] and next(iter(chunks[-1]["usage"])) == "completion_tokens"
    whole = served.chat("the hat", tokens=2).json()
    assert list(whole) == [
        *("choices", "created", "model", "system_fingerprint", "object", "usage", "id", "timings"),
    ]
    assert list(whole["choices"][0]) == ["finish_reason", "index", "message"]


def test_the_llm_command_chats(served: Running, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("llm")
    if not command.exists():
        pytest.skip("llm is not installed")
    known = f"- model_id: served\n  model_name: any\n  api_base: {served.url}/v1\n"
    (tmp_path / "extra-openai-models.yaml").write_text(known)
    words = ["-m", "served", "-o", "max_tokens", "6", "the hat and the cat"]
    own = {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none", "NO_PROXY": "*", "HOME": str(tmp_path)}
    done = subprocess.run([command, *words], capture_output=True, env={**os.environ, **own}, check=False)
    assert done.returncode == 0, done.stderr
    expected = served.answer("the hat and the cat", tokens=6)
    assert done.stdout.decode().strip() == expected.strip()


def test_curl_chats(served: Running) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("there is no curl here")
    body = json.dumps({"messages": [{"role": "user", "content": "the hat"}], "max_tokens": 4})
    words = [curl, "-sN", "--noproxy", "*", f"{served.url}/v1/chat/completions", "-d", body]
    done = subprocess.run(words, capture_output=True, check=True)  # sent as a form, which llama-server takes too
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == served.answer("the hat", tokens=4)


# -- who may speak to it -----------------------------------------------------------------------------------------------


def test_a_page_from_elsewhere_may_ask_only_where_that_was_said(store: Store, served: Running) -> None:
    page, other = {"Origin": "https://chat.example"}, {"Origin": "https://evil.example"}
    before = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    path = "/v1/chat/completions"
    for heads in (page, other, {"Origin": "null"}):
        assert served.chat("hello", heads=heads).status_code == 403
    refused = httpx.options(served.url + path, headers=before, trust_env=False)
    assert "access-control-allow-origin" not in refused.headers
    with serving(store.home, rules=Rules("127.0.0.1", origins=(page["Origin"],))) as running:
        allowed = httpx.options(running.url + path, headers=before, trust_env=False)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, page["Origin"])
        reply = running.chat("hello", heads=page, tokens=2)
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, page["Origin"])
        assert running.chat("from evil", heads=other).status_code == 403
    assert not any("evil" in content for *_, content in said(store.home))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "10.0.0.1"]
)
def test_a_name_that_was_pointed_here_is_not_answered_to(served: Running, host: str) -> None:
    assert httpx.get(f"{served.url}/v1/models", headers={"Host": host}, trust_env=False).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:99", "127.0.0.1:80", "[::1]:80", "127.8.8.8"])
def test_this_machines_own_names_are(served: Running, host: str) -> None:
    assert httpx.get(f"{served.url}/v1/models", headers={"Host": host}, trust_env=False).status_code == 200


def test_a_key_is_demanded_where_there_is_one(store: Store) -> None:
    with serving(store.home, rules=Rules("0.0.0.0", KEY)) as running:
        assert running.chat("hello").status_code == running.chat("x", heads={"Authorization": "Bearer no"}).status_code
        assert running.chat("hello").status_code == 401
        elsewhere = {"Authorization": f"Bearer {KEY}", "Host": "my-machine"}
        assert running.chat("hello", heads=elsewhere, tokens=2).status_code == 200
        assert httpx.get(f"{running.url}/health", trust_env=False).status_code == 200
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(EdgesleepError, match="other machines"):
            Rules(host)
    with pytest.raises(EdgesleepError, match="Every web page"):
        Rules("127.0.0.1", origins=("https://chat.example", "*"))
    assert Rules("127.0.0.1", KEY, ("*",)).origins


def test_a_request_that_is_too_large_is_not_read(served: Running) -> None:
    most = SMALL.serve.bytes
    assert served.chat("x" * most).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (most // 10)

    assert served.post("/v1/chat/completions", content=parts()).status_code == 413


# -- answers -----------------------------------------------------------------------------------------------------------


class Written:
    """The answers of one home without a server around them."""

    def __init__(self, home: Path, settings: ServeSettings = SMALL.serve) -> None:
        self.answers = Answers(home, settings)

    def ask(self, *asks: Ask) -> list[list[Event]]:
        """The events of several that are asked for at once."""
        events: list[list[Event]] = [[] for _ in asks]
        with self.answers.taken() as served:
            for ask, found in zip(asks, events, strict=True):
                served.ask(ask, found.append)
            wait(lambda: all(found and not isinstance(found[-1], str) for found in events))
        return events

    def text(self, ask: Ask) -> tuple[str, str]:
        *pieces, end = self.ask(ask)[0]
        assert isinstance(end, End), end
        return "".join(map(str, pieces)), end.finish


@pytest.fixture
def written(store: Store) -> Iterator[Written]:
    written = Written(store.home)
    yield written
    written.answers.close()


def test_answers_side_by_side_are_those_alone(written: Written) -> None:
    """Also where there are more than are written at once, and prompts begin alike."""
    texts = ["the hat", "the hat and", "a stone", "in the", "the hat and the cat " * 6, "er", "the hat"]
    alone = [written.text(asked(text)) for text in texts]
    together = written.ask(*map(asked, texts))
    assert ["".join(map(str, events[:-1])) for events in together] == [text for text, _ in alone]


def test_a_conversation_that_goes_on_is_not_read_again(written: Written) -> None:
    first = asked("the hat and the cat and the stone", limit=4)
    said, _ = written.text(first)
    longer = Ask(
        (*first.messages, Message("assistant", said), Message("user", "and?")), "", Choice(), 4, (), False, False, ""
    )
    end = written.ask(longer)[0][-1]
    assert isinstance(end, End) and 20 < end.usage.cached < end.usage.prompt


def test_an_answer_ends_before_a_stop_and_at_its_limit(written: Written) -> None:
    whole, _ = written.text(asked("the hat", limit=40))
    assert len(whole) > 12
    stop = whole[6:9]
    cut = whole[: whole.index(stop)]
    assert written.text(asked("the hat", "never said", stop, limit=40)) == (cut, "stop")
    assert written.text(asked("the hat", limit=0)) == ("", "length")
    assert written.text(asked("the hat", limit=1))[1] == "length"
    assert written.text(asked("the hat", limit=None))[1] in ("stop", "length")


def test_one_seed_gives_one_answer(written: Written) -> None:
    warm = Choice(temperature=1.5, top_p=0.9, seed=7)
    first, second = (written.text(asked("the hat", choice=warm)) for _ in range(2))
    assert first == second
    others = {written.text(asked("the hat", choice=Choice(1.5, seed=seed)))[0] for seed in range(4)}
    assert len(others) > 1


def test_a_token_is_drawn_from_the_likeliest() -> None:
    row = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    chances = np.random.default_rng(0)

    def share(choice: Choice) -> list[float]:
        return [
            round(float(n), 1)
            for n in np.bincount([pick(row, choice, chances) for _ in range(4000)], minlength=4) / 4000
        ]

    assert share(Choice()) == [1.0, 0.0, 0.0, 0.0]
    assert share(Choice(1.0)) == pytest.approx([0.5, 0.3, 0.2, 0.1], abs=0.11)
    assert share(Choice(1.0, top_p=0.7)) == pytest.approx([0.62, 0.38, 0, 0], abs=0.06)
    assert share(Choice(1.0, top_k=1)) == [1.0, 0.0, 0.0, 0.0]
    assert share(Choice(1.0, top_p=1e-9))[0] == 1.0


def test_an_error_ends_what_was_being_written_and_nothing_else(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written.text(asked("the hat"))
    with monkeypatch.context() as broken:
        broken.setattr(Engine, "decode", lambda *_: (_ for _ in ()).throw(EdgesleepError("no memory")))
        (events,) = written.ask(asked("the hat"))
    assert isinstance(events[-1], EdgesleepError)
    assert written.text(asked("the hat")) == expected


# -- newer generations -------------------------------------------------------------------------------------------------


def test_a_newer_generation_is_served_and_no_answer_dropped(store: Store) -> None:
    """Answers under way are ended by the generation that began them; undone, the one before is served again."""
    with serving(store.home) as running:
        stop, replies = threading.Event(), []

        def ask(number: int) -> None:
            while not stop.is_set():
                reply = running.chat(f"the hat {number}", tokens=30)
                replies.append((reply.status_code, reply.headers.get("x-edgesleep-generation")))

        with ThreadPoolExecutor(6) as pool:
            for number in range(6):
                pool.submit(ask, number)
            try:
                wait(lambda: len(replies) > 6)
                grow(store)
                wait(lambda: replies[-1][1] == "1")
                go_to(store, 0)
                wait(lambda: replies[-1][1] == "0")
            finally:
                stop.set()
        assert {code for code, _ in replies} == {200}
    assert [line for line in running.said if line.startswith("Serving")] == [f"Serving generation {n}." for n in (1, 0)]


def test_the_generation_before_goes_on_where_the_newer_cannot_be_served(store: Store) -> None:
    with serving(store.home) as running:
        grow(store)
        (store.folder(1) / "model.gguf").write_bytes(b"GGUF")
        wait(lambda: running.said)
        assert "Still serving generation 0" in running.said[0]
        assert running.chat("the hat", tokens=2).headers["x-edgesleep-generation"] == "0"


def test_a_generation_that_could_not_be_loaded_is_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it failed of, and after a while only."""
    monkeypatch.setattr(answers, "PAUSE", 0.0)
    served, Real = Answers(store.home, SMALL.serve), answers.Served
    grow(store)
    monkeypatch.setattr(answers, "Served", full)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            served.refresh()
    with served.taken() as old:
        assert old.number == 0
    monkeypatch.setattr(answers, "PAUSE", 3600.0)
    with pytest.raises(OSError, match="No space"):
        served.refresh()
    monkeypatch.setattr(answers, "Served", Real)
    assert not served.refresh()
    monkeypatch.setattr(served, "_again", 0.0)
    assert served.refresh() and served.number == 1
    assert not served.refresh()
    served.close()


def test_a_generation_that_is_gone_answers_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know what was forgotten; the server says so until what is current can be loaded."""
    monkeypatch.setattr(answers, "PAUSE", 0.0)
    grow(store)
    with serving(store.home) as running:
        model = store.model_path(0)
        held = model.with_name("held.gguf")
        model.rename(held)
        go_back = store.home / "current"
        go_back.write_text(go_back.read_text().replace("1", "0", 1))
        shutil.rmtree(store.folder(1))
        reply = running.chat("the hat", tokens=2)
        assert reply.status_code == 503 and "not loaded yet" in reply.json()["error"]["message"]
        wait(lambda: running.said)
        assert running.said[0].startswith("Serving nothing:")
        held.rename(model)
        wait(lambda: len(running.said) > 1)
        assert running.chat("the hat", tokens=2).headers["x-edgesleep-generation"] == "0"
    assert running.said[1:] == ["Serving generation 0."]


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_left_keeps_nobody_waiting(store: Store, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    """Neither while a whole reply is written, nor before a stream begins."""
    goes_on, step = threading.Event(), answers.Served._step
    monkeypatch.setattr(answers.Served, "_step", lambda served: goes_on.wait() and step(served))
    with serving(store.home) as running:
        assert running.server.answers
        served = running.server.answers._current
        body = {"messages": [{"role": "user", "content": "the hat"}], "stream": stream}
        try:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=0.5, trust_env=False)
            wait(lambda: not served.users, 20)
        finally:
            goes_on.set()
        assert running.chat("the hat", tokens=1).status_code == 200


# -- load --------------------------------------------------------------------------------------------------------------


def test_fifty_streams_at_once_all_end_and_all_are_kept(store: Store) -> None:
    before = len(turns(store.home))
    with serving(store.home) as running, ThreadPoolExecutor(50) as pool:
        replies = [*pool.map(lambda n: running.chat(f"stream {n} the hat", tokens=6, stream=True), range(50))]
    assert all(reply.text.endswith("data: [DONE]\n\n") for reply in replies)
    kept = turns(store.home)[before:]
    questions = {turn.session: turn.content for turn in kept if turn.role == "user"}
    answers = {turn.session for turn in kept if turn.role == "assistant"}
    assert sorted(questions.values()) == sorted(f"stream {n} the hat" for n in range(50))
    # Of random weights some answers are control characters alone, which are no text.
    speaking = sum(any(map(str.isprintable, streamed(reply.text))) for reply in replies)
    assert len(questions) == 50 and answers <= {*questions} and len(answers) == speaking > 9 and not running.said


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong(store: Store, served: Running, tmp_path: Path) -> None:
    def fails(*words: object) -> str:
        result = CliRunner().invoke(cli.main, ["serve", *map(str, words)])
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
        return result.stderr

    empty = tmp_path / "key"
    empty.touch()
    assert "another --port" in fails("--port", served.url.rpartition(":")[2])
    assert "--key-file" in fails("--host", "0.0.0.0")
    assert "is empty" in fails("--key-file", empty)
    assert "--remote" in fails("--upstream", "http://example.org")
    assert "no address" in fails("--upstream", "example.org:80")
    (store.home / "base.json").unlink()
    assert "edgesleep init" in fails("--port", 0)


@pytest.mark.parametrize(
    ("words", "recalls"),
    [((), True), (("--remote",), False), (("--remote", "--recall", "auto"), True), (("--recall", "off"), False)],
)
def test_another_machine_is_quoted_nothing_unless_that_was_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], recalls: bool
) -> None:
    plans: list[bool] = []
    monkeypatch.setattr("edgesleep.day.serve.run", lambda server, listener: plans.append(server.plan.recall))
    result = CliRunner().invoke(cli.main, ["serve", "--port", "0", "--upstream", "http://127.0.0.1:9", *words])
    assert result.exit_code == 0 and plans == [recalls], result.output


def test_the_command_serves_until_it_is_stopped(store: Store) -> None:
    words = [sys.executable, "-m", "edgesleep", "serve", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        url = line.split(" at ")[1].split("/v1")[0]
        assert httpx.get(f"{url}/v1/models", trust_env=False, timeout=60).status_code == 200
        process.terminate()
        rest = process.stderr.read()
    assert line.startswith("Serving generation 0 at http://127.0.0.1:") and "Traceback" not in rest
