"""Running normalisation: frames minus a mean, over a deviation, that follow the stream."""

from __future__ import annotations

import math

import numpy as np

from edgernn.layers.base import Array

LEAST = 1e-8  # of a variance: below it a number counts as constant


class Running:
    """Exponentially weighted mean and variance of frames of one size.

    After frame t (from 1), with a = max(1 / t, 1 - exp(-1 / frames)): v = (1 - a) (v + a (x - m)^2), m += a (x - m):
    the plain mean and variance at first, then those of about the last `frames`.
    """

    def __init__(self, size: int, frames: float, std: bool):
        self._least, self._std = -math.expm1(-1 / frames), std
        self.initial = np.zeros(1 + 2 * size)  # how many frames, mean, variance

    def follow(self, frames: Array, state: Array) -> tuple[Array, Array]:
        """Frames (k, size) and the state before them -> the frames normalised, float64, and the state after them."""
        count, (mean, variance) = state[0], np.split(state[1:], 2)
        made = np.empty_like(frames)
        for i, x in enumerate(frames):
            count += 1
            a = max(1 / count, self._least)
            change = x - mean
            mean = mean + a * change
            variance = (1 - a) * (variance + a * change * change)
            made[i] = x - mean
            if self._std:
                made[i] /= np.sqrt(np.maximum(variance, LEAST))
        return made, np.concatenate(([count], mean, variance))
