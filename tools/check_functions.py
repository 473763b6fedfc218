"""The compiled tanh and sigmoid at every float32 there is: their range, and how far they are from the truth.

    python tools/check_functions.py [--stride N]

All 2**32 bit patterns that are finite numbers (with --stride every N-th), and infinities and NaN as a division makes
them. Prints the extremes and the largest error against float64, and exits with 1 when a value leaves its range.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.progress import track

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from cases import Net

from edgernn.layers import Combine, Constant, Map
from edgernn.layers.base import Array
from edgernn.layers.pointwise import FUNCTIONS
from edgernn.stream import Stream

CHUNK = 1 << 20
RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def stream_of(divide: bool = False) -> Stream:
    """A stream that applies each function to CHUNK numbers, divided by zero first where asked."""
    net = Net(CHUNK)
    x = net.add(Combine("div"), "x", net.add(Constant(np.zeros(1, np.float32)))) if divide else "x"
    return Stream(net.model(**{name: (net.add(Map(name), x), CHUNK) for name in RANGES}))


def numbers(start: int, stride: int) -> Array:
    """CHUNK bit patterns from `start` on as float32; what is not finite becomes 0."""
    bits = (start + stride * np.arange(CHUNK, dtype=np.uint64)).astype(np.uint32)
    x = bits.view(np.float32)
    return np.where(np.isfinite(x), x, np.float32(0))


def main() -> None:
    """Walk all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=1)
    stride = parser.parse_args().stride
    found = {name: [np.inf, -np.inf, 0.0] for name in RANGES}
    stream = stream_of()
    for start in track(range(0, 2**32, CHUNK * stride), "checking"):
        x = numbers(start, stride)
        for name, y in stream.step(x).items():
            error = np.abs(y - FUNCTIONS[name](x.astype(np.float64), 0, 0)).max()
            low, high, worst = found[name]
            found[name] = [min(low, y.min()), max(high, y.max()), max(worst, error)]
    for name, y in stream_of(divide=True).step(np.resize(np.array([1, -1, 0], np.float32), CHUNK)).items():
        found[name][:2] = [min(found[name][0], *y[:3]), max(found[name][1], *y[:3])]
    for name, (low, high, worst) in found.items():
        print(f"{name}: within {low:.9g} .. {high:.9g}, largest error {worst:.3g}")
    if not all(RANGES[name][0] <= low <= high <= RANGES[name][1] for name, (low, high, _) in found.items()):
        raise SystemExit("a value is out of range")


if __name__ == "__main__":
    main()
