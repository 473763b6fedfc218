"""Attention over time: the sum of all steps so far, weighted by the softmax of their scores.

A softmax over time is no sequence that a stream can give, but the sum that it weights is: the largest score so far is
kept, and when a larger one comes, what was summed before fades (M. Milakov, N. Gimelshein: Online normalizer
calculation for softmax, arXiv 1805.02867, algorithm 3). The weights are a value that no output can have; what moves
them about moves the scores, until a product and a sum over time, or a matrix product, takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.binding import apply
from edgernn.layers.axes import normal, normal_axes, numbers
from edgernn.layers.base import volume
from edgernn.layers.broadcast import broadcast
from edgernn.layers.combine import combined
from edgernn.layers.functions import mapped
from edgernn.layers.matmul import matmul
from edgernn.layers.pointwise import LARGEST
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.reshape import Reshape
from edgernn.layers.rhythm import CUT_OFF, PAD_FRONT, WINDOW, aligned, at_end, settled
from edgernn.layers.rules import RULES, Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

Inputs = Sequence[Value | None]
MOVES = ("Reshape", "Squeeze", "Transpose", "Unsqueeze")
OVER_TIME = "runs over the time axis: a step would need every other step"
REMEDY = f"use the axis of the classes, or sum over time what it weights, or {WINDOW}"


@dataclass(frozen=True)
class Pending:
    """Weights that are the softmax of `scores` over their time axis, or their product with `values`."""

    scores: Value
    values: Value | None = None


def attended(g: Build, operator: Operator, data: Value, inputs: Inputs) -> list[Value] | None:
    """What a node gives that makes or takes such weights; None for every other node."""
    if operator.kind == "Softmax":
        weights = _over_time(g, operator, data) and _weigh(g, operator.outputs[0])
        return [_kept(g, Pending(data))] if weights else None
    held = [None if x is None else g.moments.pending.get(x.name) for x in inputs]
    if not any(held):
        return None
    if operator.kind in MOVES and held[0] and held[0].values is None:
        moved = apply(RULES[operator.kind], g, operator, [held[0].scores, *inputs[1:]])[0]
        if moved is not None and moved.time is not None:
            return [_kept(g, Pending(moved), data)]
    made = None
    if operator.kind == "Mul":
        made = _weighted(g, held, inputs)
    elif operator.kind == "MatMul":
        made = _multiplied(g, held, inputs)
    elif operator.kind == "ReduceSum" and held[0]:
        made = _summed(g, operator, held[0], data, inputs)
    return made or g.refuse(OVER_TIME, REMEDY)


def _over_time(g: Build, operator: Operator, x: Value) -> bool:
    """Whether a softmax runs over the steps of a sequence, and over nothing else."""
    if x.time is None or x.const is not None or g.moments.inside:
        return False
    new = g.opset >= 13
    along = normal(g, int(operator.attributes.get("axis", -1 if new else 1)), len(x.shape))
    return along == x.time if new else along <= x.time and volume(x.shape[along:]) == x.shape[x.time]


def _weigh(g: Build, name: str) -> bool:
    """Whether a value is read by products only, maybe moved about before."""
    readers, names = g.work.reading(g.graph.operators), [name]
    for held in names:
        read = readers.get(held, [])
        if not read or held in g.graph.outputs or not all(o.kind in ("Mul", "MatMul", "Shape", *MOVES) for o in read):
            return False
        names += [o.outputs[0] for o in read if o.kind in MOVES]
    return True


def _kept(g: Build, pending: Pending, source: Value | None = None) -> Value:
    """A value that stands for what is pending, in its shape: no output can have it. source: one that stood for it."""
    scores, values = pending.scores, pending.values
    if values is None:
        (value,) = g.add(Reshape(scores.shape), scores, time=scores.time)
        value = value.like(scores)
    else:
        value = combined(g, "mul", scores, values)
    g.moments.pending[value.name] = pending
    if source is None:
        g.taint(value, OVER_TIME, REMEDY)
    else:
        g.moments.away.add(value.name)
        g.moments.follow([source.name], [value.name])
    return value


def _weighted(g: Build, held: Sequence[Pending | None], inputs: Inputs) -> list[Value] | None:
    """Weights times a sequence."""
    place, weights, x = _sides(held, inputs)
    if weights is None or x is None:
        return None
    x = x if weights.values is None else combined(g, "mul", weights.values, x)
    (scores, values), _, time = broadcast(g, weights.scores, x)
    if time is None or scores.time != time or values.time != time:
        return None
    return [_kept(g, Pending(scores, values), inputs[place])]


def _sides(held: Sequence[Pending | None], inputs: Inputs) -> tuple[int, Pending | None, Value | None]:
    """(which of two inputs are weights, these, the sequence that is the other); None where it is anything else."""
    place = 0 if held[0] else 1
    weights, x = held[place], inputs[1 - place]
    if weights is None or held[1 - place] or x is None or x.const is not None:
        return place, None, None
    return place, weights, x if x.time is not None else None


def _summed(g: Build, operator: Operator, held: Pending, data: Value, inputs: Inputs) -> list[Value] | None:
    """The sum of such a product over time."""
    values, given = held.values, inputs[1] if len(inputs) > 1 else None
    axes = operator.attributes.get("axes", ()) if given is None else numbers(g, given, "axes")
    time = data.time
    if values is None or time is None or normal_axes(g, list(axes), len(data.shape)) != [time]:
        return None
    y = _pooled(g, held.scores, values, lambda p, x: reduced(g, "sum", combined(g, "mul", p, x), [time]))
    return [y if operator.attributes.get("keepdims", 1) else squeezed(g, y, [time])]


def _multiplied(g: Build, held: Sequence[Pending | None], inputs: Inputs) -> list[Value] | None:
    """Weights times a sequence as matrices: the sum over time is within."""
    place, weights, x = _sides(held, inputs)
    if weights is None or x is None or weights.values is not None:
        return None
    scores, sides = weights.scores, [-1, -2]  # where time is: last of the left matrix, and first of the right one
    axes = [len(v.shape) + side for v, side in zip((scores, x) if place == 0 else (x, scores), sides, strict=True)]
    if [v.time for v in ((scores, x) if place == 0 else (x, scores))] != axes:
        return None
    return [_pooled(g, scores, x, lambda p, x: matmul(g, *((p, x) if place == 0 else (x, p))))]


def _pooled(g: Build, scores: Value, x: Value, weigh: Callable[[Value, Value], Value]) -> Value:
    """The weighted sum of all steps so far. weigh: the sum of an evaluation's steps, of weights and values."""
    if not at_end(g, scores) or not at_end(g, x):
        g.refuse(f"takes a weighted sum over time, but {CUT_OFF}", PAD_FRONT)
    scores, x = (settled(g, one) for one in aligned(g, (scores, x)))
    highest = reduced(g, "max", scores.untimed(), [scores.time or 0])
    before = g.carry(np.full(highest.shape, -LARGEST, np.float32))
    top = combined(g, "max", before, highest)
    g.close(before, top, scores)
    fades = mapped(g, combined(g, "sub", before, top), "exp")
    weights = mapped(g, combined(g, "sub", scores.untimed(), top), "exp")
    total = _faded(g, fades, reduced(g, "sum", weights, [scores.time or 0]), scores)
    return replace(combined(g, "div", _faded(g, fades, weigh(weights, x.untimed()), scores), total), final=True)


def _faded(g: Build, fades: Value, now: Value, over: Value) -> Value:
    """A sum that goes on, in which what was before fades."""
    held = g.carry(np.zeros(now.shape, np.float32))
    y = combined(g, "add", combined(g, "mul", held, fades), now)
    g.close(held, y, over)
    return y
