"""Sound at another rate, a piece at a time."""

from __future__ import annotations

import numpy as np

from edgernn.errors import BackendUnavailable
from edgernn.layers.base import Array


class Resampler:
    """soxr in its high quality, as a stream: what it gives does not depend on how the sound is cut.

    The filter looks ahead: what is fed comes out some milliseconds later, and what is left comes with `finish`.
    Raises BackendUnavailable where the package soxr is not installed.
    """

    def __init__(self, rate_in: float, rate_out: float, channels: int):
        try:
            import soxr
        except ImportError:
            raise BackendUnavailable(
                f'sound of {rate_in:g} samples a second must become {rate_out:g}: pip install "edgernn[audio]"'
            ) from None
        self._stream = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32")
        self._channels = channels

    def feed(self, samples: Array) -> Array:
        """What is ready, (k, channels) float32, after these samples (n, channels)."""
        return self._run(samples, False)

    def finish(self) -> Array:
        """The rest, (k, channels) float32; what is fed next is another sound."""
        rest = self._run(np.zeros((0, self._channels), np.float32), True)
        self._stream.clear()
        return rest

    def _run(self, samples: Array, last: bool) -> Array:
        made: Array = self._stream.resample_chunk(np.ascontiguousarray(samples), last)
        return made.reshape(-1, self._channels)
