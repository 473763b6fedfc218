"""Slices: Slice, Split, Pad. Within a frame they move numbers; along time they shift the sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.layers.axes import check_size, integers, normal, normal_axes, numbers, scalar, steps_in, surely
from edgernn.layers.base import Array
from edgernn.layers.constant import Constant
from edgernn.layers.past import Look, seen
from edgernn.layers.rhythm import (
    CUT_OFF,
    FROM_END,
    PAD_FRONT,
    WINDOW,
    at_end,
    check_end,
    frames,
    masked,
    ready,
    settled,
    steps_of,
)
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


def last_steps(g: Importing, x: Value, count: int) -> Value:
    """The last few steps of a sequence, zeros for those that have not come yet."""
    if not at_end(g, x):
        g.refuse(f"takes the last steps, but {CUT_OFF}", PAD_FRONT)
    held = seen(g, x, Look(count - 1, 1, count - 1, 0)) if count > steps_of(x) else x
    y = taken(g, held, np.take(places(held), range(steps_of(held) - count, steps_of(held)), x.time or 0), None)
    g.note(f"the last {count} steps of a sequence are taken: those that have not come yet are zero")
    return Value(y.name, y.shape, None, None, y.dtype, True, past=x.past + frames(g, x, count - 1))


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
    start, after = from_front(x, low), from_end(x, high)
    if step == 1 and surely(after, 0) and surely(start, x.length - 1):
        return last_step(g, x, keep=True)
    left = x.length - start  # steps from there on
    if step == 1 and x.const is None and surely(after, 0) and not isinstance(start, int) and isinstance(left, int):
        return last_steps(g, x, left)
    if step < 1 or not isinstance(start, int) or not isinstance(after, int):
        g.refuse(
            f"takes steps {low}:{high}:{step} of the sequence",
            f"a stream can leave out steps at its ends, keep every so many, or give the last few; or {WINDOW}",
        )
    return every(g, x, step, start, after) if start or after or step > 1 else x


def every(g: Importing, x: Value, step: int, start: int, after: int) -> Value:
    """Every so many steps from `start` on, up to `after` steps before the end."""
    if step == 1 and start == 0:
        return replace(x, length=x.length - after)
    frames = seen(g, x, Look(0, step, -start, -after))
    kept = np.take(places(frames), range(0, steps_of(frames), step), x.time or 0)
    return taken(g, frames, kept, x.time)


def from_front(x: Value, low: Any) -> Any:
    """How many steps stand before `low`."""
    if isinstance(low, int) and low < 0:
        return max(0, x.length + low) if isinstance(x.length, int) else 0 if low <= -(2**31) else x.length + low
    if not isinstance(low, int) and isinstance(x.length + low, int):  # so many steps from the end are all but a few
        return max(0, x.length + low)
    return low


def from_end(x: Value, high: Any) -> Any:
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
    """ONNX Pad; negative pads crop. Over time: a number before the first step, anything after the last. Opset 1 on."""
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
        front, end = before.pop(data.time, 0), after.pop(data.time, 0)
        data = begun_with(g, padded(g, data, min(front, 0), end), max(front, 0), mode, fill)
    sides = [(before.get(axis, 0), after.get(axis, 0)) for axis in range(rank)]
    cut = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(data.shape, sides, strict=True))
    grow = [(max(0, low), max(0, high)) for low, high in sides]
    grown = [n + low + high for n, (low, high) in zip(places(data)[cut].shape, grow, strict=True)]
    check_size(g, tuple(grown))
    return taken(g, data, PAD_MODES[mode](places(data)[cut], grow), data.time, fill)


def begun_with(g: Importing, x: Value, before: int, mode: str, fill: float = 0.0) -> Value:
    """x with so many steps before its first: `fill`, or as a mode of Pad makes them of x."""
    if mode == "constant" or before == 0:
        return padded(g, x, before, 0, fill)
    if x.const is not None:
        return replace(x, length=x.length + before)
    if mode == "wrap":
        g.refuse(FROM_END, f"pad with zeros, or {WINDOW}")
    if mode == "reflect" and isinstance(x.length, int) and x.length <= before:
        g.refuse(f"reflects {before} steps of a sequence of {x.length}", "pad less")
    begins = [2 * before - step if mode == "reflect" else before for step in range(before)]
    return replace(padded(g, settled(g, x), before, 0), begins=tuple(begins))


def _made(g: Importing, x: Value, steps: Array) -> Value:
    """x, which is the same in every step, as a sequence that may begin with other numbers."""
    (y,) = g.add(Constant(steps.astype(np.float32)), dtype=x.dtype)
    return replace(y, time=x.time, length=x.length)


def padded(g: Importing, x: Value, before: int, after: Any, fill: float = 0.0) -> Value:
    """x with so many steps of `fill` before its first and so many more at its end; with less where they are negative.

    Those in front cost nothing: the sequence just is that much ahead. What is at the end a stream must not get to see.
    """
    if before > 0 and x.const is not None and x.time is not None and (x.const != fill).any():
        x = _made(g, x, x.const.repeat(steps_in(g, x.length), x.time))
    if x.const is None and after > 0:
        check_end(g, x)
    if x.const is None and before < 0:
        x, before = every(g, x, 1, -before, 0), 0
    if x.const is None and before:
        x = ready(g, x) if x.delay >= 0 or x.front == fill else settled(g, x)
        x = replace(masked(g, x, fill), front=fill)
        past, ahead = x.past + frames(g, x, before), x.ahead + frames(g, x, -before)
        x = replace(x, delay=x.delay - before, past=past, ahead=ahead)
    return replace(x, length=x.length + before + after)
