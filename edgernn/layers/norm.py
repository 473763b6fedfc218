"""Normalise: layer normalisation and its relatives within a frame.

y = (x - mean) / sqrt(var + epsilon) * scale + bias     Ba et al. 2016, arXiv:1607.06450
y = x / sqrt(mean(x * x) + epsilon) * scale             Zhang and Sennrich 2019, arXiv:1910.07467
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.layers.axes import constant, normal
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.combine import combined
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule


@dataclass(frozen=True, eq=False)
class Normalise(Layer):
    """x normalised over its axes from `axis` on; `centre` takes the mean away first."""

    scale: Array | None  # (volume of the normalised axes,)
    bias: Array | None
    axis: int
    epsilon: float = 1e-5
    centre: bool = True

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        cols = volume(x[self.axis :])
        given = [w for w in (self.scale, self.bias) if w is not None]
        if not 0 <= self.axis < len(x) or any(w.shape != (cols,) for w in given):
            raise ValueError(f"input {x} does not fit a normalisation from axis {self.axis} on")
        return (x,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        shape = inputs[0].shape
        x = inputs[0].reshape(-1, volume(shape[self.axis :]))
        if self.centre:
            x = x - x.mean(-1, keepdims=True)
        y = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        y = y if self.scale is None else y * self.scale
        y = y if self.bias is None else y + self.bias
        return (y.reshape(shape),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        rows, cols = volume(shapes[0][: self.axis]), volume(shapes[0][self.axis :])
        y = b.normalise(inputs[0], rows, cols, self.epsilon, self.centre)
        if self.scale is not None:
            y = b.combine("mul", y, b.constant(np.tile(self.scale, rows)))
        if self.bias is not None:
            y = b.combine("add", y, b.constant(np.tile(self.bias, rows)))
        return (y,)


def normalised(
    g: Importing, x: Value, axis: int, epsilon: float, centre: bool, scale: Value | None, bias: Value | None
) -> Value:
    """x normalised over its axes from `axis` on."""
    if x.time is not None and x.time >= axis:
        g.refuse(
            "normalises over the time axis: a step would need every other step",
            f"normalise the features only, or {WINDOW}",
        )
    inner = x.shape[axis:]
    weights = []
    for given, name in ((scale, "Scale"), (bias, "B")):
        held = None if given is None else np.asarray(constant(g, given, name), np.float32)
        weights.append(None if held is None else np.ascontiguousarray(np.broadcast_to(held, inner)).reshape(-1))
    (y,) = g.add(Normalise(weights[0], weights[1], axis, float(epsilon), centre), x, time=x.time)
    return y


@rule("LayerNormalization")
def layer_normalization(
    g: Importing,
    X: Value,
    Scale: Value,
    B: Value | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Value:
    """ONNX LayerNormalization; its first output only."""
    return normalised(g, X, normal(g, axis, len(X.shape)), epsilon, True, Scale, B)


@rule("RMSNormalization", "SimplifiedLayerNormalization")
def rms_normalization(
    g: Importing, X: Value, scale: Value, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Value:
    """ONNX RMSNormalization, and what ONNX Runtime writes for it."""
    return normalised(g, X, normal(g, axis, len(X.shape)), epsilon, False, scale, None)


def scaled(g: Importing, x: Value, scale: Array, bias: Array) -> Value:
    """x (N, C, ...) times scale plus bias, one of each a channel."""
    if x.time == 1:
        g.refuse("has time where the channels are expected", "transpose so that time is not axis 1")
    if len(x.shape) < 2 or scale.shape != (x.shape[1],) or bias.shape != scale.shape:
        g.refuse(f"{scale.shape[0]} channels expected, the input is {list(x.shape)}")
    shape = (-1, *[1] * (len(x.shape) - 2))
    y = combined(g, "mul", x, g.constant(scale.astype(np.float32).reshape(shape)))
    return combined(g, "add", y, g.constant(bias.astype(np.float32).reshape(shape)))


@rule("BatchNormalization")
def batch_normalization(
    g: Importing,
    X: Value,
    scale: Value,
    B: Value,
    input_mean: Value,
    input_var: Value,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
    training_mode: int = 0,
) -> Value:
    """ONNX BatchNormalization as inference has it: a factor and an offset a channel."""
    if training_mode or not spatial:
        g.refuse(f"training_mode={training_mode}, spatial={spatial}", "export with the model in evaluation mode")
    gamma, beta, mean, var = (
        np.asarray(constant(g, v, name), np.float64)
        for v, name in ((scale, "scale"), (B, "B"), (input_mean, "mean"), (input_var, "var"))
    )
    factor = gamma / np.sqrt(var + epsilon)
    return scaled(g, X, factor, beta - mean * factor)


@rule("InstanceNormalization")
def instance_normalization(g: Importing, input: Value, scale: Value, B: Value, *, epsilon: float = 1e-5) -> Value:
    """ONNX InstanceNormalization: each channel over its own places."""
    y = normalised(g, input, 2, epsilon, True, None, None)
    return scaled(g, y, constant(g, scale, "scale"), constant(g, B, "B"))


@rule("GroupNormalization")
def group_normalization(
    g: Importing,
    X: Value,
    scale: Value,
    bias: Value,
    *,
    epsilon: float = 1e-5,
    num_groups: int,
    stash_type: int = 1,
) -> Value:
    """ONNX GroupNormalization; scale and bias are one a group before opset 21, one a channel since."""
    if len(X.shape) < 3 or X.time not in (None, 0) or num_groups < 1 or X.shape[1] % num_groups:
        g.refuse(f"num_groups={num_groups} over {list(X.shape)}, with time on axis {X.time}")
    grouped = reshaped(g, X, [X.shape[0], num_groups, volume(X.shape[1:]) // num_groups], X.time)
    y = reshaped(g, normalised(g, grouped, 2, epsilon, True, None, None), X.shape, X.time)
    each = X.shape[1] // num_groups if g.opset < 21 else 1
    return scaled(g, y, *(np.repeat(constant(g, v, name), each) for v, name in ((scale, "scale"), (bias, "bias"))))
