"""Steps: the number of the step that a loop is in, as a symbol, and a condition that holds before its last step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgernn.importer.file.dims import Symbol, positive


class OfStep(ValueError):
    """What depends on the number of the step: a stream has no first step to count from."""


@dataclass(frozen=True, eq=False)
class Now(Symbol):
    """sign * now + offset, where now counts the steps of a loop: 0 .. length - 1. length, offset: numbers or in T."""

    length: Any
    sign: int = 1
    offset: Any = 0

    def __repr__(self) -> str:
        now = "now" if self.sign == 1 else "-now"
        return now if isinstance(self.offset, int) and not self.offset else f"{now} + ({self.offset})"

    def __hash__(self) -> int:
        return hash((self.sign, self.offset))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Now):
            if isinstance(other, float) and not other.is_integer():
                raise OfStep(f"computes with a fraction of a step: {self} + {other}")
            return replace(self, offset=self.offset + other)
        if self.sign == other.sign:
            raise OfStep(f"computes with twice the number of the step: {self} + {other}")
        return self.offset + other.offset

    def __neg__(self) -> Now:
        return replace(self, sign=-self.sign, offset=-self.offset)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Symbol) or other not in (1, -1):
            raise OfStep(f"computes {self} times {other}: a stream has no first step to count from")
        return self if other == 1 else -self

    __rmul__ = __mul__

    def __int__(self) -> int:
        raise OfStep(f"needs the number of the step ({self}): a stream has no first step to count from")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Symbol, int, float, np.number)):
            return NotImplemented
        difference = self - other
        if not isinstance(difference, Now):
            return bool(difference == 0)
        if positive(difference) is True or positive(-difference) is True:
            return False
        raise OfStep(f"whether {self} equals {other} depends on the step")

    def positive(self) -> Any:
        """Whether this is more than 0: True, False or BEFORE_LAST. Raises ValueError where it depends on the step."""
        first, last = self.offset, self.offset + self.sign * (self.length - 1)
        low, high = (first, last) if self.sign == 1 else (last, first)
        if _surely_positive(low):
            return True
        if _surely_positive(1 - high):
            return False
        if self.sign == -1 and _surely_positive(low + 1) and _surely_positive(1 - low):  # 0 in the last step
            return BEFORE_LAST
        raise OfStep(f"whether {self} is more than 0 depends on the step")


def _surely_positive(n: Any) -> bool:
    """Whether n > 0, however many steps there are."""
    try:
        return bool(positive(n))
    except ValueError:
        return False


class BeforeLast(Symbol):
    """A condition that is true in every step of a loop but the last."""

    def __repr__(self) -> str:
        return "before the last step"

    def __and__(self, other: Any) -> Any:
        return self if other is self or other else False

    def __or__(self, other: Any) -> Any:
        return self if other is self or not other else True

    __rand__, __ror__ = __and__, __or__

    def __bool__(self) -> bool:
        raise OfStep("whether this is the last step of the sequence is not known in a stream")


BEFORE_LAST = BeforeLast()
