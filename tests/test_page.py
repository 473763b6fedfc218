"""The server's page in a real browser: a microphone's sound goes in, features, scores and decisions are drawn."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from clients import model as model
from listeners import noise
from websockets.sync.client import ClientConnection, connect

from edgernn import Model

PATIENCE = 60.0  # seconds


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def waited(url: str) -> bytes:
    """What an address gives as soon as it gives anything."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return bytes(urllib.request.urlopen(url).read())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


class Tab:
    """A page under the browser's control (Chrome DevTools Protocol, Runtime.evaluate)."""

    def __init__(self, session: ClientConnection):
        self._socket = session
        self._count = 0

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page."""
        self._count += 1
        parameters = {"expression": script, "returnByValue": True, "userGesture": True}
        self._socket.send(json.dumps({"id": self._count, "method": "Runtime.evaluate", "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=PATIENCE))
            if told.get("id") == self._count:
                assert "exceptionDetails" not in told["result"], told
                return told["result"]["result"].get("value")


def test_the_page_draws_what_the_microphone_hears(model: Model, tmp_path: Path) -> None:
    program = browser()
    model.save(tmp_path / "m.edgernn")
    assert model.frontend is not None
    with wave.open(str(tmp_path / "heard.wav"), "wb") as file:
        file.setparams((1, 2, int(model.frontend.rate), 0, "NONE", ""))
        file.writeframes((noise(model) * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    port, debugging = free_port(), free_port()
    microphone = f"--use-file-for-fake-audio-capture={tmp_path / 'heard.wav'}"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", microphone]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        running(sys.executable, "-m", "edgernn", "serve", str(tmp_path / "m.edgernn"), "--port", str(port)),
    ):
        waited(f"http://127.0.0.1:{port}/healthz")
        options += ["--use-fake-device-for-media-stream", f"--user-data-dir={profile}"]
        options += [f"--remote-debugging-port={debugging}", "--remote-allow-origins=*"]
        with running(program, *options, f"http://127.0.0.1:{port}/"), ExitStack() as stack:
            pages = [
                page for page in json.loads(waited(f"http://127.0.0.1:{debugging}/json")) if page["type"] == "page"
            ]
            tab = Tab(stack.enter_context(connect(pages[0]["webSocketDebuggerUrl"], max_size=None)))
            end = time.monotonic() + PATIENCE
            while not tab.evaluate("document.readyState === 'complete' && !!document.getElementById('start')"):
                assert time.monotonic() < end
                time.sleep(0.1)
            tab.evaluate("document.getElementById('start').click()")
            seen: dict[str, Any] = {}
            while time.monotonic() < end and not (seen.get("decisions") and seen["colours"] > 3):
                time.sleep(0.2)
                seen = json.loads(tab.evaluate(SEEN))
            assert seen["problem"] == ""
            assert seen["labels"] == list("abc") and seen["decisions"] > 0 and seen["time"] > 0
            assert seen["colours"] > 3


# the drawn features have more than the background's colour
SEEN = """JSON.stringify((() => {
  const canvas = document.getElementById("features");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return {
    problem: document.getElementById("problem").textContent,
    time: parseFloat(document.getElementById("time").textContent),
    labels: [...document.querySelectorAll(".row span:first-child")].map(e => e.textContent),
    decisions: document.querySelectorAll("#decisions li").length,
    colours: new Set(Array.from({length: pixels.length / 4}, (_, i) => pixels[4 * i + 2])).size,
  };
})())"""
