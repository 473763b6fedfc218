"""Turns: how often a loop runs, and that it runs over the sequence, or once in a frame that is one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.importer.walk.steps import BEFORE_LAST, Now
from edgernn.layers.axes import surely
from edgernn.layers.base import Array
from edgernn.layers.recurrent import SEVERAL_STEPS
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

REMEDY = (
    "export the loop as a recurrent layer (RNN, GRU, LSTM), or one step with its state as input and output; "
    f"or {WINDOW}"
)


@dataclass(frozen=True)
class Turns:
    """How a loop runs: over the sequence, or once in a frame that is one step; and the number of the turn it is in."""

    over_time: bool
    count: Any
    number: Array  # () the symbol `Now`, or 0


def number(g: Build, trip: Value | None) -> Any:
    """How often a loop runs."""
    if trip is None or trip.const is None or trip.const.size != 1 or trip.time is not None:
        g.refuse("how often it runs is computed at run time", REMEDY)
    return trip.const.reshape(-1)[0]


def turns_of(g: Build, count: Any) -> Turns:
    """How a loop of `count` turns runs under this hypothesis about time."""
    if g.has_time:
        return Turns(True, count, np.array(Now(count), object))
    if not surely(count, 1):
        remedy = f"feed one frame a call, or time on the axis that the loop reads along; or {WINDOW}"
        g.refuse(f"{SEVERAL_STEPS}: {count}", remedy)
    return Turns(False, 1, np.array(0))


def check_start(g: Build, start: Value | None) -> None:
    """The condition to begin at all must hold."""
    if start is None:
        return
    if start.const is None:
        g.refuse("whether it begins is computed at run time", REMEDY)
    if start.const.dtype == object or not start.const.all():
        g.refuse("its condition to begin does not hold")


def check_condition(g: Build, turns: Turns, condition: Value | None, open_end: bool) -> None:
    """The condition to go on must hold until the last step; without a number of turns, it must end there."""
    held = None if condition is None or condition.const is None else condition.const.reshape(-1)
    if not turns.over_time:
        if open_end and (held is None or held.any()):
            g.refuse(f"{SEVERAL_STEPS}, as many as its condition lets it", REMEDY)
        return
    if held is None or len(held) != 1:
        g.refuse("ends by a condition that is computed at run time: a stream goes on", REMEDY)
    if held[0] is not BEFORE_LAST and (open_end or held.dtype == object or not held[0]):
        g.refuse("does not end with the sequence", REMEDY)
