"""Reduce: sums, means and extremes over axes of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.layers.axes import normal_axes, numbers
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.combine import combined
from edgernn.layers.functions import mapped
from edgernn.layers.pointwise import LARGEST, Map
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import CUT_OFF, PAD_FRONT, WINDOW, at_end, settled
from edgernn.layers.rules import Importing, Value, rule

REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "sum_square": lambda x, axis, keepdims: np.sum(x * x, axis=axis, keepdims=keepdims),
    "sum_abs": lambda x, axis, keepdims: np.sum(np.abs(x), axis=axis, keepdims=keepdims),
}


@dataclass(frozen=True, eq=False)
class Reduce(Layer):
    """y = operation over `axes` of x, which stay as axes of 1."""

    operation: str
    axes: tuple[int, ...]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        if self.operation not in REDUCTIONS or not all(0 <= axis < len(x) for axis in self.axes):
            raise ValueError(f"{x} cannot be reduced by '{self.operation}' over {self.axes}")
        return (tuple(1 if axis in self.axes else n for axis, n in enumerate(x)),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.asarray(REDUCTIONS[self.operation](inputs[0], axis=self.axes, keepdims=True)),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        (x,), (shape,) = inputs, shapes
        kept = [axis for axis in range(len(shape)) if axis not in self.axes]
        index = np.arange(volume(shape), dtype=np.int32).reshape(shape).transpose([*kept, *self.axes]).reshape(-1)
        if not np.array_equal(index, np.arange(index.size)):
            x = b.take(x, index)
        cols = volume(tuple(shape[axis] for axis in self.axes))
        return (b.reduce(self.operation, x, volume(shape) // cols, cols),)


SO_FAR = {"mean": "", "sum": "add", "sum_square": "add", "sum_abs": "add", "max": "max", "min": "min"}


def reduced(g: Importing, operation: str, x: Value, axes: Sequence[int]) -> Value:
    """x reduced over axes that stay as 1; without a layer where they are 1 already. Over time: of all frames so far."""
    if x.time is not None and x.time in axes:
        if operation not in SO_FAR:
            g.refuse(
                f"takes the {operation} over time, which is not supported", f"use the last step (index -1), or {WINDOW}"
            )
        if not at_end(g, x):
            g.refuse(f"takes the {operation} over time, but {CUT_OFF}", PAD_FRONT)
        x = settled(g, x)
        return _so_far(g, operation, reduced(g, operation, x.untimed(), axes), x)
    if all(x.shape[axis] == 1 for axis in axes) and operation in ("sum", "mean", "max", "min", "prod"):
        return x
    if not all(x.shape[axis] for axis in axes):
        g.refuse(f"runs over an empty axis of {list(x.shape)}")
    (y,) = g.add(Reduce(operation, tuple(axes)), x, time=x.time, dtype=x.dtype)
    return y


def _so_far(g: Importing, operation: str, now: Value, over: Value) -> Value:
    """The reduction over the steps until now: as if the sequence ended here. `now`: that of this evaluation's steps."""
    initial = np.full(now.shape, {"max": -LARGEST, "min": LARGEST}.get(operation, 0), np.float32)
    held = g.carry(initial)
    if operation == "mean":  # m + (x - m) / n does not grow with the length of the stream
        count = g.carry(np.zeros(1, np.float32))
        (counted,) = g.add(Map("affine", 1.0, 1.0), count)
        g.close(count, counted, over)
        y = combined(g, "add", held, combined(g, "div", combined(g, "sub", now, held), counted))
    else:
        y = combined(g, SO_FAR[operation], held, now)
    g.close(held, y, over)
    return replace(y, final=True)


def _log_sum_exp(g: Importing, x: Value, axes: Sequence[int]) -> Value:
    """log(sum(exp(x))), shifted by the maximum so that it does not overflow."""
    top = reduced(g, "max", x, axes)
    total = reduced(g, "sum", mapped(g, combined(g, "sub", x, top), "exp"), axes)
    return combined(g, "add", mapped(g, total, "log"), top)


KINDS: dict[str, Callable[[Importing, Value, Sequence[int]], Value]] = {
    "ReduceSum": lambda g, x, axes: reduced(g, "sum", x, axes),
    "ReduceMean": lambda g, x, axes: reduced(g, "mean", x, axes),
    "ReduceMax": lambda g, x, axes: reduced(g, "max", x, axes),
    "ReduceMin": lambda g, x, axes: reduced(g, "min", x, axes),
    "ReduceProd": lambda g, x, axes: reduced(g, "prod", x, axes),
    "ReduceL1": lambda g, x, axes: reduced(g, "sum_abs", x, axes),
    "ReduceL2": lambda g, x, axes: mapped(g, reduced(g, "sum_square", x, axes), "sqrt"),
    "ReduceSumSquare": lambda g, x, axes: reduced(g, "sum_square", x, axes),
    "ReduceLogSum": lambda g, x, axes: mapped(g, reduced(g, "sum", x, axes), "log"),
    "ReduceLogSumExp": _log_sum_exp,
}
FRACTIONS = ("ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp")  # of whole numbers, too


@rule(*KINDS)
def reduce(
    g: Importing,
    data: Value,
    axes: Value | None = None,
    *,
    axes_: Sequence[int] | None = None,
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
    operator: str,
) -> Value:
    """ONNX Reduce...; axes are an attribute before opset 18 (ReduceSum: 13), an input since."""
    rank = len(data.shape)
    given = list(axes_ or ()) if axes is None else numbers(g, axes, "axes")
    if not given and noop_with_empty_axes:
        return data
    if operator in FRACTIONS and np.issubdtype(data.dtype, np.integer):
        g.refuse("cuts its result to whole numbers, since its input holds such", "cast it to float32 before")
    along = sorted(normal_axes(g, given, rank)) or list(range(rank))
    y = KINDS[operator](g, data, along)
    return y if keepdims else squeezed(g, y, along)


def squeezed(g: Importing, x: Value, axes: Sequence[int]) -> Value:
    """x without these axes of 1."""
    kept: list[Any] = [axis for axis in range(len(x.shape)) if axis not in axes]
    time = None if x.time is None else kept.index(x.time)
    return reshaped(g, x, [x.shape[axis] for axis in kept], time)


@rule("LpNormalization")
def lp_normalization(g: Importing, input: Value, *, axis: int = -1, p: int = 2) -> Value:
    """ONNX LpNormalization: x divided by its L1 or L2 norm along an axis; 0 where the norm is 0."""
    if p not in (1, 2):
        g.refuse(f"p={p}: 1 or 2 expected")
    along = normal_axes(g, [axis], len(input.shape))
    norm = KINDS["ReduceL1" if p == 1 else "ReduceL2"](g, input, along)
    return combined(g, "div", input, combined(g, "add", norm, mapped(g, norm, "not")))  # 0 is divided by 1
