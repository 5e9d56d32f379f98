"""A server of a test's own: started in a thread on a free port, and stopped again.

Owns what the tests of `serve` share: the home with a tiny model, requests, and what the journal has afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from edgesleep.config import ServeSettings, Settings
from edgesleep.day.guard import Rules
from edgesleep.day.serve import Plan, Server, listening
from edgesleep.day.upstream import Upstream
from edgesleep.journal import Journal
from edgesleep.records import Turn

SMALL = replace(Settings(), serve=ServeSettings(context=256, answers=4, request=0.1))


@dataclass
class Running:
    """A server at `url`, and what it said to its owner."""

    url: str
    server: Server
    said: list[str] = field(default_factory=list)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120, trust_env=False, **more)

    def chat(self, *messages: str | dict[str, Any], tokens: int = 8, heads: Any = None, **more: Any) -> httpx.Response:
        """The strings are the user's and the assistant's in turn."""
        roles = ("user", "assistant")
        said = [m if isinstance(m, dict) else {"role": roles[i % 2], "content": m} for i, m in enumerate(messages)]
        return self.post("/v1/chat/completions", {"messages": said, "max_tokens": tokens, **more}, headers=heads)

    def answer(self, *messages: str | dict[str, Any], **more: Any) -> str:
        reply = self.chat(*messages, **more)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["choices"][0]["message"]["content"])


@contextmanager
def serving(home: Path, upstream: str = "", settings: Settings = SMALL, **plan: Any) -> Iterator[Running]:
    said: list[str] = []
    rules = plan.pop("rules", Rules("127.0.0.1"))
    behind = Upstream(upstream, key=bool(rules.key)) if upstream else None
    server = Server(Plan(home, settings, rules, upstream=behind, **plan), said.append)
    with hosted(server.app()) as url:
        yield Running(url, server, said)


@contextmanager
def hosted(app: Any) -> Iterator[str]:
    """Any ASGI application, at a URL."""
    listener = listening("127.0.0.1", 0)
    run = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=20))
    thread = threading.Thread(target=run.run, kwargs={"sockets": [listener]})
    thread.start()
    wait(lambda: run.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        run.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def wait(met: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def turns(home: Path) -> list[Turn]:
    with Journal.open(home) as journal:
        return journal.turns()


def said(home: Path) -> list[tuple[str, str, str]]:
    """Role, source and content of all that was kept."""
    return [(turn.role, turn.source, turn.content) for turn in turns(home)]
