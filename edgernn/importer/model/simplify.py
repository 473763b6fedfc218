"""Simplify: drops what no output needs; joins reshapes in a row, a product and its bias, and nodes that are twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.importer.model.cells import cells_found
from edgernn.importer.model.chains import chained, moves_joined
from edgernn.importer.model.parts import states_parted
from edgernn.importer.model.twins import twins_joined
from edgernn.layers.base import Array, Shape
from edgernn.layers.constant import Constant
from edgernn.layers.dense import Affine
from edgernn.layers.model import Model, Node, State
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape

Makers = Mapping[str, Node]


def simplified(model: Model) -> Model:
    """A model that computes the same with fewer layers."""
    joined = pruned(reshapes_joined(twins_joined(pruned(biases_joined(pruned(model))))))
    found = pruned(reshapes_joined(pruned(cells_found(states_parted(joined)))))
    return pruned(reshapes_joined(moves_joined(pruned(chained(found))))) if model.window > 1 else found


def pruned(model: Model) -> Model:
    """Only the nodes and states that an output needs, now or in a later frame."""
    nodes, states = pruned_parts([port.value for port in model.outputs], model.nodes, model.states)
    if len(nodes) == len(model.nodes) and len(states) == len(model.states):
        return model
    return replace(model, nodes=tuple(nodes), states=tuple(states))


def pruned_parts(
    values: Iterable[str], nodes: Sequence[Node], states: Sequence[State]
) -> tuple[list[Node], list[State]]:
    """The nodes and states that these values need, now or in a later frame."""
    makers = {name: node for node in nodes for name in node.outputs}
    sources = {state.name: state.source for state in states}
    needed: set[str] = set()
    waiting = list(values)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(makers[name].inputs if name in makers else ())
            waiting.extend([sources[name]] if name in sources else ())
    kept = [node for node in nodes if not needed.isdisjoint(node.outputs)]
    return kept, [state for state in states if state.name in needed]


def reshapes_joined(model: Model) -> Model:
    """Reshapes in a row become one, and those that change nothing none."""
    shapes = model.shapes
    same: dict[str, str] = {}  # value -> an equal one that was there before
    flat: dict[str, str] = {}  # value -> the same numbers in another shape
    nodes = []
    for node in model.nodes:
        if any(name in same for name in node.inputs):
            node = replace(node, inputs=tuple(same.get(name, name) for name in node.inputs))
        if isinstance(node.layer, Reshape):
            (made,), source = node.outputs, flat.get(node.inputs[0], node.inputs[0])
            flat[made] = source
            if shapes[source] == shapes[made]:
                same[made] = source
                continue
            node = replace(node, inputs=(source,))
        nodes.append(node)
    if not flat:
        return model
    outputs = tuple(replace(port, value=flat.get(port.value, port.value)) for port in model.outputs)
    states = tuple(replace(state, source=flat.get(state.source, state.source)) for state in model.states)
    return replace(model, nodes=tuple(nodes), outputs=outputs, states=states)


def biases_joined(model: Model) -> Model:
    """A product and the addition of a constant vector to it become one Affine."""
    readers = Counter(name for node in model.nodes for name in node.inputs)
    readers.update([*(port.value for port in model.outputs), *(state.source for state in model.states)])
    makers = {name: node for node in model.nodes for name in node.outputs}
    new: dict[str, Node] = {}
    for node in model.nodes:
        product, vector = _addition(node, makers, model.shapes)
        while product in makers and isinstance(makers[product].layer, Reshape) and readers[product] == 1:
            product = makers[product].inputs[0]
        maker = new.get(product, makers.get(product))
        if vector is None or maker is None or not isinstance(maker.layer, Affine) or readers[product] != 1:
            continue
        shape = model.shapes[node.outputs[0]]
        if shape[-1] != maker.layer.weight.shape[0]:
            continue
        bias = vector if maker.layer.bias is None else maker.layer.bias + vector
        new[product] = replace(maker, layer=replace(maker.layer, bias=bias))
        new[node.outputs[0]] = replace(node, layer=Reshape(shape), inputs=(product,))
    return replace(model, nodes=tuple(new.get(node.outputs[0], node) for node in model.nodes)) if new else model


def _addition(node: Node, makers: Makers, shapes: Mapping[str, Shape]) -> tuple[str, Array | None]:
    """(value, vector) where the node adds the same vector to the last axis of a value everywhere, else ('', None)."""
    shape = shapes[node.outputs[0]]
    if isinstance(node.layer, Map) and node.layer.function == "affine" and node.layer.alpha == 1 and shape:
        return node.inputs[0], np.full(shape[-1], node.layer.beta, np.float32)
    if isinstance(node.layer, Combine) and node.layer.operation == "add" and shape:
        for value, other in (node.inputs, node.inputs[::-1]):
            maker = makers.get(other)
            if maker is not None and isinstance(maker.layer, Constant) and shapes[value] == shape:
                full = np.broadcast_to(maker.layer.values, shape).reshape(-1, shape[-1])
                if full.size and (full == full[:1]).all():
                    return value, np.ascontiguousarray(full[0])
    return "", None
