"""What works number by number: Map (one operand), Combine (two, with NumPy's broadcasting) and Select (a choice).

FUNCTIONS and OPERATIONS are the tables of what they can do; backends implement the same names. Booleans are 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume

LARGEST = float(np.finfo(np.float32).max)  # stands for "no bound" in clip, since JSON knows no infinity

_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x: Array) -> Array:
    """The error function of every number of x, at the dtype of x."""
    return np.asarray(_erf(x), x.dtype) if x.size else x


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.asarray(np.logaddexp(0, x))


def truth(condition: Array, like: Array) -> Array:
    """A boolean array as 0.0 and 1.0 in the dtype of `like`."""
    return np.asarray(condition).astype(like.dtype)


def _expm1(x: Array) -> Array:
    return np.expm1(np.minimum(x, 0))


# name -> f(x, alpha, beta), formulas of the ONNX operator specification
FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "abs": lambda x, a, b: np.abs(x),
    "neg": lambda x, a, b: -x,
    "exp": lambda x, a, b: np.exp(x),
    "log": lambda x, a, b: np.log(x),
    "sqrt": lambda x, a, b: np.sqrt(x),
    "reciprocal": lambda x, a, b: 1 / x,
    "floor": lambda x, a, b: np.floor(x),
    "ceil": lambda x, a, b: np.ceil(x),
    "round": lambda x, a, b: np.rint(x),  # half to even
    "sign": lambda x, a, b: np.sign(x),
    "trunc": lambda x, a, b: np.trunc(x),
    "sin": lambda x, a, b: np.sin(x),
    "cos": lambda x, a, b: np.cos(x),
    "erf": lambda x, a, b: erf(x),
    "not": lambda x, a, b: truth(x == 0, x),
    "pow": lambda x, a, b: np.power(x, a),
    "affine": lambda x, a, b: a * x + b,
    "clip": lambda x, a, b: np.minimum(np.maximum(x, a), b),
    "shrink": lambda x, a, b: np.where(x < -a, x + b, np.where(x > a, x - b, 0 * x)),
    "relu": lambda x, a, b: np.maximum(x, 0),
    "leakyrelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0 * x),
    "elu": lambda x, a, b: np.where(x < 0, a * _expm1(x), x),
    "celu": lambda x, a, b: np.maximum(x, 0) + np.minimum(0, a * _expm1(x / a)),
    "selu": lambda x, a, b: b * np.where(x <= 0, a * _expm1(x), x),
    "sigmoid": lambda x, a, b: sigmoid(x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "hardswish": lambda x, a, b: x * np.clip(x / 6 + 0.5, 0, 1),
    "swish": lambda x, a, b: x * sigmoid(a * x),
    "mish": lambda x, a, b: x * np.tanh(softplus(x)),
    "gelu": lambda x, a, b: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x, a, b: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "tanh": lambda x, a, b: np.tanh(x),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "softplus": lambda x, a, b: softplus(x),
}

# name -> f(a, b)
OPERATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "min": np.minimum,
    "max": np.maximum,
    "pow": np.power,
    "mod": np.fmod,
    "less": lambda a, b: truth(a < b, a),
    "less_equal": lambda a, b: truth(a <= b, a),
    "greater": lambda a, b: truth(a > b, a),
    "greater_equal": lambda a, b: truth(a >= b, a),
    "equal": lambda a, b: truth(a == b, a),
    "and": lambda a, b: truth((a != 0) & (b != 0), a),
    "or": lambda a, b: truth((a != 0) | (b != 0), a),
    "xor": lambda a, b: truth((a != 0) ^ (b != 0), a),
}


@dataclass(frozen=True, eq=False)
class Map(Layer):
    """y = function(x) for every number."""

    function: str
    alpha: float = 0.0
    beta: float = 0.0

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if self.function not in FUNCTIONS:
            raise ValueError(f"there is no function '{self.function}'")
        (x,) = inputs
        return (x,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return (FUNCTIONS[self.function](inputs[0], self.alpha, self.beta),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.map(self.function, inputs[0], self.alpha, self.beta),)


@dataclass(frozen=True, eq=False)
class Combine(Layer):
    """y = a operation b for every pair of numbers, after NumPy's broadcasting."""

    operation: str

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if self.operation not in OPERATIONS:
            raise ValueError(f"there is no operation '{self.operation}'")
        a, b = inputs
        return (np.broadcast_shapes(a, b),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return (OPERATIONS[self.operation](*inputs),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        left, right = lower_broadcast(b, shapes, inputs)
        return (b.combine(self.operation, left, right),)


@dataclass(frozen=True, eq=False)
class Select(Layer):
    """y = a where condition is not 0, else b, after NumPy's broadcasting."""

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        condition, a, b = inputs
        return (np.broadcast_shapes(condition, a, b),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        condition, a, b = inputs
        return (np.where(condition != 0, a, b),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        condition, yes, no = lower_broadcast(b, shapes, inputs, one_is_enough=False)
        return (b.select(condition, yes, no),)


def lower_broadcast(
    b: Builder, shapes: tuple[Shape, ...], inputs: tuple[Ref, ...], one_is_enough: bool = True
) -> list[Ref]:
    """The inputs repeated to their common shape; a single number stays one where `one_is_enough`."""
    full = np.broadcast_shapes(*shapes)
    spread = []
    for shape, x in zip(shapes, inputs, strict=True):
        fits = volume(shape) == volume(full) or (one_is_enough and volume(shape) == 1)
        spread.append(x if fits else b.take(x, broadcast_index(shape, full)))
    return spread


def broadcast_index(shape: Shape, full: Shape) -> Array:
    """Where each number of an array of shape `full` comes from in one of `shape`; flat, (volume(full),) int32."""
    index = np.arange(volume(shape), dtype=np.int32).reshape(shape)
    return np.ascontiguousarray(np.broadcast_to(index, full)).reshape(-1)
