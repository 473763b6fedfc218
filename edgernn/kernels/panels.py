"""Weights in the order in which the CPU kernels read them.

Rows are grouped in registers of `lanes`, padded with zeros, and these in tiles of four; what is left stands in tiles of
one: [tile][col][register][lane]. Of integers as many columns stand side by side as fill the 32 bits of a lane: int8:
[tile][col / 4][register][lane][4]; int4: [tile][col / 8][register][lane][4], two numbers in a byte, plus 8 each: the
first four columns in the low bits, the next four in the high ones. Factors of int4 groups are single bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels.contract import GROUP
from edgernn.kernels.isas import Isa

TILE = 4


class CpuBackend:
    """Packs weights for one instruction set. The planner's `Backend`."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self.name = isa.name

    def _padded(self, weight: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.pad(weight, ((0, -len(weight) % self.isa.lanes), (0, 0)))

    def pack(self, weight: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The panels of a (rows, cols) matrix: float32, int16, int8, or uint8 of one byte a lane."""
        side = 1 if weight.dtype == np.uint8 else 4 // weight.itemsize
        weight = np.pad(self._padded(weight), ((0, 0), (0, -weight.shape[1] % side)))
        registers = weight.reshape(-1, self.isa.lanes, weight.shape[1] // side, side)
        full = len(registers) // TILE * TILE
        tiles = registers[:full].reshape(-1, TILE, *registers.shape[1:]).transpose(0, 3, 1, 2, 4)
        rest = registers[full:].transpose(0, 2, 1, 3)
        return np.concatenate([np.ascontiguousarray(part).reshape(-1) for part in (tiles, rest)]).view(np.uint8)

    def pack_nibbles(self, weight: NDArray[np.int8]) -> NDArray[np.uint8]:
        """The panels of a (rows, cols) matrix in int4, filled up to whole groups."""
        rows, cols = weight.shape
        eights = np.pad(weight + 8, ((0, 0), (0, -cols % GROUP))).reshape(rows, -1, 2, 4)
        return self.pack((eights[:, :, 0] | eights[:, :, 1] << 4).reshape(rows, -1).astype(np.int8))

    def pack_rows(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """One 32-bit number a row, zero for the rows that fill the last register."""
        return np.ascontiguousarray(self._padded(values[:, None])).reshape(-1).view(np.uint8)

    def offsets(self, weight: NDArray[np.int8]) -> NDArray[np.uint8]:
        """int32 a row that undoes the unsigned form of the activations; empty where there is none."""
        if not self.isa.offset or weight.dtype != np.int8:
            return np.empty(0, np.uint8)
        return self.pack_rows((-self.isa.offset * weight.sum(1, dtype=np.int64)).astype(np.int32))
