"""Once: arrays that are equal are kept once."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from edgernn.layers.base import Array, Layer


class Once:
    """Gives for each array the first one that it was given and that holds the same."""

    def __init__(self) -> None:
        self._held: dict[tuple[object, ...], Array] = {}

    def __call__(self, array: Array) -> Array:
        """The array, or the equal one that was there before."""
        content = hashlib.sha256(np.ascontiguousarray(array).data).digest()
        return self._held.setdefault((array.shape, array.dtype.str, content), array)

    def of(self, layer: Layer) -> Layer:
        """The layer with its weights from here."""
        changed = {name: self(w) for name, w in layer.weights() if isinstance(w, np.ndarray)}
        return replace(layer, **changed) if changed else layer
