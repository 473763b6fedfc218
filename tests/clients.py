"""What the tests of the server share: a model to serve, clients of it, and what they send and hear."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from listeners import listener
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from edgernn import Model
from edgernn.serving.app import Server
from edgernn.serving.connection import LATER
from edgernn.serving.limits import Limits

SAMPLES = "/stream?input=samples"
NEAR = "127.0.0.1:8765"


@pytest.fixture(scope="module")
def model() -> Model:
    made = listener()
    assert made.deciding is not None
    return replace(made, deciding=replace(made.deciding, threshold=(0.3,) * 3, release=(0.2,) * 3, report="start"))


def client_of(model: Model, token: str = "", **limits: Any) -> TestClient:
    return TestClient(
        Server(model, Limits(**{"streams": 4, "rate": 1e6, "deadline": 0.002} | limits), token=token),
        headers={"Host": NEAR},
    )


@pytest.fixture
def client(model: Model) -> Iterator[TestClient]:
    with client_of(model) as made:
        yield made


def frames_of(model: Model, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, model.inputs[0].size)).astype(np.float32)


def answers_to(session: Any, frames: np.ndarray) -> np.ndarray:
    session.send_bytes(frames.tobytes())
    return np.frombuffer(session.receive_bytes(), "<f4")


def reason(session: Any) -> tuple[int, str]:
    """Why the server closes a connection."""
    with pytest.raises(WebSocketDisconnect) as caught:
        session.receive_bytes()
    return caught.value.code, caught.value.reason


@contextmanager
def resumed(client: TestClient, url: str) -> Iterator[Any]:
    """A connection that goes on; the one before it may still be leaving."""
    while True:
        with client.websocket_connect(url) as session:
            if (first := session.receive())["type"] == "websocket.send":
                assert url.endswith(json.loads(first["text"])["resume"])
                yield session
                return
            assert first["code"] == LATER
        time.sleep(0.01)
