"""The server: OpenAI's API over the current generation, or in front of another server.

Owns the API's routes, and the order in which a request is recalled for, kept, answered and kept again. Leaves the forms
to `wire`, answers to `answers` or `upstream`, what is kept to `logbook`, and pages for people to whoever made them.
Must stay true: what the user said is in the journal before the first byte of its answer, and the answer before its
last; a newer generation is served from the next request on, and no answer under way is dropped for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from edgesleep import embed
from edgesleep.config import Settings
from edgesleep.day import logbook, wire
from edgesleep.day.answers import Answers, AwayError, End, Event, Served, TooLongError
from edgesleep.day.guard import Guard, Rules
from edgesleep.day.logbook import Logbook, Opened, Wish
from edgesleep.day.recall import preface
from edgesleep.day.upstream import Upstream, UpstreamError, pieces
from edgesleep.day.wire import Ask, Heard, Reply, Said
from edgesleep.errors import EdgesleepError

EVERY = 1.0  # seconds between two looks for a newer generation
LOOK = 0.2  # the same for whether somebody still waits for a reply
JSON, EVENTS = "application/json", "text/event-stream"
OURS = ("X-Edgesleep-Generation", "X-Edgesleep-Recalled")  # headers of a reply
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]

Say = Callable[[str], None]


class Pages(Protocol):
    """An ASGI application for the paths that it owns."""

    def owns(self, path: str) -> bool: ...

    def close(self) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What is served: a home, with `recall` or not, by the model in this process or by the one at `upstream`; and
    `pages` for people, who are looked at by these."""

    home: Path
    settings: Settings
    rules: Rules
    recall: bool = True
    upstream: Upstream | None = None
    paused: Callable[[], bool] = lambda: False  # whether nothing is to be recalled now
    pages: Pages | None = None


class BodyError(EdgesleepError):
    """A request that is larger than is read."""


class Server:
    """One home, served. Made before the loop runs, so that what is wrong with the model is said at once."""

    def __init__(self, plan: Plan, say: Say) -> None:
        """Raises EdgesleepError where the current generation cannot be served."""
        self.plan, self._say = plan, say
        own = plan.upstream is None
        self.answers = Answers(plan.home, plan.settings.serve) if own else None
        self.book = Logbook(plan.home, plan.settings.recall, say, plan.paused, weights=own)
        self._embedder: embed.Embedder | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [Route("/health", self.health), Route("/v1/health", self.health)]
        for prefix in ("/v1", ""):
            routes.append(Route(f"{prefix}/chat/completions", self.chat, methods=["POST"]))
            routes.append(Route(f"{prefix}/completions", self.completion, methods=["POST"]))
            if self.answers:
                routes.append(Route(f"{prefix}/models", self.models))
                routes.append(Route(f"{prefix}/embeddings", self.embeddings, methods=["POST"]))
        if self.plan.upstream:
            routes.append(Route("/{path:path}", self.other, methods=METHODS))
        guards = [Middleware(Guard, self.plan.rules)]
        if self.plan.rules.origins:
            cors = Middleware(
                CORSMiddleware,
                allow_origins=[*self.plan.rules.origins],
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=OURS,
            )
            guards.insert(0, cors)
        if self.plan.pages:  # before these, as what programs may do is no measure for pages
            guards.insert(0, Middleware(_Beside, self.plan.pages))
        return Starlette(
            routes=routes,
            middleware=guards,
            exception_handlers={EdgesleepError: _failed, ClientDisconnect: _failed, Exception: _failed},
            lifespan=self._living,
        )

    @asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(self._watch()) if self.answers else None
        try:
            yield
        finally:
            if watch:
                watch.cancel()
            if self.plan.upstream:
                await self.plan.upstream.close()
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        if self.plan.pages:  # here, as after a signal nothing is done any more once uvicorn has ended
            self.plan.pages.close()
        self.book.close()
        if self.answers:
            self.answers.close()

    async def _watch(self) -> None:
        """Go on with a newer generation as soon as there is one."""
        told = ""
        while self.answers:
            await asyncio.sleep(EVERY)
            try:
                if await asyncio.to_thread(self.answers.refresh):
                    self.book.renew()
                    told = ""
                    self._say(f"Serving generation {self.answers.number}.")
            except Exception as error:  # whatever it was, it may be mended
                goes_on = "Serving nothing" if self.answers.away else f"Still serving generation {self.answers.number}"
                found = f"{goes_on}: {_words(error)}"
                if found != told:  # it is tried again and again
                    told = found
                    self._say(told)

    # -- routes --------------------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=JSON)

    async def models(self, request: Request) -> Response:
        assert self.answers
        created = int(datetime.fromisoformat(self.answers.loaded).timestamp())
        return Response(wire.models(self.answers.base, created), media_type=JSON)

    async def embeddings(self, request: Request) -> Response:
        """Of the sentence model, or of the pieces that stand in for it; the reply names which."""
        body = wire.body_of(await self._read(request))
        texts = wire.texts(body)
        found = await asyncio.to_thread(self._embed, texts)
        assert self._embedder
        packed = body.get("encoding_format") == "base64"
        return Response(wire.embeddings(found, self._embedder.name, packed=packed), media_type=JSON)

    def _embed(self, texts: list[str]) -> embed.Floats:
        self._embedder = self._embedder or embed.load(download=False, say=self._say)
        return self._embedder.embed(texts)

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, chat=True)

    async def completion(self, request: Request) -> Response:
        return await self._answer(request, chat=False)

    async def other(self, request: Request) -> Response:
        """What is only passed on."""
        return await self._passed(request, await self._read(request), None, {})

    # -- an answer -----------------------------------------------------------------------------------------------

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        data = await self._read(request)
        body = wire.body_of(data)
        said = wire.said(body.get("messages")) if chat else _prompt(body)
        wish = self._wish(request.headers, body, chat)
        found = await self.book.recalled(said) if wish.recall else []
        changed = {name: value for name, value in body.items() if name != "recall"}
        if found:
            changed = wire.with_preface(changed, preface(found))
        heads = {"X-Edgesleep-Recalled": str(len(found))}
        if self.plan.upstream:
            if changed != body:
                data = wire.encoded(changed)
            turn = _Kept(self.book, said, wish)
            return await self._passed(request, data, turn, heads, stream=bool(body.get("stream")))
        ask = wire.read(changed, chat=chat)
        return await _unless_left(request, self._written(ask, _Kept(self.book, said, wish), heads))

    def _wish(self, heads: Mapping[str, str], body: dict[str, Any], chat: bool) -> Wish:
        log = _switch(heads.get("x-edgesleep-log"), "X-Edgesleep-Log", "on", "off")
        recall = _switch(heads.get("x-edgesleep-recall"), "X-Edgesleep-Recall", "auto", "off")
        if recall == "auto":
            recall = _switch(body.get("recall"), "recall", "auto", "off")
        return Wish(
            log=log == "on" and logbook.is_on(self.plan.home),
            recall=chat and self.plan.recall and recall == "auto",
            session=heads.get("x-edgesleep-session", "")[:200].strip(),
            again=heads.get("x-stainless-retry-count", "0") != "0",
            live=chat,
        )

    async def _written(self, ask: Ask, turn: _Kept, heads: dict[str, str]) -> Response:
        """An answer by the model in this process; it is kept while the prompt is read."""
        assert self.answers
        left = ExitStack()
        try:
            served = left.enter_context(self.answers.taken())
            events = _asked(served, ask, left)
            left.callback(turn.leave)
            _, first = await asyncio.gather(turn.open(), anext(events))
            if isinstance(first, Exception):
                raise first
            heads |= {"X-Edgesleep-Generation": str(served.number)}
            reply = Reply(ask.model or self.answers.base, chat=bool(ask.messages))
            if ask.stream:
                sent = _stream(_chained(first, events), reply, turn, show=ask.usage)
                return _Stream(sent, left.pop_all().close, heads)
            async for event in _chained(first, events):
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, End):
                    await turn.close()
                    return Response(reply.whole(turn.heard.text(), event.finish, event.usage), 200, heads, JSON)
                turn.heard.add(event)
            raise AssertionError("an answer has an end")
        finally:
            left.close()

    async def _passed(
        self, request: Request, data: bytes, turn: _Kept | None, heads: dict[str, str], stream: bool = False
    ) -> Response:
        """An answer by the server behind this one, byte for byte."""
        upstream = self.plan.upstream
        assert upstream
        path = request.url.path
        _, answer = await asyncio.gather(
            turn.open() if turn else asyncio.sleep(0),
            upstream.send(request.method, path, request.url.query, request.headers.items(), data),
        )
        heads = {**upstream.back(answer), **heads}
        if turn and answer.status_code == 200 and not stream:
            data = b"".join([piece async for piece in pieces(answer)])
            turn.heard.read(data)
            await turn.close()
            return Response(data, 200, heads)
        heard = turn if turn and answer.status_code == 200 else None
        return _Stream(_listened(pieces(answer), heard), heard.leave if heard else None, heads, answer.status_code)

    async def _read(self, request: Request) -> bytes:
        """The body of a request. Raises BodyError where it is too large."""
        most, data = self.plan.settings.serve.bytes, bytearray()
        claimed = request.headers.get("content-length", "")
        too_large = BodyError(f"A request may have {most:,} bytes.", "Shorten it, or raise serve.request.")
        if claimed.isdigit() and int(claimed) > most:
            raise too_large
        async for part in request.stream():
            data += part
            if len(data) > most:
                raise too_large
        return bytes(data)


def _switch(value: Any, name: str, usual: str, other: str) -> str:
    """A wish that has two values. Raises EdgesleepError for any third: it would not be what was meant."""
    found = usual if value is None else value.strip().casefold() if isinstance(value, str) else ""
    if found not in (usual, other):
        raise EdgesleepError(f"{name} is {usual} or {other}.", "Correct the request.")
    return found


def _prompt(body: dict[str, Any]) -> list[Said]:
    prompt = body.get("prompt")
    return [Said("user", prompt if isinstance(prompt, str) else "\n".join(map(str, prompt or ())))]


class _Beside:
    """Passes on what pages own to them, and all else to the API."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and self._pages.owns(scope["path"])
        await (self._pages if ours else self._app)(scope, receive, send)


class _Kept:
    """One exchange as the journal gets it: once what was said, and once the answer, whole or as far as it came."""

    def __init__(self, book: Logbook, said: list[Said], wish: Wish) -> None:
        self._book, self._said, self._wish = book, said, wish
        self._opened: Opened | None = None
        self._closed = False
        self.heard = Heard()  # its answer

    async def open(self) -> None:
        if self._wish.log:
            self._opened = await self._book.opened(self._said, self._wish)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._book.closed(self._opened, self.heard.text())

    def leave(self) -> None:
        """Its reader has gone, or all is done."""
        if not self._closed:
            self._closed = True
            self._book.close_later(self._opened, self.heard.text())


class _Stream(StreamingResponse):
    """A stream after which something is to be done, whoever ends it, and even where it never began."""

    def __init__(
        self, content: AsyncIterator[bytes], after: Callable[[], None] | None, heads: dict[str, str], code: int = 200
    ) -> None:
        kind = {name.lower(): value for name, value in heads.items()}.get("content-type", EVENTS)
        super().__init__(content, code, heads, kind)
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)
        finally:
            if self._after:
                self._after()


async def _unless_left(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """What comes of the work on a request that was read, which is given up when its reader leaves before."""

    async def leaving() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(LOOK)

    tasks = asyncio.create_task(work), asyncio.create_task(leaving())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _asked(served: Served, ask: Ask, left: ExitStack) -> AsyncIterator[Event]:
    """The events of an answer; `left` drops it."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event] = asyncio.Queue()

    def put(event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(events.put_nowait, event)

    job = served.ask(ask, put)
    left.callback(setattr, job, "cancelled", True)
    while True:
        yield await events.get()


async def _chained(first: Event, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    yield first
    if isinstance(first, str):
        async for event in events:
            yield event


async def _stream(events: AsyncIterator[Event], reply: Reply, turn: _Kept, *, show: bool) -> AsyncIterator[bytes]:
    """The answer as it is written."""
    yield reply.begin()
    async for event in events:
        if isinstance(event, Exception):
            yield wire.event(_failure(event)[1])
            return
        if isinstance(event, End):
            await turn.close()
            yield reply.end(event.finish, event.usage, show=show) + wire.DONE
            return
        turn.heard.add(event)
        yield reply.piece(event)


async def _listened(sent: AsyncIterator[bytes], turn: _Kept | None) -> AsyncIterator[bytes]:
    """What another server sends, as it is; it is kept before its end is passed on."""
    async for piece in sent:
        if turn:
            turn.heard.feed(piece)
            if turn.heard.done:
                await turn.close()
        yield piece
    if turn:
        await turn.close()


def _failure(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status and the body that tell an error as llama-server does."""
    if not isinstance(error, EdgesleepError):
        return 500, wire.failure(500, "server_error", _words(error))
    kinds = {
        AwayError: (503, "unavailable_error"),
        TooLongError: (400, "exceed_context_size_error"),
        BodyError: (413, "invalid_request_error"),
        UpstreamError: (502, "unavailable_error"),
    }
    code, kind = kinds.get(type(error), (400, "invalid_request_error"))
    return code, wire.failure(code, kind, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, EdgesleepError):
        return f"{error.message} {error.hint}".strip()
    return f"{type(error).__name__}: {error}"


async def _failed(request: Request, error: Exception) -> Response:
    code, body = _failure(error)
    return Response(wire.encoded(body), code, media_type=JSON)


# -- running -----------------------------------------------------------------------------------------------------------


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes any that is free. Raises EdgesleepError where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise EdgesleepError(
            f"Nothing can be served at {host} port {port}: {error.strerror or error}.",
            "Another program may be there: choose another --port, or 0 for any.",
        ) from error


def run(server: Server, listener: socket.socket) -> None:
    """Serve until the process is told to stop; answers under way are ended first."""
    settings = uvicorn.Config(server.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=30)
    uvicorn.Server(settings).run(sockets=[listener])
