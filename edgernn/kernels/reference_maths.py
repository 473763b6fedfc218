"""The elementary functions as the quantised arithmetic defines them: float32, one IEEE 754 operation at a time.

The compiled kernels must give these bits: operations round one by one, in the order written. low(a, b) is a where
a < b, else b, so that a NaN on the left gives b. Constants: tools/fit_polynomials.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[Any]  # float32
f32 = np.float32
MAGIC = f32(12582912.0)
EXP2 = (0.6931470036506653, 0.24022246897220612, 0.0555071085691452, 0.009671293199062347, 0.0013269555056467652)
LOG = (0.3333333134651184, -0.2500000298023224, 0.20000669360160828, -0.1666758507490158, 0.14250291883945465)
LOG_HIGH = (-0.12428437173366547, 0.11675949394702911, -0.114668108522892, 0.06986604630947113)
ERF = (1.1283791065216064, -0.3761221766471863, 0.11278966069221497, -0.02666117250919342, 0.004823365248739719)
ERF_HIGH = (-0.00048123413580469787, -2.6799e-05)
ERFC = (-0.0003199402417521924, 1.1302348375320435, 0.6318199038505554, 0.11008933186531067, -0.026428289711475372)
ERFC_HIGH = (0.004762749653309584, -0.0005976059474050999, 4.616698424797505e-05, -1.643313680688152e-06)


def horner(coefficients: Sequence[float], x: F32) -> F32:
    """Coefficients from the lowest power on; each step multiplies, rounds, adds, rounds."""
    total = np.full_like(x, f32(coefficients[-1]))
    for c in reversed(coefficients[:-1]):
        total = total * x + f32(c)
    return total


def low(a: F32, b: F32) -> F32:
    """The lower one; b where either is NaN."""
    return np.where(a < b, a, b)


def high(a: F32, b: F32) -> F32:
    """The higher one; b where either is NaN."""
    return np.where(a > b, a, b)


def two_to(t: F32, shifted: F32) -> F32:
    """2**t; `shifted` is t + MAGIC, whose low bits are the whole part."""
    p = horner((1.0, *EXP2), t - (shifted - MAGIC))
    return (p.view(np.int32) + (shifted.view(np.int32) << 23)).view(np.float32)


def gate(x: F32) -> F32:
    """What a gate is made of: exp(-x) within 2**-60 .. 2**60."""
    t = low(high(x * f32(-1.44269504), np.full_like(x, -60)), np.full_like(x, 60))
    return two_to(t, t + MAGIC)


def decay(x: F32) -> F32:
    """What tanh is made of: exp(-2 |x|), at least 2**-60."""
    t = high(np.abs(x) * f32(-2.88539008), np.full_like(x, -60))
    return two_to(t, t + MAGIC)


def sigmoid(x: F32) -> F32:
    """1 / (1 + exp(-x))."""
    return f32(1) / (gate(x) + f32(1))


def signed(magnitude: F32, like: F32) -> F32:
    """The magnitude with the sign of `like`."""
    return np.copysign(magnitude, like)


def tanh(x: F32) -> F32:
    """The hyperbolic tangent."""
    e = decay(x)
    return signed((f32(1) - e) / (e + f32(1)), x)


def gated(x: F32, by: F32) -> F32:
    """sigmoid(by) * tanh(x) with one division."""
    e = decay(x)
    return signed((f32(1) - e) / ((gate(by) + f32(1)) * (e + f32(1))), x)


def exp(x: F32) -> F32:
    """The exponential function, for x within -87 .. 88."""
    x = low(high(x, np.full_like(x, -87)), np.full_like(x, 88))
    shifted = x * f32(1.44269504) + MAGIC
    n = shifted - MAGIC
    r = (x - n * f32(0.693359375)) - n * f32(-2.12194440e-4)
    return two_to(r * f32(1.44269504) + n, shifted)


def log(x: F32) -> F32:
    """Natural logarithm; 0 gives -inf, below 0 NaN."""
    bits = high(x, np.full_like(x, 1.17549435e-38)).view(np.int32)
    e = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
    r = (bits - (e << np.int32(23))).view(np.float32) - f32(1)
    q = horner((*LOG, *LOG_HIGH), r)
    n = e.astype(np.float32)
    value = n * f32(0.693359375) + (r + (n * f32(-2.12194440e-4) + (r * r) * (r * q - f32(0.5))))
    value = np.where(x == 0, f32(-np.inf), np.where(x < 0, f32(np.nan), value))
    return np.where(x < f32(np.inf), value, x + np.where(x < 0, value, x))


def nearest(x: F32) -> F32:
    """The nearest integer, half to even."""
    return np.where(np.abs(x) < f32(4194304), signed(np.abs((x + MAGIC) - MAGIC), x), x)


def floor(x: F32) -> F32:
    """The next integer below."""
    r = nearest(x)
    return np.where(r > x, r - f32(1), r)


def truncated(x: F32) -> F32:
    """The integer part."""
    return signed(floor(np.abs(x)), x)


def erf(x: F32) -> F32:
    """The error function."""
    a = low(np.abs(x), np.full_like(x, 4))
    p = horner((*ERF, *ERF_HIGH), a * a)
    q = horner((*ERFC, *ERFC_HIGH), a)
    return signed(np.where(a < 1, a * p, f32(1) - exp(f32(0) - q)), x)


def softplus(x: F32) -> F32:
    """log(1 + exp(x))."""
    return high(x, np.zeros_like(x)) + log(exp(f32(0) - np.abs(x)) + f32(1))


def expm1(x: F32) -> F32:
    """One less than exp(x), for x <= 0."""
    return tanh(x * f32(0.5)) * (exp(x) + f32(1))


def quarter_turns(x: F32, shift: int) -> F32:
    """sin(x + shift * pi / 2)."""
    k = (x * f32(0.6366197723675814) + MAGIC) - MAGIC
    r = ((x - k * f32(1.5703125)) - k * f32(4.837512969970703e-4)) - k * f32(7.54978995489188e-8)
    z = r * r
    s = horner((-0.16666655242443085, 0.008332189172506332, -0.00019518288900144398), z) * z * r + r
    c = (
        horner((0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05), z) * (z * z)
        - z * f32(0.5)
        + f32(1)
    )
    quadrant = (k + MAGIC).view(np.int32) + np.int32(shift)
    value: F32 = np.where(quadrant & 1, c, s)
    bits: F32 = value.view(np.int32) ^ ((quadrant & np.int32(2)) << np.int32(30))
    return bits.view(np.float32)


def power(a: F32, b: F32) -> F32:
    """a ** b; a negative base needs a whole exponent."""
    magnitude = exp(b * log(np.abs(a)))
    whole, half = truncated(b) == b, truncated(b * f32(0.5)) * f32(2)
    negative = np.where(whole, np.where(np.abs(b - half) == 1, f32(0) - magnitude, magnitude), f32(np.nan))
    value = np.where(a < 0, negative, magnitude)
    value = np.where(a == 0, np.where(b > 0, f32(0), f32(np.inf)), value)
    return np.where(b == 0, f32(1), value)


def bounded_relu(x: F32) -> F32:
    """max(x, 0), at most the largest finite number; NaN gives 0."""
    return low(high(x, np.zeros_like(x)), np.full_like(x, np.finfo(np.float32).max))


def _bool(mask: NDArray[np.bool_]) -> F32:
    """The mask as 0.0 and 1.0."""
    values: F32 = mask.astype(np.float32)
    return values


ONE, HALF, ZERO = f32(1), f32(0.5), f32(0)

MAP: dict[str, Callable[[F32, F32, F32], F32]] = {
    "abs": lambda x, a, b: np.abs(x),
    "neg": lambda x, a, b: ZERO - x,
    "exp": lambda x, a, b: exp(x),
    "log": lambda x, a, b: log(x),
    "sqrt": lambda x, a, b: np.sqrt(x),
    "reciprocal": lambda x, a, b: ONE / x,
    "floor": lambda x, a, b: floor(x),
    "ceil": lambda x, a, b: ZERO - floor(ZERO - x),
    "round": lambda x, a, b: nearest(x),
    "sign": lambda x, a, b: _bool(x > 0) - _bool(x < 0),
    "trunc": lambda x, a, b: truncated(x),
    "erf": lambda x, a, b: erf(x),
    "relu": lambda x, a, b: high(x, np.zeros_like(x)),
    "leakyrelu": lambda x, a, b: np.where(x < 0, x * a, x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, ZERO),
    "elu": lambda x, a, b: np.where(x < 0, expm1(low(x, np.zeros_like(x))) * a, x),
    "celu": lambda x, a, b: np.where(x < 0, expm1(low(x, np.zeros_like(x)) / a) * a, x),
    "selu": lambda x, a, b: np.where(x > 0, x, expm1(low(x, np.zeros_like(x))) * a) * b,
    "sigmoid": lambda x, a, b: sigmoid(x),
    "hardsigmoid": lambda x, a, b: low(high(x * a + b, np.zeros_like(x)), np.ones_like(x)),
    "hardswish": lambda x, a, b: x * low(high(x * f32(1 / 6) + HALF, np.zeros_like(x)), np.ones_like(x)),
    "tanh": lambda x, a, b: tanh(x),
    "scaledtanh": lambda x, a, b: tanh(x * b) * a,
    "softsign": lambda x, a, b: x / (np.abs(x) + ONE),
    "softplus": lambda x, a, b: softplus(x),
    "gelu": lambda x, a, b: x * HALF * (erf(x * f32(0.7071067811865476)) + ONE),
    "gelu_tanh": lambda x, a, b: x * HALF * (tanh((x * x * x * f32(0.044715) + x) * f32(0.7978845608028654)) + ONE),
    "mish": lambda x, a, b: x * tanh(softplus(x)),
    "swish": lambda x, a, b: x * sigmoid(x * a),
    "affine": lambda x, a, b: x * a + b,
    "clip": lambda x, a, b: low(high(x, np.full_like(x, a)), np.full_like(x, b)),
    "shrink": lambda x, a, b: np.where(x < -a, x + b, np.where(x > a, x - b, ZERO)),
    "not": lambda x, a, b: _bool(x == 0),
    "pow": lambda x, a, b: power(x, np.full_like(x, a)),
    "sin": lambda x, a, b: quarter_turns(x, 0),
    "cos": lambda x, a, b: quarter_turns(x, 1),
}
COMBINE: dict[str, Callable[[F32, F32], F32]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "min": low,
    "max": high,
    "pow": power,
    "less": lambda a, b: _bool(a < b),
    "less_equal": lambda a, b: _bool(a <= b),
    "greater": lambda a, b: _bool(a > b),
    "greater_equal": lambda a, b: _bool(a >= b),
    "equal": lambda a, b: _bool(a == b),
    "and": lambda a, b: _bool((a != 0) & (b != 0)),
    "or": lambda a, b: _bool((a != 0) | (b != 0)),
    "xor": lambda a, b: _bool((a != 0) ^ (b != 0)),
    "mod": lambda a, b: a - truncated(a / b) * b,
}


def folded(x: F32, term: Callable[[F32], F32], combine: Callable[[F32, F32], F32], start: float) -> np.float32:
    """A reduction in 16 lanes: lane j takes every 16th number from j on, then halves are folded onto each other."""
    padded = np.full(-(-len(x) // 16) * 16, f32(start))
    padded[: len(x)] = term(x)
    total = np.full(16, f32(start))
    for block in padded.reshape(-1, 16):
        total = combine(total, block)
    while len(total) > 1:
        total = combine(total[: len(total) // 2], total[len(total) // 2 :])
    return f32(total[0])


REDUCE: dict[str, Callable[[F32], np.float32]] = {
    "sum": lambda x: folded(x, lambda v: v, np.add, 0),
    "mean": lambda x: f32(folded(x, lambda v: v, np.add, 0) / f32(len(x))),
    "max": lambda x: folded(x, lambda v: v, high, -np.inf),
    "min": lambda x: folded(x, lambda v: v, low, np.inf),
    "prod": lambda x: folded(x, lambda v: v, np.multiply, 1),
    "sum_square": lambda x: folded(x, lambda v: v * v, np.add, 0),
    "sum_abs": lambda x: folded(x, np.abs, np.add, 0),
}
