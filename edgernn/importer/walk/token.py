"""Token: what a graph computes from a token of an input port alone.

Keras lets -1 stand for the last row of a table by arithmetic on the token, and masks a frame whose token is 0. Such a
computation is tried on every token: it is the token itself where it picks the row that the token picks, and a table to
look up where it is anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.constant import Constant
from edgernn.layers.embedding import Embedding
from edgernn.layers.model import Node
from edgernn.layers.pointwise import Combine, Map, Select
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import AS_WINDOW, Take

UNTOLD = "picks by a number that is computed at run time", f"feed the token itself, or {AS_WINDOW}"
LARGEST = 1 << 22  # numbers in all values that are computed from every token


@dataclass(frozen=True)
class OfToken:
    """A value each number of which is computed from one token alone."""

    made: Array  # the number for each token that is tried; one number for all of them where it is a constant
    places: Array  # which token of the window each number of the value is made of; -1: of none, a constant


class Makers:
    """Which node makes each value of a walk, for a list of nodes that grows at its end as a rule."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[int, Node]] = {}
        self._count = 0
        self._last: Node | None = None

    def of(self, nodes: Sequence[Node]) -> Mapping[str, tuple[int, Node]]:
        """value -> (its place among these nodes, the node that makes it)."""
        if self._count and nodes[min(self._count, len(nodes)) - 1] is not self._last:  # nodes have come in between
            self._made, self._count = {}, 0
        for place in range(self._count, len(nodes)):
            self._made.update(dict.fromkeys(nodes[place].outputs, (place, nodes[place])))
        self._count, self._last = len(nodes), nodes[-1] if nodes else None
        return self._made


def token_of(
    makers: Mapping[str, tuple[int, Node]], ports: Mapping[str, int], window: int, value: str, vocabulary: int
) -> tuple[str, Array] | None:
    """(the input port that `value` holds tokens of, which of those of a window); None where it is something else."""
    order, ports_read = _needed(makers, ports, value)
    if len(ports_read) != 1 or vocabulary * len(order) > LARGEST:
        return None
    (port,) = ports_read
    tokens = np.arange(-vocabulary, vocabulary, dtype=np.float64)
    picked = _on_tokens(order, port, window * ports[port], tokens).get(value)
    if picked is None or picked.places.min(initial=0) < 0:
        return None
    right = (picked.made >= -vocabulary) & (picked.made < vocabulary) & ((picked.made - tokens) % vocabulary == 0)
    return (port, picked.places) if right.all() else None


def of_several_sizes(port: str, *rows: int) -> tuple[str, str]:
    """Why the tokens of a port cannot pick from these tables, and what to do."""
    what = f"the tokens of '{port}' pick from tables of {' and '.join(map(str, rows))} rows: one bound holds for all"
    return what, "export with an input for each token, or with tables of one size"


def looked_up(nodes: Sequence[Node], port: str, count: int, vocabulary: int, roots: Mapping[str, str]) -> list[Node]:
    """The nodes, with tables in the place of what computes numbers from a token of `port` alone.

    `count`: how many tokens an evaluation holds. `roots`: the values that are an input in another shape. A table has a
    row for each token 0 .. vocabulary - 1, then for -vocabulary .. -1, so that a negative token finds its own by
    counting from the end.
    """
    tokens = np.concatenate([np.arange(vocabulary), np.arange(-vocabulary, 0)]).astype(np.float64)
    known = _on_tokens(nodes, port, count, tokens) if vocabulary <= LARGEST else {}
    inner = {name for node in nodes if node.outputs[0] in known for name in node.inputs}
    read = {name for node in nodes if node.outputs[0] not in known for name in node.inputs}
    changed: list[Node] = []
    for node in nodes:
        name = node.outputs[0]
        if name not in known or known[name].places.max(initial=-1) < 0 or name in roots or name in inner - read:
            changed.append(node)
            continue
        at = known[name].places
        table, row = known[name].made.astype(np.float32).reshape(-1, 1), f"{name}.row"
        order = Reshape(at.shape) if np.array_equal(at.reshape(-1), range(count)) else Take(at.reshape(-1), at.shape)
        changed += [Node(row, Embedding(table), (port,), (row,)), Node(name, order, (row,), (name,))]
    return changed


def _on_tokens(nodes: Sequence[Node], port: str, count: int, tokens: Array) -> dict[str, OfToken]:
    """What the `count` tokens of `port`, and all that depends on one of them alone, are for each of these tokens.

    Of a graph that computes too much from a token, as much as is affordable.
    """
    known = {port: OfToken(tokens, np.arange(count, dtype=np.int32))}
    left = 4 * LARGEST
    for node in nodes:
        name, layer = node.outputs[0], node.layer
        if left < tokens.size:
            break
        if isinstance(layer, Constant) and layer.values.size == 1:
            known[name] = OfToken(layer.values.reshape(-1), np.full(layer.values.shape, -1, np.int32))
        if any(value not in known for value in node.inputs) or not node.inputs:
            continue
        inputs = [known[value] for value in node.inputs]
        if isinstance(layer, Reshape) or (isinstance(layer, Take) and layer.index.min(initial=0) >= 0):
            known[name] = OfToken(inputs[0].made, layer.step(inputs[0].places)[0])
        elif isinstance(layer, (Map, Combine, Select)) and (at := _shared([x.places for x in inputs])) is not None:
            known[name] = OfToken(layer.step(*(x.made for x in inputs))[0], at)
            left -= tokens.size
    return known


def _shared(places: Sequence[Array]) -> Array | None:
    """Which token each number of a combination is made of; None where one is made of several."""
    spread = np.broadcast_arrays(*places)
    at: Array = np.max(spread, axis=0)
    return at if all(((one == at) | (one < 0)).all() for one in spread) else None


def _needed(
    makers: Mapping[str, tuple[int, Node]], ports: Mapping[str, int], value: str
) -> tuple[list[Node], list[str]]:
    """The nodes that `value` is computed by, in the order of the graph, and the ports that they read."""
    seen: set[str] = set()
    places: dict[int, Node] = {}
    waiting = [value]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            if name in makers:
                place, node = makers[name]
                places[place] = node
                waiting.extend(node.inputs)
    return [places[place] for place in sorted(places)], [name for name in ports if name in seen]
