"""Twins: nodes that compute the same from the same values are computed once."""

from __future__ import annotations

from dataclasses import replace

from edgernn.layers.model import Model, Node


def twins_joined(model: Model) -> Model:
    """A model without nodes that repeat an earlier one. Weights are the same where they are one array."""
    same: dict[str, str] = {}  # value -> the equal one of an earlier node
    first: dict[tuple[object, ...], Node] = {}
    nodes = []
    for node in model.nodes:
        if not same.keys().isdisjoint(node.inputs):
            node = replace(node, inputs=tuple(same.get(name, name) for name in node.inputs))
        weights = tuple([(name, id(weight)) for name, weight in node.layer.weights()])
        attributes = repr(node.layer.attributes())
        twin = first.setdefault((type(node.layer), attributes, weights, node.inputs), node)
        if twin is node:
            nodes.append(node)
        same.update(zip(node.outputs, twin.outputs, strict=True) if twin is not node else ())
    if not same:
        return model
    outputs = tuple(replace(port, value=same.get(port.value, port.value)) for port in model.outputs)
    states = tuple(replace(state, source=same.get(state.source, state.source)) for state in model.states)
    return replace(model, nodes=tuple(nodes), outputs=outputs, states=states)
