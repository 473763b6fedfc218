"""Masks: minus infinity in a constant that nothing but a softmax sees, where the lowest finite number does the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from edgernn.importer.graph import Graph, Operator
from edgernn.layers.base import Array

LOWEST = np.finfo(np.float32).min
PASSING = ("Add", "Where", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Expand", "Cast", "Identity")


def lowered(graph: Graph, operator: Operator, values: Array) -> Array:
    """The constant that an operator reads, with LOWEST for minus infinity; as it is where that is not the same.

    It is not where a whole row is masked, of which a softmax makes NaN.
    """
    endless = np.isneginf(values)
    rows = values.ndim and values.shape[-1] > 1 and not endless.all(-1).any()
    if not endless.any() or not rows or not _for_softmax(graph, operator):
        return values
    return np.where(endless, LOWEST, values).astype(np.float32)


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
