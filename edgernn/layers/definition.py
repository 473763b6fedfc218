"""The definition of a whole Model: every layer's `step` in float64, frame after frame. Slow, and the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.model import Model


def run(model: Model, inputs: Any) -> Any:
    """The answers to T frames from the initial state, in float64. Nothing is checked.

    `inputs`: (T, size) of the only input port, (T,) integers for a token port, or a mapping port -> such an array.
    Gives (T, size) of the only output port, or a mapping where there are several.
    """
    given = inputs if isinstance(inputs, Mapping) else {model.inputs[0].name: inputs}
    kinds = {"int64": np.int64, "float32": np.float64}
    frames = {p.value: np.asarray(given[p.name], kinds[p.dtype]).reshape(-1, p.size) for p in model.inputs}
    states: dict[str, Array] = {state.name: state.initial.astype(np.float64) for state in model.states}
    rows: dict[str, list[Array]] = {port.name: [] for port in model.outputs}
    for end in range(model.window, len(next(iter(frames.values()))) + 1, model.hop):
        values = {**states, **{name: x[end - model.window : end].reshape(-1) for name, x in frames.items()}}
        for node in model.nodes:
            values.update(zip(node.outputs, node.layer.step(*(values[name] for name in node.inputs)), strict=True))
        for port in model.outputs:
            rows[port.name].append(values[port.value].reshape(-1))
        states = {state.name: values[state.source].reshape(state.initial.shape) for state in model.states}
    outputs = {
        port.name: np.array(rows[port.name], np.float64).reshape(len(rows[port.name]), port.size)
        for port in model.outputs
    }
    return outputs if len(outputs) > 1 else outputs[model.outputs[0].name]
