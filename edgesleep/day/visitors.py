"""Visitors: who may see the pages of `serve`, and act on them.

Owns what a browser needs beside the checks of `guard`: sessions for those who gave the key, the token that a form
bears, and the headers of every page. Leaves the pages to `web`. Must stay true: nothing is done for a form that another
page sent, whatever `--cors` allows to the API; a session's name is in a cookie that no script reads, and the key is in
no address and no cookie; nothing of it outlasts the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping

from edgesleep.day.guard import Rules, bearer, origin_is

COOKIE = "edgesleep"
IDLE = 3600.0  # seconds after its last use that a session ends, as other ports of this host are sent its cookie
LASTS = 12 * 3600.0  # seconds that it lasts at most
MOST = 100  # sessions at once; the oldest goes
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With none at all browsers do not say where a form comes from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Heads = Mapping[str, str]


class Visitors:
    """Those who come to one server while it runs; `heads` are those of a request, names in small letters."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[str, tuple[float, float]] = {}  # when they began, and were used last

    def refused(self, method: str, heads: Heads) -> str:
        """Why a request is not listened to, whoever sends it; "" where it is."""
        host, origin = heads.get("host", ""), heads.get("origin")
        if not self._rules.is_own(host):
            return "This server answers to this machine's own names alone; its owner can add one with --name."
        acts = method not in ("GET", "HEAD")
        # Cookies know neither ports nor who asks: without this, a page of any program on this machine could act.
        if (acts or origin is not None) and not origin_is(origin or "", host):
            return "Only this server's own pages may ask that."
        if acts and heads.get("sec-fetch-site", "same-origin") != "same-origin":
            return "Only this server's own pages may ask that."
        return ""

    def is_known(self, heads: Heads) -> bool:
        """Whether someone gave the key, or none is demanded."""
        return not self._rules.key or self._rules.is_key(bearer(heads)) or self.is_in(heads)

    def is_in(self, heads: Heads) -> bool:
        """Whether they have a session."""
        return bool(self._session(heads))

    def enter(self, key: str) -> str:
        """A session for who gives the key; "" where it is another."""
        if not self._rules.is_key(key):
            return ""
        now, name = time.monotonic(), secrets.token_urlsafe(32)
        fresh = [(one, times) for one, times in self._sessions.items() if self._goes_on(one)]
        self._sessions = dict([*fresh, (name, (now, now))][-MOST:])
        return name

    def leave(self, heads: Heads) -> None:
        self._sessions.pop(self._session(heads), None)

    def token(self, heads: Heads) -> str:
        """What the forms on a page bear that is shown to them: no other page can read it."""
        return hmac.new(self._secret, self._session(heads).encode(), hashlib.sha256).hexdigest()

    def is_token(self, heads: Heads, given: str) -> bool:
        return hmac.compare_digest(self.token(heads).encode(), given.encode())

    def _session(self, heads: Heads) -> str:
        """Theirs, which this uses; "" where none goes on.

        Other programs of this machine may have set cookies of any kind and name.
        """
        pairs = (part.strip().partition("=") for part in heads.get("cookie", "").split(";"))
        given = (value for name, _, value in pairs if name == COOKIE)
        if name := next(filter(self._goes_on, given), ""):
            self._sessions[name] = self._sessions[name][0], time.monotonic()
        return name

    def _goes_on(self, name: str) -> bool:
        began, used = self._sessions.get(name, (-LASTS, -IDLE))
        return time.monotonic() < min(began + LASTS, used + IDLE)
