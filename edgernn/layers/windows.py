"""Windows: which numbers of a frame a kernel sees at each place; shared by convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from edgernn.layers.axes import full_shape
from edgernn.layers.base import Array, Shape
from edgernn.layers.rules import Importing, Value

LARGEST = 1 << 25  # indices
LONGEST = 1 << 62  # entries of an axis with its padding
ROUND = (
    "auto_pad=SAME_... with a stride over time pads by the length of the sequence: the answers are those of sequences "
    "whose length is a multiple of hop"
)


@dataclass(frozen=True)
class Window:
    """A kernel that moves over the spatial axes of (N, C, *spatial). `pads`: (before, after) of each axis."""

    kernel: Shape
    strides: Shape
    pads: tuple[tuple[int, int], ...]
    dilations: Shape

    def places(self, spatial: Shape) -> Shape:
        """How many places there are along each axis. Raises ValueError where the kernel does not fit."""
        found = []
        for n, k, s, (low, high), d in zip(spatial, self.kernel, self.strides, self.pads, self.dilations, strict=True):
            if min(k, s, d) < 1 or min(low, high) < 0 or not d * (k - 1) < n + low + high < LONGEST:
                raise ValueError(f"a kernel of {self.kernel} does not fit {spatial}")
            found.append((n + low + high - d * (k - 1) - 1) // s + 1)
        return tuple(found)

    def numbers(self, shape: Shape) -> int:
        """How many numbers of an array of `shape` it sees, at all places together."""
        return math.prod(shape[:2]) * math.prod(self.places(shape[2:])) * math.prod(self.kernel)

    def index(self, shape: Shape) -> Array:
        """Flat places in an array of `shape`, -1 in the padding: (N, *places, C, *kernel) int32."""
        return _index(self, shape)


@lru_cache(maxsize=64)
def _index(window: Window, shape: Shape) -> Array:
    rank = len(shape) - 2
    places = window.places(shape[2:])
    if window.numbers(shape) > LARGEST:
        raise ValueError(f"a kernel of {window.kernel} over {shape} is too large")
    index = np.arange(math.prod(shape[:2]), dtype=np.int32).reshape(shape[0], *[1] * rank, shape[1], *[1] * rank)
    inside = np.ones(index.shape, bool)
    for axis, size in enumerate(shape[2:]):
        seen = np.arange(places[axis])[:, None] * window.strides[axis] - window.pads[axis][0]
        seen = seen + np.arange(window.kernel[axis]) * window.dilations[axis]
        along = [1] * index.ndim
        along[1 + axis], along[2 + rank + axis] = seen.shape
        inside = inside & ((seen >= 0) & (seen < size)).reshape(along)
        index = index * size + seen.clip(0, size - 1).astype(np.int32).reshape(along)
    index = np.ascontiguousarray(np.where(inside, index, -1), np.int32)
    index.flags.writeable = False
    return index


def window(
    g: Importing,
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    auto_pad: str,
) -> Window:
    """The window of an ONNX node on x (N, C, *spatial)."""
    rank = len(x.shape) - 2
    steps, gaps = tuple(strides or [1] * rank), tuple(dilations or [1] * rank)
    if rank < 1 or not len(kernel) == len(steps) == len(gaps) == rank or min(*steps, *gaps, *kernel) < 1:
        g.refuse(f"kernel {list(kernel)}, strides {list(steps)}, dilations {list(gaps)} for {rank} spatial axes")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        sizes = full_shape(g, x)[2:]
        if x.time is not None and x.time > 1 and steps[x.time - 2] > 1 and not isinstance(x.length, int):
            g.note(ROUND)
        sides = [_same(*numbers, auto_pad) for numbers in zip(sizes, kernel, steps, gaps, strict=True)]
    elif auto_pad in ("NOTSET", "VALID"):
        flat = list(pads or ()) if auto_pad == "NOTSET" else []
        flat = flat or [0] * (2 * rank)
        if len(flat) != 2 * rank or min(flat) < 0:
            g.refuse(f"pads={flat}: {2 * rank} numbers of 0 or more expected")
        sides = list(zip(flat[:rank], flat[rank:], strict=True))
    else:
        g.refuse(f"auto_pad={auto_pad}: not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if x.time == 1:
        g.refuse("has time where the channels are expected", "transpose so that time is not axis 1")
    made = Window(tuple(kernel), steps, tuple(sides), gaps)
    if (x.time or 0) < 2 and made.numbers(x.shape) > LARGEST:
        g.refuse(f"sees {made.numbers(x.shape):,} numbers in a frame, at all places together", "use a smaller window")
    return made


def _same(n: Any, kernel: int, stride: int, dilation: int, auto_pad: str) -> tuple[int, int]:
    """The padding of auto_pad: as many places as ceil(n / stride)."""
    total = int(max(0, (-(-n // stride) - 1) * stride + dilation * (kernel - 1) + 1 - n))
    half = total // 2
    return (half, total - half) if auto_pad == "SAME_UPPER" else (total - half, half)
