"""Float32 matrices to the nearest integers: symmetric, one scale a row, and in int4 a factor for each group of columns.

Each rule raises ValueError where a weight is not finite.
"""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import FORMATS, Array, QuantisedMatrix

LARGEST_FACTOR = 255
SHARES = np.arange(0.6, 1.001, 0.04)  # of the largest weight, where it is searched how much to hold


def rounded(weight: Array, format: str) -> QuantisedMatrix:
    """The nearest matrix in this format, one of FORMATS, to weight (rows, cols), float32."""
    if not np.isfinite(weight).all():
        raise ValueError("weights that are infinite or not a number cannot be quantised")
    wide = weight.astype(np.float64)
    return in_groups(wide, format) if FORMATS[format].group else in_rows(wide, format)


def in_rows(weight: Array, format: str) -> QuantisedMatrix:
    """One scale a row: scale[r] = max |weight[r]| / largest; q = weight / scale, rounded half to even.

    No weight moves by more than half a scale (and float32's rounding of the scale).
    """
    kind, largest = FORMATS[format].kind, FORMATS[format].largest
    scale = _scale(np.abs(weight).max(axis=1, initial=0.0) / largest)
    q = np.rint(weight / scale[:, None]).clip(-largest, largest).astype(kind)  # (rows, cols)
    return QuantisedMatrix(q, scale, format)


def in_groups(weight: Array, format: str) -> QuantisedMatrix:
    """The same with a step for each group of columns: factor[r, g] * scale[r].

    scale[r] = the row's largest step / 255. A group's step is that of some shares of its largest weight whose squared
    error is least, so that its largest weights may be cut off; no other moves by more than half a step.
    """
    number = FORMATS[format]
    rows, cols = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -cols % number.group))).reshape(rows, -1, number.group)
    groups = padded.shape[1]
    largest = np.abs(padded).max(axis=(1, 2), initial=0.0)
    scale = _scale(largest / number.largest / LARGEST_FACTOR)
    wide, every = scale.astype(np.float64).repeat(groups), padded.reshape(rows * groups, number.group)
    factor = searched_factors(every, wide, number.largest, np.ones(number.group))
    q = np.rint(every / (factor * wide)[:, None]).clip(-number.largest, number.largest)
    q = np.ascontiguousarray(q.reshape(rows, -1)[:, :cols].astype(number.kind))
    return QuantisedMatrix(q, scale, format, factor.reshape(rows, groups).astype(np.uint8))


def searched_factors(weight: Array, scale: Array, largest: int, cost: Array) -> Array:
    """The factor of each row, (rows,), for a group's weight (rows, cols); cost: (cols,) of a squared error."""
    whole = np.abs(weight).max(axis=1) / largest / scale
    best, least = np.ones(len(weight)), np.full(len(weight), np.inf)
    for share in SHARES[::-1]:
        tried = np.ceil(whole * share).clip(1, LARGEST_FACTOR)
        step = (tried * scale)[:, None]
        error = np.rint(weight / step).clip(-largest, largest) * step - weight
        power = np.square(error) @ cost
        better = power < least
        best[better], least[better] = tried[better], power[better]
    return best


def _scale(step: Array) -> Array:
    """As float32; 1 for rows of zeros, or of what float32 can hardly hold."""
    scale = step.astype(np.float32)
    scale[scale < np.finfo(np.float32).tiny] = 1.0
    return scale
