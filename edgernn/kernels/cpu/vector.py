"""Registers as Numba types: F (float32 lanes), I (int32 lanes; also masks, 0 or -1 a lane), with operators and memory.

Addresses are integers. Nothing here reassociates or contracts: every operation is the one that IEEE 754 defines.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from edgernn.kernels.cpu.isa import I8, I16, I32, ISA, call

LANES = ISA.lanes
BYTES = LANES * 4
I64 = ir.IntType(64)
FV, IV, BV, HV = (ir.VectorType(t, LANES) for t in (ir.FloatType(), I32, I8, I16))
MASK = ir.VectorType(ir.IntType(1), LANES)


class _Register(types.Type):
    pass


class _FloatModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, FV)


class _IntModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, IV)


class _Float(_Register):
    def __init__(self) -> None:
        super().__init__("F")


class _Int(_Register):
    def __init__(self) -> None:
        super().__init__("I")


register_model(_Float)(_FloatModel)
register_model(_Int)(_IntModel)
F, I = _Float(), _Int()  # noqa: E741


def pointer(b: Any, address: Any, to: Any) -> Any:
    """The address as an LLVM pointer."""
    return b.inttoptr(address, to.as_pointer())


def splat(b: Any, scalar: Any, lanes: int = LANES) -> Any:
    """The scalar in every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _operator(op: Any, result: Any, a: Any, b: Any, emit: Any) -> None:
    """Define `op` on (a, b), where a float32 or int32 scalar beside a register stands for itself in every lane."""
    scalar = {F: types.float32, I: types.int32}[a]
    cases = [(a, b), (a, scalar), (scalar, b)]

    @infer_global(op)
    class _Template(ConcreteTemplate):  # type: ignore[misc]
        cases = tuple(signature(result, *case) for case in ((a, b), (a, scalar), (scalar, b)))

    for case in cases:

        @lower_builtin(op, *case)  # type: ignore[untyped-decorator]
        def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = (v if isinstance(v.type, ir.VectorType) else splat(builder, v) for v in args)
            return emit(builder, x, y)


def _mask(b: Any, bits: Any) -> Any:
    return b.sext(bits, IV)


_operator(operator.add, F, F, F, lambda b, x, y: b.fadd(x, y))
_operator(operator.sub, F, F, F, lambda b, x, y: b.fsub(x, y))
_operator(operator.mul, F, F, F, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, F, F, F, lambda b, x, y: b.fdiv(x, y))
_operator(operator.lt, I, F, F, lambda b, x, y: _mask(b, b.fcmp_ordered("<", x, y)))
_operator(operator.le, I, F, F, lambda b, x, y: _mask(b, b.fcmp_ordered("<=", x, y)))
_operator(operator.gt, I, F, F, lambda b, x, y: _mask(b, b.fcmp_ordered(">", x, y)))
_operator(operator.ge, I, F, F, lambda b, x, y: _mask(b, b.fcmp_ordered(">=", x, y)))
_operator(operator.eq, I, F, F, lambda b, x, y: _mask(b, b.fcmp_ordered("==", x, y)))
_operator(operator.ne, I, F, F, lambda b, x, y: _mask(b, b.fcmp_unordered("!=", x, y)))
_operator(operator.add, I, I, I, lambda b, x, y: b.add(x, y))
_operator(operator.sub, I, I, I, lambda b, x, y: b.sub(x, y))
_operator(operator.and_, I, I, I, lambda b, x, y: b.and_(x, y))
_operator(operator.or_, I, I, I, lambda b, x, y: b.or_(x, y))
_operator(operator.xor, I, I, I, lambda b, x, y: b.xor(x, y))
_operator(operator.lshift, I, I, I, lambda b, x, y: b.shl(x, y))
_operator(operator.rshift, I, I, I, lambda b, x, y: b.lshr(x, y))


def define(name: str, result: Any, args: tuple[Any, ...], emit: Any) -> Any:
    """An intrinsic function of these argument types."""

    def found() -> Any:
        return result(*args), lambda context, builder, sig, values: emit(builder, *values)

    # Numba binds an intrinsic's arguments by its parameters, so each arity needs its own function
    one = lambda typingctx, a: found()  # noqa: E731
    two = lambda typingctx, a, b: found()  # noqa: E731
    three = lambda typingctx, a, b, c: found()  # noqa: E731
    typing = (one, two, three)[len(args) - 1]
    typing.__name__ = name
    return intrinsic(typing)


N = types.intp


def _load(vector: Any) -> Any:
    return lambda b, p: b.load(pointer(b, p, vector), align=4)


def _store(b: Any, p: Any, value: Any) -> Any:
    b.store(value, pointer(b, p, value.type), align=4)
    return ir.Constant(I64, 0)


def _scalar(kind: Any) -> Any:
    return lambda b, p: b.load(pointer(b, p, kind), align=4)


load_f = define("load_f", F, (N,), _load(FV))
load_i = define("load_i", I, (N,), _load(IV))
store_f = define("store_f", N, (N, F), _store)
store_i = define("store_i", N, (N, I), _store)
load_1f = define("load_1f", types.float32, (N,), _scalar(ir.FloatType()))
load_1i = define("load_1i", types.int32, (N,), _scalar(I32))
load_1n = define("load_1n", N, (N,), _scalar(I64))
store_1f = define("store_1f", N, (N, types.float32), _store)
store_1i = define("store_1i", N, (N, types.int32), _store)
store_1n = define("store_1n", N, (N, N), _store)
load_1b = define("load_1b", N, (N,), lambda b, p: b.zext(b.load(pointer(b, p, I8), align=1), I64))
load_16 = define("load_16", I, (N,), lambda b, p: b.sext(b.load(pointer(b, p, HV), align=1), IV))
load_8 = define("load_8", I, (N,), lambda b, p: b.sext(b.load(pointer(b, p, BV), align=1), IV))
store_8 = define(
    "store_8", N, (N, I), lambda b, p, v: (b.store(b.trunc(v, BV), pointer(b, p, BV), align=1), ir.Constant(I64, 0))[1]
)
splat_f = define("splat_f", F, (types.float32,), lambda b, x: splat(b, x))
splat_i = define("splat_i", I, (types.int32,), lambda b, x: splat(b, x))
as_int = define("as_int", I, (F,), lambda b, x: b.bitcast(x, IV))
as_float = define("as_float", F, (I,), lambda b, x: b.bitcast(x, FV))
to_float = define("to_float", F, (I,), lambda b, x: b.sitofp(x, FV))
sqrt = define("sqrt", F, (F,), lambda b, x: call(b, f"llvm.sqrt.v{LANES}f32", FV, x))
where = define("where", F, (I, F, F), lambda b, m, x, y: b.select(b.icmp_signed("!=", m, IV(None)), x, y))
low = define("low", F, (F, F), lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y))
high = define("high", F, (F, F), lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y))
bits_float = define("bits_float", types.float32, (N,), lambda b, x: b.bitcast(b.trunc(x, I32), ir.FloatType()))


def _indices(b: Any, n: Any) -> Any:
    return b.icmp_signed("<", ir.Constant(IV, list(range(LANES))), splat(b, b.trunc(n, I32)))


first = define("first", I, (N,), lambda b, n: _mask(b, _indices(b, n)))
f32 = np.float32
i32 = np.int32
