"""Subgraph: walks through the body of a loop, or a branch, with the values that stand outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import onnx

from edgernn.importer.file.graph import ordered
from edgernn.importer.file.read import array_of, operator_of
from edgernn.layers.rules import Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build


def walked(
    g: Build, graph: onnx.GraphProto, given: Mapping[str, Value], wanted: Sequence[str]
) -> dict[str, Value | None]:
    """What a subgraph makes under the names `wanted`; its own names hide those outside. None: what has failed."""
    _, held, operators = g.work.bodies.setdefault(id(graph), (graph, {}, []))
    if not operators:
        held.update((tensor.name, array_of(tensor)) for tensor in graph.initializer)
        operators.extend(operator_of(node, g.work.outside) for node in graph.node)
    made = {name for inner in operators for name in inner.outputs}
    own = {*given, *held, *made}
    hidden = {name: g.values.pop(name) for name in own & g.values.keys()}
    g.values.update(given)
    g.values.update({name: Value(name, array.shape, None, array, array.dtype) for name, array in held.items()})
    read = {*wanted, *(name for inner in operators for name in inner.reads)}
    key = id(graph), tuple(wanted), frozenset(read & g.values.keys())
    if key not in g.work.orders:
        g.work.orders[key] = ordered(operators, key[2], wanted)
    for inner in g.work.orders[key]:
        g.visit(inner)
    found = {name: g.values[name] for name in wanted}
    for name in own & g.values.keys():
        del g.values[name]
    g.values.update(hidden)
    return found


def source_in(graph: onnx.GraphProto, name: str) -> str:
    """The value that `name` is another name of."""
    copies = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    for _ in copies:
        name = copies.get(name, name)
    return name
