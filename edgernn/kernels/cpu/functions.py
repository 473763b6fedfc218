"""Functions that kernels share: compiled once each, then inlined by LLVM wherever they are called.

`@function(F, F)` declares the types (result first). Calls are typed from that alone, so Numba sees each body once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from edgernn.kernels.cpu.vector import N

FUNCTIONS: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {}
KERNELS: set[str] = set()  # those that LLVM keeps apart; it inlines the others


def symbol(name: str) -> str:
    """The linker's name of a function."""
    return f"edgernn_{name}"


def function(result: Any, *args: Any) -> Callable[[Callable[..., Any]], Any]:
    """Register the decorated function under its name and give what calls it from other kernels."""

    def register(body: Callable[..., Any]) -> Any:
        name = body.__name__.rstrip("_")
        if name in FUNCTIONS:
            raise ValueError(f"two kernel functions named {name}")
        FUNCTIONS[name] = (body, result, args)
        return _caller(name, result, args)

    return register


def kernel(body: Callable[..., Any]) -> Any:
    """Register what runs one instruction: (its address, arena, weights, control block) -> an unused number."""
    KERNELS.add(body.__name__.rstrip("_"))
    return function(N, N, N, N, N)(body)


def call_symbol(context: Any, b: Any, name: str, signature: Any, values: Any) -> Any:
    """Emit a call to another of these functions."""
    kind = ir.FunctionType(*_llvm_types(context, signature.return_type, signature.args))
    known = b.module.globals.get(symbol(name)) or ir.Function(b.module, kind, symbol(name))
    return b.call(known, values)


def _llvm_types(context: Any, result: Any, args: Any) -> tuple[Any, list[Any]]:
    return context.get_value_type(result), [context.get_value_type(a) for a in args]


def _caller(name: str, result: Any, args: tuple[Any, ...]) -> Any:
    def found() -> Any:
        return result(*args), lambda context, b, sig, values: call_symbol(context, b, name, sig, values)

    # Numba binds an intrinsic's arguments by its parameters, so each arity needs its own function
    arities = (
        lambda typingctx: found(),
        lambda typingctx, a: found(),
        lambda typingctx, a, b: found(),
        lambda typingctx, a, b, c: found(),
        lambda typingctx, a, b, c, d: found(),
        lambda typingctx, a, b, c, d, e: found(),
        lambda typingctx, a, b, c, d, e, f: found(),
    )
    typing = arities[len(args)]
    typing.__name__ = name
    return intrinsic(typing)
