"""Token: whether a number that the graph computes is just the token of an input port.

Keras lets -1 stand for the last row of a table by arithmetic on the token. Such a computation is tried on every token:
it is none where it picks the row that the token itself picks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.constant import Constant
from edgernn.layers.model import Node
from edgernn.layers.pointwise import Combine, Map, Select
from edgernn.layers.reshape import Reshape

LARGEST = 1 << 22  # tokens


def token_of(nodes: Sequence[Node], ports: Mapping[str, int], value: str, vocabulary: int) -> str | None:
    """The input port of which `value` is the token; None where it is something else."""
    makers = {name: node for node in nodes for name in node.outputs}
    order, ports_read = _needed(makers, ports, value)
    if len(ports_read) != 1 or ports[ports_read[0]] != 1 or vocabulary > LARGEST:
        return None
    tokens = np.arange(-vocabulary, vocabulary, dtype=np.float64)
    known: dict[str, Array] = {ports_read[0]: tokens}
    for node in order:
        if isinstance(node.layer, Reshape):
            known[node.outputs[0]] = known[node.inputs[0]]
        elif isinstance(node.layer, Constant) and node.layer.values.size == 1:
            known[node.outputs[0]] = node.layer.values.reshape(-1)
        elif isinstance(node.layer, (Map, Combine, Select)):
            (known[node.outputs[0]],) = node.layer.step(*(known[name] for name in node.inputs))
        else:
            return None
    picked = np.broadcast_to(known[value], tokens.shape)
    right = (picked >= -vocabulary) & (picked < vocabulary) & ((picked - tokens) % vocabulary == 0)
    return ports_read[0] if right.all() else None


def _needed(makers: Mapping[str, Node], ports: Mapping[str, int], value: str) -> tuple[list[Node], list[str]]:
    """The nodes that `value` is computed by, in the order of the graph, and the ports that they read."""
    seen: set[str] = set()
    waiting = [value]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(makers[name].inputs if name in makers else ())
    order = [node for name, node in makers.items() if name in seen]
    return order, [name for name in ports if name in seen]
