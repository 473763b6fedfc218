"""Broadcast: operands of one node, step by step where one of them is a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgernn.layers.axes import check_rates, check_size, one_step
from edgernn.layers.base import Shape, volume
from edgernn.layers.rhythm import played
from edgernn.layers.rules import Importing, Value


def same_time(g: Importing, values: Sequence[Value], rank: int) -> int | None:
    """The time axis that operands share once broadcast to `rank` axes."""
    found = {rank - len(v.shape) + v.time for v in values if v.time is not None}
    if len(found) > 1:
        g.refuse(f"the operands have time on different axes ({sorted(found)})", "give both the same layout")
    if found and any(v.final and v.time is None for v in values):
        g.refuse(
            "combines the last step of the sequence with every step: the last step is not known before the end",
            "take the last step after this node, or convert with window=N (--window N)",
        )
    check_rates(g, values)
    return found.pop() if found else None


def broadcast_time(g: Importing, values: Sequence[Value]) -> tuple[list[Value], int | None]:
    """Operands reduced to what one step sees of them, and the time axis of their broadcast."""
    rank = max(len(v.shape) for v in values)
    time = same_time(g, values, rank)
    if time is None:
        return list(values), None
    length = next(v.length for v in values if v.time is not None)
    sequence = next((v for v in values if v.time is not None and v.const is None), None)
    axes = [time - (rank - len(v.shape)) for v in values]
    ready = [None if sequence is None else played(g, v, a, sequence) for v, a in zip(values, axes, strict=True)]
    return [r or one_step(g, v, a, length) for r, v, a in zip(ready, values, axes, strict=True)], time


def broadcast(g: Importing, *values: Value) -> tuple[list[Value], Shape, int | None]:
    """Operands made ready to be broadcast: (values, shape of the result, its time axis)."""
    ready, time = broadcast_time(g, values)
    try:
        shape = np.broadcast_shapes(*(v.shape for v in ready))
    except ValueError:
        g.refuse(f"the shapes {[list(v.shape) for v in values]} do not fit each other")
    check_size(g, tuple(shape))
    return [_spread(v, shape) for v in ready], tuple(shape), time


def _spread(x: Value, shape: Shape) -> Value:
    """A constant repeated to `shape` now, unless it is one number or already as many: spares a copy in every frame."""
    if x.const is None or x.const.size in (1, volume(shape)):
        return x
    return replace(x, shape=shape, time=None, const=np.ascontiguousarray(np.broadcast_to(x.const, shape)))
