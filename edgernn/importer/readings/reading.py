"""Reading: what becomes of a graph on windows with one axis of its inputs as time, and what speaks for that axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from edgernn.errors import Problem
from edgernn.importer.file.dims import Symbol
from edgernn.importer.file.graph import Dim, Graph
from edgernn.importer.model.assemble import assembled, goes_on
from edgernn.importer.readings.again import built
from edgernn.importer.readings.time import Hypothesis
from edgernn.importer.states.ends import Ends
from edgernn.importer.walk.build import Build
from edgernn.importer.walk.signals import Wider
from edgernn.layers.axes import SUMS
from edgernn.layers.model import Model
from edgernn.layers.recurrent import AGAINST, SEVERAL_STEPS

TIMES = ("t", "time", "frames", "steps", "seq", "sequence", "length", "seq_len", "seq_length", "sequence_length")
NO_STATES = "on windows nothing is carried"


class Evidence(IntEnum):
    """What speaks for an axis, from nothing (a batch) to the proof that something recurs over it.

    SUMMED: constant weights sum its steps, as they do with features. MEETING: its steps meet, or nothing is known of
    them. SLIDING: a stream would run along it. COUNTED: something recurs over as many steps. NAMED: its name.
    """

    NONE = 0
    SUMMED = 1
    MEETING = 2
    SLIDING = 3
    COUNTED = 4
    NAMED = 5
    RECURRING = 6


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

    @property
    def works(self) -> bool:
        """Whether there is a Model."""
        return isinstance(self.found, Model)

    @property
    def settled(self) -> bool:
        """Whether no other reading needs to be tried."""
        return self.works and not self.fixed and self.evidence >= Evidence.NAMED

    def runs_on(self, window: int) -> bool:
        """Whether the graph takes sequences as long as the window."""
        return not self.fixed or self.hypothesis.length == window


def tried(graph: Graph, hypothesis: Hypothesis, window: int, hop: int, others: Callable[[], list[Problem]]) -> Windowed:
    """One reading: one for a fixed length has a window of that length.

    `others`: gives the cells that run over several steps though every free axis has one.
    """
    build, found = on_frames(graph, hypothesis, window, hop)
    steps = build.window
    counted = [problem for problem in build.in_frame if problem.what == f"{SEVERAL_STEPS}: {steps}"]
    evidence, streams = _along(graph, hypothesis)
    if evidence and counted and isinstance(hypothesis.length, int):
        evidence = max(evidence, Evidence.COUNTED)
    elif evidence and counted and any(problem not in others() for problem in counted):
        evidence = Evidence.RECURRING
    text = f"windows of {steps} frames, {hypothesis.text}"
    return Windowed(replace(hypothesis, text=text), found, evidence, streams, tuple(build.notes))


def on_frames(graph: Graph, hypothesis: Hypothesis, window: int, hop: int) -> tuple[Build, Model | list[Problem]]:
    """(the walk over the graph on so many frames, which are those of a fixed length, what comes of it)."""
    steps = window if isinstance(hypothesis.length, Symbol) else hypothesis.length
    build = Build(graph, steps, hypothesis.times, restarts=True, hop=hop, window=steps)
    return build, build.problems or _starts(build, graph, hypothesis) or assembled(build, graph, {})


def _along(graph: Graph, hypothesis: Hypothesis) -> tuple[Evidence, bool]:
    """What a stream along this axis would be like, and whether there is one."""
    dims = {given.name: given.dims or () for given in graph.inputs}
    names = [dims[name][axis] for name, axis in hypothesis.times.items() if axis is not None]
    named = Evidence.NAMED if any(_is_time(n) for n in names) else Evidence.NONE
    try:
        build = built(graph, hypothesis)
    except Wider:
        return max(named, Evidence.SLIDING), False
    if any(problem.what.startswith(AGAINST) for problem in build.problems):
        return Evidence.RECURRING, False
    if build.problems:
        summed = any(problem.what == SUMS for problem in build.problems)
        return max(named, Evidence.SUMMED if summed else Evidence.MEETING), False
    if goes_on(build):
        return Evidence.RECURRING, True
    values = [value for name in graph.outputs if (value := build.values[name]) is not None]
    alone = all(value.const is not None or (value.time is not None and not value.past) for value in values)
    alone = alone and not build.states and build.hop == 1
    return Evidence.NONE if alone else max(named, Evidence.SLIDING), False


def _starts(build: Build, graph: Graph, hypothesis: Hypothesis) -> list[Problem]:
    """Inputs that a cell starts from: states, which a window does not have."""
    if not build.starting:
        return []
    ends = Ends(build, graph)
    whole = [name for name in ends.inputs if name not in hypothesis.times]
    states = [name for name in whole if any(len(ends.within(name, start)[0]) for start in build.starting)]
    remedy = "convert without a window, or start each window from zero: --set {}=0"
    return [state_input(name, remedy.format(name)) for name in states]


def state_input(name: str, remedy: str) -> Problem:
    """An input that a window cannot have, since it is a state."""
    return Problem(name, "input", f"is a state, but {NO_STATES}", remedy)


def _is_time(dim: Dim) -> bool:
    return isinstance(dim, str) and (dim.lower() in TIMES or dim.lower().startswith("time"))
