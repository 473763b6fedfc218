"""The activation functions of recurrent cells: ONNX's names, default alpha and beta, and how they are lowered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.base import Array, Builder, Ref
from edgernn.layers.pointwise import FUNCTIONS
from edgernn.layers.rules import Importing

# (function, alpha, beta): what a cell stores for each of its activations
Activation = tuple[str, float, float]
SIGMOID: Activation = ("sigmoid", 0.0, 0.0)
TANH: Activation = ("tanh", 0.0, 0.0)

# ONNX operator specification of RNN, GRU and LSTM, attribute `activations`; names are not case-sensitive
DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "relu": (None, None),
    "tanh": (None, None),
    "sigmoid": (None, None),
    "softsign": (None, None),
    "softplus": (None, None),
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, None),
}


def parse_activations(
    g: Importing, names: Sequence[str], alphas: Sequence[float], betas: Sequence[float], default: Sequence[str]
) -> tuple[Activation, ...]:
    """The cell's activations. Alphas and betas are consumed in order by those functions that have one."""
    names = [name.lower() for name in (names or default)]
    if len(names) != len(default):
        g.refuse(f"activations={names}: {len(default)} are needed")
    left = {"alpha": list(alphas), "beta": list(betas)}
    parsed = []
    for name in names:
        if name not in DEFAULTS:
            g.refuse(f"activations={name}: not one of {', '.join(sorted(DEFAULTS))}")
        values = []
        for which, standard in zip(("alpha", "beta"), DEFAULTS[name], strict=True):
            given = left[which].pop(0) if standard is not None and left[which] else standard
            values.append(float(given or 0.0))
        parsed.append((name, *values))
    if left["alpha"] or left["beta"]:
        g.refuse(f"activation_alpha / activation_beta: more values than the functions {names} take")
    return tuple(parsed)


def activate(activation: Activation, x: Array) -> Array:
    """The activation in NumPy, at the dtype of x."""
    function, alpha, beta = activation
    return FUNCTIONS[function](x, alpha, beta)


def lower_activation(b: Builder, activation: Activation, x: Ref) -> Ref:
    """The activation in the builder's verbs."""
    function, alpha, beta = activation
    return b.map(function, x, alpha, beta)


def clipped(x: Array, clip: float | None) -> Array:
    """ONNX's `clip`: bounds the input of an activation to [-clip, clip]."""
    return x if clip is None else np.clip(x, -clip, clip)


def lower_clip(b: Builder, x: Ref, clip: float | None) -> Ref:
    """ONNX's `clip` in the builder's verbs."""
    return x if clip is None else b.map("clip", x, -clip, clip)
