"""Past: the frames before this one, for kernels that look back over time. They are a state like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.layers.join import Join
from edgernn.layers.rules import Importing, Value
from edgernn.layers.take import Take, places
from edgernn.layers.windows import Window


def looks_over_time(x: Value, window: Window) -> bool:
    """Whether the window covers more than the present frame of x, (N, C, *spatial)."""
    if x.time is None or x.time < 2:
        return False
    along = x.time - 2
    return bool(window.kernel[along] > 1 or window.strides[along] > 1 or any(window.pads[along]) or x.lead or x.trail)


def with_past(g: Importing, x: Value, window: Window) -> tuple[Value, Window, int]:
    """(x with the frames that the window looks back on, the window on it, steps that follow the sequence's end).

    The window must not look ahead: all padding in time that counts stands before the first step. What stands after the
    last makes steps that the graph must cut off.
    """
    if not looks_over_time(x, window) or x.time is None:
        return x, window, 0
    along = x.time - 2
    reach = window.dilations[along] * (window.kernel[along] - 1)
    before, after = window.pads[along]
    if window.strides[along] != 1 or x.trail:
        g.refuse(f"strides={list(window.strides)}: takes several steps for one, which is not supported yet")
    if before + x.lead != reach:
        what = f"looks at {reach + 1} steps with {before + x.lead} steps of padding before the first"
        g.refuse(what, f"pad {reach} steps of zeros in front, so that each step sees itself and the past")
    pads = tuple((0, 0) if axis == along else sides for axis, sides in enumerate(window.pads))
    return _joined(g, replace(x, lead=0), x.time, reach), replace(window, pads=pads), after


def _joined(g: Importing, x: Value, time: int, reach: int) -> Value:
    """The last `reach` frames and this one, along the time axis."""
    if not reach:
        return x
    ring = g.carry(np.zeros([reach if axis == time else n for axis, n in enumerate(x.shape)], np.float32))
    (frames,) = g.add(Join(time), ring, x)
    kept = np.take(places(frames), range(1, reach + 1), time)
    (rest,) = g.add(Take(np.ascontiguousarray(kept.reshape(-1)), kept.shape), frames)
    g.close(ring, rest)
    return frames
