"""Ends: what could be a state at the inputs and outputs of a built graph, and what the graph itself proves about it."""

from __future__ import annotations

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.build import Build, Start
from edgernn.importer.graph import Graph
from edgernn.importer.trace import moves_only, origins, reached
from edgernn.layers.base import Array, volume
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.rnn import RNN
from edgernn.layers.rules import Value


class Ends:
    """Inputs and outputs without a time axis, with the origin of every number between them."""

    def __init__(self, build: Build, graph: Graph):
        self.build = build
        ports = {name: (build.window * size,) for name, size in build.ports.items()}
        self.ids = origins(build.nodes, {**ports, **{state.name: state.initial.shape for state in build.states}})
        self.reach = reached(build.nodes, list(build.ports))
        self.inputs = {
            name: value
            for name in build.ports
            if (value := build.values[name]) and _may_be_state(value) and name not in build.tokens
        }
        self.outputs = {name: value for name in graph.outputs if (value := build.values[name]) and _may_be_state(value)}

    def sources(self, output: str) -> frozenset[str]:
        """The inputs that an output of the graph, whatever its type, is computed from within a frame."""
        value = self.build.values[output]
        return self.reach.get(value.name, frozenset()) if value is not None else frozenset()

    def misnamed(self, name: str, output: str) -> Problem | None:
        """What is wrong with a pair that the user named."""
        if name not in self.inputs:
            known = ", ".join(self.inputs) or "none"
            return Problem(name, "state", "is no input that could be a state", f"inputs: {known}")
        if output not in self.outputs:
            known = ", ".join(self.outputs) or "none"
            return Problem(output, "state", "is no output that could replace a state", f"outputs: {known}")
        if not self.fits(name, output):
            shapes = f"{list(self.inputs[name].shape)} and {list(self.outputs[output].shape)}"
            return Problem(name, "state", f"has another shape than '{output}': {shapes}", "name a pair of equal shape")
        return None

    def equal(self, name: str, output: str) -> bool:
        """Whether both have the same shape."""
        return self.inputs[name].shape == self.outputs[output].shape

    def fits(self, name: str, output: str) -> bool:
        """Whether both have the same shape, wherever their batch of 1 stands."""
        before, after = self.inputs[name].shape, self.outputs[output].shape
        return [n for n in before if n != 1] == [n for n in after if n != 1]

    def depends(self, output: str, name: str) -> bool:
        """Whether the output is computed from the input."""
        return name in self.reach.get(self.outputs[output].name, ())

    def leads_back(self, name: str, output: str) -> bool | None:
        """Whether `output` brings back what cells start from in input `name`; None where none starts from it."""
        came = self.ids[self.outputs[output].name].reshape(-1)
        answer = None
        for start in self.build.starting:
            places, wanted = self.within(name, start)
            if len(places):
                right = self.fits(name, output) and np.array_equal(came[places], wanted)
                answer = right and answer is not False
        return answer

    def within(self, name: str, start: Start) -> tuple[Array, Array]:
        """(places in input `name` that a cell starts from, the ids that must be there in the next frame)."""
        port = self.ids[self.inputs[name].name].reshape(-1)
        initial, last = self.ids[start.initial].reshape(-1), self.ids[start.last].reshape(-1)
        inside = np.isin(initial, port)
        return initial[inside] - (port[0] if port.size else 0), last[inside]

    def only_starts(self, name: str) -> bool:
        """Whether nothing reads the input but cells that start from it."""
        touched = {value for value, ids in self.ids.items() if np.isin(ids, self.ids[name]).any()}
        for node in self.build.nodes:
            starts = node.inputs[1:] if isinstance(node.layer, (RNN, GRU, LSTM)) else ()
            allowed = {*starts, *self.build.own}
            if not moves_only(node.layer) and any(v in touched and v not in allowed for v in node.inputs):
                return False
        return not any(value.name in touched for value in self.outputs.values())


def _may_be_state(value: Value) -> bool:
    """Plain numbers without a time axis."""
    return value.time is None and value.const is None and np.dtype(value.dtype).kind == "f" and volume(value.shape) > 0
