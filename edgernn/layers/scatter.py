"""ScatterND and ScatterElements at constant places: what is written stands beside the data, and places pick of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.layers.axes import constant, normal
from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.join import Join
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@rule("ScatterND")
def scatter_nd(g: Importing, data: Value, indices: Value, updates: Value, *, reduction: str = "none") -> Value:
    """ONNX ScatterND with constant indices; where one stands twice, the later update is written."""
    _check_reduction(g, reduction)
    held = constant(g, indices, "indices")
    depth = held.shape[-1] if held.ndim else 0
    if data.time is not None and data.time < depth:
        held, updates = _at_each_step(g, data, held, updates)
        spots = _counted(g, held.reshape(-1, depth), data.shape[:depth])
        return _written(g, data, updates, tuple(spots.T), (len(spots), *data.shape[depth:]), data.time)
    ahead = held.ndim - 1
    if data.time is not None and updates.time is None and updates.const is not None:
        updates = g.constant(_of_a_step(updates.const, data.time - depth + ahead, data.length))
    expected = (*held.shape[:-1], *data.shape[depth:])
    if not 0 < depth <= len(data.shape) or updates.shape != expected:
        shapes = [list(data.shape), list(held.shape), list(updates.shape)]
        g.refuse(f"data, indices and updates of shapes {shapes} do not fit each other")
    time = data.time if updates.time is None else updates.time - ahead + depth
    if data.time not in (None, time) or (time is not None and time < depth):
        g.refuse("writes at single steps of a sequence", WINDOW)
    spots = _counted(g, held.reshape(-1, depth), data.shape[:depth])
    return _written(g, data, updates, tuple(spots.T), (len(spots), *data.shape[depth:]), time)


@rule("ScatterElements", "Scatter")
def scatter_elements(
    g: Importing, data: Value, indices: Value, updates: Value, *, axis: int = 0, reduction: str = "none"
) -> Value:
    """ONNX ScatterElements with constant indices."""
    _check_reduction(g, reduction)
    held, along = constant(g, indices, "indices"), normal(g, axis, len(data.shape))
    if data.time not in (None, along) and updates.time == data.time:
        held = _of_a_step(held, data.time, data.length)
    if held.shape != updates.shape or held.ndim != len(data.shape):
        g.refuse(f"indices of shape {list(held.shape)} do not fit updates of shape {list(updates.shape)}")
    if data.time != updates.time or data.time == along:
        g.refuse("writes at single steps of a sequence", WINDOW)
    spots: list[Array] = [*np.indices(held.shape)]
    spots[along] = _counted(g, held.reshape(-1, 1), data.shape[along : along + 1]).reshape(held.shape)
    if any(spot.size and spot.max() >= n for spot, n in zip(spots, data.shape, strict=True)):
        g.refuse(f"indices of shape {list(held.shape)} do not fit data of shape {list(data.shape)}")
    return _written(g, data, updates, tuple(spots), held.shape, data.time)


def _at_each_step(g: Importing, data: Value, held: Array, updates: Value) -> tuple[Array, Value]:
    """Indices and updates of one step, where those of all steps write at the same places of each."""
    time, steps = data.time, data.length
    assert time is not None
    for axis in range(held.ndim - 1) if isinstance(steps, int) else ():
        first = held.take([0], axis)
        turns = np.arange(steps).reshape(-1, *[1] * (held.ndim - 2 - axis))
        rest = np.delete(held, time, -1) == np.delete(first, time, -1)
        if held.shape[axis] != steps or not (held[..., time] == turns).all() or not rest.all():
            continue
        if updates.time is None and updates.const is not None:
            updates = g.constant(_of_a_step(updates.const, axis, steps))
        if updates.time in (None, axis) and updates.shape == (*first.shape[:-1], *data.shape[held.shape[-1] :]):
            return np.where(np.arange(held.shape[-1]) == time, 0, first), updates
    g.refuse("writes at single steps of a sequence", WINDOW)


def _of_a_step(held: Array, axis: int, steps: Any) -> Array:
    """What a constant for all of a fixed number of steps holds for each, where that is the same."""
    if not isinstance(steps, int) or axis >= held.ndim or held.shape[axis] != steps:
        return held
    one = held.take([0], axis)
    return one if (held == one).all() else held


def _check_reduction(g: Importing, reduction: str) -> None:
    if reduction != "none":
        g.refuse(f"reduction={reduction} is not supported", "scatter over zeros, then combine")


def _counted(g: Importing, held: Array, sizes: tuple[int, ...]) -> Array:
    """Indices (n, axes) from the front of axes of these sizes."""
    limits = np.array(sizes, np.int64)
    if ((held < -limits) | (held >= limits)).any():
        g.refuse(f"an index is outside axes of {list(sizes)}")
    return np.where(held < 0, held + limits, held)


def _written(
    g: Importing, data: Value, updates: Value, spots: tuple[Array, ...], shape: Shape, time: int | None
) -> Value:
    """The data with updates, in this shape, at the spots; on time axis `time`."""
    if time is not None and data.shape[time] != 1:
        g.refuse("writes into several steps of a sequence at once", WINDOW)
    index = places(data).copy()
    index[spots] = np.arange(volume(shape), dtype=np.int32).reshape(shape) + volume(data.shape)
    row, more = (reshaped(g, x, (1, volume(x.shape)), None if x.time is None else 0) for x in (data, updates))
    (joined,) = g.add(Join(1), row, more, time=None if time is None else 0, dtype=data.dtype)
    return taken(g, joined, index, time)
