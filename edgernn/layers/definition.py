"""A model's answers by its layers' own definition, in float64: the oracle that the compiled kernels are held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.model import Model


def run(model: Model, frames: Any) -> Any:
    """T frames from the initial state: an array (T, n_in), or a mapping of them, to an array (T, n_out) or a mapping.

    Token ports take integers. Nothing is checked; answers are float64.
    """
    given = frames if isinstance(frames, Mapping) else {model.inputs[0].name: frames}
    ports = {
        port.value: np.asarray(given[port.name], np.int64 if port.dtype == "int64" else np.float64).reshape(-1, port.size)
        for port in model.inputs
    }
    states: dict[str, Array] = {state.name: state.initial.astype(np.float64) for state in model.states}
    answers: dict[str, list[Array]] = {port.name: [] for port in model.outputs}
    for t in range(len(next(iter(ports.values())))):
        values = {**states, **{name: array[t] for name, array in ports.items()}}
        for node in model.nodes:
            values.update(zip(node.outputs, node.layer.step(*(values[name] for name in node.inputs)), strict=True))
        for port in model.outputs:
            answers[port.name].append(values[port.value].reshape(-1))
        states = {state.name: values[state.source].reshape(state.initial.shape) for state in model.states}
    stacked = {port.name: np.array(answers[port.name]).reshape(-1, port.size) for port in model.outputs}
    return stacked if len(stacked) > 1 else stacked[model.outputs[0].name]
