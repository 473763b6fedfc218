"""Step graphs against ONNX Runtime, which is fed frame after frame and its states with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx_cases import onnx_runtime

from edgernn import importer
from edgernn.layers.base import Array
from edgernn.layers.definition import run

STEPS = 15


def frames(size: int) -> Array:
    return np.random.default_rng(5).uniform(-1, 1, (STEPS, size)).astype(np.float32)


def streamed(
    model: onnx.ModelProto, states: Mapping[str, str], x: Array, output: str, said: bool = False, **initial: Array
) -> None:
    """The states are found or said, and the answers are those of ONNX Runtime, which is fed frame after frame."""
    report = importer.analyse(model.SerializeToString(), states if said else {})
    assert dict(report.states) == states and report.model is not None, report.problems
    shapes = {given.name: [dim.dim_value for dim in given.type.tensor_type.shape.dim] for given in model.graph.input}
    held = {name: initial.get(name, np.zeros(shapes[name], np.float32)) for name in states}
    expected = []
    for frame in x:
        made = onnx_runtime(model, {"x": frame.reshape(shapes["x"]), **held})
        held = {name: made[after].reshape(shapes[name]) for name, after in states.items()}
        expected.append(made[output].reshape(-1))
    answers = run(report.model, x)
    answers = answers[output] if isinstance(answers, dict) else answers
    assert np.abs(answers - np.array(expected)).max() < 1e-5
