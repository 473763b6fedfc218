"""Loop and Scan over time: the body is the step, and what it carries from turn to turn are states of the stream.

A carried value is the same in every turn (weights, the number of steps), or counts the steps, or is a tensor that is
filled step by step (see `filling`), or is a state.
In the body, a sequence can be read at the step that the loop is in, which is this frame; at no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from edgernn.importer.file import symbolic
from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.filling import can_be_filled, joined_steps
from edgernn.importer.walk.recurring import as_cell
from edgernn.importer.walk.repeated import loop_repeated, scan_repeated, stacked_axis
from edgernn.importer.walk.subgraph import source_in, walked
from edgernn.importer.walk.turns import REMEDY, Turns, check_condition, check_start, number, turns_of
from edgernn.layers.axes import surely
from edgernn.layers.recurrent import OTHER_AXIS, SEVERAL_STEPS
from edgernn.layers.reshape import Reshape, reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Value
from edgernn.layers.slices import END

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

Inputs = Sequence[Value | None]


@dataclass(frozen=True)
class Carried:
    """A value handed from turn to turn: kind is same, count, filled or state; `inside` is what the body reads."""

    kind: str
    initial: Value
    inside: Value


def looped(g: Build, operator: Operator, inputs: Inputs) -> Sequence[Value | None]:
    """What a Loop or Scan gives: what it carried after the last turn, and a sequence for each value of every turn."""
    body = operator.attributes.get("body")
    if not isinstance(body, onnx.GraphProto):
        g.refuse("has no body")
    if g.whole:
        written_out = loop_repeated if operator.kind == "Loop" else scan_repeated
        return as_cell(g, operator) or written_out(g, operator, body, inputs)
    if g.moments.inside:
        g.refuse("is a loop in the body of another loop", REMEDY)
    return _loop(g, operator, body, inputs) if operator.kind == "Loop" else _scan(g, operator, body, inputs)


def _loop(g: Build, operator: Operator, body: onnx.GraphProto, inputs: Inputs) -> Sequence[Value | None]:
    """ONNX Loop: inputs are the number of turns, the first condition, and what is carried."""
    if len(inputs) < 2 or len(body.input) != len(inputs) or len(body.output) < len(inputs) - 1:
        g.refuse("its body does not fit its inputs", "check the file with onnx.checker")
    trip, start, *initial = inputs
    g.moments.now = None
    check_start(g, start)
    open_end = trip is None or (
        trip.const is not None and trip.const.dtype != object and bool(np.all(trip.const >= END))
    )
    turns = turns_of(g, g.length if open_end else number(g, trip))
    states = _entered(g, body, turns, initial, 2, 1)
    inside = [g.constant(turns.number), g.constant(np.array(True)), *(carried.inside for carried in states)]
    given = {value.name: x for value, x in zip(body.input, inside, strict=True)}
    made = _one_turn(g, operator, body, turns, given, len(states), 1)
    if made is None:
        return [None] * len(operator.outputs)
    condition, *values = made
    check_condition(g, turns, condition, open_end)
    stacks = values[len(states) :]
    along = operator.attributes.get("scan_output_axes", [0] * len(stacks))  # of `appended`: ONNX stacks along axis 0
    return [
        *_left(g, turns, states, values),
        *(_stacked(g, turns, y, axis) for y, axis in zip(stacks, along, strict=True)),
    ]


def _scan(g: Build, operator: Operator, body: onnx.GraphProto, inputs: Inputs) -> Sequence[Value | None]:
    """ONNX Scan: inputs are what is carried, and the sequences that the body takes frame by frame."""
    sequences = int(operator.attributes.get("num_scan_inputs", 0))
    stacks = len(body.output) - len(inputs) + sequences
    if g.opset < 9:
        g.refuse("is a Scan of opset 8, which has another form", "export with a newer opset")
    if not 0 < sequences <= len(inputs) or len(body.input) != len(inputs) or stacks < 0:
        g.refuse("its body does not fit its inputs", "check the file with onnx.checker")
    for name in ("scan_input_directions", "scan_output_directions"):
        if any(operator.attributes.get(name, ())):
            g.refuse(f"{name}={operator.attributes[name]}: needs the end of the sequence before its start", REMEDY)
    axes = operator.attributes.get("scan_input_axes", [0] * sequences)
    g.moments.now = None
    frames = [_frame(g, x, axis) for x, axis in zip(inputs[-sequences:], axes, strict=True)]
    turns = turns_of(g, g.length if g.moments.now is None else g.moments.now.length)
    states = _entered(g, body, turns, inputs[:-sequences], 0, 0)
    inside = [*(carried.inside for carried in states), *frames]
    given = {value.name: x for value, x in zip(body.input, inside, strict=True)}
    made = _one_turn(g, operator, body, turns, given, len(states), 0)
    if made is None:
        return [None] * len(operator.outputs)
    along = operator.attributes.get("scan_output_axes", [0] * stacks)
    stacked = [_stacked(g, turns, y, axis) for y, axis in zip(made[len(states) :], along, strict=True)]
    return [*_left(g, turns, states, made), *stacked]


def _entered(
    g: Build, body: onnx.GraphProto, turns: Turns, initial: Inputs, first_in: int, first_out: int
) -> list[Carried]:
    """What is carried, from the body's inputs `first_in` on to its outputs `first_out` on."""
    g.moments.filled.clear()
    ends = zip(body.input[first_in:], body.output[first_out:], strict=False)
    return [_carried(g, body, turns, x, old.name, new.name) for x, (old, new) in zip(initial, ends, strict=False)]


def _frame(g: Build, x: Value | None, axis: int) -> Value:
    """What the body of a Scan sees of a sequence."""
    if x is None or not -len(x.shape) <= axis < len(x.shape):
        g.refuse(f"an input has no axis {axis}")
    along = axis % len(x.shape)
    if x.const is not None and x.time is None and g.has_time and x.shape[along] != 1:
        g.refuse("scans a constant, by the number of the step", f"a stream has no first step; or {WINDOW}")
    if x.time != along and (g.has_time or x.shape[along] != 1):
        g.refuse(
            OTHER_AXIS if g.has_time else f"{SEVERAL_STEPS}: {x.shape[along]}",
            f"feed time on the scanned axis; or {WINDOW}",
        )
    x = g.moments.read(g, x) if x.time is not None else x
    return reshaped(g, x, [n for place, n in enumerate(x.shape) if place != along], None)


def _carried(g: Build, body: onnx.GraphProto, turns: Turns, initial: Value | None, name: str, new: str) -> Carried:
    """What a carried value is, and what the body sees of it."""
    if initial is None:
        g.refuse("carries nothing where a value is expected", "check the file with onnx.checker")
    if source_in(body, new) == name:
        return Carried("same", initial, initial)
    if turns.over_time and can_be_filled(g, body, initial, turns.count, name, new):
        return Carried("filled", initial, initial)
    if initial.time is not None:
        g.refuse(OTHER_AXIS, "feed time on the axis that the loop reads along")
    whole = np.dtype(initial.dtype).kind in "iu" or initial.dtype == object
    if initial.final:
        g.refuse("starts from what is known at the end of the sequence only", f"export as two models, or {WINDOW}")
    if not whole and initial.const is None:
        (own,) = g.add(Reshape(initial.shape), initial, dtype=initial.dtype)
        g.own.add(own.name)
        return Carried("state", initial, own)
    if initial.const is None:
        g.refuse("carries whole numbers that are computed at run time", REMEDY)
    if whole:
        counted = symbolic.settled(np.asarray(initial.const, object) + turns.number)
        return Carried("count", initial, g.constant(counted))
    if not g.carries(Value("", (), 0 if turns.over_time else None)):
        return Carried("state", initial, initial)
    state = g.carry(initial.const.astype(np.float32))
    return Carried("state", initial, replace(state, dtype=initial.dtype))


def _one_turn(
    g: Build, operator: Operator, body: onnx.GraphProto, turns: Turns, given: dict[str, Value], states: int, first: int
) -> list[Value | None] | None:
    """What one turn makes: the condition if any, what is carried, and what is stacked; None where that failed."""
    read = [True] * (first + states) + [bool(name) for name in operator.outputs[states:]]
    wanted = [value.name for value, needed in zip(body.output, read, strict=False) if needed]
    g.moments.inside = True
    try:
        made = walked(g, body, given, wanted)
    finally:
        g.moments.inside = False
        g.operator = operator
    if any(value is None for value in made.values()):
        return None
    if not turns.over_time:
        return [made.get(value.name) for value in body.output]
    if g.moments.now is None:
        g.refuse(OTHER_AXIS, "feed time on the axis that the loop reads along")
    if not surely(turns.count, g.moments.now.length):
        g.refuse(f"runs {turns.count} times, but the sequence has {g.moments.now.length} steps", REMEDY)
    return [made.get(value.name) for value in body.output]


def check_inside(g: Build, operator: Operator, inputs: Inputs) -> None:
    """Refuse what a node in the body of a loop reads besides the step that the loop is in."""
    for x in inputs:
        if x is not None and x.time is not None and operator.kind != "Identity":
            g.refuse("reads a whole sequence in every step of a loop", f"read it step by step, or {WINDOW}")
        if x is not None and x.final:
            g.refuse(
                "reads in a loop what is known at the end of the sequence only", f"export as two models, or {WINDOW}"
            )


def _left(g: Build, turns: Turns, states: Sequence[Carried], made: Sequence[Value | None]) -> list[Value | None]:
    """What was carried, after the last turn."""
    return [_after(g, turns, carried, new) for carried, new in zip(states, made, strict=False)]


def _after(g: Build, turns: Turns, carried: Carried, new: Value | None) -> Value | None:
    """One carried value after the last turn; a state goes on in the next frame."""
    initial, inside = carried.initial, carried.inside
    if carried.kind == "same" or new is None:
        return initial
    if carried.kind == "count":
        return _counted(g, turns, carried, new)
    if carried.kind == "filled":
        return joined_steps(g, initial, new)
    if new.time is not None or new.shape != initial.shape:
        g.refuse(f"carries a value whose shape changes from {list(initial.shape)} to {list(new.shape)}", REMEDY)
    if new.const is not None:
        (new,) = g.add(Reshape(new.shape), new, dtype=new.dtype)
    over = g.moments.now if turns.over_time else None
    if initial.const is None:
        if over is not None and over.delay:
            g.refuse("starts from a state that is computed, over a sequence that comes later", REMEDY)
        g.starts(inside, new, turns.over_time)
    elif inside is not initial:
        g.close(inside, new, over)
        g.recurs = True
    return replace(new, final=turns.over_time)


def _counted(g: Build, turns: Turns, carried: Carried, new: Value) -> Value:
    """A count of the steps after the last of them."""
    if not turns.over_time:
        return new
    first, inside = carried.initial.const, carried.inside.const
    if first is None or inside is None or new.const is None or new.const.shape != first.shape:
        g.refuse("carries whole numbers that are computed at run time", REMEDY)
    expected = np.asarray(np.asarray(inside, object) + 1, object).reshape(-1)
    if not all(surely(a, b) for a, b in zip(new.const.reshape(-1), expected, strict=True)):
        g.refuse("carries whole numbers that do not count the steps one by one", REMEDY)
    return g.constant(symbolic.settled(np.asarray(first, object) + turns.count))


def _stacked(g: Build, turns: Turns, y: Value | None, axis: int) -> Value | None:
    """A value of every turn as a sequence."""
    if y is None:
        return None
    if y.time is not None or (y.const is not None and y.const.dtype == object):
        g.refuse("gives a whole sequence, or the number of the step, in every step", REMEDY)
    along = stacked_axis(g, y, axis)
    shape, time = (*y.shape[:along], 1, *y.shape[along:]), along if turns.over_time else None
    if y.const is not None:
        return g.constant(y.const.reshape(shape), time)
    stack = reshaped(g, y, shape, time)
    return stack if time is None or g.moments.now is None else stack.like(g.moments.now)
