"""Pieces: Slice, Split, Gather, Pad, Concat. Within a frame they move numbers; along time they shift the sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.layers.axes import broadcast_time, check_size, integers, normal, normal_axes, numbers, scalar, surely
from edgernn.layers.base import Array
from edgernn.layers.embedding import embedded
from edgernn.layers.join import Join
from edgernn.layers.past import Look, seen
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import CUT_OFF, PAD_FRONT, WINDOW, at_end, masked, steps_of
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken

END = 2**31 - 1  # a slice up to here goes to the end


def last_step(g: Importing, x: Value, keep: bool) -> Value:
    """The last step of a sequence: while streaming, now. `keep` leaves an axis of 1 behind."""
    if not at_end(g, x):
        g.refuse(f"takes the last step, but {CUT_OFF}", PAD_FRONT)
    newest = np.take(places(x), [steps_of(x) - 1], x.time or 0)
    y = taken(g, x, newest if keep else newest.reshape([n for a, n in enumerate(x.shape) if a != x.time]), None)
    return Value(y.name, y.shape, None, y.const, y.dtype, True)


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
    """ONNX Slice; starts, ends and axes are attributes before opset 10. Over time: see `_sliced`."""
    first = list(starts_) if starts is None else integers(g, starts, "starts")
    end = list(ends_) if ends is None else integers(g, ends, "ends")
    given = axes_ if axes is None else numbers(g, axes, "axes")
    along = normal_axes(g, range(len(first)) if given is None else given, len(data.shape))
    stride = [1] * len(first) if steps is None else numbers(g, steps, "steps")
    if not len(first) == len(end) == len(along) == len(stride):
        g.refuse("starts, ends, axes and steps differ in length")
    over_time: tuple[Any, Any, int] | None = None
    cut: list[slice] = [slice(None)] * len(data.shape)
    for axis, low, high, step in zip(along, first, end, stride, strict=True):
        if axis == data.time:
            over_time = low, high, step
        else:
            cut[axis] = slice(*_bounds(g, low, high, step, data.shape[axis]), step)
    y = taken(g, data, places(data)[tuple(cut)], data.time)
    return y if over_time is None else _sliced(g, y, *over_time)


def _bounds(g: Importing, low: Any, high: Any, step: int, size: int) -> tuple[int | None, int | None]:
    """The bounds of a slice for Python, where a step backwards to the very front ends at None."""
    if not isinstance(low, int) or not isinstance(high, int):
        g.refuse("the bounds of a slice depend on the number of steps")
    if step == 0:
        g.refuse("steps=0")
    return low, None if step < 0 and high < -size else high


def _sliced(g: Importing, x: Value, low: Any, high: Any, step: int) -> Value:
    """x[low:high:step] over time: the last step, or all but some at the ends, or every so many."""
    start, after = _from_front(g, x, low), _from_end(g, x, high)
    if step == 1 and surely(after, 0) and surely(start, x.length - 1):
        return last_step(g, x, keep=True)
    if step < 1 or not isinstance(start, int) or not isinstance(after, int):
        g.refuse(
            f"takes steps {low}:{high}:{step} of the sequence",
            f"a stream can leave out steps at its ends, keep every so many, or give the last one; or {WINDOW}",
        )
    return every(g, x, step, start, after) if start or after or step > 1 else x


def every(g: Importing, x: Value, step: int, start: int, after: int) -> Value:
    """Every so many steps from `start` on, up to `after` steps before the end."""
    frames = seen(g, x, Look(0, step, -start, -after))
    kept = np.take(places(frames), range(0, steps_of(frames), step), x.time or 0)
    return taken(g, frames, kept, x.time)


def _from_front(g: Importing, x: Value, low: Any) -> Any:
    """How many steps stand before `low`."""
    if isinstance(low, int) and low < 0:
        return max(0, x.length + low) if isinstance(x.length, int) else 0 if low <= -(2**31) else x.length + low
    if not isinstance(low, int) and isinstance(x.length + low, int):  # so many steps from the end are all but a few
        return max(0, x.length + low)
    return low


def _from_end(g: Importing, x: Value, high: Any) -> Any:
    """How many steps stand from `high` on."""
    if isinstance(high, int) and high < 0:
        return -high
    if isinstance(high, int):
        return max(0, x.length - high) if isinstance(x.length, int) else 0 if high >= END else x.length - high
    return x.length - high


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
        g.refuse("splits the time axis", f"take the last step (index -1), keep every step, or {WINDOW}")
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
    """ONNX Gather by constant indices; of the time axis: the last step, or windows. By tokens: see `embedding`."""
    along = normal(g, axis, len(data.shape))
    if indices.const is None:
        return embedded(g, data, indices, along)
    if along == data.time:
        index = integers(g, indices, "indices")
        if len(index) > 1:
            return _windows(g, data, np.asarray(indices.const))
        if not index or not (surely(index[0], -1) or surely(index[0], data.length - 1)):
            g.refuse(
                f"takes step {index} of the sequence", f"a stream can give the last step only (index -1); or {WINDOW}"
            )
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


def _windows(g: Importing, x: Value, index: Array) -> Value:
    """Every so many steps of x, or windows of as many steps each.

    Time goes along the longer axis of the index, or along one whose windows would share three of four steps at most.
    """
    first = index.reshape(-1)[0]
    steps = [int(np.take(index, 1, a).flat[0] - first) if n > 1 else 1 for a, n in enumerate(index.shape)]
    spans = [n * step for n, step in zip(index.shape, steps, strict=True)]
    along = max(range(index.ndim), key=lambda a: (4 * steps[a] >= spans[a - 1], index.shape[a]))
    regular = index.dtype != object and index.ndim <= 2 and first >= 0 and min(steps) > 0
    if not regular or not np.array_equal(index - first, np.tensordot(steps, np.indices(index.shape), 1)):
        g.refuse(
            f"takes steps {', '.join(map(str, index.flat[:4]))}, ... of the sequence",
            f"a stream can give the last step, every so many, or windows that move on evenly; or {WINDOW}",
        )
    return stepped_windows(g, x, np.take(index, [0], along), steps[along], along, index.shape[along])


def stepped_windows(g: Importing, x: Value, offsets: Array, stride: int, along: int, length: Any) -> Value:
    """x by an index over time: `offsets`, which has one entry on axis `along`, in the first of `length` steps."""
    first, time = int(offsets.min()), x.time or 0
    reach = int(offsets.max()) - first
    after = (length - 1) * stride + first + reach + 1 - x.length
    if first < 0 or not isinstance(after, int) or after > 0:
        g.refuse("takes windows that reach beyond the sequence", f"pad the sequence before, or {WINDOW}")
    frames = seen(g, x, Look(reach, stride, -first, after))
    count = (steps_of(frames) - reach - 1) // stride + 1
    held = np.concatenate([offsets - first + step * stride for step in range(count)], along)
    return taken(g, frames, np.take(places(frames), held, time), time + along)


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
    """ONNX Pad; negative pads crop. Over time: zeros before the first step, anything after the last. Opset 1 on."""
    widths = list(pads_) if pads is None else numbers(g, pads, "pads")
    fill = value if constant_value is None else scalar(g, constant_value, "constant_value")
    rank = len(data.shape)
    along = normal_axes(g, range(rank) if axes is None else numbers(g, axes, "axes"), rank)
    if mode not in PAD_MODES:
        g.refuse(f"mode={mode}: not one of {', '.join(PAD_MODES)}")
    if len(widths) != 2 * len(along):
        g.refuse(f"pads={widths}: {2 * len(along)} numbers expected")
    before, after = dict(zip(along, widths, strict=False)), dict(zip(along, widths[len(along) :], strict=True))
    if data.time is not None:
        ends = before.pop(data.time, 0), after.pop(data.time, 0)
        if ends[0] > 0 and (mode != "constant" or fill):
            g.refuse(
                f"pads the front of the sequence with {fill if mode == 'constant' else mode}",
                f"pad with zeros, or {WINDOW}",
            )
        data = padded(g, data, *ends)
    sides = [(before.get(axis, 0), after.get(axis, 0)) for axis in range(rank)]
    cut = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(data.shape, sides, strict=True))
    grow = [(max(0, low), max(0, high)) for low, high in sides]
    grown = [n + low + high for n, (low, high) in zip(places(data)[cut].shape, grow, strict=True)]
    check_size(g, tuple(grown))
    return taken(g, data, PAD_MODES[mode](places(data)[cut], grow), data.time, fill)


def padded(g: Importing, x: Value, before: int, after: int) -> Value:
    """x with so many zeros before its first step and so many steps more at its end; with less where they are negative.

    Zeros cost nothing: the sequence just is that much ahead.
    """
    if before < 0:
        x, before = every(g, x, 1, -before, 0), 0
    if before:
        x = masked(g, x, 0.0)
        step = g.hop // steps_of(x)
        x = replace(x, delay=x.delay - before, past=x.past + before * step, ahead=x.ahead - before * step)
    return replace(x, length=x.length + before + after)


@rule("Concat")
def concat(g: Importing, *inputs: Value, axis: int) -> Value:
    """ONNX Concat along any axis; along time: a sequence between constants, those in front of zeros."""
    along = normal(g, axis, len(inputs[0].shape))
    if len({len(v.shape) for v in inputs}) != 1:
        g.refuse("the inputs differ in their number of axes")
    if any(v.time == along for v in inputs):
        return _lengthened(g, inputs, along)
    ready, time = broadcast_time(g, inputs)
    rest = {(*v.shape[:along], *v.shape[along + 1 :]) for v in ready if v.const is None or v.time is None}
    if len(rest) > 1:
        g.refuse(f"the shapes {[list(v.shape) for v in inputs]} do not fit each other along axis {along}")
    kept = [v for v in ready if v.shape[along]]
    if len(kept) == 1:
        return kept[0]
    steps = max((v.shape[time] for v in kept), default=1) if time is not None else 1
    kept = [_repeated(v, time, steps) for v in kept]
    (y,) = g.add(Join(along), *kept, time=time, dtype=inputs[0].dtype)
    return y


def _repeated(x: Value, time: int | None, steps: int) -> Value:
    """A constant that is the same in every step, once for each step that an evaluation holds."""
    if time is None or x.const is None or x.shape[time] == steps:
        return x
    held = np.repeat(x.const, steps, time)
    return replace(x, shape=held.shape, const=held)


def _lengthened(g: Importing, inputs: Sequence[Value], along: int) -> Value:
    """Constants around a sequence."""
    timed = [place for place, v in enumerate(inputs) if v.time is not None and v.const is None]
    others = [v for place, v in enumerate(inputs) if place not in timed]
    if len(timed) != 1 or any(v.const is None or v.const.dtype == object for v in others):
        g.refuse("joins pieces along time", f"feed one sequence, frame after frame, or {WINDOW}")
    front, back = inputs[: timed[0]], inputs[timed[0] + 1 :]
    if any(v.const is not None and v.const.any() for v in front):
        g.refuse("puts numbers other than zeros before the first step", f"pad with zeros, or {WINDOW}")
    counts = [sum(int(v.length if v.time is not None else v.shape[along]) for v in side) for side in (front, back)]
    return padded(g, inputs[timed[0]], *counts)
