"""Pipeline: samples in, decisions out. Features, a stream and a decider of one model, and the stream's clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels import library
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.layers.model import Model
from edgernn.pipelines import saved
from edgernn.pipelines.decide import Decider, Decision
from edgernn.pipelines.ear import Ear
from edgernn.pipelines.features import Extractor

LARGEST = 1e100  # beyond any number of a state
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
        self.model, self.frontend, self.rate = model, front, front.rate
        self._extractor, self.stream = Extractor(front), model.stream()
        self._anomaly = model.deciding is not None and model.deciding.kind == "anomaly"
        self._decider = self.decider(model.deciding) if model.deciding else None
        self._ear = self._listening()
        self.nothing = np.empty((0, front.channels) if front.kind == "imu" else 0)  # no samples, in the right shape
        self.reset()

    def decider(self, deciding: Deciding) -> Decider:
        """A new decider on this model's answers, which need not be the model's own (see `judged`)."""
        model, front = self.model, self.frontend
        first = front.first + (model.window - model.hop + self._anomaly) * front.seconds
        return Decider(deciding, model.hop * front.seconds, -first)

    def _listening(self) -> Ear | None:
        """What takes the short way, where there is one."""
        call = library.load().hear
        if call is None or self._decider is None or self._anomaly or self.frontend.kind == "imu":
            return None
        return Ear(call, self._extractor, self.stream, self._decider)

    @property
    def lag(self) -> float:
        """Seconds from the end of what an answer stands for to the sample that brings the answer."""
        front = self.frontend
        return (front.span - front.hop_length) / 2 / front.rate + self.model.delay * front.seconds

    def reset(self) -> None:
        """Back to before the first sample, at time 0."""
        self._begin(0.0)
        if self._decider:
            self._decider.reset()

    def _begin(self, origin: float) -> None:
        self._origin = origin
        self._early = self.model.delay // self.model.hop  # answers still to come that belong to nothing
        self._forecast = np.empty((0, self.model.outputs[0].size), np.float32)
        self._last = self.nothing if self.nothing.ndim > 1 else np.zeros(1)  # what a short gap is filled with
        self._extractor.reset()
        self.stream.reset()

    @property
    def time(self) -> float:
        """Seconds of the stream that have been consumed, gaps included."""
        return self._origin + self._extractor.received / self.rate

    @property
    def scores(self) -> dict[str, float]:
        """The smoothed score of each label after the last answer; empty where the model has no decisions."""
        return self._decider.scores if self._decider else {}

    def feed(self, samples: Any) -> list[Decision]:
        """Samples (n,) of sound, or rows (n, channels) -> the decisions that they lead to, as they become known.

        Raises BadInput for samples that do not fit or are not finite, the state then being as before, and for a model
        without decisions.
        """
        if self._ear is not None and not self._early:
            found = self._ear.feed(samples)
            if found is not None:
                return found
        return self._deciding().feed(self.judged(samples))

    def answers(self, samples: Any, end: bool = False) -> Array:
        """Samples -> the model's raw answers (k, n_out), those before its delay included; the decider sees none of it.

        end: the stream ends with these samples; then all but the decider is as new. Raises BadInput as `feed` does.
        """
        made: Array = self.stream.run(self.extracted(samples, end))
        if end:
            self._begin(0.0)
        return made

    def judged(self, samples: Any, end: bool = False) -> Array:
        """What a decider takes (k, labels): the answers that belong to something; of forecasts, the errors.

        Arguments and errors are those of `answers`.
        """
        frames = self.extracted(samples, end)
        made = self.taken(frames, self.stream.run(frames))
        if end:
            self._begin(0.0)
        return made

    def taken(self, frames: Array, answers: Array) -> Array:
        """What a decider takes of the answers (k, n_out) to these frames (n, n_in), whoever computed them."""
        early = min(self._early, len(answers))
        self._early -= early
        return self._errors(frames, answers) if self._anomaly else answers[early:]

    def decided(self, frames: Array, answers: Array) -> list[Decision]:
        """The decisions that these answers lead to. Raises BadInput for a model without decisions."""
        return self._deciding().feed(self.taken(frames, answers))

    def _errors(self, frames: Array, forecasts: Array) -> Array:
        """(k, 1): for each frame that was forecast, the root of the mean squared error."""
        forecasts = np.concatenate((self._forecast, forecasts))  # of the last of the frames, and of one to come
        self._forecast = forecasts[-1:].copy()
        known = len(forecasts[:-1])
        off = np.subtract(frames[len(frames) - known :], forecasts[:known], dtype=np.float64)
        return np.asarray(np.sqrt(np.add.reduce(off * off, axis=1, keepdims=True) / off.shape[1]))

    def finish(self) -> list[Decision]:
        """The decisions that the end of the stream leads to. Then the pipeline is as new."""
        decider = self._deciding()
        found = decider.feed(self.judged(self.nothing, end=True)) + decider.finish()
        self.reset()
        return found

    def gap(self, seconds: float) -> list[Decision]:
        """So many seconds of samples were lost -> the decisions that this leads to.

        The clock goes on. A gap of up to BRIDGED seconds is filled, sound with silence and sensors with their last row.
        After a longer one features, model and smoothing begin anew, and what was on ends where the gap begins; the
        baseline of anomalies stays. Raises BadInput for what is no number of seconds.
        """
        filling = self.bridge(seconds)
        if filling is not None:
            made = self.judged(filling)
            return self._decider.feed(made) if self._decider else []
        origin = self.time + seconds
        self._begin(origin)
        return self._decider.restart(origin) if self._decider else []

    def bridge(self, seconds: float) -> Array | None:
        """The samples that fill a gap of so many seconds (see `gap`); None where it is too long for that.

        Raises BadInput for what is no number of seconds.
        """
        if not 0 <= seconds < 1e9:
            raise BadInput(f"a gap of {seconds} seconds")
        if seconds > BRIDGED or not len(self._last):
            return None
        return np.repeat(self._last, round(seconds * self.rate), axis=0)

    def save_state(self) -> bytes:
        """The state, to go on from on any machine that has the model."""
        own = [np.array([self._origin, self._early]), self._forecast.reshape(-1).astype(np.float64)]
        own += [self._last.reshape(-1)]
        decider = self._decider.state() if self._decider else []
        return saved.pack(self.model.hash, [*own, *self._extractor.state(), *decider], self.stream.save_state())

    def load_state(self, blob: bytes) -> None:
        """Go on from a saved state, bit for bit. Raises BadInput for a foreign or damaged one, and changes nothing."""
        vectors, stream = saved.unpack(blob, self.model.hash)
        before = self.save_state()
        try:
            self._set_state(vectors, stream)
        except (ValueError, OverflowError):
            self._set_state(*saved.unpack(before, self.model.hash))
            raise BadInput("the saved state does not fit this model; save it again") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _resumed, (self.model, self.save_state())

    def __deepcopy__(self, memo: Any) -> Pipeline:
        return _resumed(self.model, self.save_state())

    def _set_state(self, vectors: list[Array], stream: bytes) -> None:
        if not all((np.abs(vector) < LARGEST).all() for vector in vectors):
            raise ValueError("numbers that no pipeline comes to")
        (origin, early), forecast, last, *parts = vectors
        self._origin, self._early = float(origin), int(early)
        self._forecast = forecast.astype(np.float32).reshape(-1, self.model.outputs[0].size)
        self._last = last.reshape(-1, *self.nothing.shape[1:])
        if len(self._forecast) > 1 or not 0 <= self._early <= self.model.delay // self.model.hop:
            raise ValueError("another number of answers")
        self._extractor.set_state(parts[:4])
        if self._decider:
            self._decider.set_state(parts[4:])
        self.stream.load_state(stream)

    def _deciding(self) -> Decider:
        if self._decider is None:
            raise BadInput("the model has no decisions: convert it with --decisions, or use answers()")
        return self._decider

    def extracted(self, samples: Any, end: bool = False) -> Array:
        """Samples -> the model's frames (n, n_in) that they complete. Raises BadInput as `feed` does."""
        front, frames = self.frontend, self._extractor.feed(samples)
        if front.kind == "imu" and np.size(samples):
            self._last = np.array(samples, np.float64).reshape(-1, front.channels)[-1:]
        return np.concatenate((frames, self._extractor.finish())) if end else frames


def _resumed(model: Model, blob: bytes) -> Pipeline:
    """A pipeline that goes on from a saved state: what a copy is, and how one reaches another process."""
    pipeline = Pipeline(model)
    pipeline.load_state(blob)
    return pipeline
