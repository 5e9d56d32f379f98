"""The guard: who may speak to the server.

Owns the checks of a request's head: Host, Origin and key. Leaves its body to `serve`. Must stay true: on a loopback
address only this machine's own names are answered to, so that no web page reaches it by a name that it has pointed
here; no page from elsewhere is listened to, even by a request that needs no leave, as it could put words into the
journal; elsewhere than on loopback, and where any page may ask, a key is demanded.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
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


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


@dataclass(frozen=True)
class Rules:
    """Where the server listens, the key that it demands ("" for none) and the pages that may speak to it."""

    host: str
    key: str = ""
    origins: Collection[str] = ()

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
        heads = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = heads.get("host", ""), heads.get("origin")
        name = urlsplit(f"//{host}").hostname or ""
        if is_loopback(self._rules.host) and not is_loopback(name):
            return 403, "permission_error", "This server answers to this machine's own names alone."
        welcome = origin is None or urlsplit(origin).netloc == host or {origin, "*"} & {*self._rules.origins}
        if not welcome:
            return 403, "permission_error", "Pages of this origin may not speak to this server: see --cors."
        given = heads.get("authorization", "").removeprefix("Bearer ").encode()
        if self._rules.key and scope["path"] not in OPEN and not hmac.compare_digest(given, self._rules.key.encode()):
            return 401, "authentication_error", "Invalid API Key"
        return None
