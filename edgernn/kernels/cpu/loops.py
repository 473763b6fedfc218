"""Loops and branches as LLVM IR, with the values that they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgernn.kernels.cpu.vector import I64

Values = list[Any]


def repeat(b: Any, test: Callable[[Values], Any], start: Values, body: Callable[[Values], Values]) -> Values:
    """while test(values): values = body(values). Emits the loop and returns the last values."""
    before, again = b.block, b.append_basic_block("again")
    inside, after = b.append_basic_block("inside"), b.append_basic_block("after")
    b.branch(again)
    b.position_at_end(again)
    values = [b.phi(v.type) for v in start]
    b.cbranch(test(values), inside, after)
    b.position_at_end(inside)
    new = body(values)
    for phi, first, last in zip(values, start, new, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, b.block)
    b.branch(again)
    b.position_at_end(after)
    return values


def perhaps(b: Any, condition: Any, values: Values, body: Callable[[Values], Values]) -> Values:
    """The values, or body(values) where the condition holds."""
    before = b.block
    with b.if_then(condition):
        new = body(values)
        inside = b.block
    merged = []
    for old, made in zip(values, new, strict=True):
        if made is not old:
            phi = b.phi(old.type)
            phi.add_incoming(old, before)
            phi.add_incoming(made, inside)
            old = phi
        merged.append(old)
    return merged


def loop(b: Any, count: Any, start: Values, body: Callable[[Any, Values], Values]) -> Values:
    """for n in range(count): values = body(n, values). Emits the loop and returns the last values."""
    first = [I64(0), *start]
    return repeat(
        b, lambda v: b.icmp_signed("<", v[0], count), first, lambda v: [b.add(v[0], I64(1)), *body(v[0], v[1:])]
    )[1:]
