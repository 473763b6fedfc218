"""Moments: nodes that pick single steps of a sequence. In a loop the step that it is in, which is this frame; outside
of loops the last step, which is this frame too, and others, which a stream cannot give.

A step that a stream cannot give is not refused at once, since a graph may take no more than its shape, or may hold the
same computation once for each step (see `unrolled`): it is built as if it were this frame, and what is made of it is
refused where an output needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edgernn.errors import Problem
from edgernn.importer import symbolic
from edgernn.importer.dims import Symbol
from edgernn.importer.graph import Operator
from edgernn.importer.steps import Now
from edgernn.layers.axes import surely
from edgernn.layers.recurrent import OTHER_AXIS
from edgernn.layers.rules import RULES, Value

if TYPE_CHECKING:
    from edgernn.importer.build import Build

Inputs = Sequence[Value | None]
END = 2**31 - 1  # a slice up to here goes to the end
KEEP_LAST = "a stream can keep every step, or give the last one (index -1)"


@dataclass(frozen=True)
class Picked:
    """A step of a sequence: its number (counted from the end where negative), and how the node says so."""

    step: Any
    text: str


def picked(g: Build, operator: Operator, inputs: Inputs) -> Sequence[Value | None] | None:
    """What a node gives that picks single steps of a sequence; None for every other node."""
    data = inputs[0] if inputs else None
    if data is None or not data.shape or operator.kind not in PICKING:
        return None
    return PICKING[operator.kind](g, operator, data, inputs)


def _gathered(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Gather of one step."""
    index = inputs[1] if len(inputs) > 1 else None
    if index is None or index.const is None or index.time is not None or index.const.size != 1:
        return None
    axis, step = int(operator.attributes.get("axis", 0)), index.const.reshape(-1)[0]
    if axis % len(data.shape) != data.time:
        return _refuse_elsewhere(g, data, step)
    last = g.constant(np.full(index.const.shape, -1))
    return [_one(g, operator, Picked(step, f"{step}"), lambda: RULES["Gather"](g, data, last, axis=axis))]


def _sliced(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Slice of one step, maybe cutting other axes as well."""
    cuts = _cuts(operator, inputs, len(data.shape))
    if cuts is None:
        return None
    for cut, (low, high, axis, stride) in enumerate(cuts):
        if axis != data.time:
            _refuse_elsewhere(g, data, low)
        elif stride == 1 and (step := _only_step(g, low, high)) is not None:
            cuts[cut] = (-1, END, axis, 1)
            columns = [g.constant(symbolic.settled(list(column))) for column in zip(*cuts, strict=True)]
            what = Picked(step, f"{low}:{high}:{stride}")
            return [_one(g, operator, what, lambda: RULES["Slice"](g, data, *columns))]
    return None


def _cuts(operator: Operator, inputs: Inputs, rank: int) -> list[tuple[Any, Any, int, Any]] | None:
    """(start, end, axis, step) of each axis that a Slice cuts; None where they are no constants."""
    held: dict[str, list[Any]] = {}
    for place, name in enumerate(("starts", "ends", "axes", "steps"), 1):
        given = inputs[place] if place < len(inputs) else None
        if given is not None and (given.const is None or given.time is not None):
            return None
        if given is not None and given.const is not None:
            held[name] = list(given.const.reshape(-1))
        elif name in operator.attributes:
            held[name] = list(operator.attributes[name])
    starts, ends = held.get("starts", []), held.get("ends", [])
    axes, steps = held.get("axes", list(range(len(starts)))), held.get("steps", [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    cuts = zip(starts, ends, axes, steps, strict=True)
    return [tuple(_plain(n) for n in (low, high, int(axis) % rank, step)) for low, high, axis, step in cuts]  # type: ignore[misc]


def _plain(n: Any) -> Any:
    return n if isinstance(n, Symbol) else int(n)


def _only_step(g: Build, low: Any, high: Any) -> Any:
    """The step that low:high takes out of a sequence; None where that may be none or several."""
    if isinstance(low, Now) or isinstance(high, Now):
        return low if surely(high - low, 1) else None
    if surely(low, -1) and (surely(high, g.length) or surely(min(high, END), END)):
        return -1
    if not surely(high - low, 1) and not (surely(g.length - low, 1) and not isinstance(high, Symbol) and high >= END):
        return None
    return low


def _split(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Split of a sequence of fixed length into its steps."""
    axis, count = int(operator.attributes.get("axis", 0)) % len(data.shape), len(operator.outputs)
    given = inputs[1] if len(inputs) > 1 else None
    sizes = operator.attributes.get("split", [1] * count) if given is None or given.const is None else given.const
    if axis != data.time or not surely(g.length, count) or any(int(n) != 1 for n in sizes):
        return None
    cut = [g.constant(np.array([n])) for n in (-1, END, axis)]
    return [
        _one(g, operator, Picked(step, f"{step}"), lambda: RULES["Slice"](g, data, *cut)) if name else None
        for step, name in enumerate(operator.outputs)
    ]


PICKING: dict[str, Callable[[Any, Operator, Value, Inputs], Sequence[Value | None] | None]] = {
    "Gather": _gathered,
    "Slice": _sliced,
    "Split": _split,
}


def _one(g: Build, operator: Operator, what: Picked, last: Callable[[], Any]) -> Value:
    """The step that is asked for. `last` makes the last one, which in a stream is this frame."""
    remedy = KEEP_LAST if operator.kind == "Slice" else "a stream can give the last step only (index -1)"
    if isinstance(what.step, Now):
        if not surely(what.step, Now(what.step.length)):
            g.refuse(f"reads step {what.step} of a sequence while the loop is at step now", "read every step in its turn")
        g.reads_now = True
        now: Value = last()
        return replace(now, final=False)
    steps = f"takes steps {what.text}" if operator.kind == "Slice" else f"takes step [{what.text}]"
    problem = Problem(operator.name, operator.kind, f"{steps} of the sequence", remedy)
    if g.now is not None:
        g.refuse(problem.what + " in every step of a loop", "read every step in its turn")
    made: Value = last()
    step = what.step + g.length if isinstance(what.step, int) and what.step < 0 else what.step
    is_last = surely(step, g.length - 1)
    if isinstance(g.length, int):
        if not 0 <= step < g.length:
            g.refuse(f"takes step {step} of a sequence of {g.length} steps")
        g.moments[made.name] = int(step)
    if not is_last:
        g.elsewhere[made.name] = problem
    return made


def _refuse_elsewhere(g: Build, data: Value, step: Any) -> None:
    """Refuse a loop that walks along another axis than time."""
    if not isinstance(step, Now):
        return
    if data.const is not None and data.time is None:
        g.refuse("picks from a constant by the number of the step", "export without it: a stream has no first step")
    g.refuse(OTHER_AXIS, "feed time on the axis that the loop reads along")
