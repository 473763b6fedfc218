"""Decider: answers in, decisions out, as they come. What happens to one label is `tracks.Track`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.pipelines.baseline import Baseline
from edgernn.pipelines.tracks import Decision, Found, Timing, Track

__all__ = ["Decider", "Decision"]

BLOCK = 1 << 16  # numbers that are averaged at a time


class Decider:
    """Turns answers into decisions; however the answers are cut, the decisions are the same.

    Answer k (from 0) stands for the time from k * seconds_per_answer - delay on, one seconds_per_answer long; in the
    equations times are whole numbers of answers. With S = max(1, round(smoothing / seconds_per_answer)):

        p_k = activation(answer k)          anomalies: the score of error e_k (see `baseline`)
        s_k = mean of p_j, k - S < j <= k, without what was before the start

    Each label that is not ignored is decided on by itself (see `tracks`); it may begin where fewer than `top` labels
    have a higher s_k, ignored ones counted.
    """

    def __init__(self, deciding: Deciding, seconds_per_answer: float, delay: float = 0.0):
        d = self.deciding = deciding
        self.seconds, self._delay = seconds_per_answer, delay
        least, refractory = (math.ceil(t / seconds_per_answer - 1e-6) for t in (d.minimum_duration, d.refractory))
        timing = Timing(max(1, least), max(0, refractory), d.report == "end")
        self._tracks = [
            (i, Track(label, d.threshold[i], d.release[i], timing))
            for i, label in enumerate(d.labels)
            if label not in d.ignored
        ]
        self._lowest = np.array(d.release)[:, None]
        self._length = max(1, round(d.smoothing / seconds_per_answer))
        self._baseline = Baseline(d.baseline / seconds_per_answer, d.warmup / seconds_per_answer)
        self.reset()

    def reset(self) -> None:
        """Back to before the first answer."""
        self._baseline.reset()
        self._begin(0.0)

    def _begin(self, origin: float) -> None:
        self._origin = origin
        self._count = 0
        self._recent = np.zeros((len(self.deciding.labels), self._length - 1))  # p of the last answers
        self._scores = np.zeros(len(self.deciding.labels))
        for _, track in self._tracks:
            track.reset()

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed score of each label after the last answer; 0 before the first."""
        return dict(zip(self.deciding.labels, self._scores.tolist(), strict=True))

    def feed(self, answers: Any) -> list[Decision]:
        """Answers (k, labels), of anomalies errors (k, 1) -> the decisions that they lead to, as they become known.

        Raises BadInput for another shape and for answers that are not finite; the state is then as before.
        """
        given = np.asarray(answers, np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.deciding.labels):
            raise BadInput(f"answers of shape {given.shape}; (n, {len(self.deciding.labels)}) expected")
        if not np.maximum.reduce(np.abs(given), axis=None, initial=0) < np.inf:  # which NaN is not
            raise BadInput("the model's answers are not finite: it is no good for these numbers")
        if self.deciding.kind == "anomaly":
            return [found for error in given for found in self._follow_error(error)]
        return self._follow(activated(self.deciding.activation, given).T) if len(given) else []

    def finish(self) -> list[Decision]:
        """What is still on at the end of the stream, as far as it is a decision."""
        return self.restart(0.0)

    def restart(self, origin: float) -> list[Decision]:
        """Go on after a gap: the next answer is answer 0 of a stream that began at `origin` seconds.

        Gives what was still on, as far as it is a decision. The baseline of anomalies stays as it is.
        """
        found = [self._timed(end) for _, track in self._tracks for end in track.end(self._count)]
        self._begin(origin)
        return found

    def _follow_error(self, error: Array) -> list[Decision]:
        """One error (1,): learnt where it leaves everything quiet."""
        found = self._follow(self._baseline.score(error)[:, None])
        if not any(track.on for _, track in self._tracks):
            self._baseline.learn(error)
        return found

    def _follow(self, posteriors: Array) -> list[Decision]:
        """(labels, k), k > 0."""
        scores = self._smoothed(posteriors)
        may_begin = self._may_begin(scores)
        hot = np.logical_or.reduce(scores >= self._lowest, axis=1).tolist()
        found: list[Found] = []
        for i, track in self._tracks:
            if hot[i] or track.on:
                found += track.follow(self._count, scores[i], may_begin[i])
        self._count, self._scores = self._count + scores.shape[1], scores[:, -1].copy()
        return [self._timed(one) for one in sorted(found, key=lambda one: one.told)]

    def _smoothed(self, posteriors: Array) -> Array:
        """(labels, k) -> (labels, k): each sum is taken over S numbers in a row, zeros before the start."""
        if self._length == 1:
            return posteriors
        count, joined = posteriors.shape[1], np.concatenate((self._recent, posteriors), axis=1)
        self._recent = joined[:, count:].copy()  # a view would keep all of a long recording
        sums = np.add.reduce(joined, axis=1)[:, None] if count == 1 else _sums(joined, self._length)
        if self._count + 1 >= self._length:
            return np.asarray(sums / self._length)
        return np.asarray(sums / np.minimum(self._count + 1 + np.arange(count), self._length))

    def _may_begin(self, scores: Array) -> Array:
        """(labels, k) -> (labels, k): whether a label is among the highest."""
        top = self.deciding.top if self.deciding.top < len(scores) else 0
        bar = np.sort(scores, axis=0)[-top] if top else -np.inf
        return np.asarray(scores >= bar)

    def _timed(self, found: Found) -> Decision:
        first, end = (self._origin + k * self.seconds - self._delay for k in (found.first, found.end))
        return Decision(found.label, found.score, round(max(0.0, first), 6), round(max(0.0, end), 6))

    def state(self) -> list[Array]:
        """What `set_state` goes on from: vectors of float64."""
        tracks = [number for _, track in self._tracks for number in track.state()]
        counts = [self._origin, self._count, *self._baseline.state()]
        return [np.array(counts, np.float64), self._recent.reshape(-1), self._scores, np.array(tracks, np.float64)]

    def set_state(self, state: Sequence[Array]) -> None:
        """Go on from a state. Raises ValueError for one of another size."""
        counts, recent, scores, tracks = state
        if [part.shape for part in state] != [part.shape for part in self.state()]:
            raise ValueError("another number of labels or answers")
        self._origin, self._count = float(counts[0]), int(counts[1])
        self._baseline.set_state(*counts[2:].tolist())
        self._recent, self._scores = recent.reshape(self._recent.shape), scores
        for (_, track), numbers in zip(self._tracks, tracks.reshape(-1, 4).tolist(), strict=True):
            track.set_state(*numbers)


def _sums(joined: Array, length: int) -> Array:
    """(labels, n) -> (labels, n - length + 1): sums of so many in a row, each added up in the same order."""
    windows = np.lib.stride_tricks.sliding_window_view(joined, length, axis=1)  # (labels, k, length)
    step = max(1, BLOCK // (length * len(joined)))
    blocks = (np.ascontiguousarray(windows[:, at : at + step]) for at in range(0, windows.shape[1], step))
    return np.concatenate([np.add.reduce(block, axis=2) for block in blocks], axis=1)


def activated(activation: str, answers: Array) -> Array:
    """(k, n) -> (k, n): posteriors of answers."""
    if activation == "softmax":
        powers = np.exp(answers - np.maximum.reduce(answers, axis=1, keepdims=True))
        return np.asarray(powers / np.add.reduce(powers, axis=1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(0.5 + 0.5 * np.tanh(answers / 2))
    return answers
