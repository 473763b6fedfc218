"""Repeated: a Loop or Scan in a window, where how often it runs is known: its body is written out turn by turn.

Cells in the body become layers afterwards, and those that hand their state from one to the next one layer over all
turns (see `cells` and `chains`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.recurring import AS_LAYER
from edgernn.importer.walk.subgraph import source_in, walked
from edgernn.layers.base import Array
from edgernn.layers.join import Join
from edgernn.layers.recurrent import SEVERAL_STEPS
from edgernn.layers.reshape import Reshape, reshaped
from edgernn.layers.rules import Value
from edgernn.layers.take import places, taken

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

Inputs = Sequence[Value | None]
MOST_TURNS = 4096
MOST_NODES = 20_000  # of the graph, with all turns
FIRST = 32  # turns after which as many more show how many layers a turn makes


def loop_repeated(g: Build, operator: Operator, body: onnx.GraphProto, inputs: Inputs) -> Sequence[Value | None]:
    """ONNX Loop: what it carried after the last turn, and what each turn made, along a new first axis."""
    if len(inputs) < 2 or len(body.input) != len(inputs) or len(body.output) < len(inputs) - 1:
        g.refuse("its body does not fit its inputs", "check the file with onnx.checker")
    trip, start, *initial = inputs
    most = MOST_TURNS + 1 if trip is None else min(int(_known(g, trip, "how often it runs")), MOST_TURNS + 1)
    going = start is None or bool(_known(g, start, "whether it begins"))
    carried = _entered(g, initial, [v.name for v in body.input[2:]], [v.name for v in body.output[1:]], body)
    named = _named(operator, body, 1, len(carried))
    stacks: dict[str, list[Value]] = {name: [] for name in named[1 + len(carried) :]}
    g.inside(f"{SEVERAL_STEPS}: {most}", AS_LAYER)
    room, turn = _Room(g, most, _never_ends(g, body)), 0
    while going and turn < most:
        room.check(turn)
        inside = [g.constant(np.array(turn)), g.constant(np.array(True)), *carried]
        made = _turned(g, operator, body, inside, named)
        if made is None:
            return [None] * len(operator.outputs)
        going = bool(_known(g, made[named[0]], "whether it goes on"))
        carried = [made[name] for name in named[1 : 1 + len(carried)]]
        for name, stack in stacks.items():
            stack.append(made[name])
        turn += 1
    if turn != most:
        g.inside(f"{SEVERAL_STEPS}: {turn}", AS_LAYER)
    _note_starts(g, initial, carried)
    return [*carried, *_stacked(g, operator, body, stacks, 1 + len(carried))]


def scan_repeated(g: Build, operator: Operator, body: onnx.GraphProto, inputs: Inputs) -> Sequence[Value | None]:
    """ONNX Scan, in either direction: what it carried after the last turn, and what each turn made."""
    count = int(operator.attributes.get("num_scan_inputs", 0))
    if not 0 < count <= len(inputs) or len(body.input) != len(inputs) or len(body.output) < len(inputs) - count:
        g.refuse("its body does not fit its inputs", "check the file with onnx.checker")
    if g.opset < 9:
        g.refuse("is a Scan of opset 8, which has another form", "export with a newer opset")
    scanned = _frames(g, operator, inputs[-count:])
    carried = _entered(g, inputs[:-count], [v.name for v in body.input], [v.name for v in body.output], body)
    named = _named(operator, body, 0, len(carried))
    stacks: dict[str, list[Value]] = {name: [] for name in named[len(carried) :]}
    g.inside(f"{SEVERAL_STEPS}: {len(scanned[0])}", AS_LAYER)
    room = _Room(g, len(scanned[0]), True)
    for turn, frames in enumerate(zip(*scanned, strict=True)):
        room.check(turn)
        made = _turned(g, operator, body, [*carried, *frames], named)
        if made is None:
            return [None] * len(operator.outputs)
        carried = [made[name] for name in named[: len(carried)]]
        for name, stack in stacks.items():
            stack.append(made[name])
    _note_starts(g, inputs[:-count], carried)
    return [*carried, *_stacked(g, operator, body, stacks, len(carried))]


def _known(g: Build, x: Value, what: str) -> Array:
    """A number, or a truth value, that is known now: ()."""
    if x.const is None or x.const.size != 1:
        g.refuse(f"{what} is computed at run time", AS_LAYER)
    only: Array = x.const.reshape(-1)[0]
    return only


class _Room:
    """Refuses a loop that makes too many turns or layers; before it makes them, where it runs `most` times for sure."""

    def __init__(self, g: Build, most: int, sure: bool):
        self.g, self.most, self.sure = g, most, sure
        self.before = 0  # layers after FIRST turns
        self._check(most - 1 if sure else 0, 0)

    def check(self, turn: int) -> None:
        """Whether another turn may begin after so many."""
        made = len(self.g.nodes)
        if turn == FIRST:
            self.before = made
        more = (made - self.before) * (self.most - turn) // FIRST if self.sure and turn == 2 * FIRST else 0
        self._check(turn, made + more)

    def _check(self, turn: int, layers: int) -> None:
        if turn >= MOST_TURNS or layers > MOST_NODES:
            what = f"makes more than {MOST_TURNS} turns or {MOST_NODES} layers"
            self.g.refuse(what, f"use a smaller window; {AS_LAYER}")


def _never_ends(g: Build, body: onnx.GraphProto) -> bool:
    """Whether the condition to go on is the same in every turn of a Loop, which has begun."""
    name = source_in(body, body.output[0].name)
    made = {output for node in body.node for output in node.output}
    held = None if name in made else g.values.get(name)
    return name == body.input[1].name or (held is not None and held.const is not None and bool(held.const.all()))


def _entered(g: Build, initial: Inputs, old: Sequence[str], new: Sequence[str], body: onnx.GraphProto) -> list[Value]:
    """What is carried at first; a constant that is replaced counts as computed, so that all turns are alike."""
    carried = []
    for x, name, after in zip(initial, old, new, strict=False):
        if x is None:
            g.refuse("carries nothing where a value is expected", "check the file with onnx.checker")
        replaced = x.const is not None and x.const.dtype.kind == "f" and x.const.size > 1
        if replaced and source_in(body, after) != name:
            x = replace(g.add(Reshape(x.shape), x, dtype=x.dtype)[0], const=None)
        carried.append(x)
    return carried


def _note_starts(g: Build, initial: Inputs, carried: Sequence[Value]) -> None:
    """Note where the loop starts from what is computed, and what it leaves behind."""
    for x, last in zip(initial, carried, strict=True):
        if x is not None and x.const is None and last.const is None and x.name != last.name and x.shape == last.shape:
            g.starts(x, last, False)


def _named(operator: Operator, body: onnx.GraphProto, first: int, carried: int) -> list[str]:
    """The body's outputs that are needed: the condition if any, what is carried, and what is stacked and read."""
    read = [True] * (first + carried) + [bool(name) for name in operator.outputs[carried:]]
    return [value.name for value, needed in zip(body.output, read, strict=False) if needed]


def _turned(
    g: Build, operator: Operator, body: onnx.GraphProto, inside: Sequence[Value], named: Sequence[str]
) -> Mapping[str, Value] | None:
    """What one turn makes; None where that failed."""
    given = {value.name: x for value, x in zip(body.input, inside, strict=True)}
    made = walked(g, body, given, named)
    g.operator = operator
    found = {name: value for name, value in made.items() if value is not None}
    return found if len(found) == len(made) else None


def _frames(g: Build, operator: Operator, sequences: Inputs) -> list[list[Value]]:
    """The frames that each turn of a Scan takes of its sequences."""
    axes = operator.attributes.get("scan_input_axes", [0] * len(sequences))
    ways = operator.attributes.get("scan_input_directions", [0] * len(sequences))
    scanned = []
    for x, axis, way in zip(sequences, axes, ways, strict=True):
        if x is None or not -len(x.shape) <= axis < len(x.shape):
            g.refuse(f"an input has no axis {axis}")
        rows = np.moveaxis(places(x), axis, 0)[:: -1 if way else 1]
        _Room(g, len(rows), True)
        scanned.append([taken(g, x, row, None) for row in rows])
    if len({len(frames) for frames in scanned}) != 1:
        g.refuse("runs over sequences of different lengths", "check the file with onnx.checker")
    return scanned


def _stacked(
    g: Build, operator: Operator, body: onnx.GraphProto, stacks: Mapping[str, list[Value]], first: int
) -> list[Value | None]:
    """What each turn made, as one value; the body's outputs from `first` on."""
    made: list[Value | None] = []
    names = [value.name for value in body.output[first:]]
    axes = operator.attributes.get("scan_output_axes", [0] * len(names))
    ways = operator.attributes.get("scan_output_directions", [0] * len(names))
    for name, axis, way in zip(names, axes, ways, strict=True):
        parts = stacks.get(name)
        if parts == []:
            g.refuse("makes not one turn")
        made.append(None if parts is None else _joined(g, parts[::-1] if way else parts, axis))
    return made


def _joined(g: Build, parts: Sequence[Value], axis: int) -> Value:
    along = stacked_axis(g, parts[0], axis)
    held = [x.const for x in parts if x.const is not None]
    if len(held) == len(parts):
        return g.constant(np.stack(held, along))
    shape = (*parts[0].shape[:along], 1, *parts[0].shape[along:])
    (y,) = g.add(Join(along), *(reshaped(g, x, shape, None) for x in parts), dtype=parts[0].dtype)
    return y


def stacked_axis(g: Build, part: Value, axis: int) -> int:
    """The axis along which parts are stacked, counted from the front."""
    rank = len(part.shape) + 1
    if not -rank <= axis < rank:
        g.refuse(f"stacks values of {len(part.shape)} axes along axis {axis}", "check the file with onnx.checker")
    return axis % rank
