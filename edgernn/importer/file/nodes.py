"""Nodes: those of a graph and of its subgraphs, as the file holds them, and what none of them may lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import onnx

from edgernn.errors import BadModelFile

DEFAULT_DOMAINS = ("", "ai.onnx")


def nodes_in(graphs: Iterable[onnx.GraphProto]) -> Iterator[onnx.NodeProto]:
    """The nodes of subgraphs, and of those within them."""
    waiting = list(graphs)
    while waiting:
        for node in waiting.pop().node:
            yield node
            waiting.extend(attribute.g for attribute in node.attribute if attribute.HasField("g"))


def check_arity(domain: str, kind: str, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Raise BadModelFile for a node of ONNX's own operators that lacks an input or an output."""
    needed = _needed().get(kind) if domain in DEFAULT_DOMAINS else None
    if needed is None:
        return
    if len(inputs) < len(needed) or any(must and not x for must, x in zip(needed, inputs, strict=False)):
        given = len([*filter(None, inputs)])
        expected = f"{len(needed)} or more expected: export the model again"
        raise BadModelFile(f"{kind} '{name}' has {given} inputs; {expected}")
    if not outputs:
        raise BadModelFile(f"{kind} '{name}' has no outputs; export the model again")


def check_bodies(graph: onnx.GraphProto) -> None:
    """The same for all nodes of subgraphs."""
    bodies = (attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g"))
    for node in nodes_in(bodies):
        check_arity(node.domain, node.op_type, node.name, node.input, node.output)


@cache
def _needed() -> Mapping[str, tuple[bool, ...]]:
    """For each operator, in its version with the fewest inputs: which of those that must be there must have a name."""
    found: dict[str, tuple[bool, ...]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in DEFAULT_DOMAINS:
            first = schema.inputs[: schema.min_input]
            needed = tuple(x.option == onnx.defs.OpSchema.FormalParameterOption.Single for x in first)
            if len(needed) <= len(found.get(schema.name, needed)):
                found[schema.name] = needed
    return found
