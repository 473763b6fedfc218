"""What ONNX Runtime's quantisers write: numbers of 8 bits with scales, as the rules of the layers that they stand for.

Scales that are fixed are computed as they stand. `quantize_dynamic` finds one for the activations in every call, over
the whole sequence, which a stream has not; so activations stay float32 there, at a scale of SCALE. Weights are what
the file holds. Definitions: DynamicQuantizeLSTM in ONNX Runtime's ContribOperators.md, all others in ONNX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.layers.axes import constant, normal, scalar
from edgernn.layers.base import Array, volume
from edgernn.layers.combine import combined
from edgernn.layers.conv import conv
from edgernn.layers.lstm import lstm
from edgernn.layers.matmul import matmul
from edgernn.layers.pointwise import Map
from edgernn.layers.rules import Importing, Value, rule

Made = Value | tuple[Value | None, ...]
FLOAT = "convert the model as it was before it was quantised; edgernn quantises it (--quantize)"
SCALE = 2.0**-10  # rounds nothing; and the biases that a file rounds at the scale of its activations stay as good
DYNAMIC = (
    "quantised at run time in the file (ONNX Runtime's quantize_dynamic): the weights are the file's, activations stay "
    "float32, so ONNX Runtime's answers differ by its rounding, and by more where it saturates (without VNNI)"
)


@rule("DynamicQuantizeLinear")
def dynamic_quantize_linear(g: Importing, x: Value) -> tuple[Value, Value, Value]:
    """ONNX DynamicQuantizeLinear at a scale of SCALE, without rounding: (x / scale, the scale, the zero point)."""
    g.note(DYNAMIC)
    y = combined(g, "mul", x, g.constant(np.array([1 / SCALE], np.float32)))
    return y, g.constant(np.full((), SCALE, np.float32)), g.constant(np.zeros((), np.float32))


@rule("QuantizeLinear")
def quantize_linear(
    g: Importing,
    x: Value,
    y_scale: Value,
    y_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Value:
    """ONNX QuantizeLinear: x / scale, rounded half to even, plus the zero point, within its 8 or 16 bits."""
    dtype = np.dtype(np.uint8 if y_zero_point is None else y_zero_point.dtype)
    if block_size or precision or output_dtype or dtype.name not in ("int8", "uint8", "int16", "uint16"):
        g.refuse(f"quantises to {dtype.name}, block_size={block_size}, output_dtype={output_dtype}", FLOAT)
    y = combined(g, "div", x, _along(g, x, y_scale, axis, "y_scale"))
    (y,) = g.add(Map("round"), y, time=y.time)
    if y_zero_point is not None:
        y = combined(g, "add", y, _along(g, x, y_zero_point, axis, "y_zero_point"))
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return g.add(Map("clip", float(low), float(high)), y, time=y.time, dtype=dtype)[0]


@rule("DequantizeLinear")
def dequantize_linear(
    g: Importing,
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Value:
    """ONNX DequantizeLinear: (x - zero point) * scale."""
    if block_size:
        g.refuse(f"block_size={block_size} of a value that is computed at run time", FLOAT)
    y = x if x_zero_point is None else combined(g, "sub", x, _along(g, x, x_zero_point, axis, "x_zero_point"))
    return combined(g, "mul", y, _along(g, x, x_scale, axis, "x_scale"))


@rule("MatMulInteger")
def matmul_integer(
    g: Importing, A: Value, B: Value, a_zero_point: Value | None = None, b_zero_point: Value | None = None
) -> Made:
    """ONNX MatMulInteger: (A - its zero point) @ (B - its zero point)."""
    weight = constant(g, B, "B").astype(np.float32) - _point(g, b_zero_point, "b_zero_point")
    return matmul(g, _less(g, A, a_zero_point, "a_zero_point"), g.constant(weight))


@rule("ConvInteger")
def conv_integer(
    g: Importing,
    x: Value,
    w: Value,
    x_zero_point: Value | None = None,
    w_zero_point: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Made:
    """ONNX ConvInteger: a Conv of x - its zero point, with w - its zero point."""
    held = constant(g, w, "w").astype(np.float32)
    weight = held - _point(g, w_zero_point, "w_zero_point").reshape(-1, *[1] * (held.ndim - 1))
    from_x = _less(g, x, x_zero_point, "x_zero_point")
    given: dict[str, Any] = {"auto_pad": auto_pad, "dilations": dilations, "group": group, "kernel_shape": kernel_shape}
    return conv(g, from_x, g.constant(weight), **given, pads=pads, strides=strides)


@rule("DynamicQuantizeLSTM")
def dynamic_quantize_lstm(
    g: Importing,
    X: Value,
    W: Value,
    R: Value,
    B: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    P: Value | None = None,
    W_scale: Value | None = None,
    W_zero_point: Value | None = None,
    R_scale: Value | None = None,
    R_zero_point: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
) -> Made:
    """DynamicQuantizeLSTM of ONNX Runtime: an LSTM whose W (directions, n_in, 4 * H) and R have scales."""
    g.note(DYNAMIC)
    w, r = _weight(g, W, W_scale, W_zero_point, "W"), _weight(g, R, R_scale, R_zero_point, "R")
    functions: dict[str, Any] = {
        "activation_alpha": activation_alpha,
        "activation_beta": activation_beta,
        "activations": activations,
    }
    sizes: dict[str, Any] = {
        "clip": clip,
        "direction": direction,
        "hidden_size": hidden_size,
        "input_forget": input_forget,
    }
    return lstm(g, X, w, r, B, sequence_lens, initial_h, initial_c, P, **functions, **sizes)


def _weight(g: Importing, weight: Value, scale: Value | None, point: Value | None, name: str) -> Value:
    """The weight in float32, outputs before inputs; a scale and a zero point are for each output, or for all."""
    held = constant(g, weight, name).astype(np.float32)
    if held.ndim != 3:
        g.refuse(f"input {name} has shape {list(held.shape)}, expected 3 axes")
    ways = len(held)
    factors = np.asarray(constant(g, scale, f"{name}_scale"), np.float32).reshape(ways, 1, -1)
    zero = _point(g, point, f"{name}_zero_point")
    made = (held - zero.reshape(ways if zero.size > 1 else 1, 1, -1)) * factors
    return g.constant(np.ascontiguousarray(made.transpose(0, 2, 1)))


def _point(g: Importing, point: Value | None, name: str) -> Array:
    """A zero point; zero where there is none."""
    return np.zeros(1, np.float32) if point is None else constant(g, point, name).astype(np.float32)


def _less(g: Importing, x: Value, point: Value | None, name: str) -> Value:
    """x - its zero point, one number."""
    return x if point is None else combined(g, "sub", x, g.constant(np.array([scalar(g, point, name)], np.float32)))


def _along(g: Importing, x: Value, given: Value, axis: int, name: str) -> Value:
    """A scale or zero point in float32: one for all of x, or one for each place along `axis`."""
    if given.const is None and volume(given.shape) == 1:
        return given
    held = constant(g, given, name).astype(np.float32)
    if held.size == 1:
        return g.constant(held.reshape(()))
    along = normal(g, axis, len(x.shape))
    if held.shape != (x.shape[along],) or along == x.time:
        g.refuse(f"input {name} has shape {list(held.shape)}, but axis {along} of x is {x.shape[along]}")
    return g.constant(held.reshape(-1, *[1] * (len(x.shape) - along - 1)))
