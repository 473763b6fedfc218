"""One-hot: OneHot and Hardmax, and tokens compared with every number that they may be."""

from __future__ import annotations

import math

import numpy as np

from edgernn.layers.axes import constant, normal, scalar
from edgernn.layers.combine import combined, where
from edgernn.layers.cumsum import arg_max
from edgernn.layers.embedding import embedded
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@rule("OneHot")
def one_hot(g: Importing, indices: Value, depth: Value, values: Value, *, axis: int = -1) -> Value:
    """ONNX OneHot: of a token a row of a table, of a computed number what comparing it gives."""
    count, rank = int(scalar(g, depth, "depth")), len(indices.shape) + 1
    off, on = constant(g, values, "values").reshape(-1)
    along = normal(g, axis, rank)
    if g.is_token(indices, count):
        table = np.where(np.eye(count, dtype=bool), on, off)
        y = embedded(g, g.constant(table), indices, 0)
    else:
        last = reshaped(g, indices, (*indices.shape, 1), indices.time)
        front, back = (g.constant(np.arange(count, dtype=np.float32) - low) for low in (0, count))
        found = combined(g, "or", combined(g, "equal", last, front), combined(g, "equal", last, back), np.bool_)
        y = where(g, found, g.constant(np.asarray(on)), g.constant(np.asarray(off)))
    order = [*range(along), rank - 1, *range(along, rank - 1)]
    return taken(g, y, places(y).transpose(order), None if y.time is None else order.index(y.time))


@rule("Hardmax")
def hardmax(g: Importing, input: Value, *, axis: int | None = None) -> Value:
    """ONNX Hardmax; before opset 13 over all axes from `axis` (default 1) on, since then over one (-1)."""
    rank = len(input.shape)
    along = normal(g, (-1 if g.opset >= 13 else 1) if axis is None else axis, rank)
    flat = input
    if g.opset < 13 and not (input.time is not None and input.time >= along):
        flat = reshaped(g, input, [*input.shape[:along], math.prod(input.shape[along:])], input.time)
    largest = arg_max(g, flat, axis=along, operator="ArgMax")
    index = np.arange(flat.shape[along], dtype=np.float32).reshape(-1, *[1] * (len(flat.shape) - along - 1))
    return reshaped(g, combined(g, "equal", g.constant(index), largest, input.dtype), input.shape, input.time)
