"""MAP, COMBINE, SELECT, TAKE and COPY, and the elementwise part of the cells: one number in, one number out.

A number may be written over the one that it is made of, as both are the same thread's.
"""

from __future__ import annotations

from edgernn.kernels.cuda.maths import LARGEST, ONE, ZERO, gate, gated, tanh
from edgernn.kernels.cuda.pointwise import combined, mapped
from edgernn.kernels.cuda.primitives import arg, constant, device, high, low, mul, number, place, source, step, u64


@device
def map_(t, a):
    """MAP: y = function(x)."""
    y, x, apart, size, function = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2), arg(t, a, 3)
    alpha, beta = number(t, a, 4), number(t, a, 5)
    i = t.group
    while i < size:
        t.floats[u64(y + i * t.lanes)] = mapped(function, t.floats[u64(x + i * apart)], alpha, beta)
        i += t.groups


@device
def combine(t, a):
    """COMBINE: y = p operation q; one of them may be a single number."""
    y, size, operation = place(t, a, 0), arg(t, a, 3), arg(t, a, 4)
    p, p_step = source(t, a, 1), step(t, a, 1) * arg(t, a, 5)
    q, q_step = source(t, a, 2), step(t, a, 2) * arg(t, a, 6)
    i = t.group
    while i < size:
        t.floats[u64(y + i * t.lanes)] = combined(
            operation, t.floats[u64(p + i * p_step)], t.floats[u64(q + i * q_step)]
        )
        i += t.groups


@device
def select(t, a):
    """SELECT: y = p where condition is not 0, else q."""
    y, size = place(t, a, 0), arg(t, a, 4)
    c, c_step = source(t, a, 1), step(t, a, 1)
    p, p_step = source(t, a, 2), step(t, a, 2)
    q, q_step = source(t, a, 3), step(t, a, 3)
    i = t.group
    while i < size:
        chosen = t.floats[u64(c + i * c_step)] != ZERO
        t.floats[u64(y + i * t.lanes)] = t.floats[u64(p + i * p_step)] if chosen else t.floats[u64(q + i * q_step)]
        i += t.groups


@device
def take(t, a):
    """TAKE: y[i] = x[index[i]], or fill."""
    y, x, apart, index = place(t, a, 0), source(t, a, 1), step(t, a, 1), constant(t, a, 2)
    size, fill = arg(t, a, 3), number(t, a, 4)
    i = t.group
    while i < size:
        at = t.ints[u64(index + i)]
        t.floats[u64(y + i * t.lanes)] = t.floats[u64(x + at * apart)] if at >= 0 else fill
        i += t.groups


@device
def taps(t, a):
    """TAPS: y[i] = bias[n] + sum over k of factors[k, n] * x[offsets[k] + i] with n = i % period."""
    y, x, apart, offsets = place(t, a, 0), source(t, a, 1), step(t, a, 1), constant(t, a, 2)
    factors, bias, size, count, period = constant(t, a, 3), constant(t, a, 4), arg(t, a, 5), arg(t, a, 6), arg(t, a, 7)
    i = t.group
    while i < size:
        n = i % period
        total = t.floats[u64(bias + n)]
        for k in range(count):
            seen = t.floats[u64(x + (t.ints[u64(offsets + k)] + i) * apart)]
            total += mul(t.floats[u64(factors + k * period + n)], seen)
        t.floats[u64(y + i * t.lanes)] = total
        i += t.groups


@device
def copy(t, a):
    """COPY: y = x, which may overlap where y lies before x: each thread then moves what it has read onward itself."""
    y, x, apart, size = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2)
    further = (x - y) // t.lanes if apart == t.lanes and y < x < y + size * t.lanes else size
    i = t.group
    while i < further:
        for n in range(i, size, further):
            t.floats[u64(y + n * t.lanes)] = t.floats[u64(x + n * apart)]
        i += t.groups


@device
def summed(t, x, h, at):
    """What came from x plus what came from h."""
    return t.floats[u64(x + at)] + t.floats[u64(h + at)]


@device
def rnn(t, a):
    """RNN: tanh, or relu that stops at the largest number, of the sum."""
    y, x, h, hidden = place(t, a, 0), source(t, a, 1), source(t, a, 2), arg(t, a, 3)
    relu = arg(t, a, 4) != 0
    i = t.group
    while i < hidden:
        total = summed(t, x, h, i * t.lanes)
        t.floats[u64(y + i * t.lanes)] = low(high(total, ZERO), LARGEST) if relu else tanh(total)
        i += t.groups


@device
def gru(t, a):
    """linear_before_reset = 1; (1 - z) * n + z * h as n + z * (h - n)."""
    y, x, h, old, hidden = place(t, a, 0), source(t, a, 1), source(t, a, 2), source(t, a, 3), arg(t, a, 4)
    gates = hidden * t.lanes
    i = t.group
    while i < hidden:
        z = i * t.lanes
        r, n = z + gates, z + 2 * gates
        candidate = tanh(t.floats[u64(x + n)] + t.floats[u64(h + n)] / (gate(summed(t, x, h, r)) + ONE))
        kept = t.floats[u64(old + i * step(t, a, 3))] - candidate
        t.floats[u64(y + z)] = candidate + kept / (gate(summed(t, x, h, z)) + ONE)
        i += t.groups


@device
def lstm(t, a):
    """LSTM: h_new, c_new."""
    h_new, c_new = place(t, a, 0), place(t, a, 1)
    x, h, c, hidden = source(t, a, 2), source(t, a, 3), source(t, a, 4), arg(t, a, 5)
    gates = hidden * t.lanes
    n = t.group
    while n < hidden:
        i = n * t.lanes
        o, f, g = i + gates, i + 2 * gates, i + 3 * gates
        kept = t.floats[u64(c + n * step(t, a, 4))] / (gate(summed(t, x, h, f)) + ONE)
        cell = kept + gated(summed(t, x, h, g), summed(t, x, h, i))
        t.floats[u64(c_new + i)] = cell
        t.floats[u64(h_new + i)] = gated(cell, summed(t, x, h, o))
        n += t.groups
