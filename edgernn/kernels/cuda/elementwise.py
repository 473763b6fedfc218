"""MAP, COMBINE, SELECT, TAKE and COPY, and the elementwise part of the cells: one number in, one number out.

A number may be written over the one that it is made of, as both are the same thread's.
"""

from __future__ import annotations

from edgernn.kernels.cuda.maths import LARGEST, ONE, ZERO, gate, gated, tanh
from edgernn.kernels.cuda.pointwise import combined, mapped
from edgernn.kernels.cuda.primitives import arg, constant, device, high, low, number, place, source, step


@device
def map_(t, a):
    """MAP: y = function(x)."""
    y, x, apart, size, function = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2), arg(t, a, 3)
    alpha, beta = number(t, a, 4), number(t, a, 5)
    for i in range(t.group, size, t.groups):
        t.floats[y + i * t.lanes] = mapped(function, t.floats[x + i * apart], alpha, beta)


@device
def combine(t, a):
    """COMBINE: y = p operation q; one of them may be a single number."""
    y, size, operation = place(t, a, 0), arg(t, a, 3), arg(t, a, 4)
    p, p_step = source(t, a, 1), step(t, a, 1) * arg(t, a, 5)
    q, q_step = source(t, a, 2), step(t, a, 2) * arg(t, a, 6)
    for i in range(t.group, size, t.groups):
        t.floats[y + i * t.lanes] = combined(operation, t.floats[p + i * p_step], t.floats[q + i * q_step])


@device
def select(t, a):
    """SELECT: y = p where condition is not 0, else q."""
    y, size = place(t, a, 0), arg(t, a, 4)
    c, c_step = source(t, a, 1), step(t, a, 1)
    p, p_step = source(t, a, 2), step(t, a, 2)
    q, q_step = source(t, a, 3), step(t, a, 3)
    for i in range(t.group, size, t.groups):
        chosen = t.floats[c + i * c_step] != ZERO
        t.floats[y + i * t.lanes] = t.floats[p + i * p_step] if chosen else t.floats[q + i * q_step]


@device
def take(t, a):
    """TAKE: y[i] = x[index[i]], or fill."""
    y, x, apart, index = place(t, a, 0), source(t, a, 1), step(t, a, 1), constant(t, a, 2)
    size, fill = arg(t, a, 3), number(t, a, 4)
    for i in range(t.group, size, t.groups):
        at = t.ints[index + i]
        t.floats[y + i * t.lanes] = t.floats[x + at * apart] if at >= 0 else fill


@device
def copy(t, a):
    """COPY: y = x."""
    y, x, apart, size = place(t, a, 0), source(t, a, 1), step(t, a, 1), arg(t, a, 2)
    for i in range(t.group, size, t.groups):
        t.floats[y + i * t.lanes] = t.floats[x + i * apart]


@device
def summed(t, x, h, at):
    """What came from x plus what came from h."""
    return t.floats[x + at] + t.floats[h + at]


@device
def rnn(t, a):
    """RNN: tanh, or relu that stops at the largest number, of the sum."""
    y, x, h, hidden = place(t, a, 0), source(t, a, 1), source(t, a, 2), arg(t, a, 3)
    relu = arg(t, a, 4) != 0
    for i in range(t.group, hidden, t.groups):
        total = summed(t, x, h, i * t.lanes)
        t.floats[y + i * t.lanes] = low(high(total, ZERO), LARGEST) if relu else tanh(total)


@device
def gru(t, a):
    """linear_before_reset = 1; (1 - z) * n + z * h as n + z * (h - n)."""
    y, x, h, old, hidden = place(t, a, 0), source(t, a, 1), source(t, a, 2), source(t, a, 3), arg(t, a, 4)
    gates = hidden * t.lanes
    for i in range(t.group, hidden, t.groups):
        z = i * t.lanes
        r, n = z + gates, z + 2 * gates
        candidate = tanh(t.floats[x + n] + t.floats[h + n] / (gate(summed(t, x, h, r)) + ONE))
        kept = t.floats[old + i * step(t, a, 3)] - candidate
        t.floats[y + z] = candidate + kept / (gate(summed(t, x, h, z)) + ONE)


@device
def lstm(t, a):
    """LSTM: h_new, c_new."""
    h_new, c_new = place(t, a, 0), place(t, a, 1)
    x, h, c, hidden = source(t, a, 2), source(t, a, 3), source(t, a, 4), arg(t, a, 5)
    gates = hidden * t.lanes
    for n in range(t.group, hidden, t.groups):
        i = n * t.lanes
        o, f, g = i + gates, i + 2 * gates, i + 3 * gates
        kept = t.floats[c + n * step(t, a, 4)] / (gate(summed(t, x, h, f)) + ONE)
        cell = kept + gated(summed(t, x, h, g), summed(t, x, h, i))
        t.floats[c_new + i] = cell
        t.floats[h_new + i] = gated(cell, summed(t, x, h, o))
