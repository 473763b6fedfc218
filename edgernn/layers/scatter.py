"""ScatterND and ScatterElements at constant places: what is written stands beside the data, and places pick of both.

Over time they write at every step, at all from one on, or at the first few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, constant, full_shape, normal, surely
from edgernn.layers.base import Array, volume
from edgernn.layers.join import Join
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.reduce import Reduce
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW, aligned, continued, steps_of
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.slices import padded
from edgernn.layers.take import counted, of_a_step, places, repeated, taken

SINGLE = "writes at single steps of a sequence"
REDUCTIONS = {"add": ("sum", 0.0), "mul": ("prod", 1.0), "max": ("max", -LARGEST), "min": ("min", LARGEST)}


@dataclass(frozen=True)
class Steps:
    """The steps of the data that an axis of the indices walks along: so many from `first` on."""

    axis: int
    first: int
    length: Any


@rule("ScatterND")
def scatter_nd(g: Importing, data: Value, indices: Value, updates: Value, *, reduction: str = "none") -> Value:
    """ONNX ScatterND with constant indices; where one stands twice, the later update is written."""
    return scattered(g, data, constant(g, indices, "indices"), updates, reduction)


@rule("ScatterElements", "Scatter")
def scatter_elements(
    g: Importing, data: Value, indices: Value, updates: Value, *, axis: int = 0, reduction: str = "none"
) -> Value:
    """ONNX ScatterElements with constant indices."""
    along, steps = normal(g, axis, len(data.shape)), None
    if indices.const is not None and indices.time is not None and indices.time != along:
        steps, indices = Steps(indices.time, 0, indices.length), indices.untimed()
    held = constant(g, indices, "indices")
    if held.ndim != len(data.shape):
        g.refuse(f"indices of shape {list(held.shape)} do not fit data of shape {list(data.shape)}")
    check_size(g, (*held.shape, held.ndim))
    spots = np.moveaxis(np.indices(held.shape), 0, -1)
    spots[..., along] = held
    return scattered(g, data, spots, updates, reduction, steps)


def scattered(
    g: Importing, data: Value, spots: Array, updates: Value, reduction: str, steps: Steps | None = None
) -> Value:
    """The data with updates (*places, *rest) at spots (*places, axes); `steps`: which axis of these is time."""
    depth, ahead = spots.shape[-1] if spots.ndim else 0, spots.ndim - 1
    if not 0 < depth <= len(data.shape) or (reduction != "none" and reduction not in REDUCTIONS):
        g.refuse(f"reduction={reduction}, indices of {list(spots.shape)}, data of {list(data.shape)} do not fit")
    data = _over_time(g, data, spots, updates)
    spots = counted(g, spots, full_shape(g, data)[:depth])
    if data.time is not None and data.time < depth:
        steps = steps or _walk(g, spots, data, updates)
        return _at_steps(g, data, spots, updates, reduction, steps)
    if data.time is not None and updates.time is None and updates.const is not None:
        updates = g.constant(of_a_step(updates.const, data.time - depth + ahead, data.length))
    time = data.time if updates.time is None else updates.time - ahead + depth
    if data.time not in (None, time) or (time is not None and time < depth):
        g.refuse(SINGLE, WINDOW)
    return _written(g, data, spots, updates, reduction, time)


def _over_time(g: Importing, data: Value, spots: Array, updates: Value) -> Value:
    """Constant data of a fixed length as what each step has of it, where the updates have time."""
    if data.const is None or data.time is not None or updates.time is None:
        return data
    depth, later = spots.shape[-1], updates.time - (spots.ndim - 1)
    for axis in range(depth) if later < 0 else [depth + later]:
        walks = later >= 0 or (np.diff(spots[..., axis], axis=updates.time) == 1).all()
        one = of_a_step(data.const, axis, data.shape[axis]) if axis < len(data.shape) else data.const
        if walks and one.shape != data.shape:
            return g.constant(one, axis, data.shape[axis])
    return data


def _walk(g: Importing, spots: Array, data: Value, updates: Value) -> Steps:
    """Which steps are written at, where it is the same in each."""
    time, axes = data.time, list(range(spots.ndim - 1)) if updates.time is None else [updates.time]
    for axis in axes:
        first = int(spots[..., time].flat[0]) if spots.size else 0
        turns = first + np.arange(spots.shape[axis]).reshape(-1, *[1] * (spots.ndim - 2 - axis))
        same = (spots == spots.take([0], axis)) | (np.arange(spots.shape[-1]) == time)
        if spots.size and (spots[..., time] == turns).all() and same.all():
            return Steps(axis, first, spots.shape[axis])
    g.refuse(SINGLE, WINDOW)


def _at_steps(g: Importing, data: Value, spots: Array, updates: Value, reduction: str, steps: Steps) -> Value:
    """What is written at each of these steps, and the data at the others."""
    time, after = data.time or 0, data.length - steps.first - steps.length
    count = steps_of(data if data.const is None or updates.time is None else updates)
    one = spots.take([0], steps.axis)
    there = [np.where(np.arange(one.shape[-1]) == time, step, one) for step in range(count)]
    updates = _of_each(g, updates, steps, count)
    if updates.const is None:
        updates = padded(g, updates, steps.first, after)
    y = _written(g, repeated(data, time, count), np.concatenate(there, steps.axis), updates, reduction, time)
    if updates.const is not None and steps.first == 0 and _few(steps.length, after):
        return continued(g, y, data, steps.length)
    if updates.const is not None and not surely(after, 0):
        g.refuse(SINGLE, WINDOW)
    if isinstance(data.length, int) and steps.first >= steps.length:
        g.refuse(SINGLE, WINDOW)
    zeros = data.const is not None and not data.const.any() and reduction in ("none", "add")
    if steps.first == 0 or (zeros and updates.const is None):
        return y
    return continued(g, data, y, steps.first)


def _few(steps: Any, others: Any) -> bool:
    """Whether these are the first few steps: fewer than all others."""
    return isinstance(steps, int) and (not isinstance(others, int) or steps < others)


def _of_each(g: Importing, updates: Value, steps: Steps, count: int) -> Value:
    """What is written at each step, `count` of them in an evaluation."""
    if updates.const is not None:
        held = updates.const
        if updates.time is None and steps.axis < held.ndim:
            held = of_a_step(held, steps.axis, held.shape[steps.axis])
        if steps.axis < held.ndim and held.shape[steps.axis] == 1:
            return repeated(g.constant(held, steps.axis, steps.length), steps.axis, count)
    if updates.time != steps.axis or not surely(updates.length, steps.length):
        g.refuse(SINGLE, WINDOW)
    return updates


def _written(g: Importing, data: Value, spots: Array, updates: Value, reduction: str, time: int | None) -> Value:
    """The data with updates at the spots of one evaluation; on time axis `time`."""
    depth, size = spots.shape[-1], volume(data.shape)
    if updates.shape != (*spots.shape[:-1], *data.shape[depth:]):
        shapes = [list(data.shape), list(spots.shape), list(updates.shape)]
        g.refuse(f"data, indices and updates of shapes {shapes} do not fit each other")
    if time is not None and any(x.const is None and x.time is None for x in (data, updates)):
        g.refuse(SINGLE, WINDOW)
    index = places(data).copy()
    over = index[tuple(np.moveaxis(spots, -1, 0))]
    index[tuple(np.moveaxis(spots, -1, 0))] = size + places(updates)
    if reduction == "none" and index.size and index.min() >= size and updates.const is None:
        return taken(g, updates, index - size, time)
    data, updates = aligned(g, (data, updates))
    x = updates if data.const is not None else data
    row, more = (reshaped(g, v.untimed(), (1, volume(v.shape)), None) for v in (data, updates))
    (joined,) = g.add(Join(1), row, more, dtype=data.dtype)
    if reduction == "none":
        y = taken(g, joined, index, time)
    else:
        operation, fill = REDUCTIONS[reduction]
        together = taken(g, joined, _together(g, size, over), None, fill)
        (y,) = g.add(Reduce(operation, (1,)), together, dtype=data.dtype)
        y = reshaped(g, y, data.shape, time)
    past, ahead = max(data.past, updates.past), max(data.ahead, updates.ahead)
    return replace(y.like(x), past=past, ahead=ahead)


def _together(g: Importing, size: int, over: Array) -> Array:
    """For each of `size` numbers its place and those of the updates that go `over` it, (size, 1 + most); -1: none."""
    order = np.argsort(over, axis=None, kind="stable")
    target = over.reshape(-1)[order]
    turn = np.arange(target.size) - np.searchsorted(target, target)
    check_size(g, (size, 2 + int(turn.max(initial=-1))))
    index = np.full((size, 2 + turn.max(initial=-1)), -1, np.int32)
    index[:, 0] = np.arange(size)
    index[target, 1 + turn] = size + order
    return index
