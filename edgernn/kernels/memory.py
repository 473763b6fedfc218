"""Memory at an address as a NumPy array."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray


def at(address: int, count: int, kind: Any = np.float32) -> NDArray[Any]:
    """`count` numbers at an address."""
    if count == 0:
        return np.empty(0, kind)
    raw = (ctypes.c_uint8 * (count * np.dtype(kind).itemsize)).from_address(address)
    return np.frombuffer(raw, kind)
