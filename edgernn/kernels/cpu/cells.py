"""RNN, GRU and LSTM: the elementwise part, on the sums that two AFFINE instructions have made.

Gates are in ONNX order; h_new may be h, c_new may be c. Divisions are shared:
sigmoid(a) * tanh(b) = sign(b) * (1 - e) / ((1 + gate(a)) * (1 + e)) with e = decay(b).
"""

from __future__ import annotations

from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.maths import ONE, ZERO, decay, gate, signed, tanh
from edgernn.kernels.cpu.vector import BYTES, F, N, f32, high, load_f, low, splat_f, store_f

LARGEST = f32(3.4028234663852886e38)


@function(F, F, F)
def gated(x, by):
    """sigmoid(by) * tanh(x)."""
    e = decay(x)
    return signed((ONE - e) / ((gate(by) + ONE) * (e + ONE)), x)


@function(F, N, N)
def summed(p, q):
    """What came from x plus what came from h."""
    return load_f(p) + load_f(q)


@kernel
def lstm(a, arena, weights, control):
    """LSTM: h_new, c_new."""
    h_new, c_new = arena + arg(a, 0), arena + arg(a, 1)
    x, h, c = read(a, 2, arena, weights), read(a, 3, arena, weights), read(a, 4, arena, weights)
    gate_bytes = 4 * arg(a, 5)
    for i in range(0, gate_bytes, BYTES):
        o, f, g = i + gate_bytes, i + 2 * gate_bytes, i + 3 * gate_bytes
        kept = load_f(c + i) / (gate(summed(x + f, h + f)) + ONE)
        cell = kept + gated(summed(x + g, h + g), summed(x + i, h + i))
        store_f(c_new + i, cell)
        store_f(h_new + i, gated(cell, summed(x + o, h + o)))
    return 0


@kernel
def gru(a, arena, weights, control):
    """linear_before_reset = 1; (1 - z) * n + z * h as n + z * (h - n)."""
    h_new, x, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    old, gate_bytes = read(a, 3, arena, weights), 4 * arg(a, 4)
    for z in range(0, gate_bytes, BYTES):
        r, n = z + gate_bytes, z + 2 * gate_bytes
        candidate = tanh(load_f(x + n) + load_f(h + n) / (gate(summed(x + r, h + r)) + ONE))
        store_f(h_new + z, candidate + (load_f(old + z) - candidate) / (gate(summed(x + z, h + z)) + ONE))
    return 0


@kernel
def rnn(a, arena, weights, control):
    """RNN: tanh, or relu that stops at the largest number, of the sum: a state is always finite."""
    h_new, x, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    hidden, relu = arg(a, 3), arg(a, 4)
    for at in range(0, 4 * hidden, BYTES):
        total = summed(x + at, h + at)
        if relu != 0:
            store_f(h_new + at, low(high(total, splat_f(ZERO)), splat_f(LARGEST)))
        else:
            store_f(h_new + at, tanh(total))
    return 0
