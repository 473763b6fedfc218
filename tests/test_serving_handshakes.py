"""A client that never says what it wants, or all of it, is not kept."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from threading import Thread

import numpy as np
import pytest
from clients import frames_of
from clients import model as model
from websockets.sync.client import connect

from edgernn import Model
from edgernn.serving.app import Server
from edgernn.serving.limits import Limits
from edgernn.serving.running import listening, speaking_for
from edgernn.stream import Stream

SOON = 0.3  # seconds for a header
ASKED = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.fixture
def port(model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr("edgernn.serving.handshake.HEADER", SOON)
    with listening("127.0.0.1", 0) as there:
        running = speaking_for(Server(model, Limits(streams=1)))
        thread = Thread(target=running.run, args=([there],))
        thread.start()
        try:
            yield there.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()


def heard(there: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    told = b""
    while part := there.recv(1 << 16):
        told += part
    return told


@pytest.mark.parametrize("said", [b"", b"GET /heal", ASKED[:-2], UPGRADE])
def test_a_header_that_never_ends_is_not_waited_for(port: int, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=4) as there:
        there.sendall(said)
        assert heard(there) == b""


@pytest.mark.parametrize("rest", [b"\r\n", UPGRADE])
def test_nor_is_one_after_an_answer(port: int, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=4) as there:  # idle ones are kept for 5 seconds
        there.sendall(ASKED)
        assert b"200 OK" in there.recv(1 << 16)
        there.sendall(rest)
        assert heard(there) == b""


def test_bytes_that_drip_don_t_prolong_it(port: int) -> None:
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as there, pytest.raises(OSError):
        for byte in UPGRADE:
            there.sendall(bytes([byte]))
            time.sleep(SOON / 5)
    assert SOON < time.monotonic() - begin < 10 * SOON


def test_a_body_that_never_ends_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.serving.app.BODY", SOON)
    with socket.create_connection(("127.0.0.1", port), timeout=4) as there:
        there.sendall(b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 64\r\n\r\nhalf")
        told = heard(there)
    assert told.startswith(b"HTTP/1.1 408") and b"within 0.3 s" in told


def test_whoever_has_said_it_may_take_longer(port: int, model: Model) -> None:
    """A body comes late, a WebSocket is silent: both are answered."""
    x = frames_of(model, 2, 0)
    expected = Stream(model).run(x)
    with socket.create_connection(("127.0.0.1", port), timeout=4) as there:
        there.sendall(b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % x.nbytes)
        time.sleep(2 * SOON)
        there.sendall(x.tobytes())
        assert b"200 OK" in there.recv(1 << 16)
    with connect(f"ws://127.0.0.1:{port}/stream") as session:
        session.recv(4)
        time.sleep(2 * SOON)
        session.send(x.tobytes())
        np.testing.assert_array_equal(np.frombuffer(session.recv(4), "<f4"), expected.reshape(-1))
