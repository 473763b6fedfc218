"""The inner loops: panels of weights times one vector, and sums over a row.

A panel holds `blocks` registers of rows side by side: float32 [k][blocks][lanes], int8 [k / 4][blocks][lanes][4], so
that nothing is reduced across a register and each weight is read once, in order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgernn.kernels.cpu.isa import I8, I32, ISA, call, dot4
from edgernn.kernels.cpu.loops import Values, perhaps, repeat
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, LANES, F, I, N, pointer, splat

Step = Callable[[Any, Values, Values], Values]
TILE = 4  # registers of rows in a whole panel
ROW = ir.VectorType(ir.FloatType(), 16)  # sums over a row run in 16 lanes everywhere, so that they round the same


def unroll(blocks: int) -> int:
    """Steps of k at once: enough independent sums to hide the latency, few enough to stay in registers."""
    free = (ISA.registers - 4) // blocks
    return max(1, min(free, 8, -(-12 // blocks)))


def columns(
    b: Any, places: Values, strides: list[int], end: Any, sums: Values, many: int, step: Step, add: str
) -> tuple[Values, Values]:
    """The sums of a step for each column, from zeros, and where the places are then.

    places: addresses that advance by `strides` a column, the last one, by 4, up to `end`. `many` columns are taken at
    once, each into sums of its own, which are added up by pairs in the end; what is left, in halves of as many.
    step(builder, sums, places of a column) -> sums.
    """
    size = len(sums)

    def moved(at: Values, columns: int) -> Values:
        return [b.add(place, I64(stride * columns)) for place, stride in zip(at, strides, strict=True)]

    def steps(values: Values, count: int) -> Values:
        at, made = values[many * size :], []
        for n in range(count):
            made += step(b, values[n * size : (n + 1) * size], moved(at, n))
        return made + values[count * size : many * size] + moved(at, count)

    last = b.sub(end, I64(4 * (many - 1)))
    values = repeat(b, lambda v: b.icmp_signed("<", v[-1], last), sums * many + places, lambda v: steps(v, many))
    for bit in reversed(range((many - 1).bit_length())):
        some = 1 << bit
        left = b.icmp_signed("<=", I64(4 * some), b.sub(end, values[-1]))
        values = perhaps(b, left, values, functools.partial(steps, count=some))
    return _added(b, values[: many * size], size, add), values[many * size :]


def _added(b: Any, sums: Values, size: int, add: str) -> Values:
    """Groups of `size` sums, added up by pairs."""
    groups = [sums[i : i + size] for i in range(0, len(sums), size)]
    while len(groups) > 1:
        pairs = zip(groups[::2], groups[1::2], strict=False)
        summed = [[getattr(b, add)(x, y) for x, y in zip(*pair, strict=True)] for pair in pairs]
        groups = summed + groups[len(groups) // 2 * 2 :]
    return groups[0]


def step_f(b: Any, total: Any, x: Any, w: Any) -> Any:
    """total + weights at w times x; without a w: what is at address x, as `x` takes it."""
    if w is None:
        return splat(b, b.load(pointer(b, x, ir.FloatType()), align=4))
    weights = b.load(pointer(b, w, FV), align=BYTES)
    if ISA.fused:
        return call(b, f"llvm.fma.v{LANES}f32", FV, weights, x, total)
    return b.fadd(total, b.fmul(weights, x))


def step_i8(b: Any, total: Any, x: Any, w: Any) -> Any:
    """The same of int8, four columns at once."""
    bytes_ = ir.VectorType(I8, LANES * 4)
    if w is None:
        return b.bitcast(splat(b, b.load(pointer(b, x, I32), align=4)), bytes_)
    return dot4(b, total, x, b.load(pointer(b, w, bytes_), align=BYTES))


def step_exact(b: Any, total: Any, x: Any, w: Any) -> Any:
    """The same of float32, with the product rounded."""
    return step_f(b, None, x, None) if w is None else b.fadd(total, b.fmul(b.load(pointer(b, w, FV), align=BYTES), x))


def one_column(step: Any, registers: int) -> Step:
    """A step of `columns`: some registers of a panel times a number of each of several vectors."""

    def emit(b: Any, sums: Values, places: Values) -> Values:
        w, *xs = places
        shared = [step(b, None, x, None) for x in xs]
        rows = [b.add(w, I64(BYTES * r)) for r in range(registers)]
        return [step(b, one, x, row) for one, (x, row) in zip(sums, product(shared, rows), strict=True)]

    return emit


def _dot(blocks: int, kind: Any, vector: Any, step: Any, add: str, many: int = 0) -> Any:
    step, strides, many = one_column(step, blocks), [BYTES * blocks, 4], many or unroll(blocks)

    def dot(typingctx: Any, w: Any, x: Any, end: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            zero = [ir.Constant(vector, None)] * blocks
            sums, places = columns(b, list(args[:2]), strides, args[2], zero, many, step, add)
            return context.make_tuple(b, sig.return_type, [*sums, places[0]])

        return types.Tuple([kind] * blocks + [N])(N, N, N), codegen

    return intrinsic(dot)


# dot*(w, x, end of x): the sums, and where the next panel's weights begin; of int8 four products in each step
dot1_f, dot4_f = (_dot(n, F, FV, step_f, "fadd") for n in (1, 4))
# the same sums as dot*_f, rounded in one order everywhere
dot1_exact, dot4_exact = (_dot(n, F, FV, step_exact, "fadd", many=1) for n in (1, 4))
dot1_i8, dot4_i8 = (_dot(n, I, IV, step_i8, "add") for n in (1, 4))


def _row(start: float, term: Callable[[Any, Any, Any], Any], combine: Callable[[Any, Any, Any], Any]) -> Any:
    """A reduction over n float32 at an address: lane j takes every 16th number from j on, then halves are folded."""

    def reduce_row(typingctx: Any, x: Any, n: Any, centre: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            address, count, centre = args
            middle = splat(b, centre, 16)
            neutral = ir.Constant(ROW, [start] * 16)

            def taken(total: Any, at: Any, left: Any = None) -> Any:
                values = term(b, b.load(pointer(b, at, ROW), align=4), middle)
                if left is not None:
                    lanes = ir.VectorType(I32, 16)
                    inside = b.icmp_signed("<", ir.Constant(lanes, list(range(16))), splat(b, b.trunc(left, I32), 16))
                    values = b.select(inside, values, neutral)
                return combine(b, total, values)

            end = b.add(address, b.mul(count, I64(4)))
            last = b.sub(end, I64(64))
            total, at = repeat(
                b,
                lambda v: b.icmp_signed("<=", v[1], last),
                [neutral, address],
                lambda v: [taken(*v), b.add(v[1], I64(64))],
            )
            left = b.ashr(b.sub(end, at), I64(2))
            (total,) = perhaps(b, b.icmp_signed("<", I64(0), left), [total], lambda v: [taken(v[0], at, left)])
            width = 16
            while width > 1:
                width //= 2
                lanes = ir.VectorType(I32, 16)
                mask = ir.Constant(lanes, [width + i if i < width else 0 for i in range(16)])
                total = combine(b, total, b.shuffle_vector(total, ir.Constant(ROW, ir.Undefined), mask))
            return b.extract_element(total, I32(0))

        return types.float32(N, N, types.float32), codegen

    return intrinsic(reduce_row)


def _abs(b: Any, x: Any, centre: Any) -> Any:
    return call(b, "llvm.fabs.v16f32", ROW, x)


def _square(b: Any, x: Any, centre: Any) -> Any:
    d = b.fsub(x, centre)
    return b.fmul(d, d)


def _value(b: Any, x: Any, centre: Any) -> Any:
    return x


def _higher(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def _lower(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.fcmp_ordered("<", x, y), x, y)


INFINITY = float("inf")
row_sum = _row(0.0, _value, lambda b, x, y: b.fadd(x, y))
row_squares = _row(0.0, _square, lambda b, x, y: b.fadd(x, y))
row_sum_abs = _row(0.0, _abs, lambda b, x, y: b.fadd(x, y))
row_product = _row(1.0, _value, lambda b, x, y: b.fmul(x, y))
row_max = _row(-INFINITY, _value, _higher)
row_min = _row(INFINITY, _value, _lower)
row_max_abs = _row(0.0, _abs, _higher)
