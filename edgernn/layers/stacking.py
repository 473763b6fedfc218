"""Stacking: Reshape and Flatten; over time, steps may be stacked into longer ones, or taken apart again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgernn.layers.axes import full_shape, integers, normal, surely
from edgernn.layers.base import volume
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW, delayed, multiplied, shown, steps_of
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places


def reshape_all(g: Importing, x: Value, target: Sequence[Any]) -> Value:
    """x with `target` as its shape over the whole sequence; the time axis must stay an axis of its own."""
    old, new = full_shape(g, x), list(target)
    if sum(_is(n, -1) for n in new) == 1:
        known = math.prod(n for n in new if not _is(n, -1))
        if _is(known, 0):
            g.refuse(f"the shape {new} leaves -1 open")
        open_end = math.prod(old) // known
        if not surely(open_end * known, math.prod(old)):
            g.refuse(f"{old} does not divide into {new} for every number of steps")
        new = [open_end if _is(n, -1) else n for n in new]
    if x.time is None:
        if not all(isinstance(n, int) for n in new):
            g.refuse("the new shape depends on the number of steps, but the input has no time axis")
        if any(n < 0 for n in new) or math.prod(new) != math.prod(old):
            g.refuse(f"{old} cannot become {new}")
        return reshaped(g, x, new, None)
    axis = _time_axis(old, x.time, new)
    if axis is not None:
        frame = [steps_of(x) if i == axis else n for i, n in enumerate(new)]
        return reshaped(g, x, frame, axis)
    for axis, n in enumerate(new):
        if isinstance(g.length, int) and (n == 1 or volume(x.shape) == steps_of(x)):
            continue  # the whole of a fixed length may be one frame, and one number a step the numbers of a frame
        if (factor := _stacks(old, x.time, new, axis)) > 1:
            return _stacked(g, x, new, axis, factor)
        if (factor := _stacks(new, axis, old, x.time)) > 1:
            return _apart(g, x, new, axis, factor)
    g.refuse(
        f"{old} becomes {new}: that mixes the time axis with others",
        f"keep time as an axis of its own, for example by exporting with a batch of 1, or {WINDOW}",
    )


def _is(n: Any, number: int) -> bool:
    return isinstance(n, int) and n == number


def _stacks(old: list[Any], time: int, new: list[Any], axis: int) -> int:
    """How many steps of `old` each step of `new` is made of, where that is what happens; else 0."""
    inner, outer = old[time + 1 :], new[axis + 1 :]
    plain = (*old[:time], *inner, *new[:axis], *outer)
    if not all(isinstance(n, int) and n > 0 for n in plain) or math.prod(old[:time]) != math.prod(new[:axis]):
        return 0
    factor, rest = divmod(math.prod(outer), math.prod(inner))
    return factor if not rest and surely(new[axis] * factor, old[time]) else 0


def _stacked(g: Importing, x: Value, new: list[Any], axis: int, factor: int) -> Value:
    """Every `factor` steps of x as one."""
    count = steps_of(x)
    if count % factor:
        g.widen(factor // math.gcd(factor, count))
    x = shown(g, x)
    x = delayed(g, x, -x.delay % factor)
    y = reshaped(g, x, [count // factor if i == axis else n for i, n in enumerate(new)], axis)
    ahead = x.ahead + (factor - 1) * (g.hop // count)
    return replace(y.like(x), delay=x.delay // factor, length=new[axis], ahead=ahead)


def _apart(g: Importing, x: Value, new: list[Any], axis: int, factor: int) -> Value:
    """Each step of x as `factor` steps."""
    x = shown(g, x)
    count = steps_of(x) * factor
    index = places(x).reshape([count if i == axis else n for i, n in enumerate(new)])
    return multiplied(g, x, index, axis, factor)


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
        if isinstance(n, int) == isinstance(old[time], int) and not surely(n, old[time]):
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
