"""Lists: ONNX's sequences of tensors, where constants say which part is taken, written as plain operators.

Exporters cut a tensor into a list (SplitToSequence) or put one together (SequenceConstruct), to take its parts one by
one (SequenceAt) or to join them again (ConcatFromSequence). Whatever else is done to a list stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgernn.importer.file.graph import Graph, Operator
from edgernn.layers.base import Array

MAKERS = ("SplitToSequence", "SequenceConstruct")
LISTED = dict.fromkeys(
    (*MAKERS, "SequenceAt", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "ConcatFromSequence"),
    "use lists only so: append one tensor a turn to a list that is empty before a loop, and join it after the loop "
    "(torch.stack, torch.cat), or read the step that the loop is in; everything else as tensors",
)  # what to do about those that are left
MOST_JOINED = 50_000  # parts of all lists that are joined: each may become a node


def unlisted(graph: Graph) -> Graph:
    """The graph without the lists that nothing but such nodes read, in so far as constants say which part is meant."""
    makers = {o.outputs[0]: o for o in graph.operators if o.kind in MAKERS and o.inputs and not o.domain}
    joined = sum(len(makers[n].inputs) for o in graph.operators for n in o.inputs[:1] if n in makers)
    if not makers or joined > MOST_JOINED:
        return graph
    constants = dict(graph.constants)
    written = [part for o in graph.operators for part in _written(graph.opset, o, makers, constants)]
    read = {*graph.outputs, *(name for operator in written for name in operator.reads)}
    kept = (o for o in written if o.outputs[0] not in makers or o.outputs[0] in read)
    return replace(graph, operators=tuple(kept), constants=constants)


def _written(opset: int, o: Operator, makers: Mapping[str, Operator], constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of one."""
    maker = makers.get(o.inputs[0]) if o.inputs and not o.domain else None
    if o.kind == "ConcatFromSequence" and maker and maker.kind == "SequenceConstruct" and "axis" in o.attributes:
        return _joined(opset, o, maker, constants)
    if maker and o.kind == "SequenceLength" and maker.kind == "SplitToSequence" and cut_in_ones(maker, constants):
        return _counted(o, maker, constants)
    place = at(constants, o)
    if maker is None or place is None:
        return [o]
    if maker.kind == "SequenceConstruct":
        fits = -len(maker.inputs) <= place < len(maker.inputs)
        return [replace(o, kind="Identity", inputs=(maker.inputs[place],))] if fits else [o]
    return [_cut(o, maker, place, constants)]


def at(constants: Mapping[str, Array], o: Operator) -> int | None:
    """Which part of a list an operator takes; None where that is not known."""
    index = constants.get(o.inputs[1]) if o.kind == "SequenceAt" and len(o.inputs) == 2 else None
    return None if index is None or index.size != 1 or index.dtype.kind not in "iu" else int(index.reshape(-1)[0])


def cut_in_ones(maker: Operator, constants: Mapping[str, Array]) -> bool:
    """Whether a tensor was cut into parts of one entry each, however long it is: keepdims=0 takes their axis away.

    So PyTorch means it and ONNX Runtime does it even where a size of 1 is given, with which ONNX would keep the axis.
    """
    size = constants.get(maker.inputs[1]) if len(maker.inputs) > 1 and maker.inputs[1] else np.array(1)
    return size is not None and not size.ndim and size.dtype.kind in "iu" and bool(size == 1)


def _counted(o: Operator, maker: Operator, constants: dict[str, Array]) -> list[Operator]:
    """How many parts of one entry there are."""
    axis = held(constants, o, "axis", np.array(maker.attributes.get("axis", 0)))
    sizes = Operator(f"{o.name}.sizes", "Shape", "", maker.inputs[:1], (f"{o.outputs[0]} sizes",))
    return [sizes, replace(o, kind="Gather", inputs=(*sizes.outputs, axis))]


def squeezed(opset: int, o: Operator, x: str, axis: int, constants: dict[str, Array]) -> Operator:
    """x without an axis of one entry, in the place of an operator."""
    if opset < 13:
        return replace(o, kind="Squeeze", inputs=(x,), attributes={"axes": [axis]})
    axes = held(constants, o, "axes", np.array([axis], np.int64))
    return replace(o, kind="Squeeze", inputs=(x, axes), attributes={})


def _cut(o: Operator, maker: Operator, at: int, constants: dict[str, Array]) -> Operator:
    """Part `at` of a tensor that was cut; the node as it was where that depends on the size of the tensor."""
    axis = int(maker.attributes.get("axis", 0))
    if cut_in_ones(maker, constants):
        shape = (1,) if maker.attributes.get("keepdims", 1) else ()
        index = held(constants, o, "index", np.full(shape, at, np.int64))
        return replace(o, kind="Gather", inputs=(maker.inputs[0], index), attributes={"axis": axis})
    sizes = constants.get(maker.inputs[1])
    if sizes is None or sizes.dtype.kind not in "iu" or not (-sizes.size <= at < sizes.size if sizes.ndim else at >= 0):
        return o
    size = int(sizes[at]) if sizes.ndim else int(sizes)
    end = int(np.cumsum(sizes)[at]) if sizes.ndim else size * (at + 1)
    bounds = {"starts": end - size, "ends": end, "axes": axis}
    if max(map(abs, bounds.values())) >= 1 << 63:
        return o
    places = [held(constants, o, name, np.array([n], np.int64)) for name, n in bounds.items()]
    return replace(o, kind="Slice", inputs=(maker.inputs[0], *places))


def _joined(opset: int, o: Operator, maker: Operator, constants: dict[str, Array]) -> list[Operator]:
    """The parts of a list joined along an axis that they have, or along a new one."""
    axis = int(o.attributes["axis"])
    if not o.attributes.get("new_axis", 0):
        return [replace(o, kind="Concat", inputs=maker.inputs, attributes={"axis": axis})]
    if opset < 13:
        return [o]
    new = held(constants, o, "axes", np.array([axis], np.int64))
    parts = [
        Operator(f"{o.name}.{n}", "Unsqueeze", "", (name, new), (f"{o.outputs[0]} {n}",))
        for n, name in enumerate(maker.inputs)
    ]
    inputs = tuple(part.outputs[0] for part in parts)
    return [*parts, replace(o, kind="Concat", inputs=inputs, attributes={"axis": axis})]


def held(constants: dict[str, Array], o: Operator, what: str, array: Array) -> str:
    """The name of a new constant."""
    name = f"{o.outputs[0]} {what}"
    constants[name] = array
    return name
