"""Reshape: the same numbers under another shape, at no cost. Squeeze and Unsqueeze; see also `stacking`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgernn.layers.axes import normal_axes, numbers
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
    if x.const is not None and x.time is not None and time is not None:
        return g.constant(x.const.reshape(shape), time, x.length)
    (y,) = g.add(Reshape(tuple(shape)), x, time=time, dtype=x.dtype)
    return y


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
