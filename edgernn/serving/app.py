"""The server: /stream (WebSocket), /run (HTTP), /healthz, /metrics, and a page at /."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgernn.errors import BadInput
from edgernn.layers.model import Model
from edgernn.serving.batcher import Batcher, Full
from edgernn.serving.guard import Allowance, Parked, allowed, same_site
from edgernn.serving.limits import Limits
from edgernn.serving.metrics import Metrics
from edgernn.serving.session import Session, Wishes

PAGE = Path(__file__).with_name("page.html")
# WebSocket close codes (RFC 6455, section 7.4.1, and IANA's registry)
BAD_DATA, REFUSED, TOO_BIG, LATER = 1007, 1008, 1009, 1013


class Server:
    """One model behind Starlette. `token`: what clients must show; empty: nothing."""

    def __init__(self, model: Model, limits: Limits, threads: int = 1, token: str = ""):
        self.limits, self.token = limits, token
        self.metrics, self.parked = Metrics(), Parked(limits.parked, limits.keep)
        self.batcher = Batcher(model, limits.streams, limits.deadline, threads)
        self.batcher.observe = self.metrics.batched
        routes = [
            Route("/", self.page),
            Route("/healthz", self.healthz),
            Route("/metrics", self.figures),
            Route("/run", self.run, methods=["POST"]),
            WebSocketRoute("/stream", self.stream),
        ]
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        working = asyncio.create_task(self.batcher.work())
        yield
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        self.batcher.close()

    def _refusal(self, request: Request) -> Response | None:
        if allowed(self.token, request.headers, request.query_params):
            return None
        return JSONResponse({"error": "a bearer token is needed"}, 401, {"WWW-Authenticate": "Bearer"})

    async def page(self, request: Request) -> Response:
        """A page that streams the browser's microphone."""
        return self._refusal(request) or HTMLResponse(PAGE.read_text(encoding="utf-8"))

    async def healthz(self, request: Request) -> Response:
        """Whether the server runs; needs no token."""
        return JSONResponse({"status": "ok"})

    async def figures(self, request: Request) -> Response:
        """What Prometheus reads."""
        self.metrics.parked.set(len(self.parked))
        return self._refusal(request) or Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def run(self, request: Request) -> Response:
        """One body of frames or samples from the initial state on -> its answers as JSON."""
        if refused := self._refusal(request):
            return refused
        body = await _body(request, self.limits.message)
        if body is None:
            return JSONResponse({"error": f"at most {self.limits.message} bytes a request"}, 413)
        try:
            wishes = Wishes.of(request.query_params, self.batcher.model)
            stream = await self.batcher.take()
        except BadInput as error:
            return JSONResponse({"error": str(error)}, 400)
        except Full:
            return JSONResponse({"error": "all streams are taken"}, 503, {"Retry-After": "1"})
        try:
            session = Session(self.batcher, wishes, stream)
            answers = await self.batcher.submit(stream, session.frames(body))
        except BadInput as error:
            return JSONResponse({"error": str(error)}, 400)
        finally:
            await asyncio.shield(self.batcher.give_back(stream))
        return JSONResponse({"answers": answers.tolist()})

    async def stream(self, socket: WebSocket) -> None:
        """A connection: its stream lives as long as it does, and is parked afterwards."""
        if not allowed(self.token, socket.headers, socket.query_params) or not same_site(socket.headers):
            await socket.close(REFUSED, "a bearer token is needed, and a page of this server")
            return
        await socket.accept()
        try:
            wishes = Wishes.of(socket.query_params, self.batcher.model)
            session = await self._begun(wishes, socket.query_params.get("resume"))
        except BadInput as error:
            await self._close(socket, BAD_DATA, "wish", str(error))
            return
        except Full:
            await self._close(socket, LATER, "full", f"all {self.limits.streams} streams are taken; try again later")
            return
        token = self.parked.token()
        self.metrics.streams.inc()
        try:
            await socket.send_text(json.dumps(session.hello | {"resume": token}))
            await self._serve(socket, session)
        except (WebSocketDisconnect, ConnectionError):
            pass
        finally:
            self.metrics.streams.dec()
            await asyncio.shield(self._park(session, token))

    async def _begun(self, wishes: Wishes, resumed: str | None) -> Session:
        state = None if resumed is None else self.parked.take(resumed)
        if resumed is not None and state is None:
            raise BadInput("there is no state to resume under this token (any more)")
        session = Session(self.batcher, wishes, -1)
        session.stream = await self.batcher.take(None if state is None else session.resume(state))
        return session

    async def _park(self, session: Session, token: str) -> None:
        state = await self.batcher.give_back(session.stream)
        self.parked.put(token, session.state(state))

    async def _serve(self, socket: WebSocket, session: Session) -> None:
        """Message after message; the next is not read before this one's answer is there, so a client cannot pile up."""
        allowance = Allowance(self.limits.rate)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            begin = time.monotonic()
            try:
                if message.get("bytes") is None:
                    raise BadInput("binary messages expected, this one is text")
                answer, frames = await session.feed(message["bytes"])
            except BadInput as error:
                await self._close(socket, BAD_DATA, "data", str(error))
                return
            if isinstance(answer, bytes):
                await socket.send_bytes(answer)
            elif answer is not None:
                await socket.send_text(answer)
            self.metrics.messages.inc()
            self.metrics.latency.observe(time.monotonic() - begin)
            if wait := allowance.wait(frames):
                self.metrics.slowed.inc()
                slow = {"slow": f"more than {self.limits.rate:g} frames a second; reading goes on in {wait:.2f} s"}
                await socket.send_text(json.dumps(slow))
                await asyncio.sleep(wait)

    async def _close(self, socket: WebSocket, code: int, reason: str, text: str) -> None:
        """End a connection with a reason, which has room for 123 bytes."""
        self.metrics.closed.labels(reason).inc()
        await socket.close(code, text.encode()[:123].decode(errors="ignore"))


async def _body(request: Request, most: int) -> bytes | None:
    parts: list[bytes] = []
    async for part in request.stream():
        parts.append(part)
        if sum(map(len, parts)) > most:
            return None
    return b"".join(parts)


def serve(server: Server, host: str, port: int) -> None:
    """Serve until a signal. Raises OSError where the address is taken."""
    import uvicorn

    options: dict[str, Any] = {
        "ws_max_size": server.limits.message,
        "log_level": "warning",
        "ws_per_message_deflate": False,
    }
    uvicorn.run(server.app, host=host, port=port, **options)
