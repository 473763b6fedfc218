"""Functions of one register, from +, -, *, /, comparisons and bits alone, in a fixed order: the same bits everywhere.

The NumPy reference (kernels.reference) states the same arithmetic a second time, and defines it. Polynomials and their
errors: tools/fit_polynomials.py. Range reduction: Cody and Waite, Software Manual for the Elementary Functions, 1980.
"""

from __future__ import annotations

from numba import types

from edgernn.kernels.cpu.functions import function
from edgernn.kernels.cpu.vector import F, I, as_float, as_int, f32, high, i32, low, splat_f, to_float, where

ZERO, HALF, ONE, TWO = (f32(v) for v in (0.0, 0.5, 1.0, 2.0))
MAGIC = f32(12582912.0)  # 1.5 * 2**23: adding it rounds to an integer, half to even, and leaves it in the low bits
INTEGRAL = f32(4194304.0)  # 2**22: the range in which that works
LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
GATE, DECAY = f32(-1.44269504), f32(-2.88539008)  # -log2(e), -2 * log2(e)
P1, P2, P3 = f32(0.6931470036506653), f32(0.24022246897220612), f32(0.0555071085691452)
P4, P5 = f32(0.009671293199062347), f32(0.0013269555056467652)
Q0, Q1, Q2 = f32(0.3333333134651184), f32(-0.2500000298023224), f32(0.20000669360160828)
Q3, Q4, Q5 = f32(-0.1666758507490158), f32(0.14250291883945465), f32(-0.12428437173366547)
Q6, Q7, Q8 = f32(0.11675949394702911), f32(-0.114668108522892), f32(0.06986604630947113)
E0, E1, E2 = f32(1.1283791065216064), f32(-0.3761221766471863), f32(0.11278966069221497)
E3, E4, E5, E6 = (f32(v) for v in (-0.02666117250919342, 0.004823365248739719, -0.00048123413580469787, -2.6799e-05))
C0, C1, C2 = f32(-0.0003199402417521924), f32(1.1302348375320435), f32(0.6318199038505554)
C3, C4, C5 = f32(0.11008933186531067), f32(-0.026428289711475372), f32(0.004762749653309584)
C6, C7, C8 = f32(-0.0005976059474050999), f32(4.616698424797505e-05), f32(-1.643313680688152e-06)
S1, S2, S3 = f32(-0.16666655242443085), f32(0.008332189172506332), f32(-0.00019518288900144398)
K2, K3, K4 = f32(0.04166664555668831), f32(-0.0013887309469282627), f32(2.4432327336398885e-05)
PIO2_1, PIO2_2, PIO2_3 = f32(1.5703125), f32(4.837512969970703e-4), f32(7.54978995489188e-8)
SIGN, MAGNITUDE = i32(-(2**31)), i32(2**31 - 1)


@function(F, F, F)
def two_to(t, n_shifted):
    """2**t, given t + MAGIC."""
    f = t - (n_shifted - MAGIC)
    p = f * P5 + P4
    p = p * f + P3
    p = p * f + P2
    p = p * f + P1
    p = p * f + ONE
    return as_float(as_int(p) + (as_int(n_shifted) << i32(23)))


@function(F, F)
def gate(x):
    """What a gate is made of: exp(-x), kept within 2**-60 .. 2**60. sigmoid = 1 / (1 + gate). NaN gives a number."""
    t = low(high(x * GATE, splat_f(f32(-60.0))), splat_f(f32(60.0)))
    return two_to(t, t + MAGIC)


@function(F, F)
def absolute(x):
    """|x|."""
    return as_float(as_int(x) & MAGNITUDE)


@function(F, F)
def decay(x):
    """What tanh is made of: exp(-2 |x|), at least 2**-60; |tanh| = (1 - decay) / (1 + decay). NaN gives a number."""
    t = high(absolute(x) * DECAY, splat_f(f32(-60.0)))
    return two_to(t, t + MAGIC)


@function(F, F, F)
def signed(magnitude, like):
    """magnitude (>= 0) with the sign of `like`."""
    return as_float(as_int(magnitude) | (as_int(like) & SIGN))


@function(F, F)
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return ONE / (gate(x) + ONE)


@function(F, F)
def tanh(x):
    """The hyperbolic tangent."""
    e = decay(x)
    return signed((ONE - e) / (e + ONE), x)


@function(F, F)
def exp(x):
    """The exponential function, for x within -87 .. 88."""
    x = low(high(x, splat_f(f32(-87.0))), splat_f(f32(88.0)))
    shifted = x * LOG2E + MAGIC
    n = shifted - MAGIC
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    return two_to(r * LOG2E + n, shifted)


@function(F, F)
def log(x):
    """Natural logarithm; 0 gives -inf, below 0 NaN. Subnormal numbers count as the least normal one."""
    bits = as_int(high(x, splat_f(f32(1.17549435e-38))))
    e = ((bits - i32(0x3F3504F3)) >> i32(23)) - (((bits - i32(0x3F3504F3)) >> i32(31)) << i32(9))
    r = as_float(bits - (e << i32(23))) - ONE
    q = r * Q8 + Q7
    q = q * r + Q6
    q = q * r + Q5
    q = q * r + Q4
    q = q * r + Q3
    q = q * r + Q2
    q = q * r + Q1
    q = q * r + Q0
    n = to_float(e)
    square = r * r
    value = n * LN2_HIGH + (r + (n * LN2_LOW + square * (r * q - HALF)))
    value = where(x == ZERO, splat_f(f32(-float("inf"))), value)
    value = where(x < ZERO, splat_f(f32(float("nan"))), value)
    return where(x < splat_f(f32(float("inf"))), value, x + where(x < ZERO, value, x))


@function(F, F)
def nearest(x):
    """Round half to even."""
    return where(absolute(x) < INTEGRAL, signed(absolute((x + MAGIC) - MAGIC), x), x)


@function(F, F)
def floor(x):
    """The next integer below."""
    r = nearest(x)
    return where(r > x, r - ONE, r)


@function(F, F)
def truncated(x):
    """The integer part."""
    return signed(floor(absolute(x)), x)


@function(F, F)
def erf(x):
    """Within 1: an odd polynomial; from 1 to 4: 1 - exp(-polynomial); beyond: 1."""
    a = low(absolute(x), splat_f(f32(4.0)))
    z = a * a
    p = z * E6 + E5
    p = p * z + E4
    p = p * z + E3
    p = p * z + E2
    p = p * z + E1
    p = p * z + E0
    q = a * C8 + C7
    q = q * a + C6
    q = q * a + C5
    q = q * a + C4
    q = q * a + C3
    q = q * a + C2
    q = q * a + C1
    q = q * a + C0
    return signed(where(a < ONE, a * p, ONE - exp(ZERO - q)), x)


@function(F, F)
def softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    return high(x, splat_f(ZERO)) + log(exp(ZERO - absolute(x)) + ONE)


@function(F, F)
def expm1(x):
    """exp(x) - 1 for x <= 0, as tanh(x / 2) * (exp(x) + 1)."""
    return tanh(x * HALF) * (exp(x) + ONE)


@function(F, F, types.int32)
def quarter_turns(x, shift):
    """sin(x + shift * pi / 2), for |x| up to 2**13."""
    k = (x * f32(0.6366197723675814) + MAGIC) - MAGIC
    r = ((x - k * PIO2_1) - k * PIO2_2) - k * PIO2_3
    z = r * r
    s = ((z * S3 + S2) * z + S1) * z * r + r
    c = ((z * K4 + K3) * z + K2) * (z * z) - z * HALF + ONE
    quadrant = as_int(k + MAGIC) + shift
    value = where((quadrant & i32(1)), c, s)
    return as_float(as_int(value) ^ ((quadrant & i32(2)) << i32(30)))


@function(F, F, F)
def power(a, b):
    """a ** b; a negative base needs a whole exponent, else NaN; a ** 0 is 1."""
    magnitude = exp(b * log(absolute(a)))
    whole = truncated(b) == b
    odd = absolute(b - truncated(b * HALF) * TWO) == ONE
    negative = where(whole, where(odd, ZERO - magnitude, magnitude), splat_f(f32(float("nan"))))
    value = where(a < ZERO, negative, magnitude)
    value = where(a == ZERO, where(b > ZERO, splat_f(ZERO), splat_f(f32(float("inf")))), value)
    return where(b == ZERO, splat_f(ONE), value)


@function(F, I)
def bool_of(mask):
    """1.0 where the mask is set, else 0.0."""
    return where(mask, splat_f(ONE), splat_f(ZERO))
