"""AFFINE and LOOKUP in float32 and int8: weights times values.

Rows lie in tiles of four registers side by side, then in single registers; see `edgernn.kernels.panels`.
"""

from __future__ import annotations

from numba import types

from edgernn.kernels.contract import QUANTISED_HEADER
from edgernn.kernels.cpu.dots import (
    dot1_exact,
    dot1_f,
    dot1_i8,
    dot4_exact,
    dot4_f,
    dot4_i8,
)
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.isa import ISA
from edgernn.kernels.cpu.vector import (
    BYTES,
    LANES,
    F,
    I,
    N,
    i32,
    load_1f,
    load_1n,
    load_8,
    load_f,
    load_i,
    store_1f,
    store_f,
    to_float,
)

OFFSET = i32(ISA.offset)
NONE = i32(0)


@function(F, I, N, N, N, types.float32)
def dequantised(total, at, offset, scale, step):
    """A register of integer sums as float32: (sum + offset) * (row scale * step)."""
    if OFFSET != NONE:
        total = total + load_i(offset + at)
    return to_float(total) * (load_f(scale + at) * step)


def _affine(name, dot4, dot1):
    """The kernel y[p] = W x[p] + bias, with these inner loops."""

    def body(a, arena, weights, control):
        y, x, panels, bias = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2), weights + arg(a, 3)
        rows, cols, count = arg(a, 4), arg(a, 5), arg(a, 6)
        blocks = (rows + LANES - 1) // LANES
        for position in range(count):
            w, p, q = panels, x + 4 * cols * position, y + 4 * rows * position
            at, end = 0, p + 4 * cols
            for _ in range(blocks >> 2):
                s0, s1, s2, s3, w = dot4(w, p, end)
                store_f(q + at, s0 + load_f(bias + at))
                store_f(q + at + BYTES, s1 + load_f(bias + at + BYTES))
                store_f(q + at + 2 * BYTES, s2 + load_f(bias + at + 2 * BYTES))
                store_f(q + at + 3 * BYTES, s3 + load_f(bias + at + 3 * BYTES))
                at += 4 * BYTES
            for _ in range(blocks & 3):
                s0, w = dot1(w, p, end)
                store_f(q + at, s0 + load_f(bias + at))
                at += BYTES
        return 0

    body.__name__ = name
    return kernel(body)


affine_f32 = _affine("affine_f32", dot4_f, dot1_f)
affine_exact = _affine("affine_exact", dot4_exact, dot1_exact)


@kernel
def affine_i8(a, arena, weights, control):
    """AFFINE_I8: y[p] = bias + (W q[p]) * (row scale * scale of q)."""
    y, x, panels = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
    scale, offset, bias = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
    rows, cols, count = arg(a, 6), arg(a, 7), arg(a, 8)
    step = load_1f(x)
    blocks, groups = (rows + LANES - 1) // LANES, (cols + 3) >> 2
    for position in range(count):
        w, p, q = panels, x + QUANTISED_HEADER + 4 * groups * position, y + 4 * rows * position
        at, end = 0, p + 4 * groups
        for _ in range(blocks >> 2):
            s0, s1, s2, s3, w = dot4_i8(w, p, end)
            store_f(q + at, load_f(bias + at) + dequantised(s0, at, offset, scale, step))
            n = at + BYTES
            store_f(q + n, load_f(bias + n) + dequantised(s1, n, offset, scale, step))
            n += BYTES
            store_f(q + n, load_f(bias + n) + dequantised(s2, n, offset, scale, step))
            n += BYTES
            store_f(q + n, load_f(bias + n) + dequantised(s3, n, offset, scale, step))
            at += 4 * BYTES
        for _ in range(blocks & 3):
            s0, w = dot1_i8(w, p, end)
            store_f(q + at, load_f(bias + at) + dequantised(s0, at, offset, scale, step))
            at += BYTES
    return 0


@function(N, N, N)
def row_of(token, vocabulary):
    """ONNX Gather: negative indices count from the end."""
    if token < 0:
        return token + vocabulary
    return token


@kernel
def lookup_f32(a, arena, weights, control):
    """LOOKUP_F32: rows of a table."""
    y, tokens, table = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
    count, cols, vocabulary = arg(a, 3), arg(a, 4), arg(a, 5)
    for n in range(count):
        row = table + 4 * cols * row_of(load_1n(tokens + 8 * n), vocabulary)
        for k in range(cols):
            store_1f(y + 4 * (n * cols + k), load_1f(row + 4 * k))
    return 0


@kernel
def lookup_i8(a, arena, weights, control):
    """LOOKUP_I8: rows of an int8 table, times their scales."""
    y, tokens, table, scale = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2), weights + arg(a, 3)
    count, cols, vocabulary = arg(a, 4), arg(a, 5), arg(a, 6)
    for n in range(count):
        token = row_of(load_1n(tokens + 8 * n), vocabulary)
        factor = load_1f(scale + 4 * token)
        for k in range(0, cols, LANES):
            store_f(y + 4 * (n * cols + k), to_float(load_8(table + cols * token + k)) * factor)
    return 0
