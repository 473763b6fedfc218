"""python tests/emulate.py ISA OUTPUT: the kernels as they are for this instruction set, in instructions any x86-64 has.

Lanes, panels, offsets and loops are those of the set; only the x86 instructions that it names are spelled out, and LLVM
splits the registers into smaller ones. So what a machine lacks can be run there.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from llvmlite import ir


def _sums(b: Any, products: Any, count: int) -> Any:
    """Sums of `count` neighbours."""
    lanes = ir.VectorType(ir.IntType(32), products.type.count // count)
    total = None
    for j in range(count):
        mask = ir.Constant(lanes, [count * i + j for i in range(lanes.count)])
        part = b.shuffle_vector(products, ir.Constant(products.type, ir.Undefined), mask)
        total = part if total is None else b.add(total, part)
    return total


def _wide(x: Any) -> Any:
    return ir.VectorType(ir.IntType(32), x.type.count)


def vpdpbusd(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """acc[i] + sum over j < 4 of x[4i + j] * w[4i + j], x unsigned."""
    return b.add(acc, _sums(b, b.mul(b.zext(x, _wide(x)), b.sext(w, _wide(w))), 4))


def vpdpwssd(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """acc[i] + x[2i] * w[2i] + x[2i + 1] * w[2i + 1]."""
    return b.add(acc, pmaddwd(b, x, w))


def pmaddwd(b: Any, x: Any, w: Any) -> Any:
    """x[2i] * w[2i] + x[2i + 1] * w[2i + 1]."""
    return _sums(b, b.mul(b.sext(x, _wide(x)), b.sext(w, _wide(w))), 2)


def pmaddubsw(b: Any, x: Any, w: Any) -> Any:
    """The same of bytes, x unsigned; it saturates."""
    total = _sums(b, b.mul(b.zext(x, _wide(x)), b.sext(w, _wide(w))), 2)
    for limit, sign in ((32767, "<"), (-32768, ">")):
        end = ir.Constant(total.type, [limit] * total.type.count)
        total = b.select(b.icmp_signed(sign, total, end), total, end)
    return b.trunc(total, ir.VectorType(ir.IntType(16), total.type.count))


def psign(b: Any, w: Any, x: Any) -> Any:
    """w with the sign of x."""
    zero = x.type(None)
    return b.select(b.icmp_signed("<", x, zero), b.sub(zero, w), b.select(b.icmp_signed("==", x, zero), zero, w))


SPELLED_OUT = {
    "vpdpbusd": vpdpbusd,
    "vpdpwssd": vpdpwssd,
    "pmaddw": pmaddwd,
    "pmadd.wd": pmaddwd,
    "pmaddubs": pmaddubsw,
    "pmadd.ub": pmaddubsw,
    "psign": psign,
}


def main() -> None:
    """Patch the instruction set and compile."""
    os.environ["EDGERNN_COMPILE_ISA"] = sys.argv[1]
    os.environ["NUMBA_OPT"] = "0"
    from edgernn.kernels.cpu import isa

    real = isa.call

    def call(b: Any, name: str, result: Any, *args: Any) -> Any:
        if not name.startswith("llvm.x86."):
            return real(b, name, result, *args)
        (spelled_out,) = [function for part, function in SPELLED_OUT.items() if part in name]
        return spelled_out(b, *args)

    isa.call = call
    isa.ISA = isa.ISA._replace(cpu="", features="", fused=False)
    from edgernn.compiler.build import build

    build(sys.argv[2])


if __name__ == "__main__":
    main()
