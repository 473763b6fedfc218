"""Number formats: a Model in float32 to the same Model in fewer bits, and how far its answers then are.

In: a Model, maybe samples of its values. Out: a Model whose quantisable weights are in the wanted format; figures of
the difference between answers. rounding: to nearest; gptq: for what is met; reach: static scales; squares: what stays
wide; drift: the figures.
May import: errors, layers, NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers import base
from edgernn.layers.base import Array, Matrix
from edgernn.layers.model import Model, Node
from edgernn.quantiser.gptq import fitted
from edgernn.quantiser.half import half
from edgernn.quantiser.meets import met
from edgernn.quantiser.rounding import rounded
from edgernn.quantiser.squares import squares

Moments = Mapping[str, tuple[Array, int]]
FORMATS = ("none", "float16", *base.FORMATS)
FITTED = ("int4", "int8", "int8x16")  # formats coarse enough that it matters what a matrix meets
LEAST_FRAMES = 100  # fewer say too little of that


def quantise(
    model: Model, format: str = "int8", layers: Mapping[str, str] | None = None, moments: Moments | None = None
) -> Model:
    """The model with every float32 matrix that its layer lets be quantised in this format; all else stays as it is.

    format: "none" (float32), "float16" (stored so, computed in float32), "int8", "int8x16" (8-bit weights, 16-bit
    activations), "int16" or "int4" (in groups of 32 columns). Activations are quantised while the model runs, so no
    samples are needed. A matrix that multiplies squares stays in floating point: see `squares`.
    layers: formats for single nodes, by their name or a pattern of names (`*`, `?`, `[...]`, in capitals or not); where
    several fit, the last counts. A node named there gets what was asked for, whatever it multiplies.
    moments: what `meets.moments` found, in 100 frames or more; weights of 8 and of 4 bits are then rounded so that
    their products with such values are nearest (see `gptq`), else each to its nearest.

    Raises BadInput for any other format, for a pattern that fits no node with matrices, and for weights that float16
    cannot hold; ValueError where a weight is not finite.
    """
    chosen = by_node(model, layers or {})
    _check(format)
    wide = squares(model)
    spared = "none" if format in base.FORMATS else format
    nodes = []
    for node in model.nodes:
        common = spared if wide.intersection(node.inputs) else format
        nodes.append(quantised_node(node, chosen.get(node.name, common), moments or {}))
    return replace(model, nodes=tuple(nodes))


def _check(format: str) -> None:
    if format not in FORMATS:
        raise BadInput(f"no number format '{format}': choose one of {', '.join(FORMATS)}")


def by_node(model: Model, layers: Mapping[str, str]) -> dict[str, str]:
    """The format of each node that a pattern names, as `quantise` takes them; a node's own name names it alone.

    Raises BadInput as `quantise` does.
    """
    names = [node.name for node in model.nodes if quantisable(node)]
    found: dict[str, str] = {}
    for pattern, format in layers.items():
        _check(format)
        fitting = [pattern] if pattern in names else [name for name in names if _fits(name.lower(), pattern.lower())]
        if not fitting:
            raise BadInput(f"no layer with matrices is named '{pattern}': there are {', '.join(names) or 'none'}")
        found.update(dict.fromkeys(fitting, format))
    return found


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern fits a name, or what comes after the slash that PyTorch's names begin with."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix("/"), pattern)


def quantisable(node: Node) -> dict[str, Array]:
    """The float32 matrices of a node that its layer lets be quantised, by field."""
    return {
        name: weight
        for name, weight in node.layer.weights()
        if name in node.layer.quantisable and isinstance(weight, np.ndarray) and weight.ndim == 2
    }


def quantised_node(node: Node, format: str, moments: Moments) -> Node:
    """The node with its matrices in this format, one of FORMATS."""
    changed: dict[str, Matrix] = {}
    for field, weight in quantisable(node).items():
        seen, frames = moments.get(met(node, field), (np.empty((0, 0)), 0))
        if format in FITTED and frames >= LEAST_FRAMES and len(seen) == weight.shape[1] and not node.layer.vocabulary:
            changed[field] = fitted(weight, format, seen, frames)
        elif format != "none":
            changed[field] = half(weight) if format == "float16" else rounded(weight, format)
    return replace(node, layer=replace(node.layer, **changed)) if changed else node
