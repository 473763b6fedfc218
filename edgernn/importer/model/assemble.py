"""Assemble: what one walk over the graph collected, as a Model with ports and states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.file.dims import Symbol
from edgernn.importer.file.graph import Graph
from edgernn.importer.file.work import MOST_STREAMED, too_many_layers
from edgernn.importer.model.simplify import pruned_parts, simplified
from edgernn.importer.rewrites.preset import advice
from edgernn.importer.states.naming import shown_too
from edgernn.importer.walk.build import Build
from edgernn.importer.walk.token import looked_up
from edgernn.layers.base import Array, volume
from edgernn.layers.model import Model, Node, Port, State
from edgernn.layers.reshape import Reshape, reshaped
from edgernn.layers.rhythm import WINDOW, delayed, masked, ready, steps_of
from edgernn.layers.rules import Value
from edgernn.layers.sequence import Cell
from edgernn.layers.take import places, taken

NO_RECURRENCE = Problem(
    "graph",
    "",
    "nothing is carried from frame to frame: there is no recurrent layer and no state",
    "give a model with an RNN, LSTM or GRU; name its states with state={input: output} if it has them as inputs; "
    f"or {WINDOW}",
)
NO_INPUT = Problem("graph", "", "no output depends on an input that takes frames", "give a model with a frame as input")


def assembled(build: Build, graph: Graph, pairs: Mapping[str, str]) -> Model | list[Problem]:
    """The Model with the states of `pairs` (input -> output) hidden, or what is wrong with it."""
    values = {name: ready(build, value) for name in graph.outputs if (value := build.output(name)) is not None}
    if build.problems:
        return build.problems
    delay = max((_frames_late(build, value) for value in values.values()), default=0)
    if delay and isinstance(build.length, int) and build.length < delay + build.hop and not build.whole:
        what = f"its first answer comes with frame {delay + build.hop}, after the {build.length} that the file is for"
        return [Problem("graph", "", what, f"export for more frames, or with a free length; or {WINDOW}")]
    lasting = all(value.time is not None for value in values.values())
    values = {name: value if name in pairs.values() else _shown(build, value, delay) for name, value in values.items()}
    if not values or not build.ports.keys() - pairs.keys():
        return [NO_INPUT]
    lost = [name for name in graph.outputs if name not in values]
    if lost:
        return [Problem(lost[0], "output", "its node has fewer outputs than names", "export without this output")]
    hidden = {output for name, output in pairs.items() if not shown_too(name, output)}
    shown = [name for name in graph.outputs if name not in hidden]
    if all((value := build.values[name]) is not None and value.const is not None for name in shown):
        shown = list(graph.outputs)  # a stream that answers nothing but constants is not meant
    outputs = tuple(Port(name, values[name].name, volume(values[name].shape)) for name in shown)
    nodes, states = _parts(build, graph, pairs, values, outputs)
    if len(nodes) > MOST_STREAMED and not build.whole:
        raise too_many_layers("graph", "", MOST_STREAMED)
    read = {name for node in nodes for name in node.inputs}
    inputs = tuple(_port(build, name) for name in build.ports if name not in pairs and name in read)
    if not inputs:
        return [NO_INPUT]
    cells = any(isinstance(node.layer, Cell) for node in nodes)
    streams = cells or build.recurs or lasting or isinstance(build.length, Symbol)
    if not pairs and not (streams and states) and build.window == 1 and not build.whole:
        return [NO_RECURRENCE]
    problems = _misused_tokens(build, graph, nodes, outputs)
    rhythm = (build.hop, build.window, delay, _field(build))
    return problems or simplified(Model(inputs, outputs, states, nodes, graph.origin, *rhythm))


def _field(build: Build) -> int:
    """How many frames any step of the graph is made of."""
    timed = (v for v in build.values.values() if v is not None and (v.time is not None or v.final))
    return max((value.past + value.ahead + 1 for value in timed), default=build.window)


def _frames_late(build: Build, value: Value) -> int:
    """How many frames after its own a step of an output comes, in whole evaluations."""
    return 0 if value.time is None else max(0, -(-value.delay // steps_of(value))) * build.hop


def _shown(build: Build, value: Value, delay: int) -> Value:
    """An output `delay` frames late, one step after the other, and zero before its first."""
    evaluations = delay // build.hop
    if value.time is None and not evaluations:
        return value
    if value.time is None:
        (now,) = build.add(Reshape((1, *value.shape)), value)
        late = delayed(build, replace(now, time=0, length=build.length), evaluations)
        return replace(reshaped(build, late, value.shape, None), final=value.final)
    late = masked(build, delayed(build, value, evaluations * steps_of(value) - value.delay), 0.0)
    if not value.time or steps_of(value) == 1:
        return late
    order = np.moveaxis(places(late), value.time, 0)
    return taken(build, late, order, 0)


def goes_on(build: Build) -> bool:
    """Whether something recurrent goes on from frame to frame."""
    within = {problem.node for problem in build.in_frame}
    carried = {state.name for state in build.states}
    carried.update(start.initial for start in build.starting if start.node not in within)
    cells = (node for node in build.nodes if isinstance(node.layer, Cell))
    return build.recurs or any(carried.intersection(node.inputs[1:]) for node in cells)


def _parts(
    build: Build, graph: Graph, pairs: Mapping[str, str], values: Mapping[str, Value], outputs: Sequence[Port]
) -> tuple[tuple[Node, ...], tuple[State, ...]]:
    """The nodes and states that these outputs need."""
    starts = {name: value for name in pairs if (value := build.values[name]) is not None}
    explicit = [
        State(start.name, values[pairs[name]].name, _initial(graph, name, start)) for name, start in starts.items()
    ]
    carried = {state.name for state in explicit}
    ends, made = [port.value for port in outputs], [node for node in build.nodes if node.outputs[0] not in carried]
    nodes, states = pruned_parts(ends, made, [*explicit, *build.states])
    for port, vocabulary in build.tokens.items():
        nodes = looked_up(nodes, port, build.window * build.ports[port], vocabulary, build.roots)
    nodes, states = pruned_parts(ends, nodes, states)
    return tuple(nodes), tuple(states)


def _initial(graph: Graph, name: str, start: Value) -> Array:
    """What a state begins with: what the file gives as the input's default, or zero."""
    return np.asarray(graph.defaults.get(name, np.zeros(start.shape)), np.float32)


def _port(build: Build, name: str) -> Port:
    vocabulary = build.tokens.get(name)
    if vocabulary is None:
        return Port(name, name, build.ports[name])
    return Port(name, name, build.ports[name], "int64", -vocabulary, vocabulary - 1)


def _misused_tokens(build: Build, graph: Graph, nodes: Sequence[Node], outputs: Sequence[Port]) -> list[Problem]:
    """Integer inputs that something else than an Embedding reads."""
    whole = {given.name for given in graph.inputs if np.dtype(given.dtype).kind not in "f"} | build.tokens.keys()
    problems = []
    for node in nodes:
        roots = {build.roots.get(name) for name in node.inputs} & whole
        if roots and not isinstance(node.layer, Reshape):
            name = str(roots.pop())
            what = f"computes with the input '{name}', whose integers can only pick rows of a table in a stream"
            remedy = advice(graph, name) or "give it as float32 instead"
            problems.append(Problem(node.name, type(node.layer).__name__, what, remedy))
    shown = {build.roots.get(port.value) for port in outputs} & whole
    return problems + [Problem(str(name), "input", "is given back as it came", "drop that output") for name in shown]
