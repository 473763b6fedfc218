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
        self._ids: set[int] = set()  # of the arrays that are held

    def __call__(self, array: Array) -> Array:
        """The array, or the equal one that was there before."""
        if id(array) in self._ids:
            return array
        content = hashlib.sha256(np.ascontiguousarray(array).data).digest()
        first = self._held.setdefault((array.shape, array.dtype.str, content), array)
        self._ids.add(id(first))
        return first

    def of(self, layer: Layer) -> Layer:
        """The layer with its weights from here."""
        changed = {name: self(w) for name, w in layer.weights() if isinstance(w, np.ndarray)}
        return replace(layer, **changed) if changed else layer
