"""The builder: a layer's verbs become instructions on virtual buffers, its weights bytes in the backend's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from edgernn.errors import Problem, UnsupportedModel
from edgernn.kernels.contract import (
    COMBINES,
    FORMS,
    QUANTISED_HEADER,
    REDUCES,
    Backend,
    Opcode,
    quantised_stride,
)
from edgernn.layers.base import Array, Matrix, QuantisedMatrix, Ref
from edgernn.layers.matrix import columns, extent, nibbles, products
from edgernn.planner.moves import Moves
from edgernn.planner.program import CONSTANT, Place, Quantised
from edgernn.planner.taps import as_taps, shifted

BY_COLUMNS = {"sum": "add", "mean": "add", "max": "max", "min": "min"}
ROWS, COLUMNS = 16, 256  # from so many rows on, up to so many columns, all rows are reduced at once
MOST_INSTRUCTIONS = 250_000  # some seconds to lay out; a window of 4,096 over an LSTM with peepholes takes 90,000
# by number format: the product with a matrix, and a row of a table
AFFINE = {
    "int8": Opcode.AFFINE_I8,
    "int8x16": Opcode.AFFINE_I8X16,
    "int16": Opcode.AFFINE_I16,
    "int4": Opcode.AFFINE_I4,
}
LOOKUP = {
    "int8": Opcode.LOOKUP_I8,
    "int8x16": Opcode.LOOKUP_I8,
    "int16": Opcode.LOOKUP_I16,
    "int4": Opcode.LOOKUP_I4,
}


class Lowering(Moves):
    """The planner's `layers.base.Builder`. `exact`: float32 products too have the same bits on every backend."""

    def __init__(self, backend: Backend, exact: bool = False):
        super().__init__()
        self.backend = backend
        self.affine_float = Opcode.AFFINE_EXACT if exact else Opcode.AFFINE_F32
        self.quantised: dict[tuple[Place, Quantised], Place] = {}
        # by id of weight and bias, which are kept lest another takes that id
        self.packed: dict[tuple[int, int], tuple[Matrix, Array | None, tuple[int, ...]]] = {}

    def emit(self, opcode: Opcode, *operands: Place | int | float) -> None:
        """Append an instruction. Raises UnsupportedModel where there are too many."""
        if len(self.code) >= MOST_INSTRUCTIONS:
            what = f"takes more than {MOST_INSTRUCTIONS:,} instructions a frame"
            raise UnsupportedModel([Problem("model", "", what, "use a smaller window, or fewer layers over it")])
        super().emit(opcode, *operands)

    def constant(self, values: Array) -> Place:
        flat = np.asarray(values, np.float32).reshape(-1)
        return Place(CONSTANT, self.weights.add(flat) // 4, flat.size)

    def quantise(self, x: Ref, how: Quantised) -> Place:
        """x quantised, once however many read it."""
        source = self.here(cast(Place, x))
        known = self.quantised.get((source, how))
        if known is None:
            known = self.quantised[source, how] = self.quantised_buffer(source.size, how)
            self.emit_quantise(known, source, how)
        return known

    def quantised_buffer(self, size: int, how: Quantised) -> Place:
        """A buffer for a quantised vector of `size` numbers."""
        return self.buffer(QUANTISED_HEADER + size // how.cols * quantised_stride(how.form, how.cols), item=1)

    def emit_quantise(self, y: Place, x: Place, how: Quantised) -> None:
        """Append the instruction that quantises x into y."""
        self.emit(Opcode.QUANTISE, y, x, how.cols, x.size // how.cols, FORMS.index(how.form), how.reach)

    def affine(self, x: Ref, weight: Matrix, bias: Array | None, count: int = 1) -> Place:
        rows, cols = weight.shape
        if x.size != cols * count:
            raise ValueError(f"a weight of shape {weight.shape} does not fit {x.size} numbers in {count} rows")
        y, packed = self.buffer(rows * count), self._packed(weight, bias)
        if isinstance(weight, QuantisedMatrix):
            how = Quantised(cols, weight.format, 0.0 if weight.reach is None else float(weight.reach[0]))
            self.emit(AFFINE[weight.format], y, self.quantise(x, how), *packed, rows, cols, count)
        else:
            self.emit(self.affine_float, y, cast(Place, x), *packed, rows, cols, count)
        return y

    def _packed(self, weight: Matrix, bias: Array | None) -> tuple[int, ...]:
        """Where a weight and its bias lie among the constants; each pair lies there once, however many read it."""
        known = self.packed.get((id(weight), id(bias)))
        if known is None:
            offset = np.zeros(weight.shape[0], np.float32) if bias is None else bias.astype(np.float32)
            packed_bias = self.weights.add(self.backend.pack_rows(offset))
            if isinstance(weight, QuantisedMatrix):
                where: tuple[int, ...] = *self._packed_integers(weight), packed_bias
            else:
                where = self.weights.add(self.backend.pack(weight.astype(np.float32))), packed_bias
            known = self.packed[id(weight), id(bias)] = weight, bias, where
        return known[2]

    def _packed_integers(self, weight: QuantisedMatrix) -> tuple[int, int, int]:
        """Where the panels, the scales and the factors (or else the offsets) of a matrix lie."""
        scale = self.weights.add(self.backend.pack_rows(weight.scale.astype(np.float32)))
        if weight.factor is None:
            panels, extra = self.backend.pack(weight.q), self.backend.offsets(weight.q)
        else:
            panels, extra = self.backend.pack_nibbles(weight.q), self.backend.pack(weight.factor)
        return self.weights.add(panels), scale, self.weights.add(extra)

    def along(self, x: Ref, weight: Matrix, count: int = 1) -> tuple[Place, Matrix]:
        place = cast(Place, x)
        index = self.origin(place).places.reshape(count, -1)
        order = np.argsort(index[np.argmin((index < 0).sum(axis=1))], kind="stable")
        grouped = isinstance(weight, QuantisedMatrix) and weight.factor is not None
        if grouped or np.array_equal(order, np.arange(len(order))):
            return place, weight
        places = np.arange(x.size, dtype=np.int32).reshape(count, -1)[:, order]
        return self.take(place, places), columns(weight, order)

    def sums(self, x: Ref, index: Array, factors: Array, bias: Array) -> Place:
        source, places, _ = self.origin(cast(Place, x))
        if places.min(initial=0) < 0:  # zeros have to be there before they can be summed
            source, places = self.here(cast(Place, x)), np.arange(x.size, dtype=np.int32)
        taps = as_taps(places[index], factors, bias)
        if taps is None:
            products = self.combine("mul", self.take(x, index), self.constant(factors))
            return self.combine("add", self.reduce("sum", products, *index.shape), self.constant(bias))
        y = self.buffer(taps.size)
        constants = (self.weights.add(part) for part in (taps.offsets, taps.factors, taps.bias))
        self.emit(Opcode.TAPS, y, source, *constants, y.size, len(taps.offsets), len(taps.bias))
        return self.take(y, taps.places)

    def combine(self, operation: str, a: Ref, b: Ref) -> Place:
        size = max(a.size, b.size) if a.size and b.size else 0
        if a.size not in (1, size) or b.size not in (1, size):
            raise ValueError(f"{operation}: {a.size} and {b.size} numbers")
        vectors = int(a.size == size), int(b.size == size)
        left, right, order = self.together(a, b)
        y = self.buffer(size if order is None else left.size)
        self.emit(Opcode.COMBINE, y, left, right, y.size, COMBINES.index(operation), *vectors)
        return y if order is None else self.later(y, order)

    def select(self, condition: Ref, a: Ref, b: Ref) -> Place:
        if not condition.size == a.size == b.size:
            raise ValueError(f"select: {condition.size}, {a.size} and {b.size} numbers")
        y = self.buffer(a.size)
        self.emit(Opcode.SELECT, y, cast(Place, condition), cast(Place, a), cast(Place, b), a.size)
        return y

    def join(self, *parts: Ref) -> Place:
        if len(parts) == 1:
            return cast(Place, parts[0])
        first, size = cast(Place, parts[0]), sum(part.size for part in parts)
        ring = self.grown(first, size)
        if ring is None:
            return self.collect(parts, size)
        self._collect(parts[1:], ring.part(first.size, size - first.size))
        return ring

    def collect(self, parts: Iterable[Ref], size: int) -> Place:
        y = self.buffer(size)
        self._collect(parts, y)
        return y

    def _collect(self, parts: Iterable[Ref], y: Place) -> None:
        """Put the parts into y, one after the other."""
        at = 0
        for part in parts:
            self.put(y.part(at, part.size), cast(Place, part))
            at += part.size

    def reduce(self, operation: str, x: Ref, rows: int, cols: int) -> Place:
        source, index, _ = self.origin(cast(Place, x))
        if operation in BY_COLUMNS and rows >= ROWS and 0 < cols <= COLUMNS and index.min() >= 0:
            found = shifted(index.reshape(rows, cols))
            if found is not None:
                return self._reduced(operation, source, *found)
        y = self.buffer(rows)
        self.emit(Opcode.REDUCE, y, cast(Place, x), rows, cols, REDUCES.index(operation))
        return y

    def _reduced(self, operation: str, x: Place, offsets: Array, places: Array) -> Place:
        """All rows at once, a column after the other; the first lies at these offsets, the others so far behind it."""
        parts = [x.part(int(start), int(places.max()) + 1) for start in offsets]
        y = parts[0]
        for part in parts[1:]:
            y = self.combine(BY_COLUMNS[operation], y, part)
        if operation == "mean":
            y = self.combine("div", y, self.constant(np.full(1, len(parts))))
        return self.take(y, places)

    def softmax(self, x: Ref, rows: int, cols: int, log: bool = False) -> Place:
        y = self.buffer(x.size)
        self.emit(Opcode.SOFTMAX, y, cast(Place, x), rows, cols, int(log))
        return y

    def normalise(self, x: Ref, rows: int, cols: int, epsilon: float, centre: bool = True) -> Place:
        y = self.buffer(x.size)
        self.emit(Opcode.NORMALISE, y, cast(Place, x), rows, cols, float(epsilon), int(centre))
        return y

    def lookup(self, token: Ref, table: Matrix) -> Place:
        vocabulary, cols = table.shape
        y = self.buffer(token.size * cols)
        if isinstance(table, QuantisedMatrix):
            q = table.q if table.factor is None else nibbles(table.q)
            stored = (self.weights.add(part) for part in (q, *table.parts()[1:]))
            self.emit(LOOKUP[table.format], y, cast(Place, token), *stored, token.size, cols, vocabulary)
        else:
            offset = self.weights.add(table.astype(np.float32))
            self.emit(Opcode.LOOKUP_F32, y, cast(Place, token), offset, token.size, cols, vocabulary)
        return y

    def cell(self, kind: str, x: Ref, states: tuple[Ref, ...], W: Matrix, R: Matrix, bias: Array) -> tuple[Place, ...]:
        operator, _, function = kind.partition("_")
        hidden, gates = R.shape[1], R.shape[0]
        if any(state.size != states[0].size for state in states):
            raise ValueError(f"{kind}: states of {[s.size for s in states]} numbers")
        steps, count = extent(W, R, x.size, states[0].size)
        recurrent_bias = None
        if operator == "gru":  # the candidate's recurrent bias stays inside the reset gate's product
            recurrent_bias = np.concatenate([np.zeros(2 * hidden, np.float32), bias[gates:]])
        extra = (int(function == "relu"),) if operator == "rnn" else ()
        from_x, y = products(self, x, W, bias[:gates], steps * count), self.buffer(steps * states[0].size)
        for step in range(steps):
            sums = [next(from_x) for _ in range(count)], [*products(self, states[0], R, recurrent_bias, count)]
            h = self.view(y, step * states[0].size, states[0].size)
            new = (h, *(self.buffer(state.size) for state in states[1:]))
            old = {"rnn": (), "gru": states, "lstm": states[1:]}[operator]
            for p in range(count):  # in this order, so that a register that runs into the next row is overwritten by it
                made, held = ([self.view(v, p * hidden, hidden) for v in values] for values in (new, old))
                self.emit(Opcode[operator.upper()], *made, *(cast(Place, s[p]) for s in sums), *held, hidden, *extra)
            states = new
        return (y, *cast("tuple[Place, ...]", states[1:]))
