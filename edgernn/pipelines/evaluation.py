"""Evaluation: a model on labelled recordings, at its own threshold and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from edgernn.errors import BadInput
from edgernn.kernels.reference_hearing import posteriors
from edgernn.layers.base import Array
from edgernn.layers.deciding import Deciding
from edgernn.layers.model import Model
from edgernn.pipelines.blocks import ACTIVATIONS
from edgernn.pipelines.decide import Decider
from edgernn.pipelines.pipeline import Pipeline
from edgernn.pipelines.scoring import Outcome
from edgernn.pipelines.sources import open_source
from edgernn.pipelines.tracks import Decision
from edgernn.pipelines.truth import Recording

POINTS = 40  # thresholds of a curve


@dataclass(frozen=True)
class Heard:
    """What a model makes of one recording, before anything is decided."""

    recording: Recording
    judged: Array  # (k, labels): what a Decider takes
    seconds: float


@dataclass(frozen=True)
class Point:
    """What comes of one threshold for all labels."""

    threshold: float
    false_accepts_an_hour: float
    false_reject_rate: float


class Evaluation:
    """A model that decides, heard on recordings. Raises BadInput for a model without features or decisions."""

    def __init__(self, model: Model):
        if model.deciding is None:
            raise BadInput("the model has no decisions to judge: convert it with --features and --decisions")
        self.deciding, self._pipeline = model.deciding, Pipeline(model)

    def listen(self, recording: Recording, say: Callable[[str], None]) -> Heard:
        """The recording through features and model.

        Raises BadInput for one with gaps or of other channels, and for a stretch that begins after its end.
        """
        pipeline, front = self._pipeline, self._pipeline.frontend
        pipeline.reset()
        parts, seconds = [], 0.0
        with open_source(str(recording.path), front.rate, front.channels, say=say) as source:
            for block in source:
                if block.gap:
                    raise BadInput(f"{recording.path} has a gap at {block.time:.3f} s: a whole recording expected")
                parts.append(pipeline.judged(block.samples))
                seconds = pipeline.time
        parts.append(pipeline.judged(pipeline.nothing, end=True))
        for stretch in () if recording.clip else recording.stretches:
            if stretch.start >= seconds:
                begins = f"'{stretch.label}' is to begin at {stretch.start:g} s"
                raise BadInput(f"{recording.path}: {begins}, and the recording ends at {seconds:g} s")
        return Heard(recording, np.concatenate(parts), seconds)

    def outcome(self, heard: Iterable[Heard], deciding: Deciding | None = None) -> Outcome:
        """What the model decides, or would decide with other settings."""
        deciding = deciding or self.deciding
        decider, made = self._pipeline.decider(deciding), Outcome()
        lag = self._pipeline.lag + (decider.seconds if deciding.report == "end" else 0.0)
        for one in heard:
            made.add(one.recording, decided(decider, one.judged), one.seconds, lag)
        return made

    def point(self, heard: list[Heard], threshold: float) -> Point:
        """What comes of one threshold for all labels; the ratio of release to threshold stays."""
        return _point(threshold, self.outcome(heard, at(self.deciding, threshold)))

    def own_point(self, outcome: Outcome) -> Point:
        """The outcome of the model's own settings as a point of the curve."""
        return _point(self.deciding.threshold[0], outcome)

    def thresholds(self, heard: list[Heard]) -> list[float]:
        """Thresholds for a curve: evenly over all scores, and by how rare scores above them are.

        The scores of anomalies follow from the threshold: there they are from an eighth to eight times the model's own.
        """
        d = self.deciding
        if d.kind == "anomaly":
            middle = max(1e-3, d.threshold[0])
            return [float(x) for x in np.geomspace(middle / 8, middle * 8, POINTS)]
        counted = [i for i, label in enumerate(d.labels) if label not in d.ignored]
        answers = np.concatenate([one.judged for one in heard]).astype(np.float64)
        scores = posteriors(ACTIVATIONS[d.activation], answers)[:, counted]
        if not scores.size:
            return []  # not one answer
        even = np.linspace(scores.min(), scores.max(), POINTS // 2)
        rare = np.quantile(scores, 1 - np.geomspace(0.5, 1 / max(2, scores.size), POINTS // 2))
        return sorted({float(x) for x in (*even, *rare)})


def _point(threshold: float, found: Outcome) -> Point:
    return Point(threshold, found.false_accepts_an_hour, found.false_rejects / max(1, found.stretches))


def decided(decider: Decider, judged: Array) -> list[Decision]:
    """The decisions on one recording by itself."""
    decider.reset()
    return decider.feed(judged) + decider.finish()


def at(deciding: Deciding, threshold: float) -> Deciding:
    """The same with one threshold for all labels, and release thresholds as far below it as theirs, in proportion."""
    ratios = [r / t if t > 0 else 1.0 for t, r in zip(deciding.threshold, deciding.release, strict=True)]
    release = tuple(min(threshold, threshold * ratio) for ratio in ratios)
    return replace(deciding, threshold=(threshold,) * len(deciding.labels), release=release)
