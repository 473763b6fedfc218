"""Copying float32 numbers: whole registers, then halves of one."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from edgernn.kernels.cpu.loops import Values, perhaps, repeat
from edgernn.kernels.cpu.vector import I64, LANES, N, define, pointer


def _copied(b: Any, y: Any, x: Any, n: Any) -> Any:
    end, count, places = b.add(x, b.mul(n, I64(4))), LANES, [y, x]

    def move(places: Values) -> Values:
        y, x = places
        kind = ir.VectorType(ir.FloatType(), count)
        b.store(b.load(pointer(b, x, kind), align=4), pointer(b, y, kind), align=4)
        return [b.add(place, I64(4 * count)) for place in places]

    def enough(places: Values) -> Any:
        return b.icmp_signed("<=", I64(4 * count), b.sub(end, places[1]))

    places = repeat(b, enough, places, move)
    while count > 1:
        count //= 2
        places = perhaps(b, enough(places), places, move)
    return places[0]


# copied(y, x, n): n numbers from x to y, which may lie before x and overlap it; the address behind them
copied = define("copied", N, (N, N, N), _copied)
