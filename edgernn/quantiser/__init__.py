"""Number formats: a Model in float32 to the same Model in fewer bits, and how far its answers then are.

In: a Model. Out: a Model whose quantisable weights are in the wanted format; figures of the difference between answers.
May import: errors, layers, NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers import base
from edgernn.layers.base import Array, Matrix
from edgernn.layers.model import Model, Node
from edgernn.quantiser.half import half
from edgernn.quantiser.rounding import rounded
from edgernn.quantiser.squares import squares


def _unchanged(weight: Array) -> Matrix:
    return weight


FORMATS: dict[str, Callable[[Array], Matrix]] = {
    "none": _unchanged,
    "float16": half,
    **{name: partial(rounded, format=name) for name in base.FORMATS},
}


def quantise(model: Model, format: str = "int8", layers: Mapping[str, str] | None = None) -> Model:
    """The model with every float32 matrix that its layer lets be quantised in this format; all else stays as it is.

    format: "none" (float32), "float16" (stored so, computed in float32), "int8", "int8x16" (8-bit weights, 16-bit
    activations), "int16" or "int4" (in groups of 32 columns). Activations are quantised while the model runs, so no
    samples are needed. A matrix that multiplies squares stays in floating point: see `squares`.
    layers: formats for single nodes, by their name or a pattern of names (`*`, `?`, `[...]`); where several fit, the
    last counts. A node named there gets what was asked for, whatever it multiplies.

    Raises BadInput for any other format, and for a pattern that fits no node with matrices; ValueError where a weight
    is not finite.
    """
    chosen = _chosen(model, layers or {})
    for wanted in (format, *chosen.values()):
        if wanted not in FORMATS:
            raise BadInput(f"no number format '{wanted}': choose one of {', '.join(FORMATS)}")
    wide = squares(model)
    spared = "none" if format in base.FORMATS else format
    nodes = []
    for node in model.nodes:
        common = spared if wide.intersection(node.inputs) else format
        nodes.append(_quantise_node(node, FORMATS[chosen.get(node.name, common)]))
    return replace(model, nodes=tuple(nodes))


def _chosen(model: Model, layers: Mapping[str, str]) -> dict[str, str]:
    """The format of each node that a pattern names."""
    names = [node.name for node in model.nodes if quantisable(node)]
    found: dict[str, str] = {}
    for pattern, format in layers.items():
        fitting = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not fitting:
            raise BadInput(f"no layer with matrices is named '{pattern}': there are {', '.join(names) or 'none'}")
        found.update(dict.fromkeys(fitting, format))
    return found


def quantisable(node: Node) -> dict[str, Array]:
    """The float32 matrices of a node that its layer lets be quantised, by field."""
    return {
        name: weight
        for name, weight in node.layer.weights()
        if name in node.layer.quantisable and isinstance(weight, np.ndarray) and weight.ndim == 2
    }


def _quantise_node(node: Node, convert: Callable[[Array], Matrix]) -> Node:
    changed = {name: convert(weight) for name, weight in quantisable(node).items()}
    return replace(node, layer=replace(node.layer, **changed)) if changed else node
