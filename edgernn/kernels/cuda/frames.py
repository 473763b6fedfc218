"""Between the caller's frames and the arenas: loading, pushing and storing; tables; and the check of what comes in.

Frames lie [frame][stream][number], a port after the other; tokens are int32 there. An arena holds a token as an int32
in the first of its words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import cuda

from edgernn.kernels.contract import GROUP
from edgernn.kernels.cuda.maths import ONE, ZERO
from edgernn.kernels.cuda.primitives import arg, constant, device, f32, high, i32, low, mul, place, source, step, u64

EXPONENT = i32(0x7F800000)
NONE = i32(2**31 - 1)
WORDS = 5
START, SIZE, IS_TOKEN, LOW, HIGH = range(WORDS)  # of a port


class Traffic(NamedTuple):
    """What a call brings and takes, and where a stream is in it."""

    ports: Any  # (ports * WORDS,) int64; START: of its first frame, in words
    ints: Any  # inputs, int32
    floats: Any  # the same as float32
    answers: Any  # float32
    stream: int
    streams: int


@device
def row(c, port, count):
    """Where this stream's numbers of a port begin in its frame number `count`."""
    size = c.ports[u64(port * WORDS + SIZE)]
    return c.ports[u64(port * WORDS + START)] + (count * c.streams + c.stream) * size


@device
def load(t, a, c, frame):
    """LOAD and LOAD_TOKENS: the words of a frame into the arena."""
    y, x, size = place(t, a, 0), row(c, arg(t, a, 1), frame), arg(t, a, 2)
    i = t.group
    while i < size:
        t.ints[u64(y + i * t.lanes)] = c.ints[u64(x + i)]
        i += t.groups


@device
def push(t, a, c, frame):
    """PUSH and PUSH_TOKENS: a frame, as numbers, behind those before it."""
    y, port, size, count = place(t, a, 0), arg(t, a, 1), arg(t, a, 2), arg(t, a, 3)
    x = row(c, port, frame)
    i = t.group
    while i < size:
        for n in range(count - 1):
            t.floats[u64(y + (n * size + i) * t.lanes)] = t.floats[u64(y + ((n + 1) * size + i) * t.lanes)]
        token = c.ports[u64(port * WORDS + IS_TOKEN)] != 0
        t.floats[u64(y + ((count - 1) * size + i) * t.lanes)] = (
            f32(c.ints[u64(x + i)]) if token else c.floats[u64(x + i)]
        )
        i += t.groups


@device
def tokens(t, a):
    """TOKENS: numbers as tokens, kept within low..high."""
    y, x, apart, size = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2)
    least, most = f32(arg(t, a, 3)), f32(arg(t, a, 4))
    i = t.group
    while i < size:
        t.ints[u64(y + i * t.lanes)] = i32(low(high(t.floats[u64(x + i * apart)], least), most))
        i += t.groups


@device
def store(t, a, c, answer):
    """STORE: an answer into the caller's buffer."""
    x, apart, size = source(t, a, 0), step(t, a, 0), arg(t, a, 2)
    y = row(c, arg(t, a, 1), answer)
    i = t.group
    while i < size:
        c.answers[u64(y + i)] = t.floats[u64(x + i * apart)]
        i += t.groups


@device
def byte(t, at):
    """Byte number `at` of the weights."""
    return i32((t.ints[u64(at >> 2)] >> i32((at & 3) * 8)) & i32(255))


@device
def entry(t, a, kind, line, i, cols):
    """Number i of a table's line: int8, int16 or int4, not yet scaled."""
    table = arg(t, a, 2)
    if kind == INT8:
        return i32(i32(byte(t, table + line * cols + i) << i32(24)) >> i32(24))
    if kind == INT16:
        at = table + 2 * (line * cols + i)
        word = byte(t, at) | (byte(t, at + 1) << i32(8))
        return i32(i32(word << i32(16)) >> i32(16))
    packed = byte(t, table + line * ((cols + 1) // 2) + i // 2)
    q = (packed >> i32(4) if i % 2 == 1 else packed & i32(15)) - i32(8)
    return i32(q * byte(t, arg(t, a, 4) + line * ((cols + GROUP - 1) // GROUP) + i // GROUP))


FLOAT, INT8, INT16, INT4 = range(4)


@device
def lookup(t, a, kind):
    """LOOKUP_F32, LOOKUP_I8, LOOKUP_I16 and LOOKUP_I4: a table's lines, times their scales."""
    y, x, apart = place(t, a, 0), source(t, a, 1), step(t, a, 1)
    first = 3 if kind == FLOAT else (5 if kind == INT4 else 4)
    count, cols, vocabulary = arg(t, a, first), arg(t, a, first + 1), arg(t, a, first + 2)
    n = t.group
    while n < count * cols:
        token = t.ints[u64(x + n // cols * apart)]
        line, i = token if token >= 0 else token + vocabulary, n % cols
        if kind == FLOAT:
            value = t.floats[u64(constant(t, a, 2) + line * cols + i)]
        else:
            value = mul(f32(entry(t, a, kind, line, i, cols)), t.floats[u64(constant(t, a, 3) + line)])
        t.floats[u64(y + n * t.lanes)] = value
        n += t.groups


@device
def opened(t, a):
    """GATE: how many frames are left, before anything has changed."""
    return t.floats[u64(place(t, a, 0))] - ONE


@device
def keep(t, a, left):
    """GATE: the counter of the next frame."""
    t.floats[u64(place(t, a, 0))] = left if left > ZERO else f32(arg(t, a, 1))


@cuda.jit
def check(ports, inputs, ints, streams, frames, bad):
    """bad[stream] becomes 1 + frame * inputs + port of its first number that is not finite or no token, else stays."""
    n = cuda.grid(1)
    if n >= streams * frames:
        return
    frame, stream = n // streams, n % streams
    for port in range(inputs):
        size = ports[port * WORDS + SIZE]
        x = ports[port * WORDS + START] + n * size
        wrong = False
        for i in range(size):
            bits = ints[x + i]
            if ports[port * WORDS + IS_TOKEN] != 0:
                wrong = wrong or bits < ports[port * WORDS + LOW] or bits > ports[port * WORDS + HIGH]
            else:
                wrong = wrong or (bits & EXPONENT) == EXPONENT
        if wrong:
            cuda.atomic.min(bad, stream, i32(1 + frame * inputs + port))
            return
