"""The inner loops of pools: a panel of weights times the vectors of four streams, each weight loaded once for all."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from edgernn.kernels.cpu.dots import TILE, loop, step_exact, step_f, step_i8, unroll
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, F, I, N

STREAMS = 4  # side by side


def _sums(registers: int, side: int, many: int, vector: Any, step: Any, add: str) -> Any:
    """Sums of some registers of a panel that has `side` of them, for each of several vectors; see dots for the rest."""

    def emit(b: Any, w: Any, k: Any, xs: list[Any]) -> list[Any]:
        pairs = [(x, r) for x in range(len(xs)) for r in range(registers)]

        def steps(sums: list[Any], base: Any, unrolled: int) -> list[Any]:
            new = list(sums)
            for u in range(unrolled):
                at = b.add(base, I64(u))
                shared = [step(b, None, b.add(x, b.mul(at, I64(4))), None) for x in xs]
                w_at = b.add(w, b.mul(at, I64(BYTES * side)))
                for i, (x, r) in enumerate(pairs, u * len(pairs)):
                    new[i] = step(b, new[i], shared[x], b.add(w_at, I64(BYTES * r)))
            return new

        rounds = b.sdiv(k, I64(many))
        sums = loop(b, rounds, [vector(None)] * (len(pairs) * many), lambda n, s: steps(s, b.mul(n, I64(many)), many))
        done = b.mul(rounds, I64(many))
        first = loop(b, b.sub(k, done), sums[: len(pairs)], lambda n, s: steps(s, b.add(done, n), 1))
        for u in range(1, many):
            first = [getattr(b, add)(one, sums[u * len(pairs) + i]) for i, one in enumerate(first)]
        return first

    return emit


def _dot(side: int, kind: Any, vector: Any, step: Any, add: str, many: int, together: int) -> Any:
    """dot(w, k, x0, x1, x2, x3): the sums of the first vector, of the second, ...; `together`: so many at once."""
    registers = min(side, 2)
    emit = _sums(registers, side, many, vector, step, add)

    def dot(typingctx: Any, w: Any, k: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            w, k, *xs = args
            made = [total for n in range(0, STREAMS, together) for total in emit(b, w, k, xs[n : n + together])]
            return context.make_tuple(b, sig.return_type, made)

        return types.UniTuple(kind, registers * STREAMS)(N, N, N, N, N, N), codegen

    return intrinsic(dot)


# two registers of a panel of four, and a panel of one register
two_i8, one_i8 = (_dot(side, I, IV, step_i8, "add", 1, STREAMS) for side in (TILE, 1))
two_exact, one_exact = (_dot(side, F, FV, step_exact, "fadd", 1, STREAMS) for side in (TILE, 1))
# summed in the order of dots, for the same bits
two_f, one_f = (_dot(side, F, FV, step_f, "fadd", unroll(side), 2 if side == TILE else 1) for side in (TILE, 1))
