"""Unrolled: a graph of fixed length that holds the computation of a step once for each step, rolled up again.

The nodes of the last step stay. What they carry from the step before becomes a state: it starts from what stands in its
place in step 0, and what replaces it is the same value one step later. All steps must be alike, node for node and
weight for weight, which `alike` proves; otherwise nothing is rolled up, and reading the earlier steps is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgernn.errors import Problem
from edgernn.importer.file.graph import Operator
from edgernn.importer.model.simplify import pruned_parts
from edgernn.importer.walk.alike import Steps, Unlike
from edgernn.importer.walk.rollup import roll
from edgernn.layers.dense import Affine
from edgernn.layers.model import Node
from edgernn.layers.reshape import reshaped
from edgernn.layers.rhythm import WINDOW
from edgernn.layers.rules import Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

UNROLLED = "is unrolled over"
MOST_JOINED = 16  # sequences of one graph that are looked at: each takes a walk over all nodes
KEEP = (
    "export with the recurrent layer as one node (PyTorch: dynamo=False, Keras: unroll=False), or export one step; "
    f"or {WINDOW}"
)


def rolled(g: Build, operator: Operator, inputs: Sequence[Value | None]) -> list[Value | None] | None:
    """The sequence that a Concat of one value for each step makes; None for every other node."""
    pieces = [x for x in inputs if x is not None and x.time is None and x.const is None]
    if operator.kind != "Concat" or not g.moments.steps or not len(pieces) == len(inputs) == g.moments.count:
        return None
    g.moments.joined += 1
    if g.moments.joined > MOST_JOINED:
        return None
    axis = int(operator.attributes.get("axis", 0)) % max(1, len(pieces[0].shape))
    if any(x.shape != pieces[0].shape for x in pieces) or pieces[0].shape[axis : axis + 1] != (1,):
        return None
    try:
        roll(g, [x.name for x in pieces], [])
    except Unlike as unlike:
        g.moments.unlike = g.moments.unlike or str(unlike)
        return None
    sequence = replace(reshaped(g, pieces[-1], pieces[-1].shape, axis), final=False).like(next(iter(g.moments.taken)))
    g.moments.steps[sequence.name], g.moments.unrolled = None, True
    _settle(g, pieces[-1].name)
    g.moments.tainted.pop(sequence.name, None)
    return [sequence]


def _settle(g: Build, piece: str) -> None:
    """The last step is every step now, wherever it is towards this piece of the sequence."""
    nodes, _ = pruned_parts([piece], g.nodes, ())
    made = {name for node in nodes for name in node.outputs}
    g.moments.away -= {name for name in made if g.moments.steps.get(name) == g.moments.count - 1}


def finish(g: Build, outputs: Sequence[str]) -> None:
    """After the walk: roll up what leads to the last step only, and refuse every other step that an output needs."""
    away = _away(g, outputs)
    if away and isinstance(g.length, int):
        try:
            roll(g, [], outputs)
            away, g.moments.unrolled = _away(g, outputs), True
        except Unlike as unlike:
            g.moments.unlike = g.moments.unlike or ("" if g.moments.unrolled else str(unlike))
    if not away and g.moments.unrolled:
        g.nodes, _ = pruned_parts(outputs, _rewired(g), g.states)
        g.recurs = g.recurs or bool(g.moments.rolls)
        g.notes.append(f"unrolled over {g.moments.count} steps in the file: rolled up again")
    if away and g.moments.unlike and repeats(g, max(2, g.moments.count // 2)):
        what = f"{UNROLLED} {g.moments.count} steps, and could not be rolled up: {g.moments.unlike}"
        g.problems.append(Problem("graph", "", what, KEEP))
    else:
        told = set(g.problems)
        g.problems += dict.fromkeys(problem for name in away if (problem := g.moments.tainted[name]) not in told)


def repeats(g: Build, times: int) -> bool:
    """Whether a matrix stands in the graph so often: once for each step, as a rule, or for each but the first."""
    counts = Counter(id(node.layer.weight) for node in g.nodes if isinstance(node.layer, Affine))
    return max(counts.values(), default=0) >= times


def _away(g: Build, outputs: Sequence[str]) -> list[str]:
    """The values that the outputs need and that are a step other than this frame."""
    nodes, _ = pruned_parts(outputs, _rewired(g), g.states)
    return [name for node in nodes for name in node.outputs if name in g.moments.away]


def _rewired(g: Build) -> list[Node]:
    """The nodes, where the last step reads states instead of the step before."""
    if not g.moments.rolls:
        return g.nodes
    steps = Steps(g.nodes, g.moments.steps, g.moments.late)
    return [
        replace(node, inputs=tuple(g.moments.rolls.get(name, name) for name in node.inputs))
        if any(steps.of.get(name) == g.moments.count - 1 for name in node.outputs)
        else node
        for node in g.nodes
    ]
