"""QUANTISE: a vector as integers with one scale, in the form that the matrix it meets wants (see contract)."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from edgernn.kernels.contract import FORMS, GROUP, QUANTISED_HEADER
from edgernn.kernels.cpu.dots import row_max_abs
from edgernn.kernels.cpu.elementwise import arg, number, read
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.isa import I32, ISA, call
from edgernn.kernels.cpu.maths import MAGIC, ZERO
from edgernn.kernels.cpu.vector import (
    BV,
    HV,
    I64,
    IV,
    LANES,
    F,
    I,
    N,
    as_int,
    define,
    f32,
    first,
    high,
    i32,
    load_f,
    low,
    pointer,
    splat_f,
    splat_i,
    store_1f,
    store_1i,
    store_8,
    where,
)

INT8, INT8X16, INT16, INT4 = range(len(FORMS))
OFFSET, SPLIT = i32(ISA.offset), ISA.offset != 0
MAGIC_BITS = i32(0x4B400000)
MINUS_8 = i32(-8)
NONE = i32(0)
FULL_8, FULL_16 = f32(127.0), f32(32767.0)
LEAST = f32(1e-20)  # below this a vector counts as zeros


def _shifted(b: Any, x: Any, bits: int) -> Any:
    return b.ashr(x, ir.Constant(IV, [bits] * LANES))


def _store_mixed(b: Any, p: Any, parts: tuple[Any, Any], each: int) -> Any:
    """`each` numbers of the first part, as many of the second, and so on."""
    places = [part * LANES + i + j for i in range(0, LANES, each) for part in (0, 1) for j in range(each)]
    mixed = b.shuffle_vector(*parts, ir.Constant(ir.VectorType(I32, 2 * LANES), places))
    b.store(mixed, pointer(b, p, mixed.type), align=1)
    return ir.Constant(I64, 0)


def _store_fours(b: Any, p: Any, x: Any) -> Any:
    """int8x16."""
    if not SPLIT:
        b.store(b.trunc(x, HV), pointer(b, p, HV), align=1)
        return ir.Constant(I64, 0)
    high = b.add(_shifted(b, x, 8), ir.Constant(IV, [int(OFFSET)] * LANES))
    return _store_mixed(b, p, (b.trunc(high, BV), b.trunc(x, BV)), 4)


def _store_pairs(b: Any, p: Any, x: Any) -> Any:
    """int16: high = (x + 128) >> 8, so that both parts are within -128..128."""
    high = _shifted(b, b.add(x, ir.Constant(IV, [128] * LANES)), 8)
    low = b.sub(x, b.shl(high, ir.Constant(IV, [8] * LANES)))
    return _store_mixed(b, p, (b.trunc(high, HV), b.trunc(low, HV)), 2)


def _store_bytes(b: Any, p: Any, x: Any) -> Any:
    """int8."""
    b.store(b.trunc(b.add(x, ir.Constant(IV, [int(OFFSET)] * LANES)), BV), pointer(b, p, BV), align=1)
    return ir.Constant(I64, 0)


store_fours = define("store_fours", N, (N, I), _store_fours)
store_pairs = define("store_pairs", N, (N, I), _store_pairs)
lanes_sum = define("lanes_sum", types.int32, (I,), lambda b, x: call(b, f"llvm.vector.reduce.add.v{LANES}i32", I32, x))


@function(I, F, types.float32, types.float32)
def integers(x, inverse, full):
    """x * inverse, rounded to the nearest integers, half to even, within -full..full."""
    return as_int(low(high(x * inverse, splat_f(-full)), splat_f(full)) + MAGIC) - MAGIC_BITS


@function(F, N, N)
def rest(x, left):
    """The numbers that are left at the end of a row, fewer than a register holds, then zeros."""
    return where(first(left), load_f(x), splat_f(ZERO))


def _fill(name, put, size, full):
    """How a row is filled: put(place, integers) of `size` bytes a number."""

    def fill(q, x, cols, inverse):
        at = 0
        while at <= cols - LANES:
            put(q + size * at, integers(load_f(x + 4 * at), inverse, full))
            at += LANES
        if at < cols:
            put(q + size * at, integers(rest(x + 4 * at, cols - at), inverse, full))
        return 0

    fill.__name__ = name
    return function(N, N, N, N, types.float32)(fill)


store_bytes = define("store_bytes", N, (N, I), _store_bytes)
fill_int8 = _fill("fill_int8", store_bytes, 1, FULL_8)
fill_int8x16 = _fill("fill_int8x16", store_fours, 2, FULL_16)
fill_int16 = _fill("fill_int16", store_pairs, 4, FULL_16)


@function(N, N, N, N, types.float32)
def fill_int4(q, x, cols, inverse):
    """A row in form int4; its bytes."""
    at = q
    for group in range(0, cols, GROUP):
        total = splat_i(NONE)
        for k in range(group, group + GROUP, LANES):
            values = splat_i(NONE)
            if k < cols:
                values = integers(rest(x + 4 * k, cols - k), inverse, FULL_8)
            total = total + values
            store_8(at + (k - group), values)
        store_1i(at + GROUP, lanes_sum(total) * MINUS_8)
        at += GROUP + 4
    return at - q


@kernel
def quantise(a, arena, weights, control):
    """QUANTISE: y = x / scale as integers, scale = reach / full; without a reach it is max |x| over all rows."""
    y, x, cols, count, form = arena + arg(a, 0), read(a, 1, arena, weights), arg(a, 2), arg(a, 3), arg(a, 4)
    largest = number(a, 5)
    if largest == ZERO:
        largest = row_max_abs(x, cols * count, ZERO)
    if largest < LEAST:
        largest = LEAST
    full = FULL_8
    if form in (INT8X16, INT16):
        full = FULL_16
    store_1f(y, largest / full)
    inverse = full / largest
    q = y + QUANTISED_HEADER
    for row in range(count):
        p = x + 4 * row * cols
        if form == INT8:
            fill_int8(q, p, cols, inverse)
            q += (cols + 3) & -4
        elif form == INT8X16:
            fill_int8x16(q, p, cols, inverse)
            q += 2 * ((cols + 3) & -4)
        elif form == INT16:
            fill_int16(q, p, cols, inverse)
            q += 4 * ((cols + 1) & -2)
        else:
            q += fill_int4(q, p, cols, inverse)
    return 0
