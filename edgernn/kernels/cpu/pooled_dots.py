"""The inner loops of pools: two registers of rows times the vectors of four slots, each weight loaded once for all."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from edgernn.kernels.contract import SLOT_X
from edgernn.kernels.cpu.dots import TILE, loop, step_exact, step_f, step_i8, unroll
from edgernn.kernels.cpu.functions import function
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, F, I, N, pointer

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


def vectors(b: Any, place: Any) -> list[Any]:
    """The addresses of what four slots multiply. place: in the list of slots."""
    slots = [b.load(pointer(b, b.add(place, I64(8 * n)), I64)) for n in range(STREAMS)]
    return [b.load(pointer(b, b.add(slot, I64(8 * SLOT_X)), I64)) for slot in slots]


def _dot(side: int, kind: Any, vector: Any, step: Any, add: str, many: int, together: int) -> Any:
    """dot(room, k, w, place): the sums of the first slot's vector, the second's, ...; `together`: so many at once."""
    registers = min(side, 2)
    emit = _sums(registers, side, many, vector, step, add)

    def dot(typingctx: Any, room: Any, k: Any, w: Any, place: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            _, k, w, place = args
            xs = vectors(b, place)
            made = [total for n in range(0, STREAMS, together) for total in emit(b, w, k, xs[n : n + together])]
            return context.make_tuple(b, sig.return_type, made)

        return types.UniTuple(kind, registers * STREAMS)(N, N, N, N), codegen

    return intrinsic(dot)


@function(N, N, N, N)
def as_it_is(room, what, k):
    """What is multiplied stays where it lies."""
    return what


@function(N, N)
def nothing(k):
    """Bytes that this takes of the room."""
    return 0


class Dots:
    """How the vectors of four slots meet two registers of rows of a panel of four, or one of a panel of one.

    ready(room, x, k) and two_ready(room, w, k): what is multiplied, made in the room if need be; x_room(k): bytes that
    the first takes; least: streams from which this pays. two, one (room of the weights, k, what is ready of them, place
    in the list of slots): the sums.
    """

    ready, x_room, two_ready, one_ready, least = as_it_is, nothing, as_it_is, as_it_is, STREAMS

    def __init__(self, kind: Any, vector: Any, step: Any, add: str, many: tuple[int, int], together: tuple[int, int]):
        self.two = _dot(TILE, kind, vector, step, add, many[0], together[0])
        self.one = _dot(1, kind, vector, step, add, many[1], together[1])


ALL = STREAMS, STREAMS
INT8, EXACT = Dots(I, IV, step_i8, "add", (1, 1), ALL), Dots(F, FV, step_exact, "fadd", (1, 1), ALL)
# summed in the order of dots, for the same bits
FLOAT = Dots(F, FV, step_f, "fadd", (unroll(TILE), unroll(1)), (2, 1))
