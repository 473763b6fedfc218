"""CumSum; and ArgMax, made of sums, comparisons and choices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.layers.axes import normal, numbers
from edgernn.layers.broadcast import broadcast
from edgernn.layers.combine import combined
from edgernn.layers.matmul import affine
from edgernn.layers.pointwise import Select
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.rhythm import WINDOW, settled
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@rule("CumSum")
def cum_sum(g: Importing, x: Value, axis: Value, *, exclusive: int = 0, reverse: int = 0) -> Value:
    """ONNX CumSum: sums of all before, in a frame or over time, where a state holds what there was so far."""
    along = normal(g, numbers(g, axis, "axis")[0], len(x.shape))
    if x.time == along and reverse:
        g.refuse("reverse=1 over time needs the end of the sequence before its start", WINDOW)
    x = settled(g, x) if x.time == along else x
    y = _within(g, x, along, reverse)
    if x.time == along:
        start = np.zeros([1 if place == along else n for place, n in enumerate(x.shape)], np.float32)
        held = g.carry(start)
        y = combined(g, "add", y, held, x.dtype)
        g.close(held, taken(g, y, places(y).take([-1], along), None), x)
    return combined(g, "sub", y, x, x.dtype) if exclusive else y


def _within(g: Importing, x: Value, along: int, reverse: int) -> Value:
    """The sums over the steps that an evaluation holds: a product with a triangle of ones."""
    count = x.shape[along]
    if count == 1:
        return x
    order = [*(place for place in range(len(x.shape)) if place != along), along]
    triangle = np.tril(np.ones((count, count), np.float32))
    moved = taken(g, x.untimed(), places(x).transpose(order), None)
    sums = affine(g, moved, triangle.T if reverse else triangle)
    y = taken(g, sums, places(sums).transpose(np.argsort(order)), None)
    return replace(y.like(x), time=x.time, dtype=x.dtype)


@rule("ArgMax", "ArgMin")
def arg_max(
    g: Importing, data: Value, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0, operator: str
) -> Value:
    """ONNX ArgMax and ArgMin along an axis of a frame: where the largest is, first or last of equal ones."""
    along = normal(g, axis, len(data.shape))
    if data.time == along:
        g.refuse("looks for a step of the sequence: a step would need every other step", WINDOW)
    top = reduced(g, "max" if operator == "ArgMax" else "min", data, [along])
    count = data.shape[along]
    index = np.arange(count, dtype=np.float32).reshape(-1, *[1] * (len(data.shape) - along - 1))
    none = g.constant(np.full(1, -1 if select_last_index else count, np.float32))
    found = combined(g, "equal", data, top, np.bool_)
    ready, _, time = broadcast(g, found, g.constant(index), none)
    (where,) = g.add(Select(), *ready, time=time)
    y = reduced(g, "max" if select_last_index else "min", where, [along])
    y = y if keepdims else squeezed(g, y, [along])
    return replace(y, dtype=np.dtype(np.int64))
