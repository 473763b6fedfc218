"""What a program is written in while its buffers have no place yet: values, instructions, constants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgernn.kernels.contract import ALIGNMENT, Opcode
from edgernn.layers.base import Array

CONSTANT = -1


class Place(NamedTuple):
    """A value: `size` numbers from `start` on (counted in items) in a buffer, or in the weights (buffer CONSTANT)."""

    buffer: int
    start: int
    size: int
    item: int = 4  # bytes a number: 4, or 8 for tokens

    @property
    def offset(self) -> int:
        """Bytes from the start of the buffer."""
        return self.start * self.item

    def part(self, start: int, size: int) -> Place:
        """`size` of its numbers from `start` on."""
        return self._replace(start=self.start + start, size=size)


class Instruction(NamedTuple):
    """An opcode and its operands: Place for r and w, int for k and i, float for f."""

    opcode: Opcode
    operands: tuple[Place | int | float, ...]


class Quantised(NamedTuple):
    """How a vector is quantised."""

    cols: int  # in a row
    form: str  # one of FORMS
    reach: float  # the largest number held; 0: the vector's own


class Weights:
    """All constants of a plan, each aligned, as they will lie in memory."""

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, values: Array) -> int:
        """Append bytes; returns their offset."""
        offset, data = self.size, np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self.parts.append(data)
        self.size += -(-len(data) // ALIGNMENT) * ALIGNMENT
        return offset

    def joined(self) -> Array:
        """One aligned array, with room for a register to be read beyond the end."""
        whole = aligned(self.size + ALIGNMENT)
        at = 0
        for part in self.parts:
            whole[at : at + len(part)] = part
            at += -(-len(part) // ALIGNMENT) * ALIGNMENT
        return whole


def aligned(size: int) -> Array:
    """`size` zero bytes that begin at a multiple of ALIGNMENT."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]
