"""Token: what a graph computes from the token of an input port alone.

Keras lets -1 stand for the last row of a table by arithmetic on the token, and masks a frame whose token is 0. Such a
computation is tried on every token: it is the token itself where it picks the row that the token picks, and a table to
look up where it is anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgernn.layers.base import Array, Shape, volume
from edgernn.layers.constant import Constant
from edgernn.layers.embedding import Embedding
from edgernn.layers.model import Node
from edgernn.layers.pointwise import Combine, Map, Select
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import AS_WINDOW

LARGEST = 1 << 22  # numbers in all values that are computed from every token


def token_of(nodes: Sequence[Node], ports: Mapping[str, int], window: int, value: str, vocabulary: int) -> str | None:
    """The input port of which `value` holds the tokens of a window, in order; None where it is something else."""
    makers = {name: node for node in nodes for name in node.outputs}
    order, ports_read = _needed(makers, ports, value)
    if len(ports_read) != 1 or ports[ports_read[0]] != 1 or vocabulary * len(order) > LARGEST:
        return None
    tokens = np.arange(-vocabulary, vocabulary, dtype=np.float64)
    picked = _on_tokens(order, ports_read[0], window, tokens).get(value)
    if picked is None:
        return None
    right = (picked >= -vocabulary) & (picked < vocabulary) & ((picked - tokens) % vocabulary == 0)
    return ports_read[0] if np.broadcast_to(right, tokens.shape).all() else None


def untold(nodes: Sequence[Node], ports: Mapping[str, int], value: str) -> tuple[str, str]:
    """Why `value` is no token of a port, and what to do."""
    _, names = _needed({name: node for node in nodes for name in node.outputs}, ports, value)
    if len(names) == 1 and ports[names[0]] > 1:
        what = f"picks by one of the {ports[names[0]]} numbers of '{names[0]}' in a frame: a stream takes one token"
        return what, f"export with an input for each token, or, where these follow each other in time, {AS_WINDOW}"
    return "picks by a number that is computed at run time", f"feed the token itself, or {AS_WINDOW}"


def looked_up(nodes: Sequence[Node], port: str, window: int, vocabulary: int, roots: Mapping[str, str]) -> list[Node]:
    """The nodes, with tables in the place of what computes numbers from a token of `port` alone.

    `window`: how many tokens an evaluation holds. `roots`: the values that are an input in another shape. A table has a
    row for each token 0 .. vocabulary - 1, then for -vocabulary .. -1, so that a negative token finds its own by
    counting from the end.
    """
    tokens = np.concatenate([np.arange(vocabulary), np.arange(-vocabulary, 0)]).astype(np.float64)
    known = _on_tokens(nodes, port, window, tokens) if vocabulary <= LARGEST else {}
    inner = {name for node in nodes if node.outputs[0] in known for name in node.inputs}
    read = {name for node in nodes if node.outputs[0] not in known for name in node.inputs}
    shapes: dict[str, Shape] = {port: (window,)}
    changed: list[Node] = []
    for node in nodes:
        name = node.outputs[0]
        if name in known:
            shapes[name] = node.layer.shapes(*(shapes[value] for value in node.inputs))[0]
        if name not in known or known[name].size == 1 or name in roots or name in inner - read:
            changed.append(node)
            continue
        table, row = known[name].astype(np.float32).reshape(-1, 1), f"{name}.row"
        changed += [Node(row, Embedding(table), (port,), (row,)), Node(name, Reshape(shapes[name]), (row,), (name,))]
    return changed


def _on_tokens(nodes: Sequence[Node], port: str, window: int, tokens: Array) -> dict[str, Array]:
    """What a token of `port`, and each number that depends on it alone, is for each of these tokens.

    Of a graph that computes too much from a token, as much as is affordable.
    """
    known: dict[str, Array] = {port: tokens}
    shapes: dict[str, Shape] = {port: (window,)}
    left = 4 * LARGEST
    for node in nodes:
        name = node.outputs[0]
        if left < tokens.size:
            break
        if isinstance(node.layer, Constant) and node.layer.values.size == 1:
            known[name], shapes[name] = node.layer.values.reshape(-1), node.layer.values.shape
        elif isinstance(node.layer, (Reshape, Map, Combine, Select)) and all(n in known for n in node.inputs):
            (shape,) = node.layer.shapes(*(shapes[n] for n in node.inputs))
            inputs = [known[n] for n in node.inputs]
            if volume(shape) in (1, window):  # more is a table of pairs of tokens
                shapes[name] = shape
                (known[name],) = inputs if isinstance(node.layer, Reshape) else node.layer.step(*inputs)
                left -= 0 if known[name] is inputs[0] else tokens.size
    return known


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
