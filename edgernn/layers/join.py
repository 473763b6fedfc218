"""Join: several values side by side along one axis; what ONNX calls Concat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.layers.axes import broadcast_time, normal
from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume
from edgernn.layers.rules import Importing, Value, rule


@dataclass(frozen=True, eq=False)
class Join(Layer):
    """y = the inputs, one after the other along `axis`."""

    axis: int

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        rest = {(*x[: self.axis], *x[self.axis + 1 :]) for x in inputs}
        if len(rest) != 1 or not 0 <= self.axis < len(inputs[0]):
            raise ValueError(f"{inputs} cannot be joined along axis {self.axis}")
        return ((*inputs[0][: self.axis], sum(x[self.axis] for x in inputs), *inputs[0][self.axis + 1 :]),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.concatenate(inputs, self.axis),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        joined = b.join(*inputs)
        if volume(shapes[0][: self.axis]) == 1:
            return (joined,)
        starts = np.cumsum([0, *(volume(x) for x in shapes)])
        parts = [
            np.arange(start, start + volume(x), dtype=np.int32).reshape(x)
            for start, x in zip(starts, shapes, strict=False)
        ]
        return (b.take(joined, np.concatenate(parts, self.axis).reshape(-1)),)


@rule("Concat")
def concat(g: Importing, *inputs: Value, axis: int) -> Value:
    """ONNX Concat along any axis but time."""
    along = normal(g, axis, len(inputs[0].shape))
    if any(v.time == along for v in inputs):
        g.refuse("joins pieces along time", "feed one sequence, frame after frame")
    if len({len(v.shape) for v in inputs}) != 1:
        g.refuse("the inputs differ in their number of axes")
    ready, time = broadcast_time(g, inputs)
    rest = {(*v.shape[:along], *v.shape[along + 1 :]) for v in ready}
    if len(rest) != 1:
        g.refuse(f"the shapes {[list(v.shape) for v in inputs]} do not fit each other along axis {along}")
    kept = [v for v in ready if v.shape[along]]
    if len(kept) == 1:
        return kept[0]
    (y,) = g.add(Join(along), *kept, time=time, dtype=inputs[0].dtype)
    return y
