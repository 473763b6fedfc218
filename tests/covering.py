"""Few combinations of many options: rows in which every two values that fit each other meet at least once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Place = tuple[str, int]  # an option, and which of its values


def covering(
    options: Mapping[str, Sequence[Any]], fits: Callable[[Mapping[str, Any]], bool] = lambda row: True
) -> list[dict[str, Any]]:
    """Rows {option: value}, always the same ones. `fits` judges a row of which only some options are chosen.

    Greedy: a row begins with two values that have not met yet, and each other option takes the value that meets most
    others of the row for the first time. Every row that fits must fit some value of each option.
    """
    places = [[(name, i) for i in range(len(values))] for name, values in options.items()]

    def row(chosen: Iterable[Place]) -> dict[str, Any]:
        held = dict(chosen)
        return {name: values[held[name]] for name, values in options.items() if name in held}

    pairs = (pair for a, b in itertools.combinations(places, 2) for pair in itertools.product(a, b))
    missing = dict.fromkeys(frozenset(pair) for pair in pairs if fits(row(pair)))
    rows: list[dict[str, Any]] = []
    while missing:
        chosen = list(next(iter(missing)))
        for values in places:
            if not set(chosen).isdisjoint(values):
                continue
            free = [place for place in values if fits(row([*chosen, place]))]
            turn = len(rows) % len(free)  # which value wins a draw
            draw = free[turn:] + free[:turn]
            chosen.append(max(draw, key=lambda place: sum(frozenset((place, other)) in missing for other in chosen)))
        for pair in itertools.combinations(chosen, 2):
            missing.pop(frozenset(pair), None)
        rows.append(row(chosen))
    return rows
