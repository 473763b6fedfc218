"""Frames to try a model on when there are no others: the same in every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.model import Port


def noise(ports: Sequence[Port], steps: int) -> dict[str, Array]:
    """For each input port `steps` frames: normal numbers (steps, size) float32, or tokens (steps,) int64."""
    rng = np.random.Generator(np.random.PCG64(0))
    return {port.name: _of_port(rng, port, steps) for port in ports}


def _of_port(rng: np.random.Generator, port: Port, steps: int) -> Array:
    if port.dtype == "int64":
        return rng.integers(port.low, port.high, steps, endpoint=True)
    return rng.standard_normal((steps, port.size), np.float32)
