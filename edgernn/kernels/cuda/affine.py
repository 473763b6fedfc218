"""y = W x + b in every format. A thread takes one row at a time; of int8 a block, where there are enough.

Weights lie [block][word of columns][row in the block] (panels.CudaBackend). Products of integers are exact: sums of 32
bits are carried into 64 before they could overflow, become float32 once, and are then scaled, as in the reference.
"""

from __future__ import annotations

from numba import int64

from edgernn.kernels.contract import FORMS, GROUP, QUANTISED_HEADER
from edgernn.kernels.cuda.maths import ZERO
from edgernn.kernels.cuda.panels import ROWS
from edgernn.kernels.cuda.primitives import (
    arg,
    constant,
    device,
    dp2a_high,
    dp2a_low,
    dp4a,
    f32,
    i32,
    mul,
    place,
    quad,
    source,
    step,
    u64,
)

(INT8, INT8X16, INT16, INT4) = range(len(FORMS))
HEADER = QUANTISED_HEADER // 4
MOST_WORDS = 1 << 15  # 4 * 2**15 * 127 * 127 is less than 2**31
CHUNK = 128  # words: 4 * 128 * 127 * 32767 is less than 2**31
NIBBLES, FOUR, HALF_WORD = i32(0x0F0F0F0F), i32(4), i32(16)


@device
def dot_8(t, w, x, words):
    """The product of int8 with int8."""
    total, part, k = int64(0), i32(0), 0
    while k < words:
        part = dp4a(t.ints[u64(x + k * t.lanes)], t.panels[u64(w + k * ROWS)], part)
        k += 1
        if k % CHUNK == 0:
            total, part = total + part, i32(0)
    return total + part


@device
def dot_8x16(t, w, x, words):
    """The product of int8 weights with int16."""
    total, part, k = int64(0), i32(0), 0
    while k < words:
        weights = t.panels[u64(w + k * ROWS)]
        part = dp2a_low(t.ints[u64(x + 2 * k * t.lanes)], weights, part)
        part = dp2a_high(t.ints[u64(x + (2 * k + 1) * t.lanes)], weights, part)
        k += 1
        if k % CHUNK == 0:
            total, part = total + part, i32(0)
    return total + part


@device
def dot_16(t, w, x, words):
    """The product of int16 with int16."""
    total, k = int64(0), 0
    while k < words:
        weights = t.panels[u64(w + k * ROWS)]
        lower, upper = i32(i32(weights << HALF_WORD) >> HALF_WORD), i32(weights >> HALF_WORD)
        total += int64(lower) * t.ints[u64(x + 2 * k * t.lanes)]
        total += int64(upper) * t.ints[u64(x + (2 * k + 1) * t.lanes)]
        k += 1
    return total


@device
def dot_4(t, w, x, words, factors):
    """The product of int4 in groups of 32, each times its factor, with int8."""
    total, g = int64(0), 0
    while g < words // 4:
        q = x + 9 * g * t.lanes
        part = t.ints[u64(q + 8 * t.lanes)]
        for k in range(4):
            weights = t.panels[u64(w + (4 * g + k) * ROWS)]
            part = dp4a(t.ints[u64(q + 2 * k * t.lanes)], i32(weights & NIBBLES), part)
            part = dp4a(t.ints[u64(q + (2 * k + 1) * t.lanes)], i32((weights >> FOUR) & NIBBLES), part)
        total += int64(part) * t.panels[u64(factors + g * ROWS)]
        g += 1
    return total


@device
def product(t, form, w, x, words, factors):
    """The product of one row with one vector, in one of FORMS."""
    if form == INT8:
        return dot_8(t, w, x, words)
    if form == INT8X16:
        return dot_8x16(t, w, x, words)
    if form == INT16:
        return dot_16(t, w, x, words)
    return dot_4(t, w, x, words, factors)


@device
def scaled(t, scale, total, by):
    """The exact product of one row as float32; by: the scale of the vector."""
    return mul(f32(total), mul(t.floats[u64(scale)], by))


@device
def put(t, y, bias, total):
    """One row of the answer."""
    t.floats[u64(y)] = total + t.floats[u64(bias)]


@device
def put_block(t, y, bias, left, totals):
    """The first `left` of ROWS rows of the answer."""
    s0, s1, s2, s3, s4, s5, s6, s7 = totals
    put(t, y, bias, s0)
    if left > 1:
        put(t, y + t.lanes, bias + 1, s1)
    if left > 2:
        put(t, y + 2 * t.lanes, bias + 2, s2)
    if left > 3:
        put(t, y + 3 * t.lanes, bias + 3, s3)
    if left > 4:
        put(t, y + 4 * t.lanes, bias + 4, s4)
    if left > 5:
        put(t, y + 5 * t.lanes, bias + 5, s5)
    if left > 6:
        put(t, y + 6 * t.lanes, bias + 6, s6)
    if left > 7:
        put(t, y + 7 * t.lanes, bias + 7, s7)


@device
def affine_integers(t, a, form):
    """AFFINE_I8, AFFINE_I8X16, AFFINE_I16 and AFFINE_I4."""
    rows, cols, count = arg(t, a, 6), arg(t, a, 7), arg(t, a, 8)
    w, x, scale, bias = constant(t, a, 2), source(t, a, 1), constant(t, a, 3), constant(t, a, 5)
    by, words = t.floats[u64(x)], (cols + 3) // 4
    x_words = words
    if form == INT8X16:
        x_words = 2 * words
    elif form == INT16:
        words = (cols + 1) // 2
        x_words = 2 * words
    elif form == INT4:
        words = (cols + GROUP - 1) // GROUP * 4
        x_words = words // 4 * 9
    for vector in range(count):
        q, y = x + (HEADER + vector * x_words) * t.lanes, place(t, a, 0) + vector * rows * t.lanes
        if form == INT8 and words <= MOST_WORDS and rows >= t.groups * ROWS:
            first = t.group * ROWS
            while first < rows:
                block_8(
                    t, y + first * t.lanes, scale + first, bias + first, w + first * words, q, words, rows - first, by
                )
                first += t.groups * ROWS
        else:
            row = t.group
            while row < rows:
                at = row // ROWS * ROWS
                factors = constant(t, a, 4) + at * (words // 4) + row - at
                total = product(t, form, w + at * words + row - at, q, words, factors)
                put(t, y + row * t.lanes, bias + row, scaled(t, scale + row, total, by))
                row += t.groups


@device
def block_8(t, y, scale, bias, w, x, words, left, by):
    """The first `left` of ROWS rows of int8: each word of the vector is read once, and four of the weights at once."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = i32(0)
    end = w + words * ROWS
    while w < end:
        q = t.ints[u64(x)]
        p0, p1, p2, p3 = quad(t.panels, u64(w))
        p4, p5, p6, p7 = quad(t.panels, u64(w + 4))
        s0, s1, s2, s3 = dp4a(q, p0, s0), dp4a(q, p1, s1), dp4a(q, p2, s2), dp4a(q, p3, s3)
        s4, s5, s6, s7 = dp4a(q, p4, s4), dp4a(q, p5, s5), dp4a(q, p6, s6), dp4a(q, p7, s7)
        x, w = x + t.lanes, w + ROWS
    r0, r1, r2 = scaled(t, scale, s0, by), scaled(t, scale + 1, s1, by), scaled(t, scale + 2, s2, by)
    r3, r4, r5 = scaled(t, scale + 3, s3, by), scaled(t, scale + 4, s4, by), scaled(t, scale + 5, s5, by)
    r6, r7 = scaled(t, scale + 6, s6, by), scaled(t, scale + 7, s7, by)  # those beyond `left` are of no row
    put_block(t, y, bias, left, (r0, r1, r2, r3, r4, r5, r6, r7))


@device
def affine_floats(t, a):
    """AFFINE_F32 and AFFINE_EXACT: each product rounded and added in the order of the columns."""
    w, bias, rows, cols, count = constant(t, a, 2), constant(t, a, 3), arg(t, a, 4), arg(t, a, 5), arg(t, a, 6)
    apart = step(t, a, 1)
    for vector in range(count):
        x, y = source(t, a, 1) + vector * cols * apart, place(t, a, 0) + vector * rows * t.lanes
        if rows >= t.groups * ROWS:
            first = t.group * ROWS
            while first < rows:
                block_f(t, y + first * t.lanes, bias + first, w + first * cols, x, apart, cols, rows - first)
                first += t.groups * ROWS
        else:
            row = t.group
            while row < rows:
                total = row_f(t, w + row // ROWS * ROWS * cols + row % ROWS, x, apart, cols)
                put(t, y + row * t.lanes, bias + row, total)
                row += t.groups


@device
def row_f(t, w, x, apart, cols):
    """The product of one row."""
    total, end = ZERO, w + cols * ROWS
    while w < end:
        total += mul(t.floats[u64(x)], t.floats[u64(w)])
        x, w = x + apart, w + ROWS
    return total


@device
def block_f(t, y, bias, w, x, apart, cols, left):
    """The first `left` of ROWS rows, as block_8."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = ZERO
    end = w + cols * ROWS
    while w < end:
        q = t.floats[u64(x)]
        p0, p1, p2, p3 = quad(t.floats, u64(w))
        p4, p5, p6, p7 = quad(t.floats, u64(w + 4))
        s0, s1, s2, s3 = s0 + mul(q, p0), s1 + mul(q, p1), s2 + mul(q, p2), s3 + mul(q, p3)
        s4, s5, s6, s7 = s4 + mul(q, p4), s5 + mul(q, p5), s6 + mul(q, p6), s7 + mul(q, p7)
        x, w = x + apart, w + ROWS
    put_block(t, y, bias, left, (s0, s1, s2, s3, s4, s5, s6, s7))
