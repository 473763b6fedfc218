"""The inner loops: panels of weights times one vector, and sums over a row.

A panel holds `blocks` registers of rows side by side: float32 [k][blocks][lanes], int8 [k / 4][blocks][lanes][4], so
that nothing is reduced across a register and each weight is read once, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgernn.kernels.cpu.isa import I8, I32, ISA, call, dot4
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, LANES, F, I, N, pointer, splat

TILE = 4  # registers of rows in a whole panel
ROW = ir.VectorType(ir.FloatType(), 16)  # sums over a row run in 16 lanes everywhere, so that they round the same


def loop(b: Any, count: Any, start: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """for n in range(count): values = body(n, values). Emits the loop and returns the last values."""
    before, test = b.block, b.append_basic_block("test")
    inside, after = b.append_basic_block("body"), b.append_basic_block("after")
    b.branch(test)
    b.position_at_end(test)
    n = b.phi(I64)
    values = [b.phi(v.type) for v in start]
    b.cbranch(b.icmp_signed("<", n, count), inside, after)
    b.position_at_end(inside)
    new = body(n, values)
    n.add_incoming(I64(0), before)
    n.add_incoming(b.add(n, I64(1)), b.block)
    # the increment must come before the branch that leaves the block
    for phi, first, last in zip(values, start, new, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, b.block)
    b.branch(test)
    b.position_at_end(after)
    return values


def unroll(blocks: int) -> int:
    """Steps of k at once: enough independent sums to hide the latency, few enough to stay in registers."""
    free = (ISA.registers - 4) // blocks
    return max(1, min(free, 8, -(-12 // blocks)))


def _panel(blocks: int, vector: Any, many: int, step: Callable[[Any, Any, Any, Any], Any], add: str) -> Any:
    """Sums of one panel, `many` steps of k at once. step(builder, sum, x at k, address of the weights) -> sum."""

    def emit(b: Any, w: Any, x: Any, k: Any, x_bytes: int) -> list[Any]:
        def steps(sums: list[Any], base: Any, unroll: int) -> list[Any]:
            new = list(sums)
            for u in range(unroll):
                at = b.add(base, I64(u))
                x_at = b.add(x, b.mul(at, I64(x_bytes)))
                w_at = b.add(w, b.mul(at, I64(BYTES * blocks)))
                shared = step(b, None, x_at, None)
                for n in range(blocks):
                    i = u * blocks + n
                    new[i] = step(b, new[i], shared, b.add(w_at, I64(BYTES * n)))
            return new

        zero = [ir.Constant(vector, None)] * (blocks * many)
        rounds = b.sdiv(k, I64(many))
        sums = loop(b, rounds, zero, lambda n, s: steps(s, b.mul(n, I64(many)), many))
        done = b.mul(rounds, I64(many))
        rest = loop(b, b.sub(k, done), sums[:blocks], lambda n, s: steps(s, b.add(done, n), 1))
        sums[:blocks] = rest
        for u in range(1, many):
            for n in range(blocks):
                sums[n] = getattr(b, add)(sums[n], sums[u * blocks + n])
        return sums[:blocks]

    return emit


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


def _dot(blocks: int, kind: Any, vector: Any, step: Any, add: str, many: int = 0) -> Any:
    emit = _panel(blocks, vector, many or unroll(blocks), step, add)

    def dot(typingctx: Any, w: Any, x: Any, k: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            return context.make_tuple(b, sig.return_type, emit(b, *args, 4))

        return types.UniTuple(kind, blocks)(N, N, N), codegen

    return intrinsic(dot)


# dot*_f(w, x, k): sums of float32 products; dot*_i8(w, x, k4): sums of int8 products, k4 = k / 4 rounded up
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

            def block(i: Any, total: list[Any]) -> list[Any]:
                values = b.load(pointer(b, b.add(address, b.mul(i, I64(64))), ROW), align=4)
                left = b.trunc(b.sub(count, b.mul(i, I64(16))), I32)
                lanes = ir.VectorType(I32, 16)
                inside = b.icmp_signed("<", ir.Constant(lanes, list(range(16))), splat(b, left, 16))
                return [combine(b, total[0], b.select(inside, term(b, values, middle), neutral))]

            blocks = b.ashr(b.add(count, I64(15)), I64(4))
            (total,) = loop(b, blocks, [neutral], block)
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
