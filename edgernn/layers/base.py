"""The layer contract: pure functions of one frame's values, defined in NumPy, lowered in a few verbs.

A layer has no state of its own. What a recurrent cell remembers comes in as an ordinary input value and leaves as an
ordinary output value; the model carries one to the other between frames (`model.State`). So a cell, an explicit state
of a step graph and a ring of past frames are all one mechanism.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]


class NumberFormat(NamedTuple):
    """How the weights of a matrix are held as integers."""

    kind: type[np.signedinteger[Any]]
    largest: int  # weights lie within -largest..largest
    group: int = 0  # columns that share a factor; 0 where there are no factors


# int8x16 holds what int8 does, and meets activations of 16 bits instead of 8; int16 has 16 on both sides, int4 meets 8
FORMATS: dict[str, NumberFormat] = {
    "int8": NumberFormat(np.int8, 127),
    "int8x16": NumberFormat(np.int8, 127),
    "int16": NumberFormat(np.int16, 32767),
    "int4": NumberFormat(np.int8, 7, group=32),
}


@dataclass(frozen=True, eq=False)
class QuantisedMatrix:
    """Weights (rows, cols) as integers with one scale a row: W[r, c] = q[r, c] * factor[r, c // group] * scale[r]."""

    q: Array  # (rows, cols) of the format's kind
    scale: Array  # (rows,) float32, finite and > 0
    format: str = "int8"  # one of FORMATS
    factor: Array | None = None  # (rows, ceil(cols / group)) uint8, where the format has groups
    reach: Array | None = None  # (1,) float32 > 0: the largest activation held, beyond which it is cut off; None: each
    # vector is scaled by its own largest number

    @property
    def shape(self) -> Shape:
        """(rows, cols)."""
        return self.q.shape

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays as a file holds them: two weights of 4 bits in a byte."""
        rows, cols = self.q.shape
        saved = 0 if self.factor is None else rows * (cols // 2)
        return sum(int(part.nbytes) for part in self.parts()) - saved

    def parts(self) -> tuple[Array, ...]:
        """All arrays."""
        return tuple(part for part in (self.q, self.scale, self.factor, self.reach) if part is not None)

    def dense(self) -> Array:
        """The float32 matrix (rows, cols) that these weights stand for."""
        q = self.q.astype(np.float32)
        if self.factor is not None:
            q *= self.factor.repeat(FORMATS[self.format].group, axis=1)[:, : q.shape[1]]
        return q * self.scale[:, None]


Matrix = Array | QuantisedMatrix  # an array is of float32, or of float16 where that is how the file holds it


def dense(weight: Matrix) -> Array:
    """The weight as an ordinary array, whatever its storage."""
    if isinstance(weight, QuantisedMatrix):
        return weight.dense()
    return weight.astype(np.float32) if weight.dtype == np.float16 else weight


@runtime_checkable
class Ref(Protocol):
    """A value while a layer is lowered: `size` float32 numbers (or one token) somewhere in the arena."""

    @property
    def size(self) -> int: ...


class Builder(Protocol):
    """The verbs that a layer is lowered in. All values are flat float32 vectors in C order; tokens are integers."""

    def constant(self, values: Array) -> Ref:
        """values, the same in every frame."""

    def affine(self, x: Ref, weight: Matrix, bias: Array | None, count: int = 1) -> Ref:
        """y[p] = weight @ x[p] + bias for p < count; x: (count, cols), weight: (rows, cols), y: (count, rows)."""

    def along(self, x: Ref, weight: Matrix, count: int = 1) -> tuple[Ref, Matrix]:
        """x (count, cols) and weight (rows, cols) with the columns in the order in which x lies in memory."""

    def sums(self, x: Ref, index: Array, factors: Array, bias: Array) -> Ref:
        """y[p] = bias[p] + sum over k of factors[p, k] * x[index[p, k]]; index, factors: (P, K)."""

    def map(self, function: str, x: Ref, alpha: float = 0.0, beta: float = 0.0) -> Ref:
        """y[i] = function(x[i]); the functions are those of `pointwise.FUNCTIONS`."""

    def combine(self, operation: str, a: Ref, b: Ref) -> Ref:
        """y[i] = a[i] operation b[i]; sizes equal, or one of them 1; operations: `pointwise.OPERATIONS`."""

    def select(self, condition: Ref, a: Ref, b: Ref) -> Ref:
        """y[i] = a[i] where condition[i] != 0, else b[i]; all of one size."""

    def take(self, x: Ref, index: Array, fill: float = 0.0) -> Ref:
        """y[i] = x[index[i]], and `fill` where index[i] is -1; index: flat, int."""

    def view(self, x: Ref, start: int, size: int) -> Ref:
        """x[start:start + size], without a copy."""

    def join(self, *parts: Ref) -> Ref:
        """All parts, one after the other."""

    def collect(self, parts: Iterable[Ref], size: int) -> Ref:
        """The same for parts of `size` numbers in all, each joined as soon as it is made."""

    def reduce(self, operation: str, x: Ref, rows: int, cols: int) -> Ref:
        """y[r] = operation over x[r, :]; operation: sum, mean, max, min, prod, sum_square, sum_abs."""

    def softmax(self, x: Ref, rows: int, cols: int, log: bool = False) -> Ref:
        """Softmax (or its logarithm) of each row of x: (rows, cols)."""

    def normalise(self, x: Ref, rows: int, cols: int, epsilon: float, centre: bool = True) -> Ref:
        """(x - mean) / sqrt(var + epsilon) of each row; centre=False: x / sqrt(mean(x * x) + epsilon)."""

    def lookup(self, token: Ref, table: Matrix) -> Ref:
        """Row `token` of table: (vocabulary, size)."""

    def cell(self, kind: str, x: Ref, states: tuple[Ref, ...], W: Matrix, R: Matrix, bias: Array) -> tuple[Ref, ...]:
        """Steps of a recurrent cell: every h, and the other states at the end; see `sequence`.

        kind: lstm, gru, rnn_tanh or rnn_relu; x: (S, P, n_in), states: (P, H); W: (gates * H, n_in), R: (gates * H, H),
        gates in ONNX order; bias: (gates * H,), for gru (4 * H,): the sums for z and r, then the input's and the
        recurrent bias of the candidate (linear_before_reset = 1).
        """


@dataclass(frozen=True, eq=False)
class Layer:
    """What one node of a model computes from one frame's values. Subclasses are frozen dataclasses.

    Fields that hold arrays or a QuantisedMatrix are the weights; all other fields are attributes (numbers, strings,
    bools, tuples of them). Both are stored under the field's name. `quantisable` names the fields that may hold a
    QuantisedMatrix or float16.
    """

    quantisable: ClassVar[tuple[str, ...]] = ()

    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The output shapes for these input shapes. Raises ValueError where they do not fit the weights."""
        raise TypeError(f"{type(self).__name__} defines no shapes")

    def step(self, *inputs: Array) -> tuple[Array, ...]:
        """The definition, in plain NumPy at the dtype of the inputs (float64 when it serves as the oracle)."""
        raise TypeError(f"{type(self).__name__} defines no step")

    def lower(self, b: Builder, shapes: tuple[Shape, ...], *inputs: Ref) -> tuple[Ref, ...]:
        """The same in the builder's verbs; `shapes` are the input shapes."""
        raise TypeError(f"{type(self).__name__} defines no lowering")

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates a frame."""
        return 0

    @property
    def vocabulary(self) -> int:
        """How many tokens the layer knows; 0 for a layer whose inputs are numbers."""
        return 0

    def weights(self) -> Iterator[tuple[str, Matrix]]:
        """(field name, array or QuantisedMatrix) of every array that the layer holds, in field order."""
        for name, value in vars(self).items():
            if isinstance(value, (np.ndarray, QuantisedMatrix)):
                yield name, value

    def attributes(self) -> dict[str, Any]:
        """Every field that is not a weight and not None."""
        held = vars(self).items()
        return {k: v for k, v in held if v is not None and not isinstance(v, (np.ndarray, QuantisedMatrix))}


def weights_of(layer: Layer) -> Iterator[Matrix]:
    """What a layer has learned; the places of a Take, which are integers, are no weights."""
    for _, held in layer.weights():
        if isinstance(held, QuantisedMatrix) or held.dtype.kind == "f":
            yield held


def volume(shape: Shape) -> int:
    """How many numbers a value of this shape holds."""
    return math.prod(shape)
