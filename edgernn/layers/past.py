"""Past: kernels that look over time, on a ring of past steps, which is a state like any other.

Step k of what a kernel makes sees the steps k * stride - before ... k * stride - before + reach of its input. It is
made in the first evaluation that has the last of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from edgernn.layers.rhythm import FOREVER, check_end, cut, frames, masked, on_ring, ready, steps_of
from edgernn.layers.rules import Importing, Value
from edgernn.layers.windows import Window


@dataclass(frozen=True)
class Look:
    """Where a kernel looks over time: `before` steps of padding in front, `after` behind."""

    reach: int  # steps between the first and the last that it sees
    stride: int
    before: int
    after: int

    def made(self, length: Any) -> Any:
        """How many steps it makes of so many."""
        return (length + self.before + self.after - self.reach - 1) // self.stride + 1


def looks_over_time(x: Value, window: Window) -> bool:
    """Whether the window covers more than one step of x, (N, C, *spatial), or skips some."""
    if x.time is None or x.time < 2:
        return False
    along = x.time - 2
    return bool(window.kernel[along] > 1 or window.strides[along] > 1 or any(window.pads[along]))


def with_past(g: Importing, x: Value, window: Window, fill: float = 0.0) -> tuple[Value, Window]:
    """(what the window sees of x in this evaluation, the window on it); in the rhythm of what it makes.

    fill: what stands in the padding.
    """
    if x.time is None or not looks_over_time(x, window):
        return x, window
    along = x.time - 2
    reach = window.dilations[along] * (window.kernel[along] - 1)
    look = Look(reach, window.strides[along], *window.pads[along])
    pads = tuple((0, 0) if axis == along else sides for axis, sides in enumerate(window.pads))
    return seen(g, x, look, fill), replace(window, pads=pads)


def seen(g: Importing, x: Value, look: Look, fill: float = 0.0) -> Value:
    """The steps that a kernel sees in one evaluation, in the rhythm of what it makes; see `with_past`."""
    stride, count = look.stride, steps_of(x)
    if look.after > 0:
        check_end(g, x)
    if count % stride:
        g.widen(stride // math.gcd(stride, count))
    if look.before > 0:
        x = masked(g, ready(g, x), fill)
    last = max((look.reach - look.before, *x.begins))  # what must have come before the first step that is made
    late = max(0, -(-(x.delay + last - stride + 1) // stride))
    if late > FOREVER:
        g.refuse(f"comes {late:,} steps late, more than {FOREVER:,.0f}", "leave out or look ahead fewer steps")
    past = late * stride + look.before - x.delay
    held = on_ring(g, x, past, fill) if past > 0 else x.untimed()
    held = cut(g, held, x.time or 0, max(0, -past), count - stride + look.reach + 1)
    sides = x.past + frames(g, x, look.before), x.ahead + frames(g, x, look.reach - look.before)
    made = replace(held, time=x.time, delay=late, length=look.made(x.length), begins=())
    return replace(made, past=sides[0], ahead=sides[1])
