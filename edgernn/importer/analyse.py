"""Analyse: tries each hypothesis about time, pairs the states, and gives the Model or what stands in its way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from edgernn.errors import Problem, UnsupportedModel
from edgernn.importer.assemble import assembled
from edgernn.importer.build import Build
from edgernn.importer.evaluate import folded
from edgernn.importer.graph import Graph
from edgernn.importer.read import load
from edgernn.importer.state import Pairing, pair
from edgernn.importer.time import Hypothesis, hypotheses
from edgernn.importer.unrolled import UNROLLED
from edgernn.layers.model import Model
from edgernn.layers.recurrent import OTHER_AXIS, SEVERAL_STEPS

# ONNX's numbers for float16, bfloat16 and integers of 8 and 16 bits
NARROW = (10, 16, 2, 3, 4, 5)


@dataclass(frozen=True)
class Report:
    """What was found in a file: a Model, or the problems that stop it from being one.

    `states`: (input, output) pairs of the ONNX graph that the Model hides. `time`: which axis is time, in words, and
    `time_axes` the same as (input, axis) pairs. `notes`: what the reader should know though it stops nothing.
    """

    model: Model | None
    problems: tuple[Problem, ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    time: str = ""
    time_axes: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


def read(source: str | os.PathLike[str] | bytes, *, state: Mapping[str, str] | None = None) -> Model:
    """The Model of an ONNX file, or of its bytes.

    `state` names states that are inputs and outputs of the graph, {input: output}, where they are not found by
    themselves. Raises BadModelFile for a broken file and UnsupportedModel, with every problem, for a graph that cannot
    be streamed.
    """
    report = analyse(source, state)
    if report.model is None:
        raise UnsupportedModel(report.problems)
    return report.model


def analyse(source: str | os.PathLike[str] | bytes, state: Mapping[str, str] | None = None) -> Report:
    """What an ONNX file holds and whether it can be streamed. Raises BadModelFile for a broken file."""
    try:
        return _analysed(folded(load(source)), state or {})
    except UnsupportedModel as unsupported:
        return Report(None, unsupported.problems)


def _analysed(graph: Graph, given: Mapping[str, str]) -> Report:
    """The first reading of the graph that gives a model, or the one that came nearest."""
    failed: list[tuple[_Distance, int, Report]] = []
    for hypothesis in hypotheses(graph):
        distance, report = _tried(graph, hypothesis, given)
        if report.model is not None:
            return report
        failed.append((distance, len(report.problems), report))
    return min(failed, key=lambda failure: failure[:2])[2]


PYTORCH_GRU = (
    "a GRU has linear_before_reset=0, which PyTorch does not compute: some of its exporters write that by mistake. "
    "Compare with PyTorch's own output, and export with another version or dynamo=False"
)


class _Distance(IntEnum):
    """How far a hypothesis about time was from the truth: the nearest one is reported."""

    STATES = 0
    UNROLLED = 1
    OPERATORS = 2
    NO_RECURRENCE = 3
    OPERATORS_AT_FIXED_LENGTH = 4
    WRONG_AXIS = 5


def _tried(graph: Graph, hypothesis: Hypothesis, given: Mapping[str, str]) -> tuple[_Distance, Report]:
    """The graph under one hypothesis about time."""
    build = Build(graph, hypothesis.length, hypothesis.times)
    problems = build.problems if build.has_time else [*_along_a_free_dimension(graph), *build.problems]
    if any(problem.what.startswith((OTHER_AXIS, SEVERAL_STEPS)) for problem in problems):
        return _Distance.WRONG_AXIS, _failed(hypothesis, problems)
    if problems:
        if any(problem.what.startswith(UNROLLED) for problem in problems):
            return _Distance.UNROLLED, _failed(hypothesis, problems)
        fixed = build.has_time and isinstance(hypothesis.length, int) and not build.moments.unrolled
        far = _Distance.OPERATORS_AT_FIXED_LENGTH if fixed else _Distance.OPERATORS
        return far, _failed(hypothesis, problems)
    found = pair(build, graph, given)
    if found.problems:
        return _Distance.STATES, _failed(hypothesis, found.problems)
    restarts = bool(found.pairs and build.states) and not build.has_time
    if restarts or found.zeroed:
        build = Build(graph, hypothesis.length, hypothesis.times, restarts, found.zeroed)
    model = assembled(build, graph, found.pairs)
    if isinstance(model, list):
        return _Distance.NO_RECURRENCE, _failed(hypothesis, model)
    axes = tuple((name, axis) for name, axis in hypothesis.times.items() if axis is not None)
    notes = (*build.notes, *_notes(graph, model, found, restarts))
    return _Distance.STATES, Report(model, (), tuple(found.pairs.items()), hypothesis.text, axes, notes)


def _failed(hypothesis: Hypothesis, problems: Sequence[Problem]) -> Report:
    return Report(None, tuple(problems), time=hypothesis.text)


def _along_a_free_dimension(graph: Graph) -> list[Problem]:
    """Why a graph is no step graph: a recurrent layer runs along a dimension that is free, and not the batch."""
    if not any(isinstance(n, str) for given in graph.inputs for n in given.dims or ()):
        return []
    problems = Build(graph, 1, {}, free=3).problems
    return [problem for problem in problems if problem.what.startswith(SEVERAL_STEPS)]


def _notes(graph: Graph, model: Model, found: Pairing, restarts: bool) -> tuple[str, ...]:
    """What stops nothing but should be known."""
    used = {port.name for port in model.inputs} | found.pairs.keys() | set(found.zeroed)
    unused = [given.name for given in graph.inputs if given.name not in used]
    notes = [f"the input '{name}' has no effect and is left out" for name in unused]
    notes += [f"the state '{name}' starts at zero and is carried inside the stream" for name in found.zeroed]
    of_pytorch = graph.origin["producer"].startswith("pytorch")
    if of_pytorch and any(o.kind == "GRU" and not o.attributes.get("linear_before_reset", 0) for o in graph.operators):
        notes.append(PYTORCH_GRU)
    if any(o.kind == "Cast" and o.attributes.get("to") in NARROW for o in graph.operators):
        notes.append(
            "what the graph casts to narrow numbers is computed in float32, without their rounding or overflow"
        )
    if restarts:
        notes.append("cells with a constant initial state start anew in every frame, as in the graph")
    return tuple(notes)
