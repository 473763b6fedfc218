"""Conv: convolution within a frame, over frequency for example, and over time, on a ring of past frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edgernn.layers.axes import SUMS, constant
from edgernn.layers.base import Array, Builder, Layer, Matrix, Ref, Shape, dense, volume
from edgernn.layers.matrix import rows
from edgernn.layers.past import with_past
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.windows import Window, window


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """y[n, o, p] = bias[o] + sum over c, k of weight[o, (c, k)] * x[n, c, place(p, k)]."""

    weight: Matrix  # (C_out, C_in / groups * volume(kernel))
    bias: Array | None  # (C_out,)
    kernel: Shape
    strides: Shape
    pads: tuple[tuple[int, int], ...]  # (before, after) of each spatial axis
    dilations: Shape
    groups: int = 1

    quantisable: ClassVar[tuple[str, ...]] = ("weight",)

    @property
    def window(self) -> Window:
        """Where the kernel looks."""
        return Window(self.kernel, self.strides, self.pads, self.dilations)

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        out, cols = self.weight.shape
        fits = len(x) == len(self.kernel) + 2 and x[1] * volume(self.kernel) == cols * self.groups
        if not fits or out % self.groups or (self.bias is not None and self.bias.shape != (out,)):
            raise ValueError(f"input {x} does not fit weight {self.weight.shape} in {self.groups} groups")
        return ((x[0], out, *self.window.places(x[2:])),)

    def _columns(self, shape: Shape) -> Array:
        """(groups, positions, C_in / groups * volume(kernel)): the places in x that each dot product reads."""
        index = self.window.index(shape).reshape(-1, self.groups, self.weight.shape[1])
        return np.moveaxis(index, 1, 0)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        (shape,) = self.shapes(inputs[0].shape)
        x = np.append(inputs[0].reshape(-1), 0)
        weight = dense(self.weight).reshape(self.groups, -1, self.weight.shape[1])
        y = np.einsum("gpk,gok->pgo", x[self._columns(inputs[0].shape)], weight)
        y = y.reshape(-1, self.weight.shape[0])
        if self.bias is not None:
            y = y + self.bias
        return (np.moveaxis(y.reshape(shape[0], *shape[2:], shape[1]), -1, 1),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        out = self.weight.shape[0]
        if self.groups > 1 and self.weight.shape[1] == volume(self.kernel):
            by_group = self._lower_depthwise(b, shapes[0], inputs[0])
        else:
            columns = enumerate(self._columns(shapes[0]))
            by_group = b.join(*(self._lower_group(b, group, seen, inputs[0]) for group, seen in columns))
        made = np.arange(by_group.size, dtype=np.int32).reshape(self.groups, shapes[0][0], -1, out // self.groups)
        order = made.transpose(1, 0, 3, 2).reshape(-1)  # (N, groups, C_out / groups, places)
        unmoved = np.array_equal(order, np.arange(order.size))
        return (by_group if unmoved else b.take(by_group, order),)

    def _lower_group(self, b: Builder, group: int, columns: Array, x: Ref) -> Ref:
        """One group's outputs, (positions, C_out / groups)."""
        size = self.weight.shape[0] // self.groups
        start, stop = group * size, (group + 1) * size
        bias = None if self.bias is None else self.bias[start:stop]
        picked, weight = b.along(b.take(x, columns.reshape(-1)), rows(self.weight, start, stop), len(columns))
        return b.affine(picked, weight, bias, len(columns))

    def _lower_depthwise(self, b: Builder, shape: Shape, x: Ref) -> Ref:
        """All groups at once where each reads one channel: (groups, positions, C_out / groups)."""
        x, places, seen = self._padded(b, shape, x)
        index = places.reshape(-1)[seen.index(places.shape).reshape(-1, self.groups, self.weight.shape[1])]
        index = np.moveaxis(index, 1, 0).reshape(-1, self.weight.shape[1])
        weight, positions = dense(self.weight).reshape(self.groups, -1, self.weight.shape[1]), len(index) // self.groups
        each = weight.shape[1]
        bias = np.zeros((self.groups, each), np.float32) if self.bias is None else self.bias.reshape(-1, each)
        made = [
            b.sums(x, index, weight[:, n].repeat(positions, axis=0), bias[:, n].repeat(positions)) for n in range(each)
        ]
        return b.take(b.join(*made), np.arange(each * len(index), dtype=np.int32).reshape(each, -1).T.reshape(-1))

    def _padded(self, b: Builder, shape: Shape, x: Ref) -> tuple[Ref, Array, Window]:
        """(x with its padding, the place of each number of it in the shape (N, C, *spatial), the window on that).

        The last axis comes first and the channels last, as a ring of past steps has them.
        """
        index = np.arange(volume(shape), dtype=np.int32).reshape(shape)
        index = np.pad(index, ((0, 0), (0, 0), *self.pads), constant_values=-1)
        order = [index.ndim - 1, 0, *range(2, index.ndim - 1), 1]
        turned = index.transpose(order)
        places = np.arange(turned.size, dtype=np.int32).reshape(turned.shape).transpose(np.argsort(order))
        none = replace(self.window, pads=((0, 0),) * len(self.pads))
        return b.take(x, np.ascontiguousarray(turned).reshape(-1)), np.ascontiguousarray(places), none

    def macs(self, *inputs: Shape) -> int:
        (shape,) = self.shapes(*inputs)
        return volume((shape[0], *shape[2:])) * volume(self.weight.shape)


@rule("Conv")
def conv(
    g: Importing,
    X: Value,
    W: Value,
    B: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """ONNX Conv over any number of spatial axes, one of which may be time: see `past`."""
    weight = np.asarray(constant(g, W, "W"), np.float32)
    bias = None if B is None else np.ascontiguousarray(constant(g, B, "B"), np.float32)
    if weight.ndim != len(X.shape) or (kernel_shape is not None and tuple(kernel_shape) != weight.shape[2:]):
        g.refuse(f"kernel_shape={kernel_shape}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    if X.time == 1 and group == 1:
        g.refuse(SUMS, "transpose so that time is not axis 1")
    if group < 1 or weight.shape[0] % group or X.shape[1] != weight.shape[1] * group:
        g.refuse(f"group={group}, weight {list(weight.shape)}, input {list(X.shape)} do not fit")
    seen = window(g, X, weight.shape[2:], strides, pads, dilations, auto_pad)
    matrix = np.ascontiguousarray(weight.reshape(len(weight), -1))
    x, seen = with_past(g, X, seen)
    layer = Conv(matrix, bias, seen.kernel, seen.strides, seen.pads, seen.dilations, group)
    (y,) = g.add(layer, x, time=X.time)
    return y
