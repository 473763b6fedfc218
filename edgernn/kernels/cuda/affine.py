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
    source,
    step,
)

(INT8, INT8X16, INT16, INT4) = range(len(FORMS))
HEADER = QUANTISED_HEADER // 4
MOST_WORDS = 1 << 15  # 4 * 2**15 * 127 * 127 is less than 2**31
CHUNK = 128  # words: 4 * 128 * 127 * 32767 is less than 2**31
NIBBLES, FOUR, HALF_WORD = i32(0x0F0F0F0F), i32(4), i32(16)


@device
def dot_8(t, w, x, words):
    """The product of int8 with int8."""
    total = int64(0)
    for first in range(0, words, CHUNK):
        part = i32(0)
        for k in range(first, min(first + CHUNK, words)):
            part = dp4a(t.ints[x + k * t.lanes], t.panels[w + k * ROWS], part)
        total += part
    return total


@device
def dot_8x16(t, w, x, words):
    """The product of int8 weights with int16."""
    total = int64(0)
    for first in range(0, words, CHUNK):
        part = i32(0)
        for k in range(first, min(first + CHUNK, words)):
            weights = t.panels[w + k * ROWS]
            part = dp2a_low(t.ints[x + 2 * k * t.lanes], weights, part)
            part = dp2a_high(t.ints[x + (2 * k + 1) * t.lanes], weights, part)
        total += part
    return total


@device
def dot_16(t, w, x, words):
    """The product of int16 with int16."""
    total = int64(0)
    for k in range(words):
        weights = t.panels[w + k * ROWS]
        lower, upper = i32(i32(weights << HALF_WORD) >> HALF_WORD), i32(weights >> HALF_WORD)
        total += int64(lower) * t.ints[x + 2 * k * t.lanes] + int64(upper) * t.ints[x + (2 * k + 1) * t.lanes]
    return total


@device
def dot_4(t, w, x, words, factors):
    """The product of int4 in groups of 32, each times its factor, with int8."""
    total = int64(0)
    for g in range(words // 4):
        q = x + 9 * g * t.lanes
        part = t.ints[q + 8 * t.lanes]
        for k in range(4):
            weights = t.panels[w + (4 * g + k) * ROWS]
            part = dp4a(t.ints[q + 2 * k * t.lanes], i32(weights & NIBBLES), part)
            part = dp4a(t.ints[q + (2 * k + 1) * t.lanes], i32((weights >> FOUR) & NIBBLES), part)
        total += int64(part) * t.panels[factors + g * ROWS]
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
def scaled(t, a, y, row, total, by):
    """Row `row` of the answer, from its exact product; by: the scale of the vector."""
    factor = mul(t.floats[constant(t, a, 3) + row], by)
    t.floats[y + row * t.lanes] = t.floats[constant(t, a, 5) + row] + mul(f32(total), factor)


@device
def affine_integers(t, a, form):
    """AFFINE_I8, AFFINE_I8X16, AFFINE_I16 and AFFINE_I4."""
    rows, cols, count = arg(t, a, 6), arg(t, a, 7), arg(t, a, 8)
    w, x, by, x_words = constant(t, a, 2), source(t, a, 1), t.floats[source(t, a, 1)], (cols + 3) // 4
    words = x_words
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
            for first in range(t.group * ROWS, rows, t.groups * ROWS):
                block_8(t, a, y, first, w + first * words, q, words, by)
        else:
            for row in range(t.group, rows, t.groups):
                at = row // ROWS * ROWS
                factors = constant(t, a, 4) + at * (words // 4) + row - at
                scaled(t, a, y, row, product(t, form, w + at * words + row - at, q, words, factors), by)


@device
def block_8(t, a, y, first, w, x, words, by):
    """ROWS rows of int8 from `first` on: each word of the vector is read once."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = i32(0)
    for k in range(words):
        q, p = t.ints[x + k * t.lanes], w + k * ROWS
        s0, s1 = dp4a(q, t.panels[p], s0), dp4a(q, t.panels[p + 1], s1)
        s2, s3 = dp4a(q, t.panels[p + 2], s2), dp4a(q, t.panels[p + 3], s3)
        s4, s5 = dp4a(q, t.panels[p + 4], s4), dp4a(q, t.panels[p + 5], s5)
        s6, s7 = dp4a(q, t.panels[p + 6], s6), dp4a(q, t.panels[p + 7], s7)
    left = arg(t, a, 6) - first
    scaled(t, a, y, first, s0, by)
    if left > 1:
        scaled(t, a, y, first + 1, s1, by)
    if left > 2:
        scaled(t, a, y, first + 2, s2, by)
    if left > 3:
        scaled(t, a, y, first + 3, s3, by)
    if left > 4:
        scaled(t, a, y, first + 4, s4, by)
    if left > 5:
        scaled(t, a, y, first + 5, s5, by)
    if left > 6:
        scaled(t, a, y, first + 6, s6, by)
    if left > 7:
        scaled(t, a, y, first + 7, s7, by)


@device
def affine_floats(t, a):
    """AFFINE_F32 and AFFINE_EXACT: each product rounded and added in the order of the columns."""
    w, bias = constant(t, a, 2), constant(t, a, 3)
    rows, cols, count = arg(t, a, 4), arg(t, a, 5), arg(t, a, 6)
    x, apart = source(t, a, 1), step(t, a, 1)
    for n in range(t.group, rows * count, t.groups):
        row, p = n % rows, x + n // rows * cols * apart
        at = w + row // ROWS * ROWS * cols + row % ROWS
        total = ZERO
        for k in range(cols):
            total += mul(t.floats[p + k * apart], t.floats[at + k * ROWS])
        t.floats[place(t, a, 0) + n * t.lanes] = total + t.floats[bias + row]
