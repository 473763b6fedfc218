"""Which value each matrix of a node is multiplied with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.conv import Conv
from edgernn.layers.model import Model, Node


def met(node: Node, field: str) -> str:
    """The value that the matrix in this field meets: what comes in; for a cell's R what it leaves for the next step."""
    return node.outputs[0] if field == "R" else node.inputs[0]


def multiplied(model: Model) -> Iterator[tuple[str, str, str]]:
    """(node, field, value that it meets) of every matrix that the format of a node may quantise; no tables."""
    for node in model.nodes:
        for field, weight in node.layer.weights():
            if field in node.layer.quantisable and not node.layer.vocabulary and len(weight.shape) == 2:
                yield node.name, field, met(node, field)


def moments(model: Model, values: dict[str, Array]) -> dict[str, tuple[Array, int]]:
    """value -> (mean of x x', (n, n); how many vectors x), from values in many frames, (T, size) each.

    x is a row of the value's last axis, which is what a matrix meets; a convolution's windows are left out.
    """
    windows = {node.inputs[0] for node in model.nodes if isinstance(node.layer, Conv)}
    found = {}
    for name, frames in values.items():
        size = model.shapes[name][-1] if model.shapes[name] else 1
        x = frames.reshape(-1, size).astype(np.float64)
        if len(x) and name not in windows:
            found[name] = x.T @ x / len(x), len(x)
    return found
