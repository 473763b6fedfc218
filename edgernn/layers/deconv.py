"""The ONNX operator ConvTranspose: a convolution over its input with zeros set between the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.axes import check_size, constant
from edgernn.layers.base import Array
from edgernn.layers.conv import Conv
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


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
    """ONNX ConvTranspose over any number of spatial axes; along time its kernel must be a single place."""
    weight = np.asarray(constant(g, W, "W"), np.float32)  # (C, M / group, *kernel)
    bias = None if B is None else np.ascontiguousarray(constant(g, B, "B"), np.float32)
    rank, kernel = weight.ndim - 2, weight.shape[2:]
    if rank < 1 or weight.ndim != len(X.shape) or tuple(kernel_shape or kernel) != kernel:
        g.refuse(f"kernel_shape={kernel_shape}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    if group < 1 or weight.shape[0] % group or X.shape[1] != weight.shape[0]:
        g.refuse(f"group={group}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    steps, gaps, more = (tuple(n or [d] * rank) for n, d in ((strides, 1), (dilations, 1), (output_padding, 0)))
    if not len(steps) == len(gaps) == len(more) == rank or min(*steps, *gaps) < 1 or min(more) < 0:
        g.refuse(f"strides={list(steps)}, dilations={list(gaps)}, output_padding={list(more)} for {rank} spatial axes")
    reach = [d * (k - 1) for d, k in zip(gaps, kernel, strict=True)]
    full = [s * (n - 1) + r + 1 + m for s, n, r, m in zip(steps, X.shape[2:], reach, more, strict=True)]
    wanted = [n * s for n, s in zip(X.shape[2:], steps, strict=True)] if auto_pad.startswith("SAME") else output_shape
    if auto_pad.startswith("SAME") and any(n < m for n, m in zip(full, wanted or (), strict=True)):
        g.refuse(
            f"auto_pad={auto_pad}: its strides are longer than its kernel, and runtimes differ", "export with pads"
        )
    sides = _cut(g, full, wanted, (pads or ()) if auto_pad == "NOTSET" else (), auto_pad == "SAME_UPPER")
    if X.time:  # as the batch axis it is a sequence of frames
        along = X.time - 2
        if along < 0 or (kernel[along], steps[along], more[along], *sides[along]) != (1, 1, 0, 0, 0):
            g.refuse(
                "makes a step out of several over time, or several out of one", f"keep it within a frame, or {WINDOW}"
            )
    around = [(r - low, r - high + m) for r, m, (low, high) in zip(reach, more, sides, strict=True)]
    grown = [n + sum(max(0, side) for side in ends) for n, ends in zip(full, around, strict=True)]
    check_size(g, (*X.shape[:2], *grown))
    x = taken(g, X, _spread(places(X), steps, around), X.time)
    layer = Conv(_turned(weight, group), bias, kernel, (1,) * rank, ((0, 0),) * rank, gaps, group)
    (y,) = g.add(layer, x, time=X.time)
    return y


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
    spatial = [s * (n - 1) + 1 for s, n in zip(steps, index.shape[2:], strict=True)]
    spread = np.full((*index.shape[:2], *spatial), -1, np.int32)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in steps))] = index
    padded = np.pad(spread, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in around)], constant_values=-1)
    kept = (slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(around, padded.shape[2:], strict=True))
    return padded[(slice(None), slice(None), *kept)]


def _turned(weight: Array, group: int) -> Array:
    """A weight (C, M / group, *kernel) as that of the convolution: (M, C / group * volume(kernel)), turned round."""
    c, m, *kernel = weight.shape
    split = weight.reshape(group, c // group, m, *kernel).swapaxes(1, 2)
    return np.ascontiguousarray(np.flip(split, tuple(range(3, split.ndim)))).reshape(group * m, -1)
