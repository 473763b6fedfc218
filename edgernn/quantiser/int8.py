"""Symmetric int8 with one scale a row: W[r, c] = q[r, c] * scale[r], q within -127..127."""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import Array, Int8Matrix

LARGEST = 127


def int8_matrix(weight: Array) -> Int8Matrix:
    """The nearest int8 matrix to weight (rows, cols), float32.

    scale[r] = max |weight[r]| / 127, and 1 for a row of zeros; q = weight / scale, rounded half to even. No weight
    moves by more than half a scale (and float32's rounding of the scale). Raises ValueError where one is not finite.
    """
    if not np.isfinite(weight).all():
        raise ValueError("weights that are infinite or not a number cannot be quantised")
    wide = weight.astype(np.float64)
    largest = np.abs(wide).max(axis=1, initial=0.0)  # (rows,)
    scale = (largest / LARGEST).astype(np.float32)
    scale[scale < np.finfo(np.float32).tiny] = 1.0  # rows of zeros, or of what float32 can hardly hold
    q = np.rint(wide / scale[:, None]).clip(-LARGEST, LARGEST).astype(np.int8)  # (rows, cols)
    return Int8Matrix(q, scale)
