"""The server: every connection has a stream of its own, with the answers of a Stream."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from cases import Net
from clients import SAMPLES, answers_to, client_of, frames_of, reason, resumed
from clients import client as client
from clients import model as model
from commands import call, good
from listeners import noise
from starlette.testclient import TestClient

from edgernn import Model, Pipeline
from edgernn.layers import Affine
from edgernn.serving.batcher import Batcher
from edgernn.serving.connection import BAD_DATA, LATER
from edgernn.stream import Stream


def test_each_connection_has_a_stream_of_its_own(client: TestClient, model: Model) -> None:
    streams = [Stream(model) for _ in range(3)]
    with client.websocket_connect("/stream") as a, client.websocket_connect("/stream") as b:
        hello = a.receive_json()
        assert (hello["n_in"], hello["n_out"], hello["output"]) == (
            model.inputs[0].size,
            model.outputs[0].size,
            "answers",
        )
        assert b.receive_json()["resume"] != hello["resume"]
        for n in range(5):
            for session, stream, seed in ((a, streams[0], n), (b, streams[1], 100 + n)):
                x = frames_of(model, 1 + n % 3, seed)
                np.testing.assert_array_equal(answers_to(session, x), stream.run(x).reshape(-1))
    body = frames_of(model, 7, 5)
    done = client.post("/run", content=body.tobytes())
    np.testing.assert_allclose(done.json()["answers"], streams[2].run(body), rtol=1e-6)


def test_samples_become_decisions(client: TestClient, model: Model) -> None:
    samples = noise(model)
    pipeline, expected = Pipeline(model), []
    with client.websocket_connect(f"{SAMPLES}&format=int16&output=live") as session:
        session.receive_json()
        found = []
        for start in range(0, len(samples), 100):
            part = np.clip(np.rint(samples[start : start + 100] * 32768), -32768, 32767).astype("<i2")
            session.send_bytes(part.tobytes())
            told = session.receive_json()
            found += told["decisions"]
            expected += pipeline.feed(part / np.float32(32768))
            assert told["time"] == round(pipeline.time, 3)
            assert told["scores"] == {label: round(score, 4) for label, score in pipeline.scores.items()}
            assert all(len(frame) == model.inputs[0].size for frame in told["features"])
    assert expected and [(d["label"], d["start"], d["end"]) for d in found] == [
        (d.label, d.start, d.end) for d in expected
    ]


def test_only_decisions_are_told_where_that_is_wished(client: TestClient, model: Model) -> None:
    samples = noise(model)
    pipeline = Pipeline(model)
    expected = pipeline.feed(samples)
    with client.websocket_connect(f"{SAMPLES}&output=decisions") as session:
        session.receive_json()
        session.send_bytes(samples.astype("<f4").tobytes())
        assert [d["start"] for d in session.receive_json()["decisions"]] == [d.start for d in expected]


@pytest.mark.parametrize("query", ["/stream", f"{SAMPLES}&output=live"])
def test_a_client_that_comes_back_goes_on(client: TestClient, model: Model, query: str) -> None:
    samples = noise(model).astype("<f4")
    parts = (
        [frames_of(model, 3, 1), frames_of(model, 3, 2)] if query == "/stream" else [samples[:333], samples[333:700]]
    )
    with client.websocket_connect(query) as whole:
        whole.receive_json()
        expected = []
        for part in parts:
            whole.send_bytes(part.tobytes())
            expected.append(whole.receive())
    with client.websocket_connect(query) as session:
        token = session.receive_json()["resume"]
        session.send_bytes(parts[0].tobytes())
        assert session.receive() == expected[0]
    url = f"{query}{'&' if '?' in query else '?'}resume={token}"
    with resumed(client, url) as session:
        session.send_bytes(parts[1].tobytes())
        assert session.receive() == expected[1]
        with client.websocket_connect(url) as again:  # one connection at a time
            code, why = reason(again)
            assert code == LATER and "not ended yet" in why
    with client.websocket_connect(f"{url}x") as unknown:
        code, why = reason(unknown)
        assert code == BAD_DATA and "no state to resume" in why


def test_a_bad_frame_closes_its_stream_and_touches_no_other(client: TestClient, model: Model) -> None:
    stream, x = Stream(model), frames_of(model, 4, 3)
    bad = x.copy()
    bad[2, 1] = np.nan
    with client.websocket_connect("/stream") as good:
        good.receive_json()
        for message, expected in ((b"123", "3 bytes"), (bad.tobytes(), "is nan")):
            with client.websocket_connect("/stream") as session:
                session.receive_json()
                session.send_bytes(message)
                code, why = reason(session)
                assert code == BAD_DATA and expected in why
            np.testing.assert_array_equal(answers_to(good, x), stream.run(x).reshape(-1))
        with client.websocket_connect("/stream") as session:
            session.receive_json()
            session.send_text("hello")
            assert "binary" in reason(session)[1]
    done = client.post("/run", content=b"12345")
    assert done.status_code == 400 and "5 bytes" in done.json()["error"]


def test_of_a_message_with_a_bad_number_nothing_is_taken(client: TestClient, model: Model) -> None:
    x, alone = frames_of(model, 200, 3), Stream(model)
    bad = x.copy()
    bad[150, 1] = np.inf
    with client.websocket_connect("/stream") as session:
        token = session.receive_json()["resume"]
        np.testing.assert_array_equal(answers_to(session, x), alone.run(x).reshape(-1))
        session.send_bytes(bad.tobytes())
        assert "frame 150 of the message is inf" in reason(session)[1]
    with client.websocket_connect(f"/stream?resume={token}") as session:
        session.receive_json()
        np.testing.assert_array_equal(answers_to(session, x), alone.run(x).reshape(-1))


def test_metrics_count(client: TestClient, model: Model) -> None:
    with client.websocket_connect("/stream") as session:
        session.receive_json()
        answers_to(session, frames_of(model, 3, 0))
        text = client.get("/metrics").text
        assert (
            "edgernn_streams 1.0" in text
            and "edgernn_frames_total 3.0" in text
            and "edgernn_answer_seconds_count 1.0" in text
        )
    while "edgernn_parked_states 1.0" not in client.get("/metrics").text:  # it is still leaving
        time.sleep(0.01)


def test_frames_that_come_together_are_computed_together(model: Model) -> None:
    async def many() -> list[int]:
        batcher, batches = Batcher(model, 8, 0.05), []
        batcher.observe = lambda streams, frames: batches.append(streams)
        working = asyncio.create_task(batcher.work())
        streams = [await batcher.take() for _ in range(8)]
        x = frames_of(model, 3, 1)
        answers = await asyncio.gather(*(batcher.submit(n, x[: 1 + n % 3]) for n in streams))
        for n, answer in zip(streams, answers, strict=True):
            np.testing.assert_array_equal(answer, Stream(model).run(x[: 1 + n % 3]))
        gone = asyncio.create_task(batcher.submit(streams[0], x))
        await asyncio.sleep(0)
        gone.cancel()  # the client has left before its frames were computed
        state = await batcher.give_back(streams[0])
        single = Stream(model)
        single.run(x[:1])
        assert state == single.save_state()
        working.cancel()
        batcher.close()
        return batches

    assert asyncio.run(many())[0] == 8


def test_the_command_serves_until_it_is_told_to_stop(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.edgernn")
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "edgernn",
        "serve",
        str(tmp_path / "m.edgernn"),
        "--port",
        str(port),
        "--host",
        "0.0.0.0",
    ]
    environment = dict(os.environ, EDGERNN_TOKEN="t")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                assert json.load(urllib.request.urlopen(f"{url}/healthz")) == {"status": "ok"}
                break
            except OSError:
                time.sleep(0.1)
        request = urllib.request.Request(f"{url}/run", frames_of(model, 2, 0).tobytes(), {"Authorization": "Bearer t"})
        assert len(json.load(urllib.request.urlopen(request))["answers"]) == 2
        process.terminate()
        assert process.wait(20) in (0, -15)
    assert call("serve", tmp_path / "none.edgernn").exit_code == 1


def test_json_has_null_for_an_infinite_answer(tmp_path: Path) -> None:
    """From /run, and from the command line."""
    net = Net(1)
    large = net.model(y=(net.add(Affine(np.full((1, 1), 2.0**127, np.float32), None), "x"), 1))
    with client_of(large) as client:
        done = client.post("/run", content=np.array([1, 2], "<f4").tobytes())
    assert done.json() == {"answers": [[2.0**127], [None]]}
    large.save(tmp_path / "m.edgernn")
    lines = good("run", tmp_path / "m.edgernn", "-", "--json", input="1\n2\n").splitlines()
    assert [np.float32(json.loads(line)[0] or 0) for line in lines] == [np.float32(2.0**127), 0]
    assert lines[1] == "[null]"
