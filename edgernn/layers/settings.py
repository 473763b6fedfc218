"""Settings: a table, as TOML and JSON have it, as the fields of a frozen dataclass; every mistake is named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from edgernn.errors import BadInput, shown

LONGEST = 4096  # entries of a list
LONGEST_TEXT = 200  # characters


def checked(kind: type, given: Mapping[str, Any], table: str, elsewhere: Mapping[str, str]) -> dict[str, Any]:
    """The values of `given` in the types that the fields of `kind` declare: str, bool, int, float and tuples of these.

    table: what the settings are called in messages. elsewhere: names that other libraries have for a setting, and what
    to write instead. Raises BadInput for an unknown name and for a value of another type.
    """
    if not isinstance(given, Mapping):
        raise BadInput(f"[{table}] is {type(given).__name__}: a table of settings expected")
    types = get_type_hints(kind)
    for name in given:
        if name not in types:
            raise BadInput(f"[{table}] has no setting '{name}': {_advice(name, list(types), elsewhere)}")
    return {name: _as(types[name], value, f"[{table}] {name}") for name, value in given.items()}


def _advice(name: str, names: list[str], elsewhere: Mapping[str, str]) -> str:
    if name in elsewhere:
        return elsewhere[name]
    from difflib import get_close_matches

    near = get_close_matches(str(name), names, 1)
    return f"do you mean '{near[0]}'?" if near else f"there are {', '.join(names)}"


def _as(kind: Any, value: Any, where: str) -> Any:
    """`value` in this type."""
    if kind in (tuple[float, ...], tuple[str, ...]):
        single = float if kind == tuple[float, ...] else str
        if not isinstance(value, (list, tuple)) or len(value) > LONGEST:
            raise BadInput(f"{where} is {shown(value)}: a list of at most {LONGEST} expected")
        return tuple(_as(single, item, where) for item in value)
    if kind is float and type(value) in (int, float) and abs(value) <= 1e300:  # which is false for NaN
        return float(value)
    if kind is str and isinstance(value, str) and len(value) <= LONGEST_TEXT and _is_text(value):
        return value
    if kind in (int, bool) and type(value) is kind:
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise BadInput(f"{where} is {shown(value)}: {names[kind]} expected")


def _is_text(value: str) -> bool:
    return value.isprintable() and not any("\ud800" <= c <= "\udfff" for c in value)


def as_table(settings: object, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The named fields (all of them if not said) as TOML and JSON have them: tuples as lists."""
    kept = [field.name for field in fields(settings)] if names is None else names  # type: ignore[arg-type]
    values = {name: getattr(settings, name) for name in kept}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def one_of(table: str, name: str, value: object, choices: Iterable[object]) -> None:
    """Raises BadInput unless the value is among the choices."""
    choices = tuple(choices)
    if value not in choices:
        raise BadInput(f"[{table}] {name} is {value!r}: one of {', '.join(map(str, choices))} expected")


def within(table: str, name: str, value: float, low: float, high: float) -> None:
    """Raises BadInput unless low <= value <= high, which NaN is not."""
    if not low <= value <= high or not math.isfinite(value):
        shown = f"{value:.10g}" if isinstance(value, float) else value
        raise BadInput(f"[{table}] {name} is {shown}: {low:.10g} to {high:.10g} expected")
