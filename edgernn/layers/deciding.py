"""Deciding: how a model's answers become decisions. Settings only, stored with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgernn.errors import BadInput
from edgernn.layers.settings import as_table, checked, one_of, within

TABLE = "decisions"
KINDS = ("labels", "anomaly")
ACTIVATIONS = ("none", "softmax", "sigmoid")
REPORTS = ("start", "end")
LONGEST_TIME = 86_400.0  # seconds
BY_LABEL = ("threshold", "release")
ANOMALY = {"labels": ["anomaly"], "threshold": 6.0, "report": "start"}
ELSEWHERE = {
    "labels_ignored": "write ignored",
    "background": "write ignored = [labels]",
    "smoothing_ms": "write smoothing, in seconds",
    "suppression_ms": "write refractory, in seconds",
    "min_duration": "write minimum_duration, in seconds",
    "hysteresis": "write release, the threshold below which a decision ends",
    "top_k": "write top",
}


@dataclass(frozen=True)
class Deciding:
    """The settings of a decider. Raises BadInput for values that make none.

    kind "labels": the model answers with a number for each of `labels`, which `activation` turns into posteriors.
    kind "anomaly": the model answers with a forecast of the next frame; the score is how many deviations the forecast
    was further off than it usually is: a running baseline over the last `baseline` seconds, which stands still during
    an alarm, and decides on nothing for the first `warmup` seconds.

    Scores are averaged over `smoothing` seconds. A label is on from a score at or above its threshold until one below
    its release threshold. What lasts `minimum_duration` is a decision, told as soon as that is sure (report = "start")
    or when it is over ("end"); for `refractory` seconds after its end no other of that label begins. Only a label among
    the `top` highest scores can begin (0: any). `ignored` labels are never decided on.
    """

    labels: tuple[str, ...]
    threshold: tuple[float, ...]  # one for each label
    release: tuple[float, ...]  # the same
    kind: str = "labels"
    activation: str = "none"
    smoothing: float = 0.0
    minimum_duration: float = 0.0
    refractory: float = 0.0
    ignored: tuple[str, ...] = ()
    top: int = 1
    report: str = "start"
    baseline: float = 30.0
    warmup: float = 5.0

    @classmethod
    def from_settings(cls, given: Mapping[str, Any]) -> Deciding:
        """The decider of a table of settings.

        threshold (0.5 if not said, 6 for anomalies) and release (the threshold if not said) are one number, a list in
        the order of the labels, or a table from label to number, which may leave out ignored labels. Raises BadInput
        for what is unknown, of another type, out of bounds or not used by the kind.
        """
        given = dict(given) if isinstance(given, Mapping) else given
        if isinstance(given, dict):
            if given.get("kind") == "anomaly":
                given = {**ANOMALY, **given}
            if "labels" not in given:
                raise BadInput(f"[{TABLE}] lacks 'labels': what the numbers of the model's answer stand for, in order")
            checked(cls, {name: given[name] for name in ("labels", "ignored") if name in given}, TABLE, ELSEWHERE)
            given.setdefault("threshold", 0.5)
            given["threshold"] = _by_label(given, "threshold")
            given["release"] = _by_label({"release": given["threshold"], **given}, "release")
        return cls(**checked(cls, given, TABLE, ELSEWHERE))

    def settings(self) -> dict[str, Any]:
        """Every setting, as `from_settings` takes it."""
        return as_table(self)

    def __post_init__(self) -> None:
        one_of(TABLE, "kind", self.kind, KINDS)
        one_of(TABLE, "activation", self.activation, ACTIVATIONS)
        one_of(TABLE, "report", self.report, REPORTS)
        for name in ("smoothing", "minimum_duration", "refractory", "warmup"):
            within(TABLE, name, getattr(self, name), 0, LONGEST_TIME)
        within(TABLE, "baseline", self.baseline, 1e-3, LONGEST_TIME)
        within(TABLE, "top", self.top, 0, 1 << 20)
        self._check_labels()
        for label, threshold, release in zip(self.labels, self.threshold, self.release, strict=True):
            within(TABLE, f"threshold of '{label}'", threshold, -1e30, 1e30)
            within(TABLE, f"release of '{label}' (no higher than its threshold)", release, -1e30, threshold)

    def _check_labels(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise BadInput(f"[{TABLE}] labels: one or more texts, each once, expected")
        unknown = [label for label in self.ignored if label not in self.labels]
        if unknown:
            raise BadInput(f"[{TABLE}] ignored: '{unknown[0]}' is none of the labels {', '.join(self.labels)}")
        for name in BY_LABEL:
            if len(getattr(self, name)) != len(self.labels):
                raise BadInput(f"[{TABLE}] {name}: {len(getattr(self, name))} numbers for {len(self.labels)} labels")
        if self.kind == "anomaly" and (len(self.labels) > 1 or self.activation != "none"):
            raise BadInput(f'[{TABLE}] kind "anomaly" has one label and no activation')
        if self.activation == "softmax" and len(self.labels) == 1:
            raise BadInput(f'[{TABLE}] activation: the softmax of one number is always 1; "sigmoid" or "none" expected')


def _by_label(given: Mapping[str, Any], name: str) -> Any:
    """A setting with one number for each label, as a list."""
    value, labels = given[name], given["labels"]
    if isinstance(value, (list, tuple)):
        return value
    if not isinstance(value, Mapping):
        return [value] * len(labels)
    unknown = [label for label in value if label not in labels]
    if unknown:
        raise BadInput(f"[{TABLE}] {name}: '{unknown[0]}' is none of the labels {', '.join(labels)}")
    missing = [label for label in labels if label not in value and label not in given.get("ignored", ())]
    if missing:
        raise BadInput(f"[{TABLE}] {name} has no number for '{missing[0]}'")
    return [value.get(label, given["threshold"][i] if name == "release" else 0.5) for i, label in enumerate(labels)]
