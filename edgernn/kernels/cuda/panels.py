"""Weights in the order in which the GPU's kernels read them.

Rows stand in blocks of ROWS, padded with zeros; of each block the words of 32 bits, column after column:
[block][col][row]. A word holds one float32, four int8, two int16, eight int4 plus 8 (the low halves of its bytes are
the first four columns, the high halves the next four), or one factor of an int4 group.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels.contract import GROUP

ROWS = 8
Array = NDArray[Any]


def _blocks(words: Array) -> NDArray[np.uint8]:
    """(rows, cols) words of 32 bits -> [block][col][row]."""
    padded = np.pad(words, ((0, -len(words) % ROWS), (0, 0)))
    return np.ascontiguousarray(padded.reshape(-1, ROWS, padded.shape[1]).transpose(0, 2, 1)).reshape(-1).view(np.uint8)


class CudaBackend:
    """Packs weights for a GPU. The planner's `Backend`."""

    name = "cuda"

    def pack(self, weight: Array) -> NDArray[np.uint8]:
        """The panels of a (rows, cols) matrix: float32, int16, int8, or factors in uint8."""
        if weight.dtype == np.uint8:
            return _blocks(weight.astype(np.int32))
        side = 4 // weight.itemsize
        padded = np.ascontiguousarray(np.pad(weight, ((0, 0), (0, -weight.shape[1] % side))))
        return _blocks(padded.view(np.int32 if side > 1 else np.float32))

    def pack_nibbles(self, weight: NDArray[np.int8]) -> NDArray[np.uint8]:
        """The panels of a (rows, cols) matrix in int4, filled up to whole groups."""
        rows, cols = weight.shape
        eights = np.pad(weight + 8, ((0, 0), (0, -cols % GROUP))).astype(np.uint8).reshape(rows, -1, 2, 4)
        return self.pack((eights[:, :, 0] | eights[:, :, 1] << 4).reshape(rows, -1).view(np.int8))

    def pack_rows(self, values: Array) -> NDArray[np.uint8]:
        """One 32-bit number a row."""
        return np.ascontiguousarray(values).view(np.uint8)

    def offsets(self, weight: Array) -> NDArray[np.uint8]:
        """None: activations are signed here."""
        return np.empty(0, np.uint8)
