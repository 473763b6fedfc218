"""What RNN, GRU and LSTM share as ONNX operators: optional inputs, layout, direction, initial state, outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgernn.layers.axes import surely
from edgernn.layers.base import Array, Layer, Matrix, Shape, volume
from edgernn.layers.reshape import Reshape, reshaped
from edgernn.layers.rhythm import CUT_OFF, at_end, remembered, settled
from edgernn.layers.rules import Importing, Value

# Reasons that tell the importer that it took the wrong axis for time
OTHER_AXIS = "runs along another axis than the stream's time"
SEVERAL_STEPS = "runs over several steps inside one frame"


@dataclass(frozen=True, eq=False)
class RecurrentInputs:
    """The inputs and attributes that the three operators have in common."""

    X: Value
    W: Value
    R: Value
    B: Value | None
    sequence_lens: Value | None
    initial: tuple[Value | None, ...]
    direction: str
    hidden_size: int | None
    layout: int

    def constant(self, g: Importing, value: Value, name: str, shape: Shape) -> Array:
        """The constant of this shape, without its leading direction axis."""
        if value.const is None:
            g.refuse(f"input {name} is computed at run time, not a constant")
        if value.const.shape != shape:
            g.refuse(f"input {name} has shape {list(value.const.shape)}, expected {list(shape)}")
        if not np.isfinite(value.const).all():
            g.refuse(f"input {name} holds NaN or infinity", "export the model again, after checking its training")
        return np.ascontiguousarray(value.const[0], np.float32)


def cell_shapes(
    inputs: tuple[Shape, ...], states: int, gates: int, W: Matrix, R: Matrix, vectors: Mapping[int, Array | None]
) -> tuple[Shape, ...]:
    """The shapes of the new states, after checking that weights, input and states fit.

    vectors: how many times the hidden size each bias or peephole vector is long.
    """
    if len(W.shape) != 2 or len(R.shape) != 2 or len(inputs) != states + 1:
        raise ValueError(f"weights {W.shape} and {R.shape} with {len(inputs)} inputs do not make a cell")
    rows, hidden_size = R.shape
    if rows != gates * hidden_size or W.shape[0] != rows:
        raise ValueError(f"weights {W.shape} and {R.shape} do not make a cell of {gates} gates")
    for times, vector in vectors.items():
        if vector is not None and vector.shape != (times * hidden_size,):
            raise ValueError(f"a vector of shape {vector.shape} does not fit {times} x {hidden_size} units")
    if volume(inputs[0]) != W.shape[1] or any(volume(state) != hidden_size for state in inputs[1:]):
        raise ValueError(f"inputs {inputs} do not fit weights {W.shape} and {R.shape}")
    return inputs[1:]


def cell_macs(layer: Layer) -> int:
    """Multiply-accumulates of a cell with the weights W and R."""
    return sum(volume(weight.shape) for name, weight in layer.weights() if name in ("W", "R"))


def import_cell(
    g: Importing, call: RecurrentInputs, gates: int, make: Callable[[Array, Array, Array], Layer]
) -> tuple[Value | None, ...]:
    """Checks what the operators share, makes the layer with (W, R, B) and gives (Y, Y_h[, Y_c])."""
    if call.layout not in (0, 1):
        g.refuse(f"layout={call.layout}: 0 or 1 expected")
    _check_time(g, call)
    if call.direction != "forward":
        g.refuse(f"direction={call.direction} needs the end of the sequence before its start", "use direction=forward")
    _check_lengths(g, call.X, call.sequence_lens)
    if call.R.const is None or call.R.const.ndim != 3:
        g.refuse("input R is not a constant of three axes")
    hidden_size = int(call.R.const.shape[2])
    if call.hidden_size not in (None, hidden_size):
        g.refuse(f"hidden_size={call.hidden_size}, but R has shape {list(call.R.const.shape)}")
    rows = gates * hidden_size
    r = call.constant(g, call.R, "R", (1, rows, hidden_size))
    w = call.constant(g, call.W, "W", (1, rows, call.X.shape[2]))
    b = call.constant(g, call.B, "B", (1, 2 * rows)) if call.B is not None else np.zeros(2 * rows, np.float32)
    return _connect(g, call, make(w, r, b), hidden_size)


def _check_lengths(g: Importing, X: Value, lengths: Value | None) -> None:
    if lengths is None or (
        lengths.const is not None
        and all(surely(n, X.length if X.time is not None else 1) for n in lengths.const.reshape(-1))
    ):
        return
    g.refuse("sequence_lens: sequences of unequal length have no meaning in a stream", "export without the lengths")


def _check_time(g: Importing, call: RecurrentInputs) -> None:
    X, time_axis = call.X, 1 if call.layout else 0
    if len(X.shape) != 3:
        g.refuse(f"input X has {len(X.shape)} axes, expected 3")
    if X.time not in (None, time_axis):
        g.refuse(OTHER_AXIS, "feed time on the sequence axis")
    if X.shape[time_axis] != 1:
        g.refuse(f"{SEVERAL_STEPS}: {X.shape[time_axis]}", "feed one frame a call, or time on this axis")
    if X.shape[1 - time_axis] != 1:
        g.refuse(f"has a batch of {X.shape[1 - time_axis]}: a stream is one sequence", "export with a batch of 1")


def _connect(g: Importing, call: RecurrentInputs, layer: Layer, hidden_size: int) -> tuple[Value | None, ...]:
    """Wire the states: a constant (or absent) initial state is carried here, a computed one is the graph's business."""
    shape = (1, 1, hidden_size)
    X = settled(g, call.X)
    states: list[Value] = []
    carried: dict[int, Array] = {}
    for index, value in enumerate(call.initial):
        if value is not None and value.time is not None:
            g.refuse("an initial state depends on time", "feed one initial state for the whole sequence")
        if value is not None and volume(value.shape) != hidden_size:
            g.refuse(f"an initial state has shape {list(value.shape)}, expected {list(shape)}")
        if value is None or value.const is not None:
            held = np.zeros(shape) if value is None or value.const is None else value.const.reshape(shape)
            value = g.constant(held.astype(np.float32))
            if call.X.time is None and call.X.const is None and g.has_time and not call.X.final:
                what = "runs over an input without time beside one that has it"
                g.refuse(what, "name the time axis alike in both inputs")
            if g.carries(call.X):
                value = g.carry(held.astype(np.float32))
                carried[index] = held
        states.append(value)
    made = g.add(layer, X.untimed(), *states)
    for index, (state, new) in enumerate(zip(states, made, strict=True)):
        if index in carried:
            g.close(state, remembered(g, new, carried[index], X))
        elif state.const is None:
            g.starts(state, new, call.X.time is not None)
    (y,) = g.add(Reshape((1, 1, 1, hidden_size)), made[0], time=call.X.time)
    last = [reshaped(g, v, shape, None) for v in made]
    if X.time is not None and not at_end(g, X):
        last = [g.add(Reshape(shape), state)[0] for state in made]  # apart from Y, which can be had
        for state in last:
            g.taint(state, f"gives the last state, but {CUT_OFF}", "pad in front only, or convert with window=N")
    return (y.like(X), *(replace(v, final=v.final or X.time is not None) for v in last))
