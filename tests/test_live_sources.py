"""Sources that need something live: a broker, which is a real mosquitto, and a microphone, which is made up.

mosquitto is in Debian: apt-get install mosquitto. Without it, or without paho-mqtt, its test is skipped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from source_cases import said as said
from source_cases import until

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.pipelines.sources import Block, Source, mailbox, microphone, open_source

MOSQUITTO = shutil.which(
    "mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a second waits for milliseconds."""
    for name in ("mailbox.POLL", "mailbox.RETRY", "microphone.POLL", "mqtt.RETRY"):
        monkeypatch.setattr(f"edgernn.pipelines.sources.{name}", 0.01)


@contextmanager
def broker(port: int, folder: Path, *settings: str) -> Iterator[None]:
    """mosquitto on loopback."""
    file = folder / "mosquitto.conf"
    file.write_text("\n".join([f"listener {port} 127.0.0.1", *(settings or ["allow_anonymous true"])]))
    assert MOSQUITTO
    with subprocess.Popen([MOSQUITTO, "-c", str(file)], stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(port))
            yield
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Whether somebody listens at this port."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(MOSQUITTO is None, reason="needs the broker mosquitto: apt-get install mosquitto")
def test_a_broker_that_dies_and_comes_back(tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("paho.mqtt", reason='MQTT needs paho-mqtt: pip install "edgernn[sensors]"')
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"mqtt://127.0.0.1:{port}/sensors/+/imu"
    with pytest.raises(ConnectionRefusedError, match=r"mqtt://127\.0\.0\.1"):
        open_source(address, 1000, 2)
    with broker(port, tmp_path), publisher(port) as send:
        send("old,1", retain=True)
        source = open_source(address, 1000, 2, say=said.append)
        blocks = iter(source)
        assert counted(blocks, send, 10) == 0
    until(lambda: source.tally.breaks == 1)
    with broker(port, tmp_path), publisher(port) as send, source:
        assert counted(blocks, send, 10) > 0
        send("one,2")
        send("7,7\n8,8")
        assert next(blocks).samples.tolist() == [[7, 7], [8, 8]]
    assert source.tally.refused == 1 and source.tally.lost == 0
    assert any("went away" in text for text in said) and any("data again" in text for text in said)


@contextmanager
def publisher(port: int) -> Iterator[Callable[..., None]]:
    """A function that publishes a message and returns once the broker has it."""
    from paho.mqtt import client as paho

    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def send(text: str, retain: bool = False) -> None:
        client.publish("sensors/a/imu", text, qos=1, retain=retain).wait_for_publish(10)

    try:
        yield send
    finally:
        client.disconnect()
        client.loop_stop()


def counted(blocks: Iterator[Block], send: Callable[..., None], count: int) -> float:
    """Send rows until the source has seen so many, all that came after the first it saw -> the gap before the first."""
    for _ in range(3):  # the source may not have subscribed yet
        send("-1,0")
        time.sleep(0.02)
    for number in range(count):
        send(f"{number},0")
    got: list[float] = []
    gap = -1.0
    while not got or got[-1] != count - 1:
        block = next(blocks)
        gap = block.gap if gap < 0 else gap
        got += block.samples[:, 0].tolist()
    assert [number for number in got if number >= 0] == list(range(count))
    return gap


@pytest.mark.skipif(MOSQUITTO is None, reason="needs the broker mosquitto: apt-get install mosquitto")
def test_what_fails_while_a_message_arrives_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """paho's thread would end without a word."""
    pytest.importorskip("paho.mqtt", reason='MQTT needs paho-mqtt: pip install "edgernn[sensors]"')
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def say(text: str) -> None:
        raise OSError("no space left")

    with broker(port, tmp_path), publisher(port) as send:
        send("old,1", retain=True)
        with (
            open_source(f"mqtt://127.0.0.1:{port}/sensors/+/imu", 1000, 2, say=say) as source,
            pytest.raises(OSError, match="no space left"),
        ):
            next(iter(source))


def test_a_broker_that_refuses_the_topic(said: list[str]) -> None:
    pytest.importorskip("paho.mqtt", reason='MQTT needs paho-mqtt: pip install "edgernn[sensors]"')

    def refuse() -> None:
        with server.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(b"\x20\x02\x00\x00")  # CONNACK: come in
            number = connection.recv(1000)[2:4]
            connection.sendall(b"\x90\x03" + number + b"\x80")  # SUBACK: not this topic
            connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = threading.Thread(target=refuse)
        refusing.start()
        address = f"mqtt://127.0.0.1:{server.getsockname()[1]}/secret"
        with open_source(address, 100, say=said.append) as source, pytest.raises(BadInput, match="refuses the topic"):
            next(iter(source))
        refusing.join()


@pytest.mark.skipif(MOSQUITTO is None, reason="needs the broker mosquitto: apt-get install mosquitto")
def test_a_broker_that_refuses(tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("paho.mqtt", reason='MQTT needs paho-mqtt: pip install "edgernn[sensors]"')
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (
        broker(port, tmp_path, "allow_anonymous false"),
        open_source(f"mqtt://me:secret@127.0.0.1:{port}/x", 100, say=said.append) as source,
        pytest.raises(BadInput, match="Not authorized") as error,
    ):
        next(iter(source))
    assert "secret" not in str(error.value) + source.description


class Device:
    """A made-up sounddevice: a module with one microphone, which can be unplugged."""

    class PortAudioError(Exception):
        """As the real one has it."""

    def __init__(self) -> None:
        self.plugged, self.rates, self.streams, self.started = True, (16000, 48000), [], 0
        self.clock = 100.0

    def check_input_settings(self, device: Any, channels: int, dtype: str, samplerate: float) -> None:
        if not self.plugged or samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def query_devices(self, device: Any, kind: str) -> dict[str, float]:
        if not self.plugged:
            raise self.PortAudioError("Error querying device -1")
        return {"default_samplerate": 48000.0}

    def InputStream(self, *, callback: Callable[..., None], blocksize: int, **_: Any) -> Any:
        if not self.plugged:
            raise self.PortAudioError("Device unavailable")
        self.streams.append(
            SimpleNamespace(callback=callback, size=blocksize, active=True, start=lambda: None, close=lambda: None)
        )
        return self.streams[-1]

    def _terminate(self) -> None:
        self.started -= 1

    def _initialize(self) -> None:
        self.started += 1

    def hear(self, value: float, missing: int = 0) -> None:
        """The device delivers a block, after an overflow that lost so many samples."""
        stream = self.streams[-1]
        self.clock += missing / 16000
        when = SimpleNamespace(inputBufferAdcTime=self.clock)
        status = SimpleNamespace(input_overflow=bool(missing))
        stream.callback(np.full((stream.size, 1), value, np.float32), stream.size, when, status)
        self.clock += stream.size / 16000

    def unplug(self) -> None:
        """The device is gone."""
        self.plugged = self.streams[-1].active = False


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """The made-up module in place of the real one."""
    made = Device()
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


def test_a_microphone_that_is_unplugged(device: Device, said: list[str]) -> None:
    with open_source("mic", 16000, say=said.append) as source:
        blocks = iter(source)
        device.hear(0.5)
        block = next(blocks)
        assert len(block.samples) == 160 and (block.samples == 0.5).all()
        device.unplug()
        until(lambda: source.tally.breaks == 1)
        device.plugged = True
        until(lambda: len(device.streams) == 2)
        time.sleep(0.02)  # longer than the block that follows
        device.hear(0.25)
        again = next(blocks)
        assert (again.samples == 0.25).all() and 0 < again.gap < 10
    assert device.started == 0 and any("went away" in text for text in said)


def test_a_microphone_that_runs_over(device: Device, said: list[str]) -> None:
    with open_source("mic:USB", 16000, say=said.append) as source:
        blocks = iter(source)
        device.hear(0.5)
        device.hear(0.5, missing=480)
        assert [next(blocks).gap, next(blocks).gap] == [0, pytest.approx(0.03)]
    assert source.tally.lost == 480 and "480 samples lost" in said[0]


def test_a_microphone_of_another_rate(device: Device, said: list[str]) -> None:
    pytest.importorskip("soxr", reason='resampling needs soxr: pip install "edgernn[audio]"')
    device.rates = (48000,)
    with open_source("mic:3", 16000, say=said.append) as source:
        blocks = iter(source)
        for _ in range(20):
            device.hear(0.5)
        assert device.streams[0].size == 480
        assert abs(next(blocks).samples).max() < 1
    assert "resampled to 16000" in said[0]


@pytest.mark.parametrize(("block", "samples"), [(0.01, 160), (0.03, 480), (1e-9, 1)])
def test_a_microphone_gives_blocks_as_long_as_asked_for(device: Device, block: float, samples: int) -> None:
    with open_source("mic", 16000, block=block) as source:
        device.hear(0.5)
        assert next(iter(source)).samples.shape == (samples,)


def test_no_microphone(device: Device) -> None:
    device.plugged = False
    with pytest.raises(BackendUnavailable, match="no microphone"):
        open_source("mic", 16000)


def test_what_is_silent_is_said(device: Device, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "SILENCE", 0.03)
    monkeypatch.setattr(microphone, "SILENCE", 60.0)
    with open_source("mic", 16000, say=said.append) as source:
        late(device, source, said)


def late(device: Device, source: Source, said: list[str]) -> None:
    """The device delivers a block after a pause, which is a gap."""
    blocks = iter(source)
    device.hear(0.5)
    assert next(blocks).gap == 0
    time.sleep(0.05)
    device.hear(0.5)
    assert next(blocks).gap > 0.03 and "data again" in said[-1] and source.tally.breaks == 0
