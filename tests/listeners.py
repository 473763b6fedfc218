"""Models that listen: what the tests of pipelines and of the server share, and samples for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from cases import Net, stack

from edgernn import Model
from edgernn.layers import Affine
from edgernn.layers.deciding import Deciding
from edgernn.layers.frontend import FrontEnd

RATE = 1000
LOUD = {"labels": ["loud"], "threshold": 0.5, "report": "end"}
PULSE = np.zeros(3000, np.float32)
PULSE[1000:2000] = 1


def equipped(model: Model, features: dict[str, Any], decisions: dict[str, Any] | None = None) -> Model:
    """The model with these settings."""
    front = FrontEnd.from_settings(features)
    return replace(model, frontend=front, deciding=Deciding.from_settings(decisions) if decisions else None)


def average(size: int) -> Model:
    """Answers with the mean of a frame."""
    net = Net(size)
    return net.model(y=(net.add(Affine(np.full((1, size), 1 / size, np.float32)), "x"), 1))


def listener() -> Model:
    """Log-mel bands, a GRU, three labels."""
    features = {"kind": "logmel", "preset": "kaldi", "rate": 16000, "bands": 8, "mean": [10.0], "std": [3.0]}
    decisions = {"labels": ["a", "b", "c"], "activation": "softmax", "smoothing": 0.05, "threshold": 0.35}
    return equipped(
        stack("GRU", 8, 4, 1, [(3, "")]), features, {**decisions, "release": 0.34, "report": "end", "top": 0}
    )


def forecaster() -> Model:
    """Says that the next row is as the last one."""
    net = Net(3)
    model = net.model(y=(net.add(Affine(np.eye(3, dtype=np.float32)), "x"), 3))
    features = {"kind": "imu", "rate": 100, "frame_length": 1, "hop_length": 1, "channels": 3}
    return equipped(model, features, {"kind": "anomaly", "warmup": 0.5, "baseline": 2})


def noise(model: Model, seconds: float = 2.0) -> np.ndarray:
    """Samples for the model, louder and softer."""
    assert model.frontend is not None
    count = int(model.frontend.rate * seconds)
    shape = (count, model.frontend.channels) if model.frontend.kind == "imu" else (count,)
    made = np.random.default_rng(3).standard_normal(shape) * 0.1
    return (made.T * (1.1 + np.sin(np.arange(count) / count * 30))).T.astype(np.float32)


LISTENER = listener()
