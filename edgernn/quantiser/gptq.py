"""Rounding that knows what a matrix will meet: GPTQ (Frantar et al. 2022, arXiv 2210.17323), with searched scales.

Rounding to nearest makes each weight's error least; what matters is the error of the products. With the second moments
of the vectors that the matrix meets, columns are rounded one after the other, and the error of each is made up for by
the columns that are still to come (section 3, algorithm 1). Scales are those of some shares of the largest weight that
make the error least, so that a few large weights may be cut off.
"""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import FORMATS, Array, QuantisedMatrix
from edgernn.quantiser.rounding import SHARES, rounded, searched_factors

DAMPING = 0.01  # of the mean second moment, added to each: the paper's


def fitted(weight: Array, format: str, moments: Array, frames: int) -> QuantisedMatrix:
    """The matrix in this format, one of FORMATS, whose products are nearest to those of weight (rows, cols), float32.

    moments: (cols, cols), the mean of x x' over so many frames. Raises ValueError where a weight is not finite.
    """
    start = rounded(weight, format)
    moments = _damped(moments.astype(np.float64), frames)
    wide = weight.astype(np.float64)
    if start.factor is None:
        scale = _searched(wide, start.scale, FORMATS[format].largest, moments)
        start = QuantisedMatrix(start.q, scale, format)
    return _rounded_in_turn(wide, start, moments)


def _damped(moments: Array, frames: int) -> Array:
    """Moments that can be inverted, and that trust few frames little."""
    cols = len(moments)
    mean = float(np.trace(moments)) / cols if cols else 0.0
    return moments + (DAMPING + cols / max(frames, 1)) * max(mean, 1e-20) * np.eye(cols)


def _searched(weight: Array, scale: Array, largest: int, moments: Array) -> Array:
    """The scale of each row, (rows,), with the least error of its products when each weight is rounded to nearest."""
    best, least = scale.copy(), np.full(len(weight), np.inf)
    for share in SHARES[::-1]:
        tried = (scale * np.float32(share)).astype(np.float32)
        error = np.rint(weight / tried[:, None]).clip(-largest, largest) * tried[:, None] - weight
        power = ((error @ moments) * error).sum(axis=1)
        better = power < least
        best[better], least[better] = tried[better], power[better]
    return best


def _rounded_in_turn(weight: Array, start: QuantisedMatrix, moments: Array) -> QuantisedMatrix:
    """Column after column, from left to right; the factors of a group are searched when its turn comes."""
    number, left = FORMATS[start.format], weight.copy()
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T  # (cols, cols)
    q, scale = np.empty_like(start.q), start.scale.astype(np.float64)
    factor = None if start.factor is None else start.factor.copy()
    step = scale
    for k in range(weight.shape[1]):
        if factor is not None and k % number.group == 0:
            group = slice(k, k + number.group)
            made = searched_factors(left[:, group], scale, number.largest, 1 / upper.diagonal()[group] ** 2)
            factor[:, k // number.group] = made
            step = scale * made
        q[:, k] = np.rint(left[:, k] / step).clip(-number.largest, number.largest)
        error = (left[:, k] - q[:, k] * step) / upper[k, k]
        left[:, k + 1 :] -= error[:, None] * upper[k, k + 1 :]
    return QuantisedMatrix(q, start.scale, start.format, factor)
