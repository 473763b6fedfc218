"""The reference backend's instructions on quantised numbers: what every instruction set must give, bit for bit.

A product with a matrix is an exact integer. It becomes float32 once, correctly rounded, and is then scaled:
y = bias + float32(sum of q w) * (row scale * scale of q), three more roundings in this order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.kernels import reference_maths as maths
from edgernn.kernels.contract import FORMS, GROUP, QUANTISED_HEADER, quantised_stride
from edgernn.kernels.memory import at

Array = NDArray[Any]
f32 = np.float32
FULL = {"int8": 127, "int8x16": 32767, "int16": 32767, "int4": 127}


class QuantisedInstructions:
    """A method for each instruction, named after it. Vectors are held as their scale and plain int32 numbers."""

    def quantise(self, y: int, x: int, cols: int, count: int, form: int, reach: f32) -> None:
        """q = x * (full / largest), rounded half to even; scale = largest / full; largest: reach, or over all rows."""
        values, full = at(x, cols * count), f32(FULL[FORMS[form]])
        found = reach if reach > 0 else maths.folded(np.abs(values), lambda v: v, maths.high, 0)
        largest = found if found >= f32(1e-20) else f32(1e-20)
        at(y, 1)[:] = largest / full
        shifted = (values * (full / largest)).clip(-full, full) + maths.MAGIC
        kind = np.int16 if full > 127 else np.int8
        rows = self._rows(y, FORMS[form], cols, count)
        rows[:] = shifted.view(np.int32).astype(kind).reshape(count, cols)

    def _rows(self, address: int, form: str, cols: int, count: int) -> Array:
        """The numbers of a quantised vector, (count, cols), at the start of each row's bytes."""
        kind = np.int16 if FULL[form] > 127 else np.int8
        stride = quantised_stride(form, cols)
        rows = at(address + QUANTISED_HEADER, stride * count, np.uint8).reshape(count, stride)
        return rows[:, : cols * np.dtype(kind).itemsize].view(kind)

    def _affine(self, y: int, x: int, form: str, weight: Array, scale: int, bias: int, count: int) -> None:
        rows, cols = weight.shape
        total = self._rows(x, form, cols, count).astype(np.int64) @ weight.astype(np.int64).T
        factor = at(scale, rows) * at(x, 1)[0]
        at(y, rows * count).reshape(count, rows)[:] = at(bias, rows) + total.astype(np.float32) * factor

    def affine_i8(self, y: int, x: int, W: int, scale: int, offset: int, bias: int, *sizes: int) -> None:
        """int8 weights, int8 numbers."""
        rows, cols, count = sizes
        self._affine(y, x, "int8", at(W, rows * cols, np.int8).reshape(rows, cols), scale, bias, count)

    def affine_i8x16(self, y: int, x: int, W: int, scale: int, offset: int, bias: int, *sizes: int) -> None:
        """int8 weights, int16 numbers."""
        rows, cols, count = sizes
        self._affine(y, x, "int8x16", at(W, rows * cols, np.int8).reshape(rows, cols), scale, bias, count)

    def affine_i16(self, y: int, x: int, W: int, scale: int, offset: int, bias: int, *sizes: int) -> None:
        """int16 weights, int16 numbers."""
        rows, cols, count = sizes
        self._affine(y, x, "int16", at(W, rows * cols, np.int16).reshape(rows, cols), scale, bias, count)

    def affine_i4(self, y: int, x: int, W: int, scale: int, factor: int, bias: int, *sizes: int) -> None:
        """int4 weights times their groups' factors, int8 numbers."""
        rows, cols, count = sizes
        self._affine(y, x, "int4", self._int4(W, factor, rows, cols), scale, bias, count)

    def _int4(self, W: int, factor: int, rows: int, cols: int) -> Array:
        q = at(W, rows * cols, np.int8).reshape(rows, cols)
        groups = -(-cols // GROUP)
        factors = at(factor, rows * groups, np.uint8).reshape(rows, groups)
        product: Array = q.astype(np.int32) * factors.repeat(GROUP, axis=1)[:, :cols]
        return product

    def _lookup(self, y: int, tokens: int, table: Array, scale: int, count: int) -> None:
        token = at(tokens, count, np.int64)
        rows = table[token].astype(np.float32) * at(scale, len(table))[token, None]
        at(y, rows.size)[:] = rows.reshape(-1)

    def lookup_i8(self, y: int, tokens: int, table: int, scale: int, count: int, cols: int, vocabulary: int) -> None:
        """Rows of an int8 table, times their scales."""
        self._lookup(y, tokens, at(table, vocabulary * cols, np.int8).reshape(vocabulary, cols), scale, count)

    def lookup_i16(self, y: int, tokens: int, table: int, scale: int, count: int, cols: int, vocabulary: int) -> None:
        """Rows of an int16 table, times their scales."""
        self._lookup(y, tokens, at(table, vocabulary * cols, np.int16).reshape(vocabulary, cols), scale, count)

    def lookup_i4(self, y: int, tokens: int, table: int, scale: int, factor: int, *sizes: int) -> None:
        """Rows of an int4 table, times their factors and scales; two numbers in a byte, plus 8 each."""
        count, cols, vocabulary = sizes
        half, groups = (cols + 1) // 2, -(-cols // GROUP)
        packed = at(table, vocabulary * half, np.uint8).reshape(vocabulary, half)
        q = np.stack([packed & 15, packed >> 4], axis=2).reshape(vocabulary, -1)[:, :cols].astype(np.int32) - 8
        factors = at(factor, vocabulary * groups, np.uint8).reshape(vocabulary, groups)
        self._lookup(y, tokens, q * factors.repeat(GROUP, axis=1)[:, :cols], scale, count)
