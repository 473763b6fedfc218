"""Sums of a few numbers for each of many places, as convolutions by channel make: the same steps apart at every place.

Where they are, all numbers between the first place and the last are summed at once, also those that nobody reads, and
what a place does not see counts 0 there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgernn.layers.base import Array

SPREAD = 3  # numbers summed for each that is read, at most


class Taps(NamedTuple):
    """y[i] = bias[i] + sum over k of factors[k, i] * x[offsets[k] + i]; of interest are the numbers at `places`."""

    offsets: Array  # (K,) int, maybe before x or beyond it
    factors: Array  # (K, size) float32
    bias: Array  # (size,) float32
    places: Array  # (P,) int32

    @property
    def outside(self) -> int:
        """How many numbers before x are read."""
        return max(0, -int(self.offsets.min()))

    def beyond(self, size: int) -> int:
        """How many numbers behind x, of this size, are read."""
        return max(0, int(self.offsets.max()) + len(self.bias) - size)


def shifted(index: Array) -> tuple[Array, Array] | None:
    """(offsets (K,), places (P,)) with index[p, k] = offsets[k] + places[p], but where it is -1, and least place 0.

    None where there are none, or so many numbers between the places that it would not be worth while.
    """
    seen = index >= 0
    whole = np.flatnonzero(seen.all(axis=1))
    if not len(whole):
        return None
    apart = index[whole[0]] - index[whole[0], 0]  # of each k from the first
    first = np.where(seen, index - apart, np.iinfo(np.int32).max).min(axis=1)
    if not (seen.any(axis=1).all() and (seen <= (index == first[:, None] + apart)).all()):
        return None
    low = int(first.min())
    places = (first - low).astype(np.int32)
    if int(places.max()) >= SPREAD * len(index) or len(np.unique(places)) < len(places):
        return None
    return apart + low, places


def as_taps(index: Array, factors: Array, bias: Array) -> Taps | None:
    """Sums over k of factors[p, k] * x[index[p, k]], 0 where it is -1, plus bias[p]; None where they are no taps.

    index, factors: (P, K), bias: (P,).
    """
    found = shifted(index)
    if found is None:
        return None
    (offsets, places), size = found, int(found[1].max()) + 1
    spread, added = np.zeros((index.shape[1], size), np.float32), np.zeros(size, np.float32)
    spread[:, places], added[places] = np.where(index >= 0, factors, 0).T, bias
    return Taps(offsets, spread, added, places)
