"""The instruction set that is being compiled for, and the one operation that each does in its own way."""

from __future__ import annotations

import os
from typing import Any

from llvmlite import ir

from edgernn.kernels.isas import ISAS

I8, I16, I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
ISA = ISAS[os.environ.get("EDGERNN_COMPILE_ISA", "portable")]


def call(b: Any, name: str, result: Any, *args: Any) -> Any:
    """Call an LLVM intrinsic, declaring it at first use."""
    module = b.module
    known = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, [a.type for a in args]), name)
    return b.call(known, args)


def _avx512vnni(b: Any, acc: Any, x: Any, w: Any) -> Any:
    return call(b, "llvm.x86.avx512.vpdpbusd.512", acc.type, acc, x, w)


def _avxvnni(b: Any, acc: Any, x: Any, w: Any) -> Any:
    return call(b, "llvm.x86.avx512.vpdpbusd.256", acc.type, acc, x, w)


def _avx512(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """As _avx2; there is no sign instruction of this width, but a masked subtraction."""
    words = ir.VectorType(I16, acc.type.count * 2)
    magnitude = call(b, "llvm.abs.v64i8", x.type, x, ir.Constant(ir.IntType(1), 0))
    signed = b.select(b.icmp_signed("<", x, x.type(None)), b.sub(x.type(None), w), w)
    pairs = call(b, "llvm.x86.avx512.pmaddubs.w.512", words, magnitude, signed)
    ones = ir.Constant(words, [1] * words.count)
    return b.add(acc, call(b, "llvm.x86.avx512.pmaddw.d.512", acc.type, pairs, ones))


def _avx2(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """|x| times w with the sign of x: pairs stay within 2 * 127 * 127, below int16's saturation."""
    bytes_, words = x.type, ir.VectorType(I16, acc.type.count * 2)
    magnitude = call(b, "llvm.abs.v32i8", bytes_, x, ir.Constant(ir.IntType(1), 0))
    signed = call(b, "llvm.x86.avx2.psign.b", bytes_, w, x)
    pairs = call(b, "llvm.x86.avx2.pmadd.ub.sw", words, magnitude, signed)
    ones = ir.Constant(words, [1] * words.count)
    return b.add(acc, call(b, "llvm.x86.avx2.pmadd.wd", acc.type, pairs, ones))


def _portable(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """Neighbours are added twice, a shape that LLVM knows as pmaddwd, or smull and sadalp."""
    wide = ir.VectorType(I32, acc.type.count * 4)
    return b.add(acc, _pairs(b, _pairs(b, b.mul(b.sext(x, wide), b.sext(w, wide)))))


def _pairs(b: Any, x: Any) -> Any:
    """x[2i] + x[2i + 1]."""
    half = x.type.count // 2
    masks = (ir.Constant(ir.VectorType(I32, half), [2 * i + odd for i in range(half)]) for odd in (0, 1))
    return b.add(*(b.shuffle_vector(x, ir.Constant(x.type, ir.Undefined), mask) for mask in masks))


# acc[i] + sum over j < 4 of x[4i + j] * w[4i + j]: acc int32, w int8, x int8 (unsigned where the set has an offset)
dot4 = {
    "avx512vnni": _avx512vnni,
    "avxvnni": _avxvnni,
    "avx512": _avx512,
    "avx2": _avx2,
    "portable": _portable,
}[ISA.name]
