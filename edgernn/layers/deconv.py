"""The ONNX operator ConvTranspose: a convolution over its input with zeros set between the numbers.

Over time it is one that makes the steps which the next step does not reach any more as channels, set apart then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.axes import check_size, constant, full_shape
from edgernn.layers.base import Array
from edgernn.layers.conv import Conv
from edgernn.layers.past import with_past
from edgernn.layers.rhythm import multiplied
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.slices import every
from edgernn.layers.take import places, taken
from edgernn.layers.windows import Window


@rule("ConvTranspose")
def conv_transpose(
    g: Importing,
    X: Value,
    W: Value,
    B: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """ONNX ConvTranspose over any number of spatial axes, one of which may be time: each step makes several then."""
    weight = np.asarray(constant(g, W, "W"), np.float32)  # (C, M / group, *kernel)
    bias = None if B is None else np.ascontiguousarray(constant(g, B, "B"), np.float32)
    rank, kernel = weight.ndim - 2, weight.shape[2:]
    if rank < 1 or weight.ndim != len(X.shape) or tuple(kernel_shape or kernel) != kernel:
        g.refuse(f"kernel_shape={kernel_shape}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    if group < 1 or weight.shape[0] % group or X.shape[1] != weight.shape[0]:
        g.refuse(f"group={group}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    steps, gaps, more = (tuple(n or [d] * rank) for n, d in ((strides, 1), (dilations, 1), (output_padding, 0)))
    fits = len(steps) == len(gaps) == len(more) == rank and min(*steps, *gaps) > 0 and min(more) >= 0
    if not fits or any(m >= max(s, d) for m, s, d in zip(more, steps, gaps, strict=True)):
        g.refuse(f"strides={list(steps)}, dilations={list(gaps)}, output_padding={list(more)} for {rank} spatial axes")
    reach = [d * (k - 1) for d, k in zip(gaps, kernel, strict=True)]
    sizes = full_shape(g, X)[2:]
    full = [s * (n - 1) + r + 1 + m for s, n, r, m in zip(steps, sizes, reach, more, strict=True)]
    wanted = [n * s for n, s in zip(sizes, steps, strict=True)] if auto_pad.startswith("SAME") else output_shape
    if auto_pad.startswith("SAME") and any(n < m for n, m in zip(full, wanted or (), strict=True)):
        g.refuse(
            f"auto_pad={auto_pad}: its strides are longer than its kernel, and runtimes differ", "export with pads"
        )
    sides = _cut(g, full, wanted, (pads or ()) if auto_pad == "NOTSET" else (), auto_pad == "SAME_UPPER")
    if X.time == 1:
        g.refuse("has time where the channels are expected", "transpose so that time is not axis 1")
    sizes_left = [n - low - high for n, (low, high) in zip(full, sides, strict=True)]
    around = [(r - low, r - high + m) for r, m, (low, high) in zip(reach, more, sides, strict=True)]
    if not X.time:  # as the batch axis it is a sequence of frames
        return _within(g, X, weight, bias, group, steps, gaps, around)
    along = X.time - 2
    low, stride = sides[along][0], steps[along]
    check_size(g, (1 + reach[along] // stride, stride, *weight.shape[: 2 + along], *weight.shape[3 + along :]))
    weight = _over_time(weight, along, stride, gaps[along])
    cropped = stride == 1 and min(around[along]) >= 0  # with less padding, so that no step is made to be cut off
    if not cropped:
        around[along] = (weight.shape[X.time] - 1,) * 2
    shared = None if bias is None else np.tile(bias.reshape(group, 1, -1), (1, stride, 1)).reshape(-1)
    once = (*steps[:along], 1, *steps[along + 1 :]), (*gaps[:along], 1, *gaps[along + 1 :])
    y = _in_turn(g, _within(g, X, weight, shared, group, *once, around), group, stride)
    return y if cropped else every(g, y, 1, low, y.length - low - sizes_left[along])


def _within(
    g: Importing,
    X: Value,
    weight: Array,
    bias: Array | None,
    group: int,
    steps: Sequence[int],
    gaps: Sequence[int],
    around: Sequence[tuple[int, int]],
) -> Value:
    """The convolution over X with steps - 1 zeros between its numbers and so many around them."""
    along, rank = (X.time or 0) - 2, len(steps)
    pads = [sides if axis == along else (0, 0) for axis, sides in enumerate(around)]
    beside = [(0, 0) if axis == along else sides for axis, sides in enumerate(around)]
    grown = [s * (n - 1) + 1 + sum(max(0, n) for n in e) for s, n, e in zip(steps, X.shape[2:], beside, strict=True)]
    check_size(g, (*X.shape[:2], *grown))
    x = taken(g, X, _spread(places(X), steps, beside), X.time)
    x, seen = with_past(g, x, Window(weight.shape[2:], (1,) * rank, tuple(pads), tuple(gaps)))
    layer = Conv(_turned(weight, group), bias, seen.kernel, seen.strides, seen.pads, seen.dilations, group)
    (y,) = g.add(layer, x, time=X.time)
    return y


def _over_time(weight: Array, along: int, stride: int, gap: int) -> Array:
    """(C, M / group, *kernel) as the weight of a convolution that makes `stride` steps of each, as channels.

    Place k of the kernel reaches step t * stride + k * gap of the result.
    """
    steps = np.moveaxis(weight, 2 + along, 0)
    reach = gap * (len(steps) - 1) // stride
    made = np.zeros((1 + reach, stride, *steps.shape[1:]), np.float32)
    made.reshape(-1, *steps.shape[1:])[: gap * (len(steps) - 1) + 1 : gap] = steps
    channels = np.moveaxis(made, 1, 2)  # (1 + reach, C, stride, M / group, *others)
    return np.moveaxis(channels.reshape(1 + reach, len(weight), -1, *steps.shape[3:]), 0, 2 + along)


def _in_turn(g: Importing, x: Value, group: int, factor: int) -> Value:
    """The channels (group, factor, M / group) of each step as `factor` steps."""
    time = x.time or 0
    n, channels, *spatial = x.shape
    split = places(x).reshape(n, group, factor, -1, *spatial)
    turned = np.moveaxis(split, 2, time + 2)  # (n, group, M / group, ..., steps, factor, ...)
    spatial[time - 2] *= factor
    return multiplied(g, x, turned.reshape(n, channels // factor, *spatial), time, factor)


def _cut(
    g: Importing, full: Sequence[int], wanted: Sequence[int] | None, pads: Sequence[int], upper: bool
) -> list[tuple[int, int]]:
    """How much is cut off before and after each axis of what is `full` long; what is `wanted` goes before `pads`.

    What is missing after an axis is negative there.
    """
    rank = len(full)
    if wanted is not None:
        if len(wanted) != rank:
            g.refuse(f"output_shape={list(wanted)} for {rank} spatial axes")
        less = [n - m for n, m in zip(full, wanted, strict=True)]
        first = [max(0, n) // 2 if upper else max(0, n) - max(0, n) // 2 for n in less]
        return [(low, n - low) for low, n in zip(first, less, strict=True)]
    flat = list(pads) or [0] * (2 * rank)
    if len(flat) != 2 * rank or min(flat) < 0:
        g.refuse(f"pads={flat}: {2 * rank} numbers of 0 or more expected")
    return list(zip(flat[:rank], flat[rank:], strict=True))


def _spread(index: Array, steps: Sequence[int], around: Sequence[tuple[int, int]]) -> Array:
    """Places (N, C, *spatial) with steps - 1 times -1 between them, and so many around them; fewer where negative."""
    spans = [s * (n - 1) + 1 for s, n in zip(steps, index.shape[2:], strict=True)]
    whole = [n + max(a, 0) + max(b, 0) for n, (a, b) in zip(spans, around, strict=True)]
    spread = np.full((*index.shape[:2], *whole), -1, np.int32)
    there = (slice(max(a, 0), max(a, 0) + n, s) for s, n, (a, _) in zip(steps, spans, around, strict=True))
    spread[(slice(None), slice(None), *there)] = index
    kept = (slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(around, whole, strict=True))
    return spread[(slice(None), slice(None), *kept)]


def _turned(weight: Array, group: int) -> Array:
    """A weight (C, M / group, *kernel) as that of the convolution: (M, C / group * volume(kernel)), turned round."""
    c, m, *kernel = weight.shape
    split = weight.reshape(group, c // group, m, *kernel).swapaxes(1, 2)
    return np.ascontiguousarray(np.flip(split, tuple(range(3, split.ndim)))).reshape(group * m, -1)
