"""REDUCE, SOFTMAX, NORMALISE and QUANTISE: a row at a time, in the reference's order.

A sum goes in 16 lanes: lane j takes every 16th number from j on, then halves are folded onto each other.
"""

from __future__ import annotations

from edgernn.kernels.contract import FORMS, GROUP, QUANTISED_HEADER, REDUCES
from edgernn.kernels.cuda.maths import INFINITY, MAGIC, MAGNITUDE, ONE, ZERO, absolute, exp, log
from edgernn.kernels.cuda.primitives import (
    arg,
    as_float,
    as_int,
    device,
    f32,
    high,
    i32,
    low,
    mul,
    number,
    place,
    root,
    source,
    step,
    u64,
)

(SUM, MEAN, MAX, MIN, PROD, SUM_SQUARE, SUM_ABS) = range(len(REDUCES))
MAX_ABS = len(REDUCES)
(INT8, INT8X16, INT16, INT4) = range(len(FORMS))
HEADER = QUANTISED_HEADER // 4
TINY, FULL_8, FULL_16 = f32(1e-20), f32(127.0), f32(32767.0)
EIGHT, HALF_WORD = i32(8), i32(16)
INFINITE = i32(0x7F800000)  # the bits of infinity: those of a NaN are above


@device
def start(operation):
    """What a lane begins with, and what stands where the row has ended."""
    if operation == MAX:
        return -INFINITY
    if operation == MIN:
        return INFINITY
    return ONE if operation == PROD else ZERO


@device
def fold(operation, p, q):
    """Two of a reduction's parts as one."""
    if operation == MAX or operation == MAX_ABS:
        return high(p, q)
    if operation == MIN:
        return low(p, q)
    return mul(p, q) if operation == PROD else p + q


@device
def lane(t, operation, x, apart, size, centre, j):
    """What lane j holds after the whole row."""
    total = start(operation)
    for i in range(j, (size + 15) // 16 * 16, 16):
        value = start(operation)
        if i < size:
            value = t.floats[u64(x + i * apart)]
            if operation == SUM_SQUARE:
                value = mul(value - centre, value - centre)
            elif operation >= SUM_ABS:
                value = absolute(value)
        total = fold(operation, total, value)
    return total


@device
def reduced(t, operation, x, apart, size, centre):
    """The whole row. Lanes come in bit-reversed order, so that each is folded with the last part of its own size."""
    one = two = four_parts = half = total = ZERO
    for n in range(16):
        j = (n & 1) << 3 | (n & 2) << 1 | (n & 4) >> 1 | (n & 8) >> 3
        total = lane(t, operation, x, apart, size, centre, j)
        if n & 1 == 0:
            one = total
            continue
        total = fold(operation, one, total)
        if n & 2 == 0:
            two = total
            continue
        total = fold(operation, two, total)
        if n & 4 == 0:
            four_parts = total
            continue
        total = fold(operation, four_parts, total)
        if n == 7:
            half = total
    return fold(operation, half, total)


@device
def reduce(t, a):
    """REDUCE: y[r] = operation over x[r]."""
    y, x, apart, rows, cols, operation = (
        place(t, a, 0),
        source(t, a, 1),
        step(t, a, 1),
        arg(t, a, 2),
        arg(t, a, 3),
        arg(t, a, 4),
    )
    row = t.group
    while row < rows:
        total = reduced(t, operation if operation != MEAN else SUM, x + row * cols * apart, apart, cols, ZERO)
        t.floats[u64(y + row * t.lanes)] = total / f32(cols) if operation == MEAN else total
        row += t.groups


@device
def softmax(t, a):
    """SOFTMAX: of each row, or its logarithm."""
    x, apart, rows, cols, wants_log = source(t, a, 1), step(t, a, 1), arg(t, a, 2), arg(t, a, 3), arg(t, a, 4)
    row = t.group
    while row < rows:
        p, y = x + row * cols * apart, place(t, a, 0) + row * cols * t.lanes
        highest = reduced(t, MAX, p, apart, cols, ZERO)
        for i in range(cols):
            t.floats[u64(y + i * t.lanes)] = exp(t.floats[u64(p + i * apart)] - highest)
        total = reduced(t, SUM, y, t.lanes, cols, ZERO)
        if wants_log != 0:
            shift = log(total)
            for i in range(cols):
                t.floats[u64(y + i * t.lanes)] = (t.floats[u64(p + i * apart)] - highest) - shift
        else:
            factor = ONE / total
            for i in range(cols):
                t.floats[u64(y + i * t.lanes)] = mul(t.floats[u64(y + i * t.lanes)], factor)
        row += t.groups


@device
def normalise(t, a):
    """NORMALISE: each row less its mean, over its deviation."""
    x, apart, rows, cols, epsilon = source(t, a, 1), step(t, a, 1), arg(t, a, 2), arg(t, a, 3), number(t, a, 4)
    row = t.group
    while row < rows:
        p, y = x + row * cols * apart, place(t, a, 0) + row * cols * t.lanes
        mean = ZERO
        if arg(t, a, 5) != 0:
            mean = reduced(t, SUM, p, apart, cols, ZERO) / f32(cols)
        variance = reduced(t, SUM_SQUARE, p, apart, cols, mean) / f32(cols)
        scale = ONE / root(variance + epsilon)
        for i in range(cols):
            t.floats[u64(y + i * t.lanes)] = mul(t.floats[u64(p + i * apart)] - mean, scale)
        row += t.groups


@device
def rounded(t, x, i, cols, apart, factor, full):
    """Number i of a row as an integer; 0 behind its end, and for a NaN."""
    if i >= cols:
        return i32(0)
    value = mul(t.floats[u64(x + i * apart)], factor)
    if value != value:
        return i32(0)
    return i32(i32(as_int(high(low(value, full), -full) + MAGIC) << HALF_WORD) >> HALF_WORD)


@device
def four(t, x, i, cols, apart, factor):
    """Numbers i to i + 3 of a row as the bytes of an integer."""
    q = rounded(t, x, i + 3, cols, apart, factor, FULL_8) & i32(255)
    for n in range(2, -1, -1):
        q = i32((q << EIGHT) | (rounded(t, x, i + n, cols, apart, factor, FULL_8) & i32(255)))
    return q


@device
def part_of_largest(t, a):
    """QUANTISE: the bits of the largest magnitude of this thread's numbers: bits are in the order of magnitudes."""
    x, apart, found = source(t, a, 1), step(t, a, 1), i32(0)
    end = x + arg(t, a, 2) * arg(t, a, 3) * apart
    x += t.group * apart
    while x < end:
        found = max(found, t.ints[u64(x)] & MAGNITUDE)
        x += t.groups * apart
    return found


@device
def largest_of(t, a, parts):
    """QUANTISE: the largest magnitude; parts: of the block's threads. What a NaN does depends on where it stands."""
    found, group, size = i32(0), 0, arg(t, a, 2) * arg(t, a, 3)
    while group < min(t.groups, size):
        found = max(found, parts[u64(t.lane + group * t.lanes)])
        group += 1
    if found > INFINITE:
        return reduced(t, MAX_ABS, source(t, a, 1), step(t, a, 1), size, ZERO)
    return as_float(found)


@device
def quantise(t, a, parts):
    """QUANTISE: q = x * (full / largest), scale = largest / full."""
    y, x, apart, cols, count = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2), arg(t, a, 3)
    form, reach = arg(t, a, 4), number(t, a, 5)
    found = reach if reach > ZERO else largest_of(t, a, parts)
    largest = found if found >= TINY else TINY
    full = FULL_16 if form == INT8X16 or form == INT16 else FULL_8
    if t.group == 0:
        t.floats[u64(y)] = largest / full
    factor = full / largest
    for row in range(count):
        p = x + row * cols * apart
        if form == INT8:
            words = (cols + 3) // 4
            q = y + (HEADER + row * words) * t.lanes
            k = t.group
            while k < words:
                t.ints[u64(q + k * t.lanes)] = four(t, p, 4 * k, cols, apart, factor)
                k += t.groups
        elif form == INT4:
            groups = (cols + GROUP - 1) // GROUP
            g = t.group
            while g < groups:
                quantise_group(t, y + (HEADER + (row * groups + g) * 9) * t.lanes, p, g * GROUP, cols, apart, factor)
                g += t.groups
        elif form == INT16:
            words = (cols + 1) // 2 * 2
            q = y + (HEADER + row * words) * t.lanes
            k = t.group
            while k < words:
                t.ints[u64(q + k * t.lanes)] = rounded(t, p, k, cols, apart, factor, full)
                k += t.groups
        else:
            words = (cols + 3) // 4 * 2
            q = y + (HEADER + row * words) * t.lanes
            k = t.group
            while k < words:
                lower = rounded(t, p, 2 * k, cols, apart, factor, full) & i32(0xFFFF)
                upper = rounded(t, p, 2 * k + 1, cols, apart, factor, full)
                t.ints[u64(q + k * t.lanes)] = i32((upper << HALF_WORD) | lower)
                k += t.groups


@device
def quantise_group(t, q, x, first, cols, apart, factor):
    """32 numbers in 8 words, then -8 times their sum."""
    total = i32(0)
    for k in range(8):
        for n in range(4):
            total = i32(total + rounded(t, x, first + 4 * k + n, cols, apart, factor, FULL_8))
        t.ints[u64(q + k * t.lanes)] = four(t, x, first + 4 * k, cols, apart, factor)
    t.ints[u64(q + 8 * t.lanes)] = i32(total * i32(-8))
