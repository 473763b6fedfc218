"""Positions: the numbers of a sequence's steps, by which exporters gather windows (`unfold`).

They are known though the length is not: step k of such a value holds k * stride + an offset in each place. Arithmetic
with them (averages over all steps so far) makes numbers of them that a state counts, see `counting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from edgernn.importer.file import symbolic
from edgernn.importer.file.dims import Symbol
from edgernn.importer.file.graph import Operator
from edgernn.importer.walk.binding import apply
from edgernn.importer.walk.counting import counting
from edgernn.layers.axes import check_size, integers, surely
from edgernn.layers.base import Array
from edgernn.layers.gather import stepped_windows
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import RULES, Importing, Value
from edgernn.layers.scatter import Steps, scattered
from edgernn.layers.slices import from_end, from_front

MOVES = ("Add", "Sub", "Mul", "Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Concat")
MEETING = ("Add", "Sub", "Mul", "Div")  # where a graph of fixed length may hold positions as plain numbers
EXACT = (  # what gives the same of positions as integers, or takes none; others cut their results to whole numbers
    *("Add", "Sub", "Mul", "Min", "Max", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Where", "Cast"),
    *("Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos", "Tanh", "Sigmoid", "Erf"),
)
FEWEST = 4  # of them, that go on evenly, to be taken as such
NUMBERS = (1, 6, 7, 10, 11, 16)  # what may be cast to, as ONNX counts types: integers and floats
MARK = 53  # steps that an operator is tried on, to see where it leaves them: as long as no other axis


@dataclass(frozen=True, eq=False)
class Position(Symbol):
    """k * stride + offset in step k."""

    stride: int
    offset: int = 0

    def __repr__(self) -> str:
        return f"{self.stride}*k{self.offset:+d}"

    def __add__(self, other: Any) -> Position:
        return replace(self, offset=self.offset + _whole(other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Position:
        return Position(self.stride * _whole(other), self.offset * _whole(other))

    __rmul__ = __mul__

    def __neg__(self) -> Position:
        return Position(-self.stride, -self.offset)


def _whole(n: Any) -> int:
    if isinstance(n, Symbol) or int(n) != n:
        raise ValueError(f"computes the number of a step with {n}")
    return int(n)


def numbered(g: Importing, operator: Operator, inputs: Sequence[Value | None]) -> Value | None:
    """What a node makes of positions, or the positions that a Range makes; None for every other node."""
    if operator.kind == "Range" and any(v is not None and symbolic.is_symbolic(v.const) for v in inputs):
        return _counted(g, inputs)
    if operator.kind == "CumSum" and (summed := _summed(g, operator, inputs)) is not None:
        return summed
    if isinstance(g.length, int) and operator.kind in MEETING:
        inputs = _folded(g, inputs)
    given = [v for v in inputs if v is not None and v.time is not None and symbolic.is_symbolic(v.const)]
    if not given:
        return None
    data, index = (*inputs, None, None)[:2]
    if operator.kind == "Gather" and given == [index] and data is not None and data.const is None:
        return _gathered(g, data, given[0], int(operator.attributes.get("axis", 0)))
    if operator.kind == "ScatterND" and given == [index] and data is not None and isinstance(inputs[2], Value):
        return _written(g, data, given[0], inputs[2], operator.attributes.get("reduction", "none"))
    if operator.kind == "Slice" and given == [data]:
        return _sliced(g, given[0], inputs)
    if operator.kind == "Expand" and given == [data] and index is not None:
        return _expanded(g, given[0], integers(g, index, "shape"))
    others = [v for v in inputs if v is not None and v not in given]
    if operator.kind in MOVES and operator.attributes.get("to", 7) in NUMBERS and all(map(_is_whole, others)):
        return _moved(g, operator, inputs, given[0])
    whole = any(np.dtype(v.dtype).kind in "iu" for v in others) or not others
    if operator.kind not in RULES or len(operator.outputs) != 1 or (whole and operator.kind not in EXACT):
        _refuse(g)
    like = next((v for v in others if v.const is None and v.time is not None), None)
    counted = [counting(g, v, like) if v in given else v for v in inputs]
    return apply(RULES[operator.kind], g, operator, counted)[0]


def _refuse(g: Importing) -> NoReturn:
    g.refuse(
        "numbers the steps of the sequence (positions, or a mask)",
        f"export without it: a stream has no first step; or {WINDOW}",
    )


def _counted(g: Importing, inputs: Sequence[Value | None]) -> Value:
    """ONNX Range over the steps."""
    start, limit, delta = (_whole_number(g, v) for v in inputs)
    if not isinstance(start, int) or not isinstance(delta, int) or delta < 1:
        _refuse(g)
    length = (limit - start + delta - 1) // delta
    return g.constant(np.array([Position(delta, start)], object), 0, length)


def _folded(g: Importing, inputs: Sequence[Value | None]) -> Sequence[Value | None]:
    """The inputs, with whole numbers that go on evenly along the steps of a sequence of fixed length as positions."""
    like = next((v for v in inputs if v is not None and v.time is not None and v.const is None), None)
    return inputs if like is None else [v if v is None else _as_positions(g, v, like) for v in inputs]


def _as_positions(g: Importing, x: Value, like: Value) -> Value:
    axis = len(x.shape) - len(like.shape) + (like.time or 0)
    if x.const is None or symbolic.is_symbolic(x.const) or x.time is not None or axis < 0:
        return x
    if not surely(x.shape[axis], like.length) or not _is_whole(x):
        return x
    steps = np.diff(x.const, axis=axis)
    first, stride = x.const.take([0], axis), steps.take([0], axis) if steps.size else steps
    if x.shape[axis] < FEWEST or not stride.all() or (steps != stride).any():
        return x
    made = [Position(int(by), int(n)) for n, by in zip(first.reshape(-1), stride.reshape(-1), strict=True)]
    return g.constant(np.array(made, object).reshape(first.shape), axis, like.length)


def _whole_number(g: Importing, x: Value | None) -> Any:
    """The number, or symbol, that an input of Range is."""
    if x is None or x.const is None or x.const.size != 1:
        _refuse(g)
    held = x.const.reshape(-1)[0]
    if isinstance(held, Symbol):
        return held
    if held != int(held):
        _refuse(g)
    return int(held)


def _is_whole(x: Value) -> bool:
    """Whether a value is a constant of whole numbers, or symbols."""
    held = x.const
    return held is not None and (held.dtype.kind in "iuO" or (held.dtype.kind == "f" and not np.mod(held, 1).any()))


def _summed(g: Importing, operator: Operator, inputs: Sequence[Value | None]) -> Value | None:
    """ONNX CumSum over the steps of a whole number that is the same in each: these are positions, too."""
    x, axis = inputs[0], inputs[1]
    if x is None or axis is None or x.time is None or symbolic.is_symbolic(x.const) or not _is_whole(x):
        return None
    if integers(g, axis, "axis")[0] % len(x.shape) != x.time or operator.attributes.get("reverse", 0):
        return None
    late = 0 if operator.attributes.get("exclusive", 0) else 1
    held = np.asarray(x.const)
    made = np.array([Position(int(n), late * int(n)) for n in held.reshape(-1)], object)
    return g.constant(made.reshape(held.shape), x.time, x.length)


def _moved(g: Importing, operator: Operator, inputs: Sequence[Value | None], x: Value) -> Value:
    """The node on positions, first tried on plain numbers to see which axis the steps are left on."""
    others = [None if v is None else v.const for v in inputs]
    if any(
        v is not None and (v.const is None or (v.time is not None and not surely(v.length, x.length))) for v in inputs
    ):
        _refuse(g)
    marked = [c if v is None or v.time is None else _marks(v) for v, c in zip(inputs, others, strict=True)]
    if operator.kind == "Reshape":
        marked[1], others[1] = (_shape(g, inputs[1], x, steps) for steps in (MARK, 1))
    try:
        tried = symbolic.evaluate(operator.kind, marked, operator.attributes)
        made = symbolic.evaluate(operator.kind, others, operator.attributes)
    except ValueError:
        _refuse(g)
    along = [axis for axis, n in enumerate(tried[0].shape) if n == MARK] if tried and made else []
    if len(along) != 1 or made is None or made[0].shape[along[0]] != 1:
        _refuse(g)
    return g.constant(made[0], along[0], x.length)


def _shape(g: Importing, shape: Value | None, x: Value, steps: int) -> Array:
    """The shape that positions shall have, where the sequence is so long."""
    sizes = integers(g, shape, "shape")
    if any(isinstance(n, Symbol) and not surely(n, x.length) for n in sizes):
        _refuse(g)
    return np.array([steps if isinstance(n, Symbol) else n for n in sizes])


def _marks(x: Value) -> Array:
    return np.repeat(np.zeros(np.asarray(x.const).shape, object), MARK, x.time or 0)


def _sliced(g: Importing, x: Value, inputs: Sequence[Value | None]) -> Value:
    """ONNX Slice of positions over the steps."""
    given = [integers(g, v, "of Slice") for v in inputs[1:] if v is not None]
    if len(given) < 2 or any(len(bounds) != 1 for bounds in given):
        _refuse(g)
    low, high, axis, step = (bounds[0] for bounds in [*given, *[[0], [1]][len(given) - 2 :]])
    start, after = from_front(x, low), from_end(x, high)
    if (axis % len(x.shape), step) != (x.time, 1) or not isinstance(start, int):
        _refuse(g)
    first, count = np.asarray(x.const), x.length - start - after
    if isinstance(count, int):  # the first few steps, whose numbers are known
        check_size(g, (*first.shape, count))
        steps = [[n.offset + step * n.stride for n in first.reshape(-1)] for step in range(start, start + count)]
        return g.constant(np.concatenate([np.reshape(step, first.shape) for step in steps], x.time))
    return g.constant(first + start * first.reshape(-1)[0].stride, x.time, count)


def _expanded(g: Importing, x: Value, target: list[Any]) -> Value:
    """ONNX Expand of positions over other axes than theirs."""
    rank = max(len(target), len(x.shape))
    time, target = (x.time or 0) + rank - len(x.shape), [1] * (rank - len(target)) + target
    if not surely(target[time], x.length):
        _refuse(g)
    frame = tuple(int(n) for axis, n in enumerate(target) if axis != time)
    full = np.broadcast_shapes(x.shape, (*frame[:time], 1, *frame[time:]))
    check_size(g, full)
    return g.constant(np.broadcast_to(np.asarray(x.const), full), time, x.length)


def _written(g: Importing, data: Value, index: Value, updates: Value, reduction: str) -> Value:
    """ONNX ScatterND at all steps from one on."""
    places = np.asarray(index.const)
    column = [axis for axis in range(places.shape[-1]) if isinstance(places[..., axis].flat[0], Position)]
    steps = {(n.stride, n.offset) for n in places[..., column].reshape(-1)}
    if column != [data.time] or len(steps) != 1 or index.time == places.ndim - 1:
        _refuse(g)
    ((stride, first),) = steps
    if stride != 1:
        _refuse(g)
    places = np.where(np.arange(places.shape[-1]) == column[0], 0, places).astype(np.int64)
    return scattered(g, data, places, updates, reduction, Steps(index.time or 0, first, index.length))


def _gathered(g: Importing, data: Value, index: Value, axis: int) -> Value:
    """ONNX Gather of windows of a sequence, one for each step of the index."""
    steps = np.asarray(index.const)
    strides = {n.stride for n in steps.reshape(-1)}
    if axis % len(data.shape) != data.time or len(strides) != 1 or min(strides) < 1:
        _refuse(g)
    offsets = np.array([n.offset for n in steps.reshape(-1)]).reshape(steps.shape)
    return stepped_windows(g, data, offsets, strides.pop(), index.time or 0, index.length)
