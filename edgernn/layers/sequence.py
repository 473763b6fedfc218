"""What the recurrent layers share: S steps of P sequences in one frame, walked from the first step to the last.

x holds (S, P, n_in) and each state (P, H), in any shape of as many numbers: S and P follow from how many there are. Out
come h after every step, (S, P, H), whose last P rows are the state to go on from, and the other states after the last
step. One step gives all of them in the shape of the states that came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np

from edgernn.layers.base import Array, Builder, Layer, Matrix, Ref, Shape, volume
from edgernn.layers.matrix import extent, products


class Cell(Layer):
    """What steps through sequences with weights W and R: x and states -> every h, and the other states at the end."""

    W: Matrix  # (gates * H, n_in)
    R: Matrix  # (gates * H, H)

    quantisable: ClassVar[tuple[str, ...]] = ("W", "R")
    gates: ClassVar[int]

    def one(self, x: Array, *states: Array) -> tuple[Array, ...]:
        """The definition of one step: x (P, n_in) and states (P, H) -> new states (P, H), h first."""
        raise TypeError(f"{type(self).__name__} defines no step")

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        x, *states = inputs
        steps, count = extent(self.W, self.R, x.size, states[0].size)
        held = tuple(state.reshape(count, -1) for state in states)
        rows = []
        for frame in x.reshape(steps, count, -1):
            held = self.one(frame, *held)
            rows.append(held[0])
        shapes = self.shapes(*(value.shape for value in inputs))
        made = np.stack(rows), *held[1:]
        return tuple(value.reshape(shape) for value, shape in zip(made, shapes, strict=True))

    def macs(self, *inputs: Shape) -> int:
        x, h, *_ = inputs
        steps, count = extent(self.W, self.R, volume(x), volume(h))
        return steps * count * (volume(self.W.shape) + volume(self.R.shape))


def cell_shapes(
    inputs: tuple[Shape, ...], states: int, gates: int, W: Matrix, R: Matrix, vectors: Mapping[int, Array | None]
) -> tuple[Shape, ...]:
    """The shapes of all h and the other states, after checking that weights, input and states fit.

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
    sizes = {volume(state) for state in inputs[1:]}
    if len(sizes) != 1:
        raise ValueError(f"the states {inputs[1:]} differ in size")
    steps, count = extent(W, R, volume(inputs[0]), sizes.pop())
    return (inputs[1] if steps == 1 else (steps, count, hidden_size), *inputs[2:])


def lowered(
    b: Builder, one: Callable[..., tuple[Ref, ...]], W: Matrix, R: Matrix, bias: Array, inputs: tuple[Ref, ...]
) -> tuple[Ref, ...]:
    """A cell's steps where no kernel does them: `one` lowers a step of one sequence, from W x + bias and its states."""
    x, *states = inputs
    steps, count = extent(W, R, x.size, states[0].size)
    hidden_size = R.shape[1]
    from_x = products(b, x, W, bias, steps * count)
    held = [tuple(b.view(state, p * hidden_size, hidden_size) for state in states) for p in range(count)]

    def walked() -> Iterator[Ref]:
        for _ in range(steps):
            held[:] = [one(next(from_x), *states) for states in held]
            yield from (h for h, *_ in held)

    y = next(walked()) if steps * count == 1 else b.collect(walked(), steps * count * hidden_size)
    others = list(zip(*held, strict=True))[1:]
    return (y, *(part[0] if count == 1 else b.join(*part) for part in others))
