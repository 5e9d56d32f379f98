"""The web pages of `serve`: nights, and memories to approve, pin and forget.

Owns the paths, and what is behind each. Leaves who may see them to `day.visitors`, how they look to `page`, and what is
done to the commands of the same purpose. Must stay true: looking changes nothing; what is forgotten is what was shown
before, and the command does it, in a process of its own; whatever goes wrong is told on a page.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edgesleep import account, errors, page, records
from edgesleep.cli_forget import planned
from edgesleep.cli_memories import WITHHELD, Shown, about, decided, deciding, held_back, kind_of, looking, pinned
from edgesleep.cli_shared import demand_nothing_to_forget
from edgesleep.config import Settings
from edgesleep.day.guard import Rules
from edgesleep.day.visitors import COOKIE, HEADERS, Visitors
from edgesleep.errands import Errand
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.forgotten import unfinished
from edgesleep.lock import Lock
from edgesleep.night import owner
from edgesleep.night.artefacts import folder_of
from edgesleep.night.withheld import Withheld
from edgesleep.page import Site
from edgesleep.records import Memory
from edgesleep.store import Store

BESIDE = "/edgesleep"  # where the pages are when `/` is another server's
PATHS = ("nights", "memories", "forget", "forgetting", "login", "logout")  # what ours begin with, but for `/`
A_PAGE = 100  # memories
FORM = 16384  # bytes of a form at most
BEGINS = 60.0  # seconds that a forgetting may take to begin, before what it comes to is told on another page
KEPT = 100  # things to tell on the next page

Made = TypeVar("Made")


class Web:
    """The pages of one home: an ASGI application for the paths that it owns."""

    def __init__(self, home: Path, settings: Settings, rules: Rules, base: str = "") -> None:
        """`base` is what its paths begin with."""
        self._home, self._settings, self._base = home, settings, base
        self._visitors = Visitors(rules)
        self._tells: dict[str, list[str]] = {}
        self.errand = Errand(home)
        ways: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
            ("/", self._last, "GET"),
            ("/nights/{night}", self._night, "GET"),
            ("/memories", self._memories, "GET"),
            ("/memories/{id}/pin", self._pin, "POST"),
            ("/memories/{id}/unpin", self._pin, "POST"),
            ("/memories/{id}/approve", self._approve, "POST"),
            ("/forget/{id}", self._plan, "GET"),
            ("/forget/{id}", self._forget, "POST"),
            ("/forgetting", self._forgetting, "GET"),
            ("/forgetting", self._go_on, "POST"),
            ("/login", self._door, "GET"),
            ("/login", self._enter, "POST"),
            ("/logout", self._leave, "POST"),
        ]
        self._app = Starlette(
            routes=[Route(base + path, way, methods=[method]) for path, way, method in ways],
            exception_handlers={EdgesleepError: self._failed, HTTPException: self._failed, Exception: self._failed},
        )

    def owns(self, path: str) -> bool:
        """Whether a path is one of these."""
        if self._base:
            return path == self._base or path.startswith(f"{self._base}/")
        return path == "/" or path.removeprefix("/").partition("/")[0] in PATHS

    def close(self) -> None:
        """End what is under way; it is gone on with later."""
        self.errand.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        app: Callable[[Scope, Receive, Send], Awaitable[None]] = self._app
        if refused := self._visitors.refused(request.method, request.headers):
            app = self._say(request, 403, "Not from here", refused, stranger=True)
        elif not self._visitors.is_known(request.headers) and scope["path"] != f"{self._base}/login":
            app = self._page(request, "login.html", 401, stranger=True, wrong=False)
        await app(scope, receive, send)

    # -- nights ------------------------------------------------------------------------------------------------------

    async def _last(self, request: Request) -> Response:
        if not (nights := await asyncio.to_thread(self._nights)):
            message = "No night has come to its end yet. The first report is here once one has."
            hint = "`edgesleep run-night` runs one now; `edgesleep daemon install` has them come by themselves."
            return self._say(request, 200, "No night yet", message, hint)
        return await self._report(request, nights[0][0])

    async def _night(self, request: Request) -> Response:
        night = _number(asked := request.path_params["night"])
        if night not in dict(await asyncio.to_thread(self._nights)):
            raise HTTPException(404, f"Night {errors.shown(asked)} has no report.")
        return await self._report(request, night)

    async def _report(self, request: Request, night: int) -> Response:
        demand_nothing_to_forget(self._home)  # a report quotes what is to go
        record = await asyncio.to_thread(account.night_of, self._home, night)
        site = await self._site(request)
        return self._html(await asyncio.to_thread(page.night, record, site))

    def _nights(self) -> list[tuple[int, str]]:
        """Those that have a report, the last first, with their status."""
        with looking(self._home) as journal:
            ended = [(night.night, night.status) for night in journal.nights() if night.status in account.ENDED]
        have = (one for one in ended if (folder_of(self._home, one[0]) / account.NIGHT).exists())
        return sorted(have, reverse=True)

    # -- memories ----------------------------------------------------------------------------------------------------

    async def _memories(self, request: Request) -> Response:
        asked = request.query_params
        words, state = asked.get("words", "").strip(), asked.get("state", "")
        number = max(1, _number(asked.get("page", "")))
        listed = await asyncio.to_thread(self._listed, words, state, number)
        return self._page(
            request,
            "memories.html",
            site=await self._site(request),
            words=words,
            state=state,
            states=[*records.STATES, WITHHELD],
            query=(query := urlencode({"words": words, "state": state})),
            back=query,
            told=self._tells.pop(asked.get("told", ""), []),
            **listed,
        )

    def _listed(self, words: str, state: str, number: int) -> dict[str, Any]:
        """One page of a list, the latest first."""
        with looking(self._home) as journal:
            shown = Shown(journal)
            held = [] if state == WITHHELD else [*reversed(self._found(shown, words, state))]
            items = [*held_back(journal)][::-1] if state == WITHHELD else []

            def row(item: Withheld) -> dict[str, Any]:
                return {"text": ""} | about(journal, item) | {"words": kind_of(item)}

            def has_words(item: Withheld) -> bool:
                return words.casefold() in "{text} {words}".format_map(row(item)).casefold()

            if words:
                items = [*filter(has_words, items)]
            found = len(held) + len(items)
            pages = max(1, -(-found // A_PAGE))
            number = min(number, pages)
            here = slice((number - 1) * A_PAGE, number * A_PAGE)
            return {
                "memories": [*map(shown.brief, held[here])],
                "withheld": [*map(row, items[here])],
                "found": found,
                "page": number,
                "pages": pages,
            }

    def _found(self, shown: Shown, words: str, state: str) -> list[Memory]:
        found = owner.search(shown.memories, words) if words else shown.memories
        return [memory for memory in found if state in ("", shown.state(memory))]

    async def _pin(self, request: Request) -> Response:
        form, on = await self._form(request), request.url.path.endswith("/pin")

        def done() -> list[str]:
            with deciding(self._home, dry_run=False) as journal:
                statement = pinned(journal, request.path_params["id"], on=on)["statement"]
            return [f"{'Pinned' if on else 'No longer pinned'}: {statement}"]

        return await self._back(request, form, done)

    async def _approve(self, request: Request) -> Response:
        form = await self._form(request)

        def done() -> list[str]:
            with deciding(self._home, dry_run=False) as journal:
                change = owner.approve(journal, owner.pick_withheld(journal, request.path_params["id"]))
                return ["Approved.", *decided(Shown(journal, change.holds), change)]

        return await self._back(request, form, done)

    async def _back(self, request: Request, form: dict[str, str], done: Callable[[], list[str]]) -> Response:
        """Do something, and go back to the list, where it is told once."""
        told = await asyncio.to_thread(done)
        name = secrets.token_urlsafe(8)
        self._tells = dict([*self._tells.items(), (name, told)][-KEPT:])
        query = urlencode([*parse_qsl(form.get("back", ""))[:2], ("told", name)])
        return self._to(f"/memories?{query}#{request.path_params['id']}")

    # -- forgetting --------------------------------------------------------------------------------------------------

    async def _plan(self, request: Request) -> Response:
        return await self._shown(request, await asyncio.to_thread(self._planned, request.path_params["id"]))

    async def _forget(self, request: Request) -> Response:
        form, id = await self._form(request), request.path_params["id"]
        lines, code = await asyncio.to_thread(self._planned, id)
        if form.get("code") != code:  # the command looks once more, when nobody else can change anything
            return await self._shown(request, (lines, code), changed=True)
        return await self._run("forget", "--confirm", code, "--", id)

    def _planned(self, id: str) -> tuple[list[str], str]:
        """What would go, in lines, and the code that stands for just that."""
        demand_nothing_to_forget(self._home)
        with looking(self._home) as journal:
            found = planned(Store(self._home), journal, self._settings, (id,))
            return [*found.lines()], found.code

    async def _shown(self, request: Request, plan: tuple[list[str], str], *, changed: bool = False) -> Response:
        return self._page(
            request,
            "forget.html",
            409 if changed else 200,
            site=await self._site(request),
            id=request.path_params["id"],
            lines=plan[0],
            code=plan[1],
            changed=changed,
            busy=Lock(self._home).is_taken(),
        )

    async def _go_on(self, request: Request) -> Response:
        await self._form(request)
        return await self._run("forget", "--resume")

    async def _run(self, *words: str) -> Response:
        """Have the command done, and tell what it says; an error before it has begun is told at once."""

        def begun() -> None:
            self.errand.start(*words)
            late = time.monotonic() + BEGINS
            while self.errand.is_under_way() and not unfinished(self._home) and time.monotonic() < late:
                time.sleep(0.02)

        await asyncio.to_thread(begun)
        if (failure := self.errand.failure()) and not unfinished(self._home):
            raise failure
        return self._to("/forgetting")

    async def _forgetting(self, request: Request) -> Response:
        under_way, left = self.errand.is_under_way(), unfinished(self._home)
        title, failure = "Nothing is being forgotten", None if under_way else self.errand.failure()
        if self.errand.code is not None:
            title = "Not done" if failure else "What was forgotten"
        return self._page(
            request,
            "forgetting.html",
            site=await self._site(request),
            title="Forgetting" if under_way else "A forgetting is unfinished" if left else title,
            under_way=under_way,
            unfinished=left,
            failure=failure,
            lines=self.errand.lines,
        )

    # -- the way in --------------------------------------------------------------------------------------------------

    async def _door(self, request: Request) -> Response:
        if self._visitors.is_known(request.headers):
            return self._to("/")
        return self._page(request, "login.html", stranger=True, wrong=False)

    async def _enter(self, request: Request) -> Response:
        session = self._visitors.enter((await self._body(request)).get("key", ""))
        if not session:
            return self._page(request, "login.html", 401, stranger=True, wrong=True)
        to = self._to("/")
        safe = request.url.scheme == "https"
        to.set_cookie(COOKIE, session, path=self._base or "/", httponly=True, samesite="strict", secure=safe)
        return to

    async def _leave(self, request: Request) -> Response:
        await self._form(request)
        self._visitors.leave(request.headers)
        to = self._to("/login")
        to.delete_cookie(COOKIE, path=self._base or "/")
        return to

    async def _form(self, request: Request) -> dict[str, str]:
        """What a form on one of these pages says. Raises HTTPException where it is none of these."""
        form = await self._body(request)
        if not self._visitors.is_token(request.headers, form.get("token", "")):
            raise HTTPException(403, "This page is from before the server was started, or from before you logged in.")
        return form

    async def _body(self, request: Request) -> dict[str, str]:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > FORM:
                raise HTTPException(413, f"A form may have {FORM:,} bytes.")
        return dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))

    # -- pages -------------------------------------------------------------------------------------------------------

    async def _site(self, request: Request) -> Site:
        return self._around(request, tuple(await asyncio.to_thread(self._nights)))

    def _around(self, request: Request, nights: tuple[tuple[int, str], ...] = ()) -> Site:
        heads = request.headers
        return Site(self._base, nights, self._visitors.token(heads), self._visitors.is_in(heads))

    def _page(
        self, request: Request, template: str, status: int = 200, *, stranger: bool = False, **values: Any
    ) -> HTMLResponse:
        """A page; a `stranger` sees no way to the others."""
        site = values.pop("site", None) or self._around(request)
        return self._html(page.render(template, Site(self._base) if stranger else site, **values), status)

    def _html(self, text: str, code: int = 200) -> HTMLResponse:
        policy = f"{page.policy()}; frame-ancestors 'none'"
        return HTMLResponse(text, code, {**HEADERS, "Content-Security-Policy": policy})

    def _say(
        self, request: Request, code: int, title: str, message: str, hint: str = "", *, stranger: bool = False
    ) -> Response:
        link = ("/forgetting", "How far it is") if unfinished(self._home) and not stranger else None
        values = {"title": title, "message": message, "hint": hint, "link": link}
        return self._page(request, "message.html", code, stranger=stranger, **values)

    def _to(self, path: str) -> RedirectResponse:
        return RedirectResponse(self._base + path, 303, HEADERS)

    async def _failed(self, request: Request, error: Exception) -> Response:
        stranger = not self._visitors.is_known(request.headers)
        if isinstance(error, HTTPException):
            title = {404: "There is no such page", 405: "That cannot be asked so"}.get(error.status_code, "Not done")
            message = "" if error.detail in ("Not Found", "Method Not Allowed") else error.detail
            hint = "Load the page again, and try once more." if error.status_code == 403 else ""
            return self._say(request, error.status_code, title, message, hint, stranger=stranger)
        if isinstance(error, EdgesleepError):
            code = 409 if isinstance(error, BusyError) or unfinished(self._home) else 400
            return self._say(request, code, "Not done", error.message, error.hint, stranger=stranger)
        fault = f"{type(error).__name__}: a fault of edgesleep itself, which is told where it was started."
        return self._say(request, 500, "Something is wrong", fault, stranger=stranger)


def _number(text: str) -> int:
    """A number in an address; 0 where it is none that anything has."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0
