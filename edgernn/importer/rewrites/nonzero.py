"""NonZero: how many numbers of a value are not 0, and a number that is written where a value is not 0.

Exporters ask the first of the shape of what NonZero makes; the second is how the newer one of PyTorch writes
`y[mask] = number`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgernn.importer.file.graph import Graph, Operator, ordered
from edgernn.importer.rewrites.lists import held
from edgernn.layers.base import Array

BOOL, INT64 = 9, 7  # TensorProto.DataType


def tallied(graph: Graph) -> Graph:
    """The graph with sums for the shapes of NonZero's results, and Where for what is written at the places in them."""
    makers = {o.outputs[0]: o for o in graph.operators if not o.domain}
    if not any(o.kind == "NonZero" for o in makers.values()):
        return graph
    constants = dict(graph.constants)
    written = [part for o in graph.operators for part in _written(o, makers, constants)]
    known = [*constants, *(given.name for given in graph.inputs)]
    return replace(graph, operators=ordered(written, known, graph.outputs), constants=constants)


def _written(o: Operator, makers: Mapping[str, Operator], constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of one: of a Shape of (axes, count), what makes both numbers."""
    if o.kind == "ScatterND" and not o.domain:
        return _masked(o, makers, constants)
    maker = makers.get(o.inputs[0]) if o.kind == "Shape" and o.inputs and not o.domain else None
    if maker is None or maker.kind != "NonZero" or o.attributes.get("start", 0) != 0 or "end" in o.attributes:
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


def _masked(o: Operator, makers: Mapping[str, Operator], constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of a ScatterND of one number where a mask is not 0."""
    data, index, updates = o.inputs if len(o.inputs) == 3 else ("", "", "")
    turned = makers.get(index)
    found = makers.get(turned.inputs[0]) if turned is not None and _turns(turned) else None
    while (maker := makers.get(updates)) is not None and maker.kind in ("Expand", "Reshape"):
        updates = maker.inputs[0]
    number = constants.get(updates)
    if found is None or found.kind != "NonZero" or number is None or number.size != 1 or _adds(o):
        return [o]
    flags, shape, rank, sizes, depth, axes, ones, full, mask = (f"{o.outputs[0]} {n}" for n in range(9))
    number_name = held(constants, o, "number", number.reshape(()))
    return [
        Operator(o.name, "Cast", "", (found.inputs[0],), (flags,), {"to": BOOL}),
        *(Operator(o.name, "Shape", "", (flags,), (shape,)), Operator(o.name, "Shape", "", (shape,), (rank,))),
        *(Operator(o.name, "Shape", "", (data,), (sizes,)), Operator(o.name, "Shape", "", (sizes,), (depth,))),
        Operator(o.name, "Sub", "", (depth, rank), (axes,)),  # how many axes of the data each place of the mask has
        Operator(o.name, "ConstantOfShape", "", (axes,), (ones,), {"value": np.ones(1, np.int64)}),
        Operator(o.name, "Concat", "", (shape, ones), (full,), {"axis": 0}),
        Operator(o.name, "Reshape", "", (flags, full), (mask,)),
        replace(o, kind="Where", inputs=(mask, number_name, data), attributes={}),
    ]


def _turns(o: Operator) -> bool:
    return o.kind == "Transpose" and list(o.attributes.get("perm", [1, 0])) == [1, 0]


def _adds(o: Operator) -> bool:
    return bool(o.attributes.get("reduction", "none") != "none")
