"""Recurring: a Loop or Scan in a window whose body is one cell becomes that layer, however often it runs.

The loop is read as the step of a stream over the sequence that it runs along. Where that step is one cell, which
starts from constants and is fed the sequence, the loop is that cell over all steps of the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgernn.importer.file.graph import Graph, Input, Operator
from edgernn.importer.model.simplify import simplified
from edgernn.importer.states.trace import entering, moves_only, origins
from edgernn.importer.walk.signals import Wider
from edgernn.layers.base import Array, volume
from edgernn.layers.model import Model, Node, Port
from edgernn.layers.recurrent import SEVERAL_STEPS
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Value
from edgernn.layers.sequence import Cell
from edgernn.layers.take import places, taken

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

AS_LAYER = "export the loop as a recurrent layer (RNN, GRU, LSTM)"


def as_cell(g: Build, operator: Operator) -> list[Value | None] | None:
    """What a loop gives that is one cell over a sequence in the window; None for every other loop."""
    read = {name: value for name in operator.reads if (value := g.values[name]) is not None}
    computed = [value for value in read.values() if value.const is None]
    if len(computed) != 1 or len(computed[0].shape) < 2:
        return None
    (sequence,) = computed
    inner = _as_stream(g, operator, read, sequence)
    outputs = {name: value for name in operator.outputs if name and inner and (value := inner.values[name]) is not None}
    if inner is None or len(outputs) != sum(map(bool, operator.outputs)):
        return None
    model = _model(inner, sequence, {name: value for name, value in outputs.items() if value.const is None})
    cell = None if model is None else _only_cell(model)
    if model is None or cell is None:
        return None
    g.inside(f"{SEVERAL_STEPS}: {sequence.shape[0]}", AS_LAYER)
    made = _over_all(g, model, cell, sequence)
    ids = origins(model.nodes, entering(model))
    came = {port.name: ids[port.value] for port in model.outputs}
    ends = [ids[name] for name in cell.outputs]
    found = [_output(g, made, ends, came.get(name), outputs[name]) if name else None for name in operator.outputs]
    return None if any(name and y is None for name, y in zip(operator.outputs, found, strict=True)) else found


def _as_stream(g: Build, operator: Operator, read: Mapping[str, Value], sequence: Value) -> Build | None:
    """The loop alone, read as a stream along the first axis of the sequence; None where it is none."""
    given = [Input(name, value.dtype, value.shape) for name, value in read.items() if value is sequence]
    constants = {name: value.const for name, value in read.items() if value.const is not None}
    outputs = tuple(filter(None, operator.outputs))
    graph = Graph(tuple(given), outputs, (operator,), constants, g.opset, {}, g.folder, work=g.work)
    try:
        inner = type(g)(graph, sequence.shape[0], {one.name: 0 for one in given})
    except Wider:
        return None
    return None if inner.problems or inner.tokens or len(given) > 1 else inner


def _model(inner: Build, sequence: Value, outputs: Mapping[str, Value]) -> Model | None:
    """The step of the loop, simplified."""
    ports = tuple(Port(name, value.name, volume(value.shape)) for name, value in outputs.items())
    frames = tuple(Port(name, name, size) for name, size in inner.ports.items())
    if not ports or len(frames) != 1:
        return None
    return simplified(Model(frames, ports, tuple(inner.states), tuple(inner.nodes)))


def _only_cell(model: Model) -> Node | None:
    """The cell that all of a step is: fed the frame as it comes, its states are those of the stream."""
    computing = [node for node in model.nodes if not moves_only(node.layer)]
    if len(computing) != 1:
        return None
    (cell,) = computing
    if not isinstance(cell.layer, Cell):
        return None
    ids = origins(model.nodes, entering(model))
    starts = {state.name: ids[state.source] for state in model.states}
    ends = [
        any(_same(ids[start], ids[name]) and _same(source, ids[end]) for name, source in starts.items())
        for start, end in zip(cell.inputs[1:], cell.outputs, strict=True)
    ]
    fed = _same(ids[cell.inputs[0]], ids[model.inputs[0].value]) and len(model.states) == len(ends)
    return cell if fed and all(ends) and ids[cell.inputs[0]].size == cell.layer.W.shape[1] else None


def _same(a: Array, b: Array) -> bool:
    return np.array_equal(a.reshape(-1), b.reshape(-1))


def _over_all(g: Build, model: Model, cell: Node, sequence: Value) -> tuple[Value, ...]:
    """What the cell makes of the whole sequence: h after every step, and what other states it ends in."""
    steps, initial = sequence.shape[0], {state.name: state.initial for state in model.states}
    ids = origins(model.nodes, entering(model))
    starts = [next(held for name, held in initial.items() if _same(ids[name], ids[start])) for start in cell.inputs[1:]]
    x = reshaped(g, sequence, (steps, 1, volume(sequence.shape[1:])), None)
    return g.add(cell.layer, x, *(g.constant(held.reshape(1, -1)) for held in starts))


def _output(g: Build, made: Sequence[Value], ends: Sequence[Array], came: Array | None, output: Value) -> Value | None:
    """An output of the loop: a constant, every h, or a state after the last step; None for anything else.

    `ends`: the ids of what the cell leaves behind in a step; `came`: those of the output in a step.
    """
    if came is None:
        return g.constant(np.asarray(output.const)) if output.time is None else None
    y, *others = made
    place = next((n for n, end in enumerate(ends) if _same(came, end)), None)
    if output.time is not None:
        before, after = output.shape[: output.time], output.shape[output.time + 1 :]
        every_h = place == 0 and volume(before) == 1
        return reshaped(g, y, (*before, y.shape[0], *after), None) if every_h else None
    if place == 0:
        return taken(g, y, places(y)[-1].reshape(output.shape), None)
    return None if place is None else reshaped(g, others[place - 1], output.shape, None)
