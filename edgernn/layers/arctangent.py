"""Atan, made of what every kernel has: a quotient within 0..1, a polynomial in its square, and the sign.

arctan(x) = x * p(x^2) for 0 <= x <= 1, and pi/2 - arctan(1/x) beyond; p is the polynomial of least error.
"""

from __future__ import annotations

import math

import numpy as np

from edgernn.layers.combine import combined, where
from edgernn.layers.functions import mapped
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.rules import Importing, Value, rule

POLYNOMIAL = (  # from the highest power on; 4e-8 off at most
    -0.004054560326039791, 0.021862933412194252, -0.05591229349374771, 0.09642194956541061, -0.1390862911939621,
    0.19946564733982086, -0.33329859375953674, 0.9999993443489075,
)  # fmt: skip
SMALLEST = float(np.finfo(np.float32).tiny)  # of which the reciprocal is finite


@rule("Atan")
def atan(g: Importing, input: Value) -> Value:
    """ONNX Atan, also of infinity; NaN stays NaN."""
    size = mapped(g, input, "abs")
    inverse = mapped(g, mapped(g, size, "clip", SMALLEST, LARGEST), "reciprocal")
    z = combined(g, "min", size, inverse)
    square = combined(g, "mul", z, z)
    y = mapped(g, square, "affine", POLYNOMIAL[0], POLYNOMIAL[1])
    for term in POLYNOMIAL[2:]:
        y = mapped(g, combined(g, "mul", y, square), "affine", 1.0, term)
    y = combined(g, "mul", y, z)
    beyond = combined(g, "greater", size, g.constant(np.ones((), np.float32)), np.bool_)
    y = where(g, beyond, mapped(g, y, "affine", -1.0, math.pi / 2), y)
    return where(g, is_nan(g, input), input, combined(g, "mul", y, mapped(g, input, "sign")))


@rule("IsNaN")
def is_nan(g: Importing, X: Value) -> Value:
    """ONNX IsNaN: nothing but NaN differs from itself."""
    return mapped(g, combined(g, "equal", X, X), "not", dtype=np.bool_)
