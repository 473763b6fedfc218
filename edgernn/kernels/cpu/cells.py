"""RNN, GRU and LSTM: all gates of one register of units in one pass, then the elementwise part on registers.

Gates are in ONNX order. The float kernels read h while they write h_new, so these are two buffers; h, c and c_new may be
one. Divisions are shared: sigmoid(a) * tanh(b) = sign(b) * (1 - e) / ((1 + gate(a)) * (1 + e)) with e = decay(b).
"""

from __future__ import annotations

from edgernn.kernels.contract import QUANTISED_HEADER
from edgernn.kernels.cpu.affine import dequantised
from edgernn.kernels.cpu.dots import dot1_f, dot1_i8, dot3_f, dot3_i8, dot4_f, dot4_i8
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.maths import ONE, ZERO, decay, gate, signed, tanh
from edgernn.kernels.cpu.vector import BYTES, LANES, F, N, high, load_1f, load_f, splat_f, store_f


@function(F, F, F)
def gated(x, by):
    """sigmoid(by) * tanh(x)."""
    e = decay(x)
    return signed((ONE - e) / ((gate(by) + ONE) * (e + ONE)), x)


@function(F, F, F, F, F)
def lstm_cell(i, f, g, c):
    """The new cell state."""
    return c / (gate(f) + ONE) + gated(g, i)


@function(F, F, F, F, F, F)
def gru_cell(z, r, n, n_recurrent, h):
    """The new h, linear_before_reset = 1: (1 - z) * n + z * h, as n + z * (h - n)."""
    candidate = tanh(n + n_recurrent / (gate(r) + ONE))
    return candidate + (h - candidate) / (gate(z) + ONE)


@function(F, F, N)
def rnn_cell(x, relu):
    if relu != 0:
        y = high(x, splat_f(ZERO))
    else:
        y = tanh(x)
    return y


@kernel
def lstm_f32(a, arena, weights, control):
    h_new, c_new = arena + arg(a, 0), arena + arg(a, 1)
    x, h, c = read(a, 2, arena, weights), read(a, 3, arena, weights), read(a, 4, arena, weights)
    w, r, bias = weights + arg(a, 5), weights + arg(a, 6), weights + arg(a, 7)
    cols, hidden = arg(a, 8), arg(a, 9)
    for at in range(0, 4 * hidden, BYTES):
        i, o, f, g = dot4_f(w, x, cols)
        ri, ro, rf, rg = dot4_f(r, h, hidden)
        i = (i + load_f(bias)) + ri
        o = (o + load_f(bias + BYTES)) + ro
        f = (f + load_f(bias + 2 * BYTES)) + rf
        g = (g + load_f(bias + 3 * BYTES)) + rg
        cell = lstm_cell(i, f, g, load_f(c + at))
        store_f(c_new + at, cell)
        store_f(h_new + at, gated(cell, o))
        w += 4 * BYTES * cols
        r += 4 * BYTES * hidden
        bias += 4 * BYTES
    return 0


@kernel
def lstm_i8(a, arena, weights, control):
    h_new, c_new = arena + arg(a, 0), arena + arg(a, 1)
    x, h, c = read(a, 2, arena, weights), read(a, 3, arena, weights), read(a, 4, arena, weights)
    w, w_scale, w_offset = weights + arg(a, 5), weights + arg(a, 6), weights + arg(a, 7)
    r, r_scale, r_offset = weights + arg(a, 8), weights + arg(a, 9), weights + arg(a, 10)
    bias, cols, hidden = weights + arg(a, 11), arg(a, 12), arg(a, 13)
    x_step, h_step = load_1f(x), load_1f(h)
    x += QUANTISED_HEADER
    h += QUANTISED_HEADER
    x_groups, h_groups = (cols + 3) >> 2, (hidden + 3) >> 2
    n = 0
    for at in range(0, 4 * hidden, BYTES):
        i, o, f, g = dot4_i8(w, x, x_groups)
        ri, ro, rf, rg = dot4_i8(r, h, h_groups)
        gi = load_f(bias + n) + dequantised(i, n, w_offset, w_scale, x_step)
        gi = gi + dequantised(ri, n, r_offset, r_scale, h_step)
        n += BYTES
        go = load_f(bias + n) + dequantised(o, n, w_offset, w_scale, x_step)
        go = go + dequantised(ro, n, r_offset, r_scale, h_step)
        n += BYTES
        gf = load_f(bias + n) + dequantised(f, n, w_offset, w_scale, x_step)
        gf = gf + dequantised(rf, n, r_offset, r_scale, h_step)
        n += BYTES
        gg = load_f(bias + n) + dequantised(g, n, w_offset, w_scale, x_step)
        gg = gg + dequantised(rg, n, r_offset, r_scale, h_step)
        n += BYTES
        cell = lstm_cell(gi, gf, gg, load_f(c + at))
        store_f(c_new + at, cell)
        store_f(h_new + at, gated(cell, go))
        w += 4 * BYTES * x_groups
        r += 4 * BYTES * h_groups
    return 0


@kernel
def gru_f32(a, arena, weights, control):
    h_new, x, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    w, r, bias = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
    cols, hidden = arg(a, 6), arg(a, 7)
    for at in range(0, 4 * hidden, BYTES):
        z, s, n = dot3_f(w, x, cols)
        rz, rs, rn = dot3_f(r, h, hidden)
        z = (z + load_f(bias)) + rz
        s = (s + load_f(bias + BYTES)) + rs
        n = n + load_f(bias + 2 * BYTES)
        rn = rn + load_f(bias + 3 * BYTES)
        store_f(h_new + at, gru_cell(z, s, n, rn, load_f(h + at)))
        w += 3 * BYTES * cols
        r += 3 * BYTES * hidden
        bias += 4 * BYTES
    return 0


@kernel
def gru_i8(a, arena, weights, control):
    h_new, x, h_q, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights), read(a, 3, arena, weights)
    w, w_scale, w_offset = weights + arg(a, 4), weights + arg(a, 5), weights + arg(a, 6)
    r, r_scale, r_offset = weights + arg(a, 7), weights + arg(a, 8), weights + arg(a, 9)
    bias, cols, hidden = weights + arg(a, 10), arg(a, 11), arg(a, 12)
    x_step, h_step = load_1f(x), load_1f(h_q)
    x += QUANTISED_HEADER
    h_q += QUANTISED_HEADER
    x_groups, h_groups = (cols + 3) >> 2, (hidden + 3) >> 2
    m = 0
    for at in range(0, 4 * hidden, BYTES):
        z, s, n = dot3_i8(w, x, x_groups)
        rz, rs, rn = dot3_i8(r, h_q, h_groups)
        gz = load_f(bias) + dequantised(z, m, w_offset, w_scale, x_step)
        gz = gz + dequantised(rz, m, r_offset, r_scale, h_step)
        m += BYTES
        gs = load_f(bias + BYTES) + dequantised(s, m, w_offset, w_scale, x_step)
        gs = gs + dequantised(rs, m, r_offset, r_scale, h_step)
        m += BYTES
        gn = load_f(bias + 2 * BYTES) + dequantised(n, m, w_offset, w_scale, x_step)
        gr = load_f(bias + 3 * BYTES) + dequantised(rn, m, r_offset, r_scale, h_step)
        m += BYTES
        store_f(h_new + at, gru_cell(gz, gs, gn, gr, load_f(h + at)))
        w += 3 * BYTES * x_groups
        r += 3 * BYTES * h_groups
        bias += 4 * BYTES
    return 0


@kernel
def rnn_f32(a, arena, weights, control):
    h_new, x, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    w, r, bias = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
    cols, hidden, relu = arg(a, 6), arg(a, 7), arg(a, 8)
    blocks = (hidden + LANES - 1) // LANES
    at = 0
    for _ in range(blocks >> 2):
        s0, s1, s2, s3 = dot4_f(w, x, cols)
        r0, r1, r2, r3 = dot4_f(r, h, hidden)
        store_f(h_new + at, rnn_cell((s0 + load_f(bias + at)) + r0, relu))
        at += BYTES
        store_f(h_new + at, rnn_cell((s1 + load_f(bias + at)) + r1, relu))
        at += BYTES
        store_f(h_new + at, rnn_cell((s2 + load_f(bias + at)) + r2, relu))
        at += BYTES
        store_f(h_new + at, rnn_cell((s3 + load_f(bias + at)) + r3, relu))
        at += BYTES
        w += 4 * BYTES * cols
        r += 4 * BYTES * hidden
    for _ in range(blocks & 3):
        (s0,) = dot1_f(w, x, cols)
        (r0,) = dot1_f(r, h, hidden)
        store_f(h_new + at, rnn_cell((s0 + load_f(bias + at)) + r0, relu))
        at += BYTES
        w += BYTES * cols
        r += BYTES * hidden
    return 0


@kernel
def rnn_i8(a, arena, weights, control):
    h_new, x, h = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    w, w_scale, w_offset = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
    r, r_scale, r_offset = weights + arg(a, 6), weights + arg(a, 7), weights + arg(a, 8)
    bias, cols, hidden, relu = weights + arg(a, 9), arg(a, 10), arg(a, 11), arg(a, 12)
    u, v = load_1f(x), load_1f(h)
    x += QUANTISED_HEADER
    h += QUANTISED_HEADER
    m, n = (cols + 3) >> 2, (hidden + 3) >> 2
    blocks = (hidden + LANES - 1) // LANES
    at = 0
    for _ in range(blocks >> 2):
        s0, s1, s2, s3 = dot4_i8(w, x, m)
        r0, r1, r2, r3 = dot4_i8(r, h, n)
        total = load_f(bias + at) + dequantised(s0, at, w_offset, w_scale, u)
        store_f(h_new + at, rnn_cell(total + dequantised(r0, at, r_offset, r_scale, v), relu))
        at += BYTES
        total = load_f(bias + at) + dequantised(s1, at, w_offset, w_scale, u)
        store_f(h_new + at, rnn_cell(total + dequantised(r1, at, r_offset, r_scale, v), relu))
        at += BYTES
        total = load_f(bias + at) + dequantised(s2, at, w_offset, w_scale, u)
        store_f(h_new + at, rnn_cell(total + dequantised(r2, at, r_offset, r_scale, v), relu))
        at += BYTES
        total = load_f(bias + at) + dequantised(s3, at, w_offset, w_scale, u)
        store_f(h_new + at, rnn_cell(total + dequantised(r3, at, r_offset, r_scale, v), relu))
        at += BYTES
        w += 4 * BYTES * m
        r += 4 * BYTES * n
    for _ in range(blocks & 3):
        (s0,) = dot1_i8(w, x, m)
        (r0,) = dot1_i8(r, h, n)
        total = load_f(bias + at) + dequantised(s0, at, w_offset, w_scale, u)
        store_f(h_new + at, rnn_cell(total + dequantised(r0, at, r_offset, r_scale, v), relu))
        at += BYTES
        w += BYTES * m
        r += BYTES * n
    return 0
