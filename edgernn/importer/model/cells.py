"""Cells: an RNN, GRU or LSTM written out in arithmetic becomes one layer again, where it is exactly that.

The forms are those of layers.rnn, layers.gru and layers.lstm with their standard activations, as PyTorch and Keras
write them. W and R may come in one piece or a gate at a time, and the parts of a sum in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgernn.importer.model.sums import Sum, Sums
from edgernn.importer.walk.once import Once
from edgernn.layers.activations import Activation
from edgernn.layers.base import Array, Layer
from edgernn.layers.constant import Constant
from edgernn.layers.gru import GRU
from edgernn.layers.lstm import LSTM
from edgernn.layers.model import Model, Node
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.rnn import RNN


@dataclass(frozen=True)
class Cell:
    """A layer, what it reads, and the values that are its outputs."""

    layer: Layer
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def cells_found(model: Model) -> Model:
    """The model with every cell that is written out as one layer."""
    sums, once = Sums(model), Once()
    states = {state.name for state in model.states}
    written_out = model.window > 1  # a loop: its cells start from a constant, and from each other
    if written_out:
        states.update(node.outputs[0] for node in model.nodes if isinstance(node.layer, Constant))
    cells: dict[str, Cell] = {}
    for node in model.nodes:
        for find in (_lstm, _gru, _rnn):
            cell = find(sums, states, node)
            if cell is not None and not any(name in cells for name in cell.outputs):
                cell = replace(cell, layer=once.of(cell.layer)[0])
                cells.update(dict.fromkeys(cell.outputs, cell))
                states.update(cell.outputs if written_out else ())
                break
    if not cells:
        return model
    return replace(model, nodes=tuple(_placed(model, cells)))


def _placed(model: Model, cells: dict[str, Cell]) -> Iterable[Node]:
    """The nodes, with each cell where its first output stood."""
    done: set[str] = set()
    for node in model.nodes:
        name = node.outputs[0]
        if name not in cells:
            yield node
            continue
        cell = cells[name]
        made = tuple(f"{output}.cell" for output in cell.outputs)
        if made[0] not in done:
            yield Node(made[0], cell.layer, cell.inputs, made)
            done.add(made[0])
        yield Node(name, Reshape(model.shapes[name]), (made[cell.outputs.index(name)],), (name,))


def _rnn(sums: Sums, states: set[str], node: Node) -> Cell | None:
    """f(W x + R h + b)."""
    found = sums.mapped(node.outputs[0], "tanh", "relu") if isinstance(node.layer, Map) else None
    total = sums.of(found[1]) if found else None
    if found is None or total is None or total.others or total.cut or len(total.products) != 2:
        return None
    size = sums.size(node.outputs[0])
    for h in total.products:
        (x,) = total.products.keys() - {h}
        if h in states and x not in states and sums.size(h) == size:
            activation: Activation = (found[0], 0.0, 0.0)
            return Cell(RNN(total.products[x], total.products[h], total.bias, activation), (x, h), node.outputs)
    return None


def _gate(sums: Sums, value: str, function: str) -> Sum | None:
    """The sum that this function is taken of, without further terms."""
    found = sums.mapped(value, function)
    total = sums.of(found[1]) if found else None
    return total if total is not None and not total.others else None


def _lstm(sums: Sums, states: set[str], node: Node) -> Cell | None:
    """o * tanh(c'), c' = f * c + i * tanh(...)."""
    factors = sums.operands(node.outputs[0], "mul") if isinstance(node.layer, Combine) else None
    for o, t in _both(factors):
        found = sums.mapped(t, "tanh")
        if found is None:
            continue
        for kept, added in _both(sums.operands(found[1], "add")):
            for f, c in _both(sums.operands(kept, "mul")):
                for i, g in _both(sums.operands(added, "mul")):
                    if c in states:
                        gates = [_gate(sums, v, "sigmoid") for v in (i, o, f)] + [_gate(sums, g, "tanh")]
                        cell = _lstm_of(sums, states, gates, c, (node.outputs[0], found[1]))
                        if cell is not None:
                            return cell
    return None


def _lstm_of(
    sums: Sums, states: set[str], gates: Sequence[Sum | None], c: str, outputs: tuple[str, str]
) -> Cell | None:
    stacked = _stacked(sums, states, gates, sums.size(c))
    if stacked is None:
        return None
    x, h, W, R, bias = stacked
    return Cell(LSTM(W, R, bias), (x, h, c), outputs)


def _stacked(
    sums: Sums, states: set[str], gates: Sequence[Sum | None], size: int
) -> tuple[str, str, Array, Array, Array] | None:
    """(x, h, W, R, bias) of gates that all add up the same x and the same state h."""
    held = [gate for gate in gates if gate is not None]
    operands = {name for gate in held for name in gate.products}
    carried = [name for name in operands if name in states and sums.size(name) == size]
    if len(held) != len(gates) or len(operands) != 2 or len(carried) != 1:
        return None
    (h,) = carried
    (x,) = operands - {h}
    if any(gate.products.keys() != operands for gate in held):
        return None
    W, R = (np.concatenate([gate.products[name] for gate in held]) for name in (x, h))
    return x, h, W, R, np.concatenate([gate.bias for gate in held])


def _gru(sums: Sums, states: set[str], node: Node) -> Cell | None:
    """(1 - z) * n + z * h, or (h - n) * z + n."""
    terms = sums.operands(node.outputs[0], "add") if isinstance(node.layer, Combine) else None
    for a, b in _both(terms):
        for z, other in _both(sums.operands(a, "mul")):
            if other in states:
                for rest, n in _both(sums.operands(b, "mul")):
                    if _is_one_minus(sums, rest, z) and (cell := _gru_of(sums, states, z, n, other, node.outputs)):
                        return cell
            difference = sums.operands(other, "sub")
            if difference is not None and difference[1] == b and difference[0] in states:
                cell = _gru_of(sums, states, z, b, difference[0], node.outputs)
                if cell is not None:
                    return cell
    return None


def _gru_of(sums: Sums, states: set[str], z: str, n: str, h: str, outputs: tuple[str, ...]) -> Cell | None:
    """The GRU of these gates; n decides whether the reset comes before the product with R or after it."""
    found = sums.mapped(n, "tanh")
    total = sums.of(found[1]) if found else None
    if total is None:
        return None
    after = _reset_after(sums, total, h) if total.others else None
    before = None if total.others else _reset_before(sums, total, h)
    part = after or before
    if part is None:
        return None
    r, candidate, recurrent = part
    gates = _stacked(sums, states, [_gate(sums, z, "sigmoid"), _gate(sums, r, "sigmoid")], sums.size(h))
    if gates is None or gates[1] != h or candidate.products.keys() != {gates[0]} or recurrent.products.keys() != {h}:
        return None
    x = gates[0]
    W = np.concatenate([gates[2], candidate.products[x]])
    R = np.concatenate([gates[3], recurrent.products[h]])
    bias = np.concatenate([gates[4], candidate.bias, recurrent.bias])
    return Cell(GRU(W, R, bias, after is not None), (x, h), outputs)


def _reset_after(sums: Sums, total: Sum, h: str) -> tuple[str, Sum, Sum] | None:
    """(r, the input's sum, the recurrent sum) of W x + b + r * (R h + b)."""
    if len(total.others) != 1:
        return None
    for r, product in _both(sums.operands(total.others[0], "mul")):
        recurrent = sums.of(product)
        if recurrent is not None and not recurrent.others and recurrent.products.keys() == {h}:
            return r, Sum(total.bias, total.products), recurrent
    return None


def _reset_before(sums: Sums, total: Sum, h: str) -> tuple[str, Sum, Sum] | None:
    """(r, the input's sum, the recurrent sum) of W x + R (r * h) + b."""
    for name, weight in total.products.items():
        for r, other in _both(sums.operands(name, "mul")):
            if other == h:
                rest = {operand: held for operand, held in total.products.items() if operand != name}
                return r, Sum(total.bias, rest), Sum(np.zeros_like(total.bias), {h: weight})
    return None


def _is_one_minus(sums: Sums, value: str, z: str) -> bool:
    """Whether a value is 1 - z."""
    node = sums.maker(value)
    if node is None:
        return False
    if isinstance(node.layer, Map):
        function = (node.layer.function, node.layer.alpha, node.layer.beta)
        return function == ("affine", -1.0, 1.0) and sums.root(node.inputs[0]) == z
    ones = sums.makers.get(sums.root(node.inputs[0])) if node.inputs else None
    same = isinstance(node.layer, Combine) and node.layer.operation == "sub" and sums.root(node.inputs[1]) == z
    return same and ones is not None and ones.layer.attributes() == {} and _all_ones(ones.layer)


def _all_ones(layer: Layer) -> bool:
    held = dict(layer.weights()).get("values")
    return isinstance(held, np.ndarray) and bool((held == 1).all())


def _both(pair: tuple[str, str] | None) -> list[tuple[str, str]]:
    """A pair in either order."""
    return [] if pair is None else [pair, pair[::-1]]
