"""Number formats: a Model in float32 to the same Model in fewer bits, and how far its answers then are.

In: a Model. Out: a Model whose quantisable weights are in the wanted format; figures of the difference between answers.
May import: errors, layers, NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, Matrix
from edgernn.layers.model import Model, Node
from edgernn.quantiser.int8 import int8_matrix
from edgernn.quantiser.squares import squares


def _unchanged(weight: Array) -> Matrix:
    return weight


FORMATS: dict[str, Callable[[Array], Matrix]] = {"none": _unchanged, "int8": int8_matrix}


def quantise(model: Model, format: str = "int8") -> Model:
    """The model with every float32 matrix that its layer lets be quantised in this format; all else stays as it is.

    format: "none" (float32) or "int8" (symmetric, one scale a row; activations are quantised while the model runs, so
    it needs no samples). A matrix that multiplies squares stays in float32: see `squares`. Raises ValueError for any
    other format, and where a weight is not finite.
    """
    if format not in FORMATS:
        raise ValueError(f"no number format '{format}': choose one of {', '.join(FORMATS)}")
    wide = squares(model)
    nodes = (node if wide.intersection(node.inputs) else _quantise_node(node, FORMATS[format]) for node in model.nodes)
    return replace(model, nodes=tuple(nodes))


def _quantise_node(node: Node, convert: Callable[[Array], Matrix]) -> Node:
    changed = {
        name: convert(weight)
        for name, weight in node.layer.weights()
        if name in node.layer.quantisable and isinstance(weight, np.ndarray) and weight.ndim == 2
    }
    return replace(node, layer=replace(node.layer, **changed)) if changed else node
