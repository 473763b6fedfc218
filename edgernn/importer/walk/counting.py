"""Counting: the numbers of a sequence's steps (see `positions`) as numbers that a state counts, for arithmetic.

Averages over all steps so far divide by them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.layers.axes import surely
from edgernn.layers.base import Array
from edgernn.layers.combine import combined
from edgernn.layers.cumsum import cum_sum
from edgernn.layers.pointwise import Map
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value
from edgernn.layers.take import places, taken


def counting(g: Importing, x: Value, like: Value | None) -> Value:
    """Positions, k * stride + offset in step k, counted along the steps of `like`, or else of the whole sequence."""
    time, rank = x.time or 0, len(x.shape)
    length = g.length if like is None else like.length
    if not surely(x.length, length):
        what = f"numbers the steps of a sequence of {x.length} steps, and meets one of {length}"
        g.refuse(what, f"number those that it meets; or {WINDOW}")
    if like is not None and like.time is not None and like.time - len(like.shape) != time - rank:
        g.refuse("numbers the steps along another axis than that of the sequence which it meets")
    ones = g.constant(np.ones([1] * rank, np.float32), time, x.length) if like is None else _ones(g, like, time, rank)
    count = cum_sum(g, ones, g.constant(np.array(time)))  # k + 1
    strides, offsets = _each(x, "stride"), _each(x, "offset")
    return combined(g, "add", combined(g, "mul", count, g.constant(strides)), g.constant(offsets - strides))


def _ones(g: Importing, like: Value, time: int, rank: int) -> Value:
    """One for each step of a sequence, whatever its numbers are, of so many axes."""
    along = like.time or 0
    first = taken(g, like, places(like)[tuple(slice(None if a == along else 1) for a in range(len(like.shape)))], along)
    (ones,) = g.add(Map("affine", 1.0, 1.0), combined(g, "less", first, first), time=along)
    return reshaped(g, ones, [like.shape[along] if axis == time else 1 for axis in range(rank)], time)


def _each(x: Value, field: str) -> Array:
    """What each of the positions has for a field, in float32."""
    held: list[Any] = [getattr(position, field) for position in np.asarray(x.const).reshape(-1)]
    return np.array(held, np.float32).reshape(x.shape)
