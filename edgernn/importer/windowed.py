"""Windowed: a graph that needs the whole sequence, run on the last frames again and again.

The axis that would be time is one of the frame then, which has all steps of the window; nothing is carried from one
window to the next. Which axis that is follows from what the graph does along it: each is tried as the time of a stream
too. Where every step then stands by itself, the axis is a batch. An axis that a recurrent layer runs along goes first,
then names tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.again import built
from edgernn.importer.assemble import assembled, goes_on
from edgernn.importer.build import Build
from edgernn.importer.dims import Symbol
from edgernn.importer.ends import Ends
from edgernn.importer.graph import Dim, Graph
from edgernn.importer.signals import Wider
from edgernn.importer.state import follows, pair
from edgernn.importer.time import Hypothesis, hypotheses, is_batch
from edgernn.importer.timeless import timeless
from edgernn.importer.wire import MOST_AXES
from edgernn.layers.model import Model
from edgernn.layers.recurrent import BACKWARDS, SEVERAL_STEPS

TIMES = ("t", "time", "frames", "steps", "seq", "sequence", "length", "seq_len", "seq_length", "sequence_length")
MOST_LENGTHS, LONGEST = 8, 4096  # lengths that are tried, and steps of any
STREAMS = "the graph can stream, too: without a window, its state goes on from frame to frame and each is computed once"
NO_STATES = "on windows nothing is carried"


class Evidence(IntEnum):
    """What speaks for an axis: nothing (a batch), that its steps meet, its name, that something recurs over it."""

    NONE = 0
    MEETING = 1
    NAMED = 2
    RECURRING = 3


@dataclass(frozen=True)
class Windowed:
    """What came of one reading of the graph: a Model or its problems."""

    hypothesis: Hypothesis
    found: Model | list[Problem]
    evidence: Evidence = Evidence.NONE
    streams: bool = False  # whether the graph could do without a window
    notes: tuple[str, ...] = ()

    @property
    def fixed(self) -> bool:
        """Whether the file has a length."""
        return not isinstance(self.hypothesis.length, Symbol)


def windowed(graph: Graph, window: int, hop: int) -> Windowed:
    """The graph on windows of so many frames, a new one every `hop` frames, under the likeliest reading of time."""
    tried: list[Windowed] = []
    no_frames = timeless(graph)
    for hypothesis in hypotheses(graph):
        if no_frames & hypothesis.times.keys():
            continue
        if hypothesis.times and not (tried and isinstance(hypothesis.length, int) and _settled(tried[0])):
            tried.append(_tried(graph, hypothesis, window, hop))
            tried.sort(key=lambda reading: _unlikely(graph, reading))
    likely = [reading for reading in tried if reading.evidence]
    if not likely or likely[0].evidence < Evidence.RECURRING:
        states = _states(graph)
        if states:
            return Windowed(Hypothesis({}, 1, ""), states)
    if not likely:
        what = "no axis of an input has steps that meet, over which a window could run"
        return Windowed(Hypothesis({}, 1, ""), [Problem("graph", "", what, "convert it without a window")])
    rank = _unlikely(graph, likely[0])
    equals = [reading for reading in likely if _unlikely(graph, reading) == rank]
    fitting = [reading for reading in equals if not reading.fixed or reading.hypothesis.length == window]
    if not fitting:
        return Windowed(likely[0].hypothesis, [_of_other_length(equals, window)])
    other = None if isinstance(fitting[0].found, Model) else _held_within(graph, fitting[0].hypothesis, window, hop)
    return fitting[0] if other is None else Windowed(fitting[0].hypothesis, [_of_other_length([other], window)])


def _held_within(graph: Graph, hypothesis: Hypothesis, window: int, hop: int) -> Windowed | None:
    """The graph on windows of a length that its shapes hold though its inputs leave it free, where that works."""
    shapes = [held for held in graph.constants.values() if held.dtype == np.int64 and 0 < held.size <= MOST_AXES]
    lengths = {int(n) for held in shapes for n in held.reshape(-1)} - {window}
    for length in sorted((n for n in lengths if 1 < n <= LONGEST), reverse=True)[:MOST_LENGTHS]:
        if graph.work.much:
            break
        reading = _tried(graph, hypothesis, length, hop)
        if isinstance(reading.found, Model):
            return replace(reading, hypothesis=replace(hypothesis, length=length))
    return None


def _settled(reading: Windowed) -> bool:
    """Whether no other reading needs to be tried."""
    return isinstance(reading.found, Model) and reading.evidence > Evidence.MEETING


def _of_other_length(readings: Sequence[Windowed], window: int) -> Problem:
    """Why a graph for a fixed length has no such window."""
    lengths = " or ".join(str(n) for n in dict.fromkeys(reading.hypothesis.length for reading in readings))
    what = f"is exported for sequences of {lengths} steps, so a window of {window} cannot run over it"
    return Problem("graph", "", what, f"convert with window={lengths}, or export with a free length")


def _unlikely(graph: Graph, reading: Windowed) -> tuple[bool, bool, int, bool, bool, bool]:
    """What comes first of several readings: an axis that something recurs over, then those that work, by evidence.

    Features, a batch and fixed lengths come last.
    """
    dims = {given.name: given.dims or () for given in graph.inputs}
    axes = [(dims[name], axis) for name, axis in reading.hypothesis.times.items() if axis is not None]
    batch = any(is_batch(held[axis]) for held, axis in axes)
    features = all(len(held) > 2 and axis == len(held) - 1 for held, axis in axes)
    first = any(len(held) > 2 and axis == 0 and isinstance(held[1], str) for held, axis in axes)
    works = isinstance(reading.found, Model)
    open_to_doubt = not works and reading.evidence < Evidence.RECURRING
    return features and reading.fixed, open_to_doubt, -reading.evidence, features, batch or first, reading.fixed


def _is_time(dim: Dim) -> bool:
    return isinstance(dim, str) and (dim.lower() in TIMES or dim.lower().startswith("time"))


def _tried(graph: Graph, hypothesis: Hypothesis, window: int, hop: int) -> Windowed:
    """One reading: one for a fixed length has a window of that length."""
    steps = window if isinstance(hypothesis.length, Symbol) else hypothesis.length
    build = Build(graph, steps, hypothesis.times, restarts=True, hop=hop, window=steps)
    recurs = any(problem.what == f"{SEVERAL_STEPS}: {steps}" for problem in build.in_frame)
    found = build.problems or _starts(build, graph, hypothesis) or assembled(build, graph, {})
    evidence, streams = _along(graph, hypothesis)
    evidence = Evidence.RECURRING if recurs and evidence else evidence
    text = f"windows of {steps} frames, {hypothesis.text}"
    return Windowed(replace(hypothesis, text=text), found, evidence, streams, tuple(build.notes))


def _along(graph: Graph, hypothesis: Hypothesis) -> tuple[Evidence, bool]:
    """What a stream along this axis would be like, and whether there is one."""
    dims = {given.name: given.dims or () for given in graph.inputs}
    names = [dims[name][axis] for name, axis in hypothesis.times.items() if axis is not None]
    meeting = Evidence.NAMED if any(_is_time(n) for n in names) else Evidence.MEETING
    try:
        build = built(graph, hypothesis)
    except Wider:
        return meeting, False
    if any(problem.what.startswith(BACKWARDS) for problem in build.problems):
        return Evidence.RECURRING, False
    if build.problems:
        return meeting, False
    if goes_on(build):
        return Evidence.RECURRING, True
    values = [value for name in graph.outputs if (value := build.values[name]) is not None]
    alone = all(value.const is not None or (value.time is not None and not value.past) for value in values)
    return Evidence.NONE if alone and not build.states else meeting, False


def _starts(build: Build, graph: Graph, hypothesis: Hypothesis) -> list[Problem]:
    """Inputs that a cell starts from: states, which a window does not have."""
    if not build.starting:
        return []
    ends = Ends(build, graph)
    whole = [name for name in ends.inputs if name not in hypothesis.times]
    states = [name for name in whole if any(len(ends.within(name, start)[0]) for start in build.starting)]
    remedy = "convert without a window, or start each window from zero: --set {}=0"
    return [_state(name, remedy.format(name)) for name in states]


def _states(graph: Graph) -> list[Problem]:
    """The states of a step graph, by their names."""
    if not any(follows(given.name, output) for given in graph.inputs for output in graph.outputs):
        return []
    step = Build(graph, 1, {})
    pairs = {} if step.problems else pair(step, graph, {}).pairs
    return [_state(name, "convert without a window") for name, output in pairs.items() if follows(name, output)]


def _state(name: str, remedy: str) -> Problem:
    return Problem(name, "input", f"is a state, but {NO_STATES}", remedy)
