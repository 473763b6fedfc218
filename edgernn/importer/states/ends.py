"""Ends: what could be a state at the inputs and outputs of a built graph, and what the graph itself proves about it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.file.graph import Graph
from edgernn.importer.states.trace import Start, moves_only, origins, reached
from edgernn.importer.walk.build import Build
from edgernn.layers.base import Array, volume
from edgernn.layers.rules import Value
from edgernn.layers.sequence import Cell


class Ends:
    """Inputs and outputs without a time axis, with the origin of every number between them."""

    def __init__(self, build: Build, graph: Graph):
        self.build = build
        ports = {name: (build.window * size,) for name, size in build.ports.items()}
        self.ids = origins(build.nodes, {**ports, **{state.name: state.initial.shape for state in build.states}})
        self.reach = reached(build.nodes, list(build.ports))
        self.bits = {name: 1 << place for place, name in enumerate(build.ports)}
        ends = np.cumsum([0, *(size for (size,) in ports.values())])
        self._firsts, self._end = ends[:-1], int(ends[-1])  # the ids of the inputs are consecutive
        self._starts: dict[str, list[tuple[Array, Array]]] | None = None  # input -> what `within` says of each cell
        self._read: set[str] | None = None
        self.inputs = {
            name: value
            for name in build.ports
            if (value := build.values[name]) and _may_be_state(value) and name not in build.tokens
        }
        self.outputs = {name: value for name in graph.outputs if (value := build.values[name]) and _may_be_state(value)}
        self._flat = {name: self.ids[value.name].reshape(-1) for name, value in self.outputs.items()}

    def sources(self, output: str) -> int:
        """The `bits` of the inputs that an output, whatever its type, is computed from within a frame."""
        value = self.build.values[output]
        return self.reach.get(value.name, 0) if value is not None else 0

    def misnamed(self, name: str, output: str) -> Problem | None:
        """What is wrong with a pair that the user named; no output says that the input is no state."""
        if name not in self.inputs:
            known = ", ".join(self.inputs) or "none"
            return Problem(name, "state", "is no input that could be a state", f"inputs: {known}")
        if output and output not in self.outputs:
            known = ", ".join(self.outputs) or "none"
            return Problem(output, "state", "is no output that could replace a state", f"outputs: {known}")
        if output and not self.fits(name, output):
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

    def keeps(self, name: str, output: str) -> bool:
        """Whether the input may hold what the output was one step before, which does not depend on the input then."""
        return self.fits(name, output) and not self.depends(output, name)

    def alters(self, name: str, output: str) -> bool:
        """Whether the output may be what the input becomes: of its shape, more than a number, and computed from it."""
        return self.fits(name, output) and volume(self.inputs[name].shape) > 1 and self.depends(output, name)

    def depends(self, output: str, name: str) -> bool:
        """Whether the output is computed from the input."""
        return bool(self.sources(output) & self.bits[name])

    def leads_back(self, name: str, output: str) -> bool | None:
        """Whether `output` brings back what cells start from in input `name`; None where none starts from it."""
        came = self._flat[output]
        answer = None
        for places, wanted in self._started(name):
            at = int(places[0])
            right = came.size > at and came[at] == wanted[0] and self.fits(name, output)
            answer = right and answer is not False and np.array_equal(came[places], wanted)
        return answer

    def starts(self, name: str) -> bool:
        """Whether a cell starts from the input."""
        return bool(self._started(name))

    def left_by(self, output: str) -> bool:
        """Whether a cell that starts from some input leaves `output` behind."""
        return any(self.leads_back(name, output) for name in self.inputs)

    def _started(self, name: str) -> list[tuple[Array, Array]]:
        """`within` for every cell that starts from some of the input."""
        if self._starts is None:
            self._starts = {name: [] for name in self.inputs}
            for start in self.build.starting:
                for read in self._starts.keys() & self._inputs_in(start.initial):
                    places, wanted = self.within(read, start)
                    self._starts[read] += [(places, wanted)] if len(places) else []
        return self._starts[name]

    def within(self, name: str, start: Start) -> tuple[Array, Array]:
        """(places in input `name` that a cell starts from, the ids that must be there in the next frame)."""
        port = self.ids[self.inputs[name].name].reshape(-1)  # consecutive numbers
        first = port[0] if port.size else 0
        initial, last = self.ids[start.initial].reshape(-1), self.ids[start.last].reshape(-1)
        inside = (initial >= first) & (initial < first + port.size)
        return initial[inside] - first, last[inside]

    def only_starts(self, name: str) -> bool:
        """Whether nothing reads the input but cells that start from it."""
        if self._read is None:
            self._read = set(self._used_otherwise())
        return name not in self._read

    def _used_otherwise(self) -> Iterator[str]:
        """The inputs that something else reads, whole or in part, than cells that start from them."""
        for node in self.build.nodes:
            starts = node.inputs[1:] if isinstance(node.layer, Cell) else ()
            if not moves_only(node.layer):
                for value in node.inputs:
                    if value not in starts and value not in self.build.own:
                        yield from self._inputs_in(value)
        for output in self.outputs.values():
            yield from self._inputs_in(output.name)

    def _inputs_in(self, value: str) -> list[str]:
        """The inputs that numbers of a value come from."""
        ports, ids = list(self.build.ports), self.ids[value].reshape(-1)
        mine = ids[(ids >= 0) & (ids < self._end)]
        return [ports[place] for place in np.unique(np.searchsorted(self._firsts, mine, "right") - 1)]


def _may_be_state(value: Value) -> bool:
    """Plain numbers without a time axis."""
    return value.time is None and value.const is None and np.dtype(value.dtype).kind == "f" and volume(value.shape) > 0
