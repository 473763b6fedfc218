"""Again: the walk over a graph begins anew with more frames an evaluation, until its strides come out even."""

from __future__ import annotations

from collections.abc import Collection

from edgernn.importer.file.dims import Symbol
from edgernn.importer.file.graph import Graph
from edgernn.importer.file.work import WALKED
from edgernn.importer.readings.time import Hypothesis
from edgernn.importer.walk.build import Build
from edgernn.importer.walk.signals import Wider

MOST_FRAMES = 4096  # in one evaluation


def built(
    graph: Graph, hypothesis: Hypothesis, restarts: bool = False, zeroed: Collection[str] = (), hop: int = 1
) -> Build:
    """The walk under one hypothesis, with as many frames an evaluation as its strides need, at least `hop`.

    Raises Wider where these are more than MOST_FRAMES, or finding out takes too much work.
    """
    start = graph.work.done
    while True:
        length = hypothesis.length * hop if isinstance(hypothesis.length, Symbol) else hypothesis.length
        try:
            return Build(graph, length, hypothesis.times, restarts, zeroed, hop=hop)
        except Wider as wider:
            hop *= wider.factor
            if hop > MOST_FRAMES or graph.work.done - start > WALKED // 2:
                raise Wider(hop) from None
