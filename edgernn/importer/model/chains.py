"""Chains: cells that hand their state from one to the next with the same weights become one layer over several steps.

So a loop that was written out turn by turn, and a graph that an exporter unrolled, are one layer again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgernn.importer.states.trace import entering, origins
from edgernn.layers.base import Shape, volume
from edgernn.layers.join import Join
from edgernn.layers.model import Model, Node
from edgernn.layers.reshape import Reshape
from edgernn.layers.sequence import Cell
from edgernn.layers.take import Take

Names = Mapping[str, str]


def chained(model: Model) -> Model:
    """The model with each chain of cells as one layer."""
    roots = _roots(model)
    follower = _followers(model, roots)
    later = {node.name for node in follower.values()}
    nodes = list(model.nodes)
    for first in [node for node in model.nodes if node.name in follower and node.name not in later]:
        chain = [first]
        while chain[-1].name in follower:
            chain.append(follower[chain[-1].name])
        if not _fed_back(model, chain):
            nodes = _replaced(nodes, chain, model.shapes)
    return replace(model, nodes=tuple(_ordered(nodes, entering(model))))


def moves_joined(model: Model) -> Model:
    """The model with each Join that only puts numbers of one value in order as one Take."""
    if not any(isinstance(node.layer, Join) for node in model.nodes):
        return model
    ids, given = origins(model.nodes, entering(model)), entering(model)
    made = [name for node in model.nodes if not isinstance(node.layer, (Reshape, Take, Join)) for name in node.outputs]
    owners = sorted(((int(ids[n].reshape(-1)[0]), n) for n in (*given, *made) if ids[n].size), key=lambda pair: pair[0])
    starts = np.array([start for start, _ in owners])
    nodes = []
    for node in model.nodes:
        places = ids[node.outputs[0]] if isinstance(node.layer, Join) else np.zeros(0)
        if places.size and places.min() >= 0:
            start, owner = owners[int(np.searchsorted(starts, places.min(), "right")) - 1]
            if places.max() < start + ids[owner].size:
                index = np.ascontiguousarray((places - start).reshape(-1), np.int32)
                whole = np.array_equal(index, np.arange(ids[owner].size))
                layer = Reshape(places.shape) if whole else Take(index, places.shape)
                node = replace(node, layer=layer, inputs=(owner,))
        nodes.append(node)
    return replace(model, nodes=tuple(nodes))


def _roots(model: Model) -> dict[str, str]:
    """For each value the one that it is in another shape, itself where there is none."""
    roots: dict[str, str] = {}
    for node in model.nodes:
        if isinstance(node.layer, Reshape):
            roots[node.outputs[0]] = roots.get(node.inputs[0], node.inputs[0])
    return roots


def _followers(model: Model, roots: Names) -> dict[str, Node]:
    """Cell -> the only cell that goes on from its states, with the same weights; both of one step."""
    makers = {node.outputs: node for node in model.nodes if isinstance(node.layer, Cell)}
    going = Counter(roots.get(name, name) for node in makers.values() for name in node.inputs[1:])
    others = [node for node in model.nodes if not isinstance(node.layer, Reshape)]
    read = Counter(roots.get(name, name) for node in others for name in node.inputs)
    read.update(roots.get(name, name) for name in _ends(model))
    found = {}
    for node in makers.values():
        before = makers.get(tuple(roots.get(name, name) for name in node.inputs[1:]))
        if before is None or not _alike(before, node) or going[before.outputs[0]] != 1:
            continue
        unseen = all(read[c] == 1 for c in before.outputs[1:])  # one layer over several steps shows the last c only
        one_step = all(volume(model.shapes[n.outputs[0]]) == volume(model.shapes[n.inputs[1]]) for n in (before, node))
        if unseen and one_step:
            found[before.name] = node
    return found


def _ends(model: Model) -> list[str]:
    return [*(port.value for port in model.outputs), *(state.source for state in model.states)]


def _alike(a: Node, b: Node) -> bool:
    """Whether two cells have the same weights, which equal cells share, and attributes."""
    if type(a.layer) is not type(b.layer) or a.layer.attributes() != b.layer.attributes():
        return False
    return [(name, id(w)) for name, w in a.layer.weights()] == [(name, id(w)) for name, w in b.layer.weights()]


def _fed_back(model: Model, chain: Sequence[Node]) -> bool:
    """Whether what a cell of the chain reads depends on an earlier one, apart from its state."""
    inside, fed = {node.name for node in chain}, {node.inputs[0] for node in chain}
    reached: set[str] = set()
    for node in model.nodes:
        if node.name in inside or not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return not reached.isdisjoint(fed)


def _replaced(nodes: Sequence[Node], chain: Sequence[Node], shapes: Mapping[str, Shape]) -> list[Node]:
    """The nodes with one layer in the place of a chain, and each cell's output as a piece of what it makes."""
    first, last, inside = chain[0], chain[-1], {node.name for node in chain}
    steps, hidden = len(chain), shapes[first.outputs[0]]
    x, y = f"{first.name}.steps", f"{first.name}.all"
    frames = []
    made = [node for node in nodes if node.name not in inside]
    for node in chain:
        frame = f"{node.name}.step"
        made.append(Node(frame, Reshape((1, volume(shapes[node.inputs[0]]))), (node.inputs[0],), (frame,)))
        frames.append(frame)
    made.append(Node(x, Join(0), tuple(frames), (x,)))
    made.append(Node(y, first.layer, (x, *first.inputs[1:]), (y, *last.outputs[1:])))
    size = volume(hidden)
    for step, node in enumerate(chain):
        index = np.arange(step * size, (step + 1) * size, dtype=np.int32)
        made.append(Node(node.name, Take(index, hidden), (y,), node.outputs[:1]))
    return made if steps > 1 else list(nodes)


def _ordered(nodes: Sequence[Node], given: Mapping[str, Shape]) -> Iterator[Node]:
    """The nodes, each after what it reads, else as they stand."""
    ready = set(given)
    waiting: dict[str, list[Node]] = {}
    missing = {node.name: len(set(node.inputs) - ready) for node in nodes}
    for node in nodes:
        for name in set(node.inputs) - ready:
            waiting.setdefault(name, []).append(node)
    free = deque(node for node in nodes if not missing[node.name])
    while free:
        node = free.popleft()
        yield node
        for name in node.outputs:
            for reader in waiting.get(name, ()):
                missing[reader.name] -= 1
                if not missing[reader.name]:
                    free.append(reader)
