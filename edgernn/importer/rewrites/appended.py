"""Appended: a Loop that fills or reads lists of tensors turn by turn, as one that stacks values and picks steps.

PyTorch writes scripted loops so: each turn appends to a list (SequenceInsert), which is joined after the loop, and may
take its frame from a list that a sequence was cut into (SequenceAt). Whatever else is done to a list stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.file.read import outside
from edgernn.importer.file.wire import MOST_AXES
from edgernn.importer.rewrites.lists import at, cut_in_ones, held, squeezed
from edgernn.layers.base import Array

Written = dict[int, list[Operator]]  # id of an operator -> those in its place


@dataclass(frozen=True)
class _Filled:
    """A list that a loop fills: the place among what it carries, the value that each turn appends, and who reads it."""

    place: int
    piece: str
    longer: Sequence[str]  # what the body calls the list with that value
    readers: Sequence[Operator]


def stacked(graph: Graph) -> Graph:
    """The graph whose loops neither fill nor read lists, in so far as that is done step by step."""
    empty = {o.outputs[0] for o in graph.operators if o.kind == "SequenceEmpty" and not o.domain}
    cuts = {o.outputs[0]: o for o in graph.operators if o.kind == "SplitToSequence" and not o.domain and o.inputs}
    if not empty and not cuts:
        return graph
    constants, written = dict(graph.constants), []
    readers: Mapping[str, list[Operator]] = defaultdict(list)
    for o in graph.operators:
        for name in o.reads:
            readers[name].append(o)
    instead: Written = {}
    for o in graph.operators:
        if id(o) in instead:
            written += instead[id(o)]
        elif o.kind == "Loop" and not o.domain and isinstance(o.attributes.get("body"), onnx.GraphProto):
            found = _filled(graph, o, empty, readers)
            written.append(_stacking(graph, _stepping(o, cuts, constants), found, instead, constants))
        else:
            written.append(o)
    read = {*graph.outputs, *(name for o in written for name in o.reads)}
    kept = (o for o in written if o.outputs[0] not in empty or o.outputs[0] in read)
    return replace(graph, operators=tuple(kept), constants=constants)


def _filled(graph: Graph, loop: Operator, empty: set[str], readers: Mapping[str, list[Operator]]) -> list[_Filled]:
    """The lists that each turn of a loop appends one value to, and that are read as sequences afterwards."""
    body, found = loop.attributes["body"], []
    if len(body.input) != len(loop.inputs) or len(body.output) - 1 < max(len(loop.inputs) - 2, len(loop.outputs)):
        return []
    for place, name in enumerate(loop.inputs[2:]):
        after = loop.outputs[place] if place < len(loop.outputs) else ""
        if name not in empty or after in graph.outputs or not all(_joins(graph, o) for o in readers[after]):
            continue
        piece, longer = _appended(body, body.input[place + 2].name, body.output[place + 1].name)
        if piece:
            found.append(_Filled(place, piece, longer, readers[after]))
    return found


def _joins(graph: Graph, o: Operator) -> bool:
    """Whether an operator joins a list, or takes a part of it that a constant names."""
    joins = o.kind == "ConcatFromSequence" and abs(o.attributes.get("axis", MOST_AXES)) < MOST_AXES
    return not o.domain and (joins or (o.kind == "SequenceAt" and at(graph.constants, o) is not None))


def _appended(body: onnx.GraphProto, old: str, new: str) -> tuple[str, list[str]]:
    """(the one value that a turn appends to a list, the names of the longer list); '' where it does anything else."""
    piece, longer = "", list[str]()
    for node in body.node:
        known = [name for name in _reads(node) if name == old or name in longer]
        if not known:
            continue
        inserts = node.op_type == "SequenceInsert" and len(node.input) == 2 and known == [old] == [node.input[0]]
        again = node.op_type == "Identity" and known[0] in longer
        if node.domain or len(node.output) != 1 or not ((inserts and not longer) or again):
            return "", []
        piece = node.input[1] if inserts else piece
        longer.append(node.output[0])
    handed = [value.name for value in body.output if value.name == old or value.name in longer]
    return (piece, longer) if handed == [new] and new in longer else ("", [])


def _reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, its subgraphs too."""
    return [*node.input, *(name for held in node.attribute if held.HasField("g") for name in outside(held.g, {}))]


def _stacking(
    graph: Graph, loop: Operator, lists: Sequence[_Filled], instead: Written, constants: dict[str, Array]
) -> Operator:
    """The loop with a sequence in the place of each list; `instead` takes what stands for the readers of the lists."""
    if not lists:
        return loop
    body = onnx.GraphProto()
    body.CopyFrom(loop.attributes["body"])
    outputs = [*loop.outputs, *[""] * (len(body.output) - 1 - len(loop.outputs))]
    gone = {name for filled in lists for name in filled.longer}
    nodes = [node for node in body.node if gone.isdisjoint(node.output)]
    del body.node[:]
    body.node.extend(nodes)
    for filled in reversed(lists):
        del body.input[filled.place + 2], body.output[filled.place + 1], outputs[filled.place]
    axes = [0] * (len(body.output) - 1 - (len(body.input) - 2))
    for filled in lists:
        for reader in filled.readers:
            axis, name, then = _read(graph, reader, constants)
            body.output.add().name = filled.piece
            outputs.append(name)
            axes.append(axis)
            instead[id(reader)] = then
    places = {filled.place + 2 for filled in lists}
    inputs = tuple(name for place, name in enumerate(loop.inputs) if place not in places)
    attributes = {**loop.attributes, "body": body, "scan_output_axes": axes}
    return replace(loop, inputs=inputs, outputs=tuple(outputs), attributes=attributes)


def _read(graph: Graph, reader: Operator, constants: dict[str, Array]) -> tuple[int, str, list[Operator]]:
    """What becomes of a reader of a list: (along which axis the list is stacked, as which value, what follows)."""
    if reader.kind == "SequenceAt":
        whole = f"{reader.outputs[0]} of"
        index = held(constants, reader, "index", np.array(at(graph.constants, reader)))
        return 0, whole, [replace(reader, kind="Gather", inputs=(whole, index))]
    axis = int(reader.attributes["axis"])
    if reader.attributes.get("new_axis", 0):
        return axis, reader.outputs[0], []
    whole = f"{reader.outputs[0]} of"  # along a new axis, before the one of 1 that the parts have
    old = axis + 1 if axis >= 0 else axis
    return (axis if axis >= 0 else axis - 1), whole, [squeezed(graph.opset, reader, whole, old, constants)]


def _stepping(loop: Operator, cuts: Mapping[str, Operator], constants: dict[str, Array]) -> Operator:
    """The loop that picks from a sequence what it took from the list of its steps."""
    old = loop.attributes["body"]
    own = {value.name for value in (*old.input, *old.initializer)} | {name for node in old.node for name in node.output}
    nodes = [part for node in old.node for part in _picked(node, cuts, own, constants)]
    if len(nodes) == len(old.node):
        return loop
    body = onnx.GraphProto()
    body.CopyFrom(old)
    del body.node[:]
    body.node.extend(nodes)
    return replace(loop, attributes={**loop.attributes, "body": body}, captured=tuple(sorted(outside(body, {}))))


def _picked(
    node: onnx.NodeProto, cuts: Mapping[str, Operator], own: set[str], constants: dict[str, Array]
) -> list[onnx.NodeProto]:
    """The nodes in the place of one that takes a step from a list."""
    cut = cuts.get(node.input[0]) if node.op_type == "SequenceAt" and len(node.input) == 2 and not node.domain else None
    if cut is None or not own.isdisjoint((node.input[0], cut.inputs[0])):
        return [node]
    if not cut_in_ones(cut, constants):
        return [node]
    keeps = cut.attributes.get("keepdims", 1)
    shape, index, made = f"{cut.outputs[0]} step", f"{node.output[0]} index", node.output[0]
    constants[shape] = np.ones(1 if keeps else 0, np.int64)
    return [
        onnx.helper.make_node("Reshape", [node.input[1], shape], [index]),
        onnx.helper.make_node("Gather", [cut.inputs[0], index], [made], node.name, axis=cut.attributes.get("axis", 0)),
    ]
