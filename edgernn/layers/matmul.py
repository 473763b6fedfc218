"""MatMul and Gemm: a constant side becomes an Affine layer, two computed sides become products and sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.layers.axes import SUMS
from edgernn.layers.base import Array, volume
from edgernn.layers.combine import combined
from edgernn.layers.dense import Affine
from edgernn.layers.einsum import einsum
from edgernn.layers.pointwise import Map
from edgernn.layers.reduce import reduced, squeezed
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Importing, Value, rule
from edgernn.layers.take import places, taken


def affine(g: Importing, x: Value, weight: Array, bias: Array | None = None) -> Value:
    """x (..., cols) through weight (rows, cols); time must not be the axis that is summed over."""
    rank = len(x.shape)
    if x.time == rank - 1:
        what = SUMS if x.shape[-1] == 1 else "sums over the steps of a sequence and what each of them holds"
        g.refuse(what, f"transpose so that the features come last, or {WINDOW}")
    if x.shape[-1] != weight.shape[1]:
        g.refuse(f"{list(x.shape)} does not fit a weight of {list(weight.T.shape)}")
    floats = np.asarray(weight, np.float32)
    (y,) = g.add(Affine(floats, None if bias is None else np.ascontiguousarray(bias, np.float32)), x, time=x.time)
    return y


def flipped(g: Importing, x: Value) -> Value:
    """x with its last two axes exchanged."""
    rank = len(x.shape)
    order = [*range(rank - 2), rank - 1, rank - 2]
    time = None if x.time is None else order.index(x.time)
    return taken(g, x, places(x).transpose(order), time)


@rule("MatMul")
def matmul(g: Importing, A: Value, B: Value) -> Value:
    """ONNX MatMul with a constant on either side."""
    if any(_held(x) and volume(x.shape[:-2]) > 1 for x in (A, B)):
        return _many(g, A, B)
    if A.const is not None and A.time is None:
        return _constant_left(g, A.const, B)
    if B.const is None or B.time is not None:
        return _product(g, A, B)
    weight = _matrix(g, B.const)
    if not A.shape:
        g.refuse("a number is no matrix")
    y = affine(g, A, weight.T)
    return reshaped(g, y, y.shape[:-1], y.time) if B.const.ndim == 1 else y


def _constant_left(g: Importing, left: Array, x: Value) -> Value:
    """left @ x: the columns of x are what goes through the weight."""
    weight = _matrix(g, left).T if left.ndim == 1 else _matrix(g, left)  # (M, K)
    if len(x.shape) == 1:
        y = affine(g, x, weight)
    elif x.time == len(x.shape) - 2:
        g.refuse(SUMS, WINDOW)
    else:
        y = flipped(g, affine(g, flipped(g, x), weight))
    if left.ndim > 1:
        return y
    kept = [axis for axis in range(len(y.shape)) if axis != max(0, len(y.shape) - 2)]
    time = None if y.time is None else kept.index(y.time)
    return reshaped(g, y, [y.shape[axis] for axis in kept], time)


def _product(g: Importing, A: Value, B: Value) -> Value:
    """Two matrices that are both computed: every product of a number of A with one of B, and their sums."""
    rank = max(len(A.shape), len(B.shape))
    if min(len(A.shape), len(B.shape)) < 2 or A.shape[-1] != B.shape[-2]:
        g.refuse(f"multiplies {list(A.shape)} by {list(B.shape)}, both computed at run time")
    if A.time == len(A.shape) - 1 or B.time in (len(B.shape) - 1, len(B.shape) - 2):
        g.refuse("multiplies two sequences over time: a step would need every other step", WINDOW)
    A, B = (reshaped(g, x, (*[1] * (rank - len(x.shape)), *x.shape), _later(x, rank)) for x in (A, B))
    rows = reshaped(g, A, (*A.shape[:-1], 1, A.shape[-1]), A.time)  # (..., M, 1, K)
    turned = flipped(g, B)  # (..., N, K)
    cols = reshaped(g, turned, (*turned.shape[:-2], 1, *turned.shape[-2:]), turned.time)
    last = [rank]
    return squeezed(g, reduced(g, "sum", combined(g, "mul", rows, cols), last), last)


def _held(x: Value) -> bool:
    """Whether x is a constant, the same in every step."""
    return x.const is not None and x.time is None


def _many(g: Importing, A: Value, B: Value) -> Value:
    """One of them a constant that has a matrix for each entry of its leading axes."""
    if 1 in (len(A.shape), len(B.shape)):
        return _of_vector(g, A, B)
    rank = max(len(A.shape), len(B.shape))
    shapes = [(*[1] * (rank - len(x.shape)), *x.shape) for x in (A, B)]
    names = "abcdefghij"[: rank - 2]
    terms, operands = [], []
    for x, shape, other, last in zip((A, B), shapes, shapes[::-1], ("mk", "kn"), strict=True):
        time = _later(x, rank)
        there = [n > 1 or axis == time or (other[axis] == 1 and not _held(x)) for axis, n in enumerate(shape)]
        kept = [axis for axis in range(rank) if axis >= rank - 2 or there[axis]]
        cut = [shape[axis] for axis in kept]
        operands.append(_as(g, x, cut, None if time is None else kept.index(time)))
        terms.append("".join(names[axis] for axis in kept[:-2]) + last)
    return einsum(g, *operands, equation=f"{terms[0]},{terms[1]}->{names}mn")


def _of_vector(g: Importing, A: Value, B: Value) -> Value:
    """The same where one is a vector: a row on the left, a column on the right, and no axis of the result."""
    row = len(A.shape) == 1
    A = _as(g, A, [1, *A.shape], None if A.time is None else 1) if row else A
    B = B if row else _as(g, B, [*B.shape, 1], B.time)
    y = _many(g, A, B)
    kept = [axis for axis in range(len(y.shape)) if axis != len(y.shape) - 1 - row]
    return reshaped(g, y, [y.shape[axis] for axis in kept], None if y.time is None else kept.index(y.time))


def _as(g: Importing, x: Value, shape: Sequence[int], time: int | None) -> Value:
    """x, constant or not, in another shape."""
    return g.constant(x.const.reshape(shape)) if x.const is not None and x.time is None else reshaped(g, x, shape, time)


def _later(x: Value, rank: int) -> int | None:
    """The time axis of x once axes of 1 stand before it."""
    return None if x.time is None else x.time + rank - len(x.shape)


def _matrix(g: Importing, held: Array) -> Array:
    """A constant operand as one matrix: a vector as a column, leading axes of 1 dropped."""
    if held.ndim == 0 or any(n != 1 for n in held.shape[:-2]):
        g.refuse(f"a constant of shape {list(held.shape)} is more than one matrix", "use one MatMul for each")
    return held.reshape(-1, 1) if held.ndim == 1 else held.reshape(held.shape[-2:])


@rule("Gemm")
def gemm(
    g: Importing,
    A: Value,
    B: Value,
    C: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """ONNX Gemm: alpha * A' @ B' + beta * C, with a constant as A or B."""
    if len(A.shape) != 2 or len(B.shape) != 2:
        g.refuse(f"operands of {len(A.shape)} and {len(B.shape)} axes, expected 2 each")
    if B.const is not None and B.time is None:
        weight = np.float32(alpha) * (B.const if transB else B.const.T)  # (rows, cols)
        x = flipped(g, A) if transA else A
        bias = _row_bias(C, len(weight), beta)
        y = affine(g, x, weight, bias)
        return y if bias is not None or C is None else _plus(g, y, C, beta)
    if A.const is None or A.time is not None:
        g.refuse("multiplies two matrices that are both computed at run time", "one side must be a constant")
    weight = np.float32(alpha) * (A.const.T if transA else A.const)
    y = flipped(g, affine(g, B if transB else flipped(g, B), weight))
    return y if C is None else _plus(g, y, C, beta)


def _row_bias(C: Value | None, rows: int, beta: float) -> Array | None:
    """C as one number for each output, where it is that."""
    if C is None or C.const is None or C.time is not None or C.const.shape[:-1] not in ((), (1,)):
        return None
    flat = np.float32(beta) * np.asarray(C.const, np.float32).reshape(-1)
    return np.broadcast_to(flat, (rows,)).copy() if flat.size in (1, rows) else None


def _plus(g: Importing, y: Value, C: Value, beta: float) -> Value:
    if beta != 1.0:
        (C,) = g.add(Map("affine", beta, 0.0), C, time=C.time)
    return combined(g, "add", y, C)
