"""Shape arithmetic with the number of steps in it: the few operators that exporters use, on small object arrays."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.importer.file.dims import Symbol, Time
from edgernn.importer.walk.steps import OfStep
from edgernn.layers.base import Array, volume

Attributes = Mapping[str, Any]
Inputs = Sequence[Array | None]
LARGEST = 4096  # numbers: shapes are short
ALIKE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Less", "Greater", "Where", "Concat", "Range")


def is_symbolic(x: Array | None) -> bool:
    """Whether an array holds symbols."""
    return x is not None and x.dtype == object


def widened(kind: str, inputs: Inputs) -> Inputs:
    """Integers of two widths as int64, where the operator wants one: those that symbols have left forgot theirs."""
    widths = {x.dtype for x in inputs if x is not None and x.dtype.kind == "i"}
    if len(widths) < 2 or kind not in ALIKE:
        return inputs
    return [x.astype(np.int64) if x is not None and x.dtype.kind == "i" else x for x in inputs]


def settled(x: Any, kind: Any = np.int64) -> Array:
    """An object array as plain integers where no symbol is left."""
    array = np.asarray(x, object)
    return array if any(isinstance(n, Symbol) for n in array.reshape(-1)) else array.astype(kind)


def evaluate(kind: str, inputs: Inputs, attributes: Attributes) -> list[Array] | None:
    """The outputs of a node of shape arithmetic; None where it is no such operator. Raises ValueError, IndexError."""
    if kind == "Split":
        return _split(inputs, attributes)
    if kind not in TABLE:
        return None
    given = [None if x is None else np.asarray(x, object) for x in inputs]
    if sum(x.size for x in given if x is not None) > LARGEST:
        raise ValueError("shape arithmetic on a large array")
    truth = kind in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not")
    try:
        made = TABLE[kind](given, attributes)
    except TypeError:  # a symbol that knows no such arithmetic
        found = next(n for x in given if x is not None for n in x.reshape(-1) if isinstance(n, Symbol))
        raise OfStep(f"computes {kind} of {found}: a stream has no first step to count from") from None
    return [settled(made, np.bool_ if truth else np.int64)]


def _ints(inputs: Inputs, place: int, attributes: Attributes, name: str) -> list[int] | None:
    """What today is an input and once was an attribute."""
    held = inputs[place] if place < len(inputs) else None
    if held is None:
        return list(attributes[name]) if name in attributes else None
    return [int(n) for n in held.reshape(-1)]


def _elementwise(function: Callable[..., Any]) -> Callable[[Any, Attributes], Any]:
    wrapped = np.frompyfunc(function, 2, 1)
    return lambda x, attributes: wrapped(x[0], x[1])


def _slice(x: Any, attributes: Attributes) -> Any:
    starts, ends = _ints(x, 1, attributes, "starts") or [], _ints(x, 2, attributes, "ends") or []
    axes = _ints(x, 3, attributes, "axes") or list(range(len(starts)))
    steps = _ints(x, 4, attributes, "steps") or [1] * len(starts)
    y = x[0]
    for low, high, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = y.shape[axis]
        stop = None if step < 0 and high < -size else high
        y = y[(slice(None),) * (axis % y.ndim) + (slice(low, stop, step),)]
    return y


def _squeeze(x: Any, attributes: Attributes) -> Any:
    axes = _ints(x, 1, attributes, "axes")
    return np.squeeze(x[0], None if axes is None else tuple(axes))


def _unsqueeze(x: Any, attributes: Attributes) -> Any:
    return np.expand_dims(x[0], tuple(_ints(x, 1, attributes, "axes") or ()))


def _expand(x: Any, attributes: Attributes) -> Any:
    shape = np.broadcast_shapes(x[0].shape, tuple(int(n) for n in x[1]))
    if volume(shape) > LARGEST:
        raise ValueError("shape arithmetic on a large array")
    return np.broadcast_to(x[0], shape)


def _reduce(function: Callable[[Any, Any], Any]) -> Callable[[Any, Attributes], Any]:
    def reduced(x: Any, attributes: Attributes) -> Any:
        axes = _ints(x, 1, attributes, "axes")
        keep = bool(attributes.get("keepdims", 1))
        along = tuple(range(x[0].ndim)) if not axes else tuple(axes)
        return np.frompyfunc(function, 2, 1).reduce(x[0], axis=along, keepdims=keep)

    return reduced


def _split(inputs: Inputs, attributes: Attributes) -> list[Array]:
    x = np.asarray(inputs[0], object)
    sizes = _ints(inputs, 1, attributes, "split")
    axis = int(attributes.get("axis", 0))
    count = attributes.get("num_outputs", x.shape[axis])
    return [settled(part) for part in np.split(x, count if sizes is None else np.cumsum(sizes)[:-1], axis)]


def _quotient(a: Any, b: Any) -> Any:
    """Integer division cut towards zero, as ONNX has it."""
    if isinstance(a, Time) and a.a < 0:
        return -(-a // b)
    if isinstance(a, Time) or isinstance(b, Time):
        return a // b
    return int(a / b) if isinstance(a, float) else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(x: Any, attributes: Attributes) -> Any:
    """Mod of symbols: how long the sequence becomes, modulo a number or the other way round, no stream knows."""
    symbol = next(n for part in x for n in part.reshape(-1) if isinstance(n, Symbol))
    raise OfStep(f"computes a remainder with {symbol}, as torch.roll does over time: that needs the whole sequence")


# kind -> f(inputs, attributes)
TABLE: dict[str, Callable[[Any, Attributes], Any]] = {
    "Identity": lambda x, a: x[0],
    "Cast": lambda x, a: x[0],
    "Add": _elementwise(operator.add),
    "Sub": _elementwise(operator.sub),
    "Mul": _elementwise(operator.mul),
    "Div": _elementwise(_quotient),
    "Mod": _remainder,
    "Max": _elementwise(max),
    "Min": _elementwise(min),
    "Equal": _elementwise(operator.eq),
    "Less": _elementwise(operator.lt),
    "LessOrEqual": _elementwise(operator.le),
    "Greater": _elementwise(operator.gt),
    "GreaterOrEqual": _elementwise(operator.ge),
    "And": _elementwise(operator.and_),
    "Or": _elementwise(operator.or_),
    "Neg": lambda x, a: np.frompyfunc(operator.neg, 1, 1)(x[0]),
    "Not": lambda x, a: np.frompyfunc(operator.not_, 1, 1)(x[0]),
    "Where": lambda x, a: np.where(x[0].astype(bool), x[1], x[2]),
    "Gather": lambda x, a: np.take(x[0], x[1].astype(np.int64), int(a.get("axis", 0))),
    "Concat": lambda x, a: np.concatenate(x, int(a["axis"])),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Reshape": lambda x, a: x[0].reshape([int(n) for n in x[1]]),
    "Transpose": lambda x, a: np.transpose(x[0], a.get("perm")),
    "ReduceProd": _reduce(operator.mul),
    "ReduceSum": _reduce(operator.add),
    "ReduceMax": _reduce(max),
    "ReduceMin": _reduce(min),
}
