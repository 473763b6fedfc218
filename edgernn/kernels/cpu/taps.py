"""TAPS: sums over numbers that lie the same steps apart at every place."""

from __future__ import annotations

from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.vector import BYTES, F, N, load_1i, load_f, store_f


@function(F, F, N, N)
def added(total, factors, x):
    """total + factors * x, rounded twice."""
    return total + load_f(factors) * load_f(x)


@kernel
def taps(a, arena, weights, control):
    """TAPS: y[i] = bias[n] + sum over k, in order, of factors[k, n] * x[offset[k] + i]; four registers at once."""
    y, x, offsets = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
    factors, bias, size, count, period = (
        weights + arg(a, 3),
        weights + arg(a, 4),
        4 * arg(a, 5),
        arg(a, 6),
        4 * arg(a, 7),
    )
    at, n = 0, 0
    while at <= size - 4 * BYTES:
        p = bias + n
        s0, s1, s2, s3 = load_f(p), load_f(p + BYTES), load_f(p + 2 * BYTES), load_f(p + 3 * BYTES)
        w = factors + n
        for k in range(count):
            p = x + at + 4 * load_1i(offsets + 4 * k)
            s0 = added(s0, w, p)
            s1 = added(s1, w + BYTES, p + BYTES)
            s2 = added(s2, w + 2 * BYTES, p + 2 * BYTES)
            s3 = added(s3, w + 3 * BYTES, p + 3 * BYTES)
            w += period
        q = y + at
        store_f(q, s0)
        store_f(q + BYTES, s1)
        store_f(q + 2 * BYTES, s2)
        store_f(q + 3 * BYTES, s3)
        at += 4 * BYTES
        n += 4 * BYTES
        if n == period:
            n = 0
    while at < size:
        s0, w = load_f(bias + n), factors + n
        for k in range(count):
            s0 = added(s0, w, x + at + 4 * load_1i(offsets + 4 * k))
            w += period
        store_f(y + at, s0)
        at += BYTES
        n += BYTES
    return 0
