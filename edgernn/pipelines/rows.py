"""Rows of numbers as frames: of sound as it is, and of sensors with differences and statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.frontend import FrontEnd


def _mean(x: Array) -> Array:
    return np.asarray(np.add.reduce(x, axis=2) / x.shape[2])


def _rms(x: Array) -> Array:
    return np.sqrt(_mean(x * x))


REDUCTIONS: dict[str, Callable[[Array], Array]] = {  # statistic -> (k, columns, n) -> (k, columns)
    "mean": _mean,
    "std": lambda x: _rms(x - _mean(x)[:, :, None]),
    "min": lambda x: np.minimum.reduce(x, axis=2),
    "max": lambda x: np.maximum.reduce(x, axis=2),
    "rms": _rms,
}


def differenced(rows: Array, last: Array) -> tuple[Array, Array]:
    """Rows (n, channels) with the change from the row before behind each, (n, 2 channels), and the last row.

    last: the row before, (1, channels), or none, (0, channels): the first change is then 0.
    """
    before = np.concatenate((last if len(last) else rows[:1], rows[:-1]))[: len(rows)]
    return np.concatenate((rows, rows - before), axis=1), rows[-1:].copy() if len(rows) else last


class Rows:
    """Frames of rows in, frames of features out; without a state."""

    def __init__(self, frontend: FrontEnd):
        self.frontend = frontend

    def __call__(self, frames: Array) -> Array:
        """(k, n) or (k, n, columns) -> (k, size), float64."""
        x = frames * self.frontend.scale
        if self.frontend.statistics:
            by_column = np.ascontiguousarray(x.transpose(0, 2, 1))  # (k, columns, n)
            x = np.stack([REDUCTIONS[name](by_column) for name in self.frontend.statistics], axis=1)
        return x.reshape(len(frames), self.frontend.size)
