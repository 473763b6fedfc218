"""Free: whether something recurs along a dimension that the file leaves free, so that a graph is no step graph."""

from __future__ import annotations

from dataclasses import replace

import onnx

from edgernn.errors import Problem
from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.file.nodes import nodes_in
from edgernn.importer.file.work import WALKED
from edgernn.importer.readings.time import is_batch
from edgernn.importer.walk.build import Build
from edgernn.layers.recurrent import CELLS, SEVERAL_STEPS
from edgernn.layers.rhythm import WINDOW

RECURRENT = (*CELLS, "Loop", "Scan")  # operators that may run over several steps
MANY = range(31, 43)  # what a free dimension counts to see what runs along it: one of these divides by 2 to 12


def along_a_free_dimension(graph: Graph, step: Build) -> list[Problem]:
    """Why a graph is no step graph: a recurrent layer runs along a dimension that is free, and not the batch.

    Each free dimension is tried by itself, since a graph need not work with more than one in another; and at several
    lengths, since strides and stacked frames may need one that divides. Where none works, and cells start from
    constants, nothing shows that the graph is called for each frame.
    """
    last = max((n for n, operator in enumerate(graph.operators, 1) if _may_recur(operator)), default=0)
    begun = replace(graph, operators=graph.operators[:last], outputs=())
    lengths = MANY[: max(1, WALKED // (1 + last))]
    for name in dict.fromkeys(n for given in graph.inputs for n in given.dims or () if isinstance(n, str)):
        for length in lengths:
            longer = Build(begun, 1, {}, free={name: length})
            problems = [problem for problem in (*longer.problems, *longer.in_frame) if problem not in step.in_frame]
            if along := [problem for problem in problems if problem.what.startswith(SEVERAL_STEPS)]:
                return along
            if not longer.problems and step.states and not is_batch(name):
                what = f"runs a cell on one step of a sequence, '{name}', which is free: for each length it starts anew"
                return [Problem("graph", "", what, f"export the cell with its state as input and output, or {WINDOW}")]
            if not longer.problems or graph.work.much:
                break
        else:
            if step.states and not is_batch(name):
                what = (
                    f"may run over '{name}', which is free; but with another size than 1 it {longer.problems[0].what}"
                )
                return [longer.problems[0]._replace(what=what)]
    return []


def _may_recur(operator: Operator) -> bool:
    """Whether the operator, or one in a subgraph of it, is one of RECURRENT."""
    bodies = [value for value in operator.attributes.values() if isinstance(value, onnx.GraphProto)]
    return operator.kind in RECURRENT or any(node.op_type in RECURRENT for node in nodes_in(bodies))
