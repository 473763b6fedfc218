"""Analyse: tries each hypothesis about time, pairs the states, and gives the Model or what stands in its way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.errors import BadInput, Problem, UnsupportedModel
from edgernn.importer.file.evaluate import folded
from edgernn.importer.file.graph import Dim, Graph
from edgernn.importer.file.read import load
from edgernn.importer.file.repair import repair, suspicion
from edgernn.importer.model.alphabet import spelt
from edgernn.importer.model.assemble import assembled, goes_on
from edgernn.importer.model.numbered import numbered
from edgernn.importer.readings.again import MOST_FRAMES, built
from edgernn.importer.readings.distance import Distance, begun_anew, how_far, of_model
from edgernn.importer.readings.free import along_a_free_dimension
from edgernn.importer.readings.reading import NO_STATES
from edgernn.importer.readings.time import Hypothesis, hypotheses, is_batch
from edgernn.importer.readings.windowed import STREAMS, described, windowed
from edgernn.importer.rewrites.appended import stacked
from edgernn.importer.rewrites.lengths import counted
from edgernn.importer.rewrites.lines import lined
from edgernn.importer.rewrites.lists import unlisted
from edgernn.importer.rewrites.nonzero import tallied
from edgernn.importer.rewrites.preset import about_sizes, otherwise, preset, unsized
from edgernn.importer.rewrites.slots import slotted
from edgernn.importer.rewrites.unfolds import unfolded
from edgernn.importer.states.proof import corrected, proved
from edgernn.importer.states.state import Pairing, as_constants, kept, pair, with_states
from edgernn.importer.walk.build import Build
from edgernn.importer.walk.signals import Wider
from edgernn.layers.axes import SUMS
from edgernn.layers.model import Model
from edgernn.layers.recurrent import AGAINST, OTHER_AXIS, SEVERAL_STEPS
from edgernn.layers.rhythm import WINDOW

# ONNX's numbers for float16, bfloat16 and integers of 8 and 16 bits
NARROW = (10, 16, 2, 3, 4, 5)
NARROWED = "what the graph holds in narrow numbers is computed in float32, without their rounding or overflow"
GOES_ON = "cells start anew in every call of the graph; in the stream their state goes on from frame to frame"
WHOLE_CALLS = (
    "a frame is a whole call of the graph, in which cells take several steps: what is no state begins anew in each; "
    "to stream step by step, export with a free time axis"
)


@dataclass(frozen=True)
class Report:
    """What was found in a file: a Model, or the problems that stop it from being one.

    `states`: (input, output) pairs of the ONNX graph that the Model hides. `time`: which axis is time, in words, and
    `time_axes` the same as (input, axis) pairs. `dims`: the dimensions of each input. `notes`: what the reader should
    know though it stops nothing. `counts`: inputs that are the number of frames.
    """

    model: Model | None
    problems: tuple[Problem, ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    time: str = ""
    time_axes: tuple[tuple[str, int], ...] = ()
    dims: tuple[tuple[str, tuple[Dim, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()


def read(source: str | os.PathLike[str] | bytes, **settings: Any) -> Model:
    """The Model of an ONNX file, or of its bytes; the settings are the arguments of `analyse`.

    Raises BadModelFile for a broken file, BadInput for settings that do not fit and UnsupportedModel, with every
    problem, for a graph that cannot be streamed.
    """
    report = analyse(source, **settings)
    if report.model is None:
        raise UnsupportedModel(report.problems)
    return report.model


def analyse(
    source: str | os.PathLike[str] | bytes,
    state: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    fix_torch_gru: bool = False,
    window: int | None = None,
    hop: int | None = None,
) -> Report:
    """What an ONNX file holds and whether it can be streamed.

    `state` names states that are inputs and outputs of the graph, {input: output}, where they are not found by
    themselves. `constants`: inputs that are the same in every call, {input: value}, and free dimensions other than
    time, {name: size}. `fix_torch_gru`: every GRU computes linear_before_reset=1, as PyTorch does. `window`: run the
    whole graph on the last so many frames, every `hop` frames (or every one), instead of streaming it. Raises
    BadModelFile for a broken file, and BadInput for settings that do not fit and where there is no GRU to fix.
    """
    check_window(window, hop, state or {})
    try:
        graph = preset(load(source, repair if fix_torch_gru else None), constants or {})
        graph = with_states(graph, state or {})
        graph = replace(graph, origin={**graph.origin, **({"fix_torch_gru": True} if fix_torch_gru else {})})
        notes = tuple(filter(None, (otherwise(graph, name) for name in constants or {})))
        graph = counted(unfolded(tallied(unlisted(stacked(lined(slotted(folded(graph))))))))
        report = _analysed(graph, state or {}) if window is None else _on_windows(graph, window, hop or 1)
    except UnsupportedModel as unsupported:
        return Report(None, unsupported.problems)
    if report.model is None:
        return report
    model, unfit = spelt(numbered(report.model), graph.alphabet)
    counts = tuple(given.name for given in graph.inputs if given.counts)
    return replace(report, model=model, notes=(*report.notes, *notes, *unfit), counts=counts)


def _analysed(graph: Graph, given: Mapping[str, str]) -> Report:
    """The first reading of the graph that gives a model, or the one that came nearest."""
    failed: list[tuple[tuple[Any, ...], Report, Hypothesis]] = []
    for hypothesis in hypotheses(graph):
        seen = {near for (near, *_), *_ in failed}
        fixed = isinstance(hypothesis.length, int) and hypothesis.times
        if fixed and Distance.CHUNK not in seen and (along := _free_blocks(failed)):
            return along
        distance, report = _tried(graph, hypothesis, given)
        runs = hypothesis.times or Distance.STRIDES not in seen
        right = (Distance.ROLLED,) if Distance.CHUNK in seen else (Distance.ROLLED, Distance.STATES)
        if report.model is not None and distance in right and runs:
            return report
        reached = 0 if isinstance(hypothesis.length, int) else _reached(graph, report.problems)
        features = any(problem.what == SUMS for problem in report.problems)  # that is what weights sum, as a rule
        rank = -reached, len(report.problems), features
        failed.append(((distance, *rank), report, hypothesis))
        if graph.work.hopeless(report.problems):
            break
    (nearness, *_), nearest, hypothesis = min(failed, key=lambda failure: failure[0])
    if nearness == Distance.HANDED and not given and (whole := _whole_sequences(failed)):
        return whole
    if nearness == Distance.CONVOLVED:
        return _only([report for (near, *_), report, _ in failed if near == nearness])
    if nearness == Distance.OPERATORS and not isinstance(hypothesis.length, int) and about_sizes(nearest.problems):
        nearest = replace(nearest, problems=(*nearest.problems, *unsized(graph, hypothesis.times)))
    return nearest


def _free_blocks(failed: Sequence[tuple[tuple[int, ...], Report, Hypothesis]]) -> Report | None:
    """A stream over a free axis whose cells run inside each frame: more likely than time on a fixed axis."""
    free = ((near, found) for (near, *_), found, read in failed if not isinstance(read.length, int))
    return next((found for near, found in free if near == Distance.BLOCKS), None)


def _whole_sequences(failed: Sequence[tuple[tuple[int, ...], Report, Hypothesis]]) -> Report | None:
    """Why no stream runs along a fixed axis that cells run along, to its end: then a step is no whole sequence."""
    return next((r for _, r, _ in failed if any(problem.what.startswith(AGAINST) for problem in r.problems)), None)


def check_window(window: int | None, hop: int | None, state: Mapping[str, str]) -> None:
    """Raise BadInput for windows that cannot be."""
    if window is not None and state:
        raise BadInput(
            f"state={dict(state)}: {NO_STATES}; leave out the window, or set the input to what it starts from"
        )
    if window is None and hop is not None:
        raise BadInput(f"hop={hop}: only a model with a window can be told how often to answer; set window, too")
    for name, n in (("window", window), ("hop", hop)):
        whole = isinstance(n, (int, np.integer)) and not isinstance(n, bool)
        if n is not None and not (whole and 1 <= n <= MOST_FRAMES):
            raise BadInput(f"{name}={n!r}: a number of frames from 1 to {MOST_FRAMES} expected")


def _on_windows(graph: Graph, window: int, hop: int) -> Report:
    """What the graph becomes on windows."""
    reading = windowed(graph, int(window), int(hop))
    if not isinstance(reading.found, Model):
        return _failed(reading.hypothesis, reading.found)
    axes = tuple((name, axis) for name, axis in reading.hypothesis.times.items() if axis is not None)
    dims = tuple((given.name, given.dims or ()) for given in graph.inputs)
    streams = (STREAMS,) if reading.streams else ()
    notes = (described(reading), *streams, *reading.notes, *_notes(graph, reading.found, Pairing({}), False))
    return Report(reading.found, (), (), reading.hypothesis.text, axes, dims, notes)


def _tried(graph: Graph, hypothesis: Hypothesis, given: Mapping[str, str]) -> tuple[Distance, Report]:
    """The graph under one hypothesis about time."""
    try:
        build = built(graph, hypothesis)
    except Wider as wider:
        what = f"strides over time make one answer of {wider.factor} frames, in a graph of {len(graph.operators)} nodes"
        remedy = f"use smaller strides: at most {MOST_FRAMES} frames, and fewer in a large graph"
        return Distance.STRIDES, _failed(hypothesis, [Problem("graph", "", what, remedy)])
    problems = build.problems if build.has_time else [*along_a_free_dimension(graph, build), *build.problems]
    astray = [] if goes_on(build) else build.in_frame
    if any(problem.what.startswith((OTHER_AXIS, SEVERAL_STEPS)) for problem in problems):
        return Distance.WRONG_AXIS, _failed(hypothesis, [*astray, *problems])
    if problems:
        return how_far(build, graph, hypothesis), _failed(hypothesis, [*astray, *problems])
    found = _with_proof(build, graph, pair(build, graph, given))
    loose = [name for name in graph.defaults if name in build.ports and name not in found.pairs]
    if loose:
        return _tried(as_constants(graph, loose), hypothesis, given)
    if anew := begun_anew(build, hypothesis, found.pairs):
        return Distance.OPERATORS_AT_FIXED_LENGTH, _failed(hypothesis, [*astray, anew])
    if unsettled := found.unsettled():
        distance = Distance.WRONG_AXIS if astray else Distance.STATES
        return distance, _failed(hypothesis, [*astray, *unsettled])
    if not build.has_time:
        found.pairs = corrected(build, graph, found.pairs, given)
    restarts = bool(found.pairs and build.states) and not build.has_time
    if restarts or found.zeroed:
        build = built(graph, hypothesis, restarts, found.zeroed, build.hop)
    model = assembled(build, graph, found.pairs)
    if isinstance(model, list):
        far = Distance.WRONG_AXIS if isinstance(hypothesis.length, int) else Distance.ASTRAY
        return far if astray else Distance.NO_RECURRENCE, _failed(hypothesis, astray or model)
    axes = tuple((name, axis) for name, axis in hypothesis.times.items() if axis is not None)
    doubts = [] if build.has_time else kept(build, graph, found, given)
    distance = of_model(build, hypothesis, bool(found.pairs))
    said = [WHOLE_CALLS] if distance == Distance.HANDED else []
    said += [GOES_ON] if build.states and not build.has_time and not restarts else []
    notes = (*build.notes, *_notes(graph, model, found, restarts), *_ones(graph, axes), *said, *doubts)
    dims = tuple((given.name, given.dims or ()) for given in graph.inputs)
    return distance, Report(model, (), tuple(found.pairs.items()), hypothesis.text, axes, dims, notes)


def _with_proof(build: Build, graph: Graph, found: Pairing) -> Pairing:
    """The pairs with what cells prove of those that are left open; what makes cells in several ways is asked about."""
    left = {**found.options, **found.provable}
    shown, makes_cells = proved(build, graph, found.pairs, left) if left else (None, False)
    if shown is None:
        return replace(found, options=left) if makes_cells else found
    asked = {name: outputs for name, outputs in found.options.items() if found.pairs and name not in shown}
    return Pairing(shown, asked, zeroed=found.zeroed, problems=found.problems)


def _ones(graph: Graph, times: Sequence[tuple[str, int]]) -> list[str]:
    """The free dimensions, but for the first, that are neither time nor a batch: they count as 1."""
    dims = {given.name: given.dims or () for given in graph.inputs}
    time = {dims[name][axis] for name, axis in times}
    left = [(name, n, dim) for name, held in dims.items() for n, dim in enumerate(held) if n and (name, n) not in times]
    said = "the free dimension '{2}', axis {1} of '{0}', is no time and counts as 1"
    named = [(name, n, dim) for name, n, dim in left if isinstance(dim, str) and dim != f"axis {n}"]
    return [said.format(*one) for one in named if one[2] not in time and not is_batch(one[2])]


def _only(found: Sequence[Report]) -> Report:
    """The one reading of a file of fixed length without recurrent layers; of several, nothing tells which is right."""
    if len(found) == 1:
        return found[0]
    what = f"nothing tells which axis is time: {'; or '.join(report.time for report in found)}"
    problem = Problem("graph", "", what, f"export with a free time axis (dynamic_shapes, dynamic_axes), or {WINDOW}")
    return Report(None, (problem,))


def _reached(graph: Graph, problems: Sequence[Problem]) -> int:
    """How many operators of the graph there are before the first one that is a problem."""
    nodes = {problem.node for problem in problems}
    return next((n for n, operator in enumerate(graph.operators) if operator.name in nodes), len(graph.operators))


def _failed(hypothesis: Hypothesis, problems: Sequence[Problem]) -> Report:
    return Report(None, tuple(problems), time=hypothesis.text)


def _notes(graph: Graph, model: Model, found: Pairing, restarts: bool) -> tuple[str, ...]:
    """What stops nothing but should be known."""
    counts = [given.name for given in graph.inputs if given.counts]
    used = {port.name for port in model.inputs} | found.pairs.keys() | {*found.zeroed, *counts}
    unused = [given.name for given in graph.inputs if given.name not in used]
    notes = [f"the input '{name}' has no effect and is left out" for name in unused]
    notes += [f"the state '{name}' starts at zero and is carried inside the stream" for name in found.zeroed]
    notes += [f"the input '{name}' is taken as the number of frames: a stream has no padding" for name in counts]
    if "fix_torch_gru" in graph.origin:
        notes.append("every GRU computes linear_before_reset=1, whatever the file says")
    notes += filter(None, [suspicion(graph)])
    narrow = any(np.dtype(given.dtype).itemsize == 2 for given in graph.inputs)
    if narrow or any(o.kind == "Cast" and o.attributes.get("to") in NARROW for o in graph.operators):
        notes.append(NARROWED)
    if restarts:
        notes.append("cells with a constant initial state start anew in every frame, as in the graph")
    return tuple(notes)
