"""Baseline: how far off a forecast usually is."""

from __future__ import annotations

import math

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.exact import decay


class Baseline:
    """Exponentially weighted mean m and variance v of errors e > 0, over about `answers` of them.

    The score of an error is (e - m) / d with d = sqrt(v) before that error is learnt, where d is no less than a
    thousandth of m; it is 0 for the first `warmup` errors. Learning, with a = max(1 / n, 1 - exp(-1 / answers)) for
    the n-th error learnt: v = (1 - a) (v + a (e - m)^2), m += a (e - m).
    """

    def __init__(self, answers: float, warmup: float):
        self._least, self._warmup = decay(1 / answers), max(2, math.ceil(warmup))
        self.reset()

    def reset(self) -> None:
        """Nothing learnt."""
        self.count, self.mean, self.variance = 0, 0.0, 0.0

    def score(self, error: Array) -> Array:
        """(1,) -> (1,): how many deviations above the usual."""
        if self.count < self._warmup:
            return np.zeros(1)
        deviation = max(math.sqrt(self.variance), 1e-3 * self.mean, 1e-30)
        return np.asarray((error - self.mean) / deviation)

    def learn(self, error: Array) -> None:
        """One error more, (1,)."""
        self.count += 1
        a = max(1 / self.count, self._least)
        change = float(error[0]) - self.mean
        self.variance = (1 - a) * (self.variance + a * change * change)
        self.mean += a * change

    def state(self) -> tuple[float, float, float]:
        """What `set_state` takes."""
        return self.count, self.mean, self.variance

    def set_state(self, count: float, mean: float, variance: float) -> None:
        """Go on from a state. Raises ValueError for one that nothing leads to."""
        if count < 0 or variance < 0:
            raise ValueError("a negative count or variance")
        self.count, self.mean, self.variance = int(count), mean, variance
