"""The guard: who may speak to the server.

Owns the checks of a request's head: Host, Origin and key. Leaves its body to `serve`, and who may see pages to
`visitors`. Must stay true: on a loopback address only this machine's own names are answered to, and those that its
owner gave, so that no web page reaches it by a name that it has pointed here; no page from elsewhere is listened to,
even by a request that needs no leave, as it could put words into the journal; elsewhere than on loopback, and where any
page may ask, a key is demanded.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edgesleep.day.wire import failure
from edgesleep.errors import EdgesleepError

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

OPEN = ("/health", "/v1/health")  # without a key, as in llama-server
GIVE_KEY = "Put a long random one into a file that only you can read, and give it with --key-file."


def is_address(host: str) -> bool:
    """Whether it is a number: nobody can point that elsewhere."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def heads_of(scope: Scope) -> dict[str, str]:
    """The head of a request, names in small letters."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def name_of(host: str) -> str:
    """The name in a Host header, "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def origin_is(origin: str, host: str) -> bool:
    """Whether a page that asks was given by the server which it asks, as far as its Host header tells."""
    try:
        return urlsplit(origin).netloc == host != ""
    except ValueError:
        return False


@dataclass(frozen=True)
class Rules:
    """Where the server listens, the key that it demands ("" for none), the pages that may speak to it, and the names
    by which it is reached besides this machine's own."""

    host: str
    key: str = ""
    origins: Collection[str] = ()
    names: Collection[str] = ()

    def __post_init__(self) -> None:
        if not self.key and not is_loopback(self.host):
            raise EdgesleepError(
                f"{self.host} can be reached from other machines, and there is no key.",
                GIVE_KEY,
            )
        if not self.key and "*" in self.origins:
            raise EdgesleepError(
                "Every web page that you open could ask for what you said, and there is no key.", GIVE_KEY
            )
        if not self.key and self.names:
            raise EdgesleepError(
                "Whoever reaches it by that name could ask for what you said, and there is no key.", GIVE_KEY
            )

    def answers_to(self, host: str) -> bool:
        """Whether a request with this Host header is answered at all."""
        return not is_loopback(self.host) or self.is_own(host)

    def is_own(self, host: str) -> bool:
        """Whether a Host header names this server: no name that someone else could have pointed here."""
        name = name_of(host)
        if is_loopback(name) or name in {one.lower() for one in self.names}:
            return True
        here = socket.gethostname().lower()
        return not is_loopback(self.host) and (is_address(name) or name in (self.host.lower(), here, f"{here}.local"))

    def is_key(self, given: str) -> bool:
        return bool(self.key) and hmac.compare_digest(given.encode(), self.key.encode())


def bearer(heads: Mapping[str, str]) -> str:
    """The key that a request bears."""
    return heads.get("authorization", "").removeprefix("Bearer ")


class Guard:
    """Passes on to an ASGI application what may pass, and answers the rest."""

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (refused := self._refused(scope)):
            code, kind, message = refused
            body = msgspec.json.encode(failure(code, kind, message))
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": code, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str, str] | None:
        heads = heads_of(scope)
        host, origin = heads.get("host", ""), heads.get("origin")
        if not self._rules.answers_to(host):
            return 403, "permission_error", "This server answers to this machine's own names alone: see --name."
        welcome = origin is None or origin_is(origin, host) or {origin, "*"} & {*self._rules.origins}
        if not welcome:
            return 403, "permission_error", "Pages of this origin may not speak to this server: see --cors."
        if self._rules.key and scope["path"] not in OPEN and not self._rules.is_key(bearer(heads)):
            return 401, "authentication_error", "Invalid API Key"
        return None
