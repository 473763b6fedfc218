"""Take: picks numbers by place. Transpose, Slice, Split, Pad, Expand, Tile and Gather by constants are nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, full_shape, integers, normal, normal_axes, numbers, scalar, surely
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.embedding import embedded
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Importing, Value, rule


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
        (x,) = inputs
        start = int(self.index[0]) if self.index.size else 0
        if start >= 0 and np.array_equal(self.index, np.arange(start, start + self.index.size)):
            return (b.view(x, start, self.index.size),)
        return (b.take(x, self.index, self.fill),)


def places(x: Value) -> Array:
    """The place of each number of x, in the shape of x."""
    return np.arange(volume(x.shape), dtype=np.int32).reshape(x.shape)


def taken(g: Importing, x: Value, index: Array, time: int | None, fill: float = 0.0, final: bool = False) -> Value:
    """The numbers of x at `index`, in its shape; a mere reshape where that is all there is to it."""
    check_size(g, index.shape)
    flat = np.ascontiguousarray(index.reshape(-1), np.int32)
    if np.array_equal(flat, np.arange(volume(x.shape))):
        y = reshaped(g, x, index.shape, time)
    else:
        (y,) = g.add(Take(flat, index.shape, fill), x, time=time, dtype=x.dtype)
    return Value(y.name, y.shape, y.time, y.const, y.dtype, True) if final else y


def last_step(g: Importing, x: Value, keep: bool) -> Value:
    """The last step of a sequence: while streaming, this frame. `keep` leaves an axis of 1 behind."""
    shape = [n for axis, n in enumerate(x.shape) if keep or axis != x.time]
    y = reshaped(g, x, shape, None)
    return Value(y.name, y.shape, None, y.const, y.dtype, True)


@rule("Transpose")
def transpose(g: Importing, data: Value, *, perm: Sequence[int] | None = None) -> Value:
    """ONNX Transpose; without perm all axes are reversed."""
    rank = len(data.shape)
    order = list(range(rank))[::-1] if perm is None else normal_axes(g, perm, rank)
    if len(order) != rank:
        g.refuse(f"perm={list(perm or ())}: the input has {rank} axes")
    time = None if data.time is None else order.index(data.time)
    return taken(g, data, places(data).transpose(order), time)


@rule("Slice")
def slice_(
    g: Importing,
    data: Value,
    starts: Value | None = None,
    ends: Value | None = None,
    axes: Value | None = None,
    steps: Value | None = None,
    *,
    starts_: Sequence[int] = (),
    ends_: Sequence[int] = (),
    axes_: Sequence[int] | None = None,
) -> Value:
    """ONNX Slice; starts, ends and axes are attributes before opset 10. Over time: all, or the last step."""
    first = list(starts_) if starts is None else integers(g, starts, "starts")
    end = list(ends_) if ends is None else integers(g, ends, "ends")
    given = axes_ if axes is None else numbers(g, axes, "axes")
    along = normal_axes(g, range(len(first)) if given is None else given, len(data.shape))
    stride = [1] * len(first) if steps is None else numbers(g, steps, "steps")
    if not len(first) == len(end) == len(along) == len(stride):
        g.refuse("starts, ends, axes and steps differ in length")
    last = False
    cut: list[slice] = [slice(None)] * len(data.shape)
    for axis, low, high, step in zip(along, first, end, stride, strict=True):
        if axis == data.time and data.trail:
            if (low, step) != (0, 1) or not (surely(high, -data.trail) or surely(high, g.length)):
                g.refuse(f"must cut off the {data.trail} steps after the end, and nothing else")
        elif axis == data.time:
            last = _slice_of_time(g, low, high, step)
        else:
            cut[axis] = slice(*_bounds(g, data.shape[axis], low, high, step), step)
    y = taken(g, replace(data, trail=0), places(data)[tuple(cut)], data.time)
    return last_step(g, y, keep=True) if last else y


def _bounds(g: Importing, size: int, low: Any, high: Any, step: int) -> tuple[int | None, int | None]:
    """The bounds of a slice for Python, where a step backwards to the very front ends at None."""
    if not isinstance(low, int) or not isinstance(high, int):
        g.refuse("the bounds of a slice depend on the number of steps")
    if step == 0:
        g.refuse("steps=0")
    return low, None if step < 0 and high < -size else high


def _slice_of_time(g: Importing, low: Any, high: Any, step: int) -> bool:
    """Whether a slice of the time axis is its last step; False when it is all of it."""
    end = surely(high, g.length) or (isinstance(high, int) and high >= 2**31 - 1)
    if step == 1 and end and (surely(low, -1) or surely(low, g.length - 1)):
        return True
    if not (step == 1 and end and (surely(low, 0) or (isinstance(low, int) and low <= -(2**31)))):
        g.refuse(
            f"takes steps {low}:{high}:{step} of the sequence",
            "a stream can keep every step, or give the last one (index -1)",
        )
    return False


@rule("Split")
def split(
    g: Importing,
    input: Value,
    split: Value | None = None,
    *,
    axis: int = 0,
    split_: Sequence[int] | None = None,
    num_outputs: int | None = None,
    outputs: int,
) -> tuple[Value, ...]:
    """ONNX Split: sizes as attribute before opset 13, as input since; num_outputs since 18."""
    along = normal(g, axis, len(input.shape))
    if along == input.time:
        g.refuse("splits the time axis", "take the last step (index -1), or keep every step")
    size = input.shape[along]
    sizes = list(split_) if split_ is not None else numbers(g, split, "split") if split is not None else None
    if sizes is None:
        count = num_outputs or outputs
        each = -(-size // count)
        sizes = [each] * (count - 1) + [size - each * (count - 1)]
    if sum(sizes) != size or min(sizes) < 0 or len(sizes) != outputs:
        g.refuse(f"split={sizes}: axis {along} has {size} entries")
    parts = np.split(places(input), np.cumsum(sizes)[:-1], along)
    return tuple(taken(g, input, part, input.time) for part in parts)


@rule("Gather")
def gather(g: Importing, data: Value, indices: Value, *, axis: int = 0) -> Value:
    """ONNX Gather by constant indices; of the time axis: its last step only. By tokens: see `embedding`."""
    along = normal(g, axis, len(data.shape))
    if indices.const is None:
        return embedded(g, data, indices, along)
    if along == data.time:
        index = integers(g, indices, "indices")
        if len(index) != 1 or not (surely(index[0], -1) or surely(index[0], g.length - 1)):
            g.refuse(f"takes step {index} of the sequence", "a stream can give the last step only (index -1)")
        last = last_step(g, data, keep=False)
        axes = (*last.shape[:along], *indices.const.shape, *last.shape[along:])
        return reshaped(g, last, axes, None)
    index_array = np.asarray(numbers(g, indices, "indices"), np.int64).reshape(indices.const.shape)
    size = data.shape[along]
    if index_array.size and not (-size <= index_array.min() and index_array.max() < size):
        g.refuse(f"indices up to {index_array.max()}: axis {along} has {size} entries")
    moved = data.time
    if moved is not None and moved > along:
        moved += index_array.ndim - 1
    return taken(g, data, np.take(places(data), index_array, along), moved)


@rule("Expand")
def expand(g: Importing, input: Value, shape: Value) -> Value:
    """ONNX Expand: broadcast to a shape."""
    return expanded(g, input, integers(g, shape, "shape"))


def expanded(g: Importing, input: Value, target: list[Any]) -> Value:
    """The input broadcast to a shape; an axis of as many entries as there are steps becomes time."""
    rank = max(len(target), len(input.shape))
    time = None if input.time is None else input.time + rank - len(input.shape)
    target = [1] * (rank - len(target)) + target
    for axis, n in enumerate(target):
        if isinstance(n, int) and (axis != time or n == 1):
            continue
        if not surely(n, g.length) or time not in (None, axis):
            g.refuse(f"repeats along time: {full_shape(g, input)} becomes {target}")
        if input.final:
            g.refuse("hands the last step of the sequence to every step: it is not known before the end")
        time, target[axis] = axis, 1
    try:
        full = np.broadcast_shapes(input.shape, tuple(target))
    except ValueError:
        g.refuse(f"{list(input.shape)} cannot be broadcast to {target}")
    check_size(g, full)
    return taken(g, input, np.broadcast_to(places(input), full), time)


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


PAD_MODES: dict[str, Callable[..., Array]] = {
    "constant": lambda x, width: np.pad(x, width, constant_values=-1),
    "edge": lambda x, width: np.pad(x, width, mode="edge"),
    "reflect": lambda x, width: np.pad(x, width, mode="reflect"),
    "wrap": lambda x, width: np.pad(x, width, mode="wrap"),
}


@rule("Pad")
def pad(
    g: Importing,
    data: Value,
    pads: Value | None = None,
    constant_value: Value | None = None,
    axes: Value | None = None,
    *,
    mode: str = "constant",
    pads_: Sequence[int] = (),
    value: float = 0.0,
) -> Value:
    """ONNX Pad; negative pads crop a frame. Over time: zeros before the first step. Attributes before opset 11."""
    widths = list(pads_) if pads is None else numbers(g, pads, "pads")
    fill = value if constant_value is None else scalar(g, constant_value, "constant_value")
    rank = len(data.shape)
    along = normal_axes(g, range(rank) if axes is None else numbers(g, axes, "axes"), rank)
    if mode not in PAD_MODES:
        g.refuse(f"mode={mode}: not one of {', '.join(PAD_MODES)}")
    if len(widths) != 2 * len(along):
        g.refuse(f"pads={widths}: {2 * len(along)} numbers expected")
    before, after = dict(zip(along, widths, strict=False)), dict(zip(along, widths[len(along) :], strict=True))
    lead = before.pop(data.time, 0) if data.time is not None else 0
    if data.time is not None and (lead < 0 or after.pop(data.time, 0) or (lead and (mode != "constant" or fill))):
        g.refuse(
            "changes the sequence in time by more than zeros before its first step",
            "pad the recording, not in the graph",
        )
    sides = [(before.get(axis, 0), after.get(axis, 0)) for axis in range(rank)]
    cut = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(data.shape, sides, strict=True))
    grow = [(max(0, low), max(0, high)) for low, high in sides]
    grown = [n + low + high for n, (low, high) in zip(places(data)[cut].shape, grow, strict=True)]
    check_size(g, tuple(grown))
    padded = taken(g, data, PAD_MODES[mode](places(data)[cut], grow), data.time, fill)
    return replace(padded, lead=data.lead + lead)
