"""Moments: nodes that pick single steps of a sequence.

In a loop they pick the step that it is in, which is this frame. Outside of loops the last step is this frame; a stream
cannot give the others. These are not refused at once, since a graph may take no more than the shape of such a step, or
may hold the same computation once for each step (see `unrolled`): a step is built as if it were this frame, and what is
made of it is refused where an output needs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.file import symbolic
from edgernn.importer.file.dims import MOST, Symbol
from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.attention import MOVES, Pending, attended
from edgernn.importer.walk.filling import written
from edgernn.importer.walk.steps import Now
from edgernn.layers.axes import surely
from edgernn.layers.base import volume
from edgernn.layers.recurrent import OTHER_AXIS
from edgernn.layers.reshape import Reshape
from edgernn.layers.rhythm import CUT_OFF, PAD_FRONT, WINDOW, at_end, delayed, ready, settled, steps_of
from edgernn.layers.rules import RULES, Value
from edgernn.layers.slices import END, begun_with

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

Inputs = Sequence[Value | None]
KEEP_LAST = f"a stream can keep every step, or give the last one (index -1); or {WINDOW}"


@dataclass
class Moments:
    """What is known of single steps while a graph is walked through."""

    steps: dict[str, int | None] = field(default_factory=dict)  # value -> which step of a sequence of fixed length
    away: set[str] = field(default_factory=set)  # values that are another step than this frame
    tainted: dict[str, Problem] = field(default_factory=dict)  # value computed from such a one -> why it can't be had
    late: set[str] = field(default_factory=set)  # values that are known at the end of the sequence only
    heads: dict[str, Value] = field(default_factory=dict)  # value of the first steps -> the sequence that ends there
    taken: dict[Value, None] = field(default_factory=dict)  # sequences of fixed length that are taken apart
    count: int = 0  # of how many steps these are
    rolls: dict[str, str] = field(default_factory=dict)  # value of the second to last step -> the state that it is
    unrolled: bool = False  # whether steps were rolled up
    joined: int = 0  # how many sequences were joined from single steps
    unlike: str = ""  # why others could not be
    inside: bool = False  # in the body of a loop
    now: Value | None = None  # the first sequence that the body has read
    pending: dict[str, Pending] = field(default_factory=dict)  # softmaxes over time, and products with them
    filled: set[str] = field(default_factory=set)  # steps that are written into a tensor of all steps

    def read(self, g: Build, x: Value) -> Value:
        """A sequence as the body of a loop reads it: all of them have one delay."""
        if x.const is not None:
            return x
        if steps_of(x) > 1:
            g.refuse(
                f"reads a sequence of which {steps_of(x)} steps come at once",
                f"stride or pool after the loop, or {WINDOW}",
            )
        x = settled(g, x) if self.now is None else ready(g, x)
        x = delayed(g, x, max(0, (self.now or x).delay - x.delay))
        self.now = self.now or x
        if self.now.delay != x.delay:
            g.refuse("reads sequences that come with different delays", f"give them one padding, or {WINDOW}")
        return x

    def problem(self, values: Iterable[str]) -> Problem | None:
        """Why one of these values cannot be had."""
        if not self.tainted:
            return None
        return next((self.tainted[name] for name in values if name in self.tainted), None)

    def follow(self, values: Iterable[str], made: Iterable[str]) -> None:
        """Note that one value is made of others."""
        if (problem := self.problem(values)) is not None:
            self.tainted.update(dict.fromkeys(made, problem))


def picked(g: Build, operator: Operator, inputs: Inputs) -> Sequence[Value | None] | None:
    """What a node gives that picks single steps of a sequence; None for every other node."""
    data = inputs[0] if inputs else None
    if data is None or not data.shape or operator.kind not in PICKING:
        return None
    return PICKING[operator.kind](g, operator, data, inputs)


def _gathered(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Gather of one step."""
    index = inputs[1] if len(inputs) > 1 else None
    if index is None or index.const is None or index.time is not None or index.const.size != 1:
        return None
    axis, step = int(operator.attributes.get("axis", 0)), _plain(index.const.reshape(-1)[0])
    if axis % len(data.shape) != data.time:
        _check_axis(g, data, step)
        return None
    problem = _asked(
        g, operator, data, step, f"takes step [{step}]", f"a stream can give the last step only (index -1); or {WINDOW}"
    )
    last = g.constant(np.full(index.const.shape, -1))
    return [_noted(g, RULES["Gather"](g, _now(g, data, step), last, axis=axis), data, step, problem)]


def _sliced(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Slice of one step, maybe cutting other axes as well."""
    cuts = _cuts(operator, inputs, len(data.shape))
    if cuts is None:
        return None
    if all(_everything(*cut) for cut in cuts):
        return [data]
    for cut, (low, high, axis, stride) in enumerate(cuts):
        if axis != data.time:
            _check_axis(g, data, low)
        elif stride == 1 and (step := _only_step(data, low, high)) is not None:
            problem = _asked(g, operator, data, step, f"takes steps {low}:{high}:{stride}", KEEP_LAST)
            cuts[cut] = (-1, END, axis, 1)
            columns = [g.constant(symbolic.settled(list(column))) for column in zip(*cuts, strict=True)]
            made = _noted(g, RULES["Slice"](g, _now(g, data, step), *columns), data, step, problem)
            if len(cuts) == 1 and surely(step, 0):
                g.moments.heads[made.name] = replace(data, length=1)
            return [made]
        elif cuts == [(0, high, axis, 1)] and isinstance(high, int) and high > 1 and not isinstance(data.length, int):
            return [_first(g, data, high)]
    return None


def _first(g: Build, data: Value, count: int) -> Value:
    """The first few steps of a sequence of any length, which may go before others and nowhere else."""
    if g.moments.inside:
        g.refuse(f"takes steps 0:{count}:1 of the sequence in every step of a loop", f"read every step, or {WINDOW}")
    (made,) = g.add(Reshape(data.shape), data, time=data.time, dtype=data.dtype)
    g.taint(made, f"takes steps 0:{count}:1 of the sequence", KEEP_LAST)
    g.moments.heads[made.name] = replace(data, length=count)
    return replace(made, length=count)


def _cuts(operator: Operator, inputs: Inputs, rank: int) -> list[tuple[Any, Any, int, Any]] | None:
    """(start, end, axis, step) of each axis that a Slice cuts; None where they are no constants."""
    held: dict[str, list[Any]] = {}
    for place, name in enumerate(("starts", "ends", "axes", "steps"), 1):
        given = inputs[place] if place < len(inputs) else None
        if given is not None and (given.const is None or given.time is not None):
            return None
        if given is not None and given.const is not None:
            held[name] = list(given.const.reshape(-1))
        elif name in operator.attributes:
            held[name] = list(operator.attributes[name])
    starts, ends = held.get("starts", []), held.get("ends", [])
    axes, steps = held.get("axes", list(range(len(starts)))), held.get("steps", [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return None
    cuts = zip(starts, ends, axes, steps, strict=True)
    return [(_plain(low), _plain(high), int(axis) % rank, _plain(step)) for low, high, axis, step in cuts]


def _plain(n: Any) -> Any:
    return n if isinstance(n, Symbol) else int(n)


def _everything(low: Any, high: Any, _: int, stride: Any) -> bool:
    """Whether a cut takes all that there is along its axis."""
    known = not any(isinstance(n, Symbol) for n in (low, high, stride))
    return known and (low, stride) == (0, 1) and high >= MOST


def _only_step(x: Value, low: Any, high: Any) -> Any:
    """The step that low:high takes out of a sequence; None where that may be none or several."""
    if isinstance(low, Now) or isinstance(high, Now):
        return low if surely(high - low, 1) else None
    if surely(low, -1) and (surely(high, x.length) or surely(min(high, END), END)):
        return -1
    if not surely(high - low, 1) and not (surely(x.length - low, 1) and not isinstance(high, Symbol) and high >= END):
        return None
    return low


def _split(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Split of a sequence of fixed length into its steps."""
    axis, count = int(operator.attributes.get("axis", 0)) % len(data.shape), len(operator.outputs)
    given = inputs[1] if len(inputs) > 1 else None
    sizes = operator.attributes.get("split", [1] * count) if given is None or given.const is None else given.const
    if axis != data.time or not surely(data.length, count) or any(int(n) != 1 for n in sizes):
        return None
    cut = [g.constant(np.array([n])) for n in (-1, END, axis)]
    problems = [_asked(g, operator, data, step, f"takes step [{step}]", KEEP_LAST) for step in range(count)]
    return [
        _noted(g, RULES["Slice"](g, _now(g, data, step), *cut), data, step, problems[step]) if name else None
        for step, name in enumerate(operator.outputs)
    ]


def _joined(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Concat of pieces along time of which one is the first steps of a sequence."""
    pieces = [g.moments.heads.get(x.name, x) for x in inputs if x is not None]
    if all(piece is x for piece, x in zip(pieces, inputs, strict=False)):
        return None
    axis = int(operator.attributes.get("axis", 0)) % len(data.shape)
    if len(pieces) != len(inputs) or any(piece.time not in (None, axis) for piece in pieces):
        return None
    lead = list(itertools.takewhile(_is_first_step, pieces[:-1]))
    x, *after = pieces[len(lead) :]
    if lead and not x.begins and all(piece.name == x.name for piece in lead):
        pieces = [begun_with(g, x, sum(piece.length for piece in lead), "edge"), *after]
    made: Any = RULES["Concat"](g, *pieces, axis=axis) if len(pieces) > 1 else pieces[0]
    return [made]


def _is_first_step(x: Value) -> bool:
    """Whether x is nothing but the first step of a sequence, once or several times."""
    return isinstance(x.length, int) and x.begins == (x.length - 1,) * (x.length - 1)


def _spread(g: Build, operator: Operator, data: Value, inputs: Inputs) -> Sequence[Value | None] | None:
    """ONNX Expand or Tile of the first step of a sequence, which may go before others several times."""
    head = g.moments.heads.get(data.name)
    if head is None or head.time is None or not _is_first_step(head) or len(inputs) != 2:
        return None
    made: Any = RULES[operator.kind](g, data, inputs[1])
    steps = made.shape[head.time] if len(made.shape) == len(data.shape) else 1
    if steps > 1 and volume(made.shape) == steps * volume(data.shape):
        g.moments.heads[made.name] = begun_with(g, head, steps - 1, "edge")
    return [made]


PICKING: dict[str, Callable[[Any, Operator, Value, Inputs], Sequence[Value | None] | None]] = {
    "Concat": _joined,
    "Gather": _gathered,
    "Slice": _sliced,
    "Split": _split,
    **dict.fromkeys(("Expand", "Tile"), _spread),
    **dict.fromkeys(("ScatterElements", "ScatterND"), written),
    **dict.fromkeys(("MatMul", "Mul", "ReduceSum", "Softmax", *MOVES), attended),
}


def _asked(g: Build, operator: Operator, data: Value, step: Any, what: str, remedy: str) -> Problem:
    """Why a stream cannot give this step, should it be none that it can give; refused where that is known by now."""
    if isinstance(step, Now):
        if not surely(step, Now(step.length)):
            g.refuse(
                f"reads step {step} of a sequence in step now of a loop", f"read every step in its turn, or {WINDOW}"
            )
    elif g.moments.inside:
        g.refuse(f"{what} of the sequence in every step of a loop", f"read every step in its turn, or {WINDOW}")
    elif isinstance(step, int) and isinstance(data.length, int) and not -data.length <= step < data.length:
        g.refuse(f"{what} of a sequence of {data.length} steps")
    elif (surely(step, -1) or surely(step, data.length - 1)) and not at_end(g, data):
        return Problem(operator.name, operator.kind, f"takes the last step, but {CUT_OFF}", PAD_FRONT)
    return Problem(operator.name, operator.kind, f"{what} of the sequence", remedy)


def _now(g: Build, data: Value, step: Any) -> Value:
    """The sequence of which the newest step is taken: in a loop, the step that it is in, which need not be the last."""
    if not isinstance(step, Now):
        apart = ((isinstance(g.length, int) and steps_of(data) == 1) or surely(step, 0)) and not at_end(g, data)
        return replace(data, delay=0, length=g.length // g.hop * steps_of(data)) if apart else data
    if not surely(step.length, data.length):
        g.refuse(
            f"runs over {step.length} steps of a sequence of {data.length}",
            f"loop over the whole sequence, or {WINDOW}",
        )
    return replace(g.moments.read(g, data), delay=0, length=g.length // g.hop)


def _noted(g: Build, made: Any, data: Value, step: Any, problem: Problem) -> Value:
    """What a rule made of the last step, as the step that it stands for."""
    frame: Value = made
    if isinstance(step, Now):
        return replace(frame, final=False)
    if isinstance(step, int) and step < 0:
        step = step + data.length
    if isinstance(g.length, int) and steps_of(data) == 1 and data.delay >= 0:
        g.moments.count = g.moments.count or data.length
        if data.length == g.moments.count:
            g.moments.steps[frame.name] = int(step)
            g.moments.taken[data] = None
    if not surely(step, data.length - 1) or not at_end(g, data):
        g.moments.away.add(frame.name)
        g.moments.tainted[frame.name] = problem
    return frame


def _check_axis(g: Build, data: Value, step: Any) -> None:
    """Refuse a loop that walks along another axis than time."""
    if not isinstance(step, Now):
        return
    if data.const is not None and data.time is None:
        g.refuse(
            "picks from a constant by the number of the step",
            f"export without it: a stream has no first step; or {WINDOW}",
        )
    g.refuse(OTHER_AXIS, "feed time on the axis that the loop reads along")
