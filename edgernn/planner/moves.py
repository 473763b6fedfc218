"""Numbers that only change their place: they are not moved before something reads them, and then once.

What is taken of what was taken is taken of the first; a function of what was taken is that of all numbers, taken then.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from edgernn.kernels.contract import ALIGNMENT, MAPS, Opcode
from edgernn.layers.base import Array, Ref
from edgernn.planner.program import CONSTANT, Instruction, Place, Weights

LONG, FEW = 16, 64  # numbers of a run on average from where on, and runs up to which, each is a copy
SPARSE = 1.5  # of how many times as many numbers as are read a function may be taken


class Moved(NamedTuple):
    """What a buffer is to hold."""

    source: Place
    places: Array  # (size,) int32: where in the source each number lies, or -1
    fill: float  # stands where that is -1


class Moves:
    """The buffers, the instructions on them, and what is not where it is wanted yet."""

    def __init__(self) -> None:
        self.weights = Weights()
        self.code: list[Instruction] = []
        self.buffers: list[int] = []  # bytes of each
        self.rings: dict[int, int] = {}  # states behind which may stand what is joined to them: buffer -> numbers
        self._waiting: dict[int, Moved] = {}

    def buffer(self, size: int, item: int = 4) -> Place:
        """A new buffer of `size` numbers."""
        self.buffers.append(padded(size * item))
        return Place(len(self.buffers) - 1, 0, size, item)

    def emit(self, opcode: Opcode, *operands: Place | int | float) -> None:
        """Append an instruction, behind those that bring what it reads."""
        given = [self.here(operand) if isinstance(operand, Place) else operand for operand in operands]
        self.code.append(Instruction(opcode, tuple(given)))

    def here(self, x: Place) -> Place:
        """Where x lies, moved there if it has to be."""
        moved = self._waiting.get(x.buffer)
        if moved is None:
            return x
        start = run(moved.places[x.start : x.start + x.size])
        if start is not None:
            return moved.source.part(start, x.size)
        del self._waiting[x.buffer]
        self._move(Place(x.buffer, 0, len(moved.places)), moved)
        return x

    def origin(self, x: Place) -> Moved:
        """What x is taken of, not moved yet; all of x itself where it lies somewhere."""
        moved = self._waiting.get(x.buffer)
        if moved is None:
            return Moved(x, np.arange(x.size, dtype=np.int32), 0.0)
        return moved._replace(places=moved.places[x.start : x.start + x.size])

    def take(self, x: Ref, index: Array, fill: float = 0.0) -> Place:
        flat = np.asarray(index, np.int32).reshape(-1)
        if flat.size and (flat.min() < -1 or flat.max() >= x.size):
            raise ValueError(f"take: an index outside the {x.size} numbers")
        place = cast(Place, x)
        source, inner, filled = self.origin(place)
        outside = flat < 0
        both = np.where(outside, -1, inner[np.maximum(flat, 0)]) if inner.size else flat
        if not outside.any():
            fill = filled
        elif (inner < 0).any() and fill != filled:
            source, both = self.here(place), flat
        return self.later(source, both, fill)

    def later(self, source: Place, index: Array, fill: float = 0.0) -> Place:
        """What lies at these places of the source, not moved yet."""
        start = run(index)
        if start is not None:
            return source.part(start, len(index))
        y = self.buffer(len(index))
        self._waiting[y.buffer] = Moved(source, index, fill)
        return y

    def view(self, x: Ref, start: int, size: int) -> Place:
        if not 0 <= start <= start + size <= x.size:
            raise ValueError(f"view: {start}..{start + size} of {x.size} numbers")
        return cast(Place, x).part(start, size)

    def map(self, function: str, x: Ref, alpha: float = 0.0, beta: float = 0.0) -> Place:
        source, index, _ = self.origin(cast(Place, x))
        if source.size > SPARSE * x.size or index.min(initial=0) < 0:
            source, index = cast(Place, x), np.arange(x.size, dtype=np.int32)
        y = self.buffer(source.size)
        self.emit(Opcode.MAP, y, source, source.size, MAPS.index(function), float(alpha), float(beta))
        return self.later(y, index)

    def together(self, a: Ref, b: Ref) -> tuple[Place, Place, Array | None]:
        """What a and b are taken of, and at which places, where these are the same for both; else a and b."""
        x, y = cast(Place, a), cast(Place, b)
        if x.buffer in self._waiting and y.buffer in self._waiting:
            p, q = self.origin(x), self.origin(y)
            alike = p.source.size == q.source.size <= SPARSE * x.size and np.array_equal(p.places, q.places)
            if alike and p.places.min(initial=0) >= 0:
                return p.source, q.source, p.places
        return x, y, None

    def put(self, y: Place, x: Place) -> None:
        """Bring x to y, from where others may read it then."""
        if x.size == 0:
            return
        moved = self._waiting.get(x.buffer)
        if moved is None or x.size != len(moved.places) or run(moved.places) is not None:
            self.emit(Opcode.COPY, y, x, x.size)
            return
        self._move(y, moved)
        self._waiting[x.buffer] = Moved(y, np.arange(x.size, dtype=np.int32), 0.0)

    def _move(self, y: Place, moved: Moved) -> None:
        """The instructions that bring numbers to y: a copy of each run where these are long."""
        filled, step = moved.places < 0, np.diff(moved.places)
        on = np.where(filled[1:], step == 0, step == 1) & (filled[1:] == filled[:-1])
        ends = np.flatnonzero(~on) + 1
        runs = len(ends) + 1
        if runs > FEW or len(moved.places) < LONG * runs:
            self.emit(Opcode.TAKE, y, moved.source, self.weights.add(moved.places), y.size, float(moved.fill))
            return
        bounds = [(a, b - a) for a, b in zip([0, *ends.tolist()], [*ends.tolist(), y.size], strict=True)]
        empty = max((size for first, size in bounds if filled[first]), default=0)
        fill = Place(CONSTANT, self.weights.add(np.full(empty, moved.fill, np.float32)) // 4, empty) if empty else y
        for first, size in bounds:
            x = fill.part(0, size) if filled[first] else moved.source.part(int(moved.places[first]), size)
            self.emit(Opcode.COPY, y.part(first, size), x, size)

    def grown(self, first: Place, size: int) -> Place | None:
        """A state's buffer with room for `size` numbers in all, where `first` is such a state; once for each.

        What comes behind it must be little, as it is kept with the state, and not too little to be moved side by side.
        """
        whole = first.start == 0 and self.rings.get(first.buffer) == first.size
        if not whole or not LONG <= size - first.size <= first.size // 4:
            return None
        del self.rings[first.buffer]
        self.buffers[first.buffer] = padded(size * first.item)
        return first._replace(size=size)


def padded(size: int) -> int:
    """Bytes of a buffer, so that registers may run over its end."""
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT + ALIGNMENT


def run(index: Array) -> int | None:
    """Where the index begins, if it only counts on from there."""
    start = int(index[0]) if len(index) else 0
    ordered = start >= 0 and np.array_equal(index, np.arange(start, start + len(index)))
    return start if ordered else None
