"""Float32 matrices to the nearest integers: symmetric, one scale a row, and in int4 a factor for each group of columns.

Each rule raises ValueError where a weight is not finite.
"""

from __future__ import annotations

import numpy as np

from edgernn.layers.base import FORMATS, Array, QuantisedMatrix

LARGEST_FACTOR = 255


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

    scale[r] = the row's largest step / 255; a group's factor is its own step over that, rounded up so that its largest
    weight fits. No weight moves by more than half of its group's step.
    """
    number = FORMATS[format]
    rows, cols = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -cols % number.group))).reshape(rows, -1, number.group)
    step = np.abs(padded).max(axis=2, initial=0.0) / number.largest  # (rows, groups)
    scale = _scale(step.max(axis=1, initial=0.0) / LARGEST_FACTOR)
    factor = np.ceil(step / scale[:, None]).clip(1, LARGEST_FACTOR)
    q = np.rint(padded / (factor * scale[:, None])[:, :, None]).clip(-number.largest, number.largest)
    q = q.reshape(rows, -1)[:, :cols].astype(number.kind)
    return QuantisedMatrix(np.ascontiguousarray(q), scale, format, factor.astype(np.uint8))


def _scale(step: Array) -> Array:
    """As float32; 1 for rows of zeros, or of what float32 can hardly hold."""
    scale = step.astype(np.float32)
    scale[scale < np.finfo(np.float32).tiny] = 1.0
    return scale
