"""LSTM. Gates in ONNX order i, o, f, c; peepholes P in the order i, o, f.

    i = f(W_i x + R_i h + P_i * c + b_i)          f = f(W_f x + R_f h + P_f * c + b_f)   (1 - i with input_forget)
    c' = f * c + i * g(W_c x + R_c h + b_c)       o = f(W_o x + R_o h + P_o * c' + b_o)  h' = o * h(c')

`clip` bounds the input of f and g but not of h, and `1 - i` takes i as activated: so ONNX Runtime computes them.

ONNX operator specification, LSTM; Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; peepholes: Gers and
Schmidhuber 2000, doi:10.1109/IJCNN.2000.861302.
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
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.sequence import Cell, cell_shapes, lowered

STANDARD = (SIGMOID, TANH, TANH)


@dataclass(frozen=True, eq=False)
class LSTM(Cell):
    """Steps of an LSTM: x, h, c -> every h, the last c; see `sequence`."""

    W: Matrix  # (4 * H, n_in)
    R: Matrix  # (4 * H, H)
    bias: Array  # (4 * H,): W's and R's bias summed
    P: Array | None = None  # (3 * H,)
    activations: tuple[Activation, ...] = STANDARD  # f, g, h
    clip: float | None = None
    input_forget: bool = False

    gates: ClassVar[int] = 4

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        check_activations(self.activations, 3)
        return cell_shapes(inputs, 2, self.gates, self.W, self.R, {4: self.bias, 3: self.P})

    def one(self, x: Array, *states: Array) -> tuple[Array, ...]:
        (h, c), (f, g, activate_c) = states, self.activations
        i_in, o_in, f_in, c_in = np.split(x @ dense(self.W).T + h @ dense(self.R).T + self.bias, 4, axis=1)  # (P, H)
        p_i, p_o, p_f = np.split(self.P, 3) if self.P is not None else (0.0, 0.0, 0.0)
        i = activate(f, clipped(i_in + p_i * c, self.clip))
        forget = 1 - i if self.input_forget else activate(f, clipped(f_in + p_f * c, self.clip))
        new_c = forget * c + i * activate(g, clipped(c_in, self.clip))
        o = activate(f, clipped(o_in + p_o * new_c, self.clip))
        return o * activate(activate_c, new_c), new_c

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        x, h, c = inputs
        if self.P is None and self.clip is None and not self.input_forget and self.activations == STANDARD:
            return b.cell("lstm", x, (h, c), self.W, self.R, self.bias)
        return self._lower_general(b, inputs)

    def _lower_general(self, b: Builder, inputs: tuple[Ref, ...]) -> tuple[Ref, ...]:
        size = self.R.shape[1]
        f, g, activate_c = self.activations
        peepholes = [b.constant(part) for part in np.split(self.P, 3)] if self.P is not None else []

        def gate(value: Ref, activation: Activation, peephole: int | None = None, cell: Ref | None = None) -> Ref:
            if peepholes and peephole is not None and cell is not None:
                value = b.combine("add", value, b.combine("mul", peepholes[peephole], cell))
            return lower_activation(b, activation, lower_clip(b, value, self.clip))

        def one(from_x: Ref, h: Ref, c: Ref) -> tuple[Ref, ...]:
            total = b.combine("add", from_x, b.affine(h, self.R, None))
            i_in, o_in, f_in, c_in = (b.view(total, gate * size, size) for gate in range(4))
            i = gate(i_in, f, 0, c)
            forget = b.map("affine", i, -1.0, 1.0) if self.input_forget else gate(f_in, f, 2, c)
            new_c = b.combine("add", b.combine("mul", forget, c), b.combine("mul", i, gate(c_in, g)))
            o = gate(o_in, f, 1, new_c)
            return b.combine("mul", o, lower_activation(b, activate_c, new_c)), new_c

        return lowered(b, one, self.W, self.R, self.bias, inputs)


@rule("LSTM")
def lstm(
    g: Importing,
    X: Value,
    W: Value,
    R: Value,
    B: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    P: Value | None = None,
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = (),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
    output_sequence: int = 0,
) -> tuple[Value | None, ...]:
    """ONNX LSTM: Y (T, directions, batch, H), Y_h, Y_c (directions, batch, H); with layout=1 the batch comes first."""
    from edgernn.layers.recurrent import RecurrentInputs, import_cell

    call = RecurrentInputs(X, W, R, B, sequence_lens, (initial_h, initial_c), direction, hidden_size, layout)

    def make(way: int, w: Array, r: Array, b: Array) -> Layer:
        default = ("Sigmoid", "Tanh", "Tanh")
        functions = parse_activations(g, activations, activation_alpha, activation_beta, default, call.ways)[way]
        bias = b[: len(w)] + b[len(w) :]
        peepholes = None if P is None else call.constant(g, P, "P", (3 * r.shape[1],))[way]
        return LSTM(w, r, bias, peepholes, functions, checked_clip(g, clip), bool(input_forget))

    return import_cell(g, call, LSTM.gates, make)
