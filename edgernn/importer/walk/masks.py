"""Masks: minus infinity in a constant that nothing but a softmax sees, where the lowest finite number does the same."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from edgernn.importer.file.graph import Graph, Operator
from edgernn.layers.base import Array

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

LOWEST = np.finfo(np.float32).min
PASSING = ("Add", "Where", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Expand", "Cast", "Identity")


def lowered(g: Build, graph: Graph, values: Array) -> Array:
    """The constant that a node reads, with LOWEST for minus infinity; as it is where that is not the same.

    It is not where a whole row is masked, of which a softmax makes NaN.
    """
    endless = np.isneginf(values)
    if not endless.any() or not _for_softmax(graph, g.operator):
        return values
    masked = _masked(g, endless)
    if not masked.ndim or masked.all(-1).any():
        return values
    return np.where(endless, LOWEST, values).astype(np.float32)


def _masked(g: Build, endless: Array) -> Array:
    """Where minus infinity comes to stand: everywhere in a constant, or where a known condition chooses it."""
    held = [g.values[name] for name in g.operator.inputs] if g.operator.kind == "Where" else []
    condition, chosen = (held[0], held[1]) if len(held) == 3 else (None, None)
    if condition is None or condition.const is None or not endless.all():
        return endless
    first = chosen is not None and chosen.const is not None and bool(np.isneginf(chosen.const).all())
    truth: Array = np.asarray(condition.const, bool)
    return truth if first else ~truth


def _for_softmax(graph: Graph, operator: Operator) -> bool:
    """Whether all that becomes of an operator's output are numbers that a softmax is taken of."""
    readers: dict[str, list[Operator]] = defaultdict(list)
    for other in graph.operators:
        for name in other.reads:
            readers[name].append(other)
    waiting, seen = [operator], set()
    while waiting:
        one = waiting.pop()
        if one.kind == "Softmax" or one.outputs in seen:
            continue
        seen.add(one.outputs)
        after = [reader for name in one.outputs for reader in readers[name]]
        if one.kind not in PASSING or not after or not set(graph.outputs).isdisjoint(one.outputs):
            return False
        waiting.extend(after)
    return operator.kind in PASSING
