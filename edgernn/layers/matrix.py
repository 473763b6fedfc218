"""Weights, whatever their storage: pieces of them, and their products with many vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, Builder, Matrix, QuantisedMatrix, Ref

MOST_STEPS = 1 << 14  # of all sequences in one frame: each is instructions of its own


def rows(weight: Matrix, start: int, stop: int) -> Matrix:
    """The rows start..stop of a weight, in the same storage."""
    if isinstance(weight, QuantisedMatrix):
        factor = None if weight.factor is None else weight.factor[start:stop]
        return replace(weight, q=weight.q[start:stop], scale=weight.scale[start:stop], factor=factor)
    return weight[start:stop]


def columns(weight: Matrix, order: Array) -> Matrix:
    """The weight with its columns in another order, in the same storage, which is not by groups of columns."""
    if isinstance(weight, QuantisedMatrix):
        return replace(weight, q=weight.q[:, order])
    return weight[:, order]


def products(b: Builder, x: Ref, weight: Matrix, bias: Array | None, count: int) -> Iterator[Ref]:
    """weight @ x[p] + bias for each p < count, in order; x: (count, cols).

    Quantised, each is a product of its own, made when it is asked for: x[p] then has its own scale, as it would alone.
    """
    size, cols = weight.shape
    if isinstance(weight, QuantisedMatrix):
        yield from (b.affine(b.view(x, p * cols, cols), weight, bias) for p in range(count))
        return
    y = b.affine(x, weight, bias, count)
    yield from (b.view(y, p * size, size) for p in range(count))


def extent(W: Matrix, R: Matrix, x: int, h: int) -> tuple[int, int]:
    """(S, P): x numbers are S steps of as many sequences P as states of h numbers; W: (rows, n_in), R: (rows, H).

    Raises ValueError where they are not, or are too many.
    """
    n_in, hidden_size = W.shape[1], R.shape[1]
    count = h // max(hidden_size, 1)
    steps = x // max(count * n_in, 1)
    if steps * count < 1 or count * hidden_size != h or steps * count * n_in != x:
        raise ValueError(f"{x} numbers and states of {h} do not fit weights {W.shape} and {R.shape}")
    if steps * count > MOST_STEPS:
        raise ValueError(f"{steps} steps of {count} sequences in one frame: at most {MOST_STEPS} in all")
    return steps, count


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
