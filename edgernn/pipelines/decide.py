"""Decider: answers in, decisions out, as they come. One label at a time is `tracks.Track`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.pipelines.baseline import Baseline
from edgernn.pipelines.tracks import Decision, Timing, Track

__all__ = ["Decider", "Decision"]


class Decider:
    """Turns answers into decisions; however the answers are cut, the decisions are the same.

    Answer k (from 0) stands for the time from k * seconds_per_answer - delay on, one seconds_per_answer long; in the
    equations times are whole numbers of answers. With S = max(1, round(smoothing / seconds_per_answer)):

        p_k = activation(answer k)          anomalies: p_k = (e_k - m_k) / d_k, from errors e (see `baseline`)
        s_k = mean of p_j, k - S < j <= k, without what was before the start

    Each label that is not ignored is decided on by itself (see `tracks`). Restarting forgets s, and ends what is on.
    """

    def __init__(self, deciding: Deciding, seconds_per_answer: float, delay: float = 0.0):
        d = self.deciding = deciding
        self._seconds, self._delay = seconds_per_answer, delay
        timing = Timing(
            least=_answers_that_last(d.minimum_duration, seconds_per_answer),
            refractory=_answers_that_last(d.refractory, seconds_per_answer, 0),
            at_end=d.report == "end",
        )
        self._tracks = [
            (i, Track(label, d.threshold[i], d.release[i], timing))
            for i, label in enumerate(d.labels)
            if label not in d.ignored
        ]
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
        self._recent = np.zeros((self._length, len(self.deciding.labels)))  # of answer k in row k % length
        self._scores = np.zeros(len(self.deciding.labels))
        for _, track in self._tracks:
            track.reset()

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed score of each label after the last answer; 0 before the first."""
        return dict(zip(self.deciding.labels, self._scores.tolist(), strict=True))

    def feed(self, answers: Any) -> list[Decision]:
        """Answers (k, labels), of anomalies errors (k, 1) -> the decisions that they lead to, in order of time.

        Raises BadInput for another shape and for answers that are not finite; the state is then as before.
        """
        given = np.asarray(answers, np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.deciding.labels):
            raise BadInput(f"answers of shape {given.shape}; (n, {len(self.deciding.labels)}) expected")
        if not np.isfinite(given).all():
            raise BadInput("the model's answers are not finite: it is no good for these numbers")
        return [found for row in activated(self.deciding.activation, given) for found in self._follow(row)]

    def finish(self) -> list[Decision]:
        """What is still on at the end of the stream, as far as it is a decision."""
        return self.restart(0.0)

    def restart(self, origin: float) -> list[Decision]:
        """Go on after a gap: the next answer is answer 0 of a stream that began at `origin` seconds.

        Gives what was still on, as far as it is a decision. The baseline of anomalies stays as it is.
        """
        found = [self._timed(*end) for _, track in self._tracks for end in track.end(self._count)]
        self._begin(origin)
        return found

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

    def _follow(self, row: Array) -> Iterator[Decision]:
        k, anomaly = self._count, self.deciding.kind == "anomaly"
        if anomaly:
            row, error = self._baseline.score(row), row
        self._recent[k % self._length] = row
        kept = min(k + 1, self._length)
        scores = self._scores = np.add.reduce(self._recent[:kept], axis=0) / kept
        self._count += 1
        may_begin = scores >= self._bar(scores)
        for i, track in self._tracks:
            for found in track.follow(k, float(scores[i]), bool(may_begin[i])):
                yield self._timed(*found)
        if anomaly and not any(track.on for _, track in self._tracks):
            self._baseline.learn(error)

    def _bar(self, scores: Array) -> float:
        """The score that a label needs to be among the highest."""
        top = self.deciding.top
        return -math.inf if not 0 < top < len(scores) else float(np.sort(scores)[-top])

    def _timed(self, label: str, score: float, first: int, last: int) -> Decision:
        start, end = (round(max(0.0, self._origin + k * self._seconds - self._delay), 6) for k in (first, last))
        return Decision(label, score, start, end)


def activated(activation: str, answers: Array) -> Array:
    """(k, n) -> (k, n): posteriors of answers."""
    if activation == "softmax":
        powers = np.exp(answers - answers.max(axis=1, keepdims=True))
        return np.asarray(powers / np.add.reduce(powers, axis=1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(0.5 + 0.5 * np.tanh(answers / 2))
    return answers


def _answers_that_last(seconds: float, each: float, least: int = 1) -> int:
    """The least number of answers that takes so long, and not less than `least`."""
    return max(least, math.ceil(seconds / each - 1e-6))
