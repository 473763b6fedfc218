"""Extractor: samples in, frames of features out, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels.hearing import LARGEST
from edgernn.layers.base import Array
from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.blocks import FeatureBlock, as_numbers, not_finite
from edgernn.pipelines.rows import differenced
from edgernn.stream.frames import as_array

MIRRORS = {"symmetric": "symmetric", "reflect": "reflect", "zeros": "constant"}  # edges -> np.pad's mode
LONGEST = 1 << 53  # samples


class Extractor:
    """The streaming front end: however the samples are cut, the frames are the same bits. One thread at a time.

    They are the same bits on every machine as well. Raises BackendUnavailable as `Stream` does.
    """

    def __init__(self, frontend: FrontEnd):
        f = self.frontend = frontend
        self.block = FeatureBlock(f)
        self._mirror = MIRRORS.get(f.edges)
        needed = {"symmetric": f.before, "reflect": f.before + 1}.get(f.edges, 0)
        self._needed = max(0, needed)  # samples that what lies before sample 0 is made of, by mirroring
        self._none: Array = np.empty((0, f.size), np.float32)
        self.reset()

    def reset(self) -> None:
        """Back to before the first sample."""
        f = self.frontend
        self._early = np.empty(0)  # samples, until there are as many as needed
        self.waiting = self._needed > 0  # for them
        self._last = np.empty((0, f.channels))  # the row before, for differences
        self.block.place(min(0, f.before), 0, np.zeros(0 if self._needed else max(0, f.before)))
        self.block.running[:] = 0

    @property
    def received(self) -> int:
        """How many samples have come since the start or the last reset."""
        return len(self._early) if self.waiting else self.block.end - self.frontend.before

    def feed(self, samples: Any) -> Array:
        """Samples (n,) of sound, or rows (n, channels) -> the frames (k, size) float32 that they complete.

        Raises BadInput for another shape, and for what is no real number or not finite; the state is then as before.
        """
        given, last = self._checked(samples), self._last
        if self.waiting:
            return self._begin(given)
        rows = given
        if self.frontend.differences:
            _check_finite(given)
            rows, last = differenced(given.astype(np.float64), last)
        made = self.block.feed(rows)
        self._last = last
        return made

    def _begin(self, given: Array) -> Array:
        """The first samples: nothing comes of them until there are as many as needed."""
        _check_finite(given)
        early = np.concatenate((self._early, given), dtype=np.float64)
        enough = len(early) >= self._needed
        made = self.block.feed(self._begun(early)) if enough else self._none
        self._early, self.waiting = early[:0] if enough else early, not enough
        return made

    def finish(self) -> Array:
        """The frames (k, size) that the end of the stream completes, where edges are padded. Then it is as new."""
        f, block = self.frontend, self.block
        made = self._none
        if self._mirror and self.received:
            rest, start = (self._begun(self._early), 0) if len(self._early) else (block.rest, block.start)
            if f.edges == "symmetric":
                count = (self.received + f.hop_length // 2) // f.hop_length
            else:
                count = 1 + (self.received + 2 * f.before - f.span) // f.hop_length
            missing = (count - 1) * f.hop_length + f.span - start - len(rest)
            if count > block.frame and missing > 0:
                mirrored = np.pad(rest, (0, missing), self._mirror)  # type: ignore[call-overload]
                made = block.feed(mirrored if len(self._early) else mirrored[len(rest) :].copy())
            elif len(self._early):
                made = block.feed(rest)
        self.reset()
        return made

    def state(self) -> list[Array]:
        """What `set_state` goes on from: four vectors of float64."""
        block = self.block
        counts = np.array([block.start, block.frame, self.received], np.float64)
        rest = self._early if self.waiting else block.rest
        return [counts, rest.copy(), self._last.reshape(-1), block.running.copy()]

    def set_state(self, state: Sequence[Array]) -> None:
        """Go on from a state. Raises ValueError for one that no extractor with these settings comes to."""
        f, block, (counts, rest, last, running) = self.frontend, self.block, state
        start, frame, received = (int(n) for n in counts)
        last, length = last.reshape(-1, f.channels), len(rest) // f.columns
        end, next_frame = start + length, frame * f.hop_length
        waiting = received < self._needed
        if end != received + (0 if waiting else f.before) or not start <= next_frame or min(frame, received) < 0:
            raise ValueError("positions that do not fit together")
        if (start or frame) if waiting else end >= next_frame + f.span or len(rest) % f.columns or received > LONGEST:
            raise ValueError("another number of frames")
        if running.shape != block.running.shape or (running[:1] < 0).any() or len(last) > 1:
            raise ValueError("another number of features")
        self._last, self._early, self.waiting = last, rest if waiting else rest[:0], waiting
        block.place(start, frame, rest[:0] if waiting else rest)
        block.running[:] = running

    def _begun(self, rest: Array) -> Array:
        """The first samples, with what lies before them."""
        made: Array = np.pad(rest, (self.frontend.before, 0), self._mirror)  # type: ignore[call-overload]
        return made

    def _checked(self, samples: Any) -> Array:
        """The samples in float32 or float64, (n,) or (n, channels)."""
        f, given = self.frontend, as_array(samples, "what holds samples")
        if given.dtype.kind not in "fiu":
            raise BadInput(f"samples are {given.dtype}; real numbers expected, float32 best")
        if f.kind == "imu":
            given = given[:, None] if given.ndim == 1 and f.channels == 1 else given
            if given.ndim != 2 or given.shape[1] != f.channels:
                raise BadInput(f"rows of shape {given.shape}; (n, {f.channels}) expected")
        elif given.ndim != 1:
            raise BadInput(f"samples of shape {given.shape}; (n,) of one channel expected")
        return as_numbers(given)


def _check_finite(given: Array) -> None:
    bad = np.argwhere(~(np.abs(given) <= LARGEST))  # which NaN is not
    if len(bad):
        raise not_finite(given, int(bad[0][0]))
