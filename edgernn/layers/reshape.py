"""Reshape: the same numbers under another shape, at no cost: Reshape, Squeeze, Unsqueeze, Flatten in ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.layers.axes import full_shape, integers, normal, normal_axes, numbers
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.rules import Importing, Value, rule


@dataclass(frozen=True, eq=False)
class Reshape(Layer):
    """y = x, in another shape of as many numbers."""

    shape: Shape

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        if volume(x) != volume(self.shape):
            raise ValueError(f"{x} has another size than {self.shape}")
        return (self.shape,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        return (inputs[0].reshape(self.shape),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return inputs


def reshaped(g: Importing, x: Value, shape: Sequence[int], time: int | None) -> Value:
    """x in another frame shape, with its time axis there; x itself where nothing changes."""
    if tuple(shape) == x.shape and time == x.time:
        return x
    (y,) = g.add(Reshape(tuple(shape)), x, time=time, dtype=x.dtype)
    return y


def reshape_all(g: Importing, x: Value, target: Sequence[Any]) -> Value:
    """x with `target` as its shape over the whole sequence; the time axis must stay an axis of its own."""
    old, new = full_shape(g, x), list(target)
    if new.count(-1) == 1:
        known = math.prod(n for n in new if not _is(n, -1))
        if _is(known, 0):
            g.refuse(f"the shape {new} leaves -1 open")
        new[new.index(-1)] = math.prod(old) // known
    if x.time is None:
        if not all(isinstance(n, int) for n in new):
            g.refuse("the new shape depends on the number of steps, but the input has no time axis")
        if any(n < 0 for n in new) or math.prod(new) != math.prod(old):
            g.refuse(f"{old} cannot become {new}")
        return reshaped(g, x, new, None)
    axis = _time_axis(old, x.time, new)
    if axis is None:
        g.refuse(
            f"{old} becomes {new}: that mixes the time axis with others",
            "keep time as an axis of its own, for example by exporting with a batch of 1",
        )
    frame = [1 if i == axis else n for i, n in enumerate(new)]
    return reshaped(g, x, frame, axis)


def _is(n: Any, number: int) -> bool:
    return isinstance(n, int) and n == number


def _time_axis(old: list[Any], time: int, new: list[Any]) -> int | None:
    """Where time is in `new`: as many numbers before it and after it as in `old`, and all of them plain.

    A number in that place is the length for which the file was exported.
    """
    before, after = math.prod(old[:time]), math.prod(old[time + 1 :])
    for axis, n in enumerate(new):
        others = new[:axis] + new[axis + 1 :]
        if not all(isinstance(m, int) and m >= 0 for m in others) or (isinstance(n, int) and n < 1):
            continue
        if math.prod(new[:axis]) != before or math.prod(new[axis + 1 :]) != after:
            continue
        if isinstance(n, int) == isinstance(old[time], int) and n != old[time]:
            continue
        return axis
    return None


@rule("Reshape")
def reshape(g: Importing, data: Value, shape: Value, *, allowzero: int = 0) -> Value:
    """ONNX Reshape: 0 copies a dimension (unless allowzero), -1 is worked out."""
    target = integers(g, shape, "shape")
    for axis, n in enumerate(target):
        if _is(n, 0) and not allowzero:
            if axis >= len(data.shape):
                g.refuse(f"the shape {target} copies an axis that the input does not have")
            target[axis] = full_shape(g, data)[axis]
    return reshape_all(g, data, target)


@rule("Flatten")
def flatten(g: Importing, input: Value, *, axis: int = 1) -> Value:
    """ONNX Flatten: two axes, split before `axis`."""
    rank = len(input.shape)
    split = axis if axis == rank else normal(g, axis, rank)
    old = full_shape(g, input)
    return reshape_all(g, input, [math.prod(old[:split]), math.prod(old[split:])])


@rule("Squeeze")
def squeeze(g: Importing, data: Value, axes: Value | None = None, *, axes_: Sequence[int] | None = None) -> Value:
    """ONNX Squeeze; axes are an attribute before opset 13."""
    rank = len(data.shape)
    given = axes_ if axes is None else numbers(g, axes, "axes")
    if given is None:
        gone = [axis for axis, n in enumerate(data.shape) if n == 1 and axis != data.time]
    else:
        gone = normal_axes(g, given, rank)
    if data.time in gone:
        g.refuse("removes the time axis")
    if any(data.shape[axis] != 1 for axis in gone):
        g.refuse(f"axes={sorted(gone)}: not all of them are 1 in {list(data.shape)}")
    kept = [axis for axis in range(rank) if axis not in gone]
    time = None if data.time is None else kept.index(data.time)
    return reshaped(g, data, [data.shape[axis] for axis in kept], time)


@rule("Unsqueeze")
def unsqueeze(g: Importing, data: Value, axes: Value | None = None, *, axes_: Sequence[int] | None = None) -> Value:
    """ONNX Unsqueeze; axes are an attribute before opset 13."""
    given = list(axes_ or ()) if axes is None else numbers(g, axes, "axes")
    rank = len(data.shape) + len(given)
    new = normal_axes(g, given, rank)
    old = iter(range(len(data.shape)))
    places = [None if axis in new else next(old) for axis in range(rank)]
    time = None if data.time is None else places.index(data.time)
    return reshaped(g, data, [1 if place is None else data.shape[place] for place in places], time)


@rule("Identity")
def identity(g: Importing, input: Value) -> Value:
    """ONNX Identity."""
    return input
