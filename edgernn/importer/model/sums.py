"""Sums: a value as W x + R h + b + ..., seen through additions, cuts and reshapes. What a gate adds up.

Only what one Affine at one position makes counts as a product; everything else is one term as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgernn.layers.base import Array, volume
from edgernn.layers.constant import Constant
from edgernn.layers.dense import Affine
from edgernn.layers.model import Model, Node
from edgernn.layers.pointwise import Combine, Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.take import Take

MOST_PARTS = 64  # of the sum in a gate, which has some ten


@dataclass
class Sum:
    """products: value -> its matrix (size, n); bias: (size,); others: values of `size` numbers that are added.

    `cut`: the matrices are parts of larger ones.
    """

    bias: Array
    products: dict[str, Array] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    cut: bool = False


class Sums:
    """Reads sums off a model."""

    def __init__(self, model: Model):
        self.shapes = model.shapes
        self.makers = {name: node for node in model.nodes for name in node.outputs}

    def size(self, value: str) -> int:
        """How many numbers a value holds."""
        return volume(self.shapes[value])

    def root(self, value: str) -> str:
        """The value that this one is in another shape."""
        while (node := self.makers.get(value)) is not None and isinstance(node.layer, Reshape):
            (value,) = node.inputs
        return value

    def maker(self, value: str) -> Node | None:
        """What makes a value, reshapes apart."""
        return self.makers.get(self.root(value))

    def mapped(self, value: str, *functions: str) -> tuple[str, str] | None:
        """(function, its operand) where a value is one of these functions of another."""
        node = self.maker(value)
        if node is None or not isinstance(node.layer, Map) or node.layer.function not in functions:
            return None
        return node.layer.function, self.root(node.inputs[0])

    def operands(self, value: str, operation: str) -> tuple[str, str] | None:
        """The operands where a value combines two of its own size."""
        node = self.maker(value)
        if node is None or not isinstance(node.layer, Combine) or node.layer.operation != operation:
            return None
        a, b = (self.root(name) for name in node.inputs)
        return (a, b) if self.size(a) == self.size(b) == self.size(value) else None

    def of(self, value: str) -> Sum | None:
        """A value as a sum; None where a matrix would count twice for one operand, or it has too many parts."""
        size = self.size(value)
        total = Sum(np.zeros(size, np.float32))
        waiting = [(self.root(value), 0, size)]  # a part of a value: numbers start .. start + size
        for _ in range(MOST_PARTS):
            if not waiting:
                return total
            inner = self._inner(*waiting.pop(), total)
            if inner is None:
                return None
            waiting += inner
        return None

    def _inner(self, value: str, start: int, size: int, total: Sum) -> list[tuple[str, int, int]] | None:
        """Add a part of a value to the total, or give the parts that it is made of."""
        node, whole = self.makers.get(value), self.size(value)
        layer = None if node is None else node.layer
        if node is not None and isinstance(layer, Take) and _is_cut(layer):
            return [(self.root(node.inputs[0]), start + int(layer.index[0]), size)]
        if node is not None and isinstance(layer, Combine) and layer.operation == "add":
            parts = [self.root(name) for name in node.inputs]
            if all(self.size(part) == whole for part in parts):
                return [(part, start, size) for part in parts]
        if isinstance(layer, Constant):
            total.bias = total.bias + layer.values.reshape(-1)[start : start + size]
            return []
        if node is not None and isinstance(layer, Affine) and isinstance(layer.weight, np.ndarray):
            rows, cols = layer.weight.shape
            operand = self.root(node.inputs[0])
            if (rows, cols) == (whole, self.size(operand)):
                if operand in total.products:
                    return None
                total.cut = total.cut or size < whole
                total.products[operand] = layer.weight[start : start + size]
                if layer.bias is not None:
                    total.bias = total.bias + layer.bias[start : start + size]
                return []
        if (start, size) != (0, whole):
            return None
        total.others.append(value)
        return []


def _is_cut(layer: Take) -> bool:
    """Whether a Take gives neighbouring numbers in their order."""
    first = int(layer.index[0]) if layer.index.size else -1
    return first >= 0 and np.array_equal(layer.index, np.arange(first, first + layer.index.size))
