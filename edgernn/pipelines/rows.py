"""Rows of sensors, with how much each has changed."""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import Array


def differenced(rows: Array, last: Array) -> tuple[Array, Array]:
    """Rows (n, channels) with the change from the row before behind each, (n, 2 channels), and the last row.

    last: the row before, (1, channels), or none, (0, channels): the first change is then 0.
    """
    before = np.concatenate((last if len(last) else rows[:1], rows[:-1]))[: len(rows)]
    return np.concatenate((rows, rows - before), axis=1), rows[-1:].copy() if len(rows) else last
