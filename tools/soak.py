"""Hours of sound through `edgernn listen`, faster than real time: flat memory, no lost frame, the same decisions.

    python tools/soak.py [MODEL] [--hours 4]

The sound is the speech of the demo over and over, each second at another level and in other noise, by a fixed seed. It
goes to the standard input of the command as PCM, in parts of random size. The decisions are compared with those of a
pipeline that is fed ten minutes at a time. Exits 1 where one of the three does not hold. MODEL is a model file or
a folder of models/, which is converted to int8. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from listen_cost import ROOT, VAD, memory, ready

import edgernn
from edgernn.pipelines.sound import read_sound

PART = 600  # seconds
GROWTH = 1.5  # megabytes that memory may grow by, from the median of the first quarter to that of the last


def parts(hours: float) -> Iterator[np.ndarray]:
    """The sound, int16, PART seconds at a time; the same whenever it is asked for."""
    speech, rate = read_sound(ROOT / "edgernn" / "demo" / "speech.wav")
    for number in range(round(hours * 3600 / PART)):
        rng = np.random.default_rng(number)
        sound = np.resize(speech, PART * rate)
        level = np.repeat(rng.uniform(0.1, 1.0, PART), rate)
        noise = rng.standard_normal(len(sound)) * np.repeat(10 ** rng.uniform(-4, -1.5, PART), rate)
        yield np.clip((sound * level + noise) * 32768, -32768, 32767).astype("<i2")


def whole(model: Path, hours: float) -> list[dict[str, float]]:
    """The decisions of a pipeline in this process."""
    pipeline = edgernn.load(model).pipeline()
    found = [decision for part in parts(hours) for decision in pipeline.feed(part / np.float32(32768))]
    return [vars(decision) for decision in found + pipeline.finish()]


class Listening:
    """The command, the decisions that it wrote, and its memory as the sound goes through."""

    def __init__(self, model: Path, rate: int):
        command = [sys.executable, "-m", "edgernn", "listen", str(model), "-", "--pcm", str(rate), "--json"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.decisions: list[dict[str, float]] = []
        self.resident: list[float] = []  # megabytes of its own, without pages of files, after each part
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        self.decisions.extend(json.loads(line) for line in self._process.stdout)

    def hear(self, part: np.ndarray, rng: np.random.Generator) -> None:
        """Write a part, cut anyhow, between samples or through them."""
        assert self._process.stdin
        data, start = part.tobytes(), 0
        while start < len(data):
            end = start + int(rng.integers(1, 20_000))
            self._process.stdin.write(data[start:end])
            start = end
        self._process.stdin.flush()
        self.resident.append(memory(self._process.pid)["RssAnon"])

    def end(self) -> str:
        """The summary that the command ends with."""
        assert self._process.stdin and self._process.stderr
        self._process.stdin.close()
        remarks = self._process.stderr.read().decode().strip()
        self._reader.join()
        if self._process.wait():
            raise SystemExit(remarks)
        return remarks


def main() -> None:
    """Soak and judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=VAD)
    parser.add_argument("--hours", type=float, default=4.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        model = ready(given.model, Path(name))
        listening, start = Listening(model, 16000), time.monotonic()
        for number, part in enumerate(parts(given.hours)):
            listening.hear(part, np.random.default_rng([1, number]))
        summary = listening.end()
        took = time.monotonic() - start
        expected = whole(model, given.hours)
    seconds = len(listening.resident) * PART
    quarter = -(-len(listening.resident) // 4)
    grown = median(listening.resident[-quarter:]) - median(listening.resident[:quarter])
    complete = summary.startswith(f"{seconds:.1f} s heard") and summary.endswith("nothing lost")
    memories = (
        f"{max(listening.resident):.1f} MB of its own at most, {grown:+.1f} MB from the first quarter to the last"
    )
    verdicts = {
        f"{summary} (of {seconds} s)": complete,
        f"{len(listening.decisions)} decisions, {len(expected)} at ten minutes a time": listening.decisions == expected,
        memories: grown <= GROWTH,
    }
    print(f"{seconds / took:.0f} times real time")
    for what, holds in verdicts.items():
        print("holds:" if holds else "FAILS:", what)
    raise SystemExit(0 if all(verdicts.values()) else 1)


if __name__ == "__main__":
    main()
