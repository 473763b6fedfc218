"""Rows of numbers as frames of a model's input ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Port

Frames = Array | dict[str, Array]  # (T, size), or (T,) where size is 1; by name where a model has several input ports


def single(ports: Sequence[Port], kind: str) -> Port:
    """The one input port. Raises BadInput when there are several."""
    if len(ports) == 1:
        return ports[0]
    names = ", ".join(f'"{port.name}": [...]' for port in ports)
    raise BadInput(f"{kind} feeds one input, this model has {len(ports)}: use JSON lines of {{{names}}}")


def as_frames(port: Port, rows: Any, where: str) -> Array:
    """rows (T, size), or (T,) where size is 1, as float32 (T, size) or as int64 tokens (T,) or (T, size).

    Raises BadInput, naming `where`, for any other shape and for what is not a real number.
    """
    array = np.asarray(rows)
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{where}: {array.dtype} values, numbers expected")
    if array.ndim == 1 and port.size == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != port.size:
        raise BadInput(f"{where}: shape {list(array.shape)}, expected [frames, {port.size}] for input '{port.name}'")
    if port.dtype == "float32":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which a Stream refuses
            return np.ascontiguousarray(array, np.float32)
    if (array != np.trunc(array)).any() or (np.abs(array) >= 2.0**63).any():
        raise BadInput(f"{where}: input '{port.name}' takes tokens, which are whole numbers of 64 bits")
    return np.ascontiguousarray(array[:, 0] if port.size == 1 else array, np.int64)


def together(ports: Sequence[Port], frames: Mapping[str, Array]) -> Frames:
    """What a Stream takes: the array itself where there is one port, else all of them by name."""
    return frames[ports[0].name] if len(ports) == 1 else dict(frames)
