"""The ONNX operators that work number by number on one operand: activations, roundings, casts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgernn.layers.axes import scalar
from edgernn.layers.combine import combined
from edgernn.layers.pointwise import LARGEST, Map
from edgernn.layers.rules import Importing, Value, rule

PLAIN = {
    "Abs": "abs",
    "Neg": "neg",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sin",
    "Cos": "cos",
    "Erf": "erf",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softsign": "softsign",
    "Softplus": "softplus",
    "HardSwish": "hardswish",
    "Mish": "mish",
}
WITH_ALPHA = {
    "LeakyRelu": ("leakyrelu", 0.01),
    "ThresholdedRelu": ("thresholdedrelu", 1.0),
    "Elu": ("elu", 1.0),
    "Celu": ("celu", 1.0),
    "Swish": ("swish", 1.0),
}


def mapped(g: Importing, x: Value, function: str, alpha: float = 0.0, beta: float = 0.0, dtype: Any = None) -> Value:
    """x through one of pointwise.FUNCTIONS, keeping its kind of number."""
    (y,) = g.add(Map(function, float(alpha), float(beta)), x, time=x.time, dtype=x.dtype if dtype is None else dtype)
    return y


@rule(*PLAIN)
def plain(g: Importing, X: Value, *, operator: str) -> Value:
    """ONNX's functions without a parameter."""
    return mapped(g, X, PLAIN[operator])


@rule(*WITH_ALPHA)
def with_alpha(g: Importing, X: Value, *, alpha: float | None = None, operator: str) -> Value:
    """ONNX's functions of one parameter."""
    function, default = WITH_ALPHA[operator]
    return mapped(g, X, function, default if alpha is None else alpha)


@rule("Selu")
def selu(g: Importing, X: Value, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Value:
    """ONNX Selu."""
    return mapped(g, X, "selu", alpha, gamma)


@rule("HardSigmoid")
def hard_sigmoid(g: Importing, X: Value, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    """ONNX HardSigmoid."""
    return mapped(g, X, "hardsigmoid", alpha, beta)


@rule("Shrink")
def shrink(g: Importing, input: Value, *, lambd: float = 0.5, bias: float = 0.0) -> Value:
    """ONNX Shrink."""
    return mapped(g, input, "shrink", lambd, bias)


@rule("Gelu")
def gelu(g: Importing, X: Value, *, approximate: str = "none") -> Value:
    """ONNX Gelu, exact or by tanh."""
    if approximate not in ("none", "tanh"):
        g.refuse(f"approximate={approximate}: none or tanh expected")
    return mapped(g, X, "gelu" if approximate == "none" else "gelu_tanh")


@rule("Not")
def not_(g: Importing, X: Value) -> Value:
    """ONNX Not."""
    return mapped(g, X, "not")


@rule("Clip")
def clip(
    g: Importing,
    input: Value,
    min: Value | None = None,
    max: Value | None = None,
    *,
    min_: float | None = None,
    max_: float | None = None,
) -> Value:
    """ONNX Clip; the bounds are attributes before opset 11, and may be computed since."""
    low = -LARGEST if min_ is None else min_
    high = LARGEST if max_ is None else max_
    if min is not None and min.const is None:
        input = combined(g, "max", input, min, input.dtype)
    elif min is not None:
        low = scalar(g, min, "min")
    if max is not None and max.const is not None:
        high = scalar(g, max, "max")
    y = mapped(g, input, "clip", np.clip(low, -LARGEST, LARGEST), np.clip(high, -LARGEST, LARGEST))
    return y if max is None or max.const is not None else combined(g, "min", y, max, input.dtype)


@rule("Dropout")
def dropout(
    g: Importing,
    data: Value,
    ratio: Value | None = None,
    training_mode: Value | None = None,
    *,
    ratio_: float = 0.5,
    seed: int = 0,
) -> Value:
    """ONNX Dropout as inference has it: nothing."""
    if training_mode is not None and (training_mode.const is None or bool(training_mode.const.any())):
        g.refuse("training_mode is on", "export with the model in evaluation mode")
    return data


CASTS: dict[int, npt.DTypeLike] = {
    1: np.float32, 10: np.float16, 11: np.float64, 16: np.float32,
    2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 12: np.uint32, 13: np.uint64,
    9: np.bool_,
}  # fmt: skip
NO_TYPE = "a type that does not exist in a stream"


@rule("Cast")
def cast(g: Importing, input: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> Value:
    """ONNX Cast; a stream computes in float32, so only the cut to whole numbers and to 0 or 1 does something."""
    if to not in CASTS:
        g.refuse(f"to={to}: {NO_TYPE}")
    return converted(g, input, np.dtype(CASTS[to]))


@rule("CastLike")
def cast_like(g: Importing, input: Value, target_type: Value, *, saturate: int = 1, round_mode: str = "up") -> Value:
    """ONNX CastLike."""
    name = np.dtype(target_type.dtype).name
    known = {np.dtype(dtype).name: np.dtype(dtype) for dtype in CASTS.values()} | {"bfloat16": np.dtype(np.float32)}
    if name not in known:
        g.refuse(f"to {name}: {NO_TYPE}")
    return converted(g, input, known[name])


def converted(g: Importing, x: Value, dtype: np.dtype[Any]) -> Value:
    """x as another kind of number."""
    came = np.dtype(x.dtype)
    if dtype == np.bool_ and came != np.bool_:
        return mapped(g, mapped(g, x, "not"), "not", dtype=dtype)
    if dtype.kind in "iu" and came.kind == "f":
        return mapped(g, x, "trunc", dtype=dtype)
    if came == dtype:
        return x
    return replace(x, dtype=dtype)


@rule("IsInf")
def is_inf(g: Importing, X: Value, *, detect_negative: int = 1, detect_positive: int = 1) -> Value:
    """ONNX IsInf: beyond the largest number, above, below or both."""
    if not detect_negative and not detect_positive:
        return combined(g, "greater", X, X, np.bool_)
    if detect_negative:
        X = mapped(g, X, "abs" if detect_positive else "neg")
    return combined(g, "greater", X, g.constant(np.full((), LARGEST, np.float32)), np.bool_)
