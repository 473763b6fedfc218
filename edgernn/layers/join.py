"""Join: several values side by side along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array, Builder, Layer, Ref, Shape, volume


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
