"""Branches: If, whose condition is known now, or is the business of each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx

from edgernn.importer.file.graph import Operator
from edgernn.importer.rewrites.preset import unset
from edgernn.importer.walk.subgraph import walked
from edgernn.layers.base import volume
from edgernn.layers.combine import where
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build

MOST = 256  # branches that only a frame decides on: all of them are computed


def branched(g: Build, operator: Operator, inputs: Sequence[Value | None]) -> Sequence[Value | None]:
    """ONNX If: what the branch makes that is taken; both, and one of each result, where only a frame tells which."""
    condition = inputs[0] if inputs else None
    if condition is None or (condition.const is not None and condition.const.dtype == object):
        g.refuse("its condition depends on the number of steps")
    if condition.const is None:
        return _either(g, operator, condition)
    return _branch(g, operator.attributes["then_branch" if condition.const.all() else "else_branch"])


def _branch(g: Build, graph: onnx.GraphProto) -> list[Value | None]:
    """What a branch makes."""
    names = [value.name for value in graph.output]
    made = walked(g, graph, {}, names)
    return [made[name] for name in names]


def _either(g: Build, operator: Operator, condition: Value) -> list[Value | None]:
    """Both branches, which have no effect but what they make, and of each pair the one that the condition says."""
    g.branches += 1
    if g.branches > MOST:
        g.refuse(f"is one of more than {MOST} whose condition is known only at run time")
    whole = any(np.dtype(given.dtype).kind in "biu" and given.name not in g.tokens for given in g.graph.inputs)
    settable = whole and unset(g.graph, g.nodes, list(g.ports), [condition])
    if settable or condition.time is not None or volume(condition.shape) != 1:
        g.refuse("its condition is known only at run time")
    chosen: list[Value | None] = []
    branches = (_branch(g, operator.attributes[name]) for name in ("then_branch", "else_branch"))
    for yes, no in zip(*branches, strict=True):
        if yes is None or no is None:
            chosen.append(None)
            continue
        if yes.shape != no.shape or yes.time != no.time:
            g.refuse(f"makes {list(yes.shape)} or {list(no.shape)}, as a condition says that is known only at run time")
        chosen.append(where(g, reshaped(g, condition, (), None), yes, no))
    return chosen
