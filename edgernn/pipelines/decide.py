"""Decider: answers in, decisions out, as they come. What happens to one label is `tracks.Track`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.pipelines.baseline import Baseline
from edgernn.pipelines.blocks import NOT_FINITE, ScoreBlock, as_numbers
from edgernn.pipelines.tracks import Decision, Found, Timing, Track
from edgernn.stream.frames import as_array

__all__ = ["Decider", "Decision"]


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
        smoothed = max(1, round(d.smoothing / seconds_per_answer))
        self.block = ScoreBlock(d, smoothed)
        self._top = d.top if d.top < len(d.labels) else 0
        self._baseline = Baseline(d.baseline / seconds_per_answer, d.warmup / seconds_per_answer)
        self.reset()

    def reset(self) -> None:
        """Back to before the first answer."""
        self._baseline.reset()
        self._begin(0.0)

    def _begin(self, origin: float) -> None:
        self._origin = origin
        self.block.reset()
        self.on = False  # some label is
        for _, track in self._tracks:
            track.reset()

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed score of each label after the last answer; 0 before the first."""
        return dict(zip(self.deciding.labels, self.block.score.tolist(), strict=True))

    def feed(self, answers: Any) -> list[Decision]:
        """Answers (k, labels), of anomalies errors (k, 1) -> the decisions that they lead to, as they become known.

        Raises BadInput for another shape and for answers that are not finite; the state is then as before.
        """
        given = as_array(answers, "what holds answers")
        if given.dtype.kind not in "fiu":
            raise BadInput(f"answers are {given.dtype}; real numbers expected, float32 best")
        given = as_numbers(given)
        if given.ndim != 2 or given.shape[1] != len(self.deciding.labels):
            raise BadInput(f"answers of shape {given.shape}; (n, {len(self.deciding.labels)}) expected")
        if self.deciding.kind != "anomaly":
            return self._follow(given)
        if not np.isfinite(given).all():
            raise BadInput(NOT_FINITE)
        return [found for error in given for found in self._follow_error(error)]

    def finish(self) -> list[Decision]:
        """What is still on at the end of the stream, as far as it is a decision."""
        return self.restart(0.0)

    def restart(self, origin: float) -> list[Decision]:
        """Go on after a gap: the next answer is answer 0 of a stream that began at `origin` seconds.

        Gives what was still on, as far as it is a decision. The baseline of anomalies stays as it is.
        """
        found = [self._timed(end) for _, track in self._tracks for end in track.end(self.block.counted)]
        self._begin(origin)
        return found

    def _follow_error(self, error: Array) -> list[Decision]:
        """One error (1,): learnt where it leaves everything quiet."""
        found = self._follow(self._baseline.score(error)[:, None])
        if not self.on:
            self._baseline.learn(error)
        return found

    def _follow(self, answers: Array) -> list[Decision]:
        """Answers (k, labels), whose activation is still to come."""
        return self.follow(*self.block.feed(answers))

    def follow(self, scores: Array, reached: int) -> list[Decision]:
        """The scores (k, labels) that the block has just made, and in how many of them some label is reached."""
        if not (reached or self.on) or not len(scores):
            return []
        found = list(self._looked_at(self.block.counted - len(scores), scores))
        self.on = any(track.on for _, track in self._tracks)
        return [self._timed(one) for one in found]

    def _looked_at(self, count: int, scores: Array) -> Iterator[Found]:
        """Those of scores (k, labels) from answer `count` on, answer by answer where some label reaches its release."""
        seen = 0  # the row after the last one that was looked at
        for i in np.flatnonzero((scores >= self.block.lowest).any(axis=1)).tolist():
            if seen < i:
                yield from self._quiet(count + seen)
            seen = i + 1
            row = scores[i].tolist()
            bar = sorted(row)[-self._top] if self._top else -math.inf  # a label that is no lower may begin
            for number, track in self._tracks:
                if row[number] >= track.release:
                    yield from track.high(count + i, row[number], row[number] >= bar)
                elif track.on:
                    yield from track.end(count + i)
        if seen < len(scores):
            yield from self._quiet(count + seen)

    def _quiet(self, k: int) -> Iterator[Found]:
        """All labels are off with answer k."""
        for _, track in self._tracks:
            yield from track.end(k)

    def _timed(self, found: Found) -> Decision:
        first, end = (self._origin + k * self.seconds - self._delay for k in (found.first, found.end))
        return Decision(found.label, found.score, round(max(0.0, first), 6), round(max(0.0, end), 6))

    def state(self) -> list[Array]:
        """What `set_state` goes on from: vectors of float64."""
        tracks = [number for _, track in self._tracks for number in track.state()]
        counts = [self._origin, self.block.counted, *self._baseline.state()]
        recent = self.block.recent.T.reshape(-1)
        return [np.array(counts, np.float64), recent, self.block.score.copy(), np.array(tracks, np.float64)]

    def set_state(self, state: Sequence[Array]) -> None:
        """Go on from a state. Raises ValueError for one of another size."""
        counts, recent, scores, tracks = state
        if [part.shape for part in state] != [part.shape for part in self.state()]:
            raise ValueError("another number of labels or answers")
        self._origin = float(counts[0])
        self.block.place(int(counts[1]), recent.reshape(len(scores), -1).T, scores)
        self._baseline.set_state(*counts[2:].tolist())
        for (_, track), numbers in zip(self._tracks, tracks.reshape(-1, 4).tolist(), strict=True):
            track.set_state(*numbers)
        self.on = any(track.on for _, track in self._tracks)
