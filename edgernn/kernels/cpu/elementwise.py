"""MAP, COMBINE, SELECT, TAKE and COPY: one number in, one number out."""

from __future__ import annotations

from numba import types

from edgernn.kernels.contract import COMBINES, MAPS
from edgernn.kernels.cpu.copies import copied
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.maths import (
    HALF,
    ONE,
    ZERO,
    absolute,
    bool_of,
    erf,
    exp,
    expm1,
    floor,
    log,
    nearest,
    power,
    quarter_turns,
    sigmoid,
    softplus,
    tanh,
    truncated,
)
from edgernn.kernels.cpu.vector import (
    BYTES,
    F,
    N,
    bits_float,
    f32,
    high,
    i32,
    load_1f,
    load_1i,
    load_1n,
    load_f,
    low,
    splat_f,
    sqrt,
    store_1f,
    store_f,
    where,
)

# fmt: off
(
    ABS, NEG, EXP, LOG, SQRT, RECIPROCAL, FLOOR, CEIL, ROUND, SIGN, TRUNC, ERF, RELU, LEAKYRELU, THRESHOLDEDRELU, ELU,
    CELU, SELU, SIGMOID, HARDSIGMOID, HARDSWISH, TANH, SCALEDTANH, SOFTSIGN, SOFTPLUS, GELU, GELU_TANH, MISH, SWISH,
    AFFINE, CLIP, SHRINK, NOT, POW, SIN, COS,
) = range(len(MAPS))
(
    ADD, SUB, MUL, DIV, MIN, MAX, POWER, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, AND, OR, XOR, MOD,
) = range(len(COMBINES))
# fmt: on
ROOT_HALF, GELU_A, GELU_B = f32(0.7071067811865476), f32(0.7978845608028654), f32(0.044715)
SIXTH, THREE, SIX = f32(1 / 6), f32(3.0), f32(6.0)


@function(N, N, N)
def arg(a, i):
    """Operand i of the instruction at address a."""
    return load_1n(a + 8 * (i + 1))


@function(types.float32, N, N)
def number(a, i):
    """Operand i as a float32."""
    return bits_float(load_1n(a + 8 * (i + 1)))


@function(N, N, N, N, N)
def read(a, i, arena, weights):
    """The address of operand i, a value to read."""
    offset = load_1n(a + 8 * (i + 1))
    if offset >= 0:
        return arena + offset
    return weights - 1 - offset


@function(F, N, F)
def apply_simple(function, x):
    """Those functions of MAP that are a few operations; others give x."""
    zero = splat_f(ZERO)
    y = x
    if function == ABS:
        y = absolute(x)
    elif function == NEG:
        y = ZERO - x
    elif function == SQRT:
        y = sqrt(x)
    elif function == RECIPROCAL:
        y = ONE / x
    elif function == FLOOR:
        y = floor(x)
    elif function == CEIL:
        y = ZERO - floor(ZERO - x)
    elif function == ROUND:
        y = nearest(x)
    elif function == SIGN:
        y = bool_of(x > zero) - bool_of(x < zero)
    elif function == TRUNC:
        y = truncated(x)
    elif function == NOT:
        y = bool_of(x == zero)
    elif function == RELU:
        y = high(x, zero)
    elif function == HARDSWISH:
        y = x * low(high(x * SIXTH + HALF, zero), splat_f(ONE))
    elif function == SOFTSIGN:
        y = x / (absolute(x) + ONE)
    return y


@function(F, N, F)
def apply_transcendental(function, x):
    """Those functions of MAP that go through an exponential, a logarithm or a circle; others give x."""
    y = x
    if function == EXP:
        y = exp(x)
    elif function == LOG:
        y = log(x)
    elif function == ERF:
        y = erf(x)
    elif function == SIGMOID:
        y = sigmoid(x)
    elif function == TANH:
        y = tanh(x)
    elif function == SOFTPLUS:
        y = softplus(x)
    elif function == GELU:
        y = x * HALF * (erf(x * ROOT_HALF) + ONE)
    elif function == GELU_TANH:
        y = x * HALF * (tanh((x * x * x * GELU_B + x) * GELU_A) + ONE)
    elif function == MISH:
        y = x * tanh(softplus(x))
    elif function == SIN:
        y = quarter_turns(x, i32(0))
    elif function == COS:
        y = quarter_turns(x, i32(1))
    return y


@function(F, N, F, types.float32, types.float32)
def apply_parameters(function, x, alpha, beta):
    """Those functions of MAP that have an alpha or beta; others give x."""
    zero = splat_f(ZERO)
    y = x
    if function == LEAKYRELU:
        y = where(x < zero, x * alpha, x)
    elif function == THRESHOLDEDRELU:
        y = where(x > splat_f(alpha), x, zero)
    elif function == ELU:
        y = where(x < zero, expm1(low(x, zero)) * alpha, x)
    elif function == CELU:
        y = where(x < zero, expm1(low(x, zero) / alpha) * alpha, x)
    elif function == SELU:
        y = where(x > zero, x, expm1(low(x, zero)) * alpha) * beta
    elif function == HARDSIGMOID:
        y = low(high(x * alpha + beta, zero), splat_f(ONE))
    elif function == SCALEDTANH:
        y = tanh(x * beta) * alpha
    elif function == SWISH:
        y = x * sigmoid(x * alpha)
    elif function == AFFINE:
        y = x * alpha + beta
    elif function == CLIP:
        y = low(high(x, splat_f(alpha)), splat_f(beta))
    elif function == SHRINK:
        y = where(x < splat_f(ZERO - alpha), x + beta, where(x > splat_f(alpha), x - beta, zero))
    elif function == POW:
        y = power(x, splat_f(alpha))
    return y


@kernel
def map_(a, arena, weights, control):
    """MAP: y = function(x)."""
    y, x, size, function = arena + arg(a, 0), read(a, 1, arena, weights), arg(a, 2), arg(a, 3)
    alpha, beta = number(a, 4), number(a, 5)
    for at in range(0, size * 4, BYTES):
        value = apply_transcendental(function, apply_simple(function, load_f(x + at)))
        store_f(y + at, apply_parameters(function, value, alpha, beta))
    return 0


@function(F, N, F, F)
def apply_pair(operation, a, b):
    """The operations of COMBINE."""
    zero = splat_f(ZERO)
    y = a
    if operation == ADD:
        y = a + b
    elif operation == SUB:
        y = a - b
    elif operation == MUL:
        y = a * b
    elif operation == DIV:
        y = a / b
    elif operation == MIN:
        y = low(a, b)
    elif operation == MAX:
        y = high(a, b)
    elif operation == POWER:
        y = power(a, b)
    elif operation == LESS:
        y = bool_of(a < b)
    elif operation == LESS_EQUAL:
        y = bool_of(a <= b)
    elif operation == GREATER:
        y = bool_of(a > b)
    elif operation == GREATER_EQUAL:
        y = bool_of(a >= b)
    elif operation == EQUAL:
        y = bool_of(a == b)
    elif operation == AND:
        y = bool_of((a != zero) & (b != zero))
    elif operation == OR:
        y = bool_of((a != zero) | (b != zero))
    elif operation == XOR:
        y = bool_of((a != zero) ^ (b != zero))
    elif operation == MOD:
        y = a - truncated(a / b) * b
    return y


@kernel
def combine(a, arena, weights, control):
    """COMBINE: y = a operation b; one of them may be a single number."""
    y, p, q = arena + arg(a, 0), read(a, 1, arena, weights), read(a, 2, arena, weights)
    size, operation, p_vector, q_vector = arg(a, 3), arg(a, 4), arg(a, 5), arg(a, 6)
    left, right = splat_f(load_1f(p)), splat_f(load_1f(q))
    for at in range(0, size * 4, BYTES):
        if p_vector != 0:
            left = load_f(p + at)
        if q_vector != 0:
            right = load_f(q + at)
        store_f(y + at, apply_pair(operation, left, right))
    return 0


@kernel
def select(a, arena, weights, control):
    """SELECT: y = a where condition is not 0, else b."""
    y, condition = arena + arg(a, 0), read(a, 1, arena, weights)
    p, q, size = read(a, 2, arena, weights), read(a, 3, arena, weights), arg(a, 4)
    for at in range(0, size * 4, BYTES):
        store_f(y + at, where(load_f(condition + at) != splat_f(ZERO), load_f(p + at), load_f(q + at)))
    return 0


@kernel
def take(a, arena, weights, control):
    """TAKE: y[i] = x[index[i]], or fill."""
    y, x, index = arena + arg(a, 0), read(a, 1, arena, weights), weights + arg(a, 2)
    size, fill = arg(a, 3), number(a, 4)
    for n in range(size):
        i = load_1i(index + 4 * n)
        value = fill
        if i >= 0:
            value = load_1f(x + 4 * i)
        store_1f(y + 4 * n, value)
    return 0


@kernel
def copy(a, arena, weights, control):
    """COPY: y = x, exactly `size` numbers."""
    copied(arena + arg(a, 0), read(a, 1, arena, weights), arg(a, 2))
    return 0
