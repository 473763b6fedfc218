"""Assemble: what one walk over the graph collected, as a Model with ports and states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.build import Build
from edgernn.importer.graph import Graph
from edgernn.importer.simplify import pruned, simplified
from edgernn.layers.base import volume
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model, Port, State
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
    model = pruned(_whole(build, graph, pairs, values))
    read = {name for node in model.nodes for name in node.inputs}
    inputs = tuple(port for port in model.inputs if port.value in read)
    if not inputs:
        return [NO_INPUT]
    if not pairs and not any(isinstance(node.layer, (RNN, GRU, LSTM)) for node in model.nodes):
        return [NO_RECURRENCE]
    problems = _misused_tokens(build, graph, model)
    return problems or simplified(replace(model, inputs=inputs))


def _whole(build: Build, graph: Graph, pairs: Mapping[str, str], values: Mapping[str, Value]) -> Model:
    """The Model with everything in it that the walk made."""
    starts = {name: value for name in pairs if (value := build.values[name]) is not None}
    explicit = [
        State(start.name, values[pairs[name]].name, np.zeros(start.shape, np.float32)) for name, start in starts.items()
    ]
    carried = {state.name for state in explicit}
    shown = [name for name in graph.outputs if name not in pairs.values()] or list(graph.outputs)
    return Model(
        inputs=tuple(_port(build, name) for name in build.ports if name not in pairs),
        outputs=tuple(Port(name, values[name].name, volume(values[name].shape)) for name in shown),
        states=(*explicit, *build.states),
        nodes=tuple(node for node in build.nodes if node.outputs[0] not in carried),
        origin=graph.origin,
    )


def _port(build: Build, name: str) -> Port:
    vocabulary = build.tokens.get(name)
    if vocabulary is None:
        return Port(name, name, build.ports[name])
    return Port(name, name, 1, "int64", -vocabulary, vocabulary - 1)


def _misused_tokens(build: Build, graph: Graph, model: Model) -> list[Problem]:
    """Integer inputs that something else than an Embedding reads."""
    whole = {given.name for given in graph.inputs if np.dtype(given.dtype).kind not in "f"} | build.tokens.keys()
    problems = []
    for node in model.nodes:
        roots = {build.roots.get(name) for name in node.inputs} & whole
        if roots and not isinstance(node.layer, Reshape):
            what = f"computes with the input '{roots.pop()}', whose integers can only pick rows of a table in a stream"
            problems.append(Problem(node.name, type(node.layer).__name__, what, "give it as float32 instead"))
    shown = {build.roots.get(port.value) for port in model.outputs} & whole
    return problems + [Problem(str(name), "input", "is given back as it came", "drop that output") for name in shown]
