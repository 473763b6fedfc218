"""Slots: a tensor that is written slice by slice, all of it, as its slices joined.

A loop that writes each step's answer into a tensor made before (PyTorch's `out[:, t] = h`) is unrolled into a chain of
ScatterND, or of ScatterElements, at places that constants say. The size of what is written in between may be asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.rewrites.lists import held
from edgernn.layers.base import Array, Shape, volume

WRITERS = ("ScatterND", "ScatterElements")
MOST = 1 << 23  # numbers that all chains write, for each axis


def slotted(graph: Graph) -> Graph:
    """The graph with a Concat in the place of each such chain."""
    if not any(o.kind in WRITERS for o in graph.operators):
        return graph
    read = _read(graph)
    writers = {o.outputs[0]: o for o in graph.operators if o.kind in WRITERS and _plain(o) and read[o.outputs[0]]}
    inner = {o.inputs[0] for o in writers.values() if o.inputs[0] in writers and read[o.inputs[0]] == 1}
    constants, instead, sizes, spent = dict(graph.constants), {}, {}, 0
    for end in (o for name, o in writers.items() if name not in inner):
        chain = _chain(end, writers, inner)
        shape = _shape(graph, chain[0].inputs[0])
        if shape is None or len(chain) < 2:
            continue
        spent += len(shape) * _written(chain, constants, shape)
        if spent <= MOST and (made := _joined(chain, shape, constants)):
            instead.update({id(o): made if o is end else [] for o in chain})
            sizes.update({o.outputs[0]: chain[0].inputs[0] for o in chain[:-1]})
    operators = (part for o in graph.operators for part in instead.get(id(o), [o]))
    asked = (replace(o, inputs=tuple(sizes.get(n, n) for n in o.inputs)) for o in operators)
    return replace(graph, operators=tuple(asked), constants=constants)


def _read(graph: Graph) -> Counter[str]:
    """How often each value is read for more than its size, by what is so itself."""
    read = Counter(graph.outputs)
    for o in reversed(graph.operators):
        if o.kind != "Shape" and any(read[name] for name in o.outputs):
            read.update(o.reads)
    return read


def _plain(o: Operator) -> bool:
    """Whether an operator writes and does not add up."""
    return not o.domain and len(o.inputs) == 3 and o.attributes.get("reduction", "none") in ("none", b"none")


def _chain(end: Operator, writers: Mapping[str, Operator], inner: set[str]) -> list[Operator]:
    """The operators that write one after the other into the same tensor, which nobody else reads in between."""
    chain = [end]
    while chain[-1].inputs[0] in inner:
        chain.append(writers[chain[-1].inputs[0]])
    return chain[::-1]


def _shape(graph: Graph, name: str) -> Shape | None:
    """The shape of a constant, or of an input that has one."""
    if name in graph.constants:
        return graph.constants[name].shape
    dims = next((given.dims for given in graph.inputs if given.name == name), None) or ()
    return tuple(n for n in dims if isinstance(n, int)) if dims and all(isinstance(n, int) for n in dims) else None


def _joined(chain: Sequence[Operator], shape: Shape, constants: dict[str, Array]) -> list[Operator]:
    """The operators in the place of a chain on a tensor of this shape; none where it is no such one."""
    end, places = chain[-1], [places_written(o, constants.get(o.inputs[1]), shape) for o in chain]
    for axis, count in enumerate(shape):
        slots = [_slot(spots, shape, axis) for spots in places]
        filled = {slot: o.inputs[2] for slot, o in zip(slots, chain, strict=True)}  # what was written last
        if None not in slots and len(filled) == count:
            one = held(constants, end, "slot", np.array([*shape[:axis], 1, *shape[axis + 1 :]], np.int64))
            names = [f"{end.outputs[0]} {n}" for n in range(count)]
            parts = [
                Operator(f"{end.name}.{n}", "Reshape", "", (filled[n], one), (name,)) for n, name in enumerate(names)
            ]
            return [*parts, replace(end, kind="Concat", inputs=tuple(names), attributes={"axis": axis})]
    return []


def _written(chain: Sequence[Operator], constants: dict[str, Array], shape: Shape) -> int:
    """How many numbers a chain writes in all."""
    total = 0
    for o in chain:
        index = constants.get(o.inputs[1])
        if index is not None and index.ndim:
            depth = index.shape[-1]
            total += index.size // max(1, depth) * volume(shape[depth:]) if o.kind == "ScatterND" else index.size
    return total


def places_written(o: Operator, index: Array | None, shape: Shape) -> Array | None:
    """Which numbers of a tensor of this shape an operator writes, in the order of its updates; None for any others."""
    if index is None or index.dtype.kind not in "iu" or not index.ndim or not index.size:
        return None
    if o.kind == "ScatterElements" and index.ndim != len(shape):
        return None
    try:
        if o.kind == "ScatterND":
            spots, rest = list(np.moveaxis(index, -1, 0)), volume(shape[index.shape[-1] :])
        else:
            spots, rest = list(np.broadcast_arrays(*np.indices(index.shape, sparse=True))), 1
            spots[int(o.attributes.get("axis", 0))] = index
        found = [np.where(spot < 0, spot + n, spot) for spot, n in zip(spots, shape, strict=False)]
        first = np.ravel_multi_index(tuple(found), shape[: len(spots)]).reshape(-1, 1)
    except (IndexError, RuntimeError, TypeError, ValueError):
        return None
    places: Array = (first * rest + np.arange(rest)).reshape(-1)
    return places


def _slot(places: Array | None, shape: Shape, axis: int) -> int | None:
    """Where along an axis the slice lies that these places are; None where they are no slice."""
    before, count, after = volume(shape[:axis]), shape[axis], volume(shape[axis + 1 :])
    if places is None or not places.size or places.size != before * after:
        return None
    slot = int(places[0]) // after % count
    whole = np.arange(before)[:, None] * (count * after) + slot * after + np.arange(after)
    return slot if np.array_equal(places, whole.reshape(-1)) else None
