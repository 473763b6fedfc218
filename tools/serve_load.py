"""Many clients at real speed: how late `edgernn serve` answers, and whether an answer is lost.

    python tools/serve_load.py MODEL.edgernn [--streams 1000] [--seconds 30] [--every 0.25] [--json FILE]

Starts the server, connects the clients, and has each send the frames of `every` seconds at a time, the clients spread
evenly over that time. Prints the latency from sending a message to its answer (median, p99, p99.9, largest), frames and
answers, and the processor time of the server and of the clients, which run on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import edgernn

CONNECTING = 50  # at a time


async def client(url: str, frames: bytes, n_out: int, plan: dict[str, float], late: list[float]) -> int:
    """Sends the frames again and again until the end; how many answers came."""
    from websockets.asyncio.client import connect

    async with connect(url, compression=None, max_size=None) as session:
        await session.recv()
        next_at, answers = plan["begin"] + plan["offset"], 0
        while next_at < plan["end"]:
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            begin = time.monotonic()
            await session.send(frames)
            answer = await session.recv()
            late.append(time.monotonic() - begin)
            answers += len(answer) // (4 * n_out)
            next_at += plan["every"]
        return answers


async def clients(url: str, model: edgernn.Model, streams: int, seconds: float, every: float) -> dict[str, Any]:
    """All clients: connected in groups, then sending at the same pace, each at its own moment."""
    assert model.frontend is not None
    count = round(every / model.frontend.seconds)
    rng, late = np.random.default_rng(0), []
    begin = time.monotonic() + 2 + streams / 200
    tasks = []
    for n in range(streams):
        frames = rng.standard_normal((count, model.inputs[0].size)).astype("<f4").tobytes()
        plan = {"begin": begin, "offset": every * n / streams, "end": begin + seconds, "every": every}
        tasks.append(asyncio.create_task(client(url, frames, model.outputs[0].size, plan, late)))
        if n % CONNECTING == CONNECTING - 1:
            await asyncio.sleep(0.2)
    answers = sum(await asyncio.gather(*tasks))
    return {"messages": len(late), "frames": len(late) * count, "answers": answers, "late": late}


def served(model: Path, streams: int) -> tuple[subprocess.Popen[bytes], int]:
    """The server as a process of its own, and its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "edgernn", "serve", str(model), "--port", str(port), "--streams", str(streams)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)


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
        url = f"ws://127.0.0.1:{port}/stream"
        before, own = seconds_of(process.pid), time.process_time()
        begin = time.monotonic()
        found = asyncio.run(clients(url, edgernn.load(given.model), given.streams, given.seconds, given.every))
        wall = time.monotonic() - begin
        used = {"server": (seconds_of(process.pid) - before) / wall, "clients": (time.process_time() - own) / wall}
    finally:
        process.terminate()
        process.wait()
    late = 1000 * np.array(found.pop("late"))
    percentiles = {f"p{p:g}": round(float(np.percentile(late, p)), 2) for p in (50, 99, 99.9, 100)}
    result = {"streams": given.streams, "every": given.every, **found, "milliseconds": percentiles, "cores": used}
    print(json.dumps(result, indent=1))
    if given.json:
        given.json.write_text(json.dumps(result))
    if found["answers"] != found["frames"]:
        sys.exit(f"{found['frames']} frames, but {found['answers']} answers")


if __name__ == "__main__":
    main()
