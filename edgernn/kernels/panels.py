"""Weights in the order in which the CPU kernels read them.

Rows are grouped in registers of `lanes`, padded with zeros. A cell's gates lie side by side, so that one tile holds all
gates of `lanes` units; other matrices are cut into tiles of four registers and, at the end, single registers.
float32: [tile][col][register][lane]; int8: [tile][col / 4][register][lane][4].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels.isas import Isa

TILE = 4


def _tiles(weight: NDArray[np.generic], gates: int, lanes: int) -> list[NDArray[np.generic]]:
    """(tiles, registers, lanes, cols) for each kind of tile, in order."""
    rows, cols = weight.shape
    units = rows // gates
    padded = np.zeros((gates, -(-units // lanes) * lanes, cols), weight.dtype)
    padded[:, :units] = weight.reshape(gates, units, cols)
    registers = padded.reshape(gates, -1, lanes, cols)
    if gates > 1:
        return [registers.transpose(1, 0, 2, 3)]
    blocks = registers[0]
    full = len(blocks) // TILE * TILE
    return [blocks[:full].reshape(-1, TILE, lanes, cols), blocks[full:].reshape(-1, 1, lanes, cols)]


class CpuBackend:
    """Packs weights for one instruction set. The planner's `Backend`."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self.name = isa.name

    def pack(self, weight: NDArray[np.generic], gates: int) -> NDArray[np.uint8]:
        """The panels of a (gates * n, cols) matrix, float32 or int8."""
        if weight.dtype == np.int8:
            weight = np.pad(weight, ((0, 0), (0, -weight.shape[1] % 4)))
        parts = []
        for tiles in _tiles(weight, gates, self.isa.lanes):
            group = 4 if weight.dtype == np.int8 else 1
            split = tiles.reshape(*tiles.shape[:3], weight.shape[1] // group, group)
            parts.append(np.ascontiguousarray(split.transpose(0, 3, 1, 2, 4)).reshape(-1).view(np.uint8))
        return np.concatenate(parts)

    def pack_rows(self, values: NDArray[np.generic], gates: int) -> NDArray[np.uint8]:
        """One 32-bit number a row, in the order of the panels' rows."""
        return np.concatenate([tiles.reshape(-1) for tiles in _tiles(values[:, None], gates, self.isa.lanes)]).view(np.uint8)

    def offsets(self, weight: NDArray[np.int8], gates: int) -> NDArray[np.uint8]:
        """int32 a row that undoes the unsigned form of the activations; empty where there is none."""
        if not self.isa.offset:
            return np.empty(0, np.uint8)
        return self.pack_rows((-self.isa.offset * weight.sum(1, dtype=np.int64)).astype(np.int32), gates)
