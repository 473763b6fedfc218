"""The drift certificate: how far a quantised model is from the float one over a long run, checked again anywhere.

The figures are measured where both models are. What a device checks is that the quantised model gives the very answers
there that they were measured on: its answers to noise, which is the same on every machine, have the same sha256.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.conversion.noise import noise
from edgernn.conversion.parity import STEPS, long_enough, noted
from edgernn.errors import BadInput, BadModelFile
from edgernn.layers.base import Array, QuantisedMatrix
from edgernn.layers.model import Model
from edgernn.quantiser.drift import Drift, drift

BAD = "the drift certificate, which the file's hash does not cover, cannot be right"
ENDLESS = "the drift certificate holds no figures, as where answers were infinite or NaN when they were measured"
REMEDY = "convert the model again, with frames of what it was made for (--calibrate)"
SLACK = 1e-6  # of the roundings of sums, and in dB
BOUNDS = {  # of each figure of numbers in float32
    "frames": (1, STEPS),
    "max_error": (0, 1e39),
    "rms_error": (0, 1e39),
    "snr": (-math.inf, math.inf),
    "peak": (0, 1e39),
    "growth": (-1e43, 1e43),
}
NONE = "the model has no drift certificate: quantised models get one when they are converted; else give --against"


def is_quantised(model: Model) -> bool:
    """Whether the model computes with integers, and so gives the same bits everywhere."""
    return any(isinstance(weight, QuantisedMatrix) for node in model.nodes for _, weight in node.layer.weights())


def drifts(model: Model, original: Model, frames: Mapping[str, Array]) -> dict[str, Drift]:
    """How far the answers of `model` are from those of `original`, side by side on these frames, by output port."""
    mine, theirs = (answers(one, frames) for one in (model, original))
    return {name: drift(mine[name], theirs[name]) for name in mine}


def answers(model: Model, frames: Mapping[str, Array]) -> dict[str, Array]:
    """The answers from the initial state on, by output port."""
    made = model.stream().run(frames)
    return dict(made) if isinstance(made, Mapping) else {model.outputs[0].name: made}


def one_run(recordings: Sequence[Mapping[str, Array]], steps: int) -> dict[str, Array]:
    """All recordings one after the other, over and over until there are so many frames. Raises BadInput."""
    found = {}
    for name in recordings[0]:
        parts = [recording.get(name, np.empty(0)) for recording in recordings]
        if len({part.shape[1:] for part in parts}) > 1:
            raise BadInput(f"the recordings hold frames of different sizes for '{name}'")
        whole = np.concatenate(parts)
        found[name] = np.concatenate([whole] * -(-steps // len(whole)))[:steps]
    return found


def certified(model: Model, original: Model, recordings: Sequence[Mapping[str, Array]] | None) -> Model:
    """The model with the certificate in its origin: `long_enough` steps of the recordings, or else of noise."""
    steps = long_enough(model)
    frames = noise(model.inputs, steps) if recordings is None else one_run(recordings, steps)
    found = drifts(model, original, frames)
    where = "noise" if recordings is None else "calibration"
    check = {"steps": steps, "answers": fingerprint(model, steps)}
    return replace(model, origin={**model.origin, "drift": {"frames": where, "outputs": noted(found), "check": check}})


def fingerprint(model: Model, steps: int) -> str:
    """sha256 of the answers to so many frames of noise."""
    digest = hashlib.sha256()
    for name, made in sorted(answers(model, noise(model.inputs, steps)).items()):
        digest.update(name.encode() + np.ascontiguousarray(made, "<f4").tobytes())
    return digest.hexdigest()


def figures_of(model: Model) -> tuple[dict[str, Drift], str]:
    """(figures by output port, what they were measured on) as the certificate states them; anybody may have written it.

    Raises BadInput where the model has none, and BadModelFile for figures that no answers can have.
    """
    certificate = _certificate(model)
    outputs, frames = certificate.get("outputs"), certificate.get("frames")
    sizes = {port.name: port.size for port in model.outputs}
    if not isinstance(outputs, Mapping) or outputs.keys() != sizes.keys() or not isinstance(frames, str):
        raise BadModelFile(f"{BAD}: figures of {', '.join(sizes)} and what they were measured on expected")
    return {name: _figures(name, outputs[name], size) for name, size in sizes.items()}, frames


def holds(model: Model) -> bool:
    """Whether the model gives the answers here that its certificate states. Raises what `figures_of` does."""
    check = _certificate(model).get("check")
    steps, expected = (check.get(key) for key in ("steps", "answers")) if isinstance(check, Mapping) else (None, None)
    if type(steps) is not int or not 0 < steps <= STEPS or not isinstance(expected, str):
        raise BadModelFile(f"{BAD}: it does not state the answers to 1 to {STEPS:,} frames")
    return fingerprint(model, steps) == expected


def _certificate(model: Model) -> Mapping[str, Any]:
    if "drift" not in model.origin:
        raise BadInput(NONE)
    certificate = model.origin["drift"]
    if not isinstance(certificate, Mapping):
        raise BadModelFile(f"{BAD}: it is no JSON object")
    return certificate


def _figures(name: str, stated: Any, size: int) -> Drift:
    """The figures of an output of this size. No SNR stands there where answers are equal, or silence was expected."""
    given = dict(stated) if isinstance(stated, Mapping) else {}
    if given.get("snr", 0) is None:
        given["snr"] = -math.inf if given.get("rms_error") else math.inf
    for key, (least, most) in BOUNDS.items():
        value: Any = given.get(key)
        if value is None and key in given:
            raise BadModelFile(f"{ENDLESS}: the {key} of '{name}' is None; {REMEDY}")
        number = type(value) is int or (type(value) is float and key != "frames")
        if not (number and least <= value <= most):
            raise BadModelFile(f"{BAD}: the {key} of '{name}' is {value!r:.40}; {least:g} to {most:g} expected")
    found = Drift(**{key: given[key] for key in BOUNDS})
    if not _possible(found, size):
        raise BadModelFile(f"{BAD}: the figures of '{name}' contradict each other")
    return found


def _possible(found: Drift, size: int) -> bool:
    """Whether answers of this size can have such figures: the mean of n squares is a n-th of the largest at least."""
    if found.rms_error == 0 or size == 0:
        return found.max_error == found.rms_error == 0 and found.snr == math.inf
    root = math.sqrt(found.frames * size)
    loudest = 20 * (math.log10(found.peak) - math.log10(found.rms_error)) if found.peak else -math.inf
    softest = loudest - 20 * math.log10(root)
    return (
        found.max_error * (1 - SLACK) <= found.rms_error * root
        and found.rms_error <= found.max_error * (1 + SLACK)
        and softest - SLACK <= found.snr <= loudest + SLACK
    )
