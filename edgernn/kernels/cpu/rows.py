"""REDUCE, SOFTMAX and NORMALISE: one row at a time."""

from __future__ import annotations

from numba import types

from edgernn.kernels.contract import REDUCES
from edgernn.kernels.cpu.dots import row_max, row_min, row_product, row_squares, row_sum, row_sum_abs
from edgernn.kernels.cpu.elementwise import arg, number, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.maths import ONE, ZERO, exp, log
from edgernn.kernels.cpu.vector import BYTES, N, f32, load_f, splat_f, sqrt, store_1f, store_f

(SUM, MEAN, MAX, MIN, PROD, SUM_SQUARE, SUM_ABS) = range(len(REDUCES))


@function(types.float32, N, N, N)
def reduced(operation, x, cols):
    """One of REDUCES over a row."""
    y = ZERO
    if operation == SUM:
        y = row_sum(x, cols, ZERO)
    elif operation == MEAN:
        y = row_sum(x, cols, ZERO) / f32(cols)
    elif operation == MAX:
        y = row_max(x, cols, ZERO)
    elif operation == MIN:
        y = row_min(x, cols, ZERO)
    elif operation == PROD:
        y = row_product(x, cols, ZERO)
    elif operation == SUM_SQUARE:
        y = row_squares(x, cols, ZERO)
    elif operation == SUM_ABS:
        y = row_sum_abs(x, cols, ZERO)
    return y


@kernel
def reduce(a, arena, weights, control):
    """REDUCE: y[r] = operation over x[r]."""
    y, x = arena + arg(a, 0), read(a, 1, arena, weights)
    rows, cols, operation = arg(a, 2), arg(a, 3), arg(a, 4)
    for row in range(rows):
        store_1f(y + 4 * row, reduced(operation, x + 4 * cols * row, cols))
    return 0


@kernel
def softmax(a, arena, weights, control):
    """SOFTMAX: of each row, or its logarithm."""
    y, x = arena + arg(a, 0), read(a, 1, arena, weights)
    rows, cols, wants_log = arg(a, 2), arg(a, 3), arg(a, 4)
    for row in range(rows):
        p, q = x + 4 * cols * row, y + 4 * cols * row
        highest = row_max(p, cols, ZERO)
        # in ascending order, so that a register that runs into the next row is overwritten by it
        for at in range(0, cols * 4, BYTES):
            store_f(q + at, exp(load_f(p + at) - highest))
        total = row_sum(q, cols, ZERO)
        if wants_log != 0:
            shift = log(splat_f(total))
            for at in range(0, cols * 4, BYTES):
                store_f(q + at, (load_f(p + at) - highest) - shift)
        else:
            factor = ONE / total
            for at in range(0, cols * 4, BYTES):
                store_f(q + at, load_f(q + at) * factor)
    return 0


@kernel
def normalise(a, arena, weights, control):
    """NORMALISE: each row less its mean, over its deviation."""
    y, x = arena + arg(a, 0), read(a, 1, arena, weights)
    rows, cols, epsilon, centre = arg(a, 2), arg(a, 3), number(a, 4), arg(a, 5)
    for row in range(rows):
        p, q = x + 4 * cols * row, y + 4 * cols * row
        mean = ZERO
        if centre != 0:
            mean = row_sum(p, cols, ZERO) / f32(cols)
        variance = row_squares(p, cols, mean) / f32(cols)
        scale = splat_f(ONE) / sqrt(splat_f(variance + epsilon))
        for at in range(0, cols * 4, BYTES):
            store_f(q + at, (load_f(p + at) - mean) * scale)
    return 0
