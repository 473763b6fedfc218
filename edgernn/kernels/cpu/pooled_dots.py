"""The inner loops of pools: some registers of rows times the vectors of four slots, each weight loaded once for all."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from edgernn.kernels.contract import SLOT_X
from edgernn.kernels.cpu.dots import TILE, columns, one_column, step_exact, step_f, step_i8, unroll
from edgernn.kernels.cpu.functions import call_symbol, function
from edgernn.kernels.cpu.isa import ISA
from edgernn.kernels.cpu.vector import BYTES, FV, I64, IV, F, I, N, pointer

STREAMS = 4  # side by side
# registers of a panel of TILE at a time: the sums with all streams, and what these are made of, stay in registers
ROWS = TILE if ISA.registers >= TILE * STREAMS + TILE + STREAMS else 2


def vectors(b: Any, place: Any) -> list[Any]:
    """The addresses of what four slots multiply. place: in the list of slots."""
    slots = [b.load(pointer(b, b.add(place, I64(8 * n)), I64)) for n in range(STREAMS)]
    return [b.load(pointer(b, b.add(slot, I64(8 * SLOT_X)), I64)) for slot in slots]


def _dot(side: int, kind: Any, vector: Any, step: Any, add: str, many: int, together: int) -> Any:
    """dot(room, k, w, place): the sums of the first slot's vector, the second's, ...; `together`: so many at once."""
    registers = min(side, ROWS)
    zero, emit, strides = [vector(None)] * (registers * together), one_column(step, registers), [BYTES * side]

    def dot(typingctx: Any, room: Any, k: Any, w: Any, place: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            _, k, w, place = args
            made, xs = [], vectors(b, place)
            for n in range(0, STREAMS, together):
                some = xs[n : n + together]
                end = b.add(some[-1], b.mul(k, I64(4)))
                made += columns(b, [w, *some], strides + [4] * together, end, zero, many, emit, add)[0]
            return context.make_tuple(b, sig.return_type, made)

        return types.UniTuple(kind, registers * STREAMS)(N, N, N, N), codegen

    return intrinsic(dot)


def puts(put: str, kind: Any, registers: int) -> Any:
    """A call of the function named so for each slot's sums of each register, (sums, place, y, bias, scale, offset)."""

    def each(typingctx: Any, sums: Any, place: Any, y: Any, bias: Any, scale: Any, offset: Any) -> Any:
        def codegen(context: Any, b: Any, sig: Any, args: Any) -> Any:
            sums, place, *rows = args
            for m in range(registers * STREAMS):
                slot, row = b.add(place, I64(8 * (m // registers))), I64(BYTES * (m % registers))
                operands = [b.extract_value(sums, m), slot, *(b.add(at, row) for at in rows)]
                call_symbol(context, b, put, N(kind, N, N, N, N, N), operands)
            return I64(0)

        return N(types.UniTuple(kind, registers * STREAMS), N, N, N, N, N), codegen

    return intrinsic(each)


@function(N, N, N, N)
def as_it_is(room, what, k):
    """What is multiplied stays where it lies."""
    return what


@function(N, N)
def nothing(k):
    """Bytes that this takes of the room."""
    return 0


class Dots:
    """How the vectors of four slots meet `registers` of the rows of a panel of four, or one of a panel of one.

    ready(room, x, k) and some_ready(room, w, k): what is multiplied, made in the room if need be; x_room(k): bytes
    that the first takes; least: streams from which this pays. some, one (room of the weights, k, what is ready of them,
    place in the list of slots): the sums.
    """

    ready, x_room, some_ready, one_ready, least, registers = as_it_is, nothing, as_it_is, as_it_is, STREAMS, ROWS

    def __init__(self, kind: Any, vector: Any, step: Any, add: str, many: tuple[int, int], together: tuple[int, int]):
        self.kind = kind
        self.some = _dot(TILE, kind, vector, step, add, many[0], together[0])
        self.one = _dot(1, kind, vector, step, add, many[1], together[1])


ALL = STREAMS, STREAMS
INT8, EXACT = Dots(I, IV, step_i8, "add", (1, 1), ALL), Dots(F, FV, step_exact, "fadd", (1, 1), ALL)
# summed in the order of dots, for the same bits
FLOAT = Dots(F, FV, step_f, "fadd", (unroll(TILE), unroll(1)), (2, 1))
