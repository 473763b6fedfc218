"""Pooling within a frame: MaxPool, AveragePool and their global forms, as Take and Reduce."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.base import volume
from edgernn.layers.combine import combined
from edgernn.layers.past import looks_over_time
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import taken
from edgernn.layers.windows import Window, window


def _seen(g: Importing, x: Value, seen: Window, fill: float) -> Value:
    """What each place sees: (N, C, *places, volume(kernel))."""
    index = seen.index(x.shape)  # (N, *places, C, *kernel)
    rank = len(x.shape) - 2
    index = np.moveaxis(index, rank + 1, 1)
    return taken(g, x, index.reshape(*index.shape[: rank + 2], -1), x.time, fill)


def _ceiling(g: Importing, x: Value, seen: Window) -> Window:
    """The window of ceil_mode=1: padding behind, so that a last place which begins inside is not dropped."""
    sides = []
    for n, k, s, (low, high), d in zip(x.shape[2:], seen.kernel, seen.strides, seen.pads, seen.dilations, strict=True):
        span = n + low + high - d * (k - 1) - 1
        more = -span % s
        begins_inside = (span + more) // s * s < n + low
        sides.append((low, high + more if begins_inside else high))
    return Window(seen.kernel, seen.strides, tuple(sides), seen.dilations)


def _window(g: Importing, x: Value, seen: Window) -> Window:
    """The window, if it leaves time alone."""
    if looks_over_time(x, seen):
        g.refuse("a pooling window over time is not supported yet")
    return seen


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
    seen = _window(g, X, window(g, X, kernel_shape, strides, pads, dilations, auto_pad))
    seen = _ceiling(g, X, seen) if ceil_mode else seen
    x = _seen(g, X, seen, -LARGEST)
    last = len(x.shape) - 1
    return squeezed(g, reduced(g, "max", x, [last]), [last])


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
    seen = _window(g, X, window(g, X, kernel_shape, strides, pads, dilations, auto_pad))
    if ceil_mode and _ceiling(g, X, seen) != seen:
        g.refuse("ceil_mode=1 with a last window that is cut off", "set ceil_mode=0")
    x = _seen(g, X, seen, 0.0)
    last = len(x.shape) - 1
    total = reduced(g, "sum", x, [last])
    counts = (seen.index(X.shape) >= 0).reshape(X.shape[0], volume(x.shape[2:-1]), X.shape[1], -1).sum(-1)
    if count_include_pad:
        counts = np.full_like(counts, volume(seen.kernel))
    factors = (1 / counts).astype(np.float32).transpose(0, 2, 1).reshape(total.shape)
    if (factors == factors.flat[0]).all():
        factors = factors.reshape(-1)[:1]
    return squeezed(g, combined(g, "mul", total, g.constant(factors)), [last])


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pool(g: Importing, X: Value, *, operator: str) -> Value:
    """ONNX GlobalAveragePool, GlobalMaxPool: over all spatial axes, which stay as 1."""
    return reduced(g, "mean" if operator == "GlobalAveragePool" else "max", X, list(range(2, len(X.shape))))
