"""The inner loops of int8x16, int16 and int4: exact integer sums over any number of columns, rounded to float32 once.

A register's worth of rows has one or two int32 sums. No sum leaves int32 for any input, because after so many columns
it is added up in float64, which is exact too (sums are below 2**53 for less than 2**23 columns):

    int8x16  |w| <= 127, |x| <= 32767: 512 columns stay below 2,130,640,384; with x = 256 high + low in unsigned bytes
             (a set with an offset) each of the two sums is far smaller
    int16    |w| <= 32767, x = 256 high + low with |high|, |low| <= 128: 512 columns stay within 2,147,418,112
    int4     |q| <= 7, |x| <= 127, factor <= 255: a group of 32 is within 7,254,240, and 256 groups within int32
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgernn.kernels.contract import GROUP
from edgernn.kernels.cpu import isa
from edgernn.kernels.cpu.isa import I8, I16, I32, ISA
from edgernn.kernels.cpu.loops import Values, loop
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, LANES, F, N, pointer, splat

DV = ir.VectorType(ir.DoubleType(), LANES)
BYTES_VECTOR, WORDS_VECTOR = ir.VectorType(I8, 4 * LANES), ir.VectorType(I16, 2 * LANES)


@dataclass(frozen=True)
class Product:
    """How a format multiplies. A step is what it takes at once: some columns, `x_bytes` of the quantised vector."""

    sums: int  # int32 registers for each register of rows
    limit: int  # steps before a sum could leave int32
    x_bytes: int
    # (builder, sums of all registers of rows, address of their weights, address in x, more) -> sums
    step: Callable[[Any, Values, Any, Any, Any], Values]
    w_registers: int  # of weights a step, for each register of rows
    total: Callable[[Any, Values], Any]  # the sums of one register of rows -> their whole: int32, or else float64
    more_bytes: int = 0  # of the factors, a step and register of rows


def _emit(product: Product, blocks: int, b: Any, w: Any, x: Any, steps: Any, more: Any) -> Values:
    """The sums of one tile of `blocks` registers of rows, float32. more: the address of its factors or offsets."""
    limit = I64(product.limit)

    def part(begin: Any, count: Any) -> Values:
        def step(i: Any, sums: Values) -> Values:
            at = b.add(begin, i)
            places = (
                (w, BYTES * blocks * product.w_registers),
                (x, product.x_bytes),
                (more, product.more_bytes * blocks),
            )
            return product.step(b, sums, *(b.add(start, b.mul(at, I64(size))) for start, size in places))

        sums = loop(b, count, [ir.Constant(IV, None)] * (blocks * product.sums), step)
        return [product.total(b, sums[i : i + product.sums]) for i in range(0, len(sums), product.sums)]

    def parts(n: Any, totals: Values) -> Values:
        begin = b.mul(n, limit)
        left = b.sub(steps, begin)
        sums = part(begin, b.select(b.icmp_signed("<", left, limit), left, limit))
        return [b.fadd(total, _as_double(b, one)) for total, one in zip(totals, sums, strict=True)]

    def finished(totals: Values) -> Values:
        if product is INT8X16 and ISA.offset:
            offsets = (b.load(pointer(b, b.add(more, I64(n * BYTES)), IV), align=4) for n in range(blocks))
            totals = [b.fadd(total, _times_256(b, offset)) for total, offset in zip(totals, offsets, strict=True)]
        return [b.sitofp(total, FV) if total.type == IV else b.fptrunc(total, FV) for total in totals]

    with b.if_else(b.icmp_signed("<=", steps, limit)) as (short, long):
        with short:
            whole = finished(part(I64(0), steps))
            short_end = b.block
        with long:
            count = b.sdiv(b.add(steps, I64(product.limit - 1)), limit)
            summed = finished(loop(b, count, [ir.Constant(DV, None)] * blocks, parts))
            long_end = b.block
    made = [b.phi(FV) for _ in range(blocks)]
    for phi, one, other in zip(made, whole, summed, strict=True):
        phi.add_incoming(one, short_end)
        phi.add_incoming(other, long_end)
    return made


def _as_double(b: Any, total: Any) -> Any:
    return b.sitofp(total, DV) if total.type == IV else total


def _times_256(b: Any, x: Any) -> Any:
    return b.fmul(b.sitofp(x, DV), ir.Constant(DV, [256.0] * LANES))


def _high_low(b: Any, sums: Values) -> Any:
    """256 high + low."""
    return b.fadd(_times_256(b, sums[0]), b.sitofp(sums[1], DV))


def _neighbours(b: Any, sums: Values) -> Any:
    """Two registers that hold two partial sums for each row."""
    both = ir.Constant(ir.VectorType(I32, 2 * LANES), list(range(2 * LANES)))
    return isa.pairs(b, b.shuffle_vector(*sums, both))


def _alone(b: Any, sums: Values) -> Any:
    return sums[0]


def _broadcast(b: Any, address: Any, vector: Any, bits: int = 32) -> Any:
    """`bits` at an address, over and over."""
    kind = ir.IntType(bits)
    return b.bitcast(splat(b, b.load(pointer(b, address, kind), align=4), 32 * LANES // bits), vector)


def _two_parts(dot: Any, vector: Any) -> Callable[..., Values]:
    """High parts, then low parts of x, each times the same register of weights."""

    def step(b: Any, sums: Values, w: Any, x: Any, more: Any) -> Values:
        high, low = _broadcast(b, x, vector), _broadcast(b, b.add(x, I64(4)), vector)
        made: Values = []
        for n in range(0, len(sums), 2):
            weights = b.load(pointer(b, b.add(w, I64(BYTES * n // 2)), vector), align=BYTES)
            made += [dot(b, sums[n], high, weights), dot(b, sums[n + 1], low, weights)]
        return made

    return step


def _widened(b: Any, sums: Values, w: Any, x: Any, more: Any) -> Values:
    """Four columns: a register of int8 weights becomes two of int16, each for half of its rows."""
    half = ir.VectorType(I8, 2 * LANES)
    four = _broadcast(b, x, WORDS_VECTOR, 64)
    made = []
    for n, total in enumerate(sums):
        weights = b.load(pointer(b, b.add(w, I64(BYTES // 2 * n)), half), align=BYTES // 2)
        made.append(isa.dot2(b, total, four, b.sext(weights, WORDS_VECTOR)))
    return made


def _group(b: Any, sums: Values, w: Any, x: Any, more: Any) -> Values:
    """A group of 32 columns, eight at once: a register's low halves of bytes, then its high ones."""
    blocks = len(sums)
    start = isa.nibbles.start(b, _broadcast(b, b.add(x, I64(GROUP)), IV))
    parts = [start] * blocks
    fifteen, four = (ir.Constant(WORDS_VECTOR, [n] * (2 * LANES)) for n in (0x0F0F, 4))
    for k in range(4):
        low, high = (_broadcast(b, b.add(x, I64(8 * k + n)), BYTES_VECTOR) for n in (0, 4))
        for n in range(blocks):
            both = b.load(pointer(b, b.add(w, I64(BYTES * (k * blocks + n))), WORDS_VECTOR), align=BYTES)
            for values, bits in ((low, both), (high, b.lshr(both, four))):
                numbers = b.bitcast(b.and_(bits, fifteen), BYTES_VECTOR)
                parts[n] = isa.nibbles.add(b, parts[n], numbers, values)
    made = []
    for n, total in enumerate(sums):
        factors = b.load(pointer(b, b.add(more, I64(LANES * n)), ir.VectorType(I8, LANES)), align=1)
        made.append(b.add(total, isa.nibbles.times(b, parts[n], factors)))
    return made


if ISA.offset:
    INT8X16 = Product(2, 512 // 4, 8, _two_parts(isa.dot4, BYTES_VECTOR), 1, _high_low)
else:
    INT8X16 = Product(2, 512 // 4, 8, _widened, 1, _neighbours)
INT16 = Product(2, 512 // 2, 8, _two_parts(isa.dot2, WORDS_VECTOR), 1, _high_low)
INT4 = Product(1, 256, GROUP + 4, _group, 4, _alone, more_bytes=LANES)


def _dot(product: Product, blocks: int) -> Any:
    def dot(typingctx: Any, w: Any, x: Any, steps: Any, more: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            return context.make_tuple(b, sig.return_type, _emit(product, blocks, b, *args))

        return types.UniTuple(F, blocks)(N, N, N, N), codegen

    return intrinsic(dot)


# dot*(w, x, steps, more): float32 of the exact sums
dot1_i8x16, dot4_i8x16 = (_dot(INT8X16, n) for n in (1, 4))
dot1_i16, dot4_i16 = (_dot(INT16, n) for n in (1, 4))
dot1_i4, dot4_i4 = (_dot(INT4, n) for n in (1, 4))
