"""Trace: where each number of a value comes from, through layers that only move numbers about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array, Layer, Shape, volume
from edgernn.layers.join import Join
from edgernn.layers.model import Model, Node
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import Take

MOVING = (Reshape, Take, Join)
NOWHERE = -1  # a constant filled in


@dataclass(frozen=True)
class Start:
    """A cell whose initial state the graph computes: from which value, and what the state is afterwards."""

    node: str
    operator: str
    initial: str
    last: str
    over_time: bool


def moves_only(layer: Layer) -> bool:
    """Whether the layer gives back numbers that it was given, and computes none."""
    return isinstance(layer, MOVING)


def entering(model: Model) -> dict[str, Shape]:
    """The shapes of what a model's inputs and states hold when an evaluation begins."""
    names = [*(port.value for port in model.inputs), *(state.name for state in model.states)]
    return {name: model.shapes[name] for name in names}


def origins(nodes: Sequence[Node], given: Mapping[str, Shape]) -> dict[str, Array]:
    """For every value an int32 array of its shape: equal ids are the same number. `given`: ports and states."""
    ids: dict[str, Array] = {}
    next_id = 0
    for name, shape in given.items():
        ids[name] = np.arange(next_id, next_id + volume(shape), dtype=np.int32).reshape(shape)
        next_id += volume(shape)
    for node in nodes:
        if moves_only(node.layer):
            ids[node.outputs[0]] = _moved(node.layer, [ids[name] for name in node.inputs])
            continue
        shapes = node.layer.shapes(*(ids[name].shape for name in node.inputs))
        for name, shape in zip(node.outputs, shapes, strict=True):
            ids[name] = np.arange(next_id, next_id + volume(shape), dtype=np.int32).reshape(shape)
            next_id += volume(shape)
    return ids


def _moved(layer: Layer, inputs: Sequence[Array]) -> Array:
    """The ids after a layer that moves numbers."""
    if isinstance(layer, Take):
        return np.append(inputs[0].reshape(-1), np.int32(NOWHERE))[layer.index].reshape(layer.shape)
    (moved,) = layer.step(*inputs)
    return moved


def reached(nodes: Sequence[Node], ports: Sequence[str]) -> dict[str, int]:
    """For every value the inputs that it depends on within one frame: bit n stands for the n-th of `ports`."""
    found = {name: 1 << place for place, name in enumerate(ports)}
    for node in nodes:
        union = 0
        for name in node.inputs:
            union |= found.get(name, 0)
        found.update(dict.fromkeys(node.outputs, union))
    return found
