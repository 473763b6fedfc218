"""A graph on windows beside ONNX Runtime on each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx_cases import onnx_runtime

from edgernn import importer
from edgernn.layers.definition import run
from edgernn.layers.model import Model

Array = np.ndarray


LIMIT = 1e-5  # float32 against float64, values of order 1


WINDOW, FRAMES = 7, 16


def converted(source: onnx.ModelProto, window: int = WINDOW, hop: int | None = None, **given: Any) -> Model:
    return importer.read(source.SerializeToString(), window=window, hop=hop, **given)


def ends(window: int, hop: int) -> list[int]:
    """After how many frames the answers come."""
    return list(range(window, FRAMES + 1, hop))


def named(model: Model, answers: Any) -> dict[str, Array]:
    return answers if isinstance(answers, dict) else {model.outputs[0].name: answers}


def check(source: onnx.ModelProto, model: Model, x: Array, time: int = 1) -> None:
    """Stream and definition give ONNX Runtime's answer on each window; x is as the graph takes it."""
    (name,) = (port.name for port in model.inputs)
    frames = np.moveaxis(x, time, 0).reshape(FRAMES, -1)
    stream, definition = named(model, model.stream().run(frames)), named(model, run(model, frames))
    due = ends(model.window, model.hop)
    for row, end in enumerate(due):
        expected = onnx_runtime(source, {name: x.take(range(end - model.window, end), time)})
        for port in model.outputs:
            y = expected[port.name].reshape(-1)
            limit = LIMIT * max(1, np.abs(y).max())
            assert np.abs(stream[port.name][row] - y).max() < limit, (port.name, row)
            assert np.abs(definition[port.name][row] - y).max() < limit, (port.name, row)
    assert all(len(answers) == len(due) for answers in stream.values())


def some_frames(*shape: int) -> Array:
    return np.random.default_rng(8).uniform(-1, 1, shape).astype(np.float32)
