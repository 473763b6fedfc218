"""Time: which dimension of the inputs is time. No file says so; each hypothesis is tried by building the graph.

In order: a free axis of several inputs, each with a name of its own for it; each free dimension by its name, with all
other free dimensions taken as 1; no time at all, a step graph; and for files exported with a fixed length, each fixed
dimension.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgernn.importer.file.dims import Time
from edgernn.importer.file.graph import Dim, Graph

BATCHES = ("b", "bs", "n")  # names of a batch, beside those that begin with "batch"
MOST = 32  # hypotheses of each kind
FEWEST = 2  # readings of a graph of any size


@dataclass(frozen=True)
class Hypothesis:
    """Which axis of each input is time, how long it is, and how to say so."""

    times: Mapping[str, int | None]
    length: Any
    text: str


def is_batch(dim: Dim) -> bool:
    """Whether a dimension is called a batch."""
    return isinstance(dim, str) and (dim.lower() in BATCHES or dim.lower().startswith("batch"))


def hypotheses(graph: Graph) -> Iterator[Hypothesis]:
    """The readings of the graph's inputs, most likely first, until those before have been work enough."""
    step = Hypothesis({}, 1, "none: one frame a call (a step graph)")
    free = itertools.islice(itertools.chain(_free_together(graph), _free(graph)), MOST)
    for number, hypothesis in enumerate(itertools.chain(free, [step], itertools.islice(_fixed(graph), MOST))):
        if number >= FEWEST and graph.work.much:
            return
        yield hypothesis


def _free_together(graph: Graph) -> Iterator[Hypothesis]:
    """One axis of several inputs, where each calls its own length by another name: the second axis, then others."""
    rank = max((len(given.dims or ()) for given in graph.inputs), default=0)
    for axis in sorted(range(rank), key=lambda a: (a != 1, a)):
        named = {g.name: g.dims[axis] for g in graph.inputs if g.dims and axis < len(g.dims) and len(g.dims) > 1}
        free = {name: n for name, n in named.items() if isinstance(n, str)}
        if len(free) > 1 and len(set(free.values())) > 1:
            places = ", ".join(f"axis {axis} of '{name}'" for name in free)
            yield Hypothesis(dict.fromkeys(free, axis), Time(), f"'{next(iter(free.values()))}', {places}")


def _free(graph: Graph) -> Iterator[Hypothesis]:
    names = dict.fromkeys(n for given in graph.inputs for n in given.dims or () if isinstance(n, str))
    for name in names:
        times = {given.name: given.dims.index(name) for given in graph.inputs if given.dims and name in given.dims}
        places = ", ".join(f"axis {axis} of '{given}'" for given, axis in times.items())
        yield Hypothesis(times, Time(), f"'{name}', {places}")


def _fixed(graph: Graph) -> Iterator[Hypothesis]:
    shaped = [given for given in graph.inputs if given.dims and len(given.dims) > 1]
    lengths = dict.fromkeys(n for given in shaped for n in given.dims or () if isinstance(n, int) and n > 1)
    for length in lengths:
        options = [[*(axis for axis, n in enumerate(given.dims or ()) if n == length), None] for given in shaped]
        for axes in itertools.product(*options):
            times = {given.name: axis for given, axis in zip(shaped, axes, strict=True) if axis is not None}
            if times:
                places = ", ".join(f"axis {axis} of '{given}'" for given, axis in times.items())
                yield Hypothesis(times, length, f"fixed at {length} steps, {places}")
