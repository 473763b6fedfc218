"""NonZero: how many numbers of a value are not 0, which exporters ask of the shape of what NonZero makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.importer.graph import Graph, Operator
from edgernn.importer.lists import held
from edgernn.layers.base import Array

BOOL, INT64 = 9, 7  # TensorProto.DataType


def tallied(graph: Graph) -> Graph:
    """The graph with sums in the place of the shapes of NonZero's results; what nothing reads any more is left out."""
    makers = {o.outputs[0]: o for o in graph.operators if o.kind == "NonZero" and not o.domain and len(o.inputs) == 1}
    if not makers:
        return graph
    constants = dict(graph.constants)
    written = [part for o in graph.operators for part in _written(o, makers, constants)]
    read = {*graph.outputs, *(name for operator in written for name in operator.reads)}
    kept = (o for o in written if o.outputs[0] not in makers or o.outputs[0] in read)
    return replace(graph, operators=tuple(kept), constants=constants)


def _written(o: Operator, makers: dict[str, Operator], constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of one: of a Shape of (axes, count), what makes both numbers."""
    maker = makers.get(o.inputs[0]) if o.kind == "Shape" and o.inputs and not o.domain else None
    if maker is None or o.attributes.get("start", 0) != 0 or "end" in o.attributes:
        return [o]
    x, made = maker.inputs[0], o.outputs[0]
    flags, numbers, total, count, shape, axes = (f"{made} {n}" for n in range(6))
    one = held(constants, o, "one", np.array([1], np.int64))
    return [
        Operator(o.name, "Cast", "", (x,), (flags,), {"to": BOOL}),
        Operator(o.name, "Cast", "", (flags,), (numbers,), {"to": INT64}),
        Operator(o.name, "ReduceSum", "", (numbers,), (total,), {"keepdims": 0}),
        Operator(o.name, "Reshape", "", (total, one), (count,)),
        Operator(o.name, "Shape", "", (x,), (shape,)),
        Operator(o.name, "Shape", "", (shape,), (axes,)),
        replace(o, kind="Concat", inputs=(axes, count), attributes={"axis": 0}),
    ]
