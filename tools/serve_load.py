"""Many clients at real speed: how late `edgernn serve` answers, and whether an answer is lost.

    python tools/serve_load.py MODEL.edgernn [--streams 1000] [--seconds 30] [--every 0.25] [--json FILE]

Starts the server, connects the clients, and has each send the frames of `every` seconds at a time, the clients spread
evenly over that time. Prints the latency from sending a message to its answer (median, p99, p99.9, largest), frames and
answers, and the processor time of the server and of the clients while they send: both run on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))
import edgernn

CONNECTING = 50  # at a time
PATIENCE = 10.0  # seconds for answers that are late
BINARY, PING, PONG = 0x82, 0x89, 0x8A  # whole messages (RFC 6455, section 5.2)
SHORT, LONG, MASKED = 126, 127, 0x80


def framed(kind: int, data: bytes) -> bytes:
    """A client's message; its mask is 0, so that the data stands as it is."""
    size = len(data)
    if size < SHORT:
        return struct.pack("!BBI", kind, MASKED | size, 0) + data
    if size < 1 << 16:
        return struct.pack("!BBHI", kind, MASKED | SHORT, size, 0) + data
    return struct.pack("!BBQI", kind, MASKED | LONG, size, 0) + data


class Client(asyncio.Protocol):
    """One connection, no dearer than it must be: the same message at a fixed pace, whether answers have come or not."""

    def __init__(self, message: bytes, late: list[float]):
        self._message, self._late = framed(BINARY, message), late
        self._sent: deque[float] = deque()
        self._buffer = b""
        self.bytes, self.greeted = 0, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for a stream."""
        self._transport = transport
        lines = ("GET /stream HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade")
        key = ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13", "", "")
        transport.write("\r\n".join((*lines, *key)).encode())

    def data_received(self, data: bytes) -> None:
        """Take whole messages off what has come: the first, of text, ends the greeting."""
        self._buffer += data
        if not self.greeted.done():
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end or len(rest) < 2:
                return
            assert b" 101 " in head, head
            self._buffer = rest
        while len(self._buffer) >= 2:
            kind, size, at = self._buffer[0], self._buffer[1], 2
            if size >= SHORT:
                at = 4 if size == SHORT else 10
                size = int.from_bytes(self._buffer[2:at], "big") if len(self._buffer) >= at else 1 << 60
            if len(self._buffer) < at + size:
                return
            data, self._buffer = self._buffer[at : at + size], self._buffer[at + size :]
            self._taken(kind, data)

    def _taken(self, kind: int, data: bytes) -> None:
        if kind == PING:
            self._transport.write(framed(PONG, data))
        elif kind == BINARY:
            self._late.append(time.monotonic() - self._sent.popleft())
            self.bytes += len(data)
        elif not self.greeted.done():
            self.greeted.set_result(data)
        else:
            sys.exit(f"the server says {data!r}")

    def connection_lost(self, error: Exception | None) -> None:
        """Not before the end."""
        if self._sent:
            sys.exit(f"a connection is lost: {error}")

    def send(self, at: float, every: float, end: float) -> None:
        """One message at `at` (of the loop's clock), and so on until the end."""
        if at < end:
            self._sent.append(time.monotonic())
            self._transport.write(self._message)
            asyncio.get_running_loop().call_at(at + every, self.send, at + every, every, end)

    @property
    def waiting(self) -> int:
        """Messages without an answer."""
        return len(self._sent)


async def clients(port: int, server: int, model: edgernn.Model, given: argparse.Namespace) -> dict[str, Any]:
    """All clients: connected in groups, then sending at the same pace, each at its own moment."""
    assert model.frontend is not None
    loop, late = asyncio.get_running_loop(), []
    count, made = round(given.every / model.frontend.seconds), []
    for n in range(given.streams):
        frames = np.random.default_rng(n).standard_normal((count, model.inputs[0].size)).astype("<f4").tobytes()
        made.append((await loop.create_connection(lambda frames=frames: Client(frames, late), "127.0.0.1", port))[1])
        if n % CONNECTING == CONNECTING - 1:
            await asyncio.gather(*(client.greeted for client in made))
    used, begin = (seconds_of(server), time.process_time()), loop.time() + 0.1
    end = begin + given.seconds
    for n, client in enumerate(made):
        at = begin + given.every * n / given.streams
        loop.call_at(at, client.send, at, given.every, end)
    await asyncio.sleep(end - loop.time())
    while any(client.waiting for client in made) and loop.time() < end + PATIENCE:
        await asyncio.sleep(0.05)
    busy = {"server": seconds_of(server) - used[0], "clients": time.process_time() - used[1]}
    messages = len(late) + sum(client.waiting for client in made)
    answers = sum(client.bytes for client in made) // (4 * model.outputs[0].size)
    cores = {name: round(value / given.seconds, 3) for name, value in busy.items()}
    each = {name: round(1e6 * value / max(messages, 1), 1) for name, value in busy.items()}
    found = {"messages": messages, "frames": messages * count, "answers": answers, "late": late}
    return found | {"cores": cores, "microseconds_per_message": each}


def served(model: Path, streams: int) -> tuple[subprocess.Popen[bytes], int]:
    """The server as a process of its own, and its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "edgernn", "serve", str(model), "--port", str(port), "--streams", str(streams)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)
    sys.exit("the server did not start")


def seconds_of(process: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--every", type=float, default=0.25)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    process, port = served(given.model, given.streams)
    try:
        found = uvloop.run(clients(port, process.pid, edgernn.load(given.model), given))
    finally:
        process.terminate()
        process.wait()
    late = 1000 * np.array(found.pop("late"))
    percentiles = {f"p{p:g}": round(float(np.percentile(late, p)), 2) for p in (50, 99, 99.9, 100)}
    result = {"streams": given.streams, "every": given.every, **found, "milliseconds": percentiles}
    print(json.dumps(result, indent=1))
    if given.json:
        given.json.write_text(json.dumps(result))
    if found["answers"] != found["frames"]:
        sys.exit(f"{found['frames']} frames, but {found['answers']} answers")


if __name__ == "__main__":
    main()
