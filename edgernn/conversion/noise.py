"""Frames to try a model on when there are no others: the same in every run, on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.model import Port


def noise(ports: Sequence[Port], steps: int) -> dict[str, Array]:
    """For each input port `steps` frames: float32 (steps, size), or tokens: int64 (steps,), (steps, size) of several.

    Numbers are near to normal: sums of four even ones, which takes integers and one division alone.
    """
    rng = np.random.PCG64(0)
    return {port.name: _of_port(rng, port, steps) for port in ports}


def _of_port(rng: np.random.PCG64, port: Port, steps: int) -> Array:
    if port.dtype == "int64":
        span = np.uint64(port.high - port.low + 1)
        made_tokens = (rng.random_raw(steps * port.size) % span).astype(np.int64) + port.low
        return made_tokens if port.size == 1 else made_tokens.reshape(steps, port.size)
    even = rng.random_raw(steps * port.size).astype("<u8").view("<i2").reshape(-1, 4)  # deviation 2**16 / sqrt(12)
    total = even.sum(axis=1, dtype=np.int32).astype(np.float32)
    made: Array = total / np.float32(37837.23)
    return made.reshape(steps, port.size)
