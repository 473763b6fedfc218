"""Pieces of weights, whatever their storage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, Matrix, QuantisedMatrix


def rows(weight: Matrix, start: int, stop: int) -> Matrix:
    """The rows start..stop of a weight, in the same storage."""
    if isinstance(weight, QuantisedMatrix):
        factor = None if weight.factor is None else weight.factor[start:stop]
        return replace(weight, q=weight.q[start:stop], scale=weight.scale[start:stop], factor=factor)
    return weight[start:stop]


def nibbles(q: Array) -> Array:
    """q (rows, cols) within -7..7 as (rows, ceil(cols / 2)) uint8.

    A byte holds q + 8 of two columns, the first in the low bits; where cols is odd, the last has 0 in the high ones.
    """
    pairs = np.pad((q + 8).astype(np.uint8), ((0, 0), (0, q.shape[1] % 2))).reshape(len(q), -1, 2)
    return pairs[:, :, 0] | pairs[:, :, 1] << np.uint8(4)


def from_nibbles(packed: Array) -> Array:
    """What `nibbles` packed. Raises ValueError for other bytes."""
    rows, half = packed.shape
    plus = np.stack([packed & 15, packed >> 4], axis=2).reshape(rows, 2 * half)
    odd = half > 0 and not plus[:, -1].any()
    q = plus[:, : 2 * half - odd].astype(np.int8) - 8
    if (q < -7).any():
        raise ValueError("numbers of 4 bits within -7..7 expected")
    return np.ascontiguousarray(q)
