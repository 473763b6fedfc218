"""Pooling: MaxPool, AveragePool and their global forms, as Take and Reduce; over time as `past` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.combine import combined
from edgernn.layers.constant import Constant
from edgernn.layers.functions import mapped
from edgernn.layers.past import with_past
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.rhythm import shown
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import taken
from edgernn.layers.windows import Window, window


def _seen(g: Importing, x: Value, seen: Window, fill: float) -> Value:
    """What each place sees: (N, C, *places, volume(kernel))."""
    index = seen.index(x.shape)  # (N, *places, C, *kernel)
    rank = len(x.shape) - 2
    index = np.moveaxis(index, rank + 1, 1)
    return taken(g, x, index.reshape(*index.shape[: rank + 2], -1), x.time, fill)


def _window(
    g: Importing,
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    auto_pad: str,
) -> Window:
    """The window of a pool. ONNX Runtime pads a dilated one as if it were not: what is meant cannot be told."""
    over = window(g, x, kernel, strides, pads, dilations, auto_pad)
    if auto_pad.startswith("SAME") and any(d > 1 < k for d, k in zip(over.dilations, over.kernel, strict=True)):
        g.refuse(
            f"auto_pad={auto_pad} with dilations={list(over.dilations)}", "export with the padding as numbers (pads)"
        )
    return over


def _ceiling(x: Value, seen: Window) -> Window:
    """The window of ceil_mode=1: padding behind, so that a last place which begins inside is not dropped.

    Over time that changes the end of the sequence only, which a stream never sees.
    """
    sides = []
    numbers = zip(x.shape[2:], seen.kernel, seen.strides, seen.pads, seen.dilations, strict=True)
    for axis, (n, k, s, (low, high), d) in enumerate(numbers, 2):
        span = n + low + high - d * (k - 1) - 1
        more = 0 if axis == x.time else -span % s
        begins_inside = (span + more) // s * s < n + low
        sides.append((low, high + more if begins_inside else high))
    return Window(seen.kernel, seen.strides, tuple(sides), seen.dilations)


def _summed(g: Importing, x: Value, over: Window, operation: str, fill: float) -> tuple[Value, Array]:
    """(what each place makes of what it sees, how many numbers it sees; the padding over time counts here)."""
    x, over = with_past(g, x, over, fill)
    y = _seen(g, x, over, fill)
    last = len(y.shape) - 1
    total = squeezed(g, reduced(g, operation, y, [last]), [last])
    counts = (over.index(x.shape) >= 0).reshape(x.shape[0], volume(y.shape[2:-1]), x.shape[1], -1).sum(-1)
    return total, counts.transpose(0, 2, 1).reshape(total.shape)


@rule("MaxPool")
def max_pool(
    g: Importing,
    X: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Value:
    """ONNX MaxPool, without its indices."""
    over = _window(g, X, kernel_shape, strides, pads, dilations, auto_pad)
    return _summed(g, X, _ceiling(X, over) if ceil_mode else over, "max", -LARGEST)[0]


@rule("AveragePool")
def average_pool(
    g: Importing,
    X: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """ONNX AveragePool; padding counts only with count_include_pad."""
    over = _window(g, X, kernel_shape, strides, pads, dilations, auto_pad)
    in_front = X.time is not None and X.time > 1 and over.pads[X.time - 2][0] > 0 and not count_include_pad
    X = shown(g, X) if in_front else X  # zeros that the sequence begins with count, padding does not
    total, counts = _summed(g, X, _ceiling(X, over) if ceil_mode else over, "sum", 0.0)
    if count_include_pad:
        counts = _padding_too(X, over, total.shape)
    elif X.time is not None and in_front:
        counts, total = counts / over.kernel[X.time - 2], combined(g, "div", total, _begun(g, X, X.time, over))
    if not counts.all():
        g.refuse("has places that see nothing but padding, of which there is no mean", "use smaller pads")
    factors = (1 / counts).astype(np.float32)
    if (factors == factors.flat[0]).all():
        factors = factors.reshape(-1)[:1]
    return combined(g, "mul", total, g.constant(factors))


def _padding_too(x: Value, over: Window, shape: Shape) -> Array:
    """How many numbers each place sees with the padding, but without what ceil_mode=1 adds behind it: `shape`."""
    counts = np.ones(shape, np.int64)
    numbers = zip(over.kernel, over.strides, over.pads, over.dilations, strict=True)
    for axis, (k, s, sides, d) in enumerate(numbers, 2):
        seen = np.arange(shape[axis])[:, None] * s + np.arange(k) * d
        inside = (seen < x.shape[axis] + sum(sides)) | (axis == x.time)
        counts *= inside.sum(1).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return counts


def _begun(g: Importing, x: Value, time: int, over: Window) -> Value:
    """How many of the steps that a place sees are none of the padding before the first; no less than one."""
    shape = tuple(n if axis == time else 1 for axis, n in enumerate(x.shape))
    along = tuple(axis == time - 2 for axis in range(len(shape) - 2))
    kernel, strides = (
        tuple(n if here else 1 for n, here in zip(ns, along, strict=True)) for ns in (over.kernel, over.strides)
    )
    pads = tuple(sides if here else (0, 0) for sides, here in zip(over.pads, along, strict=True))
    (ones,) = g.add(Constant(np.ones(shape, np.float32)))
    sequence = replace(ones.like(x), time=time)
    seen = _summed(g, sequence, Window(kernel, strides, pads, over.dilations), "sum", 0.0)[0]
    return mapped(g, seen, "clip", 1.0, LARGEST) if seen.delay > 0 else seen  # places before the first see none


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pool(g: Importing, X: Value, *, operator: str) -> Value:
    """ONNX GlobalAveragePool, GlobalMaxPool: over all spatial axes, which stay as 1."""
    return reduced(g, "mean" if operator == "GlobalAveragePool" else "max", X, list(range(2, len(X.shape))))
