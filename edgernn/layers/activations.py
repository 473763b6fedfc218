"""The activation functions of recurrent cells: ONNX's names, default alpha and beta, and how they are lowered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.base import Array, Builder, Ref
from edgernn.layers.rules import Importing

# (function, alpha, beta): what a cell stores for each of its activations
Activation = tuple[str, float, float]
SIGMOID: Activation = ("sigmoid", 0.0, 0.0)
TANH: Activation = ("tanh", 0.0, 0.0)

# What each function of ONNX's `activations` takes, and the default (operator specification of RNN, GRU, LSTM). None:
# must be given, because the specification and ONNX Runtime do not agree on a default. Names are not case-sensitive.
PARAMETERS: dict[str, dict[str, float | None]] = {
    "relu": {},
    "tanh": {},
    "sigmoid": {},
    "softsign": {},
    "softplus": {},
    "affine": {"alpha": None, "beta": 0.0},
    "leakyrelu": {"alpha": 0.01},
    "thresholdedrelu": {"alpha": None},
    "scaledtanh": {"alpha": None, "beta": None},
    "hardsigmoid": {"alpha": 0.2, "beta": 0.5},
    "elu": {"alpha": 1.0},
}


def parse_activations(
    g: Importing,
    names: Sequence[str],
    alphas: Sequence[float],
    betas: Sequence[float],
    default: Sequence[str],
    ways: int,
) -> list[tuple[Activation, ...]]:
    """The activations of each direction. Alphas and betas are consumed in order by those functions that have one."""
    functions, count = [name.lower() for name in (names or [*default] * ways)], len(default)
    if len(functions) != count * ways:
        g.refuse(f"activations={functions}: {count * ways} are needed")
    left = {"alpha": list(alphas), "beta": list(betas)}
    parsed = []
    for function in functions:
        if function not in PARAMETERS:
            g.refuse(f"activations={function}: not one of {', '.join(sorted(PARAMETERS))}")
        values = {"alpha": 0.0, "beta": 0.0}
        for which, standard in PARAMETERS[function].items():
            value = left[which].pop(0) if left[which] else standard
            if value is None:
                g.refuse(f"activations={function}: its {which} is missing", f"set activation_{which} in the file")
            values[which] = float(value)
        parsed.append((function, values["alpha"], values["beta"]))
    return [tuple(parsed[way * count : (way + 1) * count]) for way in range(ways)]


def check_activations(activations: Sequence[Activation], count: int) -> None:
    """Raises ValueError unless these are `count` activations with known functions."""
    if len(activations) != count or any(a[0] not in PARAMETERS or len(a) != 3 for a in activations):
        raise ValueError(f"activations {activations}: {count} of {', '.join(sorted(PARAMETERS))} expected")


def activate(activation: Activation, x: Array) -> Array:
    """The activation in NumPy, at the dtype of x."""
    from edgernn.layers.pointwise import FUNCTIONS

    function, alpha, beta = activation
    return FUNCTIONS[function](x, alpha, beta)


def lower_activation(b: Builder, activation: Activation, x: Ref) -> Ref:
    """The activation in the builder's verbs."""
    function, alpha, beta = activation
    return b.map(function, x, alpha, beta)


def checked_clip(g: Importing, clip: float | None) -> float | None:
    """ONNX's `clip`, a bound above 0; None where the attribute is absent."""
    if clip is not None and not clip > 0:
        g.refuse(f"clip={clip:g}: a bound above 0 expected", "export without clip")
    return clip


def clipped(x: Array, clip: float | None) -> Array:
    """ONNX's `clip`: bounds the input of a gate's activation to [-clip, clip]."""
    return x if clip is None else np.clip(x, -clip, clip)


def lower_clip(b: Builder, x: Ref, clip: float | None) -> Ref:
    """ONNX's `clip` in the builder's verbs."""
    return x if clip is None else b.map("clip", x, -clip, clip)
