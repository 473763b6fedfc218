"""Pipeline: samples in, decisions out. Features, a stream and a decider of one model, and the stream's clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.pipelines import saved
from edgernn.pipelines.decide import Decider, Decision
from edgernn.pipelines.features import Extractor

BRIDGED = 0.1  # seconds: a gap so long is filled, after a longer one the stream begins anew


class Pipeline:
    """A model with its front end, as it listens. However the samples are cut, it gives the same. One thread at a time.

    An answer stands for the last `hop` frames that it is about, a frame for one hop of samples around its middle; the
    frames that a model looks ahead (`delay`) and the length of a frame are taken off the times of decisions.
    Raises BadInput for a model without a front end, and BackendUnavailable as `Stream` does.
    """

    def __init__(self, model: Model):
        front = model.frontend
        if front is None:
            raise BadInput('the model has no front end: convert it with --features (kind "raw" for bare samples)')
        self.model, self.rate = model, front.rate
        self._extractor, self._stream = Extractor(front), model.stream()
        self._anomaly = model.deciding is not None and model.deciding.kind == "anomaly"
        first = front.first + (model.window - model.hop + self._anomaly) * front.seconds
        self._decider = Decider(model.deciding, model.hop * front.seconds, -first) if model.deciding else None
        self.reset()

    def reset(self) -> None:
        """Back to before the first sample, at time 0."""
        self._begin(0.0)
        if self._decider:
            self._decider.reset()

    def _begin(self, origin: float) -> None:
        self._origin = origin
        self._early = self.model.delay // self.model.hop  # answers still to come that belong to nothing
        self._forecast = np.empty((0, self.model.outputs[0].size), np.float32)
        self._last: Array | None = None
        self._extractor.reset()
        self._stream.reset()

    @property
    def time(self) -> float:
        """Seconds of the stream that have been consumed, gaps included."""
        return self._origin + self._extractor.received / self.rate

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed score of each label after the last answer; empty where the model has no decisions."""
        return self._decider.scores if self._decider else {}

    def feed(self, samples: Any) -> list[Decision]:
        """Samples (n,) of sound, or rows (n, channels) -> the decisions that they lead to, in order of time.

        Raises BadInput for samples that do not fit or are not finite, the state then being as before, and for a model
        without decisions.
        """
        decider = self._deciding()
        frames = self._extracted(samples)
        return decider.feed(self._judged(frames, self._stream.run(frames)))

    def answers(self, samples: Any) -> Any:
        """Samples -> the model's raw answers (k, n_out), those before its delay included. Raises BadInput as `feed`.

        The two share the features and the model's state: use one or the other.
        """
        return self._stream.run(self._extracted(samples))

    def finish(self) -> list[Decision]:
        """The decisions that the end of the stream leads to. Then the pipeline is as new."""
        decider = self._deciding()
        frames = self._extractor.finish()
        found = decider.feed(self._judged(frames, self._stream.run(frames))) + decider.finish()
        self.reset()
        return found

    def gap(self, seconds: float) -> list[Decision]:
        """So many seconds of samples were lost -> the decisions that this leads to.

        The clock goes on. A gap of up to BRIDGED seconds is filled, sound with silence and sensors with their last row.
        After a longer one features, model and smoothing begin anew, and what was on ends where the gap begins; the
        baseline of anomalies stays. Raises BadInput for what is no number of seconds, and without decisions.
        """
        decider = self._deciding()
        if not 0 <= seconds < 1e9:
            raise BadInput(f"a gap of {seconds} seconds")
        if seconds <= BRIDGED:
            lost = round(seconds * self.rate)
            return self.feed(np.zeros(lost) if self._last is None else np.repeat(self._last, lost, axis=0))
        origin = self.time + seconds
        self._begin(origin)
        return decider.restart(origin)

    def save_state(self) -> bytes:
        """The state, to go on from on any machine that has the model."""
        own = [np.array([self._origin, self._early]), self._forecast.reshape(-1).astype(np.float64)]
        own += [np.empty(0) if self._last is None else self._last[0]]
        decider = self._decider.state() if self._decider else []
        return saved.pack(self.model.hash, [*own, *self._extractor.state(), *decider], self._stream.save_state())

    def load_state(self, blob: bytes) -> None:
        """Go on from a saved state, bit for bit. Raises BadInput for a foreign or damaged one, and changes nothing."""
        vectors, stream = saved.unpack(blob, self.model.hash)
        before = self.save_state()
        try:
            self._set_state(vectors, stream)
        except (ValueError, OverflowError):
            self._set_state(*saved.unpack(before, self.model.hash))
            raise BadInput("the saved state does not fit this model; save it again") from None

    def _set_state(self, vectors: list[Array], stream: bytes) -> None:
        if not all(np.isfinite(vector).all() for vector in vectors):
            raise ValueError("numbers that are not finite")
        (origin, early), forecast, last, *parts = vectors
        self._origin, self._early = float(origin), int(early)
        self._forecast = forecast.astype(np.float32).reshape(-1, self.model.outputs[0].size)
        self._last = last[None] if len(last) else None
        self._extractor.set_state(parts[:4])
        if self._decider:
            self._decider.set_state(parts[4:])
        self._stream.load_state(stream)

    def _deciding(self) -> Decider:
        if self._decider is None:
            raise BadInput("the model has no decisions: convert it with --decisions, or use answers()")
        return self._decider

    def _extracted(self, samples: Any) -> Array:
        frames = self._extractor.feed(samples)
        if self.model.frontend is not None and self.model.frontend.kind == "imu" and np.size(samples):
            self._last = np.array(samples, np.float64).reshape(-1, self.model.frontend.channels)[-1:]
        return frames

    def _judged(self, frames: Array, answers: Array) -> Array:
        """What the decider takes: the answers that belong to something; of forecasts, the errors (k, 1)."""
        early = min(self._early, len(answers))
        self._early -= early
        answers = answers[early:]
        if not self._anomaly or not len(answers):
            return answers if not self._anomaly else np.empty((0, 1))
        forecasts = np.concatenate((self._forecast, answers[:-1]))  # of the last frames
        self._forecast = answers[-1:].copy()
        off = np.subtract(frames[len(frames) - len(forecasts) :], forecasts, dtype=np.float64)
        return np.asarray(np.sqrt(np.add.reduce(off * off, axis=1, keepdims=True) / off.shape[1]))
