"""Constant: a value that is the same in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array, Builder, Layer, Ref, Shape


@dataclass(frozen=True, eq=False)
class Constant(Layer):
    """y = values."""

    values: Array

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if inputs:
            raise ValueError("a constant takes no input")
        return (self.values.shape,)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.asarray(self.values),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.constant(self.values.reshape(-1)),)
