"""Concat: values side by side along one axis; along time, pieces of a sequence one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgernn.layers.axes import normal
from edgernn.layers.broadcast import broadcast_time
from edgernn.layers.join import Join
from edgernn.layers.rhythm import FROM_END, WINDOW, continued
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.slices import padded
from edgernn.layers.take import repeated

MOST_STEPS = 64  # that differ from each other before a sequence


@rule("Concat")
def concat(g: Importing, *inputs: Value, axis: int) -> Value:
    """ONNX Concat along any axis; along time: a sequence with a few steps before it."""
    along = normal(g, axis, len(inputs[0].shape))
    if len({len(v.shape) for v in inputs}) != 1:
        g.refuse("the inputs differ in their number of axes")
    if any(v.time == along for v in inputs):
        return _in_turn(g, inputs, along)
    ready, time = broadcast_time(g, inputs)
    rest = {(*v.shape[:along], *v.shape[along + 1 :]) for v in ready if v.const is None or v.time is None}
    if len(rest) > 1:
        g.refuse(f"the shapes {[list(v.shape) for v in inputs]} do not fit each other along axis {along}")
    kept = [v for v in ready if v.shape[along]]
    if len(kept) == 1:
        return kept[0]
    steps = max((v.shape[time] for v in kept), default=1) if time is not None else 1
    kept = [repeated(v, time, steps) for v in kept]
    (y,) = g.add(Join(along), *kept, time=time, dtype=inputs[0].dtype)
    return y


def _in_turn(g: Importing, pieces: Sequence[Value], along: int) -> Value:
    """A sequence, the few steps before it, and what comes after it, which a stream must not get to see."""
    place = _longest(g, pieces)
    parts = [part for piece in pieces[:place] for part in _parts(g, piece, along)]
    after = [piece.shape[along] if piece.time is None else piece.length for piece in pieces[place + 1 :]]
    starts = [0]
    for _, steps in parts:
        starts.append(starts[-1] + steps)
    y = padded(g, pieces[place], starts[-1], sum(after))
    for (part, steps), start in reversed(list(zip(parts, starts, strict=False))):
        if part.const is None or part.const.any():  # before its first step a sequence is zero by itself
            y = continued(g, replace(padded(g, part, start, 0), length=y.length), y, start + steps)
    return y


def _longest(g: Importing, pieces: Sequence[Value]) -> int:
    """Which piece is the sequence, beside which all others are a few steps long."""
    timed = [place for place, v in enumerate(pieces) if v.time is not None and v.const is None]
    endless = [place for place in timed if not isinstance(pieces[place].length, int)]
    place = endless[0] if endless else max(timed, key=lambda place: pieces[place].length, default=-1)
    fits = all(v.time is not None or (v.const is not None and v.const.dtype != object) for v in pieces[: place + 1])
    others = [v for n, v in enumerate(pieces) if n != place and v.time is not None]
    if any(v.final for v in pieces[: max(place, 0)]):
        g.refuse(FROM_END, f"begin with zeros, or with copies of the first step, or {WINDOW}")
    if not fits or not timed or len(endless) > 1 or any(not isinstance(v.length, int) for v in others):
        g.refuse("joins pieces along time", f"feed one sequence, frame after frame, or {WINDOW}")
    return place


def _parts(g: Importing, piece: Value, along: int) -> Iterator[tuple[Value, Any]]:
    """(part, how many steps) of a piece: a constant is the same in all steps of a part."""
    if piece.const is None or piece.time is not None:
        yield piece, piece.length
        return
    held = piece.const
    if not held.any():
        yield g.constant(held.take([0], along), along), held.shape[along]
        return
    if held.shape[along] > MOST_STEPS:
        g.refuse(f"puts {held.shape[along]} steps of numbers before the first one", f"pad with zeros, or {WINDOW}")
    for step in range(held.shape[along]):
        yield g.constant(held.take([step], along), along), 1
