"""How long a client may take to say what it wants."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER = 10.0  # seconds from connecting, or from a request's first bytes, to the end of its header


class Prompt(HttpToolsProtocol):
    """HTTP up to the upgrade to a WebSocket; uvicorn's own waits for a header without end."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first header is waited for."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A request that is under way now had its header; anything else is less than one."""
        super().data_received(data)
        upgraded = self not in self.connections
        if upgraded or (self.cycle and not self.cycle.response_complete):
            self._wait_no_more()
        elif self._late is None:  # bytes that come later don't prolong it
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEADER, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
