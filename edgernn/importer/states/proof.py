"""Proof: which pairs of state input and output make cells of what a step graph computes.

An RNN, GRU or LSTM, as a node or written out, starts from its state and leaves behind what comes next. Where names and
shapes leave open what the states are, each way to pair all of them but a frame is tried: the one that closes the most
cells is the right one, if there is no other.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from edgernn.importer.file.graph import Graph
from edgernn.importer.model.assemble import assembled
from edgernn.importer.states.naming import follows
from edgernn.importer.states.trace import entering, origins
from edgernn.importer.walk.build import Build
from edgernn.layers.base import volume
from edgernn.layers.model import Model, State
from edgernn.layers.rules import Value
from edgernn.layers.sequence import Cell

MOST = 64  # ways that are tried


def proved(
    build: Build, graph: Graph, pairs: Mapping[str, str], options: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str] | None, bool]:
    """The pairs, and those of `options` (input -> outputs that may replace it) that cells prove; None for no proof.

    And whether some of them make cells at all, if in more than one way. Beside pairs that are known already, each cell
    proves its own states; else all but a frame are proved together.
    """
    best, count = None, 0
    frames = build.ports.keys() - pairs.keys() - options.keys()
    known = {_value(build, name).name for name in pairs}
    least = 1 if pairs else len(options) if frames else len(options) - 1
    ways = list(itertools.islice(_ways(options, least), MOST + 1))
    for way in ways if len(ways) <= MOST else ():
        model = assembled(build, graph, {**pairs, **way})
        kept = isinstance(model, Model) and len(model.states) >= len(pairs) + len(way)  # every state does something
        closed = _closed(model, known) if isinstance(model, Model) and kept else 0
        if closed > count:
            best, count = way, closed
        elif closed == count:
            best = None
    return (None if best is None else {**pairs, **best}), count > 0


def _ways(options: Mapping[str, Sequence[str]], least: int) -> Iterator[dict[str, str]]:
    """Every way to pair so many of these inputs, or more, with an output each."""
    for chosen in itertools.product(*([None, *outputs] for outputs in options.values())):
        way = {name: output for name, output in zip(options, chosen, strict=True) if output is not None}
        if len(way) >= max(1, least) and len(set(way.values())) == len(way):
            yield way


def corrected(build: Build, graph: Graph, pairs: Mapping[str, str], given: Collection[str]) -> dict[str, str]:
    """The pairs, those not `given` put right where cells show that names were misleading.

    That is so where a cell starts from a state that something else replaces, and another way to hand outputs to these
    inputs closes more cells. An answer does not take the place of an output that is called the state's next value: that
    may be made of what the cell leaves behind.
    """
    best, model = dict(pairs), assembled(build, graph, pairs)
    if not isinstance(model, Model):
        return best
    count, astray = len(_returns(model)), _starts(model) - _returns(model)
    names = [name for name in pairs if name not in given and _value(build, name).name in astray]
    free = [output for output in graph.outputs if output not in pairs.values() or output in map(pairs.get, names)]
    for outputs in itertools.islice(itertools.permutations(free, len(names)), MOST if names else 0):
        way = {**pairs, **dict(zip(names, outputs, strict=True))}
        if any(follows(name, pairs[name]) and way[name] not in pairs.values() for name in names):
            continue
        other = assembled(build, graph, way) if _alike(build, way) else None
        if isinstance(other, Model) and len(_returns(other)) > count:
            best, count = way, len(_returns(other))
    return best


def _value(build: Build, name: str) -> Value:
    """A value that is known, since the graph was built without problems."""
    value = build.values[name]
    assert value is not None
    return value


def _alike(build: Build, pairs: Mapping[str, str]) -> bool:
    """Whether each state has as many numbers as what replaces it."""
    values = ((_value(build, name), _value(build, output)) for name, output in pairs.items())
    return all(volume(a.shape) == volume(b.shape) for a, b in values)


def _closed(model: Model, known: Collection[str]) -> int:
    """How many states are replaced by what a cell that starts from them leaves behind; 0 where one is not.

    `known`: states that need no proof.
    """
    returning, others = _returns(model), {state.name for state in model.states}.difference(known)
    return len(others) if returning.issuperset(others) else 0


def _starts(model: Model) -> set[str]:
    """The states that a cell starts from."""
    return {name for name, _ in _spans(model)}


def _returns(model: Model) -> set[str]:
    """The states that are replaced by what a cell that starts from them leaves behind."""
    return {name for name, returns in _spans(model) if returns}


def _spans(model: Model) -> Iterator[tuple[str, bool]]:
    """(state, whether it comes back) for each state that a cell starts from."""
    ids = {name: found.reshape(-1) for name, found in origins(model.nodes, entering(model)).items()}
    held: dict[bytes, list[State]] = {}
    for state in model.states:
        held.setdefault(ids[state.name].tobytes(), []).append(state)
    for node in model.nodes:
        pairs = zip(node.inputs[1:], node.outputs, strict=True) if isinstance(node.layer, Cell) else ()
        for start, last in pairs:
            for state in held.get(ids[start].tobytes(), ()):
                yield state.name, np.array_equal(ids[state.source], ids[last])
