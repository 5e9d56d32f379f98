"""Upstream: another server of the same API, to which requests are passed on.

Owns the connection to it and which headers pass. Leaves what is kept of it to `logbook`. Must stay true: what it sends
is given back byte for byte; nothing leaves the machine unless that was said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlsplit

import httpx

from edgesleep.day.guard import is_loopback
from edgesleep.errors import EdgesleepError

# Of one connection alone, or made anew here. What is sent back unpacked needs no word on how it was packed.
_HELD = {
    *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization"),
    *("host", "content-length", "accept-encoding", "content-encoding", "origin", "expect"),
}


class UpstreamError(EdgesleepError):
    """The other server cannot be reached."""


class Upstream:
    """A server at a URL, with or without the "/v1" that paths begin with."""

    def __init__(self, url: str, *, remote: bool = False, key: bool = False) -> None:
        """`remote`: it may be another machine. `key`: what authorizes a request is for us, and not passed on.

        Raises EdgesleepError where the URL is none, or elsewhere.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EdgesleepError(f"{url} is no address of a server.", "Give one like http://127.0.0.1:8080.")
        if not remote and not is_loopback(parts.hostname):
            raise EdgesleepError(
                f"{parts.hostname} may be another machine, and all you say would go there.",
                "Give --remote as well if it is yours.",
            )
        self.url = url.rstrip("/").removesuffix("/v1")
        self._held = _HELD | ({"authorization"} if key else set())
        # Not by a proxy that the environment names: it may be anywhere.
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=10.0), trust_env=False, limits=_LIMITS)

    async def send(
        self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> httpx.Response:
        """Pass a request on; its answer is yet to be read, and to be closed. Raises UpstreamError."""
        kept = [(name, value) for name, value in headers if name.lower() not in self._held and not _is_ours(name)]
        address = f"{self.url}{path}{'?' if query else ''}{query}"
        request = self._client.build_request(
            method, address, headers=[*kept, ("accept-encoding", "identity")], content=body
        )
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"{self.url} cannot be reached: {error or type(error).__name__}.", "Is it running there?"
            ) from error

    def back(self, answer: httpx.Response) -> dict[str, str]:
        """The headers of an answer that are given back."""
        return {name: value for name, value in answer.headers.items() if name.lower() not in _HELD}

    async def close(self) -> None:
        await self._client.aclose()


_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=16)


def _is_ours(name: str) -> bool:
    return name.lower().startswith("x-edgesleep-")


async def pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes of an answer as they come. Raises UpstreamError where they break off."""
    try:
        async for data in answer.aiter_bytes():
            yield data
    except httpx.HTTPError as error:
        raise UpstreamError(
            f"The server behind this one broke off: {type(error).__name__}.", "Ask it again."
        ) from error
    finally:
        await answer.aclose()
