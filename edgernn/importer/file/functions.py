"""Functions that a file defines itself, put in place of the nodes that call them."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx.inliner

from edgernn.errors import BadModelFile, Problem, UnsupportedModel

MOST_NODES = 50_000

Key = tuple[str, str, str]


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without local functions. Raises BadModelFile where they call themselves or unfold without bound."""
    count = _count(model.graph.node, _sizes(model))
    if count > MOST_NODES:
        raise BadModelFile(f"the graph unfolds to {count} nodes, more than {MOST_NODES}")
    if not model.functions:
        return model
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for function in model.functions:
        if any(versions.get(entry.domain, entry.version) != entry.version for entry in function.opset_import):
            what = f"function '{function.name}' is written for another opset than the model"
            raise UnsupportedModel([Problem(function.name, "", what, "export with one opset throughout")])
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # of a class that onnx does not name in public
        raise BadModelFile(f"the functions in the file cannot be put in place: {str(error)[:200]}") from None


def _key(proto: onnx.NodeProto | onnx.FunctionProto, name: str) -> Key:
    return (proto.domain, name, proto.overload)


def _count(nodes: Iterable[onnx.NodeProto], sizes: dict[Key, int]) -> int:
    """How many nodes these become; one that calls a function counts as many as that holds."""
    total = 0
    for node in nodes:
        total += sizes.get(_key(node, node.op_type), 1) if sizes else 1
        for attribute in node.attribute:
            graphs = [attribute.g, *attribute.graphs] if attribute.HasField("g") else list(attribute.graphs)
            total += sum(_count(graph.node, sizes) for graph in graphs)
    return total


def _sizes(model: onnx.ModelProto) -> dict[Key, int]:
    """How many nodes each function unfolds to. Raises BadModelFile for functions that call each other in a ring."""
    waiting = {_key(function, function.name): function for function in model.functions}
    if len(waiting) != len(model.functions):
        raise BadModelFile("two functions have the same name; export the model again")
    calls = {key: _calls(function.node) & waiting.keys() for key, function in waiting.items()}
    callers: dict[Key, list[Key]] = {key: [] for key in waiting}
    for key, called in calls.items():
        for one in called:
            callers[one].append(key)
    sizes: dict[Key, int] = {}
    ready = [key for key, called in calls.items() if not called]
    while ready:
        key = ready.pop()
        sizes[key] = _count(waiting.pop(key).node, sizes)
        for caller in callers[key]:
            calls[caller].discard(key)
            if not calls[caller]:
                ready.append(caller)
    if waiting:
        raise BadModelFile(f"the functions {sorted(key[1] for key in waiting)[:10]} call each other in a ring")
    return sizes


def _calls(nodes: Iterable[onnx.NodeProto]) -> set[Key]:
    found: set[Key] = set()
    for node in nodes:
        found.add(_key(node, node.op_type))
        for attribute in node.attribute:
            graphs = [attribute.g, *attribute.graphs] if attribute.HasField("g") else list(attribute.graphs)
            for graph in graphs:
                found |= _calls(graph.node)
    return found
