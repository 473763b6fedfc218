"""int8 products with half the multiplications, where a pair of products costs more than a pair of sums.

    sum of x0 w0 + x1 w1 = sum of (x0 + w1) (x1 + w0) - sum of x0 x1 - sum of w0 w1

(S. Winograd, A New Algorithm for Inner Product, IEEE Transactions on Computers C-17, 1968). The last two sums are made
once for each vector and each row, which pays where many vectors meet many rows. Numbers within -127..127 are spread to
int16; everything is exact, in int32.

A spread vector: its sum of x0 x1, in 64 bytes; four bytes for every four columns, x0 and x2 as int16; from the next
register on, as many with x1 and x3. Spread weights: [col / 4][register][w1 and w3, w0 and w2][lane].
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from edgernn.kernels.cpu.dots import TILE
from edgernn.kernels.cpu.functions import function
from edgernn.kernels.cpu.isa import I16, I32, call, dot2
from edgernn.kernels.cpu.loops import loop
from edgernn.kernels.cpu.pooled_dots import STREAMS, vectors
from edgernn.kernels.cpu.vector import BYTES, I64, IV, LANES, I, N, pointer, splat

WORDS = ir.VectorType(I16, 2 * LANES)
HEADER = 64


def _parts(b: Any, v: Any) -> tuple[Any, Any]:
    """Bytes 0 and 2 of every four, and bytes 1 and 3, as int16."""
    eight = ir.Constant(WORDS, [8] * (2 * LANES))
    return b.ashr(b.shl(v, eight), eight), b.ashr(v, eight)


def _half(b: Any, groups: Any) -> Any:
    """Bytes of one half of a spread vector."""
    return b.mul(b.sdiv(b.add(groups, I64(LANES - 1)), I64(LANES)), I64(BYTES))


@intrinsic  # type: ignore[untyped-decorator]
def spread_x(typingctx: Any, to: Any, x: Any, groups: Any) -> Any:
    """Spread a quantised vector of `groups` times four columns; where it is then."""

    def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
        to, x, groups = args
        half, lanes = _half(b, groups), ir.Constant(IV, list(range(LANES)))

        def chunk(n: Any, total: list[Any]) -> list[Any]:
            at = b.mul(n, I64(BYTES))
            left = b.trunc(b.sub(groups, b.mul(n, I64(LANES))), I32)
            v = b.load(pointer(b, b.add(x, at), IV), align=4)
            v = b.select(b.icmp_signed("<", lanes, splat(b, left)), v, IV(None))
            even, odd = _parts(b, b.bitcast(v, WORDS))
            at = b.add(b.add(to, I64(HEADER)), at)
            b.store(even, pointer(b, at, WORDS), align=4)
            b.store(odd, pointer(b, b.add(at, half), WORDS), align=4)
            return [dot2(b, total[0], even, odd)]

        (total,) = loop(b, b.sdiv(half, I64(BYTES)), [IV(None)], chunk)
        b.store(call(b, f"llvm.vector.reduce.add.v{LANES}i32", I32, total), pointer(b, to, I32), align=4)
        return to

    return N(N, N, N), codegen


def _spread(registers: int, side: int) -> Any:
    """spread(to, w, groups): some registers of a panel that has `side`; minus the sums of w0 w1, by row."""

    def spread(typingctx: Any, to: Any, w: Any, groups: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            to, w, groups = args

            def step(k: Any, totals: list[Any]) -> list[Any]:
                made = []
                for r, total in enumerate(totals):
                    v = b.load(pointer(b, b.add(b.add(w, b.mul(k, I64(BYTES * side))), I64(BYTES * r)), WORDS), align=4)
                    even, odd = _parts(b, v)
                    at = b.add(b.add(to, b.mul(k, I64(2 * BYTES * registers))), I64(2 * BYTES * r))
                    b.store(odd, pointer(b, at, WORDS), align=4)
                    b.store(even, pointer(b, b.add(at, I64(BYTES)), WORDS), align=4)
                    made.append(dot2(b, total, even, odd))
                return made

            totals = loop(b, groups, [IV(None)] * registers, step)
            return context.make_tuple(b, sig.return_type, [b.neg(total) for total in totals])

        return types.UniTuple(I, registers)(N, N, N), codegen

    return intrinsic(spread)


def _emit(registers: int, b: Any, w: Any, groups: Any, rows: list[Any], xs: list[Any]) -> list[Any]:
    half, minus = _half(b, groups), []
    for x in xs:
        one = splat(b, b.neg(b.load(pointer(b, x, I32), align=4)))
        minus += [b.add(row, one) for row in rows]

    def step(k: Any, sums: list[Any]) -> list[Any]:
        w_at, x_at = b.add(w, b.mul(k, I64(2 * BYTES * registers))), b.add(b.mul(k, I64(4)), I64(HEADER))
        weights = [b.load(pointer(b, b.add(w_at, I64(BYTES * n)), WORDS), align=4) for n in range(2 * registers)]
        made: list[Any] = []
        for x in xs:
            places = b.add(x, x_at), b.add(b.add(x, x_at), half)
            even, odd = (b.bitcast(splat(b, b.load(pointer(b, at, I32), align=4)), WORDS) for at in places)
            for r in range(registers):
                pair = b.add(even, weights[2 * r]), b.add(odd, weights[2 * r + 1])
                made.append(dot2(b, sums[len(made)], *pair))
        return made

    return loop(b, groups, minus, step)


def _dot(registers: int) -> Any:
    """dot(w, groups, rows, place): sums of the first slot's vector, of the second's, ...; rows: what spread gave."""

    def dot(typingctx: Any, w: Any, groups: Any, rows: Any, place: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            w, groups, rows, place = args
            minus = [b.extract_value(rows, r) for r in range(registers)]
            return context.make_tuple(b, sig.return_type, _emit(registers, b, w, groups, minus, vectors(b, place)))

        return types.UniTuple(I, registers * STREAMS)(N, N, types.UniTuple(I, registers), N), codegen

    return intrinsic(dot)


@function(N, N)
def spread_bytes(groups):
    """Of a spread vector."""
    return HEADER + (groups + LANES - 1) // LANES * (2 * BYTES)


class Winograd:
    """The same as pooled_dots.Dots, with vectors and weights spread."""

    ready, x_room, some_ready, one_ready = spread_x, spread_bytes, _spread(2, TILE), _spread(1, 1)
    some, one, least, registers, kind = _dot(2), _dot(1), 2 * STREAMS, 2, I
