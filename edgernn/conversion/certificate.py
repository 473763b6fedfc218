"""The drift certificate: how far a quantised model is from the float one over a long run, checked again anywhere.

The figures are measured where both models are. What a device checks is that the quantised model gives the very answers
there that they were measured on: its answers to noise, which is the same on every machine, have the same sha256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import get_type_hints

import numpy as np

from edgernn.conversion.noise import noise
from edgernn.conversion.parity import STEPS, finite, long_enough
from edgernn.errors import BadInput
from edgernn.layers.base import Array, QuantisedMatrix
from edgernn.layers.model import Model
from edgernn.quantiser.drift import Drift, drift

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


def one_run(recordings: Sequence[Mapping[str, Array]], steps: int = STEPS) -> dict[str, Array]:
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
    outputs = {name: {key: finite(value) for key, value in asdict(one).items()} for name, one in found.items()}
    where = "noise" if recordings is None else "calibration"
    check = {"steps": steps, "answers": fingerprint(model, steps)}
    return replace(model, origin={**model.origin, "drift": {"frames": where, "outputs": outputs, "check": check}})


def fingerprint(model: Model, steps: int) -> str:
    """sha256 of the answers to so many frames of noise."""
    digest = hashlib.sha256()
    for name, made in sorted(answers(model, noise(model.inputs, steps)).items()):
        digest.update(name.encode() + np.ascontiguousarray(made, "<f4").tobytes())
    return digest.hexdigest()


def figures_of(model: Model) -> tuple[dict[str, Drift], str]:
    """(figures by output port, what they were measured on) as the certificate states them; anybody may have written it.

    Raises BadInput where the model has none.
    """
    kinds = get_type_hints(Drift)
    try:
        outputs, frames = model.origin["drift"]["outputs"], str(model.origin["drift"]["frames"])
        found = {
            str(name): Drift(**{key: kind("inf" if one[key] is None else one[key]) for key, kind in kinds.items()})
            for name, one in outputs.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadInput(NONE) from None
    if found.keys() != {port.name for port in model.outputs}:
        raise BadInput(NONE)
    return found, frames


def holds(model: Model) -> bool:
    """Whether the model gives the answers here that its certificate states. Raises BadInput where it has none."""
    check = model.origin["drift"].get("check") if isinstance(model.origin.get("drift"), Mapping) else None
    steps, expected = (check.get(key) for key in ("steps", "answers")) if isinstance(check, Mapping) else (None, None)
    if type(steps) is not int or not 0 < steps <= STEPS or not isinstance(expected, str):
        raise BadInput(NONE)
    return fingerprint(model, steps) == expected
