"""Time: the unknown number of steps as a symbol, a * T + b, that lives in NumPy object arrays.

It adds, multiplies and divides like a number as long as the result is linear in T, and compares where the answer is the
same for every T from `least` on. Everything else raises ValueError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

MOST = 1 << 29  # steps of a sequence: exporters write larger numbers where they mean its end, such as 999999999


class Symbol:
    """Something that stands for a number in object arrays. Subclasses add and negate; the rest follows from that."""

    def __add__(self, other: Any) -> Any:
        raise ValueError(f"{self} cannot be added to")

    def __neg__(self) -> Any:
        raise ValueError(f"{self} cannot be negated")

    def __mul__(self, other: Any) -> Any:
        raise ValueError(f"{self} cannot be multiplied")

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __lt__(self, other: Any) -> Any:
        return positive(other - self)

    def __gt__(self, other: Any) -> Any:
        return positive(self - other)

    def __le__(self, other: Any) -> Any:
        return positive(other - self + 1)

    def __ge__(self, other: Any) -> Any:
        return positive(self - other + 1)

    def positive(self) -> Any:
        """Whether this is more than 0. Raises ValueError where that depends."""
        raise ValueError(f"whether {self} is more than 0 depends")


class Uneven(ValueError):
    """A quotient that is linear in T only if T grows by `factor` at a time."""

    def __init__(self, what: str, factor: int):
        super().__init__(what)
        self.factor = factor


@dataclass(frozen=True, eq=False)
class Time(Symbol):
    """a * T + b, with a != 0 and T any whole number from `least` to MOST."""

    a: int = 1
    b: int = 0
    least: int = 1

    def __repr__(self) -> str:
        scaled = "T" if self.a == 1 else f"{self.a}*T"
        return scaled + (f"{self.b:+d}" if self.b else "")

    def __hash__(self) -> int:
        return hash((self.a, self.b))

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Symbol) and not isinstance(other, Time):
            return NotImplemented
        a, b = _parts(other)
        return linear(self.a + a, self.b + b, max(self.least, _least(other)))

    def __mul__(self, other: Any) -> Any:
        a, b = _parts(other)
        if a:
            raise ValueError("a size grows with the square of the number of steps")
        return linear(self.a * b, self.b * b, self.least)

    def __floordiv__(self, other: Any) -> Any:
        a, b = _parts(other)
        if a and self.a % a == 0 and self.b == b * (self.a // a):
            return self.a // a
        if a or not b:
            raise ValueError(f"{self} // {other} is not linear in the number of steps T")
        if self.a % b:
            raise Uneven(f"{self} // {other} is not linear in the number of steps T", abs(b) // math.gcd(self.a, b))
        return linear(self.a // b, self.b // b, self.least)

    def __rfloordiv__(self, other: Any) -> Any:
        raise ValueError(f"{other} / ({self}) is not a whole number for every number of steps T")

    def __neg__(self) -> Any:
        return linear(-self.a, -self.b, self.least)

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Time, int, float, np.number)):
            return NotImplemented
        a, b = _parts(self - other)
        if not a:
            return bool(b == 0)
        if -b % a or -b // a < max(self.least, _least(other)):  # a * T + b is 0 for no such T
            return False
        raise ValueError(f"whether {self} equals {other} depends on the number of steps T")

    def positive(self) -> bool:
        """Whether this is more than 0 for every T."""
        first = self.a * self.least + self.b
        last = self.a * MOST + self.b
        if min(first, last) > 0:
            return True
        if max(first, last) <= 0:
            return False
        raise ValueError(f"whether {self} is more than 0 depends on the number of steps T")


def linear(a: int, b: int, least: int = 1) -> Any:
    """a * T + b, as a plain number where T cancels out. Raises OverflowError beyond the 64 bits of ONNX's sizes."""
    if max(abs(a), abs(b)) >= 1 << 63:
        raise OverflowError("a size is beyond 64 bits")
    return Time(a, b, least) if a else b


def present(n: Any) -> Any:
    """The length of a sequence, as the number that it is where there is a step at all."""
    return replace(n, least=max(n.least, -(-(1 - n.b) // n.a))) if isinstance(n, Time) and n.a > 0 else n


def _least(n: Any) -> int:
    return n.least if isinstance(n, Time) else 1


def _parts(n: Any) -> tuple[int, int]:
    if isinstance(n, Time):
        return n.a, n.b
    whole = int(n)
    if whole != n:
        raise ValueError(f"a size is computed with the fraction {n}")
    return 0, whole


def positive(n: Any) -> Any:
    """Whether a number or a symbol is more than 0."""
    return n.positive() if isinstance(n, Symbol) else bool(n > 0)
