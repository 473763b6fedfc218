"""Take: picks numbers by place. Transpose, Expand and Tile are nothing else; see also `slices`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, full_shape, integers, normal_axes, steps_in, surely
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Importing, Value, rule

AS_WINDOW = "convert with window=N (--window N)"  # what `rhythm`, which needs this file, calls WINDOW


@dataclass(frozen=True, eq=False)
class Take(Layer):
    """y[i] = x[index[i]], and fill where index[i] is -1."""

    index: Array  # (volume(shape),) int32
    shape: Shape
    fill: float = 0.0

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        if self.index.shape != (volume(self.shape),):
            raise ValueError(f"{self.index.shape} indices for the shape {self.shape}")
        if self.index.size and (self.index.min() < -1 or self.index.max() >= volume(x)):
            raise ValueError(f"an index is outside the {volume(x)} numbers of the input")
        return (self.shape,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        x = np.append(inputs[0].reshape(-1), inputs[0].dtype.type(self.fill))
        return (x[self.index].reshape(self.shape),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.take(inputs[0], self.index, self.fill),)


def places(x: Value) -> Array:
    """The place of each number of x, in the shape of x."""
    return np.arange(volume(x.shape), dtype=np.int32).reshape(x.shape)


def taken(g: Importing, x: Value, index: Array, time: int | None, fill: float = 0.0) -> Value:
    """The numbers of x at `index`, in its shape; a mere reshape where that is all there is to it."""
    check_size(g, index.shape)
    flat = np.ascontiguousarray(index.reshape(-1), np.int32)
    if flat.size == volume(x.shape) and np.array_equal(flat, np.arange(flat.size)):
        return reshaped(g, x, index.shape, time)
    (y,) = g.add(Take(flat, index.shape, fill), x, time=time, dtype=x.dtype)
    return y


def counted(g: Importing, held: Array, sizes: Sequence[Any]) -> Array:
    """Indices (..., axes) from the front of axes of these sizes; along one of unknown size they count from there."""
    limits = np.array([n if isinstance(n, int) else np.iinfo(np.int64).max for n in sizes], np.int64)
    if ((held < -limits) | (held >= limits)).any():
        g.refuse(f"an index is outside axes of {list(sizes)}")
    return np.where(held < 0, held + limits, held)


def of_a_step(held: Array, axis: int, steps: Any) -> Array:
    """What a constant for all of a fixed number of steps holds for each, where that is the same."""
    if not isinstance(steps, int) or axis >= held.ndim or held.shape[axis] != steps:
        return held
    one = held.take([0], axis)
    return one if (held == one).all() else held


def repeated(x: Value, time: int | None, steps: int) -> Value:
    """A constant that is the same in every step, once for each step that an evaluation holds."""
    if time is None or x.const is None or x.shape[time] == steps:
        return x
    held = np.repeat(x.const, steps, time)
    return replace(x, shape=held.shape, const=held)


@rule("Transpose")
def transpose(g: Importing, data: Value, *, perm: Sequence[int] | None = None) -> Value:
    """ONNX Transpose; without perm all axes are reversed."""
    rank = len(data.shape)
    order = list(range(rank))[::-1] if perm is None else normal_axes(g, perm, rank)
    if len(order) != rank:
        g.refuse(f"perm={list(perm or ())}: the input has {rank} axes")
    time = None if data.time is None else order.index(data.time)
    return taken(g, data, places(data).transpose(order), time)


@rule("Expand")
def expand(g: Importing, input: Value, shape: Value) -> Value:
    """ONNX Expand: broadcast to a shape."""
    return expanded(g, input, integers(g, shape, "shape"))


def expanded(g: Importing, input: Value, target: list[Any]) -> Value:
    """The input broadcast to a shape; an axis of as many entries as there are steps becomes time."""
    rank = max(len(target), len(input.shape))
    time = None if input.time is None else input.time + rank - len(input.shape)
    length = input.length
    target = [1] * (rank - len(target)) + target
    for axis, n in enumerate(target):
        if isinstance(n, int) and (axis != time or n == 1):
            continue
        if time not in (None, axis) or (time is not None and not surely(n, input.length)):
            g.refuse(f"repeats along time: {full_shape(g, input)} becomes {target}", AS_WINDOW)
        if input.final:
            g.refuse("hands the last step of the sequence to every step: it is not known before the end", AS_WINDOW)
        time, length, target[axis] = axis, n, steps_in(g, n)
    try:
        full = np.broadcast_shapes(input.shape, tuple(target))
    except (ValueError, RuntimeError):  # the latter for more axes than NumPy has
        g.refuse(f"{list(input.shape)} cannot be broadcast to {target}")
    check_size(g, full)
    spread = taken(g, input, np.broadcast_to(places(input), full), time)
    return replace(spread, length=length) if input.time is None else spread


@rule("Tile")
def tile(g: Importing, input: Value, repeats: Value) -> Value:
    """ONNX Tile; an axis repeated as often as there are steps becomes time."""
    counts = integers(g, repeats, "repeats")
    if len(counts) != len(input.shape):
        g.refuse(f"repeats={counts}: the input has {len(input.shape)} axes")
    target = [count * n for count, n in zip(counts, full_shape(g, input), strict=True)]
    spread = [axis for axis, n in enumerate(target) if not isinstance(n, int) and axis != input.time]
    if spread or (input.time is not None and counts[input.time] != 1):
        return expanded(g, input, target)
    check_size(g, (*input.shape, *counts))
    return taken(g, input, np.tile(places(input), counts), input.time)


@rule("TopK")
def top_k(
    g: Importing, X: Value, K: Value | None = None, *, k: int = 1, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Value, Value]:
    """ONNX TopK of one entry; k is an attribute before opset 10."""
    along = normal_axes(g, [axis], len(X.shape))[0]
    if X.time == along or X.shape[along] != 1 or (k if K is None else integers(g, K, "K")[0]) != 1:
        g.refuse(
            "picks the largest of several numbers by their order",
            "export what it picks from, and pick then",
        )
    return X, g.constant(np.zeros(X.shape, np.int64), X.time)
