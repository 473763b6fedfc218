"""The elementary functions of one number, with the bits of kernels.reference_maths, which defines them."""

from __future__ import annotations

from edgernn.kernels.cuda.primitives import as_float, as_int, device, f32, high, i32, low, mul

ZERO, HALF, ONE, TWO = (f32(v) for v in (0.0, 0.5, 1.0, 2.0))
INFINITY, NAN = f32(float("inf")), f32(float("nan"))
MAGIC = f32(12582912.0)  # 1.5 * 2**23: adding it rounds to an integer, half to even, and leaves it in the low bits
SIGN, MAGNITUDE = i32(-(2**31)), i32(2**31 - 1)
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
LOG2E, LN2_HIGH, LN2_LOW = f32(1.44269504), f32(0.693359375), f32(-2.12194440e-4)
GATE, DECAY, BOUND = f32(-1.44269504), f32(-2.88539008), f32(60.0)
LEAST, INTEGRAL, LARGEST = f32(1.17549435e-38), f32(4194304.0), f32(3.4028234663852886e38)
EXP_LOW, EXP_HIGH, FOUR = f32(-87.0), f32(88.0), f32(4.0)
TURN, PIO2_1, PIO2_2 = f32(0.6366197723675814), f32(1.5703125), f32(4.837512969970703e-4)
PIO2_3 = f32(7.54978995489188e-8)
ROOT_BITS = i32(0x3F3504F3)


@device
def two_to(t, shifted):
    """2**t, given t + MAGIC."""
    f = t - (shifted - MAGIC)
    p = mul(f, P5) + P4
    p = mul(p, f) + P3
    p = mul(p, f) + P2
    p = mul(p, f) + P1
    p = mul(p, f) + ONE
    return as_float(as_int(p) + (as_int(shifted) << i32(23)))


@device
def absolute(x):
    """|x|."""
    return as_float(as_int(x) & MAGNITUDE)


@device
def signed(magnitude, like):
    """magnitude (>= 0) with the sign of `like`."""
    return as_float(as_int(magnitude) | (as_int(like) & SIGN))


@device
def gate(x):
    """What a gate is made of: exp(-x) within 2**-60 .. 2**60."""
    t = low(high(mul(x, GATE), -BOUND), BOUND)
    return two_to(t, t + MAGIC)


@device
def decay(x):
    """What tanh is made of: exp(-2 |x|), at least 2**-60."""
    t = high(mul(absolute(x), DECAY), -BOUND)
    return two_to(t, t + MAGIC)


@device
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return ONE / (gate(x) + ONE)


@device
def tanh(x):
    """The hyperbolic tangent."""
    e = decay(x)
    return signed((ONE - e) / (e + ONE), x)


@device
def gated(x, by):
    """sigmoid(by) * tanh(x)."""
    e = decay(x)
    return signed((ONE - e) / mul(gate(by) + ONE, e + ONE), x)


@device
def exp(x):
    """The exponential function, for x within -87 .. 88."""
    x = low(high(x, EXP_LOW), EXP_HIGH)
    shifted = mul(x, LOG2E) + MAGIC
    n = shifted - MAGIC
    r = (x - mul(n, LN2_HIGH)) - mul(n, LN2_LOW)
    return two_to(mul(r, LOG2E) + n, shifted)


@device
def log(x):
    """Natural logarithm; 0 gives -inf, below 0 NaN."""
    if x == ZERO:
        return -INFINITY
    if x < ZERO or x != x:
        return NAN if x < ZERO else x + x
    if x == INFINITY:
        return x
    bits = as_int(high(x, LEAST))
    e = i32((bits - ROOT_BITS) >> i32(23))
    r = as_float(bits - (e << i32(23))) - ONE
    q = mul(r, Q8) + Q7
    q = mul(q, r) + Q6
    q = mul(q, r) + Q5
    q = mul(q, r) + Q4
    q = mul(q, r) + Q3
    q = mul(q, r) + Q2
    q = mul(q, r) + Q1
    q = mul(q, r) + Q0
    n = f32(e)
    square = mul(r, r)
    return mul(n, LN2_HIGH) + (r + (mul(n, LN2_LOW) + mul(square, mul(r, q) - HALF)))


@device
def nearest(x):
    """Round half to even."""
    return signed(absolute((x + MAGIC) - MAGIC), x) if absolute(x) < INTEGRAL else x


@device
def floor(x):
    """The next integer below."""
    r = nearest(x)
    return r - ONE if r > x else r


@device
def truncated(x):
    """The integer part."""
    return signed(floor(absolute(x)), x)


@device
def erf(x):
    """Within 1: an odd polynomial; from 1 to 4: 1 - exp(-polynomial); beyond: 1."""
    a = low(absolute(x), FOUR)
    z = mul(a, a)
    p = mul(z, E6) + E5
    p = mul(p, z) + E4
    p = mul(p, z) + E3
    p = mul(p, z) + E2
    p = mul(p, z) + E1
    p = mul(p, z) + E0
    q = mul(a, C8) + C7
    q = mul(q, a) + C6
    q = mul(q, a) + C5
    q = mul(q, a) + C4
    q = mul(q, a) + C3
    q = mul(q, a) + C2
    q = mul(q, a) + C1
    q = mul(q, a) + C0
    return signed(mul(a, p) if a < ONE else ONE - exp(ZERO - q), x)


@device
def softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    return high(x, ZERO) + log(exp(ZERO - absolute(x)) + ONE)


@device
def expm1(x):
    """exp(x) - 1 for x <= 0, as tanh(x / 2) * (exp(x) + 1)."""
    return mul(tanh(mul(x, HALF)), exp(x) + ONE)


@device
def quarter_turns(x, shift):
    """sin(x + shift * pi / 2), for |x| up to 2**13."""
    k = (mul(x, TURN) + MAGIC) - MAGIC
    r = ((x - mul(k, PIO2_1)) - mul(k, PIO2_2)) - mul(k, PIO2_3)
    z = mul(r, r)
    s = mul(mul(mul(mul(z, S3) + S2, z) + S1, z), r) + r
    c = mul(mul(mul(z, K4) + K3, z) + K2, mul(z, z)) - mul(z, HALF) + ONE
    quadrant = as_int(k + MAGIC) + shift
    value = c if (quadrant & i32(1)) != 0 else s
    return as_float(as_int(value) ^ ((quadrant & i32(2)) << i32(30)))


@device
def power(a, b):
    """a ** b; a negative base needs a whole exponent, else NaN; a ** 0 is 1."""
    if b == ZERO:
        return ONE
    if a == ZERO:
        return ZERO if b > ZERO else INFINITY
    magnitude = exp(mul(b, log(absolute(a))))
    if not a < ZERO:
        return magnitude
    if truncated(b) != b:
        return NAN
    odd = absolute(b - mul(truncated(mul(b, HALF)), TWO)) == ONE
    return ZERO - magnitude if odd else magnitude
