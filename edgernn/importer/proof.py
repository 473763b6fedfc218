"""Proof: which pairs of state input and output make cells of what a step graph computes.

An RNN, GRU or LSTM, as a node or written out, starts from its state and leaves behind what comes next. Where names and
shapes leave open what the states are, each way to pair them is tried: the one that closes the most cells is the right
one, if there is no other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from edgernn.importer.assemble import assembled
from edgernn.importer.build import Build
from edgernn.importer.graph import Graph
from edgernn.importer.trace import origins
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model
from edgernn.layers.rnn import RNN

MOST = 64  # ways that are tried


def proved(
    build: Build, graph: Graph, pairs: Mapping[str, str], options: Mapping[str, Sequence[str]]
) -> dict[str, str] | None:
    """The pairs, and those of `options` (input -> outputs that may replace it) that cells prove; None for no proof."""
    best, count = None, 0
    ways = list(itertools.islice(_ways(options), MOST + 1))
    for way in ways if len(ways) <= MOST else ():
        model = assembled(build, graph, {**pairs, **way})
        closed = _closed(model) if isinstance(model, Model) else 0
        if closed > count:
            best, count = way, closed
        elif closed == count:
            best = None
    return None if best is None else {**pairs, **best}


def _ways(options: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Every way to pair some of these inputs with an output each; at least one input is left to be a frame."""
    for chosen in itertools.product(*([None, *outputs] for outputs in options.values())):
        way = {name: output for name, output in zip(options, chosen, strict=True) if output is not None}
        if 0 < len(way) < len(options) and len(set(way.values())) == len(way):
            yield way


def _closed(model: Model) -> int:
    """How many states are replaced by what a cell that starts from them leaves behind; 0 where one is not."""
    given = {port.name: (port.size,) for port in model.inputs} | {s.name: s.initial.shape for s in model.states}
    ids = {name: found.reshape(-1) for name, found in origins(model.nodes, given).items()}
    ends = {
        (tuple(ids[start]), tuple(ids[last]))
        for node in model.nodes
        if isinstance(node.layer, (RNN, GRU, LSTM))
        for start, last in zip(node.inputs[1:], node.outputs, strict=True)
    }
    closed = [(tuple(ids[state.name]), tuple(ids[state.source])) in ends for state in model.states]
    return len(closed) if all(closed) else 0
