"""The server: who is let in, how much each may send, and what is refused by name."""

from __future__ import annotations

import time

import numpy as np
import pytest
from clients import NEAR, answers_to, client_of, frames_of, reason
from clients import client as client
from clients import model as model
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from edgernn import BadInput, Model
from edgernn.serving.batcher import Batcher
from edgernn.serving.connection import BAD_DATA, LATER, REFUSED
from edgernn.serving.guard import Allowance, Parked, is_loopback
from edgernn.serving.limits import Limits
from edgernn.stream import Stream


@pytest.mark.parametrize(
    "query", ["output=all", "format=int16", "input=samples&format=int8", "output=live", "fromat=int16"]
)
def test_wishes_that_cannot_be_met_are_named(client: TestClient, query: str) -> None:
    with client.websocket_connect(f"/stream?{query}") as session:
        code, why = reason(session)
        assert code == BAD_DATA and "=" in why
    assert client.post(f"/run?{query}").status_code == 400


def test_no_more_connections_than_streams(model: Model) -> None:
    with client_of(model, streams=1) as client:
        with client.websocket_connect("/stream") as first:
            first.receive_json()
            with client.websocket_connect("/stream") as second:
                assert reason(second) == (LATER, "all 1 streams are taken; try again later")
            assert client.post("/run", content=b"").status_code == 503
        while (done := client.post("/run", content=b"")).status_code == 503:  # the first is still leaving
            time.sleep(0.01)
        assert done.json() == {"answers": []}


def test_a_client_that_is_too_fast_is_told_and_slowed(model: Model) -> None:
    with client_of(model, rate=50) as client, client.websocket_connect("/stream") as session:
        session.receive_json()
        x, stream = frames_of(model, 60, 0), Stream(model)
        np.testing.assert_array_equal(answers_to(session, x), stream.run(x).reshape(-1))
        assert "more than 50 frames a second" in session.receive_json()["slow"]
        begin = time.monotonic()
        np.testing.assert_array_equal(answers_to(session, x[:1]), stream.run(x[:1]).reshape(-1))
        assert time.monotonic() - begin > 0.1
        assert "edgernn_slowed_total" in client.get("/metrics").text


def test_a_token_is_asked_for(model: Model) -> None:
    with client_of(model, token="secret") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        for path in ("/", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
        assert client.post("/run").status_code == 401
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/stream"):
            pass
        assert caught.value.code == REFUSED
        with client.websocket_connect("/stream?access_token=secret") as session:
            assert session.receive_json()["n_in"] == model.inputs[0].size


def test_pages_of_other_sites_are_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/stream", headers={"Origin": "http://evil.test"}),
    ):
        pass
    with client.websocket_connect("/stream", headers={"Origin": f"http://{NEAR}"}) as session:
        session.receive_json()


def test_models_that_cannot_be_served_say_so() -> None:
    from cases import CASES

    with pytest.raises(BadInput, match="one input of numbers and one output"):
        Batcher(CASES["tokens"](), 4, 0.01)
    with pytest.raises(BadInput, match="streams=0"):
        Limits(streams=0)
    assert Limits(streams=4000).parked >= 4000  # all may leave at once


def test_what_is_parked_is_forgotten() -> None:
    parked = Parked(2, 60.0)
    for name in "abc":
        parked.put(name, name.encode())
    assert [parked.take(name) for name in "abca"] == [None, b"b", b"c", None]
    late = Parked(2, 0.01)
    late.put("a", b"a")
    time.sleep(0.02)
    assert len(late) == 0 and late.take("a") is None


def test_an_allowance_is_saved_up_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 0.6, 10.0])
    monkeypatch.setattr("edgernn.serving.guard.time.monotonic", lambda: next(clock))
    allowance = Allowance(100.0)
    assert allowance.wait(90) == 0
    assert allowance.wait(40) == pytest.approx(0.2)  # 10 were left, and 10 more have come
    assert allowance.wait(100) == 0


@pytest.mark.parametrize(
    ("host", "near"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_which_addresses_are_this_machine_s_own(host: str, near: bool) -> None:
    assert is_loopback(host) == near


def test_one_body_resumes_nothing(client: TestClient, model: Model) -> None:
    with client.websocket_connect("/stream") as session:
        token = session.receive_json()["resume"]
        answers_to(session, frames_of(model, 2, 0))
    told = client.post(f"/run?resume={token}", content=b"")
    assert told.status_code == 400 and "is for /stream" in told.json()["error"]
