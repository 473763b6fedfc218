"""Which of the stream's answers the outputs of a graph are, that ran over many frames at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.model import Model, Port
from edgernn.layers.rhythm import after_whole


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one output port, and which of the stream's they are."""

    places: Array  # (n,) int
    values: Array  # (n, size)


def answered_after(count: int, model: Model, notes: Sequence[str]) -> int:
    """After how many frames the stream has answered all that a call with so many does; `notes`: the importer's."""
    return -(-count // model.hop) * model.hop if after_whole(count, model.hop) in notes else count


def lengthened(frames: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The frames, T of each port, and the last one again until there are so many: no answer to a call sees them."""
    return {name: np.concatenate([x, np.repeat(x[-1:], max(0, count - len(x)), axis=0)]) for name, x in frames.items()}


def answered(model: Model, count: int) -> int:
    """How many answers so many frames bring."""
    return 0 if count < model.window else 1 + (count - model.window) // model.hop


def placed(model: Model, name: str, value: Array, count: int) -> Answers:
    """An output of the graph after `count` frames: its steps as answers of the stream, or one answer at the end.

    What the stream gives after more frames only is left out. Raises ValueError where it is neither.
    """
    port = next(port for port in model.outputs if port.name == name)
    rows, late = answered(model, count), model.delay // model.hop
    if value.size == port.size:
        return Answers(np.array([rows - 1]), value.reshape(1, port.size))
    axis = _time_axis(model, port, value.shape, rows)
    if axis is None:
        raise ValueError(f"{list(value.shape)} is neither one answer of {port.size} numbers nor {rows} of them")
    steps = np.moveaxis(value, axis, 0)
    whole = max(0, min(steps.size // port.size, rows - late))
    return Answers(np.arange(late, late + whole), steps.reshape(-1)[: whole * port.size].reshape(whole, port.size))


def _time_axis(model: Model, port: Port, shape: Shape, rows: int) -> int | None:
    """The axis on which an output has the steps of so many answers, each of one or of several.

    Padding and cropping make a sequence longer or shorter than the stream, by less than what a step sees and waits for.
    """
    frame, far = model.shapes[port.value], {}
    for axis, n in enumerate(shape):
        one = volume(shape) // n if n else 0
        if one and port.size % one == 0:
            count = port.size // one  # steps an answer
            apart = abs(n - rows * count)
            if apart * model.hop < (model.receptive_field + model.delay) * max(count, model.hop):
                far[axis] = apart, not (len(frame) == len(shape) and frame[axis] == count)
    return min(far, key=lambda axis: far[axis], default=None)
