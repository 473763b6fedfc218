"""Nodes: those of a graph and of its subgraphs, as the file holds them, and what none of them may lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


def check_arity(graph: onnx.GraphProto) -> None:
    """Raise BadModelFile for a node of ONNX's own operators that lacks an input or an output."""
    for node in nodes_in([graph]):
        needed = _needed().get(node.op_type) if node.domain in DEFAULT_DOMAINS else None
        if needed is None:
            continue
        named = f"{node.op_type} '{node.name or next(filter(None, node.output), '')}'"
        if len(node.input) < len(needed) or any(must and not x for must, x in zip(needed, node.input, strict=False)):
            given = len([*filter(None, node.input)])
            raise BadModelFile(f"{named} has {given} inputs; {len(needed)} or more expected: export the model again")
        if not node.output:
            raise BadModelFile(f"{named} has no outputs; export the model again")


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
