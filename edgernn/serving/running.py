"""A server as a process: where it listens, and how it ends."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import sys
from contextlib import suppress

import uvicorn

from edgernn.errors import BadInput
from edgernn.serving.app import Server
from edgernn.serving.handshake import Prompt

WAITING = 2048  # connections that the system holds before they are accepted
SWITCH = 0.0005  # seconds for which Python keeps the thread that computes, or the one that answers, from going on
GRACE = 3  # seconds for messages in hand when the server is told to end


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine. Raises BadInput where it cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=WAITING)
    except OSError as error:
        raise BadInput(f"cannot listen at {host}, port {port}: {error.strerror}") from None


def speaking_for(server: Server) -> uvicorn.Server:
    """What speaks HTTP and WebSocket for a server."""
    config = uvicorn.Config(
        server,
        http=Prompt,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws_max_size=server.limits.message,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE,
    )
    return uvicorn.Server(config)


def serve(server: Server, there: socket.socket) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP. Addresses, which may hold tokens, are not logged."""
    _allow_files()
    sys.setswitchinterval(SWITCH)
    logging.getLogger("edgernn.serving").addHandler(logging.StreamHandler())
    running = speaking_for(server)
    # where nohup ignores it, it stays ignored; the other signals uvicorn handles by itself
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, running.handle_exit)
    with suppress(KeyboardInterrupt):
        running.run(sockets=[there])


def _allow_files() -> None:
    """A connection is an open file: as many as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
