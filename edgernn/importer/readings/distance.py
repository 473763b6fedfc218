"""Distance: how far a reading of time was from the truth."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from edgernn.errors import Problem
from edgernn.importer.file.graph import Graph
from edgernn.importer.model.assemble import goes_on
from edgernn.importer.readings.time import Hypothesis
from edgernn.importer.rewrites.preset import about_sizes, free_dimensions
from edgernn.importer.walk.build import Build
from edgernn.importer.walk.rollup import FEWEST
from edgernn.importer.walk.unrolled import UNROLLED, repeats
from edgernn.layers.axes import RATES
from edgernn.layers.recurrent import BACKWARDS
from edgernn.layers.sequence import Cell


class Distance(IntEnum):
    """How far a hypothesis about time was from the truth: the nearest one is reported.

    STRIDES: its strides do not work out, but they show that it is time which runs there: the graph is no step graph.
    CHUNK: it gives a Model, but a step that holds one computation several times, as an unrolled graph does.
    BLOCKS: it gives a Model, but one whose cells take several steps a frame and start anew in each.
    HANDED: it gives a Model, but a step graph whose cells take several steps a frame and hand their states on.
    CONVOLVED: it gives one of a file of fixed length that holds nothing but past frames.
    ASTRAY: it gives none, since nothing but cells of that kind is left.
    """

    STRIDES = 0
    CHUNK = 1
    BLOCKS = 2
    HANDED = 3
    ROLLED = 4
    STATES = 5
    UNROLLED = 6
    OPERATORS = 7
    CONVOLVED = 8
    NO_RECURRENCE = 9
    ASTRAY = 10
    OPERATORS_AT_FIXED_LENGTH = 11
    WRONG_AXIS = 12


def of_model(build: Build, hypothesis: Hypothesis, pairs: bool) -> Distance:
    """How far a hypothesis was that gives a Model."""
    if build.moments.unrolled:
        return Distance.ROLLED
    if build.in_frame and not goes_on(build):
        within = {problem.node for problem in build.in_frame}
        handed = not build.has_time and any(start.node in within for start in build.starting)
        return Distance.HANDED if handed else Distance.BLOCKS
    if pairs and not hypothesis.times and repeats(build, FEWEST):
        return Distance.CHUNK
    plain = isinstance(hypothesis.length, int) and build.has_time and not goes_on(build)
    return Distance.CONVOLVED if plain else Distance.STATES


def how_far(build: Build, graph: Graph, hypothesis: Hypothesis) -> Distance:
    """How far a hypothesis was under which some operators cannot stream."""
    if build.in_frame and not goes_on(build):
        return Distance.WRONG_AXIS
    if not hypothesis.times and about_sizes(build.problems) and free_dimensions(graph):
        return Distance.ASTRAY
    fixed = isinstance(hypothesis.length, int)
    if not fixed and any(problem.what.startswith(RATES) for problem in build.problems):
        return Distance.STRIDES
    if any(problem.what.startswith(UNROLLED) for problem in build.problems):
        return Distance.UNROLLED
    shown = build.moments.unrolled or any(problem.what.startswith(BACKWARDS) for problem in build.problems)
    return Distance.OPERATORS_AT_FIXED_LENGTH if build.has_time and fixed and not shown else Distance.OPERATORS


def begun_anew(build: Build, hypothesis: Hypothesis, pairs: Mapping[str, str]) -> Problem | None:
    """What is wrong with time along an axis of fixed length, from one call to the next of which states go on.

    Whatever else reaches back from frame to frame starts anew in every call, which a stream would not do; but for the
    other state of a cell of which one goes on.
    """
    if not isinstance(hypothesis.length, int) or not hypothesis.times or not pairs:
        return None
    own = {state.name for state in build.states}
    starts = [{*node.inputs[1:]} for node in build.nodes if isinstance(node.layer, Cell)]
    own -= {name for held in starts if not held <= own for name in held}
    if not own and hypothesis.length % build.hop == 0:
        return None
    held = ", ".join(f"'{name}'" for name in sorted(own)[:3]) or f"the {build.hop} frames of an answer"
    what = f"a call of {hypothesis.length} frames goes on in {', '.join(pairs)} from the one before; {held} begins anew"
    return Problem("graph", "", what, "export with a free time axis, or with all that goes on as states")
