"""AFFINE for all slots of a tile: some registers of rows stay where they are quick to reach while all slots meet them.

A kernel here is called with (address of the instruction, list of slots, how many, weights). Four slots at a time share
what is loaded; those that are left, or too few, go through the kernel of a single stream.
"""

from __future__ import annotations

from edgernn.kernels.contract import QUANTISED_HEADER, SLOT_HEADER, SLOT_STEP, SLOT_X, Opcode
from edgernn.kernels.cpu.affine import affine_exact, affine_f32, affine_i8, dequantised
from edgernn.kernels.cpu.elementwise import arg, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.isa import ISA
from edgernn.kernels.cpu.pooled_dots import EXACT, FLOAT, INT8, puts
from edgernn.kernels.cpu.vector import BYTES, LANES, F, I, N, load_1f, load_1n, load_f, store_1f, store_1n, store_f
from edgernn.kernels.cpu.winograd import Winograd


@function(N, F, N, N, N, N, N)
def put_f(total, place, y, bias, scale, offset):
    """y = sum + bias, for the slot at this place of the list."""
    return store_f(load_1n(place) + y, total + load_f(bias))


@function(N, I, N, N, N, N, N)
def put_i8(total, place, y, bias, scale, offset):
    """y = bias + (sum + offset) * (row scale * scale of x)."""
    slot = load_1n(place)
    return store_f(slot + y, load_f(bias) + dequantised(total, 0, offset, scale, load_1f(slot + 8 * SLOT_STEP)))


def _ready(name, dots):
    """What each slot's stream multiplies, made ready in the room; where the room is free behind it."""
    ready, x_room = dots.ready, dots.x_room

    def body(a, slots, end, weights, at, steps):
        room = load_1n(slots - 8)
        for n in range(slots, end, 8):
            slot = load_1n(n)
            x = read(a, 1, slot + SLOT_HEADER, weights)
            store_1f(slot + 8 * SLOT_STEP, load_1f(x))
            store_1n(slot + 8 * SLOT_X, ready(room, x + at, steps))
            room += x_room(steps)
        return room

    body.__name__ = f"ready_{name}"
    return function(N, N, N, N, N, N, N)(body)


def _pooled(name, alone, dots, put, header, side, operands):
    """y[p] = W x[p] + bias for each slot. header, side: of x, and its columns in 32 bits; operands: their numbers."""
    some_ready, one_ready, some, one = dots.some_ready, dots.one_ready, dots.some, dots.one
    registers, least, put = dots.registers, dots.least, put.__name__
    put_some, put_one = puts(put, dots.kind, registers), puts(put, dots.kind, 1)
    vectors_ready, (scale_at, offset_at, bias_at, rows_at) = _ready(name, dots), operands

    def body(a, slots, streams, weights):
        whole = slots + 8 * (streams & -4 if streams >= least else 0)
        for n in range(whole, slots + 8 * streams, 8):
            alone(a, load_1n(n) + SLOT_HEADER, weights, 0)
        panels, scale, offset = weights + arg(a, 2), weights + arg(a, scale_at), weights + arg(a, offset_at)
        bias, rows, steps = weights + arg(a, bias_at), arg(a, rows_at), (arg(a, rows_at + 1) + side - 1) // side
        blocks = (rows + LANES - 1) // LANES
        for position in range(arg(a, rows_at + 2) if whole > slots else 0):
            room = vectors_ready(a, slots, whole, weights, header + 4 * steps * position, steps)
            y = SLOT_HEADER + arg(a, 0) + 4 * rows * position
            for i in range(0, (blocks & -4) * BYTES, registers * BYTES):
                w = some_ready(room, panels + (i & -4 * BYTES) * steps + (i & 3 * BYTES), steps)  # of a panel of four
                for n in range(slots, whole, 32):
                    put_some(some(room, steps, w, n), n, y + i, bias + i, scale + i, offset + i)
            for i in range((blocks & -4) * BYTES, blocks * BYTES, BYTES):
                w = one_ready(room, panels + i * steps, steps)
                for n in range(slots, whole, 32):
                    put_one(one(room, steps, w, n), n, y + i, bias + i, scale + i, offset + i)
        return 0

    body.__name__ = f"pooled_{name}"
    return kernel(body)


F32, I8 = (3, 3, 3, 4), (3, 4, 5, 6)
pooled_f32 = _pooled("affine_f32", affine_f32, FLOAT, put_f, 0, 1, F32)
pooled_exact = _pooled("affine_exact", affine_exact, EXACT, put_f, 0, 1, F32)
PAIRED = ISA.name in ("avx2", "avx512")  # where a product of int8 takes three instructions
pooled_i8 = _pooled("affine_i8", affine_i8, Winograd if PAIRED else INT8, put_i8, QUANTISED_HEADER, 4, I8)
POOLED = (Opcode.AFFINE_F32, Opcode.AFFINE_EXACT, Opcode.AFFINE_I8)
