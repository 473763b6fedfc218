"""Numbers of float64, one by one: for what comes before a plan and after it. The arithmetic is that of layers.exact."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edgernn.kernels.cpu.functions import function
from edgernn.kernels.cpu.isa import call
from edgernn.kernels.cpu.vector import I64, N, define, pointer
from edgernn.layers import exact

D = types.float64
DOUBLE = ir.DoubleType()
HALF_BITS = exact.HALF_BITS
MAGIC, LOG2E, LN2_HIGH, LN2_LOW, LEAST = exact.MAGIC, exact.LOG2E, exact.LN2_HIGH, exact.LN2_LOW, exact.LEAST
A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10 = exact.ODD
E13, E12, E11, E10, E9, E8, E7, E6, E5, E4, E3, E2 = (1 / f for f in exact.FACTORIALS[13:1:-1])


def _store(b, p, value):  # type: ignore[no-untyped-def]
    b.store(value, pointer(b, p, value.type), align=8)
    return I64(0)


load_d = define("load_d", D, (N,), lambda b, p: b.load(pointer(b, p, DOUBLE), align=8))
store_d = define("store_d", N, (N, D), _store)
bits_of = define("bits_of", N, (D,), lambda b, x: b.bitcast(x, I64))
of_bits = define("of_bits", D, (N,), lambda b, x: b.bitcast(x, DOUBLE))
root = define("root", D, (D,), lambda b, x: call(b, "llvm.sqrt.f64", DOUBLE, x))
magnitude = define("magnitude", D, (D,), lambda b, x: b.bitcast(b.and_(b.bitcast(x, I64), I64(2**63 - 1)), DOUBLE))


@function(D, N, N)
def item(address, index):
    """The number at a place of an array."""
    return load_d(address + 8 * index)


@function(D, D, D)
def larger(a, b):
    """The larger one of two numbers, the second where they are equal."""
    return a if a > b else b


@function(D, D)
def logarithm(x):
    """Natural logarithm of a normal number above 0."""
    bits = bits_of(x)
    e = (bits - HALF_BITS) >> 52
    f = of_bits(bits - (e << 52)) - 1.0
    s = f / (f + 2.0)
    z = s * s
    p = (((((((((A0 * z + A1) * z + A2) * z + A3) * z + A4) * z + A5) * z + A6) * z + A7) * z + A8) * z + A9) * z + A10
    n, twice = float(e), s + s
    return n * LN2_HIGH + (n * LN2_LOW + (twice * (z * p) + twice))


@function(D, D)
def exponential(x):
    """The exponential function, for x up to 709."""
    x = larger(x, LEAST)
    shifted = x * LOG2E + MAGIC
    n = shifted - MAGIC
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = (((((E13 * r + E12) * r + E11) * r + E10) * r + E9) * r + E8) * r + E7
    p = (((((((p * r + E6) * r + E5) * r + E4) * r + E3) * r + E2) * r + 1.0) * r) + 1.0
    return of_bits(bits_of(p) + (bits_of(shifted) << 52))
