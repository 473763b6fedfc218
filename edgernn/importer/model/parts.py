"""Parts: a state that a graph keeps as one tensor, but cuts up to read and puts together again, becomes several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgernn.importer.states.trace import entering, origins
from edgernn.layers.base import Array
from edgernn.layers.model import Model, Node, State
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import Take


@dataclass(frozen=True)
class Part:
    """A piece of a state: the value that holds it, where in the state its numbers are, and what replaces them."""

    value: str
    places: Array  # (n,) int64
    source: str


def states_parted(model: Model) -> Model:
    """The model with every state that is only read in pieces, each replaced by one whole value, as these pieces."""
    ids, whole = _origins(model)
    for state in model.states:
        if parts := _parts(model, state, ids, whole):
            model = _parted(model, state, parts)
            ids, whole = _origins(model)  # a state that has become pieces is no value any more
    return model


def _origins(model: Model) -> tuple[Mapping[str, Array], Mapping[int, str]]:
    """(where the numbers of each value come from, the value that each of these is the first number of)."""
    ids = origins(model.nodes, entering(model))
    return ids, {int(found.reshape(-1)[0]): name for name, found in reversed(ids.items()) if found.size}


def _parts(model: Model, state: State, ids: Mapping[str, Array], whole: Mapping[int, str]) -> list[Part]:
    """The pieces; none where the state is read in another way too, or a piece is replaced by several values."""
    own, coming = ids[state.name].reshape(-1), ids[state.source].reshape(-1)
    same, parts = {state.name}, []
    for node in model.nodes:
        if same.isdisjoint(node.inputs):
            continue
        if isinstance(node.layer, Reshape):
            same.add(node.outputs[0])
            continue
        places = ids[node.outputs[0]].reshape(-1) - own[0] if isinstance(node.layer, Take) else np.zeros(0, int)
        inside = places.size and places.min() >= 0 and places.max() < own.size
        source = whole.get(int(coming[places[0]])) if inside and coming[places].min() >= 0 else None
        if source is None or not np.array_equal(ids[source].reshape(-1), coming[places]):
            return []
        parts.append(Part(node.outputs[0], places, source))
    read = {port.value for port in model.outputs} | {other.source for other in model.states}
    read |= {part.source for part in parts}
    taken = np.concatenate([part.places for part in parts]) if parts else np.zeros(0, int)
    return parts if same.isdisjoint(read) and len(np.unique(taken)) == taken.size else []


def _parted(model: Model, state: State, parts: list[Part]) -> Model:
    """The model with these pieces as states."""
    shapes, held = model.shapes, state.initial.reshape(-1)
    pieces, whole = {part.value for part in parts}, {state.name}  # `whole`: the state, in one shape or another
    nodes = []
    for node in model.nodes:
        if not whole.isdisjoint(node.inputs) and isinstance(node.layer, Reshape):
            whole.update(node.outputs)
        elif node.outputs[0] not in pieces:
            nodes.append(node)
    states = [other for other in model.states if other.name != state.name]
    for part in parts:
        source = f"{part.value}.next"
        nodes.append(Node(source, Reshape(shapes[part.value]), (part.source,), (source,)))
        states.append(State(part.value, source, np.ascontiguousarray(held[part.places].reshape(shapes[part.value]))))
    return replace(model, nodes=tuple(nodes), states=tuple(states))
