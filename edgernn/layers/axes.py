"""What rules say about axes: numbers from constants, which axis is time, and the shape that operands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.rules import Importing, Value

SUMS = "sums over the time axis: a step would need every other step"
RATES = "combines sequences of different rates"  # what tells the importer that it is time which runs there
LARGEST_FRAME = 1 << 24  # numbers: a frame that grows past this is a mistake or an attack


def check_size(g: Importing, shape: Shape) -> None:
    """Refuse a value that is too large for a frame."""
    if volume(shape) > LARGEST_FRAME:
        g.refuse(
            f"a frame would grow to {volume(shape)} numbers", "check the sizes in the graph, or use a smaller window"
        )


def constant(g: Importing, x: Value | None, name: str) -> Array:
    """The constant that input `name` must be."""
    if x is None:
        g.refuse(f"input {name} is missing")
    if x.const is None:
        g.refuse(f"input {name} is computed at run time, not a constant")
    if x.time is not None:
        g.refuse(f"input {name} depends on the number of steps")
    return x.const


def integers(g: Importing, x: Value | None, name: str) -> list[Any]:
    """The integers (or symbols) of a constant input of any rank."""
    held = constant(g, x, name)
    if held.dtype != object and not np.issubdtype(held.dtype, np.integer):
        g.refuse(f"input {name} holds {held.dtype}, expected integers")
    found: list[Any] = held.reshape(-1).tolist()
    return found


def numbers(g: Importing, x: Value | None, name: str) -> list[int]:
    """The integers of a constant input; a symbol (the number of steps) is refused."""
    held = integers(g, x, name)
    if x is not None and x.const is not None and x.const.dtype == object and not all(isinstance(n, int) for n in held):
        g.refuse(f"input {name} depends on the number of steps")
    return held


def scalar(g: Importing, x: Value, name: str) -> float:
    """The single number of a constant input."""
    held = constant(g, x, name)
    if held.size != 1:
        g.refuse(f"input {name} has shape {list(held.shape)}, expected one number")
    return float(held.reshape(-1)[0])


def normal(g: Importing, axis: int, rank: int, name: str = "axis") -> int:
    """The axis counted from the front."""
    if not -rank <= axis < rank:
        g.refuse(f"{name}={axis}: the input has {rank} axes")
    return axis % rank


def normal_axes(g: Importing, axes: Sequence[int], rank: int) -> list[int]:
    """The axes counted from the front, each once."""
    found = [normal(g, axis, rank, "axes") for axis in axes]
    if len(set(found)) != len(found):
        g.refuse(f"axes={list(axes)}: the same axis twice")
    return found


def surely(a: Any, b: Any) -> bool:
    """Whether two sizes are equal, however many steps there are."""
    try:
        return a is b or bool(a == b)
    except ValueError:
        return False


def steps_in(g: Importing, length: Any) -> int:
    """How many steps of a sequence of this length an evaluation holds."""
    if isinstance(length, int):
        return max(1, round(length * g.hop / g.length)) if isinstance(g.length, int) else 1
    counts = (n for n in range(1, g.hop + 1) if isinstance(length * g.hop - g.length * n, int))
    return next(counts, 1)


def full_shape(g: Importing, x: Value) -> list[Any]:
    """The shape over the whole sequence: the time axis has its length."""
    return [x.length if axis == x.time else n for axis, n in enumerate(x.shape)]


def check_rates(g: Importing, values: Sequence[Value]) -> None:
    """Refuse to combine sequences of which an evaluation holds different numbers of steps."""
    counts = {v.shape[v.time] for v in values if v.time is not None and v.const is None}
    if len(counts) > 1:
        g.refuse(f"{RATES}: {sorted(counts)} steps in {g.hop} frames")


def one_step(g: Importing, x: Value, axis: int, length: Any) -> Value:
    """What one step sees of an operand that has no time axis, where the result has `length` steps on `axis` of it."""
    if axis < 0 or x.time is not None or x.shape[axis] == 1:
        return x
    if x.const is None:
        g.refuse(f"an operand without a time axis has {x.shape[axis]} entries where the other has time")
    first = x.const.take([0], axis)
    if not surely(x.shape[axis], length) or not np.array_equal(np.broadcast_to(first, x.shape), x.const):
        g.refuse(
            "reads a constant that differs from step to step (a position code, or a mask over the sequence)",
            "export without it: a stream has no first step; or convert with window=N (--window N)",
        )
    return replace(x, shape=first.shape, const=first)
