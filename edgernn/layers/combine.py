"""The ONNX operators that work number by number on two operands or more: arithmetic, comparison, logic, choice."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from edgernn.layers.broadcast import broadcast
from edgernn.layers.embedding import told_apart
from edgernn.layers.pointwise import Combine, Map, Select
from edgernn.layers.rules import Importing, Value, rule

ARITHMETIC = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
COMPARISONS = {
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Equal": "equal",
}
LOGIC = {"And": "and", "Or": "or", "Xor": "xor"}
VARIADIC = {"Sum": "add", "Max": "max", "Min": "min", "Mean": "add"}


def combined(g: Importing, operation: str, a: Value, b: Value, dtype: Any = np.float32) -> Value:
    """a operation b, broadcast; by a single constant number it becomes a Map where that gives the same."""
    (left, right), shape, time = broadcast(g, a, b)
    number = right.const if right.const is not None else left.const
    if number is not None and number.size == 1 and number.dtype != object:
        mapped = _as_map(operation, float(number.reshape(-1)[0]), number is right.const)
        other = left if number is right.const else right
        if mapped is not None and other.const is None and other.shape == shape:
            (y,) = g.add(mapped, other, time=time, dtype=dtype)
            return y
    (y,) = g.add(Combine(operation), left, right, time=time, dtype=dtype)
    return y


def _as_map(operation: str, number: float, number_is_right: bool) -> Map | None:
    """The same as a function of the other operand, where one exists that rounds the same way."""
    if operation == "mul":
        return Map("affine", number, 0.0)
    if operation == "add":
        return Map("affine", 1.0, number)
    if operation == "sub":
        return Map("affine", 1.0, -number) if number_is_right else Map("affine", -1.0, number)
    if operation == "div" and number == 1.0 and not number_is_right:
        return Map("reciprocal")
    return None


@rule(*ARITHMETIC)
def arithmetic(g: Importing, A: Value, B: Value, *, operator: str) -> Value:
    """ONNX Add, Sub, Mul, Div; a quotient of integers is cut towards zero."""
    whole = np.issubdtype(A.dtype, np.integer)
    y = combined(g, ARITHMETIC[operator], A, B, A.dtype)
    if whole and operator == "Div":
        (y,) = g.add(Map("trunc"), y, time=y.time, dtype=A.dtype)
    return y


@rule(*COMPARISONS)
def comparison(g: Importing, A: Value, B: Value, *, operator: str) -> Value:
    """ONNX Less, LessOrEqual, Greater, GreaterOrEqual, Equal; a token may be compared with all that it may be."""
    if operator == "Equal" and (told := told_apart(g, A, B) or told_apart(g, B, A)):
        return told
    return combined(g, COMPARISONS[operator], A, B, np.bool_)


@rule(*LOGIC)
def logic(g: Importing, A: Value, B: Value, *, operator: str) -> Value:
    """ONNX And, Or, Xor."""
    return combined(g, LOGIC[operator], A, B, np.bool_)


@rule(*VARIADIC)
def variadic(g: Importing, *data: Value, operator: str) -> Value:
    """ONNX Sum, Mean, Max, Min of any number of operands."""
    y = reduce(lambda a, b: combined(g, VARIADIC[operator], a, b, data[0].dtype), data)
    if operator == "Mean" and len(data) > 1:
        (y,) = g.add(Map("affine", 1 / len(data), 0.0), y, time=y.time)
    return y


@rule("Mod")
def mod(g: Importing, A: Value, B: Value, *, fmod: int = 0) -> Value:
    """ONNX Mod with fmod=1: the remainder has the sign of the dividend."""
    if not fmod:
        g.refuse("fmod=0 is defined for integers only, and a stream computes in float32", "set fmod=1")
    return combined(g, "mod", A, B, A.dtype)


@rule("Pow")
def power(g: Importing, X: Value, Y: Value) -> Value:
    """ONNX Pow; the exponents 0.5, 1, 2 and -1 have cheaper names. The power of a whole number is one, too."""
    if np.issubdtype(X.dtype, np.integer) and not _keeps_whole(Y):
        g.refuse("raises whole numbers to a power that may be none", "cast them to float32 before")
    exponent = float(Y.const.reshape(-1)[0]) if Y.const is not None and Y.const.size == 1 else None
    if exponent is None or X.const is not None or len(Y.shape) > len(X.shape):
        return combined(g, "pow", X, Y, X.dtype)
    if exponent == 1:
        return X
    if exponent == 2:
        return combined(g, "mul", X, X, X.dtype)
    layer = {0.5: Map("sqrt"), -1.0: Map("reciprocal")}.get(exponent, Map("pow", exponent))
    (y,) = g.add(layer, X, time=X.time, dtype=X.dtype)
    return y


def _keeps_whole(exponent: Value) -> bool:
    """Whether a whole number to this power is a whole number."""
    if exponent.const is None:
        return np.issubdtype(exponent.dtype, np.integer)
    return bool((exponent.const >= 0).all() and (exponent.const == np.trunc(exponent.const)).all())


@rule("PRelu")
def prelu(g: Importing, X: Value, slope: Value) -> Value:
    """ONNX PRelu: x where it is positive, slope * x elsewhere."""
    if slope.const is not None and slope.const.size == 1:
        (y,) = g.add(Map("leakyrelu", float(slope.const.reshape(-1)[0])), X, time=X.time)
        return y
    (positive,) = g.add(Map("relu"), X, time=X.time)
    return combined(g, "add", positive, combined(g, "mul", slope, combined(g, "sub", X, positive)))


@rule("Where")
def where(g: Importing, condition: Value, X: Value, Y: Value) -> Value:
    """ONNX Where."""
    ready, _, time = broadcast(g, condition, X, Y)
    (y,) = g.add(Select(), *ready, time=time, dtype=X.dtype)
    return y
