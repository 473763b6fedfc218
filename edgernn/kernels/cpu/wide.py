"""AFFINE and LOOKUP of the number formats beside int8: int8x16, int16 and int4."""

from __future__ import annotations

from numba import types

from edgernn.kernels.contract import GROUP, QUANTISED_HEADER
from edgernn.kernels.cpu.affine import row_of
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.vector import (
    BYTES,
    LANES,
    F,
    N,
    f32,
    i32,
    load_1b,
    load_1f,
    load_1n,
    load_16,
    load_f,
    store_1f,
    store_f,
    to_float,
)
from edgernn.kernels.cpu.wide_dots import (
    INT4,
    INT8X16,
    INT16,
    dot1_i4,
    dot1_i8x16,
    dot1_i16,
    dot4_i4,
    dot4_i8x16,
    dot4_i16,
)

EIGHT = i32(8)


@function(F, F, N, N, types.float32)
def scaled(total, bias, scale, step):
    """bias + total * (row scale * step)."""
    return load_f(bias) + total * (load_f(scale) * step)


def _affine(name, dot4, dot1, product, columns):
    """The kernel y[p] = bias + (W q[p]) * (row scale * scale of q); `columns` a step."""
    x_bytes, w_bytes, more_bytes = product.x_bytes, product.w_registers * BYTES, product.more_bytes

    def body(a, arena, weights, control):
        y, x, panels = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
        scale, more, bias = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
        rows, cols, count = arg(a, 6), arg(a, 7), arg(a, 8)
        step = load_1f(x)
        blocks, steps = (rows + LANES - 1) // LANES, (cols + columns - 1) // columns
        # factors go along with the weights, offsets with the rows
        onward = more_bytes * steps if more_bytes != 0 else BYTES
        for position in range(count):
            w, m, p, q = panels, more, x + QUANTISED_HEADER + x_bytes * steps * position, y + 4 * rows * position
            at = 0
            for _ in range(blocks >> 2):
                s0, s1, s2, s3 = dot4(w, p, steps, m)
                store_f(q + at, scaled(s0, bias + at, scale + at, step))
                n = at + BYTES
                store_f(q + n, scaled(s1, bias + n, scale + n, step))
                n += BYTES
                store_f(q + n, scaled(s2, bias + n, scale + n, step))
                n += BYTES
                store_f(q + n, scaled(s3, bias + n, scale + n, step))
                at += 4 * BYTES
                w += 4 * w_bytes * steps
                m += 4 * onward
            for _ in range(blocks & 3):
                (s0,) = dot1(w, p, steps, m)
                store_f(q + at, scaled(s0, bias + at, scale + at, step))
                at += BYTES
                w += w_bytes * steps
                m += onward
        return 0

    body.__name__ = name
    return kernel(body)


affine_i8x16 = _affine("affine_i8x16", dot4_i8x16, dot1_i8x16, INT8X16, 4)
affine_i16 = _affine("affine_i16", dot4_i16, dot1_i16, INT16, 2)
affine_i4 = _affine("affine_i4", dot4_i4, dot1_i4, INT4, GROUP)


@kernel
def lookup_i16(a, arena, weights, control):
    """LOOKUP_I16: rows of an int16 table, times their scales."""
    y, tokens, table, scale = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2), weights + arg(a, 3)
    count, cols, vocabulary = arg(a, 4), arg(a, 5), arg(a, 6)
    for n in range(count):
        token = row_of(load_1n(tokens + 8 * n), vocabulary)
        factor = load_1f(scale + 4 * token)
        for k in range(0, cols, LANES):
            store_f(y + 4 * (n * cols + k), to_float(load_16(table + 2 * (cols * token + k))) * factor)
    return 0


@kernel
def lookup_i4(a, arena, weights, control):
    """LOOKUP_I4: rows of an int4 table, times their groups' factors and their scales."""
    y, tokens, table = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
    scale, factors = weights + arg(a, 3), weights + arg(a, 4)
    count, cols, vocabulary = arg(a, 5), arg(a, 6), arg(a, 7)
    for n in range(count):
        token = row_of(load_1n(tokens + 8 * n), vocabulary)
        row, groups = table + ((cols + 1) >> 1) * token, factors + ((cols + GROUP - 1) // GROUP) * token
        for k in range(cols):
            both = load_1b(row + (k >> 1))
            q = ((both >> (4 * (k & 1))) & 15) - 8
            whole = q * load_1b(groups + k // GROUP)
            store_1f(y + 4 * (n * cols + k), f32(whole) * load_1f(scale + 4 * token))
    return 0
