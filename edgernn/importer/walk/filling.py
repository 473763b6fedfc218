"""Filling: a tensor that a loop writes step by step, which after the loop is the sequence of what was written.

Scripted loops of PyTorch do so (`out[:, t] = h`): the tensor, a constant as long as the sequence, is carried, and each
turn writes the step that the loop is in by ScatterND.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from edgernn.importer.file.graph import Operator
from edgernn.importer.file.read import outside
from edgernn.importer.rewrites.slots import WRITERS, places_written
from edgernn.importer.walk.steps import Now
from edgernn.importer.walk.subgraph import source_in
from edgernn.importer.walk.turns import REMEDY
from edgernn.layers.axes import surely
from edgernn.layers.base import volume
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Value

if TYPE_CHECKING:
    from edgernn.importer.walk.build import Build


def written(g: Build, operator: Operator, data: Value, inputs: Sequence[Value | None]) -> list[Value] | None:
    """What stands in this step of a tensor once it is written, with a time axis of 1; None for every other node."""
    index, updates = (*inputs[1:], None, None)[:2]
    if operator.outputs[0] not in g.moments.filled or data.time is None or index is None or updates is None:
        return None
    if index.const is None or updates.time is not None or operator.attributes.get("reduction", "none") != "none":
        return None
    steps = [n for n in index.const.reshape(-1) if isinstance(n, Now)]
    if not steps or not all(surely(n, Now(data.length)) and surely(n.length, data.length) for n in steps):
        return None
    shape = tuple(1 if axis == data.time else n for axis, n in enumerate(data.shape))
    spots = np.array([0 if isinstance(n, Now) else int(n) for n in index.const.reshape(-1)], np.int64)
    places = places_written(operator, spots.reshape(index.const.shape), shape)
    if places is None or not np.array_equal(places, np.arange(volume(shape))):
        return None
    return [reshaped(g, updates, shape, None)]


def can_be_filled(g: Build, body: onnx.GraphProto, initial: Value, count: Any, old: str, new: str) -> bool:
    """Whether a value that a loop carries has a step for each turn, and is written and read by nothing in between.

    old, new: what the body calls it before and after.
    """
    if initial.const is None or initial.time is None or not surely(initial.length, count):
        return False
    read = Counter(value.name for value in body.output)
    for node in body.node:
        read.update(node.input)
        read.update(name for held in node.attribute if held.HasField("g") for name in outside(held.g, {}))
    makers = {name: node for node in body.node for name in node.output}
    while read[new] == 1 and new in makers and makers[new].op_type == "Identity":
        new = makers[new].input[0]
    maker = makers.get(new)
    if read[new] != 1 or maker is None or maker.op_type not in WRITERS or source_in(body, maker.input[0]) != old:
        return False
    g.moments.filled.add(new)
    return True


def joined_steps(g: Build, initial: Value, new: Value) -> Value:
    """After the loop: the steps that were written into `initial`, as a sequence."""
    if g.moments.now is None:
        g.refuse("carries a whole sequence, and reads none", REMEDY)
    return reshaped(g, new, new.shape, initial.time).like(g.moments.now)
