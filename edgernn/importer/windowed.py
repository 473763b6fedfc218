"""Windowed: a graph that needs the whole sequence, run on the last frames again and again.

The axis that would be time is one of the frame then, which has all steps of the window; nothing is carried from one
window to the next. Which axis that is follows from what runs over it; where nothing recurrent does, from its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgernn.errors import Problem
from edgernn.importer.assemble import assembled
from edgernn.importer.build import Build
from edgernn.importer.dims import Symbol
from edgernn.importer.graph import Graph
from edgernn.importer.time import Hypothesis, hypotheses
from edgernn.layers.model import Model
from edgernn.layers.recurrent import SEVERAL_STEPS

BATCHES = ("b", "bs", "n")  # names of a batch, beside those that begin with "batch"


@dataclass(frozen=True)
class Windowed:
    """What came of one reading of the graph: a Model or its problems."""

    hypothesis: Hypothesis
    found: Model | list[Problem]
    recurs: bool  # whether a recurrent layer runs over the whole window


def windowed(graph: Graph, window: int, hop: int) -> Windowed:
    """The graph on windows of so many frames, a new one every `hop` frames, under the likeliest reading of time."""
    tried = [_tried(graph, hypothesis, window, hop) for hypothesis in _readings(graph, window)]
    if not tried:
        what = f"no input has a free dimension, or one of {window}, over which a window could run"
        return Windowed(
            Hypothesis({}, 1, ""), [Problem("graph", "", what, "give the length that it was exported for")], False
        )
    good = [reading for reading in tried if isinstance(reading.found, Model)]
    return next((reading for reading in good if reading.recurs), (good or tried)[0])


def _readings(graph: Graph, window: int) -> Iterator[Hypothesis]:
    """The hypotheses about time under which the sequence can have this length; a batch last."""
    fits = [h for h in hypotheses(graph) if h.times and (isinstance(h.length, Symbol) or h.length == window)]
    yield from sorted(fits, key=lambda hypothesis: _is_batch(graph, hypothesis))


def _is_batch(graph: Graph, hypothesis: Hypothesis) -> bool:
    dims = {given.name: given.dims or () for given in graph.inputs}
    names = (dims[name][axis] for name, axis in hypothesis.times.items() if axis is not None)
    return any(isinstance(n, str) and (n.lower().startswith("batch") or n.lower() in BATCHES) for n in names)


def _tried(graph: Graph, hypothesis: Hypothesis, window: int, hop: int) -> Windowed:
    build = Build(graph, window, hypothesis.times, restarts=True, hop=hop, window=window)
    recurs = any(problem.what == f"{SEVERAL_STEPS}: {window}" for problem in build.in_frame)
    found = build.problems or assembled(build, graph, {})
    return Windowed(replace(hypothesis, text=f"windows of {window} frames, {hypothesis.text}"), found, recurs)
