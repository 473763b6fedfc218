"""Extractor: samples in, frames of features out, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.frontend import FrontEnd
from edgernn.pipelines.rows import Rows, differenced
from edgernn.pipelines.running import Running
from edgernn.pipelines.spectrum import Spectrum

BLOCK = 32  # frames computed at a time: what a whole file takes stays in the cache
LARGEST = float(np.finfo(np.float32).max)
MIRRORS = {"symmetric": "symmetric", "reflect": "reflect", "zeros": "constant"}  # edges -> np.pad's mode


class Held(NamedTuple):
    """What an Extractor keeps between calls. Positions count samples from where the first frame begins."""

    rest: Array  # (n,) or (n, columns) float64: what is still to be used
    start: int  # the position of rest[0]
    frame: int  # the next one
    received: int  # samples
    last: Array  # (1 or 0, channels): the row before, for differences
    running: Array  # of Running


class Extractor:
    """The streaming front end: however the samples are cut, the frames are the same bits. One thread at a time."""

    def __init__(self, frontend: FrontEnd):
        f = self.frontend = frontend
        self._make = Spectrum(f) if f.kind in ("logmel", "mfcc") else Rows(f)
        self._mirror = MIRRORS.get(f.edges)
        needed = {"symmetric": f.before, "reflect": f.before + 1}.get(f.edges, 0)
        self._needed = max(0, needed)  # samples that what lies before sample 0 is made of, by mirroring
        self._mean, self._std = np.array(f.mean or (0.0,)), np.array(f.std or (1.0,))
        self._running = Running(f.size, f.running / f.seconds, f.running_std) if f.running else None
        self._none = np.empty((0, f.size), np.float32)
        self.reset()

    def reset(self) -> None:
        """Back to before the first sample."""
        f = self.frontend
        shape = (0, f.columns) if f.kind == "imu" else (0 if self._needed else max(0, f.before),)
        running = self._running.initial if self._running else np.empty(0)
        self._held = Held(np.zeros(shape), min(0, f.before), 0, 0, np.empty((0, f.channels)), running)

    @property
    def received(self) -> int:
        """How many samples have come since the start or the last reset."""
        return self._held.received

    def feed(self, samples: Any) -> Array:
        """Samples (n,) of sound, or rows (n, channels) -> the frames (k, size) float32 that they complete.

        Raises BadInput for another shape, and for what is no real number or not finite; the state is then as before.
        """
        given, held = self._checked(samples), self._held
        rows, last = differenced(given, held.last) if self.frontend.differences else (given, held.last)
        rest, received = np.concatenate((held.rest, rows)), held.received + len(given)
        if held.received < self._needed <= received:
            rest = self._begun(rest)
        held = Held(rest, held.start, held.frame, received, last, held.running)
        made, self._held = self._frames(held) if received >= self._needed else (self._none, held)
        return made

    def finish(self) -> Array:
        """The frames (k, size) that the end of the stream completes, where edges are padded. Then it is as new."""
        held, f, made = self._held, self.frontend, self._none
        if self._mirror and held.received:
            if held.received < self._needed:
                held = held._replace(rest=self._begun(held.rest))
            hop = f.hop_length
            if f.edges == "symmetric":
                count = (held.received + hop // 2) // hop
            else:
                count = 1 + (held.received + 2 * f.before - f.span) // hop
            missing = (count - 1) * hop + f.span - held.start - len(held.rest)
            if count > held.frame and missing > 0:
                held = held._replace(rest=np.pad(held.rest, (0, missing), self._mirror))  # type: ignore[call-overload]
            made, _ = self._frames(held)
        self.reset()
        return made

    def state(self) -> list[Array]:
        """What `set_state` goes on from: four vectors of float64."""
        held = self._held
        counts = np.array([held.start, held.frame, held.received], np.float64)
        return [counts, held.rest.reshape(-1), held.last.reshape(-1), held.running]

    def set_state(self, state: Sequence[Array]) -> None:
        """Go on from a state. Raises ValueError for one that no extractor with these settings comes to."""
        f, (counts, rest, last, running) = self.frontend, state
        start, frame, received = (int(n) for n in counts)
        rest, last = rest.reshape(-1, *self._held.rest.shape[1:]), last.reshape(-1, f.channels)
        end, next_frame = start + len(rest), frame * f.hop_length
        waiting = received < self._needed
        if end != received + (0 if waiting else f.before) or not start <= next_frame or min(frame, received) < 0:
            raise ValueError("positions that do not fit together")
        if (start or frame) if waiting else end >= next_frame + f.span:
            raise ValueError("another number of frames")
        if running.shape != self._held.running.shape or (running[:1] < 0).any() or len(last) > 1:
            raise ValueError("another number of features")
        self._held = Held(rest, start, frame, received, last, running)

    def _begun(self, rest: Array) -> Array:
        """The first samples, with what lies before them."""
        made: Array = np.pad(rest, (self.frontend.before, 0), self._mirror)  # type: ignore[call-overload]
        return made

    def _checked(self, samples: Any) -> Array:
        """The samples in float64, (n,) or (n, channels)."""
        f, given = self.frontend, np.asarray(samples)
        if given.dtype.kind not in "fiu":
            raise BadInput(f"samples are {given.dtype}; real numbers expected, float32 best")
        if f.kind == "imu":
            given = given[:, None] if given.ndim == 1 and f.channels == 1 else given
            if given.ndim != 2 or given.shape[1] != f.channels:
                raise BadInput(f"rows of shape {given.shape}; (n, {f.channels}) expected")
        elif given.ndim != 1:
            raise BadInput(f"samples of shape {given.shape}; (n,) of one channel expected")
        made: Array = given.astype(np.float64)
        if not np.maximum.reduce(np.abs(made), axis=None, initial=0) <= LARGEST:  # which NaN is not
            at = int(np.argwhere(~(np.abs(made) <= LARGEST))[0][0])
            raise BadInput(f"sample {at} of {len(made)} is {given[at]}; all numbers must be finite float32")
        return made

    def _frames(self, held: Held) -> tuple[Array, Held]:
        """The frames that are complete, and what is held after them."""
        f, hop = self.frontend, self.frontend.hop_length
        first = held.frame * hop - held.start  # in rest
        count = 1 + (len(held.rest) - first - f.span) // hop
        if count < 1:
            return self._none, held
        blocks = [
            self._make(_cut(held.rest, first + at * hop, min(BLOCK, count - at), hop, f.span))
            for at in range(0, count, BLOCK)
        ]
        made = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if f.mean or f.std:
            made = (made - self._mean) / self._std
        running = held.running
        if self._running:
            made, running = self._running.follow(made, running)
        if not np.maximum.reduce(np.abs(made), axis=None) <= LARGEST:
            raise BadInput("samples that are too large: their features are beyond float32")
        frame = held.frame + count
        drop = min(max(0, frame * hop - held.start - 1), len(held.rest))  # one sample more is kept, to mirror it
        rest = held.rest[drop:].copy()
        after = Held(rest, held.start + drop, frame, held.received, held.last, running)
        return made.astype(np.float32), after


def _cut(rest: Array, first: int, count: int, hop: int, span: int) -> Array:
    """(count, span) or (count, span, columns): overlapping frames."""
    if count == 1:
        return rest[None, first : first + span]
    part = rest[first : first + (count - 1) * hop + span]
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(part, span, axis=0)[::hop], -1, 1)
