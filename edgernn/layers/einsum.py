"""The ONNX operator Einsum: with a constant a grouped convolution with a kernel of one place, else products, summed."""

from __future__ import annotations

from functools import reduce

import numpy as np

from edgernn.layers.axes import constant
from edgernn.layers.base import Array, volume
from edgernn.layers.combine import combined
from edgernn.layers.conv import Conv
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


@rule("Einsum")
def einsum(g: Importing, *inputs: Value, equation: str) -> Value:
    """ONNX Einsum of one operand or two.

    Of a value and a constant: an index of both is a group where the result has it too, and is summed over where not; an
    index of the value alone is a place, one of the constant alone a row of the weight.
    """
    terms, result = _parsed(g, equation, inputs)
    if len(inputs) > 2:
        g.refuse(f"equation={equation}: {len(inputs)} operands", "export with one product after the other")
    if len(inputs) == 1 or not any(x.const is not None and x.time is None for x in inputs):
        return _computed(g, equation, inputs, terms, result)
    place = 0 if inputs[0].const is None else 1
    x, of_x, of_w = inputs[place], terms[place], terms[1 - place]
    alone = [i for i in of_w if i not in of_x and i not in result]
    weight = np.asarray(constant(g, inputs[1 - place], "constant"), np.float32).sum(axis=tuple(map(of_w.index, alone)))
    kept = [i for i in of_w if i not in alone]
    group = [i for i in kept if i in of_x and i in result]
    summed = [i for i in kept if i in of_x and i not in result]
    rows = [i for i in kept if i not in of_x]
    spots = [i for i in of_x if i not in kept]
    if any(i not in result for i in spots) or (x.time is not None and of_x[x.time] not in spots):
        g.refuse(f"equation={equation}: sums over an index of the value alone, or over time", WINDOW)
    matrix = weight.transpose([kept.index(i) for i in (*group, *rows, *summed)])
    sizes = dict(zip(of_x, x.shape, strict=True)) | dict(zip(kept, weight.shape, strict=True))
    y = _product(g, x, [of_x.index(i) for i in (*group, *summed, *spots)], matrix, len(group), len(summed))
    made = [*group, *rows, *spots]
    time = None if x.time is None else made.index(of_x[x.time])
    y = reshaped(g, y, [sizes[i] for i in made], time)
    order = [made.index(i) for i in result]
    return taken(g, y, places(y).transpose(order), None if time is None else order.index(time))


def _computed(g: Importing, equation: str, inputs: tuple[Value, ...], terms: list[str], result: str) -> Value:
    """Computed operands: every product of a number of one with one of the other, and their sums."""
    summed = "".join(i for i in dict.fromkeys("".join(terms)) if i not in result)
    if any(x.time is not None and term[x.time] in summed for x, term in zip(inputs, terms, strict=True)):
        g.refuse(f"equation={equation}: sums over time", WINDOW)
    operands = [_spread_out(g, x, term, result + summed) for x, term in zip(inputs, terms, strict=True)]
    over = list(range(len(result), len(result + summed)))
    y = reduce(lambda a, b: combined(g, "mul", a, b), operands)
    return squeezed(g, reduced(g, "sum", y, over), over) if over else y


def _spread_out(g: Importing, x: Value, term: str, order: str) -> Value:
    """x, whose axes are called as in `term`, with all axes of `order`: those that it does not have are of 1."""
    kept = [term.index(i) for i in order if i in term]
    y = taken(g, x, places(x).transpose(kept), None if x.time is None else kept.index(x.time))
    sizes = dict(zip(term, x.shape, strict=True))
    return reshaped(g, y, [sizes.get(i, 1) for i in order], None if x.time is None else order.index(term[x.time]))


def _product(g: Importing, x: Value, order: list[int], weight: Array, groups: int, summed: int) -> Value:
    """x, its axes in this order (groups, summed, places), times weight (groups, rows, summed): (1, ..., places)."""
    turned = taken(g, x, places(x).transpose(order), None if x.time is None else order.index(x.time))
    spots = turned.shape[groups + summed :]
    time = None if turned.time is None else turned.time - groups - summed + 2
    columns = volume(turned.shape[: groups + summed])
    flat = reshaped(g, turned, (1, columns, *spots, *(() if spots else (1,))), time)
    count, rank = volume(weight.shape[:groups]), len(flat.shape) - 2
    matrix = np.ascontiguousarray(weight).reshape(-1, columns // count)
    (y,) = g.add(Conv(matrix, None, (1,) * rank, (1,) * rank, ((0, 0),) * rank, (1,) * rank, count), flat, time=time)
    return y


def _parsed(g: Importing, equation: str, inputs: tuple[Value, ...]) -> tuple[list[str], str]:
    """The indices of each operand and those of the result."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:
        result = "".join(sorted(i for i in set(left) - {","} if left.count(i) == 1))
    plain = all(term.isalpha() or not term for term in (*terms, result))
    fits = [len(term) for term in terms] == [len(x.shape) for x in inputs]
    if not plain or not fits or any(len(set(term)) < len(term) for term in (*terms, result)):
        g.refuse(f"equation={equation} is not supported for shapes {[list(x.shape) for x in inputs]}")
    return terms, result
