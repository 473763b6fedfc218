"""What a thread computes with: float32 products that stay apart, bits, and dot products. The simulator has them too."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.core import config
from numba.cuda import libdevice
from numba.cuda.extending import intrinsic

f32, i32 = np.float32, np.int32
u64 = np.uint64  # of an index, which is never negative: for a signed one numba asks that at every access
SIMULATED = bool(config.ENABLE_CUDASIM)
device = cuda.jit(device=True)


class Thread(NamedTuple):
    """Where a thread stands. The same memory as integers and as numbers; see the room's docstring for the layout."""

    program: Any  # int64
    ints: Any  # int32: weights, then arenas
    floats: Any  # the same as float32
    panels: Any  # int32: the weights once more, in shared memory where they fit
    origin: int  # of this stream's arena, in words
    lanes: int  # words from a number of an arena to the next
    lane: int  # of this stream
    group: int
    groups: int


def _dot(name: str) -> Any:
    """An intrinsic for an instruction of three int32 operands."""

    def typing(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            word = ir.IntType(32)
            kind = ir.FunctionType(word, [word] * 3)
            return builder.call(ir.InlineAsm(kind, f"{name} $0, $1, $2, $3;", "=r,r,r,r", side_effect=False), args)

        return types.int32(types.int32, types.int32, types.int32), codegen

    return intrinsic(typing)


def _quad(typingctx: Any, array: Any, index: Any) -> Any:
    """Four numbers of an array from a multiple of four on, with one access."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        first = builder.gep(data, [args[1]])
        loaded = builder.load(builder.bitcast(first, ir.VectorType(data.type.pointee, 4).as_pointer()), align=16)
        numbers = [builder.extract_element(loaded, ir.Constant(ir.IntType(32), n)) for n in range(4)]
        return context.make_tuple(builder, sig.return_type, numbers)

    return types.UniTuple(array.dtype, 4)(array, types.uint64), codegen


def _parts(word: Any, kind: Any) -> Any:
    return np.array([word], np.int32).view(kind).astype(np.int32)


def _simulated(wide: slice | None) -> Any:
    def dot(a: Any, b: Any, c: Any) -> Any:
        x = _parts(a, np.int16) if wide is not None else _parts(a, np.int8)
        y = _parts(b, np.int8)[wide] if wide is not None else _parts(b, np.int8)
        return i32(c + (x * y).sum())

    return dot


if SIMULATED:
    mul, root = operator.mul, np.sqrt
    dp4a, dp2a_low, dp2a_high = _simulated(None), _simulated(slice(0, 2)), _simulated(slice(2, 4))

    def quad(array: Any, index: Any) -> Any:
        """As below."""
        return [array[index + u64(n)] for n in range(4)]

else:
    mul = libdevice.fmul_rn  # rounds once, and is never fused with the sum it goes into
    root = libdevice.fsqrt_rn
    dp4a = _dot("dp4a.s32.s32")  # four int8 by four int8
    dp2a_low, dp2a_high = _dot("dp2a.lo.s32.s32"), _dot("dp2a.hi.s32.s32")  # two int16 by the two lower, upper int8
    quad = intrinsic(_quad)


@device
def as_int(x):
    """The bits of a float32."""
    return x.view(np.int32)


@device
def as_float(bits):
    """The float32 of these bits, the low 32 of an integer."""
    return i32(bits).view(np.float32)


@device
def low(a, b):
    """The lower one; b where either is NaN."""
    return a if a < b else b


@device
def high(a, b):
    """The higher one; b where either is NaN."""
    return a if a > b else b


@device
def arg(t, a, i):
    """Operand i of the instruction at a."""
    return t.program[u64(a + 1 + i)]


@device
def number(t, a, i):
    """Operand i as a float32."""
    return as_float(t.program[u64(a + 1 + i)])


@device
def place(t, a, i):
    """Where operand i lies, a value to write."""
    return t.origin + (t.program[u64(a + 1 + i)] >> 2) * t.lanes


@device
def source(t, a, i):
    """Where operand i lies, a value to read; its numbers stand `step` apart."""
    offset = t.program[u64(a + 1 + i)]
    if offset >= 0:
        return t.origin + (offset >> 2) * t.lanes
    return (-1 - offset) >> 2


@device
def step(t, a, i):
    """How far apart the numbers of operand i stand: beside each other among the weights, else a lane apart."""
    return t.lanes if t.program[u64(a + 1 + i)] >= 0 else 1


@device
def constant(t, a, i):
    """Where operand i lies among the weights, in words."""
    return t.program[u64(a + 1 + i)] >> 2
