"""Pieces of weights, whatever their storage."""

from __future__ import annotations

from edgernn.layers.base import Int8Matrix, Matrix


def rows(weight: Matrix, start: int, stop: int) -> Matrix:
    """The rows start..stop of a weight, in the same storage."""
    if isinstance(weight, Int8Matrix):
        return Int8Matrix(weight.q[start:stop], weight.scale[start:stop])
    return weight[start:stop]
