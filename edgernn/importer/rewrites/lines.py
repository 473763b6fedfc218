"""Lines: straight lines from step to step that an exporter has written out, as one Resize.

PyTorch's newer exporter writes `F.interpolate(x, scale_factor=n, mode="linear")` as the steps before each place and
those after it, gathered by GatherND, and a share of the difference. Where the number of steps is free, the places are
computed from it: they are tried for several numbers.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgernn.errors import UnsupportedModel
from edgernn.importer.file.graph import Graph, Operator, ordered
from edgernn.importer.readings.time import is_batch
from edgernn.importer.walk.signals import Refused
from edgernn.layers.base import Array

LENGTHS = (8, 23)  # steps for which places are computed that depend on their number
MOST_NODES = 64  # that a place is computed by
ROUNDING = 1e-5  # of a place, in steps
Makers = Mapping[str, Operator]


@dataclass(frozen=True)
class Lines:
    """What is gathered along axis 0 of `data` and then turned; `low`, `high`, `share`: names of indices and weights."""

    data: str
    perm: tuple[int, ...]
    low: str
    high: str
    share: str


def lined(graph: Graph) -> Graph:
    """The graph with a Resize and a Transpose in the place of such sums."""
    makers = {name: o for o in graph.operators for name in o.outputs if not o.domain}
    if graph.opset < 11 or not any(o.kind == "GatherND" for o in graph.operators):
        return graph
    constants = dict(graph.constants)
    written = [part for o in graph.operators for part in _written(graph, o, makers, constants)]
    known = [*constants, *(given.name for given in graph.inputs)]
    return replace(graph, operators=ordered(written, known, graph.outputs), constants=constants)


def _written(graph: Graph, o: Operator, makers: Makers, constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of one."""
    lines = _lines(o, makers)
    factor = _factor(graph, lines, makers) if lines is not None else 0
    if lines is None or not factor:
        return [o]
    scales, stretched = f"{o.outputs[0]} scales", f"{o.outputs[0]} stretched"
    constants[scales] = np.array([factor, *[1] * (len(lines.perm) - 1)], np.float32)
    return [
        Operator(f"{o.name}.lines", "Resize", "", (lines.data, "", scales), (stretched,), {"mode": "linear"}),
        replace(o, kind="Transpose", inputs=(stretched,), attributes={"perm": list(lines.perm)}),
    ]


def _lines(o: Operator, makers: Makers) -> Lines | None:
    """What low + (high - low) * share is made of; None for anything else."""
    if o.kind != "Add" or o.domain or len(o.inputs) != 2:
        return None
    for low, product in (o.inputs, o.inputs[::-1]):
        factors = _inputs(makers, product, "Mul")
        for difference, share in (factors, factors[::-1]) if factors else ():
            high, other = _inputs(makers, difference, "Sub") or ("", "")
            ends = _gathered(makers, low), _gathered(makers, high)
            if other == low and ends[0] and ends[1] and ends[0][:2] == ends[1][:2] and ends[0][1][-1] == 0:
                return Lines(*ends[0], ends[1][2], share)
    return None


def _inputs(makers: Makers, name: str, kind: str) -> tuple[str, ...]:
    """The two inputs of the operator of this kind that makes a value; none for any other."""
    maker = makers.get(name)
    return maker.inputs if maker is not None and maker.kind == kind and len(maker.inputs) == 2 else ()


def _gathered(makers: Makers, name: str) -> tuple[str, tuple[int, ...], str] | None:
    """(data, perm, index) where a value is a Transpose of a GatherND."""
    turned = makers.get(name)
    inputs = _inputs(makers, turned.inputs[0], "GatherND") if turned is not None and turned.kind == "Transpose" else ()
    if turned is None or not inputs or makers[turned.inputs[0]].attributes.get("batch_dims", 0):
        return None
    perm = tuple(turned.attributes.get("perm", ()))
    return (inputs[0], perm, inputs[1]) if perm else None


def _factor(graph: Graph, lines: Lines, makers: Makers) -> int:
    """How many places there are for each step, where they lie as Resize has them; 0 where they lie elsewhere.

    So many places for any number of steps are no such ones: exporters may leave those of the example in a file.
    """
    free = any(isinstance(n, str) and not is_batch(n) for given in graph.inputs for n in given.dims or ())
    found, sizes = set(), set()
    for length in LENGTHS:
        known: ChainMap[str, Array] = ChainMap({}, dict(graph.constants))
        try:
            values = [_value(graph, name, makers, known, length) for name in (lines.low, lines.high, lines.share)]
            found.add(_spread(*values))
            sizes.add(values[0].size)
        except (LookupError, Refused, UnsupportedModel, ValueError, TypeError, AttributeError, ArithmeticError):
            return 0
    return found.pop() if len(found) == 1 and len(sizes) == (len(LENGTHS) if free else 1) else 0


def _value(
    graph: Graph, name: str, makers: Makers, known: ChainMap[str, Array], length: int, depth: int = MOST_NODES
) -> Array:
    """A value that is computed from constants and the number of steps. Raises LookupError for any other."""
    if name in known:
        return known[name]
    maker = makers[name]
    if not depth or len(known.maps[0]) > MOST_NODES:
        raise LookupError(name)
    if maker.kind == "Shape":
        dims = {given.name: given.dims or () for given in graph.inputs}[maker.inputs[0]]
        sizes = [length if isinstance(n, str) else n for n in dims]
        known[name] = np.array(sizes[maker.attributes.get("start", 0) : maker.attributes.get("end")], np.int64)
    else:
        inputs = [_value(graph, n, makers, known, length, depth - 1) if n else None for n in maker.inputs]
        made = graph.folder.fold(maker, inputs)
        if made is None or len(made) != 1:
            raise LookupError(name)
        known[name] = made[0]
    return known[name]


def _spread(low: Array, high: Array, share: Array) -> int:
    """How many places there are for each step; 0 where they are not those of a Resize by half pixels."""
    low, high, steps = low.reshape(-1), high.reshape(-1), int(high.max(initial=-1)) + 1
    if not steps or low.shape != high.shape or share.shape[-1:] != low.shape or share.size != low.size:
        return 0
    factor = low.size // steps
    places = np.maximum((np.arange(steps * factor) + 0.5) / max(1, factor) - 0.5, 0)
    lie = places.size == low.size and np.allclose(low + share.reshape(-1), places, rtol=0, atol=ROUNDING)
    within = (share >= 0).all() and (share <= 1).all() and low.min(initial=0) >= 0
    return factor if factor > 1 and lie and within and np.array_equal(high, np.minimum(low + 1, steps - 1)) else 0
