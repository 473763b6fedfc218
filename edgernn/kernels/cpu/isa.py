"""The instruction set that is being compiled for, and the integer products that each has in its own way."""

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


def _vpdpbusd(b: Any, acc: Any, x: Any, w: Any) -> Any:
    return call(b, f"llvm.x86.avx512.vpdpbusd.{32 * acc.type.count}", acc.type, acc, x, w)


def _avx512(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """As _avx2; there is no sign instruction of this width, but a masked subtraction."""
    magnitude = call(b, "llvm.abs.v64i8", x.type, x, ir.Constant(ir.IntType(1), 0))
    signed = b.select(b.icmp_signed("<", x, x.type(None)), b.sub(x.type(None), w), w)
    return _pmaddwd(b, acc, _pmaddubsw(b, magnitude, signed), _ones(acc))


def _avx2(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """|x| times w with the sign of x: pairs stay within 2 * 127 * 127, below int16's saturation."""
    magnitude = call(b, "llvm.abs.v32i8", x.type, x, ir.Constant(ir.IntType(1), 0))
    signed = call(b, "llvm.x86.avx2.psign.b", x.type, w, x)
    return _pmaddwd(b, acc, _pmaddubsw(b, magnitude, signed), _ones(acc))


def _sdot(b: Any, acc: Any, x: Any, w: Any) -> Any:
    return call(b, "llvm.aarch64.neon.sdot.v4i32.v16i8", acc.type, acc, x, w)


def _halves(b: Any, x: Any) -> tuple[Any, Any]:
    half = x.type.count // 2
    return tuple(  # type: ignore[return-value]
        b.shuffle_vector(x, ir.Constant(x.type, ir.Undefined), ir.Constant(ir.VectorType(I32, half), list(places)))
        for places in (range(half), range(half, 2 * half))
    )


def _loaded_halves(b: Any, w: Any) -> tuple[Any, Any]:
    """Both halves of a register that was just loaded, loaded one by one: LLVM would shift the upper one down."""
    if w.opname != "load":
        return _halves(b, w)
    half = ir.VectorType(w.type.element, w.type.count // 2)
    low = b.bitcast(w.operands[0], half.as_pointer())
    return b.load(low, align=8), b.load(b.gep(low, [I32(1)]), align=8)


def _neon(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """Products of numbers within -127..127: two of them fit int16, so pairs are added there and widened once."""
    words = ir.VectorType(I16, 8)
    low, high = (
        call(b, "llvm.aarch64.neon.smull.v8i16", words, *both)
        for both in zip(_halves(b, x), _loaded_halves(b, w), strict=True)
    )
    both = call(b, "llvm.aarch64.neon.addp.v8i16", words, low, high)
    return b.add(acc, call(b, "llvm.aarch64.neon.saddlp.v4i32.v8i16", acc.type, both))


def _neon_pairs(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """Two neighbours of int16 times int16."""
    wide = ir.VectorType(I32, 4)
    low, high = (
        call(b, "llvm.aarch64.neon.smull.v4i32", wide, *both)
        for both in zip(_halves(b, x), _loaded_halves(b, w), strict=True)
    )
    return b.add(acc, call(b, "llvm.aarch64.neon.addp.v4i32", wide, low, high))


def _neon32(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """The same in 32-bit ARM, which adds pairs in half registers."""
    words, half = ir.VectorType(I16, 8), ir.VectorType(I16, 4)
    sums = []
    for both in zip(_halves(b, x), _halves(b, w), strict=True):
        products = call(b, "llvm.arm.neon.vmulls.v8i16", words, *both)
        sums.append(call(b, "llvm.arm.neon.vpadd.v4i16", half, *_halves(b, products)))
    whole = b.shuffle_vector(*sums, ir.Constant(ir.VectorType(I32, 8), list(range(8))))
    return call(b, "llvm.arm.neon.vpadals.v4i32.v8i16", acc.type, acc, whole)


def _neon32_pairs(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """Two neighbours of int16 times int16."""
    wide, half = ir.VectorType(I32, 4), ir.VectorType(I32, 2)
    sums = []
    for both in zip(_halves(b, x), _halves(b, w), strict=True):
        products = call(b, "llvm.arm.neon.vmulls.v4i32", wide, *both)
        sums.append(call(b, "llvm.arm.neon.vpadd.v2i32", half, *_halves(b, products)))
    return b.add(acc, b.shuffle_vector(*sums, ir.Constant(ir.VectorType(I32, 4), list(range(4)))))


def _portable(b: Any, acc: Any, x: Any, w: Any) -> Any:
    """Neighbours are added twice, a shape that LLVM knows as pmaddwd, or smull and sadalp."""
    wide = ir.VectorType(I32, acc.type.count * 4)
    return b.add(acc, pairs(b, pairs(b, b.mul(b.sext(x, wide), b.sext(w, wide)))))


def _ones(acc: Any) -> Any:
    return ir.Constant(ir.VectorType(I16, acc.type.count * 2), [1] * (acc.type.count * 2))


def _pmaddubsw(b: Any, x: Any, w: Any) -> Any:
    """int16: sums of two products, x unsigned, w signed."""
    words = ir.VectorType(I16, x.type.count // 2)
    return call(b, f"llvm.x86.{'avx512.pmaddubs.w.512' if ISA.lanes == 16 else 'avx2.pmadd.ub.sw'}", words, x, w)


def _pmaddwd(b: Any, acc: Any, x: Any, w: Any) -> Any:
    name = "avx512.pmaddw.d.512" if ISA.lanes == 16 else "avx2.pmadd.wd"
    return b.add(acc, call(b, f"llvm.x86.{name}", acc.type, x, w))


def _vpdpwssd(b: Any, acc: Any, x: Any, w: Any) -> Any:
    return call(b, f"llvm.x86.avx512.vpdpwssd.{32 * acc.type.count}", acc.type, acc, x, w)


def _pairs_of_products(b: Any, acc: Any, x: Any, w: Any) -> Any:
    wide = ir.VectorType(I32, acc.type.count * 2)
    return b.add(acc, pairs(b, b.mul(b.sext(x, wide), b.sext(w, wide))))


def pairs(b: Any, x: Any) -> Any:
    """x[2i] + x[2i + 1]."""
    half = x.type.count // 2
    masks = (ir.Constant(ir.VectorType(I32, half), [2 * i + odd for i in range(half)]) for odd in (0, 1))
    return b.add(*(b.shuffle_vector(x, ir.Constant(x.type, ir.Undefined), mask) for mask in masks))


class Nibbles:
    """Sums over a group of 32 columns: numbers of 4 bits, plus 8, times signed bytes; then times the group's factors.

    The sum starts at -8 times the sum of the bytes, which undoes the 8s. Here it is kept in int32.
    """

    def __init__(self, dot: Any):
        self._dot = dot

    def start(self, b: Any, correction: Any) -> Any:
        """The sum before the first product; correction: int32 lanes, all the same."""
        return correction

    def add(self, b: Any, total: Any, w: Any, x: Any) -> Any:
        """total + products; w: bytes within 0..15, x: signed bytes."""
        return self._dot(b, total, w, x)

    def times(self, b: Any, total: Any, factor: Any) -> Any:
        """The whole sum times the factors, bytes within 0..255; it fits int16, so one multiplication of halves does."""
        return b.mul(total, b.zext(factor, total.type))


class NibblesInWords(Nibbles):
    """The same in int16, each lane's sum in two halves: no half leaves int16.

    With X the group's sum of bytes and E the sum over the half's 16 columns, the low half ends as
    sum(q x) + 8 E - 8 X, the high one as sum(q x) + 8 E: within 16 * 7 * 127 + 8 * 16 * 127 = 30,480.
    """

    def start(self, b: Any, correction: Any) -> Any:
        """All of the correction, which fits int16, in the low half."""
        low = b.and_(correction, ir.Constant(correction.type, [0xFFFF] * correction.type.count))
        return b.bitcast(low, ir.VectorType(I16, 2 * correction.type.count))

    def add(self, b: Any, total: Any, w: Any, x: Any) -> Any:
        """Halves wrap on the way and are right at the end."""
        return b.add(total, _pmaddubsw(b, w, x))

    def times(self, b: Any, total: Any, factor: Any) -> Any:
        """Both halves times the factor, added."""
        lanes, zero = factor.type.count, factor.type.count
        twice = ir.Constant(ir.VectorType(I32, 4 * lanes), [n for i in range(lanes) for n in (i, zero, i, zero)])
        both = b.bitcast(b.shuffle_vector(factor, factor.type(None), twice), total.type)
        return _pmaddwd(b, ir.VectorType(I32, lanes)(None), total, both)


# dot4: acc[i] + sum over j < 4 of x[4i + j] * w[4i + j]: acc int32, w int8, x int8 (unsigned where the set has an
# offset); dot2: the same of two, all int16; nibbles: see there
dot4, dot2, nibbles = {
    "avx512vnni": (_vpdpbusd, _vpdpwssd, Nibbles(_vpdpbusd)),
    "avxvnni": (_vpdpbusd, _vpdpwssd, Nibbles(_vpdpbusd)),
    "avx512": (_avx512, _pmaddwd, NibblesInWords(None)),
    "avx2": (_avx2, _pmaddwd, NibblesInWords(None)),
    "sdot": (_sdot, _neon_pairs, Nibbles(_sdot)),
    "neon": (_neon, _neon_pairs, Nibbles(_neon)),
    "neon32": (_neon32, _neon32_pairs, Nibbles(_neon32)),
    "portable": (_portable, _pairs_of_products, Nibbles(_portable)),
}[ISA.name]
