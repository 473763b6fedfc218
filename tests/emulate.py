"""python tests/emulate.py ISA OUTPUT: the kernels as they are for this instruction set, in instructions any x86-64 has.

Lanes, panels, offsets and loops are those of the set; only its dot product is spelled out, and LLVM splits the
registers into smaller ones. So what a machine lacks can be run there.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from llvmlite import ir


def spelled_out(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """acc[i] + sum over j < 4 of x[4i + j] * w[4i + j], x unsigned where the set stores it with an offset."""
    from edgernn.kernels.cpu.isa import I32, ISA

    wide = ir.VectorType(I32, acc.type.count * 4)
    products = b.mul(b.zext(x, wide) if ISA.offset else b.sext(x, wide), b.sext(w, wide))
    for j in range(4):
        mask = ir.Constant(ir.VectorType(I32, acc.type.count), [4 * i + j for i in range(acc.type.count)])
        acc = b.add(acc, b.shuffle_vector(products, ir.Constant(wide, ir.Undefined), mask))
    return acc


def main() -> None:
    """Patch the instruction set and compile."""
    os.environ["EDGERNN_COMPILE_ISA"] = sys.argv[1]
    os.environ["NUMBA_OPT"] = "0"
    from edgernn.kernels.cpu import isa

    isa.ISA = replace(isa.ISA, cpu="", features="", fused=False)
    isa.dot4 = spelled_out
    from edgernn.compiler.build import build

    build(sys.argv[2])


if __name__ == "__main__":
    main()
