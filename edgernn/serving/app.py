"""The server: /stream (WebSocket), /run (HTTP), /healthz, /metrics, and a page at /."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from edgernn.errors import BadInput
from edgernn.layers.model import Model
from edgernn.serving.batcher import Batcher, Failed, Full
from edgernn.serving.connection import Connection
from edgernn.serving.guard import Parked, allowed, same_site
from edgernn.serving.limits import Limits
from edgernn.serving.metrics import Metrics
from edgernn.serving.session import Session, Told, Wishes

PAGE = Path(__file__).with_name("page.html")
BODY = 60.0  # seconds for the body of a request


class Server:
    """One model as an ASGI application. `token`: what clients must show; empty: nothing, for loopback only."""

    def __init__(self, model: Model, limits: Limits, threads: int = 1, token: str = ""):
        self.limits, self.token = limits, token
        self.metrics, self.parked = Metrics(), Parked(limits.parked, limits.keep)
        self.open: set[str] = set()  # the tokens of connections that last
        self.batcher = Batcher(model, limits.streams, limits.deadline, threads)
        self.batcher.observe = self.metrics.batched
        routes = [
            Route("/", self.page),
            Route("/healthz", self.healthz),
            Route("/metrics", self.figures),
            Route("/run", self.run, methods=["POST"]),
        ]
        self._pages = Starlette(routes=routes, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. A stream goes past Starlette, whose layers cost more for a message than the computing."""
        if scope["type"] == "websocket" and scope["path"] == "/stream":
            await Connection(self, scope, receive, send).run()
        else:
            await self._pages(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        working = asyncio.create_task(self.batcher.work())
        yield
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        self.batcher.close()

    def _refusal(self, request: Request) -> Response | None:
        if not same_site(request.headers, anybody=not self.token):
            return JSONResponse({"error": "only pages of this server may ask"}, 403)
        if not allowed(self.token, request.headers, request.query_params):
            return JSONResponse({"error": "a bearer token is needed"}, 401, {"WWW-Authenticate": "Bearer"})
        return None

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
        try:
            if "resume" in request.query_params:
                raise BadInput("resume=TOKEN is for /stream: /run begins in the initial state")
            async with asyncio.timeout(BODY):
                body = await _body(request, self.limits.message)
            if body is None:
                return JSONResponse({"error": f"at most {self.limits.message} bytes a request"}, 413)
            told = await self._told(Wishes.of(request.query_params, self.batcher.model), body)
        except BadInput as error:
            return JSONResponse({"error": str(error)}, 400)
        except TimeoutError:
            return JSONResponse({"error": f"the body has to come within {BODY:g} s"}, 408, {"Connection": "close"})
        except Full:
            return JSONResponse({"error": "all streams are taken"}, 503, {"Retry-After": "1"})
        except Failed as error:
            return JSONResponse({"error": str(error)}, 500)
        except (ClientDisconnect, asyncio.CancelledError):  # the client has gone, or the server ends
            return Response(status_code=503)  # nobody reads it
        if isinstance(told, np.ndarray):
            numbers = told.astype(object)
            numbers[~np.isfinite(told)] = None  # JSON has neither infinity nor NaN
            told = {"answers": numbers.tolist()}
        return JSONResponse(told or {"decisions": []})

    async def _told(self, wishes: Wishes, body: bytes) -> Told:
        """What a body leads to, in a stream of its own."""
        session = Session(self.batcher, wishes, -1)
        session.frames_in(body)
        session.stream = await self.batcher.take()
        try:
            return await session.feed(body)
        finally:
            await asyncio.shield(self.batcher.give_back(session.stream))


async def _body(request: Request, most: int) -> bytes | None:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)
