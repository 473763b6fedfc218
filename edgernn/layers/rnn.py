"""RNN, the plain recurrent cell (Elman 1990, doi:10.1207/s15516709cog1402_1).

    h' = f(W x + R h + b)                                   ONNX operator specification, RNN

`clip` bounds the input of f, as ONNX Runtime computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgernn.layers.activations import (
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

FUSED = {"tanh": "rnn_tanh", "relu": "rnn_relu"}


@dataclass(frozen=True, eq=False)
class RNN(Cell):
    """Steps of an RNN: x, h -> every h; see `sequence`."""

    W: Matrix  # (H, n_in)
    R: Matrix  # (H, H)
    bias: Array  # (H,): W's and R's bias summed
    activation: Activation = TANH
    clip: float | None = None

    gates: ClassVar[int] = 1

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        check_activations((self.activation,), 1)
        return cell_shapes(inputs, 1, self.gates, self.W, self.R, {1: self.bias})

    def one(self, x: Array, *states: Array) -> tuple[Array, ...]:
        (h,) = states
        total = x @ dense(self.W).T + h @ dense(self.R).T + self.bias  # (P, H)
        return (activate(self.activation, clipped(total, self.clip)),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        x, h = inputs
        if self.clip is None and self.activation[0] in FUSED:
            return b.cell(FUSED[self.activation[0]], x, (h,), self.W, self.R, self.bias)

        def one(from_x: Ref, h: Ref) -> tuple[Ref, ...]:
            total = b.combine("add", from_x, b.affine(h, self.R, None))
            return (lower_activation(b, self.activation, lower_clip(b, total, self.clip)),)

        return lowered(b, one, self.W, self.R, self.bias, inputs)


@rule("RNN")
def rnn(
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
    output_sequence: int = 0,
) -> tuple[Value | None, ...]:
    """ONNX RNN: Y (T, directions, batch, H) and Y_h (directions, batch, H); with layout=1 the batch comes first."""
    from edgernn.layers.recurrent import RecurrentInputs, import_cell

    call = RecurrentInputs(X, W, R, B, sequence_lens, (initial_h,), direction, hidden_size, layout)

    def make(way: int, w: Array, r: Array, b: Array) -> Layer:
        (function,) = parse_activations(g, activations, activation_alpha, activation_beta, ("Tanh",), call.ways)[way]
        return RNN(w, r, b[: len(w)] + b[len(w) :], function, checked_clip(g, clip))

    return import_cell(g, call, RNN.gates, make)
