"""Given: the inputs of a graph as an evaluation sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.file.graph import Input
from edgernn.importer.file.symbolic import settled
from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.model import Node
from edgernn.layers.pointwise import Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.rules import Value
from edgernn.layers.take import Take

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build


def entered(g: Build, given: Input, time: int | None, sizes: Shape, zero: bool) -> Value | None:
    """An input of these sizes: the frames of an evaluation along its time axis, or its last one; None if too large."""
    if given.dims is None:
        g.problems.append(Problem(given.name, "input", "the file does not say its shape", "export with shapes"))
        return None
    shape = tuple(g.window if axis == time else n for axis, n in enumerate(sizes))
    if not g.has_room(shape if time is not None else (g.window, *shape)):
        what = f"a frame of {list(shape)} is too large for a stream"
        g.problems.append(Problem(given.name, "input", what, "export with smaller frames"))
        return None
    if given.counts:
        const = settled(np.full(sizes, g.length, object))
        return Value(given.name, sizes, None, const, const.dtype)
    if zero:
        return Value(given.name, shape, None, np.zeros(shape, np.float32))
    size = volume(shape) // (1 if time is None else g.window)
    index = _places(shape, time, g.window)
    whole = index.size == g.window * size and np.array_equal(index, np.arange(index.size))
    frame = g.unique(f"{given.name}.frame")
    g.nodes.append(Node(frame, Reshape(shape) if whole else Take(index, shape), (given.name,), (frame,)))
    g.ports[given.name] = size
    if time is not None and np.dtype(given.dtype) == np.bool_:
        frame = _truth(g, frame)
    elif np.dtype(given.dtype).kind in "iu" and np.dtype(given.dtype).itemsize <= 2:
        span = np.iinfo(given.dtype)
        frame = _mapped(g, _mapped(g, frame, Map("clip", float(span.min), float(span.max))), Map("trunc"))
        g.note(f"the input '{given.name}' takes whole numbers from {span.min} to {span.max}; others are made such")
    else:
        g.roots[frame] = given.name
    if time is None or not g.has_time:
        return Value(frame, shape, None, None, given.dtype)
    return Value(frame, shape, time, None, given.dtype, length=g.length)


def _truth(g: Build, frame: str) -> str:
    """A frame of truth values as 0 and 1, whatever numbers stand for them."""
    return _mapped(g, _mapped(g, frame, Map("not")), Map("not"))


def _mapped(g: Build, frame: str, function: Map) -> str:
    """What a function makes of a frame."""
    made = g.unique(frame)
    g.nodes.append(Node(made, function, (frame,), (made,)))
    return made


def _places(shape: Shape, time: int | None, frames: int) -> Array:
    """Where the numbers of an input stand in the frames of an evaluation; of an input without time, in the last one."""
    if time is None:
        return np.arange((frames - 1) * volume(shape), frames * volume(shape), dtype=np.int32)
    rest = (*shape[:time], *shape[time + 1 :])
    index = np.arange(volume(shape), dtype=np.int32).reshape(shape[time], *rest)
    return np.ascontiguousarray(np.moveaxis(index, 0, time)).reshape(-1)
