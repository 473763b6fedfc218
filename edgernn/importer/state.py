"""State: which inputs of a graph are states, which outputs replace them, and whether a sequence really goes on there.

In a sequence graph a pair counts only where the file proves it: what a cell leaves behind, put through the state output
and back in at the state input, must be where that cell starts. A step graph may compute its cells in any way, so there
dataflow, names and shapes decide in this order, and `state={input: output}` settles what they leave open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.build import Build, Start
from edgernn.importer.graph import Graph
from edgernn.importer.trace import moves_only, origins, reached
from edgernn.layers.base import Array, volume
from edgernn.layers.rules import Value

FILLERS = {
    "in", "out", "input", "output", "next", "prev", "previous", "new", "old", "initial", "init", "final", "last", "n", "0",
}  # fmt: skip
HINT = "name it with state={input: output} (--state INPUT=OUTPUT), or export without it"


@dataclass
class Pairing:
    """What was found: input -> output; inputs that are taken as zero; and what stands in the way."""

    pairs: dict[str, str] = field(default_factory=dict)
    zeroed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def pair(build: Build, graph: Graph, given: Mapping[str, str]) -> Pairing:
    """Find the states of a graph that was built without problems; `given` are those that the user named."""
    ends = _Ends(build, graph)
    found = Pairing()
    for name, output in given.items():
        problem = ends.misnamed(name, output)
        if problem is None:
            found.pairs[name] = output
        else:
            found.problems.append(problem)
    _settle(found, ends, lambda name, output: bool(ends.leads_back(name, output)))
    if build.has_time:
        _check_sequence(found, ends)
        return found
    _settle(found, ends, lambda name, output: _same_name(name, output) and ends.depends(output, name))
    _settle_by_shape(found, ends, graph)
    return found


class _Ends:
    """What could be a state at both ends of a built graph, and where the numbers of every value come from."""

    def __init__(self, build: Build, graph: Graph):
        self.build = build
        ports = {name: (size,) for name, size in build.ports.items()}
        self.ids = origins(build.nodes, {**ports, **{state.name: state.initial.shape for state in build.states}})
        self.reach = reached(build.nodes, list(build.ports))
        self.inputs = {name: value for name in build.ports if (value := build.values[name]) and _may_be_state(value)}
        self.inputs = {name: value for name, value in self.inputs.items() if name not in build.tokens}
        self.outputs = {name: value for name in graph.outputs if (value := build.values[name]) and _may_be_state(value)}

    def misnamed(self, name: str, output: str) -> Problem | None:
        """What is wrong with a pair that the user named."""
        if name not in self.inputs:
            return Problem(
                name, "state", "is no input that could be a state", f"inputs: {', '.join(self.inputs) or 'none'}"
            )
        if output not in self.outputs:
            known = ", ".join(self.outputs) or "none"
            return Problem(output, "state", "is no output that could replace a state", f"outputs: {known}")
        if not self.fits(name, output):
            shapes = f"{list(self.inputs[name].shape)} and {list(self.outputs[output].shape)}"
            return Problem(name, "state", f"has another shape than '{output}': {shapes}", "name a pair of equal shape")
        return None

    def fits(self, name: str, output: str) -> bool:
        """Whether both have the same shape."""
        return self.inputs[name].shape == self.outputs[output].shape

    def depends(self, output: str, name: str) -> bool:
        """Whether the output is computed from the input."""
        return name in self.reach.get(self.outputs[output].name, ())

    def leads_back(self, name: str, output: str, over_time: bool = False) -> bool | None:
        """Whether `output` brings back what cells start from in input `name`; None where none starts from it."""
        came = self.ids[self.outputs[output].name].reshape(-1)
        answer = None
        for start in self.build.starting:
            places, wanted = self.within(name, start)
            if len(places) and (start.over_time or not over_time):
                right = self.fits(name, output) and np.array_equal(came[places], wanted)
                answer = right and answer is not False
        return answer

    def within(self, name: str, start: Start) -> tuple[Array, Array]:
        """(places in input `name` that a cell starts from, the ids that must be there in the next frame)."""
        port = self.ids[name]
        initial, last = self.ids[start.initial].reshape(-1), self.ids[start.last].reshape(-1)
        inside = np.isin(initial, port)
        return initial[inside] - (port[0] if port.size else 0), last[inside]

    def only_starts(self, name: str) -> bool:
        """Whether the input is read by nothing but cells that start from it."""
        allowed = {start.initial for start in self.build.starting}
        touched = {value for value, ids in self.ids.items() if np.isin(ids, self.ids[name]).any()}
        for node in self.build.nodes:
            if not moves_only(node.layer) and any(v in touched and v not in allowed for v in node.inputs):
                return False
        return not any(value.name in touched for value in self.outputs.values())


def _may_be_state(value: Value) -> bool:
    """Plain numbers without a time axis."""
    return value.time is None and value.const is None and np.dtype(value.dtype).kind == "f" and volume(value.shape) > 0


def _settle(found: Pairing, ends: _Ends, matches: Callable[[str, str], bool]) -> None:
    """Pair inputs and outputs that match each other and nothing else."""
    inputs = [name for name in ends.inputs if name not in found.pairs]
    outputs = [name for name in ends.outputs if name not in found.pairs.values()]
    options = {name: [o for o in outputs if ends.fits(name, o) and matches(name, o)] for name in inputs}
    for name, candidates in options.items():
        if len(candidates) == 1 and sum(candidates[0] in others for others in options.values()) == 1:
            found.pairs[name] = candidates[0]


def _settle_by_shape(found: Pairing, ends: _Ends, graph: Graph) -> None:
    """What is left in a step graph: pairs that only shape and dataflow suggest. The first ports are the frame's."""
    frame_in, frame_out = next(iter(ends.build.ports), ""), graph.outputs[0]

    def matches(name: str, output: str) -> bool:
        return name != frame_in and output != frame_out and ends.depends(output, name)

    _settle(found, ends, matches)
    for name in ends.inputs:
        left = [o for o in ends.outputs if o not in found.pairs.values() and ends.fits(name, o) and matches(name, o)]
        if name not in found.pairs and left:
            what = (
                f"may be a state that is replaced by {' or '.join(repr(o) for o in left)}: shape and names do not tell"
            )
            found.problems.append(
                Problem(name, "input", what, "name it with state={input: output} (--state INPUT=OUTPUT)")
            )


def _same_name(name: str, output: str) -> bool:
    """Whether two names differ only in what tells a state's old value from its new one."""
    before, after = _key(name), _key(output)
    return before != "" and after in (before, f"{before}n")


def _key(name: str) -> str:
    """A name without its filling words: h0, h_out and next_h are all h."""
    words = re.findall(r"[A-Za-z][a-z]*|[0-9]+", name.split(":")[0])
    kept = [word.lower() for word in words if word.lower() not in FILLERS]
    return "_".join(kept)


def _check_sequence(found: Pairing, ends: _Ends) -> None:
    """Every cell over time must start from a state that leads back to it; a loose start is taken as zero."""
    for name, output in found.pairs.items():
        if ends.leads_back(name, output, over_time=True) is False:
            what = f"'{output}' is not what the cell that starts from it leaves behind"
            found.problems.append(Problem(name, "state", what, "name the right pair with state={input: output}"))
    for start in ends.build.starting:
        if not start.over_time:
            continue
        sources = [name for name in ends.inputs if len(ends.within(name, start)[0])]
        if sum(len(ends.within(name, start)[0]) for name in sources) != ends.ids[start.initial].size:
            what = "its initial state is computed in the graph, so it is no state that a stream can carry on"
            found.problems.append(Problem(start.node, start.operator, what, "export with the state as a plain input"))
            continue
        for name in (name for name in sources if name not in found.pairs and name not in found.zeroed):
            if ends.only_starts(name):
                found.zeroed.append(name)
            else:
                what = "starts a cell, but no output brings its next value back"
                found.problems.append(Problem(name, "input", what, HINT))
