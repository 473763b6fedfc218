"""Parity: a converted model's answers against those of ONNX Runtime on the file that it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.conversion.noise import noise
from edgernn.conversion.oracle import WINDOWS, Oracle
from edgernn.errors import BadInput
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser.drift import Drift, drift

STEPS = 5000
FEWEST, COST = 500, 10_000_000_000  # steps of a model of many multiply-accumulates, and how many of these in all
NUMBERS, FEW = 1 << 23, 100  # in all answers that are looked at, but steps of a model of many outputs
LARGEST = 1 << 22  # numbers of noise, where a call of the graph takes more than STEPS frames


def parity(
    model: Model,
    source: str | Path,
    frames: Any = None,
    steps: int | None = None,
) -> dict[str, Drift]:
    """How far the model's answers are from ONNX Runtime's, by output port. Takes and raises what `beside` does."""
    return {name: drift(*both) for name, both in beside(model, source, frames, steps).items()}


def beside(
    model: Model,
    source: str | Path,
    frames: Any = None,
    steps: int | None = None,
) -> dict[str, tuple[Array, Array]]:
    """(the model's answers, ONNX Runtime's), (T, n) each, by output port.

    frames: an array (T, n_in), a mapping from port to such an array, or a list of recordings, each of which starts from
    the initial state; None is noise, for so many steps, by default STEPS, fewer of a large or wide model, or WINDOWS
    windows. A graph for a fixed number of steps is compared over that many, one that answers at the end of a sequence
    at the ends of sequences of many lengths.

    Raises BackendUnavailable where onnxruntime is missing or does not run the file, and BadInput for frames that do not
    fit.
    """
    oracle = Oracle(source, model)
    steps = min(usual_steps(model), max(FEWEST, COST // max(1, model.macs))) if steps is None else steps
    enough = max(long_enough(model, steps), min(oracle.answered, LARGEST // sum(port.size for port in model.inputs)))
    recordings = [noise(model.inputs, enough)] if frames is None else recordings_of(model, frames)
    recordings = [oracle.held(recording) for recording in recordings]
    pairs: dict[str, list[tuple[Array, Array]]] = {port.name: [] for port in model.outputs}
    for recording in recordings:
        answers = model.stream().run(recording)
        for name, expected in oracle.answers(recording).items():
            mine = answers if len(pairs) == 1 else answers[name]
            pairs[name].append((mine[expected.places], expected.values))
    sides = {name: [_joined(side) for side in zip(*both, strict=True)] for name, both in pairs.items()}
    return {name: (mine, theirs) for name, (mine, theirs) in sides.items()}


def _joined(parts: Sequence[Array]) -> Array:
    """The parts one after the other; a single one, which may be large, as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def usual_steps(model: Model) -> int:
    """How many steps of noise a model is looked at: STEPS, fewer of one whose answers would then be too many."""
    width = sum(port.size for port in model.outputs)
    return min(STEPS, max(FEW, NUMBERS // max(1, width)))


def long_enough(model: Model, steps: int | None = None) -> int:
    """How many frames tell how good a model is: of one on windows, which carry nothing on, as many as make WINDOWS."""
    steps = usual_steps(model) if steps is None else steps
    return min(steps, model.window + (WINDOWS - 1) * model.hop) if "window" in model.origin else steps


def with_parity(model: Model, figures: Mapping[str, Drift], frames: str = "calibration") -> Model:
    """The model with these figures in its origin, and the name of the frames that they were measured on."""
    return replace(model, origin={**model.origin, "parity": {"frames": frames, "outputs": noted(figures)}})


def noted(figures: Mapping[str, Drift]) -> dict[str, dict[str, float | None]]:
    """The figures as the origin holds them: None for what is not finite."""
    return {name: {key: finite(value) for key, value in asdict(found).items()} for name, found in figures.items()}


def recordings_of(model: Model, frames: Any) -> list[dict[str, Array]]:
    """Recordings as given to `parity`, each a mapping from port to frames. Raises BadInput where they are none."""
    given = list(frames) if isinstance(frames, (list, tuple)) else [frames]
    if not given or any(not isinstance(one, Mapping) and np.ndim(one) == 0 for one in given):
        raise BadInput("frames: an array (T, n_in), a mapping from port to array, or a list of these expected")
    if any(not isinstance(one, Mapping) for one in given) and len(model.inputs) > 1:
        raise BadInput(f"the model has {len(model.inputs)} inputs: give a mapping from port to array")
    named = [one if isinstance(one, Mapping) else {model.inputs[0].name: one} for one in given]
    try:
        recordings = [{name: np.asanyarray(array) for name, array in one.items()} for one in named]
    except (ValueError, TypeError) as error:
        raise BadInput(f"frames are no array of numbers: {error}") from None
    if any(array.ndim == 0 or len(array) == 0 for one in recordings for array in one.values()):
        raise BadInput("frames: a recording holds not one frame")
    return recordings


def finite(value: float) -> float | None:
    """The value, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None
