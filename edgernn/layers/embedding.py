"""Embedding: a row of a table for a token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edgernn.layers.base import Array, Builder, Layer, Matrix, Ref, Shape, dense, volume
from edgernn.layers.reshape import reshaped
from edgernn.layers.rules import Importing, Value
from edgernn.layers.take import taken


@dataclass(frozen=True, eq=False)
class Embedding(Layer):
    """y = table[token]; a negative token counts from the end."""

    table: Matrix  # (vocabulary, size)

    quantisable: ClassVar[tuple[str, ...]] = ("table",)

    @property
    def vocabulary(self) -> int:
        """How many rows the table has."""
        return self.table.shape[0]

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (token,) = inputs
        return ((*token[:-1], self.table.shape[1]) if token[-1:] == (1,) else (*token, self.table.shape[1]),)

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        (shape,) = self.shapes(inputs[0].shape)
        return (dense(self.table)[inputs[0].reshape(-1).astype(np.int64)].reshape(shape),)

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        return (b.lookup(inputs[0], self.table),)


def told_apart(g: Importing, x: Value, other: Value) -> Value | None:
    """x == other where x is a token and the other is 0, 1, 2 ... along the last axis; None for anything else."""
    held, count = other.const, other.shape[-1] if other.shape else 0
    if held is None or other.time is not None or count < 2 or not np.array_equal(held.reshape(-1), np.arange(count)):
        return None
    alone = x.shape[-1:] == (1,) and x.time != len(x.shape) - 1 and len(other.shape) <= len(x.shape)
    if x.const is not None or not alone or np.dtype(x.dtype).kind not in "iu" or not g.is_token(x, count):
        return None
    table = np.eye(2 * count, count, dtype=np.float32)  # the later rows are those that negative tokens find
    return replace(_rows(g, table, x, count, x.shape[:-1]), dtype=np.bool_)


def embedded(g: Importing, data: Value, indices: Value, axis: int) -> Value:
    """ONNX Gather of a constant by a token: the rows of a table."""
    if data.const is None or data.time is not None:
        g.refuse("picks by a number that is computed at run time", "only constant tables can be looked up in a stream")
    if axis != 0 or data.const.ndim < 1:
        g.refuse(f"axis={axis}: tokens can pick along axis 0 of a table only")
    vocabulary, *rest = data.const.shape
    if not vocabulary:
        g.refuse("the table is empty")
    table = np.ascontiguousarray(data.const.reshape(vocabulary, -1), np.float32)
    rows = _rows(g, table, indices, vocabulary, indices.shape)
    return reshaped(g, rows, (*indices.shape, *rest), rows.time)


def _rows(g: Importing, table: Array, x: Value, vocabulary: int, lead: Shape) -> Value:
    """The rows that the tokens x pick, (*lead, size)."""
    tokens, places = g.token(x, vocabulary)
    (y,) = g.add(Embedding(table), tokens)
    numbers = np.arange(volume(y.shape)).reshape(-1, table.shape[1])
    rows = taken(g, y, numbers[places.reshape(-1)].reshape(*lead, table.shape[1]), x.time)
    return rows if x.time is None else rows.like(x)
