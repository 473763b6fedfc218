"""The functions of MAP and the operations of COMBINE, on single numbers."""

from __future__ import annotations

from edgernn.kernels.contract import COMBINES, MAPS
from edgernn.kernels.cuda.maths import (
    HALF,
    ONE,
    ZERO,
    absolute,
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
from edgernn.kernels.cuda.primitives import device, f32, high, i32, low, mul, root

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
SIXTH = f32(1 / 6)


@device
def truth(condition):
    """1.0 or 0.0."""
    return ONE if condition else ZERO


@device
def simple(function, x):
    """Those functions of MAP that are a few operations; others give x."""
    if function == ABS:
        return absolute(x)
    if function == NEG:
        return ZERO - x
    if function == SQRT:
        return root(x)
    if function == RECIPROCAL:
        return ONE / x
    if function == FLOOR:
        return floor(x)
    if function == CEIL:
        return ZERO - floor(ZERO - x)
    if function == ROUND:
        return nearest(x)
    if function == SIGN:
        return truth(x > ZERO) - truth(x < ZERO)
    if function == TRUNC:
        return truncated(x)
    if function == NOT:
        return truth(x == ZERO)
    if function == RELU:
        return high(x, ZERO)
    if function == HARDSWISH:
        return mul(x, low(high(mul(x, SIXTH) + HALF, ZERO), ONE))
    if function == SOFTSIGN:
        return x / (absolute(x) + ONE)
    return x


@device
def transcendental(function, x):
    """Those functions of MAP that go through an exponential, a logarithm or a circle; others give x."""
    if function == EXP:
        return exp(x)
    if function == LOG:
        return log(x)
    if function == ERF:
        return erf(x)
    if function == SIGMOID:
        return sigmoid(x)
    if function == TANH:
        return tanh(x)
    if function == SOFTPLUS:
        return softplus(x)
    if function == GELU:
        return mul(mul(x, HALF), erf(mul(x, ROOT_HALF)) + ONE)
    if function == GELU_TANH:
        return mul(mul(x, HALF), tanh(mul(mul(mul(mul(x, x), x), GELU_B) + x, GELU_A)) + ONE)
    if function == MISH:
        return mul(x, tanh(softplus(x)))
    if function == SIN:
        return quarter_turns(x, i32(0))
    if function == COS:
        return quarter_turns(x, i32(1))
    return x


@device
def parametric(function, x, alpha, beta):
    """Those functions of MAP that have an alpha or beta; others give x."""
    if function == LEAKYRELU:
        return mul(x, alpha) if x < ZERO else x
    if function == THRESHOLDEDRELU:
        return x if x > alpha else ZERO
    if function == ELU:
        return mul(expm1(low(x, ZERO)), alpha) if x < ZERO else x
    if function == CELU:
        return mul(expm1(low(x, ZERO) / alpha), alpha) if x < ZERO else x
    if function == SELU:
        return mul(x if x > ZERO else mul(expm1(low(x, ZERO)), alpha), beta)
    if function == HARDSIGMOID:
        return low(high(mul(x, alpha) + beta, ZERO), ONE)
    if function == SCALEDTANH:
        return mul(tanh(mul(x, beta)), alpha)
    if function == SWISH:
        return mul(x, sigmoid(mul(x, alpha)))
    if function == AFFINE:
        return mul(x, alpha) + beta
    if function == CLIP:
        return low(high(x, alpha), beta)
    if function == SHRINK:
        return x + beta if x < ZERO - alpha else (x - beta if x > alpha else ZERO)
    if function == POW:
        return power(x, alpha)
    return x


@device
def mapped(function, x, alpha, beta):
    """One of MAPS."""
    return parametric(function, transcendental(function, simple(function, x)), alpha, beta)


@device
def compared(operation, a, b):
    """Those operations of COMBINE that answer 1.0 or 0.0; others give a."""
    if operation == LESS:
        return truth(a < b)
    if operation == LESS_EQUAL:
        return truth(a <= b)
    if operation == GREATER:
        return truth(a > b)
    if operation == GREATER_EQUAL:
        return truth(a >= b)
    if operation == EQUAL:
        return truth(a == b)
    if operation == AND:
        return truth(a != ZERO and b != ZERO)
    if operation == OR:
        return truth(a != ZERO or b != ZERO)
    if operation == XOR:
        return truth((a != ZERO) != (b != ZERO))
    return a


@device
def combined(operation, a, b):
    """One of COMBINES."""
    if operation == ADD:
        return a + b
    if operation == SUB:
        return a - b
    if operation == MUL:
        return mul(a, b)
    if operation == DIV:
        return a / b
    if operation == MIN:
        return low(a, b)
    if operation == MAX:
        return high(a, b)
    if operation == POWER:
        return power(a, b)
    if operation == MOD:
        return a - mul(truncated(a / b), b)
    return compared(operation, a, b)
