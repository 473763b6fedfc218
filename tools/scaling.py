"""Cost a step by size, from 10^4 to 10^7 multiply-accumulates, and over 10^7 steps: time and memory.

    python tools/scaling.py [--png FILE]

Times are those of the processor, medians of chunks. On a processor with caches the cost of a multiply-accumulate has
levels: weights that leave a cache cost what the next one gives. --png draws both; it needs matplotlib.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]
from cases import SIZES, frames, stack  # noqa: E402

from edgernn.layers.model import Model  # noqa: E402
from edgernn.quantiser import quantise  # noqa: E402
from edgernn.stream import Stream  # noqa: E402

FORMATS = ("none", "int8")
WIDTHS = (41, 72, 129, 230, 408, 727, 1291)  # of a GRU with as many inputs: 10^4 to 10^7, two a decade
CHUNKS, CHUNK = 100, 100_000


def gru(width: int) -> Model:
    """6 width^2 multiply-accumulates, and an answer of one number."""
    return stack("GRU", width, width, 1, [(1, "")])


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def microseconds(stream: Stream, x: Any) -> float:
    """Of the processor, a frame of one call of `run`."""
    start = time.process_time_ns()
    stream.run(x)
    return (time.process_time_ns() - start) / len(x) / 1e3


def by_size() -> dict[str, list[tuple[int, float]]]:
    """(multiply-accumulates, microseconds a step) by number format; printed as they come."""
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in FORMATS}
    print(f"{'format':8}{'MACs':>12}{'us a step':>12}{'ns a MAC':>12}")
    for width in WIDTHS:
        model = gru(width)
        x = frames(model, max(10, 20_000_000 // model.macs))
        streams = {name: Stream(quantise(model, name)) for name in FORMATS}
        times: dict[str, list[float]] = {name: [] for name in FORMATS}
        for _ in range(20):
            for name, stream in streams.items():
                times[name].append(microseconds(stream, x))
        for name in FORMATS:
            cost = float(np.median(times[name]))
            found[name].append((model.macs, cost))
            print(f"{name:8}{model.macs:12,}{cost:12.3f}{1e3 * cost / model.macs:12.4f}")
    return found


def over_time(size: str) -> list[tuple[float, int]]:
    """(microseconds a step, bytes resident) of each of CHUNKS chunks of a stream that is never reset."""
    stream, x = Stream(quantise(SIZES[size](), "int8")), frames(SIZES[size](), CHUNK)
    found = [(microseconds(stream, x), resident()) for _ in range(CHUNKS + 3)][3:]
    tenth = CHUNKS // 10
    first, last = (np.median([cost for cost, _ in part]) for part in (found[:tenth], found[-tenth:]))
    grown = found[-1][1] - found[0][1]
    print(f"{size}, int8, {CHUNKS * CHUNK:,} steps: {first:.4f} us a step in the first tenth, {last:.4f} in the last;")
    print(f"    memory grew by {grown:,} bytes; the last answer is {stream.run(x[:1])[0, 0]:.6f}")
    return found


def draw(sizes: dict[str, list[tuple[int, float]]], runs: dict[str, list[tuple[float, int]]], path: Path) -> None:
    """Cost by size on the left, over time on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, points in sizes.items():
        left.loglog(*zip(*points, strict=True), marker="o", label="float32" if name == "none" else name)
    left.set_xlabel("multiply-accumulates a step")
    for size, found in runs.items():
        steps = CHUNK * np.arange(1, 1 + len(found))
        right.plot(steps, [cost for cost, _ in found], label=f"size {size}, int8", linewidth=1)
    right.set_xlabel("steps since the start")
    for axes in (left, right):
        axes.set_ylabel("microseconds a step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    right.set_ylim(bottom=0)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--png", type=Path)
    given = parser.parse_args()
    sizes = by_size()
    runs = {size: over_time(size) for size in "AG"}
    if given.png:
        draw(sizes, runs, given.png)


if __name__ == "__main__":
    main()
