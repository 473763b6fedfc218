"""What a node gives without any layer: constants, sizes, and constants repeated over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.importer.file import symbolic
from edgernn.importer.file.dims import present
from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.positions import numbered
from edgernn.layers.axes import check_size, full_shape, integers
from edgernn.layers.base import Array
from edgernn.layers.rules import Importing, Value


def known(g: Importing, operator: Operator, inputs: Sequence[Value | None]) -> Value | None:
    """The value of such a node; None for all others."""
    if operator.kind == "Constant":
        held = held_by(operator.attributes)
        if held is None:
            g.refuse(f"holds {', '.join(operator.attributes) or 'nothing'}, not a plain tensor")
        return g.constant(held)
    x = inputs[0] if inputs else None
    if x is None:
        return None
    if operator.kind == "Shape":
        sizes = [present(n) for n in full_shape(g, x)]
        sizes = sizes[operator.attributes.get("start", 0) : operator.attributes.get("end")]
        return g.constant(symbolic.settled(sizes))
    if operator.kind == "Size":
        return g.constant(symbolic.settled(np.prod(np.asarray(full_shape(g, x), object))))
    if operator.kind == "ConstantOfShape" and symbolic.is_symbolic(x.const):
        value = operator.attributes.get("value", np.zeros(1, np.float32))
        return _repeated(g, value.reshape(()), integers(g, x, "input"))
    if operator.kind == "Expand" and x.const is not None and x.time is None:
        shape = inputs[1]
        if shape is not None and symbolic.is_symbolic(shape.const) and not symbolic.is_symbolic(x.const):
            return _repeated(g, x.const, integers(g, shape, "shape"))
    return numbered(g, operator, inputs)


def _repeated(g: Importing, x: Array, target: list[Any]) -> Value:
    """A constant of a shape with the number of steps in it: the same in every frame."""
    along = [axis for axis, n in enumerate(target) if not isinstance(n, int)]
    if len(along) != 1:
        g.refuse(f"makes a constant of shape {target}: that is not one frame after the other")
    time = along[0]
    frame = tuple(1 if axis == time else int(n) for axis, n in enumerate(target))
    check_size(g, frame)
    depth = len(frame) - time  # counted from the end
    if x.ndim >= depth and x.shape[-depth] != 1:
        g.refuse("repeats a constant along time that already has several entries there")
    full = np.broadcast_shapes(x.shape, frame)
    return g.constant(np.ascontiguousarray(np.broadcast_to(x, full)), len(full) - depth, target[time])


def held_by(attributes: Mapping[str, Any]) -> Array | None:
    """The numbers of a Constant node, in whichever of its attributes they are; None where it holds something else."""
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64)):
        if name in attributes:
            return np.asarray(attributes[name], dtype)
    if "value_ints" in attributes:
        return np.asarray(attributes["value_ints"], np.int64)
    held = attributes.get("value")
    return held if isinstance(held, np.ndarray) else None
