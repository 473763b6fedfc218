"""JSON values back into the types that a dataclass field declares, or a Mismatch."""

from __future__ import annotations

import math
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from edgernn.errors import shown

LARGEST_INTEGER = 1 << 53  # what JSON carries exactly
LONGEST = 4096  # elements of a tuple


class Mismatch(Exception):
    """A JSON value is not of the declared type."""


def options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the one type that it is."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def allows(hint: Any, kind: Any) -> bool:
    """Whether a field of this declared type may hold a value of `kind`, which may be None."""
    return (NoneType if kind is None else kind) in options(hint)


def restore(hint: Any, value: object) -> Any:
    """`value` as the declared type: lists become tuples, everything else must fit as it is. Raises Mismatch."""
    for option in options(hint):
        if get_origin(option) is tuple and isinstance(value, list):
            return _restore_tuple(get_args(option), value)
        if _is_scalar(option, value):
            return value
    raise Mismatch(f"{shown(value)} is not {' or '.join(getattr(o, '__name__', str(o)) for o in options(hint))}")


def _is_scalar(kind: Any, value: object) -> bool:
    if kind is bool:
        return type(value) is bool
    if kind is str:
        return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)  # halves of UTF-16 pairs
    if kind is int:
        return type(value) is int and abs(value) <= LARGEST_INTEGER
    if kind is float:
        return (type(value) is float and math.isfinite(value)) or _is_scalar(int, value)
    return False


def _restore_tuple(kinds: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if len(value) > LONGEST:
        raise Mismatch(f"a list of {len(value)}: {LONGEST} is the most")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise Mismatch(f"a list of {len(value)}: {len(kinds)} expected")
    return tuple(restore(kind, item) for kind, item in zip(kinds, value, strict=True))
