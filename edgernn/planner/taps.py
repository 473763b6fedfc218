"""Sums of a few numbers for each of many places, as convolutions by channel make: the same steps apart at every place.

All numbers between the first place and the last are summed at once, also those that nobody reads. Where the factors
come again along the places, as those of channels that lie beside each other do, they are kept once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgernn.layers.base import Array

SPREAD = 3  # numbers summed for each that is read, at most
AGAIN, LONGEST = 64, 1024  # factors come again after a multiple of so many numbers, up to so many


class Taps(NamedTuple):
    """y[i] = bias[i % n] + sum over k of factors[k, i % n] * x[offsets[k] + i]; read are the numbers at `places`."""

    offsets: Array  # (K,) int32
    factors: Array  # (K, n) float32
    bias: Array  # (n,) float32
    places: Array  # (P,) int32

    @property
    def size(self) -> int:
        """How many numbers there are, with those between the places."""
        return int(self.places.max()) + 1


def shifted(index: Array) -> tuple[Array, Array] | None:
    """(offsets (K,), places (P,)) with index[p, k] = offsets[k] + places[p], and least place 0.

    None where there are none, or so many numbers between the places that it would not be worth while.
    """
    offsets, places = index.min(axis=0), index[:, 0] - index[:, 0].min()
    if not np.array_equal(offsets + places[:, None], index):
        return None
    if int(places.max()) >= SPREAD * len(index) or len(np.unique(places)) < len(places):
        return None
    return offsets.astype(np.int32), places.astype(np.int32)


def as_taps(index: Array, factors: Array, bias: Array) -> Taps | None:
    """Sums over k of factors[p, k] * x[index[p, k]], plus bias[p]; None where they are no taps.

    index, factors: (P, K), bias: (P,).
    """
    found = shifted(index)
    if found is None:
        return None
    offsets, places = found
    size, rows = int(places.max()) + 1, np.vstack([factors.T, bias]).astype(np.float32)
    for period in (*range(AGAIN, min(size // 2, LONGEST) + 1, AGAIN), size):
        held = np.zeros((len(rows), period), np.float32)
        held[:, places % period] = rows
        if np.array_equal(held[:, places % period], rows):
            break
    return Taps(offsets, held[:-1], held[-1], places)
