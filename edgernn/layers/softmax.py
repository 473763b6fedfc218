"""Softmax and LogSoftmax over one axis of a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgernn.layers.axes import normal
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@dataclass(frozen=True, eq=False)
class Softmax(Layer):
    """y = exp(x) / sum(exp(x)) along the last axis, or its logarithm."""

    log: bool = False

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        if not x:
            raise ValueError("softmax needs an axis")
        return (x,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0] - inputs[0].max(-1, keepdims=True)
        total = np.exp(x).sum(-1, keepdims=True)
        return (x - np.log(total) if self.log else np.exp(x) / total,)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.softmax(inputs[0], volume(shapes[0][:-1]), shapes[0][-1], self.log),)


@rule("Softmax", "LogSoftmax")
def softmax(g: Importing, input: Value, *, axis: int | None = None, operator: str) -> Value:
    """ONNX Softmax, LogSoftmax; before opset 13 over all axes from `axis` (default 1) on, since then over one (-1)."""
    layer = Softmax(log=operator == "LogSoftmax")
    rank = len(input.shape)
    along = normal(g, (-1 if g.opset >= 13 else 1) if axis is None else axis, rank)
    axes = [along] if g.opset >= 13 else list(range(along, rank))
    if input.time in axes:
        g.refuse(
            "runs over the time axis: a step would need every other step", f"use the axis of the classes, or {WINDOW}"
        )
    if g.opset >= 13 and along != rank - 1:
        order = [*range(along), *range(along + 1, rank), along]
        time = None if input.time is None else order.index(input.time)
        turned = taken(g, input, places(input).transpose(order), time)
        (y,) = g.add(layer, turned, time=time)
        return taken(g, y, places(y).transpose(np.argsort(order)), input.time)
    flat = reshaped(g, input, [*input.shape[:along], math.prod(input.shape[along:])], input.time)
    (y,) = g.add(layer, flat, time=flat.time)
    return reshaped(g, y, input.shape, input.time)
