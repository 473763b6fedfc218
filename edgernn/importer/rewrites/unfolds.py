"""Unfolds: windows of a sequence that a graph of fixed length cuts out one by one, gathered in one node.

So PyTorch's TorchScript exporter writes `tensor.unfold`: a Slice for each window, whose steps a Transpose moves last,
and a Concat of all of them along a new axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgernn.importer.file.graph import Graph, Operator, ordered
from edgernn.layers.base import Array

FEWEST = 2  # windows
MOST = 1 << 20  # steps of all windows of a group together


@dataclass(frozen=True)
class Cut:
    """One window: which steps of which value along which axis, and how its axes are turned before a new one comes."""

    source: str
    axis: int
    start: int
    size: int
    perm: tuple[int, ...]
    new_axis: int


def unfolded(graph: Graph) -> Graph:
    """The graph with every such group of windows as a Gather and a Transpose."""
    makers = {name: o for o in graph.operators for name in o.outputs if not o.domain}
    constants = dict(graph.constants)
    written = [part for o in graph.operators for part in _written(o, makers, constants)]
    if len(written) == len(graph.operators):
        return graph
    known = [*constants, *(given.name for given in graph.inputs)]
    return replace(graph, operators=ordered(written, known, graph.outputs), constants=constants)


def _written(o: Operator, makers: Mapping[str, Operator], constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of one."""
    if o.kind != "Concat" or o.domain or len(o.inputs) < FEWEST:
        return [o]
    cuts = [_cut(name, makers, constants) for name in o.inputs]
    first, second = cuts[:2]
    if first is None or second is None or first.new_axis != o.attributes.get("axis"):
        return [o]
    stride = second.start - first.start
    even = [replace(first, start=first.start + n * stride) for n in range(len(cuts))]
    if stride < 1 or cuts != even or first.size * len(cuts) > MOST:
        return [o]
    index, gathered = f"{o.outputs[0]} index", f"{o.outputs[0]} gathered"
    starts = first.start + stride * np.arange(len(cuts))
    constants[index] = starts[:, None] + np.arange(first.size)
    return [
        Operator(f"{o.name}.windows", "Gather", "", (first.source, index), (gathered,), {"axis": first.axis}),
        replace(o, kind="Transpose", inputs=(gathered,), attributes={"perm": _order(first)}),
    ]


def _order(cut: Cut) -> list[int]:
    """The axes of what is gathered (..., windows, steps, ...) in the order of what was joined."""
    order = [axis + (axis >= cut.axis) for axis in cut.perm]
    return [*order[: cut.new_axis], cut.axis, *order[cut.new_axis :]]


def _cut(name: str, makers: Mapping[str, Operator], constants: Mapping[str, Array]) -> Cut | None:
    """The window that a value is; None for anything else."""
    lifted = makers.get(name)
    turned = makers.get(lifted.inputs[0]) if lifted is not None and lifted.kind == "Unsqueeze" else None
    if lifted is None or turned is None or turned.kind != "Transpose":
        return None
    perm = turned.attributes.get("perm")
    piece = makers.get(turned.inputs[0])
    new = _numbers(lifted, 1, "axes", constants)
    if piece is None or piece.kind != "Slice" or perm is None or new is None or len(new) != 1:
        return None
    starts, ends, axes = (_numbers(piece, n, what, constants) for n, what in enumerate(("starts", "ends", "axes"), 1))
    if len(piece.inputs) > 4 and _numbers(piece, 4, "steps", constants) != [1]:
        return None
    if starts is None or ends is None or axes is None or not len(starts) == len(ends) == len(axes) == 1:
        return None
    if not 0 <= axes[0] < len(perm) or not 0 <= new[0] <= len(perm) or not 0 <= starts[0] < ends[0] <= starts[0] + MOST:
        return None
    return Cut(piece.inputs[0], axes[0], starts[0], ends[0] - starts[0], tuple(perm), new[0])


def _numbers(o: Operator, place: int, name: str, constants: Mapping[str, Array]) -> list[int] | None:
    """The whole numbers of an input, or of the attribute that older opsets have in its place."""
    if name in o.attributes:
        return [int(n) for n in o.attributes[name]]
    held = constants.get(o.inputs[place]) if place < len(o.inputs) else None
    return None if held is None or held.dtype.kind not in "iu" else [int(n) for n in held.reshape(-1)]
