"""Clients that are clumsy or mean: each ends with a reason, and none keeps others from theirs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clients import NEAR, answers_to, client_of, frames_of, reason, resumed
from clients import model as model
from commands import call
from starlette.websockets import WebSocketDisconnect
from test_hops import frames_of as hop_frames
from test_hops import model_of
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from edgernn import Model
from edgernn.serving.batcher import Batcher, Failed
from edgernn.serving.connection import BAD_DATA, BROKEN, LATER, REFUSED, TOO_BIG
from edgernn.serving.guard import same_site
from edgernn.serving.running import listening
from edgernn.stream import Pool, Stream


def test_a_batch_that_fails_ends_its_connections_and_no_others(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    run, broken = Pool.run, [True]

    def failing(self: Pool, *given: Any, **named: Any) -> Any:
        if broken.pop() if broken else False:
            raise MemoryError("none left")
        return run(self, *given, **named)

    with client_of(model) as client, client.websocket_connect("/stream") as other:
        other.receive_json()
        monkeypatch.setattr(Pool, "run", failing)
        with client.websocket_connect("/stream") as session:
            token = session.receive_json()["resume"]
            session.send_bytes(frames_of(model, 1, 0).tobytes())
            code, why = reason(session)
            assert code == BROKEN and "MemoryError" in why
        x = frames_of(model, 2, 1)
        np.testing.assert_array_equal(answers_to(other, x), Stream(model).run(x).reshape(-1))
        with client.websocket_connect(f"/stream?resume={token}") as again:  # what it had taken is not known
            assert reason(again)[0] in (BAD_DATA, LATER)
        broken.append(True)
        assert client.post("/run", content=x.tobytes()).status_code == 500
        assert len(client.post("/run", content=x.tobytes()).json()["answers"]) == 2


def test_a_state_is_kept_when_a_client_cannot_go_on(model: Model) -> None:
    x = [frames_of(model, 3, n) for n in range(2)]
    with client_of(model, streams=1) as client:
        with client.websocket_connect("/stream") as session:
            token = session.receive_json()["resume"]
            first = answers_to(session, x[0])
        url = f"/stream?resume={token}"
        while True:  # the first is still leaving
            with client.websocket_connect(f"/stream?input=samples&resume={token}") as other:
                code, why = reason(other)
            if code == BAD_DATA:
                break
        assert "state" in why  # of frames, where that of samples is needed
        with client.websocket_connect("/stream") as session:
            session.receive_json()
            with client.websocket_connect(url) as full:
                assert reason(full)[0] == LATER
        while client.post("/run", content=b"").status_code == 503:
            time.sleep(0.01)
        with resumed(client, url) as session:
            both = np.concatenate((first, answers_to(session, x[1])))
        np.testing.assert_array_equal(both, Stream(model).run(np.concatenate(x)).reshape(-1))


def test_who_comes_and_goes_leaves_nothing(model: Model) -> None:
    with client_of(model) as client:
        for _ in range(30):
            with client.websocket_connect("/stream") as session:
                if session.receive()["type"] == "websocket.close":  # all are still leaving
                    time.sleep(0.01)
        while "edgernn_streams 0.0" not in (text := client.get("/metrics").text):
            time.sleep(0.01)
        assert "edgernn_parked_states 0.0" in text


def test_long_messages_go_in_parts(model: Model) -> None:
    x = frames_of(model, 700, 3)
    with client_of(model) as client, client.websocket_connect("/stream") as session:
        session.receive_json()
        assert answers_to(session, x[:0]).size == 0
        np.testing.assert_array_equal(answers_to(session, x), Stream(model).run(x).reshape(-1))
        body = client.post("/run", content=x.tobytes()).json()["answers"]
        np.testing.assert_allclose(body, Stream(model).run(x), rtol=1e-6)
        x[650, 1] = np.inf
        session.send_bytes(x.tobytes())
        assert reason(session)[0] == BAD_DATA
    with client_of(model, message=1000) as client:
        assert client.post("/run", content=bytes(2000)).status_code == 413


def test_a_message_that_would_keep_a_client_waiting_for_long_is_refused(model: Model) -> None:
    with client_of(model, rate=5) as client, client.websocket_connect("/stream") as session:
        session.receive_json()
        session.send_bytes(frames_of(model, 51, 0).tobytes())
        assert reason(session) == (TOO_BIG, "a message of 51 frames; at most 50 expected")


def test_models_with_a_hop_a_window_and_a_delay() -> None:
    for hop, window in ((1, 1), (3, 1), (2, 5)):
        made = model_of(hop, window)
        x = hop_frames(False)
        with client_of(made) as client, client.websocket_connect("/stream") as session:
            session.receive_json()
            single = Stream(made)
            for part in np.array_split(x, 5):
                np.testing.assert_array_equal(answers_to(session, part), single.run(part).reshape(-1))


def test_jobs_of_many_lengths_are_computed_together(model: Model) -> None:
    async def many() -> None:
        batcher = Batcher(model, 8, 0.01)
        working = asyncio.create_task(batcher.work())
        streams = [await batcher.take() for _ in range(8)]
        for lengths in ([0, 1, 2, 70, 150, 3, 1, 2], [5] * 8):
            x = [frames_of(model, length, n) for n, length in enumerate(lengths)]
            singles = [Stream(model) for _ in streams]
            for n in streams:
                batcher._pool.reset(n)
            found = await asyncio.gather(*(batcher.submit(n, x[n]) for n in streams))
            for n in streams:
                np.testing.assert_array_equal(found[n], singles[n].run(x[n]))
        batcher._pool = None  # type: ignore[assignment]
        with pytest.raises(Failed, match="AttributeError"):
            await asyncio.wait_for(batcher.submit(0, x[0]), 5)
        working.cancel()
        batcher.close()

    asyncio.run(many())


@pytest.mark.parametrize(
    ("host", "origin", "near", "far"),
    [
        ("127.0.0.1:8765", None, True, True),
        ("localhost", "http://localhost", True, True),
        ("[::1]:8765", "http://[::1]:8765", True, True),
        ("evil.test", "http://evil.test", False, True),  # DNS rebinding: a token is what keeps it out
        ("evil.test:8765", None, False, True),
        ("127.0.0.1:8765", "http://evil.test", False, False),
        ("127.0.0.1:8765", "null", False, False),
        ("127.0.0.1.evil.test", None, False, True),
        ("[", "http://[", False, False),
        ("", None, False, True),
    ],
)
def test_names_that_lead_here(host: str, origin: str | None, near: bool, far: bool) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    assert same_site(headers, anybody=True) == near
    assert same_site(headers, anybody=False) == far


def test_another_site_s_name_is_refused_everywhere_but_at_healthz(model: Model) -> None:
    evil = {"Host": "evil.test", "Origin": "http://evil.test"}
    with client_of(model) as client:
        assert client.post("/run", headers=evil).status_code == 403
        assert client.get("/metrics", headers=evil).status_code == 403
        assert client.get("/healthz", headers=evil).status_code == 200
        assert client.get("/metrics", headers={"Origin": f"http://{NEAR}"}).status_code == 200
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/stream", headers=evil):
            pass
        assert caught.value.code == REFUSED


def test_an_address_that_cannot_be_had_is_one_line(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.edgernn")
    with listening("127.0.0.1", 0) as taken:
        done = call("serve", tmp_path / "m.edgernn", "--port", taken.getsockname()[1])
    assert done.exit_code == 1
    assert done.output.startswith("error: cannot listen at 127.0.0.1, port") and len(done.output.splitlines()) == 1
    done = call("serve", tmp_path / "m.edgernn", "--streams", 10**12)
    assert done.exit_code == 1 and "at most" in done.output and len(done.output.splitlines()) == 1


@contextmanager
def server(model: Model, folder: Path, host: str = "127.0.0.1") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server as a process of its own, and its port; it ends at SIGHUP even if the tests are run by nohup."""
    model.save(folder / "m.edgernn")
    command = [sys.executable, "-m", "edgernn", "serve", str(folder / "m.edgernn"), "--port", "0", "--host", host]
    environment = dict(os.environ)
    environment.pop("EDGERNN_TOKEN", None)
    started = {"env": environment, "preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **started) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            yield process, int(line.rsplit("/", 2)[1].rsplit(":", 1)[1].split("/")[0])
        finally:
            process.kill()


def hello(session: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(session.recv(10))
    return told


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_ends_while_clients_are_there(model: Model, tmp_path: Path, ending: signal.Signals) -> None:
    """One waits, one is being slowed, one has said nothing, one half of a body, one left in the middle of a word."""
    with server(model, tmp_path) as (process, port):
        url = f"ws://127.0.0.1:{port}/stream"
        x = frames_of(model, 2, 0)
        silent, half = (closing(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
        half.thing.sendall(b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8\r\n\r\n" + bytes(4))
        with silent, half, connect(url) as waiting, connect(url, max_queue=None) as slowed:
            hello(waiting)
            much = round(8 * 4 / hello(slowed)["seconds_per_frame"])  # what 8 seconds allow
            slowed.send(frames_of(model, much, 0).tobytes())
            assert len(slowed.recv(10)) > 0 and "more than" in slowed.recv(10)
            gone = socket.create_connection(("127.0.0.1", port))
            gone.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
            gone.close()
            waiting.send(x.tobytes())
            assert np.array_equal(np.frombuffer(waiting.recv(10), "<f4"), Stream(model).run(x).reshape(-1))
            process.send_signal(ending)
            with pytest.raises(ConnectionClosed) as caught:
                waiting.recv(10)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012  # service restart
            assert process.wait(20) in (0, -ending)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_client_that_never_reads_is_not_read_either(model: Model, tmp_path: Path) -> None:
    """What it sends stays with the system: the server holds one answer, and others are answered."""
    with server(model, tmp_path, "::1") as (_, port):
        url = f"ws://[::1]:{port}/stream?input=samples&output=live"
        message = np.zeros(20000, "<f4").tobytes()
        with connect(url, max_queue=1) as deaf, connect(f"ws://[::1]:{port}/stream") as other:
            hello(deaf)
            hello(other)
            deaf.socket.settimeout(0.3)
            sent = 0
            with pytest.raises((TimeoutError, ConnectionClosed)):
                while sent < 400:
                    deaf.send(message)
                    sent += 1
            assert sent < 400
            x = frames_of(model, 2, 0)
            other.send(x.tobytes())
            assert np.array_equal(np.frombuffer(other.recv(10), "<f4"), Stream(model).run(x).reshape(-1))
            other.send(bytes(1 + (1 << 20)))
            with pytest.raises(ConnectionClosed) as caught:
                other.recv(10)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == TOO_BIG
