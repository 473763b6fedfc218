"""A float model in another number format: with static scales where asked for, and its drift certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgernn.conversion.certificate import certified, is_quantised
from edgernn.conversion.observe import observed
from edgernn.conversion.parity import recordings_of
from edgernn.errors import BackendUnavailable, BadInput
from edgernn.layers.model import Model
from edgernn.quantiser import quantise
from edgernn.quantiser.reach import ESTIMATORS, meets, static_scales


def formatted(
    model: Model,
    quantize: str = "none",
    layers: Mapping[str, str] | None = None,
    static: str | None = None,
    calibration: Any = None,
) -> Model:
    """The model in these formats; arguments and errors are those of `convert`."""
    if static is not None and static not in ESTIMATORS:
        raise BadInput(f"static='{static}': one of {', '.join(ESTIMATORS)} expected")
    if static is not None and calibration is None:
        raise BadInput("static activation scales need calibration: frames to see how large the numbers become")
    recordings = None if calibration is None else recordings_of(model, calibration)
    made = quantise(model, quantize, layers)
    if static is not None and recordings is not None:
        values = observed(model, recordings, set(meets(made).values()))
        made, notes = static_scales(made, {name: array.reshape(-1) for name, array in values.items()}, static)
        made = replace(made, origin={**made.origin, "notes": [*made.origin.get("notes", ()), *notes]})
    if not is_quantised(made):
        return made
    try:
        return certified(made, model, recordings)
    except BackendUnavailable as error:
        note = f"there is no drift certificate: {error}"
        return replace(made, origin={**made.origin, "notes": [*made.origin.get("notes", ()), note]})
