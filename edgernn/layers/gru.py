"""GRU. Gates in ONNX order z, r, h.

    z = f(W_z x + R_z h + b_z)                              r = f(W_r x + R_r h + b_r)
    n = g(W_h x + (r * (R_h h + Rb_h)) + Wb_h)              linear_before_reset = 1: PyTorch, Keras (reset_after), cuDNN
    n = g(W_h x + R_h (r * h) + Rb_h + Wb_h)                linear_before_reset = 0: the paper
    h' = (1 - z) * n + z * h

ONNX operator specification, GRU; Cho et al. 2014, doi:10.3115/v1/D14-1179. `clip` bounds the input of f and g, as ONNX
Runtime computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgernn.layers.activations import (
    SIGMOID,
    TANH,
    Activation,
    activate,
    check_activations,
    checked_clip,
    clipped,
    lower_activation,
    lower_clip,
    parse_activations,
)
from edgernn.layers.base import Array, Builder, Layer, Matrix, Ref, Shape, dense
from edgernn.layers.matrix import rows
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.sequence import Cell, cell_shapes, lowered

STANDARD = (SIGMOID, TANH)


@dataclass(frozen=True, eq=False)
class GRU(Cell):
    """Steps of a GRU: x, h -> every h; see `sequence`."""

    W: Matrix  # (3 * H, n_in)
    R: Matrix  # (3 * H, H)
    bias: Array  # (4 * H,): the sums for z and r, then Wb_h and Rb_h
    linear_before_reset: bool = True
    activations: tuple[Activation, ...] = STANDARD  # f, g
    clip: float | None = None

    gates: ClassVar[int] = 3

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        check_activations(self.activations, 2)
        return cell_shapes(inputs, 1, self.gates, self.W, self.R, {4: self.bias})

    def one(self, x: Array, *states: Array) -> tuple[Array, ...]:
        (h,), (f, g) = states, self.activations
        b_z, b_r, wb_h, rb_h = np.split(self.bias, 4)
        w_z, w_r, w_h = np.split(x @ dense(self.W).T, 3, axis=1)  # (P, H)
        r_z, r_r, r_h = (part.T for part in np.split(dense(self.R), 3))
        z = activate(f, clipped(w_z + h @ r_z + b_z, self.clip))
        r = activate(f, clipped(w_r + h @ r_r + b_r, self.clip))
        recurrent = r * (h @ r_h + rb_h) if self.linear_before_reset else (r * h) @ r_h + rb_h
        n = activate(g, clipped(w_h + recurrent + wb_h, self.clip))
        return ((1 - z) * n + z * h,)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        x, h = inputs
        if self.linear_before_reset and self.clip is None and self.activations == STANDARD:
            return b.cell("gru", x, (h,), self.W, self.R, self.bias)
        return self._lower_general(b, inputs)

    def _lower_general(self, b: Builder, inputs: tuple[Ref, ...]) -> tuple[Ref, ...]:
        size = self.R.shape[1]
        f, g = self.activations
        sums, wb_h, rb_h = np.split(self.bias, [2 * size, 3 * size])
        reset, candidate = rows(self.R, 0, 2 * size), rows(self.R, 2 * size, 3 * size)

        def one(from_x: Ref, h: Ref) -> tuple[Ref, ...]:
            gates = b.combine("add", b.view(from_x, 0, 2 * size), b.affine(h, reset, None))
            gates = lower_activation(b, f, lower_clip(b, gates, self.clip))
            z, r = b.view(gates, 0, size), b.view(gates, size, size)
            if self.linear_before_reset:
                recurrent = b.combine("mul", r, b.affine(h, candidate, rb_h))
            else:
                recurrent = b.affine(b.combine("mul", r, h), candidate, rb_h)
            total = b.combine("add", b.view(from_x, 2 * size, size), recurrent)
            n = lower_activation(b, g, lower_clip(b, total, self.clip))
            return (b.combine("add", b.combine("mul", b.map("affine", z, -1.0, 1.0), n), b.combine("mul", z, h)),)

        return lowered(b, one, self.W, self.R, np.concatenate([sums, wb_h]), inputs)


@rule("GRU")
def gru(
    g: Importing,
    X: Value,
    W: Value,
    R: Value,
    B: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
    output_sequence: int = 0,
) -> tuple[Value | None, ...]:
    """ONNX GRU: Y (T, directions, batch, H) and Y_h (directions, batch, H); with layout=1 the batch comes first."""
    from edgernn.layers.recurrent import RecurrentInputs, import_cell

    call = RecurrentInputs(X, W, R, B, sequence_lens, (initial_h,), direction, hidden_size, layout)

    def make(way: int, w: Array, r: Array, b: Array) -> Layer:
        default = ("Sigmoid", "Tanh")
        functions = parse_activations(g, activations, activation_alpha, activation_beta, default, call.ways)[way]
        size = r.shape[1]
        of_w, of_r = b[: 3 * size], b[3 * size :]
        bias = np.concatenate([of_w[: 2 * size] + of_r[: 2 * size], of_w[2 * size :], of_r[2 * size :]])
        return GRU(w, r, bias, bool(linear_before_reset), functions, checked_clip(g, clip))

    return import_cell(g, call, GRU.gates, make)
