"""AFFINE for all slots of a tile: a panel of weights stays where it is quick to reach while slot after slot meets it.

A kernel here is called with (address of the instruction, list of slots, how many, weights).
"""

from __future__ import annotations

from edgernn.kernels.contract import QUANTISED_HEADER, SLOT_HEADER, Opcode
from edgernn.kernels.cpu.affine import dequantised
from edgernn.kernels.cpu.dots import dot1_exact, dot1_f, dot1_i8, dot4_exact, dot4_f, dot4_i8
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.pooled_dots import one_exact, one_f, one_i8, two_exact, two_f, two_i8
from edgernn.kernels.cpu.vector import BYTES, LANES, F, I, N, load_1f, load_1n, load_f, store_f


@function(N, N, N, N)
def x_of(a, slot, weights):
    """The address of what a slot's stream multiplies."""
    return read(a, 1, slot + SLOT_HEADER, weights)


@function(N, F, N, N, N, N, N)
def put_f(total, y, at, x, a, weights):
    """y = sum + bias."""
    return store_f(y + at, total + load_f(weights + arg(a, 3) + at))


@function(N, I, N, N, N, N, N)
def put_i8(total, y, at, x, a, weights):
    """y = bias + (sum + offset) * (row scale * scale of x)."""
    scale, offset, bias = weights + arg(a, 3), weights + arg(a, 4), weights + arg(a, 5)
    return store_f(y + at, load_f(bias + at) + dequantised(total, at, offset, scale, load_1f(x)))


def _pooled(name, dots, put, sizes, header, side):
    """y[p] = W x[p] + bias for each slot. sizes: where rows, cols and count stand; side: columns in 32 bits."""
    dot4, dot1, two, one = dots

    def body(a, slots, streams, weights):
        y, panels = SLOT_HEADER + arg(a, 0), weights + arg(a, 2)
        rows, cols, count = arg(a, sizes), arg(a, sizes + 1), arg(a, sizes + 2)
        blocks, steps = (rows + LANES - 1) // LANES, (cols + side - 1) // side
        for position in range(count):
            w, at, p, q = panels, 0, header + 4 * steps * position, y + 4 * rows * position
            for _ in range(blocks >> 2):
                for n in range(slots, slots + 8 * (streams & -4), 32):
                    a0, a1, a2, a3 = load_1n(n), load_1n(n + 8), load_1n(n + 16), load_1n(n + 24)
                    x0, x1, x2, x3 = (
                        x_of(a, a0, weights),
                        x_of(a, a1, weights),
                        x_of(a, a2, weights),
                        x_of(a, a3, weights),
                    )
                    for r in range(0, 4 * BYTES, 2 * BYTES):
                        s = two(w + r, steps, x0 + p, x1 + p, x2 + p, x3 + p)
                        i, j = at + r, at + r + BYTES
                        put(s[0], a0 + q, i, x0, a, weights)
                        put(s[1], a0 + q, j, x0, a, weights)
                        put(s[2], a1 + q, i, x1, a, weights)
                        put(s[3], a1 + q, j, x1, a, weights)
                        put(s[4], a2 + q, i, x2, a, weights)
                        put(s[5], a2 + q, j, x2, a, weights)
                        put(s[6], a3 + q, i, x3, a, weights)
                        put(s[7], a3 + q, j, x3, a, weights)
                for n in range(slots + 8 * (streams & -4), slots + 8 * streams, 8):
                    a0 = load_1n(n)
                    x0 = x_of(a, a0, weights)
                    s0, s1, s2, s3 = dot4(w, x0 + p, steps)
                    put(s0, a0 + q, at, x0, a, weights)
                    put(s1, a0 + q, at + BYTES, x0, a, weights)
                    put(s2, a0 + q, at + 2 * BYTES, x0, a, weights)
                    put(s3, a0 + q, at + 3 * BYTES, x0, a, weights)
                at += 4 * BYTES
                w += 4 * BYTES * steps
            for _ in range(blocks & 3):
                for n in range(slots, slots + 8 * (streams & -4), 32):
                    a0, a1, a2, a3 = load_1n(n), load_1n(n + 8), load_1n(n + 16), load_1n(n + 24)
                    x0, x1, x2, x3 = (
                        x_of(a, a0, weights),
                        x_of(a, a1, weights),
                        x_of(a, a2, weights),
                        x_of(a, a3, weights),
                    )
                    s = one(w, steps, x0 + p, x1 + p, x2 + p, x3 + p)
                    put(s[0], a0 + q, at, x0, a, weights)
                    put(s[1], a1 + q, at, x1, a, weights)
                    put(s[2], a2 + q, at, x2, a, weights)
                    put(s[3], a3 + q, at, x3, a, weights)
                for n in range(slots + 8 * (streams & -4), slots + 8 * streams, 8):
                    a0 = load_1n(n)
                    x0 = x_of(a, a0, weights)
                    (s0,) = dot1(w, x0 + p, steps)
                    put(s0, a0 + q, at, x0, a, weights)
                at += BYTES
                w += BYTES * steps
        return 0

    body.__name__ = f"pooled_{name}"
    return kernel(body)


pooled_f32 = _pooled("affine_f32", (dot4_f, dot1_f, two_f, one_f), put_f, 4, 0, 1)
pooled_exact = _pooled("affine_exact", (dot4_exact, dot1_exact, two_exact, one_exact), put_f, 4, 0, 1)
pooled_i8 = _pooled("affine_i8", (dot4_i8, dot1_i8, two_i8, one_i8), put_i8, 6, QUANTISED_HEADER, 4)
POOLED = (Opcode.AFFINE_F32, Opcode.AFFINE_EXACT, Opcode.AFFINE_I8)
