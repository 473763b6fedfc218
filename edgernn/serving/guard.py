"""Who may come in and how fast: a bearer token, no pages of other sites, an allowance; and states of those who left."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Mapping
from secrets import token_urlsafe
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed(token: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Whether a request shows the token: `Authorization: Bearer TOKEN`, or ?access_token=TOKEN, as browsers must."""
    if not token:
        return True
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = query.get("access_token", "")
    return hmac.compare_digest(shown.strip().encode(), token.encode())


def same_site(headers: Mapping[str, str], anybody: bool) -> bool:
    """Whether a browser's request comes from a page of this server; other programs don't say where they come from.

    anybody: no token is asked for, which is for loopback only. Then Host must name loopback too: another site's name
    may lead here (DNS rebinding), and its pages would seem to be ours.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        near = is_loopback(urlsplit(f"//{host}").hostname or "")
        return (near or not anybody) and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:  # no address at all
        return False


class Allowance:
    """How many frames a client may send: `rate` a second, saved up for one second."""

    def __init__(self, rate: float):
        self._rate, self._left, self._seen = rate, rate, time.monotonic()

    def wait(self, frames: float) -> float:
        """Takes so many frames; the seconds to wait before any more are read, 0 where there is no need."""
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._seen) * self._rate) - frames
        self._seen = now
        return max(0.0, -self._left / self._rate)


class Parked:
    """The states of clients that have gone, for `keep` seconds, each under a token that cannot be guessed."""

    def __init__(self, most: int, keep: float):
        self._most, self._keep = most, keep
        self._states: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        self._forget()
        return len(self._states)

    @staticmethod
    def token() -> str:
        """A new one."""
        return token_urlsafe(24)

    def put(self, token: str, state: bytes) -> None:
        """Keep a state; the oldest goes where there are too many."""
        self._states[token] = time.monotonic(), state
        self._forget()

    def take(self, token: str) -> bytes | None:
        """The state, once; None where it is not there any more."""
        self._forget()
        return self._states.pop(token, (0.0, None))[1]

    def _forget(self) -> None:
        oldest = time.monotonic() - self._keep
        while self._states and (len(self._states) > self._most or next(iter(self._states.values()))[0] < oldest):
            self._states.popitem(last=False)
