"""Affine: y = W x + b at every position of a frame; what ONNX calls Gemm, and MatMul by a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgernn.layers.base import Array, Builder, Layer, Matrix, Ref, Shape, dense, volume


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """y[..., r] = sum over k of weight[r, k] * x[..., k], plus bias[r]."""

    weight: Matrix  # (rows, cols)
    bias: Array | None = None  # (rows,)

    quantisable: ClassVar[tuple[str, ...]] = ("weight",)

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (x,) = inputs
        rows, cols = self.weight.shape
        if not x or x[-1] != cols or (self.bias is not None and self.bias.shape != (rows,)):
            raise ValueError(f"input {x} does not fit weight {self.weight.shape}")
        return ((*x[:-1], rows),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        y = inputs[0] @ dense(self.weight).T
        return (y if self.bias is None else y + self.bias,)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.affine(inputs[0], self.weight, self.bias, volume(shapes[0][:-1])),)

    def macs(self, *inputs: Shape) -> int:
        return volume(inputs[0][:-1]) * volume(self.weight.shape)
