"""Windowed: a graph that needs the whole sequence, run on the last frames again and again.

The axis that would be time is one of the frame then, which has all steps of the window; nothing is carried from one
window to the next. Which axis that is follows from what the graph does along it: each is tried as the time of a stream
too. Where every step then stands by itself, the axis is a batch. An axis that a recurrent layer runs along goes first,
then names tell. Where several are left that a window of this length may run over, the user is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from edgernn.errors import Problem, UnsupportedModel
from edgernn.importer.file.graph import Dim, Graph
from edgernn.importer.file.wire import MOST_AXES
from edgernn.importer.readings.meeting import steps_meet
from edgernn.importer.readings.reading import Evidence, Windowed, on_frames, state_input, tried
from edgernn.importer.readings.time import Hypothesis, hypotheses, is_batch
from edgernn.importer.readings.timeless import timeless
from edgernn.importer.rewrites.preset import dimension
from edgernn.importer.states.naming import follows
from edgernn.importer.states.state import pair
from edgernn.importer.walk.build import Build
from edgernn.layers.model import Model

MOST_LENGTHS, LONGEST = 8, 4096  # lengths that are tried, and steps of any
GROWTH = 4  # from one length to the next, where a longer one is looked for
SHORT = ("does not fit together", "runs over an empty axis", "makes not one turn")  # what may be wrong with few steps
STREAMS = "the graph can stream, too: without a window, its state goes on from frame to frame and each is computed once"


def windowed(graph: Graph, window: int, hop: int) -> Windowed:
    """The graph on windows of so many frames, a new one every `hop` frames, under the likeliest reading of time."""
    likely = [reading for reading in _readings(graph, window, hop) if reading.evidence]
    if not likely or likely[0].evidence < Evidence.COUNTED:
        states = _states(graph)
        if states:
            return Windowed(Hypothesis({}, 1, ""), states)
    if likely and not likely[0].settled:
        likely = _possible(graph, likely, window)
    if not likely:
        what = "no axis of an input has steps that meet, over which a window could run"
        return Windowed(Hypothesis({}, 1, ""), [Problem("graph", "", what, "convert it without a window")])
    rank = _unlikely(graph, likely[0])
    equals = [reading for reading in likely if _unlikely(graph, reading) == rank]
    fitting = [reading for reading in equals if reading.runs_on(window)]
    first = fitting[0] if fitting else likely[0]
    if rivals := _rivals(graph, first, likely, window):
        return _asked(graph, [first, *rivals])
    if not fitting:
        return Windowed(likely[0].hypothesis, [_of_other_length([r.hypothesis.length for r in equals], window)])
    if fewest := _fewest(graph, first, window, hop):
        what = f"a window of {window} frames is too short: it needs {fewest} or more"
        return replace(first, found=[Problem("graph", "", what, f"convert with window={fewest}")])
    other = None if first.works else _held_within(graph, first.hypothesis, window, hop)
    return first if other is None else Windowed(first.hypothesis, [_of_other_length([other], window)])


def _readings(graph: Graph, window: int, hop: int) -> list[Windowed]:
    """What comes of each reading of time, the likeliest first."""
    found: list[Windowed] = []
    no_frames = timeless(graph)

    @cache
    def in_one_frame() -> list[Problem]:
        """The cells that run over several steps though every free axis has one."""
        return Build(graph, 1, {}, restarts=True, window=1).in_frame

    for hypothesis in hypotheses(graph):
        if no_frames & hypothesis.times.keys():
            continue
        if hypothesis.times and not (found and isinstance(hypothesis.length, int) and found[0].settled):
            found.append(tried(graph, hypothesis, window, hop, in_one_frame))
            found.sort(key=lambda reading: _unlikely(graph, reading))
    return found


def _possible(graph: Graph, likely: list[Windowed], window: int) -> list[Windowed]:
    """The readings without those whose steps turn out to stand alone; a free axis before a length that does not fit."""
    if sum(reading.evidence > Evidence.SUMMED for reading in likely) > 1:
        likely = [reading for reading in likely if not (reading.runs_on(window) and _alone(reading))]
    if not likely or likely[0].runs_on(window):
        return likely
    free = [r for r in likely if r.works and not r.fixed and r.evidence > Evidence.SUMMED and not _batch(graph, r)]
    return free or likely


def _rivals(graph: Graph, best: Windowed, likely: Sequence[Windowed], window: int) -> list[Windowed]:
    """The readings that a window of this length may mean just as well as the best one.

    A fixed axis that is as long may be meant, or a free one over which steps meet, whatever speaks for either.
    """
    if best.settled or not best.works:
        return []
    others = [r for r in likely if r.works and r.runs_on(window) and _differ(best, r) and not _batch(graph, r)]
    doubtful = [r for r in others if r.evidence > Evidence.SUMMED and r.fixed != best.fixed and best.runs_on(window)]
    return [r for r in others if r.evidence == best.evidence or r in doubtful]


def _alone(reading: Windowed) -> bool:
    """Whether the steps of a reading stand alone, where nothing has shown that something recurs over them."""
    found, axes = reading.found, reading.hypothesis.times
    if not isinstance(found, Model) or reading.evidence is not Evidence.MEETING:
        return False
    return not steps_meet(found, [name for name, axis in axes.items() if axis is not None])


def _differ(one: Windowed, other: Windowed) -> bool:
    """Whether two readings take different axes of an input for time."""
    axes, others = one.hypothesis.times, other.hypothesis.times
    return any(axes[name] != axis for name, axis in others.items() if None not in (axis, axes.get(name)))


def _asked(graph: Graph, readings: Sequence[Windowed]) -> Windowed:
    """Several readings are as likely, and the user is to say which is meant."""
    what = f"nothing tells which axis is time: {'; or '.join(map(described, readings))}"
    dims = {given.name: given.dims or () for given in graph.inputs}
    axes = [item for r in readings if not r.fixed for item in r.hypothesis.times.items()]
    free = dict.fromkeys(dimension(name, axis, dims[name][axis]) for name, axis in axes if axis is not None)
    remedy = "export with time as the only free axis (dynamic_shapes, dynamic_axes)"
    if free:
        sets = " or ".join(f"--set {name}=1" for name in free)
        remedy = f"say which is none: {sets}; or export with the name 'time' for the free axis that is"
    return replace(readings[0], found=[Problem("graph", "", what, remedy)])


def described(reading: Windowed) -> str:
    """A reading that works in words: its window, its axis, and how large its frames are."""
    ports = reading.found.inputs if isinstance(reading.found, Model) else ()
    sizes = " and ".join(f"{port.size} of '{port.name}'" for port in ports)
    return f"{reading.hypothesis.text}: frames of {sizes}"


def _fewest(graph: Graph, reading: Windowed, window: int, hop: int) -> int | None:
    """The shortest window that is long enough, where this one is too short for its graph."""

    def long_enough(length: int) -> bool:
        try:
            found = [] if graph.work.much else on_frames(graph, reading.hypothesis, length, hop)[1]
        except UnsupportedModel:  # of a size that nothing but this length has
            return False
        return isinstance(found, Model) and all(port.size for port in found.outputs)

    if not _too_short(reading.found):
        return None
    short, enough = window, min(GROWTH * window, LONGEST)
    while not long_enough(enough):
        short, enough = enough, min(GROWTH * enough, LONGEST)
        if short == enough:
            return None
    if not long_enough(enough + 1):  # as one for a single length would not be
        return None
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if long_enough(middle) else (middle, enough)
    return enough


def _too_short(found: Model | list[Problem]) -> bool:
    """Whether a longer window may be all that a graph needs: it leaves nothing of this one, or a kernel no place."""
    if isinstance(found, Model):
        return not all(port.size for port in found.outputs)
    return all(problem.what.startswith(SHORT) for problem in found)


def _held_within(graph: Graph, hypothesis: Hypothesis, window: int, hop: int) -> int | None:
    """A length of windows that the graph's shapes hold though its inputs leave it free, where that works."""
    shapes = [held for held in graph.constants.values() if held.dtype == np.int64 and 0 < held.size <= MOST_AXES]
    lengths = {int(n) for held in shapes for n in held.reshape(-1)} - {window}
    for length in sorted((n for n in lengths if 1 < n <= LONGEST), reverse=True)[:MOST_LENGTHS]:
        if graph.work.much:
            break
        if isinstance(on_frames(graph, hypothesis, length, hop)[1], Model):
            return length
    return None


def _of_other_length(held: Sequence[int], window: int) -> Problem:
    """Why a graph for one of these lengths has no such window."""
    lengths = " or ".join(str(n) for n in dict.fromkeys(held))
    what = f"is exported for sequences of {lengths} steps, so a window of {window} cannot run over it"
    return Problem("graph", "", what, f"convert with window={lengths}, or export with a free length")


def _unlikely(graph: Graph, reading: Windowed) -> tuple[bool, int, bool, bool, bool]:
    """What comes first of several readings: an axis that something recurs over, then those that work, by evidence.

    Features, a batch and fixed lengths come last. The last axis of an image is none of features.
    """
    axes = _axes(graph, reading)
    features = reading.evidence <= Evidence.MEETING and all(n == len(held) - 1 == 2 for held, n in axes)
    first = any(len(held) > 2 and axis == 0 and isinstance(held[1], str) for held, axis in axes)
    open_to_doubt = not reading.works and reading.evidence < Evidence.COUNTED
    batch = _batch(graph, reading) or first
    return open_to_doubt, -reading.evidence, features, batch, reading.fixed


def _batch(graph: Graph, reading: Windowed) -> bool:
    """Whether it takes for time what is called a batch."""
    return any(is_batch(dims[axis]) for dims, axis in _axes(graph, reading))


def _axes(graph: Graph, reading: Windowed) -> list[tuple[tuple[Dim, ...], int]]:
    """The dimensions of each input that has time in a reading, and which of them is time."""
    dims = {given.name: given.dims or () for given in graph.inputs}
    return [(dims[name], axis) for name, axis in reading.hypothesis.times.items() if axis is not None]


def _states(graph: Graph) -> list[Problem]:
    """The states of a step graph, by their names."""
    if not any(follows(given.name, output) for given in graph.inputs for output in graph.outputs):
        return []
    step = Build(graph, 1, {})
    pairs = {} if step.problems else pair(step, graph, {}).pairs
    return [state_input(name, "convert without a window") for name, output in pairs.items() if follows(name, output)]
