"""Functions of float64 that are the same bits on every machine, which those of a C library or NumPy need not be.

Made of +, -, *, /, roundings and bits alone, in a fixed order; within 2 units in the last place. The kernels of
`kernels.cpu.doubles` state log and exp a second time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgernn.layers.base import Array

F64 = NDArray[np.float64]
MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, half to even, and leaves it in the low bits
LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693147180369123816490, 1.90821492927058770002e-10
LEAST = -708.0  # of exp's range: below it, exp(LEAST)
HALF_BITS = 0x3FE6A09E667F3BCD  # those of the square root of 1/2
ODD = tuple(1 / n for n in range(23, 1, -2))  # of the series atanh(s) / s = 1 + s^2 / 3 + s^4 / 5 ...
FACTORIALS = tuple(float(np.prod(range(1, n + 1), dtype=np.int64)) for n in range(19))


def horner(coefficients: tuple[float, ...], x: F64) -> F64:
    """The polynomial with these coefficients, that of the highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def log(x: Array) -> F64:
    """Natural logarithm of normal numbers above 0: x = m 2^e, m near 1, log m = 2 atanh((m - 1) / (m + 1))."""
    bits = np.asarray(x, np.float64).view(np.int64)
    e = (bits - HALF_BITS) >> 52
    f = (bits - (e << 52)).view(np.float64) - 1
    s = f / (f + 2)
    twice, z, n = s + s, s * s, e.astype(np.float64)
    return np.asarray(n * LN2_HIGH + (n * LN2_LOW + (twice * (z * horner(ODD, z)) + twice)))


def exp(x: Array) -> F64:
    """The exponential function, for x up to 709."""
    x = np.maximum(np.asarray(x, np.float64), LEAST)
    shifted = x * LOG2E + MAGIC
    n = shifted - MAGIC
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = horner(tuple(1 / f for f in FACTORIALS[13::-1]), r)
    return np.asarray((p.view(np.int64) + (shifted.view(np.int64) << 52)).view(np.float64))


def turn(numerator: Array | int, denominator: float) -> tuple[F64, F64]:
    """Cosine and sine of 2 pi numerator / denominator. Whole numbers, below 2**50, lose nothing on the way."""
    quarters = 4.0 * np.asarray(numerator, np.float64)
    whole = np.rint(quarters / denominator)
    x = (quarters - whole * denominator) / denominator * (np.pi / 2)  # within -pi/4 .. pi/4
    z = -(x * x)
    cos = horner(tuple(1 / f for f in FACTORIALS[18::-2]), z)
    sin = x * horner(tuple(1 / f for f in FACTORIALS[17::-2]), z)
    quadrant = whole.astype(np.int64) & 3
    odd = (quadrant & 1) == 1
    a, b = np.where(odd, sin, cos), np.where(odd, cos, sin)
    return np.where((quadrant == 1) | (quadrant == 2), -a, a), np.where(quadrant >= 2, -b, b)


def decay(x: float) -> float:
    """1 - exp(-x) for x >= 0, exact for small x too."""
    if x > 1:
        return 1 - float(exp(np.array(-x)))
    total = 1.0
    for n in range(18, 1, -1):
        total = 1 - x / n * total
    return x * total
