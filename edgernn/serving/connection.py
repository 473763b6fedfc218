"""A WebSocket of /stream: message after message through a session, its state parked at the end. Speaks bare ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from edgernn.errors import BadInput
from edgernn.serving.batcher import Failed, Full
from edgernn.serving.guard import Allowance, Parked, allowed, same_site
from edgernn.serving.session import Session, Told, Wishes

if TYPE_CHECKING:
    from edgernn.serving.app import Server

# WebSocket close codes (RFC 6455, section 7.4.1, and IANA's registry)
BAD_DATA, REFUSED, TOO_BIG, BROKEN, LATER = 1007, 1008, 1009, 1011, 1013
PATIENCE = 10.0  # seconds that a client is slowed at most for one message: the server's pings want an answer in 20


class Refused(Exception):
    """A connection ends: its code, the reason in a word for the metrics, and in words for the client."""

    def __init__(self, code: int, word: str, text: str):
        super().__init__(text)
        self.code, self.word = code, word


class Connection:
    """One client, from its handshake to its state."""

    def __init__(self, server: Server, scope: Scope, receive: Receive, send: Send):
        self._server, self._receive, self._send = server, receive, send
        self._headers, self._query = Headers(raw=scope["headers"]), QueryParams(scope["query_string"])
        self._worth = False  # whether there is a state to keep

    async def run(self) -> None:
        """Until the client has gone or is refused."""
        with suppress(OSError, asyncio.CancelledError):  # the client has gone in the middle, or the server ends
            await self._receive()
            try:
                await self._admit()
                await self._resume()
            except Refused as error:
                self._server.metrics.closed.labels(error.word).inc()
                reason = str(error).encode()[:123].decode(errors="ignore")  # there is no room for more
                await self._send({"type": "websocket.close", "code": error.code, "reason": reason})

    async def _admit(self) -> None:
        server = self._server
        if not same_site(self._headers, anybody=not server.token):
            raise Refused(REFUSED, "site", "only pages of this server may connect")
        if not allowed(server.token, self._headers, self._query):
            raise Refused(REFUSED, "token", "a bearer token is needed")
        await self._send({"type": "websocket.accept"})

    async def _resume(self) -> None:
        """A stream, in the state that a token stands for where the client shows one, until the client goes."""
        server, shown = self._server, self._query.get("resume")
        if shown in server.open:
            raise Refused(LATER, "open", "the connection that had this token has not ended yet; try again later")
        state = None if shown is None else server.parked.take(shown)
        if shown is not None and state is None:
            raise Refused(BAD_DATA, "wish", "there is no state to resume under this token (any more)")
        token, self._worth = shown or Parked.token(), state is not None
        server.open.add(token)
        try:
            session = await self._begun(state)
        except BaseException:
            server.open.discard(token)
            if state is not None:
                server.parked.put(token, state)
            raise
        server.metrics.streams.inc()
        try:
            await self._serve(session, token)
        finally:
            server.metrics.streams.dec()
            await asyncio.shield(self._park(session, token))

    async def _begun(self, state: bytes | None) -> Session:
        server = self._server
        try:
            session = Session(server.batcher, Wishes.of(self._query, server.batcher.model), -1)
            session.stream = await server.batcher.take(None if state is None else session.resume(state))
        except BadInput as error:
            raise Refused(BAD_DATA, "wish", str(error)) from None
        except Full:
            raise Refused(LATER, "full", f"all {server.limits.streams} streams are taken; try again later") from None
        return session

    async def _park(self, session: Session, token: str) -> None:
        try:
            state = await self._server.batcher.give_back(session.stream)
            if self._worth:
                self._server.parked.put(token, session.state(state))
        finally:
            self._server.open.discard(token)

    async def _serve(self, session: Session, token: str) -> None:
        """Message after message; the next is not read before this one's answer is sent, so a client cannot pile up."""
        server, allowance = self._server, Allowance(self._server.limits.rate)
        await self._tell({**session.hello, "resume": token})
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            begin = time.monotonic()
            frames, told = await self._fed(session, message.get("bytes"))
            if told is not None:
                await self._tell(told)
            server.metrics.latency.observe(time.monotonic() - begin)
            if wait := allowance.wait(frames):
                server.metrics.slowed.inc()
                rate = f"more than {server.limits.rate:g} frames a second"
                await self._tell({"slow": f"{rate}; reading goes on in {wait:.2f} s"})
                await asyncio.sleep(wait)

    async def _fed(self, session: Session, message: bytes | None) -> tuple[float, Told]:
        """How many frames a message brought, and what it leads to."""
        most = max(1.0, PATIENCE * self._server.limits.rate)
        try:
            if message is None:
                raise BadInput("binary messages expected, this one is text")
            frames = session.frames_in(message)
            if frames > most:
                raise Refused(TOO_BIG, "data", f"a message of {frames:.0f} frames; at most {most:.0f} expected")
            told = await session.feed(message)
        except BadInput as error:
            raise Refused(BAD_DATA, "data", str(error)) from None
        except Failed as error:
            self._worth = False
            raise Refused(BROKEN, "failed", f"{error}; begin anew") from None
        self._worth = True
        return frames, told

    async def _tell(self, told: Told) -> None:
        if isinstance(told, np.ndarray):
            await self._send({"type": "websocket.send", "bytes": told.astype("<f4", copy=False).tobytes()})
        else:
            await self._send({"type": "websocket.send", "text": json.dumps(told)})
