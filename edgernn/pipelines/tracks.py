"""Track: one label's way from scores to decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Decision:
    """What was decided: `label` with this score, from `start` to `end` in seconds of the stream.

    A decision told at its start ends where it became sure, one told at its end where its score fell; `score` is the
    highest smoothed score between the two.
    """

    label: str
    score: float
    start: float
    end: float


class Timing(NamedTuple):
    """Times as numbers of answers."""

    least: int  # that a decision lasts, 1 or more
    refractory: int
    at_end: bool  # told when it is over, not when it is sure


class Found(NamedTuple):
    """A decision in numbers of answers."""

    told: int  # the answer that made it known
    label: str
    score: float
    first: int  # the first answer of it
    end: int  # the answer after the last


class Track:
    """Threshold with hysteresis, minimum duration and refractory time, for one label.

    The label goes on with answer k where s_k >= threshold, it may begin and k >= free; it goes off with the first s_k <
    release. Let f be the answer that it went on with. Told at the start: at the answer k = f + least - 1 where it is
    still on; the decision is [f, k + 1), and nothing more is told until it has gone off. Told at the end: when it goes
    off with k and k - f >= least; the decision is [f, k). Either sets free to the decision's end plus refractory.
    """

    def __init__(self, label: str, threshold: float, release: float, timing: Timing):
        self.label, self.threshold, self.release, self.timing = label, threshold, release, timing
        self.reset()

    def reset(self) -> None:
        """Off, and free to begin."""
        self._first, self._free, self._told, self._peak = -1, 0, False, 0.0

    @property
    def on(self) -> bool:
        """Whether the label is on."""
        return self._first >= 0

    def high(self, k: int, score: float, may_begin: bool) -> Iterator[Found]:
        """The score of answer k is at or above release; may_begin: among the highest."""
        if self.on:
            self._peak = max(self._peak, score)
        elif score >= self.threshold and may_begin and k >= self._free:
            self._first, self._told, self._peak = k, False, score
        if self.on and not self._told and not self.timing.at_end and k + 1 - self._first >= self.timing.least:
            self._told = True
            yield self._found(k, k + 1)

    def end(self, k: int) -> Iterator[Found]:
        """The label is off with answer k."""
        if self.on and self.timing.at_end and k - self._first >= self.timing.least:
            yield self._found(k, k)
        self._first = -1

    def _found(self, told: int, end: int) -> Found:
        self._free = end + self.timing.refractory
        return Found(told, self.label, self._peak, self._first, end)

    def state(self) -> tuple[float, float, float, float]:
        """What `set_state` takes."""
        return self._first, self._free, self._told, self._peak

    def set_state(self, first: float, free: float, told: float, peak: float) -> None:
        """Go on from a state."""
        self._first, self._free, self._told, self._peak = int(first), int(free), bool(told), peak
