"""Assemble: what one walk over the graph collected, as a Model with ports and states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.build import Build
from edgernn.importer.graph import Graph
from edgernn.importer.simplify import pruned_parts, simplified
from edgernn.importer.token import looked_up
from edgernn.layers.base import volume
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model, Node, Port, State
from edgernn.layers.reshape import Reshape
from edgernn.layers.rnn import RNN
from edgernn.layers.rules import Value

NO_RECURRENCE = Problem(
    "graph",
    "",
    "nothing is carried from frame to frame: there is no recurrent layer and no state",
    "give a model with an RNN, LSTM or GRU; name its states with state={input: output} if it has them as inputs",
)
NO_INPUT = Problem("graph", "", "no output depends on an input that takes frames", "give a model with a frame as input")


def assembled(build: Build, graph: Graph, pairs: Mapping[str, str]) -> Model | list[Problem]:
    """The Model with the states of `pairs` (input -> output) hidden, or what is wrong with it."""
    values = {name: value for name in graph.outputs if (value := build.output(name)) is not None}
    if build.problems:
        return build.problems
    if not values or not build.ports.keys() - pairs.keys():
        return [NO_INPUT]
    lost = [name for name in graph.outputs if name not in values]
    if lost:
        return [Problem(lost[0], "output", "its node has fewer outputs than names", "export without this output")]
    shown = [name for name in graph.outputs if name not in pairs.values()] or list(graph.outputs)
    outputs = tuple(Port(name, values[name].name, volume(values[name].shape)) for name in shown)
    nodes, states = _parts(build, pairs, values, outputs)
    read = {name for node in nodes for name in node.inputs}
    inputs = tuple(_port(build, name) for name in build.ports if name not in pairs and name in read)
    if not inputs:
        return [NO_INPUT]
    cells = any(isinstance(node.layer, (RNN, GRU, LSTM)) for node in nodes)
    if not pairs and not cells and not (build.recurs and states):
        return [NO_RECURRENCE]
    problems = _misused_tokens(build, graph, nodes, outputs)
    return problems or simplified(Model(inputs, outputs, states, nodes, graph.origin))


def _parts(
    build: Build, pairs: Mapping[str, str], values: Mapping[str, Value], outputs: Sequence[Port]
) -> tuple[tuple[Node, ...], tuple[State, ...]]:
    """The nodes and states that these outputs need."""
    starts = {name: value for name in pairs if (value := build.values[name]) is not None}
    explicit = [
        State(start.name, values[pairs[name]].name, np.zeros(start.shape, np.float32)) for name, start in starts.items()
    ]
    carried = {state.name for state in explicit}
    ends, made = [port.value for port in outputs], [node for node in build.nodes if node.outputs[0] not in carried]
    nodes, states = pruned_parts(ends, made, [*explicit, *build.states])
    for port, vocabulary in build.tokens.items():
        nodes = looked_up(nodes, port, vocabulary, build.roots)
    nodes, states = pruned_parts(ends, nodes, states)
    return tuple(nodes), tuple(states)


def _port(build: Build, name: str) -> Port:
    vocabulary = build.tokens.get(name)
    if vocabulary is None:
        return Port(name, name, build.ports[name])
    return Port(name, name, 1, "int64", -vocabulary, vocabulary - 1)


def _misused_tokens(build: Build, graph: Graph, nodes: Sequence[Node], outputs: Sequence[Port]) -> list[Problem]:
    """Integer inputs that something else than an Embedding reads."""
    whole = {given.name for given in graph.inputs if np.dtype(given.dtype).kind not in "f"} | build.tokens.keys()
    problems = []
    for node in nodes:
        roots = {build.roots.get(name) for name in node.inputs} & whole
        if roots and not isinstance(node.layer, Reshape):
            what = f"computes with the input '{roots.pop()}', whose integers can only pick rows of a table in a stream"
            problems.append(Problem(node.name, type(node.layer).__name__, what, "give it as float32 instead"))
    shown = {build.roots.get(port.value) for port in outputs} & whole
    return problems + [Problem(str(name), "input", "is given back as it came", "drop that output") for name in shown]
